// Package manage is what people change about their own account, and what
// operators and admins change about others. A change of a password, an
// authenticator, an address or the recovery codes asks for a full fresh proof,
// ends every other session and gives this one a new id; decision, state, record
// and notice are one transaction.
package manage

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"strconv"
	"time"

	"gatehouse/access"
	"gatehouse/accounts"
	"gatehouse/authenticators"
	"gatehouse/events"
	"gatehouse/fault"
	"gatehouse/id"
	"gatehouse/limits"
	"gatehouse/outbox"
	"gatehouse/proof"
	"gatehouse/seal"
	"gatehouse/sessions"
	"gatehouse/store"
)

// Manage holds what changes need. cmd fills every field, once.
type Manage struct {
	Store    *store.Store
	Keys     *seal.Keys
	Log      *events.Log
	Choose   authenticators.Chooser
	Sessions *sessions.Checker
	Passkeys *authenticators.Relying // nil: none can be added
	MailNet  limits.Rule             // confirmation mails asked for, per account
	Change   limits.Rule             // as in flow.Limits
	Guess    Guessing                // likewise, of codes
	Pace     *limits.Pace            // writes of one person, so that nobody takes the database from others; nil bounds nothing
	Origin   string                  // the configured public origin, the only source of links
	Product  string
	Apps     authenticators.Making // how new authenticator apps make their codes; empty is Usual
	Phones   *Phones               // telephone numbers; nil: nobody may have one
	Now      func() time.Time
	Rand     io.Reader
	Nudge    func() // wakes the mail sender; never waits
}

// Caller is a signed-in person: their checked ticket and where they ask from.
type Caller struct {
	Ticket sessions.Ticket
	Who    sessions.Who
}

// Result is the answer to a change.
type Result struct {
	Refusal *fault.Refusal  // nil: done
	Ticket  string          // sealed new ticket when the session got a new id, else ""
	Session sessions.Ticket // the same, opened
}

// refused is a Result that says no.
func refused(code fault.Code) Result { return Result{Refusal: &fault.Refusal{Code: code}} }

// fresh demands a full proof of the last few minutes.
func (m *Manage) fresh(c Caller) error {
	if !m.Now().Before(c.Ticket.FreshUntil(m.Sessions.Policy)) {
		return fault.New(fault.FreshProofNeeded, nil)
	}
	return nil
}

// pay spends a try at changing something: to judge and keep a password costs
// hashes that somebody else waits for, and every refusal is a line in the log.
func (m *Manage) pay(ctx context.Context, c Caller) (refusal *fault.Refusal, err error) {
	err = m.do(ctx, c, func(tx *store.Tx) error {
		refusal = nil
		answer, err := limits.Spend(tx, limits.Subject{Rule: m.Change, Of: string(c.Ticket.Account)})
		if err != nil || answer.Allowed {
			return err
		}
		refusal = &fault.Refusal{Code: fault.TooManyTries, RetryAfter: answer.RetryAfter}
		if !answer.Tell {
			return nil
		}
		return m.append(tx, events.Event{Kind: events.SignInLimited, Account: c.Ticket.Account, Actor: string(c.Ticket.Account),
			Data: map[string]string{"scope": answer.Rule}, Personal: c.Who.Personal()})
	})
	return refusal, err
}

// do is a write that a person asks for.
func (m *Manage) do(ctx context.Context, c Caller, fn func(*store.Tx) error) error {
	if !m.Pace.Allow(string(c.Ticket.Account), m.Now()) {
		return fault.New(fault.Busy, nil)
	}
	return m.Store.Do(ctx, fn)
}

// change is one change of a person's own account, inside its transaction.
type change struct {
	tx      *store.Tx
	account accounts.Account // its row is held
	caller  Caller
	key     string // names this change: ids of what it writes are derived from it
}

// commit runs a sensitive change: it holds the account, reads again what decides,
// lets fn write, ends every session but the caller's, and gives that a new id.
func (m *Manage) commit(ctx context.Context, c Caller, why string, fn func(change) error) (Result, error) {
	if err := m.fresh(c); err != nil {
		return Result{}, err
	}
	key := string(id.New[id.Attempt](m.Now(), m.Rand))
	var res Result
	var revoked sessions.Revocation
	err := m.do(ctx, c, func(tx *store.Tx) (err error) {
		ch, err := m.hold(tx, c, key)
		if err != nil {
			return err
		}
		if err := fn(ch); err != nil {
			return err
		}
		res, revoked, err = m.renew(ch, why)
		return err
	})
	return m.after(res, err, revoked)
}

// orUnheard is fault.Unavailable when a standby holds no row of somebody: it may
// only not have heard of them yet, which is no answer about them.
func orUnheard(tx *store.Tx, found bool, err error) error {
	if err == nil && !found && tx.Standby() {
		return fault.New(fault.Unavailable, ErrUnheard)
	}
	return err
}

