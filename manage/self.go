package manage

import (
	"context"
	"strings"

	"gatehouse/accounts"
	"gatehouse/events"
	"gatehouse/fault"
	"gatehouse/id"
	"gatehouse/limits"
	"gatehouse/outbox"
	"gatehouse/seal"
	"gatehouse/sessions"
	"gatehouse/store"
)

// Profile is what a person may change about themselves without a fresh proof.
type Profile struct{ Name, Locale, Zone string }

// SetProfile changes name, language and time zone. Values are bounded by web.
func (m *Manage) SetProfile(ctx context.Context, c Caller, p Profile) error {
	return m.do(ctx, c, func(tx *store.Tx) error {
		ch, err := m.hold(tx, c, "")
		if err != nil {
			return err
		}
		changed := changedFields(ch.account, p)
		if changed == "" {
			return nil
		}
		if err := accounts.SetProfile(tx, ch.account.ID, p.Name, p.Locale, p.Zone); err != nil {
			return err
		}
		return m.recordWith(ch, events.ProfileChanged, map[string]string{"fields": changed}, map[string]string{"name": p.Name})
	})
}

func changedFields(a accounts.Account, p Profile) string {
	var fields []string
	for _, f := range []struct {
		name     string
		old, new string
	}{{"name", a.Name, p.Name}, {"locale", a.Locale, p.Locale}, {"zone", a.Zone, p.Zone}} {
		if f.old != f.new {
			fields = append(fields, f.name)
		}
	}
	return strings.Join(fields, ",")
}

// Listed is one session as its owner sees it.
type Listed struct {
	sessions.Session
	Current bool
}

// List shows the caller's living sessions, newest first.
func (m *Manage) List(ctx context.Context, c Caller) ([]Listed, error) {
	var all []Listed
	err := m.Store.EssentialRead(ctx, func(tx *store.Tx) error {
		all = nil
		live, err := sessions.Live(tx, m.Keys, c.Ticket.Account, c.Ticket.Epoch, m.Now(), m.Sessions.Policy.Idle)
		for _, s := range live {
			all = append(all, Listed{s, s.ID == c.Ticket.Session})
		}
		return err
	})
	return all, err
}

// EndSession ends one of the caller's sessions. It is a denial, so it works on a
// standby too. One that is over already is no error.
func (m *Manage) EndSession(ctx context.Context, c Caller, session id.Session) error {
	why, until := "by-person", m.Now().Add(m.Sessions.Policy.Absolute)
	if session == c.Ticket.Session {
		why, until = "signed-out", c.Ticket.AbsoluteUntil
	}
	var revoked []sessions.Revocation
	err := m.Store.Essential(ctx, func(tx *store.Tx) error {
		revoked = nil
		r, err := sessions.End(tx, c.Ticket.Account, session, until, why)
		if err != nil || r == nil {
			return err
		}
		revoked = []sessions.Revocation{*r}
		_, err = m.Log.Append(tx, events.Event{Kind: events.SessionEnded, Account: c.Ticket.Account, Actor: string(c.Ticket.Account),
			Session: c.Ticket.Session, Data: map[string]string{"why": why, "ended": string(session)}, Personal: c.Who.Personal()})
		return err
	})
	_, err = m.after(Result{}, err, revoked...)
	return err
}

// SignOut ends the caller's own session.
func (m *Manage) SignOut(ctx context.Context, c Caller) error {
	return m.EndSession(ctx, c, c.Ticket.Session)
}

// EndOthers ends every session of the caller but this one, which gets a new id.
// It only denies, so no fresh proof is asked for, and it works on a standby too.
func (m *Manage) EndOthers(ctx context.Context, c Caller) (Result, error) {
	key := string(id.New[id.Attempt](m.Now(), m.Rand))
	var res Result
	var revoked sessions.Revocation
	err := m.Store.Essential(ctx, func(tx *store.Tx) error {
		ch, err := m.hold(tx, c, key)
		if err != nil {
			return err
		}
		res, revoked, err = m.renew(ch, "by-person")
		return err
	})
	return m.after(res, err, revoked)
}

// History reads what happened to the caller's account, newest first, from before
// a position (0 = from the newest). A standby does not hold the log, and half of it
// would look like all.
func (m *Manage) History(ctx context.Context, c Caller, before int64, limit int) ([]events.Event, error) {
	var all []events.Event
	err := m.Store.Read(ctx, func(tx *store.Tx) (err error) {
		all, err = m.Log.ForAccount(tx, c.Ticket.Account, before, limit)
		return err
	})
	return all, err
}

// AskAddressChange mails a link to a new address. It says the same whether or not
// somebody has that address already.
func (m *Manage) AskAddressChange(ctx context.Context, c Caller, email string) (Result, error) {
	if err := m.fresh(c); err != nil {
		return Result{}, err
	}
	key, err := accounts.Canonical(email)
	if err != nil {
		return refused(fault.BadRequest), nil
	}
	now := m.Now()
	token := accounts.NewToken(m.Rand)
	link := accounts.Link{ID: id.New[id.Link](now, m.Rand), Kind: accounts.Address, Account: c.Ticket.Account,
		Email: strings.TrimSpace(email), Expires: now.Add(accounts.Address.Life())}
	var res Result
	err = m.do(ctx, c, func(tx *store.Tx) error {
		res = Result{}
		ch, err := m.hold(tx, c, string(link.ID))
		if err != nil {
			return err
		}
		answer, err := limits.Spend(tx, limits.Subject{Rule: m.MailNet, Of: "address/" + string(ch.account.ID)})
		if err != nil {
			return err
		}
		if !answer.Allowed {
			res = Result{Refusal: &fault.Refusal{Code: fault.TooManyTries, RetryAfter: answer.RetryAfter}}
			return nil
		}
		return m.sendAddressLink(ch, link, key, token)
	})
	return m.after(res, err)
}

