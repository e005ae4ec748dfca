package authenticators

import (
	"time"

	"gatehouse/id"
	"gatehouse/store"
)

// What an audit asks of authenticators (package audit).

// Use is a one-time code that was used up.
type Use struct {
	Authenticator id.Authenticator // the app, or the set of recovery codes
	Step          int64            // of the app's clock, or the slot
	By            string           // attempt or session; "nobody" for a code that was burnt
	At            time.Time
}

// Burnt is who used a code up that was refused with a hint (BurnTOTP).
const Burnt = "nobody"

// StepsUsed lists the codes used up of the apps and tokens that an account holds
// now, and the counts of its passkeys, from a moment on.
func StepsUsed(tx *store.Tx, account id.Account, from time.Time) ([]Use, error) {
	return uses(tx, `SELECT u.authenticator, u.step, u.used_by, u.made_at FROM totp_used u
		WHERE u.made_at >= $2 AND u.authenticator IN (SELECT id FROM totp WHERE account = $1 UNION ALL SELECT id FROM credentials WHERE account = $1 AND kind IN ('hotp', 'passkey'))
		ORDER BY u.authenticator, u.step`, account, store.Micros(from))
}

// CodesUsed lists the codes used up of the set that an account holds now.
func CodesUsed(tx *store.Tx, account id.Account) ([]Use, error) {
	return uses(tx, `SELECT c.recovery_set, c.slot, COALESCE(c.spent_by, ''), c.spent_at FROM recovery_codes c JOIN recovery_sets s ON s.id = c.recovery_set
		WHERE s.account = $1 AND c.spent_at IS NOT NULL ORDER BY c.slot`, account)
}

func uses(tx *store.Tx, q string, args ...any) ([]Use, error) {
	rows, err := tx.Rows(q, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []Use
	for rows.Next() {
		var u Use
		var at int64
		if err := rows.Scan(&u.Authenticator, &u.Step, &u.By, &at); err != nil {
			return nil, err
		}
		u.At = store.Time(at)
		all = append(all, u)
	}
	return all, rows.Err()
}

// Referred lists accounts that rows of ours name, after one of them, in order.
func Referred(tx *store.Tx, after id.Account, limit int) ([]id.Account, error) {
	return store.Column[id.Account](tx, `SELECT account FROM passwords WHERE account > $1 UNION SELECT account FROM old_passwords WHERE account > $1
		UNION SELECT account FROM totp WHERE account > $1 UNION SELECT account FROM credentials WHERE account > $1 UNION SELECT account FROM recovery_sets WHERE account > $1 ORDER BY account LIMIT $2`, after, limit)
}

// Strays lists sets of recovery codes that nobody holds any more, though their
// codes are still there.
func Strays(tx *store.Tx, limit int) ([]string, error) {
	return store.Column[string](tx, `SELECT DISTINCT c.recovery_set FROM recovery_codes c WHERE NOT EXISTS
		(SELECT 1 FROM recovery_sets s WHERE s.id = c.recovery_set) ORDER BY c.recovery_set LIMIT $1`, limit)
}
