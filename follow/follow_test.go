package follow

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse/events"
	"gatehouse/id"
	"gatehouse/seal"
	"gatehouse/store"
	"gatehouse/store/storetest"
)

const (
	ana id.Account = "0199f000-0000-7000-8000-00000000aaaa"
	bob id.Account = "0199f000-0000-7000-8000-00000000bbbb"

	neighbour id.Node = "0199f000-0000-7000-8000-000000000002"
)

// house is two nodes on one database, with one clock that the test sets.
type house struct {
	t     *testing.T
	clock *storetest.Clock
	nodes [2]*store.Store
	log   *events.Log
	// what the follower did, in order
	mu   sync.Mutex
	done []id.Event
}

func each(t *testing.T, fn func(h *house)) {
	for name, dsn := range map[string]func(testing.TB) string{"sqlite": storetest.SQLite, "postgres": storetest.Postgres} {
		t.Run(name, func(t *testing.T) { fn(open(t, dsn(t))) })
	}
}

func open(t *testing.T, dsn string) *house {
	h := &house{t: t, clock: storetest.NewClock()}
	for i, node := range []id.Node{storetest.Node, neighbour} {
		h.nodes[i] = storetest.Open(t, dsn, func(o *store.Options) { o.Node, o.Now = node, h.clock.Now })
	}
	dir := t.TempDir() + "/keys"
	if err := seal.InitKeys(dir); err != nil {
		t.Fatal(err)
	}
	keys, err := seal.LoadKeys(dir)
	if err != nil {
		t.Fatal(err)
	}
	h.log = events.New(keys, rand.Reader)
	return h
}

func (h *house) do(fn func(*store.Tx) error) {
	h.t.Helper()
	if err := h.nodes[0].Do(h.t.Context(), fn); err != nil {
		h.t.Fatal(err)
	}
}

// happen writes an event about each account, in one transaction each.
func (h *house) happen(accounts ...id.Account) (made []id.Event) {
	h.t.Helper()
	for _, a := range accounts {
		h.do(func(tx *store.Tx) error {
			e, err := h.log.Append(tx, events.Event{Kind: events.AccountLocked, Account: a, Actor: events.Operator})
			made = append(made, e)
			return err
		})
	}
	return made
}

// note is an effect in the database: a row that can be written once.
func (h *house) note(tx *store.Tx, e events.Event) error {
	_, err := tx.Exec(`INSERT INTO policies (id, kind, value, made_at, version, node) VALUES ($1, 'effect', $2, $3, 1, '')`,
		string(e.ID), string(e.Account), e.Position)
	return err
}

// effects lists what was noted in the database, in order.
func (h *house) effects() (all []id.Event) {
	h.t.Helper()
	h.do(func(tx *store.Tx) error {
		all = nil
		rows, err := tx.Rows(`SELECT id FROM policies WHERE kind = 'effect' ORDER BY made_at`)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var e id.Event
			if err := rows.Scan(&e); err != nil {
				return err
			}
			all = append(all, e)
		}
		return rows.Err()
	})
	return all
}

func (h *house) worker(node int, f Follower) *worker {
	f.Name = "test"
	r := &Runner{Store: h.nodes[node], Log: h.log, Now: h.clock.Now, Rand: rand.Reader}
	return r.worker(f)
}

// sink is an Out that remembers what it was given.
func (h *house) sink(_ context.Context, page []events.Event) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, e := range page {
		h.done = append(h.done, e.ID)
	}
	return nil
}

// settle has a worker do all it can now.
func (h *house) settle(w *worker) error {
	for range 1000 {
		more, err := w.round(h.t.Context())
		if err != nil || !more {
			return err
		}
	}
	h.t.Fatal("it never rests")
	return nil
}

func (h *house) settled(w *worker) {
	h.t.Helper()
	if err := h.settle(w); err != nil {
		h.t.Fatal(err)
	}
}

// leaseOver lets the lease of the place run out on the database's clock.
func (h *house) leaseOver() {
	h.do(func(tx *store.Tx) error {
		_, err := tx.Exec(`UPDATE places SET lease_until = 0`)
		return err
	})
}

func (h *house) lag() Lag {
	h.t.Helper()
	lags, err := Lags(h.t.Context(), h.nodes[0])
	if err != nil || len(lags) != 1 {
		h.t.Fatalf("%+v, %v", lags, err)
	}
	return lags[0]
}

func TestAFollowerInTheTransactionHandlesEachEventOnceInOrder(t *testing.T) {
	each(t, func(h *house) {
		w := h.worker(0, Follower{InTx: h.note, Page: 3})
		want := h.happen(ana, bob, ana, ana, bob)
		h.settled(w)
		want = append(want, h.happen(bob, ana)...)
		h.settled(w)
		if got := h.effects(); !slices.Equal(got, want) {
			h.t.Errorf("did %v\nwant %v", got, want)
		}
	})
}

