package manage

import (
	"context"
	"crypto/sha256"
	"encoding/base32"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"time"

	"gatehouse/accounts"
	"gatehouse/authenticators"
	"gatehouse/events"
	"gatehouse/fault"
	"gatehouse/id"
	"gatehouse/limits"
	"gatehouse/outbox"
	"gatehouse/proof"
	"gatehouse/seal"
	"gatehouse/sessions"
	"gatehouse/store"
)

// Devices with Gatehouse Verify join an account in one scan. The picture holds a
// sealed pairing: whoever scans it first gets a secret for codes, and leaves the
// public key of the device. Nothing of it counts until the person, in the session
// that showed the picture, has typed a code of that secret: then both are added in
// one commit. A picture that somebody else scanned adds nothing.

// PairingLife is how long a picture is good for.
const PairingLife = 10 * time.Minute

// pairing is what the picture holds, as short as it can be.
type pairing struct {
	ID      id.Authenticator
	Account id.Account
	Secret  seal.Secret // of the codes, base32
}

// BeginPairing makes a picture: its sealed pairing, and the note that the other
// calls want back.
func (m *Manage) BeginPairing(ctx context.Context, c Caller) (note, token string, err error) {
	if err := m.fresh(c); err != nil {
		return "", "", err
	}
	secret, err := authenticators.NewTOTPSecret(m.Rand)
	if err != nil {
		return "", "", err
	}
	p := pairing{ID: id.New[id.Authenticator](m.Now(), m.Rand), Account: c.Ticket.Account, Secret: secret}
	if token, err = m.sealPairing(p, m.Now().Add(PairingLife)); err != nil {
		return "", "", err
	}
	note, err = m.sealPending(c, pending{Kind: "pairing", Secret: token})
	return note, token, err
}

// ShowPairing opens a note again, for a page that is drawn once more.
// fault.PairingSpent when the picture is too old.
func (m *Manage) ShowPairing(c Caller, note string) (token string, err error) {
	_, token, err = m.noted(c, note)
	return token, err
}

func (m *Manage) noted(c Caller, note string) (p pairing, token string, err error) {
	kept, err := m.openPending(c, "pairing", note)
	if err == nil {
		p, err = m.openPairing(kept.Secret)
	}
	if err == nil && p.Account != c.Ticket.Account {
		err = fault.New(fault.PairingSpent, nil)
	}
	return p, kept.Secret, err
}

const idBytes = 16

// packed is an id as 16 bytes: every byte less makes the picture easier to scan.
func packed(text string) ([]byte, error) { return hex.DecodeString(strings.ReplaceAll(text, "-", "")) }

func unpacked(b []byte) string {
	h := hex.EncodeToString(b)
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}

func (m *Manage) sealPairing(p pairing, until time.Time) (string, error) {
	raw, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(p.Secret.Reveal())
	own, err1 := packed(string(p.ID))
	account, err2 := packed(string(p.Account))
	if err := errors.Join(err, err1, err2); err != nil {
		return "", err
	}
	return m.Keys.SealToken(seal.Pairing, "", until, slices.Concat(own, account, raw))
}

func (m *Manage) openPairing(token string) (p pairing, err error) {
	raw, err := m.Keys.OpenToken(seal.Pairing, "", m.Now(), token)
	if err == nil && len(raw) <= 2*idBytes {
		err = seal.ErrForged
	}
	if err != nil {
		return p, fault.New(fault.PairingSpent, err)
	}
	return pairing{ID: id.Authenticator(unpacked(raw[:idBytes])), Account: id.Account(unpacked(raw[idBytes : 2*idBytes])),
		Secret: seal.Secret(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(raw[2*idBytes:]))}, nil
}

// Joining is a device that has scanned a picture.
type Joining struct {
	Token     string
	Device    authenticators.PushDevice
	Signature string // over JoinText, with the device's key: it holds the key it brings
	Who       sessions.Who
}

// JoinText is what a device signs to join.
func JoinText(token string, d authenticators.PushDevice) string {
	return "gatehouse verify pair 1\n" + token + "\n" + d.Key + "\n" + subscriptionHash(d.Subscription)
}

