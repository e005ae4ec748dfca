package manage

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"gatehouse/access"
	"gatehouse/accounts"
	"gatehouse/authenticators"
	"gatehouse/events"
	"gatehouse/fault"
	"gatehouse/id"
	"gatehouse/outbox"
	"gatehouse/seal"
	"gatehouse/sessions"
	"gatehouse/store"
)

// Person is somebody to be added.
type Person struct {
	Email        string
	Name         string
	Locale       string
	Zone         string
	Organisation string // by name; made when there is none. "" = none yet
	Role         access.Role
}

// Invited is what adding a person leads to.
type Invited struct {
	Account    accounts.Account
	Link       seal.Secret        // the invitation's full address, also mailed
	Lookalikes []accounts.Account // other accounts whose address looks the same
}

// Prepare makes what every installation has, and makes sure that our keys are
// those of this database (seal.ErrForeign). It is called at start and may be
// called again.
func (m *Manage) Prepare(ctx context.Context) error {
	return m.Store.Do(ctx, func(tx *store.Tx) error {
		if err := m.Log.Prepare(tx); err != nil {
			return err
		}
		if err := authenticators.Prepare(tx, m.Keys, m.Rand); err != nil {
			return err
		}
		return authenticators.CheckKeys(tx, m.Keys)
	})
}

// Add makes an account and mails its invitation. accounts.ErrTaken when the
// address has an account.
func (m *Manage) Add(ctx context.Context, p Person, actor string) (Invited, error) {
	account, err := m.newAccount(p, accounts.Invited)
	if err != nil {
		return Invited{}, err
	}
	inv := m.invitation(account)
	out := Invited{Account: account, Link: seal.Secret(accounts.LinkURL(m.Origin, inv.token))}
	err = m.Store.Do(ctx, func(tx *store.Tx) (err error) {
		if out.Lookalikes, err = m.insert(tx, account, p, actor); err != nil {
			return err
		}
		return m.invite(tx, account, p.Organisation, inv, actor)
	})
	m.Nudge()
	return out, err
}

func (m *Manage) newAccount(p Person, s accounts.Status) (accounts.Account, error) {
	key, err := accounts.Canonical(p.Email)
	if err != nil {
		return accounts.Account{}, fmt.Errorf("%q is not an e-mail address we can use: %w", p.Email, err)
	}
	return accounts.Account{ID: id.New[id.Account](m.Now(), m.Rand), Email: strings.TrimSpace(p.Email), EmailKey: key,
		Name: p.Name, Status: s, Epoch: 1, Locale: p.Locale, Zone: p.Zone, HomeCell: "home"}, nil
}

func (m *Manage) insert(tx *store.Tx, a accounts.Account, p Person, actor string) ([]accounts.Account, error) {
	alike, err := accounts.Lookalikes(tx, a.EmailKey)
	if err != nil {
		return nil, err
	}
	if err := accounts.Insert(tx, a); err != nil {
		return nil, err
	}
	if err := m.Log.Introduce(tx, a.ID); err != nil {
		return nil, err
	}
	err = m.append(tx, events.Event{Kind: events.AccountAdded, Account: a.ID, Actor: actor,
		Data: map[string]string{"role": string(p.Role)}, Personal: map[string]string{"email": a.Email, "name": a.Name}})
	if err != nil {
		return nil, err
	}
	if err := m.flagLookalikes(tx, a.ID, a.Email, alike, actor); err != nil {
		return nil, err
	}
	return alike, m.join(tx, a.ID, p, actor)
}

// flagLookalikes records that an address is easily taken for those of others.
func (m *Manage) flagLookalikes(tx *store.Tx, account id.Account, email string, alike []accounts.Account, actor string) error {
	for _, other := range alike {
		err := m.append(tx, events.Event{Kind: events.NameConfusable, Account: account, Actor: actor,
			Data: map[string]string{"looks-like": string(other.ID)}, Personal: map[string]string{"email": email}})
		if err != nil {
			return err
		}
	}
	return nil
}

