package sessions_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"gatehouse/fault"
	"gatehouse/seal"
	"gatehouse/sessions"
)

func lenient(now time.Time) sessions.Ticket {
	tk := ticket(now)
	tk.Lenient = true
	return tk
}

// graced is a checker of a node on which nobody could sign in between two moments;
// a zero end: it lasts.
func graced(keys *seal.Keys, p sessions.Policy, since, over time.Time) *sessions.Checker {
	c := &sessions.Checker{Keys: keys, Policy: p}
	c.Apply(nil)
	if !since.IsZero() {
		c.SignInsFail(since)
	}
	if !over.IsZero() {
		c.SignInsWork(over)
	}
	return c
}

func TestGrace(t *testing.T) {
	keys := newKeys(t)
	p := sessions.DefaultPolicy()
	none := p
	none.Grace = 0
	greedy := p
	greedy.Grace = 5 * time.Hour
	good := lenient(noon)
	strict := good
	strict.Lenient = false
	late := good // its idle end is its absolute end
	late.AbsoluteUntil = late.IdleUntil
	nearly := good
	nearly.AbsoluteUntil = nearly.IdleUntil.Add(10 * time.Minute)
	idle := good.IdleUntil
	before, while := idle.Add(-10*time.Minute), idle.Add(10*time.Minute)
	for _, c := range []struct {
		name        string
		policy      sessions.Policy
		ticket      sessions.Ticket
		since, over time.Time
		at          time.Time
		want        bool
	}{
		{"all is well: over at its idle end", p, good, time.Time{}, time.Time{}, idle, false},
		{"nobody can sign in: let past its idle end", p, good, before, time.Time{}, while, true},
		{"a moment before the most it can be let", p, good, before, time.Time{}, idle.Add(time.Hour - time.Microsecond), true},
		{"and not beyond", p, good, before, time.Time{}, idle.Add(time.Hour), false},
		{"an hour is the most, whatever the policy says", greedy, good, before, time.Time{}, idle.Add(time.Hour), false},
		{"without grace in the policy", none, good, before, time.Time{}, while, false},
		{"never who looks after others", p, strict, before, time.Time{}, idle, false},
		{"never past its absolute end", p, late, before, time.Time{}, idle, false},
		{"not even a little", p, nearly, before, time.Time{}, nearly.AbsoluteUntil, false},
		{"but up to there", p, nearly, before, time.Time{}, nearly.AbsoluteUntil.Add(-time.Microsecond), true},
		{"what was over before stays over", p, good, idle.Add(time.Microsecond), time.Time{}, while, false},
		{"what idled out after people could sign in again is over", p, good, before, idle.Add(-time.Minute), idle, false},
		{"long after people could sign in again it is over", p, good, before, idle.Add(time.Minute), idle.Add(time.Minute + p.Spread), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, renewed, err := graced(keys, c.policy, c.since, c.over).Check(sealed(t, keys, c.ticket), c.at)
			if got := err == nil; got != c.want || !got && fault.Of(err) != fault.NotSignedIn {
				t.Fatalf("let in: %v, %v", got, err)
			}
			if c.want && renewed == "" {
				t.Error("it came back and was not renewed")
			}
		})
	}
}

// What must hold of every session, every outage and every moment.
func TestGraceKeepsItsBounds(t *testing.T) {
	keys := newKeys(t)
	minutes := func(t *rapid.T, most int, what string) time.Duration {
		return time.Duration(rapid.IntRange(0, most*60).Draw(t, what)) * time.Second
	}
	rapid.Check(t, func(t *rapid.T) {
		p := sessions.DefaultPolicy()
		p.Grace, p.Spread = minutes(t, 90, "grace"), minutes(t, 90, "spread")
		most := min(p.Grace, sessions.MostGrace)
		tk := ticket(noon)
		tk.Lenient = rapid.Bool().Draw(t, "lenient")
		tk.AbsoluteUntil = noon.Add(minutes(t, 180, "absolute"))
		if tk.IdleUntil.After(tk.AbsoluteUntil) {
			tk.IdleUntil = tk.AbsoluteUntil
		}
		since := noon.Add(minutes(t, 120, "since"))
		over := since.Add(minutes(t, 180, "lasts"))
		at := noon.Add(minutes(t, 300, "at"))
		if rapid.Bool().Draw(t, "again") { // and again, some time later
			again := over.Add(minutes(t, 60, "again after"))
			over = again.Add(minutes(t, 60, "again for"))
		}
		lasts := at.Before(over)
		end := over
		if lasts {
			end = time.Time{}
		}
		c := graced(keys, p, since, end)
		token, err := tk.Seal(keys)
		if err != nil {
			t.Fatal(err)
		}
		got, renewed, err := c.Check(token, at)
		if err != nil {
			if at.Before(tk.IdleUntil) {
				t.Fatalf("thrown out before its idle end: %v", err)
			}
			return
		}
		stretched := !at.Before(tk.IdleUntil)
		switch {
		case !at.Before(tk.AbsoluteUntil), got.AbsoluteUntil != tk.AbsoluteUntil, got.IdleUntil.After(tk.AbsoluteUntil):
			t.Fatalf("past its absolute end: %+v", got)
		case stretched && !tk.Lenient:
			t.Fatal("stretched for somebody who looks after others")
		case stretched && at.Sub(tk.IdleUntil) >= most:
			t.Fatal("stretched by more than the most")
		case stretched && !lasts && at.Sub(over) >= min(p.Spread, most):
			t.Fatal("still stretched when the graces have run out")
		case stretched && !got.AuthTime().Equal(tk.AuthTime()):
			t.Fatal("grace made a proof look fresher than it is")
		case stretched && renewed == "":
			t.Fatal("it came back and was not renewed")
		}
		c.Apply([]sessions.Revocation{{Kind: sessions.OfSession, Subject: string(tk.Session), Until: tk.AbsoluteUntil}})
		c.Forget(at)
		for _, text := range []string{token, renewed} {
			if _, _, err := c.Check(text, at); fault.Of(err) != fault.NotSignedIn {
				t.Fatalf("revoked and let in: %v", err)
			}
		}
	})
}

