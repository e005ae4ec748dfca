package flow

import (
	"context"

	"gatehouse/accounts"
	"gatehouse/authenticators"
	"gatehouse/events"
	"gatehouse/fault"
	"gatehouse/id"
	"gatehouse/limits"
	"gatehouse/outbox"
	"gatehouse/seal"
	"gatehouse/store"
)

// mailing is a link that is about to be sent, its ids and token fixed before the
// transaction that writes it.
type mailing struct {
	link    accounts.Link
	token   seal.Secret
	message id.Message
}

func (f *Flow) mailing(kind accounts.LinkKind) mailing {
	now := f.Now()
	return mailing{
		link:    accounts.Link{ID: id.New[id.Link](now, f.Rand), Kind: kind, Expires: now.Add(kind.Life())},
		token:   accounts.NewToken(f.Rand),
		message: id.New[id.Message](now, f.Rand),
	}
}

// mails says which mail carries which link.
var mails = map[accounts.LinkKind]outbox.Kind{
	accounts.Invitation: outbox.Invitation,
	accounts.Reset:      outbox.Reset,
	accounts.Enrol:      outbox.EnrolLink,
	accounts.Unlock:     outbox.UnlockLink,
}

// mailLink mails a link for a forgotten password or for a try over the limit. It
// says the same, after the same work, for every address: for one that may get no
// link, the rows are written all the same, for nobody and never sent.
func (f *Flow) mailLink(ctx context.Context, in Input) (Outcome, error) {
	kind := accounts.Reset
	if in.Do == AskUnlock {
		kind = accounts.Unlock
	}
	key, err := accounts.Canonical(in.Email)
	if err != nil {
		key = bounded(in.Email)
	}
	var said Outcome
	m := f.mailing(kind)
	err = f.Store.Do(ctx, func(tx *store.Tx) error {
		said = Outcome{Next: LinkSent, View: View{Email: in.Email}}
		answer, err := limits.Spend(tx, limits.Subject{Rule: f.Limits.MailNet, Of: limits.Network(in.Who.Network)}, f.mailsTo(kind, key))
		if err != nil {
			return err
		}
		account, found, err := accounts.ByEmail(tx, key)
		if err != nil {
			return err
		}
		if !found || !account.Status.MaySignIn() {
			account = accounts.Account{ID: events.Nobody, EmailKey: "nobody@invalid", Email: "nobody@invalid"}
		}
		if !answer.Allowed {
			if answer.Rule == f.Limits.MailNet.Name {
				said = Outcome{Next: Password, Refusal: &Refusal{Code: fault.TooManyTries, RetryAfter: answer.RetryAfter}}
			}
			return f.tellLimited(tx, charged{account: account, answer: answer}, in.Who)
		}
		return f.sendLink(tx, account, m, in.Who)
	})
	if err != nil {
		return Outcome{}, err
	}
	f.Nudge()
	return said, nil
}

// mailsTo bounds the mails of one kind to one address: those of another kind that
// a stranger asks for keep nobody from the one they need.
func (f *Flow) mailsTo(kind accounts.LinkKind, key string) limits.Subject {
	return limits.Subject{Rule: f.Limits.Mail, Of: string(kind) + "/" + key}
}

// sendLink writes a link, the mail that carries it, and the record.
func (f *Flow) sendLink(tx *store.Tx, to accounts.Account, m mailing, who Who) error {
	m.link.Account, m.link.Email = to.ID, to.EmailKey
	kept, err := authenticators.Load(tx, f.Keys, to.ID)
	if err != nil {
		return err
	}
	if kept.Password == nil && m.link.Kind == accounts.Reset { // nothing was forgotten: the invitation once more
		m.link.Kind, m.link.Expires = accounts.Invitation, tx.Now().Add(accounts.Invitation.Life())
	}
	kind := mails[m.link.Kind]
	if err := accounts.InsertLink(tx, m.link, m.token); err != nil {
		return err
	}
	mail := f.notice(to, kind, m.message, who)
	delete(mail.Fields, outbox.Time)
	mail.Fields[outbox.Link] = accounts.LinkURL(f.Origin, m.token)
	mail.Expires = m.link.Expires
	switch {
	case to.ID == events.Nobody:
		mail.Kind = outbox.Void
	case kind == outbox.Invitation:
		mail.Fields = only(mail.Fields, outbox.Link, outbox.Name, outbox.Zone)
	}
	if err := outbox.Add(tx, f.Keys, mail); err != nil {
		return err
	}
	return f.append(tx, events.Event{Kind: events.LinkSent, Account: to.ID, Actor: events.Anonymous,
		Data: map[string]string{"kind": string(m.link.Kind), "link": string(m.link.ID)}, Personal: map[string]string{"email": to.Email}})
}

