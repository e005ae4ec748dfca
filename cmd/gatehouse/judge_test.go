package main

import (
	"errors"
	"strings"
	"testing"
	"time"

	"gatehouse/fault"
	"gatehouse/flow"
	"gatehouse/follow"
	"gatehouse/store"
	"gatehouse/web"
)

// healthy is a node on which all is well; with changes it.
func healthy(with func(*facts)) facts {
	now := time.Date(2026, 11, 21, 3, 0, 0, 0, time.UTC)
	f := facts{now: now, startedAt: now.Add(-time.Hour), started: true, tried: true, trial: flow.Trial{At: now.Add(-time.Second)},
		silent: time.Second, stale: 25 * time.Second, goodAt: now.Add(-time.Second), blind: 4 * time.Hour,
		state: store.State{Standby: true, Usable: true, FollowedAt: now.Add(-time.Second), Peers: 1}}
	if with != nil {
		with(&f)
	}
	return f
}

func failed(cause flow.Cause) func(*facts) {
	return func(f *facts) {
		f.trial.Cause, f.trial.Err = cause, fault.New(fault.Unavailable, nil)
	}
}

func both(fns ...func(*facts)) func(*facts) {
	return func(f *facts) {
		for _, fn := range fns {
			fn(f)
		}
	}
}

func longAgo(f *facts) { f.goodAt = f.now.Add(-failAfter) }

func tier(t store.Tier) func(*facts) { return func(f *facts) { f.state.Tier = t } }

func TestHowANodeJudgesItself(t *testing.T) {
	for _, c := range []struct {
		name     string
		with     func(*facts)
		unfit    string // the check of /readyz that says so; "" is ready
		tier     string
		features string
		works    string // s sign-in, e sessions, c changes, m mail
	}{
		{"all is well", nil, "", "", "", "secm"},
		{"not started yet", func(f *facts) { f.started = false }, "start", "", "", ""},
		{"leaving", func(f *facts) { f.leaving = true }, "leaving", "", "", "ecm"},
		{"its canary has not been heard yet", func(f *facts) { f.tried = false }, "signin", "", "", "ecm"},
		{"its canary hangs, and people get in", func(f *facts) { f.silent = time.Minute }, "signin", "", "", "ecm"},
		{"its canary hangs, and nobody gets in", both(longAgo, func(f *facts) { f.silent = time.Minute }), "signin", "T1", "signin", "ecm"},

		{"the primary is away and the standby carries on", tier(store.Tier2), "", "T2", "database", "se"},
		{"the primary is away, the standby too: no other node is better off", both(tier(store.Tier1), failed(flow.Away)), "", "T1", "stores", "se"},
		{"so it is after a while, and nobody gets in", both(tier(store.Tier1), failed(flow.Away), longAgo), "", "T1", "signin stores", "e"},
		{"the primary is away and there is no standby", both(failed(flow.Away), longAgo, func(f *facts) { f.state = store.State{} }), "", "T1", "signin stores", "e"},
		{"no store answers, and its own disk takes nothing", both(failed(flow.Away), longAgo, func(f *facts) { f.state = store.State{}; f.disk = errors.New("full") }), "signin", "T1", "signin stores disk", "e"},
		{"its own disk takes nothing, and people get in", func(f *facts) { f.disk = errors.New("full") }, "", "T3", "disk", "secm"},
		{"right secrets are found wrong here", failed(flow.Refused), "signin", "T0", "refused", "ecm"},
		{"a key is missing here", both(failed(flow.Broken), longAgo), "signin", "T0", "refused signin", "ecm"},
		{"more people come than get in", failed(flow.Crowded), "", "T3", "overload", "secm"},
		{"so many that the canary has not got in for a while, but people do", both(failed(flow.Crowded), func(f *facts) { f.goodAt = f.now.Add(-9 * time.Second) }), "", "T3", "overload", "secm"},
		{"so many that nobody gets in", both(failed(flow.Crowded), longAgo), "", "T1", "signin overload", "ecm"},

		{"its clock is a little behind", func(f *facts) { f.behind = 3 * time.Second }, "", "T3", "clock", "secm"},
		{"its clock is so far behind that right codes are refused", func(f *facts) { f.behind = time.Minute }, "clock", "T0", "clock-far", "ecm"},
		{"the database's clock is another", func(f *facts) { f.skew = -time.Minute }, "", "T3", "database-clock", "secm"},
		{"it has not heard for a while who was thrown out", func(f *facts) { f.unheard = 2 * time.Minute }, "", "T1", "unheard", "secm"},
		{"for longer than it may go on", func(f *facts) { f.unheard = 5 * time.Hour }, "", "T0", "blind", "scm"},

		{"the standby is too old", func(f *facts) { f.state.Usable, f.state.Why = false, "too-old" }, "", "T3", "standby", "secm"},
		{"the standby falls behind", func(f *facts) { f.state.FollowedAt = f.now.Add(-6 * time.Minute) }, "", "T3", "standby", "secm"},
		{"a transaction holds the standby back", func(f *facts) { f.state.HorizonAge = 6 * time.Minute }, "", "T3", "standby", "secm"},
		{"the primary is back and does not take the journal", func(f *facts) { f.state.Journal, f.state.JournalSince = 3, f.now.Add(-2*time.Minute) }, "", "T3", "journal", "secm"},
		{"while it is away the journal waits as it should", both(tier(store.Tier2), func(f *facts) { f.state.Journal, f.state.JournalSince = 3, f.now.Add(-time.Hour) }), "", "T2", "database", "se"},
		{"entries are parked", func(f *facts) { f.state.Parked = 1 }, "", "T3", "parked", "secm"},
		{"events are parked", func(f *facts) { f.lags = []follow.Lag{{Name: "hooks", Parked: 2}} }, "", "T3", "parked", "secm"},
		{"a follower is far behind", func(f *facts) { f.lags = []follow.Lag{{Name: "export", Behind: time.Hour}} }, "", "T3", "followers", "secm"},
		{"no mail leaves", func(f *facts) { f.mail = time.Hour }, "", "T3", "mail", "sec"},
	} {
		t.Run(c.name, func(t *testing.T) {
			st := healthy(c.with).status(func(string) time.Time { return time.Time{} })
			var features []string
			for _, i := range st.Issues {
				features = append(features, i.Feature)
			}
			works := ""
			for letter, is := range map[string]bool{"s": st.Works.SignIn, "e": st.Works.Sessions, "c": st.Works.Changes, "m": st.Works.Mail} {
				if is != strings.Contains(c.works, letter) {
					works += letter
				}
			}
			if st.Why != c.unfit || st.Ready != (c.unfit == "") || st.Tier != c.tier || strings.Join(features, " ") != c.features || works != "" {
				t.Errorf("unfit %q, tier %q, %q; wrong about %q", st.Why, st.Tier, features, works)
			}
			word := "well"
			switch {
			case c.unfit != "":
				word = "down"
			case c.features != "":
				word = "degraded"
			}
			if st.Status != word {
				t.Errorf("it calls itself %s, not %s", st.Status, word)
			}
		})
	}
}

