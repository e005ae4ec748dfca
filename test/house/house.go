// Package house builds a whole Gatehouse in memory for stories with several
// people in them: the real web server, flow, outbox and database, wired as
// cmd/gatehouse wires them, with a clock that the story sets and hashes that cost
// next to nothing. Everything a person does goes through HTTP.
package house

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"log/slog"
	"net/netip"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/time/rate"

	"gatehouse/authenticators"
	"gatehouse/deliver"
	"gatehouse/events"
	"gatehouse/flow"
	"gatehouse/id"
	"gatehouse/manage"
	"gatehouse/notices"
	"gatehouse/seal"
	"gatehouse/sessions"
	"gatehouse/store"
	"gatehouse/store/storetest"
	"gatehouse/texts"
	"gatehouse/web"
	"gatehouse/webpush"
)

// Origin is the configured public origin of every house.
const Origin = "https://sign-in.harbour-books.example"

// House is one node: everything that one process would hold.
type House struct {
	T        testing.TB
	DSN      string
	Clock    *storetest.Clock
	Keys     *seal.Keys
	Store    *store.Store
	Events   *events.Log
	Hasher   *authenticators.Hasher
	Sessions *sessions.Checker
	Flow     *flow.Flow
	Manage   *manage.Manage
	Notices  *notices.Notices
	Deliver  *deliver.Deliverer
	Web      *web.Server
	Pusher   *webpush.Pusher
	Log      *Log
	Mailbox  *Mailbox
	Phones   *Phones // of a house with Options.Texts

	options Options
	keysDir string
	secrets *secrets
	line    *line // to a primary that can be cut off; nil without a standby
	stop    func()

	next     *House // the same node, started again
	tampered bool   // the story wrote to the database beside the store
}

// Options change a house before it is built.
type Options struct {
	Limits     flow.Limits
	Policy     authenticators.Policy
	Life       sessions.Policy
	Hashing    authenticators.Parameters
	HashesOnce int // so many hashes at once
	Inside     int // so many sign-ins inside at once
	Deadline   time.Duration
	Pool       int  // connections a class; 0 = the default
	NoMail     bool // nothing takes mails out of the outbox
	Unprepared bool // nothing is asked of the database before the first request
	Quiet      bool // nothing runs beside the requests
	Texts      bool // text messages and calls, to House.Phones
	Standby    bool // the database is PostgreSQL at the end of a wire, and the node keeps a standby
	// Wait is how long the primary may take before the standby answers. It is long,
	// so that a busy machine is not taken for a dead database.
	Wait     time.Duration
	Store    func(*store.Options) // the last word on how the store is opened; nil leaves it
	WrapFlow func(*House, web.Submitter) web.Submitter

	Providers   []texts.Provider     // in place of House.Phones
	TextBudgets func(*texts.Budgets) // changes them; nil leaves them
}

func defaults() Options {
	policy, _ := authenticators.PolicyOf(authenticators.Modern, 0)
	return Options{Limits: flow.DefaultLimits(), Policy: policy, Life: sessions.DefaultPolicy(),
		Hashing: authenticators.Parameters{MemoryKiB: 8, Time: 1, Threads: 1}, HashesOnce: 2, Inside: 512, Deadline: 30 * time.Second, Wait: 20 * time.Second}
}

// sort is a database that a story runs on.
type sort struct {
	name    string
	dsn     func(testing.TB) string
	pool    int
	standby bool
}

var primaries = []sort{{"sqlite", storetest.SQLite, 0, false}, {"postgres", storetest.Postgres, 0, false}, {"postgres, pool of one", storetest.Postgres, 1, false}}

// Each runs a story on SQLite, on PostgreSQL, on PostgreSQL with one connection of
// each class, and on the node's own standby while PostgreSQL is gone. The story
// says by Dark when that is; one that never does fails, so that none is forgotten.
func Each(t *testing.T, story func(t *testing.T, h *House)) { t.Helper(); EachWith(t, nil, story) }

// EachWith is Each with options changed by with, which may be nil.
func EachWith(t *testing.T, with func(*Options), story func(t *testing.T, h *House)) {
	t.Helper()
	EachOnPrimaryWith(t, with, story)
	t.Run("standby", func(t *testing.T) {
		t.Parallel()
		h := New(t, storetest.Postgres(t), func(o *Options) {
			o.Standby = true
			if with != nil {
				with(o)
			}
		})
		story(t, h)
		if !t.Failed() && !h.line.went {
			t.Error("the primary was never cut off: call h.Dark() where it is to die, or tell a story of changes with EachOnPrimary")
		}
		h.Audited()
	})
}

