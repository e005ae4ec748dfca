package flow

import (
	"context"
	"slices"
	"sync"
	"time"

	"gatehouse/authenticators"
	"gatehouse/store"
)

// Bell tells those who wait on this node that something was asked or answered:
// a sign-in page by its attempt, an open Gatehouse Verify by its account. It is
// rung at once by what this node commits, and by Follow for what others did. A
// ring says only "look": who hears it reads the database.
type Bell struct {
	mu   sync.Mutex
	ears map[string][]chan struct{} // by name, the longest waiting first
	over bool
	last time.Time
}

// mostEars is how many may wait for one thing on this node: the tabs and devices of
// one person, and not whatever a program opens.
const mostEars = 16

// Listen hears rings for a name until stop is called. The channel holds one ring;
// it is closed when the server leaves, and for whoever has waited longest when
// mostEars are there already: who still looks at a page comes again.
func (b *Bell) Listen(name string) (heard <-chan struct{}, stop func()) {
	c := make(chan struct{}, 1)
	if b == nil {
		return c, func() {}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.over {
		close(c)
		return c, func() {}
	}
	if b.ears == nil {
		b.ears = map[string][]chan struct{}{}
	}
	if all := b.ears[name]; len(all) >= mostEars {
		close(all[0])
		b.ears[name] = slices.Clone(all[1:])
	}
	b.ears[name] = append(b.ears[name], c)
	return c, func() { b.forget(name, c) }
}

func (b *Bell) forget(name string, c chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if at := slices.Index(b.ears[name], c); at >= 0 {
		b.ears[name] = slices.Delete(b.ears[name], at, at+1)
	}
	if len(b.ears[name]) == 0 {
		delete(b.ears, name)
	}
}

// Ring wakes whoever listens to one of the names.
func (b *Bell) Ring(names ...string) {
	if b == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, name := range names {
		for _, c := range b.ears[name] {
			select {
			case c <- struct{}{}:
			default:
			}
		}
	}
}

// Ears counts those who listen, for tests and metrics.
func (b *Bell) Ears() (n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, ears := range b.ears {
		n += len(ears)
	}
	return n
}

// Close ends every wait, so that a server that leaves is not held up.
func (b *Bell) Close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.over = true
	for _, ears := range b.ears {
		for _, c := range ears {
			close(c)
		}
	}
	b.ears = nil
}

// bellOverlap is how far back a round looks again: commits of other nodes appear
// in another order than their times, and clocks differ a little.
const bellOverlap = 5 * time.Second

// Follow is one round of hearing what other nodes did. It costs nothing while
// nobody waits, and one short read otherwise.
func (b *Bell) Follow(ctx context.Context, s *store.Store, now time.Time) error {
	b.mu.Lock()
	since, idle := b.last, len(b.ears) == 0
	b.mu.Unlock()
	if idle {
		return nil
	}
	if since.IsZero() || now.Sub(since) > time.Minute {
		since = now
	}
	var touched []string
	err := s.BackgroundRead(ctx, func(tx *store.Tx) (err error) {
		touched, err = authenticators.ApprovalsSince(tx, since.Add(-bellOverlap))
		return err
	})
	if err != nil {
		return err
	}
	b.Ring(touched...)
	b.mu.Lock()
	b.last = now
	b.mu.Unlock()
	return nil
}
