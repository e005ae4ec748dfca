package store_test

import (
	"database/sql"
	"encoding/json"
	"path/filepath"
	"testing"

	"gatehouse/store"
)

// A row is written under the key it is told by: else a peer, or whoever writes into
// the journal's folder, could put one over another that is there.
func TestAnImageThatIsOfAnotherRowThanItsKeySaysIsNotTaken(t *testing.T) {
	n := withStandby(t, nil)
	exec := func(q string) func(*store.Tx) error {
		return func(tx *store.Tx) error { _, err := tx.Exec(q); return err }
	}
	must(t, n.Do(t.Context(), exec(`INSERT INTO revocations (kind, subject, epoch, until, made_at, version, node) VALUES ('session', 's', 0, 99, 1, 1, 'n')`)))
	n.follows()
	n.wire.Cut()
	n.uses("code", "alice")
	image := func(table, key, columns string) store.Image {
		img := store.Image{Table: table, Key: json.RawMessage(key)}
		must(t, json.Unmarshal([]byte(columns), &img.Columns))
		return img
	}
	for _, row := range []struct {
		name string
		img  store.Image
	}{
		{"a revocation over another", image("revocations", `["session","else"]`, `{"kind":"session","subject":"s","epoch":0,"until":2,"made_at":2,"version":1,"node":"m"}`)},
		{"a code over another", image("totp_used", `["code",8]`, `{"authenticator":"code","step":7,"used_by":"mallory","made_at":1,"node":"m"}`)},
		{"a key of bytes", image("totp_used", `[{"b":"eA=="},8]`, `{"authenticator":{"b":"eA=="},"step":9,"used_by":"mallory","made_at":1,"node":"m"}`)},
		{"a row without its key", image("totp_used", `["code",9]`, `{"authenticator":"code","used_by":"mallory","made_at":1,"node":"m"}`)},
	} {
		t.Run(row.name, func(t *testing.T) {
			if err := n.Heard(t.Context(), store.Entry{ID: row.name, Node: "other", Rows: []store.Image{row.img}}); err == nil {
				t.Error("it was taken")
			}
		})
	}
	must(t, n.EssentialRead(t.Context(), func(tx *store.Tx) error {
		var until int64
		var by string
		if err := tx.Row(`SELECT until FROM revocations WHERE subject = 's'`).Scan(&until); err != nil {
			return err
		}
		err := tx.Row(`SELECT used_by FROM totp_used WHERE step = 7`).Scan(&by)
		if until != 99 || by != "alice" {
			t.Errorf("the revocation ends at %d, the code is used by %q", until, by)
		}
		return err
	}))
}

// Whoever writes into the folder, a bad disk included, makes no facts and keeps no
// others from being handed over.
func TestAJournalEntryThatIsDamagedOrForgedIsParkedAndStopsNoOther(t *testing.T) {
	n := withStandby(t, nil)
	n.wire.Cut()
	n.uses("damaged", "alice")
	n.uses("good", "bob")
	must(t, n.Close())
	forged := `{"id":"forged","node":"m","schema":3,"made_at":"2026-01-01T00:00:00Z","rows":[{"table":"totp_used","key":["forged",7],
		"columns":{"authenticator":"forged","step":7,"used_by":"mallory","made_at":1,"node":"m"}}]}`
	db, err := sql.Open("sqlite", filepath.Join(n.dir, "journal.db"))
	must(t, err)
	for _, q := range []string{
		`UPDATE entries SET body = X'00' || SUBSTR(body, 2) WHERE seq = (SELECT MIN(seq) FROM entries)`,
		`INSERT INTO entries (id, made_at, body, state, why) VALUES ('forged', 1, CAST('` + forged + `' AS BLOB), '', '')`,
		`INSERT INTO entries (id, made_at, body, state, why) SELECT 'again', 1, body, '', '' FROM entries WHERE seq = 2`,
	} {
		_, err := db.Exec(q)
		must(t, err)
	}
	must(t, db.Close())
	n.restarts()
	if n.uses("good", "mallory") {
		t.Error("a code used before the restart is good again")
	}
	n.wire.Mend()
	eventually(t, func() error { return n.Follow(t.Context(), nil) })
	if s := n.State(); s.Parked != 3 || s.Journal != 0 || s.Tier != store.TierNone {
		t.Errorf("%+v", s)
	}
	if n.usedBy("good") != "bob" {
		t.Error("the good one did not arrive")
	}
	must(t, n.Read(t.Context(), func(tx *store.Tx) error {
		var all int64
		err := tx.Row(`SELECT COUNT(*) FROM totp_used`).Scan(&all)
		if all != 1 {
			t.Errorf("%d codes are used on the primary", all)
		}
		return err
	}))
}
