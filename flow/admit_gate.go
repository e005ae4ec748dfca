package flow

import (
	"context"
	"slices"
	"sync"
	"time"

	"gatehouse/id"
)

// class is how urgent a step is. Session checks are not among them: they are
// answered from memory and never ask.
type class int

const (
	rest       class = iota // mails asked for, links opened: they can be asked for again
	newSignIn               // a password, and nothing was shown before it
	passed                  // the same, by somebody who waited and was told to come in
	inProgress              // something was shown already, or a session is open
)

// What the gate decides by.
const (
	hashAhead  = 2 * time.Second        // new sign-ins inside are what is hashed in this time: enough to keep every core at work, and nobody waits longer
	lineStands = 10 * time.Second       // without a refusal for this long there is no line any more
	sweepEvery = 500 * time.Millisecond // how old the order of the line may be
	frontAhead = 5 * time.Second        // who is asked in: as many as are hashed while they come back
	soonest    = 2 * time.Second        // the front of the line comes again after this, the others later
	latest     = 20 * time.Second
	lateness   = 3 * time.Second // who comes back this much later than told, and half as long again, is still expected
	holdFor    = 5 * time.Second // who has a claim waits here for a place, rather than be sent back with what they typed
	mostWaits  = 1 << 14         // people remembered in the line: some 3 MiB
	mostUses   = 6               // of one place: five passwords, and one for luck
	knownRoom  = 0.8             // of a permit, for a step that needs no pass: it goes straight to a core, so the room bounds it, and no core waits because we took hashes for slower than they are
)

// Gate is bounded admission: who may take a step now, in memory and at once. The
// limit for new sign-ins follows how long a hash takes on this machine now. When
// it is reached a line forms. Somebody in the line comes back by themselves, so
// the gate keeps a place free for each of those who are expected: a newcomer gets
// in only beside them, never before them. The zero value is not ready; nil lets
// everybody in.
type Gate struct {
	now   func() time.Time
	most  int // steps inside at once
	cores int // hashes at once

	mu      sync.Mutex
	inside  int
	hash    time.Duration // smoothed
	stands  time.Time     // the line stands until then at least
	permits float64       // how many more may begin now, to type a password or to have it checked
	filled  time.Time     // when permits were brought up to date
	waits   map[id.Device]waiter
	crowds  map[string]int         // how many of them a network has
	unused  map[string][]time.Time // network → when the passes it has not used run out, oldest first
	spent   map[id.Device]spent    // places that were used
	held    []turn                 // who has a claim and waits here for a place, the most urgent first
	order   []time.Time            // since when people wait, oldest first, at the last sweep
	swept   time.Time
}

// waiter is somebody in the line.
type waiter struct {
	since   time.Time
	lost    time.Time // who has not come back by then is expected no more
	network string
}

// turn is somebody who is held until a place is free.
type turn struct {
	class class
	who   standing
	come  chan struct{} // closed when it is theirs, with the place taken
}

// spent counts the uses of a place.
type spent struct {
	since time.Time
	uses  int
}

// NewGate makes a gate that never has more than most steps inside, for a machine
// that computes so many hashes at once.
func NewGate(most, cores int, now func() time.Time) *Gate {
	return &Gate{now: now, most: most, cores: cores, hash: 100 * time.Millisecond, // until the first is measured
		waits: map[id.Device]waiter{}, crowds: map[string]int{}, unused: map[string][]time.Time{}, spent: map[id.Device]spent{}}
}

// Hashed tells the gate how long a hash took. It fits
// authenticators.HasherOptions.OnHash.
func (g *Gate) Hashed(hashing, _ time.Duration) {
	const weight = 8 // a single slow one says little, and one that a moved clock made long says nothing
	g.mu.Lock()
	defer g.mu.Unlock()
	hashing = min(max(hashing, 0), 4*g.hash)
	g.hash = max(time.Microsecond, g.hash+(hashing-g.hash)/weight)
}

// GateState is what a gate shows of itself.
type GateState struct {
	Inside   int     // steps inside
	Limit    int     // new sign-ins get in below this
	Waiting  int     // people in the line who are expected back
	Capacity float64 // hashes a second, as measured
	Line     bool    // newcomers have to wait
}

