package store_test

import (
	"database/sql"
	"path/filepath"
	"testing"

	"gatehouse/store"
)

// A busy day's codes do not go back in one transaction: it would run into its
// deadline each time, and the copy would never follow again.
func TestATailIsHandedBackInParts(t *testing.T) {
	n := withStandby(t, nil)
	must(t, n.Do(t.Context(), func(tx *store.Tx) error {
		_, err := tx.Exec(`INSERT INTO totp_used (authenticator, step, used_by, made_at, node)
			SELECT 'a', n, 'alice', $1, 'n' FROM generate_series(1, 1700) AS many(n)`, store.Micros(tx.Now()))
		return err
	}))
	n.follows()
	must(t, n.Close())
	db, err := sql.Open("sqlite", filepath.Join(n.dir, "standby.db"))
	must(t, err)
	_, err = db.Exec(`UPDATE followed SET system = 'another server/1'`)
	must(t, err)
	must(t, db.Close())
	n.restarts()
	must(t, n.Do(t.Context(), func(tx *store.Tx) error { // what the promoted server lacks
		_, err := tx.Exec(`DELETE FROM totp_used WHERE step > 900`)
		return err
	}))
	n.follows()
	must(t, n.Read(t.Context(), func(tx *store.Tx) error {
		var most, all, back int64
		if err := tx.Row(`SELECT MAX(rows_in), SUM(rows_in) FROM handed WHERE entry LIKE 'tail %'`).Scan(&most, &all); err != nil {
			return err
		}
		err := tx.Row(`SELECT COUNT(*) FROM totp_used`).Scan(&back)
		if most > 500 || all < 1700 || back != 1700 {
			t.Errorf("%d rows in all, %d in one transaction; %d are back", all, most, back)
		}
		return err
	}))
	n.same()
}
