package store_test

import (
	"context"
	"crypto/rand"
	"errors"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse/fault"
	"gatehouse/store"
	"gatehouse/store/storetest"
)

// put writes a row that count finds again.
func put(tx *store.Tx, name string) error {
	_, err := tx.Exec("INSERT INTO nodes (id, started_at, seen_at, program) VALUES ($1, 1, 1, 'test')", name)
	return err
}

func count(t *testing.T, s *store.Store) (n int64) {
	t.Helper()
	must(t, s.Read(t.Context(), func(tx *store.Tx) error {
		return tx.Row("SELECT COUNT(*) AS n FROM nodes").Scan(&n)
	}))
	return n
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantCode(t *testing.T, err error, code fault.Code) {
	t.Helper()
	if err == nil || fault.Of(err) != code {
		t.Fatalf("got error %v, want one with code %s", err, code)
	}
}

func TestWhatFnWritesIsKeptWhenItReturnsNil(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		for _, in := range []func(context.Context, func(*store.Tx) error) error{s.Do, s.Essential, s.Background} {
			before := count(t, s)
			must(t, in(t.Context(), func(tx *store.Tx) error { return put(tx, strconv.FormatInt(before, 10)) }))
			if n := count(t, s); n != before+1 {
				t.Errorf("%d rows, want %d", n, before+1)
			}
		}
	})
}

func TestAnErrorOfFnRollsBackAndComesBackUnchanged(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		mine := errors.New("mine")
		err := s.Do(t.Context(), func(tx *store.Tx) error {
			must(t, put(tx, "a"))
			return mine
		})
		if err != mine {
			t.Errorf("got %v, want fn's own error", err)
		}
		if n := count(t, s); n != 0 {
			t.Errorf("%d rows are left of a transaction that was rolled back", n)
		}
	})
}

func TestAPanicOfFnRollsBackAndGivesTheConnectionBack(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		func() {
			defer func() { recover() }()
			s.Do(t.Context(), func(tx *store.Tx) error {
				must(t, put(tx, "a"))
				panic("fn")
			})
		}()
		if n := count(t, s); n != 0 {
			t.Errorf("%d rows are left of a transaction that panicked", n)
		}
		must(t, s.Do(t.Context(), func(tx *store.Tx) error { return put(tx, "b") }))
	})
}

func TestReadingRefusesToWriteAndSeesOneUnchangingView(t *testing.T) {
	storetest.EachWith(t, func(o *store.Options) { o.Deadline = 10 * time.Second }, func(t *testing.T, s *store.Store) {
		if err := s.Read(t.Context(), func(tx *store.Tx) error { return put(tx, "a") }); err == nil {
			t.Error("a read transaction wrote")
		}
		read, wrote := make(chan struct{}), make(chan struct{})
		var before, after int64
		done := make(chan error)
		go func() {
			done <- s.BackgroundRead(t.Context(), func(tx *store.Tx) error {
				if err := tx.Row("SELECT COUNT(*) AS n FROM nodes").Scan(&before); err != nil {
					return err
				}
				close(read)
				<-wrote
				return tx.Row("SELECT COUNT(*) AS n FROM nodes").Scan(&after)
			})
		}()
		<-read
		must(t, s.Do(t.Context(), func(tx *store.Tx) error { return put(tx, "a") }))
		close(wrote)
		must(t, <-done)
		if before != 0 || after != 0 {
			t.Errorf("saw %d rows and then %d; the view must not change", before, after)
		}
	})
}

func TestAFailedStatementEndsTheTransactionOnBothDatabases(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		var second error
		err := s.Do(t.Context(), func(tx *store.Tx) error {
			must(t, put(tx, "a"))
			if err := put(tx, "a"); !store.IsUnique(err) {
				t.Errorf("a second row with the same key gave %v, want a unique violation", err)
			}
			second = put(tx, "b")
			return nil // fn overlooks it
		})
		if second == nil || !store.IsUnique(err) {
			t.Errorf("the statement after it gave %v and the transaction %v; both must fail", second, err)
		}
		if n := count(t, s); n != 0 {
			t.Errorf("%d rows were committed by a transaction with a failed statement", n)
		}
		if store.IsUnique(errors.New("other")) || store.IsUnique(nil) {
			t.Error("every error is a unique violation")
		}
	})
}

func TestNoRowIsNoFailure(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		must(t, s.Do(t.Context(), func(tx *store.Tx) error {
			var program string
			err := tx.Row("SELECT program FROM nodes WHERE id = $1"+tx.ForUpdate(), "nobody").Scan(&program)
			if !errors.Is(err, store.ErrNoRows) {
				t.Errorf("got %v, want ErrNoRows", err)
			}
			return put(tx, "a")
		}))
		if n := count(t, s); n != 1 {
			t.Errorf("%d rows, want 1", n)
		}
	})
}

