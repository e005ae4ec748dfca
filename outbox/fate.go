package outbox

import (
	"errors"
	"time"

	"gatehouse/id"
	"gatehouse/store"
)

// Fate is what became of a message.
type Fate string

// The fates.
const (
	Unknown Fate = ""         // never put in, or forgotten (Prune)
	Waiting Fate = "waiting"  // it will be tried, now or later
	Gone    Fate = "sent"     // it was handed over
	GivenUp Fate = "given-up" // it will never be
)

// FateOf tells what became of a message, and in which lane it is or was.
func FateOf(tx *store.Tx, message id.Message) (f Fate, lane string, err error) {
	var sent, given bool
	err = tx.Row(`SELECT lane, sent_at IS NOT NULL, given_up = 1 FROM outbox WHERE id = $1`, string(message)).Scan(&lane, &sent, &given)
	switch {
	case errors.Is(err, store.ErrNoRows):
		return Unknown, "", nil
	case err != nil:
		return Unknown, "", err
	case sent:
		return Gone, lane, nil
	case given:
		return GivenUp, lane, nil
	}
	return Waiting, lane, nil
}

// Crowd is how the messages of a lane stand.
type Crowd struct {
	Waiting int       // to be tried, now or later
	Since   time.Time // when the longest waiting was made; zero when none waits
	GivenUp int       // and not forgotten yet
}

// Crowds tells how every lane of a channel stands. It reads the whole outbox: for
// an operator who asks, not for a loop.
func Crowds(tx *store.Tx, c Channel) (map[string]Crowd, error) {
	rows, err := tx.Rows(`SELECT lane, SUM(CASE WHEN sent_at IS NULL AND given_up = 0 THEN 1 ELSE 0 END),
		COALESCE(MIN(CASE WHEN sent_at IS NULL AND given_up = 0 THEN made_at END), 0), SUM(CASE WHEN given_up = 1 THEN 1 ELSE 0 END)
		FROM outbox WHERE channel = $1 GROUP BY lane`, string(c))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	all := map[string]Crowd{}
	for rows.Next() {
		var lane string
		var k Crowd
		var since int64
		if err := rows.Scan(&lane, &k.Waiting, &since, &k.GivenUp); err != nil {
			return nil, err
		}
		if k.Waiting > 0 {
			k.Since = store.Time(since)
		}
		all[lane] = k
	}
	return all, rows.Err()
}
