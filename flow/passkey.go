package flow

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"time"

	"gatehouse/accounts"
	"gatehouse/authenticators"
	"gatehouse/events"
	"gatehouse/fault"
	"gatehouse/id"
	"gatehouse/limits"
	"gatehouse/outbox"
	"gatehouse/proof"
	"gatehouse/seal"
	"gatehouse/store"
)

// passkeyLife is how long a page may ask for a passkey before it asks anew: no
// longer than a person looks at it (WebAuthn L3 §13.4.3 wants challenges short-lived).
const passkeyLife = 10 * time.Minute

// PasskeyAsk is what a browser is asked with for a passkey.
type PasskeyAsk struct {
	Options   json.RawMessage // PublicKeyCredentialRequestOptionsJSON; at step Enrol …CreationOptionsJSON. nil: nothing to ask for
	Challenge string          // sealed; goes back with the answer (Input.Challenge). "" within an attempt, which carries its own
	RenewIn   time.Duration   // after this the browser asks for another; 0: as long as the attempt
}

// opening is a sign-in that may begin with a passkey: the attempt it becomes, so
// that one challenge opens one session.
type opening struct {
	ID   id.Attempt `json:"id"`
	Seed []byte     `json:"sd"`
}

// challenge is what a passkey signs in an attempt: the same for every copy of it.
func (a attempt) challenge() ([]byte, error) {
	of := "passkey"
	if a.At == Enrol {
		of = "new passkey"
	}
	random, err := a.randomness(of)
	if err != nil {
		return nil, err
	}
	c := make([]byte, 32)
	_, err = io.ReadFull(random, c)
	return c, err
}

// PasskeyOptions is what to ask a browser for a passkey with. Without an attempt
// it reads nothing and says nothing about anybody: any passkey of ours will do,
// and it must verify its holder. Within one the keys of its account are named.
func (f *Flow) PasskeyOptions(ctx context.Context, sealed string, who Who) (PasskeyAsk, error) {
	rules := f.Auth.Passkeys()
	if rules == nil {
		return PasskeyAsk{}, nil
	}
	if sealed == "" {
		return f.openWithPasskey(rules, who)
	}
	a, err := f.open(sealed, who)
	if err != nil {
		return PasskeyAsk{}, err
	}
	if !a.takesPasskey() {
		return PasskeyAsk{}, nil
	}
	keys, err := f.passkeysOf(ctx, a.Account)
	if err != nil {
		return PasskeyAsk{}, err
	}
	challenge, err := a.challenge()
	if err != nil {
		return PasskeyAsk{}, err
	}
	var ask PasskeyAsk
	switch {
	case a.At == Enrol:
		ask.Options, err = rules.CreationOptions(a.passkeyUser(), challenge, keys, authenticators.SortPasskey)
	case len(keys) > 0:
		ask.Options, err = rules.RequestOptions(challenge, keys, a.At == Password)
	}
	return ask, err
}

func (f *Flow) openWithPasskey(rules *authenticators.Relying, who Who) (PasskeyAsk, error) {
	a := f.begin(SignIn, Input{Who: who})
	challenge, err := a.challenge()
	if err != nil {
		return PasskeyAsk{}, err
	}
	plain, err := json.Marshal(opening{a.ID, a.Seed})
	if err != nil {
		return PasskeyAsk{}, err
	}
	ask := PasskeyAsk{RenewIn: passkeyLife * 4 / 5}
	if ask.Challenge, err = f.Keys.SealToken(seal.Passkey, string(who.Device), f.Now().Add(passkeyLife), plain); err != nil {
		return PasskeyAsk{}, err
	}
	ask.Options, err = rules.RequestOptions(challenge, nil, true)
	return ask, err
}

// takesPasskey tells whether an attempt can go on by a passkey: as an answer to
// the question for a second authenticator, in place of the password of a fresh
// proof, or as what is set up.
func (a attempt) takesPasskey() bool {
	switch {
	case a.At.asksSecond():
		return has(a.Ways, Passkey)
	case a.At == Enrol:
		return a.offers(proof.Passkey)
	}
	return a.provesAfresh()
}

