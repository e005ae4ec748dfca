package stories

import (
	"context"
	"math"
	"slices"
	"testing"
	"time"

	"gatehouse/authenticators"
	"gatehouse/flow"
	"gatehouse/store/storetest"
	"gatehouse/test/house"
	"gatehouse/web"
)

const (
	tries     = 1000 // of each sort
	tellApart = 4.5  // |t| above which an onlooker tells two sorts of answer apart (TVLA)
)

// hashing costs as much as the rest of a try: cheap enough for two thousand, dear
// enough that sparing it shows.
var hashing = authenticators.Parameters{MemoryKiB: 512, Time: 1, Threads: 1}

// welch is Welch's t of two samples.
func welch(a, b []float64) float64 {
	mean := func(x []float64) (m, v float64) {
		for _, f := range x {
			m += f / float64(len(x))
		}
		for _, f := range x {
			v += (f - m) * (f - m) / float64(len(x)-1)
		}
		return m, v
	}
	ma, va := mean(a)
	mb, vb := mean(b)
	return (ma - mb) / math.Sqrt(va/float64(len(a))+vb/float64(len(b)))
}

// trimmed leaves out what took longer than nine in ten of both sorts together:
// the machine's other work, not ours. The bound is the same for both.
func trimmed(a, b []float64) (x, y []float64) {
	all := slices.Sorted(slices.Values(append(slices.Clone(a), b...)))
	bound := all[len(all)*9/10]
	over := func(f float64) bool { return f > bound }
	return slices.DeleteFunc(slices.Clone(a), over), slices.DeleteFunc(slices.Clone(b), over)
}

// measured interleaves tries of two sorts, changing who goes first, and returns t.
func measured(h *house.House, one, other func(i int) house.Reply) float64 {
	var a, b []float64
	clock := func(do func(int) house.Reply, i int) float64 {
		start := time.Now()
		r := do(i)
		took := time.Since(start)
		if r.Status != 401 {
			h.T.Fatalf("status %d: %s", r.Status, r.Body)
		}
		return float64(took)
	}
	for i := range tries {
		if i%2 == 0 {
			a = append(a, clock(one, i))
			b = append(b, clock(other, i))
		} else {
			b = append(b, clock(other, i))
			a = append(a, clock(one, i))
		}
		h.Clock.Forward(10 * time.Minute) // three tries a quarter of an hour are never limited
	}
	return welch(trimmed(a, b))
}

// sorts are what an onlooker must not tell from a wrong password.
func sorts(t *testing.T, h *house.House) map[string]func(int) house.Reply {
	alice, dora, ines := h.Invited("alice"), h.Person("dora"), h.Invited("ines")
	alice.Arrives()
	if _, err := h.Manage.Disable(t.Context(), dora.Email, "", "operator"); err != nil {
		t.Fatal(err)
	}
	try := func(email, password string) func(int) house.Reply {
		b := h.Browser("203.0.113.5")
		return func(int) house.Reply {
			return b.API("/signin", map[string]any{"email": email, "password": password, "attempt": ""})
		}
	}
	return map[string]func(int) house.Reply{
		"":                             try(alice.Email, "not this one"), // what the others are compared with
		"an unknown name":              try("wholly@harbour-books.example", "not this one"),
		"disabled, the right password": try(dora.Email, dora.Password),
		"invited, no password yet":     try(ines.Email, "not this one"),
	}
}

func TestHowLongARefusalTakesTellsNothing(t *testing.T) {
	for name, dsn := range map[string]func(testing.TB) string{"sqlite": storetest.SQLite, "postgres": storetest.Postgres} {
		t.Run(name, func(t *testing.T) {
			h := house.New(t, dsn(t), func(o *house.Options) { o.NoMail, o.Hashing = true, hashing })
			all := sorts(t, h)
			for what, do := range all {
				if what == "" {
					continue
				}
				got := measured(h, all[""], do)
				t.Logf("%s: t = %.2f", what, got)
				if math.Abs(got) >= tellApart { // once more: a noise comes back by accident, a leak always
					got = measured(h, all[""], do)
				}
				if math.Abs(got) >= tellApart {
					t.Errorf("%s takes another time than a wrong password: t = %.2f", what, got)
				}
			}
		})
	}
}

// The control: a flow that spares the hash for names nobody has is caught, twice.
func TestATimingDifferenceIsFound(t *testing.T) {
	h := house.New(t, storetest.SQLite(t), func(o *house.Options) {
		o.NoMail = true
		o.Hashing = authenticators.Parameters{MemoryKiB: 4 * hashing.MemoryKiB, Time: 1, Threads: 1}
		o.WrapFlow = func(h *house.House, f web.Submitter) web.Submitter {
			spared := *h.Flow
			spared.Auth = authenticators.New(h.NewHasher(authenticators.Parameters{MemoryKiB: 8, Time: 1, Threads: 1}), h.Keys)
			return hasty{f, &spared}
		}
	})
	all := sorts(t, h)
	for range 2 {
		got := measured(h, all[""], all["an unknown name"])
		t.Logf("without the hash: t = %.2f", got)
		if math.Abs(got) < tellApart {
			t.Errorf("a spared hash goes unnoticed: t = %.2f", got)
		}
	}
}

// hasty answers for unknown names without the dummy hash; all else is the same.
type hasty struct {
	web.Submitter
	spared *flow.Flow
}

func (f hasty) Submit(ctx context.Context, in flow.Input) (flow.Outcome, error) {
	if in.Email == "wholly@harbour-books.example" {
		return f.spared.Submit(ctx, in)
	}
	return f.Submitter.Submit(ctx, in)
}
