package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"slices"
	"time"
)

const (
	signInCallers = 16 // as in the issue
	crowdCallers  = 64
)

// turns is how often what is measured and its baseline take turns, so that a
// machine that is slower for a while is slower for both: some 2.5 s each.
func (b *bench) turns() int { return max(3, int(b.length/(2500*time.Millisecond))) }

func (b *bench) signInSQLite(ctx context.Context) error   { return b.signIn(ctx, "sqlite") }
func (b *bench) signInPostgres(ctx context.Context) error { return b.signIn(ctx, "postgres") }

func (b *bench) signIn(ctx context.Context, name string) error {
	rate, err := b.rate(ctx)
	if err != nil {
		return err
	}
	each := max(signInCallers, int(rate*b.length.Seconds())/b.turns())
	alone := max(5, int(rate*b.length.Seconds()/2))
	s, err := b.open(ctx, name, signInCallers+b.turns()*each+alone)
	if err != nil {
		return err
	}
	c := newClient(s.house, signInCallers)
	err = errors.Join(b.signInRate(ctx, name, c, each), b.signInAlone(ctx, name, c, alone))
	c.close()
	return errors.Join(err, s.stop())
}

// signInRate compares whole sign-ins with bare hashes, equally many of both.
func (b *bench) signInRate(ctx context.Context, name string, c *client, each int) error {
	one := func(ctx context.Context) error { _, err := c.anyone(ctx); return err }
	_, failed, err := burst(ctx, signInCallers, signInCallers, one) // warm up
	if err != nil || len(failed) > 0 {
		return errors.Join(append(failed, err)...)
	}
	done := b.steps("sign-ins with "+name, 2*b.turns())
	defer done.end(true)
	var product, bare samples // how long each turn took
	wrong := 0
	err = takeTurns(b.turns(), func() error {
		took, failed, err := burst(ctx, signInCallers, each, one)
		product = append(product, took)
		wrong += len(failed)
		b.tell(failed)
		done.one()
		return err
	}, func() error {
		took, err := b.bare.many(ctx, b.hash, each)
		bare = append(bare, took)
		done.one()
		return err
	})
	if err != nil {
		return err
	}
	perSecond := func(turns samples) float64 { return float64(each) / turns.percentile(50).Seconds() }
	return b.report.add(
		atLeast("signin/"+name, "sign-ins/s", perSecond(product), perSecond(bare), 0.95),
		atMost("signin/"+name+"/errors", "errors", float64(wrong), none, 0))
}

// signInAlone compares the time one sign-in takes with that of one hash.
func (b *bench) signInAlone(ctx context.Context, name string, c *client, n int) error {
	var product, bare samples
	done := b.steps("sign-ins one by one with "+name, n)
	defer done.end(true)
	err := takeTurns(n, func() error {
		begun := time.Now()
		_, err := c.anyone(ctx)
		product = append(product, time.Since(begun))
		done.one()
		return err
	}, func() error {
		begun := time.Now()
		b.bare.one(b.hash)
		bare = append(bare, time.Since(begun))
		return ctx.Err()
	})
	if err != nil {
		return err
	}
	p99, base := millis(product.percentile(99)), millis(bare.percentile(99))
	median, baseMedian := millis(product.percentile(50)), millis(bare.percentile(50))
	return b.report.add(
		atMost("signin/"+name+"/p99", "ms", p99, base, rounded(base+15)),
		atMost("signin/"+name+"/p50", "ms", median, baseMedian, rounded(baseMedian+15)))
}

// takeTurns does both, n times, the other one first every second time: whatever
// the first of a pair suffers from, both suffer from.
func takeTurns(n int, product, baseline func() error) error {
	for i := range n {
		first, second := product, baseline
		if i%2 == 1 {
			first, second = baseline, product
		}
		if err := first(); err != nil {
			return err
		}
		if err := second(); err != nil {
			return err
		}
	}
	return nil
}

func (b *bench) tell(failed []error) {
	for _, err := range failed[:min(len(failed), 3)] {
		fmt.Fprintln(b.p.err, "a sign-in failed:", err)
	}
}

// signInCPU measures the CPU time of the server for a sign-in without its hash:
// a server with the cheapest hash that a configuration may name, less the CPU
// time of that hash alone. With the default hash the rest would drown in it.
func (b *bench) signInCPU(ctx context.Context) error {
	return errors.Join(b.signInCPUOn(ctx, "sqlite"), b.signInCPUOn(ctx, "postgres"))
}

func (b *bench) signInCPUOn(ctx context.Context, name string) error {
	each := max(signInCallers, 60*int(b.length.Seconds())/b.turns())
	s, err := b.open(ctx, name+"/cheap", signInCallers+b.turns()*each)
	if err != nil {
		return err
	}
	c := newClient(s.house, signInCallers)
	one := func(ctx context.Context) error { _, err := c.anyone(ctx); return err }
	var product, bare time.Duration
	_, failed, err := burst(ctx, signInCallers, signInCallers, one) // warm up
	err = errors.Join(append(failed, err)...)
	if err == nil {
		err = takeTurns(b.turns(), func() error {
			used, err := spent(s.cpu, func() error {
				_, failed, err := burst(ctx, signInCallers, each, one)
				return errors.Join(append(failed, err)...)
			})
			product += used
			return err
		}, func() error {
			used, err := spent(ownCPU, func() error {
				_, err := b.bare.many(ctx, cheapest, each)
				return err
			})
			bare += used
			return err
		})
	}
	c.close()
	if err := errors.Join(err, s.stop()); err != nil {
		return err
	}
	n := float64(b.turns() * each)
	return b.report.add(atMost("signin/"+name+"/cpu", "ms without the hash", (millis(product)-millis(bare))/n, none, 3))
}

