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
