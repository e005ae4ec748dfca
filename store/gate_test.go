package store

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestTheGateLetsForegroundInFirstAndForgetsThoseWhoLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g gate
		var order []string
		if err := g.enter(t.Context(), foregroundRank); err != nil {
			t.Fatal(err)
		}
		for _, who := range []struct {
			name string
			rank int
			stay time.Duration
		}{
			{"b1", backgroundRank, time.Hour}, {"gone", backgroundRank, time.Second}, {"b2", backgroundRank, time.Hour},
			{"f1", foregroundRank, time.Hour}, {"gone", foregroundRank, time.Second}, {"f2", foregroundRank, time.Hour},
		} {
			ctx, cancel := context.WithTimeout(t.Context(), who.stay)
			defer cancel()
			go func() {
				if g.enter(ctx, who.rank) == nil {
					order = append(order, who.name)
					g.leave()
				}
			}()
			synctest.Wait() // in line, before the next one comes
		}
		time.Sleep(time.Minute) // two have left
		if n := g.waiting(); n != 4 {
			t.Errorf("%d are waiting, want 4", n)
		}
		g.leave()
		synctest.Wait()
		if got := strings.Join(order, " "); got != "f1 f2 b1 b2" {
			t.Errorf("they went in as %q", got)
		}
		if g.taken || g.waiting() != 0 {
			t.Error("the gate is not free when all have left")
		}
	})
}

func TestATurnThatComesAsItsOwnerLeavesIsHandedOn(t *testing.T) {
	var g gate
	if err := g.enter(t.Context(), foregroundRank); err != nil {
		t.Fatal(err)
	}
	turn := make(chan struct{})
	g.queue[foregroundRank] = append(g.queue[foregroundRank], turn)
	g.leave() // the turn is given …
	g.giveUp(foregroundRank, turn)
	if g.taken {
		t.Error("… to somebody who has left, and the gate stays shut")
	}
}
