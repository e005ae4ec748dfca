package follow

import (
	"context"
	"errors"
	"fmt"
	"time"

	"gatehouse/events"
	"gatehouse/fault"
	"gatehouse/store"
)

// Why an event is parked, where it is not the follower's own words.
const (
	whyUnknown = "of a kind or version that this release does not know"
	whySlow    = "took longer than it may"
)

// inside handles a page event by event, as many as possible in one transaction:
// when one fails, those before it go without it, and then it alone.
func (w *worker) inside(ctx context.Context, page []events.Event) error {
	for len(page) > 0 {
		bad, err := w.together(ctx, page)
		if err == nil {
			return nil
		}
		if errors.Is(err, events.ErrFenced) || bad < 0 && outage(err) {
			return err
		}
		if bad < 0 {
			return w.singly(ctx, page, err)
		}
		if bad > 0 {
			page, err = w.advance(ctx, page, bad)
		} else {
			page, err = page[1:], w.alone(ctx, page[0], err)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// singly handles events one by one: one of them broke the transaction and did not
// say so.
func (w *worker) singly(ctx context.Context, page []events.Event, why error) error {
	for _, e := range page {
		if err := w.alone(ctx, e, why); err != nil {
			return err
		}
	}
	return nil
}

// advance handles the events in front of one that failed. When those fail now,
// the one to blame did not say so: each goes alone.
func (w *worker) advance(ctx context.Context, page []events.Event, bad int) ([]events.Event, error) {
	again, err := w.together(ctx, page[:bad])
	if err == nil || errors.Is(err, events.ErrFenced) || again < 0 && outage(err) {
		return page[bad:], err
	}
	return nil, w.singly(ctx, page, err)
}

// together handles events in one transaction. When one of them is the reason that
// it failed, bad is its index; -1 says that the database is.
func (w *worker) together(ctx context.Context, page []events.Event) (bad int, err error) {
	behind := w.behind(page)
	patient, cancel := context.WithTimeout(ctx, w.Patience)
	defer cancel()
	err = w.move(patient, w.place.At(page[len(page)-1]), func(tx *store.Tx) error {
		for i, e := range page {
			bad = i
			if err := w.handle(tx, e, behind[i]); err != nil {
				return err
			}
		}
		bad = -1
		return nil
	})
	if err == nil || !outage(err) {
		return bad, err
	}
	if bad >= 0 && w.answers(ctx) { // the database is there: this event is too slow
		return bad, err
	}
	return -1, err
}

// behind says for each event whether it has to wait behind a parked one.
func (w *worker) behind(page []events.Event) []bool {
	waits := make([]bool, len(page))
	for i, e := range page {
		waits[i] = w.lanes[w.Lane(e)]
	}
	return waits
}

func (w *worker) handle(tx *store.Tx, e events.Event, behind bool) error {
	if behind {
		return events.Park(tx, w.parked(e))
	}
	if e.Parked {
		return errors.New(whyUnknown)
	}
	return careful(func() error { return w.InTx(tx, e) })
}

// careful makes an error of a panic: no event ends the process.
func careful(fn func() error) (err error) {
	defer func() {
		if what := recover(); what != nil {
			err = fmt.Errorf("panic: %v", what)
		}
	}()
	return fn()
}

func (w *worker) parked(e events.Event) events.Parked {
	return events.Parked{Follower: w.Name, Event: e.ID, Position: e.Position, Lane: w.Lane(e)}
}

// alone gives an event that failed another chance by itself, and parks it when it
// has none: the batch it failed in may have been what was slow.
func (w *worker) alone(ctx context.Context, e events.Event, why error) error {
	if !e.Parked {
		_, why = w.together(ctx, []events.Event{e})
	}
	if why == nil || errors.Is(why, events.ErrFenced) || ctx.Err() != nil {
		return why
	}
	if outage(why) && !w.answers(ctx) {
		return why
	}
	return w.park(ctx, e, why)
}

// park puts an event aside and moves on.
func (w *worker) park(ctx context.Context, e events.Event, why error) error {
	p := w.parked(e)
	p.Why, p.Next = words(why), w.Now().Add(w.wait(1, longest))
	err := w.move(ctx, w.place.At(e), func(tx *store.Tx) error { return events.Park(tx, p) })
	if err == nil {
		w.lanes[p.Lane] = true
		w.say("an event was parked; what depends on it waits", p)
	}
	return err
}

func (w *worker) say(text string, p events.Parked) {
	if w.Logger != nil {
		w.Logger.Warn(text, "follower", w.Name, "event", string(p.Event), "position", p.Position, "why", p.Why, "tries", p.Tries)
	}
}

// longest is the longest wait between tries of a parked event.
const longest = 10 * time.Minute

// maxWhy bounds what is kept of an error, in bytes.
const maxWhy = 300

func words(err error) string {
	text := err.Error()
	if outage(err) {
		text = whySlow
	}
	return text[:min(len(text), maxWhy)]
}

func outage(err error) bool { return fault.Of(err) == fault.Unavailable }

// answers asks the database whether it is there, by keeping the lease.
func (w *worker) answers(ctx context.Context) bool { return w.move(ctx, w.place, nil) == nil }

// outside takes a page out of the house and then moves the place past it.
func (w *worker) outside(ctx context.Context, page []events.Event) error {
	behind := w.behind(page)
	var free []events.Event
	plain := true
	for i, e := range page {
		plain = plain && !e.Parked
		if !behind[i] {
			free = append(free, e)
		}
	}
	if !plain {
		return w.oneByOne(ctx, page)
	}
	if err := w.out(ctx, free); err != nil {
		if errors.Is(err, errSink) || ctx.Err() != nil {
			return err
		}
		return w.oneByOne(ctx, page)
	}
	return w.move(context.WithoutCancel(ctx), w.place.At(page[len(page)-1]), func(tx *store.Tx) error {
		for i, e := range page {
			if behind[i] {
				if err := events.Park(tx, w.parked(e)); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// oneByOne finds the event that does not go out, and parks it.
func (w *worker) oneByOne(ctx context.Context, page []events.Event) error {
	for _, e := range page {
		if held, err := w.hold(ctx); err != nil || !held {
			return errors.Join(err, when(!held, events.ErrFenced))
		}
		if err := w.single(ctx, e); err != nil {
			return err
		}
	}
	return nil
}

func (w *worker) single(ctx context.Context, e events.Event) error {
	if w.lanes[w.Lane(e)] {
		return w.move(ctx, w.place.At(e), func(tx *store.Tx) error { return events.Park(tx, w.parked(e)) })
	}
	err := w.out(ctx, []events.Event{e})
	switch {
	case err == nil:
		return w.move(context.WithoutCancel(ctx), w.place.At(e), nil)
	case errors.Is(err, errSink), ctx.Err() != nil:
		return err
	}
	return w.park(ctx, e, err)
}

func when(is bool, err error) error {
	if is {
		return err
	}
	return nil
}

// out calls Out. Whoever does not come back in time is a sink that is away.
func (w *worker) out(ctx context.Context, page []events.Event) error {
	if len(page) == 0 {
		return nil
	}
	if page[0].Parked {
		return errors.New(whyUnknown)
	}
	patient, cancel := context.WithTimeout(ctx, w.Patience)
	defer cancel()
	err := careful(func() error { return w.Out(patient, page) })
	if err != nil && (outage(err) || patient.Err() != nil) {
		return fmt.Errorf("%w: %w", errSink, err)
	}
	return err
}

const (
	lookEvery = time.Second // how often it is asked which parked events may be tried again
	retryFor  = time.Second // how long that may keep new events waiting
	rounds    = 10_000      // … also when no clock tells
	atOnce    = 64
)

// retry tries the first event of each lane that is due again, and goes on down a
// lane that has become free.
func (w *worker) retry(ctx context.Context) error {
	begin := w.Now()
	if since := begin.Sub(w.looked); len(w.lanes) == 0 || since >= 0 && since < lookEvery {
		return nil
	}
	w.looked = begin
	for range rounds {
		var due []events.Parked
		err := w.Store.BackgroundRead(ctx, func(tx *store.Tx) (err error) {
			due, err = events.DueParked(tx, w.Name, w.Now(), atOnce)
			return err
		})
		if err != nil || len(due) == 0 || w.Now().Sub(begin) > retryFor {
			return err
		}
		for _, p := range due {
			if err := w.again(ctx, p); err != nil {
				return err
			}
		}
	}
	return nil
}

// again tries one parked event again.
func (w *worker) again(ctx context.Context, p events.Parked) error {
	e, found, err := w.one(ctx, p)
	if err != nil {
		return err
	}
	switch {
	case !found: // nothing is left to handle
	case e.Parked:
		err = errors.New(whyUnknown)
	case w.Out != nil:
		err = w.out(ctx, []events.Event{e})
	}
	if errors.Is(err, errSink) || ctx.Err() != nil {
		return err
	}
	var still bool
	if err == nil {
		still, err = w.unpark(ctx, p, e, found)
	}
	if err == nil {
		if !still {
			delete(w.lanes, p.Lane)
		}
		return nil
	}
	if errors.Is(err, events.ErrFenced) || ctx.Err() != nil || outage(err) && !w.answers(ctx) {
		return err
	}
	next := w.Now().Add(w.wait(p.Tries+1, longest))
	return w.move(ctx, w.place, func(tx *store.Tx) error { return events.Postpone(tx, p, words(err), next) })
}

func (w *worker) one(ctx context.Context, p events.Parked) (e events.Event, found bool, err error) {
	err = w.Store.BackgroundRead(ctx, func(tx *store.Tx) (err error) {
		e, found, err = w.Log.One(tx, p.Event)
		return err
	})
	return e, found, err
}

// unpark handles a parked event, unless that has been done outside, and forgets it
// in the same transaction; still says that its lane is not free yet.
func (w *worker) unpark(ctx context.Context, p events.Parked, e events.Event, found bool) (still bool, err error) {
	patient, cancel := context.WithTimeout(ctx, w.Patience)
	defer cancel()
	err = w.move(patient, w.place, func(tx *store.Tx) error {
		if w.InTx != nil && found {
			if err := careful(func() error { return w.InTx(tx, e) }); err != nil {
				return err
			}
		}
		if err := events.Unpark(tx, p); err != nil {
			return err
		}
		still, err = events.LaneParked(tx, w.Name, p.Lane)
		return err
	})
	return still, err
}
