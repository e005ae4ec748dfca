package peers

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"

	"gatehouse/id"
)

// Answer is what came of asking one peer everything.
type Answer struct {
	Address string
	Node    id.Node // who answers there; empty when nobody of this installation does
	Self    bool    // the address leads back to this node
	Status  Status
	Took    time.Duration // for the answer, on a connection that was open
	Ahead   time.Duration // its clock against ours; wrong by at most Took
	Lends   error         // why it does not lend a way to the database; nil when it does, or there is none to ask for
	Err     error         // why it does not answer
}

// Ask asks every peer how it is and whether it would lend its way, all at once.
// It is for people who look: it takes seconds when a peer is away.
func (p *Peers) Ask(ctx context.Context) []Answer {
	answers := make([]Answer, len(p.others))
	var all sync.WaitGroup
	for i, n := range p.others {
		all.Go(func() { answers[i] = n.ask(ctx, p.o.Databases) })
	}
	all.Wait()
	return answers
}

func (n *neighbour) ask(ctx context.Context, databases []string) Answer {
	a := Answer{Address: n.address}
	ctx, cancel := context.WithTimeout(ctx, lookWithin+2*callWithin)
	defer cancel()
	err := n.hello(ctx) // shakes hands, so that what follows measures the way and not that
	a.Node, a.Self = n.state().Node, n.state().Self
	if a.Self {
		return a
	}
	if a.Err = err; err != nil {
		return a
	}
	before := n.now()
	if a.Err = n.call(ctx, http.MethodGet, pathStatus, nil, &a.Status); a.Err != nil {
		return a
	}
	a.Took = n.now().Sub(before)
	a.Ahead = a.Status.Now.Sub(before.Add(a.Took / 2))
	for _, address := range databases {
		conn, err := n.lends(ctx, address)
		if err == nil {
			conn.Close()
		}
		a.Lends = errors.Join(a.Lends, err)
	}
	return a
}
