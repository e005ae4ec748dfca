package stories

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"gatehouse/events"
	"gatehouse/test/house"
)

// deed is a sign-in that was acknowledged: what the people of a random story keep.
type deed struct {
	who     *house.Person
	browser *house.Browser
	session string
	code    string
	outOn   map[int]bool // nodes on which somebody ended it, or disabled the person
}

// weather is two nodes on one database, each behind its own wire, and what became of
// the people who came by.
type weather struct {
	nodes    []*house.House
	people   []*house.Person
	deeds    []*deed
	last     map[string]string       // the code a person used last
	disabled map[string]map[int]bool // e-mail → on which nodes
	used     map[string]map[int]bool // code → on which nodes it opened a door
}

// signIn shows password and code at a node; the code is the one used before when stale.
func (w *weather) signIn(rt *rapid.T, n int, p *house.Person, stale bool) {
	q := p.Elsewhere(fmt.Sprintf("203.0.113.%d", 1+len(w.deeds)%250))
	q.Browser = q.At(w.nodes[n])
	r := q.ShowsPassword()
	code := p.NextCode()
	if old := w.last[p.Email]; stale && old != "" {
		code = old
	} else {
		stale = false
	}
	if r.Next() == "totp" {
		r = q.ShowsCode(code)
	}
	key := p.Email + code
	switch {
	case r.Next() == "done":
		if w.disabled[p.Email][n] {
			rt.Fatalf("somebody disabled came in on node %d", n)
		}
		if w.used[key][n] {
			rt.Fatalf("a code opened two doors of node %d", n)
		}
		if w.used[key] == nil {
			w.used[key] = map[int]bool{}
		}
		w.used[key][n], w.last[p.Email] = true, code
		w.deeds = append(w.deeds, &deed{q, q.Browser, r.Field("session.id"), key, map[int]bool{}})
	case r.Status == 503:
	case !stale && len(w.disabled[p.Email]) == 0:
		rt.Fatalf("somebody with the right password and a new code is refused on node %d: %d %s", n, r.Status, r.Body)
	case r.Status != 401:
		rt.Fatalf("%d %s", r.Status, r.Body)
	}
}

// end signs out at a node, and looks at a session there.
func (w *weather) end(rt *rapid.T, n int, d *deed) {
	if r := d.browser.Twin().At(w.nodes[n]).Post("/signout"); r.Status == 303 {
		d.outOn[n] = true
	} else if r.Status < 500 {
		rt.Fatalf("signing out: %d", r.Status)
	}
}

func (w *weather) look(rt *rapid.T, n int, d *deed) {
	if got := d.browser.Twin().At(w.nodes[n]).Inside(); d.outOn[n] && got == 200 {
		rt.Fatalf("a session ended on node %d is good there", n)
	}
}

func (w *weather) disable(n int, p *house.Person) {
	if _, err := w.nodes[n].Manage.Disable(w.nodes[n].T.Context(), p.Email, "", events.Operator); err != nil {
		return
	}
	if w.disabled[p.Email] == nil {
		w.disabled[p.Email] = map[int]bool{}
	}
	w.disabled[p.Email][n] = true
	for _, d := range w.deeds {
		if d.who.Email == p.Email {
			d.outOn[n] = true
		}
	}
}

func (w *weather) step(rt *rapid.T) {
	n := rapid.IntRange(0, 1).Draw(rt, "node")
	h := w.nodes[n]
	p := rapid.SampledFrom(w.people).Draw(rt, "person")
	var d *deed
	if len(w.deeds) > 0 {
		d = w.deeds[rapid.IntRange(0, len(w.deeds)-1).Draw(rt, "session")]
	}
	switch what := rapid.SampledFrom([]string{"cut", "cut", "mend", "restart", "freeze", "follow", "sign in", "sign in", "sign in", "same code", "same code", "sign out", "look", "disable"}).Draw(rt, "what"); {
	case what == "cut" && !h.IsDark():
		h.Dark() // what it did itself in the last quarter of a second it may not have fed yet: docs/resilience.md
	case what == "mend":
		h.Light()
		h.Recovers()
	case what == "restart":
		h.Clock.Forward(time.Second) // a start takes its time
		w.nodes[n] = h.Restarted(nil)
	case what == "freeze" && !h.IsDark():
		func() {
			h.Follow()
			h.Wire().Freeze()
			defer h.Wire().Thaw()
			w.signIn(rt, n, p, false)
		}()
	case what == "follow":
		h.Follow()
		h.Flow.ReadRevocations(h.T.Context(), time.Time{})
	case what == "sign in" || what == "same code":
		w.signIn(rt, n, p, what == "same code")
	case what == "sign out" && d != nil:
		w.end(rt, n, d)
	case what == "look" && d != nil:
		w.look(rt, n, d)
	case what == "disable":
		w.disable(n, p)
	}
}

