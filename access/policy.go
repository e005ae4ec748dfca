package access

import (
	"crypto/sha256"
	"encoding/binary"
	"slices"
	"strings"
	"time"

	"gatehouse/id"
	"gatehouse/proof"
)

// Scope is whom a policy is for. The zero value is the whole installation.
type Scope struct {
	Organisation id.Organisation // everybody in it; with Role, those who are that in it
	Role         Role
	Client       string // whoever signs in to an application, by client id
}

// Key names a scope; it is the policy's id, so that a scope has one policy.
func (s Scope) Key() string {
	switch {
	case s.Client != "":
		return "client/" + s.Client
	case s.Role != "":
		return "role/" + string(s.Organisation) + "/" + string(s.Role)
	case s.Organisation != "":
		return "organisation/" + string(s.Organisation)
	}
	return installation
}

const installation = "installation"

// ScopeOf reads what Key wrote.
func ScopeOf(key string) (Scope, bool) {
	kind, rest, _ := strings.Cut(key, "/")
	organisation, role, _ := strings.Cut(rest, "/")
	s := Scope{}
	switch kind {
	case "client":
		s.Client = rest
	case "role":
		s.Organisation, s.Role = id.Organisation(organisation), Role(role)
	case "organisation":
		s.Organisation = id.Organisation(organisation)
	}
	return s, s.Key() == key
}

// Policy is what is asked of the people of one scope, and what it is about to be.
type Policy struct {
	Scope   Scope        `json:"-"`
	Terms   *Requirement `json:"terms,omitempty"`  // for those the roll-out has not reached; nil: nothing of its own
	Next    *Rollout     `json:"next,omitempty"`   // nil: none
	Before  *Requirement `json:"before,omitempty"` // what Reverted brings back; nil: nothing of its own
	Version int64        `json:"-"`                // 0: there is none yet
	Changed int64        `json:"changed"`          // microseconds
}

// Rollout brings other terms to a scope, cohort by cohort. Nothing runs when a
// date comes: who is under which terms is worked out when it is read.
type Rollout struct {
	Terms   Requirement `json:"terms"`
	Start   time.Time   `json:"start"` // whoever is in no cohort is told from here on …
	Due     time.Time   `json:"due"`   // … and held to the terms from here on
	Cohorts []Cohort    `json:"cohorts,omitempty"`
}

// Cohort is a part of a scope with dates of its own. The first that somebody is
// in counts.
type Cohort struct {
	Name     string       `json:"name"`
	Role     Role         `json:"role,omitempty"`     // those who are this, or
	Percent  int          `json:"percent,omitempty"`  // so many of a hundred, always the same, or
	Accounts []id.Account `json:"accounts,omitempty"` // these
	Start    time.Time    `json:"start"`
	Due      time.Time    `json:"due"`
}

// Of what a policy may hold, so that reading it at every sign-in stays cheap.
const (
	MostCohorts  = 8
	MostListed   = 200 // accounts by name, over all cohorts
	MostRemember = 90 * 24 * time.Hour
)

// Hundredth is 0 to 99 for an account: the same today and tomorrow, on every node.
func Hundredth(a id.Account) int {
	sum := sha256.Sum256([]byte(a))
	return int(binary.BigEndian.Uint64(sum[:8]) % 100)
}

// has tells whether somebody is in a cohort. members are theirs.
func (c Cohort) has(a id.Account, s Scope, members []Membership) bool {
	switch {
	case c.Role != "":
		return slices.ContainsFunc(members, func(m Membership) bool {
			return m.Role == c.Role && (s.Organisation == "" || m.Organisation == s.Organisation)
		})
	case c.Percent > 0:
		return Hundredth(a) < c.Percent
	}
	return slices.Contains(c.Accounts, a)
}

// Cohort is the cohort that somebody is in: 0 to len(Cohorts)-1, or len(Cohorts)
// for everybody else, with its dates.
func (p Policy) Cohort(a id.Account, members []Membership) (n int, start, due time.Time) {
	for i, c := range p.Next.Cohorts {
		if c.has(a, p.Scope, members) {
			return i, c.Start, c.Due
		}
	}
	return len(p.Next.Cohorts), p.Next.Start, p.Next.Due
}

