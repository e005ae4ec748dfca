package flow

import (
	"cmp"
	"errors"
	"time"

	"gatehouse/access"
	"gatehouse/accounts"
	"gatehouse/fault"
	"gatehouse/id"
	"gatehouse/store"
)

// A sign-in runs on a node's standby with the same code as on the primary (DESIGN
// §5). What differs is here: what a store that may be behind must not judge, and
// who is not let in on an old one.

var (
	errBehind = errors.New("flow: this store has not heard of what the attempt rests on")
	errTooOld = errors.New("flow: the standby is too old to let in somebody who looks after others")
)

// DefaultAdminAge is how old a standby may be for people who look after others:
// whoever was made an admin's successor should not wait a day to be believed.
const DefaultAdminAge = time.Hour

// notBehind refuses to judge an attempt on a store that knows less of its account
// than the attempt has seen: what looks wrong there may have become right. Every
// change of what opens an account raises the account's version.
func notBehind(tx *store.Tx, a attempt, account accounts.Account, found bool) error {
	switch {
	case a.Account == "": // nothing has been seen of anybody yet
	case !found && tx.Standby(), found && account.ID == a.Account && account.Version < a.Known:
		return fault.New(fault.Unavailable, errBehind)
	}
	return nil
}

// youngEnough refuses people who look after others on a standby that has not heard
// of the primary for a while: more hangs on them than on others.
func (f *Flow) youngEnough(tx *store.Tx, account id.Account) error {
	if !tx.Standby() || tx.StandbyAge() <= cmp.Or(f.AdminAge, DefaultAdminAge) {
		return nil
	}
	admin, err := access.LooksAfterOthers(tx, account)
	if err == nil && admin {
		err = fault.New(fault.Unavailable, errTooOld)
	}
	return err
}

// orThen goes on with fn unless something went wrong before.
func orThen(err error, fn func() error) error {
	if err != nil {
		return err
	}
	return fn()
}
