package authenticators

import (
	"context"
	"slices"
	"sync"
	"testing"
	"testing/synctest"

	"gatehouse/fault"
)

func TestNoMoreRunAtOnceThanThereAreCores(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(2, 100)
		var mu sync.Mutex
		running, most := 0, 0
		step := make(chan struct{})
		for range 20 {
			go func() {
				leave, err := q.enter(t.Context())
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				running++
				most = max(most, running)
				mu.Unlock()
				<-step
				mu.Lock()
				running--
				mu.Unlock()
				leave()
			}()
		}
		for range 20 {
			synctest.Wait()
			step <- struct{}{}
		}
		synctest.Wait()
		if most != 2 || q.free != 2 || q.length() != 0 {
			t.Errorf("at most %d ran, %d free, %d wait; want 2, 2, 0", most, q.free, q.length())
		}
	})
}

func TestWhoWaitsLongestGoesFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(1, 10)
		leave, _ := q.enter(t.Context())
		var order []int
		for i := range 5 {
			go func() {
				out, err := q.enter(t.Context())
				if err == nil {
					order = append(order, i) // one at a time: the queue has one place
					out()
				}
			}()
			synctest.Wait()
		}
		leave()
		synctest.Wait()
		if !slices.Equal(order, []int{0, 1, 2, 3, 4}) {
			t.Error(order)
		}
	})
}

func TestAFullQueueSaysBusyAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(1, 2)
		leave, _ := q.enter(t.Context())
		for range 2 {
			go func() {
				if out, err := q.enter(t.Context()); err == nil {
					out()
				}
			}()
		}
		synctest.Wait()
		if _, err := q.enter(t.Context()); fault.Of(err) != fault.Busy {
			t.Errorf("the third in a queue of two: %v", err)
		}
		leave()
	})
}

func TestWaitingEndsWithTheRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(1, 10)
		leave, _ := q.enter(t.Context())
		ctx, cancel := context.WithCancel(t.Context())
		gone := make(chan error)
		go func() {
			_, err := q.enter(ctx)
			gone <- err
		}()
		synctest.Wait()
		cancel()
		if err := <-gone; fault.Of(err) != fault.Busy {
			t.Errorf("a caller who left: %v", err)
		}
		if q.length() != 0 {
			t.Error("it still stands in the queue")
		}
		leave()
		if q.free != 1 {
			t.Error("its place is lost")
		}
		if _, err := q.enter(ctx); fault.Of(err) != fault.Busy {
			t.Error("a request that is over must not take a place")
		}
	})
}

func TestATurnThatComesToSomeoneWhoLeavesGoesOn(t *testing.T) {
	q := newQueue(1, 10)
	leave, _ := q.enter(t.Context())
	turn := make(chan struct{})
	place := q.waiting.PushBack(turn)
	leave()               // the turn has come …
	q.giveUp(place, turn) // … to someone who leaves at the same moment
	if q.free != 1 {
		t.Error("the place is lost")
	}
}

// A turn that comes when the caller has already gone is nobody's: it is handed on,
// whichever of the two the select sees.
func TestATurnOfSomebodyWhoHasGoneIsHandedOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for range 50 {
			q := newQueue(1, 10)
			leave, _ := q.enter(t.Context())
			gone, hangUp := context.WithCancel(t.Context())
			var err error
			go func() { _, err = q.enter(gone) }()
			synctest.Wait()
			hangUp() // and at the same moment
			leave()
			synctest.Wait()
			if fault.Of(err) != fault.Busy || q.free != 1 || q.length() != 0 {
				t.Fatalf("%v, %d free, %d wait", err, q.free, q.length())
			}
		}
	})
}
