package store_test

import (
	"errors"
	"testing"

	"gatehouse/fault"
	"gatehouse/store"
)

// The journal has an entry whose commit on the copy then failed: whoever does the
// same again must find it done.
func TestWhatTheJournalHasTheCopyHasBeforeTheNextDecision(t *testing.T) {
	armed := false
	n := withStandby(t, func(o *store.Options) {
		o.Fault = func(point string) error {
			if armed && point == "standby "+store.FaultCommit {
				armed = false
				return errors.New("broken on purpose")
			}
			return nil
		}
	})
	n.wire.Cut()
	opened := 0
	opens := func() error { // as a sign-in does: once an attempt, whatever is done again
		return n.Essential(t.Context(), func(tx *store.Tx) error {
			opened = 0
			var there int
			if err := tx.Row(`SELECT COUNT(*) FROM revocations WHERE subject = 's'`).Scan(&there); err != nil || there > 0 {
				return err
			}
			opened++
			_, err := tx.Exec(`INSERT INTO revocations (kind, subject, epoch, until, made_at, version, node) VALUES ('session', 's', 1, 1, 1, 1, 'n')`)
			return err
		})
	}
	armed = true
	wantCode(t, opens(), fault.Unavailable)
	if n.State().Journal != 1 {
		t.Fatalf("the journal holds %d entries: nothing is torn", n.State().Journal)
	}
	must(t, opens())
	if opened != 0 || n.State().Journal != 1 {
		t.Errorf("done a second time; %d entries in the journal", n.State().Journal)
	}
	n.wire.Mend()
	eventually(t, func() error { return n.Follow(t.Context(), nil) })
	n.same()
}
