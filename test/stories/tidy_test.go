package stories

import (
	"testing"
	"time"

	"gatehouse/test/house"
)

func TestWhatNobodyWentOnWithIsForgottenAndAnswersStay(t *testing.T) {
	house.EachOnPrimary(t, func(t *testing.T, h *house.House) {
		alice := h.Person("alice")
		alice.SignsIn()
		phone := h.NewDevice("203.0.113.7")
		alice.Connects(phone)
		digits := rings(alice)
		phone.Says(phone.TheQuestion(), "approve", digits).Is(200)
		alice.API("/signin/push", nil).Asks("done")
		h.Clock.Forward(11 * time.Minute)
		rings(alice) // nobody answers
		bob := h.Person("bob")
		for _, p := range []*house.Person{alice, bob} {
			p.ShowsPassword()
			p.ShowsCode(p.NextCode()).Asks("done")
		}
		movesOn(alice, "begin", "why", "switch", "id", alice.Get("/account/moving?why=switch").Is(200).Hidden("id")).Is(303)
		movesOn(bob, "begin", "why", "lost", "id", bob.Get("/account/moving?why=lost").Is(200).Hidden("id")).Is(303)
		left := func() [2]int { return [2]int{h.Count("approvals", "1 = 1"), h.Count("moves", "1 = 1")} }
		h.Clock.Forward(29 * 24 * time.Hour)
		h.Do(h.Tidies)
		if n := left(); n != [2]int{2, 2} {
			t.Errorf("too early: %v questions and moves", n)
		}
		h.Clock.Forward(62 * 24 * time.Hour)
		h.Do(h.Tidies)
		if n := left(); n != [2]int{1, 1} || h.Count("approvals", "state = 'approved'") != 1 || h.Count("moves", "why = 'lost'") != 1 {
			t.Errorf("%v questions and moves are left", n)
		}
	})
}
