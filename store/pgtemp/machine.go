package pgtemp

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Machine is a durable server that a drill may break: it listens on a port of
// 127.0.0.1 and is stopped, killed, frozen and started again on the same data.
// It runs as the user postgres when we are root and ends with this process,
// however that ends; its files stay until Remove.
type Machine struct {
	Port int

	dir    string // data/ and log
	bin    string
	asWhom person
	end    io.WriteCloser // nil while it does not run
	done   chan struct{}
}

// minder runs the server and stops it when the pipe on its standard input closes.
const minder = `
"$1/postgres" -D "$2/data" >>"$2/log" 2>&1 &
read -r end
kill -INT $! 2>/dev/null
wait $!`

// NewMachine makes a server in an empty folder that the caller made, and does not
// start it. from is the folder of another, stopped machine to copy; "" makes an
// empty server.
func NewMachine(dir, from string) (*Machine, error) {
	bin, err := findPostgres()
	if err != nil {
		return nil, err
	}
	asWhom, err := notRoot()
	if err != nil {
		return nil, err
	}
	m := &Machine{dir: dir, bin: bin, asWhom: asWhom}
	if err := asWhom.own(dir); err != nil {
		return nil, err
	}
	if from == "" {
		err = (Options{Durable: true}).initialise(asWhom, bin, dir)
	} else {
		err = m.run("cp", "-a", "--reflink=auto", filepath.Join(from, "data"), filepath.Join(dir, "data"))
	}
	if err != nil {
		return nil, err
	}
	return m, m.place(0)
}

