package peers_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"log/slog"
	"net"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"gatehouse/id"
	"gatehouse/peers"
	"gatehouse/seal"
	"gatehouse/store"
)

// node is one node of an installation, as the tests see it.
type node struct {
	*peers.Peers
	id      id.Node
	address string
	heard   *journal
}

// journal is what a node was told.
type journal struct {
	mu      sync.Mutex
	entries []store.Entry
	answer  func(store.Entry) error // nil takes all
}

func (j *journal) take(_ context.Context, e store.Entry) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.answer != nil {
		if err := j.answer(e); err != nil {
			return err
		}
	}
	j.entries = append(j.entries, e)
	return nil
}

func (j *journal) ids() []string {
	j.mu.Lock()
	defer j.mu.Unlock()
	var ids []string
	for _, e := range j.entries {
		ids = append(ids, e.ID)
	}
	return ids
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func newKeys(t testing.TB) (*seal.Keys, string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "keys")
	must(t, seal.InitKeys(dir))
	return loadKeys(t, dir), dir
}

func loadKeys(t testing.TB, dir string) *seal.Keys {
	t.Helper()
	keys, err := seal.LoadKeys(dir)
	must(t, err)
	return keys
}

func listen(t testing.TB) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	t.Cleanup(func() { l.Close() })
	return l
}

// long is how long tests let peers answer: a busy machine fails no test.
const long = 5 * time.Second

// installation starts n nodes that know each other. with may change the options
// and what each answers with.
func installation(t *testing.T, n int, with func(i int, o *peers.Options, h *peers.House)) []*node {
	t.Helper()
	keys, _ := newKeys(t)
	var listeners []net.Listener
	var addresses []string
	for range n {
		l := listen(t)
		listeners, addresses = append(listeners, l), append(addresses, l.Addr().String())
	}
	var all []*node
	for i := range n {
		me := &node{id: id.New[id.Node](time.Now(), rand.Reader), address: addresses[i], heard: &journal{}}
		o := options(keys)
		o.Node, o.Nodes = me.id, addresses // its own address too: the same file on every node
		h := peers.House{Heard: me.heard.take}
		if with != nil {
			with(i, &o, &h)
		}
		p, err := peers.New(o)
		must(t, err)
		me.Peers = p
		start(t, me, listeners[i], h)
		all = append(all, me)
	}
	return all
}

func options(keys *seal.Keys) peers.Options {
	return peers.Options{Node: id.New[id.Node](time.Now(), rand.Reader), Keys: keys, Wait: long, Now: time.Now, Rand: rand.Reader, Log: slog.New(slog.NewTextHandler(io.Discard, nil))}
}

// start serves and runs a node until the test ends, or until stop.
func start(t *testing.T, n *node, l net.Listener, h peers.House) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var wait sync.WaitGroup
	wait.Go(func() {
		if err := n.Serve(ctx, l, h); err != nil {
			t.Error(err)
		}
	})
	wait.Go(func() { n.Run(ctx) })
	stop = func() { cancel(); wait.Wait() }
	t.Cleanup(stop)
	return stop
}

// eventually waits until ok, for as long as a very busy machine may take.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !ok(); {
		if time.Now().After(end) {
			t.Fatalf("not within 30 s: %s", what)
		}
		<-time.After(5 * time.Millisecond)
	}
}

// meet waits until every node knows every other.
func meet(t *testing.T, all []*node) {
	t.Helper()
	for _, n := range all {
		eventually(t, "the nodes meet", func() bool {
			for _, s := range n.States() {
				if !s.Up {
					return false
				}
			}
			return true
		})
	}
}

func fact(key, by string) store.Fact {
	return store.Fact{Table: "used", Key: `["` + key + `"]`, By: by}
}

func TestNodesOfOneInstallationMeetAndKnowThemselves(t *testing.T) {
	all := installation(t, 3, nil)
	meet(t, all)
	for i, n := range all {
		for k, s := range n.States() {
			if s.Node != all[k].id || s.Self != (i == k) {
				t.Errorf("node %d of its peer %d: %+v", i, k, s)
			}
		}
	}
}

