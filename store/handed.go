package store

import (
	"time"

	"gatehouse/id"
)

// Handed is a journal entry of a standby that the primary has taken.
type Handed struct {
	Entry     string
	Node      id.Node
	MadeAt    time.Time
	HandedAt  time.Time
	Rows      int64
	Conflicts int64
}

// Handed lists entries that were made from a moment on, oldest first, after the
// last one of the page before (nil at first), at most limit.
func (t *Tx) Handed(from time.Time, after *Handed, limit int) ([]Handed, error) {
	made, entry := Micros(from), ""
	if after != nil {
		made, entry = Micros(after.MadeAt), after.Entry
	}
	rows, err := t.Rows(`SELECT entry, from_node, made_at, handed_at, rows_in, conflicts FROM handed
		WHERE made_at > $1 OR made_at = $1 AND entry > $2 ORDER BY made_at, entry LIMIT $3`, made, entry, limit)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []Handed
	for rows.Next() {
		var h Handed
		var made, handed int64
		if err := rows.Scan(&h.Entry, &h.Node, &made, &handed, &h.Rows, &h.Conflicts); err != nil {
			return nil, err
		}
		h.MadeAt, h.HandedAt = Time(made), Time(handed)
		all = append(all, h)
	}
	return all, rows.Err()
}