func TestRowsMustBeClosedBeforeTheNextStatement(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		must(t, s.Do(t.Context(), func(tx *store.Tx) error { return errors.Join(put(tx, "a"), put(tx, "b")) }))
		err := s.Do(t.Context(), func(tx *store.Tx) error {
			rows, err := tx.Rows("SELECT id FROM nodes")
			must(t, err)
			rows.Next()
			return put(tx, "c")
		})
		if err == nil || !strings.Contains(err.Error(), "still open") {
			t.Errorf("got %v, want the refusal of a statement beside open rows", err)
		}
		var seen []string
		must(t, s.Do(t.Context(), func(tx *store.Tx) error {
			seen = nil
			rows, err := tx.Rows("SELECT id FROM nodes ORDER BY id")
			must(t, err)
			for rows.Next() {
				var one string
				must(t, rows.Scan(&one))
				seen = append(seen, one)
			}
			must(t, rows.Err())
			return put(tx, "c") // read to the end is closed
		}))
		if strings.Join(seen, "") != "ab" {
			t.Errorf("saw %q", seen)
		}
	})
}

func TestATransactionInsideATransactionIsRefusedAtOnce(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		nothing := func(*store.Tx) error { return nil }
		for name, in := range map[string]func(context.Context, func(*store.Tx) error) error{
			"write": s.Do, "read": s.Read, "background write": s.Background, "background read": s.BackgroundRead,
		} {
			for _, deep := range []int{0, 1, 200} {
				var inner error
				must(t, s.Do(t.Context(), func(*store.Tx) error {
					inner = below(deep, func() error { return in(t.Context(), nothing) })
					return nil
				}))
				if fault.Of(inner) != fault.Internal || !strings.Contains(inner.Error(), "inside a transaction") {
					t.Errorf("%s, %d calls below: got %v, want a refusal", name, deep, inner)
				}
			}
		}
		must(t, s.Do(t.Context(), nothing)) // one after the other is fine
	})
}

func below(n int, fn func() error) error {
	if n == 0 {
		return fn()
	}
	return below(n-1, fn)
}

func TestATransactionInAGoroutineInsideATransactionNeverHangs(t *testing.T) {
	short := func(o *store.Options) { o.Foreground, o.Background, o.Deadline = 1, 1, time.Second }
	storetest.EachWith(t, short, func(t *testing.T, s *store.Store) {
		var inner error
		must(t, s.Do(t.Context(), func(*store.Tx) error {
			done := make(chan error)
			ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
			defer cancel()
			go func() { done <- s.Do(ctx, func(tx *store.Tx) error { return nil }) }()
			inner = <-done
			return nil
		}))
		wantCode(t, inner, fault.Unavailable)
	})
}

func TestAnExhaustedPoolIsUnavailableAtTheDeadline(t *testing.T) {
	small := func(o *store.Options) { o.Foreground, o.Background = 2, 2 }
	storetest.EachWith(t, small, func(t *testing.T, s *store.Store) {
		release := hold(t, 2, s.Do)
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		ran := false
		err := s.Do(ctx, func(*store.Tx) error { ran = true; return nil })
		wantCode(t, err, fault.Unavailable)
		if ran || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("ran: %v, error: %v; want fn not run and a deadline as the cause", ran, err)
		}
		release()
		must(t, s.Do(t.Context(), func(*store.Tx) error { return nil }))
	})
}

// hold takes as many connections as it gets of n, and gives them back when told.
// At least one is held when it returns.
func hold(t *testing.T, n int, in func(context.Context, func(*store.Tx) error) error) (release func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	let, held := make(chan struct{}), make(chan struct{}, n)
	var all sync.WaitGroup
	for range n {
		all.Go(func() {
			in(ctx, func(tx *store.Tx) error {
				var one int
				tx.Row("SELECT 1").Scan(&one)
				held <- struct{}{}
				<-let
				return nil
			})
		})
	}
	<-held
	return sync.OnceFunc(func() { cancel(); close(let); all.Wait() })
}

func TestBackgroundWorkNeverTakesAForegroundConnection(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		release := hold(t, 50, s.BackgroundRead) // all there are, and a queue behind them
		defer release()
		must(t, s.Do(t.Context(), func(tx *store.Tx) error { return put(tx, "a") }))
		if n := count(t, s); n != 1 {
			t.Errorf("%d rows, want 1", n)
		}
	})
}

