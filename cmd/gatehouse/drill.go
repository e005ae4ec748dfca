package main

import (
	"context"
	cryptorand "crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/mattn/go-isatty"

	"gatehouse/drill"
)

// DrillCommand replays outages on this machine.
type DrillCommand struct {
	Names    []string `arg:"" name:"drill" help:"list, all, short, or names of drills."`
	JSON     bool     `help:"Print one JSON object a line and drill."`
	Seconds  int      `placeholder:"N" help:"How long each fault lasts. 60 when not given, 8 with short."`
	Accounts int      `placeholder:"N" help:"People in the database. 10000 when not given, 1000 with short."`
	Load     float64  `default:"1" placeholder:"F" help:"A factor on the load: 4 sign-ins and 200 session checks a second. Less for a machine that cannot take it; the result says so."`
	Dir      string   `placeholder:"DIR" help:"Where everything happens; it must be empty. A temporary folder when not given."`
	Docs     string   `placeholder:"FILE" help:"Also write the table into a Markdown file, between its two marks."`
}

// Help follows the line above.
func (DrillCommand) Help() string {
	return `It starts a PostgreSQL server and Gatehouse processes of its own, puts people on them, breaks something, and says what the people would have noticed.

  gatehouse drill list
  gatehouse drill primary-killed --seconds 30
  gatehouse drill all --json

It exits with 1 when a drill failed or could not be run here.`
}

// Run carries out the drills that were asked for.
func (c *DrillCommand) Run(ctx context.Context, p *program) error {
	if slices.Equal(c.Names, []string{"list"}) {
		drill.Print(p.out)
		return nil
	}
	chosen, err := drill.Choose(c.Names)
	if err != nil {
		return &usageError{err, "gatehouse drill list"}
	}
	site, err := c.site(p)
	if err != nil {
		return err
	}
	results, err := c.carryOut(ctx, p, site, chosen)
	failed := slices.ContainsFunc(results, func(r drill.Result) bool { return !r.Pass && r.NotRun == "" })
	if c.Dir == "" && !failed {
		err = errors.Join(err, os.RemoveAll(site.Dir))
	} else {
		fmt.Fprintf(p.err, "Logs and files of what failed are in %s\n", site.Dir)
	}
	return err
}

func (c *DrillCommand) carryOut(ctx context.Context, p *program, site *drill.Site, chosen []drill.Drill) (results []drill.Result, err error) {
	err = drill.Run(ctx, site, chosen, func(r drill.Result) error {
		site.Say("")
		results = append(results, r)
		if c.JSON {
			return json.NewEncoder(p.out).Encode(r)
		}
		return nil
	})
	if !c.JSON && len(results) > 0 {
		err = errors.Join(err, drill.Table(p.out, results))
	}
	if c.Docs != "" {
		err = errors.Join(err, drill.Docs(c.Docs, results))
	}
	if err != nil {
		return results, err
	}
	return results, missedDrills(results)
}

// missedDrills is the error of drills that failed or did not run; nil for none.
func missedDrills(results []drill.Result) error {
	var failed, notRun []string
	for _, r := range results {
		switch {
		case r.NotRun != "":
			notRun = append(notRun, r.Name)
		case !r.Pass:
			failed = append(failed, r.Name)
		}
	}
	var errs []error
	if len(failed) > 0 {
		errs = append(errs, fmt.Errorf("%s failed: %s", count(len(failed), "drill"), strings.Join(failed, ", ")))
	}
	if len(notRun) > 0 {
		errs = append(errs, fmt.Errorf("%s not run: %s", count(len(notRun), "drill"), strings.Join(notRun, ", ")))
	}
	return errors.Join(errs...)
}

func (c *DrillCommand) site(p *program) (*drill.Site, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	small := slices.Contains(c.Names, "short")
	s := &drill.Site{Program: self, Movable: drillBuild, House: drillHouse{}, Now: time.Now, Pick: rand.IntN, Rand: cryptorand.Reader,
		Accounts: c.Accounts, Seconds: c.Seconds, Small: small, Load: c.Load, Say: liveLine(p.err), Checkout: checkout()}
	if s.Accounts == 0 {
		s.Accounts = either(small, 1000, 10_000)
	}
	if s.Seconds == 0 {
		s.Seconds = either(small, 8, 60)
	}
	s.Dir, err = emptyFolder(c.Dir)
	return s, err
}

// emptyFolder makes a temporary folder, or the one that was named.
func emptyFolder(dir string) (string, error) {
	if dir == "" {
		return os.MkdirTemp("", "gatehouse-drill-")
	}
	if err := os.MkdirAll(dir, 0o711); err != nil {
		return "", err
	}
	if found, err := os.ReadDir(dir); err != nil || len(found) > 0 {
		return "", errors.Join(err, fmt.Errorf("%s is not empty", dir))
	}
	return filepath.Abs(dir)
}

// liveLine rewrites one line of a terminal; elsewhere it says nothing.
func liveLine(w io.Writer) func(string) {
	f, ok := w.(*os.File)
	if !ok || !isatty.IsTerminal(f.Fd()) {
		return func(string) {}
	}
	return func(line string) { fmt.Fprintf(f, "\r\x1b[K%s", line) }
}

// checkout is the folder of the source when we were started inside it, else "".
func checkout() string {
	out, err := exec.Command("git", "rev-parse", "--show-toplevel").Output()
	if err != nil {
		return ""
	}
	top := strings.TrimSpace(string(out))
	text, err := os.ReadFile(filepath.Join(top, "go.mod"))
	if err != nil || !strings.HasPrefix(string(text), "module gatehouse\n") {
		return ""
	}
	return top
}
