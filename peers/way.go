package peers

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

const (
	headStart = 250 * time.Millisecond // what the straight way has before peers are asked
	deadFor   = 5 * time.Second        // how long a dead way is not tried first
)

// Dial connects to the database: straight, and through a peer when that fails or
// takes long. A way that was found dead is remembered for a few seconds, and then
// peers are asked first. It fits store.Options.Dial.
func (p *Peers) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	if !strings.HasPrefix(network, "tcp") || !p.mayHelp() {
		return p.o.Straight(ctx, network, address)
	}
	straight := func(ctx context.Context) (net.Conn, error) { return p.straight(ctx, network, address) }
	lent := func(ctx context.Context) (net.Conn, error) { return p.borrow(ctx, address) }
	if p.ways.isDead(address) {
		soon := func(ctx context.Context) (net.Conn, error) {
			ctx, cancel := context.WithTimeout(ctx, headStart)
			defer cancel()
			return straight(ctx)
		}
		return race(ctx, p.o.Wait, lent, soon)
	}
	conn, err := race(ctx, headStart, straight, lent)
	if w, ok := conn.(*watched); ok && w.lent || err != nil && !errors.Is(ctx.Err(), context.Canceled) {
		p.ways.died(address)
	}
	return conn, err
}

func (p *Peers) mayHelp() bool {
	for _, n := range p.others {
		if !n.state().Self {
			return true
		}
	}
	return false
}

// straight is this node's own way, watched: a connection that is taken and then
// not answered is dead too (a proxy or a firewall between).
func (p *Peers) straight(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := p.o.Straight(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return &watched{Conn: conn, dead: func() { p.ways.died(address) }, alive: func() { p.ways.lives(address) }}, nil
}

type dialer func(context.Context) (net.Conn, error)

// race starts second when first fails or has had its head start, and returns the
// first connection of the two. A connection that comes too late is closed.
func race(ctx context.Context, head time.Duration, first, second dialer) (net.Conn, error) {
	type outcome struct {
		conn net.Conn
		err  error
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	outcomes, left := make(chan outcome), make(chan struct{})
	defer close(left)
	start := func(d dialer) {
		conn, err := d(ctx)
		select {
		case outcomes <- outcome{conn, err}:
		case <-left:
			if err == nil {
				conn.Close()
			}
		}
	}
	timer := time.NewTimer(head)
	defer timer.Stop()
	go start(first)
	var errs []error
	for next := second; ; {
		var failed bool
		select {
		case o := <-outcomes:
			if o.err == nil {
				return o.conn, nil
			}
			errs, failed = append(errs, o.err), true
		case <-timer.C:
			failed = true
		case <-ctx.Done():
			return nil, errors.Join(append(errs, ctx.Err())...)
		}
		if failed && next != nil {
			go start(next)
			next = nil
		}
		if len(errs) == 2 {
			return nil, errors.Join(errs...)
		}
	}
}

var errNoPeer = errors.New("peers: no peer lends a way")

// borrow asks every peer at once for its way to the database.
func (p *Peers) borrow(ctx context.Context, address string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, p.o.Wait)
	defer cancel()
	conns := make(chan net.Conn)
	left := make(chan struct{})
	defer close(left)
	for _, n := range p.others {
		go func() {
			conn, err := n.lends(ctx, address)
			if err == nil { // watched like a way of our own
				conn = &watched{Conn: conn, lent: true, dead: func() { n.lame(); p.ways.lives(address) }}
			} else {
				conn = nil
			}
			select {
			case conns <- conn:
			case <-left:
				if conn != nil {
					conn.Close()
				}
			}
		}()
	}
	for range p.others {
		select {
		case conn := <-conns:
			if conn != nil {
				return conn, nil
			}
		case <-ctx.Done():
			return nil, fmt.Errorf("%w: %w", errNoPeer, ctx.Err())
		}
	}
	return nil, errNoPeer
}

// lends makes a connection to a peer and has it joined with the database.
func (n *neighbour) lends(ctx context.Context, address string) (net.Conn, error) {
	if n.state().Self || n.isLame() {
		return nil, errNoPeer
	}
	conn, err := n.connect(ctx)
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	request := &http.Request{Method: http.MethodConnect, URL: &url.URL{Opaque: address}, Host: address, Header: http.Header{}}
	reader := bufio.NewReader(conn)
	err = request.Write(conn)
	if err == nil {
		var answer *http.Response
		if answer, err = http.ReadResponse(reader, request); err == nil && answer.StatusCode != http.StatusOK {
			err = &refused{answer.StatusCode}
		}
	}
	if !stop() && err == nil {
		err = ctx.Err()
	}
	if err != nil {
		conn.Close()
		return nil, err
	}
	return &lentConn{Conn: conn, reader: reader, remote: lentAddr(address)}, nil
}

// lentConn is a way through a peer. Its far end is the database, so that a request
// to cancel a query finds it again.
type lentConn struct {
	net.Conn
	reader *bufio.Reader
	remote lentAddr
}

func (c *lentConn) Read(b []byte) (int, error) { return c.reader.Read(b) }
func (c *lentConn) RemoteAddr() net.Addr       { return c.remote }

// lame is a peer whose way led nowhere: it is not asked for a while.
func (n *neighbour) lame() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.lameAt = n.now()
}

func (n *neighbour) isLame() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.now().Sub(n.lameAt) < deadFor
}

type lentAddr string

func (lentAddr) Network() string  { return "tcp" }
func (a lentAddr) String() string { return string(a) }

// ways remembers which places could not be reached straight.
type ways struct {
	now  func() time.Time
	mu   sync.Mutex
	dead map[string]time.Time
}

// maxWays is more than any configuration has; addresses of cancelled queries come
// on top.
const maxWays = 64

func (w *ways) isDead(address string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	since, dead := w.dead[address]
	return dead && w.now().Sub(since) < deadFor
}

func (w *ways) died(address string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.dead) >= maxWays {
		clear(w.dead)
	}
	w.dead[address] = w.now()
}

func (w *ways) lives(address string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.dead, address)
}

// watched judges a way by its first answer.
type watched struct {
	net.Conn
	lent        bool
	dead, alive func() // nil: nobody needs to know

	mu     sync.Mutex
	judged bool
}

func (c *watched) Write(b []byte) (int, error) {
	if isCancel(b) {
		c.judge(nil) // PostgreSQL closes these without a word
	}
	return c.Conn.Write(b)
}

func (c *watched) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	switch {
	case n > 0:
		c.judge(c.alive)
	case err != nil && !errors.Is(err, net.ErrClosed):
		c.judge(c.dead)
	}
	return n, err
}

func (c *watched) judge(tell func()) {
	c.mu.Lock()
	first := !c.judged
	c.judged = true
	c.mu.Unlock()
	if first && tell != nil {
		tell()
	}
}

// isCancel knows a CancelRequest (PostgreSQL manual, 55.7).
func isCancel(b []byte) bool {
	return len(b) >= 8 && binary.BigEndian.Uint32(b[4:]) == 80877102
}
