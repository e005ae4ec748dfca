package authenticators

import (
	"database/sql"
	"errors"
	"time"

	"gatehouse/events"
	"gatehouse/fault"
	"gatehouse/id"
	"gatehouse/proof"
	"gatehouse/seal"
	"gatehouse/store"
)

// Load reads all authenticators of an account: the same four queries for every
// id. For an unknown name load events.Nobody's, which are decoys (see Prepare).
func Load(tx *store.Tx, keys *seal.Keys, account id.Account) (Kept, error) {
	k, err := LoadUsual(tx, keys, account)
	if err != nil {
		return Kept{}, err
	}
	k.Recovery, err = loadRecovery(tx, account)
	return k, err
}

// LoadPassword is Load of the password alone: one query, so that a wrong password
// takes the same time whatever else the account holds.
func LoadPassword(tx *store.Tx, _ *seal.Keys, account id.Account) (Kept, error) {
	p, err := loadPassword(tx, account)
	return Kept{Account: account, Decoy: account == events.Nobody, Password: p}, err
}

// LoadUsual is Load without the recovery codes, which few sign-ins show: three
// queries for every id.
func LoadUsual(tx *store.Tx, keys *seal.Keys, account id.Account) (Kept, error) {
	k := Kept{Account: account, Decoy: account == events.Nobody}
	var err error
	if k.Password, err = loadPassword(tx, account); err != nil {
		return Kept{}, err
	}
	if k.TOTP, err = loadTOTP(tx, keys, account); err != nil {
		return Kept{}, err
	}
	k.Credentials, err = loadCredentials(tx, keys, account)
	return k, err
}

func loadPassword(tx *store.Tx, account id.Account) (*Password, error) {
	var p Password
	var pepper, madeAt int64
	err := tx.Row(`SELECT id, hash, pepper, must_change, made_at, version FROM passwords WHERE account = $1`, account).
		Scan(&p.ID, &p.Hash.PHC, &pepper, &p.MustChange, &madeAt, &p.Version)
	if errors.Is(err, store.ErrNoRows) {
		return nil, nil
	}
	p.Hash.Pepper, p.MadeAt = uint32(pepper), store.Time(madeAt)
	return &p, err
}

func loadTOTP(tx *store.Tx, keys *seal.Keys, account id.Account) (all []TOTP, err error) {
	rows, err := tx.Rows(`SELECT id, name, secret, algorithm, digits, period, last_step, drift, made_at, last_used_at, version, token
		FROM totp WHERE account = $1 ORDER BY made_at, id`, account)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		t := TOTP{Account: account}
		var sealed []byte
		var madeAt int64
		var usedAt sql.NullInt64
		if err := rows.Scan(&t.ID, &t.Name, &sealed, &t.Algorithm, &t.Digits, &t.Period,
			&t.LastStep, &t.Drift, &madeAt, &usedAt, &t.Version, &t.Token); err != nil {
			return nil, err
		}
		plain, err := keys.Open(totpPlace(t.ID), sealed)
		if err != nil {
			return nil, err
		}
		t.Secret, t.MadeAt, t.LastUsedAt = seal.Secret(plain), store.Time(madeAt), timeOf(usedAt)
		all = append(all, t)
	}
	return all, rows.Err()
}

func loadRecovery(tx *store.Tx, account id.Account) (*RecoverySet, error) {
	rows, err := tx.Rows(`SELECT s.id AS id, s.made_at AS made_at, s.version AS version, c.slot AS slot, c.hash AS hash, c.pepper AS pepper, c.spent_at AS spent_at
		FROM recovery_sets s JOIN recovery_codes c ON c.recovery_set = s.id WHERE s.account = $1 ORDER BY c.slot`, account)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var set *RecoverySet
	for rows.Next() {
		var r RecoverySet
		var s RecoverySlot
		var madeAt, pepper int64
		var spentAt sql.NullInt64
		if err := rows.Scan(&r.ID, &madeAt, &r.Version, &s.Slot, &s.Hash, &pepper, &spentAt); err != nil {
			return nil, err
		}
		if set == nil {
			r.MadeAt = store.Time(madeAt)
			set = &r
		}
		s.Pepper, s.SpentAt = uint32(pepper), timeOf(spentAt)
		set.Slots = append(set.Slots, s)
	}
	return set, rows.Err()
}

func timeOf(micros sql.NullInt64) time.Time {
	if !micros.Valid {
		return time.Time{}
	}
	return store.Time(micros.Int64)
}

