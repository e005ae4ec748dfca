package stories

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"gatehouse/id"
	"gatehouse/manage"
	"gatehouse/outbox"
	"gatehouse/seal"
	"gatehouse/test/house"
	"gatehouse/tokens"
)

// eachToken tells a story of a token with a button and of one with a clock.
func eachToken(t *testing.T, story func(t *testing.T, h *house.House, kind tokens.Kind)) {
	for _, kind := range []tokens.Kind{tokens.HOTP, tokens.TOTP} {
		t.Run(string(kind), func(t *testing.T) {
			house.Each(t, func(t *testing.T, h *house.House) { story(t, h, kind) })
		})
	}
}

// adds makes a token an authenticator through the pages.
func adds(p *house.Person, token *house.CodeToken) house.Reply {
	p.House.T.Helper()
	return p.Post("/account/authenticators/token", "serial", token.Serial, "code", token.Press())
}

// tokenOf is the authenticator that a token has become; "" for none.
func tokenOf(t *testing.T, p *house.Person) id.Authenticator {
	t.Helper()
	o, err := p.House.Manage.Overview(t.Context(), caller(t, p))
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range o.Apps {
		if a.Token != "" {
			return a.ID
		}
	}
	for _, c := range o.Credentials {
		if c.Kind == "hotp" {
			return c.ID
		}
	}
	return ""
}

func TestACodeTokenOpensTheDoorAndStepsUp(t *testing.T) {
	eachToken(t, func(t *testing.T, h *house.House, kind tokens.Kind) {
		alice := h.Person("alice")
		token := h.Token(alice, kind, "GAL-1001")
		alice.SignsIn()
		alice.Get("/account/authenticators/token").Is(200)
		h.Clock.Forward(10 * time.Minute)
		if r := alice.Get("/account/authenticators/token").Is(303); !contains(r.Header.Get("Location"), "/fresh") {
			t.Error("added without a fresh proof")
		}
		alice.ProvesAfresh()
		adds(alice, token).Is(303)
		if list := alice.Get("/account/authenticators").Is(200); !contains(list.Body, "Code token 1001") || !contains(list.Body, "/account/authenticators/resync?id=") {
			t.Error("the list does not show it")
		}
		h.Mail(alice.Email, outbox.AuthenticatorAdded)
		h.Settled()
		h.Dark()
		there := alice.Elsewhere("203.0.113.7")
		there.Post("/signin", "email", alice.Email, "password", alice.Password).Is(303)
		if page := there.Get("/signin/code").Is(200); !contains(page.Body, "your code token shows") {
			t.Error("the page of the sign-in does not speak of the token")
		}
		there.ShowsPassword().Asks("totp")
		code := token.Press()
		there.ShowsCode(code).Asks("done")
		other := alice.Elsewhere("203.0.113.8")
		other.ShowsPassword().Asks("totp")
		other.ShowsCode(code).Says("wrong-code") // one code opens one door
		there.Get("/fresh").Is(200)
		there.Post("/fresh", "password", there.Password).Is(303)
		if page := there.Get("/fresh/code").Is(200); !contains(page.Body, "Code from your code token or your app") {
			t.Error("the page of the step up does not speak of the token")
		}
		there.Post("/fresh/code", "code", token.Press()).Is(303)
		if there.Inside() != 200 {
			t.Error("not inside after the step up")
		}
		there.SignsIn() // and the app goes on beside it
	})
}

func TestATokenThatRanAheadComesBackWithTwoCodesInARow(t *testing.T) {
	house.Each(t, func(t *testing.T, h *house.House) {
		alice := h.Person("alice")
		token := h.Token(alice, tokens.HOTP, "1002")
		alice.SignsIn()
		alice.ProvesAfresh()
		adds(alice, token).Is(303)
		h.Settled()
		h.Dark()
		for range 30 {
			token.Press() // in a pocket
		}
		there := alice.Elsewhere("203.0.113.7")
		there.ShowsPassword().Asks("totp")
		tried := token.Press()
		if r := there.ShowsCode(tried).Says("wrong-code"); !contains(r.Field("hint"), "Press its button twice more") {
			t.Errorf("no help: %s", r.Body)
		}
		there.ShowsCode(tried).Says("wrong-code")
		one, next := token.Press(), token.Press()
		there.ShowsCode(one + " " + next).Asks("done")
		again := alice.Elsewhere("203.0.113.8")
		again.ShowsPassword().Asks("totp")
		again.ShowsCode(one + next).Says("wrong-code")
		again.ShowsCode(next).Says("wrong-code")
		again.ShowsCode(token.Press()).Asks("done")

		for range 50 {
			token.Press()
		}
		one, two := token.Press(), token.Press()
		a := string(tokenOf(t, there))
		there.Get("/account/authenticators/resync?id=" + a).Is(200)
		there.Post("/account/authenticators/resync", "id", a, "first", two, "second", one).Is(401)
		there.Post("/account/authenticators/resync", "id", a, "first", one, "second", two).Is(303)
		there.Post("/account/authenticators/resync", "id", a, "first", one, "second", two).Is(401)
		again.ShowsPassword().Asks("totp")
		again.ShowsCode(token.Press()).Asks("done")
	})
}

