package events

import (
	"errors"

	"gatehouse/store"
)

var errNoID = errors.New("events: what is recorded once needs an id of its own")

// AppendOnce is Append for an event whose id is fixed by what it tells of; false
// when it is recorded already.
func (l *Log) AppendOnce(tx *store.Tx, e Event) (fresh bool, err error) {
	if e.ID == "" {
		return false, errNoID
	}
	var n int64
	if err := tx.Row(`SELECT COUNT(*) FROM events WHERE id = $1`, string(e.ID)).Scan(&n); err != nil || n > 0 {
		return false, err
	}
	_, err = l.Append(tx, e)
	return err == nil, err
}
