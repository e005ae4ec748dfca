package stories

import (
	"strings"
	"testing"
	"time"

	"gatehouse/authenticators"
	"gatehouse/outbox"
	"gatehouse/proof"
	"gatehouse/test/house"
	"gatehouse/texts"
)

const (
	mobile = "+351912345642"
	other  = "+351961234577"
)

func texting(o *house.Options) { o.Texts = true }

// withPhone is somebody with a number, in a house that accepts text messages.
func withPhone(h *house.House) (*house.Person, authenticators.Credential) {
	h.AcceptTexts()
	alice := h.Person("alice")
	return alice, alice.HasPhone(mobile)
}

func asksText(p *house.Person, number authenticators.Credential, by proof.Method) house.Reply {
	return p.API("/signin/ask-phone", map[string]any{"way": string(number.ID), "by": string(by)})
}

func typesText(p *house.Person, code string) house.Reply {
	return p.API("/signin/phone", map[string]any{"code": code})
}

func TestACodeByTextMessageOrCallOpensOnceAndIsReportedAsWhatItIs(t *testing.T) {
	for by, amr := range map[proof.Method]string{proof.SMS: "sms", proof.Voice: "tel"} {
		t.Run(string(by), func(t *testing.T) {
			house.EachOnPrimaryWith(t, texting, func(t *testing.T, h *house.House) {
				alice, number := withPhone(h)
				alice.ShowsPassword().Asks("totp")
				asksText(alice, number, by).Asks("phone")
				code := h.Texted(mobile, 0)
				if got := h.Phones.To(mobile)[0]; got.Way != by {
					t.Errorf("sent by %s", got.Way)
				}
				thief := alice.Elsewhere("203.0.113.9")
				thief.ShowsPassword()
				typesText(thief, code).Says("wrong-code") // it belongs to another attempt
				r := typesText(alice, code).Asks("done")
				if !strings.Contains(r.Body, `"`+amr+`"`) {
					t.Errorf("amr: %s", r.Body)
				}
				again := alice.Elsewhere("203.0.113.10")
				again.ShowsPassword()
				typesText(again, code).Says("wrong-code")
			})
		})
	}
}

func TestAMessageSaysTheCodeFirstAndIsBoundToOurPages(t *testing.T) {
	house.EachOnPrimaryWith(t, texting, func(t *testing.T, h *house.House) {
		alice, number := withPhone(h)
		alice.ShowsPassword().Asks("totp")
		asksText(alice, number, proof.SMS)
		code := h.Texted(mobile, 0)
		text := h.Phones.To(mobile)[0].Text.Reveal()
		lines := strings.Split(text, "\n")
		if !strings.HasPrefix(lines[0], code+" ") || !strings.Contains(lines[0], "Harbour Books") || !strings.Contains(text, "We never ask you for it") {
			t.Errorf("%q", text)
		}
		if want := "@sign-in.harbour-books.example #" + code; lines[len(lines)-1] != want {
			t.Errorf("the last line is %q, want %q", lines[len(lines)-1], want)
		}
		if len(text) > 160 {
			t.Errorf("%d characters: more than one message", len(text))
		}
	})
}

func TestNothingIsSentBeforeAPasswordWasRightNorForANameNobodyHas(t *testing.T) {
	house.EachOnPrimaryWith(t, texting, func(t *testing.T, h *house.House) {
		alice, number := withPhone(h)
		asksText(alice, number, proof.SMS).Says("attempt-expired")
		alice.API("/signin", map[string]any{"email": alice.Email, "password": "not this one"}).Says("wrong-credentials")
		asksText(alice, number, proof.SMS).Says("attempt-expired")
		alice.API("/signin", map[string]any{"email": "wholly@harbour-books.example", "password": "not this one"}).Says("wrong-credentials")
		asksText(alice, number, proof.SMS).Says("attempt-expired")
		bob := h.Person("bob")
		bob.ShowsPassword().Asks("totp")
		asksText(bob, number, proof.SMS).Says("attempt-expired") // somebody else's number
		if n := h.Count("outbox", "channel = 'text'"); n != 0 {
			t.Errorf("%d messages", n)
		}
	})
}

