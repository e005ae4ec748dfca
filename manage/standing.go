package manage

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"gatehouse/accounts"
	"gatehouse/authenticators"
	"gatehouse/events"
	"gatehouse/id"
	"gatehouse/outbox"
	"gatehouse/seal"
	"gatehouse/sessions"
	"gatehouse/store"
)

// Disable keeps a person out: sessions end on this node at once, on others within
// a second; links are spent; the person is told.
func (m *Manage) Disable(ctx context.Context, email, why, actor string) (accounts.Account, error) {
	return m.deny(ctx, email, accounts.Disabled, events.AccountDisabled, why, actor)
}

// Lock keeps a person out until Unlock, without calling them disabled.
func (m *Manage) Lock(ctx context.Context, email, why, actor string) (accounts.Account, error) {
	return m.deny(ctx, email, accounts.Locked, events.AccountLocked, why, actor)
}

// Enable lets a disabled person in again.
func (m *Manage) Enable(ctx context.Context, email, why, actor string) (accounts.Account, error) {
	return m.allow(ctx, email, accounts.Disabled, events.AccountEnabled, why, actor)
}

// Unlock lets a locked person in again.
func (m *Manage) Unlock(ctx context.Context, email, why, actor string) (accounts.Account, error) {
	return m.allow(ctx, email, accounts.Locked, events.AccountUnlocked, why, actor)
}

// ResetSecond takes a person's authenticator apps and recovery codes off, for
// someone who has lost them all: the caller has made sure who asks. Sessions end,
// the person is told, and the link mailed to their address is what permits
// enrolling anew, after their password. It returns the link.
func (m *Manage) ResetSecond(ctx context.Context, email, why, actor string) (accounts.Account, seal.Secret, error) {
	a, err := m.find(ctx, email)
	if err != nil {
		return a, "", err
	}
	now := m.Now()
	link := accounts.Link{ID: id.New[id.Link](now, m.Rand), Kind: accounts.Enrol, Account: a.ID, Email: a.EmailKey, Expires: now.Add(accounts.Enrol.Life())}
	token := accounts.NewToken(m.Rand)
	var revoked sessions.Revocation
	err = m.Store.Do(ctx, func(tx *store.Tx) error {
		held, _, err := accounts.Lock(tx, a.ID)
		if err != nil {
			return err
		}
		if !held.Status.MaySignIn() {
			return fmt.Errorf("%s is %s: nothing was changed", held.Email, held.Status)
		}
		if err := m.removeSecond(tx, held, string(link.ID), why, actor); err != nil {
			return err
		}
		if revoked, err = m.endForReset(tx, held, actor); err != nil {
			return err
		}
		return m.mailEnrolment(tx, held, link, token, actor)
	})
	_, err = m.after(Result{}, err, revoked)
	return a, seal.Secret(accounts.LinkURL(m.Origin, token)), err
}

func (m *Manage) removeSecond(tx *store.Tx, a accounts.Account, key, why, actor string) error {
	kept, err := authenticators.LoadUsual(tx, m.Keys, a.ID)
	if err != nil {
		return err
	}
	apps, err := authenticators.RemoveSecond(tx, m.Keys, a.ID)
	if err != nil {
		return err
	}
	if len(apps) == 0 {
		return fmt.Errorf("%s has no second authenticator: nothing was changed", a.Email)
	}
	for _, app := range apps {
		if err := m.tokenOff(tx, kept, app.ID, actor); err != nil {
			return err
		}
		data := map[string]string{"method": string(app.Kind.Method()), "authenticator": string(app.ID), "why": "by-operator"}
		if code := reason(why)["why"]; code != "" {
			data["why"] = "by-operator:" + code
		}
		err := m.append(tx, events.Event{Kind: events.AuthenticatorRemoved, Account: a.ID, Actor: actor, Data: data, Personal: map[string]string{"name": app.Name}})
		if err != nil {
			return err
		}
	}
	mail := m.notice(a, outbox.AuthenticatorRemoved, key, sessions.Who{})
	delete(mail.Fields, outbox.Device)
	mail.Fields[outbox.Label] = apps[0].Name
	return outbox.Add(tx, m.Keys, mail)
}

// endForReset ends what was begun with the authenticators that are gone.
func (m *Manage) endForReset(tx *store.Tx, a accounts.Account, actor string) (sessions.Revocation, error) {
	epoch, err := accounts.RaiseEpoch(tx, a.ID)
	if err != nil {
		return sessions.Revocation{}, err
	}
	revoked, ended, err := sessions.EndAll(tx, a.ID, epoch, m.Sessions.Policy.Absolute, "authenticator-changed")
	if err != nil || ended == 0 {
		return revoked, err
	}
	return revoked, m.append(tx, events.Event{Kind: events.SessionsEnded, Account: a.ID, Actor: actor,
		Data: map[string]string{"why": "authenticator-changed", "count": strconv.FormatInt(ended, 10)}})
}