func spent(clock func() (time.Duration, error), do func() error) (time.Duration, error) {
	before, err := clock()
	if err != nil {
		return 0, err
	}
	if err := do(); err != nil {
		return 0, err
	}
	after, err := clock()
	return after - before, err
}

const sessionPath = "/api/v1/session"

// sessionCheck compares the session check with the least that net/http can do.
func (b *bench) sessionCheck(ctx context.Context) error {
	s, err := b.open(ctx, "sqlite", 1)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.stop()) }()
	c := newClient(s.house, 1)
	defer c.close()
	ticket, err := c.anyone(ctx)
	if err != nil {
		return err
	}
	bare, err := startBare(ctx)
	if err != nil {
		return err
	}
	defer bare.stop()
	done := b.steps("session checks", 2*b.turns())
	defer done.end(true)
	var product, base rates
	err = takeTurns(b.turns(), func() error {
		done.one()
		if ticket, err = renew(s.house.public, ticket); err != nil {
			return err
		}
		return product.add(crowdOf(ctx, signInCallers, s.house.public, sessionPath, ticket, b.length/time.Duration(b.turns())))
	}, func() error {
		done.one()
		return base.add(crowdOf(ctx, signInCallers, bare.address, sessionPath, ticket, b.length/time.Duration(b.turns())))
	})
	if err != nil {
		return err
	}
	return b.report.add(atLeast("check", "checks/s", product.median(), base.median(), 0.60))
}

// rates are those of each turn; their median is told.
type rates []float64

func (r *rates) add(n int64, took time.Duration, err error) error {
	*r = append(*r, float64(n)/took.Seconds())
	return err
}

func (r rates) median() float64 { return slices.Sorted(slices.Values(r))[len(r)/2] }

// renew asks once and keeps the ticket that comes back, as any client does: one
// that is never renewed would be renewed at every check.
func renew(address, ticket string) (string, error) {
	a, err := dialAsker(address, sessionPath, "10.200.1.1", ticket)
	if err != nil {
		return "", err
	}
	defer a.conn.Close()
	body, err := a.ask()
	return ticketOf(body, ticket), err
}

// idleFor is how long the server has nothing to do before it counts as idle.
const idleFor = 2 * time.Second

// memory measures the server after it was started and looked at, then under a
// crowd that signs in.
func (b *bench) memory(ctx context.Context) error {
	rate, err := b.rate(ctx)
	if err != nil {
		return err
	}
	n := max(2*crowdCallers, int(rate*b.length.Seconds()))
	s, err := b.open(ctx, "sqlite", n)
	if err != nil {
		return err
	}
	err = b.memoryOf(ctx, s, n)
	return errors.Join(err, s.stop())
}

func (b *bench) memoryOf(ctx context.Context, s *benchServer, n int) error {
	if err := look(ctx, s.house); err != nil {
		return err
	}
	if err := pause(ctx, idleFor); err != nil {
		return err
	}
	idle, _, err := s.memory()
	if err != nil {
		return err
	}
	c := newClient(s.house, crowdCallers)
	defer c.close()
	done := b.steps("64 callers at once", n)
	_, failed, err := burst(ctx, crowdCallers, n, func(ctx context.Context) error {
		defer done.one()
		_, err := c.anyone(ctx)
		return err
	})
	done.end(err == nil)
	if err != nil {
		return err
	}
	b.tell(failed)
	_, most, err := s.memory()
	if err != nil {
		return err
	}
	hashes := float64(runtime.GOMAXPROCS(0)) * float64(b.hash.MemoryKiB) / 1024
	return b.report.add(
		atMost("memory/idle", "MiB", idle, none, 60),
		atMost("memory/64", "MiB", most, none, 150+hashes),
		atMost("memory/64/errors", "errors", float64(len(failed)), none, 0))
}

// look opens the sign-in page, as the first person of the day does.
func look(ctx context.Context, h *benchHouse) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+h.public+"/signin", nil)
	if err != nil {
		return err
	}
	req.Host = benchHost
	req.Header.Set("X-Forwarded-For", "10.200.1.2")
	req.Header.Set("X-Forwarded-Proto", "https")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("/signin answers %s", resp.Status)
	}
	return nil
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// starts is how often the start is measured; the median counts.
const starts = 7

// ready measures the time from the start of the process until /startupz is good,
// on a database that people have used.
func (b *bench) ready(ctx context.Context) error {
	var took samples
	done := b.steps("starts", starts)
	defer done.end(true)
	for range starts {
		s, err := b.open(ctx, "sqlite", 2)
		if err != nil {
			return err
		}
		took = append(took, s.took)
		if err := s.stop(); err != nil {
			return err
		}
		done.one()
	}
	return b.report.add(atMost("ready", "ms", millis(took.percentile(50)), none, 300))
}
