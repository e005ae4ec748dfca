package outbox

import (
	"slices"
	"time"

	"gatehouse/id"
	"gatehouse/seal"
	"gatehouse/store"
)

// taking is one Take at work.
type taking struct {
	Wish
	tx    *store.Tx
	keys  *seal.Keys
	now   time.Time
	avoid []string // lanes to skip, in hand, or taken here already
	clock int64    // the database's: reservations run by it
	taken [][]Message
}

func (t *taking) begin() error {
	if err := lock(t.tx, t.Channel); err != nil {
		return err
	}
	now, err := t.tx.DatabaseNow()
	if err != nil {
		return err
	}
	t.clock = store.Micros(now)
	busy, err := selectBusy(t.tx, t.Channel, t.clock)
	t.avoid = slices.Concat(t.Skip, busy)
	return err
}

// room is how many more lanes are wanted.
func (t *taking) room() int { return t.Lanes - len(t.taken) }

func (t *taking) fresh() error {
	found, err := selectFresh(t.tx, t, store.Micros(t.now.Add(-Fresh)))
	if err != nil {
		return err
	}
	for _, lane := range found {
		if _, err := t.lane(lane, t.PerLane); err != nil {
			return err
		}
	}
	return nil
}

func (t *taking) backlog() error {
	if t.room() <= 0 {
		return nil
	}
	found, err := selectBacklog(t.tx, t, store.Micros(t.now.Add(-Fresh)))
	if err != nil {
		return err
	}
	for _, lane := range found {
		n, err := t.lane(lane, min(t.PerLane, t.Backlog))
		if err != nil {
			return err
		}
		if t.Backlog -= n; t.Backlog <= 0 {
			return nil
		}
	}
	return nil
}

// lane takes up to limit messages of one lane.
func (t *taking) lane(lane string, limit int) (int, error) {
	rows, err := selectLane(t.tx, t.Channel, lane, t.now, limit)
	if err != nil {
		return 0, err
	}
	var messages []Message
	var ids []id.Message
	for _, r := range rows {
		m, err := openPayload(t.keys, r)
		if err != nil {
			err = giveUp(t.tx, r.id, Unreadable)
		} else {
			messages, ids = append(messages, m), append(ids, m.ID)
		}
		if err != nil {
			return 0, err
		}
	}
	if len(messages) == 0 {
		return 0, nil
	}
	t.avoid, t.taken = append(t.avoid, lane), append(t.taken, messages)
	return len(messages), inParts(ids, func(part []id.Message) error { return claim(t.tx, part, t.now, t.clock) })
}
