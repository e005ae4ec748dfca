package flow

import (
	"errors"
	"strconv"
	"strings"
	"time"

	"gatehouse/access"
	"gatehouse/accounts"
	"gatehouse/events"
	"gatehouse/fault"
	"gatehouse/id"
	"gatehouse/limits"
	"gatehouse/outbox"
	"gatehouse/proof"
	"gatehouse/sessions"
	"gatehouse/store"
)

// complete ends an attempt with a session. It runs in the transaction that used
// up the last proof, with the account's row held: decision, state and record are
// one thing.
func (f *Flow) complete(tx *store.Tx, a attempt, account accounts.Account, in Input) (Outcome, error) {
	if a.At != Done || proof.LevelOf(a.Proofs) < access.Required() {
		return Outcome{}, fault.New(fault.Internal, errors.New("flow: an attempt that is not done asked for a session"))
	}
	if _, spent, err := sessions.ByAttempt(tx, f.Keys, a.ID); err != nil || spent {
		return f.startOver(tx, a, err, in.Who)
	}
	var revoked []sessions.Revocation
	if a.Purpose == Fresh {
		ended, err := f.endReplaced(tx, a, in)
		if err != nil || ended == nil {
			return f.startOver(tx, a, err, in.Who)
		}
		revoked = append(revoked, *ended)
	}
	if err := limits.GiveBack(tx, a.Tries); err != nil {
		return Outcome{}, err
	}
	session := id.Derive[id.Session](string(a.ID), "session")
	t, err := f.ticket(tx, sessions.NewTicket(session, account.ID, account.Epoch, in.Who.Device, a.Proofs, f.Sessions.Policy, tx.Now()))
	if err != nil {
		return Outcome{}, err
	}
	if err := sessions.Insert(tx, f.Keys, t, a.ID, in.Who.Seen()); err != nil {
		return Outcome{}, err
	}
	if err := f.recordSignIn(tx, a, t, in.Who); err != nil {
		return Outcome{}, err
	}
	if account.Zone == "" && a.Zone != "" && !tx.Standby() { // a convenience; the next sign-in will do
		account.Zone = a.Zone
		if err := accounts.SetProfile(tx, account.ID, account.Name, account.Locale, account.Zone); err != nil {
			return Outcome{}, err
		}
	}
	if err := f.noticeDevice(tx, a, account, in.Who); err != nil {
		return Outcome{}, err
	}
	trusted, err := f.remember(tx, a, account, in.Who)
	if err != nil {
		return Outcome{}, err
	}
	out, err := f.done(a, t)
	out.revoked, out.Trusted = revoked, trusted
	return out, err
}

func (f *Flow) done(a attempt, t sessions.Ticket) (Outcome, error) {
	ticket, err := t.Seal(f.Keys)
	return Outcome{Next: Done, Ticket: ticket, Session: t, View: f.view(a)}, err
}

// endReplaced ends the session that a fresh proof renews under a new id; nil when
// it is no longer the caller's or was ended meanwhile.
func (f *Flow) endReplaced(tx *store.Tx, a attempt, in Input) (*sessions.Revocation, error) {
	if in.Session == nil || in.Session.Session != a.Session || in.Session.Account != a.Account {
		return nil, nil
	}
	return sessions.End(tx, a.Account, a.Session, in.Session.AbsoluteUntil, "renewed")
}

func (f *Flow) recordSignIn(tx *store.Tx, a attempt, t sessions.Ticket, who Who) error {
	kind := events.SignedIn
	if a.Purpose == Fresh {
		kind = events.FreshProved
	}
	_, err := f.Log.Append(tx, events.Event{ID: id.Derive[id.Event](string(a.ID), string(kind)), // a second click may reach another store
		Kind: kind, Account: a.Account, Actor: string(a.Account), Attempt: a.ID, Session: t.Session,
		Data: map[string]string{"method": methods(a.Proofs)}, Personal: who.Personal(),
	})
	return err
}

