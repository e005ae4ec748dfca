package flow

import (
	"context"
	"encoding/json"
	"slices"
	"strconv"
	"time"

	"gatehouse/access"
	"gatehouse/accounts"
	"gatehouse/authenticators"
	"gatehouse/events"
	"gatehouse/limits"
	"gatehouse/proof"
	"gatehouse/seal"
	"gatehouse/sessions"
	"gatehouse/store"
	"gatehouse/words"
)

// A remembered browser shows the second authenticator by its cookie, together with
// the password and never without: at an ordinary sign-in alone, not for a fresh
// proof, not to enrol, not through a mailed link.

// remember makes the credential of this browser in the commit that opens the
// session, when its person asked for it and has shown more than paper. It returns
// the cookie's text, "" for none.
func (f *Flow) remember(tx *store.Tx, a attempt, account accounts.Account, who Who) (string, error) {
	if !a.Remember || a.RememberFor <= 0 || a.Purpose != SignIn || !slices.ContainsFunc(a.Proofs, provesBrowser) {
		return "", nil
	}
	now := tx.Now()
	c, t, err := authenticators.NewRemembered(f.Keys, f.Rand, account.ID, account.Epoch, who.Device, words.For(account.Locale).Device(who.Agent), now, now.Add(a.RememberFor))
	if err != nil {
		return "", err
	}
	if err := authenticators.KeepRemembered(tx, f.Keys, c, account.Epoch); err != nil {
		return "", err
	}
	seen := who.Personal()
	seen["name"] = c.Name
	err = f.append(tx, events.Event{Kind: events.BrowserRemembered, Account: account.ID, Actor: string(account.ID), Attempt: a.ID,
		Data: map[string]string{"authenticator": string(c.ID), "days": strconv.Itoa(days(a.RememberFor))}, Personal: seen})
	if err != nil {
		return "", err
	}
	plain, err := json.Marshal(t)
	if err != nil {
		return "", err
	}
	return f.Keys.SealToken(seal.Trust, "", c.ExpiresAt, plain)
}

// provesBrowser tells what may vouch for a browser: any second authenticator of
// today. A recovery code is for the day the others are lost.
func provesBrowser(p proof.Proof) bool {
	switch p.Method {
	case proof.Password, proof.RecoveryCode, proof.Remembered, proof.Link:
		return false
	}
	return true
}

// days rounds up: a browser is never remembered for "0 days".
func days(d time.Duration) int { return int((d + 24*time.Hour - 1) / (24 * time.Hour)) }

// openTrust reads the cookie of a remembered browser; false for what is no living
// one of ours.
func (f *Flow) openTrust(sealed string) (t authenticators.Trust, ok bool) {
	if sealed == "" {
		return t, false
	}
	plain, err := f.Keys.OpenToken(seal.Trust, "", f.Now(), sealed)
	return t, err == nil && json.Unmarshal(plain, &t) == nil
}

// byTrust ends a sign-in whose password was right on a browser that is remembered.
// Whatever speaks against that is no refusal: the attempt goes on to the second
// authenticator as if no cookie had come.
func (f *Flow) byTrust(ctx context.Context, a attempt, c charged, in Input) (out Outcome, done bool, err error) {
	t, ok := f.openTrust(in.Trusted)
	if !ok || a.Purpose != SignIn || a.Link != "" || a.Why != "" || t.Account != c.account.ID {
		return Outcome{}, false, nil
	}
	err = f.essential(ctx, func(tx *store.Tx) (err error) {
		out, done, err = f.commitTrust(tx, a, t, in)
		return err
	})
	return out, done, err
}