func TestTheTierHasTheAgeOfItsOldestIssue(t *testing.T) {
	f := healthy(func(f *facts) {
		f.mail, f.state.Tier, f.trial.Cause = time.Hour, store.Tier1, flow.Away
		longAgo(f)
	})
	at := map[string]time.Time{"signin": f.now.Add(-time.Minute), "stores": f.now.Add(-2 * time.Minute), "mail": f.now.Add(-time.Hour)}
	st := f.status(func(feature string) time.Time { return at[feature] })
	if st.Tier != "T1" || !st.Since.Equal(f.now.Add(-2*time.Minute)) {
		t.Errorf("%s since %v", st.Tier, st.Since)
	}
}

func TestEveryIssueHasALineInTheMetrics(t *testing.T) {
	listed := map[string]bool{"clock": true} // told where it is found
	for _, f := range web.Features() {
		listed[f] = true
	}
	far := healthy(func(f *facts) {
		f.behind, f.skew, f.unheard, f.mail, f.busy, f.disk = time.Minute, time.Hour, 5*time.Hour, time.Hour, true, errors.New("full")
		f.state.Parked, f.state.Usable, f.state.Why, f.state.Journal, f.state.JournalSince = 1, false, "too-old", 1, f.startedAt
		f.lags = []follow.Lag{{Name: "x", Behind: time.Hour}}
		f.trial.Cause = flow.Refused
		longAgo(f)
	})
	away := healthy(both(failed(flow.Away), tier(store.Tier1), func(f *facts) { f.unheard = 2 * time.Minute }))
	for _, i := range append(append(far.issues(), away.issues()...), healthy(tier(store.Tier2)).issues()...) {
		if !listed[i.Feature] {
			t.Errorf("%s has no line", i.Feature)
		}
		delete(listed, i.Feature)
	}
	delete(listed, "clock")
	for f := range listed {
		if f != "signin" {
			t.Errorf("%s is listed and never told", f)
		}
	}
}
