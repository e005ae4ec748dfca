package web

func (s *Server) acceptRoutes() []route { return nil }