// mend brings both nodes back, and lets each hear what the other brought.
func (w *weather) mend() {
	for range 2 {
		for _, h := range w.nodes {
			h.Light()
			h.Recovers()
		}
	}
}

// clear mends everything and judges the whole.
func (w *weather) clear(rt *rapid.T) {
	w.mend()
	for _, h := range w.nodes {
		if err := h.Flow.ReadRevocations(h.T.Context(), time.Time{}); err != nil {
			rt.Fatal(err)
		}
	}
	h := w.nodes[0]
	open := map[string]int{}
	for _, d := range w.deeds {
		if h.Count("sessions", "id = $1", d.session) != 1 || h.Count("events", "kind = 'signin.succeeded' AND session = $1", d.session) != 1 {
			rt.Fatalf("a sign-in that was answered is lost, or recorded twice: %s", d.session)
		}
		alive := h.Count("sessions", "id = $1 AND ended_at IS NULL", d.session) == 1
		out := len(d.outOn) > 0 || len(w.disabled[d.who.Email]) > 0
		if alive && out {
			rt.Fatalf("a session that was ended is alive: %s", d.session)
		}
		for n, node := range w.nodes {
			if got := d.browser.Twin().At(node).Inside(); (got == 200) != alive {
				rt.Fatalf("alive %v, and node %d says %d of %s", alive, n, got, d.session)
			}
		}
		if alive {
			open[d.code]++
		}
		if open[d.code] > 1 {
			rt.Fatalf("two sessions of one code")
		}
	}
	for _, p := range w.people {
		w.signIn(rt, 1, p, false)
		if len(w.disabled[p.Email]) == 0 && w.deeds[len(w.deeds)-1].who.Email != p.Email {
			rt.Fatalf("%s cannot sign in afterwards", p.Email)
		}
	}
}

func TestWhateverTheWeatherNothingIsUsedTwiceLostOrComesBack(t *testing.T) {
	one := withStandby(t, func(o *house.Options) {
		generous(o)
		o.Quiet, o.Wait, o.Life.Idle, o.Deadline = true, 400*time.Millisecond, o.Life.Absolute, 5*time.Second
	})
	nodes := []*house.House{one, one.Neighbour()}
	names, deeds, conflicts := 0, 0, 0
	rapid.Check(t, func(rt *rapid.T) {
		w := &weather{nodes: nodes, last: map[string]string{}, disabled: map[string]map[int]bool{}, used: map[string]map[int]bool{}}
		w.mend() // after a story that failed
		for range 2 {
			names++
			w.people = append(w.people, nodes[0].Person(fmt.Sprint("person", names)))
		}
		follow(t, nodes[0])
		follow(t, nodes[1])
		for range rapid.IntRange(4, 14).Draw(rt, "steps") {
			w.step(rt)
		}
		w.clear(rt)
		nodes, deeds = w.nodes, deeds+len(w.deeds)
	})
	for _, f := range nodes[0].Audit() {
		t.Errorf("the audit finds %s", f)
	}
	conflicts = nodes[0].Count("conflicts", "1 = 1")
	t.Logf("%d sign-ins, %d conflicts", deeds, conflicts)
	if dark := nodes[0].Count("sessions", "standby = 1"); deeds < names/2 || dark < names/10 {
		t.Errorf("the control: %d sign-ins of %d people, %d of them in the dark: the weather was too fair", deeds, names, dark)
	}
}
