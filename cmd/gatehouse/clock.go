package main

import (
	"sync/atomic"
	"time"
)

// clock is the one clock of the process; everything below gets its Now. It never
// falls below a floor: the latest time this installation has written down, so
// that a clock set back (a flat battery, a restored machine, an attacker) brings
// no spent code, link or session back to life.
//
// Below the floor it goes on from there at half speed, until the machine's clock
// has caught up: a correction of seconds heals itself, and a jump of hours shows
// in the log and leaves time standing still enough to be noticed.
type clock struct {
	wall  func() time.Time
	floor atomic.Pointer[floor]
}

type floor struct {
	at  time.Time // the floor
	set time.Time // when it was set, with its monotonic reading
}

func newClock() *clock {
	c := &clock{wall: wall}
	c.floor.Store(&floor{})
	return c
}

// Now is the time in UTC.
func (c *clock) Now() time.Time {
	t, _ := c.read()
	return t
}

// read also tells how far the machine's clock is behind the floor.
func (c *clock) read() (now time.Time, behind time.Duration) {
	w := c.wall()
	f := c.floor.Load()
	if !w.Before(f.at) {
		return w.UTC(), 0
	}
	slow := f.at.Add(time.Since(f.set) / 2)
	if w.After(slow) {
		return w.UTC(), 0
	}
	return slow.UTC(), f.at.Sub(w)
}

// raise lifts the floor to what was written down, or to the time shown now.
func (c *clock) raise(written time.Time) {
	now, behind := c.read()
	if behind == 0 && now.After(written) {
		written = now
	}
	if written.After(c.floor.Load().at) {
		c.floor.Store(&floor{written.Round(0), time.Now()})
	}
}
