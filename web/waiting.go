package web

import "gatehouse/flow"

// Door is what flow.Flow answers before the form of a sign-in is shown.
type Door interface {
	Knock(who flow.Who, held string, brought bool) (carry string, err error)
}
