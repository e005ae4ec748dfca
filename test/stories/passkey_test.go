package stories

import (
	"crypto/rand"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse/authenticators"
	"gatehouse/authenticators/softkey"
	"gatehouse/outbox"
	"gatehouse/store"
	"gatehouse/test/house"
)

// withPasskey is somebody who has added a passkey in their account.
func withPasskey(h *house.House, name string) (*house.Person, *softkey.Key) {
	p := h.Person(name)
	p.SignsIn()
	h.Clock.Forward(time.Minute)
	key := house.NewKey(false)
	p.AddsPasskey("passkey", key).Is(303)
	return p, key
}

// badly is what a key signs that is no signature of what was asked.
var badly = softkey.Spoil{Signature: func(sig []byte) []byte { sig[len(sig)-1] ^= 1; return sig }}

func TestAPasskeySignsInByItself(t *testing.T) {
	house.Each(t, func(t *testing.T, h *house.House) {
		ana, key := withPasskey(h, "Ana")
		h.Mail(ana.Email, outbox.AuthenticatorAdded)
		h.Dark()
		elsewhere := ana.Elsewhere("203.0.113.7")
		elsewhere.SignsInByPasskey(key)
		if got := strings.Join(elsewhere.Get("/api/v1/session").Is(200).List("amr"), " "); got != "hwk user mfa" {
			t.Errorf("amr %q", got)
		}
		h.Light()
		if !strings.Contains(elsewhere.Get("/account/history").Is(200).Body, "Signed in with a passkey") {
			t.Error("the history does not tell")
		}
	})
}

func TestAPageAsksForAPasskeyAndLeadsToWhereItWasWanted(t *testing.T) {
	house.Each(t, func(t *testing.T, h *house.House) {
		ana, key := withPasskey(h, "Ana")
		h.Dark()
		elsewhere := ana.Elsewhere("203.0.113.7")
		asked := elsewhere.Get("/signin?return=/account/history").Is(200).Asked()
		r := elsewhere.Post("/signin/passkey", "challenge", asked.Challenge, "answer", ana.Answers(key, asked), "return", "/account/history").Is(303)
		if to := r.Header.Get("Location"); to != "/account/history" || elsewhere.Inside() != 200 {
			t.Errorf("led to %q", to)
		}
	})
}

func TestOneAnswerOpensOneSession(t *testing.T) {
	house.Each(t, func(t *testing.T, h *house.House) {
		ana, key := withPasskey(h, "Ana")
		key.Counts = true
		h.Dark()
		ana.Attempt = ""
		asked := ana.AskedFor()
		answer := ana.Answers(key, asked)
		first := ana.ShowsAnswer(asked, answer).Asks("done")
		if second := ana.ShowsAnswer(asked, answer).Asks("done"); first.Field("session.id") != second.Field("session.id") {
			t.Error("a double submit opened two sessions")
		}
		thief := ana.Elsewhere("203.0.113.9")
		thief.ShowsAnswer(asked, answer).Says("attempt-expired") // the question was another browser's
		theirs := thief.AskedFor()
		thief.ShowsAnswer(theirs, answer).Says("wrong-passkey") // an answer to another question
		h.Clock.Forward(31 * time.Second)
		ana.ShowsAnswer(asked, answer).Says("attempt-expired")
		late := ana.AskedFor()
		h.Clock.Forward(10 * time.Minute)
		ana.ShowsAnswer(late, ana.Answers(key, late)).Says("attempt-expired")
	})
}

func TestTwoTabsEachWithItsOwnQuestion(t *testing.T) {
	house.Each(t, func(t *testing.T, h *house.House) {
		ana, key := withPasskey(h, "Ana")
		h.Dark()
		ana.Attempt = ""
		one, other := ana.AskedFor(), ana.AskedFor()
		ana.ShowsAnswer(other, ana.Answers(key, other)).Asks("done")
		ana.ShowsAnswer(one, ana.Answers(key, one)).Asks("done")
		mixed := ana.AskedFor()
		mixed.Challenge = one.Challenge
		ana.ShowsAnswer(mixed, ana.Answers(key, mixed)).Says("wrong-passkey")
	})
}