// EachOnPrimary is Each for a story in which every step is a change that a standby
// does not take.
func EachOnPrimary(t *testing.T, story func(t *testing.T, h *House)) {
	t.Helper()
	EachOnPrimaryWith(t, nil, story)
}

// EachOnPrimaryWith is EachOnPrimary with options changed by with, which may be nil.
func EachOnPrimaryWith(t *testing.T, with func(*Options), story func(t *testing.T, h *House)) {
	t.Helper()
	for _, on := range primaries {
		t.Run(on.name, func(t *testing.T) {
			t.Parallel() // most of a story is waiting for something to be true
			h := New(t, on.dsn(t), func(o *Options) {
				o.Pool = on.pool
				if with != nil {
					with(o)
				}
			})
			story(t, h)
			h.Audited()
		})
	}
}

// New builds a house on the database at dsn, which it migrates.
func New(t testing.TB, dsn string, with func(*Options)) *House {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "keys")
	if err := seal.InitKeys(dir); err != nil {
		t.Fatal(err)
	}
	o := defaults()
	if with != nil {
		with(&o)
	}
	h := &House{T: t, DSN: dsn, Clock: storetest.NewClock(), Log: &Log{}, Mailbox: newMailbox(), options: o, keysDir: dir, secrets: &secrets{}}
	if o.Standby {
		h.line = newLine(t, dsn)
	}
	h.build(storetest.Node)
	return h
}

// Neighbour is another node on the same database, with the same keys and clock. It
// has a wire and a standby of its own if this one has.
func (h *House) Neighbour() *House {
	h.T.Helper()
	n := &House{T: h.T, DSN: h.DSN, Clock: h.Clock, Log: h.Log, Mailbox: h.Mailbox, options: h.options, keysDir: h.keysDir, secrets: h.secrets}
	if h.line != nil {
		n.line = newLine(h.T, h.DSN)
	}
	n.build(id.New[id.Node](h.Clock.Now(), rand.Reader))
	return n
}

// RotateKeys adds a newer key to every set; who starts from now on makes with it.
func (h *House) RotateKeys() {
	h.T.Helper()
	for _, name := range seal.Names() {
		must(h.T, seal.RotateKey(h.keysDir, name))
	}
}

// Restarted is the same node after its process ended: nothing in memory is left.
func (h *House) Restarted(with func(*Options)) *House {
	h.T.Helper()
	o := h.options
	if with != nil {
		with(&o)
	}
	n := &House{T: h.T, DSN: h.DSN, Clock: h.Clock, Log: h.Log, Mailbox: h.Mailbox, options: o, keysDir: h.keysDir, secrets: h.secrets, line: h.line}
	if h.line != nil {
		h.stop() // two processes never share a standby
	}
	h.next = n
	n.build(h.Store.Node())
	return n
}

