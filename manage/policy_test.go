package manage_test

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"gatehouse/access"
	"gatehouse/accounts"
	"gatehouse/authenticators"
	"gatehouse/events"
	"gatehouse/fault"
	"gatehouse/id"
	"gatehouse/manage"
	"gatehouse/outbox"
	"gatehouse/proof"
	"gatehouse/seal"
	"gatehouse/sessions"
	"gatehouse/store"
)

// somebody is a person of a business in a role, with a password and an app.
func (o office) somebody(t *testing.T, email, organisation string, role access.Role) accounts.Account {
	t.Helper()
	secret, err := authenticators.NewTOTPSecret(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	a, err := o.AddReady(t.Context(), manage.Ready{Person: manage.Person{Email: email, Name: "Ms " + email, Organisation: organisation, Role: role}, Password: firstPassword, TOTP: secret}, events.Operator)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// gives adds a credential of a kind, made so long ago.
func (o office) gives(t *testing.T, a accounts.Account, kind authenticators.Kind, facts any, ago time.Duration) {
	t.Helper()
	public, err := json.Marshal(facts)
	if err != nil {
		t.Fatal(err)
	}
	err = o.Store.Do(t.Context(), func(tx *store.Tx) error {
		_, err := authenticators.AddCredential(tx, o.Keys, authenticators.Credential{ID: id.New[id.Authenticator](o.clock.Now(), rand.Reader), Account: a.ID, Kind: kind, Name: "x",
			Handle: fmt.Sprint(kind, a.ID), Public: public, Secret: seal.Secret("s"), MadeAt: o.clock.Now().Add(-ago)})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// takesPasskeys is an installation whose address has a name.
func (o office) takesPasskeys(t *testing.T) {
	t.Helper()
	rules, err := authenticators.NewRelying(authenticators.RelyingOptions{Name: "Gatehouse", Origins: []string{"https://sign-in.example"}})
	if err != nil {
		t.Fatal(err)
	}
	o.Manage.Passkeys = rules
}

func (o office) organisation(t *testing.T, name string) (found access.Organisation) {
	t.Helper()
	err := o.Store.Read(t.Context(), func(tx *store.Tx) (err error) {
		found, _, err = access.OrganisationByName(tx, name)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func preset(p access.Preset) *access.Requirement {
	terms, _ := p.Terms()
	return &terms
}

func resistant() *access.Requirement {
	terms := preset(access.ATO)
	terms.Resistant = true
	return terms
}

func (o office) changes(t *testing.T, by manage.Changer, w manage.PolicyWish) access.Policy {
	t.Helper()
	is, _, _, err := o.Policy(t.Context(), w)
	if err != nil {
		t.Fatal(err)
	}
	w.Version = is.Version
	done, err := o.ChangePolicy(t.Context(), by, w)
	if err != nil || len(done.Complaints) > 0 {
		t.Fatalf("%+v %v", done.Complaints, err)
	}
	return done.Policy
}

var operator = manage.Changer{Actor: events.Operator}

func TestADryRunSaysWhoNoticesWhat(t *testing.T) {
	each(t, authenticators.Modern, func(t *testing.T, o office) {
		o.takesPasskeys(t)
		o.changes(t, operator, manage.PolicyWish{Do: manage.PolicySet, Terms: preset(access.Modern)})
		app := o.somebody(t, "app@quay.example", "Quay", access.Bookkeeper)
		key := o.somebody(t, "key@quay.example", "Quay", access.Owner)
		both := o.somebody(t, "both@quay.example", "Quay", access.Bookkeeper)
		o.somebody(t, "gone@quay.example", "Quay", access.Bookkeeper)
		o.somebody(t, "else@harbour.example", "Harbour Books", access.Bookkeeper)
		browser := o.somebody(t, "browser@harbour.example", "Harbour Books", access.Bookkeeper)
		if _, err := o.Add(t.Context(), manage.Person{Email: "new@quay.example", Organisation: "Quay", Role: access.Bookkeeper}, events.Operator); err != nil {
			t.Fatal(err)
		}
		if _, err := o.Disable(t.Context(), "gone@quay.example", "", events.Operator); err != nil {
			t.Fatal(err)
		}
		o.gives(t, key, authenticators.KindPasskey, authenticators.PasskeyFacts{Verifies: true}, -time.Minute) // younger than her app
		o.gives(t, both, authenticators.KindPasskey, authenticators.PasskeyFacts{BackupEligible: true}, time.Hour)
		o.gives(t, browser, authenticators.KindRemembered, nil, 5*24*time.Hour)
		_ = app
		weigh := func(s access.Scope, terms access.Requirement) manage.Impact {
			_, then, bad, err := o.Policy(t.Context(), manage.PolicyWish{Scope: s, Do: manage.PolicySet, Terms: &terms})
			if err != nil || len(bad) > 0 {
				t.Fatalf("%+v %v", bad, err)
			}
			var told []int64
			all, err := o.DryRun(t.Context(), then, func(done, of int64) { told = append(told, done, of) })
			if err != nil || len(told) == 0 || told[len(told)-2] > told[len(told)-1] {
				t.Errorf("%v %v", told, err)
			}
			return all
		}
		quay := access.Scope{Organisation: o.organisation(t, "Quay").ID}
		ato := *preset(access.ATO)
		if got := weigh(access.Scope{}, ato).Tally; got != (manage.Tally{People: 6, Fine: 4, Another: 1, Waiting: 1}) {
			t.Errorf("ato for everybody: %+v", got)
		}
		got := weigh(quay, *resistant())
		if got.Tally != (manage.Tally{People: 4, Fine: 1, Another: 1, Out: 1, Waiting: 1}) {
			t.Errorf("phishing-resistant at the quay: %+v", got)
		}
		var names []string
		for _, a := range got.Names {
			names = append(names, fmt.Sprintf("%s %s %s %s %v", a.Email, a.Organisation, a.Role, a.Standing, a.Holds))
		}
		if !reflect.DeepEqual(names, []string{"app@quay.example Quay bookkeeper out [totp]", "both@quay.example Quay bookkeeper another [passkey totp]"}) {
			t.Errorf("%q", names)
		}
		if len(got.Parts) != 2 || got.Parts[0].Role != access.Owner || got.Parts[0].Fine != 1 || got.Parts[1].Out != 1 || got.Parts[1].Organisation != "Quay" {
			t.Errorf("%+v", got.Parts)
		}
		aal3 := ato
		aal3.Level = proof.AAL3
		owners := access.Scope{Organisation: quay.Organisation, Role: access.Owner}
		if got, err := o.DryRun(t.Context(), access.Policy{Scope: owners, Terms: &aal3}, nil); err != nil || got.Tally != (manage.Tally{People: 1, Out: 1}) {
			t.Errorf("a key nobody vouched for: %+v %v", got, err)
		}
	})
}

func TestWhoMayChangeAPolicyAndWhoIsTold(t *testing.T) {
	each(t, authenticators.Modern, func(t *testing.T, o office) {
		o.takesPasskeys(t)
		sam := o.person(t, "sam@harbour.example") // security admin of Harbour Books
		olivia := o.somebody(t, "olivia@harbour.example", "Harbour Books", access.Owner)
		ben := o.session(t, o.somebody(t, "ben@harbour.example", "Harbour Books", access.Bookkeeper))
		owner := o.session(t, o.somebody(t, "owner@quay.example", "Quay", access.Owner))
		harbour := access.Scope{Organisation: o.organisation(t, "Harbour Books").ID}
		set := func(by manage.Changer, s access.Scope, version int64) (manage.PolicyDone, error) {
			return o.ChangePolicy(t.Context(), by, manage.PolicyWish{Scope: s, Do: manage.PolicySet, Terms: resistant(), Version: version})
		}
		for _, c := range []struct {
			name string
			by   manage.Caller
			s    access.Scope
		}{
			{"a bookkeeper", ben, harbour},
			{"the owner of another business", owner, harbour},
			{"an admin, of everybody", sam, access.Scope{}},
			{"an admin, of an application", sam, access.Scope{Client: "payroll"}},
		} {
			if _, err := set(manage.Changer{Caller: &c.by}, c.s, 0); fault.Of(err) != fault.Forbidden {
				t.Errorf("%s: %v", c.name, err)
			}
		}
		if _, err := set(manage.Changer{Caller: &sam}, harbour, 7); fault.Of(err) != fault.Conflict {
			t.Errorf("another version: %v", err)
		}
		o.clock.Forward(6 * time.Minute)
		if _, err := set(manage.Changer{Caller: &sam}, harbour, 0); fault.Of(err) != fault.FreshProofNeeded {
			t.Errorf("an old proof: %v", err)
		}
		o.clock.Forward(-6 * time.Minute)
		done, err := set(manage.Changer{Caller: &sam}, harbour, 0)
		if err != nil || done.Policy.Version != 1 {
			t.Fatalf("%+v %v", done, err)
		}
		if _, err := set(manage.Changer{Caller: &sam}, harbour, 0); fault.Of(err) != fault.Conflict {
			t.Errorf("the second of two: %v", err)
		}
		all, err := o.Events(t.Context(), 0, 1000)
		if err != nil {
			t.Fatal(err)
		}
		last := all[len(all)-1]
		want := map[string]string{"what": "set", "scope": harbour.Key(), "before": "none", "after": "aal2,resistant,passkey+push+totp+hotp+recovery-code,remember=0", "version": "1"}
		if last.Kind != events.PolicyChanged || last.Account != sam.Ticket.Account || last.Organisation != harbour.Organisation || !reflect.DeepEqual(last.Data, want) {
			t.Errorf("%+v", last)
		}
		told := 0
		err = o.Store.Read(t.Context(), func(tx *store.Tx) error {
			return tx.Row(`SELECT COUNT(*) FROM outbox WHERE kind = $1 AND account IN ($2, $3)`, string(outbox.PolicyChanged), olivia.ID, sam.Ticket.Account).Scan(&told)
		})
		if err != nil || told != 2 {
			t.Errorf("%d are told: %v", told, err)
		}
	})
}

func TestWhatWouldLockEverybodyOutIsRefusedAndNothingChanges(t *testing.T) {
	each(t, authenticators.Modern, func(t *testing.T, o office) {
		o.takesPasskeys(t)
		o.somebody(t, "ben@harbour.example", "Harbour Books", access.Bookkeeper)
		harbour := access.Scope{Organisation: o.organisation(t, "Harbour Books").ID}
		only := func(ms ...proof.Method) *access.Requirement {
			return &access.Requirement{Level: proof.AAL2, Methods: ms}
		}
		o.changes(t, operator, manage.PolicyWish{Do: manage.PolicySet, Terms: only(proof.Passkey)})
		for key, w := range map[string]manage.PolicyWish{
			"accept.bad.nobody":      {Scope: harbour, Do: manage.PolicySet, Terms: only(proof.HOTP)},
			"accept.bad.conflict":    {Scope: harbour, Do: manage.PolicySet, Terms: only(proof.TOTP)},
			"accept.bad.aal1":        {Scope: harbour, Do: manage.PolicySet, Terms: &access.Requirement{Level: proof.AAL1, Methods: []proof.Method{proof.Passkey}}},
			"accept.bad.attestation": {Scope: harbour, Do: manage.PolicySet, Terms: &access.Requirement{Level: proof.AAL3, Methods: []proof.Method{proof.Passkey}}},
			"accept.bad.due":         {Scope: harbour, Do: manage.PolicyRollOut, RollOut: &access.Rollout{Terms: *only(proof.Passkey), Due: o.clock.Now()}},
			"accept.bad.nothing":     {Scope: harbour, Do: manage.PolicyRevert},
		} {
			done, err := o.ChangePolicy(t.Context(), operator, w)
			if err != nil || len(done.Complaints) == 0 || done.Complaints[0].Key != key {
				t.Errorf("%s: %+v %v", key, done, err)
			}
		}
		o.Manage.Passkeys = nil
		if done, err := o.ChangePolicy(t.Context(), operator, manage.PolicyWish{Scope: harbour, Do: manage.PolicySet, Terms: resistant()}); err != nil || len(done.Complaints) != 1 || done.Complaints[0].Key != "accept.bad.no-passkeys" {
			t.Errorf("where no passkey can be added: %+v %v", done, err)
		}
		all, err := o.Policies(t.Context())
		if err != nil || len(all) != 1 {
			t.Errorf("%+v %v", all, err)
		}
	})
}

func TestARollOutIsSeenToAndTakenBack(t *testing.T) {
	each(t, authenticators.Modern, func(t *testing.T, o office) {
		o.takesPasskeys(t)
		ben := o.session(t, o.somebody(t, "ben@harbour.example", "Harbour Books", access.Bookkeeper))
		olivia := o.somebody(t, "olivia@harbour.example", "Harbour Books", access.Owner)
		o.gives(t, olivia, authenticators.KindPasskey, authenticators.PasskeyFacts{Verifies: true}, 0)
		harbour := access.Scope{Organisation: o.organisation(t, "Harbour Books").ID}
		now := o.clock.Now()
		begin := manage.PolicyWish{Scope: harbour, Do: manage.PolicyRollOut, RollOut: &access.Rollout{Terms: *resistant(), Start: now, Due: now.Add(72 * time.Hour),
			Cohorts: []access.Cohort{{Name: "those who look after it", Role: access.Owner, Start: now, Due: now.Add(24 * time.Hour)}}}}
		p := o.changes(t, operator, begin)
		begin.Version = p.Version
		if done, err := o.ChangePolicy(t.Context(), operator, begin); err != nil || len(done.Complaints) != 1 || done.Complaints[0].Key != "accept.bad.underway" {
			t.Errorf("two at once: %+v %v", done, err)
		}
		way, err := o.PolicyProgress(t.Context(), p, nil)
		if err != nil || len(way.Parts) != 2 || way.Parts[0].Fine != 1 || way.Parts[0].People != 1 || way.Parts[1].Out != 1 {
			t.Errorf("%+v %v", way, err)
		}
		told, err := o.Overview(t.Context(), ben)
		if err != nil || told.Due == nil || !told.Due.By.Equal(now.Add(72*time.Hour)) || told.Need.Resistant {
			t.Errorf("ben is told %+v %v", told.Due, err)
		}
		if told, err := o.Overview(t.Context(), o.session(t, olivia)); err != nil || told.Due != nil {
			t.Errorf("olivia, who has it, is told %+v %v", told.Due, err)
		}
		back := o.changes(t, operator, manage.PolicyWish{Scope: harbour, Do: manage.PolicyRevert})
		if back.Next != nil || back.Terms != nil || back.Version != 2 {
			t.Errorf("%+v", back)
		}
		o.clock.Forward(100 * time.Hour)
		if told, err := o.Overview(t.Context(), o.session(t, olivia)); err != nil || told.Need.Resistant {
			t.Errorf("%+v %v", told.Need, err)
		}
	})
}

func TestSessionsBelowAPolicyEndOnlyWhenThatIsAskedFor(t *testing.T) {
	each(t, authenticators.Modern, func(t *testing.T, o office) {
		o.takesPasskeys(t)
		ben := o.somebody(t, "ben@harbour.example", "Harbour Books", access.Bookkeeper)
		other := o.session(t, o.somebody(t, "other@quay.example", "Quay", access.Bookkeeper))
		weak := o.session(t, ben)
		harbour := access.Scope{Organisation: o.organisation(t, "Harbour Books").ID}
		o.changes(t, operator, manage.PolicyWish{Scope: harbour, Do: manage.PolicySet, Terms: resistant()})
		lives := func(c manage.Caller) (live bool) {
			err := o.Store.Read(t.Context(), func(tx *store.Tx) (err error) {
				live, err = sessions.Lives(tx, c.Ticket.Account, c.Ticket.Session)
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			return live
		}
		if !lives(weak) {
			t.Error("ended by itself")
		}
		for i, want := range []int64{1, 0} {
			if n, err := o.EndWeakSessions(t.Context(), harbour, operator, nil); err != nil || n != want {
				t.Errorf("time %d: %d %v", i, n, err)
			}
		}
		if lives(weak) || !lives(other) {
			t.Errorf("weak %v, other %v", lives(weak), lives(other))
		}
		all, err := o.Events(t.Context(), 0, 1000)
		if last := all[len(all)-1]; err != nil || last.Kind != events.SessionsEnded || last.Data["why"] != "policy" || last.Account != ben.ID {
			t.Errorf("%+v %v", last, err)
		}
	})
}

func TestManyPeopleAreWeighedInBoundedPieces(t *testing.T) {
	each(t, authenticators.Modern, func(t *testing.T, o office) {
		o.takesPasskeys(t)
		for i := range 120 {
			if _, err := o.Add(t.Context(), manage.Person{Email: fmt.Sprintf("p%d@harbour.example", i), Organisation: "Harbour Books", Role: access.Bookkeeper}, events.Operator); err != nil {
				t.Fatal(err)
			}
		}
		var told bytes.Buffer
		all, err := o.DryRun(t.Context(), access.Policy{Terms: resistant()}, func(done, of int64) { fmt.Fprintf(&told, "%d/%d ", done, of) })
		if err != nil || all.Waiting != 120 || strings.TrimSpace(told.String()) != "50/120 100/120 120/120" {
			t.Errorf("%+v %q %v", all.Tally, told.String(), err)
		}
	})
}
