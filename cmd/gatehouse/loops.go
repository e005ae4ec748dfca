package main

import (
	"context"
	"errors"
	"runtime/debug"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"gatehouse/events"
	"gatehouse/fault"
	"gatehouse/outbox"
	"gatehouse/seal"
	"gatehouse/store"
)

// Loops are what runs beside the requests until the server stops. Each is one
// goroutine, keeps its own pace and asks the database through the background
// pool, so none can make a person wait.
type loops struct {
	*house
	wait  sync.WaitGroup
	dark  bool        // started without the primary; the rest of the start is still to do
	ready atomic.Bool // the database was asked once: its schema fits, and who is thrown out is known
}

const (
	followEvery  = 250 * time.Millisecond // revocations made by other nodes reach us within twice this
	followGap    = 100 * time.Millisecond // many writes in a row make one round of following
	stampEvery   = 5 * time.Second        // the floor of the clock is at most this old after a crash
	touchEvery   = 15 * time.Second       // "last used" in the list of sessions is exact to this
	tidyEvery    = time.Minute
	gaugeEvery   = 10 * time.Second
	restEvery    = 5 * time.Second        // without a hash for this long, at most twice, their memory goes back
	askAgain     = 200 * time.Millisecond // while the database is away at the start
	noticeBehind = 2 * time.Second        // a clock further back than this is told
)

// start runs everything; it returns at once. What makes serving pointless (a
// schema that does not fit, a broken filter file) ends stop with the reason.
func (r *loops) start(ctx context.Context, stop context.CancelCauseFunc) {
	r.wait.Go(func() {
		if err := r.arrive(ctx); err != nil {
			stop(err)
			return
		}
		r.wait.Go(func() { r.keepStandby(ctx, stop) })
		r.every(ctx, "following revocations", followEvery, r.flow.Follower())
	})
	r.wait.Go(func() {
		select {
		case <-ctx.Done():
		case <-r.breached.done:
			stopFor(stop, next(r.breached.err, "put the file back, or take passwords.breached_file out"))
		}
	})
	r.wait.Go(func() { r.talkToPeers(ctx, stop) })
	r.wait.Go(func() { r.every(ctx, "writing the clock down", stampEvery, r.stamper()) })
	r.wait.Go(func() { r.every(ctx, "noting when sessions were used", touchEvery, r.flow.NoteUse) })
	r.wait.Go(func() {
		pausable(ctx, "tidying", func(ctx context.Context) { r.every(ctx, "tidying", tidyEvery, r.tidy) })
	})
	r.wait.Go(func() { r.every(ctx, "measuring the outbox", gaugeEvery, r.gauge) })
	r.wait.Go(func() { r.every(ctx, "giving memory back", restEvery, r.rest) })
	r.startDelivery(ctx)
	r.hearApprovals(ctx)
}

// stopFor stops when there is a reason to.
func stopFor(stop context.CancelCauseFunc, err error) {
	if err != nil {
		stop(err)
	}
}

// every calls do until ctx ends and logs when it begins to fail and when it works
// again, not each time between.
func (r *loops) every(ctx context.Context, what string, pace time.Duration, do func(context.Context) error) {
	r.everyNudged(ctx, what, pace, nil, do)
}

