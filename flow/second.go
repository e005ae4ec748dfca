package flow

import (
	"context"
	"slices"

	"gatehouse/accounts"
	"gatehouse/authenticators"
	"gatehouse/events"
	"gatehouse/fault"
	"gatehouse/id"
	"gatehouse/outbox"
	"gatehouse/proof"
	"gatehouse/store"
)

// answer is how one action answers the question for a second authenticator: what
// it reads, how what was shown is checked with no transaction open, and how it is
// used up in the one that commits. An authenticator more is a line here.
type answer struct {
	step  Step
	load  loader
	check func(*Flow, context.Context, attempt, authenticators.Kept, Input) (authenticators.Verdict, error)
	use   func(*Flow, *store.Tx, attempt, accounts.Account, proof.Proof, Input) (bool, error)
}

var answers = map[Action]answer{
	ShowCode:     {Code, authenticators.LoadUsual, (*Flow).checkCode, (*Flow).useCode},
	ShowText:     {Text, authenticators.LoadPhones, (*Flow).checkText, (*Flow).useText},
	ShowApproval: {Approve, authenticators.LoadUsual, (*Flow).checkApproval, (*Flow).useApproval},
	ShowRecovery: {Recovery, authenticators.Load, (*Flow).checkRecovery, (*Flow).useRecovery},
	ShowPasskey:  {Passkey, authenticators.LoadUsual, (*Flow).checkPasskey, (*Flow).usePasskey},
}

// showSecond takes what a person shows as second authenticator. An attempt that
// waits for one way takes any other that the person has.
func (f *Flow) showSecond(ctx context.Context, in Input) (Outcome, error) {
	with, known := answers[in.Do]
	if !known {
		return Outcome{}, fault.New(fault.BadRequest, nil)
	}
	a, err := f.open(in.Attempt, in.Who)
	if err != nil {
		return Outcome{}, err
	}
	a.Remember = in.Remember
	if !a.At.asksSecond() || !has(a.Ways, with.step) {
		return f.outcome(a, in.Who, &Refusal{Code: fault.AttemptExpired})
	}
	return f.answerSecond(ctx, a, with, in)
}

// answerSecond pays, checks and commits one answer.
func (f *Flow) answerSecond(ctx context.Context, a attempt, with answer, in Input) (Outcome, error) {
	c, err := f.chargeCode(ctx, a, with.load, in.Who)
	if err != nil {
		return Outcome{}, err
	}
	if !c.answer.Allowed {
		return f.outcome(a, in.Who, &Refusal{Code: fault.TooManyTries, RetryAfter: c.answer.RetryAfter})
	}
	v, err := with.check(f, ctx, a, c.kept, in)
	if err != nil {
		return Outcome{}, err
	}
	var out Outcome
	err = f.essential(ctx, func(tx *store.Tx) (err error) {
		out, err = f.commitSecond(tx, a, c, v, second{in, with})
		return err
	})
	out, err = f.after(out, err)
	if err == nil && out.Next == LinkSent { // what they hold is no longer accepted
		err = f.mailEnrolLink(ctx, a, false, in.Who)
	}
	return out, err
}

// second is what was submitted, and as what.
type second struct {
	in   Input
	with answer
}

// checkCode looks for a typed code in the apps of an account and in its tokens.
// Both are always computed, so that the time taken tells nothing about either.
//
// One page takes the codes of both, and a policy may accept one of them only: a
// right code of the other is told so, or the page would ask for it once more.
func (f *Flow) checkCode(ctx context.Context, a attempt, kept authenticators.Kept, in Input) (authenticators.Verdict, error) {
	shown := authenticators.Shown{Secret: in.Secret, Now: f.Now()}
	app, err := f.Auth.Check(ctx, proof.TOTP, kept, shown)
	if err != nil {
		return app, err
	}
	token, err := f.Auth.Check(ctx, proof.HOTP, kept, shown)
	v := token
	if app.OK || !token.OK && token.Used.Method == "" && token.Hint.Key == "" {
		v = app
	}
	if v.OK && !slices.ContainsFunc(a.Ways, func(w Way) bool { return w.Method == v.Proof.Method }) {
		v = authenticators.Verdict{Hint: authenticators.Hint{Key: HintNotAccepted}}
	}
	return v, err
}

// HintNotAccepted tells that a code is right, of an authenticator that a policy does
// not accept while its holder has one that it does.
const HintNotAccepted = "totp.hint.not-accepted"

