package stories

import (
	"fmt"
	"net/http"
	"testing"

	"gatehouse/limits"
	"gatehouse/outbox"
	"gatehouse/test/house"
)

func TestNobodyTakesTheHashesAndTheLogFromOthers(t *testing.T) {
	const tries = 4
	with := func(o *house.Options) { o.Limits.Change.Max = tries }
	t.Run("by proposing passwords while signed in", func(t *testing.T) {
		house.EachOnPrimaryWith(t, with, func(t *testing.T, h *house.House) {
			ben := h.Person("ben")
			ben.SignsIn()
			replies := atOnce(5*tries, func(int) house.Reply { return ben.Post("/account/password", "password", "harbour") })
			refused := count(replies, func(r house.Reply) bool { return r.Status == http.StatusUnprocessableEntity })
			limited := count(replies, func(r house.Reply) bool { return r.Status == http.StatusTooManyRequests })
			if refused != tries || limited != 4*tries {
				t.Errorf("%d looked at and %d put off, want %d and %d", refused, limited, tries, 4*tries)
			}
			if n := h.Count("events", "kind = 'password.refused' OR kind = 'signin.limited'"); n != tries+1 {
				t.Errorf("%d events, want %d and one that tells of the limit", n, tries)
			}
			h.Person("dana").SignsIn()
		})
	})
	t.Run("by codes for a new app while signed in", func(t *testing.T) {
		house.EachOnPrimaryWith(t, with, func(t *testing.T, h *house.House) {
			ben := h.Person("ben")
			ben.SignsIn()
			note := ben.Get("/account/authenticators/add").Is(http.StatusOK).Hidden("attempt")
			for i := range 2 * tries {
				want := map[bool]int{true: http.StatusUnauthorized, false: http.StatusTooManyRequests}[i < tries]
				if r := ben.Post("/account/authenticators/add", "attempt", note, "code", "000000"); r.Status != want {
					t.Errorf("code %d: %d, want %d", i, r.Status, want)
				}
			}
		})
	})
	t.Run("by a mailed link", func(t *testing.T) {
		house.EachOnPrimaryWith(t, with, func(t *testing.T, h *house.House) {
			ben := h.Invited("ben")
			ben.OpensLink(outbox.Invitation).Asks("new-password")
			for i := range 2 * tries {
				want := map[bool]string{true: "password-refused", false: "too-many-tries"}[i < tries]
				ben.API("/signin/new-password", map[string]any{"password": fmt.Sprint("harbour", i)}).Says(want)
			}
			h.SQL(`DELETE FROM tries`)
			asked := ben.API("/signin/new-password", map[string]any{"password": ben.Password}).Asks("enrol-totp")
			for i := range 2 * tries {
				want := map[bool]string{true: "wrong-code", false: "too-many-tries"}[i < tries-1] // the password was one
				ben.API("/signin/enrol-totp", map[string]any{"code": "000000"}).Says(want)
			}
			h.SQL(`DELETE FROM tries`)
			ben.Enrols(asked)
		})
	})
}

func TestAPersonIsPaced(t *testing.T) {
	house.EachOnPrimary(t, func(t *testing.T, h *house.House) {
		ben, dana := h.Person("ben"), h.Person("dana")
		ben.SignsIn()
		dana.SignsIn()
		h.Manage.Pace = &limits.Pace{Max: 5}
		for i := range 20 {
			want := map[bool]int{true: http.StatusSeeOther, false: http.StatusServiceUnavailable}[i < 5]
			if r := ben.Post("/account", "name", fmt.Sprint("Ben ", i)); r.Status != want {
				t.Errorf("change %d: %d, want %d", i, r.Status, want)
			}
		}
		dana.Post("/account", "name", "Dana").Is(http.StatusSeeOther)
	})
}

func TestAnAddressThatLooksLikeAColleaguesIsFlagged(t *testing.T) {
	house.EachOnPrimary(t, func(t *testing.T, h *house.House) {
		h.Person("olivia")
		ben := h.Person("ben")
		ben.SignsIn()
		const alike = "0livia@harbour-books.example"
		ben.Post("/account/address", "email", alike).Is(http.StatusSeeOther)
		token := h.Link(alike, outbox.AddressConfirm)
		ben.Get("/link/" + token).Is(http.StatusSeeOther)
		ben.Post("/link").Is(http.StatusSeeOther)
		if h.Count("events", "kind = 'account.name-confusable' AND account = $1", string(ben.Account)) != 1 {
			t.Error("the log does not tell of it")
		}
	})
}
