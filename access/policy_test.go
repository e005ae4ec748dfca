package access_test

import (
	"crypto/rand"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"gatehouse/access"
	"gatehouse/id"
	"gatehouse/proof"
	"gatehouse/store"
	"gatehouse/store/storetest"
)

var noon = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

func accepts(ms ...proof.Method) access.Requirement {
	return access.Requirement{Level: proof.AAL2, Methods: ms}
}

func terms(p access.Preset) access.Requirement {
	t, known := p.Terms()
	if !known {
		panic("no such preset: " + string(p))
	}
	return t
}

// The presets, written once more: a change of one is a change of what people were
// promised.
func TestThePresetsAreWhatTheDocsSay(t *testing.T) {
	usual := []proof.Method{proof.Passkey, proof.Push, proof.TOTP, proof.HOTP, proof.RecoveryCode}
	want := map[access.Preset]access.Requirement{
		access.Modern: {Level: proof.AAL2, Methods: usual, Remember: 720 * time.Hour},
		access.PCI:    {Level: proof.AAL2, Methods: usual},
		access.ATO:    {Level: proof.AAL2, Methods: usual, Remember: 12 * time.Hour},
	}
	for _, p := range access.Presets() {
		if got := terms(p); !reflect.DeepEqual(got, want[p]) {
			t.Errorf("%s: %+v", p, got)
		}
		if got := access.PresetOf(terms(p)); got != p {
			t.Errorf("%s is taken for %q", p, got)
		}
		for _, m := range access.Restricted() {
			if terms(p).Accepts(m) {
				t.Errorf("%s accepts %s", p, m)
			}
		}
	}
	if len(access.Presets()) != len(want) {
		t.Error("a preset that is not in this table")
	}
	if terms(access.ATO).Remember >= 24*time.Hour {
		t.Error("a day or more")
	}
	if _, known := access.Preset("modem").Terms(); known {
		t.Error("a preset nobody knows")
	}
	if got := access.PresetOf(accepts(proof.TOTP)); got != "" {
		t.Errorf("an app alone is %q", got)
	}
}

func TestWhatARequirementIsMetBy(t *testing.T) {
	pw := proof.Proof{Method: proof.Password}
	key := func(verified, bound, attested bool) proof.Proof {
		return proof.Proof{Method: proof.Passkey, Verified: verified, Bound: bound, Attested: attested}
	}
	of := func(m proof.Method) proof.Proof { return proof.Proof{Method: m} }
	usual := access.Default()
	resistant, attested, aal3, day := usual, usual, usual, usual
	resistant.Resistant, attested.Attested, aal3.Level, day.Remember = true, true, proof.AAL3, 24*time.Hour
	for _, c := range []struct {
		name  string
		need  access.Requirement
		shown []proof.Proof
		want  bool
	}{
		{"a password and an app", usual, []proof.Proof{pw, of(proof.TOTP)}, true},
		{"a password alone", usual, []proof.Proof{pw}, false},
		{"a password and a text, which nobody has accepted", usual, []proof.Proof{pw, of(proof.SMS)}, false},
		{"a remembered browser where none is", usual, []proof.Proof{pw, of(proof.Remembered)}, false},
		{"a remembered browser where one may be", day, []proof.Proof{pw, of(proof.Remembered)}, true},
		{"a remembered browser alone", day, []proof.Proof{of(proof.Remembered)}, false},
		{"an app where phishing resistance is asked for", resistant, []proof.Proof{pw, of(proof.TOTP)}, false},
		{"a password and a touched key there", resistant, []proof.Proof{pw, key(false, false, false)}, true},
		{"a passkey there", resistant, []proof.Proof{key(true, false, false)}, true},
		{"a passkey nobody vouched for, where that is wanted", attested, []proof.Proof{key(true, true, false)}, false},
		{"an attested one that is copied to a cloud", attested, []proof.Proof{key(true, false, true)}, true},
		{"an app where passkeys must be attested", attested, []proof.Proof{pw, of(proof.TOTP)}, true},
		{"AAL3 by a bound and attested key", aal3, []proof.Proof{key(true, true, true)}, true},
		{"AAL3 by a copied one", aal3, []proof.Proof{key(true, false, true)}, false},
		{"AAL3 by an app", aal3, []proof.Proof{pw, of(proof.TOTP)}, false},
		{"a level that was never allowed counts as two factors", access.Requirement{Level: proof.AAL1, Methods: usual.Methods}, []proof.Proof{pw}, false},
		{"what accepts nothing", access.Requirement{}, []proof.Proof{pw, key(true, true, true)}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := c.need.Met(c.shown); got != c.want {
				t.Errorf("met: %v", got)
			}
		})
	}
	for m, want := range map[proof.Method][3]bool{proof.TOTP: {true, false, false}, proof.Passkey: {true, true, true}, proof.SMS: {false, false, false}} {
		if got := [3]bool{usual.Suffices(m), resistant.Suffices(m), aal3.Suffices(m)}; got != want {
			t.Errorf("%s can be enough: %v", m, got)
		}
	}
}

