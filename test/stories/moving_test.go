package stories

import (
	"strings"
	"testing"
	"time"

	"gatehouse/outbox"
	"gatehouse/test/house"
)

// movesOn sends the form of a step of the guide.
func movesOn(p *house.Person, do string, fields ...string) house.Reply {
	p.House.T.Helper()
	return p.Post("/account/moving", append([]string{"do", do}, fields...)...)
}

// offered is the key on the page of a new app.
func offered(p *house.Person) string {
	p.House.T.Helper()
	page := p.Get("/account/moving").Is(200)
	_, rest, ok := strings.Cut(page.Body, `data-value="`)
	if !ok {
		p.House.T.Fatalf("no key on the page:\n%s", page.Body)
	}
	key, _, _ := strings.Cut(rest, `"`)
	return p.House.Secret("an authenticator app's secret", key)
}

// codeOf is what another phone shows once a new code is there.
func codeOf(p *house.Person, secret string) string {
	p.House.Clock.Forward(30 * time.Second)
	return p.House.Secret("a one-time code", house.CodeAt(secret, p.House.Clock.Now()))
}

func (t things) has(name string) bool { return strings.Contains(string(t), name) }

// things is the page of somebody's authenticators.
type things string

func thingsOf(p *house.Person) things { return things(p.Get("/account/authenticators").Is(200).Body) }

func TestANewPhoneOverlapsTheOldOne(t *testing.T) {
	house.EachOnPrimary(t, func(t *testing.T, h *house.House) {
		alice := h.Invited("alice")
		alice.Arrives()
		h.Clock.Forward(time.Minute)
		old := alice.Get("/account/moving?why=phone").Is(200).Hidden("id")
		movesOn(alice, "begin", "why", "phone", "id", old).Is(303)
		key := offered(alice)
		if again := offered(alice); again != key {
			t.Error("a reload shows another key: what was scanned is lost")
		}
		laptop := alice.Elsewhere("198.51.100.9")
		laptop.SignsIn() // the old phone opens as ever, and the account page reminds there too
		if !strings.Contains(laptop.Get("/account").Body, "You have begun to move") {
			t.Error("no reminder on the account page")
		}
		if again := offered(laptop); again != key {
			t.Error("elsewhere another key is shown")
		}
		if page := movesOn(alice, "arrive", "code", "000000", "name", "New phone").Is(401); !strings.Contains(page.Body, key[:4]) {
			t.Error("after a wrong code another key is shown")
		}
		movesOn(alice, "arrive", "code", codeOf(alice, key), "name", "New phone").Is(303)
		if list := thingsOf(alice); !list.has("New phone") || !list.has("Phone") {
			t.Error("old and new are not both listed")
		}
		alice.Phone, key = key, alice.Phone // the new phone signs in, and so does the old one
		both := alice.Elsewhere("198.51.100.10")
		both.SignsIn()
		both.Phone = key
		both.SignsIn()
		page := movesOn(alice, "finish", "code", codeOf(alice, key)).Is(401)
		if !strings.Contains(page.Body, "comes from the old one") {
			t.Errorf("a code of the old phone is not recognised: %s", page.Body)
		}
		alice.ProvesAfresh()
		if to := movesOn(alice, "finish", "code", alice.NextCode()).Is(303).Header.Get("Location"); to != "/account/moving/done" {
			t.Errorf("led to %s", to)
		}
		end := alice.Get("/account/moving/done").Is(200)
		if !strings.Contains(end.Body, "New phone") || !strings.Contains(end.Body, "10 left") {
			t.Error("the end does not say what opens the account now")
		}
		if strings.Contains(alice.Get("/account").Body, "You have begun to move") {
			t.Error("there is still a reminder")
		}
		late := both.Elsewhere("198.51.100.11")
		late.ShowsPassword().Asks("totp")
		late.ShowsCode(late.NextCode()).Says("wrong-code")
		alice.Elsewhere("198.51.100.12").SignsIn()
		h.Mail(alice.Email, outbox.AuthenticatorRemoved)
		if n := h.Count("moves", "1 = 1"); n != 0 {
			t.Errorf("%d moves are left", n)
		}
	})
}

