package store

import (
	"context"
	"errors"
)

// errTorn says that the copy lacks what its journal has: a commit failed after the
// journal was written. Nothing more is decided on the copy before it is there, or a
// step that is done again would be a second fact.
var errTorn = errors.New("store: the copy lacks an entry of its journal")

// tear notes an entry that is in the journal and not yet in the copy.
func (sb *standby) tear(e Entry) { sb.torn.Store(&e) }

// tornBy tells whether an entry of another call is missing in the copy.
func (sb *standby) tornBy(call string) bool {
	e := sb.torn.Load()
	return e != nil && e.ID != call
}

// joined notes that a call's own entry has reached the copy.
func (sb *standby) joined(call string) {
	if e := sb.torn.Load(); e != nil && e.ID == call {
		sb.torn.CompareAndSwap(e, nil)
	}
}

// mend writes the missing entry into the copy, as the next start would (redo).
func (sb *standby) mend(ctx context.Context) error {
	e := sb.torn.Load()
	if e == nil {
		return nil
	}
	err := sb.quietly(ctx, func(tx *Tx) error { return tx.applyAll([]Entry{*e}) })
	if err == nil {
		sb.torn.CompareAndSwap(e, nil)
	}
	return err
}
