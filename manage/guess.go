package manage

import (
	"context"

	"gatehouse/accounts"
	"gatehouse/events"
	"gatehouse/fault"
	"gatehouse/id"
	"gatehouse/limits"
	"gatehouse/sessions"
	"gatehouse/store"
)

// Guessing are the budgets that codes of second authenticators are guessed from, as
// in flow.Limits: whoever guesses while signed in, or lets support guess for them,
// spends what a sign-in would have, and no more.
type Guessing struct {
	Network limits.Rule
	Name    limits.Rule
	Device  limits.Rule
	Month   limits.Rule
}

// chargeGuess spends a try at a code of somebody's; who is empty for an operator,
// who sits at no device of theirs.
func (m *Manage) chargeGuess(tx *store.Tx, account id.Account, who sessions.Who) (limits.Answer, error) {
	of := string(account)
	known, err := sessions.Known(tx, who.Device, account)
	if err != nil {
		return limits.Answer{}, err
	}
	var all []limits.Subject
	if who.Network.IsValid() {
		all = append(all, limits.Subject{Rule: m.Guess.Network, Of: limits.Network(who.Network)})
	}
	if known {
		device := string(who.Device) + "/" + of
		all = append(all, limits.Subject{Rule: m.Guess.Device, Of: device}, limits.Subject{Rule: m.Guess.Month, Of: device})
	} else {
		all = append(all, limits.Subject{Rule: m.Guess.Name, Of: of}, limits.Subject{Rule: m.Guess.Month, Of: of})
	}
	return limits.Spend(tx, all...)
}

// payGuess spends a try of the caller's at a code of theirs; nil lets it go on.
func (m *Manage) payGuess(ctx context.Context, c Caller) (answer limits.Answer, why *fault.Refusal, err error) {
	err = m.do(ctx, c, func(tx *store.Tx) (err error) {
		why = nil
		if answer, err = m.chargeGuess(tx, c.Ticket.Account, c.Who); err != nil || answer.Allowed {
			return err
		}
		why, err = m.guessRefused(tx, c.Ticket.Account, answer, string(c.Ticket.Account), c.Who)
		return err
	})
	return answer, why, err
}

// guessRefused is the refusal when no try was left; it is told once a window.
func (m *Manage) guessRefused(tx *store.Tx, account id.Account, answer limits.Answer, actor string, who sessions.Who) (*fault.Refusal, error) {
	why := &fault.Refusal{Code: fault.TooManyTries, RetryAfter: answer.RetryAfter}
	if !answer.Tell {
		return why, nil
	}
	return why, m.append(tx, events.Event{Kind: events.SignInLimited, Account: account, Actor: actor,
		Data: map[string]string{"scope": answer.Rule}, Personal: who.Personal()})
}

// giveBack returns tries that ended well, in a transaction of their own: what went
// right must not fail because of it.
func (m *Manage) giveBack(ctx context.Context, tries []limits.Try) {
	_ = m.Store.Do(ctx, func(tx *store.Tx) error { return limits.GiveBack(tx, tries) })
}

// findTx is find inside a transaction.
func (m *Manage) findTx(tx *store.Tx, email string) (accounts.Account, error) {
	key, err := accounts.Canonical(email)
	if err != nil {
		return accounts.Account{}, err
	}
	a, found, err := accounts.ByEmail(tx, key)
	if err == nil && !found {
		err = fault.New(fault.NotFound, ErrNoAccount)
	}
	return a, err
}