func TestAFactIsGivenToTheFirstThatClaimsIt(t *testing.T) {
	all := installation(t, 3, nil)
	meet(t, all)
	for _, step := range []struct {
		name     string
		node     int
		facts    []store.Fact
		granted  bool
		answered int // at least
	}{
		{"the first to claim", 0, []store.Fact{fact("a", "x")}, true, 2},
		{"the same claimant again, as after a lost answer", 0, []store.Fact{fact("a", "x")}, true, 2},
		{"the same claimant at another node", 1, []store.Fact{fact("a", "x")}, true, 2},
		{"somebody else at the same node", 0, []store.Fact{fact("a", "y")}, false, 0},
		{"somebody else at another node", 2, []store.Fact{fact("a", "y")}, false, 0},
		{"another fact", 2, []store.Fact{fact("b", "y")}, true, 2},
		{"the same key of another table", 2, []store.Fact{{Table: "totp_steps", Key: `["a"]`, By: "y"}}, true, 2},
		{"two facts of which one is taken", 1, []store.Fact{fact("c", "y"), fact("a", "y")}, false, 0},
		{"the one that was free then is free still", 0, []store.Fact{fact("c", "z")}, true, 2},
		{"no facts", 0, nil, true, 0},
	} {
		granted, answered := all[step.node].Claim(t.Context(), step.facts)
		if granted != step.granted || answered < step.answered {
			t.Errorf("%s: granted %v, %d answered", step.name, granted, answered)
		}
	}
}

func TestWhatAPeersOwnStoreHasSeenUsedIsRefused(t *testing.T) {
	all := installation(t, 2, func(i int, _ *peers.Options, h *peers.House) {
		h.Claim = func(facts []store.Fact) bool { return facts[0].Key != `["used"]` }
	})
	meet(t, all)
	if granted, _ := all[0].Claim(t.Context(), []store.Fact{fact("used", "x")}); granted {
		t.Error("granted")
	}
	if granted, answered := all[0].Claim(t.Context(), []store.Fact{fact("new", "x")}); !granted || answered != 1 {
		t.Errorf("the control: %v, %d", granted, answered)
	}
}

func TestOfNodesThatClaimAtTheSameMomentAtMostOneIsGranted(t *testing.T) {
	for _, nodes := range []int{2, 3} { // with three, the third could settle it alone
		t.Run(fmt.Sprint(nodes), func(t *testing.T) {
			all := installation(t, nodes, nil)
			meet(t, all)
			total := 0
			for round := range 200 {
				count := claimAtOnce(t, all, fact(fmt.Sprint(round), ""))
				if count > 1 {
					t.Fatalf("round %d: %d nodes were granted the same fact", round, count)
				}
				total += count
			}
			t.Logf("of 200 facts %d were granted to somebody", total)
		})
	}
}

// claimAtOnce lets every node claim a fact for somebody of its own, and says how
// many were granted it.
func claimAtOnce(t *testing.T, all []*node, f store.Fact) (count int) {
	granted := make([]bool, len(all))
	var wait sync.WaitGroup
	for i, n := range all {
		mine := f
		mine.By = n.address
		wait.Go(func() { granted[i], _ = n.Claim(t.Context(), []store.Fact{mine}) })
	}
	wait.Wait()
	for _, g := range granted {
		if g {
			count++
		}
	}
	return count
}

func TestAPeerThatIsAwayOrHangsIsNotWaitedFor(t *testing.T) {
	const wait = 50 * time.Millisecond
	for _, c := range []struct {
		name string
		peer func(t *testing.T) string
	}{
		{"nothing listens there", func(t *testing.T) string {
			l := listen(t)
			l.Close()
			return l.Addr().String()
		}},
		{"it takes the connection and says nothing", func(t *testing.T) string { return listen(t).Addr().String() }},
	} {
		t.Run(c.name, func(t *testing.T) {
			keys, _ := newKeys(t)
			o := options(keys)
			o.Wait, o.Nodes = wait, []string{c.peer(t)}
			p, err := peers.New(o)
			must(t, err)
			best := time.Hour
			for i := range 5 { // the best of some: the machine may be busy
				begin := time.Now()
				granted, answered := p.Claim(t.Context(), []store.Fact{fact(string(rune('a'+i)), "x")})
				best = min(best, time.Since(begin))
				if !granted || answered != 0 {
					t.Fatalf("granted %v, %d answered", granted, answered)
				}
			}
			if best > 2*wait {
				t.Errorf("took %v", best)
			}
		})
	}
}

func TestAClaimThatHangsAtAPeerEndsInTime(t *testing.T) {
	hang := make(chan struct{})
	all := installation(t, 2, func(i int, o *peers.Options, h *peers.House) {
		o.Wait = 50 * time.Millisecond
		if i == 1 {
			h.Claim = func([]store.Fact) bool { <-hang; return false }
		}
	})
	defer close(hang)
	meet(t, all)
	begin := time.Now()
	if granted, answered := all[0].Claim(t.Context(), []store.Fact{fact("a", "x")}); !granted || answered != 0 {
		t.Errorf("granted %v, %d answered", granted, answered)
	}
	if took := time.Since(begin); took > time.Second {
		t.Errorf("took %v", took)
	}
}

func netListen(address string) (net.Listener, error) { return net.Listen("tcp", address) }
