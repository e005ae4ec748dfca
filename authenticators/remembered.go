package authenticators

import (
	"encoding/base64"
	"encoding/json"
	"io"
	"slices"
	"time"

	"gatehouse/id"
	"gatehouse/proof"
	"gatehouse/seal"
	"gatehouse/store"
)

// A browser may be remembered after its person has shown a second authenticator
// on it: for a while it is one itself, beside the password. Why it is bound as it
// is: docs/decisions/0026-moving-and-remembering.md.

// MostRemembered is how many browsers of one person are remembered at once; one
// more forgets the oldest.
const MostRemembered = 10

// StateForgotten is a remembered browser that its person, or a theft that was
// noticed, has ended. The row stays until the next one is remembered, so that a
// standby can say it too.
const StateForgotten = "forgotten"

const trustBytes = 32 // 256 bits: nobody guesses it, so a keyed hash without salt or work will do

// Trust is what the cookie of a remembered browser says, sealed.
type Trust struct {
	ID      id.Authenticator `json:"i"`
	Account id.Account       `json:"a"`
	Device  id.Device        `json:"d"` // whose device token has to come along
	Secret  string           `json:"s"` // base64url
}

// rememberedFacts stand in Credential.Public.
type rememberedFacts struct {
	Device id.Device `json:"device"`
	Epoch  int64     `json:"epoch"` // of the account: whatever ends its sessions ends this too
	Hash   []byte    `json:"hash"`  // keyed, of Trust.Secret
	Pepper uint32    `json:"pepper"`
}

// NewRemembered makes the credential of a browser and what its cookie says. name
// is what the browser calls itself, in words.
func NewRemembered(keys *seal.Keys, random io.Reader, account id.Account, epoch int64, device id.Device, name string, now, until time.Time) (Credential, Trust, error) {
	secret := make([]byte, trustBytes)
	if _, err := io.ReadFull(random, secret); err != nil {
		return Credential{}, Trust{}, err
	}
	c := Credential{ID: id.New[id.Authenticator](now, random), Account: account, Kind: KindRemembered, Name: AppName(name), MadeAt: now, ExpiresAt: until}
	t := Trust{ID: c.ID, Account: account, Device: device, Secret: base64.RawURLEncoding.EncodeToString(secret)}
	facts := rememberedFacts{Device: device, Epoch: epoch}
	var err error
	if facts.Pepper, facts.Hash, err = keys.Pepper(rememberedPlace(c.ID), []byte(t.Secret)); err != nil {
		return c, t, err
	}
	c.Public, err = json.Marshal(facts)
	return c, t, err
}

func rememberedPlace(c id.Authenticator) seal.Place {
	return seal.Place{Table: "credentials", Row: string(c), Column: "public"}
}

// Recognised is what a remembered browser's cookie turned out to be.
type Recognised int

// The outcomes. Nobody is told which: the next thing asked for is the same.
const (
	Unknown   Recognised = iota // no such browser, or not its secret
	Over                        // expired, forgotten, or older than a change of what opens the account
	Elsewhere                   // right in all, and shown by another browser than it was given to: a copy
	Good
)

// Recognise compares what a cookie says with the credential it names. epoch is the
// account's; device is of the browser that shows it.
func Recognise(keys *seal.Keys, c Credential, t Trust, device id.Device, epoch int64, now time.Time) (proof.Proof, Recognised) {
	var facts rememberedFacts
	if c.Kind != KindRemembered || c.ID != t.ID || c.Account != t.Account || json.Unmarshal(c.Public, &facts) != nil {
		return proof.Proof{}, Unknown
	}
	sum, err := keys.PepperWith(facts.Pepper, rememberedPlace(c.ID), []byte(t.Secret))
	switch {
	case err != nil || !same(sum, facts.Hash):
		return proof.Proof{}, Unknown
	case !c.Opens(now) || facts.Epoch != epoch:
		return proof.Proof{}, Over
	case device == "" || device != facts.Device || device != t.Device:
		return proof.Proof{}, Elsewhere
	}
	return proof.Proof{Method: proof.Remembered, Authenticator: string(c.ID), Version: c.Version, At: now.UTC()}, Good
}

// Remembered lists the browsers that are remembered for an account with an epoch,
// newest first: those whose cookie would be good now.
func (k Kept) Remembered(epoch int64, now time.Time) []Credential {
	all := slices.DeleteFunc(k.Usable(KindRemembered, now), func(c Credential) bool {
		var facts rememberedFacts
		return json.Unmarshal(c.Public, &facts) != nil || facts.Epoch != epoch
	})
	slices.Reverse(all)
	return all
}

// KeepRemembered adds a browser, and takes off those that are over, the one that
// the same browser had before, and the oldest beyond MostRemembered. The caller
// holds the account's row.
func KeepRemembered(tx *store.Tx, keys *seal.Keys, c Credential, epoch int64) error {
	all, err := loadCredentials(tx, keys, c.Account)
	if err != nil {
		return err
	}
	k := Kept{Credentials: all}
	living := slices.DeleteFunc(k.Remembered(epoch, tx.Now()), func(old Credential) bool { return deviceOf(old) == deviceOf(c) })
	living = living[:min(len(living), MostRemembered-1)]
	for _, old := range k.Of(KindRemembered) {
		if slices.ContainsFunc(living, func(l Credential) bool { return l.ID == old.ID }) {
			continue
		}
		if _, err := Remove(tx, c.Account, old.ID); err != nil {
			return err
		}
	}
	_, err = AddCredential(tx, keys, c)
	return err
}

func deviceOf(c Credential) id.Device {
	var facts rememberedFacts
	_ = json.Unmarshal(c.Public, &facts) // a row that cannot be read belongs to no browser
	return facts.Device
}

// ForgetRemembered makes remembered browsers of an account open nothing: one, or
// all of them for "". It says how many. A standby may do it: it only denies.
func ForgetRemembered(tx *store.Tx, account id.Account, c id.Authenticator) (int64, error) {
	tx.Through()
	return tx.Exec(`UPDATE credentials SET state = $1, version = version + 1, node = $2
		WHERE account = $3 AND kind = 'remembered' AND state = '' AND ($4 = '' OR id = $4)`, StateForgotten, tx.Node(), account, c)
}
