// Package deliver empties the outbox: it hands each message to the channel that
// knows how to send it, later than what the message tells about and at its own
// pace. A message goes out at least once, always with the same id.
//
// A lane is a recipient: one message of a lane is on its way at a time, over all
// nodes. A recipient that hangs, or is away, holds up its own lane. Messages that
// have just become due go before those that have waited, and those are taken
// oldest first at a capped rate that yields to people who are signing in.
package deliver

import (
	"context"
	"io"
	"log/slog"
	"time"

	"gatehouse/outbox"
	"gatehouse/seal"
	"gatehouse/store"
)

// Channel is one way out of the house.
type Channel struct {
	// Name is the outbox's: outbox.Mail, outbox.Hooks.
	Name outbox.Channel

	// Send hands one message over and says how it went: outbox.Done, or why not.
	// The class decides what waits with it: Unreachable, NotTrusted and NotAllowed
	// are about the recipient, so its whole lane pauses (5 s at first, doubling to
	// 10 min), head first; Later and Refused are about this message, and the lane's
	// others go on; Unwritable and Expired have it given up. It returns when ctx
	// ends. No transaction is open meanwhile.
	Send func(ctx context.Context, m outbox.Message) outbox.Class

	// GivenUp records, in the transaction that gives it up, that a message will
	// never be sent. nil: nothing is recorded.
	GivenUp func(tx *store.Tx, p outbox.Past) error

	// Workers is how many messages are on their way at once. Zero means 8. A send
	// that takes longer than a second gives its place to another, so that
	// recipients that hang stall nobody; at most eight times Workers are out.
	Workers int

	// Patience is how long one Send may take. Zero means 12 s.
	Patience time.Duration

	// Shared says that every lane of the channel goes through one server: when lanes
	// fail one after another and none succeeds, the whole channel pauses and probes.
	Shared bool
}

// Deliverer drains the outbox into channels. Set the fields, then call Run.
type Deliverer struct {
	Store    *store.Store
	Keys     *seal.Keys
	Channels []Channel
	Now      func() time.Time
	Rand     io.Reader     // for jitter
	Logger   *slog.Logger  // nil: silent
	Every    time.Duration // how often to look without a nudge; 500 ms when zero

	// Rate is how many messages a second of the backlog are taken, per channel and
	// node. Zero means 1200.
	Rate int
	// Busy says that people are waiting to sign in: the backlog stands still. nil: never.
	Busy func() bool
	// Ready is asked before each round, when not nil.
	Ready func() bool

	parts parts
}
