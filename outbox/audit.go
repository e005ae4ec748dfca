package outbox

import (
	"time"

	"gatehouse/id"
	"gatehouse/store"
)

// Put is one message that was put in, whatever became of it.
type Put struct {
	ID      id.Message
	Kind    Kind
	Account id.Account // "" when it is for nobody in particular
	MadeAt  time.Time
}

// All lists what was put in and is still kept, by id, after one of them: an audit
// holds it against the log.
func All(tx *store.Tx, after id.Message, limit int) ([]Put, error) {
	return puts(tx, `SELECT id, kind, COALESCE(account, ''), made_at FROM outbox WHERE id > $1 ORDER BY id LIMIT $2`, string(after), limit)
}

// Of lists what was put in for one account and is still kept. It reads the whole
// outbox.
func Of(tx *store.Tx, account id.Account) ([]Put, error) {
	return puts(tx, `SELECT id, kind, COALESCE(account, ''), made_at FROM outbox WHERE account = $1 ORDER BY id`, string(account))
}

func puts(tx *store.Tx, q string, args ...any) ([]Put, error) {
	rows, err := tx.Rows(q, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []Put
	for rows.Next() {
		var p Put
		var made int64
		if err := rows.Scan(&p.ID, &p.Kind, &p.Account, &made); err != nil {
			return nil, err
		}
		p.MadeAt = store.Time(made)
		all = append(all, p)
	}
	return all, rows.Err()
}
