package stories

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse/outbox"
	"gatehouse/store"
	"gatehouse/store/storetest"
	"gatehouse/test/house"
)

// Every call of the store that a sign-in, a fresh proof, a reset and an enrolment
// make is broken once before it, before its commit and after it: by an outage that
// passes, and by the end of the process. Whoever then does the step again gets on,
// what was answered stands, and at the end everything fits together.

// step is one request; leads tells whether it was answered as it should be.
type step struct {
	name  string
	do    func(p *house.Person) house.Reply
	leads func(r house.Reply) bool
}

func asks(next string) func(house.Reply) bool {
	return func(r house.Reply) bool { return r.Status == 200 && r.Next() == next }
}

func answers(status int) func(house.Reply) bool {
	return func(r house.Reply) bool { return r.Status == status }
}

var showsPassword = step{"password", func(p *house.Person) house.Reply { return p.ShowsPassword() }, asks("totp")}

func showsCode(next string) step {
	return step{"code", func(p *house.Person) house.Reply { return p.ShowsCode(p.Code()) }, asks(next)}
}

// chooses a new password.
func chooses(next string) step {
	return step{"new password", func(p *house.Person) house.Reply {
		p.Password = house.SecondPassword
		return p.API("/signin/new-password", map[string]any{"password": p.Password})
	}, asks(next)}
}

// journeys begin with somebody who is ready for them, and end inside.
var journeys = []struct {
	name  string
	dark  bool // a standby takes it
	ready func(h *house.House, name string) *house.Person
	steps []step
}{
	{"sign-in", true, func(h *house.House, name string) *house.Person {
		return h.Person(name)
	}, []step{showsPassword, showsCode("done")}},
	{"fresh proof", true, func(h *house.House, name string) *house.Person {
		p := h.Person(name)
		p.SignsIn()
		p.NextCode()
		return p
	}, []step{
		{"page", func(p *house.Person) house.Reply { return p.Get("/fresh") }, answers(200)},
		{"password", func(p *house.Person) house.Reply { return p.Post("/fresh", "password", p.Password) }, answers(303)},
		{"code", func(p *house.Person) house.Reply { return p.Post("/fresh/code", "code", p.Code()) }, answers(303)},
	}},
	{"reset", false, func(h *house.House, name string) *house.Person {
		p := h.Person(name)
		p.API("/forgot", map[string]any{"email": p.Email}).Asks("link-sent")
		p.Invitation = h.LinkNow(p.Email, outbox.Reset)
		return p
	}, []step{
		{"link", func(p *house.Person) house.Reply {
			return p.API("/link", map[string]any{"token": p.Invitation, "attempt": ""})
		}, asks("totp")},
		showsCode("new-password"), chooses("done"),
	}},
	{"enrolment", false, func(h *house.House, name string) *house.Person {
		return h.Invited(name)
	}, []step{
		{"link", func(p *house.Person) house.Reply {
			return p.API("/link", map[string]any{"token": p.Invitation, "attempt": ""})
		}, asks("new-password")},
		chooses("enrol-totp"),
		{"app", func(p *house.Person) house.Reply {
			p.Phone = p.API("/signin/resume", nil).Field("enrol.secret")
			return p.API("/signin/enrol-totp", map[string]any{"code": p.Code(), "name": "Phone"})
		}, asks("recovery-codes")},
		{"codes", func(p *house.Person) house.Reply {
			return p.API("/signin/recovery-codes", map[string]any{"confirmed": true})
		}, asks("done")},
	}},
}

// saboteur breaks the k-th point that is reached, and in a crash all after it.
type saboteur struct {
	mu      sync.Mutex
	armed   bool
	crash   bool
	k, seen int
	point   string // where it struck
}

func (s *saboteur) fault(point string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.armed {
		return nil
	}
	if s.seen++; s.seen < s.k || s.seen > s.k && !s.crash {
		return nil
	}
	if s.seen == s.k {
		s.point = point
	}
	return errors.New("broken on purpose")
}

func (s *saboteur) arm(k int, crash bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.armed, s.crash, s.k, s.seen, s.point = true, crash, k, 0, ""
}

