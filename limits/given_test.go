package limits_test

import (
	"errors"
	"testing"
	"time"

	"gatehouse/limits"
	"gatehouse/seal"
	"gatehouse/store"
	"gatehouse/store/storetest"
)

// Whoever signs in while the primary is away, and the office they share a network
// with, must not be refused afterwards for tries that ended well.
func TestWhatWasGivenBackInTheDarkCountsNoMoreAfterwards(t *testing.T) {
	clock, dsn, keysDir := storetest.NewClock(), storetest.Postgres(t), t.TempDir()+"/keys"
	storetest.Open(t, dsn, nil) // migrates
	wire := storetest.NewWire(t, dsn)
	err := seal.InitKeys(keysDir)
	keys, badKeys := seal.LoadKeys(keysDir)
	if err := errors.Join(err, badKeys); err != nil {
		t.Fatal(err)
	}
	s := storetest.OpenEmpty(t, wire.DSN, func(o *store.Options) {
		o.Now, o.Standby = clock.Now, &store.StandbyOptions{Dir: t.TempDir(), Keys: keys, Wait: 20 * time.Second}
	})
	office := limits.Subject{Rule: five, Of: "office"}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	tries := func(well ...bool) {
		t.Helper()
		for _, well := range well {
			clock.Forward(time.Second)
			var a limits.Answer
			must(s.Essential(t.Context(), func(tx *store.Tx) (err error) { a, err = limits.Spend(tx, office); return err }))
			if !a.Allowed {
				t.Fatal("refused, and fewer than the limit have gone wrong")
			}
			if well {
				must(s.Essential(t.Context(), func(tx *store.Tx) error { return limits.GiveBack(tx, a.Spent) }))
			}
		}
	}
	must(errors.Join(s.SeenNow(t.Context()), s.Follow(t.Context(), nil), s.Follow(t.Context(), nil)))
	tries(false)
	must(s.Follow(t.Context(), nil))
	wire.Cut()
	tries(true, true, true, false, true, true, true)
	wire.Mend()
	clock.Forward(time.Minute)
	for end := time.Now().Add(20 * time.Second); ; {
		if err = s.Follow(t.Context(), nil); err == nil && s.State().Journal == 0 {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("not handed over: %v", err)
		}
	}
	must(s.Do(t.Context(), func(tx *store.Tx) error {
		left, err := limits.Spent(tx, office)
		if len(left) != 2 {
			t.Errorf("%d tries count, want the 2 that did not end well", len(left))
		}
		return err
	}))
}
