// Command mutate proves that the tests can fail. Each entry of the list breaks
// the program in one small way and names the test that must notice; one that
// nobody notices fails the run, and so does one whose place in the code is gone.
//
//	go run ./test/mutate              all of them
//	go run ./test/mutate -run limit   those whose sentence matches
//
// The tree is never touched: the compiler is shown the broken file instead of
// the real one (go help build, -overlay).
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// A mutation is one way to break the program, and the test that guards it.
type mutation struct {
	name     string // what the broken program does, as a sentence
	file     string
	old, new string // old stands exactly once in the file
	caught   string // "./package TestName/sub test" or "browser file.test.mjs: name of the test"
}

// patience is for one mutation, its build included.
const patience = 4 * time.Minute

func main() {
	only := flag.String("run", "", "run the mutations whose sentence matches this `regexp`")
	jobs := flag.Int("jobs", 3, "`how many` at once")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	wanted := matching(mutations, regexp.MustCompile(*only))
	if len(wanted) == 0 {
		fmt.Fprintln(os.Stderr, "no mutation matches")
		os.Exit(1)
	}
	b := bench{root: ".", jobs: *jobs}
	err := b.inPlace(mutations) // all of them, however few are to run
	if err == nil {
		err = b.run(ctx, wanted)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func matching(all []mutation, only *regexp.Regexp) (wanted []mutation) {
	for _, m := range all {
		if only.MatchString(m.name) {
			wanted = append(wanted, m)
		}
	}
	return wanted
}

// A bench is where mutations are tried.
type bench struct {
	root string // the module
	tmp  string
	jobs int
}

// run tries every mutation and says of each whether it was caught.
func (b *bench) run(ctx context.Context, all []mutation) (err error) {
	if err := b.inPlace(all); err != nil {
		return err
	}
	if b.tmp, err = os.MkdirTemp("", "gatehouse-mutate-"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(b.tmp)) }()

	var (
		wait   sync.WaitGroup
		place  = make(chan struct{}, b.jobs)
		mu     sync.Mutex
		missed []string
	)
	for i, m := range all {
		place <- struct{}{}
		wait.Go(func() {
			defer func() { <-place }()
			begin := time.Now()
			err := b.try(ctx, strconv.Itoa(i), m)
			mu.Lock()
			defer mu.Unlock()
			verdict := "caught"
			if err != nil {
				verdict = "MISSED"
				missed = append(missed, fmt.Sprintf("%s\n\t%s must catch it, but %v", m.name, m.caught, err))
			}
			fmt.Printf("%s %5.1fs  %s\n", verdict, time.Since(begin).Seconds(), m.name)
		})
	}
	wait.Wait()
	fmt.Printf("mutations: %d passed, %d failed\n", len(all)-len(missed), len(missed))
	if len(missed) > 0 {
		return fmt.Errorf("\nnobody noticed:\n%s", strings.Join(missed, "\n"))
	}
	return nil
}

// inPlace says of which mutations the code has moved on, before anything runs.
func (b *bench) inPlace(all []mutation) error {
	var gone []string
	for _, m := range all {
		text, err := os.ReadFile(filepath.Join(b.root, m.file))
		if n := bytes.Count(text, []byte(m.old)); err != nil || n != 1 || m.old == m.new {
			gone = append(gone, fmt.Sprintf("%s: the text stands %d times in %s, not once:\n\t%s", m.name, n, m.file, m.old))
		}
	}
	if len(gone) > 0 {
		return fmt.Errorf("%d mutations no longer fit the code; write them anew in test/mutate/list.go:\n%s", len(gone), strings.Join(gone, "\n"))
	}
	return nil
}

// try breaks the program and asks the test that should notice. An error says why
// the mutation does not count as caught.
func (b *bench) try(ctx context.Context, key string, m mutation) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	overlay, err := b.overlay(key, m)
	if err != nil {
		return err
	}
	where, test, _ := strings.Cut(m.caught, " ")
	if where == "browser" {
		file, test, _ := strings.Cut(test, ": ")
		return b.tryPages(ctx, key, overlay, file, test)
	}
	return b.tryGo(ctx, overlay, where, test)
}

