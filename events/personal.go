package events

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"gatehouse/fault"
	"gatehouse/id"
	"gatehouse/seal"
	"gatehouse/store"
)

// keySize is that of AES-256.
const keySize = 32

// Introduce makes the data key of an account. It does nothing for an account
// that has one, and for one that was forgotten: a person is not un-erased.
func (l *Log) Introduce(tx *store.Tx, account id.Account) error {
	key := make([]byte, keySize)
	if _, err := io.ReadFull(l.rand, key); err != nil {
		return err
	}
	sealed, err := l.keys.Seal(keyPlace(account), key)
	if err != nil {
		return err
	}
	return insertKey(tx, account, sealed)
}

// Prepare makes the decoy's key; the program calls it at start-up.
func (l *Log) Prepare(tx *store.Tx) error { return l.Introduce(tx, Nobody) }

// Forget destroys the key of an account: the personal data of its events can
// never be read again, here or in any copy of the log that is younger than the
// copies of the key. Later events of the account are recorded without any.
func (l *Log) Forget(tx *store.Tx, account id.Account) error {
	if account == Nobody {
		return errors.New("events: the decoy's key cannot be destroyed")
	}
	return destroyKey(tx, account)
}

func keyPlace(account id.Account) seal.Place {
	return seal.Place{Table: "account_keys", Row: string(account), Column: "sealed"}
}

// sealPersonal returns nil when there is nothing to seal, or nobody left to seal it for.
func (l *Log) sealPersonal(tx *store.Tx, e Event) ([]byte, error) {
	if len(e.Personal) == 0 {
		return nil, nil
	}
	wrapped, err := readKey(tx, e.Account)
	if errors.Is(err, store.ErrNoRows) {
		err = fmt.Errorf("events: %s concerns an account that was not introduced", e.Kind)
		if tx.Standby() { // which has not heard of the account yet
			err = fault.New(fault.Unavailable, err)
		}
	}
	if err != nil || len(wrapped) == 0 {
		return nil, err
	}
	key, err := l.keys.Open(keyPlace(e.Account), wrapped)
	if err != nil {
		return nil, err
	}
	return closePersonal(key, e.ID, e.Personal)
}

// sealer is AES-256-GCM with a random nonce in front: at most 2³² events an
// account (NIST SP 800-38D §8.3), which is more than a thousand a second for a month.
func sealer(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}

// bound is the associated data: a value copied to another event does not open.
func bound(event id.Event) []byte { return []byte("events\x00" + string(event) + "\x00personal") }

func closePersonal(key []byte, event id.Event, personal map[string]string) ([]byte, error) {
	plain, err := json.Marshal(personal)
	if err != nil {
		return nil, err
	}
	gcm, err := sealer(key)
	if err != nil {
		return nil, err
	}
	return gcm.Seal(nil, nil, plain, bound(event)), nil
}

// openPersonal returns what closePersonal sealed for the same event, or seal.ErrForged.
func openPersonal(key []byte, event id.Event, sealed []byte) (map[string]string, error) {
	gcm, err := sealer(key)
	if err != nil {
		return nil, seal.ErrForged
	}
	plain, err := gcm.Open(nil, nil, sealed, bound(event))
	if err != nil {
		return nil, seal.ErrForged
	}
	var personal map[string]string
	if err := json.Unmarshal(plain, &personal); err != nil {
		return nil, seal.ErrForged
	}
	return personal, nil
}
