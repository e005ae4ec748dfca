package drill

import (
	"errors"
	"io"
	"net"
	"sync"
	"time"
)

// Wire is a TCP way to a server that can be cut, held and mended.
type Wire struct {
	to       string
	listener net.Listener

	mu     sync.Mutex
	cut    bool
	held   chan struct{} // not nil while nothing passes; closed when it does again
	open   map[net.Conn]bool
	passed int64 // bytes, both ways
}

// NewWire lays a wire to an address.
func NewWire(to string) (*Wire, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	w := &Wire{to: to, listener: l, open: map[net.Conn]bool{}}
	go w.serve()
	return w, nil
}

// Address is where to connect.
func (w *Wire) Address() string { return w.listener.Addr().String() }

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
	if !w.keep(c) {
		return
	}
	defer w.forget(c)
	to, err := net.DialTimeout("tcp", w.to, 5*time.Second)
	if err != nil {
		return
	}
	defer to.Close()
	if !w.keep(to) {
		return
	}
	defer w.forget(to)
	done := make(chan struct{}, 2)
	for _, way := range [][2]net.Conn{{c, to}, {to, c}} {
		go func() { w.pass(way[0], way[1]); done <- struct{}{} }()
	}
	<-done
}

func (w *Wire) pass(to io.Writer, from io.Reader) {
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		w.hold()
		if n > 0 {
			if _, err := to.Write(buffer[:n]); err != nil {
				return
			}
			w.mu.Lock()
			w.passed += int64(n)
			w.mu.Unlock()
		}
		if err != nil {
			return
		}
	}
}

func (w *Wire) hold() {
	w.mu.Lock()
	held := w.held
	w.mu.Unlock()
	if held != nil {
		<-held
	}
}

func (w *Wire) keep(c net.Conn) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.cut {
		w.open[c] = true
	}
	return !w.cut
}

func (w *Wire) forget(c net.Conn) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.open, c)
}

// Cut ends every connection and lets no new one through.
func (w *Wire) Cut() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cut = true
	for c := range w.open {
		c.Close()
		delete(w.open, c)
	}
}

// Hold keeps connections open and lets nothing pass: a half-open way.
func (w *Wire) Hold() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.held == nil {
		w.held = make(chan struct{})
	}
}

// Mend lets everything through again.
func (w *Wire) Mend() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cut = false
	if w.held != nil {
		close(w.held)
		w.held = nil
	}
}

// isCut is nil when nothing comes through.
func (w *Wire) isCut() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.cut || len(w.open) > 0 {
		return errors.New("the way is open")
	}
	return nil
}

// Close cuts it for good.
func (w *Wire) Close() {
	w.listener.Close()
	w.Mend()
	w.Cut()
}