// State is cheap: for metrics and the status.
func (g *Gate) State() GateState {
	if g == nil {
		return GateState{}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.tidy()
	return GateState{g.inside, g.limit(), len(g.waits), g.capacity(), g.line()}
}

// busy tells whether work that can wait should.
func (g *Gate) busy() bool {
	s := g.State()
	return s.Line || s.Limit > 0 && s.Inside >= max(1, s.Limit/2)
}

// enter takes a place inside, or tells that there is none.
func (g *Gate) enter(c class, w standing) (leave func(), ok bool) {
	if g == nil {
		return func() {}, true
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.tidy()
	if !g.room(c, w) {
		return nil, false
	}
	if c == newSignIn {
		g.permits = max(0, g.permits-knownRoom)
	}
	if c == newSignIn || c == passed {
		g.use(c, w)
	}
	g.inside++
	return sync.OnceFunc(g.leave), true
}

func (g *Gate) leave() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.fill() // before the room that was full counts as free
	g.inside--
	for len(g.held) > 0 && g.room(g.held[0].class, standing{}) {
		g.inside++
		if g.held[0].class == passed {
			g.use(passed, g.held[0].who)
		}
		close(g.held[0].come)
		g.held = slices.Delete(g.held, 0, 1)
	}
}

// hold waits for a place for somebody with a claim, in the order of urgency and
// then of coming, until ctx ends. Not more are held than may be inside.
func (g *Gate) hold(ctx context.Context, c class, w standing) (leave func(), ok bool) {
	mine := turn{c, w, make(chan struct{})}
	g.mu.Lock()
	if len(g.held) >= g.most {
		g.mu.Unlock()
		return nil, false
	}
	at := slices.IndexFunc(g.held, func(t turn) bool { return t.class < c })
	if at < 0 {
		at = len(g.held)
	}
	g.held = slices.Insert(g.held, at, mine)
	g.mu.Unlock()
	select {
	case <-mine.come:
		return sync.OnceFunc(g.leave), true
	case <-ctx.Done():
		g.letGo(mine)
		return nil, false
	}
}

// letGo takes back a turn; a place that came at the same moment goes to the next.
func (g *Gate) letGo(mine turn) {
	g.mu.Lock()
	at := slices.IndexFunc(g.held, func(t turn) bool { return t.come == mine.come })
	if at >= 0 {
		g.held = slices.Delete(g.held, at, at+1)
	}
	g.mu.Unlock()
	if at < 0 {
		g.leave()
	}
}

// standing is who asks: since when they wait, zero for a newcomer.
type standing struct {
	device  id.Device
	since   time.Time
	network string
}

// room is the one decision. Each class stops below what the next more urgent one
// may fill, so that none can keep a more urgent one out.
func (g *Gate) room(c class, w standing) bool {
	switch c {
	case inProgress:
		return g.inside < g.most
	case passed:
		return g.inside < g.most-g.most/8
	case newSignIn:
		kept, limit := g.kept(w), g.limit()
		inside := float64(g.inside) + kept
		return inside < float64(limit) && (!g.line() || g.permits >= 1+kept || inside < float64(max(1, limit/2)))
	}
	return g.inside < max(1, g.limit()/2)
}

// ask lets somebody see the form, where a secret is typed. While the line stands
// it gives out as many permits as the machine computes hashes, to the front of the
// line first; pass tells that the caller gets one.
func (g *Gate) ask(w standing) (in, pass bool) {
	if g == nil {
		return true, false
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.tidy()
	if !g.line() {
		return true, false
	}
	if g.permits < 1+g.kept(w) || g.greedy(w.network) {
		return false, false
	}
	g.permits--
	g.give(w.network)
	g.forget(w)
	return true, true
}

// wait notes that somebody was turned away, and says when to come again and how
// long it will take in all. Only who can be told apart is remembered.
func (g *Gate) wait(w standing, known bool) (since time.Time, after, about time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := g.now()
	if !g.line() {
		g.permits, g.filled = 0, now
	}
	g.stands = now.Add(lineStands)
	w = g.known(w)
	if w.since.IsZero() || w.since.After(now) {
		w.since = now
	}
	ahead := g.ahead(w.since)
	about = time.Duration(float64(ahead+1) / g.capacity() * float64(time.Second))
	after = soonest
	if ahead >= g.front() {
		after = min(max(about/4, 2*soonest), latest)
	}
	if known {
		g.expect(w, now.Add(after+after/2+lateness))
	}
	return w.since, after, about
}

// use takes somebody out of the line, and counts how often their place served.
func (g *Gate) use(c class, w standing) {
	g.forget(w)
	if c == passed {
		g.take(w.network)
	}
	if w.since.IsZero() || !g.line() {
		return
	}
	s := g.spent[w.device]
	if !s.since.Equal(w.since) {
		s = spent{since: w.since}
	}
	s.uses++
	g.spent[w.device] = s
}

// worn tells a place that was used too often, so that no crowd gets in by one; or
// that it cannot be told.
func (g *Gate) worn(w standing) bool {
	if g == nil {
		return false
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	s, known := g.spent[w.device]
	if !known {
		return len(g.spent) >= mostWaits
	}
	return s.since.Equal(w.since) && s.uses >= mostUses
}

// capacity is hashes a second.
func (g *Gate) capacity() float64 { return float64(g.cores) / g.hash.Seconds() }

// limit is how many may be inside for a new sign-in to get in.
func (g *Gate) limit() int {
	n := int(g.capacity() * hashAhead.Seconds())
	return max(1, min(max(n, 2*g.cores), g.most-g.most/4))
}

// front is how many of the line are asked in.
func (g *Gate) front() int { return max(g.limit(), int(g.capacity()*frontAhead.Seconds())) }

func (g *Gate) line() bool { return len(g.waits) > 0 || g.now().Before(g.stands) }

// kept is how much room must stay for others: for a newcomer a place for each who
// waits. At the front of the line people come back every few seconds, so a part of
// a place for each who is ahead is enough to let the first of them in first.
func (g *Gate) kept(w standing) float64 {
	if w = g.known(w); w.since.IsZero() {
		return float64(len(g.waits))
	}
	ahead, front := g.ahead(w.since), g.front()
	if ahead >= front {
		return float64(ahead)
	}
	return float64(ahead) * float64(g.limit()) / float64(2*front)
}

// known adds since when a device has waited, if we remember that.
func (g *Gate) known(w standing) standing {
	if was, ok := g.waits[w.device]; ok && (w.since.IsZero() || was.since.Before(w.since)) {
		w.since = was.since
	}
	return w
}

// ahead is how many have waited longer, as of the last sweep.
func (g *Gate) ahead(since time.Time) int {
	if since.After(g.swept) {
		return len(g.waits)
	}
	n, _ := slices.BinarySearchFunc(g.order, since, time.Time.Compare)
	return n
}

// tidy brings permits and the order of the line up to date.
func (g *Gate) tidy() {
	g.fill()
	now := g.now()
	if now.Sub(g.swept) < sweepEvery && !now.Before(g.swept) {
		return
	}
	g.swept = now
	g.order = g.order[:0]
	for d, w := range g.waits {
		if now.After(w.lost) {
			g.forget(standing{device: d})
			continue
		}
		g.order = append(g.order, w.since)
	}
	slices.SortFunc(g.order, time.Time.Compare)
	g.lapse(now)
	for d, s := range g.spent {
		if now.Sub(s.since) > placeLife {
			delete(g.spent, d)
		}
	}
}

// fill adds the permits of the time that has passed, never more than the room
// holds; none while more come with a pass than are served.
func (g *Gate) fill() {
	now := g.now()
	went := now.Sub(g.filled).Seconds()
	g.filled = now
	limit := g.limit()
	if full := limit + (g.most-g.most/8-limit)/4; g.inside <= full && went > 0 {
		g.permits = min(g.permits+went*g.capacity(), float64(limit)+1)
	}
}