func (s *saboteur) disarm() (struck string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.armed = false
	return s.point
}

func TestWhereverACallBreaksTheStepIsDoneAgainAndEverythingFits(t *testing.T) {
	for _, on := range []struct {
		name          string
		standby, dark bool
	}{{"sqlite", false, false}, {"postgres with a standby", true, false}, {"a standby in the dark", true, true}} {
		for _, j := range journeys {
			if on.dark && !j.dark {
				continue
			}
			for _, crash := range []bool{false, true} {
				name := fmt.Sprintf("%s, %s, %s", j.name, on.name, map[bool]string{true: "the process ends", false: "an outage passes"}[crash])
				t.Run(name, func(t *testing.T) {
					t.Parallel()
					broken := &saboteur{}
					dsn := storetest.SQLite
					if on.standby {
						dsn = storetest.Postgres
					}
					h := house.New(t, dsn(t), func(o *house.Options) {
						generous(o)
						o.Standby, o.Quiet, o.Store = on.standby, true, func(s *store.Options) { s.Fault = broken.fault }
					})
					for k := 1; ; k++ {
						h.Light()
						p := j.ready(h, fmt.Sprint("person", k))
						if on.standby {
							follow(t, h)
						}
						if on.dark {
							h.Dark()
						}
						broken.arm(k, crash)
						struck := walk(t, &h, p, j.steps, broken)
						if t.Failed() {
							t.Fatalf("broken at point %d (%s)", k, struck)
						}
						if struck == "" { // the journey has fewer points
							if k < 3*len(j.steps) {
								t.Errorf("only %d points", k)
							}
							break
						}
					}
					h.Audited()
				})
			}
		}
	}
}

// walk takes every step, and once more the one that broke.
func walk(t *testing.T, h **house.House, p *house.Person, steps []step, broken *saboteur) (struck string) {
	t.Helper()
	for _, s := range steps {
		r := s.do(p)
		if !s.leads(r) {
			if struck = broken.disarm(); struck == "" {
				t.Errorf("%s failed unbroken: %d, because of %s", s.name, r.Status, lastCause(*h))
				return ""
			}
			if r.Status != 503 {
				t.Errorf("%s, broken %s, is answered with %d, because of %s", s.name, struck, r.Status, lastCause(*h))
				return struck
			}
			*h = goesOn(*h, broken.crash)
			p.Browser = p.At(*h)
			if r = s.do(p); !s.leads(r) {
				t.Errorf("%s, done again after it broke %s, leads nowhere: %d, because of %s", s.name, struck, r.Status, lastCause(*h))
				return struck
			}
		}
	}
	if at := broken.disarm(); at != "" {
		struck = at
	}
	if broken.crash && struck != "" { // it may have struck in the last answer's shadow
		*h = goesOn(*h, true)
		p.Browser = p.At(*h)
	}
	settles(t, *h, p)
	return struck
}

// goesOn is the house when the trouble is over: the same process, or its next one.
func goesOn(h *house.House, crash bool) *house.House {
	if crash {
		h.Clock.Forward(time.Second) // a start takes its time
		h = h.Restarted(nil)
	}
	h.Recovers()
	return h
}

// settles says what must hold at the end of a journey.
func settles(t *testing.T, h *house.House, p *house.Person) {
	t.Helper()
	h.Recovers()
	if got := p.Inside(); got != 200 {
		t.Errorf("the session that was answered says %d", got)
	}
	if n := h.Count("sessions", "account = $1 AND ended_at IS NULL", string(p.Account)); n != 1 {
		t.Errorf("%d sessions are open", n)
	}
	if n := h.Count("(SELECT session FROM events WHERE account = $1 AND kind IN ('signin.succeeded', 'fresh.proved') GROUP BY session HAVING COUNT(*) > 1) AS twice", "1 = 1", string(p.Account)); n != 0 {
		t.Errorf("%d sessions are recorded twice", n)
	}
	later := p.Elsewhere("198.51.100.77")
	later.SignsIn()
}

// lastCause is the end of the log.
func lastCause(h *house.House) string {
	log := strings.TrimSpace(h.Log.String())
	return log[strings.LastIndexByte(log, '\n')+1:]
}
