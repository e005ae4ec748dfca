// Package hooks tells other programs what happened: each event that a receiver
// asked for is sent to its URL, signed as Standard Webhooks 1.0.0 says, at least
// once and in no promised order.
//
// Follow puts one message a receiver into the outbox, in the transaction in which
// the follower's place moves; Send makes the call later, one at a time for each
// receiver. There are at most Most receivers and as many callers, so that no
// receiver, however slow, makes another wait.
//
// A call holds codes and ids, never personal data: Payload is the one place that
// decides what leaves the house.
package hooks

import (
	"errors"
	"io"
	"log/slog"
	"time"

	"gatehouse/events"
	"gatehouse/id"
	"gatehouse/seal"
	"gatehouse/store"
)

// Most is how many receivers there may be: whoever drains the outbox's hooks
// needs as many workers.
const Most = 64

// Hooks keeps the receivers and calls them. Set every field.
type Hooks struct {
	Store *store.Store
	Keys  *seal.Keys
	Log   *events.Log
	Door  *Door
	Now   func() time.Time
	Rand  io.Reader
	Slog  *slog.Logger // nil: silent
	Nudge func()       // called after a commit that put something into the outbox; nil: nobody
}

// State says whether a receiver is called.
type State string

// The states.
const (
	On   State = "on"
	Off  State = "off"  // by the operator
	Gone State = "gone" // it answered 410: it wants no more (Standard Webhooks, "Status code handling")
)

// Hook is a receiver.
type Hook struct {
	ID           id.Hook
	Organisation id.Organisation // whose events it gets; "" = everybody's
	Name         string          // unique; the id is made from it
	URL          string          // may hold a token: for the operator's eyes, never for a log
	Kinds        []string        // exact kinds, families ("signin.*") or "*"
	State        State
	MadeAt       time.Time

	sealed  []byte
	version int64
}

// What an operator can do wrong.
var (
	ErrName    = errors.New("hooks: a name is 1 to 40 letters, digits, dots, dashes")
	ErrKinds   = errors.New("hooks: nothing is of that kind")
	ErrTaken   = errors.New("hooks: a receiver of this name exists")
	ErrNoHook  = errors.New("hooks: no receiver of this name")
	ErrTooMany = errors.New("hooks: there are as many receivers as there may be")
	ErrOff     = errors.New("hooks: this receiver is off")
	ErrNoEvent = errors.New("hooks: no event of this id")
)

func (h *Hooks) nudge() {
	if h.Nudge != nil {
		h.Nudge()
	}
}

func (h *Hooks) warn(text string, about ...any) {
	if h.Slog != nil {
		h.Slog.Warn(text, about...)
	}
}
