package web

func (s *Server) tokenRoutes() []route { return nil }
