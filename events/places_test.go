package events_test

import (
	"crypto/rand"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"gatehouse/events"
	"gatehouse/id"
	"gatehouse/store"
	"gatehouse/store/storetest"
)

const (
	other id.Node = "0199f000-0000-7000-8000-000000000002"
	lease         = 10 * time.Second
)

func (h house) acquire(holder id.Node) (p events.Place, ok bool) {
	h.t.Helper()
	h.do(func(tx *store.Tx) error {
		free, err := events.Free(tx, "mails", holder, lease)
		if err != nil {
			return err
		}
		if p, ok, err = events.Acquire(tx, "mails", holder, lease); err == nil && ok != free {
			err = fmt.Errorf("free says %v, acquire %v", free, ok)
		}
		return err
	})
	return p, ok
}

// ranOut makes the lease end a moment ago.
func (h house) ranOut() {
	h.t.Helper()
	var now time.Time
	h.do(func(tx *store.Tx) (err error) { now, err = tx.DatabaseNow(); return err })
	h.exec(`UPDATE places SET lease_until = $1 WHERE name = 'mails'`, store.Micros(now.Add(-time.Millisecond)))
}

func (h house) move(p events.Place) (events.Place, error) {
	var moved events.Place
	err := h.s.Do(h.t.Context(), func(tx *store.Tx) (err error) {
		moved, err = events.Move(tx, p, lease)
		return err
	})
	return moved, err
}

func (h house) page(p events.Place, limit int) (found []events.Event, at events.Place, err error) {
	err = h.s.Read(h.t.Context(), func(tx *store.Tx) (err error) {
		found, at, err = h.Page(tx, p, limit)
		return err
	})
	return found, at, err
}

// rest reads everything after p, a few events at a time.
func (h house) rest(p events.Place) (ids []id.Event, _ events.Place) {
	h.t.Helper()
	for {
		found, at, err := h.page(p, 3)
		if err != nil {
			h.t.Fatal(err)
		}
		if len(found) == 0 {
			return ids, at
		}
		for _, e := range found {
			ids, p = append(ids, e.ID), at.At(e)
		}
	}
}

func TestOneHoldsAPlaceAtATimeAndEachUnderAHigherToken(t *testing.T) {
	each(t, func(h house) {
		mine, ok := h.acquire(storetest.Node)
		if !ok || mine.Token != 1 {
			h.t.Fatalf("a new place was not to be had: %+v", mine)
		}
		if _, ok := h.acquire(other); ok {
			h.t.Fatal("another took it while it was held")
		}
		if again, ok := h.acquire(storetest.Node); !ok || again.Token != 2 {
			h.t.Errorf("its holder, started again, has to wait for itself: %+v", again)
		}
		h.ranOut()
		theirs, ok := h.acquire(other)
		if !ok || theirs.Token != 3 || theirs.Holder != other {
			h.t.Errorf("not to be had after the lease: %+v", theirs)
		}
		h.do(func(tx *store.Tx) error { return events.Release(tx, theirs) })
		if _, ok := h.acquire(storetest.Node); !ok {
			h.t.Error("not to be had after it was let go of")
		}
	})
}

func TestALeaseThatEndsTooFarAwayBindsNobody(t *testing.T) {
	each(t, func(h house) {
		h.acquire(storetest.Node)
		h.exec(`UPDATE places SET lease_until = lease_until + $1`, (12 * 365 * 24 * time.Hour).Microseconds()) // the database's clock went back twelve years
		if _, ok := h.acquire(other); !ok {
			h.t.Error("nobody reads for twelve years")
		}
	})
}

func TestWhoeverLostThePlaceMovesItNoMoreAndNothingElseOfItsTransactionHappens(t *testing.T) {
	each(t, func(h house) {
		made := h.append(signIn(ana, "ana@example.com"))
		stale, _ := h.acquire(storetest.Node)
		found, at, err := h.page(stale, 10)
		if err != nil || len(found) != 1 || found[0].ID != made {
			h.t.Fatalf("read %v, %v", found, err)
		}
		h.ranOut()
		fresh, _ := h.acquire(other)
		err = h.s.Do(h.t.Context(), func(tx *store.Tx) error {
			if _, err := h.Append(tx, signIn(bob, "bob@example.com")); err != nil {
				return err
			}
			_, err := events.Move(tx, at.At(found[0]), lease)
			return err
		})
		if !errors.Is(err, events.ErrFenced) || len(h.of(bob)) != 0 {
			h.t.Errorf("moved: %v, and %d effects", err, len(h.of(bob)))
		}
		h.do(func(tx *store.Tx) error { return events.Release(tx, stale) })
		if _, err := h.move(fresh); err != nil {
			h.t.Errorf("its holder cannot move it: %v", err)
		}
	})
}

func TestAMoveThatTheDatabaseLostIsNoticed(t *testing.T) {
	each(t, func(h house) {
		p, _ := h.acquire(storetest.Node)
		moved, err := h.move(p)
		if err != nil {
			h.t.Fatal(err)
		}
		h.exec(`UPDATE places SET version = version - 1`) // a server was promoted that lacks the last write
		if _, err := h.move(moved); !errors.Is(err, events.ErrFenced) {
			h.t.Errorf("it went on as if nothing was lost: %v", err)
		}
	})
}

