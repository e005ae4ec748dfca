package outbox_test

import (
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse/id"
	"gatehouse/outbox"
	"gatehouse/seal"
	"gatehouse/store"
	"gatehouse/store/storetest"
)

// office is an outbox with a clock of its own.
type office struct {
	t     *testing.T
	s     *store.Store
	keys  *seal.Keys
	clock *storetest.Clock
}

func each(t *testing.T, fn func(o office)) {
	var clock *storetest.Clock
	storetest.EachWith(t, func(o *store.Options) {
		clock = storetest.NewClock()
		o.Now = clock.Now
	}, func(t *testing.T, s *store.Store) {
		dir := t.TempDir() + "/keys"
		if err := seal.InitKeys(dir); err != nil {
			t.Fatal(err)
		}
		keys, err := seal.LoadKeys(dir)
		if err != nil {
			t.Fatal(err)
		}
		fn(office{t, s, keys, clock})
	})
}

func (o office) do(fn func(*store.Tx) error) {
	o.t.Helper()
	if err := o.s.Do(o.t.Context(), fn); err != nil {
		o.t.Fatal(err)
	}
}

func (o office) add(spoil func(*outbox.Message)) outbox.Message {
	o.t.Helper()
	m := reset(o.clock.Now())
	if spoil != nil {
		spoil(&m)
	}
	o.do(func(tx *store.Tx) error { return outbox.Add(tx, o.keys, m) })
	return m
}

func reset(now time.Time) outbox.Message {
	return outbox.Message{
		ID: id.New[id.Message](now, rand.Reader), Kind: outbox.Reset, To: "ana-" + rand.Text() + "@example.com", Locale: "en",
		Fields: map[string]string{outbox.Link: "https://gatehouse.example/link/secret", outbox.Name: "Ana"},
	}
}

// wish is for anything, at most limit messages.
func wish(limit int) outbox.Wish {
	return outbox.Wish{Channel: outbox.Mail, Lanes: limit, PerLane: limit, Backlog: limit}
}

func (o office) take(limit int) (taken []outbox.Message) {
	o.t.Helper()
	for _, lane := range o.lanes(wish(limit)) {
		taken = append(taken, lane...)
	}
	return taken
}

func take(tx *store.Tx, o office, limit int) (taken []outbox.Message, err error) {
	found, err := outbox.Take(tx, o.keys, o.clock.Now(), wish(limit))
	for _, lane := range found {
		taken = append(taken, lane...)
	}
	return taken, err
}

func (o office) lanes(w outbox.Wish) (taken [][]outbox.Message) {
	o.t.Helper()
	o.do(func(tx *store.Tx) (err error) {
		taken, err = outbox.Take(tx, o.keys, o.clock.Now(), w)
		return err
	})
	return taken
}

// later moves the clock, and the database's for what somebody has in hand.
func (o office) later(d time.Duration) {
	o.t.Helper()
	o.clock.Forward(d)
	o.do(func(tx *store.Tx) error {
		if byItsOwn := tx.ForUpdate() != ""; !byItsOwn {
			return nil
		}
		_, err := tx.Exec(`UPDATE outbox SET taken = taken - $1 WHERE taken > 0`, d.Microseconds())
		return err
	})
}

func (o office) stored(m outbox.Message) (payload []byte, lastError string, gone bool) {
	o.t.Helper()
	o.do(func(tx *store.Tx) error {
		return tx.Row(`SELECT payload, last_error, given_up = 1 FROM outbox WHERE id = $1`, string(m.ID)).Scan(&payload, &lastError, &gone)
	})
	return payload, lastError, gone
}

func TestAMailIsTakenAsItWasPutIn(t *testing.T) {
	each(t, func(o office) {
		m := o.add(func(m *outbox.Message) { m.Account = "a" })
		taken := o.take(10)
		if len(taken) != 1 {
			o.t.Fatalf("took %d", len(taken))
		}
		got := taken[0]
		if got.ID != m.ID || got.Kind != m.Kind || got.To != m.To || got.Account != "a" || got.Locale != "en" || got.Tries != 1 ||
			got.Fields[outbox.Link] != m.Fields[outbox.Link] || !got.MadeAt.Equal(o.clock.Now()) || !got.Expires.Equal(o.clock.Now().Add(30*time.Minute)) {
			o.t.Errorf("got %+v", got)
		}
	})
}

