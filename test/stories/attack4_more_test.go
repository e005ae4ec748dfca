package stories

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"gatehouse/access"
	"gatehouse/authenticators/softkey"
	"gatehouse/manage"
	"gatehouse/outbox"
	"gatehouse/store"
	"gatehouse/test/house"
	"gatehouse/tokens"
)

// A number that waits for its day opens nothing: it does not end a move, after which
// nothing else would open.
func TestANumberOnHoldEndsNoMove(t *testing.T) {
	house.EachOnPrimaryWith(t, texting, func(t *testing.T, h *house.House) {
		h.AcceptTexts()
		alice := h.Invited("alice")
		alice.Arrives()
		h.Clock.Forward(time.Minute)
		old := alice.Get("/account/moving?why=phone").Is(200).Hidden("id")
		movesOn(alice, "begin", "why", "phone", "id", old).Is(303)
		number := alice.HasPhone(mobile)
		h.SQL("UPDATE credentials SET made_at = $1, usable_at = $2 WHERE id = $3", store.Micros(h.Clock.Now()), store.Micros(h.Clock.Now().Add(24*time.Hour)), number.ID)
		h.Clock.Forward(time.Second)
		movesOn(alice, "finish", "code", "")
		if !thingsOf(alice).has(">Phone<") {
			t.Fatal("what opens the account was taken off")
		}
		thief := alice.Elsewhere("203.0.113.66")
		thief.ShowsPassword().Asks("totp")
	})
}

// The last thing somebody has stays, also when it opens nothing any more: or a
// password and a mailbox would set up the next.
func TestTheLastKeyStaysThoughItWasSwitchedOff(t *testing.T) {
	house.EachOnPrimary(t, func(t *testing.T, h *house.House) {
		ana := h.Invited("Ana")
		ana.API("/link", map[string]any{"token": h.Link(ana.Email, outbox.Invitation)}).Asks("new-password")
		ana.API("/signin/new-password", map[string]any{"password": ana.Password}).Asks("enrol-totp")
		key := setsUpPasskey(ana)
		key.Counts, key.Count = true, 10
		ana.SignsInByPasskey(key)
		key.Count = 1
		ana.Attempt = ""
		ana.ShowsPasskey(key).Says("wrong-passkey")
		ana.ShowsPassword().Asks("recovery-code")
		ana.API("/signin/recovery-code", map[string]any{"code": ana.Codes[0]}).Asks("done")
		only := h.Cell("SELECT id FROM credentials WHERE kind = 'passkey'")
		if r := ana.Post("/account/authenticators", "do", "remove", "id", only); r.Status == 303 {
			t.Error("it was removed, and nothing is left")
		}
		h.Clock.Forward(time.Second)
		ana.AddsPasskey("passkey", house.NewKey(false)).Is(303)
		ana.Post("/account/authenticators", "do", "remove", "id", only).Is(303)
	})
}

// What was taken off on one node opens on another only as long as that cannot know,
// and whoever came in that way is out afterwards.
func TestWhatWasTakenOffOnOneNodeLetsNobodyStayOnAnother(t *testing.T) {
	for _, row := range []struct {
		name  string
		off   func(t *testing.T, one *house.House, p *house.Person, key *softkey.Key, token *house.CodeToken)
		enter func(p *house.Person, key *softkey.Key, token *house.CodeToken)
	}{
		{"a passkey", func(t *testing.T, one *house.House, p *house.Person, _ *softkey.Key, _ *house.CodeToken) {
			p.Post("/account/authenticators", "do", "remove", "id", one.Cell("SELECT id FROM credentials WHERE kind = 'passkey'")).Is(303)
		}, func(p *house.Person, key *softkey.Key, _ *house.CodeToken) { p.SignsInByPasskey(key) }},
		{"a token", func(t *testing.T, one *house.House, _ *house.Person, _ *softkey.Key, _ *house.CodeToken) {
			_, _, err := one.Manage.LoseToken(t.Context(), manage.TokenRef{Serial: "1002"}, "", "operator")
			must(t, err)
		}, func(p *house.Person, _ *softkey.Key, token *house.CodeToken) {
			p.ShowsPassword().Is(200)
			p.ShowsCode(token.Press()).Asks("done")
		}},
		{"a remembered browser", func(t *testing.T, _ *house.House, p *house.Person, _ *softkey.Key, _ *house.CodeToken) {
			p.Post("/account/remembered", "do", "forget").Is(303)
		}, func(p *house.Person, _ *softkey.Key, _ *house.CodeToken) {
			if to := passwordAlone(p); to != in {
				p.House.T.Fatalf("the story tells nothing: %s", to)
			}
		}},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			apart(t, func(t *testing.T, one, other *house.House, back func()) {
				remembering(one, month)
				alice := one.Person("alice")
				token := one.Token(alice, tokens.HOTP, "1002")
				signsInByPage(alice, "remember", "yes")
				alice.ProvesAfresh()
				adds(alice, token).Is(303)
				key := house.NewKey(false)
				alice.AddsPasskey("passkey", key).Is(303)
				one.Clock.Forward(time.Minute)
				signsInByPage(alice, "remember", "yes")
				follow(t, one)
				follow(t, other)
				there := at(alice, other)
				there.House = other
				other.Dark()
				row.off(t, one, alice, key, token)
				row.enter(there, key, token)
				if there.Inside() != http.StatusOK {
					t.Fatal("the node that cannot know of it let nobody in: the story tells nothing")
				}
				back()
				one.Within(2*time.Second, "whoever came in with it is out", func() bool { return there.Browser.At(one).Inside() == 401 && there.Inside() == 401 })
			})
		})
	}
}