func (m *Manage) sendAddressLink(ch change, link accounts.Link, key string, token seal.Secret) error {
	_, taken, err := accounts.ByEmail(ch.tx, key)
	if err != nil {
		return err
	}
	if err := m.recordWith(ch, events.AddressChangeAsked, nil, map[string]string{"email": link.Email}); err != nil {
		return err
	}
	if err := accounts.InsertLink(ch.tx, link, token); err != nil {
		return err
	}
	kind := outbox.AddressConfirm
	if taken {
		kind = outbox.Void // whoever has the address is not to hear of it, nor the asker of them
	}
	mail := m.notice(ch.account, kind, ch.key, ch.caller.Who)
	delete(mail.Fields, outbox.Time)
	mail.To, mail.Expires = link.Email, link.Expires
	mail.Fields[outbox.Link] = accounts.LinkURL(m.Origin, token)
	return outbox.Add(ch.tx, m.Keys, mail)
}

// ConfirmAddress moves the account of a link to the address it was mailed to,
// ends its other sessions, and tells the old address. Whoever holds the link has
// shown that they read the new address; that the owner wanted it was proved when
// it was asked for. c is the caller's session when there is one of that account.
func (m *Manage) ConfirmAddress(ctx context.Context, token seal.Secret, c *Caller, who sessions.Who) (Result, error) {
	by := string(id.New[id.Attempt](m.Now(), m.Rand))
	var res Result
	var revoked sessions.Revocation
	err := m.Store.Do(ctx, func(tx *store.Tx) (err error) {
		res = Result{}
		link, account, ok, err := addressLink(tx, token)
		if err != nil {
			return err
		}
		if !ok {
			res = refused(fault.LinkSpent)
			return m.addressRefused(tx, link, who)
		}
		res, revoked, err = m.moveAddress(tx, link, account, c, who, by)
		return err
	})
	if fault.Of(err) == fault.Conflict {
		return refused(fault.LinkSpent), nil
	}
	return m.after(res, err, revoked)
}

func (m *Manage) addressRefused(tx *store.Tx, link accounts.Link, who sessions.Who) error {
	account := link.Account
	if account == "" {
		account = events.Nobody
	}
	return m.append(tx, events.Event{Kind: events.LinkRefused, Account: account, Actor: events.Anonymous,
		Data: map[string]string{"kind": string(accounts.Address), "reason": "spent"}, Personal: who.Personal()})
}

func addressLink(tx *store.Tx, token seal.Secret) (accounts.Link, accounts.Account, bool, error) {
	link, found, err := accounts.FindLink(tx, token)
	if err != nil || !found || link.Kind != accounts.Address {
		return link, accounts.Account{}, false, err
	}
	account, found, err := accounts.Lock(tx, link.Account)
	if err != nil || !found {
		return link, account, false, err
	}
	return link, account, account.Status.MaySignIn() && link.Good(account, tx.Now(), ""), nil
}

func (m *Manage) moveAddress(tx *store.Tx, link accounts.Link, account accounts.Account, c *Caller, who sessions.Who, by string) (Result, sessions.Revocation, error) {
	none := sessions.Revocation{}
	if ok, err := accounts.SpendLink(tx, link.ID, by); err != nil || !ok {
		return Result{}, none, orConflict(err)
	}
	key, err := accounts.Canonical(link.Email)
	if err != nil {
		return Result{}, none, err
	}
	if err := accounts.SetEmail(tx, account.ID, link.Email, key); err != nil {
		return Result{}, none, orConflict(err)
	}
	if err := accounts.SpendLinks(tx, account.ID, by); err != nil {
		return Result{}, none, err
	}
	ch := change{tx: tx, account: account, key: by, caller: Caller{Who: who}}
	if err := m.recordWith(ch, events.AddressChanged, nil, map[string]string{"email": link.Email}); err != nil {
		return Result{}, none, err
	}
	alike, err := accounts.Lookalikes(tx, key)
	if err == nil {
		err = m.flagLookalikes(tx, account.ID, link.Email, alike, string(account.ID))
	}
	if err != nil {
		return Result{}, none, err
	}
	if err := m.tell(ch, outbox.AddressChanged, outbox.NewAddress, link.Email); err != nil {
		return Result{}, none, err
	}
	if c != nil && c.Ticket.Account == account.ID && c.Ticket.Epoch == account.Epoch {
		ch.caller = *c
		return m.renew(ch, "address-changed")
	}
	epoch, err := accounts.RaiseEpoch(tx, account.ID)
	if err != nil {
		return Result{}, none, err
	}
	revoked, err := m.endAll(ch, epoch, 0, "address-changed")
	return Result{}, revoked, err
}

// orConflict turns "somebody was first" into one answer.
func orConflict(err error) error {
	if err == nil || err == accounts.ErrTaken {
		return fault.New(fault.Conflict, err)
	}
	return err
}
