package web

import (
	"gatehouse/fault"
	"gatehouse/flow"
)

func (s *Server) passkeyRoutes() []route { return nil }

func (r *Request) passkeyView(flow.View, Form) (Page, error) {
	return nil, fault.New(fault.NotFound, nil)
}