func requirements() *rapid.Generator[access.Requirement] {
	return rapid.Custom(func(rt *rapid.T) access.Requirement {
		return access.Requirement{
			Level:     rapid.SampledFrom([]proof.Level{0, 1, proof.AAL2, proof.AAL3}).Draw(rt, "level"),
			Resistant: rapid.Bool().Draw(rt, "resistant"), Attested: rapid.Bool().Draw(rt, "attested"),
			Methods:  rapid.SliceOfDistinct(rapid.SampledFrom(access.Seconds()), rapid.ID).Draw(rt, "methods"),
			Remember: time.Duration(rapid.IntRange(0, 90).Draw(rt, "days")) * 24 * time.Hour,
		}
	})
}

func proofs() *rapid.Generator[[]proof.Proof] {
	return rapid.SliceOfN(rapid.Custom(func(rt *rapid.T) proof.Proof {
		m := rapid.SampledFrom(append(access.Seconds(), proof.Password, proof.Remembered, proof.Link)).Draw(rt, "method")
		key := m == proof.Passkey
		return proof.Proof{Method: m, Verified: key && rapid.Bool().Draw(rt, "verified"), Bound: key && rapid.Bool().Draw(rt, "bound"), Attested: key && rapid.Bool().Draw(rt, "attested")}
	}), 0, 5)
}

func TestStrictestIsBothTogetherInAnyOrder(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		a, b, c := requirements().Draw(rt, "a"), requirements().Draw(rt, "b"), requirements().Draw(rt, "c")
		ps := proofs().Draw(rt, "shown")
		both := access.Strictest(a, b)
		if both.Met(ps) && (!a.Met(ps) || !b.Met(ps)) {
			rt.Fatalf("%+v meets both together, but not each", ps)
		}
		if !both.Same(access.Strictest(b, a)) || !access.Strictest(both, c).Same(access.Strictest(a, access.Strictest(b, c))) || !access.Strictest(a, a).Same(a) {
			rt.Fatal("the order matters")
		}
		if !a.Normal().Same(a) || a.Normal().Met(ps) != a.Met(ps) && a.Remember == a.Normal().Remember && a.Level < proof.AAL3 {
			rt.Fatal("the normal form is another requirement")
		}
		if both.Level < access.Required() || proof.LevelOf(ps) < access.Required() && both.Met(ps) {
			rt.Fatal("below two factors")
		}
	})
}

// site is an installation with two businesses and people in them.
type site struct {
	t             *testing.T
	s             *store.Store
	clock         *storetest.Clock
	quay, harbour id.Organisation
	people        map[string]id.Account
}

func newSite(t *testing.T, s *store.Store, clock *storetest.Clock) *site {
	t.Helper()
	x := &site{t: t, s: s, clock: clock, people: map[string]id.Account{}}
	x.quay, x.harbour = id.New[id.Organisation](clock.Now(), rand.Reader), id.New[id.Organisation](clock.Now(), rand.Reader)
	x.do(func(tx *store.Tx) error {
		for o, name := range map[id.Organisation]string{x.quay: "Quay", x.harbour: "Harbour Books"} {
			if err := access.AddOrganisation(tx, access.Organisation{ID: o, Name: name}); err != nil {
				return err
			}
		}
		return nil
	})
	x.joins("ben", x.harbour, access.Bookkeeper)
	x.joins("olivia", x.harbour, access.Owner)
	x.joins("both", x.harbour, access.Bookkeeper)
	x.joins("both", x.quay, access.Bookkeeper)
	x.people["nobody"] = id.New[id.Account](clock.Now(), rand.Reader)
	return x
}

