// Package events is the log of what happened: every success, refusal and change
// is one event, written in the transaction of what it records. kinds.go is the
// one list of kinds; docs/events.md is made from it.
//
// An event stores codes, never sentences: those stand in the catalogue. Personal
// data (names, addresses, networks, devices) is sealed under a key of the account
// it concerns. Destroying that key erases the person and leaves the log whole.
package events

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"gatehouse/id"
	"gatehouse/seal"
	"gatehouse/store"
)

// Nobody stands for a person we do not know: a decoy with a key of its own, so
// that an event about an unknown name costs the same as one about a known name.
const Nobody id.Account = "00000000-0000-7000-8000-000000000000"

// Actors that are not accounts.
const (
	Operator  = "operator" // whoever runs the gatehouse command
	System    = "system"   // Gatehouse itself
	Anonymous = "nobody"   // someone who has not proved who they are
)

// Event is one thing that happened.
type Event struct {
	ID           id.Event // made by Append when empty
	Kind         Kind
	Organisation id.Organisation
	Account      id.Account // whom it concerns; "" = no person, Nobody = a name we do not know
	Actor        string     // who did it: an account id, Operator, System or Anonymous
	Session      id.Session
	Attempt      id.Attempt
	MadeAt       time.Time // UTC; the transaction's time when zero

	// Filled in by the log.
	Position int64 // the order of this log, from 1, with gaps
	Version  int   // of the kind
	Node     id.Node
	NodeSeq  int64 // grows with every event of a node, with gaps
	Standby  bool

	Data     map[string]string // codes only
	Personal map[string]string // email, network, agent, device, place, name: sealed under the account's key

	// Set by readers.
	Parked bool   // a kind or version this build does not know: Data and Personal are left unread
	Hidden Hidden // why Personal is missing although it was recorded
}

// Hidden says why personal data cannot be shown.
type Hidden string

// The reasons.
const (
	Erased Hidden = "erased" // the account's key was destroyed
	Forged Hidden = "forged" // altered, moved to another event, or sealed under keys we do not have
)

// Log writes and reads events. One per process.
type Log struct {
	keys *seal.Keys
	rand io.Reader
	seq  atomic.Int64
}

// New makes a log that wraps account keys with keys and takes randomness from rand.
func New(keys *seal.Keys, rand io.Reader) *Log { return &Log{keys: keys, rand: rand} }

// Append records e in the transaction of what it records. It fills in id, time,
// version, node and sequence. A kind that is not in the table, a field the kind
// does not declare, or personal data without an account is an error: ours.
func (l *Log) Append(tx *store.Tx, e Event) (id.Event, error) {
	d, err := check(e)
	if err != nil {
		return "", err
	}
	if e.MadeAt.IsZero() {
		e.MadeAt = tx.Now()
	}
	if e.ID == "" {
		// The same on a retry, and on the standby when the primary's answer was lost;
		// the kind keeps two runs that came to different ends apart.
		e.ID = id.Derive[id.Event](tx.Mark(), string(e.Kind))
	}
	if d.Analytics() && tx.Shed() {
		return e.ID, nil
	}
	e.Personal = cut(e.Personal)
	e.Version, e.Node, e.Standby = d.Version, tx.Node(), tx.Standby()
	e.NodeSeq = l.next(e.MadeAt)
	sealed, err := l.sealPersonal(tx, e)
	if err != nil {
		return "", err
	}
	return e.ID, insert(tx, e, sealed)
}

// next counts the events of this node. It starts at the clock's microseconds, so
// that it goes on growing over a restart without asking the database. A gap says
// nothing: a transaction may have been rolled back.
func (l *Log) next(now time.Time) int64 {
	for {
		last := l.seq.Load()
		n := max(last+1, now.UnixMicro())
		if l.seq.CompareAndSwap(last, n) {
			return n
		}
	}
}

func check(e Event) (Definition, error) {
	d, ok := Lookup(e.Kind)
	if !ok {
		return d, fmt.Errorf("events: kind %q is not in the table", e.Kind)
	}
	if e.Actor == "" {
		return d, fmt.Errorf("events: %s says nobody did it; name an actor", e.Kind)
	}
	if len(e.Personal) > 0 && e.Account == "" {
		return d, fmt.Errorf("events: %s has personal data of no account", e.Kind)
	}
	return d, errors.Join(
		declared(e.Kind, "data", d.Data, e.Data, isCode),
		declared(e.Kind, "personal", d.Personal, e.Personal, isAny))
}

// declared names fields in its errors, never values: those may be personal.
func declared(k Kind, part string, allowed []string, given map[string]string, good func(string) bool) error {
	for field, value := range given {
		if !slices.Contains(allowed, field) {
			return fmt.Errorf("events: %s does not declare the %s field %q", k, part, field)
		}
		if !good(value) {
			return fmt.Errorf("events: %s: the %s field %q holds something it must not", k, part, field)
		}
	}
	return nil
}

// maxCode bounds a data value, in bytes.
const maxCode = 256

// isCode keeps sentences and addresses out of the part that is never erased.
func isCode(s string) bool {
	if len(s) > maxCode {
		return false
	}
	for _, r := range s {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9':
		case r == '-' || r == '_' || r == '.' || r == ':' || r == '+' || r == '/' || r == ',' || r == '=' || r == '$':
		default:
			return false
		}
	}
	return true
}

func isAny(string) bool { return true }

// maxPersonal bounds a personal value, in bytes.
const maxPersonal = 512

// cut shortens what is too long: a browser that sends kilobytes about itself
// must not keep anyone from signing in.
func cut(personal map[string]string) map[string]string {
	short := make(map[string]string, len(personal))
	for k, v := range personal {
		if len(v) > maxPersonal {
			v = strings.ToValidUTF8(v[:maxPersonal], "")
		}
		short[k] = v
	}
	return short
}