func (f *Flow) commitTrust(tx *store.Tx, a attempt, t authenticators.Trust, in Input) (Outcome, bool, error) {
	account, found, err := accounts.Lock(tx, a.Account)
	if err = orThen(err, func() error { return notBehind(tx, a, account, found) }); err != nil {
		return Outcome{}, false, err
	}
	if err := f.youngEnough(tx, a.Account); err != nil || !found || !f.lets(account) {
		return Outcome{}, false, err
	}
	if same, err := f.proofsStand(tx, a); err != nil || !same {
		return Outcome{}, false, err
	}
	p, kept, err := f.recognise(tx, account, t, in.Who)
	if err != nil || p.Method == "" {
		return Outcome{}, false, err
	}
	a.Proofs = append(a.Proofs, p)
	fs, err := f.factsNow(tx, a, account)
	if err != nil || next(a, fs) != Done {
		return Outcome{}, false, err
	}
	if out, same, err := f.sameBrowser(tx, a, account, kept, in.Who); same || err != nil {
		return out, same, err
	}
	if err := authenticators.MarkUsed(tx, kept.ID); err != nil {
		return Outcome{}, false, err
	}
	out, err := f.onwards(tx, a, account, fs, in)
	return out, err == nil, err
}

// recognise makes a proof of a cookie, the zero one when it is none. A copy of a
// cookie on another browser, after a right password, is a theft: then no browser
// of the account is remembered any longer.
func (f *Flow) recognise(tx *store.Tx, account accounts.Account, t authenticators.Trust, who Who) (proof.Proof, authenticators.Credential, error) {
	c, found, err := authenticators.CredentialByID(tx, f.Keys, account.ID, t.ID)
	if err != nil || !found {
		return proof.Proof{}, c, err
	}
	p, is := authenticators.Recognise(f.Keys, c, t, who.Device, account.Epoch, tx.Now())
	if is == authenticators.Elsewhere {
		return proof.Proof{}, c, f.forgetCopied(tx, account, c, who)
	}
	need, err := access.RequiredOf(tx, account.ID)
	if err != nil || is != authenticators.Good {
		return proof.Proof{}, c, err
	}
	if tx.Now().Sub(c.MadeAt) >= need.Remember { // the policy may have become stricter since
		return proof.Proof{}, c, nil
	}
	return p, c, nil
}

func (f *Flow) forgetCopied(tx *store.Tx, account accounts.Account, c authenticators.Credential, who Who) error {
	n, err := authenticators.ForgetRemembered(tx, account.ID, "")
	if err != nil || n == 0 {
		return err
	}
	seen := who.Personal()
	seen["name"] = c.Name
	return f.append(tx, events.Event{Kind: events.BrowserForgotten, Account: account.ID, Actor: events.Anonymous,
		Data: map[string]string{"why": "elsewhere", "authenticator": string(c.ID), "count": strconv.FormatInt(n, 10)}, Personal: seen})
}

// sameBrowser answers a second click: each click begins an attempt of its own, so
// it is the browser's session of a moment ago that is looked for.
func (f *Flow) sameBrowser(tx *store.Tx, a attempt, account accounts.Account, c authenticators.Credential, who Who) (Outcome, bool, error) {
	if c.LastUsedAt.IsZero() || tx.Now().Sub(c.LastUsedAt) > sameWithin {
		return Outcome{}, false, nil
	}
	live, err := sessions.Live(tx, f.Keys, account.ID, account.Epoch, tx.Now(), f.Sessions.Policy.Idle)
	if err != nil {
		return Outcome{}, false, err
	}
	for _, s := range live {
		p, remembered := proof.Find(s.Proofs, proof.Remembered)
		if !remembered || p.Authenticator != string(c.ID) || s.Device != who.Device || tx.Now().Sub(s.MadeAt) > sameWithin {
			continue
		}
		if err := limits.GiveBack(tx, a.Tries); err != nil {
			return Outcome{}, false, err
		}
		t, err := f.ticket(tx, sessions.NewTicket(s.ID, s.Account, s.Epoch, s.Device, s.Proofs, f.Sessions.Policy, s.MadeAt))
		if err != nil {
			return Outcome{}, false, err
		}
		out, err := f.done(a, t)
		return out, err == nil, err
	}
	return Outcome{}, false, nil
}
