package manage

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"gatehouse/accounts"
	"gatehouse/authenticators"
	"gatehouse/events"
	"gatehouse/fault"
	"gatehouse/id"
	"gatehouse/outbox"
	"gatehouse/seal"
	"gatehouse/sessions"
	"gatehouse/store"
	"gatehouse/tokens"
)

// The stock of hardware code tokens, as operators look after it. Each change, its
// line in the token's history and its event are one transaction.

// TokenRef is how an operator names a token.
type TokenRef struct {
	Serial       string
	Manufacturer string // only needed where two makers use the same serial number
}

// TokenRow is a token without its secret, and the address of whoever it is with.
type TokenRow struct {
	tokens.Token
	Email string
}

// ErrNoToken says that no token has a serial number.
var ErrNoToken = errors.New("no token in stock or in use has this serial number")

func (m *Manage) line() id.Message { return id.New[id.Message](m.Now(), m.Rand) }

// pick finds the one token that an operator means.
func (m *Manage) pick(tx *store.Tx, ref TokenRef) (tokens.Token, error) {
	serial, ok := tokens.Serial(ref.Serial)
	if !ok {
		return tokens.Token{}, fault.New(fault.NotFound, ErrNoToken)
	}
	all, err := tokens.BySerial(tx, m.Keys, serial)
	if err != nil {
		return tokens.Token{}, err
	}
	var makers []string
	var found []tokens.Token
	for _, t := range all {
		if ref.Manufacturer == "" || strings.EqualFold(t.Manufacturer, ref.Manufacturer) {
			found, makers = append(found, t), append(makers, t.Manufacturer)
		}
	}
	switch len(found) {
	case 0:
		return tokens.Token{}, fault.New(fault.NotFound, ErrNoToken)
	case 1:
		return found[0], nil
	}
	return tokens.Token{}, fmt.Errorf("%d makers use this serial number: %s", len(found), strings.Join(makers, ", "))
}

// AssignToken gives a token from stock to somebody. It opens nothing until they show
// a code of it on their account page.
func (m *Manage) AssignToken(ctx context.Context, ref TokenRef, email, why, actor string) (TokenRow, error) {
	var row TokenRow
	err := m.Store.Do(ctx, func(tx *store.Tx) error {
		a, err := m.findTx(tx, email)
		if err != nil {
			return err
		}
		if a.Status == accounts.Disabled {
			return fmt.Errorf("%s is %s: nothing was changed", a.Email, a.Status)
		}
		t, err := m.pick(tx, ref)
		if err != nil {
			return err
		}
		t.Account = a.ID
		row = TokenRow{t, a.Email}
		row.State, row.Secret = tokens.Assigned, ""
		return m.step(tx, t, tokens.GivenTo, a.ID, why, actor)
	})
	return row, err
}

// tokenEvents are the events of the steps of a token's life.
var tokenEvents = map[tokens.What]events.Kind{
	tokens.GivenTo: events.TokenAssigned, tokens.LostBy: events.TokenLost, tokens.Found: events.TokenFound,
	tokens.HandedIn: events.TokenReturned, tokens.TakenOut: events.TokenRetired,
}

// step takes a step of a token's life: state, history and event. about is whom it
// concerns.
func (m *Manage) step(tx *store.Tx, t tokens.Token, what tokens.What, about id.Account, why, actor string) error {
	reasons := reason(why)
	if err := tokens.Take(tx, t, m.line(), tokens.Step{What: what, Account: about, Actor: actor, Reason: reasons["why"]}); err != nil {
		return err
	}
	kind, told := tokenEvents[what]
	if !told {
		return nil
	}
	data := map[string]string{"token": string(t.ID)}
	if reasons["why"] != "" {
		data["why"] = reasons["why"]
	}
	return m.append(tx, events.Event{Kind: kind, Account: about, Actor: actor, Data: data})
}

// LoseToken says that nobody knows where a token is: it opens nothing from now on,
// and sessions end. Whoever has no other second authenticator left is mailed the
// link that lets them set one up after their password; it is returned too.
func (m *Manage) LoseToken(ctx context.Context, ref TokenRef, why, actor string) (TokenRow, seal.Secret, error) {
	return m.moveToken(ctx, ref, tokens.LostBy, why, actor)
}