func TestAMoveLeftHalfWayTakesNothingOff(t *testing.T) {
	house.EachOnPrimary(t, func(t *testing.T, h *house.House) {
		alice := h.Person("alice")
		alice.SignsIn()
		old := alice.Get("/account/moving?why=switch").Is(200).Hidden("id")
		movesOn(alice, "begin", "why", "switch", "id", old).Is(303)
		key := offered(alice)
		h.Clock.Forward(20 * time.Minute) // the full proof is of then: it is asked for again, and nothing is lost
		if to := alice.Get("/account/moving").Is(303).Header.Get("Location"); !strings.HasPrefix(to, "/fresh") {
			t.Errorf("led to %s", to)
		}
		alice.ProvesAfresh()
		if offered(alice) != key {
			t.Error("another key after the proof")
		}
		// Whoever knows the password and has scanned it is told that it does not count yet.
		other := alice.Elsewhere("198.51.100.9")
		other.ShowsPassword().Asks("totp")
		r := other.ShowsCode(codeOf(other, key)).Says("wrong-code")
		if !strings.Contains(r.Body, "did not finish") {
			t.Errorf("no hint: %s", r.Body)
		}
		movesOn(alice, "arrive", "code", codeOf(alice, key), "name", "Tablet").Is(303)
		movesOn(alice, "stop").Is(303)
		if list := thingsOf(alice); !list.has("Tablet") || h.Count("totp", "account = $1", string(alice.Account)) != 2 {
			t.Error("giving up a move takes something off")
		}
		alice.Elsewhere("198.51.100.10").SignsIn()
		if page := alice.Get("/account/moving").Is(200); !strings.Contains(page.Body, "I have a new phone") {
			t.Error("the guide does not begin anew")
		}
	})
}

func TestALostPhoneOpensNothingFromThenOn(t *testing.T) {
	house.EachOnPrimary(t, func(t *testing.T, h *house.House) {
		remembering(h, month)
		alice := h.Invited("alice")
		alice.Arrives()
		signsInByPage(alice, "remember", "yes")
		home := alice.Elsewhere("198.51.100.9")
		home.Post("/signin", "email", alice.Email, "password", alice.Password).Is(303)
		home.Post("/signin/recovery", "code", alice.Codes[0]).Is(303)
		if !strings.Contains(home.Get("/account").Body, "You signed in with a recovery code; 9 are left") {
			t.Error("nobody asks whether the phone is lost")
		}
		lost := home.Get("/account/moving?why=lost").Is(200).Hidden("id")
		movesOn(home, "begin", "why", "lost", "id", lost).Is(303)
		if to := passwordOnce(alice); to != asked { // her own laptop
			t.Errorf("a remembered browser leads to %s after the phone was lost", to)
		}
		key := offered(home)
		if n := h.Count("totp", "account = $1", string(alice.Account)); n != 1 {
			t.Errorf("%d apps: the only one is not taken off before there is another", n)
		}
		if to := movesOn(home, "arrive", "code", codeOf(home, key), "name", "New phone").Is(303).Header.Get("Location"); to != "/account/moving/done" {
			t.Errorf("led to %s", to)
		}
		finder := alice.Elsewhere("203.0.113.66")
		finder.ShowsPassword().Asks("totp")
		finder.ShowsCode(finder.NextCode()).Says("wrong-code")
		home.Phone = key
		home.Elsewhere("198.51.100.10").SignsIn()
	})
}

