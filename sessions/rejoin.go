package sessions

import (
	"encoding/json"
	"errors"

	"gatehouse/id"
	"gatehouse/seal"
	"gatehouse/store"
)

// What reconciliation asks of sessions (package rejoin). A Seen that does not open
// is left empty there: nobody's end may fail by what is only shown.

const briefColumns = columns + `, standby`

// ByID finds a session, ended or not.
func ByID(tx *store.Tx, keys *seal.Keys, session id.Session) (Session, bool, error) {
	return brief(tx.Row(`SELECT `+briefColumns+` FROM sessions WHERE id = $1`, session).Scan, keys)
}

// OfAttempt finds the session that an attempt opened, ended or not.
func OfAttempt(tx *store.Tx, keys *seal.Keys, attempt id.Attempt) (Session, bool, error) {
	return brief(tx.Row(`SELECT `+briefColumns+` FROM sessions WHERE attempt = $1`, attempt).Scan, keys)
}

// LivingThough lists the sessions whose rows say that they live although the
// revocation of this kind and subject concerns them.
func LivingThough(tx *store.Tx, keys *seal.Keys, kind, subject string) ([]Session, error) {
	rows, err := tx.Rows(`SELECT `+briefColumns+` FROM sessions
		WHERE ($1 = '`+OfSession+`' AND id = $2 OR $1 = '`+OfAccount+`' AND account = $2
			AND epoch < (SELECT r.epoch FROM revocations r WHERE r.kind = '`+OfAccount+`' AND r.subject = $2))
		AND ended_at IS NULL AND absolute_until > $3 ORDER BY id`, kind, subject, store.Micros(tx.Now()))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []Session
	for rows.Next() {
		s, _, err := brief(rows.Scan, keys)
		if err != nil {
			return nil, err
		}
		all = append(all, s)
	}
	return all, rows.Err()
}

func brief(read func(...any) error, keys *seal.Keys) (Session, bool, error) {
	var s Session
	var proofs string
	var seen []byte
	var made, used, until, ended, standby int64
	err := read(&s.ID, &s.Account, &s.Attempt, &s.Epoch, &s.Device, &proofs, &seen, &made, &used, &until, &ended, &standby)
	if errors.Is(err, store.ErrNoRows) {
		return Session{}, false, nil
	}
	if err != nil {
		return Session{}, false, err
	}
	s.MadeAt, s.LastUsedAt, s.AbsoluteUntil, s.Standby = store.Time(made), store.Time(used), store.Time(until), standby != 0
	if ended != 0 {
		s.EndedAt = store.Time(ended)
	}
	if where, err := keys.Open(seenPlace(s.ID), seen); err == nil {
		json.Unmarshal(where, &s.Seen)
	}
	return s, true, json.Unmarshal([]byte(proofs), &s.Proofs)
}
