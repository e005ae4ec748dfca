package flow

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"gatehouse/id"
)

// gateAt makes a gate of ten hashes a second, on the clock of a synctest bubble.
func gateAt(most, cores int) *Gate {
	g := NewGate(most, cores, time.Now)
	for range 200 {
		g.Hashed(time.Duration(cores)*100*time.Millisecond, 0)
	}
	return g
}

// fillTo lets steps of a class in until the gate holds so many.
func fillTo(t *testing.T, g *Gate, c class, n int) (leave []func()) {
	t.Helper()
	for range n {
		out, ok := g.enter(c, standing{})
		if !ok {
			t.Fatalf("only %d get in, want %d", len(leave), n)
		}
		leave = append(leave, out)
	}
	return leave
}

func TestTheLimitFollowsHowLongAHashTakes(t *testing.T) {
	for _, row := range []struct {
		name        string
		most, cores int
		hash        time.Duration
		want        int
	}{
		{"two seconds of hashing", 128, 2, 100 * time.Millisecond, 40},
		{"half of it when hashes take twice as long", 128, 2, 200 * time.Millisecond, 20},
		{"never fewer than keep the cores at work", 128, 2, 10 * time.Second, 4},
		{"never what belongs to those who are in progress", 128, 32, 100 * time.Millisecond, 96},
		{"a place even in the smallest house", 1, 1, time.Second, 1},
	} {
		t.Run(row.name, func(t *testing.T) {
			g := NewGate(row.most, row.cores, time.Now)
			for range 400 {
				g.Hashed(row.hash, 0)
			}
			if got := g.State().Limit; got != row.want {
				t.Errorf("the limit is %d, want %d", got, row.want)
			}
		})
	}
}

func TestEachClassStopsBelowTheNextMoreUrgentOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := gateAt(40, 1) // ten a second: twenty new ones
		fillTo(t, g, rest, 10)
		if _, ok := g.enter(rest, standing{}); ok {
			t.Error("mails take what new sign-ins need")
		}
		fillTo(t, g, newSignIn, 10)
		if _, ok := g.enter(newSignIn, standing{}); ok {
			t.Error("new sign-ins take what those with a pass need")
		}
		fillTo(t, g, passed, 15)
		if _, ok := g.enter(passed, standing{}); ok {
			t.Error("those with a pass take what sign-ins in progress need")
		}
		fillTo(t, g, inProgress, 5)
		if _, ok := g.enter(inProgress, standing{}); ok {
			t.Error("more are inside than the gate holds")
		}
		if got := g.State().Inside; got != 40 {
			t.Errorf("%d are inside", got)
		}
	})
}

func TestAPlaceIsLeftOnce(t *testing.T) {
	g := NewGate(8, 1, time.Now)
	leave := fillTo(t, g, inProgress, 3)
	leave[0]()
	leave[0]()
	if got := g.State().Inside; got != 2 {
		t.Errorf("%d are inside", got)
	}
}

func TestANewcomerNeverTakesThePlaceOfOneWhoWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := gateAt(40, 1)
		leave := fillTo(t, g, newSignIn, 20)
		since := map[string]time.Time{}
		for i := range 3 {
			name := fmt.Sprint("waits", i)
			since[name], _, _ = g.wait(standing{device: id.Device(name)}, true)
			<-time.After(time.Millisecond) // of the bubble
		}
		<-time.After(time.Second) // of the bubble
		for i := range 3 {        // three places become free, and three wait
			leave[i]()
			if _, ok := g.enter(newSignIn, standing{device: "newcomer"}); ok {
				t.Fatal("a newcomer gets in before somebody who waits")
			}
		}
		leave[3]()
		if _, ok := g.enter(newSignIn, standing{device: "newcomer"}); !ok {
			t.Error("a place that nobody waits for stays empty")
		}
		for name, at := range since {
			if _, ok := g.enter(newSignIn, standing{device: id.Device(name), since: at}); !ok {
				t.Errorf("no place was kept for %s", name)
			}
		}
	})
}

