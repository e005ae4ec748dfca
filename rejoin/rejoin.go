// Package rejoin holds the conflict rules of reconciliation (DESIGN §5, docs/decisions/0018).
//
// What a standby decided alone is handed over to the primary row by row (package
// store). Some of it should not have happened, seen from here: somebody had been
// disabled a second before, a code had opened another door. Settle finds that in
// the same transaction, undoes it, and tells. Whatever it writes is named after
// the entry, so that doing it twice is doing it once.
package rejoin

import (
	"encoding/json"
	"fmt"
	"time"

	"gatehouse/access"
	"gatehouse/accounts"
	"gatehouse/authenticators"
	"gatehouse/events"
	"gatehouse/id"
	"gatehouse/outbox"
	"gatehouse/seal"
	"gatehouse/sessions"
	"gatehouse/store"
)

// Rejoin holds what settling needs. cmd fills every field, once.
type Rejoin struct {
	Keys *seal.Keys
	Log  *events.Log
}

// Rule is why something that a standby did was undone. It stands in the conflicts
// table, in events and in the report; docs/resilience.md explains each.
type Rule string

// The rules. Each ends a session; the first that holds is the one that is told.
const (
	UsedTwice   Rule = store.UsedTwice        // its code had opened another door: whoever reached the primary first keeps it
	AccountGone Rule = "account-gone"         // the account is not there any more
	KeptOut     Rule = "kept-out"             // the account had been disabled or locked
	OldEpoch    Rule = "earlier-epoch"        // all sessions of the account had been ended
	Changed     Rule = "credential-changed"   // the password, app or set of codes it was opened with had been replaced
	Compromised Rule = "password-compromised" // the password was marked as known to others
)

// Rules lists every rule, in the order in which they are asked.
func Rules() []Rule { return []Rule{UsedTwice, AccountGone, KeptOut, OldEpoch, Changed, Compromised} }

// why a session ended, in its row and its event.
const why = "reconciled"

// Settle is store.Settle: it runs in the transaction that hands an entry over,
// after its rows were joined with the primary's.
func (r *Rejoin) Settle(tx *store.Tx, e store.Entry, found []store.Conflict) error {
	if err := r.noteHandOver(tx, e); err != nil {
		return err
	}
	for _, c := range found {
		if err := r.usedTwice(tx, e, c); err != nil {
			return err
		}
	}
	for _, img := range e.Rows {
		if err := r.row(tx, e, img); err != nil {
			return err
		}
	}
	return nil
}

// noteHandOver records, once an hour and node, that a node hands over what it did
// alone. What it handed over stands in the handed table, entry by entry.
func (r *Rejoin) noteHandOver(tx *store.Tx, e store.Entry) error {
	hour := e.MadeAt.UTC().Truncate(time.Hour).Format(time.RFC3339)
	_, err := r.Log.AppendOnce(tx, events.Event{ID: id.Derive[id.Event]("handed-over", string(e.Node), hour),
		Kind: events.StandbyHandedOver, Actor: events.System, Data: map[string]string{"node": string(e.Node), "hour": hour}})
	return err
}

// row judges what one row of an entry leads to.
func (r *Rejoin) row(tx *store.Tx, e store.Entry, img store.Image) error {
	if img.Deleted {
		return nil
	}
	switch img.Table {
	case "sessions":
		return r.signIn(tx, e, img)
	case "revocations":
		return r.denial(tx, e, img)
	}
	return nil
}

// signIn asks of a session that a standby opened whether the primary would have.
func (r *Rejoin) signIn(tx *store.Tx, e store.Entry, img store.Image) error {
	name, err := nameIn(img.Key, 0)
	if err != nil {
		return err
	}
	s, found, err := sessions.ByID(tx, r.Keys, id.Session(name))
	if err != nil || !found || !s.EndedAt.IsZero() {
		return err
	}
	if revoked, err := sessions.Revoked(tx, s.ID); err != nil || revoked { // its owner did so, on a node that came back before
		return orThen(err, func() error { _, err := sessions.End(tx, s.Account, s.ID, s.AbsoluteUntil, why); return err })
	}
	rule, err := judge(tx, s)
	if err != nil || rule == "" {
		return err
	}
	return r.undo(tx, e, s, rule, name)
}

func orThen(err error, fn func() error) error {
	if err != nil {
		return err
	}
	return fn()
}

// judge is the decision: which rule ends a session, "" when it stands. The
// account's row is held, so that whoever disables it now decides after us.
func judge(tx *store.Tx, s sessions.Session) (Rule, error) {
	account, found, err := accounts.Lock(tx, s.Account)
	switch {
	case err != nil:
		return "", err
	case !found:
		return AccountGone, nil
	case !account.Status.MaySignIn():
		return KeptOut, nil
	case account.Epoch > s.Epoch:
		return OldEpoch, nil
	}
	fate, err := authenticators.Since(tx, s.Account, s.Proofs)
	switch fate {
	case authenticators.Replaced:
		return Changed, err
	case authenticators.Compromised:
		return Compromised, err
	}
	return "", err
}

// usedTwice ends the session of the attempt that used a one-time code in vain.
func (r *Rejoin) usedTwice(tx *store.Tx, e store.Entry, c store.Conflict) error {
	s, found, err := sessions.OfAttempt(tx, r.Keys, id.Attempt(c.Lost))
	if err != nil {
		return err
	}
	if !found {
		return r.recordOnly(tx, e, c)
	}
	return r.undo(tx, e, s, UsedTwice, c.Table+string(c.Key))
}

