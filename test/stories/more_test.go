package stories

import (
	"testing"
	"time"

	"gatehouse/authenticators"
	"gatehouse/outbox"
	"gatehouse/test/house"
)

func TestALegacyPasswordRunsOutAndAModernOneDoesNot(t *testing.T) {
	for _, c := range []struct {
		preset authenticators.Preset
		after  time.Duration
		want   string
	}{
		{authenticators.Legacy, 90*24*time.Hour - time.Hour, "done"},
		{authenticators.Legacy, 90 * 24 * time.Hour, "new-password"},
		{authenticators.Modern, 10 * 365 * 24 * time.Hour, "done"},
		{authenticators.PCI, 10 * 365 * 24 * time.Hour, "done"},
	} {
		t.Run(string(c.preset)+" after "+c.after.String(), func(t *testing.T) {
			policy, err := authenticators.PolicyOf(c.preset, 0)
			if err != nil {
				t.Fatal(err)
			}
			house.EachWith(t, func(o *house.Options) { o.Policy = policy }, func(t *testing.T, h *house.House) {
				alice := h.Person("alice")
				h.Clock.Forward(c.after)
				h.Dark()
				alice.ShowsPassword().Asks("totp")
				r := alice.ShowsCode(alice.Code()).Asks(c.want)
				if c.want == "done" {
					return
				}
				if r.Field("why") != "expired" {
					t.Errorf("why = %q", r.Field("why"))
				}
				h.OnPrimary(func() house.Reply {
					return alice.API("/signin/new-password", map[string]any{"password": alice.Password})
				})
				alice.API("/signin/new-password", map[string]any{"password": alice.Password}).Says("password-refused")
				alice.API("/signin/new-password", map[string]any{"password": "Seven-Lanterns-On-The-Quay-7"}).Asks("done")
			})
		})
	}
}

func TestASecondClickOnAFreshProofKeepsThePersonIn(t *testing.T) {
	house.Each(t, func(t *testing.T, h *house.House) {
		alice := h.Person("alice")
		h.Dark()
		alice.SignsIn()
		h.Clock.Forward(10 * time.Minute)
		alice.Get("/fresh?return=/account/password").Is(200)
		alice.Post("/fresh", "password", alice.Password).Is(303)
		code := alice.NextCode()
		tab := alice.Twin()
		if to := alice.Post("/fresh/code", "code", code).Is(303).Header.Get("Location"); to != "/account/password" {
			t.Errorf("led to %s", to)
		}
		if to := tab.Post("/fresh/code", "code", code).Is(303).Header.Get("Location"); to != "/account/password" {
			t.Errorf("the second click led to %s", to)
		}
		if alice.Inside() != 200 || tab.Inside() != 200 {
			t.Errorf("first %d, second %d", alice.Inside(), tab.Inside())
		}
		tab.Get("/account/password").Is(200)
	})
}

func TestAFreshProofOfSomebodyElseIsNoneOfThisSession(t *testing.T) {
	house.Each(t, func(t *testing.T, h *house.House) {
		alice := h.Person("alice")
		bob := h.Person("bob")
		h.Dark()
		alice.SignsIn()
		h.Clock.Forward(10 * time.Minute)
		alice.Get("/fresh").Is(200)
		// Bob types his own password into Alice's page; the page is about Alice.
		alice.Post("/fresh", "email", bob.Email, "password", bob.Password).Is(401)
		alice.Post("/fresh", "password", alice.Password).Is(303)
		alice.Post("/fresh/code", "code", house.CodeAt(bob.Phone, h.Clock.Now())).Is(401)
		if r := alice.Get("/account/password"); r.Status != 303 {
			t.Errorf("fresh without a proof: %d", r.Status)
		}
	})
}

func TestAFreshProofWhoseSessionEndedMeanwhileOpensNothing(t *testing.T) {
	house.Each(t, func(t *testing.T, h *house.House) {
		alice := h.Person("alice")
		h.Dark()
		alice.SignsIn()
		thief := alice.Steals(alice)
		thief.Get("/fresh").Is(200)
		thief.Post("/fresh", "password", alice.Password).Is(303)
		alice.Post("/account/sessions", "do", "end-others").Is(303) // the stolen copy is of an id that is over now
		code := alice.NextCode()
		thief.Post("/fresh/code", "code", code)
		if thief.Inside() != 401 || h.Count("sessions", "ended_at IS NULL") != 1 {
			t.Errorf("the thief is inside: %d", thief.Inside())
		}
	})
}

func TestANewInvitationKillsTheOld(t *testing.T) {
	house.EachOnPrimary(t, func(t *testing.T, h *house.House) {
		alice := h.Invited("alice")
		old := h.Link(alice.Email, outbox.Invitation)
		if _, err := h.Manage.Reinvite(t.Context(), alice.Email, "operator"); err != nil {
			t.Fatal(err)
		}
		alice.API("/link", map[string]any{"token": old}).Says("link-spent")
		alice.Arrives()
		alice.API("/link", map[string]any{"token": old, "attempt": ""}).Says("link-spent")
	})
}

func TestAnInvitationRunsOutAfterAWeek(t *testing.T) {
	house.EachOnPrimary(t, func(t *testing.T, h *house.House) {
		alice := h.Invited("alice")
		token := h.Link(alice.Email, outbox.Invitation)
		h.Clock.Forward(7*24*time.Hour - time.Minute)
		alice.API("/link", map[string]any{"token": token}).Asks("new-password")
		h.Clock.Forward(time.Minute)
		alice.API("/link", map[string]any{"token": token, "attempt": ""}).Says("link-spent")
		if r := alice.API("/signin/new-password", map[string]any{"password": alice.Password}); r.Status == 200 {
			t.Errorf("a link that ran out set a password: %s", r.Body)
		}
	})
}

func TestANameWhoseAddressMovedIsNobodysAndItsNextOwnerIsAnotherPerson(t *testing.T) {
	house.EachOnPrimary(t, func(t *testing.T, h *house.House) {
		alice := h.Person("alice")
		alice.SignsIn()
		reset := h.Browser("203.0.113.5")
		reset.API("/forgot", map[string]any{"email": alice.Email}).Asks("link-sent")
		token := h.Link(alice.Email, outbox.Reset) // in the old mailbox
		alice.Post("/account/address", "email", "alice@new-quay.example").Is(303)
		confirm := h.Link("alice@new-quay.example", outbox.AddressConfirm)
		alice.Get("/link/" + confirm).Is(303)
		alice.Post("/link").Is(303)
		reset.API("/link", map[string]any{"token": token}).Says("link-spent")
		alice.ShowsPassword().Says("wrong-credentials")
	})
}
