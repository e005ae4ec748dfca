package manage

import (
	"context"
	"strings"

	"gatehouse/accounts"
	"gatehouse/authenticators"
	"gatehouse/events"
	"gatehouse/fault"
	"gatehouse/id"
	"gatehouse/limits"
	"gatehouse/proof"
	"gatehouse/seal"
	"gatehouse/sessions"
	"gatehouse/store"
	"gatehouse/tokens"
)

// What the holder of a hardware token does with it: make it an authenticator with
// its first code, and bring it back into step with two in a row.

// ActivateToken adds the token with a serial number, which must have been assigned
// to the caller, once a code of it is right; two codes in a row put right a clock
// that is off or a button that was pressed often. fault.WrongCode for a token that
// is not theirs as for a wrong code: nobody learns what is in stock.
func (m *Manage) ActivateToken(ctx context.Context, c Caller, serial string, code seal.Secret, name string) (Result, error) {
	if err := m.fresh(c); err != nil {
		return Result{}, err
	}
	if why, err := m.pay(ctx, c); err != nil || why != nil {
		return Result{Refusal: why}, err
	}
	t, answer, why, err := m.guessToken(ctx, c, serial)
	if err != nil || why != nil {
		return Result{Refusal: why}, err
	}
	u, err := m.inUse(t, name)
	if err != nil {
		return Result{}, err
	}
	shown, hint, ok, err := u.Check(code, false, m.Now())
	if err != nil {
		return Result{}, err
	}
	if !ok || t.ID == "" {
		return m.tokenRefused(ctx, c, shown.Method, hint)
	}
	res, err := m.commit(ctx, c, "authenticator-changed", func(ch change) error { return m.keepToken(ch, t, u, shown) })
	if err == nil && res.Refusal == nil {
		m.giveBack(ctx, answer.Spent)
	}
	return res, err
}

// guessToken spends a try and reads the caller's token with a serial number; a token
// without ID, made of nothing, when there is none, so that the work is the same.
func (m *Manage) guessToken(ctx context.Context, c Caller, serial string) (t tokens.Token, answer limits.Answer, why *fault.Refusal, err error) {
	serial, _ = tokens.Serial(serial)
	err = m.do(ctx, c, func(tx *store.Tx) (err error) {
		t, why = nobodysToken(), nil
		if answer, err = m.chargeGuess(tx, c.Ticket.Account, c.Who); err != nil {
			return err
		}
		if !answer.Allowed {
			why, err = m.guessRefused(tx, c.Ticket.Account, answer, string(c.Ticket.Account), c.Who)
			return err
		}
		theirs, err := tokens.OfAccount(tx, m.Keys, c.Ticket.Account)
		for _, one := range theirs {
			if one.Serial == serial && one.State == tokens.Assigned {
				t = one
			}
		}
		return err
	})
	return t, answer, why, err
}

func nobodysToken() tokens.Token {
	return tokens.Token{Kind: tokens.TOTP, Secret: "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ", Algorithm: "SHA1", Digits: 6, Period: 30}
}

// inUse is a token as the authenticator it would become.
func (m *Manage) inUse(t tokens.Token, name string) (authenticators.InUse, error) {
	if strings.TrimSpace(name) == "" {
		name = "Code token " + t.Serial[max(0, len(t.Serial)-4):]
	}
	name, a := authenticators.AppName(name), id.New[id.Authenticator](m.Now(), m.Rand)
	if t.Kind == tokens.HOTP {
		c, err := authenticators.NewHOTP(name, t.Secret, authenticators.HOTP{Token: t.ID, Algorithm: t.Algorithm, Digits: t.Digits}, t.Counter, m.Now())
		c.ID = a
		return authenticators.InUse{Named: authenticators.Named{ID: a, Kind: authenticators.KindHOTP, Name: name}, Token: t.ID, HOTP: &c}, err
	}
	how := authenticators.Making{Algorithm: t.Algorithm, Digits: t.Digits, Period: t.Period}
	clock := how.New(name, t.Secret, m.Now())
	clock.ID, clock.Token, clock.LastStep = a, "token", t.Counter-1
	if t.ID != "" {
		clock.Token = t.ID
	}
	return authenticators.InUse{Named: authenticators.Named{ID: a, Kind: authenticators.KindApp, Name: name}, Token: t.ID, TOTP: &clock}, nil
}

func (m *Manage) tokenRefused(ctx context.Context, c Caller, method proof.Method, hint authenticators.Hint) (Result, error) {
	err := m.recordRefused(ctx, c, events.CodeRefused, map[string]string{"reason": reasonOf(hint), "method": string(method), "purpose": "enrol"})
	return Result{Refusal: &fault.Refusal{Code: fault.WrongCode, Hint: hint.Key, HintFields: hint.Fields()}}, err
}

// reasonOf is what the log calls a code of a token that was not taken.
func reasonOf(h authenticators.Hint) string {
	switch h.Key {
	case authenticators.HintTokenUsed, authenticators.HintUsed:
		return "used"
	case authenticators.HintTokenAgain:
		return "ahead"
	}
	return "wrong"
}