func TestAddingAMailTwiceIsAddingItOnce(t *testing.T) {
	each(t, func(o office) {
		m := o.add(nil)
		o.do(func(tx *store.Tx) error { return outbox.Add(tx, o.keys, m) })
		if n := len(o.take(10)); n != 1 {
			o.t.Errorf("took %d", n)
		}
	})
}

func TestAMailThatSaysNothingIsNotPutIn(t *testing.T) {
	each(t, func(o office) {
		for name, spoil := range map[string]func(*outbox.Message){
			"a kind nobody knows":  func(m *outbox.Message) { m.Kind = "newsletter" },
			"no id":                func(m *outbox.Message) { m.ID = "" },
			"no address":           func(m *outbox.Message) { m.To = "" },
			"a link mail, no link": func(m *outbox.Message) { delete(m.Fields, outbox.Link) },
			"a field nobody reads": func(m *outbox.Message) { m.Fields["colour"] = "red" },
		} {
			m := reset(o.clock.Now())
			spoil(&m)
			err := o.s.Do(o.t.Context(), func(tx *store.Tx) error { return outbox.Add(tx, o.keys, m) })
			if err == nil {
				o.t.Errorf("%s: was put in", name)
			} else if strings.Contains(err.Error(), "ana-") || strings.Contains(err.Error(), "https:") {
				o.t.Errorf("%s: the error tells too much: %v", name, err)
			}
		}
	})
}

func TestAMailOfARolledBackTransactionIsNeverSent(t *testing.T) {
	each(t, func(o office) {
		ours := errors.New("something else failed")
		err := o.s.Do(o.t.Context(), func(tx *store.Tx) error {
			return errors.Join(outbox.Add(tx, o.keys, reset(o.clock.Now())), ours)
		})
		if !errors.Is(err, ours) || len(o.take(10)) != 0 {
			o.t.Errorf("error %v, or a mail was taken", err)
		}
	})
}

func TestATakenMailIsSomebodyElsesAfterItsLeaseAndNotBefore(t *testing.T) {
	each(t, func(o office) {
		m := o.add(nil)
		o.take(10) // and this node dies
		o.later(outbox.Lease - time.Second)
		if n := len(o.take(10)); n != 0 {
			o.t.Fatalf("took %d within the lease", n)
		}
		o.later(2 * time.Second)
		again := o.take(10)
		if len(again) != 1 || again[0].ID != m.ID || again[0].Tries != 2 {
			o.t.Errorf("after the lease: %+v", again)
		}
	})
}

func TestTwoNodesNeverTakeTheSameMailAtOnce(t *testing.T) {
	each(t, func(o office) {
		const mails = 12
		for range mails {
			o.add(nil)
		}
		var mu sync.Mutex
		seen := map[id.Message]int{}
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				for range mails {
					var taken []outbox.Message
					err := o.s.Background(o.t.Context(), func(tx *store.Tx) (err error) {
						taken, err = take(tx, o, 3)
						return err
					})
					if err != nil {
						o.t.Error(err)
						return
					}
					mu.Lock()
					for _, m := range taken {
						seen[m.ID]++
					}
					mu.Unlock()
				}
			})
		}
		wg.Wait()
		for m, n := range seen {
			if n != 1 {
				o.t.Errorf("%s was taken %d times", m, n)
			}
		}
		if len(seen) != mails {
			o.t.Errorf("%d of %d were taken", len(seen), mails)
		}
	})
}

