package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"gatehouse/fault"
	"gatehouse/flow"
	"gatehouse/follow"
	"gatehouse/store"
	"gatehouse/web"
)

// facts are what a node has found out about itself. What they mean is decided
// here and nowhere else, by looking at nothing but them.
type facts struct {
	now, startedAt time.Time
	started        bool // the schema fits, and who was thrown out is known
	leaving        bool

	tried  bool
	trial  flow.Trial
	silent time.Duration // since the last trial ended, or since the first was due
	stale  time.Duration // a canary silent for longer hangs
	goodAt time.Time     // when somebody, or the canary, last got in

	state   store.State
	lags    []follow.Lag
	mail    time.Duration // how long the oldest message that is due has waited
	disk    error         // this node's own
	behind  time.Duration // this machine's clock, of what the installation has written down
	skew    time.Duration // this machine's clock, ahead of the database's
	unheard time.Duration // since it was last told who was thrown out
	blind   time.Duration // the most that may be; zero: for ever
	waiting int           // for a core
	busy    bool          // newcomers are asked to wait
}

const (
	failAfter      = 10 * time.Second // nobody got in for this long, and the canary does not: sign-ins fail
	clockFar       = 30 * time.Second // a step of an authenticator app: codes that are right are refused
	skewNoticed    = 5 * time.Second
	startSlow      = 3 * time.Second // a start that any store answers takes some 100 ms
	unheardLong    = time.Minute
	standbyOld     = 5 * time.Minute
	journalWaits   = time.Minute
	followerBehind = 5 * time.Minute
)

// signInsFail tells that nobody gets in here: neither the canary nor people.
func (f facts) signInsFail() bool {
	return f.started && (f.tried && f.trial.Cause != flow.Well || f.hangs()) && f.now.Sub(f.goodAt) >= failAfter
}

func (f facts) hangs() bool { return f.silent > f.stale }

// storesAway tells that neither primary nor standby answers.
func (f facts) storesAway() bool {
	return f.state.Tier == store.Tier1 || !f.state.Standby && f.primaryAway() || f.startsInVain()
}

// startsInVain tells that a start waits for a store: whoever asked for nothing yet
// could not find out.
func (f facts) startsInVain() bool {
	return !f.started && !f.leaving && !f.state.Usable && f.now.Sub(f.startedAt) > startSlow
}

func (f facts) primaryAway() bool {
	return f.state.Tier != store.TierNone || f.tried && f.trial.Cause == flow.Away
}

func (f facts) isBlind() bool { return f.blind > 0 && f.unheard > f.blind }

// unfit is why people should be sent to another node: something that is wrong here
// and need not be there. Which check of /readyz says so, and why; nil for fit.
func (f facts) unfit() (check string, err error) {
	switch {
	case !f.started:
		return "start", fault.New(fault.Unavailable, errors.New("the database has not answered since the start"))
	case f.leaving:
		return "leaving", fault.New(fault.Unavailable, errors.New("shutting down"))
	case f.behind > clockFar:
		return "clock", fault.New(fault.Internal, fmt.Errorf("this machine's clock is %s behind", f.behind.Round(time.Second)))
	}
	return "signin", f.unfitToSignIn()
}

func (f facts) unfitToSignIn() error {
	switch {
	case f.hangs():
		return fault.New(fault.Internal, errors.New("this node's own sign-in does not come to an end"))
	case !f.tried:
		return fault.New(fault.Unavailable, errors.New("this node's own sign-in was not tried yet"))
	case f.trial.Cause == flow.Refused, f.trial.Cause == flow.Broken:
		return fault.New(fault.Internal, f.trial.Err)
	case f.trial.Cause == flow.Away && f.disk != nil:
		return fault.New(fault.Unavailable, f.disk)
	}
	return nil
}

