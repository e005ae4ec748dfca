package web

import (
	"gatehouse/fault"
	"gatehouse/flow"
)

func (s *Server) phoneRoutes() []route { return nil }

func (r *Request) textView(flow.View, Form) (Page, error) { return nil, fault.New(fault.NotFound, nil) }