func TestOneNodeWorksAndAnotherTakesOverWithoutDoingAnythingTwice(t *testing.T) {
	each(t, func(h *house) {
		one, two := h.worker(0, Follower{InTx: h.note}), h.worker(1, Follower{InTx: h.note})
		want := h.happen(ana)
		h.settled(one)
		want = append(want, h.happen(ana)...)
		h.settled(two)
		if two.held || len(h.effects()) != 1 {
			h.t.Error("two nodes are at it")
		}
		if l := h.lag(); l.Events != 1 || l.Holder != storetest.Node {
			h.t.Errorf("the lag is %+v", l)
		}
		h.leaseOver() // the first one hangs
		h.settled(two)
		want = append(want, h.happen(bob)...)
		h.settled(one) // it comes round and finds its token is old
		h.settled(two)
		if got := h.effects(); !slices.Equal(got, want) || one.held {
			h.t.Errorf("did %v\nwant %v", got, want)
		}
	})
}

func TestAFollowerThatWasOverRunDoesNotSendWhatItHasInHandTwice(t *testing.T) {
	each(t, func(h *house) {
		made := h.happen(ana)
		var two *worker
		one := h.worker(0, Follower{Out: func(ctx context.Context, page []events.Event) error {
			h.leaseOver()
			h.settled(two) // meanwhile another does the same
			return h.sink(ctx, page)
		}})
		two = h.worker(1, Follower{Out: h.sink})
		h.settled(one)
		if one.held || !slices.Equal(h.done, []id.Event{made[0], made[0]}) {
			h.t.Errorf("at least once, under one id each time: %v", h.done)
		}
		made = h.happen(bob)
		h.settled(one)
		h.settled(two)
		if got := h.done[2:]; !slices.Equal(got, made) {
			h.t.Errorf("the place was moved by the one that had lost it: then %v, want %v", got, made)
		}
	})
}

func poisoned(bad func(events.Event) bool, or func(*store.Tx, events.Event) error) func(*store.Tx, events.Event) error {
	return func(tx *store.Tx, e events.Event) error {
		if bad(e) {
			return errors.New("this one cannot be handled")
		}
		return or(tx, e)
	}
}

func TestAPoisonEventWaitsAloneWithWhatDependsOnIt(t *testing.T) {
	each(t, func(h *house) {
		made := h.happen(bob, ana, bob, ana, bob)
		bad := made[1]
		healed := false
		isBad := func(e events.Event) bool { return e.ID == bad && !healed }
		w := h.worker(0, Follower{InTx: poisoned(isBad, h.note)})
		h.settled(w)
		if got, want := h.effects(), []id.Event{made[0], made[2], made[4]}; !slices.Equal(got, want) {
			h.t.Fatalf("did %v\nwant %v", got, want)
		}
		if l := h.lag(); l.Parked != 2 || l.Events != 0 {
			h.t.Errorf("the lag is %+v", l)
		}
		more := h.happen(ana, bob)
		h.settled(w)
		if l := h.lag(); l.Parked != 3 {
			h.t.Errorf("what came later did not wait behind it: %+v", l)
		}
		h.clock.Forward(3 * time.Second)
		h.settled(w) // tried again, in vain
		if len(h.effects()) != 4 {
			h.t.Errorf("did %v", h.effects())
		}
		healed = true
		h.settled(w) // its next time has not come
		if l := h.lag(); l.Parked != 3 {
			h.t.Errorf("tried again without a pause: %+v", l)
		}
		h.clock.Forward(time.Minute)
		restarted := h.worker(0, Follower{InTx: poisoned(isBad, h.note)})
		h.settled(restarted)
		if got, want := h.effects(), append(made, more...); len(got) != len(want) {
			h.t.Errorf("in the end did %v\nwant %v", got, want)
		}
		if l := h.lag(); l.Parked != 0 || len(restarted.lanes) != 0 {
			h.t.Errorf("left: %+v, %v", l, restarted.lanes)
		}
	})
}

func TestEveryWayToFailParksTheOneEvent(t *testing.T) {
	for name, fail := range map[string]func(*store.Tx) error{
		"an error":             func(*store.Tx) error { return errors.New("no") },
		"a panic":              func(*store.Tx) error { panic("oh") },
		"a statement":          func(tx *store.Tx) error { _, err := tx.Exec(`INSERT INTO policies (id) VALUES ('x')`); return err },
		"it takes too long":    func(tx *store.Tx) error { return slowly(tx) },
		"a swallowed error":    func(tx *store.Tx) error { tx.Exec(`nonsense`); return nil },
		"says it is an outage": func(*store.Tx) error { return Away(errors.New("no")) },
	} {
		t.Run(name, func(t *testing.T) {
			each(t, func(h *house) {
				made := h.happen(bob, ana, bob)
				w := h.worker(0, Follower{Patience: 300 * time.Millisecond, InTx: func(tx *store.Tx, e events.Event) error {
					if e.Account == ana {
						return fail(tx)
					}
					return h.note(tx, e)
				}})
				begin := time.Now()
				h.settled(w)
				if took := time.Since(begin); took > 5*time.Second {
					h.t.Errorf("it took %v", took)
				}
				if got := h.effects(); !slices.Equal(got, []id.Event{made[0], made[2]}) || h.lag().Parked != 1 {
					h.t.Errorf("did %v, lag %+v", got, h.lag())
				}
			})
		})
	}
}

