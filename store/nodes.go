package store

import (
	"context"
	"runtime/debug"
	"time"
)

// Floor is the latest time any node has written down. A clock that shows less
// has been set back, and no node goes on below it. Before the first SeenNow of
// all it is 1970.
func (s *Store) Floor(ctx context.Context) (time.Time, error) {
	var latest int64
	err := s.EssentialRead(ctx, func(tx *Tx) error {
		return tx.Row("SELECT COALESCE(MAX(seen_at), 0) AS latest FROM nodes").Scan(&latest)
	})
	return Time(latest), err
}

// SeenNow writes down that this node is alive and what its clock shows; never
// less than it wrote before.
func (s *Store) SeenNow(ctx context.Context) error {
	return s.Background(ctx, func(tx *Tx) error {
		_, err := tx.Exec(`INSERT INTO nodes (id, started_at, seen_at, program, place) VALUES ($1, $2, $3, $4, $5)
			ON CONFLICT (id) DO UPDATE SET started_at = excluded.started_at, program = excluded.program, place = excluded.place,
				seen_at = CASE WHEN excluded.seen_at > nodes.seen_at THEN excluded.seen_at ELSE nodes.seen_at END`,
			tx.Node(), Micros(s.startedAt), Micros(tx.Now()), program(), s.standby.place())
		return err
	})
}

func program() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "gatehouse"
	}
	return "gatehouse " + info.Main.Version
}
