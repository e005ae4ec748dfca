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
	avoid []string // lanes not to look at
	busy  []string // lanes in somebody's hand
	mine  []string // lanes taken here
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
	t.busy, err = selectBusy(t.tx, t.Channel, t.clock)
	t.avoid = slices.Concat(t.Skip, t.busy)
	return err
}

// room is how many more lanes are wanted.
func (t *taking) room() int { return t.Lanes - len(t.taken) }

// since is when a message became due that is just not fresh any more.
func (t *taking) since() int64 { return store.Micros(t.now.Add(-Fresh)) }

// again bounds how often lanes are looked for when those found are not fresh.
const again = 4

// fresh takes lanes in which nothing is due for longer.
func (t *taking) fresh() error {
	for range again {
		if t.room() <= 0 {
			return nil
		}
		found, err := selectDue(t.tx, t, t.since(), store.Micros(t.now), looked)
		if err != nil || len(found) == 0 {
			return err
		}
		before := t.room()
		for _, lane := range found {
			if _, err := t.lane(lane, t.PerLane, true); err != nil {
				return err
			}
		}
		if t.room() == before-len(found) {
			return nil
		}
	}
	return nil
}

// backlog takes lanes of what is due for longest. Those that fresh left alone
// because of their backlog are among them.
func (t *taking) backlog() error {
	t.avoid = slices.Concat(t.Skip, t.busy, t.mine)
	if t.room() <= 0 {
		return nil
	}
	found, err := selectDue(t.tx, t, 0, t.since(), t.Backlog)
	if err != nil {
		return err
	}
	for _, lane := range found {
		n, err := t.lane(lane, min(t.PerLane, t.Backlog), false)
		if err != nil {
			return err
		}
		if t.Backlog -= n; t.Backlog <= 0 {
			return nil
		}
	}
	return nil
}

// lane takes up to limit messages of one lane; one that has to be fresh is left
// alone when anything of it is not.
func (t *taking) lane(lane string, limit int, fresh bool) (int, error) {
	t.avoid = append(t.avoid, lane)
	rows, err := selectLane(t.tx, t.Channel, lane, t.now, limit)
	if err != nil {
		return 0, err
	}
	if fresh && slices.ContainsFunc(rows, func(r row) bool { return store.Micros(r.due) <= t.since() }) {
		return 0, nil
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
	t.mine, t.taken = append(t.mine, lane), append(t.taken, messages)
	return len(messages), inParts(ids, func(part []id.Message) error { return claim(t.tx, part, t.now, t.clock) })
}
