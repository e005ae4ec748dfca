package flow

import "testing"

func TestOneNameHoldsOnlySoManyOfThoseWhoWait(t *testing.T) {
	var b Bell
	var all []<-chan struct{}
	var stops []func()
	for range 3 * mostEars {
		heard, stop := b.Listen("an attempt")
		all, stops = append(all, heard), append(stops, stop)
	}
	others, _ := b.Listen("another")
	if n := b.Ears(); n != mostEars+1 {
		t.Fatalf("%d wait", n)
	}
	b.Ring("an attempt")
	for i, heard := range all {
		if _, rung := <-heard; rung != (i >= 2*mostEars) {
			t.Errorf("the one that came %d: rung %v", i, rung)
		}
	}
	for _, stop := range stops {
		stop()
	}
	if n := b.Ears(); n != 1 {
		t.Errorf("%d wait after all have gone", n)
	}
	b.Close()
	if _, open := <-others; open {
		t.Error("the server has left, and somebody waits on")
	}
}
