package follow

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"sync"
	"time"

	"gatehouse/events"
	"gatehouse/fault"
	"gatehouse/id"
	"gatehouse/store"
)

// Run runs every follower until ctx ends, and returns when all have let go. It may
// be called again then.
func (r *Runner) Run(ctx context.Context) {
	var wait sync.WaitGroup
	wait.Go(func() { <-ctx.Done() })
	for _, f := range r.Followers {
		wait.Go(func() { r.worker(f).run(ctx) })
	}
	wait.Wait()
}

// worker is one follower at work.
type worker struct {
	*Runner
	Follower

	place   events.Place
	held    bool            // as far as we know
	renewed time.Time       // when we last wrote the place
	lanes   map[string]bool // in which something is parked
	looked  time.Time       // when we last looked for parked events that are due
	pauses  int             // in a row, because the sink is away
	until   time.Time       // of the present pause
	down    bool            // it was told that we wait
}

func (r *Runner) worker(f Follower) *worker {
	if f.Page == 0 {
		f.Page = 256
	}
	if f.Patience == 0 {
		f.Patience = 2 * time.Second
	}
	if f.Lane == nil {
		f.Lane = byAccount
	}
	return &worker{Runner: r, Follower: f}
}

// byAccount keeps what concerns a person in order. Events of nobody, and about
// names we do not know, wait for none.
func byAccount(e events.Event) string {
	if e.Account == "" || e.Account == events.Nobody {
		return string(e.ID)
	}
	return string(e.Account)
}

func (w *worker) every() time.Duration {
	if w.Every > 0 {
		return w.Every
	}
	return 250 * time.Millisecond
}

func (w *worker) lease() time.Duration {
	if w.Lease > 0 {
		return w.Lease
	}
	return 10 * time.Second
}

func (w *worker) run(ctx context.Context) {
	defer w.letGo(ctx)
	tick := time.NewTicker(w.every())
	defer tick.Stop()
	for ctx.Err() == nil {
		more, err := w.round(ctx)
		w.tell(ctx, err)
		if more && err == nil {
			continue
		}
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
	}
}

// tell says once that a follower waits, and once that it goes on.
func (w *worker) tell(ctx context.Context, err error) {
	if ctx.Err() != nil || (err != nil) == w.down {
		return
	}
	w.down = err != nil
	if w.Logger == nil {
		return
	}
	if err != nil {
		w.Logger.Warn("a follower of the log waits", "follower", w.Name, "fault", string(fault.Of(err)), "error", err.Error())
		return
	}
	w.Logger.Info("a follower of the log goes on", "follower", w.Name)
}

// round holds the place, tries again what is parked, and handles one page; more
// says that another may be there. An error is an outage, of ours or of the sink.
func (w *worker) round(ctx context.Context) (more bool, err error) {
	if w.Ready != nil && !w.Ready() {
		return false, nil
	}
	held, err := w.hold(ctx)
	if err != nil || !held {
		return false, err
	}
	if w.Now().Before(w.until) {
		return false, errPause
	}
	more, err = w.work(ctx)
	switch {
	case errors.Is(err, events.ErrFenced):
		w.held = false
		return true, nil
	case errors.Is(err, errSink):
		w.pauses++
		w.until = w.Now().Add(w.wait(w.pauses, 30*time.Second))
	case err == nil:
		w.pauses = 0
	}
	return more, err
}

var (
	errPause = errors.New("follow: the sink does not answer; a pause")
	errSink  = errors.New("follow: the sink does not answer")
)

func (w *worker) work(ctx context.Context) (more bool, err error) {
	if err := w.retry(ctx); err != nil {
		return false, err
	}
	var page []events.Event
	err = w.Store.BackgroundRead(ctx, func(tx *store.Tx) (err error) {
		page, w.place, err = w.Log.Page(tx, w.place, w.Page)
		return err
	})
	if err != nil || len(page) == 0 {
		return false, err
	}
	if w.InTx != nil {
		return len(page) == w.Page, w.inside(ctx, page)
	}
	return len(page) == w.Page, w.outside(ctx, page)
}

// hold keeps the lease or tries to get it, looking before it asks for a lock.
func (w *worker) hold(ctx context.Context) (bool, error) {
	since := w.Now().Sub(w.renewed)
	if w.held && since >= 0 && since < w.lease()/3 {
		return true, nil
	}
	if w.held {
		err := w.move(ctx, w.place, nil)
		if !errors.Is(err, events.ErrFenced) {
			return err == nil, err
		}
		w.held = false
	}
	var free bool
	err := w.Store.BackgroundRead(ctx, func(tx *store.Tx) (err error) {
		free, err = events.Free(tx, w.Name, w.holder(), w.lease())
		return err
	})
	if err != nil || !free {
		return false, err
	}
	return w.acquire(ctx)
}

func (w *worker) acquire(ctx context.Context) (bool, error) {
	now := w.Now()
	err := w.Store.Background(ctx, func(tx *store.Tx) (err error) {
		if w.place, w.held, err = events.Acquire(tx, w.Name, w.holder(), w.lease()); err != nil || !w.held {
			return err
		}
		if _, err = events.RetryParked(tx, w.Name, "", whyUnknown); err != nil { // this build may know more kinds
			return err
		}
		w.lanes, err = events.ParkedLanes(tx, w.Name)
		return err
	})
	w.held = w.held && err == nil
	w.renewed = now
	return w.held, err
}

func (w *worker) holder() id.Node { return w.Store.Node() }

// move writes the place down, in the transaction of what fn does.
func (w *worker) move(ctx context.Context, to events.Place, fn func(*store.Tx) error) error {
	now := w.Now()
	var moved events.Place
	err := w.Store.Background(ctx, func(tx *store.Tx) (err error) {
		if moved, err = events.Move(tx, to, w.lease()); err != nil || fn == nil {
			return err
		}
		return fn(tx)
	})
	switch {
	case err == nil:
		w.place, w.renewed = moved, now
	case errors.Is(err, store.ErrOutcomeUnknown):
		w.held = false // the place may be further than we think: ask
	}
	return err
}

// letGo spares the next holder the wait for our lease.
func (w *worker) letGo(ctx context.Context) {
	if !w.held {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	err := w.Store.Background(ctx, func(tx *store.Tx) error { return events.Release(tx, w.place) })
	w.tell(ctx, err)
}

// wait doubles from a second up to a limit; a quarter up or down by chance.
func (w *worker) wait(try int, most time.Duration) time.Duration {
	d := min(time.Second<<min(max(try, 1)-1, 20), most)
	var b [8]byte
	if _, err := io.ReadFull(w.Rand, b[:]); err != nil {
		return d
	}
	return d*3/4 + time.Duration(binary.BigEndian.Uint64(b[:])%uint64(d/2))
}

// Lags tells how far behind every follower is that ever began, by name.
func Lags(ctx context.Context, s *store.Store) (lags []Lag, err error) {
	err = s.BackgroundRead(ctx, func(tx *store.Tx) error {
		lags = nil
		all, err := events.Standings(tx, MostCounted)
		for _, p := range all {
			l := Lag{Name: p.Name, Events: p.Unread, Parked: p.Parked}
			if p.Held {
				l.Holder = p.Holder
			}
			if !p.Oldest.IsZero() {
				l.Behind = max(tx.Now().Sub(p.Oldest), 0)
			}
			lags = append(lags, l)
		}
		return err
	})
	return lags, err
}
