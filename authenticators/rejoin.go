package authenticators

import (
	"errors"

	"gatehouse/id"
	"gatehouse/proof"
	"gatehouse/store"
)

// Fate is what has become of the credentials that a session was opened with.
type Fate string

// The fates.
const (
	Stands      Fate = ""
	Replaced    Fate = "replaced"    // a password or set of codes chosen anew, an app taken off
	Compromised Fate = "compromised" // the password is marked as known to others
)

// Since tells, at a hand-over, what has become of the credentials that a standby
// let somebody in with. Versions are not compared: a standby counts its own.
func Since(tx *store.Tx, account id.Account, proofs []proof.Proof) (Fate, error) {
	for _, p := range proofs {
		fate, err := since(tx, account, p)
		if err != nil || fate != Stands {
			return fate, err
		}
	}
	return Stands, nil
}

func since(tx *store.Tx, account id.Account, p proof.Proof) (Fate, error) {
	var query string
	switch p.Method {
	case proof.Password:
		query = `SELECT must_change FROM passwords WHERE account = $1 AND id = $2`
	case proof.TOTP:
		query = `SELECT '' AS must_change FROM totp WHERE account = $1 AND id = $2`
	case proof.RecoveryCode:
		query = `SELECT '' AS must_change FROM recovery_sets WHERE account = $1 AND id = $2`
	case proof.Passkey, proof.Push, proof.HOTP, proof.SMS, proof.Voice, proof.Remembered:
		query = `SELECT '' AS must_change FROM credentials WHERE account = $1 AND id = $2 AND state IN ('', 'gone')`
	default:
		return Stands, nil
	}
	var mustChange string
	err := tx.Row(query, account, p.Authenticator).Scan(&mustChange)
	switch {
	case errors.Is(err, store.ErrNoRows):
		return Replaced, nil
	case err == nil && mustChange != "":
		return Compromised, nil
	}
	return Stands, err
}

// HolderOf tells whose a second authenticator or a set of recovery codes is; ""
// when nobody's.
func HolderOf(tx *store.Tx, a id.Authenticator) (account id.Account, err error) {
	err = tx.Row(`SELECT account FROM totp WHERE id = $1 UNION ALL SELECT account FROM credentials WHERE id = $1
		UNION ALL SELECT account FROM recovery_sets WHERE id = $1`, a).Scan(&account)
	if errors.Is(err, store.ErrNoRows) {
		err = nil
	}
	return account, err
}