// provesAfresh tells an attempt in which a passkey that verifies its holder stands
// for password and second authenticator.
func (a attempt) provesAfresh() bool { return a.Purpose == Fresh && a.At == Password }

func (a attempt) passkeyUser() authenticators.PasskeyUser {
	return authenticators.PasskeyUser{Account: a.Account, Email: a.Email, Name: a.Name}
}

func (f *Flow) passkeysOf(ctx context.Context, account id.Account) (keys []authenticators.Credential, err error) {
	err = f.Store.EssentialRead(ctx, func(tx *store.Tx) error {
		kept, err := authenticators.LoadUsual(tx, f.Keys, account)
		keys = kept.Usable(authenticators.KindPasskey, tx.Now())
		return err
	})
	return keys, err
}

// showPasskey takes what a passkey signed: to open a sign-in, to prove oneself
// afresh, or as second authenticator.
func (f *Flow) showPasskey(ctx context.Context, in Input) (Outcome, error) {
	if f.Auth.Passkeys() == nil {
		return Outcome{}, fault.New(fault.NotFound, nil)
	}
	if in.Challenge != "" {
		return f.signInByPasskey(ctx, in)
	}
	if a, err := f.open(in.Attempt, in.Who); err == nil && a.provesAfresh() {
		return f.answerSecond(ctx, a, answers[ShowPasskey], in)
	}
	return f.showSecond(ctx, in)
}

// signInByPasskey opens a sign-in with a passkey alone. Nobody has said who they
// are: the passkey does. One that nobody has costs the same reads, writes and
// tries as a wrong one, and is refused in the same words.
func (f *Flow) signInByPasskey(ctx context.Context, in Input) (Outcome, error) {
	a, err := f.openChallenge(in)
	if err != nil {
		return Outcome{}, err
	}
	c, err := f.chargePasskey(ctx, in)
	if err != nil {
		return Outcome{}, err
	}
	if !c.answer.Allowed {
		return overLimit(Input{}, Password, c), nil
	}
	v, err := f.checkPasskey(ctx, a, c.kept, in)
	if err != nil {
		return Outcome{}, err
	}
	if !v.OK || !f.lets(c.account) {
		return f.passkeyRefused(ctx, a, c, v, in)
	}
	a.Account, a.Email, a.Name, a.Known = c.account.ID, c.account.Email, c.account.Name, c.account.Version
	a.Tries, a.Why = c.answer.Spent, f.passwordDue(c.kept)
	var out Outcome
	err = f.essential(ctx, func(tx *store.Tx) (err error) {
		out, err = f.commitPasskey(tx, a, c, v.Proof, in)
		return err
	})
	return f.after(out, err)
}

// openChallenge makes an attempt of what a page was given to ask with.
func (f *Flow) openChallenge(in Input) (attempt, error) {
	var o opening
	plain, err := f.Keys.OpenToken(seal.Passkey, string(in.Who.Device), f.Now(), in.Challenge)
	if err == nil {
		err = json.Unmarshal(plain, &o)
	}
	if err != nil {
		return attempt{}, fault.New(fault.AttemptExpired, err)
	}
	a := f.begin(SignIn, in)
	a.ID, a.Seed = o.ID, o.Seed
	return a, nil
}

// chargePasskey spends a try of the network and one of the codes of whoever the
// passkey says it belongs to: they are the same tries as for a typed code.
func (f *Flow) chargePasskey(ctx context.Context, in Input) (charged, error) {
	handle, _, _ := authenticators.ShownBy(in.Secret)
	return f.charge(ctx, in.Who, authenticators.LoadUsual, func(tx *store.Tx) (accounts.Account, error) {
		key, there, err := authenticators.ByHandle(tx, f.Keys, handle)
		if err != nil {
			return accounts.Account{}, err
		}
		if !there {
			key.Account = events.Nobody
		}
		account, found, err := accounts.ByID(tx, key.Account)
		if !found {
			account = accounts.Account{ID: events.Nobody, EmailKey: nobodysKey(handle)}
		}
		return account, orThen(err, func() error { return f.youngEnough(tx, account.ID) })
	}, func(c charged) []limits.Subject {
		of := string(c.account.ID)
		if c.account.ID == events.Nobody {
			of = c.account.EmailKey
		}
		return f.codeBudget(attempt{}, of, c.known, in.Who)
	})
}

