package main

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"gatehouse/web"
)

// What is not known is not said: a node that does not answer may well let people in.
func TestTheVerdictSaysWhatIsKnown(t *testing.T) {
	well := standing{Status: &web.Status{Status: "well", Ready: true, Works: web.Works{SignIn: true}}}
	down, silent := standing{Status: &web.Status{Status: "down"}}, standing{Error: "connection refused"}
	for _, c := range []struct {
		name string
		all  []standing
		says string
	}{
		{"a node refuses", []standing{well, down}, "people do not get in on 1 node"},
		{"a node does not answer", []standing{well, silent}, "nothing answers at 1 address, so nobody can say whether people get in there"},
		{"two do not answer", []standing{silent, silent}, "nothing answers at 2 addresses, so nobody can say whether people get in there"},
		{"both", []standing{down, silent}, "people do not get in on 1 node, and of 1 more nothing is known"},
	} {
		if err := verdict(c.all); err == nil || err.Error() != c.says {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

// A node that nobody has asked for anything knows nothing of its stores but that
// its start waits for them.
func TestAStartThatWaitsForItsStoresSaysSo(t *testing.T) {
	for waited, want := range map[time.Duration]int{startSlow: 0, startSlow + time.Second: 1} {
		issues := healthy(func(f *facts) {
			f.started, f.tried, f.state.Usable, f.startedAt = false, false, false, f.now.Add(-waited)
		}).issues()
		if len(issues) != want || want > 0 && issues[0].Feature != "stores" {
			t.Errorf("after %s: %+v", waited, issues)
		}
	}
}

func TestAStandbyThatIsNotLoadedAtTheStartIsNoPrimaryThatAnswers(t *testing.T) {
	st := &web.Status{}
	*st = healthy(func(f *facts) {
		f.started, f.tried, f.state.Standby, f.state.Usable, f.state.Why = false, false, true, false, "loading"
		f.startedAt = f.now.Add(-time.Second)
	}).status(func(string) (at time.Time) { return })
	if len(st.Issues) != 0 || st.Why != "start" {
		t.Errorf("%q, %+v", st.Why, st.Issues)
	}
	var out bytes.Buffer
	writeStanding(&out, standing{Status: st})
	for _, want := range []string{"not ready: start (it has not heard from its database since it started)", "Outbox       waits for the database", "Peers        0 other nodes answer"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("not said: %s\n%s", want, out.String())
		}
	}
}
