package audit

import (
	"strconv"
	"time"

	"gatehouse/authenticators"
	"gatehouse/events"
	"gatehouse/id"
	"gatehouse/proof"
	"gatehouse/sessions"
)

// judge holds the parts of a picture against each other. It is pure.
func (p *picture) judge() (found []Finding) {
	for _, part := range []func() []Finding{p.keys, p.signIns, p.sessionCodes, p.usedCodes, p.recovery, p.revocations, p.tried, p.effects} {
		found = append(found, part()...)
	}
	return found
}

func (p *picture) finding(c Check, subject string) Finding {
	return Finding{Check: c, Account: p.account.ID, Subject: subject}
}

func (p *picture) young(t time.Time) bool { return t.After(p.r.from) }

// keys: every account has a data key that opens, and what is sealed under it opens.
func (p *picture) keys() (found []Finding) {
	switch p.key {
	case events.KeyMissing:
		found = append(found, p.finding(KeyMissing, string(p.account.ID)))
	case events.KeyForged:
		return append(found, p.finding(KeyForged, string(p.account.ID)))
	}
	for _, e := range p.log {
		if e.Hidden == events.Forged {
			found = append(found, p.finding(EventForged, string(e.ID)))
		}
	}
	return found
}

// opened are the kinds of events that open the session they name.
var opened = map[events.Kind]bool{events.SignedIn: true, events.FreshProved: true}

// signIns: every session has the event that opened it, and the other way round.
func (p *picture) signIns() (found []Finding) {
	opening := map[id.Session]events.Event{}
	var replaced []time.Time
	for _, e := range p.log {
		if opened[e.Kind] {
			opening[e.Session] = e
		}
		if e.Kind == events.SessionReplaced {
			replaced = append(replaced, e.MadeAt)
		}
	}
	listed := map[id.Session]bool{}
	for _, s := range p.sessions {
		listed[s.ID] = true
		e, known := opening[s.ID]
		switch {
		case !p.young(s.MadeAt):
			take(&replaced, s.MadeAt)
		case known && e.Attempt == s.Attempt:
			if e.Standby != s.Standby {
				found = append(found, p.finding(StandbyMark, string(s.ID)))
			}
		case !take(&replaced, s.MadeAt):
			found = append(found, p.finding(SessionWithoutSignIn, string(s.ID)))
		}
	}
	for _, e := range opening {
		if !listed[e.Session] {
			found = append(found, p.finding(SignInWithoutSession, string(e.Session)))
		}
	}
	for range replaced {
		found = append(found, p.finding(SignInWithoutSession, "replaced"))
	}
	return found
}

// within is how far apart two things may be that one transaction did.
const within = 10 * time.Second

// take removes the moment closest to t, when one is near enough.
func take(moments *[]time.Time, t time.Time) bool {
	best, at := within+1, -1
	for i, m := range *moments {
		if d := m.Sub(t).Abs(); d < best {
			best, at = d, i
		}
	}
	if at < 0 {
		return false
	}
	*moments = append((*moments)[:at:at], (*moments)[at+1:]...)
	return true
}

// sessionCodes: the attempt that opened a session used up exactly its codes. A
// session that was undone for just that is in order.
func (p *picture) sessionCodes() (found []Finding) {
	type code struct {
		authenticator string
		step          int64
	}
	by := map[code]string{}
	for _, u := range append(append([]authenticators.Use(nil), p.steps...), p.codes...) {
		by[code{string(u.Authenticator), u.Step}] = u.By
	}
	holder := map[code]sessions.Session{}
	for _, s := range p.sessions {
		_, undone := p.r.undone[s.ID]
		if undone || !p.young(s.MadeAt) || !p.openedIt(s) {
			continue
		}
		for _, f := range codesOf(s) {
			c := code{f.Authenticator, f.Step}
			if other, twice := holder[c]; twice {
				found = append(found, p.finding(CodeUsedTwice, string(other.ID)+" "+string(s.ID)))
			}
			holder[c] = s
			if user, used := by[c]; p.holds(f) && (!used || user != string(s.Attempt)) {
				found = append(found, p.finding(CodeNotUsedUp, string(s.ID)))
			}
		}
	}
	return found
}

// openedIt tells whether a session was opened by its own attempt: one that only
// got a new id carries the proofs of the one before.
func (p *picture) openedIt(s sessions.Session) bool {
	for _, e := range p.log {
		if opened[e.Kind] && e.Session == s.ID && e.Attempt == s.Attempt {
			return true
		}
	}
	return false
}

