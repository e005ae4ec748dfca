package peers_test

import (
	"context"
	"errors"
	"net"
	"net/url"
	"path/filepath"
	"sync"
	"testing"

	"gatehouse/store/storetest"
)

// relay gives a PostgreSQL that listens on a socket file a port, and returns its
// host:port and the address of a fresh database behind it.
func relay(t testing.TB) (address, dsn string) {
	t.Helper()
	u, err := url.Parse(storetest.Postgres(t))
	must(t, err)
	network, far := "tcp", u.Host
	q := u.Query()
	if dir := q.Get("host"); dir != "" {
		network, far = "unix", filepath.Join(dir, ".s.PGSQL.5432")
	}
	l := listen(t)
	go func() {
		for {
			near, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer near.Close()
				database, err := net.Dial(network, far)
				if err != nil {
					return
				}
				defer database.Close()
				go pour(near, database)
				pour(database, near)
			}()
		}
	}()
	q.Del("host")
	q.Set("sslmode", "disable")
	u.Host, u.RawQuery = l.Addr().String(), q.Encode()
	return l.Addr().String(), u.String()
}

func pour(to, from net.Conn) {
	defer to.Close()
	buffer := make([]byte, 16<<10)
	for {
		n, err := from.Read(buffer)
		if _, failed := to.Write(buffer[:n]); err != nil || failed != nil {
			return
		}
	}
}

// state is how a wire is.
type state int

const (
	whole   state = iota
	refused       // connections are refused, and those there are break
	silent        // packets vanish: nothing is refused and nothing arrives
	frozen        // connections are taken by something on the way, and then nothing arrives
)

// wire is one node's own way to the database, for peers.Options.Straight.
type wire struct {
	mu    sync.Mutex
	state state
	open  map[*wired]bool
	used  int // connections made
}

func (w *wire) set(s state) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.state = s
	for c := range w.open {
		c.set(s)
	}
}

func (w *wire) count() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.used
}

func (w *wire) dial(ctx context.Context, network, address string) (net.Conn, error) {
	w.mu.Lock()
	s := w.state
	w.mu.Unlock()
	switch s {
	case refused:
		return nil, &net.OpError{Op: "dial", Net: network, Err: errors.New("connection refused by the test")}
	case silent:
		<-ctx.Done()
		return nil, &net.OpError{Op: "dial", Net: network, Err: ctx.Err()}
	}
	conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	c := &wired{Conn: conn, wire: w, thawed: make(chan struct{})}
	close(c.thawed)
	if w.open == nil {
		w.open = map[*wired]bool{}
	}
	w.open[c] = true
	w.used++
	c.set(w.state)
	return c, nil
}

// wired is a connection over a wire. Frozen, what arrives is held back.
type wired struct {
	net.Conn
	wire *wire

	mu     sync.Mutex
	thawed chan struct{} // closed while nothing is held back
}

func (c *wired) set(s state) {
	c.mu.Lock()
	defer c.mu.Unlock()
	held := false
	select {
	case <-c.thawed:
	default:
		held = true
	}
	switch {
	case s == refused:
		c.Conn.Close()
	case (s == silent || s == frozen) && !held:
		c.thawed = make(chan struct{})
	case s == whole && held:
		close(c.thawed)
	}
}

func (c *wired) Read(b []byte) (int, error) {
	for {
		n, err := c.Conn.Read(b)
		c.mu.Lock()
		thawed := c.thawed
		c.mu.Unlock()
		select {
		case <-thawed:
			return n, err
		default: // swallowed, as are retransmissions for as long as it takes
		}
		if err != nil {
			return 0, err
		}
	}
}

func (c *wired) Write(b []byte) (int, error) {
	c.mu.Lock()
	thawed := c.thawed
	c.mu.Unlock()
	select {
	case <-thawed:
		return c.Conn.Write(b)
	default:
		return len(b), nil
	}
}

func (c *wired) Close() error {
	c.wire.mu.Lock()
	delete(c.wire.open, c)
	c.wire.mu.Unlock()
	return c.Conn.Close()
}
