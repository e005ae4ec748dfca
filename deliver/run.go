package deliver

import (
	"context"
	"sync"
	"time"

	"gatehouse/fault"
	"gatehouse/outbox"
	"gatehouse/store"
)

// parts is what a Deliverer makes of its fields.
type parts struct {
	once  sync.Once
	lines []*line
}

func (d *Deliverer) lines() []*line {
	d.parts.once.Do(func() {
		for _, c := range d.Channels {
			d.parts.lines = append(d.parts.lines, d.line(c))
		}
	})
	return d.parts.lines
}

// Run delivers until ctx ends. What is on its way then has a few seconds to
// finish, what was only taken is given back; Run returns when that is done, and
// may be called again.
func (d *Deliverer) Run(ctx context.Context) {
	var wait sync.WaitGroup
	for _, l := range d.lines() {
		wait.Go(func() { l.run(ctx) })
	}
	wait.Go(func() { d.tidyUp(ctx) })
	wait.Wait()
}

// Nudge makes Run look at every channel now. It never blocks; call it after a
// commit that added a message.
func (d *Deliverer) Nudge() {
	for _, l := range d.lines() {
		l.nudge()
	}
}

func (d *Deliverer) every() time.Duration {
	if d.Every > 0 {
		return d.Every
	}
	return 500 * time.Millisecond
}

// run takes and sends until ctx ends.
func (l *line) run(ctx context.Context) {
	l.results = make(chan result, atOnce)
	var recording sync.WaitGroup
	recording.Go(func() { l.record(ctx) })
	tick := time.NewTicker(l.every())
	defer tick.Stop()
	for ctx.Err() == nil {
		err := l.round(ctx)
		l.tell(ctx, err)
		select {
		case <-ctx.Done():
		case <-tick.C:
		case <-l.wake:
		}
	}
	l.sending.Wait()
	l.giveBack(l.emptied())
	close(l.results)
	recording.Wait()
}

// tell says once that messages wait, and once that they go out again.
func (l *line) tell(ctx context.Context, err error) {
	if ctx.Err() != nil || (err != nil) == l.down {
		return
	}
	l.down = err != nil
	if err != nil {
		l.warn("messages wait: the database cannot answer", "channel", string(l.Name), "fault", string(fault.Of(err)), "error", err.Error())
	} else if l.Logger != nil {
		l.Logger.Info("messages go out again", "channel", string(l.Name))
	}
}

func (d *Deliverer) warn(text string, about ...any) {
	if d.Logger != nil {
		d.Logger.Warn(text, about...)
	}
}

// round fills the queue and starts what there is room for.
func (l *line) round(ctx context.Context) error {
	if l.Ready != nil && !l.Ready() {
		return nil
	}
	err := l.fill(ctx)
	l.start(ctx)
	return err
}

// fill takes more messages, having looked whether there are any: an idle loop
// never asks for the write lock.
func (l *line) fill(ctx context.Context) error {
	w, wanted := l.wish()
	if !wanted {
		return nil
	}
	var due bool
	err := l.Store.BackgroundRead(ctx, func(tx *store.Tx) (err error) {
		due, err = outbox.Due(tx, l.Now(), w)
		return err
	})
	if err != nil || !due {
		return err
	}
	var taken [][]outbox.Message
	at := l.Now()
	err = l.Store.Background(ctx, func(tx *store.Tx) (err error) {
		taken, err = outbox.Take(tx, l.Keys, at, w)
		return err
	})
	if err == nil {
		l.put(taken, at)
	}
	return err
}

const (
	tidyEvery  = time.Minute         // how often what has run out is given up
	keep       = 30 * 24 * time.Hour // how long a finished message is listed
	tidyAtOnce = 100
)

// tidyUp gives up what has run out and forgets what is long finished. Nothing
// depends on it: what has run out is never sent.
func (d *Deliverer) tidyUp(ctx context.Context) {
	tick := time.NewTicker(d.every())
	defer tick.Stop()
	var last time.Time
	for ctx.Err() == nil {
		now := d.Now()
		if since := now.Sub(last); (since >= tidyEvery || since < 0) && (d.Ready == nil || d.Ready()) {
			last = now
			d.tidy(ctx) // an outage is told by the lines
		}
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
	}
}

// tidy is one round of tidyUp, in transactions of bounded size.
func (d *Deliverer) tidy(ctx context.Context) error {
	for {
		var past []outbox.Past
		now := d.Now()
		err := d.Store.Background(ctx, func(tx *store.Tx) (err error) {
			if past, err = outbox.Expire(tx, now, tidyAtOnce); err != nil {
				return err
			}
			for _, p := range past {
				if err := d.givenUp(tx, p); err != nil {
					return err
				}
			}
			_, err = outbox.Prune(tx, now.Add(-keep))
			return err
		})
		if err != nil || len(past) < tidyAtOnce {
			return err
		}
	}
}

func (d *Deliverer) givenUp(tx *store.Tx, p outbox.Past) error {
	for _, c := range d.Channels {
		if c.Name == p.Kind.Channel() && c.GivenUp != nil {
			return c.GivenUp(tx, p)
		}
	}
	return nil
}
