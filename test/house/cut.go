package house

import (
	"io"
	"net"
	"net/url"
	"strings"
	"sync"
	"testing"
)

// Wire is a way to a PostgreSQL server that can be cut and mended.
type Wire struct {
	DSN string // the database, by this way

	listener net.Listener
	network  string
	address  string
	mu       sync.Mutex
	cut      bool
	open     map[net.Conn]bool
}

// NewWire lays a wire to the database at dsn.
func NewWire(t testing.TB, dsn string) *Wire {
	t.Helper()
	u, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	w := &Wire{network: "tcp", address: u.Host, open: map[net.Conn]bool{}}
	q := u.Query()
	if host := q.Get("host"); strings.HasPrefix(host, "/") {
		port := q.Get("port")
		if port == "" {
			port = "5432"
		}
		w.network, w.address = "unix", host+"/.s.PGSQL."+port
	}
	if w.listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.listener.Close(); w.Cut() })
	q.Del("host")
	q.Del("port")
	q.Set("sslmode", "disable")
	u.Host, u.RawQuery = w.listener.Addr().String(), q.Encode()
	w.DSN = u.String()
	go w.serve()
	return w
}

func (w *Wire) serve() {
	for {
		c, err := w.listener.Accept()
		if err != nil {
			return
		}
		go w.carry(c)
	}
}

func (w *Wire) carry(c net.Conn) {
	defer c.Close()
	to, err := net.Dial(w.network, w.address)
	if err != nil {
		return
	}
	defer to.Close()
	w.mu.Lock()
	if w.cut {
		w.mu.Unlock()
		return
	}
	w.open[c], w.open[to] = true, true
	w.mu.Unlock()
	done := make(chan bool, 2)
	for _, way := range [][2]net.Conn{{c, to}, {to, c}} {
		go func() { io.Copy(way[0], way[1]); done <- true }()
	}
	<-done
	w.mu.Lock()
	delete(w.open, c)
	delete(w.open, to)
	w.mu.Unlock()
}

// Cut ends every connection and lets no new one through.
func (w *Wire) Cut() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cut = true
	for c := range w.open {
		c.Close()
	}
}

// Mend lets connections through again.
func (w *Wire) Mend() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cut = false
}