func TestALostTokenOpensNothingAtOnce(t *testing.T) {
	for _, kind := range []tokens.Kind{tokens.HOTP, tokens.TOTP} {
		t.Run(string(kind), func(t *testing.T) {
			house.EachOnPrimary(t, func(t *testing.T, h *house.House) { lostToken(t, h, kind) })
		})
	}
}

func lostToken(t *testing.T, h *house.House, kind tokens.Kind) {
	ref := manage.TokenRef{Serial: "1003"}
	alice, bob := h.Person("alice"), h.Person("bob")
	token := h.Token(alice, kind, "1003")
	alice.SignsIn()
	alice.ProvesAfresh()
	adds(alice, token).Is(303)
	there := alice.Elsewhere("203.0.113.7")
	there.ShowsPassword().Asks("totp")
	if _, err := h.Manage.ReturnToken(t.Context(), manage.TokenRef{Serial: "9"}, "", "operator"); err == nil {
		t.Error("a token nobody has was returned")
	}

	// She still has her app: she is told, and goes on with that.
	_, link, err := h.Manage.LoseToken(t.Context(), ref, "left in a taxi", "operator")
	if err != nil || link != "" {
		t.Fatal(err, link)
	}
	if alice.Inside() != 401 {
		t.Error("her session goes on")
	}
	there.ShowsCode(token.Press()).Says("wrong-code")
	h.Mail(alice.Email, outbox.AuthenticatorRemoved)
	alice.SignsIn()
	alice.ProvesAfresh()
	adds(alice, token).Is(401)

	// Found again it is nobody's; one with a button needs a new secret.
	if _, err := h.Manage.FindToken(t.Context(), ref, "", "operator"); err != nil {
		t.Fatal(err)
	}
	_, err = h.Manage.AssignToken(t.Context(), ref, bob.Email, "", "operator")
	if kind == tokens.HOTP {
		if err == nil || !contains(err.Error(), "written down") {
			t.Fatalf("given to somebody else: %v", err)
		}
		token.Secret, token.Count = strings.Replace(token.Secret, "GEZDGNBV", "NBVGEZDG", 1), 0
		h.Secret("the secret of a token", token.Secret)
		h.Stock(token)
		_, err = h.Manage.AssignToken(t.Context(), ref, bob.Email, "", "operator")
	}
	if err != nil {
		t.Fatal(err)
	}

	// Bob has nothing but the token, and loses it: lost wins, and a link is his way on.
	bob.SignsIn()
	bob.ProvesAfresh()
	adds(bob, token).Is(303)
	o, err := h.Manage.Overview(t.Context(), caller(t, bob))
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range o.Apps {
		if a.Token == "" {
			bob.Post("/account/authenticators", "do", "remove", "id", string(a.ID)).Is(303)
		}
	}
	if _, err := h.Manage.ReturnToken(t.Context(), ref, "", "operator"); err == nil || !contains(err.Error(), "only second authenticator") {
		t.Errorf("his only way in was taken: %v", err)
	}
	if _, link, err = h.Manage.LoseToken(t.Context(), ref, "", "operator"); err != nil || link == "" {
		t.Fatal(err, "no link")
	}
	h.Secret("an enrolment link", link.Reveal()[strings.LastIndex(link.Reveal(), "/")+1:])
	if bob.Inside() != 401 {
		t.Error("his session goes on")
	}
	bob.ShowsPassword().Asks("link-sent")
	bob.Enrols(bob.OpensLink(outbox.EnrolLink))
	row, lines, err := h.Manage.TokenHistory(t.Context(), ref)
	if err != nil || row.State != tokens.Lost || row.Email != bob.Email || len(lines) < 9 || lines[0].What != tokens.Imported {
		t.Errorf("%v %+v %+v", err, row, lines)
	}
	if _, err := h.Manage.RetireToken(t.Context(), ref, "", "operator"); err != nil {
		t.Error(err)
	}
	for _, kind := range []string{"token.assigned", "token.lost", "token.found", "token.retired"} {
		if h.Count("events", "kind = $1", kind) == 0 {
			t.Errorf("no event %s", kind)
		}
	}
}

