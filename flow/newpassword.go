package flow

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
	"gatehouse/sessions"
	"gatehouse/store"
)

// choosePassword takes a new password: the first one of an invited person, one
// chosen through a mailed link, or the replacement of one that leaked or ran out.
// It changes what opens the account, so only the primary takes it (DESIGN §2, T2).
func (f *Flow) choosePassword(ctx context.Context, in Input) (Outcome, error) {
	a, err := f.open(in.Attempt, in.Who)
	if err != nil {
		return Outcome{}, err
	}
	if a.At != NewPassword {
		return f.outcome(a, in.Who, &Refusal{Code: fault.AttemptExpired})
	}
	if len(in.Secret) > maxPassword {
		return f.outcome(a, in.Who, &Refusal{Code: fault.PasswordTooLong})
	}
	if why, err := f.payChange(ctx, a, in.Who); err != nil || why != nil {
		return orElse(err, func() (Outcome, error) { return f.outcome(a, in.Who, why) })
	}
	p := authenticators.Password{ID: id.Derive[id.Authenticator](string(a.ID), "password"), MadeAt: f.Now()}
	reasons, again, err := f.judge(ctx, a, p.ID, in.Secret)
	if err != nil {
		return Outcome{}, err
	}
	if len(reasons) > 0 {
		return f.passwordNotGood(ctx, a, reasons, in.Who)
	}
	if p.Hash, err = f.Auth.Hasher.Hash(ctx, a.Account, in.Secret); err != nil {
		return Outcome{}, err
	}
	var out Outcome
	err = f.Store.Do(ctx, func(tx *store.Tx) (err error) {
		out, err = f.commitPassword(tx, a, p, again, in)
		return err
	})
	return f.after(out, err)
}

// payChange is chargeChange before a password is looked at: to judge it and to
// keep it costs hashes, which somebody else waits for.
func (f *Flow) payChange(ctx context.Context, a attempt, who Who) (why *Refusal, err error) {
	err = f.Store.Do(ctx, func(tx *store.Tx) (err error) {
		why, err = f.chargeChange(tx, a, who)
		return err
	})
	return why, err
}

// judge says what speaks against a new password. again tells that this very
// attempt has set it already: a double submit.
func (f *Flow) judge(ctx context.Context, a attempt, password id.Authenticator, pw seal.Secret) (reasons []authenticators.Reason, again bool, err error) {
	var who authenticators.Personal
	var old []authenticators.PasswordHash
	var kept authenticators.Kept
	err = f.Store.Read(ctx, func(tx *store.Tx) (err error) {
		if who, err = f.personal(tx, a.Account); err != nil {
			return err
		}
		if old, err = authenticators.OldPasswords(tx, a.Account, f.Choose.Policy.KeepOld); err != nil {
			return err
		}
		kept, err = authenticators.Load(tx, f.Keys, a.Account)
		return err
	})
	if err != nil {
		return nil, false, err
	}
	if kept.Password != nil && kept.Password.ID == password {
		v, err := f.Auth.Check(ctx, proof.Password, kept, authenticators.Shown{Secret: pw, Now: f.Now()})
		if err != nil || v.OK {
			return nil, v.OK, err
		}
	}
	if len(old) == 0 && a.Why != "" && kept.Password != nil {
		old = append(old, kept.Password.Hash) // what leaked or ran out is never good for another round
	}
	reasons, err = f.Choose.Judge(ctx, a.Account, pw, who, old)
	return reasons, false, err
}

// personal gathers the words an attacker tries first for a person.
func (f *Flow) personal(tx *store.Tx, account id.Account) (authenticators.Personal, error) {
	who, _, err := accounts.ByID(tx, account)
	if err != nil {
		return authenticators.Personal{}, err
	}
	organisations, err := access.OrganisationNames(tx, account)
	return authenticators.Personal{Email: who.Email, Name: who.Name, Organisations: organisations, Product: f.Product}, err
}

func (f *Flow) commitPassword(tx *store.Tx, a attempt, p authenticators.Password, again bool, in Input) (Outcome, error) {
	account, found, err := accounts.Lock(tx, a.Account)
	if err != nil {
		return Outcome{}, err
	}
	if !found || !account.Status.MaySignIn() {
		return f.leftMeanwhile(tx, a, account, in.Who)
	}
	if out, same, err := f.sameAnswer(tx, a, account, again, nil, in.Who); same || err != nil {
		return out, err
	}
	good, err := f.linkStands(tx, a, account)
	if err != nil {
		return Outcome{}, err
	}
	if !again {
		if may, err := f.mayChoose(tx, a, account, p.ID); err != nil || !may {
			return orElse(err, func() (Outcome, error) { return f.linkRefused(tx, a, in.Who) })
		}
	}
	if a.Why != "" || a.LinkKind == accounts.Reset && proof.LevelOf(a.Proofs) > proof.None {
		if same, err := f.proofsStand(tx, a); err != nil || !same {
			return f.startOver(tx, a, err, in.Who)
		}
	}
	var revoked []sessions.Revocation
	if !again {
		if revoked, err = f.replacePassword(tx, &a, &account, p, in.Who); err != nil {
			return Outcome{}, err
		}
	}
	kept, err := authenticators.LoadPassword(tx, f.Keys, a.Account)
	if err != nil {
		return Outcome{}, err
	}
	a.Why = ""
	a.Proofs = append(withoutMethod(a.Proofs, proof.Password), proof.Proof{
		Method: proof.Password, Authenticator: string(kept.Password.ID), Version: kept.Password.Version, At: tx.Now()})
	fs, err := f.factsNow(tx, a, account)
	if err != nil {
		return Outcome{}, err
	}
	fs.linkGood = good // a reset has used its link up just now; what it permits holds for this attempt
	out, err := f.onwards(tx, a, account, fs, in)
	out.revoked = append(out.revoked, revoked...)
	return out, err
}

