package rejoin

import (
	"encoding/json"
	"time"

	"gatehouse/id"
	"gatehouse/store"
)

// Conflict is one thing that a hand-over found and settled.
type Conflict struct {
	ID      string
	Entry   string  // of the journal that it came with
	Node    id.Node // whose journal
	Table   string
	Key     string
	Rule    Rule
	Account id.Account // "" when nobody holds what it is about any more
	Attempt id.Attempt
	Session id.Session // "" when there was none to end
	MadeAt  time.Time  // when it was settled
}

// detail is what the row keeps beside its columns: codes only.
type detail struct {
	Node    id.Node    `json:"node"`
	Attempt id.Attempt `json:"attempt,omitempty"`
	Session id.Session `json:"session,omitempty"`
}

// insert keeps a conflict; false when it was settled before.
func insert(tx *store.Tx, c Conflict) (fresh bool, err error) {
	text, err := json.Marshal(detail{c.Node, c.Attempt, c.Session})
	if err != nil {
		return false, err
	}
	n, err := tx.Exec(`INSERT INTO conflicts (id, entry, tbl, key, rule, account, detail, made_at, version, node)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 1, $9) ON CONFLICT (id) DO NOTHING`,
		c.ID, c.Entry, c.Table, c.Key, string(c.Rule), string(c.Account), string(text), store.Micros(tx.Now()), string(tx.Node()))
	return n == 1, err
}

// Conflicts lists what was settled from a moment on, oldest first, after the last
// one of the page before (nil at first), at most limit.
func Conflicts(tx *store.Tx, from time.Time, after *Conflict, limit int) ([]Conflict, error) {
	made, last := store.Micros(from), ""
	if after != nil {
		made, last = store.Micros(after.MadeAt), after.ID
	}
	rows, err := tx.Rows(`SELECT id, entry, tbl, key, rule, account, detail, made_at FROM conflicts
		WHERE made_at > $1 OR made_at = $1 AND id > $2 ORDER BY made_at, id LIMIT $3`, made, last, limit)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []Conflict
	for rows.Next() {
		var c Conflict
		var text string
		var made int64
		if err := rows.Scan(&c.ID, &c.Entry, &c.Table, &c.Key, &c.Rule, &c.Account, &text, &made); err != nil {
			return nil, err
		}
		var d detail
		if err := json.Unmarshal([]byte(text), &d); err != nil {
			return nil, err
		}
		c.Node, c.Attempt, c.Session, c.MadeAt = d.Node, d.Attempt, d.Session, store.Time(made)
		all = append(all, c)
	}
	return all, rows.Err()
}