// FindToken puts a lost token with those that came back. It opens nothing: who had
// it meanwhile, nobody knows.
func (m *Manage) FindToken(ctx context.Context, ref TokenRef, why, actor string) (TokenRow, error) {
	row, _, err := m.moveToken(ctx, ref, tokens.Found, why, actor)
	return row, err
}

// ReturnToken takes a token back from its holder, who must have another second
// authenticator.
func (m *Manage) ReturnToken(ctx context.Context, ref TokenRef, why, actor string) (TokenRow, error) {
	row, _, err := m.moveToken(ctx, ref, tokens.HandedIn, why, actor)
	return row, err
}

// RetireToken takes a token that nobody uses out of stock for good.
func (m *Manage) RetireToken(ctx context.Context, ref TokenRef, why, actor string) (TokenRow, error) {
	row, _, err := m.moveToken(ctx, ref, tokens.TakenOut, why, actor)
	return row, err
}

// ErrOnlyToken says that a token is all its holder has.
var ErrOnlyToken = errors.New("it is the only second authenticator of its holder, who could not sign in without it")

func (m *Manage) moveToken(ctx context.Context, ref TokenRef, what tokens.What, why, actor string) (row TokenRow, mailed seal.Secret, err error) {
	key := string(id.New[id.Link](m.Now(), m.Rand))
	token := accounts.NewToken(m.Rand)
	var off takenOff
	err = m.Store.Do(ctx, func(tx *store.Tx) error {
		off, mailed = takenOff{}, ""
		t, err := m.pick(tx, ref)
		if err != nil {
			return err
		}
		if _, err := t.After(what); err != nil {
			return err
		}
		if t.Account != "" {
			if off, err = m.takeOffHolder(tx, t, what, key, token, why, actor); err != nil {
				return err
			}
			if t, _, err = tokens.ByID(tx, m.Keys, t.ID); err != nil {
				return err
			}
		}
		about := t.Account
		if what != tokens.LostBy { // of a lost one it is remembered who lost it
			t.Account = ""
		}
		if err := m.step(tx, t, what, about, why, actor); err != nil {
			return err
		}
		t, _, err = tokens.ByID(tx, nil, t.ID)
		row = TokenRow{t, off.email}
		return err
	})
	if err == nil && off.mailed {
		mailed = seal.Secret(accounts.LinkURL(m.Origin, token))
	}
	_, err = m.after(Result{}, err, off.revoked...)
	return row, mailed, err
}

// takenOff is what follows for the holder of a token.
type takenOff struct {
	email   string
	mailed  bool // an enrolment link, because nothing else was left
	revoked []sessions.Revocation
}

// takeOffHolder takes a token off the account of its holder, if it is in use.
func (m *Manage) takeOffHolder(tx *store.Tx, t tokens.Token, what tokens.What, key string, token seal.Secret, why, actor string) (off takenOff, err error) {
	held, found, err := accounts.Lock(tx, t.Account)
	if err != nil || !found {
		return off, err
	}
	off.email = held.Email
	kept, err := authenticators.LoadUsual(tx, m.Keys, held.ID)
	if err != nil {
		return off, err
	}
	for _, u := range kept.Tokens() {
		if u.Token != t.ID {
			continue
		}
		last := kept.Without(u.ID).Seconds(tx.Now()) == 0
		if last && what != tokens.LostBy {
			return off, ErrOnlyToken
		}
		return m.withdraw(tx, held, kept, u, last, key, token, why, actor)
	}
	return off, nil
}

func (m *Manage) withdraw(tx *store.Tx, held accounts.Account, kept authenticators.Kept, u authenticators.InUse, last bool, key string, token seal.Secret, why, actor string) (off takenOff, err error) {
	off.email = held.Email
	if last {
		err = m.removeSecond(tx, held, key, why, actor)
	} else {
		err = m.removeOne(tx, held, kept, u.Named, key, why, actor)
	}
	if err != nil {
		return off, err
	}
	revoked, err := m.endForReset(tx, held, actor)
	off.revoked = []sessions.Revocation{revoked}
	if err != nil || !last || !held.Status.MaySignIn() {
		return off, err
	}
	off.mailed = true
	link := accounts.Link{ID: id.Link(key), Kind: accounts.Enrol, Account: held.ID, Email: held.EmailKey, Expires: m.Now().Add(accounts.Enrol.Life())}
	return off, m.mailEnrolment(tx, held, link, token, actor)
}