// recordOnly keeps a conflict that opened no session: a code that was shown and
// used up on the way to something that did not come about.
func (r *Rejoin) recordOnly(tx *store.Tx, e store.Entry, c store.Conflict) error {
	name, err := nameIn(c.Key, 0)
	if err != nil {
		return err
	}
	account, err := authenticators.HolderOf(tx, id.Authenticator(name))
	if err != nil {
		return err
	}
	_, err = insert(tx, Conflict{ID: conflictID(e, UsedTwice, c.Table+string(c.Key)), Entry: e.ID, Node: e.Node, Table: c.Table, Key: string(c.Key), Rule: UsedTwice,
		Account: account, Attempt: id.Attempt(c.Lost)})
	return err
}

// denial ends the listed sessions that a revocation concerns: the standby that
// wrote it may not have held their rows, or other nodes opened them since.
func (r *Rejoin) denial(tx *store.Tx, e store.Entry, img store.Image) error {
	kind, err := nameIn(img.Key, 0)
	if err != nil {
		return err
	}
	subject, err := nameIn(img.Key, 1)
	if err != nil {
		return err
	}
	living, err := sessions.LivingThough(tx, r.Keys, kind, subject)
	if err != nil {
		return err
	}
	for _, s := range living {
		if !s.Standby || kind == sessions.OfSession { // its owner ended it, or it ends as it would have at once
			_, err = sessions.End(tx, s.Account, s.ID, s.AbsoluteUntil, why)
		} else {
			err = r.undoDenied(tx, e, s)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// undoDenied ends a session that one standby opened after another, which it could
// not hear, had denied it.
func (r *Rejoin) undoDenied(tx *store.Tx, e store.Entry, s sessions.Session) error {
	rule, err := judge(tx, s)
	if err != nil {
		return err
	}
	if rule == "" {
		rule = OldEpoch
	}
	return r.undo(tx, e, s, rule, string(s.ID))
}

func conflictID(e store.Entry, rule Rule, of string) string {
	return string(id.Derive[id.Event](e.ID, string(rule), of))
}

// undo ends a session that should not have been opened, records it, and tells the
// person and those who look after them.
func (r *Rejoin) undo(tx *store.Tx, e store.Entry, s sessions.Session, rule Rule, of string) error {
	c := Conflict{ID: conflictID(e, rule, of), Entry: e.ID, Node: e.Node, Table: "sessions", Key: string(s.ID), Rule: rule,
		Account: s.Account, Attempt: s.Attempt, Session: s.ID}
	fresh, err := insert(tx, c)
	if err != nil || !fresh {
		return err
	}
	if _, err := sessions.End(tx, s.Account, s.ID, s.AbsoluteUntil, why); err != nil {
		return err
	}
	if err := r.record(tx, c); err != nil {
		return err
	}
	return r.tell(tx, c, s)
}

func (r *Rejoin) record(tx *store.Tx, c Conflict) error {
	_, err := r.Log.AppendOnce(tx, events.Event{ID: id.Derive[id.Event](c.ID, "ended"), Kind: events.SessionEnded, Account: c.Account, Actor: events.System,
		Session: c.Session, Attempt: c.Attempt, Data: map[string]string{"why": why, "ended": string(c.Session)}})
	if err != nil {
		return err
	}
	_, err = r.Log.AppendOnce(tx, events.Event{ID: id.Derive[id.Event](c.ID, "conflict"), Kind: events.StandbyConflict, Account: c.Account, Actor: events.System,
		Session: c.Session, Attempt: c.Attempt, Data: map[string]string{"rule": string(c.Rule), "node": string(c.Node), "entry": c.Entry}})
	return err
}

// tell mails the person whose sign-in was undone, and, once an hour, each owner
// and security admin of their organisations.
func (r *Rejoin) tell(tx *store.Tx, c Conflict, s sessions.Session) error {
	account, found, err := accounts.ByID(tx, c.Account)
	if err != nil || !found {
		return err
	}
	m := outbox.Notice(outbox.SignInUndone, id.Derive[id.Message](c.ID, string(outbox.SignInUndone)), to(account),
		outbox.About{At: s.MadeAt, Agent: s.Seen.Agent, Place: s.Seen.Place})
	if s.Seen.Network != "" {
		m.Fields[outbox.Network] = s.Seen.Network
	}
	if err := outbox.Add(tx, r.Keys, m); err != nil {
		return err
	}
	admins, err := access.Admins(tx, c.Account)
	if err != nil {
		return err
	}
	for _, admin := range admins {
		if err := r.tellAdmin(tx, admin, c); err != nil {
			return err
		}
	}
	return nil
}

func (r *Rejoin) tellAdmin(tx *store.Tx, admin id.Account, c Conflict) error {
	a, found, err := accounts.ByID(tx, admin)
	if err != nil || !found || !a.Status.MaySignIn() || admin == c.Account {
		return err
	}
	now := tx.Now()
	m := outbox.Notice(outbox.SignInsUndone, id.Derive[id.Message](string(admin), string(outbox.SignInsUndone), now.Truncate(time.Hour).String()), to(a), outbox.About{At: now})
	delete(m.Fields, outbox.Device)
	return outbox.Add(tx, r.Keys, m)
}

func to(a accounts.Account) outbox.To {
	return outbox.To{Account: a.ID, Email: a.Email, Name: a.Name, Locale: a.Locale, Zone: a.Zone}
}

// nameIn reads one text of a row's key.
func nameIn(key json.RawMessage, at int) (string, error) {
	var parts []any
	if err := json.Unmarshal(key, &parts); err != nil {
		return "", fmt.Errorf("rejoin: a key that is no list: %w", err)
	}
	if at < len(parts) {
		if s, is := parts[at].(string); is {
			return s, nil
		}
	}
	return "", fmt.Errorf("rejoin: a key without a name at %d", at)
}
