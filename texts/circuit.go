package texts

import (
	"sync"
	"time"

	"gatehouse/outbox"
)

// How a provider that fails is left out: after so many failures in a row, or at
// once when it says that it does not know us or has enough, for so long. Then one
// message tries whether it is back.
const (
	failuresOpen = 2
	openFor      = 15 * time.Second
)

// circuit remembers how a provider did lately. One for each provider and node.
type circuit struct {
	mu      sync.Mutex
	failed  int
	until   time.Time
	probing bool
}

// lets tells whether a message may be given to the provider now. Whoever is let in
// after a pause is the only one until it says how it went.
func (c *circuit) lets(now time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.until.IsZero() {
		return true
	}
	if c.probing || now.Before(c.until) {
		return false
	}
	c.probing = true
	return true
}

// went notes how it went. A message that was refused shows that the provider lives.
func (c *circuit) went(class outbox.Class, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.probing = false
	switch class {
	case outbox.Done, outbox.Refused:
		c.failed, c.until = 0, time.Time{}
	case outbox.NotAllowed, outbox.Later, outbox.NotTrusted:
		c.failed, c.until = failuresOpen, now.Add(openFor)
	default:
		if c.failed++; c.failed >= failuresOpen {
			c.until = now.Add(openFor)
		}
	}
}

// open tells whether the provider is left out.
func (c *circuit) open() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return !c.until.IsZero()
}
