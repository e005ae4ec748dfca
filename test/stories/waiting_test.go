package stories

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"gatehouse/authenticators"
	"gatehouse/test/house"
)

// small is a house that checks one password at a time and soon has a line at its door.
func small(o *house.Options) {
	o.Inside, o.HashesOnce = 8, 1
	o.Hashing = authenticators.Parameters{MemoryKiB: 16384, Time: 2, Threads: 1}
}

// waiter is somebody at the door: when they come again, and what they were told.
type waiter struct {
	*house.Person
	again time.Time
}

func (w *waiter) told(t *testing.T, r house.Reply) {
	t.Helper()
	seconds, err := strconv.Atoi(r.Header.Get("Retry-After"))
	if r.Status != http.StatusServiceUnavailable || err != nil || seconds < 1 || seconds > 30 {
		t.Fatalf("turned away with %d, Retry-After %q", r.Status, r.Header.Get("Retry-After"))
	}
	for _, secret := range []string{w.Password, w.Email, `type="password"`} {
		if strings.Contains(r.Body, secret) {
			t.Fatalf("%q is on the waiting page", secret)
		}
	}
	if !strings.Contains(r.Body, `<noscript><meta http-equiv="refresh" content="`+strconv.Itoa(seconds)+`; url=/signin"></noscript>`) {
		t.Fatalf("the waiting page does not go on by itself: %s", r.Body)
	}
	w.again = w.House.Clock.Now().Add(time.Duration(seconds) * time.Second)
}

func TestACrowdAtTheDoorGetsInOneAfterTheOther(t *testing.T) {
	house.EachWith(t, small, func(t *testing.T, h *house.House) {
		inside := h.Person("inside")
		inside.SignsIn()
		midway := h.Person("midway")
		midway.ShowsPassword().Asks("totp")
		var people []*house.Person
		for i := range 30 {
			p := h.Person(fmt.Sprint("crowd", i))
			p.Get("/signin").Is(200)
			people = append(people, p)
		}
		h.Dark()
		tries := h.Count("tries", "1 = 1")
		first := atOnce(len(people), func(i int) house.Reply {
			return people[i].Post("/signin", "email", people[i].Email, "password", people[i].Password)
		})
		var waiting []*waiter
		in := 0
		for i, r := range first {
			if r.Status == http.StatusSeeOther {
				in++
				continue
			}
			w := &waiter{Person: people[i]}
			w.told(t, r)
			waiting = append(waiting, w)
		}
		if in < 6 || len(waiting) < 10 {
			t.Fatalf("%d got in at once, %d wait: that is no crowd at a small door", in, len(waiting))
		}
		if spent := h.Count("tries", "1 = 1") - tries; spent > 2*in {
			t.Errorf("%d tries were spent by the %d who got in", spent, in)
		}
		if inside.Inside() != http.StatusOK {
			t.Error("an open session is not let through")
		}
		midway.ShowsCode(midway.Code()).Asks("done")
		letIn(t, h, waiting)
	})
}

// letIn lets time pass until everybody is in. Nobody types in vain, and no newcomer
// sees the form in a moment in which one who waits is told to wait on.
func letIn(t *testing.T, h *house.House, waiting []*waiter) {
	t.Helper()
	for round := 0; len(waiting) > 0; round++ {
		if round > 60 {
			t.Fatalf("%d still wait after %d seconds", len(waiting), round)
		}
		h.Clock.Forward(time.Second)
		newcomer := h.Browser(fmt.Sprint("203.0.113.", round)).Get("/signin").Status == http.StatusOK
		var still []*waiter
		for _, w := range waiting {
			if h.Clock.Now().Before(w.again) {
				still = append(still, w)
				continue
			}
			r := w.Get("/signin")
			if r.Status != http.StatusOK {
				if w.told(t, r); newcomer {
					t.Error("a newcomer was let in before somebody who waits")
				}
				still = append(still, w)
				continue
			}
			w.Post("/signin", "email", w.Email, "password", w.Password).Is(http.StatusSeeOther)
			w.Post("/signin/code", "code", w.Code()).Is(http.StatusSeeOther)
			if w.Inside() != http.StatusOK {
				t.Error("not inside after the code")
			}
		}
		waiting = still
	}
}

func TestAProgramThatIsTurnedAwayGetsInWithItsPlace(t *testing.T) {
	house.EachWith(t, small, func(t *testing.T, h *house.House) {
		var people []*house.Person
		for i := range 24 {
			people = append(people, h.Person(fmt.Sprint("app", i)))
		}
		h.Dark()
		fields := make([]map[string]any, len(people))
		for i, p := range people {
			fields[i] = map[string]any{"email": p.Email, "password": p.Password}
		}
		turned := 0
		for i, r := range atOnce(len(people), func(i int) house.Reply { return people[i].API("/signin", fields[i]) }) {
			if r.Next() == "totp" {
				continue
			}
			turned++
			if r.Says("busy"); r.Status != http.StatusServiceUnavailable || r.Header.Get("Retry-After") == "" || r.Field("wait.place") == "" || r.Field("wait.about") == "" {
				t.Fatalf("a program is told %d %s", r.Status, r.Body)
			}
			fields[i]["place"], fields[i]["device"] = r.Field("wait.place"), r.Field("device")
		}
		if turned == 0 {
			t.Fatal("nobody was turned away")
		}
		for i, p := range people {
			if fields[i]["place"] == nil {
				continue
			}
			p.SetCookie("wait", "") // it keeps no cookies
			p.SetCookie("device", "")
			h.Clock.Forward(3 * time.Second)
			p.API("/signin", fields[i]).Asks("totp")
		}
	})
}
