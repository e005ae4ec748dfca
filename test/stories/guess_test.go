package stories

import (
	"testing"
	"time"

	"gatehouse/test/house"
)

// A thief with the password guesses codes. What a hint says of the phone's clock
// must not tell them which guess is right a few minutes from now.
func TestAHintGivesNoCodeAway(t *testing.T) {
	house.Each(t, func(t *testing.T, h *house.House) {
		alice := h.Person("alice")
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
