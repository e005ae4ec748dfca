package web

import (
	"strings"
	"time"
)

// Condition is how things stand, as far as people are told on a page. The zero
// value is well.
type Condition struct {
	Standby     bool      // we work from this node's standby: signing in works, changes have to wait
	SignInsFail bool      // a sign-in would not work now
	Busy        bool      // more people come than get in at once
	Since       time.Time // when it began; zero when that is not known
}

// condition is how things stand now.
func (s *Server) condition() Condition {
	if s.Condition == nil {
		return Condition{}
	}
	return s.Condition()
}

// Banner says the gravest thing that is wrong, on every page that it concerns; nil
// when all is well. Somebody who is inside need not know that there is a crowd
// outside, and somebody who waits reads it on the page itself.
func (v view) Banner() *Text {
	c := v.F.Condition
	_, waits := v.P.(Waiting)
	switch {
	case c.SignInsFail:
		return Say("condition.signins-fail")
	case c.Standby:
		return Say("condition.standby")
	case c.Busy && v.Nav == "" && !waits:
		return Say("condition.busy")
	}
	return nil
}

// unable says what an outage means at an address: there, it is no bare "we cannot
// check this". nil when the condition explains nothing.
func (c Condition) unable(path string) *Text {
	signIn := strings.HasSuffix(path, "/signin") || strings.HasSuffix(path, "/code") || strings.HasSuffix(path, "/totp") || strings.HasSuffix(path, "/signin/passkey") || path == "/fresh/passkey" ||
		strings.HasSuffix(path, "/recovery") || strings.HasSuffix(path, "/signin/recovery-code")
	switch {
	case signIn && c.SignInsFail:
		return Say("condition.signins-fail")
	case !signIn && c.Standby && path != sessionPath:
		return Say("condition.change")
	}
	return nil
}
