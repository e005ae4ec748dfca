package flow

import (
	"context"
	"errors"
	"strings"

	"gatehouse/accounts"
	"gatehouse/authenticators"
	"gatehouse/events"
	"gatehouse/fault"
	"gatehouse/proof"
	"gatehouse/seal"
	"gatehouse/store"
)

// maxPassword bounds what is hashed, in bytes; ASVS 5.0 6.2.9 wants at least 64 characters.
const maxPassword = 1024

// showPassword takes e-mail and password.
func (f *Flow) showPassword(ctx context.Context, in Input) (Outcome, error) {
	if len(in.Secret) > maxPassword {
		return Outcome{Next: Password, Attempt: in.Attempt, Refusal: &Refusal{Code: fault.PasswordTooLong}}, nil
	}
	a, key, err := f.attemptFor(in)
	if err != nil {
		return Outcome{}, err
	}
	c, err := f.chargeName(ctx, key, a, in.Who)
	if err != nil {
		return Outcome{}, err
	}
	if !c.answer.Allowed {
		return overLimit(in, Password, c), nil
	}
	v, err := f.Auth.Check(ctx, proof.Password, c.kept, authenticators.Shown{Secret: in.Secret, Now: f.Now()})
	if err != nil {
		return Outcome{}, err
	}
	if !v.OK || !f.lets(c.account) {
		return f.passwordRefused(ctx, a, c, v, in)
	}
	if err := f.rehash(ctx, c, v, in.Secret); err != nil {
		return Outcome{}, err
	}
	return f.passwordShown(ctx, a, c, v, in)
}

// attemptFor goes on with the attempt of a link or a fresh proof, when it is
// about the same person, or begins a new one. The key is what limits count by.
func (f *Flow) attemptFor(in Input) (attempt, string, error) {
	key, err := accounts.Canonical(in.Email)
	if err != nil {
		key = bounded(in.Email) // no account has such a name; it costs the same to be told so
	}
	if in.Attempt == "" {
		return f.begin(SignIn, in), key, nil
	}
	a, err := f.open(in.Attempt, in.Who)
	if err != nil && in.Email == "" {
		return a, "", err
	}
	if own, ok := goesOn(a, in.Email); err == nil && ok {
		return a, own, nil
	}
	return f.begin(SignIn, in), key, nil
}

// goesOn tells whether a password typed with a name belongs to an attempt, and by
// what its tries are counted then. Any other begins a new one.
func goesOn(a attempt, email string) (key string, ok bool) {
	key, err := accounts.Canonical(a.Email)
	if err != nil || a.At != Password || a.Account == "" {
		return "", false
	}
	typed, err := accounts.Canonical(email)
	return key, email == "" || err == nil && typed == key || a.Purpose == Fresh
}

// bounded makes of an impossible name one that can be counted and asked for, and
// that no account can have: a key holds no space. PostgreSQL takes neither broken
// UTF-8 nor a zero byte.
func bounded(s string) string {
	s = strings.ToValidUTF8(s[:min(len(s), 254)], "")
	return "no address: " + strings.ReplaceAll(s, "\x00", "")
}

// passwordRefused answers an unknown name, a wrong password, a disabled and a
// locked account with the same words after the same work; only the log knows.
func (f *Flow) passwordRefused(ctx context.Context, a attempt, c charged, v authenticators.Verdict, in Input) (Outcome, error) {
	kind, reason := events.SignInRefused, "wrong-password"
	switch {
	case c.account.ID == events.Nobody:
		reason = "unknown-name"
	case v.OK:
		reason = string(c.account.Status)
	case c.kept.Password == nil:
		reason = "no-password"
	}
	if a.Purpose == Fresh {
		kind = events.FreshRefused
	}
	err := f.essential(ctx, func(tx *store.Tx) error {
		_, err := f.Log.Append(tx, events.Event{
			Kind: kind, Account: c.account.ID, Actor: events.Anonymous, Attempt: a.ID, Session: a.Session,
			Data: map[string]string{"reason": reason, "method": "password"}, Personal: in.Who.Personal(),
		})
		return err
	})
	if err != nil {
		return Outcome{}, err
	}
	return Outcome{Next: Password, Attempt: in.Attempt, Refusal: &Refusal{Code: fault.WrongCredentials}}, nil
}

// rehash renews a hash made with older parameters or an older pepper key, while
// the password is at hand. It can wait for the next sign-in and the primary; this
// person should not.
func (f *Flow) rehash(ctx context.Context, c charged, v authenticators.Verdict, pw seal.Secret) error {
	if !v.Stale || c.standby {
		return nil
	}
	hash, err := f.Auth.Hasher.Hash(ctx, c.account.ID, pw)
	if fault.Of(err) == fault.Busy {
		return nil
	}
	if err != nil {
		return err
	}
	err = f.Store.Do(ctx, func(tx *store.Tx) error {
		changed, err := authenticators.RefreshHash(tx, c.account.ID, c.kept.Password.Hash, hash)
		if err != nil || !changed {
			return err
		}
		return f.append(tx, events.Event{Kind: events.PasswordRehashed, Account: c.account.ID, Actor: events.System})
	})
	if fault.Of(err) == fault.Unavailable {
		return nil
	}
	return err
}

