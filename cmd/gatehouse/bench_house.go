package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"gatehouse/seal"
)

// benchHouse is an installation to be measured: its own folder, keys, database
// and people.
type benchHouse struct {
	name       string
	dir        string
	config     string // the file
	public     string // addresses
	management string
	l          *Loaded
	people     crowd
}

// benchHost is what the pretended proxy passes on as Host.
const benchHost = "gatehouse.example"

// benchConfig is what an operator behind a proxy would write. Everything that is
// not here has its default; limits.global_rate alone is raised where it would be
// reached by doing well, and still asked at every step.
const benchConfig = `origin: https://` + benchHost + `
listen: %s
management: {listen: "%s"}
trusted_proxies: [127.0.0.1/32]
data_dir: data
keys_dir: keys
database: {dsn: "%s"}
mail: {folder: outbox}
limits: {global_rate: %d}
`

// newBenchHouse makes an installation without people. dsn "" is SQLite; more is
// added to the configuration.
func newBenchHouse(ctx context.Context, dir, name, dsn string, rate int, more string) (*benchHouse, error) {
	h := &benchHouse{name: name, dir: filepath.Join(dir, strings.ReplaceAll(name, "/", "-"))}
	if err := os.MkdirAll(h.dir, 0o700); err != nil {
		return nil, err
	}
	for _, address := range []*string{&h.public, &h.management} {
		port, err := freePort("127.0.0.1")
		if err != nil {
			return nil, err
		}
		*address = "127.0.0.1:" + port
	}
	h.config = filepath.Join(h.dir, "gatehouse.yaml")
	if err := os.WriteFile(h.config, fmt.Appendf(nil, benchConfig+more, h.public, h.management, dsn, rate), 0o600); err != nil {
		return nil, err
	}
	h.l = load(h.config, nil, nil)
	if err := errors.Join(h.l.err(), seal.InitKeys(h.l.KeysDir)); err != nil {
		return nil, err
	}
	return h, h.inside(ctx, func(in *house) error {
		if _, err := in.store.Migrate(ctx); err != nil {
			return err
		}
		return in.manage.Prepare(ctx)
	})
}

// inside opens the installation in this process, as gatehouse account does.
func (h *benchHouse) inside(ctx context.Context, do func(*house) error) error {
	in, err := openHouse(ctx, h.l, newLog(os.Stderr, "text", "error"), visitor())
	if err != nil {
		return err
	}
	return errors.Join(do(in), in.store.Close())
}

// benchServer is gatehouse serve in another process.
type benchServer struct {
	house *benchHouse
	cmd   *exec.Cmd
	log   string
	ended chan struct{}
	took  time.Duration // from the start of the process until /startupz was good
}

// startWithin is how long a start may take before we give up on it.
const startWithin = 30 * time.Second

// serve starts the server and waits until /startupz is good.
func (h *benchHouse) serve(ctx context.Context) (*benchServer, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	s := &benchServer{house: h, log: filepath.Join(h.dir, "log"), ended: make(chan struct{})}
	out, err := os.Create(s.log)
	if err != nil {
		return nil, err
	}
	defer out.Close()
	s.cmd = exec.CommandContext(ctx, self, "serve", "--config", h.config)
	s.cmd.Env, s.cmd.Stdout, s.cmd.Stderr = withoutSettings(os.Environ()), out, out
	s.cmd.Cancel = func() error { return s.cmd.Process.Signal(syscall.SIGTERM) }
	begun := time.Now()
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		_ = s.cmd.Wait() // why it ended is in its log
		close(s.ended)
	}()
	if err := s.awaitStart(ctx, begun); err != nil {
		return nil, errors.Join(err, s.stop())
	}
	s.took = time.Since(begun)
	return s, nil
}

// withoutSettings keeps settings of the environment out of what is measured.
func withoutSettings(environ []string) []string {
	var rest []string
	for _, e := range environ {
		if !strings.HasPrefix(e, "GATEHOUSE_") {
			rest = append(rest, e)
		}
	}
	return rest
}

func (s *benchServer) awaitStart(ctx context.Context, begun time.Time) error {
	url := "http://" + s.house.management + "/startupz"
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for {
		if resp, err := http.Get(url); err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		case <-s.ended:
			return s.failed("ended at once")
		}
		if time.Since(begun) > startWithin {
			return s.failed("did not start")
		}
	}
}

func (s *benchServer) failed(how string) error {
	text, _ := os.ReadFile(s.log)
	return fmt.Errorf("the server %s. Its last words:\n%s", how, text[max(0, len(text)-2000):])
}

// stop asks the server to leave and waits until it has.
func (s *benchServer) stop() error {
	err := s.cmd.Process.Signal(syscall.SIGTERM)
	if errors.Is(err, os.ErrProcessDone) {
		err = nil
	}
	select {
	case <-s.ended:
	case <-time.After(startWithin):
		return errors.Join(s.failed("did not leave"), s.cmd.Process.Kill())
	}
	return err
}

// memory reads the resident memory of the server now and at most, in MiB.
func (s *benchServer) memory() (now, most float64, err error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.cmd.Process.Pid))
	if err != nil {
		return 0, 0, fmt.Errorf("memory is measured on Linux only: %w", err)
	}
	for line := range bytes.Lines(text) {
		name, rest, _ := bytes.Cut(line, []byte(":"))
		kib, _ := strconv.ParseFloat(strings.TrimSuffix(string(bytes.TrimSpace(rest)), " kB"), 64)
		switch string(name) {
		case "VmRSS":
			now = kib / 1024
		case "VmHWM":
			most = kib / 1024
		}
	}
	return now, most, nil
}

// clockTicks is how many a second /proc counts CPU in: 100 on every Linux.
const clockTicks = 100

// cpu is the time the server has spent on cores since its start (proc_pid_stat(5)).
func (s *benchServer) cpu() (time.Duration, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", s.cmd.Process.Pid))
	if err != nil {
		return 0, fmt.Errorf("CPU time is measured on Linux only: %w", err)
	}
	_, rest, _ := strings.Cut(string(text), ") ") // the name before it may hold blanks
	fields := strings.Fields(rest)
	const utime, stime = 14 - 3, 15 - 3
	if len(fields) <= stime {
		return 0, errors.New("/proc: no CPU times")
	}
	user, errU := strconv.ParseInt(fields[utime], 10, 64)
	system, errS := strconv.ParseInt(fields[stime], 10, 64)
	return time.Duration(user+system) * time.Second / clockTicks, errors.Join(errU, errS)
}

// ownCPU is the same of this process, more exactly.
func ownCPU() (time.Duration, error) {
	var u syscall.Rusage
	err := syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()), err
}

// bareServer is what the session check is compared with: the least a net/http
// handler can do, in another process of the same program.
type bareServer struct {
	address string
	cmd     *exec.Cmd
}

func startBare(ctx context.Context) (*bareServer, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	b := &bareServer{cmd: exec.CommandContext(ctx, self, "bench", "bare")}
	b.cmd.Stderr = os.Stderr
	out, err := b.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := b.cmd.Start(); err != nil {
		return nil, err
	}
	b.address, err = bufio.NewReader(out).ReadString('\n')
	b.address = strings.TrimSpace(b.address)
	return b, err
}

func (b *bareServer) stop() {
	_ = b.cmd.Process.Kill()
	_ = b.cmd.Wait()
}
