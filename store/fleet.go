package store

import (
	"context"
	"time"

	"gatehouse/id"
)

// Schema is the newest migration that this build knows: what its rows look like.
func (s *Store) Schema() int64 { return s.schemaVersion() }

// Seen is a node that has written down that it is alive.
type Seen struct {
	Node    id.Node
	At      time.Time
	Program string
}

// Nodes lists the nodes that were alive at since or later.
func (s *Store) Nodes(ctx context.Context, since time.Time) ([]Seen, error) {
	var all []Seen
	err := s.BackgroundRead(ctx, func(tx *Tx) error {
		all = nil
		rows, err := tx.Rows(`SELECT id, seen_at, program FROM nodes WHERE seen_at >= $1 ORDER BY id`, Micros(since))
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var n Seen
			var at int64
			if err := rows.Scan(&n.Node, &at, &n.Program); err != nil {
				return err
			}
			n.At = Time(at)
			all = append(all, n)
		}
		return rows.Err()
	})
	return all, err
}
