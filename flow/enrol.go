package flow

import (
	"context"
	"errors"
	"slices"

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

// onwards moves an attempt on inside a transaction; Done ends it with a session.
func (f *Flow) onwards(tx *store.Tx, a attempt, account accounts.Account, fs facts, in Input) (Outcome, error) {
	a.At = next(a, fs)
	a.takes(fs)
	switch a.At {
	case Done:
		return f.complete(tx, a, account, in)
	case Enrol:
		if err := f.startEnrolment(&a, fs.need); err != nil {
			return Outcome{}, err
		}
	}
	if err := f.noteSecond(tx, a, in); err != nil {
		return Outcome{}, err
	}
	return f.outcome(a, in.Who, nil)
}

// noteSecond records a second authenticator that was used up by an attempt that goes
// on: should it be given up, the log still says what used it.
func (f *Flow) noteSecond(tx *store.Tx, a attempt, in Input) error {
	if _, second := answers[in.Do]; !second || len(a.Proofs) == 0 {
		return nil
	}
	p := a.Proofs[len(a.Proofs)-1]
	return f.append(tx, events.Event{Kind: events.SecondAccepted, Account: a.Account, Actor: events.Anonymous, Attempt: a.ID,
		Data: map[string]string{"method": string(p.Method)}, Personal: in.Who.Personal()})
}

// startEnrolment makes the secret of an authenticator app. It is kept nowhere but
// in the sealed attempt until a code of it was shown and the codes are confirmed.
func (f *Flow) startEnrolment(a *attempt, need access.Requirement) error {
	a.Enrolled.Offers = need.Enrols()
	if a.Enrolled.Secret != "" {
		return nil
	}
	random, err := a.randomness("totp")
	if err != nil {
		return err
	}
	secret, err := authenticators.NewTOTPSecret(random)
	a.Enrolled = enrolment{ID: id.Derive[id.Authenticator](string(a.ID), "totp"), Secret: secret.Reveal(), How: f.Apps, Offers: a.Enrolled.Offers}
	return err
}

// enrolCode takes the first code of a new authenticator app: verified before it
// counts. The person guesses only at their own secret, so only wrong ones are
// counted, to bound the log.
func (f *Flow) enrolCode(ctx context.Context, in Input) (Outcome, error) {
	a, err := f.open(in.Attempt, in.Who)
	if err != nil {
		return Outcome{}, err
	}
	if a.At == RecoveryCodes { // a double submit
		return f.outcome(a, in.Who, nil)
	}
	if a.At != Enrol {
		return f.outcome(a, in.Who, &Refusal{Code: fault.AttemptExpired})
	}
	if !slices.Contains(a.Enrolled.Offers, proof.TOTP) {
		return f.outcome(a, in.Who, &Refusal{Code: fault.NotAccepted})
	}
	now := f.Now()
	step, drift, ok, hint := a.Enrolled.How.New("", seal.Secret(a.Enrolled.Secret), now).CheckNew(in.Secret, now)
	if !ok {
		return f.enrolRefused(ctx, a, proof.TOTP, hint, in.Who)
	}
	if err := f.Store.Ping(ctx); err != nil { // nobody writes down codes that cannot be kept
		return Outcome{}, err
	}
	a.Enrolled.Name = authenticators.AppName(in.Name)
	a.Enrolled.Proof = proof.Proof{Method: proof.TOTP, Authenticator: string(a.Enrolled.ID), Version: 1, At: now, Step: step, Drift: drift}
	return f.showCodes(a, in.Who)
}

// showCodes goes on from a second authenticator that works to the recovery codes.
func (f *Flow) showCodes(a attempt, who Who) (Outcome, error) {
	codes, err := a.recoveryCodes()
	if err != nil {
		return Outcome{}, err
	}
	a.Enrolled.Codes = nil
	for _, c := range codes {
		a.Enrolled.Codes = append(a.Enrolled.Codes, c.Reveal())
	}
	a.At = RecoveryCodes
	return f.outcome(a, who, nil)
}

func (f *Flow) enrolRefused(ctx context.Context, a attempt, as proof.Method, hint authenticators.Hint, who Who) (Outcome, error) {
	var why *Refusal
	err := f.Store.Do(ctx, func(tx *store.Tx) (err error) {
		if why, err = f.chargeChange(tx, a, who); err != nil || why != nil {
			return err
		}
		return f.append(tx, events.Event{Kind: events.CodeRefused, Account: a.Account, Actor: events.Anonymous, Attempt: a.ID,
			Data: map[string]string{"reason": reasonOf(hint), "method": string(as), "purpose": "enrol"}, Personal: who.Personal()})
	})
	if err != nil {
		return Outcome{}, err
	}
	if why == nil {
		why = &Refusal{Code: wrong(as), Hint: hint.Key, HintFields: hint.Fields()}
	}
	return f.outcome(a, who, why)
}

func (a attempt) recoveryCodes() ([]seal.Secret, error) {
	random, err := a.randomness("recovery codes")
	if err != nil {
		return nil, err
	}
	return authenticators.NewRecoveryCodes(random)
}

// confirmCodes ends an enrolment: app, recovery codes, spent link, session and
// record all begin to exist in one transaction.
func (f *Flow) confirmCodes(ctx context.Context, in Input) (Outcome, error) {
	a, err := f.open(in.Attempt, in.Who)
	if err != nil {
		return Outcome{}, err
	}
	if a.At != RecoveryCodes {
		return f.outcome(a, in.Who, &Refusal{Code: fault.AttemptExpired})
	}
	if !in.Confirmed {
		return f.outcome(a, in.Who, &Refusal{Code: fault.ConfirmCodes})
	}
	set, err := f.recoverySet(a)
	if err != nil {
		return Outcome{}, err
	}
	var out Outcome
	err = f.Store.Do(ctx, func(tx *store.Tx) (err error) {
		out, err = f.commitEnrolment(tx, a, set, in)
		return err
	})
	return f.after(out, err)
}

func (f *Flow) recoverySet(a attempt) (authenticators.RecoverySet, error) {
	set := authenticators.RecoverySet{ID: id.Derive[id.Authenticator](string(a.ID), "recovery"), MadeAt: f.Now()}
	var codes []seal.Secret
	for _, c := range a.Enrolled.Codes {
		codes = append(codes, seal.Secret(c))
	}
	var err error
	set.Slots, err = authenticators.HashRecoveryCodes(f.Keys, set.ID, codes)
	return set, err
}

func (f *Flow) commitEnrolment(tx *store.Tx, a attempt, set authenticators.RecoverySet, in Input) (Outcome, error) {
	account, found, err := accounts.Lock(tx, a.Account)
	if err != nil {
		return Outcome{}, err
	}
	if !found || !account.Status.MaySignIn() {
		return f.leftMeanwhile(tx, a, account, in.Who)
	}
	if out, same, err := f.sameAnswer(tx, a, account, true, nil, in.Who); same || err != nil {
		return out, err
	}
	fs, err := f.factsNow(tx, a, account)
	if err != nil {
		return Outcome{}, err
	}
	if next(a, fs) != RecoveryCodes {
		return f.linkRefused(tx, a, in.Who)
	}
	if !fs.need.Met(append(slices.Clone(a.Proofs), a.Enrolled.Proof)) {
		return f.notAccepted(a, fs.need, in.Who)
	}
	good := fs.linkGood
	if same, err := f.proofsStand(tx, a); err != nil || !same {
		return f.startOver(tx, a, err, in.Who)
	}
	if err := f.keepEnrolment(tx, a, account, set, in.Who); err != nil {
		return Outcome{}, err
	}
	a.Proofs = append(a.Proofs, a.Enrolled.Proof)
	if fs, err = f.factsNow(tx, a, account); err != nil {
		return Outcome{}, err
	}
	fs.linkGood = good // keepEnrolment has used it up
	return f.onwards(tx, a, account, fs, in)
}

// notAccepted goes back to setting something up: what was set up does not meet the
// requirement, which may have become another meanwhile.
func (f *Flow) notAccepted(a attempt, need access.Requirement, who Who) (Outcome, error) {
	a.At, a.Enrolled = Enrol, enrolment{}
	if err := f.startEnrolment(&a, need); err != nil {
		return Outcome{}, err
	}
	return f.outcome(a, who, &Refusal{Code: fault.NotAccepted})
}

// keepSecond keeps the authenticator that was set up.
func (f *Flow) keepSecond(tx *store.Tx, a attempt) error {
	if key := a.Enrolled.Passkey; key != nil {
		key.Account = a.Account
		added, err := authenticators.AddCredential(tx, f.Keys, *key)
		if err == nil && !added {
			err = fault.New(fault.AttemptExpired, errors.New("flow: somebody has this passkey already"))
		}
		return err
	}
	t := a.Enrolled.How.New(a.Enrolled.Name, seal.Secret(a.Enrolled.Secret), tx.Now())
	t.ID, t.Account, t.LastStep, t.Drift = a.Enrolled.ID, a.Account, a.Enrolled.Proof.Step-1, a.Enrolled.Proof.Drift
	if err := authenticators.AddTOTP(tx, f.Keys, t); err != nil {
		return err
	}
	_, err := authenticators.AcceptTOTP(tx, a.Enrolled.Proof, string(a.ID))
	return err
}

func (f *Flow) keepEnrolment(tx *store.Tx, a attempt, account accounts.Account, set authenticators.RecoverySet, who Who) error {
	if err := f.keepSecond(tx, a); err != nil {
		return err
	}
	if err := authenticators.SetRecoveryCodes(tx, a.Account, set); err != nil {
		return err
	}
	if err := f.spendLink(tx, a, who); err != nil {
		return err
	}
	if err := accounts.SpendLinks(tx, a.Account, string(a.ID)); err != nil {
		return err // what was mailed to someone without a second authenticator is over
	}
	if account.Status == accounts.Invited {
		if _, err := accounts.SetStatus(tx, account.ID, accounts.Active); err != nil {
			return err
		}
	}
	return f.tellEnrolment(tx, a, account, who)
}

func (f *Flow) tellEnrolment(tx *store.Tx, a attempt, account accounts.Account, who Who) error {
	seen := who.Personal()
	seen["name"] = a.Enrolled.Name
	err := f.append(tx, events.Event{Kind: events.AuthenticatorAdded, Account: a.Account, Actor: string(a.Account), Attempt: a.ID,
		Data: map[string]string{"method": string(a.Enrolled.Proof.Method), "authenticator": a.Enrolled.Proof.Authenticator}, Personal: seen})
	if err != nil {
		return err
	}
	err = f.append(tx, events.Event{Kind: events.RecoveryCodesMade, Account: a.Account, Actor: string(a.Account), Attempt: a.ID, Personal: who.Personal()})
	if err != nil {
		return err
	}
	if account.Status == accounts.Invited {
		err = f.append(tx, events.Event{Kind: events.AccountActivated, Account: a.Account, Actor: string(a.Account), Attempt: a.ID, Personal: who.Personal()})
		if err != nil {
			return err
		}
	}
	m := f.notice(account, outbox.AuthenticatorAdded, id.Derive[id.Message](string(a.ID), "authenticator-added"), who)
	m.Fields[outbox.Label] = a.Enrolled.Name
	return outbox.Add(tx, f.Keys, m)
}

// append records an event whose id nobody needs.
func (f *Flow) append(tx *store.Tx, e events.Event) error {
	_, err := f.Log.Append(tx, e)
	return err
}
