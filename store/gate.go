package store

import (
	"context"
	"slices"
	"sync"
)

const (
	foregroundRank = iota
	backgroundRank
	ranks
)

// gate lets one in at a time, foreground before background, each in order of
// arrival. SQLite itself would let writers poll: whoever asks at the right
// moment wins, and a busy background loop asks often.
type gate struct {
	mu    sync.Mutex
	taken bool
	queue [ranks][]chan struct{}
}

func (g *gate) enter(ctx context.Context, rank int) error {
	g.mu.Lock()
	if !g.taken {
		g.taken = true
		g.mu.Unlock()
		return nil
	}
	turn := make(chan struct{})
	g.queue[rank] = append(g.queue[rank], turn)
	g.mu.Unlock()
	select {
	case <-turn:
		return nil
	case <-ctx.Done():
		g.giveUp(rank, turn)
		return ctx.Err()
	}
}

// giveUp leaves the queue, or hands on a turn that came in the same instant.
func (g *gate) giveUp(rank int, turn chan struct{}) {
	g.mu.Lock()
	i := slices.Index(g.queue[rank], turn)
	if i >= 0 {
		g.queue[rank] = slices.Delete(g.queue[rank], i, i+1)
	}
	g.mu.Unlock()
	if i < 0 {
		g.leave()
	}
}

func (g *gate) leave() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for rank := range g.queue {
		if len(g.queue[rank]) > 0 {
			close(g.queue[rank][0])
			g.queue[rank] = g.queue[rank][1:]
			return
		}
	}
	g.taken = false
}

func (g *gate) waiting() (n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for rank := range g.queue {
		n += len(g.queue[rank])
	}
	return n
}
