package events

import (
	"encoding/json"

	"gatehouse/id"
	"gatehouse/store"
)

// row is an event as stored: its personal part still sealed, beside the wrapped
// key of its account (nil: none, empty: destroyed).
type row struct {
	Event
	data          string
	personal, key []byte
}

const columns = `SELECT e.position, e.id, e.kind, e.kind_version, COALESCE(e.organisation, ''), COALESCE(e.account, ''),
	e.actor, COALESCE(e.session, ''), COALESCE(e.attempt, ''), e.made_at, e.standby, e.data, e.personal, e.node, e.node_seq, k.sealed
	FROM events e LEFT JOIN account_keys k ON k.account = e.account `

func selectAccount(tx *store.Tx, account id.Account, before int64, limit int) ([]row, error) {
	if before <= 0 {
		before = 1<<63 - 1
	}
	return collect(tx, columns+`WHERE e.account = $1 AND e.position < $2 ORDER BY e.position DESC LIMIT $3`, account, before, limit)
}

func selectAfter(tx *store.Tx, position int64, limit int) ([]row, error) {
	return collect(tx, columns+`WHERE e.position > $1 ORDER BY e.position LIMIT $2`, position, limit)
}

func collect(tx *store.Tx, query string, args ...any) ([]row, error) {
	rows, err := tx.Rows(query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []row
	for rows.Next() {
		r, err := scan(rows)
		if err != nil {
			return nil, err
		}
		all = append(all, r)
	}
	return all, rows.Err()
}

func scan(rows *store.Rows) (row, error) {
	var r row
	var madeAt, standby int64
	err := rows.Scan(&r.Position, &r.ID, &r.Kind, &r.Version, &r.Organisation, &r.Account,
		&r.Actor, &r.Session, &r.Attempt, &madeAt, &standby, &r.data, &r.personal, &r.Node, &r.NodeSeq, &r.key)
	r.MadeAt, r.Standby = store.Time(madeAt), standby != 0
	return r, err
}

func insert(tx *store.Tx, e Event, personal []byte) error {
	data, err := json.Marshal(e.Data)
	if err != nil {
		return err
	}
	if e.Data == nil {
		data = []byte("{}")
	}
	_, err = tx.Exec(`INSERT INTO events (id, kind, kind_version, organisation, account, actor, session, attempt,
		made_at, standby, data, personal, node, node_seq) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)`,
		string(e.ID), string(e.Kind), e.Version, null(e.Organisation), null(e.Account), e.Actor, null(e.Session), null(e.Attempt),
		store.Micros(e.MadeAt), flag(e.Standby), string(data), personal, string(e.Node), e.NodeSeq)
	return err
}

func insertKey(tx *store.Tx, account id.Account, sealed []byte) error {
	_, err := tx.Exec(`INSERT INTO account_keys (account, sealed, made_at, version, node) VALUES ($1, $2, $3, 1, $4)
		ON CONFLICT (account) DO NOTHING`, string(account), sealed, store.Micros(tx.Now()), string(tx.Node()))
	return err
}

func readKey(tx *store.Tx, account id.Account) (sealed []byte, err error) {
	err = tx.Row(`SELECT sealed FROM account_keys WHERE account = $1`, string(account)).Scan(&sealed)
	return sealed, err
}

// destroyKey leaves an empty row behind: it tells "erased" from "never had one".
func destroyKey(tx *store.Tx, account id.Account) error {
	_, err := tx.Exec(`INSERT INTO account_keys (account, sealed, made_at, version, node) VALUES ($1, $2, $3, 1, $4)
		ON CONFLICT (account) DO UPDATE SET sealed = excluded.sealed, version = account_keys.version + 1, node = excluded.node`,
		string(account), []byte{}, store.Micros(tx.Now()), string(tx.Node()))
	return err
}

func null[T ~string](s T) any {
	if s == "" {
		return nil
	}
	return string(s)
}

func flag(b bool) int64 {
	if b {
		return 1
	}
	return 0
}