func TestOneOfTwoLostPhonesIsTakenOffAtOnce(t *testing.T) {
	house.EachOnPrimary(t, func(t *testing.T, h *house.House) {
		alice := h.Person("alice")
		alice.SignsIn()
		page := alice.Get("/account/authenticators/add").Is(200)
		_, rest, _ := strings.Cut(page.Body, `data-value="`)
		second, _, _ := strings.Cut(rest, `"`)
		h.Secret("an authenticator app's secret", second)
		alice.Post("/account/authenticators/add", "attempt", page.Hidden("attempt"), "code", codeOf(alice, second), "name", "Tablet").Is(303)
		lost := alice.Get("/account/moving?why=lost").Is(200).Hidden("id") // the first: the phone
		movesOn(alice, "begin", "why", "lost", "id", lost).Is(303)
		if n := h.Count("totp", "account = $1", string(alice.Account)); n != 1 {
			t.Errorf("%d apps, the lost one among them", n)
		}
		finder := alice.Elsewhere("203.0.113.66")
		finder.ShowsPassword().Asks("totp")
		finder.ShowsCode(finder.NextCode()).Says("wrong-code")
		movesOn(alice, "begin", "why", "lost", "id", lost).Is(404) // it is gone
		movesOn(alice, "begin", "why", "phone").Is(400)
		movesOn(alice, "begin", "why", "elsewhere", "id", lost).Is(400)
	})
}

func TestNobodyMovesSomebodyElse(t *testing.T) {
	house.EachOnPrimary(t, func(t *testing.T, h *house.House) {
		alice, bob := h.Person("alice"), h.Person("bob")
		alice.SignsIn()
		bob.SignsIn()
		hers := alice.Get("/account/moving?why=phone").Is(200).Hidden("id")
		for _, why := range []string{"phone", "lost"} {
			movesOn(bob, "begin", "why", why, "id", hers).Is(404)
		}
		movesOn(bob, "arrive", "code", "123456").Is(303) // back to where he stands: nowhere
		movesOn(bob, "finish", "code", "123456").Is(303)
		if h.Count("moves", "1 = 1") != 0 || h.Count("totp", "account = $1", string(alice.Account)) != 1 {
			t.Error("something moved")
		}
	})
}

// Somebody with one way in is offered another when they have set it up, and then
// once in a while; programs are never asked.
func TestASecondWayInIsOfferedOnceInAWhile(t *testing.T) {
	house.EachOnPrimary(t, func(t *testing.T, h *house.House) {
		alice := h.Invited("alice")
		alice.Get("/link/" + h.Link(alice.Email, outbox.Invitation)).Is(303)
		alice.Post("/link").Is(303)
		alice.Post("/signin/new-password", "password", alice.Password).Is(303)
		page := alice.Get("/signin/enrol").Is(200)
		_, rest, _ := strings.Cut(page.Body, `data-value="`)
		alice.Phone, _, _ = strings.Cut(rest, `"`)
		h.Secret("an authenticator app's secret", alice.Phone)
		alice.Post("/signin/enrol", "code", alice.Code(), "name", "Phone").Is(303)
		if to := alice.Post("/signin/codes", "confirmed", "yes").Is(303).Header.Get("Location"); to != "/account/second" {
			t.Fatalf("after enrolling: %s", to)
		}
		if page := alice.Get("/account/second").Is(200); !strings.Contains(page.Body, "/account/authenticators/add") || !strings.Contains(page.Body, "Later") {
			t.Error("nothing is offered, or it cannot be put off")
		}
		if to := alice.Post("/account/second", "do", "later").Is(303).Header.Get("Location"); to != "/account" {
			t.Errorf("later: %s", to)
		}
		if !strings.Contains(alice.Get("/account").Body, "your only way to prove") {
			t.Error("the account page does not remind")
		}
		again := func() string {
			alice.Post("/signout").Is(303)
			alice.Post("/signin", "email", alice.Email, "password", alice.Password, "return", "/account/history").Is(303)
			return alice.Post("/signin/code", "code", alice.NextCode()).Is(303).Header.Get("Location")
		}
		h.Clock.Forward(24 * time.Hour)
		if to := again(); to != "/account/history" {
			t.Errorf("the next day: %s", to)
		}
		h.Clock.Forward(12 * 24 * time.Hour)
		if to := again(); to != "/account/history" {
			t.Errorf("after 13 days: %s", to)
		}
		h.Clock.Forward(24 * time.Hour)
		if to := again(); to != "/account/second?return=%2Faccount%2Fhistory" {
			t.Errorf("after two weeks: %s", to)
		}
		alice.Post("/account/second", "do", "later", "return", "/account/history").Is(303)
		if to := again(); to != "/account/history" {
			t.Errorf("put off: %s", to)
		}
		h.Clock.Forward(14 * 24 * time.Hour)
		if to := again(); !strings.HasPrefix(to, "/account/second") {
			t.Errorf("after two weeks more: %s", to)
		}
		page = alice.Get("/account/authenticators/add").Is(200)
		_, rest, _ = strings.Cut(page.Body, `data-value="`)
		second, _, _ := strings.Cut(rest, `"`)
		h.Secret("an authenticator app's secret", second)
		alice.Post("/account/authenticators/add", "attempt", page.Hidden("attempt"), "code", codeOf(alice, second), "name", "Tablet").Is(303)
		h.Clock.Forward(30 * 24 * time.Hour)
		if to := again(); to != "/account/history" {
			t.Errorf("with two: %s", to)
		}
		if to := alice.Get("/account/second").Is(303).Header.Get("Location"); to != "/account" {
			t.Errorf("the page itself: %s", to)
		}
	})
}

