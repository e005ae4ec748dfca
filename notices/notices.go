// Package notices words the mails of the outbox and hands them to a mail server.
// When, package deliver decides: nothing in a sign-in waits for a mail server. A
// mail is sent at least once, with the same Message-ID each time.
//
// kinds.go is the list: one row a kind of mail. Every sentence stands in the
// catalogue, every link begins with the configured origin, nothing is tracked.
package notices

import (
	"context"
	"log/slog"
	"time"

	"gatehouse/events"
	"gatehouse/outbox"
)

// Notices words mails and hands them over. Package deliver calls Deliver for
// each mail of the outbox, several at once.
type Notices struct {
	Log     *events.Log
	Origin  string // configured public origin, as in https://gatehouse.example: the only source of links
	Product string // how the service calls itself; "" = the catalogue's product.name
	Now     func() time.Time
	Logger  *slog.Logger // nil: silent
}

// Mail is one mail, ready to go.
type Mail struct {
	ID      string // the outbox id: the local part of the Message-ID
	Kind    outbox.Kind
	Lang    string // BCP 47
	To      string
	Subject string
	Text    string
	HTML    string
	Made    time.Time // UTC: its Date, whenever it is sent
}

// Sender hands one mail over. An error that is a *Failure says why; any other is
// outbox.Other. The mail is tried again after either.
type Sender interface {
	Send(ctx context.Context, m Mail) error
}

// Failure is why a mail was not handed over. Its text is the class alone: what
// mail servers answer often names the person.
type Failure struct {
	Class outbox.Class
	Cause error
}

func (f *Failure) Error() string { return "notices: " + string(f.Class) }

// Unwrap gives the cause, which may hold an address: never log it.
func (f *Failure) Unwrap() error { return f.Cause }
