package web

import "gatehouse/flow"

// Way is a link to another way of showing the second authenticator.
type Way struct {
	Href string
	Text Text
}

// Ways are listed under "Can't use this?" on every page that asks for a second
// authenticator, so that nobody is stuck at one.
type Ways []Way

// waysFrom lists the pages, once each, by which an attempt can be answered besides
// the one that is shown.
func waysFrom(page flow.Step, v flow.View) Ways {
	var all Ways
	seen := map[flow.Step]bool{page: true}
	for _, w := range v.Ways {
		if !seen[w.Step] {
			seen[w.Step] = true
			all = append(all, Way{pathOf(w.Step, v.Purpose), *Say("ways." + string(w.Step))})
		}
	}
	return all
}

// rooms are the routes of each kind of authenticator, and of what belongs to them,
// each in the file that answers them.
func (s *Server) rooms() []route {
	var all []route
	for _, of := range [][]route{s.passkeyRoutes(), s.approvalRoutes(), s.verifyRoutes(), s.tokenRoutes(),
		s.phoneRoutes(), s.movingRoutes(), s.acceptRoutes(), s.helpRoutes()} {
		all = append(all, of...)
	}
	return all
}