// overlay writes the broken file beside the tree and the map that shows it to the compiler.
func (b *bench) overlay(key string, m mutation) (string, error) {
	real, err := filepath.Abs(filepath.Join(b.root, m.file))
	if err != nil {
		return "", err
	}
	text, err := os.ReadFile(real)
	if err != nil {
		return "", err
	}
	broken := filepath.Join(b.tmp, key+"-"+filepath.Base(m.file))
	if err := os.WriteFile(broken, bytes.Replace(text, []byte(m.old), []byte(m.new), 1), 0o600); err != nil {
		return "", err
	}
	said, err := json.Marshal(map[string]map[string]string{"Replace": {real: broken}})
	if err != nil {
		return "", err
	}
	overlay := filepath.Join(b.tmp, key+"-overlay.json")
	return overlay, os.WriteFile(overlay, said, 0o600)
}

func (b *bench) tryGo(ctx context.Context, overlay, where, test string) error {
	// Not vetted: a mutation may be bad style, and vet must not pass for the test.
	out, err := b.command(ctx, nil, "go", "test", "-vet=off", "-count=1", "-timeout=180s", "-overlay", overlay, "-run", exactly(test), where)
	name := strings.ReplaceAll(test, " ", "_")
	switch failed := regexp.MustCompile(`(?m)^\s*--- FAIL: ` + regexp.QuoteMeta(name) + `\b`).Match(out); {
	case failed && !bytes.Contains(out, []byte("test timed out")):
		return nil
	case err == nil && bytes.Contains(out, []byte("no tests to run")):
		return errors.New("there is no such test")
	case err == nil:
		return errors.New("it passes")
	}
	return fmt.Errorf("it ends another way (%w):\n%s", err, last(out, 1500))
}

// exactly makes -run's pattern for one test: each level whole.
func exactly(test string) string {
	var levels []string
	for level := range strings.SplitSeq(test, "/") {
		levels = append(levels, "^"+regexp.QuoteMeta(level)+"$")
	}
	return strings.Join(levels, "/")
}

func (b *bench) tryPages(ctx context.Context, key, overlay, file, test string) error {
	// The build for drills serves both: its clock stands until it is moved.
	program := filepath.Join(b.tmp, key+"-gatehouse")
	if out, err := b.command(ctx, []string{"CGO_ENABLED=0"}, "go", "build", "-tags", "drill", "-overlay", overlay, "-o", program, "./cmd/gatehouse"); err != nil {
		return fmt.Errorf("it does not compile: %s", last(out, 1500))
	}
	defer os.Remove(program)
	out, err := b.command(ctx, []string{"GATEHOUSE_BIN=" + program, "GATEHOUSE_DRILL_BIN=" + program}, "node", "--test", "--test-reporter=tap",
		"--test-name-pattern=^"+regexp.QuoteMeta(test)+"$", filepath.Join("test", "browser", file))
	switch failed := regexp.MustCompile(`(?m)^\s*not ok \d+ - ` + regexp.QuoteMeta(test) + `\s*$`).Match(out); {
	case failed:
		return nil
	case err == nil && !bytes.Contains(out, []byte(" - "+test)):
		return errors.New("there is no such test")
	case err == nil:
		return errors.New("it passes")
	}
	return fmt.Errorf("it ends another way (%w):\n%s", err, last(out, 1500))
}

// command runs a program with its children in a group of their own, so that none outlives its time.
func (b *bench) command(ctx context.Context, env []string, name string, args ...string) ([]byte, error) {
	c := exec.CommandContext(ctx, name, args...)
	c.Dir = b.root
	c.Env = append(os.Environ(), env...)
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	c.Cancel = func() error { return syscall.Kill(-c.Process.Pid, syscall.SIGKILL) }
	c.WaitDelay = 5 * time.Second
	return c.CombinedOutput()
}

func last(out []byte, n int) []byte { return bytes.TrimSpace(out[max(0, len(out)-n):]) }
