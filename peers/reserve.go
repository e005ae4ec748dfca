package peers

import (
	"sync"
	"time"

	"gatehouse/store"
)

// Reservations remember for a few minutes who claimed which one-time fact, first
// come first served. They bridge the time between a claim and the moment the
// claimant's entry has come round; they are memory only, as a claim that a restart
// forgets is found at the hand-over.
type Reservations struct {
	now func() time.Time

	mu    sync.Mutex
	by    map[place]reservation
	queue []expiry // oldest first: the clock never goes back
}

type place struct{ table, key string }

type reservation struct {
	by    string
	until time.Time
}

type expiry struct {
	at    place
	until time.Time
}

const (
	reserveFor = 5 * time.Minute // longer than any entry takes to come round while two nodes see each other
	maxReserve = 1 << 18         // about 64 MB; a node checks far fewer passwords in that time
)

// NewReservations makes an empty memory on the clock now.
func NewReservations(now func() time.Time) *Reservations {
	return &Reservations{now: now, by: map[place]reservation{}}
}

// Reserve takes all facts for those they name, or none when one belongs to
// somebody else. It returns those that nobody had before. When the memory is full
// it grants nothing: what cannot be remembered cannot be refused to the next.
func (r *Reservations) Reserve(facts []store.Fact) (made []store.Fact, granted bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.now()
	r.forget(now)
	seen := map[place]string{}
	for _, f := range facts {
		at := place{f.Table, f.Key}
		owner, taken := r.by[at]
		if first, twice := seen[at]; taken && owner.by != f.By || twice && first != f.By {
			return nil, false
		}
		seen[at] = f.By
		if !taken {
			made = append(made, f)
		}
	}
	if len(r.by)+len(made) > maxReserve {
		return nil, false
	}
	for _, f := range made {
		at, until := place{f.Table, f.Key}, now.Add(reserveFor)
		r.by[at] = reservation{f.By, until}
		r.queue = append(r.queue, expiry{at, until})
	}
	return made, true
}

// Release gives back what Reserve made and was not granted elsewhere.
func (r *Reservations) Release(made []store.Fact) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, f := range made {
		if at := (place{f.Table, f.Key}); r.by[at].by == f.By {
			delete(r.by, at)
		}
	}
}

// forget drops what is over. A place that was released and taken again has a
// later end than its first line in the queue says, and stays.
func (r *Reservations) forget(now time.Time) {
	n := 0
	for ; n < len(r.queue) && !now.Before(r.queue[n].until); n++ {
		e := r.queue[n]
		if !now.Before(r.by[e.at].until) {
			delete(r.by, e.at)
		}
	}
	r.queue = r.queue[n:]
	if n > 0 && len(r.queue) == 0 {
		r.queue = nil // let go of what lies before it
	}
}
