package manage

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"gatehouse/access"
	"gatehouse/accounts"
	"gatehouse/authenticators"
	"gatehouse/events"
	"gatehouse/fault"
	"gatehouse/id"
	"gatehouse/outbox"
	"gatehouse/seal"
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
