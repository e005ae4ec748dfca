package authenticators

import (
	"errors"
	"io"
	"time"

	"gatehouse/events"
	"gatehouse/id"
	"gatehouse/seal"
	"gatehouse/store"
)

// decoyID names every credential of nobody: they are made once for all nodes.
const decoyID = id.Authenticator(events.Nobody)

// Prepare gives nobody a password, an app and recovery codes that open nothing,
// once per database. Loading them for an unknown name reads as many rows and
// opens as many seals as loading those of a person.
func Prepare(tx *store.Tx, keys *seal.Keys, rand io.Reader) error {
	fresh, err := one(tx.Exec(`INSERT INTO passwords (account, id, hash, pepper, must_change, made_at, version, node)
		VALUES ($1, $2, '', $3, '', $4, 1, $5) ON CONFLICT (account) DO NOTHING`,
		events.Nobody, decoyID, int64(keys.PepperID()), store.Micros(tx.Now()), tx.Node()))
	if err != nil || !fresh {
		return err
	}
	secret, err := NewTOTPSecret(rand)
	if err != nil {
		return err
	}
	app := NewTOTP("", secret, tx.Now())
	app.ID, app.Account = decoyID, events.Nobody
	if err := AddTOTP(tx, keys, app); err != nil {
		return err
	}
	return prepareCodes(tx, keys, rand, tx.Now())
}

func prepareCodes(tx *store.Tx, keys *seal.Keys, rand io.Reader, now time.Time) error {
	codes, err := NewRecoveryCodes(rand)
	if err != nil {
		return err
	}
	slots, err := HashRecoveryCodes(keys, decoyID, codes)
	if err != nil {
		return err
	}
	return SetRecoveryCodes(tx, events.Nobody, RecoverySet{ID: decoyID, MadeAt: now, Slots: slots})
}

// CheckKeys opens what Prepare made. seal.ErrForeign says that vault or pepper
// are those of another installation: with them every sign-in would fail, so it is
// better told at the start.
func CheckKeys(tx *store.Tx, keys *seal.Keys) error {
	kept, err := Load(tx, keys, events.Nobody)
	if errors.Is(err, seal.ErrForged) {
		return seal.ErrForeign
	}
	if err != nil || kept.Recovery == nil {
		return err
	}
	for _, s := range kept.Recovery.Slots {
		if _, err := keys.PepperWith(s.Pepper, recoveryPlace(decoyID, s.Slot), nil); err != nil {
			return seal.ErrForeign
		}
	}
	return nil
}
