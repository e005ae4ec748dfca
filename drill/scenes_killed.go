package drill

import (
	"context"
	"errors"
	"fmt"
	"time"

	"gatehouse/store/pgtemp"
)

// cluster is a primary with a synchronous standby server, as an operator's
// cluster manager would keep it.
type cluster struct {
	*stage
	other *pgtemp.Machine // streams from primary
	made  int
}

// primaryKilled: the primary dies, its standby server is promoted, and a new
// standby server is made; several times. Nobody restarts anything of ours.
func primaryKilled(ctx context.Context, s *stage) error {
	c := &cluster{stage: s}
	if err := s.server(); err != nil {
		return err
	}
	if err := c.follow(); err != nil {
		return err
	}
	if err := s.openOn(ctx, 1, s.primary, c.other); err != nil {
		return err
	}
	if err := s.warm(ctx); err != nil {
		return err
	}
	flaps := min(5, max(1, int(s.length/(12*time.Second))))
	s.result.figure("flaps", flaps)
	worst := time.Duration(0)
	for i := range flaps {
		took, err := c.flap(ctx, i == flaps-1)
		if err != nil {
			return err
		}
		worst = max(worst, took)
	}
	s.result.figure("writes_back_s", worst.Seconds())
	if worst > writesBackWithin {
		s.result.miss("the primary took writes again after %v; %v are allowed", worst, writesBackWithin)
	}
	if err := s.hold(ctx, "new primary", s.length/4); err != nil {
		return err
	}
	if err := errors.Join(s.handedOver(ctx), s.settle(ctx, time.Minute)); err != nil {
		return err
	}
	return s.finish(ctx, 99.9)
}

// writesBackWithin is how long changes may be put off after the primary was lost.
const writesBackWithin = 5 * time.Second

// openOn starts nodes whose address of the database names several servers.
func (s *stage) openOn(ctx context.Context, nodes int, servers ...*pgtemp.Machine) error {
	var hosts []string
	for _, m := range servers {
		if m != nil {
			hosts = append(hosts, m.Host())
		}
	}
	for range nodes {
		if _, err := s.node(pgtemp.Address(database, hosts...), ""); err != nil {
			return err
		}
	}
	return s.startAll(ctx)
}

// follow makes another server that streams from the primary, and has the primary
// wait for it at every commit. It keeps the port of the one before.
func (c *cluster) follow() error {
	c.made++
	dir, err := c.folder(fmt.Sprintf("server%d", c.made))
	if err != nil {
		return err
	}
	port := 0
	if c.other != nil {
		port = c.other.Port
	}
	if c.other, err = c.primary.Follower(dir, port); err != nil {
		return err
	}
	c.later(c.other.Stop)
	return c.primary.Synchronous(true)
}

// flap kills the primary, promotes the other, and unless it is the last time
// makes a new standby server at the dead one's port.
func (c *cluster) flap(ctx context.Context, last bool) (writesBack time.Duration, err error) {
	dead := c.primary
	killed := c.Now()
	if err := c.breaks("killing the primary", dead.Kill, c.primaryIsGone); err != nil {
		return 0, err
	}
	if err := c.hold(ctx, "no primary", time.Second); err != nil { // until a cluster manager has noticed
		return 0, err
	}
	c.standby = true
	promote := func() error { return errors.Join(c.other.Synchronous(false), c.other.Promote()) }
	if err := c.heals("promoting the standby server", promote); err != nil {
		return 0, err
	}
	c.primary, c.other = c.other, dead
	if writesBack, err = c.untilWrites(ctx, killed); err != nil || last {
		return writesBack, err
	}
	if err := c.follow(); err != nil {
		return 0, err
	}
	return writesBack, c.hold(ctx, "new primary", 2*time.Second)
}

// untilWrites asks for changes until one is accepted.
func (s *stage) untilWrites(ctx context.Context, since time.Time) (time.Duration, error) {
	for i := 0; ; i++ {
		p := s.seed.people[i%len(s.seed.people)]
		a, err := s.people.client.forgot(ctx, p.Email, s.people.client.network())
		if err == nil && a.Status == 200 {
			return s.Now().Sub(since), nil
		}
		if s.Now().Sub(since) > time.Minute {
			return 0, fmt.Errorf("no change was accepted within a minute: %s, %w", a.why(), err)
		}
		if err := wait(ctx, 100*time.Millisecond); err != nil {
			return 0, err
		}
	}
}