func totpPlace(t id.Authenticator) seal.Place {
	return seal.Place{Table: "totp", Row: string(t), Column: "secret"}
}

// StillSame tells whether the credential that was checked is still the one the
// account holds. A changed password, a removed app and a new set of codes have
// another id; a rehash or another code used meanwhile changes nothing a proof
// said. Only a version older than the one that was checked (a database restored
// in between) also counts as changed. A link is not ours to judge: always false.
//
// A standby may know less than the store on which the credential was checked. What
// it holds an older version of, or nothing, it does not judge: fault.Unavailable.
func StillSame(tx *store.Tx, account id.Account, p proof.Proof) (bool, error) {
	var query string
	switch p.Method {
	case proof.Password:
		query = `SELECT id, version FROM passwords WHERE account = $1`
	case proof.TOTP:
		query = `SELECT id, version FROM totp WHERE account = $1 AND id = $2`
	case proof.RecoveryCode:
		query = `SELECT id, version FROM recovery_sets WHERE account = $1`
	case proof.Passkey, proof.Push, proof.HOTP, proof.SMS, proof.Voice, proof.Remembered:
		query = `SELECT id, version FROM credentials WHERE account = $1 AND id = $2 AND state IN ('', 'gone')`
	default:
		return false, nil
	}
	args := []any{account}
	if p.Method != proof.Password && p.Method != proof.RecoveryCode { // an account may hold several
		args = append(args, p.Authenticator)
	}
	var holds string
	var version int64
	err := tx.Row(query, args...).Scan(&holds, &version)
	if err != nil && !errors.Is(err, store.ErrNoRows) {
		return false, err
	}
	if version < p.Version && tx.Standby() {
		return false, fault.New(fault.Unavailable, errBehind)
	}
	return holds == p.Authenticator && version >= p.Version, nil
}

var errBehind = errors.New("authenticators: this store holds an older credential than the one that was checked")

// SetPassword keeps a newly chosen password: p.ID, p.Hash and p.MadeAt are the
// caller's. The former hash moves to the old ones, of which keepOld stay: one
// fewer than Policy.KeepOld, which counts the current one.
func SetPassword(tx *store.Tx, account id.Account, p Password, keepOld int) error {
	if err := retirePassword(tx, account, keepOld); err != nil {
		return err
	}
	_, err := tx.Exec(`INSERT INTO passwords (account, id, hash, pepper, must_change, made_at, version, node)
		VALUES ($1, $2, $3, $4, '', $5, 1, $6)
		ON CONFLICT (account) DO UPDATE SET id = excluded.id, hash = excluded.hash, pepper = excluded.pepper, must_change = '',
			made_at = excluded.made_at, version = passwords.version + 1, node = excluded.node`,
		account, p.ID, p.Hash.PHC, int64(p.Hash.Pepper), store.Micros(p.MadeAt), tx.Node())
	return err
}

func retirePassword(tx *store.Tx, account id.Account, keep int) error {
	if keep > 0 {
		if _, err := tx.Exec(`INSERT INTO old_passwords (id, account, hash, pepper, made_at, version, node)
			SELECT id, account, hash, pepper, made_at, 1, $2 FROM passwords WHERE account = $1`, account, tx.Node()); err != nil {
			return err
		}
	}
	_, err := tx.Exec(`DELETE FROM old_passwords WHERE account = $1 AND id NOT IN (
		SELECT o.id FROM old_passwords o WHERE o.account = $1 ORDER BY o.made_at DESC, o.id DESC LIMIT $2)`, account, keep)
	return err
}

// OldPasswords lists the hashes of the current and the last few passwords, newest
// first, at most limit: for Reused, outside the transaction.
func OldPasswords(tx *store.Tx, account id.Account, limit int) (hashes []PasswordHash, err error) {
	rows, err := tx.Rows(`SELECT u.hash AS hash, u.pepper AS pepper FROM (
			SELECT hash, pepper, made_at FROM passwords WHERE account = $1
			UNION ALL SELECT hash, pepper, made_at FROM old_passwords WHERE account = $1) u
		ORDER BY u.made_at DESC LIMIT $2`, account, limit)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var h PasswordHash
		var pepper int64
		if err := rows.Scan(&h.PHC, &pepper); err != nil {
			return nil, err
		}
		h.Pepper = uint32(pepper)
		hashes = append(hashes, h)
	}
	return hashes, rows.Err()
}