func (x *site) joins(name string, o id.Organisation, r access.Role) {
	x.t.Helper()
	if x.people[name] == "" {
		x.people[name] = id.New[id.Account](x.clock.Now(), rand.Reader)
	}
	x.do(func(tx *store.Tx) error { return access.Join(tx, o, x.people[name], r) })
}

func (x *site) do(fn func(*store.Tx) error) {
	x.t.Helper()
	if err := x.s.Do(x.t.Context(), fn); err != nil {
		x.t.Fatal(err)
	}
}

func (x *site) keeps(p access.Policy) {
	x.t.Helper()
	x.do(func(tx *store.Tx) error {
		if err := access.HoldPolicies(tx); err != nil {
			return err
		}
		is, err := access.PolicyOf(tx, p.Scope)
		if err != nil {
			return err
		}
		p.Version = is.Version
		if ok, err := access.KeepPolicy(tx, p); err != nil || !ok {
			return fmt.Errorf("kept: %v %w", ok, err)
		}
		return nil
	})
}

func (x *site) need(name, client string) (r access.Requirement) {
	x.t.Helper()
	x.do(func(tx *store.Tx) (err error) {
		r, err = access.RequiredFor(tx, x.people[name], client)
		return err
	})
	return r
}

func (x *site) due(name string) (d access.Due, coming bool) {
	x.t.Helper()
	x.do(func(tx *store.Tx) (err error) {
		d, coming, err = access.DueOf(tx, x.people[name])
		return err
	})
	return d, coming
}

func eachSite(t *testing.T, fn func(t *testing.T, x *site)) {
	t.Helper()
	clock := storetest.NewClock()
	storetest.EachWith(t, func(o *store.Options) { o.Now = clock.Now }, func(t *testing.T, s *store.Store) { fn(t, newSite(t, s, clock)) })
}

func TestTheStrictestOfAllThatApplies(t *testing.T) {
	eachSite(t, func(t *testing.T, x *site) {
		for name := range x.people {
			if got := x.need(name, ""); !got.Same(access.Default()) {
				t.Errorf("%s without a policy: %+v", name, got)
			}
		}
		modern, resistant := terms(access.Modern), terms(access.ATO)
		resistant.Resistant = true
		x.keeps(access.Policy{Terms: &modern})
		if x.need("ben", "").Remember != modern.Remember || x.need("nobody", "").Remember != modern.Remember {
			t.Error("the installation's policy does not hold")
		}
		if x.need("olivia", "").Remember != 0 {
			t.Error("a browser of somebody who looks after others is remembered")
		}
		ato, app := terms(access.ATO), accepts(proof.TOTP, proof.Passkey)
		app.Remember = time.Hour
		x.keeps(access.Policy{Scope: access.Scope{Organisation: x.harbour}, Terms: &ato})
		x.keeps(access.Policy{Scope: access.Scope{Organisation: x.harbour, Role: access.Owner}, Terms: &resistant})
		x.keeps(access.Policy{Scope: access.Scope{Organisation: x.quay, Role: access.Bookkeeper}, Terms: &app})
		x.keeps(access.Policy{Scope: access.Scope{Client: "payroll"}, Terms: &resistant})
		for _, c := range []struct {
			who, client string
			resistant   bool
			remember    time.Duration
			methods     string
		}{
			{"nobody", "", false, 720 * time.Hour, "passkey push totp hotp recovery-code"},
			{"ben", "", false, 12 * time.Hour, "passkey push totp hotp recovery-code"},
			{"ben", "ledger", false, 12 * time.Hour, "passkey push totp hotp recovery-code"},
			{"ben", "payroll", true, 0, "passkey push totp hotp recovery-code"},
			{"olivia", "", true, 0, "passkey push totp hotp recovery-code"},
			{"both", "", false, time.Hour, "passkey totp"},
			{"both", "payroll", true, 0, "passkey totp"},
		} {
			got := x.need(c.who, c.client)
			var methods []string
			for _, m := range got.Methods {
				methods = append(methods, string(m))
			}
			if got.Resistant != c.resistant || got.Remember != c.remember || strings.Join(methods, " ") != c.methods {
				t.Errorf("%s, %q: %+v", c.who, c.client, got)
			}
		}
	})
}

