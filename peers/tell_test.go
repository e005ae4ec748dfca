package peers_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"gatehouse/fault"
	"gatehouse/id"
	"gatehouse/peers"
	"gatehouse/store"
)

func entry(node id.Node, name string) store.Entry {
	return store.Entry{ID: name, Node: node, Schema: 3, MadeAt: time.Now().UTC(), Rows: []store.Image{{Table: "sessions", Key: []byte(`["s"]`)}}}
}

func names(n int) (all []string) {
	for i := range n {
		all = append(all, fmt.Sprintf("e%05d", i))
	}
	return all
}

func TestWhatIsToldArrivesAtEveryPeerInOrder(t *testing.T) {
	all := installation(t, 3, nil)
	meet(t, all)
	want := names(1000)
	for _, name := range want {
		all[0].Tell(entry(all[0].id, name))
	}
	for _, n := range all[1:] {
		eventually(t, "all has arrived", func() bool { return len(n.heard.ids()) >= len(want) })
		if !slices.Equal(n.heard.ids(), want) {
			t.Error("in another order")
		}
	}
	if len(all[0].heard.ids()) != 0 {
		t.Error("it told itself")
	}
}

func TestTellingAPeerThatIsAwayNeitherWaitsNorGrows(t *testing.T) {
	keys, _ := newKeys(t)
	l := listen(t)
	o := options(keys)
	o.Nodes = []string{l.Addr().String()} // takes connections and says nothing
	p, err := peers.New(o)
	must(t, err)
	const more = 500
	begin := time.Now()
	for i := range peers.MaxQueued + more {
		p.Tell(entry(o.Node, fmt.Sprint(i)))
	}
	if each := time.Since(begin) / (peers.MaxQueued + more); each > 5*time.Millisecond {
		t.Errorf("telling took %v each", each)
	}
	if s := p.States()[0]; s.Queued != peers.MaxQueued || s.Dropped != more {
		t.Errorf("%d wait, %d were dropped", s.Queued, s.Dropped)
	}
}

func TestAPeerThatComesBackIsToldWhatItMissed(t *testing.T) {
	keys, _ := newKeys(t)
	l := listen(t)
	address := l.Addr().String()
	l.Close()
	o := options(keys)
	o.Nodes = []string{address}
	me, err := peers.New(o)
	must(t, err)
	start(t, &node{Peers: me}, listen(t), peers.House{})
	want := names(20)
	for _, name := range want {
		me.Tell(entry(o.Node, name))
	}
	eventually(t, "the peer is found away", func() bool { return me.States()[0].Why != "" })
	l, err = netListen(address)
	must(t, err)
	back, err := peers.New(options(keys))
	must(t, err)
	heard := &journal{}
	start(t, &node{Peers: back}, l, peers.House{Heard: heard.take})
	eventually(t, "it was told", func() bool { return len(heard.ids()) >= len(want) })
	if !slices.Equal(heard.ids(), want) {
		t.Errorf("told %v", heard.ids())
	}
}

func TestAnEntryThatIsNotTakenHoldsUpNoOther(t *testing.T) {
	for _, c := range []struct {
		name string
		err  error
	}{
		{"refused for good", errors.New("no")},
		{"never possible now", fault.New(fault.Unavailable, nil)},
	} {
		t.Run(c.name, func(t *testing.T) {
			all := installation(t, 2, nil)
			all[1].heard.answer = func(e store.Entry) error {
				if e.ID == "e00003" {
					return c.err
				}
				return nil
			}
			meet(t, all)
			for _, name := range names(8) {
				all[0].Tell(entry(all[0].id, name))
			}
			eventually(t, "the others arrive", func() bool { return len(all[1].heard.ids()) >= 7 })
			if ids := all[1].heard.ids(); len(ids) != 7 || slices.Contains(ids, "e00003") {
				t.Errorf("arrived: %v", ids)
			}
			eventually(t, "it is counted", func() bool { return all[0].States()[1].Dropped == 1 })
		})
	}
}

func TestAnEntryThatCannotBeTakenNowIsToldAgain(t *testing.T) {
	all := installation(t, 2, nil)
	times := 0
	all[1].heard.answer = func(e store.Entry) error {
		if times++; times < 3 {
			return fault.New(fault.Unavailable, nil)
		}
		return nil
	}
	meet(t, all)
	for _, name := range names(3) {
		all[0].Tell(entry(all[0].id, name))
	}
	eventually(t, "all arrive", func() bool { return len(all[1].heard.ids()) >= 3 })
	if ids := all[1].heard.ids(); !slices.Equal(ids, names(3)) {
		t.Errorf("arrived: %v", ids)
	}
}

func TestANodeTellsOnlyOfItself(t *testing.T) {
	all := installation(t, 2, nil)
	meet(t, all)
	all[0].Tell(entry(all[1].id, "forged"))
	all[0].Tell(entry(all[0].id, "own"))
	eventually(t, "the second arrives", func() bool { return len(all[1].heard.ids()) > 0 })
	if ids := all[1].heard.ids(); !slices.Equal(ids, []string{"own"}) {
		t.Errorf("arrived: %v", ids)
	}
}
