package peers_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"gatehouse/fault"
	"gatehouse/peers"
	"gatehouse/store"
)

// twin is a node with a store: a standby of its own, and a way to PostgreSQL that
// can be cut.
type twin struct {
	*node
	store *store.Store
	wire  *wire
	t     *testing.T
}

// twins starts n nodes on one PostgreSQL that talk to each other and follow it.
func twins(t *testing.T, n int) []*twin {
	t.Helper()
	address, dsn := relay(t)
	keys, _ := newKeys(t)
	all := make([]*twin, n)
	nodes := installation(t, n, func(i int, o *peers.Options, h *peers.House) {
		all[i] = &twin{wire: &wire{}, t: t}
		o.Databases, o.Straight = []string{address}, all[i].wire.dial
		me := all[i]
		h.Claim = func(facts []store.Fact) bool { return me.store.Claim(facts) }
		h.Heard = func(ctx context.Context, e store.Entry) error { return me.store.Heard(ctx, e) }
	})
	for i, me := range all {
		me.node = nodes[i]
		var err error
		me.store, err = store.Open(t.Context(), store.Options{
			DSN: dsn, Node: me.id, Foreground: 16, Background: 4, Deadline: 10 * time.Second, Now: time.Now, Rand: rand.Reader,
			Standby: &store.StandbyOptions{Dir: t.TempDir(), Keys: keys, Wait: time.Second}, Peers: me.Peers, Dial: me.Dial,
		})
		must(t, err)
		t.Cleanup(func() { me.store.Close() })
		_, err = me.store.Migrate(t.Context())
		must(t, err)
		must(t, me.store.Follow(t.Context(), nil))
		me.follow()
	}
	meet(t, nodes)
	return all
}

// follow is the loop of a server.
func (w *twin) follow() {
	ctx, cancel := context.WithCancel(context.Background())
	var wait sync.WaitGroup
	w.t.Cleanup(func() { cancel(); wait.Wait() })
	wait.Go(func() {
		tick := time.NewTicker(100 * time.Millisecond)
		defer tick.Stop()
		for ctx.Err() == nil {
			_ = w.store.Follow(ctx, nil) // away, or not: State tells
			select {
			case <-ctx.Done():
			case <-tick.C:
			case <-w.store.Nudged():
			}
		}
	})
}

// uses is what a sign-in does to a code: it uses it up once. The answer says where
// that happened.
func (w *twin) uses(code, by string) (used, onStandby bool, err error) {
	err = w.store.Essential(w.t.Context(), func(tx *store.Tx) error {
		n, err := tx.Exec(`INSERT INTO totp_used (authenticator, step, used_by, made_at, node) VALUES ($1, 7, $2, $3, $4)
			ON CONFLICT (authenticator, step) DO NOTHING`, code, by, store.Micros(tx.Now()), string(tx.Node()))
		used, onStandby = n == 1, tx.Standby()
		return err
	})
	return used, onStandby, err
}

func (w *twin) tier() store.Tier { return w.store.State().Tier }