func TestANodeWaitsForTheTakingOfAnotherAndThenFindsNothing(t *testing.T) {
	each(t, func(o office) {
		o.add(nil)
		var other []outbox.Message
		done := make(chan error, 1)
		o.do(func(tx *store.Tx) error {
			taken, err := take(tx, o, 10)
			if err != nil || len(taken) != 1 {
				return fmt.Errorf("took %d: %w", len(taken), err)
			}
			go func() {
				done <- o.s.Background(o.t.Context(), func(tx *store.Tx) (err error) {
					other, err = take(tx, o, 10)
					return err
				})
			}()
			select {
			case err := <-done: // it did not wait for us
				done <- err
			case <-time.After(200 * time.Millisecond): // it waits, as it should
			}
			return nil
		})
		if err := <-done; err != nil || len(other) != 0 {
			o.t.Errorf("the other node took %d, %v", len(other), err)
		}
	})
}

func TestMailsAreTakenLongestDueFirstAndOnlyWhenDue(t *testing.T) {
	each(t, func(o office) {
		now := o.clock.Now()
		due := func(d time.Duration) outbox.Message {
			return o.add(func(m *outbox.Message) { m.Due = now.Add(d); m.Expires = now.Add(time.Hour) })
		}
		second, first := due(-time.Minute), due(-time.Hour)
		due(time.Minute)
		if taken := o.take(1); len(taken) != 1 || taken[0].ID != first.ID {
			o.t.Errorf("first %+v", taken)
		}
		if taken := o.take(10); len(taken) != 1 || taken[0].ID != second.ID {
			o.t.Errorf("second %+v", taken)
		}
	})
}

func TestAnExpiredMailIsNeverTakenEvenWhenNobodyTidiedUp(t *testing.T) {
	each(t, func(o office) {
		m := o.add(nil)
		o.clock.Forward(30 * time.Minute)
		if n := len(o.take(10)); n != 0 {
			o.t.Errorf("took %d", n)
		}
		var past []outbox.Past
		o.do(func(tx *store.Tx) (err error) {
			past, err = outbox.Expire(tx, o.clock.Now(), 10)
			return err
		})
		payload, why, gone := o.stored(m)
		if len(past) != 1 || past[0].Why != outbox.Expired || len(payload) != 0 || why != "expired" || !gone {
			o.t.Errorf("tidied up: %+v, %d bytes left, %q, given up %v", past, len(payload), why, gone)
		}
	})
}

func TestWhatWasSentIsWiped(t *testing.T) {
	each(t, func(o office) {
		m := o.add(nil)
		if payload, _, _ := o.stored(m); len(payload) == 0 || strings.Contains(string(payload), "ana-") || strings.Contains(string(payload), "secret") {
			o.t.Errorf("stored in the clear or not at all: %q", payload)
		}
		o.take(10)
		o.do(func(tx *store.Tx) error { return outbox.Sent(tx, o.clock.Now(), m.ID) })
		if payload, _, gone := o.stored(m); len(payload) != 0 || gone {
			o.t.Errorf("%d bytes are left, given up %v", len(payload), gone)
		}
		o.later(outbox.Lease * 2)
		if n := len(o.take(10)); n != 0 {
			o.t.Errorf("took it again")
		}
	})
}

func TestAFailedMailWaitsAndIsGivenUpInTime(t *testing.T) {
	each(t, func(o office) {
		m := o.add(nil)
		failed := func(why outbox.Class, wait time.Duration) (gone bool) {
			m.Tries++
			o.do(func(tx *store.Tx) (err error) {
				gone, err = outbox.Failed(tx, m, why, o.clock.Now().Add(wait))
				return err
			})
			return gone
		}
		o.take(10)
		if failed(outbox.Later, 10*time.Minute) {
			o.t.Fatal("given up at the first failure")
		}
		o.clock.Forward(9 * time.Minute)
		if len(o.take(10)) != 0 {
			o.t.Error("taken before its wait was over")
		}
		o.clock.Forward(2 * time.Minute)
		if len(o.take(10)) != 1 {
			o.t.Error("not taken after its wait")
		}
		if !failed(outbox.Refused, time.Hour) {
			o.t.Error("not given up though it runs out before the next try")
		}
		if payload, why, gone := o.stored(m); len(payload) != 0 || why != "refused" || !gone {
			o.t.Errorf("left: %d bytes, %q, given up %v", len(payload), why, gone)
		}
		if failed(outbox.Later, 0) {
			o.t.Error("given up twice")
		}
	})
}

