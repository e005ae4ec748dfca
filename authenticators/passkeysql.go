package authenticators

import (
	"encoding/json"
	"errors"

	"gatehouse/proof"
	"gatehouse/store"
)

// AcceptPasskey uses an assertion up: the counter goes up, last use and backup
// state are kept. A counter that does not go up, and is not 0 as ever, is that of
// a copy (L3 §7.2 step 22): the passkey opens nothing from then on, in state
// "cloned", and false is returned. The caller commits either way.
//
// What protects against the same assertion twice is the challenge: it is bound to
// one attempt (by), an attempt opens at most one session, and its second commit
// gets the first one's answer. A key that counts adds to that: its count is a
// natural key of totp_used, so that UsedBy knows a second click from a replay, and
// no two stores can both take it unnoticed. One that does not count (0, as every
// synced passkey) has the attempt alone.
func AcceptPasskey(tx *store.Tx, p proof.Proof, by string) (bool, error) {
	if p.Step > 0 && !tx.Take("totp_used", by, p.Authenticator, p.Step) {
		return false, orMarkCloned(tx, p, nil) // this node knows that another attempt showed the same count
	}
	kept, state, err := passkeyRow(tx, p.Authenticator)
	if errors.Is(err, store.ErrNoRows) || err == nil && state != StateGood {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if p.Step > 0 { // the same answer sent again, long after: no copy, and no second use
		if _, ours, err := UsedBy(tx, p, by); err != nil || ours {
			return false, err
		}
	}
	kept.BackedUp = kept.BackupEligible && p.Drift == 1
	now := store.Micros(tx.Now())
	raised, err := one(tx.Exec(`UPDATE credentials SET counter = $2, public = $3, last_used_at = $4, version = version + 1, node = $5
		WHERE id = $1 AND kind = 'passkey' AND state = '' AND (counter < $2 OR counter = 0 AND $2 = 0)`,
		p.Authenticator, p.Step, string(kept.public()), now, tx.Node()))
	if err != nil || !raised {
		return false, orMarkCloned(tx, p, err)
	}
	if p.Step == 0 {
		return true, nil
	}
	return one(tx.Exec(`INSERT INTO totp_used (authenticator, step, used_by, made_at, node) VALUES ($1, $2, $3, $4, $5)
		ON CONFLICT (authenticator, step) DO NOTHING`, p.Authenticator, p.Step, by, now, tx.Node()))
}

func passkeyRow(tx *store.Tx, passkey string) (f PasskeyFacts, state string, err error) {
	var public string
	err = tx.Row(`SELECT public, state FROM credentials WHERE id = $1 AND kind = 'passkey'`+tx.ForUpdate(), passkey).Scan(&public, &state)
	if err != nil {
		return f, "", err
	}
	return f, state, json.Unmarshal([]byte(public), &f)
}

func orMarkCloned(tx *store.Tx, p proof.Proof, err error) error {
	if err != nil {
		return err
	}
	_, err = tx.Exec(`UPDATE credentials SET state = 'cloned', version = version + 1, node = $2 WHERE id = $1 AND state = ''`, p.Authenticator, tx.Node())
	return err
}