func TestACutOffNodeGoesThroughItsPeerAndNothingWeakens(t *testing.T) {
	for _, c := range []struct {
		name string
		cut  state
	}{
		{"connections are refused", refused},
		{"packets vanish", silent},
		{"something takes connections and nothing answers", frozen},
	} {
		t.Run(c.name, func(t *testing.T) {
			both := twins(t, 2)
			a, b := both[0], both[1]
			used, standby, err := a.uses("before", "x")
			if !used || standby || err != nil {
				t.Fatalf("the control: %v, %v, %v", used, standby, err)
			}
			var warm sync.WaitGroup
			for range 16 {
				warm.Go(func() { // so that the pool holds connections that all die at the cut
					if err := a.store.Essential(t.Context(), func(tx *store.Tx) error { _, err := tx.Exec("SELECT pg_sleep(0.3)"); return err }); err != nil {
						t.Error(err)
					}
				})
			}
			warm.Wait()
			a.wire.set(c.cut)
			cutAt := time.Now()
			if used, _, err := a.uses("during", "x"); !used || err != nil {
				t.Errorf("the first sign-in after the cut: used %v, %v", used, err)
			}
			straight := a.wire.count()
			eventually(t, "it is on the primary, through its peer", func() bool {
				_, standby, err := a.uses(fmt.Sprint(time.Now().UnixNano()), "x")
				return err == nil && !standby && a.tier() == store.TierNone
			})
			t.Logf("on the primary again %v after the cut", time.Since(cutAt))
			if c.cut == refused && a.wire.count() != straight {
				t.Error("the control: its own way was used")
			}
			for i := range 20 {
				code := fmt.Sprint("code ", i)
				first, second := both[i%2], both[(i+1)%2]
				used, standby, err := first.uses(code, "first")
				again, standbyToo, errToo := second.uses(code, "second")
				if !used || again || standby || standbyToo || errors.Join(err, errToo) != nil {
					t.Errorf("%s: used %v, then %v; on a standby %v, %v; %v, %v", code, used, again, standby, standbyToo, err, errToo)
				}
			}
			if err := a.store.Do(t.Context(), func(tx *store.Tx) error { return nil }); err != nil {
				t.Errorf("changes do not work: %v", err)
			}
			b.wire.set(c.cut)
			eventually(t, "with both cut off it is on its standby", func() bool {
				_, standby, err := a.uses(fmt.Sprint(time.Now().UnixNano()), "x")
				return err == nil && standby
			})
		})
	}
}

func TestNodesThatAreCutOffTogetherShareOutWhatIsUsedOnce(t *testing.T) {
	both := twins(t, 2)
	a, b := both[0], both[1]
	for _, w := range both {
		w.wire.set(refused)
	}
	for _, w := range both {
		eventually(t, "they are on their standbys", func() bool {
			_, standby, err := w.uses(fmt.Sprint(time.Now().UnixNano()), "x")
			return err == nil && standby
		})
	}
	for i := range 20 {
		code := fmt.Sprint("one after the other ", i)
		first, second := both[i%2], both[(i+1)%2]
		used, standby, err := first.uses(code, "first")
		again, _, errToo := second.uses(code, "second")
		if !used || !standby || again || errors.Join(err, notOutage(errToo)) != nil {
			t.Errorf("%s: used %v (on a standby: %v), then %v; %v, %v", code, used, standby, again, err, errToo)
		}
	}
	granted := 0
	for i := range 30 {
		code := fmt.Sprint("both at once ", i)
		var used [2]bool
		var wait sync.WaitGroup
		for k, w := range both {
			wait.Go(func() { used[k], _, _ = w.uses(code, w.address) })
		}
		wait.Wait()
		if used[0] && used[1] {
			t.Errorf("%s: both used it", code)
		}
		if used[0] || used[1] {
			granted++
		}
	}
	t.Logf("of 30 codes used at two nodes at the same moment %d were taken by one", granted)
	if err := a.store.Do(t.Context(), func(*store.Tx) error { return nil }); fault.Of(err) != fault.Unavailable {
		t.Errorf("the control: a change while both are cut off: %v", err)
	}
	for _, w := range both {
		w.wire.set(whole)
	}
	for _, w := range both {
		eventually(t, "they are back, and all is handed over", func() bool { s := w.store.State(); return s.Tier == store.TierNone && s.Journal == 0 })
		if s := w.store.State(); s.Conflicts != 0 || s.Parked != 0 {
			t.Errorf("found at the hand-over: %d conflicts, %d parked", s.Conflicts, s.Parked)
		}
	}
	var rows int
	must(t, b.store.Read(t.Context(), func(tx *store.Tx) error {
		return tx.Row(`SELECT COUNT(*) AS n FROM totp_used WHERE authenticator LIKE 'one after%' OR authenticator LIKE 'both at%'`).Scan(&rows)
	}))
	if rows != 20+granted {
		t.Errorf("%d uses on the primary, want %d", rows, 20+granted)
	}
}

// notOutage is nil for an answer that says "not now": a code was not accepted.
func notOutage(err error) error {
	if fault.Of(err) == fault.Unavailable {
		return nil
	}
	return err
}