func TestADeadlineStopsAStatementAndTheStoreGoesOn(t *testing.T) {
	forever := `WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT COUNT(*) AS n FROM n WHERE i < 0`
	storetest.EachWith(t, func(o *store.Options) { o.Deadline = 300 * time.Millisecond }, func(t *testing.T, s *store.Store) {
		for name, in := range map[string]func(context.Context, func(*store.Tx) error) error{"write": s.Do, "read": s.Read} {
			start := time.Now()
			err := in(t.Context(), func(tx *store.Tx) error {
				var n int64
				return tx.Row(forever).Scan(&n)
			})
			wantCode(t, err, fault.Unavailable)
			if took := time.Since(start); took > 20*time.Second {
				t.Errorf("%s: gave up only after %v", name, took)
			}
		}
		eventually(t, func() error { return s.Do(t.Context(), func(tx *store.Tx) error { return put(tx, "a") }) })
	})
}

// eventually allows a few calls to meet their short deadline on a busy machine.
func eventually(t *testing.T, fn func() error) {
	t.Helper()
	var err error
	for range 50 {
		if err = fn(); err == nil {
			return
		}
	}
	t.Fatal(err)
}

func TestACallerWhoWentAwayIsNotAnswered(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx, cancel := context.WithCancel(t.Context())
		err := s.Do(ctx, func(tx *store.Tx) error {
			must(t, put(tx, "a"))
			cancel()
			return nil
		})
		wantCode(t, err, fault.Unavailable)
		if errors.Is(err, store.ErrOutcomeUnknown) {
			t.Errorf("got %v, but nothing was sent", err)
		}
		if n := count(t, s); n != 0 {
			t.Errorf("%d rows were committed for a caller who had gone", n)
		}
	})
}

func TestTimesRoundTripInUTCToTheMicrosecond(t *testing.T) {
	zone := time.FixedZone("", 5*3600+1800)
	clock := storetest.NewClock()
	storetest.EachWith(t, func(o *store.Options) { o.Now = clock.Now }, func(t *testing.T, s *store.Store) {
		for _, at := range []time.Time{
			time.Date(2026, 11, 21, 9, 30, 0, 123456789, zone),
			time.Date(1969, 12, 31, 23, 59, 59, 999999999, time.UTC),
			time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC),
		} {
			clock.Set(at)
			var now, kept time.Time
			must(t, s.Do(t.Context(), func(tx *store.Tx) error {
				now = tx.Now()
				var micros int64
				err := tx.Row("INSERT INTO nodes (id, started_at, seen_at, program) VALUES ($1, $2, 0, '') RETURNING started_at",
					at.String(), store.Micros(now)).Scan(&micros)
				kept = store.Time(micros)
				return err
			}))
			if kept != now || now.Location() != time.UTC || now.After(at) || at.Sub(now) >= time.Microsecond {
				t.Errorf("the clock showed %v, Now said %v, the database %v", at, now, kept)
			}
		}
	})
}

func TestTheClockFloorIsTheLatestTimeSeenAndNeverFalls(t *testing.T) {
	clock := storetest.NewClock()
	start := clock.Now()
	storetest.EachWith(t, func(o *store.Options) { o.Now = clock.Now }, func(t *testing.T, s *store.Store) {
		clock.Set(start)
		for _, step := range []struct {
			name  string
			shows time.Time
			floor time.Time
		}{
			{"the first time seen", start, start},
			{"a later one raises it", start.Add(time.Hour), start.Add(time.Hour)},
			{"a clock set back does not lower it", start.Add(-time.Hour), start.Add(time.Hour)},
		} {
			clock.Set(step.shows)
			must(t, s.SeenNow(t.Context()))
			floor, err := s.Floor(t.Context())
			must(t, err)
			if !floor.Equal(step.floor) {
				t.Errorf("%s: the floor is %v, want %v", step.name, floor, step.floor)
			}
		}
	})
}

func TestOpenRefusesWhatCannotWork(t *testing.T) {
	for name, o := range map[string]store.Options{
		"no clock":           {DSN: storetest.SQLite(t), Rand: rand.Reader},
		"no randomness":      {DSN: storetest.SQLite(t), Now: time.Now},
		"an unknown address": {DSN: "mysql://localhost", Now: time.Now, Rand: rand.Reader},
		"no address":         {Now: time.Now, Rand: rand.Reader},
		"a malformed one":    {DSN: "postgres://:not a port/", Now: time.Now, Rand: rand.Reader},
		"no such directory":  {DSN: "sqlite:/no/such/directory/file.db", Now: time.Now, Rand: rand.Reader},
	} {
		if s, err := store.Open(t.Context(), o); err == nil || s != nil {
			t.Errorf("%s: opened", name)
		}
	}
}
