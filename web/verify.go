package web

func (s *Server) verifyRoutes() []route { return nil }
