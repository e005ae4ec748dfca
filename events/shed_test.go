package events_test

import (
	"crypto/rand"
	"path/filepath"
	"testing"
	"time"

	"gatehouse/events"
	"gatehouse/seal"
	"gatehouse/store"
	"gatehouse/store/storetest"
)

func TestOnAStandbyWithoutRoomOnlyEventsThatProveNothingAreShed(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "keys")
	if err := seal.InitKeys(dir); err != nil {
		t.Fatal(err)
	}
	keys, err := seal.LoadKeys(dir)
	if err != nil {
		t.Fatal(err)
	}
	free := uint64(1 << 40)
	wire := storetest.NewWire(t, storetest.Postgres(t))
	s := storetest.Open(t, wire.DSN, func(o *store.Options) {
		o.Standby = &store.StandbyOptions{Dir: t.TempDir(), Keys: keys, Wait: 20 * time.Second, Free: func(string) (uint64, error) { return free, nil }}
	})
	if err := s.Follow(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	log := events.New(keys, rand.Reader)
	wire.Cut()
	for _, row := range []struct {
		name string
		free uint64
		want int64
	}{{"with room both are kept", 1 << 40, 2}, {"without room only the one that proves something", 1 << 20, 3}, {"with room again both", 1 << 40, 5}} {
		free = row.free
		_ = s.Follow(t.Context(), nil) // it fails, the primary is away, and looks at the disk
		var n int64
		err := s.Essential(t.Context(), func(tx *store.Tx) error {
			for _, kind := range []events.Kind{events.PasswordAccepted, events.SignInRefused} {
				if _, err := log.Append(tx, events.Event{Kind: kind, Actor: events.Anonymous}); err != nil {
					return err
				}
			}
			return tx.Row(`SELECT COUNT(*) FROM events`).Scan(&n)
		})
		if err != nil || n != row.want {
			t.Errorf("%s: %d events, want %d (%v)", row.name, n, row.want, err)
		}
	}
	if shed := s.State().Shed; shed != 1 {
		t.Errorf("shed %d, and one was", shed)
	}
}
