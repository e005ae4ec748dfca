package drill

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// guesses counts, of wrong passwords for some people, how many were compared.
type guesses struct {
	mu       sync.Mutex
	compared map[string]int
	tried    int
}

func (g *guesses) note(email string, r reply, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.tried++
	if err == nil && r.Error.Code == "wrong-credentials" {
		g.compared[email]++
	}
}

func (g *guesses) most() (most int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, n := range g.compared {
		most = max(most, n)
	}
	return most
}

// guessAt shows wrong passwords for people in turn, so many a second, from 500
// addresses, until ctx ends.
func (s *stage) guessAt(ctx context.Context, people []*Person, rate float64) *guesses {
	g := &guesses{compared: map[string]int{}}
	tick := time.NewTicker(time.Duration(float64(time.Second) / rate))
	s.watching.Go(func() {
		defer tick.Stop()
		var all sync.WaitGroup
		defer all.Wait()
		for i := 0; ; i++ {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			p := people[i%len(people)]
			from := fmt.Sprintf("172.16.%d.%d", i%500/250, i%250+1)
			all.Go(func() {
				r, err := s.people.client.password(context.WithoutCancel(ctx), &Person{Email: p.Email}, "not "+Password, from)
				g.note(p.Email, r, err)
				s.attack.judged("a guessed password", err == nil && r.Next == "totp", p.Email)
			})
		}
	})
	return g
}

// some takes people out of the crowd for good.
func (s *stage) some(n int) (people []*Person) {
	for range n {
		if p := s.crowd.keep(); p != nil {
			people = append(people, p)
		}
	}
	return people
}

// lockoutAttack: somebody guesses at everybody's password; the owners come in.
func lockoutAttack(ctx context.Context, s *stage) error {
	if err := s.open(ctx, 1, ""); err != nil {
		return err
	}
	away := s.some(10) // who will come with a new device
	owners := append([]*Person{}, s.crowd.people...)
	if err := s.warm(ctx); err != nil {
		return err
	}
	s.rates = Rates{SignIns: s.rates.SignIns, Checks: s.rates.Checks}
	s.people.end()
	if err := s.knownDevices(ctx); err != nil {
		return err
	}
	s.people.start(ctx, s.rates)
	attacking, stop := context.WithCancel(ctx)
	defer stop()
	var g *guesses
	begin := func() error { g = s.guessAt(attacking, append(owners, away...), 6*s.load()); return nil }
	if err := s.breaks("guessing at everybody", begin, func() error { return wait(ctx, time.Second) }); err != nil {
		return err
	}
	if err := s.hold(ctx, "guessing", s.length); err != nil {
		return err
	}
	in := s.newDevices(ctx, away)
	stop()
	s.result.figure("guesses_tried", g.tried)
	s.result.figure("guesses_compared_at_most", g.most())
	s.result.figure("on_new_devices", fmt.Sprintf("%d of %d", in, len(away)))
	if g.most() > 10 || len(g.compared) == 0 {
		s.result.miss("up to %d guesses an account were compared (%d tried); 10 are allowed, and some must be", g.most(), g.tried)
	}
	if float64(in) < 0.95*float64(len(away)) {
		s.result.miss("%d of %d owners came in with a new device", in, len(away))
	}
	return s.finish(ctx, 99.9)
}

// knownDevices signs everybody in once, with the browser they come back with, and
// keeps only those in the crowd.
func (s *stage) knownDevices(ctx context.Context) error {
	var known []*Person
	for _, p := range s.some(max(10, int(40*s.load()))) {
		r, why := s.people.client.signIn(ctx, p, s.Now, s.people.phone)
		if why != "" {
			return fmt.Errorf("getting to know a device: %s", why)
		}
		s.people.journal.Told(r)
		known = append(known, p)
	}
	s.crowd.mu.Lock()
	defer s.crowd.mu.Unlock()
	s.crowd.people = known
	return nil
}

