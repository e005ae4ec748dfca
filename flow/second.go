package flow

import (
	"context"

	"gatehouse/accounts"
	"gatehouse/authenticators"
	"gatehouse/events"
	"gatehouse/fault"
	"gatehouse/id"
	"gatehouse/outbox"
	"gatehouse/proof"
	"gatehouse/store"
)

// showSecond takes a code from an authenticator app or a recovery code.
func (f *Flow) showSecond(ctx context.Context, in Input) (Outcome, error) {
	a, err := f.open(in.Attempt, in.Who)
	if err != nil {
		return Outcome{}, err
	}
	if a.At != Code {
		return f.outcome(a, in.Who, &Refusal{Code: fault.AttemptExpired})
	}
	method, load := proof.TOTP, loader(authenticators.LoadUsual)
	if in.Do == ShowRecovery {
		method, load = proof.RecoveryCode, authenticators.Load
	}
	c, err := f.chargeCode(ctx, a, load, in.Who)
	if err != nil {
		return Outcome{}, err
	}
	if !c.answer.Allowed {
		return f.outcome(a, in.Who, &Refusal{Code: fault.TooManyTries, RetryAfter: c.answer.RetryAfter})
	}
	v, err := f.Auth.Check(ctx, method, c.kept, authenticators.Shown{Secret: in.Secret, Now: f.Now()})
	if err != nil {
		return Outcome{}, err
	}
	var out Outcome
	err = f.essential(ctx, func(tx *store.Tx) (err error) {
		out, err = f.commitSecond(tx, a, c, v, second{in, method})
		return err
	})
	return f.after(out, err)
}

// second is what was submitted, and as what.
type second struct {
	in     Input
	method proof.Method
}

// commitSecond reads again what decides, uses the code up, and ends the attempt
// or goes on.
func (f *Flow) commitSecond(tx *store.Tx, a attempt, c charged, v authenticators.Verdict, s second) (Outcome, error) {
	account, found, err := accounts.Lock(tx, a.Account)
	if err = orThen(err, func() error { return notBehind(tx, a, account, found) }); err != nil {
		return Outcome{}, err
	}
	if err := f.youngEnough(tx, a.Account); err != nil {
		return Outcome{}, err
	}
	if !found || !f.lets(account) {
		return f.leftMeanwhile(tx, a, account, s.in.Who)
	}
	shown, again, err := shownAgain(tx, a, v)
	if err != nil {
		return Outcome{}, err
	}
	if out, same, err := f.sameAnswer(tx, a, account, v.OK || again, c.answer.Spent, s.in.Who); same || err != nil {
		return out, err
	}
	if !v.OK && !again {
		return f.codeRefused(tx, a, v, s)
	}
	if same, err := f.proofsStand(tx, a); err != nil || !same {
		return f.startOver(tx, a, err, s.in.Who)
	}
	if !again {
		if used, err := f.useUp(tx, a, account, shown, s); err != nil || !used {
			v.Hint = authenticators.Hint{Key: authenticators.HintUsed}
			return orElse(err, func() (Outcome, error) { return f.codeRefused(tx, a, v, s) })
		}
	}
	a.Proofs = append(a.Proofs, shown)
	a.Tries = append(a.Tries, c.answer.Spent...)
	linkGood, err := f.linkStands(tx, a, account)
	if err != nil {
		return Outcome{}, err
	}
	return f.onwards(tx, a, account, factsOf(c.kept, linkGood, a.Why), s.in)
}

// shownAgain is the proof of what was shown. again tells that this very attempt
// used it up a moment ago: a second click.
func shownAgain(tx *store.Tx, a attempt, v authenticators.Verdict) (p proof.Proof, again bool, err error) {
	p = v.Proof
	if !v.OK {
		p = v.Used
	}
	if p.Method == "" {
		return p, false, nil
	}
	at, ours, err := authenticators.UsedBy(tx, p, string(a.ID))
	return p, ours && tx.Now().Sub(at) <= sameWithin, err
}

func orElse(err error, fn func() (Outcome, error)) (Outcome, error) {
	if err != nil {
		return Outcome{}, err
	}
	return fn()
}