func TestASecurityKeyAfterThePasswordAndForAStepUp(t *testing.T) {
	house.Each(t, func(t *testing.T, h *house.House) {
		ana := h.Person("Ana")
		ana.SignsIn()
		h.Clock.Forward(time.Minute)
		key := house.NewKey(true)
		ana.AddsPasskey("key", key).Is(303)
		h.Dark()
		ana.ShowsPassword().Asks("passkey")
		ana.ShowsPasskey(key, badly).Says("wrong-passkey")
		ana.ShowsPasskey(key).Asks("done")
		if got := strings.Join(ana.Get("/api/v1/session").Is(200).List("amr"), " "); got != "pwd hwk mfa" {
			t.Errorf("amr %q", got)
		}
		alone := ana.Elsewhere("203.0.113.7")
		asked := alone.AskedFor()
		if _, err := key.Get(asked.Options, house.Origin); err == nil {
			t.Fatal("a key that is only touched has offered itself in place of a password")
		}
		h.Clock.Forward(time.Hour / 4)
		ana.Get("/fresh").Is(200)
		ana.Post("/fresh", "password", ana.Password).Is(303)
		page := ana.Get("/fresh/passkey").Is(200)
		again := ana.Post("/fresh/passkey", "attempt", page.Hidden("attempt"), "answer", ana.Answers(key, page.Asked())).Is(303)
		if to := again.Header.Get("Location"); to != "/account" {
			t.Errorf("led to %q", to)
		}
	})
}

func TestAPasskeyProvesAfreshInOneGesture(t *testing.T) {
	house.Each(t, func(t *testing.T, h *house.House) {
		ana, key := withPasskey(h, "Ana")
		h.Clock.Forward(time.Hour / 4)
		h.Dark()
		ana.Get("/account/password").Is(303)
		asked := ana.Get("/fresh?return=/account/password").Is(200).Asked()
		touched := softkey.Spoil{Auth: func(a *softkey.AuthData) { a.Flags &^= softkey.UV }}
		ana.Post("/fresh/passkey", "attempt", asked.Attempt, "answer", ana.Answers(key, asked, touched)).Is(401)
		if to := ana.Post("/fresh/passkey", "attempt", asked.Attempt, "answer", ana.Answers(key, asked)).Is(303).Header.Get("Location"); to != "/account/password" {
			t.Errorf("led to %q", to)
		}
		ana.Get("/account/password").Is(200)
	})
}

// Whoever tries passkeys learns nothing: an unknown one, one of a disabled person
// and one that signed badly are refused in the same words.
func TestEveryRefusedPasskeyIsRefusedAlike(t *testing.T) {
	house.Each(t, func(t *testing.T, h *house.House) {
		ana, key := withPasskey(h, "Ana")
		ben, bens := withPasskey(h, "Ben")
		_, err := h.Manage.Disable(t.Context(), ben.Email, "left", "operator")
		must(t, err)
		unknown := house.NewKey(false)
		_, err = unknown.Create(registration(ana), house.Origin)
		must(t, err)
		h.Dark()
		stranger := ana.Elsewhere("203.0.113.7")
		said := map[string]string{}
		for name, reply := range map[string]house.Reply{"wrong": stranger.ShowsPasskey(key, badly), "unknown": stranger.ShowsPasskey(unknown), "disabled": stranger.ShowsPasskey(bens)} {
			said[name] = reply.Says("wrong-passkey").Field("error.sentence")
		}
		if said["wrong"] != said["unknown"] || said["wrong"] != said["disabled"] || said["wrong"] == "" {
			t.Errorf("told apart: %q", said)
		}
		asked := stranger.Get("/signin").Asked()
		page := stranger.Post("/signin/passkey", "challenge", asked.Challenge, "answer", ana.Answers(unknown, asked)).Is(401)
		if forgets := page.Attribute("data-forget") != ""; forgets == h.IsDark() {
			t.Errorf("dark: %v, and the browser is told to forget: %v", h.IsDark(), forgets)
		}
	})
}

