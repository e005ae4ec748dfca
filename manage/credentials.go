package manage

import (
	"context"
	"strings"

	"gatehouse/access"
	"gatehouse/accounts"
	"gatehouse/authenticators"
	"gatehouse/events"
	"gatehouse/fault"
	"gatehouse/id"
	"gatehouse/outbox"
	"gatehouse/proof"
	"gatehouse/seal"
	"gatehouse/store"
)

// ChangePassword gives the caller another password. fault.FreshProofNeeded when
// the last full proof is too old.
func (m *Manage) ChangePassword(ctx context.Context, c Caller, pw seal.Secret) (Result, error) {
	if err := m.fresh(c); err != nil {
		return Result{}, err
	}
	if len(pw) > authenticators.MaxPasswordBytes {
		return refused(fault.PasswordTooLong), nil
	}
	if why, err := m.pay(ctx, c); err != nil || why != nil {
		return Result{Refusal: why}, err
	}
	reasons, err := m.judge(ctx, c, pw)
	if err != nil {
		return Result{}, err
	}
	if len(reasons) > 0 {
		var rules []string
		for _, r := range reasons {
			rules = append(rules, strings.TrimPrefix(r.Key, "password.reason."))
		}
		err := m.recordRefused(ctx, c, events.PasswordRefused, map[string]string{"reasons": strings.Join(rules, ",")})
		return Result{Refusal: &fault.Refusal{Code: fault.PasswordRefused, Reasons: reasons}}, err
	}
	hash, err := m.Choose.Hasher.Hash(ctx, c.Ticket.Account, pw)
	if err != nil {
		return Result{}, err
	}
	p := authenticators.Password{ID: id.New[id.Authenticator](m.Now(), m.Rand), Hash: hash, MadeAt: m.Now()}
	shown := proof.Proof{Method: proof.Password, Authenticator: string(p.ID), Version: 1, At: c.Ticket.AuthTime()}
	c.Ticket.Proofs = proofOf(c.Ticket.Proofs, shown)
	return m.commit(ctx, c, "password-changed", func(ch change) error {
		if err := authenticators.SetPassword(ch.tx, ch.account.ID, p, max(m.Choose.Policy.KeepOld-1, 0)); err != nil {
			return err
		}
		if err := m.record(ch, events.PasswordChanged, map[string]string{"by": "person"}); err != nil {
			return err
		}
		return m.tell(ch, outbox.PasswordChanged)
	})
}

// recordRefused records a change that was not made because of what was entered.
func (m *Manage) recordRefused(ctx context.Context, c Caller, kind events.Kind, data map[string]string) error {
	return m.Store.Do(ctx, func(tx *store.Tx) error {
		return m.append(tx, events.Event{Kind: kind, Account: c.Ticket.Account, Actor: string(c.Ticket.Account),
			Session: c.Ticket.Session, Data: data, Personal: c.Who.Personal()})
	})
}

func (m *Manage) judge(ctx context.Context, c Caller, pw seal.Secret) ([]fault.Reason, error) {
	var who authenticators.Personal
	var old []authenticators.PasswordHash
	err := m.Store.Read(ctx, func(tx *store.Tx) (err error) {
		if who, err = m.personal(tx, c.Ticket.Account); err != nil {
			return err
		}
		old, err = authenticators.OldPasswords(tx, c.Ticket.Account, m.Choose.Policy.KeepOld)
		return err
	})
	if err != nil {
		return nil, err
	}
	return m.Choose.Judge(ctx, c.Ticket.Account, pw, who, old)
}

// BeginTOTP starts adding an authenticator app: its secret, its otpauth address,
// and a sealed note that ConfirmTOTP wants back. Nothing is kept until then.
func (m *Manage) BeginTOTP(ctx context.Context, c Caller) (note string, secret, uri seal.Secret, err error) {
	if err := m.fresh(c); err != nil {
		return "", "", "", err
	}
	o, err := m.Overview(ctx, c)
	if err != nil {
		return "", "", "", err
	}
	if secret, err = authenticators.NewTOTPSecret(m.Rand); err != nil {
		return "", "", "", err
	}
	note, err = m.sealPending(c, pending{Kind: "totp", Secret: secret.Reveal(), How: m.Apps})
	return note, secret, m.Apps.New("", secret, m.Now()).KeyURI(m.Product, o.Account.Email), err
}