func (h *House) build(node id.Node) {
	t := h.T
	t.Helper()
	o := h.options
	keys, err := seal.LoadKeys(h.keysDir)
	must(t, err)
	h.Keys = keys
	logger := slog.New(slog.NewJSONHandler(h.Log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	h.Events = events.New(keys, rand.Reader)
	h.openStore(node, logger)
	h.Hasher = h.NewHasher(o.Hashing)
	choose := authenticators.Chooser{Policy: o.Policy, Hasher: h.Hasher}
	h.Sessions = &sessions.Checker{Keys: keys, Policy: o.Life}
	h.Notices = &notices.Notices{Log: h.Events, Origin: Origin, Product: "Harbour Books", Now: h.Clock.Now, Logger: logger}
	h.Deliver = h.delivery(logger)
	h.Flow = &flow.Flow{Store: h.Store, Keys: keys, Log: h.Events, Auth: authenticators.New(h.Hasher, keys), Choose: choose, Sessions: h.Sessions,
		Limits: o.Limits, Gate: flow.NewGate(o.Inside, o.Inside, h.Clock.Now), Global: rate.NewLimiter(rate.Inf, 1), Origin: Origin, Product: "Harbour Books",
		Now: h.Clock.Now, Rand: rand.Reader, Slog: logger, Nudge: h.Deliver.Nudge}
	h.Manage = &manage.Manage{Store: h.Store, Keys: keys, Log: h.Events, Choose: choose, Sessions: h.Sessions, MailNet: o.Limits.MailNet, Change: o.Limits.Change, Guess: guessing(o.Limits),
		Origin: Origin, Product: "Harbour Books", Now: h.Clock.Now, Rand: rand.Reader, Nudge: h.Deliver.Nudge}
	passkeys := h.withPasskeys()
	h.openTexts(logger)
	h.openApprovals(logger)
	if !o.Unprepared && !h.IsDark() {
		must(t, h.Manage.Prepare(t.Context()))
		if h.line != nil {
			must(t, h.Follow())
		}
	}
	var submit web.Submitter = h.Flow
	if o.WrapFlow != nil {
		submit = o.WrapFlow(h, submit)
	}
	h.Web, err = web.New(web.Server{Origin: Origin, Proxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}, Keys: keys, Flow: submit, Door: h.Flow,
		Sessions: h.Sessions, Life: o.Life, Manage: h.Manage, Accept: h.Manage, Tokens: h.Manage, Moves: h.Manage, Passkeys: passkeys, Phones: h.phonePages(), Choose: choose, Metrics: web.NewMetrics("test", nil), Log: logger,
		Now: h.Clock.Now, Rand: rand.Reader})
	must(t, err)
	h.Web.Approvals = h.approvals()
	h.run()
	if !o.Unprepared {
		h.Eventually("revocations that are loaded", h.Sessions.Loaded)
	}
}

// NewHasher makes another hasher with the house's keys.
func (h *House) NewHasher(p authenticators.Parameters) *authenticators.Hasher {
	h.T.Helper()
	hasher, err := authenticators.NewHasher(authenticators.HasherOptions{Keys: h.Keys, Parameters: p, Rand: rand.Reader,
		Now: h.Clock.Now, Cores: h.options.HashesOnce, Queue: 1024})
	must(h.T, err)
	return hasher
}

// run starts what a server runs beside its requests, until the test ends.
func (h *House) run() {
	ctx, stop := context.WithCancel(context.WithoutCancel(h.T.Context()))
	var wait sync.WaitGroup
	if h.options.Quiet {
		must(h.T, h.Flow.ReadRevocations(ctx, time.Time{}))
	} else {
		wait.Go(func() { h.follow(ctx) })
		wait.Go(func() { h.hear(ctx) })
	}
	if h.line != nil && !h.options.Quiet {
		wait.Go(func() { h.keepStandby(ctx) })
	}
	if !h.options.NoMail && !h.options.Quiet {
		wait.Go(func() { h.Deliver.Run(ctx) })
	}
	h.stop = sync.OnceFunc(func() {
		stop()
		wait.Wait()
		if h.line != nil {
			must(h.T, h.Store.Close())
		}
	})
	h.T.Cleanup(h.stop)
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// Do runs fn in a write transaction of this house: in the dark, on its standby.
func (h *House) Do(fn func(*store.Tx) error) {
	h.T.Helper()
	must(h.T, h.Store.Essential(h.T.Context(), fn))
}

// Eventually waits for a condition, at most ten seconds.
func (h *House) Eventually(what string, is func() bool) {
	h.T.Helper()
	h.Within(10*time.Second, what, is)
}

// Within waits for a condition for so long.
func (h *House) Within(limit time.Duration, what string, is func() bool) {
	h.T.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	over := time.After(limit)
	for !is() {
		select {
		case <-tick.C:
		case <-over:
			h.T.Fatalf("not within %v: %s", limit, what)
		}
	}
}

// Log keeps what was logged.
type Log struct {
	mu sync.Mutex
	b  bytes.Buffer
}

// Write fits slog's handlers.
func (l *Log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

// String is everything that was logged so far.
func (l *Log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// secrets remembers every secret a story used, to look for it afterwards.
type secrets struct {
	mu  sync.Mutex
	all map[string]string // secret → what it is
}

func (s *secrets) add(what, secret string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.all == nil {
		s.all = map[string]string{}
	}
	if len(secret) >= 6 {
		s.all[secret] = what
	}
}

// Secret notes a text that must never be found in the database or the logs.
func (h *House) Secret(what, secret string) string {
	h.secrets.add(what, secret)
	return secret
}

// forms are the ways a secret could be written down.
func forms(secret string) []string {
	return []string{secret, hex.EncodeToString([]byte(secret)), strings.ReplaceAll(secret, "-", "")}
}

// follow is what serve does: a round of reading revocations four times a second.
func (h *House) follow(ctx context.Context) {
	round := h.Flow.Follower()
	tick := time.NewTicker(250 * time.Millisecond)
	defer tick.Stop()
	for {
		if err := round(ctx); err != nil && ctx.Err() == nil {
			h.Flow.Slog.Warn("revocations wait", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}
