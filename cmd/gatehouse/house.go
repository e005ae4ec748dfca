package main

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"time"

	"golang.org/x/time/rate"

	"gatehouse/authenticators"
	"gatehouse/deliver"
	"gatehouse/events"
	"gatehouse/flow"
	"gatehouse/follow"
	"gatehouse/hooks"
	"gatehouse/limits"
	"gatehouse/manage"
	"gatehouse/notices"
	"gatehouse/peers"
	"gatehouse/seal"
	"gatehouse/sessions"
	"gatehouse/store"
	"gatehouse/web"
	"gatehouse/webpush"
)

// house is everything inside: what the server, the demo and the account commands
// share. openHouse fills it from the settings, lowest rank first.
type house struct {
	l     *Loaded
	slog  *slog.Logger
	clock *clock

	keys     *seal.Keys
	store    *store.Store
	peers    *peers.Peers // nil where this node is the only one
	log      *events.Log
	metrics  *web.Metrics
	hasher   *authenticators.Hasher
	gate     *flow.Gate
	choose   authenticators.Chooser
	passkeys *authenticators.Relying // nil: none
	sessions *sessions.Checker
	notices  *notices.Notices
	deliver  *deliver.Deliverer
	follow   *follow.Runner
	hooks    *hooks.Hooks
	flow     *flow.Flow
	manage   *manage.Manage
	pusher   *webpush.Pusher

	breached *breachedFile
	mail     mailAge
}

func (h *house) now() time.Time { return h.clock.Now() }

// openHouse opens what the settings name. Nothing here asks the database or
// computes a hash: a start takes milliseconds, and a database that is away now is
// found when it is back.
func openHouse(ctx context.Context, l *Loaded, logger *slog.Logger, who occupant) (*house, error) {
	h := &house{l: l, slog: logger, clock: newClock()}
	keys, err := seal.LoadKeys(l.KeysDir)
	if err != nil {
		return nil, err
	}
	node, err := who.name(l.DataDir)
	if err != nil {
		return nil, err
	}
	h.keys = keys
	if err := h.openPeers(node); err != nil {
		return nil, err
	}
	var standby *store.StandbyOptions
	if who.stays {
		standby = l.standby(keys, logger)
	}
	if h.store, err = openStore(ctx, l, node, h.now, standby, h.peered); err != nil {
		return nil, err
	}
	h.log = events.New(keys, rand.Reader)
	h.metrics = web.NewMetrics(version(), h.mail.waiting)
	return h, errors.Join(h.openPasswords(), h.openDelivery(), h.openReceivers(), h.openFlow(), h.openApprovals(), h.openTexts(), h.openPasskeys())
}

func (h *house) openPasswords() (err error) {
	l := h.l
	h.gate = flow.NewGate(l.Inside, l.hashesAtOnce(), h.now)
	h.hasher, err = authenticators.NewHasher(authenticators.HasherOptions{
		Keys: h.keys, Rand: rand.Reader, Now: h.now, OnHash: h.hashTook,
		Parameters: authenticators.Parameters{MemoryKiB: uint32(l.HashMemory), Time: uint32(l.HashTime), Threads: uint8(l.HashThreads)},
		Cores:      l.hashesAtOnce(), Queue: l.Inside, // whoever is inside has a place to wait: nobody who paid a try is sent away
	})
	if err != nil {
		return err
	}
	policy, err := authenticators.PolicyOf(authenticators.Preset(l.Policy), l.ExpireDays)
	h.breached = openBreached(l.Breached, l.ranges(h.slog))
	h.choose = authenticators.Chooser{Policy: policy, Hasher: h.hasher, Leaked: h.breached.contains}
	return err
}

func (h *house) openFlow() error {
	l := h.l
	h.sessions = &sessions.Checker{Keys: h.keys, Policy: sessions.Policy{Idle: l.Idle, Absolute: l.Absolute, WarnBefore: l.Warn, Fresh: l.Fresh, Grace: l.Grace, Spread: sessions.DefaultPolicy().Spread}, Blind: l.Blind}
	h.flow = &flow.Flow{
		Store: h.store, Keys: h.keys, Log: h.log, Auth: authenticators.New(h.hasher, h.keys), Choose: h.choose, Sessions: h.sessions,
		Limits: l.limits(), Gate: h.gate, Pace: &limits.Pace{Max: l.NetworkRate}, Global: rate.NewLimiter(rate.Limit(l.GlobalRate), l.GlobalRate),
		AdminAge: l.StandbyMaxAgeAdmin, Origin: l.Origin, Product: l.Product, Apps: l.apps(), Now: h.now, Rand: rand.Reader, Slog: h.slog, Nudge: h.deliver.Nudge,
	}
	h.manage = &manage.Manage{
		Store: h.store, Keys: h.keys, Log: h.log, Choose: h.choose, Sessions: h.sessions, MailNet: h.flow.Limits.MailNet,
		Change: h.flow.Limits.Change, Guess: guessing(h.flow.Limits), Pace: &limits.Pace{Max: changesPerSecond},
		Origin: l.Origin, Product: l.Product, Apps: l.apps(), Now: h.now, Rand: rand.Reader, Nudge: h.deliver.Nudge,
	}
	return nil
}