func (m *Manage) join(tx *store.Tx, a id.Account, p Person, actor string) error {
	if p.Organisation == "" {
		return nil
	}
	o, found, err := access.OrganisationByName(tx, p.Organisation)
	if err != nil {
		return err
	}
	if !found {
		o = access.Organisation{ID: id.New[id.Organisation](m.Now(), m.Rand), Name: p.Organisation}
		if err := access.AddOrganisation(tx, o); err != nil {
			return err
		}
		if err := m.append(tx, events.Event{Kind: events.OrganisationAdded, Organisation: o.ID, Actor: actor}); err != nil {
			return err
		}
	}
	if err := access.Join(tx, o.ID, a, p.Role); err != nil {
		return err
	}
	return m.append(tx, events.Event{Kind: events.MemberAdded, Organisation: o.ID, Account: a, Actor: actor, Data: map[string]string{"role": string(p.Role)}})
}

// inviting is an invitation whose ids and token are fixed before its transaction.
type inviting struct {
	link  accounts.Link
	token seal.Secret
}

func (m *Manage) invitation(a accounts.Account) inviting {
	now := m.Now()
	return inviting{accounts.Link{ID: id.New[id.Link](now, m.Rand), Kind: accounts.Invitation, Account: a.ID, Email: a.EmailKey,
		Expires: now.Add(accounts.Invitation.Life())}, accounts.NewToken(m.Rand)}
}

func (m *Manage) invite(tx *store.Tx, a accounts.Account, organisation string, inv inviting, actor string) error {
	if err := accounts.InsertLink(tx, inv.link, inv.token); err != nil {
		return err
	}
	fields := map[string]string{outbox.Link: accounts.LinkURL(m.Origin, inv.token)}
	for k, v := range map[string]string{outbox.Name: a.Name, outbox.Zone: a.Zone, outbox.Organisation: organisation} {
		if v != "" {
			fields[k] = v
		}
	}
	mail := outbox.Message{ID: id.Derive[id.Message](string(inv.link.ID), "invitation"), Kind: outbox.Invitation, Account: a.ID,
		To: a.Email, Locale: a.Locale, Fields: fields, Expires: inv.link.Expires}
	if err := outbox.Add(tx, m.Keys, mail); err != nil {
		return err
	}
	return m.append(tx, events.Event{Kind: events.AccountInvited, Account: a.ID, Actor: actor,
		Data: map[string]string{"link": string(inv.link.ID)}, Personal: map[string]string{"email": a.Email}})
}

// Reinvite mails a new invitation to someone who has not finished setting up; the
// older one is out of use.
func (m *Manage) Reinvite(ctx context.Context, email, actor string) (seal.Secret, error) {
	a, err := m.find(ctx, email)
	if err != nil {
		return "", err
	}
	if a.Status != accounts.Invited {
		return "", fmt.Errorf("%s is %s, not invited: only people who have not finished setting up can be invited again", a.Email, a.Status)
	}
	inv := m.invitation(a)
	err = m.Store.Do(ctx, func(tx *store.Tx) error { return m.invite(tx, a, "", inv, actor) })
	m.Nudge()
	return seal.Secret(accounts.LinkURL(m.Origin, inv.token)), err
}

// Ready is a person who comes with password and authenticator app: for the demo,
// for load tests, and for imports.
type Ready struct {
	Person
	Password seal.Secret
	TOTP     seal.Secret // base32
}

