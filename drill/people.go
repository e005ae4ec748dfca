package drill

import (
	"context"
	"sync"
	"time"

	"gatehouse/authenticators"
	"gatehouse/seal"
)

// Person is somebody who can sign in. Their password is the drill's.
type Person struct {
	Account  string
	Email    string
	Secret   string // of the authenticator app, base32
	password string
	device   string // the browser they come back with
	place    string // in the line, when the server was full
	last     int64  // the last time step used
}

// Password opens every account of a drill; none of them lives longer.
const Password = "seven tall lighthouses at noon"

const (
	appStep = 30 * time.Second
	// slack is how long a request may take without falling into another step.
	slack = 2 * time.Second
)

func stepAt(t time.Time) int64 { return t.Unix() / int64(appStep/time.Second) }

// ready tells whether there is a code left: that of this step or of the next.
func (p *Person) ready(now time.Time) bool { return p.last <= stepAt(now) }

// use takes the earliest step that is still good and returns its code.
func (p *Person) use(now time.Time) (code string, step int64, err error) {
	p.last = max(p.last+1, stepAt(now.Add(slack)))
	code, err = p.codeAt(p.last)
	return code, p.last, err
}

func (p *Person) codeAt(step int64) (string, error) {
	app := authenticators.NewTOTP("", seal.Secret(p.Secret), time.Time{})
	code, err := app.CodeAt(time.Unix(step*int64(appStep/time.Second), 0))
	return code.Reveal(), err
}

// crowd hands people to callers, each to one at a time.
type crowd struct {
	mu     sync.Mutex
	people []*Person
	asked  int // how often nobody was ready: a mistake in the drill's sums
}

func (c *crowd) take(now time.Time) *Person {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, p := range c.people {
		if p.ready(now) {
			c.people = append(c.people[:i], c.people[i+1:]...)
			return p
		}
	}
	c.asked++
	return nil
}

// keep takes somebody out for good.
func (c *crowd) keep() *Person {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.people) == 0 {
		return nil
	}
	p := c.people[len(c.people)-1]
	c.people = c.people[:len(c.people)-1]
	return p
}

func (c *crowd) back(p *Person) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.people = append(c.people, p)
}

// wait lets time pass unless ctx ends first.
func wait(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
