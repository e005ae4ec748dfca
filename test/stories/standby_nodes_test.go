package stories

import (
	"net/http"
	"testing"
	"time"

	"gatehouse/events"
	"gatehouse/outbox"
	"gatehouse/sessions"
	"gatehouse/test/house"
)

// Two nodes that see neither the primary nor each other cannot know what the other
// one does (docs/resilience.md). These stories say what is found when they are
// back, and that it is undone and told, in whichever order they come back.

// at is the same person at another node.
func at(p *house.Person, node *house.House) *house.Person {
	there := *p
	there.Browser = p.At(node)
	return &there
}

// apart runs a story of two nodes in either order of their return.
func apart(t *testing.T, story func(t *testing.T, one, other *house.House, back func())) {
	t.Helper()
	for _, first := range []string{"the one comes back first", "the other comes back first"} {
		t.Run(first, func(t *testing.T) {
			one := withStandby(t, nil)
			other := one.Neighbour()
			story(t, one, other, func() {
				if first == "the one comes back first" {
					one.Light()
					other.Light()
				} else {
					other.Light()
					one.Light()
				}
				for range 2 { // what the second brought, the first hears of
					follow(t, one)
					follow(t, other)
				}
			})
		})
	}
}

func TestDisabledOnOneNodeAndSignedInOnAnother(t *testing.T) {
	for _, row := range []struct {
		name string
		deny func(t *testing.T, h *house.House, email string)
	}{
		{"disabled", func(t *testing.T, h *house.House, email string) {
			if _, err := h.Manage.Disable(t.Context(), email, "", events.Operator); err != nil {
				t.Fatal(err)
			}
		}},
		{"locked", func(t *testing.T, h *house.House, email string) {
			if _, err := h.Manage.Lock(t.Context(), email, "", events.Operator); err != nil {
				t.Fatal(err)
			}
		}},
	} {
		for _, dark := range []bool{true, false} {
			name := row.name + map[bool]string{true: ", both in the dark", false: ", one of them with the primary"}[dark]
			t.Run(name, func(t *testing.T) {
				apart(t, func(t *testing.T, one, other *house.House, back func()) {
					dora, eve := one.Person("dora"), one.Person("eve")
					eve.SignsIn()
					other.Dark()
					if dark {
						one.Dark()
					}
					row.deny(t, one, dora.Email)
					in := at(dora, other)
					in.SignsIn()
					if in.Inside() != http.StatusOK {
						t.Fatal("the node that cannot know of it let nobody in: the story tells nothing")
					}
					back()
					one.Within(time.Second, "out on both nodes", func() bool { return in.Inside() == 401 && in.At(one).Inside() == 401 })
					one.Clock.Forward(16 * time.Minute)
					at(dora, other).ShowsPassword().Says("wrong-credentials")
					if eve.Inside() != 200 || eve.At(other).Inside() != 200 {
						t.Error("somebody else is out")
					}
					once(t, one, "sessions", "account = $1 AND ended_at IS NOT NULL AND standby = 1", string(dora.Account))
					once(t, one, "events", "kind = 'standby.conflict' AND account = $1", string(dora.Account))
					one.Mail(dora.Email, outbox.SignInUndone)
					one.Settled()
					if n := len(one.Mailbox.All("", outbox.SignInUndone)); n != 1 {
						t.Errorf("told %d times", n)
					}
				})
			})
		}
	}
}

func TestOneCodeUsedOnTwoNodesInTheDarkLeavesOneSession(t *testing.T) {
	apart(t, func(t *testing.T, one, other *house.House, back func()) {
		alice := one.Invited("alice")
		alice.Arrives()
		mallory := at(alice.Elsewhere("203.0.113.66"), other) // has seen password and code
		mallory.House = other
		alice.ShowsPassword().Asks("totp")
		mallory.ShowsPassword().Asks("totp")
		code := alice.NextCode()
		one.Dark()
		other.Dark()
		alice.ShowsCode(code).Asks("done")
		mallory.ShowsCode(code).Asks("done") // nobody there can know
		back()
		inside := func() int {
			n := 0
			for _, b := range []*house.Browser{alice.Browser, mallory.Browser} {
				if b.At(one).Inside() == 200 && b.At(other).Inside() == 200 {
					n++
				}
			}
			return n
		}
		one.Within(time.Second, "one of the two is out", func() bool { return inside() == 1 })
		once(t, one, "sessions", "standby = 1 AND ended_at IS NULL")
		once(t, one, "totp_used", "used_by <> 'nobody' AND step = (SELECT MAX(step) FROM totp_used)")
		once(t, one, "events", "kind = 'standby.conflict'")
		one.Mail(alice.Email, outbox.SignInUndone)
		one.Settled()
		if n := len(one.Mailbox.All(alice.Email, outbox.SignInUndone)); n != 1 {
			t.Errorf("told %d times", n)
		}
		mallory.ShowsPassword().Asks("totp")
		mallory.ShowsCode(code).Says("wrong-code")
		alice.SignsIn()
	})
}

