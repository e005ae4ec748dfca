package stories

import (
	"net/http"
	"testing"
	"time"

	"gatehouse/outbox"
	"gatehouse/store/storetest"
	"gatehouse/test/house"
)

// An outage is never told as a verdict, whichever step it hits, and what it hit
// can be done again when the database is back.
func TestWhileTheDatabaseIsAwayNobodyIsToldThatTheyAreWrong(t *testing.T) {
	for _, c := range []struct {
		name string
		away func(t *testing.T) (h *house.House, cut, mend func())
	}{
		{"postgres, cut off", func(t *testing.T) (*house.House, func(), func()) {
			direct := storetest.Postgres(t)
			wire := storetest.NewWire(t, direct)
			h := house.New(t, wire.DSN, func(o *house.Options) { o.Deadline = 2 * time.Second })
			h.DSN = direct
			return h, wire.Cut, wire.Mend
		}},
		{"sqlite, with a writer that hangs", func(t *testing.T) (*house.House, func(), func()) {
			h := house.New(t, storetest.SQLite(t), func(o *house.Options) { o.Deadline = 300 * time.Millisecond })
			var release func()
			return h, func() { release = h.HoldSQLite() }, func() { release() }
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			h, cut, mend := c.away(t)
			alice, ines := h.Person("alice"), h.Invited("ines")
			invitation := h.Link(ines.Email, outbox.Invitation)
			alice.SignsIn()
			midway := alice.Elsewhere("203.0.113.8")
			midway.ShowsPassword().Asks("totp")
			code := midway.NextCode()
			h.Settled()
			cut()
			for what, r := range map[string]house.Reply{
				"the right password": h.Browser("203.0.113.1").API("/signin", map[string]any{"email": alice.Email, "password": alice.Password}),
				"a wrong password":   h.Browser("203.0.113.1").API("/signin", map[string]any{"email": alice.Email, "password": "not this one"}),
				"an unknown name":    h.Browser("203.0.113.1").API("/signin", map[string]any{"email": "who@harbour-books.example", "password": "not this one"}),
				"a code":             midway.Twin().API("/signin/totp", map[string]any{"code": code}),
				"a recovery code":    midway.Twin().API("/signin/recovery-code", map[string]any{"code": "0000-0000-0000-0000"}),
				"a link":             h.Browser("203.0.113.1").API("/link", map[string]any{"token": invitation}),
				"a forgotten one":    h.Browser("203.0.113.1").API("/forgot", map[string]any{"email": alice.Email}),
			} {
				if r.Status != http.StatusServiceUnavailable || r.Refused() != "unavailable" {
					t.Errorf("%s: %d %s", what, r.Status, r.Body)
				}
				if r.Header.Get("Retry-After") == "" {
					t.Errorf("%s: no Retry-After", what)
				}
				if r.Field("error.sentence") == "" || r.Field("error.request_id") == "" {
					t.Errorf("%s: no sentence or nothing to quote", what)
				}
			}
			page := h.Browser("203.0.113.1").Post("/signin", "email", alice.Email, "password", alice.Password)
			if page.Status != http.StatusServiceUnavailable || page.Header.Get("Retry-After") == "" {
				t.Errorf("the page: %d", page.Status)
			}
			if got := alice.Inside(); got != http.StatusOK {
				t.Errorf("the session check of an open session says %d", got)
			}
			if got := h.Browser("203.0.113.1").Inside(); got != http.StatusUnauthorized {
				t.Errorf("nobody's session check says %d", got)
			}
			mend()
			h.Within(10*time.Second, "the code that the outage hit opens", func() bool {
				r := midway.Twin().API("/signin/totp", map[string]any{"code": code})
				return r.Next() == "done"
			})
			ines.API("/link", map[string]any{"token": invitation}).Asks("new-password")
		})
	}
}