// everyNudged is every, and at once when nudged.
func (r *loops) everyNudged(ctx context.Context, what string, pace time.Duration, nudged <-chan struct{}, do func(context.Context) error) {
	tick := time.NewTicker(pace)
	defer tick.Stop()
	down := false
	for {
		err := do(ctx)
		if ctx.Err() != nil {
			return
		}
		if (err != nil) != down {
			down = err != nil
			r.tellDown(what, err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-nudged:
		}
	}
}

func (r *loops) tellDown(what string, err error) {
	if err != nil {
		r.slog.Error("background work waits", "what", what, "error", err)
		return
	}
	r.slog.Info("background work goes on", "what", what)
}

// arrive does what a start must ask the database for, and asks until it answers.
func (r *loops) arrive(ctx context.Context) error {
	told := false
	for {
		err := r.ask(ctx)
		if ctx.Err() != nil {
			return nil
		}
		var schema *needsMigration
		if errors.Is(err, seal.ErrForeign) {
			return next(err, "point keys_dir to the right folder, or put it back from the backup; keys are never made anew for a database that has people")
		}
		if err == nil || errors.As(err, &schema) {
			r.ready.Store(err == nil)
			return err
		}
		if !told {
			r.slog.Error("the database does not answer yet; trying again", "error", err)
			told = true
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(askAgain):
		}
	}
}

func (r *loops) ask(ctx context.Context) error {
	err := migrated(ctx, r.store)
	r.dark = fault.Of(err) == fault.Unavailable && r.store.State().Usable
	if err != nil && !r.dark {
		return err
	}
	floor, err := r.store.Floor(ctx)
	if err != nil {
		return err
	}
	r.clock.raise(floor)
	if r.dark {
		r.slog.Warn("started without the primary database: sign-ins go on from this node's standby")
	} else if err := r.manage.Prepare(ctx); err != nil {
		return err
	}
	return r.flow.ReadRevocations(ctx, time.Time{})
}

// keepStandby feeds the standby until ctx ends. A node that started in the dark
// does the rest of its start when the primary answers.
func (r *loops) keepStandby(ctx context.Context, stop context.CancelCauseFunc) {
	r.everyNudged(ctx, "keeping the standby", followEvery, r.store.Nudged(), func(ctx context.Context) error {
		if err := pause(ctx, followGap); err != nil {
			return err
		}
		err := r.store.Follow(ctx, r.settle())
		if err != nil || !r.dark {
			return err
		}
		if err := r.ask(ctx); err != nil {
			stop(err)
		}
		return nil
	})
}

// stamper writes the clock down and lifts its floor. A clock that was set back is
// told when it begins, and that it is well again.
func (r *loops) stamper() func(context.Context) error {
	told := false
	return func(ctx context.Context) error {
		if !r.ready.Load() {
			return nil // the floor is not known yet
		}
		_, behind := r.clock.read()
		wrong := behind > noticeBehind
		r.metrics.Degraded("clock", wrong)
		if wrong != told {
			if err := r.tellClock(ctx, wrong, behind); err != nil {
				return err
			}
			told = wrong
		}
		r.clock.raise(time.Time{})
		return r.store.SeenNow(ctx)
	}
}

func (r *loops) tellClock(ctx context.Context, wrong bool, behind time.Duration) error {
	if !wrong {
		r.slog.Info("the machine's clock has caught up")
		return nil
	}
	r.slog.Error("the machine's clock was set back; until it has caught up, time goes on from where it was, at half speed. Set the clock right", "behind", behind.String())
	return r.record(ctx, events.ClockAnomaly, map[string]string{"microseconds": strconv.FormatInt(behind.Microseconds(), 10)})
}

func (r *loops) record(ctx context.Context, kind events.Kind, data map[string]string) error {
	return r.store.Background(ctx, func(tx *store.Tx) error {
		_, err := r.log.Append(tx, events.Event{Kind: kind, Actor: events.System, Data: data})
		return err
	})
}

func (r *loops) tidy(ctx context.Context) error {
	if !r.ready.Load() {
		return nil
	}
	return errors.Join(r.flow.Tidy(ctx), r.sweepPhones(ctx), r.store.ForgetChanges(ctx))
}

func (r *loops) gauge(ctx context.Context) error {
	if !r.ready.Load() {
		return nil
	}
	return r.store.BackgroundRead(ctx, func(tx *store.Tx) error {
		since, waits, err := outbox.OldestDue(tx, r.now())
		if waits {
			r.mail.set(since, r.now())
		} else {
			r.mail.nothing()
		}
		return err
	})
}

// rest gives the memory of hashes back to the system in a quiet moment.
func (r *loops) rest(context.Context) error {
	if r.hasher.Rest() > 0 {
		debug.FreeOSMemory()
	}
	return nil
}
