package stories

import (
	"fmt"
	"testing"
	"time"

	"gatehouse/events"
	"gatehouse/fault"
	"gatehouse/manage"
	"gatehouse/outbox"
	"gatehouse/store"
	"gatehouse/test/house"
)

func TestEveryChangeWaitsForThePrimaryAndSaysSo(t *testing.T) {
	h := withStandby(t, nil)
	alice, ines, rita := h.Person("alice"), h.Invited("ines"), h.Person("rita")
	alice.SignsIn()
	alice.ProvesAfresh()
	note := alice.Get("/account/authenticators/add").Is(200).Hidden("attempt")
	token := h.Link(ines.Email, outbox.Invitation)
	enrolling := h.Invited("emma")
	enrolling.OpensLink(outbox.Invitation).Asks("new-password")
	choosing := &house.Person{Browser: enrolling.Twin()}
	enrolling.Phone = enrolling.API("/signin/new-password", map[string]any{"password": enrolling.Password}).Asks("enrol-totp").Field("enrol.secret")
	keeping := h.Invited("kim")
	keeping.OpensLink(outbox.Invitation).Asks("new-password")
	keeping.Phone = keeping.API("/signin/new-password", map[string]any{"password": keeping.Password}).Asks("enrol-totp").Field("enrol.secret")
	keeping.API("/signin/enrol-totp", map[string]any{"code": keeping.Code()}).Asks("recovery-codes")
	rita.API("/forgot", map[string]any{"email": rita.Email}).Asks("link-sent")
	rita.OpensLink(outbox.Reset).Asks("totp")
	rita.ShowsCode(rita.NextCode()).Asks("new-password")
	h.Settled()
	rows := func() int {
		n := 0
		for _, table := range []string{"accounts", "passwords", "totp", "recovery_sets", "links", "memberships", "outbox"} {
			n += h.Count(table, "1 = 1")
		}
		return n
	}
	before := rows()
	h.Dark()
	for what, r := range map[string]house.Reply{
		"opening an invitation":        h.Browser("203.0.113.1").API("/link", map[string]any{"token": token}),
		"choosing the first one":       choosing.API("/signin/new-password", map[string]any{"password": house.SecondPassword}),
		"keeping recovery codes":       keeping.API("/signin/recovery-codes", map[string]any{"confirmed": true}),
		"a new password by a link":     rita.API("/signin/new-password", map[string]any{"password": house.SecondPassword}),
		"a forgotten password":         h.Browser("203.0.113.1").API("/forgot", map[string]any{"email": alice.Email}),
		"a forgotten one of nobody":    h.Browser("203.0.113.1").API("/forgot", map[string]any{"email": "who@harbour-books.example"}),
		"a mail to get in":             h.Browser("203.0.113.1").API("/unlock", map[string]any{"email": alice.Email}),
		"a made-up link":               h.Browser("203.0.113.1").API("/link", map[string]any{"token": "made up"}),
		"a new password, signed in":    alice.Post("/account/password", "password", house.SecondPassword),
		"another app, signed in":       alice.Post("/account/authenticators/add", "attempt", note, "code", alice.Code(), "name", "Tablet"),
		"a new name":                   alice.Post("/account", "name", "Alice of the Quay"),
		"a new address":                alice.Post("/account/address", "email", "alice@new-quay.example"),
		"what happened to the account": alice.Get("/account/history"),
	} {
		t.Run(what, func(t *testing.T) {
			r.T = t
			r.Waits()
			if sentence := r.Field("error.sentence"); sentence != "" && (!contains(sentence, "try again") || contains(sentence, "database")) {
				t.Errorf("no sentence for a bookkeeper: %q", sentence)
			}
		})
	}
	operator := manage.Person{Email: "new@harbour-books.example", Name: "New"}
	for what, change := range map[string]func() error{
		"adding somebody": func() error { _, err := h.Manage.Add(t.Context(), operator, events.Operator); return err },
		"inviting again":  func() error { _, err := h.Manage.Reinvite(t.Context(), ines.Email, events.Operator); return err },
		"resetting an app": func() error {
			_, _, err := h.Manage.ResetSecond(t.Context(), alice.Email, "", events.Operator)
			return err
		},
		"enabling somebody":  func() error { _, err := h.Manage.Enable(t.Context(), alice.Email, "", events.Operator); return err },
		"unlocking somebody": func() error { _, err := h.Manage.Unlock(t.Context(), alice.Email, "", events.Operator); return err },
	} {
		if err := change(); fault.Of(err) != fault.Unavailable {
			t.Errorf("%s in the dark: %v", what, err)
		}
	}
	h.Light()
	if n := rows(); n != before {
		t.Errorf("%d rows before, %d after changes that all had to wait", before, n)
	}
	// And everything goes on where it was.
	ines.API("/link", map[string]any{"token": token}).Asks("new-password")
	enrolling.API("/signin/enrol-totp", map[string]any{"code": enrolling.NextCode()}).Asks("recovery-codes")
	keeping.API("/signin/recovery-codes", map[string]any{"confirmed": true}).Asks("done")
	rita.API("/signin/new-password", map[string]any{"password": house.SecondPassword}).Asks("done")
	alice.Post("/account", "name", "Alice of the Quay").Is(303)
}