// methods names proofs in a stable order: "password+totp".
func methods(ps []proof.Proof) string {
	var names []string
	for _, m := range []proof.Method{proof.Password, proof.Passkey, proof.TOTP, proof.HOTP, proof.Push, proof.SMS, proof.Voice, proof.RecoveryCode, proof.Remembered} {
		if _, ok := proof.Find(ps, m); ok {
			names = append(names, string(m))
		}
	}
	return strings.Join(names, "+")
}

// noticeDevice tells a person about a device that is new to their account. The
// very first device is the one they enrolled on.
func (f *Flow) noticeDevice(tx *store.Tx, a attempt, account accounts.Account, who Who) error {
	fresh, first, err := sessions.Remember(tx, who.Device, account.ID)
	if err != nil || !fresh || first {
		return err
	}
	_, err = f.Log.Append(tx, events.Event{ID: id.Derive[id.Event](string(a.ID), string(events.DeviceNew)), Kind: events.DeviceNew, Account: account.ID, Actor: string(account.ID), Attempt: a.ID, Personal: who.Personal()})
	if err != nil {
		return err
	}
	m := f.notice(account, outbox.NewDevice, id.Derive[id.Message](string(a.ID), "new-device"), who)
	m.Fields[outbox.Method] = methods(a.Proofs)
	return outbox.Add(tx, f.Keys, m)
}

// sameWithin is how long a double submit gets the same answer.
const sameWithin = 30 * time.Second

// sameAnswer answers a second submission of an attempt that has ended well: the
// same session, to the same browser, within 30 s, while that session lives. shown
// tells that what was submitted is right, or was when this attempt showed it.
func (f *Flow) sameAnswer(tx *store.Tx, a attempt, account accounts.Account, shown bool, spent []limits.Try, who Who) (Outcome, bool, error) {
	s, found, err := sessions.ByAttempt(tx, f.Keys, a.ID)
	if err != nil || !found {
		return Outcome{}, false, err
	}
	lives := s.EndedAt.IsZero() && s.Epoch == account.Epoch && s.Device == who.Device
	if !shown || !lives || tx.Now().Sub(s.MadeAt) > sameWithin {
		out, err := f.startOver(tx, a, nil, who)
		return out, true, err
	}
	if err := limits.GiveBack(tx, spent); err != nil {
		return Outcome{}, true, err
	}
	t, err := f.ticket(tx, sessions.NewTicket(s.ID, s.Account, s.Epoch, s.Device, s.Proofs, f.Sessions.Policy, s.MadeAt))
	if err != nil {
		return Outcome{}, true, err
	}
	out, err := f.done(a, t)
	return out, true, err
}

// ticket marks a ticket with where it was made and whose idle end may be stretched.
func (f *Flow) ticket(tx *store.Tx, t sessions.Ticket) (sessions.Ticket, error) {
	members, err := access.Memberships(tx, t.Account)
	t.Standby, t.Lenient = tx.Standby(), !access.LookAfterOthers(members)
	return t, err
}

// after tells this node at once what a committed step revoked; others follow
// the revocations table within a second.
func (f *Flow) after(out Outcome, err error) (Outcome, error) {
	if err != nil {
		return Outcome{}, err
	}
	if len(out.revoked) > 0 {
		f.Sessions.Apply(out.revoked)
	}
	f.Nudge()
	return out, nil
}

// notice is a mail to a person about something that has happened.
func (f *Flow) notice(to accounts.Account, kind outbox.Kind, message id.Message, who Who) outbox.Message {
	return outbox.Notice(kind, message, outbox.To{Account: to.ID, Email: to.Email, Name: to.Name, Locale: to.Locale, Zone: to.Zone},
		outbox.About{At: f.Now(), Agent: who.Agent, Place: who.Place, Network: who.Network})
}

func number(n int) string { return strconv.Itoa(n) }
