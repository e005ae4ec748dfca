package storetest

import (
	"io"
	"net"
	"net/url"
	"strings"
	"sync"
	"testing"
)

// Wire is a way to a PostgreSQL server that can be cut, frozen and mended.
type Wire struct {
	DSN string // the database, by this way

	direct string

	listener net.Listener
	network  string
	address  string
	mu       sync.Mutex
	cut      bool
	ice      sync.RWMutex // held while nothing moves, like a stopped server or a firewall that drops
	open     map[net.Conn]bool
}

// NewWire lays a wire to the database at dsn.
func NewWire(t testing.TB, dsn string) *Wire {
	t.Helper()
	u, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	w := &Wire{direct: dsn, network: "tcp", address: u.Host, open: map[net.Conn]bool{}}
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
		go func() { io.Copy(way[0], frozen{way[1], &w.ice}); done <- true }()
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

// Freeze stops every byte and says nothing to anybody.
func (w *Wire) Freeze() { w.ice.Lock() }

// Thaw lets what was frozen go on.
func (w *Wire) Thaw() { w.ice.Unlock() }

// frozen passes on what it reads when nothing is frozen.
type frozen struct {
	from io.Reader
	ice  *sync.RWMutex
}

func (f frozen) Read(b []byte) (int, error) {
	n, err := f.from.Read(b)
	f.ice.RLock()
	defer f.ice.RUnlock()
	return n, err
}

// Direct is the database by another way, which stays open.
func (w *Wire) Direct() string { return w.direct }
