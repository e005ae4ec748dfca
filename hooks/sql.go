package hooks

import (
	"encoding/json"
	"errors"

	"gatehouse/id"
	"gatehouse/store"
)

const columns = `SELECT id, COALESCE(organisation, ''), name, url, secrets, kinds, state, made_at, version FROM hooks `

func selectAll(tx *store.Tx) ([]Hook, error) { return collect(tx, columns+`ORDER BY name`) }

func selectOn(tx *store.Tx) ([]Hook, error) {
	return collect(tx, columns+`WHERE state = 'on' ORDER BY name`)
}

func collect(tx *store.Tx, query string) ([]Hook, error) {
	rows, err := tx.Rows(query)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []Hook
	for rows.Next() {
		k, err := scan(rows)
		if err != nil {
			return nil, err
		}
		all = append(all, k)
	}
	return all, rows.Err()
}

// selectHook returns ErrNoHook when there is none.
func selectHook(tx *store.Tx, hook id.Hook, lock string) (Hook, error) {
	k, err := scan(tx.Row(columns+`WHERE id = $1`+lock, string(hook)))
	if errors.Is(err, store.ErrNoRows) {
		return k, ErrNoHook
	}
	return k, err
}

func scan(row interface{ Scan(...any) error }) (Hook, error) {
	var k Hook
	var kinds string
	var made int64
	err := row.Scan(&k.ID, &k.Organisation, &k.Name, &k.URL, &k.sealed, &kinds, &k.State, &made, &k.version)
	if err != nil {
		return k, err
	}
	k.MadeAt = store.Time(made)
	return k, json.Unmarshal([]byte(kinds), &k.Kinds)
}

func insert(tx *store.Tx, k Hook) (added bool, err error) {
	kinds, err := json.Marshal(k.Kinds)
	if err != nil {
		return false, err
	}
	n, err := tx.Exec(`INSERT INTO hooks (id, organisation, name, url, secrets, kinds, state, made_at, version, node)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 1, $9) ON CONFLICT (id) DO NOTHING`,
		string(k.ID), null(k.Organisation), k.Name, k.URL, k.sealed, string(kinds), string(k.State), store.Micros(k.MadeAt), string(tx.Node()))
	return n == 1, err
}

// update writes what can change: secrets and state.
func update(tx *store.Tx, k Hook) error {
	_, err := tx.Exec(`UPDATE hooks SET secrets = $2, state = $3, version = version + 1, node = $4 WHERE id = $1`,
		string(k.ID), k.sealed, string(k.State), string(tx.Node()))
	return err
}

func countHooks(tx *store.Tx) (n int, err error) {
	err = tx.Row(`SELECT COUNT(*) FROM hooks`).Scan(&n)
	return n, err
}

func null(o id.Organisation) any {
	if o == "" {
		return nil
	}
	return string(o)
}
