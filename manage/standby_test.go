package manage_test

import (
	"crypto/rand"
	"testing"
	"time"

	"gatehouse/accounts"
	"gatehouse/authenticators"
	"gatehouse/events"
	"gatehouse/fault"
	"gatehouse/id"
	"gatehouse/limits"
	"gatehouse/manage"
	"gatehouse/seal"
	"gatehouse/sessions"
	"gatehouse/store"
	"gatehouse/store/storetest"
)

// outpost is an office whose way to the primary can be cut, and there, another
// office of the same installation.
type outpost struct {
	office
	there office
	wire  *storetest.Wire
}

func newOutpost(t *testing.T) outpost {
	t.Helper()
	clock, dsn := storetest.NewClock(), storetest.Postgres(t)
	there := storetest.Open(t, dsn, func(o *store.Options) { o.Now, o.Node = clock.Now, "0199f000-0000-7000-8000-00000000000b" })
	dir := t.TempDir() + "/keys"
	if err := seal.InitKeys(dir); err != nil {
		t.Fatal(err)
	}
	keys, err := seal.LoadKeys(dir)
	if err != nil {
		t.Fatal(err)
	}
	wire := storetest.NewWire(t, dsn)
	here := storetest.OpenEmpty(t, wire.DSN, func(o *store.Options) {
		o.Now, o.Standby = clock.Now, &store.StandbyOptions{Dir: t.TempDir(), Keys: keys, Wait: 20 * time.Second}
	})
	hasher, err := authenticators.NewHasher(authenticators.HasherOptions{Keys: keys, Parameters: authenticators.Parameters{MemoryKiB: 8, Time: 1, Threads: 1},
		Rand: rand.Reader, Now: clock.Now, Cores: 2})
	if err != nil {
		t.Fatal(err)
	}
	policy, err := authenticators.PolicyOf(authenticators.Modern, 0)
	if err != nil {
		t.Fatal(err)
	}
	log := events.New(keys, rand.Reader)
	at := func(s *store.Store) office {
		checker := &sessions.Checker{Keys: keys, Policy: sessions.DefaultPolicy()}
		checker.Apply(nil)
		return office{&manage.Manage{Store: s, Keys: keys, Log: log, Choose: authenticators.Chooser{Policy: policy, Hasher: hasher},
			Sessions: checker, MailNet: limits.Rule{Name: "mail-network", Max: 9, Per: time.Hour}, Change: limits.Rule{Name: "change", Max: 20, Per: 15 * time.Minute},
			Origin: "https://sign-in.example", Product: "Gatehouse", Now: clock.Now, Rand: rand.Reader, Nudge: func() {}}, clock}
	}
	o := outpost{at(here), at(there), wire}
	if err := o.there.Prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	return o
}