func TestAFollowerReadsEverythingOnceInOrderPageByPage(t *testing.T) {
	each(t, func(h house) {
		p, _ := h.acquire(storetest.Node)
		var want []id.Event
		for range 3 {
			for range 5 {
				want = append(want, h.append(signIn(ana, "ana@example.com")))
			}
			var got []id.Event
			if got, p = h.rest(p); !slices.Equal(got, want[len(want)-5:]) {
				h.t.Errorf("read %v\nwant %v", got, want)
			}
		}
		if _, err := h.move(p); err != nil {
			h.t.Fatal(err)
		}
		again, _ := h.acquire(storetest.Node)
		if got, _ := h.rest(again); len(got) != 0 {
			h.t.Errorf("read again after a restart: %v", got)
		}
	})
}

func postgres(t *testing.T) house {
	s := storetest.Open(t, storetest.Postgres(t), nil)
	h := house{t, s, events.New(keys(t), rand.Reader)}
	h.do(func(tx *store.Tx) error {
		return errors.Join(h.Prepare(tx), h.Introduce(tx, ana), h.Introduce(tx, bob))
	})
	return h
}

func TestAnEventThatIsCommittedLateIsReadAndHoldsUpNobody(t *testing.T) {
	h := postgres(t)
	p, _ := h.acquire(storetest.Node)
	open, finish := make(chan id.Event), make(chan struct{})
	done := make(chan error, 1)
	go func() {
		done <- h.s.Do(t.Context(), func(tx *store.Tx) error {
			early, err := h.Append(tx, signIn(ana, "ana@example.com"))
			open <- early
			<-finish
			return err
		})
	}()
	early := <-open
	late := h.append(signIn(bob, "bob@example.com"))
	got, p := h.rest(p)
	if !slices.Equal(got, []id.Event{late}) {
		t.Errorf("an open transaction holds up another: read %v", got)
	}
	close(finish)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	found, _, err := h.page(p, 10)
	if err != nil || len(found) != 1 || found[0].ID != early {
		t.Errorf("then read %v (%v), want %v", found, err, early)
	}
}

// Writers take their positions, dawdle and commit in any order, some not at all;
// those of one account lock it first, as real ones do.
func TestNothingIsSkippedAndAnAccountsEventsStayInOrderWhateverTheOrderOfCommits(t *testing.T) {
	h := postgres(t)
	p, _ := h.acquire(storetest.Node)
	accounts := []id.Account{ana, bob}
	var mu sync.Mutex
	committed := map[id.Account][]id.Event{}
	var writers sync.WaitGroup
	for n := range 8 {
		writers.Go(func() {
			random := mathrand.New(mathrand.NewPCG(uint64(n), 7))
			for range 40 {
				account := accounts[random.IntN(2)]
				roll, before, after := random.IntN(5) == 0, random.IntN(3), random.IntN(3)
				ours := errors.New("rolled back")
				var made id.Event
				err := h.s.Do(t.Context(), func(tx *store.Tx) error {
					if before == 0 { // the transaction has its number long before the account is locked
						if err := tx.Row(`SELECT 1 WHERE pg_current_xact_id() IS NOT NULL`).Scan(new(int)); err != nil {
							return err
						}
					}
					if err := tx.Row(`SELECT account FROM account_keys WHERE account = $1 FOR UPDATE`, string(account)).Scan(new(string)); err != nil {
						return err
					}
					var err error
					made, err = h.Append(tx, signIn(account, "x@example.com"))
					if err == nil {
						err = tx.Row(`SELECT 1 FROM pg_sleep($1)`, float64(after)/500).Scan(new(int))
					}
					if err == nil && roll {
						err = ours
					}
					return err
				})
				if err != nil && !errors.Is(err, ours) {
					t.Error(err)
				}
				mu.Lock()
				if err == nil {
					committed[account] = append(committed[account], made)
				}
				mu.Unlock()
			}
		})
	}
	over := make(chan struct{})
	go func() { writers.Wait(); close(over) }()
	var read []events.Event
	for last := false; ; {
		found, at, err := h.page(p, 7)
		if err != nil {
			t.Fatal(err)
		}
		p = at
		for _, e := range found {
			read, p = append(read, e), at.At(e)
		}
		if len(found) > 0 {
			continue
		}
		if last {
			break
		}
		select {
		case <-over:
			last = true
		default:
		}
	}
	seen := map[id.Event]bool{}
	highest := map[id.Account]int64{}
	for _, e := range read {
		if seen[e.ID] {
			t.Errorf("%s was read twice", e.ID)
		}
		seen[e.ID] = true
		if e.Position < highest[e.Account] {
			t.Errorf("%s came after what followed it", e.ID)
		}
		highest[e.Account] = e.Position
	}
	for _, account := range accounts {
		for _, e := range committed[account] {
			if !seen[e] {
				t.Errorf("%s was skipped", e)
			}
		}
	}
	if n := len(committed[ana]) + len(committed[bob]); len(read) != n {
		t.Errorf("%d were written, %d read", n, len(read))
	}
}