func TestTextMessagesAreOffUnlessAPolicyAcceptsThem(t *testing.T) {
	house.EachOnPrimaryWith(t, texting, func(t *testing.T, h *house.House) {
		alice := h.Person("alice")
		number := alice.HasPhone(mobile)
		r := alice.ShowsPassword().Asks("totp")
		if strings.Contains(r.Body, "phone") {
			t.Errorf("offered: %s", r.Body)
		}
		asksText(alice, number, proof.SMS).Says("attempt-expired")
		alice.ShowsCode(alice.Code()).Asks("done")
		if body := alice.Get("/account/authenticators").Is(200).Body; strings.Contains(body, "/account/authenticators/phone") {
			t.Error("the page offers to add a number")
		}
		alice.Post("/account/authenticators/phone/add", "number", other, "by", "sms").Is(403)
	})
}

func TestTextMessagesAreOffWhereNobodySendsThem(t *testing.T) {
	house.EachOnPrimary(t, func(t *testing.T, h *house.House) {
		h.AcceptTexts()
		alice := h.Person("alice")
		alice.HasPhone(mobile)
		if r := alice.ShowsPassword().Asks("totp"); strings.Contains(r.Body, "phone") {
			t.Errorf("offered: %s", r.Body)
		}
		alice.ShowsCode(alice.Code()).Asks("done")
		alice.Get("/account/authenticators/phone").Is(404)
	})
}

func TestTheLifeOfACodeBeginsWhenAProviderTookIt(t *testing.T) {
	house.EachOnPrimaryWith(t, texting, func(t *testing.T, h *house.House) {
		alice, number := withPhone(h)
		h.Phones.Answers(func(texts.Message) outbox.Class { return outbox.Unreachable })
		alice.ShowsPassword().Asks("totp")
		asksText(alice, number, proof.SMS).Asks("phone")
		h.Eventually("a first try that failed", func() bool { return h.Count("outbox", "channel = 'text' AND due_at > made_at") == 1 })
		h.Phones.Answers(nil)
		h.Clock.Forward(6 * time.Minute) // the provider was away for so long
		code := h.Texted(mobile, 0)
		h.Eventually("a hand-over that is written down", func() bool { return h.Count("phone_codes", "handed_at IS NOT NULL") == 1 })
		h.Clock.Forward(5*time.Minute - time.Second)
		late := alice.Twin()
		typesText(alice, code).Asks("done")
		h.Clock.Forward(time.Minute)
		late.API("/signin/phone", map[string]any{"code": code}).Says("attempt-expired")
	})
}

func TestACodeRunsOutAndANewOneEndsTheOlder(t *testing.T) {
	house.EachOnPrimaryWith(t, texting, func(t *testing.T, h *house.House) {
		alice, number := withPhone(h)
		alice.ShowsPassword().Asks("totp")
		asksText(alice, number, proof.SMS).Asks("phone")
		first := h.Texted(mobile, 0)
		asksText(alice, number, proof.SMS).Asks("phone") // a second click
		h.Clock.Forward(31 * time.Second)
		asksText(alice, number, proof.SMS).Asks("phone")
		second := h.Texted(mobile, 1)
		h.Settled()
		if n := len(h.Phones.To(mobile)); n != 2 {
			t.Errorf("%d messages for two questions and a second click", n)
		}
		if first == second {
			return // one in a million
		}
		if r := typesText(alice, first).Says("wrong-code"); !strings.Contains(r.Field("hint"), "newest") {
			t.Errorf("hint %q", r.Field("hint"))
		}
		h.Eventually("a hand-over that is written down", func() bool { return h.Count("phone_codes", "handed_at IS NOT NULL") == 2 })
		h.Clock.Forward(5 * time.Minute)
		if r := typesText(alice, second).Says("wrong-code"); !strings.Contains(r.Field("hint"), "run out") {
			t.Errorf("hint %q", r.Field("hint"))
		}
	})
}

func TestGuessesAtACodeSpendTheBudgetOfAllSecondAuthenticators(t *testing.T) {
	house.EachOnPrimaryWith(t, texting, func(t *testing.T, h *house.House) {
		alice, number := withPhone(h)
		alice.ShowsPassword().Asks("totp")
		asksText(alice, number, proof.SMS).Asks("phone")
		code := h.Texted(mobile, 0)
		for range 3 {
			typesText(alice, wrongBy(code, 1)).Says("wrong-code")
		}
		alice.ShowsCode(wrongBy(alice.Code(), 7)).Says("wrong-code")
		typesText(alice, wrongBy(code, 2)).Says("wrong-code")
		typesText(alice, code).Says("too-many-tries")
		alice.ShowsCode(alice.Code()).Says("too-many-tries")
	})
}