// nobodysKey is what tries are counted by for a passkey that nobody has. No id of
// an account holds a space.
func nobodysKey(handle string) string {
	sum := sha256.Sum256([]byte(handle))
	return "no passkey: " + base64.RawURLEncoding.EncodeToString(sum[:12])
}

// checkPasskey checks what a passkey signed for this attempt. Where nothing else
// is asked for, it must have verified its holder.
func (f *Flow) checkPasskey(ctx context.Context, a attempt, kept authenticators.Kept, in Input) (authenticators.Verdict, error) {
	challenge, err := a.challenge()
	if err != nil {
		return authenticators.Verdict{}, err
	}
	return f.Auth.Check(ctx, proof.Passkey, kept,
		authenticators.Shown{Secret: in.Secret, Challenge: challenge, Verified: a.At == Password, Alone: in.Challenge != "", Now: f.Now()})
}

// passwordDue says why a password must be replaced before a session that a passkey
// opens: whatever was found out about it when it was shown last.
func (f *Flow) passwordDue(kept authenticators.Kept) string {
	switch p := kept.Password; {
	case p == nil:
		return ""
	case p.MustChange != "":
		return p.MustChange
	case f.Choose.Policy.Expired(p.MadeAt, f.Now()):
		return expired
	}
	return ""
}

// HintUnknownPasskey tells that nobody here has the passkey that was shown, so that
// the browser may forget it. Its id is a random number that only its holder knows:
// it says nothing about anybody.
const HintUnknownPasskey = "passkey.hint.unknown"

// HintClonedPasskey tells whoever shows a key that it was switched off.
const HintClonedPasskey = "passkey.hint.cloned"

// passkeyRefused answers an unknown, a wrong, a disabled and a locked one with the
// same words after the same work; only the log knows.
func (f *Flow) passkeyRefused(ctx context.Context, a attempt, c charged, v authenticators.Verdict, in Input) (Outcome, error) {
	reason := cmp.Or(v.Hint.Reason, "wrong-passkey") // each danger has a name in the log, and none on the page
	switch {
	case c.account.ID == events.Nobody:
		reason = "unknown-passkey"
		if !c.standby { // which may only not have heard of it yet
			v.Hint.Key = HintUnknownPasskey
		}
	case v.OK:
		reason, v.Hint = string(c.account.Status), authenticators.Hint{}
	}
	err := f.essential(ctx, func(tx *store.Tx) error { return f.notePasskeyRefused(tx, a, c.account.ID, reason, in.Who) })
	if err != nil {
		return Outcome{}, err
	}
	return Outcome{Next: Password, Refusal: &Refusal{Code: fault.WrongPasskey, Hint: v.Hint.Key}}, nil
}

func (f *Flow) notePasskeyRefused(tx *store.Tx, a attempt, of id.Account, reason string, who Who) error {
	return f.append(tx, events.Event{Kind: events.SignInRefused, Account: of, Actor: events.Anonymous, Attempt: a.ID,
		Data: map[string]string{"reason": reason, "method": string(proof.Passkey)}, Personal: who.Personal()})
}

