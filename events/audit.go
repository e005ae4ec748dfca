package events

import (
	"errors"
	"time"

	"gatehouse/id"
	"gatehouse/store"
)

// What an audit asks of the log (package audit).

// KeyState tells how the data key of an account is.
type KeyState string

// The states.
const (
	KeyGood      KeyState = "good"
	KeyMissing   KeyState = "missing"   // the account was never introduced
	KeyDestroyed KeyState = "destroyed" // the person was erased
	KeyForged    KeyState = "forged"    // it does not open under our keys
)

// KeyOf looks at the data key of an account.
func (l *Log) KeyOf(tx *store.Tx, account id.Account) (KeyState, error) {
	sealed, err := readKey(tx, account)
	switch {
	case errors.Is(err, store.ErrNoRows):
		return KeyMissing, nil
	case err != nil:
		return "", err
	case len(sealed) == 0:
		return KeyDestroyed, nil
	}
	if _, err := l.keys.Open(keyPlace(account), sealed); err != nil {
		return KeyForged, nil
	}
	return KeyGood, nil
}

// Referred lists accounts that data keys name, after one of them, in order.
// Events may outlive their account, and name it still.
func Referred(tx *store.Tx, after id.Account, limit int) ([]id.Account, error) {
	return store.Column[id.Account](tx, `SELECT account FROM account_keys WHERE account > $1 ORDER BY account LIMIT $2`, after, limit)
}

// Span tells the first and the last position of the log; zeros when it is empty.
func Span(tx *store.Tx) (first, last int64, err error) {
	err = tx.Row(`SELECT COALESCE(MIN(position), 0) AS first, COALESCE(MAX(position), 0) AS last FROM events`).Scan(&first, &last)
	return first, last, err
}

// Alone is an event that was recorded on a standby.
type Alone struct {
	ID      id.Event
	Node    id.Node
	NodeSeq int64
	MadeAt  time.Time
}

// RecordedAlone lists the events between two positions that were recorded on a
// standby.
func RecordedAlone(tx *store.Tx, from, to int64) ([]Alone, error) {
	rows, err := tx.Rows(`SELECT id, node, node_seq, made_at FROM events WHERE position >= $1 AND position < $2 AND standby = 1 ORDER BY position`, from, to)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []Alone
	for rows.Next() {
		var a Alone
		var made int64
		if err := rows.Scan(&a.ID, &a.Node, &a.NodeSeq, &made); err != nil {
			return nil, err
		}
		a.MadeAt = store.Time(made)
		all = append(all, a)
	}
	return all, rows.Err()
}