// hold locks the caller's account and makes sure that the session still stands.
func (m *Manage) hold(tx *store.Tx, c Caller, key string) (change, error) {
	account, found, err := accounts.Lock(tx, c.Ticket.Account)
	if err = orUnheard(tx, found, err); err != nil {
		return change{}, err
	}
	if !found || !account.Status.MaySignIn() || account.Epoch > c.Ticket.Epoch {
		return change{}, fault.New(fault.NotSignedIn, errors.New("manage: the account changed meanwhile"))
	}
	lives, err := sessions.Lives(tx, account.ID, c.Ticket.Session)
	if err == nil && !lives {
		err = fault.New(fault.NotSignedIn, errors.New("manage: the session was ended meanwhile"))
	}
	return change{tx, account, c, key}, err
}

// renew ends every session of the account and starts the caller's anew with a
// new id. How long it may live at most does not change. Links on their way are
// out of use: whoever had the account before must not come back by one.
func (m *Manage) renew(ch change, why string) (Result, sessions.Revocation, error) {
	epoch, err := accounts.RaiseEpoch(ch.tx, ch.account.ID)
	if err != nil {
		return Result{}, sessions.Revocation{}, err
	}
	revoked, err := m.endAll(ch, epoch, 1, why)
	if err != nil {
		return Result{}, revoked, err
	}
	if err := accounts.SpendLinks(ch.tx, ch.account.ID, ch.key); err != nil {
		return Result{}, revoked, err
	}
	old := ch.caller.Ticket
	t := sessions.NewTicket(id.Derive[id.Session](ch.key, "session"), old.Account, epoch, old.Device, old.Proofs, m.Sessions.Policy, ch.tx.Now())
	t.AbsoluteUntil, t.Lenient = old.AbsoluteUntil, old.Lenient
	t.IdleUntil = earlier(t.IdleUntil, t.AbsoluteUntil)
	if err := sessions.Insert(ch.tx, m.Keys, t, id.Attempt(ch.key), ch.caller.Who.Seen()); err != nil {
		return Result{}, revoked, err
	}
	err = m.record(ch, events.SessionReplaced, map[string]string{"why": why, "replaced": string(old.Session)})
	if err != nil {
		return Result{}, revoked, err
	}
	ticket, err := t.Seal(m.Keys)
	return Result{Ticket: ticket, Session: t}, revoked, err
}