// commitPasskey reads again what decides, uses the passkey, and ends the attempt
// or goes on.
func (f *Flow) commitPasskey(tx *store.Tx, a attempt, c charged, p proof.Proof, in Input) (Outcome, error) {
	account, found, err := accounts.Lock(tx, a.Account)
	if err = orThen(err, func() error { return notBehind(tx, a, account, found) }); err != nil {
		return Outcome{}, err
	}
	if err := f.youngEnough(tx, a.Account); err != nil {
		return Outcome{}, err
	}
	if !found || !f.lets(account) {
		return f.refusedAtCommit(tx, a, "disabled-meanwhile", fault.WrongPasskey, in.Who)
	}
	if out, same, err := f.sameAnswer(tx, a, account, true, c.answer.Spent, in.Who); same || err != nil {
		return out, err
	}
	_, again, err := shownAgain(tx, a, authenticators.Verdict{OK: true, Proof: p})
	if err != nil {
		return Outcome{}, err
	}
	if _, ours, err := authenticators.UsedBy(tx, p, string(a.ID)); err != nil || ours && !again { // a reload, long after
		return f.startOver(tx, a, err, in.Who)
	}
	a.Proofs = []proof.Proof{p}
	if same, err := f.proofsStand(tx, a); err != nil || !same {
		return f.startOver(tx, a, err, in.Who)
	}
	if !again {
		if used, err := f.usePasskey(tx, a, account, p, in); err != nil || !used {
			return orElse(err, func() (Outcome, error) { return f.cloneRefused(tx, a, in.Who) })
		}
	}
	fs, err := f.factsNow(tx, a, account)
	if err != nil {
		return Outcome{}, err
	}
	return f.onwards(tx, a, account, fs, in)
}

func (f *Flow) cloneRefused(tx *store.Tx, a attempt, who Who) (Outcome, error) {
	out, err := f.refusedAtCommit(tx, a, "cloned-passkey", fault.WrongPasskey, who)
	out.Refusal.Hint = HintClonedPasskey
	return out, err
}

// usePasskey moves the counter of a passkey on. One that went back has a copy
// somewhere: the key opens nothing from then on, and its owner is told.
func (f *Flow) usePasskey(tx *store.Tx, a attempt, account accounts.Account, p proof.Proof, in Input) (bool, error) {
	ok, err := authenticators.AcceptPasskey(tx, p, string(a.ID))
	if err != nil || ok {
		return ok, err
	}
	key, found, err := authenticators.CredentialByID(tx, f.Keys, account.ID, id.Authenticator(p.Authenticator))
	if err != nil || !found || key.State != authenticators.StateCloned {
		return false, err
	}
	seen := in.Who.Personal()
	seen["name"] = key.Name
	err = f.append(tx, events.Event{Kind: events.AuthenticatorCloned, Account: account.ID, Actor: events.System, Attempt: a.ID,
		Data: map[string]string{"method": string(proof.Passkey), "authenticator": string(key.ID)}, Personal: seen})
	if err != nil {
		return false, err
	}
	m := f.notice(account, outbox.AuthenticatorCloned, id.Derive[id.Message](string(a.ID), "cloned"), in.Who)
	m.Fields[outbox.Label] = key.Name
	return false, outbox.Add(tx, f.Keys, m)
}

// enrolPasskey takes a new passkey in place of an authenticator app. As with an
// app, nothing is kept before the recovery codes are confirmed.
func (f *Flow) enrolPasskey(ctx context.Context, in Input) (Outcome, error) {
	a, err := f.open(in.Attempt, in.Who)
	if err != nil {
		return Outcome{}, err
	}
	if a.At == RecoveryCodes { // a double submit
		return f.outcome(a, in.Who, nil)
	}
	rules := f.Auth.Passkeys()
	if rules == nil || a.At != Enrol || !a.offers(proof.Passkey) {
		return f.outcome(a, in.Who, &Refusal{Code: fault.AttemptExpired})
	}
	challenge, err := a.challenge()
	if err != nil {
		return Outcome{}, err
	}
	key, shown, hint, ok := rules.CheckNew(a.passkeyUser(), challenge, in.Secret, authenticators.SortPasskey, f.Now())
	if !ok {
		return f.enrolRefused(ctx, a, proof.Passkey, hint, in.Who)
	}
	if err := f.Store.Ping(ctx); err != nil { // as in enrolCode
		return Outcome{}, err
	}
	key.ID, key.Name = id.Derive[id.Authenticator](string(a.ID), "passkey"), authenticators.PasskeyName(key, in.Name)
	shown.Authenticator, shown.Version, shown.Step = string(key.ID), 1, 0 // nothing is used up: its counter is kept with it
	a.Enrolled.Passkey, a.Enrolled.Name, a.Enrolled.Proof = &key, key.Name, shown
	return f.showCodes(a, in.Who)
}
