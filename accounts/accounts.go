// Package accounts knows the people who sign in, and the single-use links that
// are mailed to them. Accounts belong to people, not to organisations: one
// bookkeeper serves many businesses with one sign-in.
package accounts

import (
	"time"

	"gatehouse/id"
	"gatehouse/store"
)

// Status says whether a person may sign in.
type Status string

const (
	Invited  Status = "invited"  // has no second authenticator yet; may enrol through a link
	Active   Status = "active"   // may sign in
	Locked   Status = "locked"   // may not sign in until somebody unlocks
	Disabled Status = "disabled" // may not sign in; sessions are over
	Canary   Status = "canary"   // nobody: a node's own, which tries the sign-in from within (flow/canary.go) and is let in nowhere
)

// MaySignIn tells whether a status lets its person through.
func (s Status) MaySignIn() bool { return s == Invited || s == Active }

// Account is one person.
type Account struct {
	ID            id.Account
	Email         string // as the person writes it
	EmailKey      string // Canonical(Email): what is compared
	EmailVerified bool
	Name          string // what the person wants to be called
	Status        Status
	Epoch         int64  // sessions of an earlier epoch are over
	Locale        string // BCP 47, "" = what the browser asks for
	Zone          string // IANA time zone, "" = UTC
	HomeCell      string
	MadeAt        time.Time
	Version       int64
}

const columns = `id, email, email_key, email_verified_at, name, status, epoch, locale, zone, home_cell, made_at, version`

func scan(read func(...any) error) (Account, error) {
	var a Account
	var verified *int64
	var made int64
	err := read(&a.ID, &a.Email, &a.EmailKey, &verified, &a.Name, &a.Status, &a.Epoch, &a.Locale, &a.Zone, &a.HomeCell, &made, &a.Version)
	a.EmailVerified = verified != nil
	a.MadeAt = store.Time(made)
	return a, err
}
