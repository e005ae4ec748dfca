package flow

import (
	"time"

	"gatehouse/limits"
)

// A browser is a cookie that we made, so one machine can be as many as it likes.
// What it cannot be is many networks: of the line, and of the passes that nobody
// has used yet, each gets a part. An office that comes back together uses its
// passes as fast as people type, and whoever is not expected back keeps since when
// they wait.
const (
	mostOfNetwork = mostWaits / 8    // in the line
	unusedFor     = 30 * time.Second // of hashing: passes that one network may have and not use
)

func standingOf(who Who, p place) standing {
	return standing{who.Device, p.Since, limits.Network(who.Network)}
}

// expect puts somebody into the line, unless it or their network's part of it is full.
func (g *Gate) expect(w standing, lost time.Time) {
	_, again := g.waits[w.device]
	if !again && (len(g.waits) >= mostWaits || w.network != "" && g.crowds[w.network] >= mostOfNetwork) {
		return
	}
	g.forget(w)
	g.waits[w.device] = waiter{w.since, lost, w.network}
	g.crowds[w.network]++
}

// forget takes somebody out of the line.
func (g *Gate) forget(w standing) {
	was, found := g.waits[w.device]
	if !found {
		return
	}
	delete(g.waits, w.device)
	if g.crowds[was.network]--; g.crowds[was.network] == 0 {
		delete(g.crowds, was.network)
	}
}

// greedy tells a network that holds as many unused passes as it may.
func (g *Gate) greedy(network string) bool {
	return network != "" && len(g.unused[network]) >= max(mostUses, int(g.capacity()*unusedFor.Seconds()))
}

// give notes a pass of a network, and take that one was used.
func (g *Gate) give(network string) {
	if network != "" {
		g.unused[network] = append(g.unused[network], g.now().Add(passLife))
	}
}

func (g *Gate) take(network string) {
	if left := g.unused[network]; len(left) > 1 {
		g.unused[network] = left[1:]
	} else {
		delete(g.unused, network)
	}
}

// lapse forgets passes that have run out.
func (g *Gate) lapse(now time.Time) {
	for network, left := range g.unused {
		n := 0
		for n < len(left) && !now.Before(left[n]) {
			n++
		}
		if n == len(left) {
			delete(g.unused, network)
		} else {
			g.unused[network] = left[n:]
		}
	}
}