// AddReady makes an account that can sign in at once. Whoever calls it knows the
// secrets, so it is for operators only and is recorded as theirs.
func (m *Manage) AddReady(ctx context.Context, r Ready, actor string) (accounts.Account, error) {
	account, err := m.newAccount(r.Person, accounts.Active)
	if err != nil {
		return account, err
	}
	hash, err := m.Choose.Hasher.Hash(ctx, account.ID, r.Password)
	if err != nil {
		return account, err
	}
	password := authenticators.Password{ID: id.New[id.Authenticator](m.Now(), m.Rand), Hash: hash, MadeAt: m.Now()}
	app := authenticators.NewTOTP("Authenticator app", r.TOTP, m.Now())
	app.ID, app.Account = id.New[id.Authenticator](m.Now(), m.Rand), account.ID
	err = m.Store.Do(ctx, func(tx *store.Tx) error {
		if _, err := m.insert(tx, account, r.Person, actor); err != nil {
			return err
		}
		if err := authenticators.SetPassword(tx, account.ID, password, 0); err != nil {
			return err
		}
		if err := authenticators.AddTOTP(tx, m.Keys, app); err != nil {
			return err
		}
		return accounts.VerifyEmail(tx, account.ID)
	})
	return account, err
}

// Disable keeps a person out: sessions end on this node at once, on others within
// a second; links are spent; the person is told.
func (m *Manage) Disable(ctx context.Context, email, why, actor string) (accounts.Account, error) {
	return m.deny(ctx, email, accounts.Disabled, events.AccountDisabled, why, actor)
}

// Lock keeps a person out until Unlock, without calling them disabled.
func (m *Manage) Lock(ctx context.Context, email, why, actor string) (accounts.Account, error) {
	return m.deny(ctx, email, accounts.Locked, events.AccountLocked, why, actor)
}

// Enable lets a disabled person in again.
func (m *Manage) Enable(ctx context.Context, email, why, actor string) (accounts.Account, error) {
	return m.allow(ctx, email, accounts.Disabled, events.AccountEnabled, why, actor)
}

// Unlock lets a locked person in again.
func (m *Manage) Unlock(ctx context.Context, email, why, actor string) (accounts.Account, error) {
	return m.allow(ctx, email, accounts.Locked, events.AccountUnlocked, why, actor)
}

// ResetSecond takes a person's authenticator apps and recovery codes off, for
// someone who has lost them all: the caller has made sure who asks. Sessions end,
// the person is told, and the link mailed to their address is what permits
// enrolling anew, after their password. It returns the link.
func (m *Manage) ResetSecond(ctx context.Context, email, why, actor string) (accounts.Account, seal.Secret, error) {
	a, err := m.find(ctx, email)
	if err != nil {
		return a, "", err
	}
	now := m.Now()
	link := accounts.Link{ID: id.New[id.Link](now, m.Rand), Kind: accounts.Enrol, Account: a.ID, Email: a.EmailKey, Expires: now.Add(accounts.Enrol.Life())}
	token := accounts.NewToken(m.Rand)
	var revoked sessions.Revocation
	err = m.Store.Do(ctx, func(tx *store.Tx) error {
		held, _, err := accounts.Lock(tx, a.ID)
		if err != nil {
			return err
		}
		if !held.Status.MaySignIn() {
			return fmt.Errorf("%s is %s: nothing was changed", held.Email, held.Status)
		}
		if err := m.removeSecond(tx, held, string(link.ID), why, actor); err != nil {
			return err
		}
		if revoked, err = m.endForReset(tx, held, actor); err != nil {
			return err
		}
		return m.mailEnrolment(tx, held, link, token, actor)
	})
	_, err = m.after(Result{}, err, revoked)
	return a, seal.Secret(accounts.LinkURL(m.Origin, token)), err
}

func (m *Manage) removeSecond(tx *store.Tx, a accounts.Account, key, why, actor string) error {
	kept, err := authenticators.LoadUsual(tx, m.Keys, a.ID)
	if err != nil {
		return err
	}
	apps, err := authenticators.RemoveSecond(tx, m.Keys, a.ID)
	if err != nil {
		return err
	}
	if len(apps) == 0 {
		return fmt.Errorf("%s has no second authenticator: nothing was changed", a.Email)
	}
	for _, app := range apps {
		if err := m.tokenOff(tx, kept, app.ID, actor); err != nil {
			return err
		}
		data := map[string]string{"method": string(app.Kind.Method()), "authenticator": string(app.ID), "why": "by-operator"}
		if code := reason(why)["why"]; code != "" {
			data["why"] = "by-operator:" + code
		}
		err := m.append(tx, events.Event{Kind: events.AuthenticatorRemoved, Account: a.ID, Actor: actor, Data: data, Personal: map[string]string{"name": app.Name}})
		if err != nil {
			return err
		}
	}
	mail := m.notice(a, outbox.AuthenticatorRemoved, key, sessions.Who{})
	delete(mail.Fields, outbox.Device)
	mail.Fields[outbox.Label] = apps[0].Name
	return outbox.Add(tx, m.Keys, mail)
}

