package outbox

import (
	"errors"

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