func only(fields map[string]string, keep ...string) map[string]string {
	kept := map[string]string{}
	for _, k := range keep {
		if v, ok := fields[k]; ok {
			kept[k] = v
		}
	}
	return kept
}

// mailEnrolLink mails someone who knows a password, but has no second
// authenticator, the link without which nothing can be enrolled. Over the limit
// of mails the one already sent has to do. Unless again is asked for, so has one
// that is good for a while yet: a second mail would only put the first out of use.
func (f *Flow) mailEnrolLink(ctx context.Context, a attempt, again bool, who Who) error {
	m := f.mailing(accounts.Enrol)
	err := f.Store.Do(ctx, func(tx *store.Tx) error {
		account, found, err := accounts.ByID(tx, a.Account)
		if err != nil || !found {
			return err
		}
		waiting, err := accounts.Waiting(tx, a.Account, accounts.Enrol, tx.Now().Add(accounts.Enrol.Life()/2))
		if err != nil || waiting && !again {
			return err
		}
		answer, err := limits.Spend(tx, f.mailsTo(accounts.Enrol, account.EmailKey))
		if err != nil {
			return err
		}
		if !answer.Allowed {
			return f.tellLimited(tx, charged{account: account, answer: answer}, who)
		}
		return f.sendLink(tx, account, m, who)
	})
	f.Nudge()
	return err
}

func (f *Flow) resendLink(ctx context.Context, in Input) (Outcome, error) {
	a, err := f.open(in.Attempt, in.Who)
	if err != nil {
		return Outcome{}, err
	}
	if a.At == LinkSent {
		err = f.mailEnrolLink(ctx, a, true, in.Who)
	}
	if err != nil {
		return Outcome{}, err
	}
	return f.outcome(a, in.Who, nil)
}

// PeekLink tells what a mailed link is for, so that its page can say so. It
// changes nothing: mail scanners open links too. A standby may not have heard of
// a link, and must not call it spent: only the primary is asked.
func (f *Flow) PeekLink(ctx context.Context, token seal.Secret) (accounts.LinkKind, error) {
	var kind accounts.LinkKind
	err := f.Store.Read(ctx, func(tx *store.Tx) error {
		l, account, err := findLink(tx, token)
		if err == nil && (l.ID == "" || !l.Good(account, tx.Now(), "")) {
			err = fault.New(fault.LinkSpent, nil)
		}
		kind = l.Kind
		return err
	})
	return kind, err
}

// findLink returns a link and its account; both zero when there is no such link.
func findLink(tx *store.Tx, token seal.Secret) (accounts.Link, accounts.Account, error) {
	l, found, err := accounts.FindLink(tx, token)
	if err != nil || !found {
		return accounts.Link{}, accounts.Account{}, err
	}
	account, found, err := accounts.ByID(tx, l.Account)
	if err != nil || !found {
		return accounts.Link{}, accounts.Account{}, err
	}
	return l, account, nil
}

// openLink goes on with a link: the holder has shown that they read the address.
// All that a link leads to is a change, so it waits for the primary.
func (f *Flow) openLink(ctx context.Context, in Input) (Outcome, error) {
	var out Outcome
	err := f.Store.Do(ctx, func(tx *store.Tx) error {
		l, account, err := findLink(tx, in.Link)
		if err != nil {
			return err
		}
		a := f.attemptOfLink(l, account, in)
		if l.ID == "" || l.Kind == accounts.Address || !l.Good(account, tx.Now(), string(a.ID)) || !account.Status.MaySignIn() {
			out, err = f.linkNotGood(tx, a, in.Who)
			return err
		}
		out, err = f.linkOpened(tx, a, account, in)
		return err
	})
	return f.after(out, err)
}