func TestGracesRunOutOneByOne(t *testing.T) {
	keys := newKeys(t)
	p := sessions.DefaultPolicy()
	const people = 200
	ends := map[int]int{} // tenths of the spread → sessions that ended in it
	for range people {
		tk := lenient(noon)
		over := tk.IdleUntil.Add(time.Minute)
		here, there := graced(keys, p, tk.IdleUntil.Add(-time.Minute), over), graced(keys, p, tk.IdleUntil.Add(-time.Minute), over)
		token := sealed(t, keys, tk)
		for tenth := range 11 {
			at := over.Add(p.Spread * time.Duration(tenth) / 10)
			_, _, err := here.Check(token, at)
			if _, _, other := there.Check(token, at); (err == nil) != (other == nil) {
				t.Fatal("another node ends it at another time")
			}
			if err != nil {
				ends[tenth]++
				break
			}
		}
	}
	for tenth := 1; tenth <= 10; tenth++ {
		if n := ends[tenth]; n < people/40 || n > people/4 {
			t.Errorf("%d of %d end in tenth %d", n, people, tenth)
		}
	}
}

func TestAnOutageThatComesBackSoonIsOne(t *testing.T) {
	keys := newKeys(t)
	p := sessions.DefaultPolicy()
	tk := lenient(noon)
	c := graced(keys, p, tk.IdleUntil.Add(-time.Minute), tk.IdleUntil.Add(5*time.Minute))
	c.SignInsFail(tk.IdleUntil.Add(6 * time.Minute))
	c.SignInsFail(tk.IdleUntil.Add(7 * time.Minute)) // said again
	if since := c.Grace(); !since.Equal(tk.IdleUntil.Add(-time.Minute)) {
		t.Errorf("since %v", since)
	}
	if _, _, err := c.Check(sealed(t, keys, tk), tk.IdleUntil.Add(30*time.Minute)); err != nil {
		t.Error(err)
	}
	c.SignInsWork(tk.IdleUntil.Add(30 * time.Minute))
	if !c.Grace().IsZero() {
		t.Error("it goes on")
	}
	c.SignInsFail(tk.IdleUntil.Add(3 * time.Hour))
	if since := c.Grace(); !since.Equal(tk.IdleUntil.Add(3 * time.Hour)) {
		t.Errorf("another one began %v", since)
	}
}

func TestANodeThatHearsNothingForTooLongSaysUnavailable(t *testing.T) {
	keys := newKeys(t)
	c := &sessions.Checker{Keys: keys, Policy: sessions.DefaultPolicy(), Blind: 4 * time.Hour}
	c.Heard(nil, noon)
	c.Heard(nil, noon.Add(-time.Hour)) // a round that was slower than the next
	for _, x := range []struct {
		at   time.Time
		want fault.Code
	}{{noon, ""}, {noon.Add(4 * time.Hour), ""}, {noon.Add(4*time.Hour + time.Second), fault.Unavailable}} {
		tk := lenient(x.at)
		c.Apply(nil) // what this node revokes itself is no news of the others
		if _, _, err := c.Check(sealed(t, keys, tk), x.at); fault.Of(err) != x.want {
			t.Errorf("at %v: %v", x.at, err)
		}
	}
	c.Heard(nil, noon.Add(5*time.Hour))
	if _, _, err := c.Check(sealed(t, keys, lenient(noon.Add(5*time.Hour))), noon.Add(5*time.Hour)); err != nil || !c.HeardAt().Equal(noon.Add(5*time.Hour)) {
		t.Errorf("heard again: %v", err)
	}
}
