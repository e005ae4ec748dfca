package storetest

import (
	"context"
	"crypto/rand"
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
	"sync"
	"syscall"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"
)

// Postgres returns the address of a fresh, empty database, dropped after the test.
func Postgres(t testing.TB) string {
	t.Helper()
	c, err := startOnce()
	if err != nil {
		t.Fatalf("PostgreSQL is needed and missing: %v", err)
	}
	server, name := c.server, "gatehouse_"+rand.Text()
	administer(t, server, `CREATE DATABASE "`+name+`"`)
	t.Cleanup(func() { administer(t, server, `DROP DATABASE "`+name+`" WITH (FORCE)`) })
	u, err := url.Parse(server)
	if err != nil {
		t.Fatal("GATEHOUSE_TEST_POSTGRES is not a URL")
	}
	u.Path = "/" + name
	return u.String()
}

func administer(t testing.TB, server, statement string) {
	t.Helper()
	db, err := sql.Open("pgx", server)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	// Not t.Context(): it is over when the database is dropped.
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if _, err := db.ExecContext(ctx, statement); err != nil {
		t.Errorf("%s: %v", statement, err)
	}
}

// cluster is a running server.
type cluster struct {
	server string         // a superuser's address
	end    io.WriteCloser // held, because the server stops when it closes; nil for one that is not ours
}

// startOnce starts a server for this process if the environment names none.
var startOnce = sync.OnceValues(func() (cluster, error) {
	if server := os.Getenv("GATEHOUSE_TEST_POSTGRES"); server != "" {
		return cluster{server: server}, nil
	}
	return startCluster()
})

// keeper runs the server and outlives this process by a moment: when the pipe
// on its standard input closes, however we ended, it stops the server and
// removes what it wrote.
const keeper = `
"$1/postgres" -D "$2/data" >"$2/log" 2>&1 &
read -r end
kill -QUIT $! && wait $!
rm -rf "$2"`

func startCluster() (cluster, error) {
	bin, err := findPostgres()
	if err != nil {
		return cluster{}, err
	}
	asWhom, err := notRoot()
	if err != nil {
		return cluster{}, err
	}
	dir, err := os.MkdirTemp(scratch(), "gatehouse-postgres-")
	if err != nil {
		return cluster{}, err
	}
	c, err := startIn(dir, bin, asWhom)
	if err != nil {
		return c, errors.Join(err, os.RemoveAll(dir))
	}
	return c, waitFor(c.server, dir)
}

// scratch is memory where there is plenty of it, because making a database is
// making three hundred files; otherwise "", the usual place.
func scratch() string {
	const memory, plenty = "/dev/shm", 2 << 30
	var free syscall.Statfs_t
	if err := syscall.Statfs(memory, &free); err != nil || free.Bavail*uint64(free.Bsize) < plenty {
		return ""
	}
	return memory
}

func startIn(dir, bin string, asWhom person) (cluster, error) {
	if err := asWhom.own(dir); err != nil {
		return cluster{}, err
	}
	if err := initialise(asWhom, bin, dir); err != nil {
		return cluster{}, err
	}
	cmd := asWhom.command("sh", "-c", keeper, "sh", bin, dir)
	cmd.SysProcAttr.Setpgid = true // Ctrl-C is for the tests; the keeper goes after them
	end, err := cmd.StdinPipe()
	if err != nil {
		return cluster{}, err
	}
	server := (&url.URL{Scheme: "postgres", User: url.User("postgres"), Path: "/postgres",
		RawQuery: url.Values{"host": {dir}}.Encode()}).String()
	return cluster{server, end}, cmd.Start()
}

// settings make a server that is quick, private and good for nothing but tests:
// it listens on a socket in its own directory and does not wait for the disk.
const settings = `
listen_addresses = ''
unix_socket_directories = '%s'
fsync = off
synchronous_commit = off
full_page_writes = off
max_connections = 300
shared_buffers = 32MB
deadlock_timeout = 50ms
`

func initialise(asWhom person, bin, dir string) error {
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
	_, err = fmt.Fprintf(f, settings, dir)
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
		return filepath.Dir(initdb), nil
	}
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if len(found) == 0 {
		return "", errors.New("no initdb in PATH or /usr/lib/postgresql: install the package postgresql, or set GATEHOUSE_TEST_POSTGRES")
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
