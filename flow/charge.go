package flow

import (
	"context"

	"gatehouse/accounts"
	"gatehouse/authenticators"
	"gatehouse/events"
	"gatehouse/fault"
	"gatehouse/id"
	"gatehouse/limits"
	"gatehouse/seal"
	"gatehouse/sessions"
	"gatehouse/store"
)

// charged is what the first short write of a step leaves: a try spent, and what
// the check needs.
type charged struct {
	account accounts.Account // of events.Nobody when nobody has the name
	known   bool             // the account was used on this device before
	kept    authenticators.Kept
	answer  limits.Answer
	standby bool // it was read from a standby
}

// chargeName spends a try for a name and reads what its password check needs.
// An unknown name costs the same reads and writes as a known one.
func (f *Flow) chargeName(ctx context.Context, key string, a attempt, who Who) (charged, error) {
	return f.charge(ctx, who, authenticators.LoadPassword, func(tx *store.Tx) (accounts.Account, error) {
		account, found, err := accounts.ByEmail(tx, key)
		if err == nil {
			err = notBehind(tx, a, account, found)
		}
		if !found {
			account = accounts.Account{ID: events.Nobody, EmailKey: key}
		}
		return account, err
	}, func(c charged) []limits.Subject {
		switch {
		case a.Link != "" && a.Account == c.account.ID:
			return []limits.Subject{{Rule: f.Limits.PerLink, Of: string(a.Link)}}
		case c.known:
			return []limits.Subject{{Rule: f.Limits.PerDevice, Of: string(who.Device) + "/" + key}}
		}
		return []limits.Subject{{Rule: f.Limits.PerName, Of: key}}
	})
}

// chargeCode spends a try for a second authenticator of a known account. A code
// has a million values, so each budget has one for a month beside it: who knows
// the password and guesses on for years gets nowhere, and locks only themselves out.
func (f *Flow) chargeCode(ctx context.Context, a attempt, load loader, who Who) (charged, error) {
	return f.charge(ctx, who, load, func(tx *store.Tx) (accounts.Account, error) {
		account, found, err := accounts.ByID(tx, a.Account)
		if err == nil {
			err = notBehind(tx, a, account, found)
		}
		if !found {
			account = accounts.Account{ID: events.Nobody}
		}
		return account, orThen(err, func() error { return f.youngEnough(tx, a.Account) })
	}, func(c charged) []limits.Subject { return f.codeBudget(a, string(a.Account), c.known, who) })
}

// codeBudget is what a second authenticator of somebody spends from, whatever
// kind it is.
func (f *Flow) codeBudget(a attempt, of string, known bool, who Who) []limits.Subject {
	device := string(who.Device) + "/" + of
	switch {
	case known:
		return []limits.Subject{{Rule: f.Limits.CodeDevice, Of: device}, {Rule: f.Limits.CodeMonth, Of: device}}
	case a.LinkKind == accounts.Unlock:
		return []limits.Subject{{Rule: f.Limits.PerLink, Of: "code/" + string(a.Link)}, {Rule: f.Limits.CodeMonth, Of: "link/" + of}}
	}
	return []limits.Subject{{Rule: f.Limits.CodeName, Of: of}, {Rule: f.Limits.CodeMonth, Of: of}}
}

// loader reads as much of an account's authenticators as a check needs.
type loader func(*store.Tx, *seal.Keys, id.Account) (authenticators.Kept, error)

func (f *Flow) charge(ctx context.Context, who Who, load loader, find func(*store.Tx) (accounts.Account, error), budget func(charged) []limits.Subject) (charged, error) {
	var c charged
	err := f.essential(ctx, func(tx *store.Tx) (err error) {
		c = charged{standby: tx.Standby()}
		if c.account, err = find(tx); err != nil {
			return err
		}
		if c.known, err = sessions.Known(tx, who.Device, c.account.ID); err != nil {
			return err
		}
		c.answer, err = limits.Spend(tx, append([]limits.Subject{f.network(who)}, budget(c)...)...)
		if err != nil {
			return err
		}
		if !c.answer.Allowed {
			return f.tellLimited(tx, c, who)
		}
		c.kept, err = load(tx, f.Keys, c.account.ID)
		return err
	})
	return c, err
}

// chargeChange spends a try at changing something; nil lets it go on.
func (f *Flow) chargeChange(tx *store.Tx, a attempt, who Who) (*Refusal, error) {
	answer, err := limits.Spend(tx, limits.Subject{Rule: f.Limits.Change, Of: string(a.Account)})
	if err != nil || answer.Allowed {
		return nil, err
	}
	why := &Refusal{Code: fault.TooManyTries, RetryAfter: answer.RetryAfter}
	return why, f.tellLimited(tx, charged{account: accounts.Account{ID: a.Account}, answer: answer}, who)
}

func (f *Flow) network(who Who) limits.Subject {
	return limits.Subject{Rule: f.Limits.PerNetwork, Of: limits.Network(who.Network)}
}

func (f *Flow) tellLimited(tx *store.Tx, c charged, who Who) error {
	if !c.answer.Tell {
		return nil
	}
	_, err := f.Log.Append(tx, events.Event{
		Kind: events.SignInLimited, Account: c.account.ID, Actor: events.Anonymous,
		Data: map[string]string{"scope": c.answer.Rule}, Personal: who.Personal(),
	})
	return err
}

// overLimit is the refusal of a step for which no try was left. Nothing was
// checked, and it looks the same for names we know and names we do not.
func overLimit(in Input, next Step, c charged) Outcome {
	return Outcome{Next: next, Attempt: in.Attempt, Refusal: &Refusal{Code: fault.TooManyTries, RetryAfter: c.answer.RetryAfter}}
}
