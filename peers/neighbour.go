package peers

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"gatehouse/id"
	"gatehouse/store"
)

// neighbour is one peer, as this node calls it.
type neighbour struct {
	address  string
	identity *identity
	wait     time.Duration
	now      func() time.Time
	log      *slog.Logger
	http     *http.Client
	queue    *queue

	mu     sync.Mutex
	known  State
	lameAt time.Time // when the way it lent led nowhere
}

const (
	helloEvery  = time.Second     // keeps a connection warm, and a peer that comes back is found within it
	callWithin  = 2 * time.Second // for what nobody waits for
	openCalls   = 32              // connections to one peer at once
	tellTries   = 10              // for an entry that a peer cannot take now
	dialWithin  = time.Second
	quietBefore = 90 * time.Second // an idle connection is closed
)

// errSelf is an address that leads back here.
var errSelf = errors.New("peers: that is this node itself")

func newNeighbour(address string, identity *identity, o Options) *neighbour {
	n := &neighbour{address: address, identity: identity, wait: o.Wait, now: o.Now, log: o.Log, queue: newQueue()}
	n.known = State{Address: address}
	n.http = &http.Client{
		Transport: &http.Transport{
			DialTLSContext:  func(ctx context.Context, _, _ string) (net.Conn, error) { return n.connect(ctx) },
			MaxConnsPerHost: openCalls, MaxIdleConnsPerHost: openCalls, IdleConnTimeout: quietBefore, DisableCompression: true,
			MaxResponseHeaderBytes: 8 << 10,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return n
}

// connect makes a connection on which both have shown who they are.
func (n *neighbour) connect(ctx context.Context) (*tls.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialWithin)
	defer cancel()
	plain, err := network().DialContext(ctx, "tcp", n.address)
	if err != nil {
		return nil, err
	}
	conn := tls.Client(plain, n.identity.client())
	if err := conn.HandshakeContext(ctx); err != nil {
		plain.Close()
		return nil, err
	}
	node, err := nodeOf(conn.ConnectionState())
	if err == nil && n.meet(node) {
		err = errSelf
	}
	if err != nil {
		conn.Close()
		return nil, err
	}
	return conn, nil
}

// meet notes who answers, and says whether that is ourselves.
func (n *neighbour) meet(node id.Node) (self bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.known.Node, n.known.Self = node, node == n.identity.node
	return n.known.Self
}

// call sends a message and reads the answer into reply. The answer's status is an
// *refused error when it is not 200.
func (n *neighbour) call(ctx context.Context, method, path string, body []byte, reply any) error {
	r, err := http.NewRequestWithContext(ctx, method, "https://peer"+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	r.Header["Idempotency-Key"] = nil // every call may be repeated: net/http then tries again when an idle connection turns out dead
	answer, err := n.http.Do(r)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(io.LimitReader(answer.Body, maxReply))
	if err != nil {
		return err
	}
	bad := json.Unmarshal(text, reply)
	if answer.StatusCode != http.StatusOK {
		return &refused{answer.StatusCode}
	}
	return bad
}

// refused is an answer other than 200.
type refused struct{ status int }

func (r *refused) Error() string {
	return fmt.Sprintf("peers: the peer answered %d %s", r.status, http.StatusText(r.status))
}

type verdict struct{ answered, granted bool }

func (n *neighbour) claim(ctx context.Context, facts []store.Fact) verdict {
	body, err := json.Marshal(claimRequest{facts})
	if err != nil || n.state().Self {
		return verdict{}
	}
	var reply claimReply
	if err := n.call(ctx, http.MethodPost, pathClaim, body, &reply); err != nil {
		return verdict{}
	}
	return verdict{answered: true, granted: reply.Granted}
}

func (n *neighbour) tell(line []byte) {
	if !n.state().Self {
		n.queue.push(line)
	}
}

func (n *neighbour) state() State {
	n.mu.Lock()
	defer n.mu.Unlock()
	s := n.known
	s.Queued, s.Dropped = n.queue.size()
	return s
}

// run says hello once a second and passes on what is queued, until ctx ends. What
// a peer does not take now waits for the next second.
func (n *neighbour) run(ctx context.Context) {
	defer n.http.CloseIdleConnections()
	tick := time.NewTicker(helloEvery)
	defer tick.Stop()
	n.note(ctx, n.hello(ctx))
	tries := 0
	for {
		wake := n.queue.more
		if !n.drain(ctx, &tries) {
			wake = nil
		}
		select {
		case <-ctx.Done():
			return
		case <-wake:
		case <-tick.C:
			n.note(ctx, n.hello(ctx))
		}
	}
}

func (n *neighbour) hello(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, callWithin)
	defer cancel()
	var reply helloReply
	return n.call(ctx, http.MethodGet, pathHello, nil, &reply)
}

// note remembers whether the peer answers, and says so when that changed.
func (n *neighbour) note(ctx context.Context, err error) {
	if ctx.Err() != nil {
		return // we are leaving; it says nothing of the peer
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	up := err == nil || n.known.Self
	changed := n.known.Since.IsZero() || up != n.known.Up
	n.known.Up, n.known.Why = up, ""
	if !up {
		n.known.Why = err.Error()
	}
	if !changed {
		return
	}
	n.known.Since = n.now()
	switch {
	case n.known.Self:
		n.log.Info("an address in peers.nodes is this node's own, and passed over", "peer", n.address)
	case up:
		n.log.Info("a peer answers", "peer", n.address, "node", string(n.known.Node))
	default:
		n.log.Warn("a peer does not answer", "peer", n.address, "error", err)
	}
}
