package drill

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Node is a gatehouse serve process.
type Node struct {
	Program    string
	Config     string // file
	Public     string // addresses
	Management string
	Log        string // file

	now func() time.Time

	mu    sync.Mutex
	pid   int
	end   io.WriteCloser
	ended chan struct{}
	asked bool // to leave, by the drill
}

// minder runs the server, says its pid, and ends it when the pipe on its standard
// input closes: with the drill, however that ends.
const minder = `
log=$1; shift
"$@" >>"$log" 2>&1 &
echo $!
read -r end
kill -TERM $! 2>/dev/null
wait $!`

// Start starts the process and returns; Ready waits for it.
func (n *Node) Start() error {
	cmd := exec.Command("sh", "-c", minder, "sh", n.Log, n.Program, "serve", "--config", n.Config)
	cmd.Env = withoutSettings(os.Environ())
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C is for us
	end, errIn := cmd.StdinPipe()
	out, errOut := cmd.StdoutPipe()
	if err := errors.Join(errIn, errOut); err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		return errors.Join(err, end.Close(), cmd.Wait())
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.pid, err = strconv.Atoi(strings.TrimSpace(line)); err != nil {
		return err
	}
	ended := make(chan struct{})
	n.end, n.ended, n.asked = end, ended, false
	go func() {
		_ = cmd.Wait() // why it ended is in its log
		close(ended)
	}()
	return nil
}

// withoutSettings keeps settings of the environment out of the drill.
func withoutSettings(environ []string) (rest []string) {
	for _, e := range environ {
		if !strings.HasPrefix(e, "GATEHOUSE_") {
			rest = append(rest, e)
		}
	}
	return rest
}

// startWithin is how long a start may take before it has failed.
const startWithin = 30 * time.Second

// Ready waits until an address of the management listener answers 200.
func (n *Node) Ready(ctx context.Context, path string) error {
	ctx, cancel := context.WithTimeout(ctx, startWithin)
	defer cancel()
	for {
		if status, _ := n.manage(ctx, "GET", path, ""); status == http.StatusOK {
			return nil
		}
		if !n.Runs() {
			return n.said("ended at its start")
		}
		if wait(ctx, 20*time.Millisecond) != nil {
			return n.said("does not say " + path)
		}
	}
}

// said is an error with the last words of the log.
func (n *Node) said(what string) error {
	text, _ := os.ReadFile(n.Log)
	return fmt.Errorf("the node at %s %s. Its last words:\n%s", n.Public, what, text[max(0, len(text)-1500):])
}

// manage asks the management listener.
func (n *Node) manage(ctx context.Context, method, path, body string) (status int, text string) {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, "http://"+n.Management+path, strings.NewReader(body))
	if err != nil {
		return 0, err.Error()
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err.Error()
	}
	defer resp.Body.Close()
	all, _ := io.ReadAll(io.LimitReader(resp.Body, 4<<20))
	return resp.StatusCode, string(all)
}

// Runs tells that the process is there.
func (n *Node) Runs() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.ended != nil && alive(n.pid)
}

// alive tells a process from none and from one that ended and was not waited for
// (state Z of proc_pid_stat(5)).
func alive(pid int) bool {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	_, rest, _ := strings.Cut(string(text), ") ") // the name before it may hold blanks
	return err == nil && !strings.HasPrefix(rest, "Z")
}

// Pid is the process; it is another one after a restart.
func (n *Node) Pid() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.pid
}

// Stop asks the process to leave and waits until it has.
func (n *Node) Stop() error { return n.endWith(syscall.SIGTERM) }

// Kill kills the process at once.
func (n *Node) Kill() error { return n.endWith(syscall.SIGKILL) }

func (n *Node) endWith(s syscall.Signal) error {
	n.mu.Lock()
	pid, end, ended := n.pid, n.end, n.ended
	n.asked = true
	n.mu.Unlock()
	if ended == nil {
		return nil
	}
	if err := syscall.Kill(pid, s); err != nil && !errors.Is(err, syscall.ESRCH) {
		return err
	}
	_ = end.Close() // the minder waits for it
	select {
	case <-ended:
	case <-time.After(startWithin):
		_ = syscall.Kill(pid, syscall.SIGKILL)
		return n.said("did not leave")
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.ended = nil
	return nil
}

// well is an error when the process ended without being asked, or panicked.
func (n *Node) well() error {
	n.mu.Lock()
	gone := n.ended != nil && !alive(n.pid)
	n.mu.Unlock()
	if gone {
		return n.said("ended by itself")
	}
	text, _ := os.ReadFile(n.Log)
	if i := strings.Index(string(text), "panic"); i >= 0 {
		return fmt.Errorf("the node at %s panicked: %s", n.Public, string(text[i:min(i+400, len(text))]))
	}
	return nil
}

// Gauge reads one series of /metrics, named as it stands there.
func (n *Node) Gauge(ctx context.Context, series string) (float64, bool) {
	_, text := n.manage(ctx, "GET", "/metrics", "")
	return gauge(text, series)
}

func gauge(metrics, series string) (float64, bool) {
	for line := range strings.Lines(metrics) {
		if rest, ok := strings.CutPrefix(line, series+" "); ok {
			v, err := strconv.ParseFloat(strings.TrimSpace(rest), 64)
			return v, err == nil
		}
	}
	return 0, false
}

// alarms lists the features and tiers that gatehouse_degraded shows as 1.
func (n *Node) alarms(ctx context.Context) map[string]bool {
	_, text := n.manage(ctx, "GET", "/metrics", "")
	return alarms(text)
}

func alarms(metrics string) map[string]bool {
	found := map[string]bool{}
	for line := range strings.Lines(metrics) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "gatehouse_degraded{") && !strings.HasSuffix(line, "} 0") {
			found[line[:strings.LastIndex(line, " ")]] = true
		}
	}
	return found
}

// memory is what the process holds in RAM at most so far, in MiB (VmHWM, proc_pid_status(5)).
func (n *Node) memory() float64 {
	text, _ := os.ReadFile(filepath.Join("/proc", strconv.Itoa(n.Pid()), "status"))
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kib, _ := strconv.ParseFloat(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")), 64)
			return kib / 1024
		}
	}
	return 0
}

// freeAddress is a place to listen at on this machine.
func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}
