package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"gatehouse/fault"
	"gatehouse/flow"
	"gatehouse/follow"
	"gatehouse/store"
	"gatehouse/web"
)

// knowing is what a server knows of itself: it keeps the canary singing, looks at
// what the rooms say, and tells the sessions when nobody can sign in (grace), the
// pages (banner), the probes (/readyz) and operators (/statusz, metrics, status).
type knowing struct {
	*house
	loops   *loops
	leaving func() bool
	canary  *flow.Canary
	begun   time.Time
	last    atomic.Pointer[web.Status] // of the last look: for every page

	mu      sync.Mutex
	facts   facts                // what was measured; the rest is asked for anew
	heard   int64                // people who got in, when last looked
	triedAt time.Time            // monotonic
	since   map[string]time.Time // feature → since when it is ill
}

const (
	lookEvery    = time.Second
	measureEvery = 10 * time.Second
	tryTime      = 10 * time.Second // a canary that waits longer has waited too long
)

func newKnowing(h *house, l *loops, leaving func() bool) *knowing {
	now := h.now()
	k := &knowing{house: h, loops: l, leaving: leaving, canary: flow.NewCanary(h.flow), begun: now, since: map[string]time.Time{}, triedAt: time.Now()}
	k.facts.goodAt = now
	h.metrics.Watch(k.status)
	return k
}

// start runs the loops of knowing until ctx ends.
func (k *knowing) start(ctx context.Context) {
	k.loops.wait.Go(func() { k.loops.every(ctx, "this node's own sign-in", k.l.CanaryEvery, k.try) })
	k.loops.wait.Go(func() { k.loops.every(ctx, "looking how things stand", lookEvery, k.look) })
	k.loops.wait.Go(func() { k.loops.every(ctx, "measuring how far readers are behind", measureEvery, k.measure) })
}

// try lets the canary sign in. A server that is starting or leaving has no need to know.
func (k *knowing) try(ctx context.Context) error {
	for !k.loops.started() {
		if err := pause(ctx, askAgain); err != nil {
			return err
		}
	}
	if k.leaving() {
		return nil
	}
	k.mu.Lock()
	k.triedAt = time.Now()
	k.mu.Unlock()
	limited, cancel := context.WithTimeout(ctx, tryTime)
	defer cancel()
	trial := k.canary.Try(limited)
	if ctx.Err() != nil {
		return nil
	}
	k.mu.Lock()
	k.facts.tried, k.facts.trial, k.triedAt = true, trial, time.Now()
	if trial.Cause == flow.Well {
		k.facts.goodAt = trial.At
	}
	k.mu.Unlock()
	return errors.Join(trial.Err, k.look(ctx))
}

// look judges how things stand and tells those who go by it.
func (k *knowing) look(context.Context) error {
	st := k.status()
	k.last.Store(&st)
	ill := map[string]bool{}
	for _, i := range st.Issues {
		ill[i.Feature] = true
	}
	for _, feature := range web.Features() {
		k.metrics.Degraded(feature, ill[feature])
	}
	if ill["signin"] {
		k.sessions.SignInsFail(st.Canary.GoodAt)
	} else {
		k.sessions.SignInsWork(st.At)
	}
	return nil
}

// measure asks for what is not free: the readers' places, the database's clock, this
// node's disk.
func (k *knowing) measure(ctx context.Context) error {
	if !k.loops.started() {
		return nil
	}
	disk := errors.Join(writes(k.l.DataDir), writes(k.l.StandbyDir))
	lags, err := follow.Lags(ctx, k.store)
	skew, skewErr := k.skewed(ctx)
	k.mu.Lock()
	defer k.mu.Unlock()
	k.facts.disk = disk
	if err == nil {
		k.facts.lags = lags
	}
	if skewErr == nil {
		k.facts.skew = skew
	}
	if err := errors.Join(err, skewErr); fault.Of(err) != fault.Unavailable {
		return err // that the database is away is told elsewhere
	}
	return nil
}

