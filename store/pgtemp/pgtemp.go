// Package pgtemp runs a PostgreSQL server of one's own for a while: for tests and
// for the bench. It listens on a socket in its own directory, runs as the user
// postgres when we are root, and ends with this process, however that ends.
package pgtemp

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"
)

// Options say what the server is good for. The zero value is a server for tests:
// in memory where there is plenty, and nothing waits for the disk.
type Options struct {
	Durable bool // commits wait for the disk, as PostgreSQL does unless told otherwise
}

// Server is a running server.
type Server struct {
	URL  string // a superuser's address
	end  io.WriteCloser
	done chan struct{} // closed when the keeper has removed everything
}

// keeper runs the server and outlives this process by a moment: when the pipe
// on its standard input closes, however we ended, it stops the server and
// removes what it wrote.
const keeper = `
"$1/postgres" -D "$2/data" >"$2/log" 2>&1 &
read -r end
kill -QUIT $! && wait $!
rm -rf "$2"`

// Start starts a server and waits until it answers. Close it, or end the process.
func Start(o Options) (*Server, error) {
	bin, err := findPostgres()
	if err != nil {
		return nil, err
	}
	asWhom, err := notRoot()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(o.scratch(), "gatehouse-postgres-")
	if err != nil {
		return nil, err
	}
	s, err := o.startIn(dir, bin, asWhom)
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return s, waitFor(s.URL, dir)
}

// Close stops the server and waits until its files are gone.
func (s *Server) Close() error {
	err := s.end.Close()
	<-s.done
	return err
}

// scratch is memory where there is plenty of it, because making a database is
// making three hundred files; otherwise "", the usual place.
func (o Options) scratch() string {
	const memory, plenty = "/dev/shm", 2 << 30
	var free syscall.Statfs_t
	if err := syscall.Statfs(memory, &free); o.Durable || err != nil || free.Bavail*uint64(free.Bsize) < plenty {
		return ""
	}
	return memory
}

func (o Options) startIn(dir, bin string, asWhom person) (*Server, error) {
	if err := asWhom.own(dir); err != nil {
		return nil, err
	}
	if err := o.initialise(asWhom, bin, dir); err != nil {
		return nil, err
	}
	cmd := asWhom.command("sh", "-c", keeper, "sh", bin, dir)
	cmd.SysProcAttr.Setpgid = true // Ctrl-C is for us; the keeper goes after us
	end, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	s := &Server{URL: address(dir), end: end, done: make(chan struct{})}
	go func() {
		_ = cmd.Wait() // it has nothing to say: the server's words are in its log
		close(s.done)
	}()
	return s, nil
}

func address(dir string) string {
	u := url.URL{Scheme: "postgres", User: url.User("postgres"), Path: "/postgres", RawQuery: url.Values{"host": {dir}}.Encode()}
	return u.String()
}

// settings make a server that is private.
const settings = `
listen_addresses = ''
unix_socket_directories = '%s'
max_connections = 300
`

// careless makes it quick, and good for nothing but tests.
const careless = `
fsync = off
synchronous_commit = off
full_page_writes = off
shared_buffers = 32MB
deadlock_timeout = 50ms
`

func (o Options) initialise(asWhom person, bin, dir string) error {
	data := filepath.Join(dir, "data")
	cmd := asWhom.command(filepath.Join(bin, "initdb"), "-D", data, "-U", "postgres",
		"--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync")
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w\n%s", err, out)
	}
	f, err := os.OpenFile(filepath.Join(data, "postgresql.conf"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	text := fmt.Sprintf(settings, dir)
	if !o.Durable {
		text += careless
	}
	_, err = f.WriteString(text)
	return err
}

func waitFor(server, dir string) error {
	db, err := sql.Open("pgx", server)
	if err != nil {
		return err
	}
	defer db.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := db.PingContext(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("the temporary server does not answer: %w\n%s", err, tail(filepath.Join(dir, "log")))
		}
	}
}

func tail(path string) []byte {
	f, err := os.Open(path)
	if err != nil {
		return nil
	}
	defer f.Close()
	text, _ := io.ReadAll(io.LimitReader(f, 4096))
	return text
}

// findPostgres looks in PATH, then where Debian puts it, newest first.
func findPostgres() (bin string, err error) {
	if initdb, err := exec.LookPath("initdb"); err == nil {
		if real, err := filepath.EvalSymlinks(initdb); err == nil {
			initdb = real // its neighbours are where it really is
		}
		return filepath.Dir(initdb), nil
	}
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if len(found) == 0 {
		return "", errors.New("no initdb in PATH or /usr/lib/postgresql: install the package postgresql")
	}
	return filepath.Dir(found[len(found)-1]), nil
}

// person is who the server runs as; PostgreSQL refuses to be root.
type person struct {
	uid, gid uint32
	other    bool // somebody else than we are
}

func notRoot() (person, error) {
	if os.Getuid() != 0 {
		return person{}, nil
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		return person{}, fmt.Errorf("we are root and there is no user postgres to run the server as: %w", err)
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return person{}, err
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	return person{uint32(uid), uint32(gid), true}, err
}

func (p person) own(dir string) error {
	if !p.other {
		return nil
	}
	return os.Chown(dir, int(p.uid), int(p.gid))
}

func (p person) command(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(name, args...)
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{}
	if p.other {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: p.uid, Gid: p.gid}
	}
	return cmd
}
