package house

import (
	"context"
	"log/slog"
	"net/http"
	"path/filepath"
	"testing"
	"time"

	"gatehouse/id"
	"gatehouse/rejoin"
	"gatehouse/store"
	"gatehouse/store/storetest"
)

// line is the wire to the primary and the folder of the standby of one node.
type line struct {
	*storetest.Wire
	dir  string
	dark bool
	went bool // it was dark at some time
}

func newLine(t testing.TB, dsn string) *line {
	t.Helper()
	return &line{Wire: storetest.NewWire(t, dsn), dir: t.TempDir()}
}

// Dark ends every connection to the primary for good, once the standby holds all
// that was done so far: from here on the story is lived on the standby. Without
// one nothing happens.
func (h *House) Dark() {
	h.T.Helper()
	if h.line == nil || h.line.dark {
		return
	}
	must(h.T, h.Store.Follow(h.T.Context(), h.settle()))
	h.Cut()
}

// Cut is Dark at once, whatever the standby has heard of.
func (h *House) Cut() {
	h.line.Cut()
	h.line.dark, h.line.went = true, true
}

// Light brings the primary back and waits until it has what was done in the dark.
func (h *House) Light() {
	h.T.Helper()
	if h.line == nil || !h.line.dark {
		return
	}
	h.line.Mend()
	h.line.dark = false
	h.Recovers()
	must(h.T, h.Manage.Prepare(h.T.Context())) // for a node that started in the dark
	h.Deliver.Nudge()
}

// Follow is one round of what keeps the standby.
func (h *House) Follow() error { return h.Store.Follow(h.T.Context(), h.settle()) }

// Recovers waits until a primary that did not answer is believed again. In the dark,
// and where there is no standby, nothing happens.
func (h *House) Recovers() {
	h.T.Helper()
	if h.line == nil || h.line.dark {
		return
	}
	h.Within(30*time.Second, "a primary that has taken over", func() bool {
		err := h.Follow()
		s := h.Store.State()
		return err == nil && s.Tier == store.TierNone && s.Journal == 0
	})
}

// IsDark tells whether the primary is gone.
func (h *House) IsDark() bool { return h.line != nil && h.line.dark }

// Wire is the way to the primary, of a house with a standby.
func (h *House) Wire() *storetest.Wire { return h.line.Wire }

// lit fails a story that waits in the dark for what comes with the primary.
func (h *House) lit(what string) {
	h.T.Helper()
	if h.IsDark() {
		h.T.Fatalf("%s wait for the primary: call h.Light() first", what)
	}
}

// OnPrimary is for a change. In the dark it must be refused with a sentence that
// blames nobody and a time to come back; then the light goes on.
func (h *House) OnPrimary(change func() Reply) {
	h.T.Helper()
	if !h.IsDark() {
		return
	}
	change().Waits()
	h.Light()
}

// Waits fails the test unless the answer is that this cannot be done now: 503, when
// to come back, and words that say neither "wrong" nor "not found".
func (r Reply) Waits() Reply {
	r.T.Helper()
	if r.Status != http.StatusServiceUnavailable || r.Header.Get("Retry-After") == "" {
		r.T.Fatalf("status %d, Retry-After %q: %s", r.Status, r.Header.Get("Retry-After"), r.Body)
	}
	if r.fields != nil && (r.Refused() != "unavailable" || r.Field("error.sentence") == "" || r.Field("error.request_id") == "") {
		r.T.Fatalf("no sentence, or nothing to quote: %s", r.Body)
	}
	return r
}

// at is where the node keeps what it knows now.
func (h *House) at() string {
	if h.IsDark() {
		return "sqlite:" + filepath.Join(h.line.dir, "standby.db")
	}
	return h.DSN
}

// openStore opens what the node keeps. In the dark it does not migrate, as serve
// does not.
func (h *House) openStore(node id.Node, logger *slog.Logger) {
	h.T.Helper()
	open, o, dsn := storetest.Open, h.options, h.DSN
	if h.line != nil {
		dsn = h.line.DSN
	}
	if o.Unprepared || h.IsDark() {
		open = storetest.OpenEmpty // and does not migrate
	}
	h.Store = open(h.T, dsn, func(s *store.Options) {
		s.Node, s.Now, s.Deadline, s.Foreground, s.Background = node, h.Clock.Now, o.Deadline, o.Pool, o.Pool
		if h.line != nil {
			s.Standby = &store.StandbyOptions{Dir: h.line.dir, Keys: h.Keys, Wait: o.Wait, Log: logger}
		}
		if o.Store != nil {
			o.Store(s)
		}
	})
	if h.line != nil && !o.Unprepared && !h.IsDark() {
		must(h.T, h.Store.SeenNow(h.T.Context())) // so that the others count this node
		must(h.T, h.Store.Follow(h.T.Context(), h.settle()))
	}
}

// keepStandby is what serve does: a round of following four times a second, and
// at once when the store asks for it.
func (h *House) keepStandby(ctx context.Context) {
	tick := time.NewTicker(250 * time.Millisecond)
	defer tick.Stop()
	for {
		if err := h.Store.Follow(ctx, h.settle()); err != nil && ctx.Err() == nil {
			h.Flow.Slog.Warn("keeping the standby", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-h.Store.Nudged():
		}
	}
}

// settle decides what a hand-over undoes.
func (h *House) settle() store.Settle {
	return (&rejoin.Rejoin{Keys: h.Keys, Log: h.Events}).Settle
}