// mayChoose asks again what let the attempt come to this step: an attempt sets
// one password, and only while next would still ask it for one.
func (f *Flow) mayChoose(tx *store.Tx, a attempt, account accounts.Account, password id.Authenticator) (bool, error) {
	kept, err := authenticators.LoadPassword(tx, f.Keys, a.Account)
	if err != nil || kept.Password != nil && kept.Password.ID == password {
		return false, err
	}
	fs, err := f.factsNow(tx, a, account)
	return next(a, fs) == NewPassword, err
}

// passwordNotGood records which rules a new password broke, never the password.
func (f *Flow) passwordNotGood(ctx context.Context, a attempt, reasons []authenticators.Reason, who Who) (Outcome, error) {
	var rules []string
	for _, r := range reasons {
		rules = append(rules, strings.TrimPrefix(r.Key, "password.reason."))
	}
	err := f.Store.Do(ctx, func(tx *store.Tx) error {
		return f.append(tx, events.Event{Kind: events.PasswordRefused, Account: a.Account, Actor: events.Anonymous, Attempt: a.ID,
			Data: map[string]string{"reasons": strings.Join(rules, ",")}, Personal: who.Personal()})
	})
	if err != nil {
		return Outcome{}, err
	}
	return f.outcome(a, who, &Refusal{Code: fault.PasswordRefused, Reasons: reasons})
}

// replacePassword writes the new password and what follows from it: a changed
// password ends every session, a reset uses its link up, and the person is told.
func (f *Flow) replacePassword(tx *store.Tx, a *attempt, account *accounts.Account, p authenticators.Password, who Who) ([]sessions.Revocation, error) {
	kept, err := authenticators.Load(tx, f.Keys, a.Account)
	if err != nil {
		return nil, err
	}
	if err := authenticators.SetPassword(tx, a.Account, p, max(f.Choose.Policy.KeepOld-1, 0)); err != nil {
		return nil, err
	}
	kind, data := events.PasswordChanged, map[string]string{"by": "person"}
	switch {
	case kept.Password == nil:
		kind = events.PasswordSet
	case a.LinkKind == accounts.Reset:
		kind, data = events.PasswordReset, map[string]string{"link": string(a.Link)}
	}
	_, err = f.Log.Append(tx, events.Event{Kind: kind, Account: a.Account, Actor: string(a.Account), Attempt: a.ID, Data: data, Personal: who.Personal()})
	if err != nil {
		return nil, err
	}
	if a.LinkKind == accounts.Reset {
		if err := f.spendLink(tx, *a, who); err != nil {
			return nil, err
		}
	}
	if kept.Password == nil {
		return nil, nil
	}
	return f.afterChange(tx, *a, account, who)
}

// afterChange is what follows from a changed password: the person is told, links
// on their way are out of use, for whoever had the account before must not come
// back by one, and every session is over.
func (f *Flow) afterChange(tx *store.Tx, a attempt, account *accounts.Account, who Who) ([]sessions.Revocation, error) {
	m := f.notice(*account, outbox.PasswordChanged, id.Derive[id.Message](string(a.ID), "password-changed"), who)
	if err := outbox.Add(tx, f.Keys, m); err != nil {
		return nil, err
	}
	if err := accounts.SpendLinks(tx, account.ID, string(a.ID)); err != nil {
		return nil, err
	}
	var err error
	if account.Epoch, err = accounts.RaiseEpoch(tx, account.ID); err != nil {
		return nil, err
	}
	why := "password-changed"
	if a.LinkKind == accounts.Reset {
		why = "password-reset"
	}
	r, ended, err := sessions.EndAll(tx, account.ID, account.Epoch, f.Sessions.Policy.Absolute, why)
	if err != nil || ended == 0 {
		return []sessions.Revocation{r}, err
	}
	return []sessions.Revocation{r}, f.append(tx, events.Event{Kind: events.SessionsEnded, Account: a.Account, Actor: string(a.Account), Attempt: a.ID,
		Data: map[string]string{"why": why, "count": number(int(ended))}, Personal: who.Personal()})
}

func (f *Flow) spendLink(tx *store.Tx, a attempt, who Who) error {
	ok, err := accounts.SpendLink(tx, a.Link, string(a.ID))
	if err == nil && !ok {
		return fault.New(fault.LinkSpent, nil)
	}
	if err != nil {
		return err
	}
	if err := accounts.VerifyEmail(tx, a.Account); err != nil {
		return err
	}
	_, err = f.Log.Append(tx, events.Event{Kind: events.LinkSpent, Account: a.Account, Actor: string(a.Account), Attempt: a.ID,
		Data: map[string]string{"kind": string(a.LinkKind), "link": string(a.Link)}, Personal: who.Personal()})
	return err
}
