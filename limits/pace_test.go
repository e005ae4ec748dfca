package limits

import (
	"net/netip"
	"testing"
	"time"
)

func TestOneNetworkDoesNotTakeThePlacesOfOthers(t *testing.T) {
	now := time.Date(2026, 11, 21, 9, 0, 0, 0, time.UTC)
	p := &Pace{Max: 3}
	for i, row := range []struct {
		name    string
		from    string
		after   time.Duration
		allowed bool
	}{
		{"the first", "2001:db8::1", 0, true},
		{"the second, from another address of the same /64", "2001:db8::2", 100 * time.Millisecond, true},
		{"the third", "2001:db8::ffff:3", 200 * time.Millisecond, true},
		{"one too many", "2001:db8::4", 300 * time.Millisecond, false},
		{"another network at the same time", "2001:db8:0:1::1", 300 * time.Millisecond, true},
		{"the same network a second later", "2001:db8::5", time.Second, true},
	} {
		if got := p.Allow(Network(netip.MustParseAddr(row.from)), now.Add(row.after)); got != row.allowed {
			t.Errorf("%d, %s: %v", i, row.name, got)
		}
	}
	if len(p.steps) != 1 {
		t.Errorf("%d networks are remembered, want those of this second", len(p.steps))
	}
	var none *Pace
	if !none.Allow("somebody", now) {
		t.Error("no pace bounds something")
	}
}