// useUp makes a code's use a fact that can be written once.
func (f *Flow) useUp(tx *store.Tx, a attempt, account accounts.Account, p proof.Proof, s second) (bool, error) {
	if p.Method == proof.TOTP {
		return authenticators.AcceptTOTP(tx, p, string(a.ID))
	}
	ok, left, err := authenticators.SpendRecoveryCode(tx, a.Account, p, string(a.ID))
	if err != nil || !ok {
		return false, err
	}
	return true, f.tellRecoveryUsed(tx, a, account, left, s)
}

func (f *Flow) tellRecoveryUsed(tx *store.Tx, a attempt, account accounts.Account, left int, s second) error {
	_, err := f.Log.Append(tx, events.Event{ID: id.Derive[id.Event](string(a.ID), string(events.RecoveryCodeUsed)),
		Kind: events.RecoveryCodeUsed, Account: account.ID, Actor: string(account.ID), Attempt: a.ID,
		Data: map[string]string{"left": number(left)}, Personal: s.in.Who.Personal(),
	})
	if err != nil {
		return err
	}
	m := f.notice(account, outbox.RecoveryCodeUsed, id.Derive[id.Message](string(a.ID), "recovery-used"), s.in.Who)
	m.Fields["left"] = number(left)
	return outbox.Add(tx, f.Keys, m)
}

// codeRefused records a code that did not open. What the code's clock says is
// told only to someone who has shown the right password.
func (f *Flow) codeRefused(tx *store.Tx, a attempt, v authenticators.Verdict, s second) (Outcome, error) {
	if v.Told.Method != "" {
		if err := authenticators.BurnTOTP(tx, v.Told); err != nil {
			return Outcome{}, err
		}
	}
	reason := reasonOf(v.Hint)
	_, err := f.Log.Append(tx, events.Event{
		Kind: events.CodeRefused, Account: a.Account, Actor: events.Anonymous, Attempt: a.ID, Session: a.Session,
		Data:     map[string]string{"reason": reason, "method": string(s.method), "purpose": string(a.Purpose)},
		Personal: s.in.Who.Personal(),
	})
	if err != nil {
		return Outcome{}, err
	}
	r := Refusal{Code: fault.WrongCode}
	if _, knows := proof.Find(a.Proofs, proof.Password); knows {
		r.Hint, r.HintFields = v.Hint.Key, v.Hint.Fields()
	}
	return f.outcome(a, s.in.Who, &r)
}

// reasonOf is what the log calls a code that did not match.
func reasonOf(h authenticators.Hint) string {
	switch h.Key {
	case authenticators.HintUsed:
		return "used"
	case authenticators.HintBehind, authenticators.HintAhead:
		return "clock"
	}
	return "wrong"
}

// proofsStand compares the version of every credential shown so far with the
// one that is kept now.
func (f *Flow) proofsStand(tx *store.Tx, a attempt) (bool, error) {
	for _, p := range a.Proofs {
		if p.Method == proof.Link {
			continue
		}
		if same, err := authenticators.StillSame(tx, a.Account, p); err != nil || !same {
			return false, err
		}
	}
	return true, nil
}

// leftMeanwhile refuses someone who was disabled or locked after their password
// was checked, with the words of a wrong password.
func (f *Flow) leftMeanwhile(tx *store.Tx, a attempt, account accounts.Account, who Who) (Outcome, error) {
	return f.refusedAtCommit(tx, a, "disabled-meanwhile", fault.WrongCredentials, who)
}

// startOver refuses an attempt whose password was changed since it was checked.
func (f *Flow) startOver(tx *store.Tx, a attempt, err error, who Who) (Outcome, error) {
	if err != nil {
		return Outcome{}, err
	}
	return f.refusedAtCommit(tx, a, "changed-meanwhile", fault.AttemptExpired, who)
}

func (f *Flow) refusedAtCommit(tx *store.Tx, a attempt, reason string, code fault.Code, who Who) (Outcome, error) {
	_, err := f.Log.Append(tx, events.Event{
		Kind: events.SignInRefused, Account: a.Account, Actor: events.Anonymous, Attempt: a.ID,
		Data: map[string]string{"reason": reason}, Personal: who.Personal(),
	})
	return refuse(Password, code), err
}