func (m *Manage) mailEnrolment(tx *store.Tx, a accounts.Account, link accounts.Link, token seal.Secret, actor string) error {
	if err := accounts.SpendLinks(tx, a.ID, string(link.ID)); err != nil {
		return err
	}
	if err := accounts.InsertLink(tx, link, token); err != nil {
		return err
	}
	mail := m.notice(a, outbox.EnrolLink, string(link.ID), sessions.Who{})
	delete(mail.Fields, outbox.Time)
	delete(mail.Fields, outbox.Device)
	mail.Fields[outbox.Link], mail.Expires = accounts.LinkURL(m.Origin, token), link.Expires
	if err := outbox.Add(tx, m.Keys, mail); err != nil {
		return err
	}
	return m.append(tx, events.Event{Kind: events.LinkSent, Account: a.ID, Actor: actor,
		Data: map[string]string{"kind": string(link.Kind), "link": string(link.ID)}, Personal: map[string]string{"email": a.Email}})
}

// deny is a denial and works on a standby too: the epoch it raises there is past
// all that the primary may have given out meanwhile, so that sessions the standby
// has not heard of are over as well.
func (m *Manage) deny(ctx context.Context, email string, s accounts.Status, kind events.Kind, why, actor string) (accounts.Account, error) {
	a, err := m.find(ctx, email)
	if err != nil {
		return a, err
	}
	key := string(id.New[id.Attempt](m.Now(), m.Rand))
	var revoked sessions.Revocation
	err = m.Store.Essential(ctx, func(tx *store.Tx) error {
		held, _, err := accounts.Lock(tx, a.ID)
		if err != nil {
			return err
		}
		if s == accounts.Locked && held.Status == accounts.Disabled {
			return fmt.Errorf("%s is disabled, which is more than locked: nothing was changed", a.Email)
		}
		epoch, err := accounts.SetStatus(tx, a.ID, s)
		if err != nil {
			return err
		}
		var ended int64
		if revoked, ended, err = sessions.EndAll(tx, a.ID, epoch, m.Sessions.Policy.Absolute, string(s)); err != nil {
			return err
		}
		if ended > 0 {
			data := map[string]string{"why": string(s), "count": strconv.FormatInt(ended, 10)}
			if err := m.append(tx, events.Event{Kind: events.SessionsEnded, Account: a.ID, Actor: actor, Data: data}); err != nil {
				return err
			}
		}
		if err := accounts.SpendLinks(tx, a.ID, key); err != nil {
			return err
		}
		if err := m.append(tx, events.Event{Kind: kind, Account: a.ID, Actor: actor, Data: reason(why)}); err != nil {
			return err
		}
		if s != accounts.Disabled || held.Status == s {
			return nil
		}
		mail := m.notice(held, outbox.AccountDisabled, key, sessions.Who{})
		delete(mail.Fields, outbox.Device)
		return outbox.Add(tx, m.Keys, mail)
	})
	a.Status = s
	_, err = m.after(Result{}, err, revoked)
	return a, err
}

func (m *Manage) allow(ctx context.Context, email string, from accounts.Status, kind events.Kind, why, actor string) (accounts.Account, error) {
	a, err := m.find(ctx, email)
	if err != nil {
		return a, err
	}
	err = m.Store.Do(ctx, func(tx *store.Tx) error {
		held, _, err := accounts.Lock(tx, a.ID)
		if err != nil {
			return err
		}
		if held.Status != from {
			return fmt.Errorf("%s is %s, not %s: nothing was changed", a.Email, held.Status, from)
		}
		kept, err := authenticators.Load(tx, m.Keys, a.ID)
		if err != nil {
			return err
		}
		a.Status = accounts.Invited
		if kept.Seconds(m.Now()) > 0 {
			a.Status = accounts.Active
		}
		if _, err := accounts.SetStatus(tx, a.ID, a.Status); err != nil {
			return err
		}
		return m.append(tx, events.Event{Kind: kind, Account: a.ID, Actor: actor, Data: reason(why)})
	})
	return a, err
}

// reason keeps an operator's reason as a code; free text has no place in the
// part of an event that is never erased.
func reason(why string) map[string]string {
	if why == "" {
		return nil
	}
	code := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9', r == '-':
			return r
		case r >= 'A' && r <= 'Z':
			return r + 'a' - 'A'
		}
		return '-'
	}, why)
	return map[string]string{"why": code[:min(len(code), 100)]}
}
