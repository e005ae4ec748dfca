package store_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"gatehouse/store"
	"gatehouse/store/storetest"
)

// manyRows writes more changes than a round of the feed takes, in several transactions.
func manyRows(t *testing.T, s *store.Store, name string) {
	t.Helper()
	for i := range 5 {
		must(t, s.Do(t.Context(), func(tx *store.Tx) error {
			_, err := tx.Exec(`WITH RECURSIVE many(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM many WHERE n < 900)
				INSERT INTO nodes (id, started_at, seen_at, program) SELECT $1 || n, 1, 1, 'test' FROM many`, fmt.Sprint(name, " ", i, " "))
			return err
		}))
	}
}

// One transaction is open while strangers cause more changes than a round takes: a
// disabling, say, must not be passed over for it.
func TestTheFeedSkipsNoTransactionThatCommitsAfterMoreThanARound(t *testing.T) {
	n := withStandby(t, nil)
	direct := storetest.Open(t, n.wire.Direct(), nil)
	written, commit := make(chan bool), make(chan bool)
	var late sync.WaitGroup
	late.Go(func() {
		direct.Do(t.Context(), func(tx *store.Tx) error {
			err := put(tx, "late")
			close(written)
			<-commit
			return err
		})
	})
	<-written
	manyRows(t, direct, "early")
	for range 6 {
		n.follows()
	}
	var fed int64
	n.wire.Cut()
	must(t, n.EssentialRead(t.Context(), func(tx *store.Tx) error {
		return tx.Row(`SELECT COUNT(*) FROM nodes WHERE program = 'test'`).Scan(&fed)
	}))
	if fed != 5*900 {
		t.Errorf("%d rows came while a transaction was open", fed)
	}
	n.wire.Mend()
	close(commit)
	late.Wait()
	eventually(t, func() error { return n.Follow(t.Context(), nil) })
	n.follows()
	n.same()
}

// A copy that is still catching up does not know yet who was thrown out meanwhile.
func TestACopyThatIsCatchingUpIsAsOldAsItWas(t *testing.T) {
	n := withStandby(t, nil)
	direct := storetest.Open(t, n.wire.Direct(), nil)
	began := n.State().FollowedAt
	manyRows(t, direct, "away")
	n.now.Set(n.now.Now().Add(20 * time.Hour))
	n.follows()
	if at := n.State().FollowedAt; !at.Equal(began) {
		t.Errorf("after a part of it: followed at %v, %v after the last time", at, at.Sub(began))
	}
	for range 4 {
		n.follows()
	}
	if at := n.State().FollowedAt; at.Before(began.Add(20 * time.Hour)) {
		t.Errorf("after all of it: followed at %v", at)
	}
	n.same()
}

// What only a peer hands over is not kept here: nobody would ever take it away.
func TestOfWhatAPeerTellsOnlyWhatDecidesIsKept(t *testing.T) {
	n := withStandby(t, nil)
	var columns map[string]json.RawMessage
	must(t, json.Unmarshal([]byte(`{"id":"e","kind":"k","kind_version":1,"actor":"nobody","made_at":1,"standby":1,"data":"{}","node":"m","node_seq":1}`), &columns))
	must(t, n.Heard(t.Context(), store.Entry{ID: "e", Node: "other", Rows: []store.Image{{Table: "events", Key: json.RawMessage(`["e"]`), Columns: columns}}}))
	n.wire.Cut()
	must(t, n.EssentialRead(t.Context(), func(tx *store.Tx) error {
		var all int64
		err := tx.Row(`SELECT COUNT(*) FROM events`).Scan(&all)
		if all != 0 {
			t.Errorf("%d events of a peer are kept", all)
		}
		return err
	}))
}

// Whoever cannot look is as one who does not answer: an outage is no verdict on a code.
func TestAPeerWhoseCopyIsBrokenRefusesNoCodeForIt(t *testing.T) {
	broken := false
	n := withStandby(t, func(o *store.Options) {
		o.Fault = func(point string) error {
			if broken && point == "standby "+store.FaultBefore {
				return errors.New("a dead disk")
			}
			return nil
		}
	})
	n.wire.Cut()
	n.uses("ours", "alice")
	broken = true
	for _, row := range []struct {
		code, by string
		granted  bool
	}{{"free", "bob", true}, {"free", "mallory", false}, {"ours", "mallory", false}} {
		if got := n.Claim([]store.Fact{{Table: "totp_used", Key: fmt.Sprintf(`[%q,7]`, row.code), By: row.by}}); got != row.granted {
			t.Errorf("%s for %s: granted %v", row.code, row.by, got)
		}
	}
}