func TestARestoredDatabaseLeavesNoEventOut(t *testing.T) {
	h := postgres(t)
	p, _ := h.acquire(storetest.Node)
	h.append(signIn(ana, "ana@example.com"))
	read, p := h.rest(p)
	if p, _ = h.move(p); len(read) != 1 {
		t.Fatalf("read %v", read)
	}
	want := []id.Event{h.append(signIn(ana, "ana@example.com"))}
	const elsewhere = 1_000_000 // how much further the old server's transactions were
	h.exec(`UPDATE events SET xid = xid + $1`, int64(elsewhere))
	p.Low.Next, p.High.Next = p.Low.Next+elsewhere, p.High.Next+elsewhere
	h.exec(`UPDATE places SET low = $1, high = $2`, p.Low.String(), p.High.String())
	want = append(want, h.append(signIn(bob, "bob@example.com")))

	if _, _, err := h.page(p, 10); !errors.Is(err, events.ErrFenced) {
		t.Errorf("read on as if it was the old database: %v", err)
	}
	p, _ = h.acquire(storetest.Node)
	got, p := h.rest(p)
	for _, e := range want {
		if !slices.Contains(got, e) {
			t.Errorf("left out %s: %v", e, got)
		}
	}
	later := h.append(signIn(bob, "bob@example.com"))
	if got, _ := h.rest(p); !slices.Equal(got, []id.Event{later}) {
		t.Errorf("then read %v, want %v", got, later)
	}
}

func TestWhatIsParkedIsTriedFromTheFrontOfItsLane(t *testing.T) {
	each(t, func(h house) {
		now := time.Date(2026, 11, 21, 9, 0, 0, 0, time.UTC)
		due := func(at time.Time) (ids []id.Event) {
			h.do(func(tx *store.Tx) error {
				found, err := events.DueParked(tx, "mails", at, 10)
				for _, p := range found {
					ids = append(ids, p.Event)
				}
				return err
			})
			return ids
		}
		first := events.Parked{Follower: "mails", Event: "1", Position: 1, Lane: "ana", Why: "no", Next: now.Add(time.Second)}
		h.do(func(tx *store.Tx) error {
			return errors.Join(events.Park(tx, first), events.Park(tx, first),
				events.Park(tx, events.Parked{Follower: "mails", Event: "2", Position: 2, Lane: "ana"}),
				events.Park(tx, events.Parked{Follower: "other", Event: "1", Position: 1, Lane: "ana", Why: "no", Next: now}))
		})
		if got := due(now); len(got) != 0 {
			h.t.Errorf("tried before its time: %v", got)
		}
		if got := due(now.Add(time.Hour)); !slices.Equal(got, []id.Event{"1"}) {
			h.t.Errorf("due: %v", got)
		}
		h.do(func(tx *store.Tx) error { return events.Postpone(tx, first, "still no", now.Add(2*time.Hour)) })
		if got := due(now.Add(time.Hour)); len(got) != 0 {
			h.t.Errorf("tried before its second time: %v", got)
		}
		h.do(func(tx *store.Tx) error {
			n, err := events.RetryParked(tx, "mails", "", "")
			if n != 1 {
				h.t.Errorf("%d are tried at once", n)
			}
			return err
		})
		if got := due(now); !slices.Equal(got, []id.Event{"1"}) {
			h.t.Errorf("due at once: %v", got)
		}
		h.do(func(tx *store.Tx) error { return events.Unpark(tx, first) })
		if got := due(now); !slices.Equal(got, []id.Event{"2"}) {
			h.t.Errorf("due next: %v", got)
		}
		h.do(func(tx *store.Tx) error {
			lanes, err := events.ParkedLanes(tx, "mails")
			all, more := events.ListParked(tx, "", 10)
			if !lanes["ana"] || len(lanes) != 1 || len(all) != 2 || all[0].Follower != "mails" || all[1].Why != "no" {
				h.t.Errorf("lanes %v, all %+v", lanes, all)
			}
			return errors.Join(err, more)
		})
	})
}

func TestAPlaceTellsHowMuchIsUnread(t *testing.T) {
	each(t, func(h house) {
		p, _ := h.acquire(storetest.Node)
		for range 5 {
			h.append(signIn(ana, "ana@example.com"))
		}
		found, at, err := h.page(p, 2)
		if err != nil {
			h.t.Fatal(err)
		}
		if _, err := h.move(at.At(found[1])); err != nil {
			h.t.Fatal(err)
		}
		h.append(signIn(ana, "ana@example.com"))
		h.do(func(tx *store.Tx) error {
			all, err := events.Standings(tx, 100)
			if len(all) != 1 || all[0].Unread != 4 || all[0].Oldest.IsZero() || !all[0].Held || all[0].Holder != storetest.Node {
				h.t.Errorf("it stands at %+v", all)
			}
			return err
		})
	})
}
