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
			all = append(all, Way{pathOf(w.Step, v.Purpose), *wayText(w.Step, v.Ways)})
		}
	}
	return all
}

// wayText words a way by what the person has: whether their codes come from an app
// or a token, and to which number a message goes when there is only one.
func wayText(step flow.Step, ways []flow.Way) *Text {
	tokens, labels := map[bool]bool{}, map[string]bool{}
	label := ""
	for _, w := range ways {
		if w.Step == step {
			tokens[w.Token], labels[w.Label], label = true, true, w.Label
		}
	}
	switch {
	case step == flow.Code && tokens[true] && tokens[false]:
		return Say("ways.totp-hotp")
	case step == flow.Code && tokens[true]:
		return Say("ways.hotp")
	case step == flow.Text && len(labels) == 1 && label != "":
		return Say("ways.phone-to", "label", label)
	}
	return Say("ways." + string(step))
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
