package manage

import (
	"context"
	"strconv"

	"gatehouse/accounts"
	"gatehouse/authenticators"
	"gatehouse/events"
	"gatehouse/fault"
	"gatehouse/id"
	"gatehouse/store"
)

// Remembered lists the browsers that are remembered for the caller, newest first.
func (m *Manage) Remembered(ctx context.Context, c Caller) ([]authenticators.Credential, error) {
	var all []authenticators.Credential
	err := m.Store.EssentialRead(ctx, func(tx *store.Tx) error {
		account, found, err := accounts.ByID(tx, c.Ticket.Account)
		if err = orUnheard(tx, found, err); err != nil || !found {
			return err
		}
		kept, err := authenticators.LoadUsual(tx, m.Keys, account.ID)
		all = kept.Remembered(account.Epoch, tx.Now())
		return err
	})
	return all, err
}

// ForgetBrowser makes the caller's remembered browsers ask for everything again:
// one, or all for "". It only denies, so it asks for no fresh proof and works on a
// standby too. One that is forgotten already is no error.
func (m *Manage) ForgetBrowser(ctx context.Context, c Caller, browser id.Authenticator) error {
	return m.Store.Essential(ctx, func(tx *store.Tx) error {
		ch, err := m.hold(tx, c, "")
		if err != nil {
			return err
		}
		named := authenticators.Credential{}
		if browser != "" {
			found := false
			named, found, err = authenticators.CredentialByID(tx, m.Keys, ch.account.ID, browser)
			if err != nil || !found || named.Kind != authenticators.KindRemembered {
				return orMissing(err)
			}
		}
		n, err := authenticators.ForgetRemembered(tx, ch.account.ID, browser)
		if err != nil || n == 0 {
			return err
		}
		return m.recordForgotten(ch, "by-person", named, n)
	})
}

func orMissing(err error) error {
	if err == nil {
		err = fault.New(fault.NotFound, nil)
	}
	return err
}

func (m *Manage) recordForgotten(ch change, why string, c authenticators.Credential, n int64) error {
	data, more := map[string]string{"why": why, "count": strconv.FormatInt(n, 10)}, map[string]string{}
	if c.ID != "" {
		data["authenticator"], more["name"] = string(c.ID), c.Name
	}
	return m.recordWith(ch, events.BrowserForgotten, data, more)
}
