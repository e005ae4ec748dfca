package drill

import (
	"context"
	"fmt"
	"net"
	"path/filepath"
	"sync"
	"time"
)

// moods are what the mail server does to us, in turn.
var moods = []struct {
	mood Mood
	name string
}{{Hangs, "hangs"}, {Fails, "answers 451"}, {Drops, "accepts and drops"}}

// mailDead: no sign-in waits for a mail, whatever the mail server does.
func mailDead(ctx context.Context, s *stage) error {
	s.rates.Resets = 2
	if err := s.open(ctx, 1, ""); err != nil {
		return err
	}
	if err := s.warm(ctx); err != nil {
		return err
	}
	usual := s.people.samples.between(SignIn, s.begun, s.Now())
	for _, m := range moods {
		asked := s.mail.offered()
		if err := s.breaks("the mail server "+m.name, func() error { s.mail.feel(m.mood); return nil }, func() error { return nil }); err != nil {
			return err
		}
		if err := s.hold(ctx, "mail "+m.name, max(10*time.Second, s.length/3)); err != nil {
			return err
		}
		if s.mail.offered() == asked && m.mood == Fails {
			s.result.miss("no mail was offered while the mail server %s: nothing was tried", m.name)
		}
	}
	s.waitsForNoMail(usual)
	if err := s.heals("the mail server is well", func() error { s.mail.feel(Well); return nil }); err != nil {
		return err
	}
	if err := s.mailComes(ctx); err != nil {
		return err
	}
	if err := s.settle(ctx, time.Minute); err != nil {
		return err
	}
	return s.finish(ctx, 100)
}

// enoughForPace is how many sign-ins a median or a p99 is judged by.
const enoughForPace = 20

// waitsForNoMail: the median sign-in takes no 100 ms longer. The median, because
// a slow machine shows in the tail alone.
func (s *stage) waitsForNoMail(usual []Sample) {
	during := s.people.samples.between(SignIn, s.faultAt, time.Time{})
	longer := percentile(during, 50) - percentile(usual, 50)
	s.result.figure("longer_by_ms", millis(longer))
	if longer > 100*time.Millisecond && len(usual) >= enoughForPace && len(during) >= enoughForPace {
		s.result.miss("a sign-in takes %v longer with the mail server dead", longer)
	}
}

// mailComesWithin is how long the first mail may take after the server is well.
const mailComesWithin = time.Minute

func (s *stage) mailComes(ctx context.Context) error {
	before := s.mail.taken()
	for s.mail.taken() == before {
		if s.Now().Sub(s.healedAt) > mailComesWithin {
			s.result.miss("no mail came within %v after the server was well", mailComesWithin)
			return nil
		}
		if err := wait(ctx, 100*time.Millisecond); err != nil {
			return err
		}
	}
	s.result.figure("mail_again_s", s.Now().Sub(s.healedAt).Seconds())
	return nil
}

// deaf accepts connections and never reads from them.
type deaf struct {
	net.Listener
	mu   sync.Mutex
	open []net.Conn
}

func newDeaf() (*deaf, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	d := &deaf{Listener: l}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			d.mu.Lock()
			d.open = append(d.open, c)
			d.mu.Unlock()
		}
	}()
	return d, nil
}

func (d *deaf) called() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.open)
}

func (d *deaf) shut() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, c := range d.open {
		c.Close()
	}
	return d.Close()
}

// eventSinkBlocks: whatever events flow into takes nothing any more.
func eventSinkBlocks(ctx context.Context, s *stage) error {
	full, err := s.smallDisk("export", 128<<10)
	if err != nil {
		return err
	}
	d, err := newDeaf()
	if err != nil {
		return err
	}
	s.later(d.shut)
	if err := s.open(ctx, 1, s.exports()+"hooks: {allowed_networks: [127.0.0.0/8]}\n"); err != nil {
		return err
	}
	if err := s.House.Hook(ctx, s.nodes[0].Config, "deaf", "http://"+d.Addr().String()+"/"); err != nil {
		return err
	}
	if err := s.warm(ctx); err != nil {
		return err
	}
	usual := s.people.samples.between(SignIn, s.begun, s.Now())
	clog := func() error { s.mail.feel(Hangs); return fill(filepath.Join(full, "ballast")) }
	if err := s.breaks("clogging every sink", clog, func() error { return isFull(full) }); err != nil {
		return err
	}
	if err := s.hold(ctx, "sinks blocked", s.length/2); err != nil {
		return err
	}
	middle, _ := s.nodes[0].Gauge(ctx, "go_goroutines")
	if err := s.hold(ctx, "sinks blocked", s.length/2); err != nil {
		return err
	}
	end, _ := s.nodes[0].Gauge(ctx, "go_goroutines")
	s.result.figure("goroutines", fmt.Sprintf("%.0f → %.0f", middle, end))
	s.result.figure("hook_calls", d.called())
	if end > middle+60 {
		s.result.miss("goroutines grow while the sinks are blocked: %.0f, then %.0f", middle, end)
	}
	if d.called() == 0 {
		s.result.miss("the deaf receiver was never called: it blocked nothing")
	}
	s.waitsForNoMail(usual)
	return s.finish(ctx, 100)
}
