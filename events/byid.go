package events

import (
	"gatehouse/id"
	"gatehouse/store"
)

// ByID returns one event, or false when there is none of this id.
func (l *Log) ByID(tx *store.Tx, event id.Event) (Event, bool, error) {
	found, err := l.read(collect(tx, columns+`WHERE e.id = $1`, string(event)))
	if err != nil || len(found) == 0 {
		return Event{}, false, err
	}
	return found[0], true, nil
}