// removeOne takes one second authenticator off somebody, who is told.
func (m *Manage) removeOne(tx *store.Tx, held accounts.Account, kept authenticators.Kept, s authenticators.Named, key, why, actor string) error {
	if _, err := authenticators.Remove(tx, held.ID, s.ID); err != nil {
		return err
	}
	if err := m.tokenOff(tx, kept, s.ID, actor); err != nil {
		return err
	}
	data := map[string]string{"method": string(s.Kind.Method()), "authenticator": string(s.ID), "why": "by-operator"}
	if code := reason(why)["why"]; code != "" {
		data["why"] = "by-operator:" + code
	}
	err := m.append(tx, events.Event{Kind: events.AuthenticatorRemoved, Account: held.ID, Actor: actor, Data: data, Personal: map[string]string{"name": s.Name}})
	if err != nil {
		return err
	}
	if err := accounts.SpendLinks(tx, held.ID, key); err != nil {
		return err
	}
	mail := m.notice(held, outbox.AuthenticatorRemoved, key, sessions.Who{})
	delete(mail.Fields, outbox.Device)
	mail.Fields[outbox.Label] = s.Name
	return outbox.Add(tx, m.Keys, mail)
}

// tokenOff is what follows for a token when it is taken off an account: its holder
// still has it, and may add it again with a code that was not used yet. kept is what
// was there before; a what was taken off.
func (m *Manage) tokenOff(tx *store.Tx, kept authenticators.Kept, a id.Authenticator, actor string) error {
	for _, u := range kept.Tokens() {
		if u.ID != a {
			continue
		}
		t, found, err := tokens.ByID(tx, m.Keys, u.Token)
		if err != nil || !found || t.State != tokens.Active {
			return err
		}
		t.Counter = max(t.Counter, u.Next)
		return m.step(tx, t, tokens.Removed, kept.Account, "", actor)
	}
	return nil
}

// Tokens lists the stock by serial number, at most limit after a row; state "" is
// every state.
func (m *Manage) Tokens(ctx context.Context, state tokens.State, after TokenRow, limit int) (rows []TokenRow, err error) {
	err = m.Store.Read(ctx, func(tx *store.Tx) error {
		rows = nil
		all, err := tokens.List(tx, state, after.Token, limit)
		if err != nil {
			return err
		}
		for _, t := range all {
			email, err := emailOf(tx, t.Account)
			if err != nil {
				return err
			}
			rows = append(rows, TokenRow{t, email})
		}
		return nil
	})
	return rows, err
}

func emailOf(tx *store.Tx, account id.Account) (string, error) {
	if account == "" || strings.ContainsAny(string(account), " @") || account == events.Operator {
		return "", nil
	}
	a, _, err := accounts.ByID(tx, account)
	return a.Email, err
}

// TokenStep is a line of a token's history with the addresses of who is in it.
type TokenStep struct {
	tokens.Step
	Email string // whom it was about
	By    string // who did it: an address, or "operator"
}

// TokenHistory lists what a token went through, oldest first.
func (m *Manage) TokenHistory(ctx context.Context, ref TokenRef) (row TokenRow, lines []TokenStep, err error) {
	err = m.Store.Read(ctx, func(tx *store.Tx) error {
		lines = nil
		t, err := m.pick(tx, ref)
		if err != nil {
			return err
		}
		t.Secret = ""
		email, err := emailOf(tx, t.Account)
		if err != nil {
			return err
		}
		row = TokenRow{t, email}
		steps, err := tokens.History(tx, t.ID)
		for _, s := range steps {
			line := TokenStep{Step: s, By: s.Actor}
			if line.Email, err = emailOf(tx, s.Account); err != nil {
				return err
			}
			if by, err := emailOf(tx, id.Account(s.Actor)); err != nil {
				return err
			} else if by != "" {
				line.By = by
			}
			lines = append(lines, line)
		}
		return err
	})
	return row, lines, err
}