// subscriptionHash ties a push address to a signature; "-" where there is none.
func subscriptionHash(s *authenticators.Subscription) string {
	if s == nil {
		return "-"
	}
	sum := sha256.Sum256([]byte(s.Endpoint + "\n" + s.P256dh + "\n" + s.Auth + "\n" + s.Server))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// SubscribeText is what a device signs to bring another push address.
func SubscribeText(device id.Authenticator, at string, s *authenticators.Subscription) string {
	return "gatehouse verify subscribe 1\n" + string(device) + "\n" + at + "\n" + subscriptionHash(s)
}

// Joined is what a device that has joined keeps.
type Joined struct {
	Device id.Authenticator
	URI    seal.Secret // otpauth:// of the codes
	Email  string
}

// Join takes the first device that uses a picture. fault.PairingTaken for any
// other, fault.PairingSpent for a picture that is no more.
func (m *Manage) Join(ctx context.Context, j Joining) (Joined, error) {
	p, err := m.openPairing(j.Token)
	if err != nil {
		return Joined{}, err
	}
	key, err := authenticators.ParseDeviceKey(j.Device.Key)
	if err != nil {
		return Joined{}, fault.New(fault.BadRequest, err)
	}
	if !key.Verify(JoinText(j.Token, j.Device), j.Signature) {
		return Joined{}, fault.New(fault.Forbidden, errJoin)
	}
	if !m.Pace.Allow("verify/"+limits.Network(j.Who.Network), m.Now()) {
		return Joined{}, fault.New(fault.Busy, nil)
	}
	j.Device.Name = authenticators.AppName(j.Device.Name)
	joined := Joined{Device: p.ID}
	err = m.Store.Do(ctx, func(tx *store.Tx) error {
		account, found, err := accounts.ByID(tx, p.Account)
		if err != nil || !found || !account.Status.MaySignIn() {
			return orCode(err, fault.PairingSpent)
		}
		if _, there, err := authenticators.DeviceByID(tx, m.Keys, p.ID); err != nil || there {
			return orCode(err, fault.PairingTaken)
		}
		first, err := authenticators.Pair(tx, m.Keys, p.ID, p.Account, j.Device, m.Now().Add(PairingLife))
		if err != nil || !first {
			return orCode(err, fault.PairingTaken)
		}
		joined.Email, joined.URI = account.Email, seal.Secret(authenticators.KeyURI(m.Product, account.Email, p.Secret))
		return nil
	})
	if err != nil {
		return Joined{}, err
	}
	return joined, nil
}

var errJoin = errors.New("manage: a device that does not hold the key it brings")

// orCode is err, or a fault where nothing else went wrong.
func orCode(err error, code fault.Code) error {
	if err != nil {
		return err
	}
	return fault.New(code, nil)
}

// Pairing tells whether a device has scanned the picture of a note, and its name.
func (m *Manage) Pairing(ctx context.Context, c Caller, note string) (name string, joined bool, err error) {
	p, _, err := m.noted(c, note)
	if err != nil {
		return "", false, err
	}
	err = m.Store.Read(ctx, func(tx *store.Tx) error {
		d, found, err := authenticators.Paired(tx, m.Keys, p.ID, p.Account)
		name, joined = d.Name, found
		return err
	})
	return name, joined, err
}

// ErrNoDevice says that no device has scanned the picture yet.
var ErrNoDevice = errors.New("manage: no device has scanned the picture")

// ConfirmPairing adds the device and its codes once a code is right. A nil Refusal
// and ErrNoDevice: nobody has scanned the picture yet.
func (m *Manage) ConfirmPairing(ctx context.Context, c Caller, note string, code seal.Secret, name string) (Result, error) {
	if err := m.fresh(c); err != nil {
		return Result{}, err
	}
	p, _, err := m.noted(c, note)
	if err != nil {
		return Result{}, err
	}
	if why, err := m.pay(ctx, c); err != nil || why != nil {
		return Result{Refusal: why}, err
	}
	now := m.Now()
	step, drift, ok, hint := authenticators.CheckNewTOTP(p.Secret, code, now)
	if !ok {
		err := m.recordRefused(ctx, c, events.CodeRefused, map[string]string{"reason": "wrong", "method": string(proof.TOTP), "purpose": "enrol"})
		return Result{Refusal: &fault.Refusal{Code: fault.WrongCode, Hint: hint.Key, HintFields: hint.Fields()}}, err
	}
	return m.commit(ctx, c, "authenticator-changed", func(ch change) error {
		d, found, err := authenticators.Paired(ch.tx, m.Keys, p.ID, p.Account)
		if err != nil || !found {
			return orElse(err, ErrNoDevice)
		}
		if strings.TrimSpace(name) != "" {
			d.Name = authenticators.AppName(name)
		}
		if d.Name, err = m.ownName(ch, d.Name); err != nil {
			return err
		}
		t := authenticators.NewTOTP(authenticators.AppName("Gatehouse Verify, "+d.Name), p.Secret, now) // the list names both
		t.ID, t.Account, t.LastStep, t.Drift = id.Derive[id.Authenticator](string(p.ID), "codes"), p.Account, step, drift
		return m.addDevice(ch, p, d, t)
	})
}

func orElse(err, otherwise error) error {
	if err != nil {
		return err
	}
	return otherwise
}

func (m *Manage) addDevice(ch change, p pairing, d authenticators.PushDevice, t authenticators.TOTP) error {
	c, err := d.Credential(p.Account, p.ID, t.MadeAt.Add(time.Microsecond)) // the newer of the two, so that it is asked first
	if err != nil {
		return err
	}
	added, err := authenticators.AddCredential(ch.tx, m.Keys, c)
	if err != nil || !added {
		return orCode(err, fault.PairingTaken)
	}
	if err := authenticators.AddTOTP(ch.tx, m.Keys, t); err != nil {
		return err
	}
	if err := authenticators.EndPairing(ch.tx, p.ID, p.Account); err != nil {
		return err
	}
	err = m.recordWith(ch, events.AuthenticatorAdded, map[string]string{"method": "push+totp", "authenticator": string(c.ID)}, map[string]string{"name": d.Name})
	if err != nil {
		return err
	}
	return m.tell(ch, outbox.AuthenticatorAdded, outbox.Label, d.Name)
}

// DeclinePairing forgets whoever scanned the picture: it adds nothing any more.
func (m *Manage) DeclinePairing(ctx context.Context, c Caller, note string) error {
	p, _, err := m.noted(c, note)
	if err != nil {
		return err
	}
	return m.do(ctx, c, func(tx *store.Tx) error { return authenticators.EndPairing(tx, p.ID, p.Account) })
}

// Subscribe keeps the push address that a device brings, or none. The caller has
// checked the device's signature over SubscribeText.
func (m *Manage) Subscribe(ctx context.Context, device id.Authenticator, s *authenticators.Subscription) error {
	if !m.Pace.Allow("verify/"+string(device), m.Now()) {
		return fault.New(fault.Busy, nil)
	}
	return m.Store.Do(ctx, func(tx *store.Tx) error {
		c, found, err := authenticators.DeviceByID(tx, m.Keys, device)
		if err != nil || !found {
			return orCode(err, fault.DeviceUnknown)
		}
		return authenticators.SetSubscription(tx, m.Keys, c, s)
	})
}
