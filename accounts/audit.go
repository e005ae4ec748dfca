package accounts

import (
	"gatehouse/id"
	"gatehouse/store"
)

// What an audit asks of accounts (package audit).

// IDs lists accounts after one of them, in the order of their ids.
func IDs(tx *store.Tx, after id.Account, limit int) ([]id.Account, error) {
	return store.Column[id.Account](tx, `SELECT id FROM accounts WHERE id > $1 ORDER BY id LIMIT $2`, after, limit)
}

// Count counts the accounts.
func Count(tx *store.Tx) (n int64, err error) {
	err = tx.Row(`SELECT COUNT(*) FROM accounts`).Scan(&n)
	return n, err
}

// Referred lists accounts that links name, after one of them, in order.
func Referred(tx *store.Tx, after id.Account, limit int) ([]id.Account, error) {
	return store.Column[id.Account](tx, `SELECT DISTINCT account FROM links WHERE account > $1 ORDER BY account LIMIT $2`, after, limit)
}
