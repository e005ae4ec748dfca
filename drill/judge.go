package drill

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// finish takes the load off and judges what every drill is judged by.
func (s *stage) finish(ctx context.Context, signIns float64) error {
	if s.faultAt.IsZero() {
		return errors.New("nothing was broken: this drill says nothing")
	}
	s.people.end()
	end := s.Now()
	s.attackEnds()
	r := s.result
	in, checks := s.people.samples.between(SignIn, s.faultAt, time.Time{}), s.people.samples.between(Check, s.faultAt, time.Time{})
	r.N, r.FailedPct, r.Seconds = len(in), rounded(percent(failures(in), len(in))), rounded(end.Sub(s.faultAt).Seconds())
	if !s.detected.IsZero() {
		r.DetectS = seconds(s.detected.Sub(s.faultAt).Seconds())
	}
	if f := s.Site.load(); f != 1 {
		r.figure("load", f)
	}
	r.figure("session_checks", len(checks))
	r.figure("p50_ms", millis(percentile(in, 50)))
	r.figure("p99_ms", millis(percentile(in, 99)))
	if !kept(failures(in), len(in), signIns) {
		r.miss("%d of %d sign-ins failed: %v", failures(in), len(in), reasons(in))
	}
	if !kept(failures(checks), len(checks), 99.99) {
		r.miss("%d of %d session checks failed: %v", failures(checks), len(checks), reasons(checks))
	}
	if n := failures(s.people.samples.between(Reset, s.faultAt, time.Time{})); n > 0 {
		r.figure("resets_failed", n)
	}
	s.firstFailure()
	if n := s.people.skipped.Load(); n > 0 {
		r.miss("%d operations could not be begun: %d were waiting for an answer", n, mostUnderWay)
	}
	if len(in) == 0 || len(checks) == 0 {
		r.miss("no sign-in or no session check was tried: %d times nobody had a code left", s.crowd.asked)
	}
	s.judgeNodes()
	return s.judgeStore(ctx)
}

func (s *stage) firstFailure() {
	for _, x := range s.people.samples.between("", s.faultAt, time.Time{}) {
		if !x.OK && !x.Later {
			s.result.figure("first_failure", fmt.Sprintf("%s: %s after %.1f s", x.Op, x.Why, x.At.Sub(s.faultAt).Seconds()))
			return
		}
	}
}

func millis(d time.Duration) float64 { return rounded(float64(d) / float64(time.Millisecond)) }

func (s *stage) attackEnds() {
	if s.unwatch != nil {
		s.unwatch()
	}
	found := s.attack.violations()
	s.result.Violations = len(found)
	if len(found) > 0 {
		s.result.miss("accepted: %s", strings.Join(found[:min(len(found), 5)], "; "))
	}
	if len(s.attack.tried) < 3 {
		s.result.miss("the attacker was not under way: %v", s.attack.tried)
	}
}

// judgeNodes looks for processes that ended by themselves or panicked.
func (s *stage) judgeNodes() {
	for _, n := range s.nodes {
		if err := n.well(); err != nil {
			s.result.miss("%v", err)
		}
	}
}

// judgeStore holds the journal against the database, and asks gatehouse audit.
func (s *stage) judgeStore(ctx context.Context) error {
	stored, err := s.House.Stored(ctx, s.nodes[0].Config, s.people.journal.All())
	if err != nil {
		return fmt.Errorf("asking the database afterwards: %w", err)
	}
	lost, twice := s.people.journal.Difference(stored)
	r := s.result
	r.Lost, r.Duplicates = len(lost), len(twice)+s.mail.twice()
	if len(lost) > 0 {
		r.miss("acknowledged and not in the database: %s", strings.Join(lost[:min(len(lost), 5)], ", "))
	}
	if r.Duplicates > 0 {
		r.miss("happened twice: %v, and %d mails", twice[:min(len(twice), 5)], s.mail.twice())
	}
	if s.standby {
		s.judgeStandby(stored)
	}
	if s.unaudited {
		return nil
	}
	findings, err := s.House.Audit(ctx, s.nodes[0].Config)
	for _, f := range findings[:min(len(findings), 5)] {
		r.miss("audit: %s", f)
	}
	return err
}

// judgeStandby asserts that the fault reached the store: sign-ins that were
// acknowledged meanwhile say that they began on a standby.
func (s *stage) judgeStandby(stored Stored) {
	n := 0
	for _, r := range s.people.journal.Since(s.faultAt) {
		if stored.Standby[r.Session] {
			n++
		}
	}
	s.result.figure("on_standby", n)
	if n == 0 {
		s.result.miss("no sign-in of the outage is marked as made on a standby: was the primary away at all?")
	}
}
