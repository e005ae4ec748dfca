package stories

import (
	"net/http"
	"testing"
	"time"

	"gatehouse/access"
	"gatehouse/authenticators/softkey"
	"gatehouse/events"
	"gatehouse/fault"
	"gatehouse/manage"
	"gatehouse/outbox"
	"gatehouse/store"
	"gatehouse/test/house"
)

// harbour is the scope of the business that everybody in a story works for.
func harbour(h *house.House) (s access.Scope) {
	h.Do(func(tx *store.Tx) error {
		o, _, err := access.OrganisationByName(tx, "Harbour Books")
		s.Organisation = o.ID
		return err
	})
	return s
}

// admin makes somebody a security admin.
func admin(h *house.House, p *house.Person) *house.Person {
	s := harbour(h)
	h.Do(func(tx *store.Tx) error { return access.Join(tx, s.Organisation, p.Account, access.SecurityAdmin) })
	return p
}

// operates changes a policy as an operator does.
func operates(h *house.House, w manage.PolicyWish) access.Policy {
	h.T.Helper()
	is, _, _, err := h.Manage.Policy(h.T.Context(), w)
	if err != nil {
		h.T.Fatal(err)
	}
	w.Version = is.Version
	done, err := h.Manage.ChangePolicy(h.T.Context(), manage.Changer{Actor: events.Operator}, w)
	if err != nil {
		h.T.Fatal(err)
	}
	if len(done.Complaints) > 0 {
		h.T.Fatalf("%+v", done.Complaints)
	}
	return done.Policy
}

func presetOf(p access.Preset, resistant bool) *access.Requirement {
	terms, _ := p.Terms()
	terms.Resistant = resistant
	return &terms
}

// form fills the form of rules: a preset, phishing-resistant, and more fields.
func rulesForm(s access.Scope, version string, more ...string) []string {
	fields := []string{"scope", s.Key(), "version", version, "level", "2", "resistant", "yes", "hours", "12"}
	for _, m := range []string{"passkey", "push", "totp", "hotp", "recovery-code"} {
		fields = append(fields, "accept-"+m, "yes")
	}
	return append(fields, more...)
}

// setsUpPasskey goes from the enrolment step to a session, with new recovery codes.
func setsUpPasskey(p *house.Person) *softkey.Key {
	p.House.T.Helper()
	key := house.NewKey(false)
	answer, err := key.Create(p.AskedFor().Options, house.Origin)
	if err != nil {
		p.House.T.Fatal(err)
	}
	codes := p.API("/signin/enrol-passkey", map[string]any{"answer": string(answer)}).Asks("recovery-codes")
	p.Keeps(codes.List("recovery_codes"))
	p.API("/signin/recovery-codes", map[string]any{"confirmed": true}).Asks("done")
	return key
}

