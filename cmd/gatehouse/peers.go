package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"gatehouse/id"
	"gatehouse/peers"
	"gatehouse/store"
)

// openPeers prepares the talk with the other nodes, where there are any.
func (h *house) openPeers(node id.Node) (err error) {
	if h.l.PeersListen == "" && len(h.l.PeersNodes) == 0 {
		return nil
	}
	databases, err := h.l.databases()
	if err != nil {
		return err
	}
	h.peers, err = peers.New(peers.Options{
		Node: node, Keys: h.keys, Nodes: h.l.PeersNodes, Databases: databases, Wait: h.l.PeersWait, Lend: h.l.PeersLend,
		Now: h.now, Rand: rand.Reader, Log: h.slog,
	})
	return err
}

// peered makes a store ask the peers before it uses its standby, and go through
// one when its own way to the database is cut.
func (h *house) peered(o *store.Options) {
	if h.peers == nil {
		return
	}
	o.Peers, o.Dial = h.peers, h.peers.Dial
}

// databases lists where the database may be, as host:port: the places a peer is
// lent the way to. There are none for SQLite and for a socket file.
func (l *Loaded) databases() ([]string, error) {
	dsn, err := l.dsn()
	if err != nil || strings.HasPrefix(dsn, "sqlite:") {
		return nil, err
	}
	config, err := pgconn.ParseConfig(dsn)
	if err != nil {
		return nil, err // pgx masks the password
	}
	places := []string{databasePlace(config.Host, config.Port)}
	for _, other := range config.Fallbacks {
		places = append(places, databasePlace(other.Host, other.Port))
	}
	slices.Sort(places)
	return slices.DeleteFunc(slices.Compact(places), func(place string) bool { return place == "" }), nil
}

func databasePlace(host string, port uint16) string {
	if strings.HasPrefix(host, "/") || strings.HasPrefix(host, "@") {
		return ""
	}
	return net.JoinHostPort(host, strconv.Itoa(int(port)))
}

// talkToPeers keeps in touch with the other nodes and answers them until ctx ends.
func (r *loops) talkToPeers(ctx context.Context, stop context.CancelCauseFunc) {
	if r.peers == nil {
		return
	}
	if r.l.PeersListen != "" {
		l, err := listen(r.l.PeersListen, "peers.listen")
		if err != nil {
			stop(err)
			return
		}
		r.slog.Info("peers are answered", "listen", l.Addr().String())
		r.wait.Go(func() {
			stopFor(stop, r.peers.Serve(ctx, l, peers.House{Claim: r.store.Claim, Heard: r.store.Heard, Status: r.peerStatus}))
		})
	}
	r.peers.Run(ctx)
}

// peerStatus is what gatehouse peers check on another node is told of this one.
func (r *loops) peerStatus(ctx context.Context) peers.Status {
	err := r.store.Ping(ctx)
	st := peers.Status{Version: version(), Schema: r.store.Schema(), Database: err == nil}
	if err != nil {
		st.Why = err.Error()
	}
	return st
}

func (l *Loaded) checkPeers() {
	if l.PeersListen != "" && (overlap(l.PeersListen, l.Listen) || overlap(l.PeersListen, l.Management)) {
		l.wrong("peers.listen", "peers.listen (%s) is the same place as listen or management.listen; give the peers a port of their own", l.PeersListen)
	}
	if l.PeersListen == "" && len(l.PeersNodes) > 0 {
		l.warn("peers.nodes", "this node asks its peers and answers none, because peers.listen is not set")
	}
	if l.PeersListen != "" && len(l.PeersNodes) == 0 {
		l.warn("peers.listen", "this node answers peers and asks none, because peers.nodes is not set")
	}
	if dsn, err := l.dsn(); err == nil && strings.HasPrefix(dsn, "sqlite:") && len(l.PeersNodes) > 0 {
		l.warn("peers.nodes", "peers are of use to nodes that share a PostgreSQL, and this one has SQLite to itself")
	}
}

// judgeNode accepts host:port, as somebody else would connect to it.
func judgeNode(text string) error {
	host, port, ok := cutPort(text)
	n, err := strconv.ParseUint(port, 10, 16)
	if !ok || host == "" || strings.ContainsAny(text, "/@ ") || err != nil || n == 0 || isWildcard(text) {
		return fmt.Errorf("%q is not a node; write its host and the port of its peers.listen, such as node2.internal:9443", text)
	}
	return nil
}

// aliveFor is how lately a node must have written down that it is there.
const aliveFor = time.Minute

// peers finds several nodes on one database that do not talk, and, unless offline,
// peers that do not answer.
func (d *doctor) peers(ctx context.Context, offline bool) {
	const fix = "set peers.listen and peers.nodes on every node (docs/peers.md), then: gatehouse peers check"
	alive, err := d.h.store.Nodes(ctx, d.h.now().Add(-aliveFor))
	switch {
	case err != nil:
		d.add("peers", warning, "ask again once the database answers", "%v", err)
		return
	case d.h.peers == nil && len(alive) > 1:
		d.add("peers", warning, fix, "%d nodes share this database and do not talk to each other: one that is cut off from it cannot go through another, and a code used there could be used once more here until it is back", len(alive))
		return
	case d.h.peers == nil || offline:
		return
	}
	bad := 0
	for _, a := range d.h.peers.Ask(ctx) {
		if v := judgePeer(a, d.h.store.Schema()); v.status != success && !a.Self {
			bad++
			d.add("peers", v.status, cmp.Or(v.fix, "gatehouse peers check"), "%s: %s", a.Address, v.says)
		}
	}
	if bad == 0 {
		d.add("peers", success, "", "%s in peers.nodes, and all answer", count(len(d.l.PeersNodes), "address"))
	}
}
