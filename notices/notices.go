// Package notices words the mails of the outbox and sends them, later than what
// they tell about and at their own pace: nothing in a sign-in waits for a mail
// server. A mail is sent at least once, with the same Message-ID each time.
//
// kinds.go is the list: one row a kind of mail. Every sentence stands in the
// catalogue, every link begins with the configured origin, nothing is tracked.
package notices

import (
	"context"
	"io"
	"log/slog"
	"sync"
	"time"

	"gatehouse/events"
	"gatehouse/outbox"
	"gatehouse/seal"
)

// Notices words and sends. Set the fields, then run Run in one goroutine.
type Notices struct {
	Keys    *seal.Keys
	Log     *events.Log
	Origin  string // configured public origin, as in https://gatehouse.example: the only source of links
	Product string // how the service calls itself; "" = the catalogue's product.name
	Now     func() time.Time
	Rand    io.Reader     // for jitter
	Logger  *slog.Logger  // nil: silent
	Every   time.Duration // how often to look without a nudge; 1 s when zero

	once sync.Once
	wake chan struct{}
	down bool      // the last look at the database failed
	tidy time.Time // when Run last gave up and pruned
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

// Nudge makes Run look now. It never blocks; call it after a commit that added a mail.
func (n *Notices) Nudge() {
	select {
	case n.nudges() <- struct{}{}:
	default:
	}
}

func (n *Notices) nudges() chan struct{} {
	n.once.Do(func() { n.wake = make(chan struct{}, 1) })
	return n.wake
}