// Over tells whether a roll-out has reached everybody.
func (p Policy) Over(now time.Time) bool {
	return p.Next != nil && !now.Before(p.Next.Due) &&
		!slices.ContainsFunc(p.Next.Cohorts, func(c Cohort) bool { return now.Before(c.Due) })
}

// At is what a policy asks of somebody at a time; nil when it asks for nothing of
// its own.
func (p Policy) At(a id.Account, members []Membership, now time.Time) *Requirement {
	if p.Next != nil {
		if _, _, due := p.Cohort(a, members); !now.Before(due) {
			return &p.Next.Terms
		}
	}
	return p.Terms
}

// Settled is the policy after a roll-out that has reached everybody.
func (p Policy) Settled(now time.Time) Policy {
	if p.Over(now) {
		terms := p.Next.Terms
		p.Before, p.Terms, p.Next = p.Terms, &terms, nil
	}
	return p
}

// With is the policy with other terms from now on; nil takes its own away.
func (p Policy) With(terms *Requirement, now time.Time) Policy {
	p = p.Settled(now)
	p.Before, p.Terms, p.Next = p.Terms, terms, nil
	return p
}

// Reverted is the policy one step back: without the roll-out that is under way,
// or else with the terms before.
func (p Policy) Reverted(now time.Time) Policy {
	p = p.Settled(now)
	if p.Next != nil {
		p.Next = nil
		return p
	}
	p.Before, p.Terms = p.Terms, p.Before
	return p
}

// Wants is what the policy asks for in the end: the terms of the roll-out, or its
// own; nil for nothing.
func (p Policy) Wants() *Requirement {
	if p.Next != nil {
		return &p.Next.Terms
	}
	return p.Terms
}

// applying is what bears on one sign-in of somebody.
type applying struct {
	account  id.Account
	members  []Membership
	policies []Policy
}

// at is the strictest of all that applies at a time. Where the installation has no
// policy, Default is it: others only ever add to it. No browser is remembered of
// people who look after others.
func (w applying) at(now time.Time) Requirement {
	need, own := Default(), false
	for _, p := range w.policies {
		if terms := p.At(w.account, w.members, now); p.Scope == (Scope{}) && terms != nil && !own {
			need, own = *terms, true
		}
	}
	need = need.Normal()
	for _, p := range w.policies {
		if terms := p.At(w.account, w.members, now); p.Scope != (Scope{}) && terms != nil {
			need = Strictest(need, *terms)
		}
	}
	if LookAfterOthers(w.members) {
		need.Remember = 0
	}
	return need
}

// Due is what will be asked of somebody, and from when.
type Due struct {
	By      time.Time
	Missing Requirement // what a session must be opened with from then on
}

// due is the next date at which something else is asked, of the roll-outs that
// somebody is told of already.
func (w applying) due(now time.Time) (Due, bool) {
	var next time.Time
	for _, p := range w.policies {
		if p.Next == nil {
			continue
		}
		if _, start, due := p.Cohort(w.account, w.members); !now.Before(start) && now.Before(due) && (next.IsZero() || due.Before(next)) {
			next = due
		}
	}
	if next.IsZero() {
		return Due{}, false
	}
	d := Due{next, w.at(next)}
	return d, !d.Missing.Same(w.at(now))
}

// Complaint says why a policy cannot be set: a words key and what it is about.
type Complaint struct {
	Key  string
	With string // a method, a cohort, or the key of another scope
}

// Complaints lists what speaks against a policy, considering every other: nobody
// is ever left with nothing they could sign in with. Pure; words in accept.json.
func (p Policy) Complaints(others []Policy, now time.Time) []Complaint {
	var all []Complaint
	for _, terms := range p.all() {
		all = append(all, terms.complaints()...)
	}
	if p.Next != nil {
		all = append(all, p.Next.complaints(now)...)
	}
	if len(all) == 0 {
		if with, bad := p.conflict(others); bad {
			all = append(all, Complaint{"accept.bad.conflict", with})
		}
	}
	return all
}