// place gives the machine its port, a free one for 0, and its socket folder; the
// last line of a file of settings counts.
func (m *Machine) place(port int) (err error) {
	if m.Port = port; port == 0 {
		if m.Port, err = freePort(); err != nil {
			return err
		}
	}
	return m.Set("listen_addresses = '127.0.0.1'", fmt.Sprintf("port = %d", m.Port), fmt.Sprintf("unix_socket_directories = '%s'", m.dir))
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

// Set adds lines to postgresql.conf. They count from the next start or Reload on.
func (m *Machine) Set(lines ...string) error {
	f, err := os.OpenFile(filepath.Join(m.dir, "data", "postgresql.conf"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString("\n" + strings.Join(lines, "\n") + "\n")
	return errors.Join(err, f.Close())
}

// Reload makes the running server read its settings again.
func (m *Machine) Reload() error { return m.signalHead(syscall.SIGHUP) }

// Start starts the server and waits until it answers.
func (m *Machine) Start() error {
	cmd := m.asWhom.command("sh", "-c", minder, "sh", m.bin, m.dir)
	cmd.SysProcAttr.Setpgid = true
	end, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	done := make(chan struct{})
	m.end, m.done = end, done
	go func() {
		_ = cmd.Wait() // the server's words are in its log
		close(done)
	}()
	return waitFor(m.URL("postgres"), m.dir)
}

// Stop ends the server in order (a fast shutdown) and waits for it. A frozen one
// is thawed first.
func (m *Machine) Stop() error {
	if m.end == nil {
		return nil
	}
	_ = m.Thaw()
	err := m.end.Close()
	<-m.done
	m.end = nil
	return err
}

// Again starts a server that ended by itself.
func (m *Machine) Again() error {
	if m.Runs() {
		return errors.New("pgtemp: the server runs")
	}
	if m.end != nil {
		_ = m.end.Close()
		<-m.done
		m.end = nil
	}
	return m.Start()
}

// Kill kills the whole tree at once, as a power cut would, and returns when no
// process of it is left.
func (m *Machine) Kill() error {
	all := m.tree()
	if len(all) == 0 {
		return errors.New("pgtemp: there is no process to kill")
	}
	if err := signalAll(all, syscall.SIGKILL); err != nil {
		return err
	}
	for range 200 {
		if !m.Runs() {
			break
		}
		pause()
	}
	if m.Runs() {
		return errors.New("pgtemp: the server outlives SIGKILL")
	}
	err := m.end.Close()
	<-m.done
	m.end = nil
	return errors.Join(err, os.Remove(filepath.Join(m.dir, "data", "postmaster.pid")))
}

func pause() { <-time.After(10 * time.Millisecond) }

// Freeze stops the tree in its tracks: connections stay open and nobody answers.
func (m *Machine) Freeze() error {
	for range 100 { // a process that was just being started is found in the next round
		if err := signalAll(m.tree(), syscall.SIGSTOP); err != nil {
			return err
		}
		pause()
		if m.Frozen() {
			return nil
		}
	}
	return errors.New("pgtemp: the server outlives SIGSTOP")
}

// Thaw lets it go on.
func (m *Machine) Thaw() error { return signalAll(m.tree(), syscall.SIGCONT) }

// Frozen tells that every process of the tree is stopped (state T of proc_pid_stat(5)).
func (m *Machine) Frozen() bool {
	all := m.tree()
	for _, pid := range all {
		if state, _ := stat(pid); state != "T" {
			return false
		}
	}
	return len(all) > 0
}

// Runs tells that the server's first process is there.
func (m *Machine) Runs() bool { return len(m.tree()) > 0 }

func (m *Machine) signalHead(s syscall.Signal) error {
	pid, err := m.pid()
	if err != nil {
		return err
	}
	return syscall.Kill(pid, s)
}

// signalAll reaches the head first, so that it starts nobody new meanwhile. Who
// has gone already is no error.
func signalAll(pids []int, s syscall.Signal) error {
	var errs []error
	for _, pid := range pids {
		if err := syscall.Kill(pid, s); err != nil && !errors.Is(err, syscall.ESRCH) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// pid is the first line of postmaster.pid.
func (m *Machine) pid() (int, error) {
	text, err := os.ReadFile(filepath.Join(m.dir, "data", "postmaster.pid"))
	if err != nil {
		return 0, err
	}
	line, _, _ := strings.Cut(string(text), "\n")
	return strconv.Atoi(strings.TrimSpace(line))
}

// tree is the server's first process and its children, none when it is gone.
func (m *Machine) tree() []int {
	head, err := m.pid()
	if err != nil {
		return nil
	}
	var all []int
	if state, _ := stat(head); state != "" && state != "Z" {
		all = append(all, head)
	}
	found, _ := filepath.Glob("/proc/[0-9]*")
	for _, dir := range found {
		pid, err := strconv.Atoi(filepath.Base(dir))
		if err != nil {
			continue
		}
		if state, parent := stat(pid); parent == head && state != "Z" {
			all = append(all, pid)
		}
	}
	return all
}

// stat reads state and parent of a process; "" when there is none.
func stat(pid int) (state string, parent int) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return "", 0
	}
	_, rest, _ := strings.Cut(string(text), ") ") // the name before it may hold blanks
	fields := strings.Fields(rest)
	if len(fields) < 2 {
		return "", 0
	}
	parent, _ = strconv.Atoi(fields[1])
	return fields[0], parent
}

// Host is where it listens.
func (m *Machine) Host() string { return fmt.Sprintf("127.0.0.1:%d", m.Port) }

// URL is a superuser's address of a database.
func (m *Machine) URL(database string) string { return Address(database, m.Host()) }

// Address is that of a database on one of several servers, tried in turn.
func Address(database string, hosts ...string) string {
	return "postgres://postgres@" + strings.Join(hosts, ",") + "/" + url.PathEscape(database) + "?sslmode=disable"
}

// Exec runs a statement on the database postgres.
func (m *Machine) Exec(statement string) error { return administer(m.URL("postgres"), statement) }

// ExecIn runs a statement on a database.
func (m *Machine) ExecIn(database, statement string) error {
	return administer(m.URL(database), statement)
}

// Hold runs a statement in a transaction that stays open until release is called.
func (m *Machine) Hold(database, statement string) (release func() error, err error) {
	db, err := sql.Open("pgx", m.URL(database))
	if err != nil {
		return nil, err
	}
	tx, err := db.Begin()
	if err == nil {
		_, err = tx.Exec(statement)
	}
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return func() error { return errors.Join(tx.Rollback(), db.Close()) }, nil
}

// MakeDatabase makes an empty database, or a copy of one that nobody uses.
func (m *Machine) MakeDatabase(name, template string) error {
	statement := `CREATE DATABASE "` + name + `"`
	if template != "" {
		statement += ` TEMPLATE "` + template + `"`
	}
	return m.Exec(statement)
}

// Follower makes and starts a streaming standby of a running machine in another
// folder, at a port of 127.0.0.1 or at a free one for 0. Until Synchronous is
// called the primary does not wait for it.
func (m *Machine) Follower(dir string, port int) (*Machine, error) {
	f := &Machine{dir: dir, bin: m.bin, asWhom: m.asWhom}
	if err := f.asWhom.own(dir); err != nil {
		return nil, err
	}
	err := f.run(filepath.Join(m.bin, "pg_basebackup"), "-h", "127.0.0.1", "-p", strconv.Itoa(m.Port), "-U", "postgres",
		"-D", filepath.Join(dir, "data"), "-R", "-X", "stream", "-c", "fast", "--no-sync")
	if err := errors.Join(err, f.place(port)); err != nil {
		return nil, err
	}
	return f, f.Start()
}

// Synchronous makes every commit wait for a streaming standby, or no longer. The
// primary turns to it when it reads its settings; it returns when it has.
func (m *Machine) Synchronous(yes bool) error {
	names := "''"
	if yes {
		names = "'*'"
	}
	if err := errors.Join(m.Set("synchronous_standby_names = "+names), m.Reload()); err != nil || !yes {
		return err
	}
	return m.until(`SELECT 1 / COUNT(*) FROM pg_stat_replication WHERE sync_state = 'sync'`)
}

// Promote makes a standby server the primary.
func (m *Machine) Promote() error { return m.Exec(`SELECT pg_promote(true, 30)`) }

// until repeats a statement that fails while something is not so.
func (m *Machine) until(statement string) (err error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for {
		if err = m.Exec(statement); err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// Dir is the machine's folder: the one NewMachine copies from.
func (m *Machine) Dir() string { return m.dir }

// Remove stops the server and removes its files.
func (m *Machine) Remove() error { return errors.Join(m.Stop(), os.RemoveAll(m.dir)) }

func (m *Machine) run(name string, args ...string) error {
	cmd := m.asWhom.command(name, args...)
	cmd.Dir = m.dir
	out, err := cmd.CombinedOutput()
	var ended *exec.ExitError
	if errors.As(err, &ended) {
		return fmt.Errorf("%s: %w\n%s", filepath.Base(name), err, out)
	}
	return err
}