// newDevices: owners with a new browser who are told that there were too many
// tries ask for a link, which opens a way of its own.
func (s *stage) newDevices(ctx context.Context, people []*Person) (in int) {
	for _, p := range people {
		begun := s.Now()
		r, why := s.people.client.signIn(ctx, p, s.Now, s.people.phone)
		if why != "" {
			r, why = s.unlocked(ctx, p, begun)
		}
		if why != "" {
			s.result.miss("an owner with a new device: %s", why)
			continue
		}
		s.people.journal.Told(r)
		in++
	}
	return in
}

func (s *stage) unlocked(ctx context.Context, p *Person, begun time.Time) (r Receipt, why string) {
	c, from := s.people.client, s.people.client.network()
	a, err := c.ask(ctx, call{method: "POST", path: "/api/v1/unlock", from: from, body: map[string]string{"email": p.Email}})
	if err != nil || a.Error.Code != "" {
		return r, "unlock: " + a.why()
	}
	waiting, cancel := context.WithTimeout(ctx, 2*mailPatience)
	defer cancel()
	token := s.mail.link(waiting, p.Email, begun)
	if token == "" {
		return r, "unlock: no mail came"
	}
	if a, err = c.ask(ctx, call{method: "POST", path: "/api/v1/link", from: from, body: map[string]string{"token": token}}); err != nil || a.Error.Code != "" {
		return r, "unlock link: " + a.why()
	}
	a, err = c.ask(ctx, call{method: "POST", path: "/api/v1/signin", from: from,
		body: map[string]string{"email": p.Email, "password": Password, "attempt": a.Attempt, "device": a.Device}})
	if err != nil || a.Next != "totp" {
		return r, "password after unlock: " + a.why()
	}
	code, step, err := p.use(s.people.phone())
	if err != nil {
		return r, err.Error()
	}
	if a, err = c.code(ctx, a.Attempt, a.Device, code, from); err != nil || a.Next != "done" {
		return r, "code after unlock: " + a.why()
	}
	return Receipt{Session: a.Session.ID, Account: a.Session.Account, Email: p.Email, Ticket: a.Session.Ticket, Step: step, At: s.Now()}, ""
}

// limiterDead: the table of tries hangs, and is empty afterwards; guesses go on
// all the while.
func limiterDead(ctx context.Context, s *stage) error {
	if err := s.open(ctx, 1, ""); err != nil {
		return err
	}
	victims := s.some(3)
	if err := s.warm(ctx); err != nil {
		return err
	}
	attacking, stop := context.WithCancel(ctx)
	defer stop()
	g := s.guessAt(attacking, victims, 3)
	release, err := s.primary.Hold(database, "LOCK TABLE tries IN ACCESS EXCLUSIVE MODE")
	if err != nil {
		return err
	}
	held := func() error {
		if s.primary.ExecIn(database, "LOCK TABLE tries IN ACCESS EXCLUSIVE MODE NOWAIT") == nil {
			return errors.New("the limiter's table is free")
		}
		return nil
	}
	if err := s.breaks("locking the limiter's table", func() error { return nil }, held); err != nil {
		return errors.Join(err, release())
	}
	err = s.hold(ctx, "limiter hangs", s.length/2)
	empty := func() error { return errors.Join(release(), s.primary.ExecIn(database, "TRUNCATE tries")) }
	if err := errors.Join(err, s.heals("letting it go, empty", empty)); err != nil {
		return err
	}
	if err := s.hold(ctx, "limiter empty", s.length/2); err != nil {
		return err
	}
	stop()
	s.result.figure("guesses_tried", g.tried)
	s.result.figure("guesses_compared_at_most", g.most())
	if g.most() > 10 {
		s.result.miss("%d guesses at one account were compared; twice the usual 5 are allowed", g.most())
	}
	if err := s.handedOver(ctx); err != nil {
		return err
	}
	if err := s.settle(ctx, time.Minute); err != nil {
		return err
	}
	s.unaudited = true // the tries were thrown away on purpose
	return s.finish(ctx, 99.9)
}

