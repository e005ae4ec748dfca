package store_test

import (
	"context"
	"testing"
	"time"

	"gatehouse/fault"
	"gatehouse/store"
	"gatehouse/store/storetest"
)

// Who makes one row slow (a crowd at one name, a long change by hand) must not be
// able to take the primary from everybody.
func TestAPrimaryThatAnswersOthersIsNotGivenUpForOneRow(t *testing.T) {
	n := withStandby(t, func(o *store.Options) { o.Standby.Wait = 500 * time.Millisecond })
	direct := storetest.Open(t, n.wire.Direct(), nil)
	must(t, n.Do(t.Context(), func(tx *store.Tx) error { return put(tx, "slow") }))
	touch := func(name string) func(*store.Tx) error {
		return func(tx *store.Tx) error {
			_, err := tx.Exec(`UPDATE nodes SET program = program || '.' WHERE id = $1`, name)
			return err
		}
	}
	locked, unlock := make(chan bool), make(chan bool)
	go direct.Do(context.WithoutCancel(t.Context()), func(tx *store.Tx) error {
		err := touch("slow")(tx)
		close(locked)
		<-unlock
		return err
	})
	<-locked
	ended := make(chan error)
	go func() { ended <- n.Essential(t.Context(), touch("slow")) }()
	var err error
	for waiting := true; waiting; {
		select {
		case err = <-ended:
			waiting = false
		default:
			must(t, n.Essential(t.Context(), touch("other")))
		}
		if s := n.State(); s.Tier != store.TierNone || s.Journal != 0 {
			t.Fatalf("the primary was given up: %+v", s)
		}
	}
	if fault.Of(err) != fault.Unavailable {
		t.Errorf("the one who waited for the row: %v", err)
	}
	close(unlock)
	must(t, n.Essential(t.Context(), touch("slow")))
	n.wire.Freeze()
	must(t, n.Essential(t.Context(), touch("slow")))
	if s := n.State(); s.Tier != store.Tier2 {
		t.Errorf("a primary that hangs was not given up: %+v", s)
	}
	n.wire.Thaw()
}