// ShowTOTP opens a note again, for a page that is drawn once more.
func (m *Manage) ShowTOTP(ctx context.Context, c Caller, note string) (secret, uri seal.Secret, err error) {
	p, err := m.openPending(c, "totp", note)
	if err != nil {
		return "", "", err
	}
	o, err := m.Overview(ctx, c)
	secret = seal.Secret(p.Secret)
	return secret, p.How.New("", secret, m.Now()).KeyURI(m.Product, o.Account.Email), err
}

// ConfirmTOTP adds the app of a note once a code of it is right.
func (m *Manage) ConfirmTOTP(ctx context.Context, c Caller, note string, code seal.Secret, name string) (Result, error) {
	if err := m.fresh(c); err != nil {
		return Result{}, err
	}
	p, err := m.openPending(c, "totp", note)
	if err != nil {
		return Result{}, err
	}
	if why, err := m.pay(ctx, c); err != nil || why != nil {
		return Result{Refusal: why}, err
	}
	now := m.Now()
	step, drift, ok, hint := p.How.New("", seal.Secret(p.Secret), now).CheckNew(code, now)
	if !ok {
		err := m.recordRefused(ctx, c, events.CodeRefused, map[string]string{"reason": "wrong", "method": string(proof.TOTP), "purpose": "enrol"})
		return Result{Refusal: &fault.Refusal{Code: fault.WrongCode, Hint: hint.Key, HintFields: hint.Fields()}}, err
	}
	t := p.How.New(authenticators.AppName(name), seal.Secret(p.Secret), now)
	t.ID, t.Account, t.LastStep, t.Drift = id.Derive[id.Authenticator](string(c.Ticket.Session), p.Secret), c.Ticket.Account, step, drift
	return m.commit(ctx, c, "authenticator-changed", func(ch change) (err error) {
		if t.Name, err = m.ownName(ch, authenticators.AppName(name), t.ID); err != nil {
			return err
		}
		if err := authenticators.AddTOTP(ch.tx, m.Keys, t); err != nil {
			return err
		}
		return m.added(ch, authenticators.Named{ID: t.ID, Kind: authenticators.KindApp, Name: t.Name})
	})
}

func (m *Manage) recordSecond(ch change, kind events.Kind, s authenticators.Named) error {
	return m.recordWith(ch, kind, map[string]string{"method": string(s.Kind.Method()), "authenticator": string(s.ID)}, map[string]string{"name": s.Name})
}

// added records a second authenticator that was added in a change and tells its
// owner; rooms that add one call it in the transaction that does.
func (m *Manage) added(ch change, s authenticators.Named) error {
	if err := m.recordSecond(ch, events.AuthenticatorAdded, s); err != nil {
		return err
	}
	return m.tell(ch, outbox.AuthenticatorAdded, outbox.Label, s.Name)
}

// second finds one of the caller's second authenticators by id; fault.NotFound.
func (m *Manage) second(tx *store.Tx, account id.Account, a id.Authenticator) (authenticators.Kept, authenticators.Named, error) {
	kept, err := authenticators.LoadUsual(tx, m.Keys, account)
	if err != nil {
		return kept, authenticators.Named{}, err
	}
	for _, s := range kept.Named() {
		if s.ID == a {
			return kept, s, nil
		}
	}
	return kept, authenticators.Named{}, fault.New(fault.NotFound, nil)
}

// Rename changes what a second authenticator is called; it changes nobody's
// rights, so a signed-in person may do it without a fresh proof.
func (m *Manage) Rename(ctx context.Context, c Caller, a id.Authenticator, name string) error {
	name = authenticators.AppName(name)
	return m.do(ctx, c, func(tx *store.Tx) error {
		ch, err := m.hold(tx, c, "")
		if err != nil {
			return err
		}
		_, s, err := m.second(tx, ch.account.ID, a)
		if err != nil {
			return err
		}
		if _, err := authenticators.Rename(tx, ch.account.ID, a, name); err != nil {
			return err
		}
		s.Name = name
		return m.recordSecond(ch, events.AuthenticatorRenamed, s)
	})
}

