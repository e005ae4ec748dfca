package outbox

import (
	"time"

	"gatehouse/id"
	"gatehouse/store"
)

type row struct {
	id                 id.Message
	kind               Kind
	account            id.Account
	payload            []byte
	made, due, expires time.Time
	tries              int
}

func insert(tx *store.Tx, m Message, sealed []byte, sentAt any) error {
	var account any
	if m.Account != "" {
		account = string(m.Account)
	}
	_, err := tx.Exec(`INSERT INTO outbox (id, kind, account, payload, made_at, due_at, expires_at, tries, sent_at, given_up, last_error, version, node)
		VALUES ($1, $2, $3, $4, $5, $6, $7, 0, $8, 0, '', 1, $9) ON CONFLICT (id) DO NOTHING`,
		string(m.ID), string(m.Kind), account, sealed, store.Micros(tx.Now()), store.Micros(m.Due), store.Micros(m.Expires), sentAt, string(tx.Node()))
	return err
}

// selectDue waits for rows another node is claiming, and then finds them no
// longer due: the database asks the condition again once it has the lock.
func selectDue(tx *store.Tx, now time.Time, limit int) ([]row, error) {
	rows, err := tx.Rows(`SELECT id, kind, COALESCE(account, ''), payload, made_at, due_at, expires_at, tries FROM outbox
		WHERE due_at <= $1 AND expires_at > $1 AND sent_at IS NULL AND given_up = 0 ORDER BY due_at, id LIMIT $2`+tx.ForUpdate(),
		store.Micros(now), limit)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []row
	for rows.Next() {
		var r row
		var made, due, expires int64
		if err := rows.Scan(&r.id, &r.kind, &r.account, &r.payload, &made, &due, &expires, &r.tries); err != nil {
			return nil, err
		}
		r.made, r.due, r.expires = store.Time(made), store.Time(due), store.Time(expires)
		all = append(all, r)
	}
	return all, rows.Err()
}

func claim(tx *store.Tx, message id.Message, until time.Time) error {
	_, err := tx.Exec(`UPDATE outbox SET due_at = $2, tries = tries + 1, version = version + 1, node = $3 WHERE id = $1`,
		string(message), store.Micros(until), string(tx.Node()))
	return err
}

func release(tx *store.Tx, message id.Message, now time.Time) error {
	_, err := tx.Exec(`UPDATE outbox SET due_at = $2, tries = tries - 1, version = version + 1, node = $3
		WHERE id = $1 AND sent_at IS NULL AND given_up = 0`, string(message), store.Micros(now), string(tx.Node()))
	return err
}

func markSent(tx *store.Tx, message id.Message, now time.Time) error {
	_, err := tx.Exec(`UPDATE outbox SET sent_at = $2, payload = $3, last_error = '', given_up = 0, version = version + 1, node = $4
		WHERE id = $1 AND sent_at IS NULL`, string(message), store.Micros(now), []byte{}, string(tx.Node()))
	return err
}

func selectLife(tx *store.Tx, message id.Message) (expires time.Time, tries int, err error) {
	var until int64
	err = tx.Row(`SELECT expires_at, tries FROM outbox WHERE id = $1 AND sent_at IS NULL AND given_up = 0`+tx.ForUpdate(),
		string(message)).Scan(&until, &tries)
	return store.Time(until), tries, err
}

func postpone(tx *store.Tx, message id.Message, why Class, next time.Time) error {
	_, err := tx.Exec(`UPDATE outbox SET due_at = $2, last_error = $3, version = version + 1, node = $4 WHERE id = $1`,
		string(message), store.Micros(next), string(why), string(tx.Node()))
	return err
}

func giveUp(tx *store.Tx, message id.Message, why Class) error {
	_, err := tx.Exec(`UPDATE outbox SET given_up = 1, last_error = $2, payload = $3, version = version + 1, node = $4
		WHERE id = $1 AND sent_at IS NULL`, string(message), string(why), []byte{}, string(tx.Node()))
	return err
}

func selectExpired(tx *store.Tx, now time.Time, limit int) ([]Past, error) {
	rows, err := tx.Rows(`SELECT id, kind, COALESCE(account, ''), tries, last_error FROM outbox
		WHERE expires_at <= $1 AND sent_at IS NULL AND given_up = 0 ORDER BY id LIMIT $2`+tx.ForUpdate(), store.Micros(now), limit)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var past []Past
	for rows.Next() {
		var p Past
		if err := rows.Scan(&p.ID, &p.Kind, &p.Account, &p.Tries, &p.Why); err != nil {
			return nil, err
		}
		past = append(past, p)
	}
	return past, rows.Err()
}

func prune(tx *store.Tx, before time.Time) (int64, error) {
	return tx.Exec(`DELETE FROM outbox WHERE made_at < $1 AND (sent_at IS NOT NULL OR given_up = 1)`, store.Micros(before))
}

func oldestDue(tx *store.Tx, now time.Time) (time.Time, bool, error) {
	var due *int64
	err := tx.Row(`SELECT MIN(due_at) FROM outbox WHERE due_at <= $1 AND expires_at > $1 AND sent_at IS NULL AND given_up = 0`,
		store.Micros(now)).Scan(&due)
	if err != nil || due == nil {
		return time.Time{}, false, err
	}
	return store.Time(*due), true, nil
}