func (o outpost) follow(t *testing.T) {
	t.Helper()
	if err := o.Store.Follow(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
}

func (o outpost) back(t *testing.T) {
	t.Helper()
	o.wire.Mend()
	for range 100 {
		if err := o.Store.Follow(t.Context(), nil); err == nil && o.Store.State().Tier == store.TierNone {
			break
		}
	}
	if s := o.Store.State(); s.Tier != store.TierNone || s.Journal+s.Parked != 0 {
		t.Fatalf("it did not hand over: %+v", s)
	}
}

func (o office) sealed(t *testing.T, c manage.Caller) string {
	t.Helper()
	text, err := c.Ticket.Seal(o.Keys)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func (o office) good(t *testing.T, c manage.Caller) bool {
	t.Helper()
	_, _, err := o.Sessions.Check(o.sealed(t, c), o.clock.Now())
	if err != nil && fault.Of(err) != fault.NotSignedIn {
		t.Fatal(err)
	}
	return err == nil
}

func TestDenialsWorkWhileThePrimaryIsAwayAndHoldAfterwards(t *testing.T) {
	for _, row := range []struct {
		name string
		deny func(t *testing.T, o outpost, c, own manage.Caller) error // own: another session of the same person
	}{
		{"disabling somebody", func(t *testing.T, o outpost, _, _ manage.Caller) error {
			_, err := o.Disable(t.Context(), "alice@quay.example", "", events.Operator)
			return err
		}},
		{"locking somebody", func(t *testing.T, o outpost, _, _ manage.Caller) error {
			_, err := o.Lock(t.Context(), "alice@quay.example", "", events.Operator)
			return err
		}},
		{"signing out", func(t *testing.T, o outpost, c, _ manage.Caller) error { return o.SignOut(t.Context(), c) }},
		{"ending a session from another", func(t *testing.T, o outpost, c, own manage.Caller) error {
			return o.EndSession(t.Context(), own, c.Ticket.Session)
		}},
		{"ending the others", func(t *testing.T, o outpost, c, _ manage.Caller) error {
			_, err := o.EndOthers(t.Context(), c)
			return err
		}},
	} {
		for _, heard := range []bool{true, false} { // whether the standby holds the session's row
			name := row.name
			if !heard {
				name += ", of a session the standby has not heard of"
			}
			t.Run(name, func(t *testing.T) {
				o := newOutpost(t)
				alice := o.there.person(t, "alice@quay.example")
				o.follow(t)
				session := alice
				if !heard { // opened on the primary, in an epoch of its own
					must(t, o.there.Store.Do(t.Context(), func(tx *store.Tx) error { _, err := accounts.RaiseEpoch(tx, alice.Ticket.Account); return err }))
					session = o.there.session(t, accounts.Account{ID: alice.Ticket.Account, Epoch: 2})
				}
				own := o.there.session(t, accounts.Account{ID: session.Ticket.Account, Epoch: session.Ticket.Epoch})
				o.wire.Cut()
				if !o.good(t, session) {
					t.Fatal("the session was never good")
				}
				must(t, row.deny(t, o, session, own))
				if o.good(t, session) {
					t.Error("the denial does nothing on this node")
				}
				o.back(t)
				must(t, o.there.reads(t))
				if o.there.good(t, session) {
					t.Error("the denial does nothing on the other node")
				}
			})
		}
	}
}

// reads takes up what others revoked, as the loop does.
func (o office) reads(t *testing.T) error {
	t.Helper()
	return o.Store.Read(t.Context(), func(tx *store.Tx) error {
		all, err := sessions.Revocations(tx, time.Time{})
		o.Sessions.Apply(all)
		return err
	})
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestWhatGrantsOrChangesWaitsForThePrimary(t *testing.T) {
	o := newOutpost(t)
	alice := o.there.person(t, "alice@quay.example")
	o.there.person(t, "ben@quay.example")
	if _, err := o.there.Disable(t.Context(), "ben@quay.example", "", events.Operator); err != nil {
		t.Fatal(err)
	}
	codes, _, err := o.BeginRecoveryCodes(alice)
	must(t, err)
	o.follow(t)
	o.wire.Cut()
	for name, do := range map[string]func() error{
		"adding somebody": func() error {
			_, err := o.Add(t.Context(), manage.Person{Email: "carol@quay.example"}, events.Operator)
			return err
		},
		"letting somebody in again": func() error {
			_, err := o.Enable(t.Context(), "ben@quay.example", "", events.Operator)
			return err
		},
		"taking authenticators off": func() error {
			_, _, err := o.ResetSecond(t.Context(), "alice@quay.example", "", events.Operator)
			return err
		},
		"another password": func() error {
			_, err := o.ChangePassword(t.Context(), alice, "nine herons over the weir 9")
			return err
		},
		"other recovery codes": func() error { _, err := o.ConfirmRecoveryCodes(t.Context(), alice, codes, true); return err },
		"another name":         func() error { return o.SetProfile(t.Context(), alice, manage.Profile{Name: "Alicia"}) },
		"another address":      func() error { _, err := o.AskAddressChange(t.Context(), alice, "a@quay.example"); return err },
		"confirming an address": func() error {
			_, err := o.ConfirmAddress(t.Context(), "made up", nil, sessions.Who{})
			return err
		},
		"removing an app": func() error {
			_, err := o.Remove(t.Context(), alice, id.New[id.Authenticator](o.clock.Now(), rand.Reader))
			return err
		},
		"the history, of which a standby holds none": func() error { _, err := o.History(t.Context(), alice, 0, 9); return err },
		"disabling somebody it has not heard of": func() error {
			_, err := o.Disable(t.Context(), "nobody@quay.example", "", events.Operator)
			return err
		},
	} {
		if err := do(); fault.Of(err) != fault.Unavailable {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := o.Overview(t.Context(), alice); err != nil {
		t.Errorf("the account page: %v", err)
	}
	if list, err := o.List(t.Context(), alice); err != nil || len(list) != 1 {
		t.Errorf("the sessions: %+v %v", list, err)
	}
}
