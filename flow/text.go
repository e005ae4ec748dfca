package flow

import (
	"context"
	"errors"
	"slices"
	"time"

	"gatehouse/accounts"
	"gatehouse/authenticators"
	"gatehouse/fault"
	"gatehouse/proof"
	"gatehouse/store"
)

// Texter puts codes on their way to telephones: texts.Desk.
type Texter interface {
	// Ask spends the budgets and puts the code into the outbox, in the caller's
	// transaction. A refusal is a budget that is used up; nothing is sent then.
	Ask(*store.Tx, authenticators.Asking) (*fault.Refusal, error)
}

// TextAsked is a code by text message or call that an attempt asked for.
type TextAsked struct {
	Way Way       `json:"w"`
	At  time.Time `json:"t"`
}

// AgainAfter is how long a person is asked to wait before another code is sent the
// same way; a second click within it sends nothing.
const AgainAfter = 30 * time.Second

// servable leaves ways by telephone out where nobody sends.
func (f *Flow) servable(ways []Way) []Way {
	if f.Texts != nil {
		return ways
	}
	return slices.DeleteFunc(slices.Clone(ways), func(w Way) bool { return w.Step == Text })
}

// askText puts a code on its way. Only somebody who has shown the password, or has
// opened a link in the owner's mailbox, gets as far: an unknown name sends nothing.
// Nothing here waits for a provider.
func (f *Flow) askText(ctx context.Context, in Input) (Outcome, error) {
	a, err := f.open(in.Attempt, in.Who)
	if err != nil {
		return Outcome{}, err
	}
	way, has := a.textWay(in)
	if f.Texts == nil || !a.At.asksSecond() || !has || len(a.Proofs) == 0 && a.Link == "" {
		return f.outcome(a, in.Who, &Refusal{Code: fault.AttemptExpired})
	}
	ask, err := f.asking(a, way, in.Who)
	if err != nil {
		return Outcome{}, err
	}
	var out Outcome
	err = f.Store.Do(ctx, func(tx *store.Tx) (err error) {
		out, err = f.askedText(tx, a, way, ask, in.Who)
		return err
	})
	return f.after(out, err)
}

// textWay is the way that was chosen, if the person has it.
func (a attempt) textWay(in Input) (Way, bool) {
	for _, w := range a.Ways {
		if w.Step == Text && w.ID == in.Way && w.Method == in.By {
			return w, true
		}
	}
	return Way{}, false
}

func (f *Flow) asking(a attempt, way Way, who Who) (authenticators.Asking, error) {
	message, code, err := authenticators.NewPhoneCode(f.Now(), f.Rand)
	return authenticators.Asking{ID: message, Code: code, Account: a.Account, Credential: way.ID, Way: way.Method, Attempt: string(a.ID),
		Network: who.Network, Locale: who.Locale, Personal: who.Personal()}, err
}

// askedText sends the code unless one was sent the same way a moment ago.
func (f *Flow) askedText(tx *store.Tx, a attempt, way Way, ask authenticators.Asking, who Who) (Outcome, error) {
	account, found, err := accounts.Lock(tx, a.Account)
	if err != nil {
		return Outcome{}, err
	}
	if !found || !f.lets(account) {
		return f.leftMeanwhile(tx, a, account, who)
	}
	number, found, err := authenticators.CredentialByID(tx, f.Keys, a.Account, way.ID)
	if err != nil {
		return Outcome{}, err
	}
	if !found || number.Kind != authenticators.KindPhone || !number.Opens(tx.Now()) {
		return f.outcome(a, who, &Refusal{Code: fault.AttemptExpired})
	}
	last, found, err := authenticators.LastPhoneCode(tx, a.Account, string(a.ID))
	if err != nil {
		return Outcome{}, err
	}
	a.At = Text
	if found && stillComing(last, way, tx.Now()) {
		a.Asked = &TextAsked{way, last.MadeAt}
		return f.outcome(a, who, nil)
	}
	ask.Number, ask.Facts = number.Secret, authenticators.PhoneOf(number)
	if account.Locale != "" {
		ask.Locale = account.Locale
	}
	refusal, err := f.Texts.Ask(tx, ask)
	if err != nil || refusal != nil {
		return orElse(err, func() (Outcome, error) { return f.outcome(a, who, refusal) })
	}
	a.Asked = &TextAsked{way, tx.Now()}
	return f.outcome(a, who, nil)
}

// stillComing tells whether a code was sent the same way a moment ago.
func stillComing(c authenticators.PhoneCode, way Way, now time.Time) bool {
	return c.Credential == way.ID && c.Way == way.Method && c.Failed == "" && c.Opens(now) && now.Sub(c.MadeAt) < AgainAfter
}

// checkText looks for a typed code among those that this attempt asked for.
func (f *Flow) checkText(ctx context.Context, a attempt, kept authenticators.Kept, in Input) (authenticators.Verdict, error) {
	return f.Auth.Check(ctx, proof.SMS, kept.AskedBy(string(a.ID)), authenticators.Shown{Secret: in.Secret, Now: f.Now()})
}

func (f *Flow) useText(tx *store.Tx, a attempt, _ accounts.Account, p proof.Proof, _ Input) (bool, error) {
	if tx.Standby() {
		return false, fault.New(fault.Unavailable, errNotSent)
	}
	return authenticators.SpendPhoneCode(tx, f.Keys, a.Account, p, string(a.ID))
}

var errNotSent = errors.New("flow: a standby does not hold the codes that were sent")

// StateOfText tells how the code stands that an attempt asked for last.
// fault.Unavailable where only a standby answers.
func (f *Flow) StateOfText(ctx context.Context, sealed string, who Who) (state authenticators.TextState, err error) {
	a, err := f.open(sealed, who)
	if err != nil || a.Asked == nil {
		return state, err
	}
	err = f.Store.Read(ctx, func(tx *store.Tx) (err error) {
		state, _, err = authenticators.StateOfText(tx, a.Account, string(a.ID))
		return err
	})
	return state, err
}
