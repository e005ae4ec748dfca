package sessions

import (
	"errors"

	"gatehouse/id"
	"gatehouse/seal"
	"gatehouse/store"
)

// What an audit asks of sessions (package audit).

// Of lists every session of an account that is still kept, ended ones included,
// oldest first.
func Of(tx *store.Tx, keys *seal.Keys, account id.Account) ([]Session, error) {
	rows, err := tx.Rows(`SELECT `+briefColumns+` FROM sessions WHERE account = $1 ORDER BY made_at, id`, account)
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

// RevocationOf finds the revocation of one session or account.
func RevocationOf(tx *store.Tx, kind, subject string) (r Revocation, found bool, err error) {
	var until, made int64
	err = tx.Row(`SELECT kind, subject, epoch, until, made_at FROM revocations WHERE kind = $1 AND subject = $2`, kind, subject).
		Scan(&r.Kind, &r.Subject, &r.Epoch, &until, &made)
	if errors.Is(err, store.ErrNoRows) {
		return Revocation{}, false, nil
	}
	r.Until, r.MadeAt = store.Time(until), store.Time(made)
	return r, err == nil, err
}

// Devices lists the devices an account was used on.
func Devices(tx *store.Tx, account id.Account) ([]id.Device, error) {
	return store.Column[id.Device](tx, `SELECT device FROM devices WHERE account = $1 ORDER BY device`, account)
}

// Referred lists accounts that rows of ours name, after one of them, in order.
func Referred(tx *store.Tx, after id.Account, limit int) ([]id.Account, error) {
	return store.Column[id.Account](tx, `SELECT account FROM sessions WHERE account > $1 UNION SELECT account FROM devices WHERE account > $1 ORDER BY account LIMIT $2`, after, limit)
}