// RefreshHash replaces a hash by one of the same password with current parameters
// and pepper key. false: the password was changed or rehashed meanwhile.
func RefreshHash(tx *store.Tx, account id.Account, old, fresh PasswordHash) (bool, error) {
	return one(tx.Exec(`UPDATE passwords SET hash = $3, pepper = $4, version = version + 1, node = $5 WHERE account = $1 AND hash = $2`,
		account, old.PHC, fresh.PHC, int64(fresh.Pepper), tx.Node()))
}

// MarkCompromised asks for another password at the next sign-in, for a reason.
// false: the account has none.
func MarkCompromised(tx *store.Tx, account id.Account, why string) (bool, error) {
	return one(tx.Exec(`UPDATE passwords SET must_change = $2, version = version + 1, node = $3 WHERE account = $1`, account, why, tx.Node()))
}

// AddTOTP keeps a verified authenticator app. t.LastStep is the step of the code
// that verified it: that code opens no other door.
func AddTOTP(tx *store.Tx, keys *seal.Keys, t TOTP) error {
	sealed, err := keys.Seal(totpPlace(t.ID), []byte(t.Secret.Reveal()))
	if err != nil {
		return err
	}
	_, err = tx.Exec(`INSERT INTO totp (id, account, name, secret, algorithm, digits, period, last_step, drift, made_at, last_used_at, version, node, token)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, NULL, 1, $11, $12)`,
		t.ID, t.Account, t.Name, sealed, t.Algorithm, t.Digits, t.Period, t.LastStep, t.Drift, store.Micros(t.MadeAt), tx.Node(), t.Token)
	return err
}

// Rename gives a second authenticator of the account another name. false: it has
// no such authenticator.
func Rename(tx *store.Tx, account id.Account, a id.Authenticator, name string) (bool, error) {
	ok, err := one(tx.Exec(`UPDATE totp SET name = $3, version = version + 1, node = $4 WHERE account = $1 AND id = $2`, account, a, name, tx.Node()))
	if ok || err != nil {
		return ok, err
	}
	return one(tx.Exec(`UPDATE credentials SET name = $3, version = version + 1, node = $4 WHERE account = $1 AND id = $2`, account, a, name, tx.Node()))
}

// Remove takes a second authenticator off an account. The caller holds the
// account's row, so that two removals at once cannot leave none, and has made sure
// that another one is left. false: the account has no such authenticator.
func Remove(tx *store.Tx, account id.Account, a id.Authenticator) (bool, error) {
	ok, err := one(tx.Exec(`DELETE FROM totp WHERE account = $1 AND id = $2`, account, a))
	if ok || err != nil {
		return ok, err
	}
	return one(tx.Exec(`DELETE FROM credentials WHERE account = $1 AND id = $2`, account, a))
}

// RemoveSecond takes every second authenticator off an account, recovery codes and
// remembered browsers too. It is for operators who have made sure who asks, and
// hold the account's row; what was taken off is returned.
func RemoveSecond(tx *store.Tx, keys *seal.Keys, account id.Account) ([]Named, error) {
	kept, err := LoadUsual(tx, keys, account)
	if err != nil {
		return nil, err
	}
	for _, q := range []string{
		`DELETE FROM totp WHERE account = $1`,
		`DELETE FROM credentials WHERE account = $1`,
		`DELETE FROM recovery_codes WHERE recovery_set IN (SELECT id FROM recovery_sets WHERE account = $1)`,
		`DELETE FROM recovery_sets WHERE account = $1`,
	} {
		if _, err := tx.Exec(q, account); err != nil {
			return nil, err
		}
	}
	return kept.Named(), nil
}

// AcceptTOTP spends the time step that a proof showed: by (an attempt or session
// id) gets it or, when somebody was first or the app is gone, false. The step is
// a natural key besides, so that no two stores can both give it away unnoticed.
func AcceptTOTP(tx *store.Tx, p proof.Proof, by string) (bool, error) {
	if !takeSteps(tx, p, by) {
		return false, nil
	}
	now := store.Micros(tx.Now())
	raised, err := one(tx.Exec(`UPDATE totp SET last_step = $2, drift = $3, last_used_at = $4, version = version + 1, node = $5
		WHERE id = $1 AND last_step < $2`, p.Authenticator, p.Step, p.Drift, now, tx.Node()))
	if err != nil || !raised {
		return false, err
	}
	return useSteps(tx, p, by)
}