func TestARollOutReachesOneCohortAfterTheOther(t *testing.T) {
	eachSite(t, func(t *testing.T, x *site) {
		strict := terms(access.ATO)
		strict.Resistant = true
		day := func(n int) time.Time { return x.clock.Now().Add(time.Duration(n) * 24 * time.Hour) }
		p := access.Policy{Next: &access.Rollout{Terms: strict, Start: day(5), Due: day(20), Cohorts: []access.Cohort{
			{Name: "those who look after it", Role: access.Owner, Start: day(0), Due: day(2)},
			{Name: "the first", Accounts: []id.Account{x.people["ben"]}, Start: day(1), Due: day(10)},
		}}}
		if bad := p.Complaints(nil, x.clock.Now()); len(bad) > 0 {
			t.Fatalf("%+v", bad)
		}
		x.keeps(p)
		begin := x.clock.Now()
		for _, c := range []struct {
			day  int
			held string            // those from whom a passkey is asked
			told map[string]string // who is told of which day
		}{
			{0, "", map[string]string{"olivia": "2"}},
			{1, "", map[string]string{"olivia": "2", "ben": "10"}},
			{2, "olivia", map[string]string{"ben": "10"}},
			{5, "olivia", map[string]string{"ben": "10", "both": "20", "nobody": "20"}},
			{10, "ben olivia", map[string]string{"both": "20", "nobody": "20"}},
			{20, "ben both nobody olivia", nil},
			{400, "ben both nobody olivia", nil},
		} {
			x.clock.Set(begin.Add(time.Duration(c.day) * 24 * time.Hour))
			var held []string
			for _, name := range []string{"ben", "both", "nobody", "olivia"} {
				if x.need(name, "").Resistant {
					held = append(held, name)
				}
				d, coming := x.due(name)
				want, told := c.told[name]
				if coming != told || coming && (fmt.Sprint(d.By.Sub(begin).Hours()/24) != want || !d.Missing.Resistant) {
					t.Errorf("day %d: %s is told %v of %v", c.day, name, coming, d)
				}
			}
			if got := strings.Join(held, " "); got != c.held {
				t.Errorf("day %d: held are %q, not %q", c.day, got, c.held)
			}
		}
	})
}

func TestTwoWhoChangeAPolicyDoNotOverwriteEachOther(t *testing.T) {
	eachSite(t, func(t *testing.T, x *site) {
		pci, ato := terms(access.PCI), terms(access.ATO)
		keep := func(p access.Policy) (kept bool) {
			x.do(func(tx *store.Tx) (err error) {
				kept, err = access.KeepPolicy(tx, p)
				return err
			})
			return kept
		}
		first := access.Policy{Scope: access.Scope{Organisation: x.quay}, Terms: &pci}
		if !keep(first) || keep(first) {
			t.Error("two first ones")
		}
		var seen access.Policy
		x.do(func(tx *store.Tx) (err error) {
			seen, err = access.PolicyOf(tx, first.Scope)
			return err
		})
		second := seen.With(&ato, x.clock.Now())
		if !keep(second) || keep(seen.With(nil, x.clock.Now())) {
			t.Error("an old version was written over a newer one")
		}
		x.do(func(tx *store.Tx) (err error) {
			seen, err = access.PolicyOf(tx, first.Scope)
			return err
		})
		if seen.Version != 2 || !seen.Terms.Same(ato) || !seen.Before.Same(pci) || !seen.Reverted(x.clock.Now()).Terms.Same(pci) {
			t.Errorf("%+v", seen)
		}
	})
}

func TestAPolicyThatCannotBeReadLetsNobodyPast(t *testing.T) {
	eachSite(t, func(t *testing.T, x *site) {
		x.do(func(tx *store.Tx) error {
			_, err := tx.Exec(`INSERT INTO policies (id, kind, value, made_at, version, node) VALUES ('installation', 'authentication', '{"terms":{"level":"three"}}', 0, 1, '')`)
			return err
		})
		err := x.s.Read(t.Context(), func(tx *store.Tx) error { _, err := access.RequiredOf(tx, x.people["ben"]); return err })
		if err == nil || !strings.Contains(err.Error(), "installation") {
			t.Errorf("%v", err)
		}
	})
}

