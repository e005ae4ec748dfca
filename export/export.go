// Package export hands the log of events on to other systems: to files of JSON
// lines in a folder, and to a stream of NATS JetStream. Each is a follower's Out:
// the events leave the house before the follower's place moves, so that after a
// crash the last page comes again; both find out what of it arrived before, and
// write each event exactly once.
//
// A sink that is full, blocked or away fails its own follower and nobody else: no
// transaction is open meanwhile, and Out comes back when its time is over, also
// when the disk below does not.
package export

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"gatehouse/events"
	"gatehouse/fault"
	"gatehouse/id"
)

// Page is how many events a follower should hand over at once. What is looked for
// after a crash is a multiple of it.
const Page = 256

// look is how many of the last events of a sink are compared with those that come
// again: a page that was under way, and more for a process that slept through
// its lease with a page in its hands.
const look = 4 * Page

// Line is an event as programs read it, in the form of gatehouse events export.
// Names are stable; fields may be added.
type Line struct {
	Position     int64             `json:"position"`
	ID           id.Event          `json:"id"`
	Kind         events.Kind       `json:"kind"`
	Version      int               `json:"version"`
	MadeAt       time.Time         `json:"made_at"`
	Organisation id.Organisation   `json:"organisation,omitempty"`
	Account      id.Account        `json:"account,omitempty"`
	Actor        string            `json:"actor"`
	Session      id.Session        `json:"session,omitempty"`
	Attempt      id.Attempt        `json:"attempt,omitempty"`
	Node         id.Node           `json:"node"`
	NodeSeq      int64             `json:"node_seq"`
	Standby      bool              `json:"standby"`
	Data         map[string]string `json:"data,omitempty"`
	Personal     map[string]string `json:"personal,omitempty"`
	Parked       bool              `json:"parked,omitempty"` // of a kind this build does not know; never in what Files and Stream write
	Hidden       events.Hidden     `json:"hidden,omitempty"`
}

// LineOf is all that this build knows of an event, personal data included.
func LineOf(e events.Event) Line {
	return Line{
		Position: e.Position, ID: e.ID, Kind: e.Kind, Version: e.Version, MadeAt: e.MadeAt, Organisation: e.Organisation, Account: e.Account,
		Actor: e.Actor, Session: e.Session, Attempt: e.Attempt, Node: e.Node, NodeSeq: e.NodeSeq, Standby: e.Standby, Data: e.Data,
		Personal: e.Personal, Parked: e.Parked, Hidden: e.Hidden,
	}
}

// errNewer has an event parked until a build runs that knows its kind: its data
// could not be told now, and would be missing for ever.
var errNewer = errors.New("export: an event of a newer release")

// encode makes a line without its end. Personal data goes out only when asked for:
// what has left the house is not erased with the account's key.
func encode(e events.Event, personal bool) ([]byte, error) {
	if e.Parked {
		return nil, errNewer
	}
	l := LineOf(e)
	if !personal {
		l.Personal, l.Hidden = nil, ""
	}
	return json.Marshal(l)
}

// away says that the sink, not an event, is the trouble: the same events come
// again later, and nothing is parked.
func away(cause error) error { return fault.New(fault.Unavailable, cause) }

// errStuck is told while an earlier page is still on its way into a sink that does
// not come back.
var errStuck = errors.New("export: the page before is still being written; the disk or the network hangs")

// aside runs one thing at a time and leaves it alone when its caller must go: a
// write to a dead disk cannot be called off.
type aside chan struct{}

func newAside() aside { return make(aside, 1) }

func (a aside) run(ctx context.Context, do func() error) error {
	select {
	case a <- struct{}{}:
	default:
		return away(errStuck)
	}
	done := make(chan error, 1)
	go func() {
		err := do()
		<-a
		done <- err
	}()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return away(context.Cause(ctx))
	}
}

// recent is a set of the last events that a sink has.
type recent struct {
	ring []id.Event
	at   int
	has  map[id.Event]bool
}

func newRecent() *recent { return &recent{ring: make([]id.Event, look), has: map[id.Event]bool{}} }

func (r *recent) add(e id.Event) {
	if r.has[e] {
		return
	}
	delete(r.has, r.ring[r.at])
	r.ring[r.at], r.has[e] = e, true
	r.at = (r.at + 1) % len(r.ring)
}