// A typed code that cannot be one is explained, to whoever has shown the password.
func TestAWrongCodeIsExplained(t *testing.T) {
	house.EachOnPrimary(t, func(t *testing.T, h *house.House) {
		alice := h.Invited("alice")
		alice.Arrives()
		for typed, want := range map[string]string{
			"1234":         "have 6 digits",
			"12345678":     "have 6 digits",
			alice.Codes[3]: "one of your recovery codes",
		} {
			p := alice.Elsewhere("198.51.100.9")
			p.ShowsPassword().Asks("totp")
			if r := p.ShowsCode(typed).Says("wrong-code"); !strings.Contains(r.Body, want) {
				t.Errorf("%q: %s", typed, r.Body)
			}
			p.ShowsCode(p.NextCode()).Asks("done")
		}
		p := alice.Elsewhere("198.51.100.10")
		p.ShowsPassword().Asks("totp")
		if r := p.API("/signin/recovery-code", map[string]any{"code": "123456"}).Says("wrong-code"); !strings.Contains(r.Body, "from an app") {
			t.Errorf("an app's code as a recovery code: %s", r.Body)
		}
		p.ShowsCode(p.NextCode()).Asks("done")
		// By a link alone, nobody is told how long the codes are.
		reset := h.Browser("203.0.113.9")
		reset.API("/forgot", map[string]any{"email": alice.Email}).Asks("link-sent")
		reset.API("/link", map[string]any{"token": h.Link(alice.Email, outbox.Reset)}).Asks("totp")
		if r := reset.API("/signin/totp", map[string]any{"code": "1234"}).Says("wrong-code"); strings.Contains(r.Body, "digits") {
			t.Errorf("told without a password: %s", r.Body)
		}
	})
}

// What was on one phone is several entries: its codes, its questions. Boxes of one
// list come under one name.
func TestAllThatWasOnALostPhoneGoesAtOnce(t *testing.T) {
	house.EachOnPrimary(t, func(t *testing.T, h *house.House) {
		alice := h.Person("alice")
		alice.SignsIn()
		changes[1].change(t, alice).Is(303)
		changes[1].change(t, alice).Is(303)
		o, err := h.Manage.Overview(t.Context(), caller(t, alice))
		if err != nil || len(o.Apps) != 3 {
			t.Fatalf("%v, %d apps", err, len(o.Apps))
		}
		alice.Post("/account/moving", "do", "begin", "why", "lost", "id", string(o.Apps[1].ID), "id", string(o.Apps[2].ID)).Is(303)
		if n := h.Count("totp", "account = $1", string(alice.Account)); n != 1 {
			t.Errorf("%d apps are left", n)
		}
		alice.Post("/account/authenticators", "do", "rename", "id", string(o.Apps[0].ID), "id", string(o.Apps[1].ID), "name", "x").Is(400)
	})
}
