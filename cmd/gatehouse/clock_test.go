package main

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestTheClockNeverFallsBelowItsFloor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var by time.Duration
		c := newClock()
		c.wall = func() time.Time { return time.Now().Add(by) }

		before := c.Now()
		c.raise(time.Time{})
		by = -time.Hour
		if now, behind := c.read(); now.Before(before) || behind < 59*time.Minute {
			t.Fatalf("set back by an hour it shows %v after %v, behind %v", now, before, behind)
		}
		time.Sleep(10 * time.Minute)
		if went := c.Now().Sub(before); went != 5*time.Minute {
			t.Errorf("below the floor 10 minutes are %v, not half", went)
		}
		time.Sleep(2 * time.Hour)
		if _, behind := c.read(); behind != 0 {
			t.Errorf("the machine's clock has caught up, and it still says %v behind", behind)
		}
	})
}

func TestAFloorThatWasWrittenDownHolds(t *testing.T) {
	c := newClock()
	written := time.Now().Add(24 * time.Hour)
	c.raise(written)
	if c.Now().Before(written) {
		t.Error("the clock shows less than was written down by an earlier run")
	}
}