// passwordShown goes on after a right password. Nothing is decided here that the
// last commit does not decide again; what is recorded is that somebody knows it.
func (f *Flow) passwordShown(ctx context.Context, a attempt, c charged, v authenticators.Verdict, in Input) (Outcome, error) {
	a.Account, a.Email, a.Name, a.Known = c.account.ID, c.account.Email, c.account.Name, c.account.Version
	// Only the password: a code that was shown before it, for a link that has run
	// out since, is asked for again. So a password never ends an attempt.
	a.Proofs = []proof.Proof{v.Proof}
	a.Tries = append(a.Tries, c.answer.Spent...)
	if a.Purpose != Fresh {
		a.Why = f.mustChange(ctx, c.kept, in.Secret)
	}
	if out, done, err := f.byTrust(ctx, a, c, in); done || err != nil {
		return f.after(out, err)
	}
	var fs facts
	err := f.essential(ctx, func(tx *store.Tx) (err error) {
		if err = f.youngEnough(tx, a.Account); err != nil {
			return err
		}
		if fs, err = f.factsNow(tx, a, c.account); err != nil {
			return err
		}
		if err := f.noteCompromised(tx, a, c); err != nil {
			return err
		}
		return f.append(tx, events.Event{Kind: events.PasswordAccepted, Account: a.Account, Actor: events.Anonymous, Attempt: a.ID, Personal: in.Who.Personal()})
	})
	if err != nil {
		return Outcome{}, err
	}
	a.takes(fs)
	return f.goOn(ctx, a, fs, in.Who)
}

// factsNow reads all that next needs to know.
func (f *Flow) factsNow(tx *store.Tx, a attempt, account accounts.Account) (facts, error) {
	kept, err := authenticators.LoadUsual(tx, f.Keys, a.Account)
	if err != nil {
		return facts{}, err
	}
	good, err := f.linkStands(tx, a, account)
	if err != nil {
		return facts{}, err
	}
	fs, err := factsFor(tx, a, kept, good, a.Why)
	fs.ways = f.servable(fs.ways)
	return fs, err
}

// mustChange says why a password that is right must be replaced before a session
// starts: only evidence of compromise, or what the legacy preset demands.
func (f *Flow) mustChange(ctx context.Context, kept authenticators.Kept, pw seal.Secret) string {
	switch {
	case kept.Password.MustChange != "":
		return kept.Password.MustChange
	case f.Choose.Compromised(ctx, pw):
		return compromised
	case f.Choose.Policy.Expired(kept.Password.MadeAt, f.Now()):
		return expired
	}
	return ""
}

// noteCompromised keeps the finding that a password has leaked: it must be
// changed even if this sign-in goes no further and the list is another tomorrow.
func (f *Flow) noteCompromised(tx *store.Tx, a attempt, c charged) error {
	if a.Why != compromised || c.kept.Password.MustChange == compromised {
		return nil
	}
	if marked, err := authenticators.MarkCompromised(tx, a.Account, compromised); err != nil || !marked {
		return err
	}
	return f.append(tx, events.Event{Kind: events.PasswordCompromised, Account: a.Account, Actor: events.System, Attempt: a.ID,
		Data: map[string]string{"source": "list"}})
}

// Why a password that is right must be replaced.
const (
	compromised = "compromised"
	expired     = "expired"
)

func withoutMethod(ps []proof.Proof, m proof.Method) []proof.Proof {
	var rest []proof.Proof
	for _, p := range ps {
		if p.Method != m {
			rest = append(rest, p)
		}
	}
	return rest
}

// goOn moves an attempt to its next step and prepares what that step shows.
func (f *Flow) goOn(ctx context.Context, a attempt, fs facts, who Who) (Outcome, error) {
	a.At = next(a, fs)
	switch a.At {
	case Done:
		return Outcome{}, fault.New(fault.Internal, errors.New("flow: a password alone ended an attempt"))
	case Enrol:
		if err := f.startEnrolment(&a, fs.need); err != nil {
			return Outcome{}, err
		}
	case LinkSent:
		if err := f.mailEnrolLink(ctx, a, false, who); err != nil {
			return Outcome{}, err
		}
	}
	return f.outcome(a, who, nil)
}

// linkStands reads whether the link an attempt came through still holds.
func (f *Flow) linkStands(tx *store.Tx, a attempt, account accounts.Account) (bool, error) {
	if a.Link == "" {
		return false, nil
	}
	l, found, err := accounts.LinkByID(tx, a.Link)
	return found && l.Good(account, tx.Now(), string(a.ID)), err
}