// registration is what would be asked for a passkey of somebody who has none.
func registration(p *house.Person) []byte {
	return []byte(`{"rp":{"id":"` + strings.TrimPrefix(house.Origin, "https://") + `"},"user":{"id":"` + strings.Repeat("A", 22) + `","name":"` + p.Email + `"},
		"challenge":"` + strings.Repeat("A", 43) + `","pubKeyCredParams":[{"type":"public-key","alg":-7}],"authenticatorSelection":{"residentKey":"required","userVerification":"required"}}`)
}

func TestPasskeysAndCodesShareTheirTries(t *testing.T) {
	house.Each(t, func(t *testing.T, h *house.House) {
		ana, key := withPasskey(h, "Ana")
		h.Dark()
		thief := ana.Elsewhere("203.0.113.66")
		for range 5 {
			thief.ShowsPasskey(key, badly).Says("wrong-passkey")
		}
		thief.ShowsPasskey(key).Says("too-many-tries")
		thief.ShowsPassword().Asks("passkey")
		thief.ShowsCode(ana.NextCode()).Says("too-many-tries")
		h.Clock.Forward(16 * time.Minute)
		thief.ShowsPassword().Asks("passkey")
		for range 5 {
			thief.ShowsCode("000000").Says("wrong-code")
		}
		thief.Attempt = ""
		thief.ShowsPasskey(key).Says("too-many-tries")
		ana.SignsInByPasskey(key) // at her own browser she has tries of her own
		h.Clock.Forward(16 * time.Minute)
		thief.Attempt = ""
		thief.ShowsPasskey(key).Asks("done")
	})
}

func TestAnUnknownPasskeySpendsTriesToo(t *testing.T) {
	house.Each(t, func(t *testing.T, h *house.House) {
		ana := h.Person("Ana")
		unknown := house.NewKey(false)
		if _, err := unknown.Create(registration(ana), house.Origin); err != nil {
			t.Fatal(err)
		}
		h.Dark()
		for range 5 {
			ana.ShowsPasskey(unknown).Says("wrong-passkey")
		}
		ana.ShowsPasskey(unknown).Says("too-many-tries")
		ana.SignsIn() // which is nobody's business of theirs
	})
}

func TestACopiedKeyIsSwitchedOff(t *testing.T) {
	house.Each(t, func(t *testing.T, h *house.House) {
		ana, key := withPasskey(h, "Ana")
		key.Counts = true
		h.Dark()
		ana.SignsInByPasskey(key)
		ana.SignsInByPasskey(key)
		key.Count = 0
		copied := ana.Elsewhere("203.0.113.66")
		copied.ShowsPasskey(key).Says("wrong-passkey")
		if copied.Inside() != 401 {
			t.Fatal("the copy is inside")
		}
		key.Count = 100
		copied.ShowsPasskey(key).Says("wrong-passkey")
		h.Light()
		h.Mail(ana.Email, outbox.AuthenticatorCloned)
		ana.Attempt = ""
		ana.SignsIn()
		list := ana.Get("/account/authenticators").Is(200).Body
		if !strings.Contains(list, "Switched off") {
			t.Error("the list does not tell")
		}
		if !strings.Contains(ana.Get("/account/history").Body, "Switched off, because it seems to have been copied") {
			t.Error("the history does not tell")
		}
	})
}

