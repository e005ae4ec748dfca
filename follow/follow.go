// Package follow runs the readers of the log. A follower reads every event in
// the order of the log, keeps a place of its own, and works on one node at a
// time: whoever holds the place's lease, under a fencing token, on the
// database's clock. It works against the primary alone; while that is away it
// waits, and says so once.
//
// An event that a follower cannot handle is parked, and with it what must stay
// behind it (its lane); everything else goes on. Parked events are tried again,
// less and less often, until they pass.
package follow

import (
	"context"
	"io"
	"log/slog"
	"time"

	"gatehouse/events"
	"gatehouse/fault"
	"gatehouse/id"
	"gatehouse/store"
)

// Follower is one reader of the log. It has InTx or Out, not both.
type Follower struct {
	// Name is its place's name. It never changes: another name begins at the start
	// of the log.
	Name string

	// InTx handles one event in the transaction that moves the place past it:
	// exactly once. It may run more than once before that commits, so it changes
	// nothing but rows. Any error that is not an outage of the database is the
	// event's own: the event is parked.
	InTx func(tx *store.Tx, e events.Event) error

	// Out takes some events, in order, out of the house; the place moves past them
	// when it returns nil: at least once, so it hands on Event.ID as the key. No
	// transaction is open meanwhile. An error made by Away says that the sink, not
	// an event, is the trouble: nothing is parked, the same events come again later.
	// Any other error has them come again one by one, and the one that fails alone
	// is parked. It has to return when ctx ends.
	Out func(ctx context.Context, page []events.Event) error

	// Lane names what must stay in order: while an event is parked, later events of
	// its lane wait behind it. nil: the account, or the event alone when it has none.
	Lane func(e events.Event) string

	// Page is how many events are read, and given to Out, at once. Zero means 256.
	Page int
	// Patience is how long one call of Out, or one transaction of InTx, may take.
	// Zero means 2 s: a batch and then the event alone are less than 5 s.
	Patience time.Duration
}

// Away says that what Out writes to does not answer or take anything now: the
// follower waits with growing pauses instead of parking events.
func Away(cause error) error { return fault.New(fault.Unavailable, cause) }

// Runner runs followers. Set the fields, then call Run.
type Runner struct {
	Store     *store.Store
	Log       *events.Log
	Followers []Follower
	Now       func() time.Time
	Rand      io.Reader     // for jitter
	Logger    *slog.Logger  // nil: silent
	Every     time.Duration // how often to look for events; 250 ms when zero
	Lease     time.Duration // how long a place is held without being moved or renewed; 10 s when zero

	// Ready is asked before each round, when not nil: false while the schema has not
	// been seen to fit.
	Ready func() bool
}

// Lag is how far behind a follower is.
type Lag struct {
	Name   string
	Behind time.Duration // age of the oldest event it has not read; zero when there is none
	Events int64         // how many it has not read, counted up to MostCounted
	Parked int64         // events parked, and waiting behind those
	Holder id.Node       // who runs it; "" when nobody does
}

// MostCounted bounds Lag.Events: counting further would cost more than it tells.
const MostCounted = 200_000