// all are the terms that a policy can put somebody under: now, or by a roll-out.
func (p Policy) all() (all []Requirement) {
	if p.Terms != nil {
		all = append(all, *p.Terms)
	}
	if p.Next != nil {
		all = append(all, p.Next.Terms)
	}
	return all
}

func (r Requirement) complaints() (all []Complaint) {
	switch {
	case r.Level == proof.AAL1 || r.Level == proof.None:
		all = append(all, Complaint{"accept.bad.aal1", ""})
	case r.Level > proof.AAL3 || r.Level < proof.None:
		all = append(all, Complaint{"accept.bad.level", ""})
	}
	for _, m := range r.Methods {
		if !slices.Contains(Seconds(), m) {
			all = append(all, Complaint{"accept.bad.method", string(m)})
		}
	}
	if r.Remember < 0 || r.Remember > MostRemember {
		all = append(all, Complaint{"accept.bad.remember", ""})
	}
	if len(all) == 0 && len(r.Normal().Enrols()) == 0 {
		all = append(all, Complaint{"accept.bad.nobody", ""})
	}
	return all
}

func (r Rollout) complaints(now time.Time) (all []Complaint) {
	if !r.Due.After(now) || r.Due.Before(r.Start) {
		all = append(all, Complaint{"accept.bad.due", ""})
	}
	listed, names := 0, map[string]bool{"": true}
	for _, c := range r.Cohorts {
		listed += len(c.Accounts)
		ways := 0
		for _, given := range []bool{c.Role != "", c.Percent != 0, len(c.Accounts) > 0} {
			if given {
				ways++
			}
		}
		if ways != 1 || c.Percent < 0 || c.Percent > 100 || c.Role != "" && !Known(c.Role) || names[c.Name] {
			all = append(all, Complaint{"accept.bad.cohort", c.Name})
		}
		names[c.Name] = true
		if !c.Due.After(now) || c.Due.Before(c.Start) || c.Due.After(r.Due) {
			all = append(all, Complaint{"accept.bad.cohort-due", c.Name})
		}
	}
	if len(r.Cohorts) > MostCohorts || listed > MostListed {
		all = append(all, Complaint{"accept.bad.cohorts", ""})
	}
	return all
}

// closed are the ways to come to an authenticator that terms close, of the two by
// which anybody can set one up alone: with an app, and with a passkey.
type closed uint8

const (
	apps closed = 1 << iota
	passkeys
	allClosed = apps | passkeys
)

func (r Requirement) closes() closed {
	c := allClosed
	for _, m := range r.Normal().Enrols() {
		switch m {
		case proof.TOTP:
			c &^= apps
		case proof.Passkey:
			c &^= passkeys
		}
	}
	return c
}

// conflict looks for somebody, also one there is not yet, whom this policy and
// others together would leave nothing. Somebody may belong to every organisation,
// in one role each, and signs in to one application at a time.
func (p Policy) conflict(others []Policy) (with string, bad bool) {
	others = slices.DeleteFunc(slices.Clone(others), func(o Policy) bool { return o.Scope.Key() == p.Scope.Key() })
	if !leavesNothing(append(slices.Clone(others), p)) {
		return "", false
	}
	for _, o := range others {
		if leavesNothing([]Policy{o, p}) {
			return o.Scope.Key(), true
		}
	}
	return "", true
}

func leavesNothing(all []Policy) bool {
	groups := map[string]map[string]closed{} // organisation or "clients" → role or client → what it closes
	for _, p := range all {
		group, part := string(p.Scope.Organisation), string(p.Scope.Role)
		if p.Scope.Client != "" {
			group, part = "clients", p.Scope.Client
		}
		if groups[group] == nil {
			groups[group] = map[string]closed{}
		}
		for _, terms := range p.all() {
			groups[group][part] |= terms.closes()
		}
	}
	reached := map[closed]bool{0: true}
	for _, parts := range groups {
		further := map[closed]bool{}
		for c := range reached {
			further[c|parts[""]] = true
			for _, part := range parts {
				further[c|parts[""]|part] = true
			}
		}
		reached = further
	}
	return reached[allClosed]
}