// wrongBy is another code than the right one.
func wrongBy(code string, n byte) string { return string('0'+(code[0]-'0'+n)%10) + code[1:] }

func TestASecondClickOnACodeGivesTheSameSession(t *testing.T) {
	house.EachOnPrimaryWith(t, texting, func(t *testing.T, h *house.House) {
		alice, number := withPhone(h)
		alice.ShowsPassword().Asks("totp")
		asksText(alice, number, proof.SMS).Asks("phone")
		code := h.Texted(mobile, 0)
		tab := alice.Twin()
		one := typesText(alice, code).Asks("done")
		two := tab.API("/signin/phone", map[string]any{"code": code}).Asks("done")
		if one.Field("session.id") != two.Field("session.id") {
			t.Errorf("%q and %q", one.Field("session.id"), two.Field("session.id"))
		}
	})
}

func TestPumpingRunsIntoEveryBudget(t *testing.T) {
	for name, c := range map[string]struct {
		budgets func(*texts.Budgets)
		scope   string
	}{
		"of the person":  {nil, "text-person"},
		"of a number":    {func(b *texts.Budgets) { b.Person.Max, b.PersonDay.Max = 100, 100 }, "text-number"},
		"of the network": {func(b *texts.Budgets) { unbound(b); b.Network.Max = 3 }, "text-network"},
		"of a country":   {func(b *texts.Budgets) { unbound(b); b.Country.Max = 3 }, "text-country"},
		"of the day":     {func(b *texts.Budgets) { unbound(b); b.Day.Max = 3 }, "text-day"},
	} {
		t.Run(name, func(t *testing.T) {
			house.EachOnPrimaryWith(t, func(o *house.Options) { o.Texts, o.TextBudgets = true, c.budgets }, func(t *testing.T, h *house.House) {
				alice, number := withPhone(h)
				for range 3 {
					alice.ShowsPassword().Asks("totp")
					asksText(alice, number, proof.SMS).Asks("phone")
					h.Clock.Forward(40 * time.Second)
				}
				h.Settled()
				for range 2 {
					alice.ShowsPassword().Asks("totp")
					r := asksText(alice, number, proof.SMS).Says("too-many-tries")
					if r.Header.Get("Retry-After") == "" {
						t.Error("nobody says when to come back")
					}
				}
				h.Settled()
				if n := len(h.Phones.To(mobile)); n != 3 {
					t.Errorf("%d messages", n)
				}
				if n := h.Count("events", "kind = 'phone.limited'"); n != 1 {
					t.Errorf("%d events for one window", n)
				}
				alice.ShowsCode(alice.NextCode()).Asks("done") // the other ways are open
			})
		})
	}
}

func unbound(b *texts.Budgets) {
	b.Person.Max, b.PersonDay.Max, b.Number.Max, b.NumberDay.Max = 100, 100, 100, 100
}

func TestOnTheStandbyATextMessageIsNotOfferedAndMidWayIsNoDeadEnd(t *testing.T) {
	house.EachWith(t, texting, func(t *testing.T, h *house.House) {
		alice, number := withPhone(h)
		alice.ShowsPassword().Asks("totp")
		asksText(alice, number, proof.SMS).Asks("phone")
		code := h.Texted(mobile, 0)
		h.Settled()
		alice.Post("/signin", "email", alice.Email, "password", alice.Password).Is(303)
		h.Dark()
		if !h.IsDark() {
			typesText(alice, code).Asks("done")
			return
		}
		typesText(alice, code).Waits() // no verdict about a code that this store does not know
		asksText(alice, number, proof.SMS).Waits()
		page := alice.Post("/signin/phone", "do", "send", "id", string(number.ID), "by", "sms").Waits()
		if !strings.Contains(page.Body, `href="/signin/code"`) || !strings.Contains(page.Body, "Please use another way") {
			t.Errorf("a dead end: %s", page.Body)
		}
		alice.ShowsCode(alice.NextCode()).Asks("done")
		again := alice.Elsewhere("203.0.113.9")
		if r := again.ShowsPassword().Asks("totp"); strings.Contains(r.Body, `"phone"`) {
			t.Errorf("offered in the dark: %s", r.Body)
		}
		again.ShowsCode(again.NextCode()).Asks("done")
	})
}

