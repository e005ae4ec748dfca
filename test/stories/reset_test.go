package stories

import (
	"testing"

	"gatehouse/events"
	"gatehouse/outbox"
	"gatehouse/test/house"
)

func TestSomebodyWhoLostEverythingEnrolsAnewAfterAnOperatorTookItOff(t *testing.T) {
	house.Each(t, func(t *testing.T, h *house.House) {
		alice := h.Person("alice")
		alice.SignsIn()
		if _, _, err := h.Manage.ResetSecond(t.Context(), alice.Email, "phone lost", events.Operator); err != nil {
			t.Fatal(err)
		}
		if alice.Inside() != 401 {
			t.Errorf("the session goes on: %d", alice.Inside())
		}
		h.Mail(alice.Email, outbox.AuthenticatorRemoved)
		alice.ShowsPassword().Asks("link-sent") // a password alone enrols nothing
		alice.Enrols(alice.OpensLink(outbox.EnrolLink))
		if alice.Inside() != 200 {
			t.Errorf("alice is not in: %d", alice.Inside())
		}
		alice.SignsIn()
		if _, _, err := h.Manage.ResetSecond(t.Context(), "nobody@quay.example", "", events.Operator); err == nil {
			t.Error("an account that is not there was reset")
		}
	})
}

func TestALinkThatALostAuthenticatorLeftBehindEnrolsNothingWithoutThePassword(t *testing.T) {
	house.Each(t, func(t *testing.T, h *house.House) {
		alice := h.Person("alice")
		if _, _, err := h.Manage.ResetSecond(t.Context(), alice.Email, "", events.Operator); err != nil {
			t.Fatal(err)
		}
		mallory := alice.Elsewhere("198.51.100.66") // reads alice's mail
		token := h.Link(alice.Email, outbox.EnrolLink)
		mallory.API("/link", map[string]any{"token": token}).Asks("password")
		if r := mallory.API("/signin/enrol-totp", map[string]any{"code": "123456"}); r.Next() == "recovery-codes" {
			t.Errorf("enrolled without the password: %s", r.Body)
		}
	})
}