// slowly waits in the database until the transaction's time is over.
func slowly(tx *store.Tx) error {
	for {
		if _, err := tx.Exec(`UPDATE policies SET version = version`); err != nil {
			return err
		}
	}
}

func TestWhatASinkRefusesIsParkedAndASinkThatIsAwayIsWaitedFor(t *testing.T) {
	each(t, func(h *house) {
		made := h.happen(bob, ana, bob, ana)
		bad, away := made[1], true
		w := h.worker(0, Follower{Out: func(ctx context.Context, page []events.Event) error {
			if away {
				return Away(errors.New("connection refused"))
			}
			if slices.ContainsFunc(page, func(e events.Event) bool { return e.ID == bad }) {
				return errors.New("this one is too large")
			}
			return h.sink(ctx, page)
		}})
		if err := h.settle(w); err == nil || len(h.done) != 0 || h.lag().Parked != 0 || h.lag().Events != 4 {
			h.t.Errorf("with the sink away: %v, %v, %+v", err, h.done, h.lag())
		}
		away = false
		h.clock.Forward(2 * time.Second)
		h.settled(w)
		if !slices.Equal(h.done, []id.Event{made[0], made[2]}) || h.lag().Parked != 2 {
			h.t.Errorf("got out: %v, %+v", h.done, h.lag())
		}
		bad = ""
		h.clock.Forward(time.Minute)
		h.settled(w)
		if !slices.Equal(h.done, []id.Event{made[0], made[2], made[1], made[3]}) || h.lag().Parked != 0 {
			h.t.Errorf("in the end: %v, %+v", h.done, h.lag())
		}
	})
}

func TestASinkThatHangsIsLeftAfterAMomentAndNothingIsParked(t *testing.T) {
	each(t, func(h *house) {
		h.happen(ana)
		w := h.worker(0, Follower{Patience: 50 * time.Millisecond, Out: func(ctx context.Context, _ []events.Event) error {
			<-ctx.Done()
			return ctx.Err()
		}})
		if err := h.settle(w); !errors.Is(err, errSink) || h.lag().Parked != 0 {
			h.t.Errorf("%v, %+v", err, h.lag())
		}
	})
}

func TestAnEventOfANewerReleaseIsParkedUntilOneThatKnowsItRuns(t *testing.T) {
	each(t, func(h *house) {
		made := h.happen(ana, bob)
		version := func(v int) {
			h.do(func(tx *store.Tx) error {
				_, err := tx.Exec(`UPDATE events SET kind_version = $1 WHERE id = $2`, v, string(made[0]))
				return err
			})
		}
		version(9)
		h.settled(h.worker(0, Follower{InTx: h.note}))
		if got := h.effects(); !slices.Equal(got, made[1:]) || h.lag().Parked != 1 {
			h.t.Errorf("did %v, %+v", got, h.lag())
		}
		version(1)
		h.settled(h.worker(0, Follower{InTx: h.note})) // the next release starts
		if got := h.effects(); len(got) != 2 || h.lag().Parked != 0 {
			h.t.Errorf("did %v, %+v", got, h.lag())
		}
	})
}

func TestRunFollowsUntilItEndsAndLetsGo(t *testing.T) {
	each(t, func(h *house) {
		ctx, stop := context.WithCancel(t.Context())
		arrived := make(chan id.Event, 10)
		r := &Runner{Store: h.nodes[0], Log: h.log, Now: time.Now, Rand: rand.Reader, Every: time.Millisecond,
			Followers: []Follower{{Name: "test", Out: func(_ context.Context, page []events.Event) error {
				for _, e := range page {
					arrived <- e.ID
				}
				return nil
			}}}}
		over := make(chan struct{})
		go func() { r.Run(ctx); close(over) }()
		for range 3 {
			made := h.happen(ana)
			if got := <-arrived; got != made[0] {
				h.t.Errorf("got %s, want %s", got, made[0])
			}
		}
		stop()
		<-over
		if l := h.lag(); l.Holder != "" || l.Events != 0 {
			h.t.Errorf("left behind: %+v", l)
		}
	})
}

func TestWaitsGrowAndStayBounded(t *testing.T) {
	w := (&Runner{Rand: rand.Reader}).worker(Follower{})
	for try := 1; try < 60; try++ {
		if d := w.wait(try, longest); d < 700*time.Millisecond || d > longest*5/4 {
			t.Errorf("try %d: %v", try, d)
		}
	}
	if a, b := w.wait(1, longest), w.wait(8, longest); a >= b {
		t.Errorf("%v is not shorter than %v", a, b)
	}
}

func TestWhyIsCutShort(t *testing.T) {
	if n := len(words(fmt.Errorf("%s", strings.Repeat("x", 9000)))); n > maxWhy {
		t.Errorf("%d bytes", n)
	}
}
