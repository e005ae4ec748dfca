package stories

import (
	"testing"

	"gatehouse/outbox"
	"gatehouse/test/house"
)

func TestAnInvitedPersonComesAllTheWayIn(t *testing.T) {
	house.Each(t, func(t *testing.T, h *house.House) {
		alice := h.Invited("alice")
		alice.Arrives()
		if alice.Inside() != 200 {
			t.Error("not inside after enrolment")
		}
		if len(alice.Codes) != 10 {
			t.Errorf("%d recovery codes", len(alice.Codes))
		}
		h.Mail(alice.Email, outbox.AuthenticatorAdded)
		h.Dark()
		alice.Post("/signout").Is(303)
		if alice.Inside() != 401 {
			t.Error("inside after signing out")
		}
		alice.SignsIn()
		if alice.Inside() != 200 {
			t.Error("not inside after signing in again")
		}
	})
}