func (k *knowing) skewed(ctx context.Context) (skew time.Duration, err error) {
	err = k.store.BackgroundRead(ctx, func(tx *store.Tx) error {
		at, err := tx.DatabaseNow()
		skew = k.now().Sub(at)
		return err
	})
	return skew, err
}

// writes tells whether a folder takes a file; "" is none.
func writes(dir string) error {
	if dir == "" {
		return nil
	}
	f, err := os.Create(filepath.Join(dir, ".canary"))
	if err != nil {
		return err
	}
	_, err = f.Write(make([]byte, 4096))
	return errors.Join(err, f.Sync(), f.Close(), os.Remove(f.Name()))
}

// gather brings the facts up to date. It asks nobody who could be slow.
func (k *knowing) gather() facts {
	f := &k.facts
	f.now, f.startedAt = k.now(), k.begun
	f.started, f.leaving = k.loops.started(), k.leaving()
	f.silent, f.stale = time.Since(k.triedAt), k.l.CanaryEvery+2*tryTime
	if !f.started {
		f.silent = 0
	}
	if n := k.metrics.SignedIn(); n != k.heard {
		k.heard, f.goodAt = n, f.now
	}
	f.state, f.mail = k.store.State(), k.mail.waiting()
	_, f.behind = k.clock.read()
	f.blind, f.unheard = k.sessions.Blind, 0
	if at := k.sessions.HeardAt(); !at.IsZero() {
		f.unheard = f.now.Sub(at)
	}
	f.waiting, f.busy = k.hasher.Waiting(), k.flow.Busy()
	return *f
}

// status is how things stand now.
func (k *knowing) status() web.Status {
	k.mu.Lock()
	defer k.mu.Unlock()
	f := k.gather()
	ill := map[string]time.Time{}
	st := f.status(func(feature string) time.Time {
		at, was := k.since[feature]
		if !was {
			at = f.now
		}
		ill[feature] = at
		return at
	})
	k.since = ill
	if f.state.Tier != store.TierNone { // the store knows better
		k.since["database"], k.since["stores"] = f.state.Since, f.state.Since
	}
	st.Node, st.Version, st.Peers = string(k.store.Node()), version(), k.peersUp()
	st.Grace, st.Heard = k.sessions.Grace(), k.sessions.HeardAt()
	return st
}

// peersUp is how many other nodes answer now.
func (k *knowing) peersUp() (up int) {
	if k.peers == nil {
		return 0
	}
	for _, p := range k.peers.States() {
		if p.Up && !p.Self {
			up++
		}
	}
	return up
}

// condition is what people are told on the pages.
func (k *knowing) condition() web.Condition {
	st := k.last.Load()
	if st == nil {
		return web.Condition{}
	}
	c := web.Condition{Since: st.Since}
	for _, i := range st.Issues {
		switch i.Feature {
		case "signin":
			c.SignInsFail = true
		case "stores": // nobody has got in since a start into this: there is nothing to wait for
			c.SignInsFail = c.SignInsFail || !st.Ready
		case "database":
			c.Standby = true
		case "overload":
			c.Busy = true
		}
	}
	return c
}

// askSignIn answers /readyz: would a sign-in work on this node?
func (k *knowing) askSignIn(context.Context) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.gather().unfitToSignIn()
}

func (k *knowing) askClock(context.Context) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	f := k.gather()
	f.started, f.leaving = true, false
	if check, err := f.unfit(); check == "clock" {
		return err
	}
	return nil
}

func (k *knowing) askDatabase(context.Context) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if f := k.gather(); !f.started || f.primaryAway() {
		return fault.New(fault.Unavailable, errors.New("the primary database does not answer"))
	}
	return nil
}

// started tells that the start is complete.
func (r *loops) started() bool { return r.ready.Load() && r.sessions.Loaded() }
