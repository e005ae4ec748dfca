package store_test

import (
	"testing"

	"gatehouse/store"
	"gatehouse/store/storetest"
)

// A crowd spends tries within one microsecond: each counts after the hand-over too.
func TestTriesOfOneInstantAllCountAfterTheHandOver(t *testing.T) {
	n := withStandby(t, nil)
	direct := storetest.Open(t, n.wire.Direct(), nil)
	put := func(key, at string) func(*store.Tx) error {
		return func(tx *store.Tx) error {
			_, err := tx.Exec(`INSERT INTO tries (key, at, expires_at, version, node) VALUES ($1, $2, 1, 1, 'n')`, key, at)
			return err
		}
	}
	n.wire.Cut()
	for _, row := range []struct{ key, there, here, want string }{
		{"all here", "", "7,7,7", "7,7,7"},
		{"the same on both", "7,7", "7,7", "7,7"},
		{"some known there", "5,7", "7,7,9", "5,7,7,9"},
		{"given back here", "5,7,9", ",-7,9,", "5,9"},
		{"given back here, and not known there", "5", ",-7,", "5"},
		{"one of two of an instant given back here", "7,7", "-7,7", "7"},
	} {
		must(t, direct.Do(t.Context(), put(row.key, row.there)))
		must(t, n.Essential(t.Context(), put(row.key, row.here)))
		defer func() {
			var at string
			must(t, direct.Read(t.Context(), func(tx *store.Tx) error { return tx.Row(`SELECT at FROM tries WHERE key = $1`, row.key).Scan(&at) }))
			if at != row.want {
				t.Errorf("%s: %q, want %q", row.key, at, row.want)
			}
		}()
	}
	n.wire.Mend()
	eventually(t, func() error { return n.Follow(t.Context(), nil) })
}

// What the primary kept as it was must reach the copy, which decided otherwise.
func TestWhereThePrimaryKeepsItsOwnTheCopyTakesItOver(t *testing.T) {
	for _, row := range []struct{ name, make, dark string }{
		{"tries that were given back in the dark", `INSERT INTO tries (key, at, expires_at, version, node) VALUES ('k', '5,6,7', 9, 1, 'n')`,
			`UPDATE tries SET at = '5', version = version + 1, node = 'dark' WHERE key = 'k'`},
		{"a device that was seen at the same moment", `INSERT INTO devices (device, account, first_seen_at, last_seen_at, version, node) VALUES ('d', 'a', 1, 2, 1, 'n')`,
			`UPDATE devices SET last_seen_at = 2, version = version + 1, node = 'dark' WHERE device = 'd'`},
	} {
		t.Run(row.name, func(t *testing.T) {
			n := withStandby(t, nil)
			exec := func(q string) func(*store.Tx) error {
				return func(tx *store.Tx) error { _, err := tx.Exec(q); return err }
			}
			must(t, n.Do(t.Context(), exec(row.make)))
			n.follows()
			n.wire.Cut()
			must(t, n.Essential(t.Context(), exec(row.dark)))
			n.wire.Mend()
			eventually(t, func() error { return n.Follow(t.Context(), nil) })
			n.follows()
			n.same()
		})
	}
}
