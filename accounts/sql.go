package accounts

import (
	"errors"

	"gatehouse/id"
	"gatehouse/store"
)

// ErrTaken says that another account has this address already.
var ErrTaken = errors.New("accounts: the address is taken")

// Insert adds an account; ErrTaken when its address has one already.
func Insert(tx *store.Tx, a Account) error {
	n, err := tx.Exec(`INSERT INTO accounts (id, email, email_key, email_skeleton, name, status, epoch, locale, zone, home_cell, made_at, version, node)
		VALUES ($1, $2, $3, $4, $5, $6, 1, $7, $8, $9, $10, 1, $11) ON CONFLICT (email_key) DO NOTHING`,
		a.ID, a.Email, a.EmailKey, Skeleton(a.EmailKey), a.Name, a.Status, a.Locale, a.Zone, a.HomeCell, store.Micros(tx.Now()), tx.Node())
	if err == nil && n == 0 {
		return ErrTaken
	}
	return err
}

// ByEmail finds the account of a canonical address.
func ByEmail(tx *store.Tx, key string) (Account, bool, error) {
	return one(tx.Row(`SELECT `+columns+` FROM accounts WHERE email_key = $1`, key))
}

// ByID finds an account.
func ByID(tx *store.Tx, account id.Account) (Account, bool, error) {
	return one(tx.Row(`SELECT `+columns+` FROM accounts WHERE id = $1`, account))
}

// Lock finds an account and holds its row until the transaction ends, so that
// whoever disables it and whoever signs in decide one after the other.
func Lock(tx *store.Tx, account id.Account) (Account, bool, error) {
	return one(tx.Row(`SELECT `+columns+` FROM accounts WHERE id = $1`+tx.ForUpdate(), account))
}

func one(r store.Row) (Account, bool, error) {
	a, err := scan(r.Scan)
	if errors.Is(err, store.ErrNoRows) {
		return Account{}, false, nil
	}
	return a, err == nil, err
}

// Lookalikes lists accounts whose address looks like this key but is another
// (UTS #39 skeletons), so that the person who adds one is warned.
func Lookalikes(tx *store.Tx, key string) ([]Account, error) {
	return list(tx, `SELECT `+columns+` FROM accounts WHERE email_skeleton = $1 AND email_key <> $2 ORDER BY email_key`, Skeleton(key), key)
}

// List returns everybody's account, by address. It is for operators: bounded by limit.
func List(tx *store.Tx, after string, limit int) ([]Account, error) {
	return list(tx, `SELECT `+columns+` FROM accounts WHERE email_key > $1 AND status <> $3 ORDER BY email_key LIMIT $2`, after, limit, Canary)
}

func list(tx *store.Tx, q string, args ...any) ([]Account, error) {
	rows, err := tx.Rows(q, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []Account
	for rows.Next() {
		a, err := scan(rows.Scan)
		if err != nil {
			return nil, err
		}
		all = append(all, a)
	}
	return all, rows.Err()
}

// SetStatus changes whether a person may sign in. Only a status that lets nobody
// through raises the epoch; the new epoch is returned.
func SetStatus(tx *store.Tx, account id.Account, s Status) (epoch int64, err error) {
	var raise int64
	if !s.MaySignIn() {
		raise = stride(tx)
	}
	return epochOf(tx.Row(`UPDATE accounts SET status = $1, epoch = epoch + $2, version = version + 1, node = $3 WHERE id = $4 RETURNING epoch`,
		s, raise, tx.Node(), account))
}

// RaiseEpoch ends every session of an account, listed or not, and returns the
// epoch that new sessions carry.
func RaiseEpoch(tx *store.Tx, account id.Account) (int64, error) {
	return epochOf(tx.Row(`UPDATE accounts SET epoch = epoch + $1, version = version + 1, node = $2 WHERE id = $3 RETURNING epoch`, stride(tx), tx.Node(), account))
}

// leap is by how much a standby raises an epoch: past every epoch that the primary
// may have given out meanwhile, or a session of one of those would live on.
const leap = 1000

func stride(tx *store.Tx) int64 {
	if tx.Standby() {
		return leap
	}
	return 1
}

func epochOf(r store.Row) (epoch int64, err error) {
	err = r.Scan(&epoch)
	return epoch, err
}

// SetProfile changes what a person is called and how times and words are shown.
func SetProfile(tx *store.Tx, account id.Account, name, locale, zone string) error {
	_, err := tx.Exec(`UPDATE accounts SET name = $1, locale = $2, zone = $3, version = version + 1, node = $4 WHERE id = $5`,
		name, locale, zone, tx.Node(), account)
	return err
}

// VerifyEmail records that a link mailed to the account's address was opened.
func VerifyEmail(tx *store.Tx, account id.Account) error {
	_, err := tx.Exec(`UPDATE accounts SET email_verified_at = COALESCE(email_verified_at, $1), version = version + 1, node = $2 WHERE id = $3`,
		store.Micros(tx.Now()), tx.Node(), account)
	return err
}

// SetEmail moves an account to another, already proved address; ErrTaken when
// another account has it.
func SetEmail(tx *store.Tx, account id.Account, email, key string) error {
	holder, taken, err := ByEmail(tx, key)
	if err != nil {
		return err
	}
	if taken && holder.ID != account {
		return ErrTaken
	}
	_, err = tx.Exec(`UPDATE accounts SET email = $1, email_key = $2, email_skeleton = $3, email_verified_at = $4, version = version + 1, node = $5 WHERE id = $6`,
		email, key, Skeleton(key), store.Micros(tx.Now()), tx.Node(), account)
	if store.IsUnique(err) {
		return ErrTaken
	}
	return err
}
