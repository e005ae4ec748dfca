package stories

import (
	"testing"
	"time"

	"gatehouse/outbox"
	"gatehouse/test/house"
)

// A thief with the password guesses codes. What a hint says of the phone's clock
// must not tell them which guess is right a few minutes from now.
func TestAHintGivesNoCodeAway(t *testing.T) {
	house.Each(t, func(t *testing.T, h *house.House) {
		alice := h.Person("alice")
		h.Dark()
		thief := alice.Elsewhere("203.0.113.66")
		const ahead = 4 * time.Minute
		lucky := house.CodeAt(alice.Phone, h.Clock.Now().Add(ahead))
		thief.ShowsPassword().Asks("totp")
		if r := thief.ShowsCode(lucky).Says("wrong-code"); r.Field("hint") == "" {
			t.Fatalf("no hint: %s", r.Body)
		}
		h.Clock.Forward(ahead)
		thief.ShowsCode(lucky).Says("wrong-code")
		alice.ShowsPassword().Asks("totp")
		alice.ShowsCode(alice.NextCode()).Asks("done")
	})
}

// Five codes in a quarter of an hour are half a million in three years.
func TestAThiefWithThePasswordDoesNotGuessForever(t *testing.T) {
	house.Each(t, func(t *testing.T, h *house.House) {
		alice := h.Person("alice")
		h.Dark()
		alice.SignsIn()
		thief := alice.Elsewhere("203.0.113.66")
		checked := 0
		for range 30 {
			thief.ShowsPassword().Asks("totp")
			for range 5 {
				if thief.ShowsCode("000000").Refused() == "wrong-code" {
					checked++
				}
			}
			h.Clock.Forward(16 * time.Minute)
		}
		if checked != 100 {
			t.Errorf("%d codes were looked at, want 100", checked)
		}
		alice.SignsIn() // on her device
		laptop := alice.Elsewhere("198.51.100.200")
		laptop.ShowsPassword().Asks("totp")
		laptop.ShowsCode(laptop.NextCode()).Says("too-many-tries")
		h.Light()
		laptop.API("/unlock", map[string]any{"email": alice.Email, "attempt": ""}).Asks("link-sent")
		laptop.OpensLink(outbox.UnlockLink).Asks("password")
		laptop.API("/signin", map[string]any{"email": alice.Email, "password": laptop.Password}).Asks("totp")
		laptop.ShowsCode(laptop.NextCode()).Asks("done")
		h.Clock.Forward(31 * 24 * time.Hour)
		thief.ShowsPassword().Asks("totp")
		thief.ShowsCode("000000").Says("wrong-code")
	})
}