func TestAFirstPasskeyInPlaceOfAnApp(t *testing.T) {
	house.Each(t, func(t *testing.T, h *house.House) {
		ana := h.Invited("Ana")
		ana.API("/link", map[string]any{"token": h.Link(ana.Email, outbox.Invitation)}).Asks("new-password")
		r := ana.API("/signin/new-password", map[string]any{"password": ana.Password}).Asks("enrol-totp")
		if got := strings.Join(r.List("offers"), " "); got != "totp passkey" {
			t.Errorf("offers %q", got)
		}
		key := house.NewKey(false)
		asked := ana.AskedFor()
		answer, err := key.Create(asked.Options, house.Origin, softkey.Spoil{Client: func(c map[string]any) { c["origin"] = "https://sign-in.harb0ur-books.example" }})
		must(t, err)
		ana.API("/signin/enrol-passkey", map[string]any{"answer": string(answer)}).Says("wrong-passkey")
		answer, err = house.NewKey(false).Create(asked.Options, house.Origin)
		must(t, err)
		ana.API("/signin/enrol-passkey", map[string]any{"answer": string(answer)}).Asks("recovery-codes")
		key = house.NewKey(false)
		key.Alg = softkey.RS256 // as Windows makes them: the longest
		answer, err = key.Create(asked.Options, house.Origin)
		must(t, err)
		ana.Attempt = r.Field("attempt") // the step before: nothing of the other one is left
		codes := ana.API("/signin/enrol-passkey", map[string]any{"answer": string(answer)}).Asks("recovery-codes")
		if n := len(ana.Attempt); n > 3700 {
			t.Errorf("the attempt takes %d bytes of a cookie", n)
		}
		ana.Keeps(codes.List("recovery_codes"))
		ana.API("/signin/recovery-codes", map[string]any{"confirmed": true}).Asks("done")
		h.Dark()
		ana.Elsewhere("203.0.113.7").SignsInByPasskey(key)
	})
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestAKeyIsAddedOnceAndRemovedForGood(t *testing.T) {
	house.Each(t, func(t *testing.T, h *house.House) {
		ana, key := withPasskey(h, "Ana")
		page := ana.Get("/account/authenticators/passkey").Is(200).Asked()
		if _, err := key.Create(page.Options, house.Origin); err != softkey.ErrExcluded {
			t.Errorf("a second passkey on the same device: %v", err)
		}
		list := ana.Get("/account/authenticators").Is(200)
		if !strings.Contains(list.Body, "On this one device or key only") {
			t.Errorf("the list does not tell where it is kept: %s", list.Body)
		}
		item := idOf(list.Body, "Passkey in Chrome on Linux")
		ana.Post("/account/authenticators", "id", item, "do", "rename", "name", "Laptop").Is(303)
		ana.Post("/account/authenticators", "id", item, "do", "remove").Is(303)
		after := ana.Get("/account/authenticators").Is(200)
		if strings.Contains(after.Body, "Laptop") || !strings.Contains(after.Attribute("data-accepted"), `"allAcceptedCredentialIds":[]`) {
			t.Errorf("still there, or the browser is not told: %s", after.Attribute("data-accepted"))
		}
		h.Dark()
		ana.Attempt = ""
		ana.ShowsPasskey(key).Says("wrong-passkey")
		ana.ShowsPassword().Asks("totp")
	})
}

// idOf finds the id of a row by its name.
func idOf(page, name string) string {
	_, rest, _ := strings.Cut(page, "<h2>"+name)
	_, rest, _ = strings.Cut(rest, `name="id" value="`)
	found, _, _ := strings.Cut(rest, `"`)
	return found
}

func TestTwoRemovalsAtOnceNeverLeaveNone(t *testing.T) {
	house.EachOnPrimary(t, func(t *testing.T, h *house.House) {
		ana, key := withPasskey(h, "Ana")
		list := ana.Get("/account/authenticators").Body
		var wait sync.WaitGroup
		for _, name := range []string{"Passkey in Chrome on Linux", "Authenticator app"} {
			tab, item := ana.Twin(), idOf(list, name)
			if item == "" {
				item = idOf(list, "Phone")
			}
			wait.Go(func() { tab.Post("/account/authenticators", "id", item, "do", "remove") })
		}
		wait.Wait()
		byKey := ana.Elsewhere("203.0.113.7")
		keyOpens := byKey.ShowsPasskey(key).Next() == "done"
		byApp := ana.Elsewhere("203.0.113.8")
		appOpens := byApp.ShowsPassword().Next() == "totp" && byApp.ShowsCode(ana.NextCode()).Next() == "done"
		if keyOpens == appOpens {
			t.Errorf("passkey opens: %v, app opens: %v; one of them should", keyOpens, appOpens)
		}
	})
}

func TestTheOnlyAuthenticatorStays(t *testing.T) {
	house.EachOnPrimary(t, func(t *testing.T, h *house.House) {
		ana, key := withPasskey(h, "Ana")
		list := ana.Get("/account/authenticators").Body
		item := idOf(list, "Passkey in Chrome on Linux")
		for piece := range strings.SplitSeq(list, `name="id" value="`) {
			other, _, _ := strings.Cut(piece, `"`)
			if len(other) == len(item) && other != item {
				ana.Post("/account/authenticators", "id", other, "do", "remove")
			}
		}
		r := ana.Post("/account/authenticators", "id", item, "do", "remove").Is(409)
		if !strings.Contains(r.Body, `href="/account/authenticators/passkey"`) || !strings.Contains(r.Body, "Add another first") {
			t.Errorf("no way forward: %s", r.Body)
		}
		ana.Elsewhere("203.0.113.7").SignsInByPasskey(key)
	})
}

func TestALeakedPasswordIsReplacedAfterAPasskeyToo(t *testing.T) {
	house.EachOnPrimary(t, func(t *testing.T, h *house.House) {
		ana, key := withPasskey(h, "Ana")
		h.Do(func(tx *store.Tx) error {
			_, err := authenticators.MarkCompromised(tx, ana.Account, "compromised")
			return err
		})
		ana.Attempt = ""
		asked := ana.AskedFor()
		answer := ana.Answers(key, asked)
		ana.ShowsAnswer(asked, answer).Asks("new-password")
		ana.ShowsAnswer(asked, answer).Asks("new-password") // a double submit
		ana.API("/signin/new-password", map[string]any{"password": house.SecondPassword}).Asks("done")
	})
}

// The audit that ends every story finds what used the passkey's count up.
func TestAPasskeyThatWasUsedAndThenGivenUpIsInTheLog(t *testing.T) {
	house.EachOnPrimary(t, func(t *testing.T, h *house.House) {
		ana, key := withPasskey(h, "Ana")
		h.Do(func(tx *store.Tx) error {
			_, err := authenticators.MarkCompromised(tx, ana.Account, "compromised")
			return err
		})
		ana.Attempt = ""
		asked := ana.AskedFor()
		ana.ShowsAnswer(asked, ana.Answers(key, asked)).Asks("new-password")
		if h.Count("events", "kind = 'signin.second-accepted'") != 1 {
			t.Error("nothing says that the passkey was right")
		}
	})
}

func TestSomebodyElsesPasskeyIsNoSecondProof(t *testing.T) {
	house.Each(t, func(t *testing.T, h *house.House) {
		ana := h.Person("Ana")
		ana.SignsIn()
		h.Clock.Forward(time.Minute)
		mine := softkey.NewRoaming(rand.Reader)
		ana.AddsPasskey("key", mine).Is(303)
		_, bens := withPasskey(h, "Ben")
		h.Dark()
		ana.ShowsPassword().Asks("passkey")
		asked := ana.AskedFor()
		if _, err := bens.Get(asked.Options, house.Origin); err != softkey.ErrNoneFound {
			t.Errorf("another's passkey fits what is asked for: %v", err)
		}
		open := ana.Elsewhere("203.0.113.7").AskedFor() // names no key
		ana.ShowsAnswer(house.Asked{}, ana.Answers(bens, open)).Says("wrong-passkey")
		ana.ShowsPasskey(mine).Asks("done")
	})
}

// Every answer that is not what was asked for opens nothing, spends a try, and is
// told in words that help.
func TestWhatIsWrongWithAPasskeyIsToldAndOpensNothing(t *testing.T) {
	house.Each(t, func(t *testing.T, h *house.House) {
		ana, key := withPasskey(h, "Ana")
		h.Dark()
		client := func(name string, value any) softkey.Spoil {
			return softkey.Spoil{Client: func(c map[string]any) { c[name] = value }}
		}
		for _, c := range []struct {
			name  string
			spoil softkey.Spoil
			helps string // in the hint
		}{
			{"a page with another address", client("origin", "https://sign-in.harb0ur-books.example"), "address bar"},
			{"our page inside another", client("crossOrigin", true), "window of its own"},
			{"a key that did not verify its holder", softkey.Spoil{Auth: func(a *softkey.AuthData) { a.Flags &^= softkey.UV }}, "fingerprint, face or PIN"},
			{"another question", client("challenge", strings.Repeat("A", 43)), "open for too long"},
			{"the other ceremony", client("type", "webauthn.create"), ""},
			{"somebody else's user handle", softkey.Spoil{Answer: func(_, response map[string]any) { response["userHandle"] = strings.Repeat("A", 22) }}, "not one of this account"},
			{"a signature that is not", badly, ""},
		} {
			h.Clock.Forward(16 * time.Minute)
			stranger := ana.Elsewhere("203.0.113.7")
			r := stranger.ShowsPasskey(key, c.spoil).Says("wrong-passkey")
			if !strings.Contains(r.Field("hint"), c.helps) || r.Field("hint") == "" {
				t.Errorf("%s: the hint is %q", c.name, r.Field("hint"))
			}
			if stranger.Inside() != 401 {
				t.Errorf("%s: inside", c.name)
			}
			asked := stranger.Get("/signin").Is(200).Asked()
			page := stranger.Post("/signin/passkey", "challenge", asked.Challenge, "answer", ana.Answers(key, asked, c.spoil)).Is(401)
			if !strings.Contains(page.Body, `name="password"`) || !strings.Contains(page.Body, "data-passkey") {
				t.Errorf("%s: no way on", c.name)
			}
		}
		h.Clock.Forward(16 * time.Minute)
		ana.Elsewhere("203.0.113.7").SignsInByPasskey(key)
	})
}

func TestADisabledAndALockedPersonStayOutWithTheirPasskeys(t *testing.T) {
	house.Each(t, func(t *testing.T, h *house.House) {
		ana, key := withPasskey(h, "Ana")
		_, err := h.Manage.Lock(t.Context(), ana.Email, "asked", "operator")
		must(t, err)
		h.Dark()
		ana.Attempt = ""
		ana.ShowsPasskey(key).Says("wrong-passkey")
		h.Light()
		_, err = h.Manage.Unlock(t.Context(), ana.Email, "asked", "operator")
		must(t, err)
		ana.SignsInByPasskey(key)
	})
}

// In the dark nothing is added or removed, and nobody is told that it was.
func TestAPasskeyIsNotAddedOnAStandby(t *testing.T) {
	house.Each(t, func(t *testing.T, h *house.House) {
		ana := h.Person("Ana")
		ana.SignsIn()
		h.Dark()
		key := house.NewKey(false)
		h.OnPrimary(func() house.Reply { return ana.AddsPasskey("passkey", key) })
		key = house.NewKey(false)
		ana.AddsPasskey("passkey", key).Is(303)
		ana.Elsewhere("203.0.113.7").SignsInByPasskey(key)
	})
}