func TestWhoeverEndsASessionOnOneNodeIsOutOnTheOtherAfterTheReturn(t *testing.T) {
	apart(t, func(t *testing.T, one, other *house.House, back func()) {
		alice := one.Person("alice")
		alice.SignsIn()
		stolen := alice.Twin()
		one.Dark()
		other.Dark()
		late := at(alice.Elsewhere("198.51.100.7"), one)
		late.SignsIn() // a session that the other node has never heard of
		lateStolen := late.Twin()
		alice.At(other).Post("/signout").Is(303)
		late.At(other).Post("/signout").Is(303)
		if stolen.At(other).Inside() != 401 || lateStolen.At(other).Inside() != 401 {
			t.Error("good still where it was ended")
		}
		back()
		one.Within(time.Second, "out on both nodes", func() bool {
			return stolen.Inside() == 401 && lateStolen.Inside() == 401 && stolen.At(other).Inside() == 401 && lateStolen.At(other).Inside() == 401
		})
		if n := one.Count("sessions", "ended_at IS NULL"); n != 0 {
			t.Errorf("%d sessions are listed as open", n)
		}
		late.SignsIn()
	})
}

// One node is cut off alone; whoever signed in there comes to the other one and
// leaves. That one has never heard of the session, and must end it all the same.
func TestWhoeverSignsOutWhereNobodyKnowsTheSessionIsOut(t *testing.T) {
	apart(t, func(t *testing.T, one, other *house.House, back func()) {
		alice := one.Person("alice")
		other.Dark()
		in := at(alice, other)
		in.SignsIn()
		stolen := in.Twin()
		in.At(one).Post("/signout").Is(303)
		if got := stolen.At(one).Inside(); got != 401 {
			t.Errorf("where it was ended the ticket says %d", got)
		}
		back()
		one.Within(time.Second, "out on both nodes", func() bool { return stolen.Inside() == 401 && stolen.At(one).Inside() == 401 })
		if n := one.Count("sessions", "ended_at IS NULL"); n != 0 {
			t.Errorf("%d sessions are listed as open", n)
		}
		one.Audited()
	})
}

func TestTwoNodesInTheDarkAllowTogetherWhatOneWould(t *testing.T) {
	apart(t, func(t *testing.T, one, other *house.House, back func()) {
		alice := one.Person("alice")
		follow(t, one) // it hears that there are two
		one.Dark()
		other.Dark()
		checked := 0
		for i := range 12 {
			node := []*house.House{one, other}[i%2]
			one.Clock.Forward(time.Second)
			switch r := node.Browser("203.0.113.66").API("/signin", map[string]any{"email": alice.Email, "password": "not this one"}); r.Refused() {
			case "wrong-credentials":
				checked++
			case "too-many-tries":
			default:
				t.Fatalf("%d %s", r.Status, r.Body)
			}
		}
		if checked < 2 || checked > 5 {
			t.Errorf("%d guesses were looked at on two nodes, five are allowed", checked)
		}
		back()
		for checked < 5 {
			one.Browser("203.0.113.66").API("/signin", map[string]any{"email": alice.Email, "password": "not this one"}).Says("wrong-credentials")
			one.Clock.Forward(time.Second)
			checked++
		}
		one.Browser("203.0.113.66").API("/signin", map[string]any{"email": alice.Email, "password": alice.Password}).Says("too-many-tries")
		if n := one.Count("events", "kind = 'signin.refused'"); n != 5 {
			t.Errorf("%d refusals are recorded", n)
		}
	})
}

func TestAnAttemptBegunOnOneNodeInTheDarkGoesOnWithTheOther(t *testing.T) {
	apart(t, func(t *testing.T, one, other *house.House, back func()) {
		alice := one.Person("alice")
		one.Dark()
		other.Dark()
		alice.ShowsPassword().Asks("totp")
		code := alice.NextCode()
		there := at(alice, other)
		here := alice.Twin()
		first := there.ShowsCode(code).Asks("done")
		second := here.API("/signin/totp", map[string]any{"code": code}).Asks("done") // a second click, by another way
		if first.Field("session.id") != second.Field("session.id") {
			t.Error("two sessions of one attempt")
		}
		back()
		if there.Inside() != 200 || here.Inside() != 200 {
			t.Errorf("out after the return: %d, %d", there.Inside(), here.Inside())
		}
		once(t, one, "sessions", "1 = 1")
		if n := one.Count("conflicts", "1 = 1"); n != 0 {
			t.Errorf("%d conflicts of an attempt with itself", n)
		}
		alice.SignsIn()
	})
}

func TestAnOpenSessionLastsOnBothNodes(t *testing.T) {
	apart(t, func(t *testing.T, one, other *house.House, back func()) {
		alice := one.Person("alice")
		alice.SignsIn()
		one.Dark()
		other.Dark()
		for i := range 4 {
			one.Clock.Forward(sessions.DefaultPolicy().Idle / 2)
			alice.Browser = alice.At([]*house.House{one, other}[i%2])
			if got := alice.Inside(); got != 200 {
				t.Fatalf("check %d says %d", i, got)
			}
		}
		back()
		if alice.Inside() != 200 {
			t.Error("out after the return")
		}
	})
}
