package authenticators

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"time"

	"gatehouse/id"
	"gatehouse/seal"
	"gatehouse/store"
)

// PushDevice is a device with Gatehouse Verify, as it introduces itself.
type PushDevice struct {
	Name         string        `json:"name"`
	Key          string        `json:"key"`                    // SubjectPublicKeyInfo, base64url
	Subscription *Subscription `json:"subscription,omitempty"` // nil: it hears of questions while the app is open
}

// Subscription is where a push service takes messages for a browser (Push API
// §7.1). Its endpoint lets whoever knows it send: it is kept sealed.
type Subscription struct {
	Endpoint string `json:"endpoint"`
	P256dh   string `json:"p256dh"` // the browser's public key, uncompressed, base64url
	Auth     string `json:"auth"`   // 16 bytes, base64url
	Server   string `json:"server"` // our own public key (VAPID) it was made for, base64url
}

// devicePublic is what stands in the open in a credential's row.
type devicePublic struct {
	Key  string `json:"key"`
	Push bool   `json:"push"` // it has a push address
}

// Credential makes the row of a device.
func (d PushDevice) Credential(account id.Account, c id.Authenticator, now time.Time) (Credential, error) {
	key := sha256.Sum256([]byte(d.Key))
	out := Credential{ID: c, Account: account, Kind: KindPush, Name: d.Name, MadeAt: now,
		Handle: "push:" + base64.RawURLEncoding.EncodeToString(key[:])}
	var err error
	out.Public, out.Secret, err = d.columns()
	return out, err
}

func (d PushDevice) columns() (public json.RawMessage, secret seal.Secret, err error) {
	if public, err = json.Marshal(devicePublic{d.Key, d.Subscription != nil}); err != nil || d.Subscription == nil {
		return public, "", err
	}
	plain, err := json.Marshal(d.Subscription)
	return public, seal.Secret(plain), err
}

// DeviceOf reads a device from its row.
func DeviceOf(c Credential) (PushDevice, error) {
	var public devicePublic
	if err := json.Unmarshal(c.Public, &public); err != nil {
		return PushDevice{}, err
	}
	d := PushDevice{Name: c.Name, Key: public.Key}
	if c.Secret == "" {
		return d, nil
	}
	d.Subscription = &Subscription{}
	return d, json.Unmarshal([]byte(c.Secret.Reveal()), d.Subscription)
}

// DeviceByID finds the device of any account.
func DeviceByID(tx *store.Tx, keys *seal.Keys, c id.Authenticator) (Credential, bool, error) {
	all, err := credentials(tx, keys, `SELECT `+credentialColumns+` FROM credentials WHERE id = $1 AND kind = 'push'`, c)
	if err != nil || len(all) == 0 {
		return Credential{}, false, err
	}
	return all[0], true, nil
}

// SetSubscription keeps another push address of a device, or none: then its state
// is StateGone until it brings one, and it answers while it is open.
func SetSubscription(tx *store.Tx, keys *seal.Keys, c Credential, s *Subscription) error {
	d, err := DeviceOf(c)
	if err != nil {
		return err
	}
	d.Subscription = s
	public, secret, err := d.columns()
	if err != nil {
		return err
	}
	var sealed any
	state := StateGone
	if secret != "" {
		state = StateGood
		if sealed, err = keys.Seal(credentialPlace(c.ID), []byte(secret.Reveal())); err != nil {
			return err
		}
	}
	_, err = tx.Exec(`UPDATE credentials SET public = $2, secret = $3, state = $4, version = version + 1, node = $5 WHERE id = $1 AND kind = 'push'`,
		c.ID, string(public), sealed, state, tx.Node())
	return err
}

func pairingPlace(p id.Authenticator) seal.Place {
	return seal.Place{Table: "pairings", Row: string(p), Column: "device"}
}

// Pair keeps the device that used a pairing, until its owner has typed its code or
// time is over. false: another one has used it.
func Pair(tx *store.Tx, keys *seal.Keys, pairing id.Authenticator, account id.Account, d PushDevice, until time.Time) (bool, error) {
	plain, err := json.Marshal(d)
	if err != nil {
		return false, err
	}
	sealed, err := keys.Seal(pairingPlace(pairing), plain)
	if err != nil {
		return false, err
	}
	return one(tx.Exec(`INSERT INTO pairings (id, account, device, expires_at, version, node) VALUES ($1, $2, $3, $4, 1, $5) ON CONFLICT DO NOTHING`,
		pairing, account, sealed, store.Micros(until), tx.Node()))
}

// Paired is the device that used a pairing; false: none has, or time is over.
func Paired(tx *store.Tx, keys *seal.Keys, pairing id.Authenticator, account id.Account) (d PushDevice, found bool, err error) {
	var sealed []byte
	err = tx.Row(`SELECT device FROM pairings WHERE id = $1 AND account = $2 AND expires_at > $3`, pairing, account, store.Micros(tx.Now())).Scan(&sealed)
	if errors.Is(err, store.ErrNoRows) {
		return d, false, nil
	}
	if err != nil {
		return d, false, err
	}
	plain, err := keys.Open(pairingPlace(pairing), sealed)
	if err != nil {
		return d, false, err
	}
	return d, true, json.Unmarshal(plain, &d)
}

// EndPairing empties a pairing: it has become a device, or was declined. The row
// stays until its time is over, so that the picture gives its secret to nobody else.
func EndPairing(tx *store.Tx, pairing id.Authenticator, account id.Account) error {
	_, err := tx.Exec(`UPDATE pairings SET account = '', device = $3, version = version + 1, node = $4 WHERE id = $1 AND account = $2`,
		pairing, account, []byte{}, tx.Node())
	return err
}