// holds tells whether the account still has what a code was of.
func (p *picture) holds(f proof.Proof) bool {
	if f.Method == proof.RecoveryCode {
		return f.Authenticator == string(p.set)
	}
	for _, app := range p.apps {
		if string(app) == f.Authenticator {
			return true
		}
	}
	return false
}

// usedCodes: whatever used a code up is known to the log.
func (p *picture) usedCodes() (found []Finding) {
	known := map[string]bool{authenticators.Burnt: true, "": true}
	for _, e := range p.log {
		known[string(e.Attempt)], known[string(e.Session)] = true, true
	}
	for _, u := range p.steps {
		if p.young(u.At) && !known[u.By] || u.By == "" {
			found = append(found, p.finding(CodeUsedByNobody, string(u.Authenticator)+" "+strconv.FormatInt(u.Step, 10)))
		}
	}
	return found
}

// recovery: each recovery code that is gone has its event, and the other way round.
func (p *picture) recovery() (found []Finding) {
	told, lost := map[string]bool{}, map[string]bool{}
	for _, u := range p.r.undone {
		lost[string(u.Attempt)] = true
	}
	for _, e := range p.log {
		if e.Kind == events.RecoveryCodeUsed {
			told[string(e.Attempt)] = true
		}
	}
	gone := map[string]bool{}
	for _, u := range p.codes {
		gone[u.By] = true
		if p.young(u.At) && !told[u.By] {
			found = append(found, p.finding(RecoveryUnrecorded, string(u.Authenticator)+" "+strconv.FormatInt(u.Step, 10)))
		}
	}
	for _, e := range p.log {
		if e.Kind == events.RecoveryCodeUsed && e.MadeAt.After(p.setMade) && p.set != "" && !gone[string(e.Attempt)] && !lost[string(e.Attempt)] {
			found = append(found, p.finding(RecoveryNotUsedUp, string(e.Attempt)))
		}
	}
	return found
}

// revocations: what has ended is revoked, and what is revoked has ended.
func (p *picture) revocations() (found []Finding) {
	for _, s := range p.sessions {
		if !s.AbsoluteUntil.After(p.now) {
			continue
		}
		denied := p.revoked[s.ID] || s.Epoch < p.epoch
		switch _, undone := p.r.undone[s.ID]; {
		case s.EndedAt.IsZero() && undone:
			found = append(found, p.finding(ConflictOpen, string(s.ID)))
		case !s.EndedAt.IsZero() && !denied:
			found = append(found, p.finding(NotRevoked, string(s.ID)))
		case s.EndedAt.IsZero() && (denied || s.Epoch < p.account.Epoch || !p.account.Status.MaySignIn()):
			found = append(found, p.finding(NotEnded, string(s.ID)))
		}
	}
	return found
}

// tried: no more was refused than was paid for, and no more was paid than there is.
func (p *picture) tried() (found []Finding) {
	alone := false // nodes that counted alone may together have let more through
	refused := map[string]int{}
	for _, e := range p.log {
		alone = alone || e.Standby
		switch {
		case (e.Kind == events.SignInRefused || e.Kind == events.FreshRefused) && e.Data["method"] == "password" && e.MadeAt.After(p.now.Add(within-p.r.Name.Per)):
			refused["password"]++
		case e.Kind == events.SignInRefused && e.Data["method"] == "passkey" && e.MadeAt.After(p.now.Add(within-p.r.Code.Per)):
			refused["code"]++
		case e.Kind == events.CodeRefused && e.Data["purpose"] != "enrol" && e.MadeAt.After(p.now.Add(within-p.r.Code.Per)):
			refused["code"]++
		}
	}
	if len(p.spent.passwords) < refused["password"] && !p.moved() {
		found = append(found, p.finding(TriesMissing, "password"))
	}
	if len(p.spent.codes) < refused["code"] {
		found = append(found, p.finding(TriesMissing, "code"))
	}
	for _, rule := range p.spent.over {
		if !alone {
			found = append(found, p.finding(TriesOver, rule))
		}
	}
	return found
}

// moved tells whether the account got another address of late: tries at the old
// one are counted under a name that nothing keeps.
func (p *picture) moved() bool {
	for _, e := range p.log {
		if e.Kind == events.AddressChanged && e.MadeAt.After(p.now.Add(-p.r.Name.Per)) {
			return true
		}
	}
	return false
}
