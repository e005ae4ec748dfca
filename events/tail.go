package events

import (
	"time"

	"gatehouse/id"
	"gatehouse/store"
)

// Tail follows the log without missing an event that commits late (see After).
// It is for one goroutine.
type Tail struct {
	Log      *Log
	Position int64         // follow from here on
	Overlap  time.Duration // how long a write transaction may live; 10 s when zero

	seen map[id.Event]time.Time
}

// Next returns the events that are new since the last call, at most about limit,
// in the order of their position; late ones come when they come.
func (t *Tail) Next(tx *store.Tx, limit int) ([]Event, error) {
	found, err := t.Log.After(tx, t.Position, limit+len(t.seen))
	if err != nil {
		return nil, err
	}
	return t.fresh(found, tx.Now()), nil
}

// fresh drops what was seen before, and moves the position up to the first event
// young enough that an older transaction could still commit in front of it.
func (t *Tail) fresh(found []Event, now time.Time) []Event {
	overlap := t.Overlap
	if overlap <= 0 {
		overlap = 10 * time.Second
	}
	if t.seen == nil {
		t.seen = map[id.Event]time.Time{}
	}
	var news []Event
	settled := true
	for _, e := range found {
		if _, known := t.seen[e.ID]; !known {
			news = append(news, e)
			t.seen[e.ID] = now
		}
		if settled = settled && now.Sub(t.seen[e.ID]) >= overlap; settled {
			t.Position = e.Position
			delete(t.seen, e.ID)
		}
	}
	return news
}
