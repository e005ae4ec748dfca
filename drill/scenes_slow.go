package drill

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"gatehouse/store/pgtemp"
)

// readOnly: maintenance makes the primary read-only and overruns.
func readOnly(ctx context.Context, s *stage) error {
	if err := s.open(ctx, 1, ""); err != nil {
		return err
	}
	if err := s.warm(ctx); err != nil {
		return err
	}
	s.standby = true
	turn := func(to string) func() error {
		return func() error {
			return errors.Join(s.primary.Set("default_transaction_read_only = "+to), s.primary.Reload())
		}
	}
	if err := s.breaks("making the primary read-only", turn("on"), s.takesNoWrites); err != nil {
		return err
	}
	if err := s.hold(ctx, "read-only", s.length); err != nil {
		return err
	}
	s.changesWait()
	if err := s.heals("letting it take writes again", turn("off")); err != nil {
		return err
	}
	if err := errors.Join(s.handedOver(ctx), s.settle(ctx, time.Minute)); err != nil {
		return err
	}
	return s.finish(ctx, 99.9)
}

// takesNoWrites waits until the server refuses a write: it reads its settings
// when it gets to it.
func (s *stage) takesNoWrites() error {
	for range 100 {
		if s.primary.Exec("CREATE TABLE drill_probe (n INT)") != nil {
			return nil
		}
		if err := s.primary.Exec("DROP TABLE drill_probe"); err != nil {
			return nil
		}
		<-time.After(50 * time.Millisecond)
	}
	return errors.New("the primary takes writes")
}

// primaryFrozen: the database is stopped in its tracks under ten times the load.
func primaryFrozen(ctx context.Context, s *stage) error {
	s.rates.SignIns *= 10
	if err := s.open(ctx, 1, ""); err != nil {
		return err
	}
	if err := s.warm(ctx); err != nil {
		return err
	}
	frozen := func() error {
		if s.primary.Frozen() {
			return nil
		}
		return errors.New("the database still runs")
	}
	if err := s.breaks("freezing the database", s.primary.Freeze, frozen); err != nil {
		return err
	}
	if err := s.hold(ctx, "frozen", min(20*time.Second, s.length)); err != nil {
		return err
	}
	during := s.people.samples.between(SignIn, s.faultAt, s.Now())
	if err := s.heals("thawing it", s.primary.Thaw); err != nil {
		return err
	}
	if err := s.hold(ctx, "thawed", 15*time.Second); err != nil {
		return err
	}
	if err := s.handedOver(ctx); err != nil {
		return err
	}
	s.result.RecoverS = seconds(s.paceBack(s.people.samples.between(SignIn, s.begun, s.faultAt)).Seconds())
	s.sheds(during)
	return s.finishOverloaded(ctx)
}

// paceBack is how long after the repair the last sign-in was begun that took more
// than twice what the slowest took before.
func (s *stage) paceBack(before []Sample) (late time.Duration) {
	usual := max(2*percentile(before, 99), 500*time.Millisecond)
	for _, x := range s.people.samples.between(SignIn, s.healedAt, time.Time{}) {
		if x.OK && x.Took > usual {
			late = max(late, x.At.Sub(s.healedAt))
		}
	}
	if late > 15*time.Second {
		s.result.miss("sign-ins took more than %v until %v after the repair", usual, late)
	}
	return late
}

// sheds: who is not let in hears so at once, and nobody is left without an answer.
func (s *stage) sheds(during []Sample) {
	var refused []Sample
	silent := 0
	for _, x := range during {
		switch {
		case x.OK:
		case x.Later || x.Why == "password: busy":
			x.OK = true // percentile is of good ones
			refused = append(refused, x)
		case x.Why == "password: no answer in time" || x.Why == "code: no answer in time":
			silent++
		}
	}
	p99 := percentile(refused, 99)
	s.result.figure("shed", len(refused))
	s.result.figure("shed_p99_ms", millis(p99))
	s.result.figure("without_answer", silent)
	if p99 > 50*time.Millisecond {
		s.result.miss("the excess was refused after %v (p99); 50 ms are allowed", p99)
	}
	if silent > 0 {
		s.result.miss("%d sign-ins had no answer within %v", silent, patience)
	}
}

// finishOverloaded is finish for more people than the machine can take: being
// told to wait is no failure then.
func (s *stage) finishOverloaded(ctx context.Context) error {
	s.people.end()
	s.people.samples.forgive("password: busy")
	return s.finish(ctx, 99.9)
}