// issues lists what works less well than it should, with no since yet.
func (f facts) issues() (all []web.Issue) {
	add := func(is bool, feature, detail string) {
		if is {
			all = append(all, web.Issue{Feature: feature, Tier: web.TierOf(feature), Detail: detail})
		}
	}
	s := f.state
	up := !f.primaryAway()
	lagging, parked := lagOf(f.lags)
	add(f.tried && (f.trial.Cause == flow.Refused || f.trial.Cause == flow.Broken), "refused", string(f.trial.Cause))
	add(f.behind > clockFar, "clock-far", seconds(f.behind))
	add(f.isBlind(), "blind", seconds(f.unheard))
	add(f.signInsFail(), "signin", string(f.trial.Cause))
	add(f.storesAway(), "stores", s.Why)
	add(f.started && f.unheard > unheardLong && !f.isBlind(), "unheard", seconds(f.unheard))
	add(s.Tier == store.Tier2, "database", "")
	add(f.behind > noticeBehind && f.behind <= clockFar, "clock", seconds(f.behind))
	add(f.skew.Abs() > skewNoticed, "database-clock", seconds(f.skew))
	add(f.disk != nil, "disk", "")
	add(f.started && s.Standby && up && f.standbyIll() != "", "standby", f.standbyIll())
	add(up && !s.JournalSince.IsZero() && f.now.Sub(s.JournalSince) > journalWaits, "journal", fmt.Sprint(s.Journal))
	add(s.Parked > 0 || parked != "", "parked", parked)
	add(f.busy || f.tried && f.trial.Cause == flow.Crowded, "overload", fmt.Sprint(f.waiting))
	add(lagging != "", "followers", lagging)
	add(f.mail > outboxLate, "mail", seconds(f.mail))
	slices.SortStableFunc(all, func(a, b web.Issue) int { return strings.Compare(a.Tier, b.Tier) })
	return all
}

// standbyIll says why the standby would be of less use than it should; "" when it is well.
func (f facts) standbyIll() string {
	switch age := f.now.Sub(f.state.FollowedAt); {
	case !f.state.Usable:
		return f.state.Why
	case age > standbyOld:
		return "behind by " + seconds(age)
	case f.state.HorizonAge > standbyOld:
		return "held back by a transaction of " + seconds(f.state.HorizonAge)
	}
	return ""
}

func lagOf(lags []follow.Lag) (lagging, parked string) {
	var late, aside []string
	for _, l := range lags {
		if l.Behind > followerBehind {
			late = append(late, l.Name)
		}
		if l.Parked > 0 {
			aside = append(aside, l.Name)
		}
	}
	return strings.Join(late, " "), strings.Join(aside, " ")
}

func seconds(d time.Duration) string { return d.Round(time.Second).String() }

// status puts facts into the form that is told. since tells since when a feature is
// ill.
func (f facts) status(since func(feature string) time.Time) web.Status {
	st := web.Status{At: f.now, Started: f.startedAt, Issues: f.issues(), Status: "well"}
	for i := range st.Issues {
		is := &st.Issues[i]
		if is.Since = since(is.Feature); st.Tier == "" || is.Tier == st.Tier && is.Since.Before(st.Since) {
			st.Tier, st.Since = is.Tier, is.Since
		}
		st.Status = "degraded"
	}
	check, err := f.unfit()
	if st.Ready = err == nil; !st.Ready {
		st.Status, st.Why = "down", check
	}
	up := f.started && !f.primaryAway()
	st.Works = web.Works{
		SignIn:   st.Ready && !f.signInsFail() && (f.trial.Cause != flow.Away || f.now.Sub(f.goodAt) < failAfter),
		Sessions: f.started && !f.isBlind(), Changes: up, Mail: up && f.mail <= outboxLate,
	}
	f.parts(&st)
	return st
}

// parts fills in what is measured.
func (f facts) parts(st *web.Status) {
	s := f.state
	st.Canary = web.Canary{Works: f.tried && f.trial.Cause == flow.Well, Cause: string(f.trial.Cause), At: f.trial.At, GoodAt: f.goodAt,
		Took: f.trial.Took.Seconds(), Standby: f.trial.Standby}
	if !f.tried {
		st.Canary.Cause = "starting"
	}
	st.Standby = web.Standby{Present: s.Standby, Usable: s.Usable, Why: s.Why, Horizon: s.HorizonAge.Seconds(), Resyncs: s.Resyncs, Refused: len(s.Refused)}
	if !s.FollowedAt.IsZero() {
		st.Standby.Age = max(0, f.now.Sub(s.FollowedAt)).Seconds()
	}
	st.Journal = web.Journal{Entries: s.Journal, Bytes: s.JournalBytes, Parked: s.Parked, Handed: s.Handed, Conflicts: s.Conflicts, Shed: s.Shed}
	if !s.JournalSince.IsZero() {
		st.Journal.Oldest = max(0, f.now.Sub(s.JournalSince)).Seconds()
	}
	st.Outbox, st.Hash = web.Outbox{Oldest: f.mail.Seconds()}, web.HashQueue{Waiting: f.waiting, Busy: f.busy}
	st.Follow = []web.Lag{}
	for _, l := range f.lags {
		st.Follow = append(st.Follow, web.Lag{Name: l.Name, Behind: l.Behind.Seconds(), Events: l.Events, Parked: l.Parked, Holder: string(l.Holder)})
	}
	if st.Issues == nil {
		st.Issues = []web.Issue{}
	}
}