func TestAMailThatDoesNotOpenStopsNoOther(t *testing.T) {
	each(t, func(o office) {
		poison, good := o.add(nil), o.add(nil)
		o.do(func(tx *store.Tx) error {
			_, err := tx.Exec(`UPDATE outbox SET payload = (SELECT payload FROM outbox WHERE id = $1) WHERE id = $2`, string(good.ID), string(poison.ID))
			return err
		})
		if taken := o.take(10); len(taken) != 1 || taken[0].ID != good.ID {
			o.t.Errorf("took %+v", taken)
		}
		if _, why, gone := o.stored(poison); why != "unreadable" || !gone {
			o.t.Errorf("the other is left with %q, given up %v", why, gone)
		}
	})
}

func TestAMailGivenBackIsDueAtOnceAndCountsNoTry(t *testing.T) {
	each(t, func(o office) {
		o.add(nil)
		m := o.take(10)[0]
		o.do(func(tx *store.Tx) error { return outbox.Release(tx, m) })
		if taken := o.take(10); len(taken) != 1 || taken[0].Tries != 1 {
			o.t.Errorf("got %+v", taken)
		}
	})
}

func TestTheOldestDueMailIsKnown(t *testing.T) {
	each(t, func(o office) {
		oldest := func() (at time.Time, any bool) {
			o.do(func(tx *store.Tx) (err error) {
				at, any, err = outbox.OldestDue(tx, o.clock.Now())
				return err
			})
			return at, any
		}
		if _, any := oldest(); any {
			o.t.Error("something is due in an empty outbox")
		}
		o.add(nil)
		since := o.clock.Now()
		o.clock.Forward(time.Minute)
		if at, any := oldest(); !any || !at.Equal(since) {
			o.t.Errorf("due since %v, %v", at, any)
		}
		o.clock.Forward(time.Hour)
		if _, any := oldest(); any {
			o.t.Error("an expired mail counts as waiting")
		}
	})
}

func TestFinishedMailsAreForgottenAndWaitingOnesAreNot(t *testing.T) {
	each(t, func(o office) {
		done := o.add(nil)
		o.add(func(m *outbox.Message) { m.Expires = o.clock.Now().Add(100 * time.Hour) })
		o.do(func(tx *store.Tx) error { return outbox.Sent(tx, o.clock.Now(), done.ID) })
		o.clock.Forward(time.Hour)
		var n int64
		o.do(func(tx *store.Tx) (err error) { n, err = outbox.Prune(tx, o.clock.Now()); return err })
		if n != 1 || len(o.take(10)) != 1 {
			o.t.Errorf("forgot %d", n)
		}
	})
}

func TestAVoidIsNeverTakenAndKeepsNothing(t *testing.T) {
	each(t, func(o office) {
		mail := o.add(nil)
		void := o.add(func(m *outbox.Message) { m.Kind = outbox.Void })
		real, _, _ := o.stored(mail)
		kept, _, _ := o.stored(void)
		if len(kept) != len(real) || strings.Trim(string(kept), "\x00") != "" {
			o.t.Errorf("%d bytes beside the mail's %d, or not all zero", len(kept), len(real))
		}
		if taken := o.take(10); len(taken) != 1 || taken[0].ID != mail.ID {
			o.t.Errorf("took %+v", taken)
		}
		var n int64
		o.do(func(tx *store.Tx) (err error) { n, err = outbox.Prune(tx, o.clock.Now().Add(time.Hour)); return err })
		if n != 1 {
			o.t.Errorf("forgot %d", n)
		}
	})
}

func (o office) hook(receiver string, more func(*outbox.Message)) outbox.Message {
	o.clock.Forward(time.Millisecond) // so that their order is known
	return o.add(func(m *outbox.Message) {
		m.Kind, m.To, m.Lane = outbox.Hook, "", receiver
		m.Fields = map[string]string{outbox.HookReceiver: receiver, outbox.HookEvent: rand.Text()}
		if more != nil {
			more(m)
		}
	})
}