func TestATokenTakenOffTheAccountWaitsForALaterCode(t *testing.T) {
	for _, kind := range []tokens.Kind{tokens.HOTP, tokens.TOTP} {
		t.Run(string(kind), func(t *testing.T) {
			house.EachOnPrimary(t, func(t *testing.T, h *house.House) {
				alice := h.Person("alice")
				token := h.Token(alice, kind, "1004")
				alice.SignsIn()
				alice.ProvesAfresh()
				adds(alice, token).Is(303)
				used := token.Press()
				there := alice.Elsewhere("203.0.113.7")
				there.ShowsPassword().Asks("totp")
				there.ShowsCode(used).Asks("done")
				alice.ProvesAfresh()
				alice.Post("/account/authenticators", "do", "remove", "id", string(tokenOf(t, alice))).Is(303)
				there = alice.Elsewhere("203.0.113.7")
				there.ShowsPassword().Asks("totp")
				there.ShowsCode(token.Press()).Says("wrong-code")
				alice.ProvesAfresh()
				alice.Post("/account/authenticators/token", "serial", token.Serial, "code", used).Is(401)
				adds(alice, token).Is(303)
				there.SignsIn()
				h.Clock.Forward(time.Minute)
				again := alice.Elsewhere("203.0.113.9")
				again.ShowsPassword().Asks("totp")
				again.ShowsCode(token.Press()).Asks("done")
			})
		})
	}
}

func TestGuessingAtATokenSpendsTheTriesOfASignIn(t *testing.T) {
	house.EachOnPrimary(t, func(t *testing.T, h *house.House) {
		alice, mallory := h.Person("alice"), h.Person("mallory")
		token := h.Token(alice, tokens.HOTP, "1005")
		mallory.SignsIn()
		mallory.ProvesAfresh()
		theirs := mallory.Post("/account/authenticators/token", "serial", "1005", "code", token.Press()).Is(401)
		nobodys := mallory.Post("/account/authenticators/token", "serial", "no-such-token", "code", "123456").Is(401)
		if strip(theirs.Body, "1005") != strip(nobodys.Body, "no-such-token") {
			t.Error("what is in stock can be told from what is not")
		}
		alice.SignsIn()
		alice.ProvesAfresh()
		for i := range 5 {
			alice.Post("/account/authenticators/token", "serial", "1005", "code", fmt.Sprintf("%06d", i)).Is(401)
		}
		alice.Post("/account/authenticators/token", "serial", "1005", "code", token.Press()).Is(429)
		alice.ShowsPassword().Asks("totp")
		alice.ShowsCode(alice.NextCode()).Says("too-many-tries") // the same tries, on the same device
		h.Clock.Forward(16 * time.Minute)
		alice.SignsIn()
		alice.ProvesAfresh()
		adds(alice, token).Is(303)
		a := string(tokenOf(t, alice))
		for range 5 {
			alice.Post("/account/authenticators/resync", "id", a, "first", "000000", "second", "111111").Is(401)
		}
		alice.Post("/account/authenticators/resync", "id", a, "first", token.Press(), "second", token.Press()).Is(429)
		mallory.Post("/account/authenticators/resync", "id", a, "first", "000000", "second", "111111").Is(404)
	})
}

// strip takes out of a page what is another at every request.
func strip(body, typed string) string {
	body = strings.ReplaceAll(body, typed, "")
	for {
		_, rest, ok := strings.Cut(body, "nonce=\"")
		if !ok {
			return body
		}
		nonce, _, _ := strings.Cut(rest, "\"")
		body = strings.ReplaceAll(strings.Replace(body, "nonce=\""+nonce+"\"", "", 1), nonce, "")
	}
}

func TestSupportBringsATokenBackIntoStep(t *testing.T) {
	house.EachOnPrimary(t, func(t *testing.T, h *house.House) {
		alice := h.Person("alice")
		token := h.Token(alice, tokens.HOTP, "1006")
		alice.SignsIn()
		alice.ProvesAfresh()
		adds(alice, token).Is(303)
		for range 100 {
			token.Press()
		}
		ref := manage.TokenRef{Serial: "10 06"}
		one, two := token.Press(), token.Press()
		if _, why, err := h.Manage.ResyncFor(t.Context(), ref, seal.Secret(two), seal.Secret(one), "operator"); err != nil || why == nil {
			t.Fatal(err, "two codes the wrong way round were taken")
		}
		if _, why, err := h.Manage.ResyncFor(t.Context(), ref, seal.Secret(one), seal.Secret(two), "operator"); err != nil || why != nil {
			t.Fatal(err, why)
		}
		if _, why, err := h.Manage.ResyncFor(t.Context(), ref, seal.Secret(one), seal.Secret(two), "operator"); err != nil || why == nil {
			t.Fatal(err, "the same two codes again")
		}
		alice.ShowsPassword().Asks("totp")
		alice.ShowsCode(token.Press()).Asks("done")
		for range 300 {
			token.Press()
		}
		if _, why, err := h.Manage.ResyncFor(t.Context(), ref, seal.Secret(token.Press()), seal.Secret(token.Press()), "operator"); err != nil || why == nil {
			t.Fatal(err, "found 300 codes away")
		}
	})
}
