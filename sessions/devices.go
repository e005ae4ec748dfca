package sessions

import (
	"gatehouse/id"
	"gatehouse/store"
)

// Known tells whether an account has signed in on a device before, or was given
// a budget on it by a mailed link. It is a convenience, never a proof.
func Known(tx *store.Tx, device id.Device, account id.Account) (bool, error) {
	var n int64
	err := tx.Row(`SELECT COUNT(*) FROM devices WHERE device = $1 AND account = $2`, device, account).Scan(&n)
	return n > 0, err
}

// Remember notes that an account is used on a device; fresh tells that it is the
// first time there, first that the account had no device at all before.
func Remember(tx *store.Tx, device id.Device, account id.Account) (fresh, first bool, err error) {
	var version int64
	err = tx.Row(`INSERT INTO devices (device, account, first_seen_at, last_seen_at, version, node) VALUES ($1, $2, $3, $3, 1, $4)
		ON CONFLICT (device, account) DO UPDATE SET last_seen_at = excluded.last_seen_at, version = devices.version + 1, node = excluded.node
		RETURNING version`, device, account, store.Micros(tx.Now()), tx.Node()).Scan(&version)
	if err != nil || version > 1 {
		return false, false, err
	}
	var all int64
	err = tx.Row(`SELECT COUNT(*) FROM devices WHERE account = $1`, account).Scan(&all)
	return true, all == 1, err
}
