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
	"gatehouse/store"
)

// Notices words and sends. Set the fields, then run Run in one goroutine.
type Notices struct {
	Keys    *seal.Keys
	Log     *events.Log
	Origin  string // configured public origin, as in https://gatehouse.example: the only source of links
	Product string // how the service calls itself, as in "Harbour Books"; "" = the catalogue's product.name
	Now     func() time.Time
	Rand    io.Reader
	Logger  *slog.Logger  // nil: silent
	Every   time.Duration // how often to look without a nudge; 1 s when zero

	once sync.Once
	wake chan struct{}
}

// Mail is one mail, ready to go.
type Mail struct {
	ID      string // the outbox id: the local part of the Message-ID
	Kind    outbox.Kind
	To      string
	Subject string
	Text    string
	HTML    string
	Made    time.Time // UTC: its Date, whenever it is sent
}

// Sender hands one mail over. An error may be a *Failure that says why; the mail
// will be tried again.
type Sender interface {
	Send(ctx context.Context, m Mail) error
}

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

// Run sends what is due until ctx ends. A mail being handed over then is finished
// within a few seconds; others that were taken are given back.
func (n *Notices) Run(ctx context.Context, s *store.Store, sender Sender) {}

// SMTP sends through a mail server.
type SMTP struct {
	Host     string
	Port     int     // 0: 587, or 465 with TLS "implicit"
	TLS      TLSMode // "" = Mandatory
	Username string  // "" = no authentication
	Password seal.Secret
	From     string // address, own domain
	FromName string
	HELO     string        // how we introduce ourselves; the domain of From when empty
	Timeout  time.Duration // for one mail, 10 s when zero
}

// TLSMode says how the connection to the mail server is protected.
type TLSMode string

// The modes.
const (
	Mandatory     TLSMode = "mandatory"     // STARTTLS or nothing
	Implicit      TLSMode = "implicit"      // TLS from the first byte (RFC 8314 §3.3)
	Opportunistic TLSMode = "opportunistic" // STARTTLS when offered
	None          TLSMode = "none"          // for a mail server on this machine only
)

// Send hands one mail to the server.
func (s *SMTP) Send(ctx context.Context, m Mail) error { return nil }

// Folder writes mails as files, for the demo and for tests.
type Folder struct {
	Dir      string // is made when missing
	From     string
	FromName string
}

// Send writes the mail as NAME.txt to read and NAME.eml to open in a mail program.
func (f *Folder) Send(ctx context.Context, m Mail) error { return nil }