func TestOneWhoDoesNotComeBackKeepsNobodyOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := gateAt(40, 1)
		leave := fillTo(t, g, newSignIn, 20)
		_, after, _ := g.wait(standing{device: "gone"}, true)
		leave[0]()
		<-time.After(after) // of the bubble
		if _, ok := g.enter(newSignIn, standing{}); ok {
			t.Error("one who is expected now has lost their place")
		}
		<-time.After(after/2 + lateness + sweepEvery) // of the bubble
		if _, ok := g.enter(newSignIn, standing{}); !ok {
			t.Error("the place of one who is gone stays empty")
		}
	})
}

func TestTheLineGoesWhenNobodyIsTurnedAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := gateAt(40, 1)
		if in, pass := g.ask(standing{device: "a"}); !in || pass {
			t.Error("a quiet door asks for a pass")
		}
		leave := fillTo(t, g, newSignIn, 20)
		g.wait(standing{device: "b"}, true)
		if in, _ := g.ask(standing{device: "c"}); in || !g.State().Line || !g.busy() {
			t.Error("somebody who would be turned away types a password first")
		}
		for _, out := range leave {
			out()
		}
		<-time.After(lineStands + sweepEvery) // of the bubble
		if in, pass := g.ask(standing{device: "c"}); !in || pass || g.State().Line || g.busy() {
			t.Errorf("the line stands for ever: %+v", g.State())
		}
	})
}

func TestAPlaceServesAFewTimesOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := gateAt(40, 1)
		since, _, _ := g.wait(standing{device: "a"}, true)
		w := standing{device: "a", since: since}
		for range mostUses {
			if g.worn(w) {
				t.Fatal("worn out too early")
			}
			leave, ok := g.enter(passed, w)
			if !ok {
				t.Fatal("not let in")
			}
			leave()
		}
		if !g.worn(w) {
			t.Error("one place lets a crowd in")
		}
		<-time.After(time.Second) // of the bubble
		if later, _, _ := g.wait(standing{device: "a"}, true); g.worn(standing{device: "a", since: later}) {
			t.Error("whoever waits anew has no new place")
		}
	})
}

func TestHowLongItTakesCountsThoseAhead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := gateAt(40, 1)
		fillTo(t, g, newSignIn, 20)
		var about, after time.Duration
		for i := range 600 {
			_, after, about = g.wait(standing{device: id.Device(fmt.Sprint(i))}, true)
			<-time.After(time.Millisecond) // of the bubble
		}
		if about != time.Minute || after != about/4 {
			t.Errorf("six hundred at ten a second: about %v, come again after %v", about, after)
		}
		since, after, about := g.wait(standing{device: "0"}, true)
		if about > time.Second || after != soonest {
			t.Errorf("the first, since %v: about %v, come again after %v", since, about, after)
		}
	})
}

func TestTheLineIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := gateAt(40, 1)
		for i := range mostWaits + 100 {
			g.wait(standing{device: id.Device(fmt.Sprint(i))}, true)
			g.wait(standing{device: id.Device(fmt.Sprint("unknown", i))}, false)
		}
		if n := g.State().Waiting; n != mostWaits {
			t.Errorf("%d are remembered", n)
		}
	})
}

func TestWhoHasAClaimIsHeldUntilAPlaceIsFree(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := gateAt(40, 1)
		leave := fillTo(t, g, inProgress, 40)
		var order []string
		hold := func(c class, name string) {
			go func() {
				out, ok := g.hold(t.Context(), c, standing{})
				if !ok {
					t.Errorf("%s is not let in", name)
					return
				}
				order = append(order, name)
				<-time.After(time.Second) // of the bubble
				out()
			}()
			synctest.Wait()
		}
		hold(passed, "first with a pass")
		hold(passed, "second with a pass")
		hold(inProgress, "in progress")
		gone, hangUp := context.WithCancel(t.Context())
		go func() {
			if _, ok := g.hold(gone, inProgress, standing{}); ok {
				t.Error("somebody who has hung up is let in")
			}
		}()
		synctest.Wait()
		hangUp()
		synctest.Wait()
		for _, out := range leave[:8] { // the first place is for who is in progress, the next seven make room for passes
			out()
			synctest.Wait()
		}
		if !slices.Equal(order, []string{"in progress", "first with a pass", "second with a pass"}) || g.State().Inside > 40 || len(g.held) > 0 {
			t.Errorf("in came %q, %d are held, %+v", order, len(g.held), g.State())
		}
		<-time.After(time.Minute) // of the bubble
		if got := g.State().Inside; got != 32 {
			t.Errorf("%d are inside at the end", got)
		}
	})
}