func ids(lanes ...[]outbox.Message) (all []id.Message) {
	for _, lane := range lanes {
		for _, m := range lane {
			all = append(all, m.ID)
		}
	}
	return all
}

func TestALaneIsInOneHandAtATimeAndInOrder(t *testing.T) {
	each(t, func(o office) {
		hooks := outbox.Wish{Channel: outbox.Hooks, Lanes: 10, PerLane: 2, Backlog: 10}
		a1, a2, a3, b1 := o.hook("a", nil), o.hook("a", nil), o.hook("a", nil), o.hook("b", nil)
		o.add(nil) // a mail is of another channel
		first := o.lanes(hooks)
		if len(first) != 2 || !slices.Equal(ids(first...), []id.Message{a1.ID, a2.ID, b1.ID}) {
			o.t.Fatalf("took %+v", first)
		}
		if again := o.lanes(hooks); len(again) != 0 {
			o.t.Errorf("took of a lane that is in somebody's hand: %+v", again)
		}
		o.do(func(tx *store.Tx) error {
			return errors.Join(outbox.Sent(tx, o.clock.Now(), a1.ID), outbox.Release(tx, first[0][1]))
		})
		if next := o.lanes(hooks); !slices.Equal(ids(next...), []id.Message{a2.ID, a3.ID}) || next[0][0].Tries != 1 {
			o.t.Errorf("then took %+v", next)
		}
		if skipped := o.lanes(outbox.Wish{Channel: outbox.Mail, Lanes: 10, PerLane: 2, Backlog: 10, Skip: []string{"b"}}); len(skipped) != 1 {
			o.t.Errorf("of mails took %+v", skipped)
		}
	})
}

func TestLiveMessagesComeBeforeTheBacklogAndOnlyWhereTheirLaneHasNone(t *testing.T) {
	each(t, func(o office) {
		old := o.hook("slow", nil)
		older := o.hook("slower", func(m *outbox.Message) { m.Due = o.clock.Now().Add(-time.Hour) })
		o.clock.Forward(outbox.Fresh + time.Second)
		behind, live := o.hook("slow", nil), o.hook("live", nil)
		w := outbox.Wish{Channel: outbox.Hooks, Lanes: 10, PerLane: 10}
		if got := o.lanes(w); !slices.Equal(ids(got...), []id.Message{live.ID}) {
			o.t.Errorf("with no backlog allowed took %+v", got)
		}
		w.Backlog = 1
		if got := o.lanes(w); !slices.Equal(ids(got...), []id.Message{older.ID}) {
			o.t.Errorf("of a backlog of one took %+v", got)
		}
		w.Backlog = 10
		if got := o.lanes(w); !slices.Equal(ids(got...), []id.Message{old.ID, behind.ID}) {
			o.t.Errorf("then took %+v", got)
		}
	})
}

func TestWhoeverLostAMessageToAnotherDecidesNothingAboutIt(t *testing.T) {
	each(t, func(o office) {
		o.add(nil)
		stale := o.take(1)[0]
		o.later(outbox.Lease + time.Second)
		if taken := o.take(1); len(taken) != 1 {
			o.t.Fatalf("took %+v", taken)
		}
		o.do(func(tx *store.Tx) error {
			gone, err := outbox.Failed(tx, stale, outbox.Refused, o.clock.Now().Add(100*time.Hour))
			if gone {
				o.t.Error("the other's message was given up")
			}
			return errors.Join(err, outbox.Release(tx, stale))
		})
		if taken := o.take(1); len(taken) != 0 {
			o.t.Errorf("the other's message was given back: %+v", taken)
		}
	})
}

func TestOneAddressIsOneLaneAndDoesNotShow(t *testing.T) {
	each(t, func(o office) {
		for _, to := range []string{"ana@example.com", "Ana@Example.com", "bob@example.com"} {
			o.add(func(m *outbox.Message) { m.To = to })
		}
		got := o.lanes(wish(10))
		if len(got) != 2 || len(got[0])+len(got[1]) != 3 || strings.Contains(got[0][0].Lane, "ana") || got[0][0].Lane == got[1][0].Lane {
			o.t.Errorf("took %+v", got)
		}
	})
}