// keepToken makes the token an authenticator, if it is still as it was read.
func (m *Manage) keepToken(ch change, t tokens.Token, u authenticators.InUse, shown proof.Proof) error {
	var err error
	if u.HOTP != nil {
		u.HOTP.Account, u.HOTP.Counter = ch.account.ID, shown.Step+1
		_, err = authenticators.AddCredential(ch.tx, m.Keys, *u.HOTP)
	} else {
		u.TOTP.Account, u.TOTP.LastStep, u.TOTP.Drift = ch.account.ID, shown.Step, shown.Drift
		err = authenticators.AddTOTP(ch.tx, m.Keys, *u.TOTP)
	}
	if err != nil {
		return err
	}
	t.Counter = max(t.Counter, shown.Step+1)
	if err := m.step(ch.tx, t, tokens.Activated, ch.account.ID, "", string(ch.account.ID)); err != nil {
		return err
	}
	return m.added(ch, u.Named)
}

// ResyncToken brings one of the caller's tokens back into step with two codes in a
// row, which are used up by it. It takes no fresh proof: it only ever makes codes
// that were good be good no more, and may be what the fresh proof waits for. It
// works on a standby too.
func (m *Manage) ResyncToken(ctx context.Context, c Caller, a id.Authenticator, first, second seal.Secret) (why *fault.Refusal, err error) {
	if !m.Pace.Allow(string(c.Ticket.Account), m.Now()) {
		return nil, fault.New(fault.Busy, nil)
	}
	err = m.Store.Essential(ctx, func(tx *store.Tx) error {
		why = nil
		ch, err := m.hold(tx, c, "")
		if err != nil {
			return err
		}
		kept, err := authenticators.LoadUsual(tx, m.Keys, ch.account.ID)
		if err != nil {
			return err
		}
		for _, u := range kept.Tokens() {
			if u.ID == a {
				why, err = m.resync(tx, ch.account, u, joined(first, second), string(c.Ticket.Session), string(ch.account.ID), c.Who)
				return err
			}
		}
		return fault.New(fault.NotFound, nil)
	})
	return why, err
}

// joined puts two codes behind each other, as the code page takes them too.
func joined(first, second seal.Secret) seal.Secret {
	return seal.Secret(first.Reveal() + " " + second.Reveal())
}

// ResyncFor is ResyncToken by support, who has somebody on the telephone.
func (m *Manage) ResyncFor(ctx context.Context, ref TokenRef, first, second seal.Secret, actor string) (row TokenRow, why *fault.Refusal, err error) {
	key := string(id.New[id.Attempt](m.Now(), m.Rand))
	err = m.Store.Do(ctx, func(tx *store.Tx) error {
		why = nil
		t, err := m.pick(tx, ref)
		if err != nil {
			return err
		}
		if _, err := t.After(tokens.Resynchronised); err != nil {
			return err
		}
		held, _, err := accounts.Lock(tx, t.Account)
		if err != nil {
			return err
		}
		t.Secret = ""
		row = TokenRow{t, held.Email}
		kept, err := authenticators.LoadUsual(tx, m.Keys, t.Account)
		if err != nil {
			return err
		}
		for _, u := range kept.Tokens() {
			if u.Token == t.ID {
				why, err = m.resync(tx, held, u, joined(first, second), key, actor, sessions.Who{})
				return err
			}
		}
		return fault.New(fault.NotFound, ErrNoToken)
	})
	return row, why, err
}

// resync checks two codes in a row against the budgets of a sign-in and uses them up
// for by, a session or attempt.
func (m *Manage) resync(tx *store.Tx, a accounts.Account, u authenticators.InUse, typed seal.Secret, by, actor string, who sessions.Who) (*fault.Refusal, error) {
	answer, err := m.chargeGuess(tx, a.ID, who)
	if err != nil {
		return nil, err
	}
	if !answer.Allowed {
		return m.guessRefused(tx, a.ID, answer, actor, who)
	}
	shown, hint, ok, err := u.Check(typed, true, tx.Now())
	if err != nil {
		return nil, err
	}
	if !shown.Pair { // two were asked for: what one code alone would be worth is told to nobody
		hint = authenticators.Hint{}
	}
	accept := authenticators.AcceptHOTP
	if u.TOTP != nil {
		accept = authenticators.AcceptTOTP
	}
	if ok {
		if ok, err = accept(tx, shown, by); err != nil {
			return nil, err
		}
	}
	e := events.Event{Kind: events.TokenResynced, Account: a.ID, Actor: actor, Data: map[string]string{"token": string(u.Token), "authenticator": string(u.ID)}, Personal: who.Personal()}
	if actor == string(a.ID) {
		e.Session = id.Session(by)
	} else {
		e.Attempt = id.Attempt(by)
	}
	if !ok {
		e.Kind, e.Data = events.CodeRefused, map[string]string{"reason": reasonOf(hint), "method": string(shown.Method), "purpose": "resync", "authenticator": string(u.ID)}
		return &fault.Refusal{Code: fault.WrongCode, Hint: hint.Key, HintFields: hint.Fields()}, m.append(tx, e)
	}
	if err := limits.GiveBack(tx, answer.Spent); err != nil {
		return nil, err
	}
	if !tx.Standby() { // the stock is not on it; the event is handed over
		if err := tokens.Note(tx, u.Token, m.line(), tokens.Step{What: tokens.Resynchronised, Account: a.ID, Actor: actor}); err != nil {
			return nil, err
		}
	}
	return nil, m.append(tx, e)
}