// endForReset ends what was begun with the authenticators that are gone.
func (m *Manage) endForReset(tx *store.Tx, a accounts.Account, actor string) (sessions.Revocation, error) {
	epoch, err := accounts.RaiseEpoch(tx, a.ID)
	if err != nil {
		return sessions.Revocation{}, err
	}
	revoked, ended, err := sessions.EndAll(tx, a.ID, epoch, m.Sessions.Policy.Absolute, "authenticator-changed")
	if err != nil || ended == 0 {
		return revoked, err
	}
	return revoked, m.append(tx, events.Event{Kind: events.SessionsEnded, Account: a.ID, Actor: actor,
		Data: map[string]string{"why": "authenticator-changed", "count": strconv.FormatInt(ended, 10)}})
}

func (m *Manage) mailEnrolment(tx *store.Tx, a accounts.Account, link accounts.Link, token seal.Secret, actor string) error {
	if err := accounts.SpendLinks(tx, a.ID, string(link.ID)); err != nil {
		return err
	}
	if err := accounts.InsertLink(tx, link, token); err != nil {
		return err
	}
	mail := m.notice(a, outbox.EnrolLink, string(link.ID), sessions.Who{})
	delete(mail.Fields, outbox.Time)
	delete(mail.Fields, outbox.Device)
	mail.Fields[outbox.Link], mail.Expires = accounts.LinkURL(m.Origin, token), link.Expires
	if err := outbox.Add(tx, m.Keys, mail); err != nil {
		return err
	}
	return m.append(tx, events.Event{Kind: events.LinkSent, Account: a.ID, Actor: actor,
		Data: map[string]string{"kind": string(link.Kind), "link": string(link.ID)}, Personal: map[string]string{"email": a.Email}})
}

// deny is a denial and works on a standby too: the epoch it raises there is past
// all that the primary may have given out meanwhile, so that sessions the standby
// has not heard of are over as well.
func (m *Manage) deny(ctx context.Context, email string, s accounts.Status, kind events.Kind, why, actor string) (accounts.Account, error) {
	a, err := m.find(ctx, email)
	if err != nil {
		return a, err
	}
	key := string(id.New[id.Attempt](m.Now(), m.Rand))
	var revoked sessions.Revocation
	err = m.Store.Essential(ctx, func(tx *store.Tx) error {
		held, _, err := accounts.Lock(tx, a.ID)
		if err != nil {
			return err
		}
		if s == accounts.Locked && held.Status == accounts.Disabled {
			return fmt.Errorf("%s is disabled, which is more than locked: nothing was changed", a.Email)
		}
		epoch, err := accounts.SetStatus(tx, a.ID, s)
		if err != nil {
			return err
		}
		var ended int64
		if revoked, ended, err = sessions.EndAll(tx, a.ID, epoch, m.Sessions.Policy.Absolute, string(s)); err != nil {
			return err
		}
		if ended > 0 {
			data := map[string]string{"why": string(s), "count": strconv.FormatInt(ended, 10)}
			if err := m.append(tx, events.Event{Kind: events.SessionsEnded, Account: a.ID, Actor: actor, Data: data}); err != nil {
				return err
			}
		}
		if err := accounts.SpendLinks(tx, a.ID, key); err != nil {
			return err
		}
		if err := m.append(tx, events.Event{Kind: kind, Account: a.ID, Actor: actor, Data: reason(why)}); err != nil {
			return err
		}
		if s != accounts.Disabled || held.Status == s {
			return nil
		}
		mail := m.notice(held, outbox.AccountDisabled, key, sessions.Who{})
		delete(mail.Fields, outbox.Device)
		return outbox.Add(tx, m.Keys, mail)
	})
	a.Status = s
	_, err = m.after(Result{}, err, revoked)
	return a, err
}

