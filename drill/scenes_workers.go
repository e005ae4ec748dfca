package drill

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"gatehouse/events"
)

// needMovable is for drills that pause workers or move the clock.
func (s *stage) needMovable() error {
	if !s.Movable {
		return notRun("this program was built without -tags drill, so its workers and its clock cannot be touched")
	}
	return nil
}

// freeze pauses every worker of every node: mail, web-hooks, followers, upkeep.
// What a session check rests on goes on; it is no worker.
func (s *stage) freeze(ctx context.Context) error { return s.pause(ctx, "all", "paused") }

// thaw lets them go on.
func (s *stage) thaw(ctx context.Context) error { return s.pause(ctx, "", "runs") }

func (s *stage) pause(ctx context.Context, names, want string) error {
	for _, n := range s.nodes {
		if status, text := n.manage(ctx, "POST", "/drill/pause", names); status != 200 {
			return fmt.Errorf("pausing workers: %d %s", status, text)
		}
	}
	return s.untilWorkers(ctx, want)
}

// pauseWithin is how long workers may take to leave what they were doing: a mail
// or a call of a web-hook that is under way.
const pauseWithin = 20 * time.Second

// untilWorkers waits until every worker is what it should be, and fails when
// there is none at all.
func (s *stage) untilWorkers(ctx context.Context, want string) error {
	begun := s.Now()
	for _, n := range s.nodes {
		for {
			_, text := n.manage(ctx, "GET", "/drill/pause", "")
			lines := strings.Fields(text)
			if len(lines) >= 4 && len(lines)/2 == strings.Count(text, " "+want+"\n") {
				break
			}
			if s.Now().Sub(begun) > pauseWithin {
				return fmt.Errorf("not every worker is %s: %s", want, strings.ReplaceAll(text, "\n", ", "))
			}
			if err := wait(ctx, 20*time.Millisecond); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *stage) exportDir() string { return filepath.Join(s.dir, "export") }

// exports makes the node write the log into files: an effect that can be counted.
func (s *stage) exports() string { return "export: {folder: " + s.exportDir() + "}\n" }

// pairsAsked is how many alternating pairs a ratio of latencies rests on.
const pairsAsked = 10

// eventWorkersFrozen: nothing in a sign-in waits for a worker; the backlog is
// drained beside live work, in order and once.
func eventWorkersFrozen(ctx context.Context, s *stage) error {
	if err := s.needMovable(); err != nil {
		return err
	}
	if err := s.open(ctx, 1, s.exports()); err != nil {
		return err
	}
	if err := s.warm(ctx); err != nil {
		return err
	}
	pairs, err := s.alternate(ctx, max(800*time.Millisecond, s.length/(2*pairsAsked)))
	if err != nil {
		return err
	}
	if n := fewest(pairs); n < enoughForPace {
		s.result.miss("only %d sign-ins with the workers frozen or running: too few for a p99", n)
	}
	r, low, high := ratio(pairs, s.Pick)
	s.result.figure("p99_ratio", r)
	s.result.figure("p99_ratio_interval", fmt.Sprintf("%.2f–%.2f", low, high))
	if r > 1.2 && low > 1 {
		s.result.miss("p99 of sign-ins is %.2f × (%.2f–%.2f) with the workers frozen; 1.2 is allowed", r, low, high)
	}
	if err := s.backlog(ctx, pairs); err != nil {
		return err
	}
	return s.finish(ctx, 100)
}

// fewest is how many sign-ins the smaller side of all pairs has.
func fewest(pairs []pair) int {
	with, without := 0, 0
	for _, p := range pairs {
		with, without = with+len(p.with), without+len(p.without)
	}
	return min(with, without)
}

// alternate freezes and thaws the workers in turn.
func (s *stage) alternate(ctx context.Context, slot time.Duration) (pairs []pair, err error) {
	frozen := func() error { return s.untilWorkers(ctx, "paused") }
	for range pairsAsked {
		if err := s.breaks("pausing the workers", func() error { return s.freeze(ctx) }, frozen); err != nil {
			return nil, err
		}
		from := s.Now()
		if err := s.hold(ctx, "workers frozen", slot); err != nil {
			return nil, err
		}
		turn := s.Now()
		if err := s.thaw(ctx); err != nil {
			return nil, err
		}
		if err := s.hold(ctx, "workers run", slot); err != nil {
			return nil, err
		}
		pairs = append(pairs, pair{s.people.samples.between(SignIn, from, turn), s.people.samples.between(SignIn, turn, s.Now())})
	}
	return pairs, nil
}

// backlog writes a heap of events while the workers are frozen, lets them go, and
// watches them catch up.
func (s *stage) backlog(ctx context.Context, pairs []pair) error {
	n := 100_000
	if s.Small {
		n = 5000
	}
	if err := s.freeze(ctx); err != nil {
		return err
	}
	s.tell("writing a backlog")
	if err := s.House.Backlog(ctx, s.nodes[0].Config, s.seed.people, n); err != nil {
		return err
	}
	s.result.figure("backlog", n)
	from := s.Now()
	if err := s.heals("letting the workers go", func() error { return s.thaw(ctx) }); err != nil {
		return err
	}
	log := newExported(s.exportDir())
	if err := s.drained(ctx, log, n, from); err != nil {
		return err
	}
	s.livePace(pairs, from)
	if err := s.settle(ctx, time.Minute); err != nil {
		return err
	}
	return s.effects(ctx, log)
}

// drainWithin is how long a backlog may take to be drained.
const drainWithin = 120 * time.Second

func (s *stage) drained(ctx context.Context, log *exported, n int, from time.Time) error {
	for {
		if err := log.look(); err != nil {
			return err
		}
		if log.kinds[string(events.ProfileChanged)] >= n {
			s.result.figure("drained_s", s.Now().Sub(from).Seconds())
			return nil
		}
		if s.Now().Sub(from) > drainWithin {
			s.result.miss("%d of %d events of the backlog were handled within %v", log.kinds[string(events.ProfileChanged)], n, drainWithin)
			return nil
		}
		s.tell("draining")
		if err := wait(ctx, 250*time.Millisecond); err != nil {
			return err
		}
	}
}

// livePace: while the backlog drains, sign-ins take at most twice as long.
func (s *stage) livePace(pairs []pair, from time.Time) {
	var usual []Sample
	for _, p := range pairs {
		usual = append(usual, p.without...)
	}
	live := s.people.samples.between(SignIn, from, s.Now())
	base, now := percentile(usual, 99), percentile(live, 99)
	if base == 0 || now == 0 {
		return // drained before anybody signed in
	}
	s.result.figure("draining_p99_ratio", float64(now)/float64(base))
	if now > 2*base {
		s.result.miss("p99 of sign-ins is %v while the backlog drains, %v otherwise; twice is allowed", now, base)
	}
}

// effectsWithin is how long the effect of the last sign-in may take.
const effectsWithin = 10 * time.Second

// effects: every acknowledged sign-in has been handed on, once and in its
// account's order.
func (s *stage) effects(ctx context.Context, log *exported) error {
	told := s.people.journal.Since(s.begun)
	begun := s.Now()
	for {
		if err := log.look(); err != nil {
			return err
		}
		missing := 0
		for _, r := range told {
			if !log.inside[r.Session] {
				missing++
			}
		}
		if missing == 0 {
			break
		}
		if s.Now().Sub(begun) > effectsWithin {
			s.result.miss("%d of %d sign-ins were not handed on to the export", missing, len(told))
			break
		}
		if err := wait(ctx, 100*time.Millisecond); err != nil {
			return err
		}
	}
	s.result.figure("effects", len(log.ids))
	if log.twice() > 0 || log.early > 0 || log.broken > 0 {
		s.result.miss("of the exported events %d came twice, %d before an earlier one of the same account, %d lines are broken", log.twice(), log.early, log.broken)
	}
	return nil
}
