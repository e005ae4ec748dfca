package limits

import (
	"sync"
	"time"
)

// Pace bounds how many steps one network, or one person who is signed in, takes in
// a second, in memory. Tries bound guessing; this keeps somebody who spends none
// from using up alone what a node has for everybody. The zero value, and nil, bound
// nothing.
type Pace struct {
	Max int // steps in one second of the clock

	mu     sync.Mutex
	second time.Time
	steps  map[string]int // of this second only, so it never grows for long
}

// Allow counts one step of somebody.
func (p *Pace) Allow(who string, now time.Time) bool {
	if p == nil || p.Max == 0 {
		return true
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if second := now.Truncate(time.Second); p.steps == nil || !second.Equal(p.second) {
		p.second, p.steps = second, map[string]int{}
	}
	p.steps[who]++
	return p.steps[who] <= p.Max
}
