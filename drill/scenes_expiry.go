package drill

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"
)

// expiring are the things that run out, got while they were good.
type expiring struct {
	attempts []held // password shown, code not
	sessions []Receipt
	links    []string // tokens of reset mails
	resetter *Person  // whose they are
	invited  string   // token of an invitation
}

// held is a sign-in that stopped after its password.
type held struct {
	person          *Person
	attempt, device string
}

// workerFrozenExpiry: every expiry is judged where the thing is used; no worker
// has to come by first.
func workerFrozenExpiry(ctx context.Context, s *stage) error {
	if err := s.needMovable(); err != nil {
		return err
	}
	if err := s.open(ctx, 1, ""); err != nil {
		return err
	}
	if err := s.warm(ctx); err != nil {
		return err
	}
	things, err := s.collect(ctx)
	if err != nil {
		return err
	}
	if err := s.breaks("pausing the workers", func() error { return s.freeze(ctx) }, func() error { return s.untilWorkers(ctx, "paused") }); err != nil {
		return err
	}
	if err := s.hold(ctx, "workers frozen", s.length/2); err != nil {
		return err
	}
	tried := 0
	for _, jump := range []time.Duration{31 * time.Minute, 13 * time.Hour, 8 * 24 * time.Hour} {
		if err := s.jump(ctx, jump); err != nil {
			return err
		}
		tried += s.useExpired(ctx, things, jump)
		if err := s.hold(ctx, fmt.Sprintf("%v later", jump), s.length/4); err != nil {
			return err
		}
	}
	s.result.figure("expired_things_used", tried)
	if tried < 5 {
		s.result.miss("only %d expired things were tried", tried)
	}
	if err := s.heals("letting the workers go", func() error { return s.thaw(ctx) }); err != nil {
		return err
	}
	if err := s.settle(ctx, time.Minute); err != nil {
		return err
	}
	return s.finish(ctx, 100)
}

// collect gets one of each while it is good.
func (s *stage) collect(ctx context.Context) (t expiring, err error) {
	c := s.people.client
	for range 3 {
		p := s.crowd.keep()
		a, err := c.password(ctx, p, Password, c.network())
		if err != nil || a.Next != "totp" {
			return t, fmt.Errorf("showing a password: %s, %w", a.why(), err)
		}
		t.attempts = append(t.attempts, held{p, a.Attempt, a.Device})
	}
	p, begun := s.crowd.keep(), s.Now()
	if a, err := c.forgot(ctx, p.Email, c.network()); err != nil || a.Status != http.StatusOK {
		return t, fmt.Errorf("asking for a reset: %s, %w", a.why(), err)
	}
	waiting, cancel := context.WithTimeout(ctx, 4*mailPatience)
	defer cancel()
	token := s.mail.link(waiting, p.Email, begun)
	if token == "" {
		return t, errors.New("no mail arrived before anything was broken")
	}
	t.links, t.resetter = append(t.links, token), p
	t.sessions = s.people.journal.last(3)
	t.invited, err = s.House.Invite(ctx, s.nodes[0].Config, "newcomer@harbour.example")
	return t, err
}

// jump moves the clock of every node, and everybody's phone, so far from the
// machine's own. What people have open ends by that, as it should.
func (s *stage) jump(ctx context.Context, to time.Duration) error {
	return s.still(ctx, func() error {
		s.people.skew.Store(int64(to))
		for _, r := range s.people.journal.All() {
			s.people.journal.Ended(r.Session)
		}
		return s.moveClocks(ctx, to)
	})
}

// still does something while no request is under way: a moved clock moves what Go
// measures too, which a machine's clock does not.
func (s *stage) still(ctx context.Context, do func() error) error {
	s.attack.turn.Lock()
	defer s.attack.turn.Unlock()
	s.people.end()
	defer s.people.start(ctx, s.rates)
	return do()
}

func (s *stage) moveClocks(ctx context.Context, to time.Duration) error {
	s.unaudited = true // an audit goes by this machine's clock
	for _, n := range s.nodes {
		if status, text := n.manage(ctx, "POST", "/drill/clock", to.String()); status != http.StatusOK {
			return fmt.Errorf("moving the clock: %d %s", status, text)
		}
	}
	return nil
}

// useExpired uses what ran out within a time; what is accepted is a violation.
func (s *stage) useExpired(ctx context.Context, t expiring, after time.Duration) (tried int) {
	c := s.people.client
	judge := func(what string, accepted bool) {
		tried++
		s.attack.judged(what+" after "+after.String(), accepted, "expired")
	}
	for _, h := range t.attempts {
		code, _, _ := h.person.use(s.people.phone())
		a, err := c.code(ctx, h.attempt, h.device, code, c.network())
		judge("an attempt", err == nil && a.Next == "done")
	}
	for _, r := range t.sessions {
		a, err := c.check(ctx, r.Ticket)
		judge("a session", err == nil && a.Active)
	}
	links := t.links
	if after > 7*24*time.Hour {
		links = append(links, t.invited)
	}
	for _, token := range links {
		a, err := c.ask(ctx, call{method: "POST", path: "/api/v1/link", from: c.network(), body: map[string]string{"token": token}})
		judge("a mailed link", err == nil && a.Error.Code == "" && a.Next != "")
	}
	p := t.attempts[0].person
	fresh := &Person{Email: p.Email, Secret: p.Secret}
	a, err := c.password(ctx, fresh, Password, c.network())
	if err == nil && a.Next == "totp" {
		old, _ := p.codeAt(stepAt(s.people.phone()) - 20)
		a, err = c.code(ctx, a.Attempt, a.Device, old, c.network())
		judge("a code", err == nil && a.Next == "done")
	}
	return tried
}

// clockJump: the machine's clock jumps; nothing is purged, nobody panics, nothing
// old comes back.
func clockJump(ctx context.Context, s *stage) error {
	if err := s.needMovable(); err != nil {
		return err
	}
	if err := s.open(ctx, 1, ""); err != nil {
		return err
	}
	if err := s.warm(ctx); err != nil {
		return err
	}
	steps := []time.Duration{-time.Second, time.Hour, 0, -12 * 365 * 24 * time.Hour, 0}
	for i, to := range steps {
		move := func() error { return s.still(ctx, func() error { return s.moveClocks(ctx, to) }) }
		if err := s.breaks(fmt.Sprintf("moving the clock by %v", to), move, func() error { return nil }); err != nil {
			return err
		}
		if err := s.hold(ctx, fmt.Sprintf("clock %v", to), s.length/time.Duration(len(steps))); err != nil {
			return err
		}
		if i == 3 {
			s.pastSessions()
		}
	}
	if err := s.heals("the clock is right", func() error { return nil }); err != nil {
		return err
	}
	if s.detected.IsZero() {
		s.result.miss("no alarm while the clock was set back by twelve years")
	}
	return s.finishMoved(ctx)
}

// pastSessions: no session may begin before the drill did.
func (s *stage) pastSessions() {
	n := len(s.people.journal.Since(s.faultAt))
	s.result.figure("signed_in_meanwhile", n)
}

// finishMoved is finish where codes do not fit while the clock is wrong by more
// than a step: those refusals are right.
func (s *stage) finishMoved(ctx context.Context) error {
	s.people.end()
	s.people.samples.forgive("code: wrong-code")
	s.people.samples.forgive("code: too-many-tries")
	s.people.samples.forgive("not-signed-in")
	return s.finish(ctx, 99.9)
}
