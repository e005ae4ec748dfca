package authenticators

import (
	"container/list"
	"context"
	"errors"
	"sync"

	"gatehouse/fault"
)

// DefaultQueue is how many callers may wait for a core. At about 100 ms a hash
// and two cores, the last of 128 waits some six seconds: longer helps nobody.
const DefaultQueue = 128

// queue lets so many in at once and the others in the order they came.
type queue struct {
	mu      sync.Mutex
	free    int
	bound   int
	waiting list.List // of chan struct{}, closed when its turn has come
}

func newQueue(places, bound int) *queue { return &queue{free: places, bound: bound} }

func (q *queue) length() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.waiting.Len()
}

// enter waits for a place and returns how to leave it. It returns fault.Busy at
// once when too many wait, and ends with ctx.
func (q *queue) enter(ctx context.Context) (leave func(), err error) {
	if err := ctx.Err(); err != nil {
		return nil, ended(err)
	}
	q.mu.Lock()
	if q.free > 0 {
		q.free--
		q.mu.Unlock()
		return q.leave, nil
	}
	if q.waiting.Len() >= q.bound {
		q.mu.Unlock()
		return nil, fault.New(fault.Busy, errors.New("authenticators: the hash queue is full"))
	}
	turn := make(chan struct{})
	place := q.waiting.PushBack(turn)
	q.mu.Unlock()
	select {
	case <-turn:
		if err := ctx.Err(); err != nil { // both came at once: nobody waits for what would be computed
			q.leave()
			return nil, ended(err)
		}
		return q.leave, nil
	case <-ctx.Done():
		q.giveUp(place, turn)
		return nil, ended(ctx.Err())
	}
}

// giveUp leaves the queue; a turn that came at the same moment goes to the next.
func (q *queue) giveUp(place *list.Element, turn chan struct{}) {
	q.mu.Lock()
	defer q.mu.Unlock()
	select {
	case <-turn:
		q.next()
	default:
		q.waiting.Remove(place)
	}
}

func (q *queue) leave() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.next()
}

// next hands a place to the longest waiting, or back.
func (q *queue) next() {
	first := q.waiting.Front()
	if first == nil {
		q.free++
		return
	}
	close(q.waiting.Remove(first).(chan struct{}))
}

// ended says Busy for a caller whose time ran out while waiting: nothing was checked.
func ended(err error) error { return fault.New(fault.Busy, err) }