func TestNotMoreAreHeldThanMayBeInside(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := gateAt(8, 1)
		fillTo(t, g, inProgress, 8)
		within, end := context.WithTimeout(t.Context(), holdFor)
		defer end()
		refused := make(chan time.Time, 20)
		for range 20 {
			go func() {
				if _, ok := g.hold(within, inProgress, standing{}); !ok {
					refused <- time.Now()
				}
			}()
		}
		synctest.Wait()
		if len(refused) != 12 {
			t.Errorf("%d of 20 are sent away at once, want 12", len(refused))
		}
		<-time.After(holdFor) // of the bubble
		synctest.Wait()
		if len(refused) != 20 || len(g.held) != 0 {
			t.Errorf("%d of 20 were sent away in the end, %d are held", len(refused), len(g.held))
		}
	})
}

// crowd plays people at the door of a gate: they look, wait as they are told, type
// a password once they are asked in, and are checked one after the other.
type crowd struct {
	t      *testing.T
	g      *Gate
	typing time.Duration
	queue  chan func() // inside, waiting for a core
	idle   time.Duration
	done   []string // in the order they were let in
	back   []string // sent back after they had typed
}

// hash is one core: it works as long as somebody is inside.
func (c *crowd) hash(each time.Duration, until time.Time) {
	for time.Now().Before(until) {
		select {
		case leave := <-c.queue:
			<-time.After(each) // of the bubble
			c.g.Hashed(each, 0)
			leave()
		default:
			c.idle += each
			<-time.After(each) // of the bubble
		}
	}
}

// person comes once and wants in. As everything happens in one bubble, at one time
// only one of them runs between two sleeps.
func (c *crowd) person(name string, turn chan struct{}) {
	var since time.Time
	for {
		turn <- struct{}{}
		w := standing{device: id.Device(name), since: since}
		in, pass := c.g.ask(w)
		var after time.Duration
		if !in {
			since, after, _ = c.g.wait(w, true)
		}
		<-turn
		if !in {
			<-time.After(after) // of the bubble
			continue
		}
		<-time.After(c.typing) // of the bubble
		turn <- struct{}{}
		kind := newSignIn
		if pass {
			kind = passed
		}
		leave, ok := c.g.enter(kind, w)
		if ok {
			c.done = append(c.done, name)
			c.queue <- leave
		} else {
			since, after, _ = c.g.wait(w, true)
			if pass {
				c.back = append(c.back, name)
			}
		}
		<-turn
		if ok {
			return
		}
		<-time.After(after) // of the bubble
	}
}

func TestACrowdGetsInOneAfterTheOtherAndNobodyTypesInVain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const people, each = 900, 100 * time.Millisecond // ninety seconds of hashing
		c := &crowd{t: t, g: gateAt(128, 1), typing: 20 * time.Second, queue: make(chan func(), 128)}
		c.g.wait(standing{}, false) // the storm has begun
		turn := make(chan struct{}, 1)
		begun := time.Now()
		go func() {
			for i := range people {
				go c.person(fmt.Sprintf("%04d", i), turn)
				<-time.After(5 * time.Millisecond) // of the bubble
			}
		}()
		go c.hash(each, begun.Add(135*time.Second))
		<-time.After(135 * time.Second) // of the bubble
		synctest.Wait()
		if len(c.done) != people {
			t.Fatalf("%d of %d are in after 135 s", len(c.done), people)
		}
		if len(c.back) > 0 {
			t.Errorf("sent back after typing: %q", c.back)
		}
		late := 0
		for place, name := range c.done {
			i, _ := strconv.Atoi(name)
			late = max(late, place-i)
		}
		if front := c.g.front(); late > front {
			t.Errorf("somebody was overtaken by %d people; the front of the line is %d", late, front)
		}
		slices.Sort(c.done)
		if len(slices.Compact(c.done)) != people {
			t.Error("somebody is in twice")
		}
	})
}

