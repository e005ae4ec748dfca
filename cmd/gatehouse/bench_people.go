package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"gatehouse/authenticators"
	"gatehouse/events"
	"gatehouse/manage"
	"gatehouse/seal"
)

// benchPassword opens every account of a bench; none of them lives longer.
const benchPassword = "seven tall lighthouses at noon"

// benchPerson is an account that signs in again and again, as fast as its
// authenticator app permits: a code opens one door once.
type benchPerson struct {
	email  string
	app    authenticators.TOTP
	device string // the browser they come back with
	last   int64  // the last step used
}

const (
	appStep = 30 * time.Second
	// slack is how long a request may take without falling into another step.
	slack = 2 * time.Second
)

func stepAt(t time.Time) int64 { return t.Unix() / int64(appStep/time.Second) }

// ready tells whether there is a code left: that of this step or of the next.
func (b *benchPerson) ready(now time.Time) bool { return b.last <= stepAt(now) }

// use takes the earliest step that is still good.
func (b *benchPerson) use(now time.Time) (step int64) {
	b.last = max(b.last+1, stepAt(now.Add(slack)))
	return b.last
}

// code is what the app shows in the step that is used next.
func (b *benchPerson) code(now time.Time) (string, error) {
	code, err := b.app.CodeAt(time.Unix(b.use(now)*int64(appStep/time.Second), 0))
	return code.Reveal(), err
}

// crowd hands people to callers, each to one at a time.
type crowd struct {
	mu     sync.Mutex
	people []*benchPerson
}

var errStarved = errors.New("bench: everybody's codes are used up for now; this is a mistake in the bench's sums")

func (c *crowd) take(now time.Time) (*benchPerson, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, p := range c.people {
		if p.ready(now) {
			c.people = append(c.people[:i], c.people[i+1:]...)
			return p, nil
		}
	}
	return nil, errStarved
}

func (c *crowd) back(p *benchPerson) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.people = append(c.people, p)
}

// codes counts the sign-ins that are possible at once.
func (c *crowd) codes(now time.Time) (n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, p := range c.people {
		n += int(min(2, stepAt(now)+1-p.last))
	}
	return n
}

// invite makes accounts until so many sign-ins are possible, in this process and
// on every core. The server of the house must not run.
func (b *bench) invite(ctx context.Context, h *benchHouse, signIns int) error {
	missing := (signIns - h.people.codes(time.Now()) + 1) / 2
	if missing <= 0 {
		return nil
	}
	return h.inside(ctx, func(in *house) error {
		done := b.steps("making people for "+h.name, missing)
		var g errgroup.Group
		g.SetLimit(in.l.hashesAtOnce())
		for range missing {
			g.Go(func() error {
				p, err := settleBench(ctx, in)
				if err == nil {
					h.people.back(p)
					done.one()
				}
				return err
			})
		}
		err := g.Wait()
		done.end(err == nil)
		return err
	})
}

func settleBench(ctx context.Context, in *house) (*benchPerson, error) {
	secret, err := authenticators.NewTOTPSecret(rand.Reader)
	if err != nil {
		return nil, err
	}
	name := "bench-" + rand.Text()[:12]
	p := &benchPerson{email: name + "@harbour.example", app: authenticators.NewTOTP("Authenticator app", secret, time.Now())}
	person := manage.Person{Email: p.email, Name: name, Locale: "en", Zone: "UTC"}
	if _, err := in.manage.AddReady(ctx, manage.Ready{Person: person, Password: seal.Secret(benchPassword), TOTP: secret}, events.Operator); err != nil {
		return nil, fmt.Errorf("making a person: %w", err)
	}
	return p, nil
}
