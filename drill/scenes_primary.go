package drill

import (
	"context"
	"errors"
	"time"
)

// primaryGone: the database is down for the whole drill. People sign in from the
// standby; changes wait.
func primaryGone(ctx context.Context, s *stage) error {
	if err := errors.Join(s.open(ctx, 1, ""), ctx.Err()); err != nil {
		return err
	}
	if err := s.warm(ctx); err != nil {
		return err
	}
	s.standby = true
	if err := s.breaks("killing the primary", s.primary.Kill, s.primaryIsGone); err != nil {
		return err
	}
	if err := s.hold(ctx, "no primary", s.length); err != nil {
		return err
	}
	s.firstSignIn()
	s.changesWait()
	if err := s.heals("starting the primary", s.primary.Start); err != nil {
		return err
	}
	if err := s.handedOver(ctx); err != nil {
		return err
	}
	if err := s.settle(ctx, time.Minute); err != nil {
		return err
	}
	return s.finish(ctx, 99.9)
}

// primaryIsGone asserts that no process of the primary is left.
func (s *stage) primaryIsGone() error {
	if s.primary.Runs() {
		return errors.New("the primary still runs")
	}
	return nil
}

// firstSignIn: somebody comes in within a second of the fault.
func (s *stage) firstSignIn() {
	for _, x := range s.people.samples.between(SignIn, s.faultAt, time.Time{}) {
		if x.OK {
			first := x.At.Add(x.Took).Sub(s.faultAt)
			s.result.figure("first_signin_s", first.Seconds())
			if first > time.Second+s.slowest() {
				s.result.miss("the first sign-in after the fault was done after %v", first)
			}
			return
		}
	}
	s.result.miss("nobody signed in after the fault")
}

// slowest is the p99 of sign-ins before the fault: what a sign-in takes on this
// machine anyway.
func (s *stage) slowest() time.Duration {
	return percentile(s.people.samples.between(SignIn, s.begun, s.faultAt), 99)
}

// changesWait: what was a change during the outage was put off with 503 and
// Retry-After, not refused and not accepted.
func (s *stage) changesWait() {
	later, other := 0, map[string]int{}
	for _, x := range s.people.samples.between(Reset, s.faultAt.Add(time.Second), time.Time{}) {
		switch {
		case x.Later:
			later++
		case x.OK:
			other["accepted"]++
		default:
			other[x.Why]++
		}
	}
	s.result.figure("changes_put_off", later)
	if later == 0 || len(other) > 0 {
		s.result.miss("changes during the outage: %d put off with 503 and Retry-After, others %v", later, other)
	}
}

// handOverWithin is how long the journal of a standby may take to be handed over.
const handOverWithin = 30 * time.Second

// handedOver waits until the primary knows all that people were told meanwhile.
func (s *stage) handedOver(ctx context.Context) error {
	begun := s.Now()
	for {
		told := s.people.journal.All()
		stored, err := s.House.Stored(ctx, s.nodes[0].Config, told)
		if err != nil {
			return err
		}
		missing := 0
		for _, r := range told {
			if !r.Ended && r.At.Before(s.healedAt) && !stored.Sessions[r.Session] {
				missing++
			}
		}
		if missing == 0 {
			s.result.figure("handed_over_s", s.Now().Sub(s.healedAt).Seconds())
			return nil
		}
		if s.Now().Sub(begun) > handOverWithin {
			s.result.miss("%d sessions of the outage are not handed over after %v", missing, handOverWithin)
			return nil
		}
		if err := wait(ctx, 200*time.Millisecond); err != nil {
			return err
		}
	}
}
