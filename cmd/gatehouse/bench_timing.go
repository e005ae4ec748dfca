package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"math"
	"net/http"
	"time"
)

// BenchTiming asks whether the time of an answer tells if a name has an account.
type BenchTiming struct {
	benchFlags
	Tries int `default:"1000" placeholder:"N" help:"Tries of each sort."`
}

// mostT is the t that two sorts of answers of equal timing hardly ever reach
// (TVLA's bound: one run in 100,000).
const mostT = 4.5

// triesAName stays under limits.name_tries, whose refusals compute no hash.
const triesAName = 4

// Run tries unknown names and wrong passwords in random order, each from a new
// device in another network.
func (c *BenchTiming) Run(ctx context.Context, p *program) (err error) {
	if c.Tries < 2 {
		return &usageError{errors.New("--tries must be 2 or more"), "gatehouse bench timing --help"}
	}
	b, err := newBench(p, c.JSON)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.close()) }()
	s, err := b.open(ctx, "sqlite", 2*(c.Tries/triesAName+2)) // a person has two codes
	if err != nil {
		return err
	}
	known, unknown, err := c.measure(ctx, b, s)
	if err := errors.Join(err, s.stop()); err != nil {
		return err
	}
	t := math.Abs(welch(known, unknown))
	fmt.Fprintf(p.err, "A wrong password takes %.2f ms, an unknown name %.2f ms (medians %.2f and %.2f).\n",
		mean(known), mean(unknown), millis(known.percentile(50)), millis(unknown.percentile(50)))
	return errors.Join(b.report.add(atMost("timing", "Welch |t|", t, none, mostT)), b.report.end())
}

func mean(s samples) float64 {
	m, _ := s.meanVariance()
	return m * 1000
}

func (c *BenchTiming) measure(ctx context.Context, b *bench, s *benchServer) (known, unknown samples, err error) {
	client := newClient(s.house, 1)
	defer client.close()
	people := s.house.people.people
	var nobody string
	try := func(i int, into *samples, email string) error {
		begun := time.Now()
		err := client.wrongPassword(ctx, email)
		if i >= 0 {
			*into = append(*into, time.Since(begun))
		}
		return err
	}
	done := b.steps("tries", 2*c.Tries)
	defer done.end(true)
	for i := -triesAName; i < c.Tries; i++ { // the first name of each warms up
		name := (i + triesAName) / triesAName
		if (i+triesAName)%triesAName == 0 {
			nobody = "bench-" + rand.Text()[:12] + "@harbour.example" // as long as a known one
		}
		err := inRandomOrder(
			func() error { return try(i, &known, people[name].email) },
			func() error { return try(i, &unknown, nobody) })
		if err != nil {
			return nil, nil, err
		}
		if i >= 0 {
			done.one()
			done.one()
		}
	}
	return known, unknown, nil
}

func inRandomOrder(a, b func() error) error {
	if coin := rand.Text()[0]; coin%2 == 0 {
		a, b = b, a
	}
	if err := a(); err != nil {
		return err
	}
	return b()
}

func (c *client) wrongPassword(ctx context.Context, email string) error {
	a, err := c.post(ctx, "/api/v1/signin", c.network(), map[string]string{"email": email, "password": "not " + benchPassword})
	if err == nil && (a.status != http.StatusUnauthorized || a.Error.Code == "") {
		err = refusedStep("a wrong password", a, nil)
	}
	return err
}
