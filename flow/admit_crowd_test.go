package flow

import (
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"gatehouse/id"
)

// A machine with as many cookies as it likes stands in the line and asks for passes
// that it never uses: it must not keep others out for long.
func TestOneNetworkTakesNeitherTheLineNorThePasses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := gateAt(40, 1) // ten hashes a second
		bots := make([]standing, mostWaits)
		for i := range bots {
			bots[i] = standing{device: id.Device(fmt.Sprint("bot", i)), network: "192.0.2.1"}
			bots[i].since, _, _ = g.wait(bots[i], true)
		}
		if n := g.State().Waiting; n != mostOfNetwork {
			t.Errorf("%d of one network are expected back", n)
		}
		ann := standing{device: "ann", network: "198.51.100.7"}
		began := time.Now()
		var given int
		for ; ; <-time.After(2 * time.Second) { // of the bubble
			for i := range bots {
				g.wait(bots[i], true)
				if in, _ := g.ask(bots[i]); in {
					given++
				}
			}
			ann.since, _, _ = g.wait(ann, true)
			if in, pass := g.ask(ann); in && pass {
				break
			}
			if time.Since(began) > 10*time.Minute {
				t.Fatalf("somebody of another network waits behind %d passes that are not used", given)
			}
		}
		if went := time.Since(began); went > 5*time.Minute || given > 700 {
			t.Errorf("asked in after %v and %d passes", went, given)
		}
	})
}

// An office shares one network and uses its passes: it gets all that is to be had.
func TestAnOfficeThatComesBackTogetherIsNotHeldUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := gateAt(40, 1)
		people := make([]standing, 1000)
		for i := range people {
			people[i] = standing{device: id.Device(fmt.Sprint(i)), network: "192.0.2.1"}
			people[i].since, _, _ = g.wait(people[i], true)
			<-time.After(time.Millisecond) // of the bubble
		}
		began := time.Now()
		var in atomic.Int64
		for at := 0; at < len(people); <-time.After(time.Second) {
			for at < len(people) {
				ok, _ := g.ask(people[at])
				if !ok {
					break
				}
				w := people[at]
				time.AfterFunc(15*time.Second, func() {
					if leave, ok := g.enter(passed, w); ok {
						in.Add(1)
						leave()
					}
				})
				at++
			}
			for _, w := range people[at:] {
				g.wait(w, true)
			}
			if time.Since(began) > 3*time.Minute {
				t.Fatalf("only %d have a pass", at)
			}
		}
		<-time.After(16 * time.Second) // of the bubble
		if n := in.Load(); n != int64(len(people)) {
			t.Errorf("%d of them got in", n)
		}
	})
}

func TestAForgedPlaceIsNotExpectedBack(t *testing.T) {
	b, _ := crowded(t)
	for range 10 {
		if _, err := b.Submit(t.Context(), Input{Do: ShowPassword, Email: "a@quay.example", Secret: pw, Who: b.who(), Place: "x"}); err == nil {
			t.Fatal("there is room")
		}
		if _, err := b.Knock(b.who(), "x", false); err == nil {
			t.Fatal("there is room")
		}
	}
	if n := b.Gate.State().Waiting; n != 0 {
		t.Errorf("%d who brought nothing of ours are expected back", n)
	}
}
