package web

func (s *Server) movingRoutes() []route { return nil }
