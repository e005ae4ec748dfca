package store

import (
	"errors"
	"sync/atomic"
)

// answers knows whether the primary takes writes, although one call got no answer
// in time: one that began after it was committed. A row that many want, or that a
// long transaction holds, is then what kept it, and no reason to leave the primary.
// Calls are numbered as they begin, so no clock is asked.
type answers struct{ begun, latest atomic.Uint64 }

func (a *answers) begin() uint64 { return a.begun.Add(1) }

// committed notes that a write that began as number n was committed.
func (a *answers) committed(n uint64) {
	for {
		latest := a.latest.Load()
		if latest >= n || a.latest.CompareAndSwap(latest, n) {
			return
		}
	}
}

// since tells whether a write that began after number n was committed.
func (a *answers) since(n uint64) bool { return a.latest.Load() > n }

// held tells that a call that began as number n waited for something of its own:
// nothing of it was committed, and it may try again.
func (sb *standby) held(n uint64, err error) bool {
	return sb.answers.since(n) && !errors.Is(err, ErrOutcomeUnknown)
}