func TestAStricterPolicyIsTriedOnPaperRolledOutAndLeadsEverybodyThrough(t *testing.T) {
	house.Each(t, func(t *testing.T, h *house.House) {
		operates(h, manage.PolicyWish{Do: manage.PolicySet, Terms: presetOf(access.Modern, false)})
		sam, ben := admin(h, h.Person("sam")), h.Invited("ben")
		ben.Arrives()
		old := ben.Codes
		sam.SignsIn()
		scope := harbour(h)
		const pages = "/console/policy/authenticators"

		// On paper: who that is, as a page and as a list.
		if page := sam.Get(pages + "/change?scope=" + scope.Key() + "&preset=ato").Is(200); !contains(page.Body, `value="12"`) || page.Hidden("version") != "0" {
			t.Errorf("the form does not start from the preset: %s", page.Body)
		}
		due := h.Clock.Now().AddDate(0, 0, 14).Format(time.DateOnly)
		later := rulesForm(scope, "0", "when", "later", "due", due, "first", "admins")
		look := sam.Post(pages+"/change", later...).Is(200)
		for _, text := range []string{"could not sign in today", ben.Email, sam.Email, "Authenticator app"} {
			if !contains(look.Body, text) {
				t.Errorf("the dry run does not say %q", text)
			}
		}
		list := sam.Post(pages+"/list", append(later, "as", "csv")...).Is(200)
		if !contains(list.Body, ben.Email+",Ms ben,Harbour Books,bookkeeper,out,totp") || !contains(list.Header.Get("Content-Disposition"), "attachment") {
			t.Errorf("%s", list.Body)
		}
		if h.Count("policies", "id = $1", scope.Key()) != 0 {
			t.Error("looking has changed something")
		}

		// Applied after a yes; people are told, and nothing is asked of them yet.
		sam.Post(pages+"/apply", later...).Is(http.StatusUnprocessableEntity)
		sam.Post(pages+"/apply", append(later, "confirmed", "yes")...).Is(303)
		h.Mail(sam.Email, outbox.PolicyChanged)
		sam.Post(pages+"/apply", append(later, "confirmed", "yes")...).Is(http.StatusUnprocessableEntity) // it is under way already
		ben.SignsIn()
		o, err := h.Manage.Overview(t.Context(), caller(t, ben))
		if err != nil || o.Due == nil || !o.Due.Missing.Resistant {
			t.Fatalf("ben is not told: %+v %v", o.Due, err)
		}
		if page := sam.Get(pages).Is(200); !contains(page.Body, "0 of 1 are ready") {
			t.Error("the progress is not shown")
		}

		// From the day on: password, what he has, a link by mail, a passkey, in.
		h.Clock.Set(o.Due.By)
		ben.ShowsPassword().Asks("totp")
		if why := ben.ShowsCode(ben.NextCode()).Asks("link-sent").Field("why"); why != "not-accepted" {
			t.Errorf("he is not told why: %q", why)
		}
		ben.OpensLink(outbox.EnrolLink).Asks("enrol-totp")
		ben.API("/signin/enrol-totp", map[string]any{"code": "123456", "name": "Another app"}).Says("not-accepted")
		key := setsUpPasskey(ben)
		if len(ben.Codes) != 10 || ben.Codes[0] == old[0] {
			t.Error("the recovery codes were not renewed")
		}
		if o, err = h.Manage.Overview(t.Context(), caller(t, ben)); err != nil || o.Due != nil || len(o.Seconds) != 2 {
			t.Errorf("%+v %v", o, err)
		}

		// And on the standby too: the passkey opens, the app alone does not.
		h.Dark()
		elsewhere := ben.Elsewhere("203.0.113.7")
		elsewhere.ShowsPassword().Asks("passkey")
		elsewhere.ShowsCode(elsewhere.NextCode()).Says("attempt-expired") // it is no way of his any more
		elsewhere.SignsInByPasskey(key)
		laptop := ben.Elsewhere("203.0.113.8")
		laptop.ShowsPassword().Asks("passkey")
		laptop.API("/signin/recovery-code", map[string]any{"code": old[1]}).Says("wrong-code")
	})
}

func TestAMistakeThatWouldLockEverybodyOutIsRefusedInWords(t *testing.T) {
	house.EachOnPrimary(t, func(t *testing.T, h *house.House) {
		sam := admin(h, h.Person("sam"))
		sam.SignsIn()
		scope := harbour(h)
		const pages = "/console/policy/authenticators"
		for name, c := range map[string]struct {
			says   string
			fields []string
		}{
			"only code tokens":         {"nobody could set up what they need", []string{"scope", scope.Key(), "version", "0", "level", "2", "hours", "0", "accept-hotp", "yes"}},
			"nothing":                  {"nobody could set up what they need", []string{"scope", scope.Key(), "version", "0", "level", "2", "hours", "0"}},
			"one proof alone":          {"AAL2 is the lowest that can be set", []string{"scope", scope.Key(), "version", "0", "level", "1", "hours", "0", "accept-totp", "yes"}},
			"no number":                {"Type a number of hours", rulesForm(scope, "0")[:6]},
			"a deadline that is over":  {"must be later than now", rulesForm(scope, "0", "when", "later", "due", "2020-01-01")},
			"a deadline that is none":  {"Type a day such as", rulesForm(scope, "0", "when", "later", "due", "soon")},
			"a browser for ever known": {"0 to 90 days", append(rulesForm(scope, "0")[:8], "hours", "99999", "accept-totp", "yes")},
		} {
			for _, path := range []string{"/change", "/apply"} {
				r := sam.Post(pages+path, append(c.fields, "confirmed", "yes")...)
				if r.Status != http.StatusUnprocessableEntity || !contains(r.Body, c.says) {
					t.Errorf("%s, %s: %d, without %q", name, path, r.Status, c.says)
				}
			}
		}
		if h.Count("policies", "kind = 'authentication'") != 0 {
			t.Error("something was set")
		}
		ben := h.Person("ben")
		ben.SignsIn()
		for _, path := range []string{pages, pages + "/change?scope=" + scope.Key()} {
			if r := ben.Get(path); r.Status != http.StatusForbidden {
				t.Errorf("%s is a bookkeeper's to see: %d", path, r.Status)
			}
		}
		for _, s := range []access.Scope{scope, {}, {Client: "payroll"}, {Organisation: "elsewhere"}} {
			if r := ben.Post(pages+"/apply", append(rulesForm(s, "0"), "confirmed", "yes")...); r.Status != http.StatusForbidden {
				t.Errorf("a bookkeeper, %q: %d", s.Key(), r.Status)
			}
			if r := sam.Post(pages+"/apply", append(rulesForm(s, "7"), "confirmed", "yes")...); s == scope && r.Status != http.StatusConflict || s != scope && r.Status != http.StatusForbidden {
				t.Errorf("an admin, %q: %d", s.Key(), r.Status)
			}
		}
		sam.Post(pages+"/apply", append(rulesForm(scope, "0"), "confirmed", "yes", "end-sessions", "yes")...).Is(303)
		if ben.Inside() != http.StatusUnauthorized {
			t.Error("a session below the new rules lives on, though it was to end")
		}
		h.Clock.Forward(6 * time.Minute)
		if r := sam.Post(pages+"/revert", "scope", scope.Key(), "version", "1"); !contains(r.Header.Get("Location"), "/fresh") && !contains(r.Header.Get("Location"), "/signin") {
			t.Errorf("without a fresh proof: %d %s", r.Status, r.Header.Get("Location"))
		}
	})
}