func TestWhatWasDoneInTheDarkIsHandedOverExactlyOnce(t *testing.T) {
	h := withStandby(t, nil)
	var people []*house.Person
	for i := range 5 {
		p := h.Person(fmt.Sprint("person", i))
		p.SignsIn()
		people = append(people, p)
	}
	h.Settled()
	h.Dark()
	for _, p := range people {
		p.Elsewhere("198.51.100.7").SignsIn()
		p.API("/signin", map[string]any{"email": p.Email, "password": "not this one", "attempt": ""}).Says("wrong-credentials")
	}
	for _, leak := range h.Leaks() {
		t.Errorf("in the dark: %s", leak)
	}
	node := h.Restarted(nil) // the process ends before anything was handed over
	if s := node.Store.State(); s.Journal == 0 || s.Tier != store.Tier2 && s.Tier != store.TierNone {
		t.Fatalf("%+v", s)
	}
	node.Light()
	again := node.Restarted(nil)
	for range 3 {
		follow(t, again)
	}
	again.Settled()
	for _, c := range []struct {
		what, table, where string
		want               int
	}{
		{"sessions that say so", "sessions", "standby = 1", 5},
		{"sign-ins that say so", "events", "kind = 'signin.succeeded' AND standby = 1", 5},
		{"refusals that say so", "events", "kind = 'signin.refused' AND standby = 1", 5},
		{"new devices that say so", "events", "kind = 'device.new' AND standby = 1", 5},
		{"sign-ins before", "events", "kind = 'signin.succeeded' AND standby = 0", 5},
		{"notices", "outbox", "kind = 'notice.new-device'", 5},
		{"reports of the hand-over", "events", "kind = 'standby.handed-over'", 1},
		{"conflicts", "conflicts", "1 = 1", 0},
	} {
		if n := again.Count(c.table, c.where); n != c.want {
			t.Errorf("%s: %d, want %d", c.what, n, c.want)
		}
	}
	for _, p := range people {
		if n := len(h.Mailbox.All(p.Email, outbox.NewDevice)); n != 1 {
			t.Errorf("%s was told %d times", p.Email, n)
		}
	}
	if s := again.Store.State(); s.Journal != 0 || s.Parked != 0 {
		t.Errorf("%+v", s)
	}
	differences, err := again.Store.Compare(t.Context())
	if err != nil || len(differences) > 0 {
		t.Errorf("the standby differs: %q %v", differences, err)
	}
	for _, leak := range again.Leaks() {
		t.Error(leak)
	}
}

func TestANodeThatStartsInTheDarkKnowsWhoIsOut(t *testing.T) {
	h := withStandby(t, nil)
	alice, bob := h.Person("alice"), h.Person("bob")
	alice.SignsIn()
	bob.SignsIn()
	out := bob.Twin()
	bob.Post("/signout").Is(303)
	h.Dark()
	also := alice.Elsewhere("198.51.100.7")
	also.SignsIn()
	gone := also.Twin()
	also.Post("/signout").Is(303)
	node := h.Restarted(nil)
	if a, b, c := alice.At(node).Inside(), out.At(node).Inside(), gone.At(node).Inside(); a != 200 || b != 401 || c != 401 {
		t.Errorf("inside %d, signed out before the dark %d, in the dark %d", a, b, c)
	}
	here := *alice
	here.Browser = node.Browser("198.51.100.8")
	here.SignsIn()
	node.Light()
	if here.Inside() != 200 || alice.At(node).Inside() != 200 || gone.At(node).Inside() != 401 {
		t.Error("after the return it is another matter")
	}
	here.SignsIn()
}

func TestANodeThatStartsOnAnOldStandbyLetsNobodyInAndBlamesNobody(t *testing.T) {
	h := withStandby(t, nil)
	alice := h.Person("alice")
	alice.SignsIn()
	h.Dark()
	h.Clock.Forward(25 * time.Hour)
	node := h.Restarted(func(o *house.Options) { o.Unprepared = true })
	node.Browser("198.51.100.8").API("/signin", map[string]any{"email": alice.Email, "password": alice.Password}).Waits()
	fresh := alice.At(node)
	if got := fresh.Inside(); got != 503 && got != 401 { // her ticket has run out anyway
		t.Errorf("the session check says %d", got)
	}
	node.Light()
	here := *alice
	here.Browser = node.Browser("198.51.100.8")
	here.SignsIn()
}

// A primary that hangs takes the first who asks the wait, and nobody after.
func TestAPrimaryThatHangsIsWaitedForOnce(t *testing.T) {
	const wait = 400 * time.Millisecond
	h := withStandby(t, func(o *house.Options) { o.Wait = wait })
	h.Eventually("a standby that is kept", func() bool { return h.Store.State().Usable && h.Follow() == nil })
	alice := h.Person("alice")
	follow(t, h)
	h.Wire().Freeze()
	start := time.Now()
	alice.SignsIn()
	alice.SignsIn()
	took := time.Since(start)
	if tier := h.Store.State().Tier; tier != store.Tier2 {
		t.Errorf("tier %q", tier)
	}
	h.Wire().Thaw()
	if took > wait+4*time.Second {
		t.Errorf("two sign-ins took %v", took)
	}
	h.Eventually("the primary takes over", func() bool {
		h.Follow()
		s := h.Store.State()
		return s.Tier == store.TierNone && s.Journal == 0
	})
	if n := h.Count("sessions", "standby = 1"); n != 2 {
		t.Errorf("%d sessions of the dark", n)
	}
}