func TestAStormWithoutBackOffKeepsTheCoresAtWork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const each, length = 100 * time.Millisecond, 60 * time.Second
		c := &crowd{t: t, g: gateAt(128, 1), queue: make(chan func(), 128)}
		end := time.Now().Add(length)
		go c.hash(each, end)
		most := 0
		for time.Now().Before(end) {
			for range 50 { // five thousand a second, of whom nobody listens
				if leave, ok := c.g.enter(newSignIn, standing{}); ok {
					c.queue <- leave
				} else {
					c.g.wait(standing{}, false)
				}
			}
			most = max(most, c.g.State().Inside)
			<-time.After(10 * time.Millisecond) // of the bubble
		}
		synctest.Wait()
		if c.idle > length/50 {
			t.Errorf("the cores had nothing to do for %v of %v", c.idle, length)
		}
		if limit := c.g.State().Limit; most > limit {
			t.Errorf("%d inside, the limit is %d", most, limit)
		}
	})
}

// Whatever happens in whatever order, no class gets past its bound, nobody gets in
// before the ones for whom a place is kept, and a place that is left is free.
func TestWhateverHappensTheGateHoldsItsBounds(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		now := time.Date(2026, 11, 21, 9, 0, 0, 0, time.UTC)
		most := rapid.IntRange(1, 60).Draw(rt, "most")
		g := NewGate(most, rapid.IntRange(1, 8).Draw(rt, "cores"), func() time.Time { return now })
		var inside []func()
		waits := map[id.Device]time.Time{}
		device := rapid.SampledFrom([]id.Device{"a", "b", "c", "d", "e", "f"})
		rt.Repeat(map[string]func(*rapid.T){
			"time passes": func(rt *rapid.T) {
				now = now.Add(time.Duration(rapid.IntRange(0, 20_000).Draw(rt, "ms")) * time.Millisecond)
			},
			"a hash is done": func(rt *rapid.T) {
				g.Hashed(time.Duration(rapid.IntRange(0, 3000).Draw(rt, "ms"))*time.Millisecond, 0)
			},
			"somebody comes": func(rt *rapid.T) {
				c := class(rapid.IntRange(int(rest), int(inProgress)).Draw(rt, "class"))
				d := device.Draw(rt, "device")
				before := g.State()
				leave, ok := g.enter(c, standing{device: d, since: waits[d]})
				room := map[class]int{rest: max(1, before.Limit/2), newSignIn: before.Limit, passed: most - most/8, inProgress: most}[c]
				if exact := c != newSignIn; ok && before.Inside >= room || exact && ok != (before.Inside < room) {
					rt.Fatalf("class %d with %+v: %v", c, before, ok)
				}
				if ok && c == newSignIn && waits[d].IsZero() && before.Inside+before.Waiting >= before.Limit {
					rt.Fatalf("a newcomer takes a place that is kept: %+v", before)
				}
				switch {
				case ok:
					inside = append(inside, leave)
					fallthrough
				case c == rest || c == inProgress:
					if c == newSignIn || c == passed {
						delete(waits, d)
					}
				default:
					waits[d], _, _ = g.wait(standing{device: d, since: waits[d]}, true)
				}
			},
			"somebody knocks": func(rt *rapid.T) {
				d := device.Draw(rt, "device")
				before := g.State()
				in, pass := g.ask(standing{device: d, since: waits[d]})
				if !before.Line && (!in || pass) || in && before.Line != pass {
					rt.Fatalf("%+v: in %v, pass %v", before, in, pass)
				}
			},
			"somebody leaves": func(rt *rapid.T) {
				if len(inside) > 0 {
					inside[0]()
					inside = inside[1:]
				}
			},
			"": func(rt *rapid.T) {
				s := g.State()
				if s.Inside != len(inside) || s.Inside > most || s.Limit < 1 || s.Limit > most || s.Waiting > 6 || g.permits < 0 || g.permits > float64(most)+1 {
					rt.Fatalf("%+v, %d inside, %v permits", s, len(inside), g.permits)
				}
			},
		})
	})
}

func TestOneHashThatAMovedClockMadeLongClosesNoDoor(t *testing.T) {
	g := NewGate(128, 2, time.Now)
	for range 64 {
		g.Hashed(100*time.Millisecond, 0)
	}
	before := g.State().Limit
	g.Hashed(365*24*time.Hour, 0)
	g.Hashed(-365*24*time.Hour, 0)
	if after := g.State().Limit; after < before/2 || after < 1 {
		t.Errorf("the limit went from %d to %d", before, after)
	}
}
