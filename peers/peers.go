// Package peers lets the nodes of one installation talk (DESIGN §5, "a node cut
// off alone"). They speak mutual TLS 1.3 with certificates that each makes in
// memory from the shared key folder, and say four things to each other:
//
//	claim  may I use this one-time fact, or has somebody else?   asked before a standby is used
//	tell   this is what my standby wrote                         passed on, never waited for
//	way    lend me your way to the database                      a tunnel; the database's own TLS goes through it
//	hello  who are you, and how are you?                         once a second, and by gatehouse peers check
//
// Nothing in a sign-in waits longer than Options.Wait for a peer, and a peer that
// does not answer counts as one that is not there.
package peers

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"sync"
	"time"

	"gatehouse/id"
	"gatehouse/seal"
	"gatehouse/store"
)

// Options say who this node is and where the others are.
type Options struct {
	Node id.Node
	Keys *seal.Keys
	// Nodes are the peers as host:port. This node may be among them: it is told by
	// its name, and passed over.
	Nodes []string
	// Databases are the places, as host:port, that this node's own configuration
	// names as its database. A peer is lent the way to these and to nothing else.
	Databases []string
	// Wait is how long peers have, all together, for a claim or a way. Zero means 50 ms.
	Wait time.Duration
	// Lend is how many connections are lent at once. Zero means 64.
	Lend int
	// Straight is this node's own way to the database; nil is the network.
	Straight func(ctx context.Context, network, address string) (net.Conn, error)
	Now      func() time.Time
	Rand     io.Reader
	Log      *slog.Logger
}

// Peers are the other nodes of this installation. It is a store.Peers.
type Peers struct {
	o        Options
	identity *identity
	others   []*neighbour
	reserved *Reservations
	ways     ways
}

var _ store.Peers = (*Peers)(nil)

// New prepares the talk with the others; nothing is connected yet.
func New(o Options) (*Peers, error) {
	if o.Now == nil || o.Rand == nil || o.Keys == nil || o.Log == nil {
		return nil, errors.New("peers: no clock, no randomness, no keys or no log")
	}
	o.Wait = cmp.Or(o.Wait, 50*time.Millisecond)
	o.Lend = cmp.Or(o.Lend, 64)
	if o.Straight == nil {
		o.Straight = network().DialContext
	}
	identity, err := newIdentity(o)
	if err != nil {
		return nil, err
	}
	p := &Peers{o: o, identity: identity, reserved: NewReservations(o.Now), ways: ways{now: o.Now, dead: map[string]time.Time{}}}
	for _, address := range o.Nodes {
		p.others = append(p.others, newNeighbour(address, identity, o))
	}
	return p, nil
}

// network dials so that a connection whose other end has vanished ends within
// five seconds, also when nobody uses it: a pool full of them would be tried one
// by one.
func network() *net.Dialer {
	return &net.Dialer{KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 2 * time.Second, Interval: time.Second, Count: 3}}
}

// Run keeps in touch with the peers and passes on what Tell was given, until ctx
// ends.
func (p *Peers) Run(ctx context.Context) {
	var all sync.WaitGroup
	for _, n := range p.others {
		all.Go(func() { n.run(ctx) })
	}
	all.Wait()
}

// Claim reserves the facts here and at every peer, all asked at once. One that
// has given a fact to somebody else refuses for all, and so does this node; peers
// that do not answer in time are not counted. Of two nodes that claim the same
// fact at the same moment at most one is granted, as each reserves at home first.
func (p *Peers) Claim(ctx context.Context, facts []store.Fact) (granted bool, answered int) {
	made, granted := p.reserved.Reserve(facts)
	if !granted || len(facts) == 0 {
		return granted, 0
	}
	ctx, cancel := context.WithTimeout(ctx, p.o.Wait)
	defer cancel()
	verdicts := make(chan verdict, len(p.others))
	for _, n := range p.others {
		go func() { verdicts <- n.claim(ctx, facts) }()
	}
	for range p.others {
		select {
		case v := <-verdicts:
			if v.answered {
				answered++
			}
			if v.answered && !v.granted {
				p.reserved.Release(made)
				return false, answered
			}
		case <-ctx.Done():
			return true, answered
		}
	}
	return true, answered
}

// Tell passes an entry of this node's journal on to every peer, without waiting.
// For a peer that is away the oldest are dropped, and counted: the hand-over to
// the primary brings them too.
func (p *Peers) Tell(e store.Entry) {
	line, err := json.Marshal(e)
	if err != nil || len(line) > maxLine {
		p.o.Log.Warn("a journal entry is not told to the peers; the hand-over brings it", "entry", e.ID, "bytes", len(line), "error", err)
		return
	}
	for _, n := range p.others {
		n.tell(line)
	}
}

// State is what this node knows of one peer, without asking it.
type State struct {
	Address string    `json:"address"`
	Node    id.Node   `json:"node,omitempty"` // empty until it has answered once
	Self    bool      `json:"self,omitempty"` // the address leads back to this node
	Up      bool      `json:"up"`             // it answered last time
	Since   time.Time `json:"since,omitzero"` // since when that is so
	Why     string    `json:"why,omitempty"`  // why it did not
	Queued  int       `json:"queued"`         // entries not yet told
	Dropped int64     `json:"dropped"`        // entries that waited too long, or were not taken
}

// States lists the peers in the order of Options.Nodes.
func (p *Peers) States() []State {
	states := make([]State, 0, len(p.others))
	for _, n := range p.others {
		states = append(states, n.state())
	}
	return states
}