func (f *Flow) checkRecovery(ctx context.Context, _ attempt, kept authenticators.Kept, in Input) (authenticators.Verdict, error) {
	return f.Auth.Check(ctx, proof.RecoveryCode, kept, authenticators.Shown{Secret: in.Secret, Now: f.Now()})
}

func (f *Flow) useCode(tx *store.Tx, a attempt, _ accounts.Account, p proof.Proof, _ Input) (bool, error) {
	if p.Method == proof.HOTP {
		return authenticators.AcceptHOTP(tx, p, string(a.ID))
	}
	return authenticators.AcceptTOTP(tx, p, string(a.ID))
}

func (f *Flow) useRecovery(tx *store.Tx, a attempt, account accounts.Account, p proof.Proof, in Input) (bool, error) {
	ok, left, err := authenticators.SpendRecoveryCode(tx, a.Account, p, string(a.ID))
	if err != nil || !ok {
		return false, err
	}
	return true, f.tellRecoveryUsed(tx, a, account, left, in)
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
		if used, err := s.with.use(f, tx, a, account, shown, s.in); err != nil || !used {
			if err == nil {
				v.Hint, err = f.usedUp(tx, a, shown)
			}
			return orElse(err, func() (Outcome, error) { return f.codeRefused(tx, a, v, s) })
		}
	}
	a.Proofs = append(a.Proofs, shown)
	a.Tries = append(a.Tries, c.answer.Spent...)
	fs, err := f.factsNow(tx, a, account)
	if err != nil {
		return Outcome{}, err
	}
	return f.onwards(tx, a, account, fs, s.in)
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

func (f *Flow) tellRecoveryUsed(tx *store.Tx, a attempt, account accounts.Account, left int, in Input) error {
	_, err := f.Log.Append(tx, events.Event{ID: id.Derive[id.Event](string(a.ID), string(events.RecoveryCodeUsed)),
		Kind: events.RecoveryCodeUsed, Account: account.ID, Actor: string(account.ID), Attempt: a.ID,
		Data: map[string]string{"left": number(left)}, Personal: in.Who.Personal(),
	})
	if err != nil {
		return err
	}
	m := f.notice(account, outbox.RecoveryCodeUsed, id.Derive[id.Message](string(a.ID), "recovery-used"), in.Who)
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
	var err error
	if v.Hint, err = f.hintOf(tx, a, v, s); err != nil {
		return Outcome{}, err
	}
	_, err = f.Log.Append(tx, events.Event{
		Kind: events.CodeRefused, Account: a.Account, Actor: events.Anonymous, Attempt: a.ID, Session: a.Session,
		Data:     map[string]string{"reason": reason, "method": string(s.with.method()), "purpose": string(a.Purpose)},
		Personal: s.in.Who.Personal(),
	})
	if err != nil {
		return Outcome{}, err
	}
	r := Refusal{Code: wrong(s.with.method())}
	if _, knows := proof.Find(a.Proofs, proof.Password); knows || r.Code == fault.WrongPasskey { // whose hints say what the browser sent
		r.Hint, r.HintFields = v.Hint.Key, v.Hint.Fields()
	}
	return f.outcome(a, s.in.Who, &r)
}

// method is what the log calls a way to answer.
func (w answer) method() proof.Method { return proof.Method(w.step) }

// usedUp says why what is right opens nothing: it has opened something already, or
// is of a key that has a copy.
func (f *Flow) usedUp(tx *store.Tx, a attempt, p proof.Proof) (authenticators.Hint, error) {
	if p.Method != proof.Passkey {
		return authenticators.UsedHint(p.Method), nil
	}
	key, found, err := authenticators.CredentialByID(tx, f.Keys, a.Account, id.Authenticator(p.Authenticator))
	if err != nil || !found || key.State != authenticators.StateCloned {
		return authenticators.Hint{}, err
	}
	return authenticators.Hint{Key: HintClonedPasskey, Reason: "cloned"}, nil
}

// wrong is the refusal of what was shown of a method.
func wrong(m proof.Method) fault.Code {
	if m == proof.Passkey {
		return fault.WrongPasskey
	}
	return fault.WrongCode
}

// reasonOf is what the log calls a code that did not match.
func reasonOf(h authenticators.Hint) string {
	if h.Reason != "" {
		return h.Reason
	}
	switch h.Key {
	case authenticators.HintUsed, authenticators.HintTokenUsed:
		return "used"
	case authenticators.HintTokenAgain:
		return "ahead"
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
