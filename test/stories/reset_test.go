package stories

import (
	"testing"
	"time"

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
		h.Dark()
		alice.SignsIn()
		if _, _, err := h.Manage.ResetSecond(t.Context(), "nobody@quay.example", "", events.Operator); err == nil {
			t.Error("an account that is not there was reset")
		}
	})
}

func TestALinkThatALostAuthenticatorLeftBehindEnrolsNothingWithoutThePassword(t *testing.T) {
	house.EachOnPrimary(t, func(t *testing.T, h *house.House) {
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

func TestACodeForALinkThatRanOutMeanwhileIsAskedForAgainAfterThePassword(t *testing.T) {
	house.EachOnPrimary(t, func(t *testing.T, h *house.House) {
		alice := h.Person("alice")
		alice.API("/forgot", map[string]any{"email": alice.Email}).Asks("link-sent")
		token := h.Link(alice.Email, outbox.Reset)
		h.Clock.Forward(20 * time.Minute)
		alice.API("/link", map[string]any{"token": token}).Asks("totp")
		h.Clock.Forward(15 * time.Minute) // the link is too old now, the attempt is not
		alice.ShowsCode(alice.NextCode()).Asks("password")
		if r := alice.ShowsPassword(); r.Next() != "totp" {
			t.Fatalf("a password ended an attempt: %s", r.Body)
		}
		alice.ShowsCode(alice.NextCode()).Asks("done")
		if alice.Inside() != 200 {
			t.Errorf("alice is not in: %d", alice.Inside())
		}
	})
}
