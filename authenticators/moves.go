package authenticators

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"gatehouse/id"
	"gatehouse/seal"
	"gatehouse/store"
)

// Why somebody moves from some second authenticators to another.
const (
	MoveSwitch = "switch" // another app, the same phone or not
	MovePhone  = "phone"  // a new phone, the old one still works
	MoveLost   = "lost"   // the phone is gone: what was on it opens nothing from now on
)

// Move is a change of house that was begun and not finished. Nothing in it counts:
// what opens the account stands where it always does.
type Move struct {
	Account id.Account
	Why     string
	Leaving []id.Authenticator
	Secret  seal.Secret // of the app that is offered, base32; "" once it is set up
	MadeAt  time.Time
}

func movePlace(a id.Account) seal.Place {
	return seal.Place{Table: "moves", Row: string(a), Column: "secret"}
}

// MoveOf reads the move of an account; false when there is none. A standby knows of
// none: nothing can be set up there.
func MoveOf(tx *store.Tx, keys *seal.Keys, account id.Account) (Move, bool, error) {
	m := Move{Account: account}
	var leaving string
	var sealed []byte
	var made int64
	err := tx.Row(`SELECT why, leaving, secret, made_at FROM moves WHERE account = $1`, account).Scan(&m.Why, &leaving, &sealed, &made)
	if errors.Is(err, store.ErrNoRows) {
		return m, false, nil
	}
	if err != nil {
		return m, false, err
	}
	m.MadeAt = store.Time(made)
	if len(sealed) > 0 {
		plain, err := keys.Open(movePlace(account), sealed)
		if err != nil {
			return m, false, err
		}
		m.Secret = seal.Secret(plain)
	}
	return m, true, json.Unmarshal([]byte(leaving), &m.Leaving)
}

// KeepMove writes a move in place of any other of the account.
func KeepMove(tx *store.Tx, keys *seal.Keys, m Move) error {
	leaving, err := json.Marshal(m.Leaving)
	if err != nil {
		return err
	}
	var sealed any
	if m.Secret != "" {
		if sealed, err = keys.Seal(movePlace(m.Account), []byte(m.Secret.Reveal())); err != nil {
			return err
		}
	}
	_, err = tx.Exec(`INSERT INTO moves (account, why, leaving, secret, made_at, version, node) VALUES ($1, $2, $3, $4, $5, 1, $6)
		ON CONFLICT (account) DO UPDATE SET why = excluded.why, leaving = excluded.leaving, secret = excluded.secret,
			made_at = excluded.made_at, version = moves.version + 1, node = excluded.node`,
		m.Account, m.Why, string(leaving), sealed, store.Micros(m.MadeAt), tx.Node())
	return err
}

// EndMove forgets the move of an account, if there is one.
func EndMove(tx *store.Tx, account id.Account) error {
	_, err := tx.Exec(`DELETE FROM moves WHERE account = $1`, account)
	return err
}

// moveKept is how long a move stays that nobody goes on with.
const moveKept = 90 * 24 * time.Hour

// tidyMoves forgets moves that nobody went on with: old and new work as they do. That
// of a lost phone stays: something of it is still to be taken off.
func tidyMoves(tx *store.Tx) error {
	_, err := tx.Exec(`DELETE FROM moves WHERE made_at < $1 AND why <> 'lost'`, store.Micros(tx.Now().Add(-moveKept)))
	return err
}

// TOTPByCode finds the app or clock token whose code of about now was typed. It
// looks only: nothing is used up.
func (k Kept) TOTPByCode(typed seal.Secret, now time.Time) (TOTP, bool) {
	for _, t := range k.TOTP {
		t.LastStep = -1
		if m := t.match(typed.Reveal(), now); m.accepted {
			return t, true
		}
	}
	return TOTP{}, false
}

// CheckTOTP is the check of a code that an app or clock token among k shows.
func (k Kept) CheckTOTP(typed seal.Secret, now time.Time) Verdict {
	v, _ := totpChecker{}.Check(context.Background(), k, Shown{Secret: typed, Now: now}) // it never fails, and waits for nothing
	return v
}
