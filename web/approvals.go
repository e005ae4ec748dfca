package web

import (
	"gatehouse/fault"
	"gatehouse/flow"
)

func (s *Server) approvalRoutes() []route { return nil }

func (r *Request) approveView(flow.View, Form) (Page, error) {
	return nil, fault.New(fault.NotFound, nil)
}
