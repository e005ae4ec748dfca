package stories

import (
	"fmt"
	"testing"
	"time"

	"gatehouse/outbox"
	"gatehouse/test/house"
)

// guess tries passwords until the name is over its limit.
func guess(h *house.House, email string) *house.Browser {
	mallory := h.Browser("203.0.113.66")
	for range 6 {
		mallory.API("/signin", map[string]any{"email": email, "password": "is it this one perhaps", "attempt": ""})
	}
	return mallory
}

func TestAnAttackerLocksANameAndItsOwnerStillComesIn(t *testing.T) {
	house.Each(t, func(t *testing.T, h *house.House) {
		alice := h.Person("alice")
		h.Dark()
		alice.SignsIn()
		alice.Post("/signout").Is(303)
		mallory := guess(h, alice.Email)
		mallory.API("/signin", map[string]any{"email": alice.Email, "password": alice.Password, "attempt": ""}).Says("too-many-tries")

		alice.SignsIn() // on the device she has used before

		laptop := alice.Elsewhere("198.51.100.200")
		r := laptop.ShowsPassword().Says("too-many-tries")
		if r.Header.Get("Retry-After") == "" {
			t.Error("no Retry-After")
		}
		h.Light()
		// The attacker asks for mails too, and uses up every kind but hers to no avail.
		for range 5 {
			mallory.API("/forgot", map[string]any{"email": alice.Email}).Asks("link-sent")
		}
		laptop.API("/unlock", map[string]any{"email": alice.Email}).Asks("link-sent")
		laptop.OpensLink(outbox.UnlockLink).Asks("password")
		h.Dark()
		laptop.API("/signin", map[string]any{"email": alice.Email, "password": laptop.Password}).Asks("totp")
		laptop.ShowsCode(laptop.NextCode()).Asks("done")

		mallory.API("/signin", map[string]any{"email": alice.Email, "password": alice.Password, "attempt": ""}).Says("too-many-tries")
	})
}

func TestAnAttackerWhoKnowsThePasswordLocksNeitherTheOwnersDeviceNorTheMailedWay(t *testing.T) {
	house.Each(t, func(t *testing.T, h *house.House) {
		alice := h.Person("alice")
		h.Dark()
		alice.SignsIn()
		mallory := alice.Elsewhere("203.0.113.66")
		mallory.ShowsPassword().Asks("totp")
		for range 6 {
			mallory.ShowsCode("000000")
		}
		mallory.ShowsCode(mallory.NextCode()).Says("too-many-tries")
		alice.SignsIn()
		laptop := alice.Elsewhere("198.51.100.200")
		h.Light()
		laptop.API("/unlock", map[string]any{"email": alice.Email}).Asks("link-sent")
		laptop.OpensLink(outbox.UnlockLink).Asks("password")
		h.Dark()
		laptop.API("/signin", map[string]any{"email": alice.Email, "password": laptop.Password}).Asks("totp")
		laptop.ShowsCode(laptop.NextCode()).Asks("done")
	})
}

func TestAnUnlockLinkIsABudgetAndNotAWayIn(t *testing.T) {
	house.Each(t, func(t *testing.T, h *house.House) {
		alice := h.Person("alice")
		guess(h, alice.Email)
		alice.API("/unlock", map[string]any{"email": alice.Email}).Asks("link-sent")
		token := h.Link(alice.Email, outbox.UnlockLink)
		alice.API("/link", map[string]any{"token": token}).Asks("password")
		bob := h.Person("bob")
		h.Dark()
		checked := 0
		for range 9 {
			if r := alice.API("/signin", map[string]any{"email": alice.Email, "password": "not quite this one"}); r.Refused() == "wrong-credentials" {
				checked++
			}
		}
		if checked != 5 {
			t.Errorf("%d tries with one link", checked)
		}
		// The budget is hers, not another name's.
		guess(h, bob.Email)
		alice.API("/signin", map[string]any{"email": bob.Email, "password": bob.Password}).Says("too-many-tries")
		h.Light()
		h.Browser("203.0.113.1").API("/link", map[string]any{"token": token}).Says("link-spent")
	})
}