// loginStorm: nobody could come in for a while, and now everybody does, again and
// again without waiting.
func loginStorm(ctx context.Context, s *stage) error {
	if err := s.open(ctx, 1, ""); err != nil {
		return err
	}
	if err := s.warm(ctx); err != nil {
		return err
	}
	s.people.end()
	capacity := s.capacity(ctx)
	down := func() error {
		if s.nodes[0].Runs() {
			return errors.New("the node still runs")
		}
		return nil
	}
	if err := s.breaks("turning everything off", s.nodes[0].Stop, down); err != nil {
		return err
	}
	if err := s.hold(ctx, "all off", s.length/4); err != nil {
		return err
	}
	crowd := s.some(len(s.crowd.people) * 3 / 4)
	back := func() error { return errors.Join(s.nodes[0].Start(), s.nodes[0].Ready(ctx, "/startupz")) }
	if err := s.heals("turning everything on", back); err != nil {
		return err
	}
	s.people.start(ctx, Rates{Checks: s.rates.Checks, SignIns: 0.2})
	s.storm(ctx, crowd, capacity)
	s.people.end()
	s.people.samples.forgive("password: busy")
	s.people.samples.forgiveBetween(s.faultAt, s.healedAt)
	return s.finish(ctx, 99.9)
}

// capacity is how many sign-ins a second this machine does with as many callers
// as keep it busy.
func (s *stage) capacity(ctx context.Context) float64 {
	var done atomic.Int64
	begun := s.Now()
	until := begun.Add(max(3*time.Second, s.length/6))
	var all sync.WaitGroup
	for range 2 * runtime.GOMAXPROCS(0) {
		all.Go(func() {
			for s.Now().Before(until) && ctx.Err() == nil {
				p := s.crowd.take(s.Now())
				if p == nil {
					return
				}
				if r, why := s.people.client.signIn(ctx, p, s.Now, s.people.phone); why == "" {
					s.people.journal.Told(r)
					done.Add(1)
				}
				s.crowd.back(p)
			}
		})
	}
	all.Wait()
	return float64(done.Load()) / s.Now().Sub(begun).Seconds()
}

// storm lets everybody try until they are in, or twice the time is over that the
// machine needs.
func (s *stage) storm(ctx context.Context, crowd []*Person, capacity float64) {
	need := time.Duration(float64(len(crowd)) / max(capacity, 0.1) * float64(time.Second))
	ctx, cancel := context.WithTimeout(ctx, 3*need+10*time.Second)
	defer cancel()
	var in, tries atomic.Int64
	var all sync.WaitGroup
	begun := s.Now()
	for _, p := range crowd {
		all.Go(func() {
			for ctx.Err() == nil {
				tries.Add(1)
				r, why := s.people.client.signIn(ctx, p, s.Now, s.people.phone)
				if why == "" {
					s.people.journal.Told(r)
					in.Add(1)
					return
				}
				if wait(ctx, 500*time.Millisecond) != nil { // as long as a page takes to come again
					return
				}
			}
		})
	}
	all.Wait()
	took := s.Now().Sub(begun)
	memory, most := s.nodes[0].memory(), 150+64*float64(runtime.GOMAXPROCS(0))
	goodput := float64(in.Load()) / took.Seconds() / max(capacity, 0.1)
	s.result.figure("clients", len(crowd))
	s.result.figure("capacity_per_s", capacity)
	s.result.figure("goodput", goodput)
	s.result.figure("all_in_s", took.Seconds())
	s.result.figure("tries", tries.Load())
	s.result.figure("memory_mib", memory)
	if int(in.Load()) < len(crowd) || took > need+need/2+5*time.Second {
		s.result.miss("%d of %d were in after %v; 1.5 × %v are allowed", in.Load(), len(crowd), took, need)
	}
	if goodput < 0.8 {
		s.result.miss("admitted %.0f %% of what the machine can do; 80 are asked for", 100*goodput)
	}
	if memory > most {
		s.result.miss("the process took %.0f MiB; %.0f are allowed", memory, most)
	}
}
