package drill

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"gatehouse/store/pgtemp"
)

// Site is what the program lends to its drills.
type Site struct {
	Program  string // the executable whose serve is run
	Movable  bool   // it is built with -tags drill: its clock can be moved and its workers paused
	House    House
	Now      func() time.Time
	Rand     io.Reader
	Pick     func(below int) int // a number by chance
	Dir      string              // a folder for everything; the caller removes it
	Checkout string              // the source's folder; "" when there is none
	Say      func(line string)   // live progress
	Accounts int                 // in the database; a few hundred of them sign in
	Seconds  int                 // how long a fault lasts; 0 means a minute
	Load     float64             // a factor on load L1, for machines that cannot take it; 0 means 1
	Small    bool                // a short run: fewer repetitions, smaller backlogs

	seed *seed
}

// House is what needs the program's own database and keys. config is the file of
// one of the nodes.
type House interface {
	// Prepare makes keys and the schema.
	Prepare(ctx context.Context, config string) error
	// Populate adds people: active ones who can sign in, and dormant ones who only
	// make the database as large as it is meant to be.
	Populate(ctx context.Context, config string, active, dormant int) ([]*Person, error)
	Disable(ctx context.Context, config, email string) error
	// Invite adds somebody and returns the token of their invitation.
	Invite(ctx context.Context, config, email string) (token string, err error)
	// Stored reads what the database has of a journal's receipts.
	Stored(ctx context.Context, config string, receipts []Receipt) (Stored, error)
	// Backlog writes so many events into the log, over so many accounts in turn.
	Backlog(ctx context.Context, config string, people []*Person, n int) error
	// Hook adds a receiver of web-hooks for everything.
	Hook(ctx context.Context, config, name, url string) error
	// Parked counts the events that followers could not handle.
	Parked(ctx context.Context, config string) (int64, error)
	// Audit recomputes everything and returns what does not fit.
	Audit(ctx context.Context, config string) ([]string, error)
}

// seed is the installation that every drill begins with a copy of.
type seed struct {
	machine *pgtemp.Machine
	keys    string
	people  []*Person
}

// Run carries out drills one after another. each is called with every result the
// moment it is there.
func Run(ctx context.Context, site *Site, drills []Drill, each func(Result) error) error {
	if err := passable(site.Dir); err != nil {
		return err
	}
	most := l1.SignIns
	for _, d := range drills {
		most = max(most, d.SignIns)
	}
	if err := site.sow(ctx, site.signers(most)); err != nil {
		return fmt.Errorf("preparing the installation: %w", err)
	}
	defer site.seed.machine.Remove()
	for _, d := range drills {
		r := site.one(ctx, d)
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := each(r); err != nil {
			return err
		}
	}
	return nil
}

func (site *Site) load() float64 {
	if site.Load > 0 {
		return site.Load
	}
	return 1
}

// passable makes a folder through which others may pass and nothing more:
// PostgreSQL runs as somebody else when we are root.
func passable(dir string) error {
	return errors.Join(os.MkdirAll(dir, 0o711), os.Chmod(dir, 0o711)) // whatever the umask says
}

func (site *Site) length() time.Duration {
	if site.Seconds > 0 {
		return time.Duration(site.Seconds) * time.Second
	}
	return time.Minute
}

// signers is how many people sign in: a code opens one door once, and each person
// has two at first and one every 30 s. most is the busiest drill's rate.
func (site *Site) signers(most float64) int {
	length := warmOf(site.length()) + 2*site.length() + 20*time.Second
	codes := 2 + length.Seconds()/appStep.Seconds()
	return min(site.Accounts, 40+int(1.5*most*length.Seconds()/codes))
}

// sow makes the installation that every drill starts with a copy of.
func (site *Site) sow(ctx context.Context, signers int) error {
	site.Say(fmt.Sprintf("making %d accounts", site.Accounts))
	dir := filepath.Join(site.Dir, "seed")
	for _, d := range []string{dir, filepath.Join(dir, "primary")} {
		if err := passable(d); err != nil {
			return err
		}
	}
	machine, err := pgtemp.NewMachine(filepath.Join(dir, "primary"), "")
	if err != nil {
		return notRun("a PostgreSQL server is needed: %v", err)
	}
	if err := errors.Join(machine.Start(), machine.MakeDatabase(database, "")); err != nil {
		return err
	}
	s := &seed{machine: machine, keys: filepath.Join(dir, "keys")}
	config := filepath.Join(dir, "gatehouse.yaml")
	text := fmt.Sprintf(nodeConfig, "127.0.0.1:0", "127.0.0.1:0", filepath.Join(dir, "data"), s.keys, pgtemp.Address(database, machine.Host()), 25)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		return err
	}
	if err := site.House.Prepare(ctx, config); err != nil {
		return err
	}
	if s.people, err = site.House.Populate(ctx, config, signers, site.Accounts-signers); err != nil {
		return err
	}
	site.seed = s
	return machine.Stop()
}

// one carries out a drill; whatever goes wrong is a result.
func (site *Site) one(ctx context.Context, d Drill) Result {
	r := Result{Name: d.Name, Accounts: site.Accounts}
	if d.Waits != "" {
		r.NotRun = "waits for " + d.Waits
		return r
	}
	s, err := site.stage(d.Name, &r)
	if err == nil {
		err = d.run(ctx, s)
		err = errors.Join(err, s.close())
	}
	var not *errNotRun
	switch {
	case errors.As(err, &not):
		r.NotRun = not.why
	case err != nil:
		r.miss("%v", err)
	}
	r.Pass = err == nil && len(r.Missed) == 0
	if !r.Pass && r.NotRun == "" {
		r.figure("kept_in", filepath.Join(site.Dir, d.Name))
		return r
	}
	_ = os.RemoveAll(filepath.Join(site.Dir, d.Name)) // what is left goes with Dir
	return r
}

// stage prepares everything that is not a process.
func (site *Site) stage(name string, r *Result) (*stage, error) {
	s := &stage{Site: site, name: name, dir: filepath.Join(site.Dir, name), length: site.length(), result: r, unready: map[*Node]bool{}, rates: l1.times(site.load())}
	if err := passable(s.dir); err != nil {
		return nil, err
	}
	mail, err := newSink(site.Now)
	if err != nil {
		return nil, err
	}
	s.mail = mail
	crowds := make([]*crowd, 3)
	for i := range crowds {
		crowds[i] = &crowd{}
	}
	for i, p := range site.seed.people {
		k := 0
		if i%10 == 8 {
			k = 1 // whose passwords are reset
		} else if i%10 == 9 {
			k = 2 // whose passwords are guessed
		}
		fresh := *p
		crowds[k].people = append(crowds[k].people, &fresh)
	}
	s.crowd = crowds[0]
	c := newClient(s.addresses)
	s.people = &load{client: c, now: site.Now, crowd: s.crowd, resets: crowds[1], journal: newJournal(), samples: &samples{}, mail: mail}
	s.attack = &attacker{client: c, now: site.Now, phone: s.people.phone, victims: crowds[2], journal: s.people.journal}
	return s, nil
}

// Print says what there is and what each later drill waits for.
func Print(w io.Writer) {
	for _, d := range List() {
		fmt.Fprintf(w, "%-22s %s\n", d.Name, d.Replays)
		fmt.Fprintf(w, "%-22s   fault: %s\n", "", d.Fault)
		if d.Waits != "" {
			fmt.Fprintf(w, "%-22s   waits for %s\n", "", d.Waits)
		}
	}
}
