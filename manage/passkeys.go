package manage

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"io"

	"gatehouse/authenticators"
	"gatehouse/events"
	"gatehouse/fault"
	"gatehouse/id"
	"gatehouse/proof"
	"gatehouse/seal"
)

// hintKnownPasskey tells a person that what they want to add is theirs already.
const hintKnownPasskey = "passkey.hint.known"

// BeginPasskey starts adding a passkey or a security key: what to ask the browser
// with (PublicKeyCredentialCreationOptionsJSON), and a sealed note that
// ConfirmPasskey wants back. Nothing is kept until then.
func (m *Manage) BeginPasskey(ctx context.Context, c Caller, as authenticators.PasskeySort) (note string, options json.RawMessage, err error) {
	if err := m.fresh(c); err != nil {
		return "", nil, err
	}
	if m.Passkeys == nil {
		return "", nil, fault.New(fault.NotFound, nil)
	}
	challenge := make([]byte, 32)
	if _, err := io.ReadFull(m.Rand, challenge); err != nil {
		return "", nil, err
	}
	user, keys, err := m.passkeyUser(ctx, c)
	if err != nil {
		return "", nil, err
	}
	if options, err = m.Passkeys.CreationOptions(user, challenge, keys, as); err != nil {
		return "", nil, err
	}
	note, err = m.sealPending(c, pending{Kind: "passkey " + string(as), Secret: base64.RawURLEncoding.EncodeToString(challenge)})
	return note, options, err
}

// passkeyUser is the caller as an authenticator is told of them, and every passkey
// they have: none is made twice on one device, those switched off included.
func (m *Manage) passkeyUser(ctx context.Context, c Caller) (authenticators.PasskeyUser, []authenticators.Credential, error) {
	o, err := m.Overview(ctx, c)
	a := o.Account
	return authenticators.PasskeyUser{Account: a.ID, Email: a.Email, Name: a.Name},
		authenticators.Kept{Credentials: o.Credentials}.Of(authenticators.KindPasskey), err
}

// ConfirmPasskey adds the passkey that the browser has made for a note. name is
// what it is called when its maker tells no model.
func (m *Manage) ConfirmPasskey(ctx context.Context, c Caller, as authenticators.PasskeySort, note string, answer seal.Secret, name string) (Result, error) {
	if err := m.fresh(c); err != nil {
		return Result{}, err
	}
	if m.Passkeys == nil {
		return Result{}, fault.New(fault.NotFound, nil)
	}
	p, err := m.openPending(c, "passkey "+string(as), note)
	if err != nil {
		return Result{}, err
	}
	if why, err := m.pay(ctx, c); err != nil || why != nil {
		return Result{Refusal: why}, err
	}
	challenge, err := base64.RawURLEncoding.DecodeString(p.Secret)
	if err != nil {
		return Result{}, fault.New(fault.AttemptExpired, err)
	}
	user, _, err := m.passkeyUser(ctx, c)
	if err != nil {
		return Result{}, err
	}
	key, _, hint, ok := m.Passkeys.CheckNew(user, challenge, answer, as, m.Now())
	if !ok {
		return m.passkeyNotAdded(ctx, c, hint)
	}
	key.ID, key.Account = id.Derive[id.Authenticator](string(c.Ticket.Session), p.Secret), c.Ticket.Account
	known := false
	res, err := m.commit(ctx, c, "authenticator-changed", func(ch change) error {
		var err error
		if key.Name, err = m.ownName(ch, authenticators.PasskeyName(key, name), key.ID); err != nil {
			return err
		}
		added, err := authenticators.AddCredential(ch.tx, m.Keys, key)
		if known = err == nil && !added; known {
			return fault.New(fault.Conflict, nil)
		}
		if err != nil {
			return err
		}
		return m.added(ch, authenticators.Named{ID: key.ID, Kind: key.Kind, Name: key.Name})
	})
	if known {
		return m.passkeyNotAdded(ctx, c, authenticators.Hint{Key: hintKnownPasskey, Reason: "known"})
	}
	return res, err
}

// passkeyNotAdded records a passkey that was not right, or is somebody's already.
func (m *Manage) passkeyNotAdded(ctx context.Context, c Caller, hint authenticators.Hint) (Result, error) {
	err := m.recordRefused(ctx, c, events.CodeRefused, map[string]string{"reason": hint.Reason, "method": string(proof.Passkey), "purpose": "enrol"})
	return Result{Refusal: &fault.Refusal{Code: fault.WrongPasskey, Hint: hint.Key}}, err
}
