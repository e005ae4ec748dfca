package deliver

import (
	"encoding/binary"
	"io"
	"sync"
	"time"

	"gatehouse/outbox"
)

// line is one channel at work: messages taken, on their way, and told about.
type line struct {
	*Deliverer
	Channel

	wake    chan struct{}
	results chan result // of one Run
	sending sync.WaitGroup
	down    bool // it was told that messages wait

	mu     sync.Mutex
	queue  []chunk
	quick  int              // chunks on their way that hold a worker's place
	slow   int              // … that do not: something in them hangs, or did lately
	pauses map[string]pause // lanes whose recipient was away or slow
	filled time.Time        // when the budget of the backlog last grew
	budget float64          // messages of the backlog that may be taken
	failed int              // lanes that failed since one succeeded, of a Shared channel
	closed time.Time        // a Shared channel waits until then
}

// chunk is some messages of one lane, in order.
type chunk struct {
	lane     string
	messages []outbox.Message
	taken    time.Time
}

// pause is what is known of a lane that failed. It is this node's own knowledge:
// another one finds out with one message.
type pause struct {
	until time.Time
	times int // in a row
}

func (d *Deliverer) line(c Channel) *line {
	if c.Workers == 0 {
		c.Workers = 8
	}
	if c.Patience == 0 {
		c.Patience = 12 * time.Second
	}
	return &line{Deliverer: d, Channel: c, wake: make(chan struct{}, 1), pauses: map[string]pause{}}
}

const (
	queued    = 64  // lanes taken and not begun, at most
	perLane   = 100 // messages of one lane in a chunk
	atOnce    = 512 // results written in one transaction
	crowd     = 8   // times Workers may be out, the slow ones included
	slowAfter = time.Second
	skipped   = 1000 // paused lanes told to Take; others are given back
	breakAt   = 3    // lanes of a Shared channel that fail in a row
)

func (l *line) nudge() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// wish says what to take now; false when there is enough at hand.
func (l *line) wish() (outbox.Wish, bool) {
	busy := l.Busy != nil && l.Busy()
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.Now()
	l.grow(now, busy)
	w := outbox.Wish{Channel: l.Name, Lanes: queued - len(l.queue), PerLane: perLane, Backlog: int(l.budget)}
	if l.budget < l.rate()/20 { // a transaction for a handful costs as much as one for many
		w.Backlog = 0
	}
	if l.broken() {
		if now.Before(l.closed) || l.quick+l.slow+len(l.queue) > 0 {
			return w, false
		}
		w.Lanes, w.PerLane = 1, 1 // a probe
	}
	for lane, p := range l.pauses {
		if now.Before(p.until) && len(w.Skip) < skipped {
			w.Skip = append(w.Skip, lane)
		}
	}
	return w, len(l.queue) < queued/2 && l.quick < l.Workers
}

// grow adds to the backlog's budget what the time since has earned, at most a
// second's worth, and nothing while people wait.
func (l *line) grow(now time.Time, busy bool) {
	rate := l.rate()
	if since := now.Sub(l.filled); since > 0 && !l.filled.IsZero() {
		l.budget = min(l.budget+rate*since.Seconds(), rate)
	} else if l.filled.IsZero() {
		l.budget = min(rate, atOnce)
	}
	l.filled = now
	if busy {
		l.budget = 0
	}
}

// rate is how many messages of the backlog may be taken a second.
func (l *line) rate() float64 {
	if l.Rate == 0 {
		return 1200
	}
	return float64(l.Rate)
}

func (l *line) broken() bool { return l.Shared && l.failed >= breakAt }

// put queues what was taken and charges the backlog for its part.
func (l *line) put(taken [][]outbox.Message, at time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, messages := range taken {
		for _, m := range messages {
			if !m.Due.After(at.Add(-outbox.Fresh)) {
				l.budget--
			}
		}
		l.queue = append(l.queue, chunk{messages[0].Lane, messages, at})
	}
}

// next takes a chunk that may begin from the queue. One whose lane was slow or
// away lately takes no worker's place, and waits while too many such are out.
func (l *line) next() (c chunk, known, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, c := range l.queue {
		_, known = l.pauses[c.lane]
		if known && l.slow >= (crowd-1)*l.Workers || !known && l.quick >= l.Workers {
			continue
		}
		l.queue = append(l.queue[:i:i], l.queue[i+1:]...)
		if known {
			l.slow++
		} else {
			l.quick++
		}
		return c, known, true
	}
	return c, false, false
}

// emptied is what is still queued; nothing is afterwards.
func (l *line) emptied() []chunk {
	l.mu.Lock()
	defer l.mu.Unlock()
	rest := l.queue
	l.queue = nil
	return rest
}

// turnSlow frees the worker's place of a chunk in which something hangs, as long
// as there is room for more of those; it tells whether there was.
func (l *line) turnSlow() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.slow >= (crowd-1)*l.Workers {
		return false
	}
	l.quick, l.slow = l.quick-1, l.slow+1
	l.nudge()
	return true
}

func (l *line) over(slow bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if slow {
		l.slow--
	} else {
		l.quick--
	}
	l.nudge()
}

// went notes that a lane works. A success also mends a Shared channel, and with
// it the lanes that failed because of it.
func (l *line) went(lane string, hung bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.broken() {
		clear(l.pauses)
		l.nudge()
	}
	l.failed = 0
	delete(l.pauses, lane)
	if hung {
		l.pauses[lane] = pause{} // it may go on at once, but not in a worker's place
	}
}

// fails notes that a lane's recipient is away, and returns until when it pauses.
func (l *line) fails(lane string, now time.Time) time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	p := l.pauses[lane]
	p.times++
	p.until = now.Add(l.wait(outbox.Unreachable, p.times))
	l.pauses[lane] = p
	l.failed++
	if l.broken() {
		l.closed = now.Add(min(l.wait(outbox.Unreachable, l.failed-breakAt+1), time.Minute))
	}
	return p.until
}

// mayGo tells whether a lane may be tried now.
func (l *line) mayGo(lane string, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return !now.Before(l.pauses[lane].until) && !(l.broken() && now.Before(l.closed))
}

// The waits between tries: the first, and the longest.
const (
	firstWait   = 5 * time.Second
	refusedWait = 5 * time.Minute // whoever says no for good seldom changes its mind at once
	longestWait = 10 * time.Minute
)

// wait doubles from try to try. A quarter up or down by chance keeps nodes and
// messages from coming back all at once.
func (d *Deliverer) wait(why outbox.Class, try int) time.Duration {
	t := firstWait
	if why == outbox.Refused {
		t = refusedWait
	}
	for i := 1; i < try && t < longestWait; i++ {
		t *= 2
	}
	t = min(t, longestWait)
	return t*3/4 + time.Duration(d.chance(uint64(t/2)))
}

// chance is a number below limit; without randomness it is the middle.
func (d *Deliverer) chance(limit uint64) uint64 {
	var b [8]byte
	if _, err := io.ReadFull(d.Rand, b[:]); err != nil {
		return limit / 2
	}
	return binary.BigEndian.Uint64(b[:]) % limit
}