func TestWhoHasOnlyANumberIsAskedForARecoveryCodeInTheDarkNotToEnrol(t *testing.T) {
	house.EachWith(t, texting, func(t *testing.T, h *house.House) {
		h.AcceptTexts()
		alice := h.Invited("alice")
		alice.Arrives()
		alice.HasPhone(mobile)
		alice.Get("/account/authenticators").Is(200)
		app := h.Cell("SELECT id FROM totp WHERE account = '" + string(alice.Account) + "'")
		alice.Post("/account/authenticators", "do", "remove", "id", app).Is(303)
		h.Dark()
		want := "phone"
		if h.IsDark() {
			want = "recovery-code"
		}
		later := alice.Elsewhere("203.0.113.9")
		later.ShowsPassword().Asks(want)
		later.API("/signin/recovery-code", map[string]any{"code": alice.Codes[0]}).Asks("done")
	})
}

func TestTheFreshProofTakesACodeByTextMessage(t *testing.T) {
	house.EachOnPrimaryWith(t, texting, func(t *testing.T, h *house.House) {
		alice, number := withPhone(h)
		alice.ShowsPassword()
		alice.ShowsCode(alice.NextCode()).Asks("done")
		h.Clock.Forward(10 * time.Minute)
		alice.Get("/fresh?return=/account/password").Is(200)
		alice.Post("/fresh", "password", alice.Password).Is(303)
		alice.Get("/fresh/phone").Is(200)
		if to := alice.Post("/fresh/phone", "do", "send", "id", string(number.ID), "by", "sms").Is(303).Header.Get("Location"); to != "/fresh/phone" {
			t.Fatalf("led to %s", to)
		}
		page := alice.Get("/fresh/phone").Is(200)
		if !strings.Contains(page.Body, "351 ••• ••42") || strings.Contains(page.Body, "912345642") {
			t.Errorf("the number is not masked: %s", page.Body)
		}
		if !strings.Contains(page.Body, `autocomplete="one-time-code"`) {
			t.Error("the box is not for a one-time code")
		}
		to := alice.Post("/fresh/phone", "code", h.Texted(mobile, 0)).Is(303).Header.Get("Location")
		if to != "/account/password" {
			t.Errorf("led to %s", to)
		}
	})
}

// addsNumber goes through the pages that add a number; it returns the answer to the code.
func addsNumber(p *house.Person, e164, replaces string, seen int) house.Reply {
	p.House.T.Helper()
	p.House.Secret("a telephone number", e164)
	page := p.Post("/account/authenticators/phone/add", "number", e164, "by", "sms", "replaces", replaces).Is(200)
	return p.Post("/account/authenticators/phone/verify", "attempt", page.Hidden("attempt"), "code", p.House.Texted(e164, seen))
}

func TestANewNumberWaitsForADayWhileTheOldOneWorksAndEverybodyIsTold(t *testing.T) {
	house.EachOnPrimaryWith(t, texting, func(t *testing.T, h *house.House) {
		alice, old := withPhone(h)
		alice.ShowsPassword()
		alice.ShowsCode(alice.NextCode()).Asks("done")
		addsNumber(alice, other, string(old.ID), 0).Is(303)
		h.Mail(alice.Email, outbox.PhoneChange)
		h.Eventually("a text message to the old number", func() bool { return len(h.Phones.To(mobile)) == 1 })
		note := h.Phones.To(mobile)[0].Text.Reveal()
		if !strings.Contains(note, "Not you?") || !strings.Contains(note, house.Origin+"/account/authenticators/phone") || strings.Contains(note, "961234577") {
			t.Errorf("%q", note)
		}
		if page := alice.Get("/account/authenticators/phone").Is(200).Body; !strings.Contains(page, "On hold") || !strings.Contains(page, "351 ••• ••77") {
			t.Error("the page does not say so")
		}
		if page := alice.Get("/account/authenticators").Is(200).Body; !strings.Contains(page, ">On hold<") || strings.Contains(page, "Switched off") {
			t.Error("the list of all authenticators has other words for it")
		}
		later := alice.Elsewhere("203.0.113.9")
		r := later.ShowsPassword()
		if strings.Contains(r.Body, "••77") || !strings.Contains(r.Body, "••42") {
			t.Errorf("ways during the hold: %s", r.Body)
		}
		h.Clock.Forward(24*time.Hour - time.Minute)
		if r := later.ShowsPassword(); strings.Contains(r.Body, "••77") {
			t.Errorf("a minute early: %s", r.Body)
		}
		h.Clock.Forward(time.Minute)
		r = later.ShowsPassword()
		if !strings.Contains(r.Body, "••77") || strings.Contains(r.Body, "••42") {
			t.Errorf("ways after the hold: %s", r.Body)
		}
		if err := h.Manage.SweepPhones(t.Context()); err != nil {
			t.Fatal(err)
		}
		if n := h.Count("credentials", "kind = 'phone'"); n != 1 {
			t.Errorf("%d numbers are left", n)
		}
	})
}