func (m *Manage) allow(ctx context.Context, email string, from accounts.Status, kind events.Kind, why, actor string) (accounts.Account, error) {
	a, err := m.find(ctx, email)
	if err != nil {
		return a, err
	}
	err = m.Store.Do(ctx, func(tx *store.Tx) error {
		held, _, err := accounts.Lock(tx, a.ID)
		if err != nil {
			return err
		}
		if held.Status != from {
			return fmt.Errorf("%s is %s, not %s: nothing was changed", a.Email, held.Status, from)
		}
		kept, err := authenticators.Load(tx, m.Keys, a.ID)
		if err != nil {
			return err
		}
		a.Status = accounts.Invited
		if kept.Seconds(m.Now()) > 0 {
			a.Status = accounts.Active
		}
		if _, err := accounts.SetStatus(tx, a.ID, a.Status); err != nil {
			return err
		}
		return m.append(tx, events.Event{Kind: kind, Account: a.ID, Actor: actor, Data: reason(why)})
	})
	return a, err
}

// reason keeps an operator's reason as a code; free text has no place in the
// part of an event that is never erased.
func reason(why string) map[string]string {
	if why == "" {
		return nil
	}
	code := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9', r == '-':
			return r
		case r >= 'A' && r <= 'Z':
			return r + 'a' - 'A'
		}
		return '-'
	}, why)
	return map[string]string{"why": code[:min(len(code), 100)]}
}

// ErrUnheard says that a standby holds no such account, which may be because the
// primary was gone before the standby heard of it.
var ErrUnheard = errors.New("manage: this standby has not heard of the account")

// ErrNoAccount says that nobody has an address.
var ErrNoAccount = errors.New("no account has this address")

func (m *Manage) find(ctx context.Context, email string) (a accounts.Account, err error) {
	key, err := accounts.Canonical(email)
	if err != nil {
		return a, fmt.Errorf("%q is not an e-mail address: %w", email, err)
	}
	err = m.Store.EssentialRead(ctx, func(tx *store.Tx) error {
		found := false
		a, found, err = accounts.ByEmail(tx, key)
		if err = orUnheard(tx, found, err); err == nil && !found {
			err = fault.New(fault.NotFound, fmt.Errorf("%s: %w", email, ErrNoAccount))
		}
		return err
	})
	return a, err
}

// Row is one line of the list of accounts.
type Row struct {
	accounts.Account
	Memberships []access.Membership
	Apps        int
	CodesLeft   int
}

// People lists accounts by address, at most limit after an address.
func (m *Manage) People(ctx context.Context, after string, limit int) ([]Row, error) {
	var rows []Row
	err := m.Store.Read(ctx, func(tx *store.Tx) error {
		rows = nil
		all, err := accounts.List(tx, after, limit)
		if err != nil {
			return err
		}
		for _, a := range all {
			kept, err := authenticators.Load(tx, m.Keys, a.ID)
			if err != nil {
				return err
			}
			members, err := access.Memberships(tx, a.ID)
			if err != nil {
				return err
			}
			rows = append(rows, Row{a, members, len(kept.TOTP), authenticators.RecoveryLeft(kept)})
		}
		return nil
	})
	return rows, err
}

// Events reads the log from after a position, oldest first.
func (m *Manage) Events(ctx context.Context, after int64, limit int) ([]events.Event, error) {
	var all []events.Event
	err := m.Store.Read(ctx, func(tx *store.Tx) (err error) {
		all, err = m.Log.After(tx, after, limit)
		return err
	})
	return all, err
}

func (m *Manage) append(tx *store.Tx, e events.Event) error {
	_, err := m.Log.Append(tx, e)
	return err
}