// endAll ends every session of an account before epoch and records how many it
// ended besides the caller's own.
func (m *Manage) endAll(ch change, epoch, own int64, why string) (sessions.Revocation, error) {
	revoked, ended, err := sessions.EndAll(ch.tx, ch.account.ID, epoch, m.Sessions.Policy.Absolute, why)
	if err != nil || ended <= own {
		return revoked, err
	}
	return revoked, m.record(ch, events.SessionsEnded, map[string]string{"why": why, "count": strconv.FormatInt(ended-own, 10)})
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

func (m *Manage) after(res Result, err error, revoked ...sessions.Revocation) (Result, error) {
	if err != nil {
		return Result{}, err
	}
	m.Sessions.Apply(revoked)
	m.Nudge()
	return res, nil
}

// record appends an event about the caller's own account.
func (m *Manage) record(ch change, kind events.Kind, data map[string]string) error {
	return m.recordWith(ch, kind, data, nil)
}

func (m *Manage) recordWith(ch change, kind events.Kind, data, more map[string]string) error {
	personal := ch.caller.Who.Personal()
	for k, v := range more {
		personal[k] = v
	}
	_, err := m.Log.Append(ch.tx, events.Event{Kind: kind, Account: ch.account.ID, Actor: string(ch.account.ID),
		Session: ch.caller.Ticket.Session, Data: data, Personal: personal})
	return err
}

// tell puts a notice to the account's owner in the outbox.
func (m *Manage) tell(ch change, kind outbox.Kind, fields ...string) error {
	mail := m.notice(ch.account, kind, ch.key, ch.caller.Who)
	for i := 0; i+1 < len(fields); i += 2 {
		mail.Fields[fields[i]] = fields[i+1]
	}
	return outbox.Add(ch.tx, m.Keys, mail)
}

func (m *Manage) notice(to accounts.Account, kind outbox.Kind, key string, who sessions.Who) outbox.Message {
	return outbox.Notice(kind, id.Derive[id.Message](key, string(kind)),
		outbox.To{Account: to.ID, Email: to.Email, Name: to.Name, Locale: to.Locale, Zone: to.Zone},
		outbox.About{At: m.Now(), Agent: who.Agent, Place: who.Place, Network: who.Network})
}

// Overview is what the account pages show.
type Overview struct {
	Account       accounts.Account
	Memberships   []access.Membership
	PasswordSetAt time.Time
	Apps          []App
	Seconds       []authenticators.Named      // every second authenticator, apps first
	Credentials   []authenticators.Credential // those that are no apps, without their secrets
	Need          access.Requirement          // what the person's sessions must be opened with
	Due           *access.Due                 // what they will be asked for and do not hold yet; nil: nothing
	RecoveryLeft  int
	RecoveryMade  time.Time
	PendingEmail  string // an address that waits for its link to be opened
}

// App is an authenticator app without its secret.
type App struct {
	ID         id.Authenticator
	Name       string
	MadeAt     time.Time
	LastUsedAt time.Time // zero: never since it was added
	Drift      int64     // steps that its clock is ahead of ours
	Period     int64     // seconds of a step
	Token      id.Token  // the hardware token it is; "" for an app
}

// Overview reads everything the account pages show of the caller.
func (m *Manage) Overview(ctx context.Context, c Caller) (Overview, error) {
	var o Overview
	err := m.Store.EssentialRead(ctx, func(tx *store.Tx) error {
		account, found, err := accounts.ByID(tx, c.Ticket.Account)
		if err = orUnheard(tx, found, err); err == nil && !found {
			err = fault.New(fault.NotSignedIn, nil)
		}
		if err != nil {
			return err
		}
		kept, err := authenticators.Load(tx, m.Keys, account.ID)
		if err != nil {
			return err
		}
		o = overview(account, kept)
		if o.PendingEmail, err = accounts.PendingAddress(tx, account.ID); err != nil {
			return err
		}
		if o.Memberships, err = access.Memberships(tx, account.ID); err != nil {
			return err
		}
		if o.Need, err = access.RequiredOf(tx, account.ID); err != nil {
			return err
		}
		o.Due, err = dueOf(tx, kept)
		return err
	})
	return o, err
}

func overview(account accounts.Account, kept authenticators.Kept) Overview {
	o := Overview{Account: account, RecoveryLeft: authenticators.RecoveryLeft(kept), Seconds: kept.Named()}
	for _, c := range kept.Credentials {
		c.Secret = ""
		o.Credentials = append(o.Credentials, c)
	}
	if kept.Password != nil {
		o.PasswordSetAt = kept.Password.MadeAt
	}
	if kept.Recovery != nil {
		o.RecoveryMade = kept.Recovery.MadeAt
	}
	for _, t := range kept.TOTP {
		o.Apps = append(o.Apps, App{ID: t.ID, Name: t.Name, MadeAt: t.MadeAt, LastUsedAt: t.LastUsedAt, Drift: t.Drift, Period: t.Period, Token: t.Token})
	}
	return o
}

// May tells whether the caller has a permission in any organisation.
func (m *Manage) May(ctx context.Context, c Caller, p access.Permission) (bool, error) {
	may := false
	err := m.Store.EssentialRead(ctx, func(tx *store.Tx) error {
		members, err := access.Memberships(tx, c.Ticket.Account)
		for _, ms := range members {
			may = may || access.Can(ms.Role, p)
		}
		return err
	})
	return may, err
}

// pending is something shown to the person that does not count yet, sealed for
// the session it belongs to.
type pending struct {
	Kind   string                `json:"k"`
	Secret string                `json:"s,omitempty"`
	Codes  []string              `json:"c,omitempty"`
	How    authenticators.Making `json:"h,omitzero"` // of an app's codes
}

// pendingLife is how long a person may take to scan a code or keep a list.
const pendingLife = 30 * time.Minute

func (m *Manage) sealPending(c Caller, p pending) (string, error) {
	plain, err := json.Marshal(p)
	if err != nil {
		return "", err
	}
	return m.Keys.SealToken(seal.Pending, string(c.Ticket.Session), m.Now().Add(pendingLife), plain)
}

func (m *Manage) openPending(c Caller, kind, sealed string) (pending, error) {
	var p pending
	plain, err := m.Keys.OpenToken(seal.Pending, string(c.Ticket.Session), m.Now(), sealed)
	if err == nil {
		err = json.Unmarshal(plain, &p)
	}
	if err == nil && p.Kind != kind {
		err = seal.ErrForged
	}
	if err != nil {
		return p, fault.New(fault.AttemptExpired, err)
	}
	return p, nil
}

// proofOf replaces the proof of a method in a session's proofs.
func proofOf(ps []proof.Proof, p proof.Proof) []proof.Proof {
	out := make([]proof.Proof, 0, len(ps)+1)
	for _, old := range ps {
		if old.Method != p.Method {
			out = append(out, old)
		}
	}
	return append(out, p)
}
