package peers

import "sync"

// queue holds what one peer has not yet been told. It never waits: when it is
// full the oldest go, and are counted.
type queue struct {
	more chan struct{} // holds one when there is something new

	mu      sync.Mutex
	lines   [][]byte
	first   int64 // number of lines[0] since the start
	bytes   int
	dropped int64
}

const (
	maxQueued      = 4096
	maxQueuedBytes = 16 << 20
)

func newQueue() *queue { return &queue{more: make(chan struct{}, 1)} }

func (q *queue) push(line []byte) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.lines = append(q.lines, line)
	q.bytes += len(line)
	for len(q.lines) > maxQueued || q.bytes > maxQueuedBytes {
		q.shift()
		q.dropped++
	}
	select {
	case q.more <- struct{}{}:
	default:
	}
}

func (q *queue) shift() {
	q.bytes -= len(q.lines[0])
	q.lines[0] = nil
	q.lines = q.lines[1:]
	q.first++
}

// head returns the oldest lines, at most so many that a tell may hold, and the
// number of the first. They stay until done.
func (q *queue) head() (batch [][]byte, first int64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	size := 0
	for _, line := range q.lines[:min(maxLines, len(q.lines))] {
		if size += len(line) + 1; size > maxTell {
			break
		}
		batch = append(batch, line)
	}
	return batch, q.first
}

// done takes out every line before the one numbered next; lost of them did not
// arrive for good.
func (q *queue) done(next int64, lost int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for q.first < next && len(q.lines) > 0 {
		q.shift()
	}
	q.dropped += int64(lost)
	if len(q.lines) == 0 {
		q.lines = nil // let go of what lies before it
	}
}

func (q *queue) size() (waiting int, dropped int64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.lines), q.dropped
}