// BurnTOTP spends the step or the counter of a code that was refused with a hint at when it is
// right: whoever guessed it would only have to wait for that moment.
func BurnTOTP(tx *store.Tx, p proof.Proof) error {
	tx.Take("totp_used", "nobody", p.Authenticator, p.Step)
	_, err := tx.Exec(`INSERT INTO totp_used (authenticator, step, used_by, made_at, node) VALUES ($1, $2, 'nobody', $3, $4)
		ON CONFLICT (authenticator, step) DO NOTHING`, p.Authenticator, p.Step, store.Micros(tx.Now()), tx.Node())
	return err
}

// UsedBy tells whether it was this attempt that used a code up, and when: a
// second click shows the same code again and shall get the same answer.
func UsedBy(tx *store.Tx, p proof.Proof, by string) (at time.Time, ours bool, err error) {
	if p.Method == proof.SMS || p.Method == proof.Voice {
		return textUsedBy(tx, p, by)
	}
	if p.Method == proof.Push {
		return approvalUsedBy(tx, p, by)
	}
	query := `SELECT used_by, made_at FROM totp_used WHERE authenticator = $1 AND step = $2`
	if p.Method == proof.RecoveryCode {
		query = `SELECT COALESCE(spent_by, ''), COALESCE(spent_at, 0) FROM recovery_codes WHERE recovery_set = $1 AND slot = $2`
	}
	var whose string
	var micros int64
	err = tx.Row(query, p.Authenticator, p.Step).Scan(&whose, &micros)
	if errors.Is(err, store.ErrNoRows) {
		return at, false, nil
	}
	return store.Time(micros), err == nil && whose == by, err
}

// SetRecoveryCodes gives the account a new set; the old one opens nothing from
// then on. set.ID, set.MadeAt and set.Slots are the caller's (HashRecoveryCodes).
func SetRecoveryCodes(tx *store.Tx, account id.Account, set RecoverySet) error {
	if _, err := tx.Exec(`DELETE FROM recovery_codes WHERE recovery_set IN (SELECT id FROM recovery_sets WHERE account = $1)`, account); err != nil {
		return err
	}
	if _, err := tx.Exec(`INSERT INTO recovery_sets (account, id, made_at, version, node) VALUES ($1, $2, $3, 1, $4)
		ON CONFLICT (account) DO UPDATE SET id = excluded.id, made_at = excluded.made_at, version = recovery_sets.version + 1, node = excluded.node`,
		account, set.ID, store.Micros(set.MadeAt), tx.Node()); err != nil {
		return err
	}
	for _, s := range set.Slots {
		if _, err := tx.Exec(`INSERT INTO recovery_codes (recovery_set, slot, hash, pepper, spent_at, spent_by, version, node)
			VALUES ($1, $2, $3, $4, NULL, NULL, 1, $5)`, set.ID, s.Slot, s.Hash, int64(s.Pepper), tx.Node()); err != nil {
			return err
		}
	}
	return nil
}

// SpendRecoveryCode spends the code that a proof showed and counts what is left.
// ok is false when it was spent first elsewhere or a new set took its place.
func SpendRecoveryCode(tx *store.Tx, account id.Account, p proof.Proof, by string) (ok bool, left int, err error) {
	var current string
	err = tx.Row(`SELECT id FROM recovery_sets WHERE account = $1`+tx.ForUpdate(), account).Scan(&current)
	if errors.Is(err, store.ErrNoRows) || err == nil && current != p.Authenticator {
		return false, 0, nil
	}
	if err != nil {
		return false, 0, err
	}
	if !tx.Take("recovery_codes", by, current, p.Step) {
		return false, 0, nil
	}
	ok, err = one(tx.Exec(`UPDATE recovery_codes SET spent_at = $3, spent_by = $4, version = version + 1, node = $5
		WHERE recovery_set = $1 AND slot = $2 AND spent_at IS NULL`, current, p.Step, store.Micros(tx.Now()), by, tx.Node()))
	if err != nil {
		return false, 0, err
	}
	err = tx.Row(`SELECT COUNT(*) FROM recovery_codes WHERE recovery_set = $1 AND spent_at IS NULL`, current).Scan(&left)
	return ok, left, err
}

// one reads the outcome of a compare-and-set.
func one(affected int64, err error) (bool, error) { return affected == 1 && err == nil, err }