// diskFull: the database's disk fills up to the last byte.
func diskFull(ctx context.Context, s *stage) error {
	mount, err := s.smallDisk("disk", 220<<20)
	if err != nil {
		return err
	}
	if s.primary, err = pgtemp.NewMachine(mount, s.seed.machine.Dir()); err != nil {
		return err
	}
	s.later(s.primary.Stop)
	if err := s.primary.Start(); err != nil {
		return err
	}
	if err := s.openOn(ctx, 1, s.primary); err != nil {
		return err
	}
	if err := s.warm(ctx); err != nil {
		return err
	}
	ballast := filepath.Join(mount, "ballast")
	if err := s.breaks("filling the disk", func() error { return fill(ballast) }, func() error { return isFull(mount) }); err != nil {
		return err
	}
	if err := s.hold(ctx, "disk full", s.length); err != nil {
		return err
	}
	if err := s.heals("making room", func() error { return os.Remove(ballast) }); err != nil {
		return err
	}
	if !s.primary.Runs() { // PostgreSQL ends itself when it cannot write its log; systemd would start it again
		if err := s.primary.Again(); err != nil {
			return err
		}
	}
	if err := errors.Join(s.handedOver(ctx), s.settle(ctx, time.Minute)); err != nil {
		return err
	}
	if s.result.RecoverS != nil && *s.result.RecoverS > 30 {
		s.result.miss("recovered %v s after there was room; 30 s are allowed", *s.result.RecoverS)
	}
	return s.finish(ctx, 99.9)
}

// smallDisk mounts a tmpfs, which takes root.
func (s *stage) smallDisk(name string, size int64) (string, error) {
	dir, err := s.folder(name)
	if err != nil {
		return "", err
	}
	if err := syscall.Mount("gatehouse-drill", dir, "tmpfs", 0, fmt.Sprintf("size=%d,mode=0711", size)); err != nil {
		return "", notRun("a small disk cannot be mounted here (%v); root is needed", err)
	}
	s.later(func() error { return syscall.Unmount(dir, syscall.MNT_DETACH) })
	return dir, nil
}

// fill writes a file until there is no room for another byte.
func fill(path string) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	block := make([]byte, 1<<20)
	for len(block) > 0 {
		if _, err := f.Write(block); err != nil {
			block = block[:len(block)/2]
		}
	}
	return f.Close()
}

func isFull(dir string) error {
	var st syscall.Statfs_t
	if err := syscall.Statfs(dir, &st); err != nil {
		return err
	}
	if st.Bavail > 0 {
		return fmt.Errorf("%d blocks are free", st.Bavail)
	}
	return nil
}

// coldStart: everything is off; the node comes first and its database later,
// while everybody hammers.
func coldStart(ctx context.Context, s *stage) error {
	if err := s.open(ctx, 1, ""); err != nil {
		return err
	}
	if err := s.warm(ctx); err != nil {
		return err
	}
	off := func() error { return errors.Join(s.nodes[0].Stop(), s.primary.Stop()) }
	isOff := func() error {
		if s.nodes[0].Runs() || s.primary.Runs() {
			return errors.New("something still runs")
		}
		return nil
	}
	if err := s.breaks("turning everything off", off, isOff); err != nil {
		return err
	}
	if err := s.hold(ctx, "all off", min(5*time.Second, s.length/4)); err != nil {
		return err
	}
	if err := s.nodes[0].Start(); err != nil {
		return err
	}
	if err := s.hold(ctx, "node first", min(5*time.Second, s.length/4)); err != nil {
		return err
	}
	if err := s.heals("starting the database", s.primary.Start); err != nil {
		return err
	}
	from := s.healedAt
	if err := s.hold(ctx, "all on", s.length/2); err != nil {
		return err
	}
	s.firstAfter(from, 30*time.Second)
	if err := errors.Join(s.handedOver(ctx), s.settle(ctx, time.Minute)); err != nil {
		return err
	}
	s.people.samples.forgiveBetween(s.faultAt, from) // nobody was at home
	return s.finish(ctx, 99.9)
}

func (s *stage) firstAfter(from time.Time, within time.Duration) {
	for _, x := range s.people.samples.between(SignIn, s.begun, time.Time{}) {
		if over := x.At.Add(x.Took); x.OK && over.After(from) {
			s.result.figure("first_signin_s", over.Sub(from).Seconds())
			if over.Sub(from) > within {
				s.result.miss("the first sign-in was done %v after the database", over.Sub(from))
			}
			return
		}
	}
	s.result.miss("nobody signed in after the start")
}
