package notices

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"strconv"
	"time"

	"gatehouse/events"
	"gatehouse/fault"
	"gatehouse/outbox"
	"gatehouse/store"
)

const (
	batch     = 8                   // mails taken at once; batch × sendTime < outbox.Lease
	sendTime  = 12 * time.Second    // for one mail
	grace     = 3 * time.Second     // for the mail being handed over when Run is told to end
	tidyEvery = time.Minute         // how often what has run out is given up
	keep      = 30 * 24 * time.Hour // how long a finished mail is listed
)

// Run sends what is due until ctx ends. The mail being handed over then has a few
// seconds to finish; others that were taken are given back. It returns when all
// of that is done.
func (n *Notices) Run(ctx context.Context, s *store.Store, sender Sender) {
	every := n.Every
	if every == 0 {
		every = time.Second
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		n.drain(ctx, s, sender)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-n.nudges():
		}
	}
}

// drain sends until nothing is due, and tells of a database that fails once, not
// every second.
func (n *Notices) drain(ctx context.Context, s *store.Store, sender Sender) {
	for ctx.Err() == nil {
		more, err := n.round(ctx, s, sender)
		if ctx.Err() != nil {
			return
		}
		if err != nil && !n.down {
			n.warn("mail waits: the database cannot answer", "fault", string(fault.Of(err)), "error", err.Error())
		}
		n.down = err != nil
		if err != nil || !more {
			return
		}
	}
}

// round takes one batch and hands it over, with no transaction open meanwhile;
// more tells that another batch may be due.
func (n *Notices) round(ctx context.Context, s *store.Store, sender Sender) (more bool, err error) {
	if err := n.tidyUp(ctx, s); err != nil {
		return false, err
	}
	taken, err := n.take(ctx, s)
	if err != nil {
		return false, err
	}
	for i, m := range taken {
		if ctx.Err() != nil {
			return false, n.giveBack(ctx, s, taken[i:])
		}
		why := n.deliver(ctx, sender, m)
		if err := n.record(ctx, s, m, why); err != nil {
			return false, err
		}
		if serverAway(why) {
			return false, n.postponeAll(ctx, s, taken[i+1:], why)
		}
	}
	return len(taken) == batch, nil
}

// take looks before it takes: an idle loop never asks for the write lock.
func (n *Notices) take(ctx context.Context, s *store.Store) (taken []outbox.Message, err error) {
	var due bool
	err = s.BackgroundRead(ctx, func(tx *store.Tx) (err error) {
		_, due, err = outbox.OldestDue(tx, n.Now())
		return err
	})
	if err != nil || !due {
		return nil, err
	}
	err = s.Background(ctx, func(tx *store.Tx) (err error) {
		taken, err = outbox.Take(tx, n.Keys, n.Now(), batch)
		return err
	})
	return taken, err
}

// sent is the class of no failure.
const sent outbox.Class = ""

// deliver words a mail and hands it over. It never lets one mail's trouble out.
func (n *Notices) deliver(ctx context.Context, sender Sender, m outbox.Message) outbox.Class {
	if !n.Now().Before(m.Expires) {
		return outbox.Expired
	}
	mail, err := n.Render(m)
	if err != nil {
		n.warn("a mail cannot be worded and is given up", "mail", string(m.Kind), "message", string(m.ID), "error", err.Error())
		return outbox.Unwritable
	}
	ctx, cancel := patient(ctx)
	defer cancel()
	if err = sender.Send(ctx, mail); err == nil {
		return sent
	}
	why := outbox.Other
	var f *Failure
	if errors.As(err, &f) {
		why = f.Class
	}
	n.tell(m, why, err)
	return why
}

// patient outlives ctx by a moment: a mail cut off in mid-sentence may have
// arrived, and would be sent again.
func patient(ctx context.Context) (context.Context, context.CancelFunc) {
	sending, cancel := context.WithTimeout(context.WithoutCancel(ctx), sendTime)
	stop := context.AfterFunc(ctx, func() { time.AfterFunc(grace, cancel) })
	return sending, func() { stop(); cancel() }
}

