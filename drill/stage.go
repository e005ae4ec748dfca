package drill

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"gatehouse/store/pgtemp"
)

// database is the name of the one a drill uses.
const database = "gatehouse"

// stage is one drill being carried out: its server, nodes, load and result.
type stage struct {
	*Site
	name    string
	dir     string
	length  time.Duration // of the fault
	result  *Result
	primary *pgtemp.Machine
	nodes   []*Node
	mail    *sink
	people  *load
	attack  *attacker
	crowd   *crowd // everybody who is free
	rates   Rates

	begun     time.Time // of the load
	faultAt   time.Time
	healedAt  time.Time
	healed    bool
	standby   bool // what was acknowledged during the fault must be marked as made on a standby
	unaudited bool // the fault leaves rows of which an audit rightly complains
	watching  sync.WaitGroup
	unwatch   context.CancelFunc

	mu       sync.Mutex
	detected time.Time
	unready  map[*Node]bool
	usual    map[string]bool // alarms that stood before the fault
	closers  []func() error
}

// errNotRun is a drill that cannot be carried out here.
type errNotRun struct{ why string }

func (e *errNotRun) Error() string { return e.why }

func notRun(format string, args ...any) error { return &errNotRun{fmt.Sprintf(format, args...)} }

// nodeConfig is what an operator behind a proxy would write; everything that is
// not here has its default.
const nodeConfig = `origin: ` + Origin + `
listen: %s
management: {listen: "%s"}
trusted_proxies: [127.0.0.1/32]
data_dir: %s
keys_dir: %s
database: {dsn: "%s"}
mail: {host: 127.0.0.1, port: %d, tls: none, from: "Gatehouse <login@` + host + `>"}
`

// server starts a copy of the seed's database.
func (s *stage) server() (err error) {
	dir, err := s.folder("primary")
	if err != nil {
		return err
	}
	if s.primary, err = pgtemp.NewMachine(dir, s.seed.machine.Dir()); err != nil {
		return err
	}
	s.later(s.primary.Stop)
	return s.primary.Start()
}

// folder is one of this stage.
func (s *stage) folder(name string) (string, error) {
	dir := filepath.Join(s.dir, name)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	return dir, nil
}

// later is done at the end, last first.
func (s *stage) later(do func() error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closers = append(s.closers, do)
}

// node writes the configuration of another node and does not start it. more is
// added to the configuration.
func (s *stage) node(dsn, more string) (n *Node, err error) {
	dir, err := s.folder(fmt.Sprintf("node%d", len(s.nodes)+1))
	if err != nil {
		return nil, err
	}
	n = &Node{Program: s.Program, Config: filepath.Join(dir, "gatehouse.yaml"), Log: filepath.Join(dir, "log"), now: s.Now}
	for _, address := range []*string{&n.Public, &n.Management} {
		if *address, err = freeAddress(); err != nil {
			return nil, err
		}
	}
	text := fmt.Sprintf(nodeConfig, n.Public, n.Management, filepath.Join(dir, "data"), s.seed.keys, dsn, s.mail.port())
	s.nodes = append(s.nodes, n)
	s.later(n.Stop)
	return n, os.WriteFile(n.Config, []byte(text+more), 0o600)
}

// open starts a server and so many nodes on it, and waits until they are ready.
func (s *stage) open(ctx context.Context, nodes int, more string) error {
	if err := s.server(); err != nil {
		return err
	}
	for range nodes {
		if _, err := s.node(pgtemp.Address(database, s.primary.Host()), more); err != nil {
			return err
		}
	}
	return s.startAll(ctx)
}

func (s *stage) startAll(ctx context.Context) error {
	for _, n := range s.nodes {
		if err := n.Start(); err != nil {
			return err
		}
	}
	for _, n := range s.nodes {
		if err := n.Ready(ctx, "/readyz"); err != nil {
			return err
		}
	}
	return nil
}

// addresses are the nodes in turn, as a proxy would try them: those that say that
// they are ready come first.
func (s *stage) addresses() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var ready, rest []string
	turn := int(s.people.next.Add(1))
	for i := range s.nodes {
		n := s.nodes[(turn+i)%len(s.nodes)]
		if s.unready[n] {
			rest = append(rest, n.Public)
		} else {
			ready = append(ready, n.Public)
		}
	}
	return append(ready, rest...)
}

// askReady asks every node for /readyz, as a proxy with several nodes does.
func (s *stage) askReady(ctx context.Context) {
	for len(s.nodes) > 1 && wait(ctx, 100*time.Millisecond) == nil {
		for _, n := range s.nodes {
			status, _ := n.manage(ctx, "GET", "/readyz", "")
			s.mu.Lock()
			s.unready[n] = status != 200
			s.mu.Unlock()
		}
	}
}