// attemptOfLink goes on with the browser's own attempt when that waits for just
// this link, and begins one otherwise.
func (f *Flow) attemptOfLink(l accounts.Link, account accounts.Account, in Input) attempt {
	a, err := f.open(in.Attempt, in.Who)
	if err != nil || a.At != LinkSent || a.Account != account.ID || l.Kind != accounts.Enrol {
		a = f.begin(purposeOf(l.Kind), in)
	}
	a.Account, a.Email, a.Name, a.Known = account.ID, account.Email, account.Name, account.Version
	a.Link, a.LinkKind = l.ID, l.Kind
	return a
}

func purposeOf(k accounts.LinkKind) Purpose {
	switch k {
	case accounts.Invitation:
		return Invitation
	case accounts.Reset:
		return Reset
	}
	return SignIn
}

func (f *Flow) linkOpened(tx *store.Tx, a attempt, account accounts.Account, in Input) (Outcome, error) {
	err := f.append(tx, events.Event{Kind: events.LinkOpened, Account: a.Account, Actor: string(a.Account), Attempt: a.ID,
		Data: map[string]string{"kind": string(a.LinkKind), "link": string(a.Link)}, Personal: in.Who.Personal()})
	if err != nil {
		return Outcome{}, err
	}
	if a.LinkKind == accounts.Unlock {
		if err := f.spendLink(tx, a, in.Who); err != nil {
			return Outcome{}, err
		}
	}
	fs, err := f.factsNow(tx, a, account)
	if err != nil {
		return Outcome{}, err
	}
	fs.linkGood = true // it was looked at in this transaction, and spending an unlock link is what it was for
	return f.onwards(tx, a, account, fs, in)
}

// linkNotGood is linkRefused for whoever holds no attempt yet, anybody: it spends
// a try of the network, or strangers could fill the log with what they made up.
func (f *Flow) linkNotGood(tx *store.Tx, a attempt, who Who) (Outcome, error) {
	answer, err := limits.Spend(tx, f.network(who))
	if err != nil || answer.Allowed {
		return orElse(err, func() (Outcome, error) { return f.linkRefused(tx, a, who) })
	}
	refusal := Refusal{Code: fault.TooManyTries, RetryAfter: answer.RetryAfter}
	return Outcome{Next: Password, Refusal: &refusal}, f.tellLimited(tx, charged{account: accounts.Account{ID: events.Nobody}, answer: answer}, who)
}

// linkRefused answers a link that is spent, old, replaced or not ours, all with
// the same words.
func (f *Flow) linkRefused(tx *store.Tx, a attempt, who Who) (Outcome, error) {
	account := a.Account
	if account == "" {
		account = events.Nobody
	}
	err := f.append(tx, events.Event{Kind: events.LinkRefused, Account: account, Actor: events.Anonymous, Attempt: a.ID,
		Data: map[string]string{"reason": "spent"}, Personal: who.Personal()})
	return refuse(Password, fault.LinkSpent), err
}

// proveAfresh begins a proof by someone who is signed in: password and second
// authenticator again, which gives the session a new id and opens sensitive
// changes for a few minutes.
func (f *Flow) proveAfresh(ctx context.Context, in Input) (Outcome, error) {
	if in.Session == nil {
		return Outcome{}, fault.New(fault.NotSignedIn, nil)
	}
	a := f.begin(Fresh, in)
	err := f.Store.EssentialRead(ctx, func(tx *store.Tx) error {
		account, found, err := accounts.ByID(tx, in.Session.Account)
		switch {
		case err != nil:
			return err
		case !found && tx.Standby(), found && account.Epoch < in.Session.Epoch:
			return fault.New(fault.Unavailable, errBehind)
		case !found:
			return fault.New(fault.NotSignedIn, nil)
		}
		a.Account, a.Email, a.Name, a.Known, a.Session = account.ID, account.Email, account.Name, account.Version, in.Session.Session
		return nil
	})
	if err != nil {
		return Outcome{}, err
	}
	return f.outcome(a, in.Who, nil)
}