// tell logs a failure. The server's words are told only where they are about the
// connection: about a mail, they often name the person.
func (n *Notices) tell(m outbox.Message, why outbox.Class, err error) {
	about := []any{"mail", string(m.Kind), "message", string(m.ID), "try", m.Tries, "why", string(why)}
	if serverAway(why) {
		about = append(about, "error", errors.Unwrap(err))
	}
	n.warn("a mail was not handed over and will be tried again", about...)
}

func (n *Notices) warn(text string, about ...any) {
	if n.Logger != nil {
		n.Logger.Warn(text, about...)
	}
}

// serverAway tells that the next mail would fare no better now.
func serverAway(why outbox.Class) bool {
	return why == outbox.Unreachable || why == outbox.NotTrusted || why == outbox.NotAllowed
}

// hopeless tells that no later try will fare better.
func hopeless(why outbox.Class) bool { return why == outbox.Unwritable || why == outbox.Expired }

// record writes down how it went. It does so also when Run is ending: what has
// been sent must not be sent again.
func (n *Notices) record(ctx context.Context, s *store.Store, m outbox.Message, why outbox.Class) error {
	now := n.Now()
	next := now.Add(n.wait(why, m.Tries))
	return s.Background(context.WithoutCancel(ctx), func(tx *store.Tx) error {
		if why == sent {
			return outbox.Sent(tx, m.ID, now)
		}
		if hopeless(why) {
			next = m.Expires
		}
		gone, err := outbox.Failed(tx, m.ID, why, next)
		if err != nil || !gone {
			return err
		}
		return n.tellGivenUp(tx, outbox.Past{ID: m.ID, Kind: m.Kind, Account: m.Account, Tries: m.Tries, Why: why})
	})
}

func (n *Notices) tellGivenUp(tx *store.Tx, p outbox.Past) error {
	_, err := n.Log.Append(tx, events.Event{
		Kind: events.MailGivenUp, Account: p.Account, Actor: events.System,
		Data: map[string]string{"mail": string(p.Kind), "message": string(p.ID), "error": string(p.Why), "tries": strconv.Itoa(p.Tries)},
	})
	return err
}

// giveBack returns mails that were taken and not tried.
func (n *Notices) giveBack(ctx context.Context, s *store.Store, rest []outbox.Message) error {
	return s.Background(context.WithoutCancel(ctx), func(tx *store.Tx) error {
		for _, m := range rest {
			if err := outbox.Release(tx, m.ID, m.Due); err != nil {
				return err
			}
		}
		return nil
	})
}

// postponeAll spares the rest of a batch a server that is away.
func (n *Notices) postponeAll(ctx context.Context, s *store.Store, rest []outbox.Message, why outbox.Class) error {
	for _, m := range rest {
		if err := n.record(ctx, s, m, why); err != nil {
			return err
		}
	}
	return nil
}

// tidyUp gives up what has run out and forgets what is long finished, once a minute.
func (n *Notices) tidyUp(ctx context.Context, s *store.Store) error {
	now := n.Now()
	if now.Sub(n.tidy) < tidyEvery {
		return nil
	}
	err := s.Background(ctx, func(tx *store.Tx) error {
		past, err := outbox.Expire(tx, now, 100)
		if err != nil {
			return err
		}
		for _, p := range past {
			if err := n.tellGivenUp(tx, p); err != nil {
				return err
			}
		}
		_, err = outbox.Prune(tx, now.Add(-keep))
		return err
	})
	if err == nil {
		n.tidy = now
	}
	return err
}

// The waits between tries: the first, and the longest.
const (
	firstWait   = 5 * time.Second
	refusedWait = 5 * time.Minute // a server that says no for good seldom changes its mind at once
	longestWait = 10 * time.Minute
)

// wait doubles from try to try. A quarter up or down by chance keeps nodes and
// mails from coming back all at once.
func (n *Notices) wait(why outbox.Class, try int) time.Duration {
	d := firstWait
	if why == outbox.Refused {
		d = refusedWait
	}
	for i := 1; i < try && d < longestWait; i++ {
		d *= 2
	}
	d = min(d, longestWait)
	return d*3/4 + time.Duration(n.chance(uint64(d/2)))
}

// chance is a number below limit; without randomness it is the middle.
func (n *Notices) chance(limit uint64) uint64 {
	var b [8]byte
	if _, err := io.ReadFull(n.Rand, b[:]); err != nil {
		return limit / 2
	}
	return binary.BigEndian.Uint64(b[:]) % limit
}