func TestANodeThatDoesNotKnowWhoIsThrownOutAnswersNoCheck(t *testing.T) {
	direct := storetest.Postgres(t)
	wire := storetest.NewWire(t, direct)
	h := house.New(t, wire.DSN, func(o *house.Options) { o.Deadline = time.Second })
	h.DSN = direct
	alice := h.Person("alice")
	alice.SignsIn()
	wire.Cut()
	fresh := alice.At(h.Restarted(func(o *house.Options) { o.Unprepared = true }))
	if got := fresh.Inside(); got != http.StatusServiceUnavailable {
		t.Errorf("a node with nothing loaded says %d", got)
	}
	wire.Mend()
	h.Eventually("the session is good on the new node", func() bool { return fresh.Inside() == http.StatusOK })
}

func TestAnAttemptBegunOnOneNodeGoesOnWithAnother(t *testing.T) {
	house.EachOnPrimary(t, func(t *testing.T, h *house.House) {
		other := h.Neighbour()
		alice := h.Invited("alice")
		alice.OpensLink(outbox.Invitation).Asks("new-password")
		there := &house.Person{Browser: alice.At(other), Email: alice.Email, Password: alice.Password}
		asked := there.API("/signin/new-password", map[string]any{"password": alice.Password}).Asks("enrol-totp")
		there.Phone = asked.Field("enrol.secret")
		here := &house.Person{Browser: there.At(h), Email: alice.Email, Password: alice.Password, Phone: there.Phone}
		here.API("/signin/enrol-totp", map[string]any{"code": here.Code()}).Asks("recovery-codes")
		there.Browser = here.At(other)
		there.API("/signin/recovery-codes", map[string]any{"confirmed": true}).Asks("done")
		if there.Inside() != 200 || there.At(h).Inside() != 200 {
			t.Error("the session is not good on both nodes")
		}
	})
}

func TestWhoIsDisabledOnOneNodeIsOutOnAnotherWithinASecond(t *testing.T) {
	h := house.New(t, storetest.Postgres(t), nil)
	other := h.Neighbour()
	alice := h.Person("alice")
	alice.SignsIn()
	there := alice.At(other)
	if there.Inside() != 200 {
		t.Fatal("not inside on the other node")
	}
	if _, err := h.Manage.Disable(t.Context(), alice.Email, "", "operator"); err != nil {
		t.Fatal(err)
	}
	if alice.Inside() != 401 {
		t.Error("still inside where she was disabled")
	}
	h.Within(time.Second, "out on the other node", func() bool { return there.Inside() == 401 })
}

func TestOneCodeOpensOneDoorOnTwoNodes(t *testing.T) {
	h := house.New(t, storetest.Postgres(t), nil)
	other := h.Neighbour()
	alice := h.Person("alice")
	var doors []*house.Person
	for i := range 6 {
		p := alice.Elsewhere("203.0.113.5")
		p.ShowsPassword().Asks("totp")
		if i%2 == 1 {
			p.Browser = p.At(other)
		}
		doors = append(doors, p)
		h.SQL(`DELETE FROM tries`)
	}
	code := alice.NextCode()
	replies := atOnce(len(doors), func(i int) house.Reply { return doors[i].ShowsCode(code) })
	if n := count(replies, func(r house.Reply) bool { return r.Next() == "done" }); n != 1 {
		t.Errorf("%d doors opened", n)
	}
}

func TestTwoNodesCountGuessesTogether(t *testing.T) {
	h := house.New(t, storetest.Postgres(t), nil)
	nodes := []*house.House{h, h.Neighbour()}
	alice := h.Person("alice")
	replies := atOnce(40, func(i int) house.Reply {
		return nodes[i%2].Browser("203.0.113.5").API("/signin", map[string]any{"email": alice.Email, "password": "not this one"})
	})
	if n := count(replies, func(r house.Reply) bool { return r.Refused() == "wrong-credentials" }); n != 5 {
		t.Errorf("%d guesses were checked", n)
	}
}

func TestANodesRevocationsSurviveARestart(t *testing.T) {
	house.Each(t, func(t *testing.T, h *house.House) {
		alice := h.Person("alice")
		h.Dark()
		alice.SignsIn()
		stolen := alice.Twin()
		alice.Post("/signout").Is(303)
		again := stolen.At(h.Restarted(func(o *house.Options) { o.Unprepared = true }))
		h.Eventually("an answer", func() bool { return again.Inside() != 503 })
		if again.Inside() != 401 {
			t.Error("a session that was ended is good after a restart")
		}
	})
}
