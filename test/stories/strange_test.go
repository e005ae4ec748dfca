package stories

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"golang.org/x/time/rate"

	"gatehouse/limits"
	"gatehouse/test/house"
)

func TestStrangeTextsAreRefusedLikeAnyOther(t *testing.T) {
	house.Each(t, func(t *testing.T, h *house.House) {
		alice := h.Person("alice")
		h.Dark()
		b := h.Browser("203.0.113.9")
		for name, email := range map[string]string{
			"a zero byte":                        "ana\x00@harbour-books.example",
			"cut within a character":             strings.Repeat("é", 400),
			"a zero byte behind a good address":  alice.Email + "\x00",
			"more than any address, and unusual": strings.Repeat("\U0001f6a2", 10_000),
		} {
			h.SQL(`DELETE FROM tries`)
			if r := b.API("/signin", map[string]any{"email": email, "password": "something else"}); r.Status != http.StatusUnauthorized {
				t.Errorf("%s: %d %s", name, r.Status, r.Body)
			}
			if h.IsDark() {
				continue
			}
			for _, path := range []string{"/forgot", "/unlock"} {
				if r := b.API(path, map[string]any{"email": email}); r.Status != http.StatusOK {
					t.Errorf("%s at %s: %d %s", name, path, r.Status, r.Body)
				}
			}
		}
	})
}

func TestStrangersFillTheLogWithNothingTheyMadeUp(t *testing.T) {
	const tries = 5
	with := func(o *house.Options) { o.Limits.PerNetwork.Max = tries }
	house.EachOnPrimaryWith(t, with, func(t *testing.T, h *house.House) {
		b := h.Browser("203.0.113.9")
		for i := range 4 * tries {
			r := b.API("/link", map[string]any{"token": strings.Repeat("x", i)})
			if want := map[bool]string{true: "link-spent", false: "too-many-tries"}[i < tries]; r.Refused() != want {
				t.Errorf("link %d: %d %s, want %s", i, r.Status, r.Body, want)
			}
		}
		if n := h.Count("events", "kind = 'link.refused' OR kind = 'signin.limited'"); n != tries+1 {
			t.Errorf("%d events of made-up links, want %d and one that tells of the limit", n, tries)
		}
		h.Person("alice").SignsIn()
	})
}

func TestLinksThatStrangersAskedForAreForgotten(t *testing.T) {
	house.EachOnPrimary(t, func(t *testing.T, h *house.House) {
		b := h.Browser("203.0.113.9")
		for _, name := range []string{"nobody-1", "nobody-2", "nobody-3"} {
			b.API("/forgot", map[string]any{"email": name + "@harbour-books.example"}).Is(http.StatusOK)
		}
		h.Clock.Forward(25 * time.Hour)
		b.API("/forgot", map[string]any{"email": "nobody-4@harbour-books.example"}).Is(http.StatusOK)
		if err := h.Flow.Tidy(t.Context()); err != nil {
			t.Fatal(err)
		}
		if n := h.Count("links", "1 = 1"); n != 1 {
			t.Errorf("%d links are kept, want the one that could still be opened", n)
		}
	})
}

func TestOneNetworkDoesNotShutOthersOut(t *testing.T) {
	house.Each(t, func(t *testing.T, h *house.House) {
		h.Flow.Pace = &limits.Pace{Max: 10}
		h.Flow.Global = rate.NewLimiter(20, 20)
		alice, mallory := h.Person("alice"), h.Browser("203.0.113.9")
		h.Dark()
		busy := 0
		for range 200 {
			if mallory.API("/signin/totp", map[string]any{"attempt": "x", "code": "1"}).Refused() == "busy" {
				busy++
			}
		}
		if busy != 190 {
			t.Errorf("%d of 200 steps from one network were told that we are busy, want 190", busy)
		}
		alice.ShowsPassword().Asks("totp")
	})
}