// One press of a button, or one count of a key, on two nodes in the dark: one
// session is left, and no counter goes back.
func TestOneCountUsedOnTwoNodesInTheDarkLeavesOneSession(t *testing.T) {
	apart(t, func(t *testing.T, one, other *house.House, back func()) {
		alice := one.Person("alice")
		token := one.Token(alice, tokens.HOTP, "1002")
		alice.SignsIn()
		alice.ProvesAfresh()
		adds(alice, token).Is(303)
		follow(t, other)
		mallory := at(alice.Elsewhere("203.0.113.66"), other)
		mallory.House = other
		alice.ShowsPassword().Asks("totp")
		mallory.ShowsPassword().Asks("totp")
		one.Dark()
		other.Dark()
		early := token.Press()
		alice.ShowsCode(early).Asks("done")
		mallory.ShowsCode(early).Asks("done") // nobody there can know
		further := at(alice.Elsewhere("203.0.113.67"), other)
		further.House = other
		for range 3 {
			token.Press()
		}
		further.ShowsPassword().Is(200)
		further.ShowsCode(token.Press()).Asks("done")
		back()
		one.Within(2*time.Second, "one of the two is out", func() bool {
			return (alice.Browser.At(one).Inside() == 200) != (mallory.Browser.At(one).Inside() == 200)
		})
		if n := one.Cell("SELECT CAST(counter AS TEXT) FROM credentials WHERE kind = 'hotp'"); n != "6" {
			t.Errorf("the next counter is %s", n)
		}
		alice.ShowsPassword().Is(200)
		alice.ShowsCode(early).Says("wrong-code")
	})
}

// A policy just before the dark is the policy in the dark.
func TestAPolicyOfAMomentAgoHoldsInTheDark(t *testing.T) {
	h := withStandby(t, nil)
	remembering(h, month)
	ana := h.Person("ana")
	signsInByPage(ana, "remember", "yes")
	h.Clock.Forward(time.Minute)
	key := house.NewKey(false)
	ana.AddsPasskey("passkey", key).Is(303)
	operates(h, manage.PolicyWish{Scope: harbour(h), Do: manage.PolicySet, Terms: presetOf(access.Modern, true)})
	h.Dark()
	if to := passwordAlone(ana); to != "/signin/passkey" {
		t.Errorf("the remembered browser led to %s", to)
	}
	thief := ana.Elsewhere("203.0.113.66")
	thief.ShowsPassword().Asks("passkey")
	thief.ShowsCode(thief.NextCode()).Says("attempt-expired")
	thief.SignsInByPasskey(key)
	h.Light()
	h.Audited()
}