func TestWhatCannotBeSet(t *testing.T) {
	quay, harbour := id.Organisation("quay"), id.Organisation("harbour")
	with := func(r access.Requirement, change func(*access.Requirement)) access.Policy {
		change(&r)
		return access.Policy{Terms: &r}
	}
	of := func(s access.Scope, ms ...proof.Method) access.Policy {
		r := accepts(ms...)
		return access.Policy{Scope: s, Terms: &r}
	}
	roll := func(change func(*access.Rollout)) access.Policy {
		r := access.Rollout{Terms: terms(access.ATO), Start: noon, Due: noon.Add(48 * time.Hour), Cohorts: []access.Cohort{{Name: "one", Percent: 10, Start: noon, Due: noon.Add(time.Hour)}}}
		change(&r)
		return access.Policy{Next: &r}
	}
	var many []access.Cohort
	for i := range access.MostCohorts + 1 {
		many = append(many, access.Cohort{Name: fmt.Sprint(i), Percent: 1, Start: noon, Due: noon.Add(time.Hour)})
	}
	for _, c := range []struct {
		name   string
		p      access.Policy
		others []access.Policy
		want   string // keys and what they are about
	}{
		{"a preset", with(terms(access.Modern), func(*access.Requirement) {}), nil, ""},
		{"taking one's own away", access.Policy{}, nil, ""},
		{"one factor", with(access.Default(), func(r *access.Requirement) { r.Level = proof.AAL1 }), nil, "accept.bad.aal1"},
		{"a level nobody knows", with(access.Default(), func(r *access.Requirement) { r.Level = 4 }), nil, "accept.bad.level"},
		{"a method nobody knows", with(access.Default(), func(r *access.Requirement) { r.Methods = append(r.Methods, "pigeon") }), nil, "accept.bad.method pigeon"},
		{"a password as second authenticator", of(access.Scope{}, proof.Password, proof.TOTP), nil, "accept.bad.method password"},
		{"a mailed link as one", of(access.Scope{}, proof.Link, proof.TOTP), nil, "accept.bad.method link"},
		{"remembering for a year", with(access.Default(), func(r *access.Requirement) { r.Remember = 365 * 24 * time.Hour }), nil, "accept.bad.remember"},
		{"remembering backwards", with(access.Default(), func(r *access.Requirement) { r.Remember = -1 }), nil, "accept.bad.remember"},
		{"nothing at all", of(access.Scope{}), nil, "accept.bad.nobody"},
		{"what nobody can set up alone", of(access.Scope{}, proof.HOTP, proof.SMS, proof.RecoveryCode), nil, "accept.bad.nobody"},
		{"phishing resistance without passkeys", with(accepts(proof.TOTP, proof.Push), func(r *access.Requirement) { r.Resistant = true }), nil, "accept.bad.nobody"},
		{"AAL3 without passkeys", with(accepts(proof.TOTP), func(r *access.Requirement) { r.Level = proof.AAL3 }), nil, "accept.bad.nobody"},
		{"apps here and passkeys at the installation", of(access.Scope{Organisation: quay}, proof.TOTP), []access.Policy{of(access.Scope{}, proof.Passkey)}, "accept.bad.conflict installation"},
		{"apps here and passkeys in another business, for who is in both", of(access.Scope{Organisation: quay}, proof.TOTP), []access.Policy{of(access.Scope{Organisation: harbour}, proof.Passkey)}, "accept.bad.conflict organisation/harbour"},
		{"apps here and passkeys for one role here", of(access.Scope{Organisation: quay}, proof.TOTP), []access.Policy{of(access.Scope{Organisation: quay, Role: access.Owner}, proof.Passkey)}, "accept.bad.conflict role/quay/owner"},
		{"apps here and passkeys for an application", of(access.Scope{Organisation: quay}, proof.TOTP), []access.Policy{of(access.Scope{Client: "payroll"}, proof.Passkey)}, "accept.bad.conflict client/payroll"},
		{"two roles of one business, which nobody has both of", of(access.Scope{Organisation: quay, Role: access.Owner}, proof.Passkey), []access.Policy{of(access.Scope{Organisation: quay, Role: access.Bookkeeper}, proof.TOTP)}, ""},
		{"two applications, which nobody signs in to at once", of(access.Scope{Client: "ledger"}, proof.TOTP), []access.Policy{of(access.Scope{Client: "payroll"}, proof.Passkey)}, ""},
		{"the same scope's own older terms", of(access.Scope{Organisation: quay}, proof.TOTP), []access.Policy{of(access.Scope{Organisation: quay}, proof.Passkey)}, ""},
		{"a roll-out", roll(func(*access.Rollout) {}), nil, ""},
		{"a roll-out that conflicts only in the end", roll(func(r *access.Rollout) { r.Terms = accepts(proof.TOTP) }), []access.Policy{of(access.Scope{Organisation: quay}, proof.Passkey)}, "accept.bad.conflict organisation/quay"},
		{"a deadline that has passed", roll(func(r *access.Rollout) { r.Due = noon }), nil, "accept.bad.due, accept.bad.cohort-due one"},
		{"a cohort later than all others", roll(func(r *access.Rollout) { r.Cohorts[0].Due = noon.Add(72 * time.Hour) }), nil, "accept.bad.cohort-due one"},
		{"a cohort of nobody", roll(func(r *access.Rollout) { r.Cohorts[0].Percent = 0 }), nil, "accept.bad.cohort one"},
		{"a cohort of two kinds", roll(func(r *access.Rollout) { r.Cohorts[0].Role = access.Owner }), nil, "accept.bad.cohort one"},
		{"a cohort of a role nobody knows", roll(func(r *access.Rollout) { r.Cohorts[0].Percent, r.Cohorts[0].Role = 0, "root" }), nil, "accept.bad.cohort one"},
		{"more than all", roll(func(r *access.Rollout) { r.Cohorts[0].Percent = 101 }), nil, "accept.bad.cohort one"},
		{"a cohort without a name", roll(func(r *access.Rollout) { r.Cohorts[0].Name = "" }), nil, "accept.bad.cohort"},
		{"two of one name", roll(func(r *access.Rollout) { r.Cohorts = append(r.Cohorts, r.Cohorts[0]) }), nil, "accept.bad.cohort one"},
		{"too many cohorts", roll(func(r *access.Rollout) { r.Cohorts = many }), nil, "accept.bad.cohorts"},
		{"too long a list", roll(func(r *access.Rollout) {
			r.Cohorts[0].Percent, r.Cohorts[0].Accounts = 0, make([]id.Account, access.MostListed+1)
		}), nil, "accept.bad.cohorts"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var got []string
			for _, bad := range c.p.Complaints(c.others, noon) {
				got = append(got, strings.TrimSpace(bad.Key+" "+bad.With))
			}
			if strings.Join(got, ", ") != c.want {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}

// Whatever policies were set one after the other, each accepted by itself, and
// wherever somebody belongs: there is something they can set up alone.
func TestNobodyIsLeftWithNothingByPoliciesThatWereAccepted(t *testing.T) {
	orgs := []id.Organisation{"a", "b"}
	rapid.Check(t, func(rt *rapid.T) {
		var kept []access.Policy
		for range rapid.IntRange(1, 6).Draw(rt, "policies") {
			r := requirements().Draw(rt, "terms")
			p := access.Policy{Terms: &r, Scope: rapid.SampledFrom([]access.Scope{{}, {Organisation: "a"}, {Organisation: "b"}, {Organisation: "a", Role: access.Owner},
				{Organisation: "b", Role: access.Owner}, {Organisation: "b", Role: access.Bookkeeper}, {Client: "x"}, {Client: "y"}}).Draw(rt, "scope")}
			if rapid.Bool().Draw(rt, "rolled out") {
				p.Terms, p.Next = nil, &access.Rollout{Terms: r, Due: noon.Add(time.Hour)}
			}
			if len(p.Complaints(kept, noon)) == 0 {
				kept = append(slices.DeleteFunc(kept, func(o access.Policy) bool { return o.Scope == p.Scope }), p)
			}
		}
		var members []access.Membership
		for _, o := range orgs {
			if role := rapid.SampledFrom([]access.Role{"", access.Owner, access.Bookkeeper}).Draw(rt, "role"); role != "" {
				members = append(members, access.Membership{Organisation: o, Role: role})
			}
		}
		client := rapid.SampledFrom([]string{"", "x", "y"}).Draw(rt, "client")
		need := access.Default()
		for _, p := range kept {
			s := p.Scope
			in := slices.ContainsFunc(members, func(m access.Membership) bool {
				return m.Organisation == s.Organisation && (s.Role == "" || s.Role == m.Role)
			})
			if s == (access.Scope{}) || in || s.Client != "" && s.Client == client {
				need = access.Strictest(need, *p.Wants())
			}
		}
		if len(need.Enrols()) == 0 {
			rt.Fatalf("nothing is left of %+v", kept)
		}
	})
}

func TestAPolicyGoesOneStepBackAndForth(t *testing.T) {
	modern, ato := terms(access.Modern), terms(access.ATO)
	p := access.Policy{}.With(&modern, noon)
	if p.Before != nil || p.Reverted(noon).Terms != nil {
		t.Error("before the first one there was none")
	}
	if again := p.Reverted(noon).Reverted(noon); !again.Terms.Same(modern) {
		t.Error("back and forth is not where it was")
	}
	p.Next = &access.Rollout{Terms: ato, Start: noon, Due: noon.Add(time.Hour), Cohorts: []access.Cohort{{Name: "some", Percent: 50, Start: noon, Due: noon.Add(time.Minute)}}}
	if back := p.Reverted(noon.Add(30 * time.Minute)); back.Next != nil || !back.Terms.Same(modern) {
		t.Error("a roll-out under way is not taken back")
	}
	if p.Over(noon.Add(59*time.Minute)) || !p.Over(noon.Add(time.Hour)) {
		t.Error("it is over at another time")
	}
	if back := p.Reverted(noon.Add(2 * time.Hour)); !back.Terms.Same(modern) || !back.Before.Same(ato) {
		t.Errorf("a roll-out that is over is not taken back: %+v", back)
	}
	if !p.With(nil, noon.Add(2*time.Hour)).Before.Same(ato) {
		t.Error("what a roll-out brought is forgotten")
	}
}

func TestScopesAreNamedOnceEach(t *testing.T) {
	for _, s := range []access.Scope{{}, {Organisation: "o"}, {Organisation: "o", Role: access.Owner}, {Client: "a/b"}} {
		if got, ok := access.ScopeOf(s.Key()); !ok || got != s {
			t.Errorf("%+v comes back as %+v", s, got)
		}
	}
	for _, bad := range []string{"", "guard", "organisation/", "role/o", "role/o/", "client/", "installation/x", "organisation/o/x"} {
		if s, ok := access.ScopeOf(bad); ok {
			t.Errorf("%q is %+v", bad, s)
		}
	}
}

func TestAHundredthIsStableAndEven(t *testing.T) {
	count := 0
	for range 2000 {
		a := id.New[id.Account](noon, rand.Reader)
		h := access.Hundredth(a)
		if h != access.Hundredth(a) || h < 0 || h > 99 {
			t.Fatal(h)
		}
		if h < 25 {
			count++
		}
	}
	if count < 400 || count > 600 {
		t.Errorf("%d of 2000 are in a quarter", count)
	}
	if got := access.Hundredth("01995d2e-0000-7000-8000-000000000001"); got != 83 {
		t.Errorf("another hundredth than in the release before: %d", got)
	}
}

func FuzzScopeOf(f *testing.F) {
	for _, s := range []string{"installation", "role/o/owner", "client/x", "organisation/o", "///"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, key string) {
		if s, ok := access.ScopeOf(key); ok && s.Key() != key {
			t.Errorf("%q becomes %q", key, s.Key())
		}
	})
}

func BenchmarkRequiredOf(b *testing.B) {
	s := storetest.Open(b, storetest.SQLite(b), nil)
	alice := id.New[id.Account](noon, rand.Reader)
	ato := terms(access.ATO)
	err := s.Do(b.Context(), func(tx *store.Tx) error {
		for i := range 3 {
			o := id.New[id.Organisation](noon, rand.Reader)
			if err := access.AddOrganisation(tx, access.Organisation{ID: o, Name: fmt.Sprint(i)}); err != nil {
				return err
			}
			if err := access.Join(tx, o, alice, access.Bookkeeper); err != nil {
				return err
			}
			if _, err := access.KeepPolicy(tx, access.Policy{Scope: access.Scope{Organisation: o}, Terms: &ato}); err != nil {
				return err
			}
		}
		_, err := access.KeepPolicy(tx, access.Policy{Terms: &ato})
		return err
	})
	if err != nil {
		b.Fatal(err)
	}
	err = s.Read(b.Context(), func(tx *store.Tx) error {
		for b.Loop() {
			if _, err := access.RequiredOf(tx, alice); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
}
