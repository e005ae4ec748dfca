package access

import (
	"gatehouse/id"
	"gatehouse/store"
)

// Referred lists accounts that memberships name, after one of them, in order: an
// audit asks whether they exist.
func Referred(tx *store.Tx, after id.Account, limit int) ([]id.Account, error) {
	return store.Column[id.Account](tx, `SELECT DISTINCT account FROM memberships WHERE account > $1 ORDER BY account LIMIT $2`, after, limit)
}