// Remove takes a second authenticator off the caller's account; never the last one
// that opens it (fault.LastAuthenticator).
func (m *Manage) Remove(ctx context.Context, c Caller, a id.Authenticator) (Result, error) {
	res, err := m.commit(ctx, c, "authenticator-changed", func(ch change) error {
		kept, s, err := m.second(ch.tx, ch.account.ID, a)
		if err != nil {
			return err
		}
		rest := kept.Without(a)
		if rest.Seconds(ch.tx.Now()) == 0 && (kept.Seconds(ch.tx.Now()) > 0 || len(rest.Named()) == 0) {
			return fault.New(fault.LastAuthenticator, nil)
		}
		if _, err := authenticators.Remove(ch.tx, ch.account.ID, a); err != nil {
			return err
		}
		if err := m.tokenOff(ch.tx, kept, a, string(ch.account.ID)); err != nil {
			return err
		}
		if err := phoneStopped(ch, kept, a); err != nil {
			return err
		}
		if err := m.recordSecond(ch, events.AuthenticatorRemoved, s); err != nil {
			return err
		}
		return m.tell(ch, outbox.AuthenticatorRemoved, outbox.Label, s.Name)
	})
	if fault.Of(err) == fault.LastAuthenticator {
		return refused(fault.LastAuthenticator), nil
	}
	return res, err
}

// BeginRecoveryCodes makes a new set of codes to be shown once, and the sealed
// note that ConfirmRecoveryCodes wants back. The old set opens until then.
func (m *Manage) BeginRecoveryCodes(c Caller) (note string, codes []seal.Secret, err error) {
	if err := m.fresh(c); err != nil {
		return "", nil, err
	}
	if codes, err = authenticators.NewRecoveryCodes(m.Rand); err != nil {
		return "", nil, err
	}
	p := pending{Kind: "codes"}
	for _, code := range codes {
		p.Codes = append(p.Codes, code.Reveal())
	}
	note, err = m.sealPending(c, p)
	return note, codes, err
}

// ShowRecoveryCodes opens a note again, for a page that is drawn once more.
func (m *Manage) ShowRecoveryCodes(c Caller, note string) ([]seal.Secret, error) {
	p, err := m.openPending(c, "codes", note)
	return secrets(p.Codes), err
}

func secrets(texts []string) []seal.Secret {
	var all []seal.Secret
	for _, t := range texts {
		all = append(all, seal.Secret(t))
	}
	return all
}

// ConfirmRecoveryCodes puts the new set in force once the person says it is kept.
// The old set opens nothing from then on.
func (m *Manage) ConfirmRecoveryCodes(ctx context.Context, c Caller, note string, confirmed bool) (Result, error) {
	if err := m.fresh(c); err != nil {
		return Result{}, err
	}
	p, err := m.openPending(c, "codes", note)
	if err != nil {
		return Result{}, err
	}
	if !confirmed {
		return refused(fault.ConfirmCodes), nil
	}
	set := authenticators.RecoverySet{ID: id.New[id.Authenticator](m.Now(), m.Rand), MadeAt: m.Now()}
	if set.Slots, err = authenticators.HashRecoveryCodes(m.Keys, set.ID, secrets(p.Codes)); err != nil {
		return Result{}, err
	}
	return m.commit(ctx, c, "recovery-codes-changed", func(ch change) error {
		if err := authenticators.SetRecoveryCodes(ch.tx, ch.account.ID, set); err != nil {
			return err
		}
		if err := m.record(ch, events.RecoveryCodesMade, nil); err != nil {
			return err
		}
		return m.tell(ch, outbox.RecoveryCodesMade)
	})
}

// personal gathers the words an attacker tries first for a person.
func (m *Manage) personal(tx *store.Tx, account id.Account) (authenticators.Personal, error) {
	who, _, err := accounts.ByID(tx, account)
	if err != nil {
		return authenticators.Personal{}, err
	}
	organisations, err := access.OrganisationNames(tx, account)
	return authenticators.Personal{Email: who.Email, Name: who.Name, Organisations: organisations, Product: m.Product}, err
}
