package limits

import (
	"errors"
	"time"

	"gatehouse/store"
)

// Spent lists when the tries were spent that count for a subject now, oldest
// first. It changes nothing.
func Spent(tx *store.Tx, s Subject) ([]time.Time, error) {
	var at string
	err := tx.Row(`SELECT at FROM tries WHERE key = $1`, s.key()).Scan(&at)
	if errors.Is(err, store.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var all []time.Time
	for _, v := range since(split(at), store.Micros(tx.Now())-s.Rule.Per.Microseconds()) {
		all = append(all, store.Time(v))
	}
	return all, nil
}