func TestAHeldNumberIsStoppedAndTheOldOneGoesOn(t *testing.T) {
	house.EachOnPrimaryWith(t, texting, func(t *testing.T, h *house.House) {
		alice, old := withPhone(h)
		alice.ShowsPassword()
		alice.ShowsCode(alice.NextCode()).Asks("done")
		addsNumber(alice, other, string(old.ID), 0).Is(303)
		held := h.Cell("SELECT id FROM credentials WHERE kind = 'phone' AND usable_at > 0")
		alice.Post("/account/authenticators/phone", "do", "remove", "id", held).Is(303)
		h.Clock.Forward(25 * time.Hour)
		later := alice.Elsewhere("203.0.113.9")
		if r := later.ShowsPassword(); strings.Contains(r.Body, "••77") || !strings.Contains(r.Body, "••42") {
			t.Errorf("ways: %s", r.Body)
		}
	})
}

func TestRemovingTheOldNumberFirstDoesNotShortenTheHold(t *testing.T) {
	house.EachOnPrimaryWith(t, texting, func(t *testing.T, h *house.House) {
		alice, old := withPhone(h)
		alice.ShowsPassword()
		alice.ShowsCode(alice.NextCode()).Asks("done")
		alice.Post("/account/authenticators/phone", "do", "remove", "id", string(old.ID)).Is(303)
		addsNumber(alice, other, "", 0).Is(303)
		if r := alice.Elsewhere("203.0.113.9").ShowsPassword().Asks("totp"); strings.Contains(r.Body, "••77") {
			t.Errorf("ways: %s", r.Body)
		}
	})
}

func TestANumberIsAddedOnlyWithAFreshProofAndTheCodeSentToIt(t *testing.T) {
	house.EachOnPrimaryWith(t, texting, func(t *testing.T, h *house.House) {
		h.AcceptTexts()
		alice := h.Person("alice")
		alice.SignsIn()
		page := alice.Post("/account/authenticators/phone/add", "number", "912 345 642", "by", "sms").Is(200)
		code := h.Texted(mobile, 0)
		alice.Post("/account/authenticators/phone/verify", "attempt", page.Hidden("attempt"), "code", wrongBy(code, 1)).Is(401)
		if n := h.Count("credentials", "kind = 'phone'"); n != 0 {
			t.Errorf("%d numbers", n)
		}
		thief := h.Person("mallory")
		thief.SignsIn()
		thief.Post("/account/authenticators/phone/verify", "attempt", page.Hidden("attempt"), "code", code).Is(303) // somebody else's note: begin again
		h.Clock.Forward(2 * time.Minute)
		alice.Post("/account/authenticators/phone/verify", "attempt", page.Hidden("attempt"), "code", code).Is(303)
		if n := h.Count("credentials", "kind = 'phone' AND usable_at > 0"); n != 1 {
			t.Errorf("%d numbers", n)
		}
		h.Clock.Forward(10 * time.Minute)
		if to := alice.Post("/account/authenticators/phone/add", "number", other, "by", "sms").Is(303).Header.Get("Location"); !strings.HasPrefix(to, "/fresh") {
			t.Errorf("an old proof led to %s", to)
		}
	})
}

func TestNumbersThatWeDoNotServeAreRefusedInWords(t *testing.T) {
	house.EachOnPrimaryWith(t, texting, func(t *testing.T, h *house.House) {
		h.AcceptTexts()
		alice := h.Person("alice")
		alice.SignsIn()
		for number, words := range map[string]string{
			"+44 20 7946 0018": "numbers of this country", "hello": "not a telephone number", "+351 707 123 456": "costs whoever calls it",
			"+351 21 123 4567": "cannot receive text messages",
		} {
			page := alice.Post("/account/authenticators/phone/add", "number", number, "by", "sms").Is(400)
			if !strings.Contains(page.Body, words) {
				t.Errorf("%s: not %q in the page", number, words)
			}
		}
		if n := h.Count("outbox", "channel = 'text'"); n != 0 {
			t.Errorf("%d messages", n)
		}
	})
}