// warm puts the load on, lets an attacker in, and waits until both are under way.
func (s *stage) warm(ctx context.Context) error {
	s.begun = s.Now()
	s.watch(ctx)
	if err := s.shutSome(ctx); err != nil {
		return err
	}
	s.people.start(ctx, s.rates)
	attacking, stop := context.WithCancel(ctx)
	s.watching.Go(func() { s.attack.run(attacking) })
	s.later(func() error { stop(); return nil })
	if err := s.hold(ctx, "warm", warmOf(s.length)); err != nil {
		return err
	}
	if len(s.people.journal.All()) == 0 {
		return fmt.Errorf("nobody could sign in before anything was broken: %v", s.reasons(s.begun))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.usual = map[string]bool{}
	for _, n := range s.nodes {
		for a := range n.alarms(ctx) {
			s.usual[n.Public+a] = true
		}
	}
	return nil
}

// warmOf is 20 s, as DRILLS.md says, and less for a drill that is short itself.
func warmOf(length time.Duration) time.Duration {
	return min(20*time.Second, max(3*time.Second, length/3))
}

// shutSome disables one person and signs another out, for the attacker to try.
func (s *stage) shutSome(ctx context.Context) error {
	out, p := s.crowd.keep(), s.crowd.keep()
	if err := s.House.Disable(ctx, s.nodes[0].Config, out.Email); err != nil {
		return err
	}
	s.attack.shut(out)
	r, why := s.people.client.signIn(ctx, p, s.Now, s.people.phone)
	if why != "" {
		return fmt.Errorf("the first sign-in: %s", why)
	}
	s.people.journal.Told(r)
	if a, err := s.people.client.signOut(ctx, r.Ticket); err != nil || a.Status != 204 {
		return fmt.Errorf("signing out: status %d, %w", a.Status, err)
	}
	s.people.journal.Ended(r.Session)
	s.attack.revoke(r)
	return nil
}

// breaks does what a drill is about. broken must be nil afterwards: a drill whose
// fault did not take says nothing.
func (s *stage) breaks(what string, do func() error, broken func() error) error {
	at := s.Now()
	if err := do(); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	if err := broken(); err != nil {
		return fmt.Errorf("the fault did not take (%s): %w", what, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.faultAt.IsZero() {
		s.faultAt = at
	}
	return nil
}

// heals takes the fault away again.
func (s *stage) heals(what string, do func() error) error {
	if err := do(); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.healedAt, s.healed = s.Now(), true
	return nil
}

// hold lets time pass and says how it goes.
func (s *stage) hold(ctx context.Context, what string, d time.Duration) error {
	end := s.Now().Add(d)
	for s.Now().Before(end) {
		s.tell(what)
		if err := wait(ctx, min(250*time.Millisecond, end.Sub(s.Now()))); err != nil {
			return err
		}
	}
	return nil
}

// tell is the live progress line.
func (s *stage) tell(what string) {
	from := s.begun
	s.mu.Lock()
	if !s.faultAt.IsZero() {
		from = s.faultAt
	}
	alarm := ""
	if !s.detected.IsZero() {
		alarm = fmt.Sprintf(" · alarm after %.1f s", s.detected.Sub(s.faultAt).Seconds())
	}
	s.mu.Unlock()
	in, checks := s.people.samples.between(SignIn, from, time.Time{}), s.people.samples.between(Check, from, time.Time{})
	s.Say(fmt.Sprintf("%-22s %-14s %5.1f s · sign-ins %d, failed %d, p99 %v · checks %d, failed %d · violations %d%s", s.name, what,
		s.Now().Sub(from).Seconds(), len(in), failures(in), percentile(in, 99).Round(time.Millisecond), len(checks), failures(checks), len(s.attack.violations()), alarm))
}

// watch looks for the program's own alarm.
func (s *stage) watch(ctx context.Context) {
	ctx, s.unwatch = context.WithCancel(ctx)
	s.watching.Go(func() { s.askReady(ctx) })
	s.watching.Go(func() {
		for wait(ctx, 200*time.Millisecond) == nil {
			s.look(ctx)
		}
	})
}

func (s *stage) look(ctx context.Context) {
	s.mu.Lock()
	nodes, wanted := slices.Clone(s.nodes), !s.faultAt.IsZero() && s.detected.IsZero()
	s.mu.Unlock()
	if !wanted {
		return
	}
	for _, n := range nodes {
		for a := range n.alarms(ctx) {
			s.mu.Lock()
			if !s.usual[n.Public+a] && s.detected.IsZero() {
				s.detected = s.Now()
			}
			s.mu.Unlock()
		}
	}
}

// calm is how long nothing may fail before it counts as recovered.
const calm = 5 * time.Second

// settle waits for 5 s without an error after the repair.
func (s *stage) settle(ctx context.Context, within time.Duration) error {
	for s.Now().Sub(s.healedAt) < within {
		last := s.lastError()
		if s.Now().Sub(last) >= calm {
			s.result.RecoverS = seconds(max(0, last.Sub(s.healedAt).Seconds()))
			return nil
		}
		s.tell("recovering")
		if err := wait(ctx, 200*time.Millisecond); err != nil {
			return err
		}
	}
	s.result.miss("not recovered %v after the repair: %v", within, s.reasons(s.healedAt))
	return nil
}

// lastError is when the last operation that failed or was put off was over, at
// least the time of the repair.
func (s *stage) lastError() time.Time {
	last := s.healedAt
	for _, x := range s.people.samples.between("", s.begun, time.Time{}) {
		if over := x.At.Add(x.Took); !x.OK && over.After(last) {
			last = over
		}
	}
	return last
}

func (s *stage) reasons(from time.Time) map[string]int {
	return reasons(s.people.samples.between("", from, time.Time{}))
}

// close undoes everything, last first.
func (s *stage) close() error {
	if s.people != nil {
		s.people.end()
	}
	if s.unwatch != nil {
		s.unwatch()
	}
	var errs []error
	for _, do := range slices.Backward(s.closers) {
		errs = append(errs, do())
	}
	s.watching.Wait()
	s.mail.close()
	return errors.Join(errs...)
}
