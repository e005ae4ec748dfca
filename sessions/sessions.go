// Package sessions keeps what follows a sign-in. A session is three things
// (DESIGN §4): a sealed ticket in the person's cookie, a row for listing and
// ending it, and a set of revocations in memory, so that a check costs
// microseconds and no query.
package sessions

import (
	"time"

	"gatehouse/fault"
	"gatehouse/id"
	"gatehouse/proof"
	"gatehouse/seal"
)

// Policy holds the life of sessions.
type Policy struct {
	Idle       time.Duration // over when not used for this long
	Absolute   time.Duration // over this long after the sign-in, whatever happens
	WarnBefore time.Duration // how long before the idle end the page warns
	Fresh      time.Duration // how old a full proof may be for a sensitive change (≤ 5 min)
	Grace      time.Duration // how far past its idle end a session is let while nobody can sign in; at most MostGrace
	Spread     time.Duration // over how long that ends once people can sign in again
}

// DefaultPolicy follows SP 800-63B-4 §2.2.3 (AAL2: 1 h idle, 24 h overall) on the
// short side, as people who keep books expect of software that pays.
func DefaultPolicy() Policy {
	return Policy{Idle: 30 * time.Minute, Absolute: 12 * time.Hour, WarnBefore: 2 * time.Minute, Fresh: 5 * time.Minute,
		Grace: MostGrace, Spread: 10 * time.Minute}
}

// Ticket is what the session cookie holds, sealed.
type Ticket struct {
	Session       id.Session
	Account       id.Account
	Epoch         int64
	Device        id.Device
	Proofs        []proof.Proof
	MadeAt        time.Time // when the sign-in was complete
	IssuedAt      time.Time // when this copy of the ticket was sealed
	IdleUntil     time.Time
	AbsoluteUntil time.Time
	Standby       bool // made while the primary database was away
	Lenient       bool // its person looks after nobody else, so that its idle end may be stretched (grace.go)
}

// AuthTime is when the person last proved themselves in full (OIDC auth_time).
func (t Ticket) AuthTime() time.Time { return proof.Oldest(t.Proofs) }

// FreshUntil is until when the proofs permit a sensitive change: never, when a
// browser that is remembered stood in for one of them.
func (t Ticket) FreshUntil(p Policy) time.Time {
	if _, remembered := proof.Find(t.Proofs, proof.Remembered); remembered {
		return time.Time{}
	}
	return t.AuthTime().Add(p.Fresh)
}

// NewTicket is the ticket of a session that starts, or starts anew, now.
func NewTicket(session id.Session, account id.Account, epoch int64, device id.Device, proofs []proof.Proof, p Policy, now time.Time) Ticket {
	t := Ticket{Session: session, Account: account, Epoch: epoch, Device: device, Proofs: proofs, MadeAt: now, AbsoluteUntil: now.Add(p.Absolute)}
	return t.renewed(p, now)
}

// renewed moves the idle end, never past the absolute one.
func (t Ticket) renewed(p Policy, now time.Time) Ticket {
	t.IssuedAt = now
	t.IdleUntil = now.Add(p.Idle)
	if t.IdleUntil.After(t.AbsoluteUntil) {
		t.IdleUntil = t.AbsoluteUntil
	}
	return t
}

// Seal makes the cookie's text. It stops opening at the idle end by itself.
func (t Ticket) Seal(keys *seal.Keys) (string, error) {
	return keys.SealToken(seal.Ticket, "", t.IdleUntil, t.plain())
}

func openTicket(keys *seal.Keys, token string, now time.Time) (Ticket, error) {
	var t Ticket
	plain, err := keys.OpenToken(seal.Ticket, "", now, token)
	if err != nil {
		return t, fault.New(fault.NotSignedIn, err)
	}
	t, err = parseTicket(plain)
	if err != nil {
		return t, fault.New(fault.NotSignedIn, err)
	}
	return t, nil
}
