package manage_test

import (
	"crypto/rand"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"gatehouse/access"
	"gatehouse/accounts"
	"gatehouse/authenticators"
	"gatehouse/events"
	"gatehouse/fault"
	"gatehouse/id"
	"gatehouse/limits"
	"gatehouse/manage"
	"gatehouse/proof"
	"gatehouse/seal"
	"gatehouse/sessions"
	"gatehouse/store"
	"gatehouse/store/storetest"
)

type office struct {
	*manage.Manage
	clock *storetest.Clock
}

func each(t *testing.T, preset authenticators.Preset, fn func(t *testing.T, o office)) {
	t.Helper()
	clock := storetest.NewClock()
	storetest.EachWith(t, func(o *store.Options) { o.Now = clock.Now }, func(t *testing.T, s *store.Store) {
		dir := t.TempDir() + "/keys"
		if err := seal.InitKeys(dir); err != nil {
			t.Fatal(err)
		}
		keys, err := seal.LoadKeys(dir)
		if err != nil {
			t.Fatal(err)
		}
		hasher, err := authenticators.NewHasher(authenticators.HasherOptions{Keys: keys, Parameters: authenticators.Parameters{MemoryKiB: 8, Time: 1, Threads: 1},
			Rand: rand.Reader, Now: clock.Now, Cores: 2})
		if err != nil {
			t.Fatal(err)
		}
		policy, err := authenticators.PolicyOf(preset, 0)
		if err != nil {
			t.Fatal(err)
		}
		checker := &sessions.Checker{Keys: keys, Policy: sessions.DefaultPolicy()}
		checker.Apply(nil)
		m := &manage.Manage{Store: s, Keys: keys, Log: events.New(keys, rand.Reader), Choose: authenticators.Chooser{Policy: policy, Hasher: hasher},
			Sessions: checker, MailNet: limits.Rule{Name: "mail-network", Max: 2, Per: time.Hour}, Change: limits.Rule{Name: "change", Max: 20, Per: 15 * time.Minute}, Origin: "https://sign-in.example", Product: "Gatehouse",
			Now: clock.Now, Rand: rand.Reader, Nudge: func() {}}
		for range 2 { // every start does
			if err := m.Prepare(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		fn(t, office{m, clock})
	})
}

const firstPassword = "seven lanterns on the quay 7"

// person is somebody who is signed in.
func (o office) person(t *testing.T, email string) manage.Caller {
	t.Helper()
	secret, err := authenticators.NewTOTPSecret(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	a, err := o.AddReady(t.Context(), manage.Ready{Person: manage.Person{Email: email, Name: "Ms A", Organisation: "Harbour Books", Role: access.SecurityAdmin},
		Password: firstPassword, TOTP: secret}, events.Operator)
	if err != nil {
		t.Fatal(err)
	}
	return o.session(t, a)
}

func (o office) session(t *testing.T, a accounts.Account) manage.Caller {
	t.Helper()
	now := o.clock.Now()
	proofs := []proof.Proof{{Method: proof.Password, At: now}, {Method: proof.TOTP, At: now}}
	tk := sessions.NewTicket(id.New[id.Session](now, rand.Reader), a.ID, a.Epoch, id.New[id.Device](now, rand.Reader), proofs, sessions.DefaultPolicy(), now)
	err := o.Store.Do(t.Context(), func(tx *store.Tx) error {
		return sessions.Insert(tx, o.Keys, tk, id.New[id.Attempt](now, rand.Reader), sessions.Seen{})
	})
	if err != nil {
		t.Fatal(err)
	}
	return manage.Caller{Ticket: tk}
}

func TestAddingPeople(t *testing.T) {
	each(t, authenticators.Modern, func(t *testing.T, o office) {
		add := func(email string) (manage.Invited, error) {
			return o.Add(t.Context(), manage.Person{Email: email, Name: "A", Organisation: "Harbour Books", Role: access.Bookkeeper}, events.Operator)
		}
		first, err := add(" Alice@Quay.example ")
		if err != nil || first.Account.Email != "Alice@Quay.example" || !strings.HasPrefix(first.Link.Reveal(), "https://sign-in.example/link/") {
			t.Fatalf("%+v %v", first, err)
		}
		if _, err := add("ALICE@quay.example"); !errors.Is(err, accounts.ErrTaken) {
			t.Errorf("twice: %v", err)
		}
		alike, err := add("a1ice@quay.example")
		if err != nil || len(alike.Lookalikes) != 1 || alike.Lookalikes[0].ID != first.Account.ID {
			t.Errorf("a look-alike: %+v %v", alike.Lookalikes, err)
		}
		for _, bad := range []string{"", "alice", "a@b@c", "alice quay.example"} {
			if _, err := add(bad); err == nil {
				t.Errorf("%q was added", bad)
			}
		}
		if _, err := o.Add(t.Context(), manage.Person{Email: "bob@quay.example", Organisation: "Harbour Books", Role: "root"}, events.Operator); err == nil {
			t.Error("a role nobody knows")
		}
		rows, err := o.People(t.Context(), "", 10)
		if err != nil || len(rows) != 2 || rows[0].Email != "a1ice@quay.example" || len(rows[1].Memberships) != 1 || rows[1].Apps != 0 {
			t.Errorf("what failed left something: %+v %v", rows, err)
		}
	})
}

func TestWhatAnOperatorMayDoToAnAccountInWhichState(t *testing.T) {
	each(t, authenticators.Modern, func(t *testing.T, o office) {
		o.person(t, "alice@quay.example")
		status := func() accounts.Status {
			rows, err := o.People(t.Context(), "", 1)
			if err != nil {
				t.Fatal(err)
			}
			return rows[0].Status
		}
		type act func(string) error
		acts := map[string]act{
			"disable": func(e string) error { _, err := o.Disable(t.Context(), e, "left", events.Operator); return err },
			"enable":  func(e string) error { _, err := o.Enable(t.Context(), e, "", events.Operator); return err },
			"lock":    func(e string) error { _, err := o.Lock(t.Context(), e, "", events.Operator); return err },
			"unlock":  func(e string) error { _, err := o.Unlock(t.Context(), e, "", events.Operator); return err },
			"invite":  func(e string) error { _, err := o.Reinvite(t.Context(), e, events.Operator); return err },
		}
		for _, step := range []struct {
			do   string
			ok   bool
			then accounts.Status
		}{
			{"enable", false, accounts.Active}, {"unlock", false, accounts.Active}, {"invite", false, accounts.Active},
			{"lock", true, accounts.Locked}, {"enable", false, accounts.Locked}, {"unlock", true, accounts.Active},
			{"disable", true, accounts.Disabled}, {"disable", true, accounts.Disabled}, {"lock", false, accounts.Disabled}, {"unlock", false, accounts.Disabled},
			{"invite", false, accounts.Disabled}, {"enable", true, accounts.Active},
			{"lock", true, accounts.Locked}, {"disable", true, accounts.Disabled}, {"unlock", false, accounts.Disabled}, {"enable", true, accounts.Active},
		} {
			if err := acts[step.do](" ALICE@quay.example"); (err == nil) != step.ok || status() != step.then {
				t.Fatalf("%s: %v, then %s; want ok %v, %s", step.do, err, status(), step.ok, step.then)
			}
		}
		for name, do := range acts {
			if err := do("who@quay.example"); !errors.Is(err, manage.ErrNoAccount) {
				t.Errorf("%s of nobody: %v", name, err)
			}
		}
	})
}

func TestSomebodyEnabledWhoNeverFinishedIsInvitedStill(t *testing.T) {
	each(t, authenticators.Modern, func(t *testing.T, o office) {
		if _, err := o.Add(t.Context(), manage.Person{Email: "ines@quay.example"}, events.Operator); err != nil {
			t.Fatal(err)
		}
		if _, err := o.Disable(t.Context(), "ines@quay.example", "", events.Operator); err != nil {
			t.Fatal(err)
		}
		if a, err := o.Enable(t.Context(), "ines@quay.example", "", events.Operator); err != nil || a.Status != accounts.Invited {
			t.Errorf("%s %v", a.Status, err)
		}
		if _, err := o.Reinvite(t.Context(), "ines@quay.example", events.Operator); err != nil {
			t.Error(err)
		}
	})
}

func TestTheLastFourPasswordsAreNotChosenAgain(t *testing.T) {
	each(t, authenticators.PCI, func(t *testing.T, o office) {
		c := o.person(t, "alice@quay.example")
		change := func(pw string) []fault.Reason {
			t.Helper()
			o.clock.Forward(time.Second)
			res, err := o.ChangePassword(t.Context(), c, seal.Secret(pw))
			if err != nil {
				t.Fatal(err)
			}
			if res.Refusal != nil {
				return res.Refusal.Reasons
			}
			c.Ticket = res.Session
			return nil
		}
		reused := func(rs []fault.Reason) bool {
			return slices.ContainsFunc(rs, func(r fault.Reason) bool { return r.Key == authenticators.ReasonReused })
		}
		chosen := []string{firstPassword, "eight copper buoys outside 8", "nine ropes and an anchor 9", "ten grey gulls on a mast 10"}
		for _, pw := range chosen[1:] {
			if rs := change(pw); rs != nil {
				t.Fatalf("%v", rs)
			}
		}
		for _, pw := range chosen {
			if !reused(change(pw)) {
				t.Errorf("one of the last four was taken: %q", pw)
			}
		}
		if rs := change("eleven mussels in a net 11"); rs != nil {
			t.Fatalf("%v", rs)
		}
		if rs := change(firstPassword); rs != nil {
			t.Errorf("the fifth last is good again, yet: %v", rs)
		}
	})
}

func TestASensitiveChangeAsksForAProofOfTheLastFiveMinutes(t *testing.T) {
	each(t, authenticators.Modern, func(t *testing.T, o office) {
		c := o.person(t, "alice@quay.example")
		note, secret, _, err := o.BeginTOTP(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		codes, _, err := o.BeginRecoveryCodes(c)
		if err != nil {
			t.Fatal(err)
		}
		o.clock.Forward(5 * time.Minute)
		code, err := authenticators.NewTOTP("", secret, o.clock.Now()).CodeAt(o.clock.Now())
		if err != nil {
			t.Fatal(err)
		}
		app := id.New[id.Authenticator](o.clock.Now(), rand.Reader)
		for name, do := range map[string]func() error{
			"a new password":        func() error { _, err := o.ChangePassword(t.Context(), c, "eight copper buoys outside"); return err },
			"to begin an app":       func() error { _, _, _, err := o.BeginTOTP(t.Context(), c); return err },
			"to confirm an app":     func() error { _, err := o.ConfirmTOTP(t.Context(), c, note, code, "x"); return err },
			"to remove an app":      func() error { _, err := o.Remove(t.Context(), c, app); return err },
			"to begin new codes":    func() error { _, _, err := o.BeginRecoveryCodes(c); return err },
			"to confirm new codes":  func() error { _, err := o.ConfirmRecoveryCodes(t.Context(), c, codes, true); return err },
			"to ask for an address": func() error { _, err := o.AskAddressChange(t.Context(), c, "b@quay.example"); return err },
		} {
			if err := do(); fault.Of(err) != fault.FreshProofNeeded {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
}

func TestANoteOpensForItsSessionItsUseAndItsTime(t *testing.T) {
	each(t, authenticators.Modern, func(t *testing.T, o office) {
		alice, bob := o.person(t, "alice@quay.example"), o.person(t, "bob@quay.example")
		note, secret, _, err := o.BeginTOTP(t.Context(), alice)
		if err != nil {
			t.Fatal(err)
		}
		if again, _, err := o.ShowTOTP(t.Context(), alice, note); err != nil || again != secret {
			t.Errorf("shown again: %v", err)
		}
		if _, _, err := o.ShowTOTP(t.Context(), bob, note); fault.Of(err) != fault.AttemptExpired {
			t.Errorf("Bob opened Alice's: %v", err)
		}
		if _, err := o.ShowRecoveryCodes(alice, note); fault.Of(err) != fault.AttemptExpired {
			t.Errorf("an app opened as recovery codes: %v", err)
		}
		if _, err := o.ConfirmRecoveryCodes(t.Context(), alice, note, true); fault.Of(err) != fault.AttemptExpired {
			t.Errorf("an app confirmed as recovery codes: %v", err)
		}
		o.clock.Forward(30 * time.Minute)
		if _, _, err := o.ShowTOTP(t.Context(), alice, note); fault.Of(err) != fault.AttemptExpired {
			t.Errorf("half an hour later: %v", err)
		}
	})
}

func TestAskingForAnAddressIsBounded(t *testing.T) {
	each(t, authenticators.Modern, func(t *testing.T, o office) {
		c := o.person(t, "alice@quay.example")
		for i, want := range []fault.Code{"", "", fault.TooManyTries} {
			res, err := o.AskAddressChange(t.Context(), c, "new@quay.example")
			var got fault.Code
			if res.Refusal != nil {
				got = res.Refusal.Code
			}
			if err != nil || got != want {
				t.Errorf("mail %d: %q %v", i+1, got, err)
			}
		}
		if res, err := o.AskAddressChange(t.Context(), c, "not an address"); err != nil || res.Refusal == nil || res.Refusal.Code != fault.BadRequest {
			t.Errorf("%+v %v", res.Refusal, err)
		}
	})
}

func TestWhoMayIsAskedOfTheirRoles(t *testing.T) {
	each(t, authenticators.Modern, func(t *testing.T, o office) {
		c := o.person(t, "alice@quay.example")
		overview, err := o.Overview(t.Context(), c)
		if err != nil || len(overview.Memberships) != 1 || overview.Memberships[0].Role != access.SecurityAdmin || len(overview.Apps) != 1 {
			t.Errorf("%+v %v", overview, err)
		}
		gone := c
		gone.Ticket.Account = id.New[id.Account](o.clock.Now(), rand.Reader)
		if _, err := o.Overview(t.Context(), gone); fault.Of(err) != fault.NotSignedIn {
			t.Errorf("somebody who is not there: %v", err)
		}
	})
}

func TestAChangeByASessionOfAnEarlierEpochIsRefused(t *testing.T) {
	each(t, authenticators.Modern, func(t *testing.T, o office) {
		c := o.person(t, "alice@quay.example")
		if res, err := o.ChangePassword(t.Context(), c, "eight copper buoys outside"); err != nil || res.Ticket == "" || res.Session.Session == c.Ticket.Session || !res.Session.AbsoluteUntil.Equal(c.Ticket.AbsoluteUntil) {
			t.Fatalf("%+v %v", res.Refusal, err)
		}
		if _, err := o.ChangePassword(t.Context(), c, "nine ropes and an anchor"); fault.Of(err) != fault.NotSignedIn {
			t.Errorf("the old session changed it again: %v", err)
		}
		if err := o.Rename(t.Context(), c, "x", "y"); fault.Of(err) != fault.NotSignedIn {
			t.Errorf("the old session renamed: %v", err)
		}
	})
}

func TestAStartWithTheKeysOfAnotherInstallationIsRefused(t *testing.T) {
	each(t, authenticators.Modern, func(t *testing.T, o office) {
		dir := t.TempDir() + "/keys"
		if err := seal.InitKeys(dir); err != nil {
			t.Fatal(err)
		}
		foreign, err := seal.LoadKeys(dir)
		if err != nil {
			t.Fatal(err)
		}
		o.Manage.Keys, o.Manage.Log = foreign, events.New(foreign, rand.Reader)
		if err := o.Prepare(t.Context()); !errors.Is(err, seal.ErrForeign) {
			t.Errorf("got %v", err)
		}
	})
}
