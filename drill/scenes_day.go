package drill

import (
	"context"
	"fmt"
	"time"
)

// xeroDay: one hour of a day in which nothing beside the sign-in works, and
// people and operators go on with their lives.
func xeroDay(ctx context.Context, s *stage) error {
	if err := s.needMovable(); err != nil {
		return err
	}
	if err := s.open(ctx, 1, s.exports()); err != nil {
		return err
	}
	if err := s.warm(ctx); err != nil {
		return err
	}
	things, err := s.collect(ctx)
	if err != nil {
		return err
	}
	stop := func() error { s.mail.feel(Hangs); return s.freeze(ctx) }
	if err := s.breaks("pausing the workers, hanging the mail server", stop, func() error { return s.untilWorkers(ctx, "paused") }); err != nil {
		return err
	}
	if err := s.theDay(ctx, things); err != nil {
		return err
	}
	open := func() error { s.mail.feel(Well); return s.thaw(ctx) }
	if err := s.heals("letting everything go on", open); err != nil {
		return err
	}
	if err := s.mailComes(ctx); err != nil {
		return err
	}
	if err := s.effects(ctx, newExported(s.exportDir())); err != nil {
		return err
	}
	if err := s.settle(ctx, time.Minute); err != nil {
		return err
	}
	if s.detected.IsZero() || s.detected.Sub(s.faultAt) > time.Minute {
		s.result.miss("the program did not say within a minute that something is wrong")
	}
	return s.finish(ctx, 100)
}

func (s *stage) theDay(ctx context.Context, things expiring) error {
	for _, part := range []struct {
		what string
		do   func() error
	}{
		{"an admin disables somebody", func() error { return s.throwOut(ctx) }},
		{"somebody resets a password", func() error { return s.changePassword(ctx, things) }},
		{"sessions idle out", func() error {
			if err := s.jump(ctx, 31*time.Minute); err != nil {
				return err
			}
			s.result.figure("expired_things_used", s.useExpired(ctx, expiring{attempts: things.attempts, sessions: things.sessions}, 31*time.Minute))
			return nil
		}},
	} {
		if err := part.do(); err != nil {
			return fmt.Errorf("%s: %w", part.what, err)
		}
		if err := s.hold(ctx, part.what, s.length/3); err != nil {
			return err
		}
	}
	return nil
}

// outWithin is how soon somebody who was disabled must be out.
const outWithin = 5 * time.Second

// throwOut disables somebody who has a session, and waits until it is over.
func (s *stage) throwOut(ctx context.Context) error {
	p := s.crowd.keep()
	r, why := s.people.client.signIn(ctx, p, s.Now, s.people.phone)
	if why != "" {
		return fmt.Errorf("signing in: %s", why)
	}
	s.people.journal.Told(r)
	s.people.journal.EndedOf(r.Account)
	if err := s.House.Disable(ctx, s.nodes[0].Config, p.Email); err != nil {
		return err
	}
	from := s.Now()
	for {
		a, err := s.people.client.check(ctx, r.Ticket)
		if err == nil && a.Status == 401 {
			break
		}
		if s.Now().Sub(from) > outWithin {
			s.attack.judged("the session of a disabled person", true, p.Email)
			break
		}
		if err := wait(ctx, 20*time.Millisecond); err != nil {
			return err
		}
	}
	s.result.figure("out_after_s", s.Now().Sub(from).Seconds())
	s.attack.shut(p)
	s.attack.revoke(r)
	return nil
}

// changePassword uses a mailed link that came before everything broke; from then
// on the old password opens nothing.
func (s *stage) changePassword(ctx context.Context, things expiring) error {
	p := things.resetter
	before := len(s.people.samples.between(Reset, s.faultAt, time.Time{}))
	s.people.finish(ctx, p, things.links[0], s.people.client.network())
	if p.password == "" {
		after := s.people.samples.between(Reset, s.faultAt, time.Time{})
		return fmt.Errorf("the password was not changed: %v", reasons(after[before:]))
	}
	a, err := s.people.client.password(ctx, &Person{Email: p.Email}, Password, s.people.client.network())
	s.attack.judged("the old password", err == nil && a.Next == "totp", p.Email)
	return nil
}
