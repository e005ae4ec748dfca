package sessions

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"time"

	"gatehouse/id"
	"gatehouse/seal"
)

// MostGrace is the most that any policy can stretch an idle time-out by.
const MostGrace = time.Hour

// Grace is what keeps people in their work while nobody can sign in: on 27 July
// 2021 those who were thrown out were the ones whose session idled out while the
// door was broken. A session that stood when sign-ins began to fail is let past
// its idle end, by Policy.Grace at most; never past its absolute end, never when
// its person looks after others (Ticket.Lenient), and no sensitive change rests on
// it: those ask for a full proof of the last five minutes.

// outage is one time during which nobody could sign in on this node.
type outage struct {
	since time.Time // the last moment of which it is known that one could
	over  time.Time // zero while it lasts
}

// SignInsFail begins to stretch idle ends: nobody has been able to sign in since a
// moment. Saying so again changes nothing.
func (c *Checker) SignInsFail(since time.Time) {
	o := c.outage.Load()
	switch {
	case o != nil && o.over.IsZero():
		return
	case o != nil && since.Before(o.over.Add(c.Policy.Spread)):
		since = o.since // sessions of the last one still stand by it: the two are one
	}
	c.outage.Store(&outage{since: since})
}

// SignInsWork ends it: from now on graces run out, spread over Policy.Spread.
func (c *Checker) SignInsWork(now time.Time) {
	if o := c.outage.Load(); o != nil && o.over.IsZero() {
		c.outage.Store(&outage{o.since, now})
	}
}

// Grace tells since when idle ends are stretched; zero while they are not.
func (c *Checker) Grace() (since time.Time) {
	if o := c.outage.Load(); o != nil && o.over.IsZero() && c.Policy.Grace > 0 {
		return o.since
	}
	return time.Time{}
}

// open opens a ticket, one past its idle end only by grace.
func (c *Checker) open(token string, now time.Time) (Ticket, error) {
	t, err := openTicket(c.Keys, token, now)
	if err == nil || !errors.Is(err, seal.ErrExpired) {
		return t, err
	}
	o := c.outage.Load()
	most := min(c.Policy.Grace, MostGrace)
	if o == nil || most <= 0 {
		return t, err
	}
	late, lateErr := openTicket(c.Keys, token, now.Add(-most)) // the seal too ends at the idle end
	if lateErr != nil || !now.Before(o.until(late, most, c.Policy.Spread)) {
		return t, err
	}
	return late, nil
}

// until is when an outage lets go of a ticket; its own idle end when it never held it.
func (o *outage) until(t Ticket, most, spread time.Duration) time.Time {
	lasts := o.over.IsZero()
	if !t.Lenient || t.IdleUntil.Before(o.since) || !lasts && !t.IdleUntil.Before(o.over) {
		return t.IdleUntil
	}
	end := earlier(t.IdleUntil.Add(most), t.AbsoluteUntil)
	if !lasts {
		end = earlier(end, o.over.Add(share(t.Session, spread)))
	}
	return end
}

// share is a session's own part of a time, the same on every node: so that those
// who stayed away do not all come to sign in at the same moment.
func share(s id.Session, of time.Duration) time.Duration {
	if of <= 0 {
		return 0
	}
	sum := sha256.Sum256([]byte("gatehouse grace " + s))
	return time.Duration(binary.BigEndian.Uint64(sum[:8]) % uint64(of))
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}