// Names are text wherever they come up, and where somebody is led is one of our pages.
func TestNamesAndAddressesOfAnAttackerAreNothingButText(t *testing.T) {
	house.EachOnPrimary(t, func(t *testing.T, h *house.House) {
		const evil = `"><script>alert(1)</script><img src=x onerror=alert(1)>`
		alice := h.Person("alice")
		alice.SignsIn()
		alice.ProvesAfresh()
		d := h.NewDevice("203.0.113.7")
		token, note := house.Picture(alice.Get("/account/authenticators/verify").Is(200))
		d.ScansAs(token, evil).Is(200)
		state := alice.Post("/account/authenticators/verify/state", "attempt", note)
		if state.Header.Get("Content-Type") != "application/json" || state.Header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("a name may be taken for a page: %v", state.Header)
		}
		page := alice.Post("/account/authenticators/verify", "attempt", note, "code", "000000", "name", evil)
		pages := []string{page.Body}
		alice.Post("/account/authenticators/verify", "attempt", note, "code", h.Secret("a one-time code", house.CodeAt(d.Secret, h.Clock.Now())), "name", evil).Is(303)
		for _, path := range []string{"/account/authenticators", "/account/history", "/account/moving?why=phone", "/account/moving", "/account/second", "/account/second?return=" + url.QueryEscape(evil),
			"/account", "/account/sessions", "/account/authenticators/token?serial=" + url.QueryEscape(evil), "/account/authenticators/resync?id=" + url.QueryEscape(evil)} {
			pages = append(pages, alice.Get(path).Body)
		}
		for _, body := range pages {
			if strings.Contains(body, "<script>alert") || strings.Contains(body, "<img src=x") {
				t.Errorf("an attacker's name is part of a page: %.300s", body)
			}
		}
		for _, to := range []string{"//evil.example", `/\evil.example`, "https://evil.example", "/%09/evil.example", "/\t/evil.example", "javascript:alert(1)", "/account/../../evil", "///evil.example"} {
			for _, r := range []house.Reply{
				alice.Post("/account/second", "do", "later", "return", to),
				alice.Post("/signin", "email", alice.Email, "password", "wrong", "return", to),
				alice.Get("/account/second?return=" + url.QueryEscape(to)),
			} {
				if led := r.Header.Get("Location"); led != "" && !strings.HasPrefix(led, "/") || strings.HasPrefix(led, "//") || strings.ContainsAny(led, "\\\t") || strings.Contains(r.Body, `href="//evil`) || strings.Contains(r.Body, `href="https://evil`) {
					t.Errorf("%q led to %q", to, led)
				}
			}
		}
	})
}

// What is secret about phones, numbers and keys stands in no log, event or table,
// also when what was sent is wrong or the push service fails.
func TestNoSecretOfAPhoneIsKeptOrLogged(t *testing.T) {
	house.EachOnPrimaryWith(t, texting, func(t *testing.T, h *house.House) {
		service := newPushService(t)
		service.status.Store(500)
		h.AcceptTexts()
		alice, phone := withPush(t, h, service)
		h.Secret("the key of a subscription", phone.Push.Auth)
		h.Secret("a public key of a subscription", phone.Push.P256dh)
		number := alice.HasPhone(mobile)
		alice.ShowsPassword().Is(200)
		alice.ShowsCode(alice.NextCode()).Asks("done")
		alice.ProvesAfresh()
		token, note := house.Picture(alice.Get("/account/authenticators/verify").Is(200))
		h.Secret("the token of a picture", token)
		h.Secret("the note of a picture", note)
		second := h.NewDevice("203.0.113.8")
		second.Scans(token).Is(200)
		h.NewDevice("203.0.113.9").Scans(token).Says("pairing-taken")
		alice.Post("/account/authenticators/verify", "attempt", note, "code", h.Secret("a wrong code", "918273"))
		h.Secret("a telephone number", other)
		alice.Post("/account/authenticators/phone/add", "number", other, "by", "sms").Is(200)
		h.Texted(other, 0)
		alice.Post("/account/authenticators/phone/add", "number", h.Secret("a number we do not serve", "+4915112345678"), "by", "sms")
		rings(alice)
		q := phone.TheQuestion()
		bad := phone.Given(q, "approve", "10")
		bad["signature"] = h.Secret("a signature that is none", "c2lnbmF0dXJlLXRoYXQtaXMtbm9uZQ")
		phone.Sends(bad)
		phone.Push.Endpoint = h.Secret("another push address", service.URL+"/push/second-of-ana")
		phone.Subscribes().Is(204)
		asksText(alice, number, "sms").Asks("phone")
		typesText(alice, h.Secret("a wrong code", "817263"))
		h.Eventually("a push that failed and a text message", func() bool { return service.got.Load() > 0 && len(h.Phones.To(mobile)) > 0 })
		for _, leak := range h.Leaks() {
			t.Error(leak)
		}
	})
}