func TestAllSpellingsOfANameShareOneLimit(t *testing.T) {
	house.Each(t, func(t *testing.T, h *house.House) {
		h.Person("alice")
		h.Dark()
		spellings := []string{"alice@harbour-books.example", "ALICE@harbour-books.example", "  Alice@Harbour-Books.example ",
			"ａｌｉｃｅ@harbour-books.example", "alice＠harbour-books.example", "aLiCe@harbour-books.EXAMPLE"}
		for i, s := range spellings {
			r := h.Browser(fmt.Sprintf("203.0.113.%d", i)).API("/signin", map[string]any{"email": s, "password": "not this one"})
			want := "wrong-credentials"
			if i >= 5 {
				want = "too-many-tries"
			}
			if r.Refused() != want {
				t.Errorf("%q: %q, want %q", s, r.Refused(), want)
			}
		}
	})
}

func TestANetworkIsLimitedAndAnIPv6HouseholdIsOneNetwork(t *testing.T) {
	house.EachWith(t, func(o *house.Options) { o.Limits.PerNetwork.Max = 7 }, func(t *testing.T, h *house.House) {
		h.Dark()
		var checked, limited int
		for i := range 10 {
			r := h.Browser(fmt.Sprintf("2001:db8:7:7::%x", i+1)).API("/signin", map[string]any{"email": fmt.Sprintf("name%d@harbour-books.example", i), "password": "not this one"})
			switch r.Refused() {
			case "wrong-credentials":
				checked++
			case "too-many-tries":
				limited++
			}
		}
		if checked != 7 || limited != 3 {
			t.Errorf("%d checked, %d limited", checked, limited)
		}
		h.Browser("2001:db8:7:8::1").API("/signin", map[string]any{"email": "name1@harbour-books.example", "password": "not this one"}).Says("wrong-credentials")
	})
}

func TestSigningInGivesBackOnlyWhatItSpent(t *testing.T) {
	house.Each(t, func(t *testing.T, h *house.House) {
		alice := h.Person("alice")
		h.Dark()
		for range 4 {
			h.Browser("203.0.113.66").API("/signin", map[string]any{"email": alice.Email, "password": "not this one"})
			h.Clock.Forward(time.Millisecond)
		}
		for i := range 3 { // each from a device that is new, within what is left
			alice.Elsewhere(fmt.Sprintf("198.51.100.%d", 30+i)).SignsIn()
		}
		h.Browser("203.0.113.66").API("/signin", map[string]any{"email": alice.Email, "password": "not this one"}).Says("wrong-credentials")
		h.Browser("203.0.113.66").API("/signin", map[string]any{"email": alice.Email, "password": "not this one"}).Says("too-many-tries")
	})
}

func TestUnknownWrongDisabledAndLockedLookTheSame(t *testing.T) {
	house.Each(t, func(t *testing.T, h *house.House) {
		h.Person("alice")
		dora, lena := h.Person("dora"), h.Person("lena")
		h.Invited("ines")
		if _, err := h.Manage.Disable(t.Context(), dora.Email, "", "operator"); err != nil {
			t.Fatal(err)
		}
		if _, err := h.Manage.Lock(t.Context(), lena.Email, "", "operator"); err != nil {
			t.Fatal(err)
		}
		h.Dark()
		tries := []struct{ what, email, password string }{
			{"a wrong password", "alice@harbour-books.example", "not this one"},
			{"nobody's name", "who@harbour-books.example", "not this one"},
			{"no address at all", "not an address", "not this one"},
			{"somebody disabled, with the right password", dora.Email, dora.Password},
			{"somebody disabled", dora.Email, "not this one"},
			{"somebody locked, with the right password", lena.Email, lena.Password},
			{"somebody invited who has no password yet", "ines@harbour-books.example", "not this one"},
		}
		for _, way := range []string{"over the API", "on the page", "over the limit"} {
			var want string
			for i, try := range tries {
				b := h.Browser(fmt.Sprintf("203.0.113.%d", i))
				send := func() house.Reply {
					if way == "on the page" {
						return b.Post("/signin", "email", try.email, "password", try.password)
					}
					return b.API("/signin", map[string]any{"email": try.email, "password": try.password, "attempt": ""})
				}
				if way == "over the limit" {
					for range 5 {
						send()
					}
				}
				r := send()
				if r.Status != 401 && way != "over the limit" || r.Status != 429 && way == "over the limit" {
					t.Errorf("%s, %s: status %d", try.what, way, r.Status)
				}
				if got := shape(r, try.email); want == "" {
					want = got
				} else if got != want {
					t.Errorf("%s can be told apart %s:\n%s\nbut a wrong password gives\n%s", try.what, way, got, want)
				}
			}
			h.Clock.Forward(20 * time.Minute)
		}
	})
}
