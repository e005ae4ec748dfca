package web

import "time"

// Condition is how things stand, as far as people are told on a page. The zero
// value is well.
type Condition struct {
	Standby     bool      // we work from this node's standby: signing in works, changes have to wait
	SignInsFail bool      // a sign-in would not work now
	Busy        bool      // more people come than get in at once
	Since       time.Time // when it began; zero when that is not known
}

// banner is the sentence for it, the gravest thing only; nil when all is well.
func (c Condition) banner() *Text {
	switch {
	case c.SignInsFail:
		return Say("condition.signins-fail")
	case c.Standby:
		return Say("condition.standby")
	case c.Busy:
		return Say("condition.busy")
	}
	return nil
}

// condition is how things stand now.
func (s *Server) condition() Condition {
	if s.Condition == nil {
		return Condition{}
	}
	return s.Condition()
}
