package store_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"gatehouse/fault"
	"gatehouse/store"
)

// A journal that cannot grow gives up its reserve, goes on, and when that is used
// up says so with an outage; nothing that was answered is lost.
func TestAFullDiskGivesUpTheReserveAndThenRefusesWithoutAVerdict(t *testing.T) {
	free := uint64(1 << 40)
	n := withStandby(t, func(o *store.Options) { o.Standby.Free = func(string) (uint64, error) { return free, nil } })
	reserve := filepath.Join(n.dir, "reserve")
	if st, err := os.Stat(reserve); err != nil || st.Size() != 16<<20 {
		t.Fatalf("no reserve: %v", err)
	}
	n.wire.Cut()
	n.uses("first", "alice")
	must(t, n.LimitJournal(0))
	refused := ""
	for i := 0; refused == "" && i < 1000; i++ {
		code := fmt.Sprint("code ", i)
		err := n.Essential(t.Context(), func(tx *store.Tx) error {
			_, err := tx.Exec(`INSERT INTO totp_used (authenticator, step, used_by, made_at, node) VALUES ($1, 7, 'alice', 1, 'n')`, code)
			return err
		})
		if err != nil {
			wantCode(t, err, fault.Unavailable)
			refused = code
		}
	}
	if _, err := os.Stat(reserve); err == nil {
		t.Error("the reserve was not given up")
	}
	must(t, n.LimitJournal(1<<20))
	if !n.uses(refused, "alice") {
		t.Error("what could not be written was believed")
	}
	free = 1 << 20
	n.wire.Mend()
	eventually(t, func() error { return n.Follow(t.Context(), nil) })
	if n.usedBy("first") != "alice" || n.usedBy(refused) != "alice" {
		t.Error("something answered was lost")
	}
}