func TestWhereOnlyPasskeysCountALostOneIsReplacedByPaperAndALink(t *testing.T) {
	house.Each(t, func(t *testing.T, h *house.House) {
		ana := h.Invited("ana")
		ana.Arrives()
		h.Clock.Forward(time.Minute)
		lost := house.NewKey(false)
		ana.AddsPasskey("passkey", lost).Is(303)
		operates(h, manage.PolicyWish{Scope: harbour(h), Do: manage.PolicySet, Terms: presetOf(access.Modern, true)})
		if ana.Inside() != 200 {
			t.Error("a session that is open ended by itself")
		}
		ana.ShowsPassword().Asks("passkey")
		ana.API("/signin/recovery-code", map[string]any{"code": ana.Codes[3]}).Asks("link-sent")
		ana.OpensLink(outbox.EnrolLink).Asks("enrol-totp")
		key := setsUpPasskey(ana)
		h.Dark()
		ana.Elsewhere("203.0.113.7").SignsInByPasskey(key)
	})
}

func TestADeadlineThatPassesInTheDarkWaitsForTheLight(t *testing.T) {
	h := withStandby(t, nil)
	ben, sam := h.Person("ben"), admin(h, h.Person("sam"))
	sam.SignsIn()
	now := h.Clock.Now()
	operates(h, manage.PolicyWish{Do: manage.PolicyRollOut, RollOut: &access.Rollout{Terms: *presetOf(access.ATO, true), Start: now, Due: now.Add(20 * time.Minute)}})
	h.Dark()
	h.Clock.Forward(25 * time.Minute)
	ben.SignsIn() // he could set up nothing here, and what he has is two proofs
	sam.Get("/console/policy/authenticators").Is(200)
	_, err := h.Manage.ChangePolicy(t.Context(), manage.Changer{Actor: events.Operator}, manage.PolicyWish{Do: manage.PolicyRevert, Version: 1})
	if fault.Of(err) != fault.Unavailable {
		t.Errorf("a change in the dark: %v", err)
	}
	h.Light()
	elsewhere := ben.Elsewhere("203.0.113.7")
	elsewhere.ShowsPassword().Asks("totp")
	elsewhere.ShowsCode(elsewhere.NextCode()).Asks("link-sent")
	elsewhere.OpensLink(outbox.EnrolLink).Asks("enrol-totp")
	setsUpPasskey(elsewhere)

	// One that had passed before holds in the dark, and there the way on must wait.
	carl := h.Person("carl")
	h.Dark()
	carl.ShowsPassword().Asks("totp")
	carl.ShowsCode(carl.NextCode()).Waits()
	h.Light()
	h.Audited()
}
