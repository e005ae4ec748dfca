package limits_test

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"gatehouse/id"
	"gatehouse/limits"
	"gatehouse/seal"
	"gatehouse/store"
	"gatehouse/store/storetest"
)

var five = limits.Rule{Name: "name", Max: 5, Per: 15 * time.Minute}

// each runs fn on every database, with a clock of its own.
func each(t *testing.T, fn func(t *testing.T, s *store.Store, clock *storetest.Clock)) {
	t.Helper()
	clock := storetest.NewClock()
	storetest.EachWith(t, func(o *store.Options) { o.Now = clock.Now }, func(t *testing.T, s *store.Store) { fn(t, s, clock) })
}

func spend(t testing.TB, s *store.Store, subjects ...limits.Subject) (a limits.Answer) {
	t.Helper()
	err := s.Do(t.Context(), func(tx *store.Tx) (err error) { a, err = limits.Spend(tx, subjects...); return err })
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestFiveTriesInAnyQuarterOfAnHour(t *testing.T) {
	each(t, func(t *testing.T, s *store.Store, clock *storetest.Clock) {
		alice := limits.Subject{Rule: five, Of: "alice"}
		for i := range 5 {
			if a := spend(t, s, alice); !a.Allowed || len(a.Spent) != 1 {
				t.Fatalf("try %d: %+v", i+1, a)
			}
			clock.Forward(time.Minute)
		}
		a := spend(t, s, alice)
		if a.Allowed || a.RetryAfter != 10*time.Minute || a.Rule != "name" || !a.Tell {
			t.Errorf("the sixth: %+v", a)
		}
		if a := spend(t, s, alice); a.Tell {
			t.Error("told twice in one window")
		}
		if a := spend(t, s, limits.Subject{Rule: five, Of: "bob"}); !a.Allowed {
			t.Error("somebody else has none left")
		}
		if a := spend(t, s, limits.Subject{Rule: limits.Rule{Name: "other", Max: 5, Per: time.Minute}, Of: "alice"}); !a.Allowed {
			t.Error("another rule has none left")
		}
		clock.Forward(10*time.Minute - time.Microsecond)
		if a := spend(t, s, alice); a.Allowed || a.RetryAfter != time.Second {
			t.Errorf("a microsecond early: %+v", a)
		}
		clock.Forward(time.Microsecond)
		if a := spend(t, s, alice); !a.Allowed {
			t.Errorf("when the first has run out: %+v", a)
		}
		if a := spend(t, s, alice); a.Allowed {
			t.Error("a refused try was not counted, but neither did it free one")
		}
	})
}

func TestAClockThatWasSetBackGivesNoTries(t *testing.T) {
	each(t, func(t *testing.T, s *store.Store, clock *storetest.Clock) {
		alice := limits.Subject{Rule: five, Of: "alice"}
		for range 5 {
			spend(t, s, alice)
		}
		clock.Forward(-time.Hour)
		if a := spend(t, s, alice); a.Allowed {
			t.Error("allowed")
		}
	})
}

func TestOfACrowdExactlyTheLimitGetsThrough(t *testing.T) {
	each(t, func(t *testing.T, s *store.Store, _ *storetest.Clock) {
		var allowed, told atomic.Int64
		var crowd sync.WaitGroup
		for i := range 60 {
			crowd.Go(func() {
				a := spend(t, s, limits.Subject{Rule: limits.Rule{Name: "network", Max: 100, Per: time.Hour}, Of: fmt.Sprint(i % 3)}, limits.Subject{Rule: five, Of: "alice"})
				if a.Allowed {
					allowed.Add(1)
				}
				if a.Tell {
					told.Add(1)
				}
			})
		}
		crowd.Wait()
		if allowed.Load() != 5 || told.Load() != 1 {
			t.Errorf("%d allowed, told %d times", allowed.Load(), told.Load())
		}
	})
}

func TestATryStaysSpentWhenALaterTransactionFails(t *testing.T) {
	each(t, func(t *testing.T, s *store.Store, _ *storetest.Clock) {
		alice := limits.Subject{Rule: five, Of: "alice"}
		broken := errors.New("broken")
		for range 5 {
			a := spend(t, s, alice)
			err := s.Do(t.Context(), func(tx *store.Tx) error { return errors.Join(limits.GiveBack(tx, a.Spent), broken) })
			if !errors.Is(err, broken) {
				t.Fatal(err)
			}
		}
		if a := spend(t, s, alice); a.Allowed {
			t.Error("a rollback gave tries back")
		}
	})
}

func TestAReceiptWorksOnceAndForItsOwnTryOnly(t *testing.T) {
	each(t, func(t *testing.T, s *store.Store, clock *storetest.Clock) {
		alice := limits.Subject{Rule: five, Of: "alice"}
		mine := spend(t, s, alice).Spent
		for range 4 {
			clock.Forward(time.Second)
			spend(t, s, alice)
		}
		giveBack := func(r []limits.Try) {
			if err := s.Do(t.Context(), func(tx *store.Tx) error { return limits.GiveBack(tx, r) }); err != nil {
				t.Fatal(err)
			}
		}
		giveBack(mine)
		giveBack(mine)
		giveBack([]limits.Try{{Key: mine[0].Key, At: mine[0].At + 1}, {Key: "nobody", At: 1}})
		if a := spend(t, s, alice); !a.Allowed {
			t.Error("the receipt gave nothing back")
		}
		if a := spend(t, s, alice); a.Allowed {
			t.Error("a receipt gave back more than it spent")
		}
	})
}

func TestTheFirstRuleThatRefusesStopsAndTheOnesBeforeStaySpent(t *testing.T) {
	each(t, func(t *testing.T, s *store.Store, clock *storetest.Clock) {
		network := limits.Subject{Rule: limits.Rule{Name: "network", Max: 3, Per: time.Hour}, Of: "192.0.2.1"}
		for i := range 3 {
			spend(t, s, network, limits.Subject{Rule: limits.Rule{Name: "name", Max: 1, Per: time.Hour}, Of: fmt.Sprint("name", i/2)})
		}
		fresh := limits.Subject{Rule: five, Of: "alice"}
		if a := spend(t, s, network, fresh); a.Allowed || a.Rule != "network" {
			t.Errorf("%+v", a)
		}
		for range 5 {
			if a := spend(t, s, fresh); !a.Allowed {
				t.Error("a refused network spent a name's try")
			}
		}
	})
}

func TestARuleThatNobodyFilledInLetsNobodyThrough(t *testing.T) {
	each(t, func(t *testing.T, s *store.Store, _ *storetest.Clock) {
		for _, max := range []int{0, -1} {
			if a := spend(t, s, limits.Subject{Rule: limits.Rule{Name: fmt.Sprint("empty", max), Max: max}, Of: "alice"}); a.Allowed || a.RetryAfter <= 0 {
				t.Errorf("max %d: %+v", max, a)
			}
		}
	})
}

func TestTidyDropsOnlyWhatNoLongerCounts(t *testing.T) {
	each(t, func(t *testing.T, s *store.Store, clock *storetest.Clock) {
		day := limits.Subject{Rule: limits.Rule{Name: "day", Max: 1, Per: 36 * time.Hour}, Of: "alice"}
		spend(t, s, day)
		tidy := func() {
			if err := s.Do(t.Context(), limits.Tidy); err != nil {
				t.Fatal(err)
			}
		}
		clock.Forward(35 * time.Hour)
		tidy()
		if a := spend(t, s, day); a.Allowed {
			t.Error("tidying gave a try back")
		}
		clock.Forward(72 * time.Hour)
		tidy()
		if a := spend(t, s, day); !a.Allowed {
			t.Error("still counted")
		}
	})
}

// However tries and waits alternate, no window ever holds more than the limit.
func TestNoWindowEverHoldsMore(t *testing.T) {
	clock := storetest.NewClock()
	s := storetest.Open(t, storetest.SQLite(t), func(o *store.Options) { o.Now = clock.Now })
	names := 0
	rapid.Check(t, func(rt *rapid.T) {
		names++
		who := limits.Subject{Rule: five, Of: fmt.Sprint("name", names)}
		var passed []time.Time
		for range rapid.IntRange(1, 30).Draw(rt, "tries") {
			clock.Forward(time.Duration(rapid.IntRange(0, int(5*time.Minute)).Draw(rt, "wait")).Truncate(time.Microsecond))
			now := clock.Now()
			recent := len(slices.DeleteFunc(slices.Clone(passed), func(p time.Time) bool { return !p.After(now.Add(-five.Per)) }))
			a := spend(t, s, who)
			if a.Allowed != (recent < five.Max) {
				rt.Fatalf("%d in the window, allowed: %v", recent, a.Allowed)
			}
			if a.Allowed {
				passed = append(passed, now)
			} else if a.RetryAfter <= 0 || a.RetryAfter > five.Per {
				rt.Fatalf("come again in %v", a.RetryAfter)
			}
		}
	})
}

func TestANetworkIsAnIPv4AddressOrAnIPv6Household(t *testing.T) {
	for _, c := range []struct {
		name, a, b string
		same       bool
	}{
		{"one IPv4 address", "192.0.2.1", "192.0.2.1", true},
		{"two IPv4 addresses", "192.0.2.1", "192.0.2.2", false},
		{"IPv4 written as IPv6", "192.0.2.1", "::ffff:192.0.2.1", true},
		{"two written so", "::ffff:192.0.2.2", "::ffff:192.0.2.1", false},
		{"one /64", "2001:db8:1:2::1", "2001:db8:1:2:ffff:ffff:ffff:ffff", true},
		{"two /64", "2001:db8:1:2::1", "2001:db8:1:3::1", false},
		{"a zone makes no difference", "fe80::1%eth0", "fe80::1%eth1", true},
	} {
		if got := limits.Network(netip.MustParseAddr(c.a)) == limits.Network(netip.MustParseAddr(c.b)); got != c.same {
			t.Errorf("%s: same is %v", c.name, got)
		}
	}
	if limits.Network(netip.Addr{}) == "" {
		t.Error("no address at all has no budget")
	}
}

func TestNodesThatCountAloneShareALimit(t *testing.T) {
	clock, dsn := storetest.NewClock(), storetest.Postgres(t)
	wire := storetest.NewWire(t, dsn)
	keysDir := t.TempDir() + "/keys"
	if err := seal.InitKeys(keysDir); err != nil {
		t.Fatal(err)
	}
	keys, err := seal.LoadKeys(keysDir)
	if err != nil {
		t.Fatal(err)
	}
	for _, node := range []id.Node{"0199f000-0000-7000-8000-00000000000b", "0199f000-0000-7000-8000-00000000000c"} {
		other := storetest.Open(t, dsn, func(o *store.Options) { o.Now, o.Node = clock.Now, node })
		if err := other.SeenNow(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	s := storetest.OpenEmpty(t, wire.DSN, func(o *store.Options) {
		o.Now, o.Standby = clock.Now, &store.StandbyOptions{Dir: t.TempDir(), Keys: keys, Wait: 20 * time.Second}
	})
	if err := errors.Join(s.SeenNow(t.Context()), s.Follow(t.Context(), nil), s.Follow(t.Context(), nil)); err != nil {
		t.Fatal(err)
	}
	wire.Cut()
	spend := func(most int, of string) (allowed int) {
		for range most + 1 {
			err := s.Essential(t.Context(), func(tx *store.Tx) error {
				a, err := limits.Spend(tx, limits.Subject{Rule: limits.Rule{Name: "name", Max: most, Per: time.Minute}, Of: of})
				if a.Allowed {
					allowed++
				}
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		return allowed
	}
	for most, want := range map[int]int{0: 0, 1: 1, 2: 1, 5: 1, 6: 2, 100: 33} {
		if got := spend(most, fmt.Sprint(most)); got != want {
			t.Errorf("of %d together, one of three nodes alone allows %d, want %d", most, got, want)
		}
	}
}

func TestAReceiptOfOneInstantGivesOneTryBack(t *testing.T) {
	each(t, func(t *testing.T, s *store.Store, _ *storetest.Clock) {
		of := limits.Subject{Rule: five, Of: "alice"}
		var spent []limits.Try
		err := s.Do(t.Context(), func(tx *store.Tx) error {
			for range 3 { // the clock stands still
				a, err := limits.Spend(tx, of)
				if err != nil {
					return err
				}
				spent = append(spent, a.Spent...)
			}
			if err := limits.GiveBack(tx, spent[1:2]); err != nil {
				return err
			}
			left, err := limits.Spent(tx, of)
			if len(left) != 2 {
				t.Errorf("%d tries count, want 2", len(left))
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	})
}
