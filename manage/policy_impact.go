package manage

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"gatehouse/access"
	"gatehouse/accounts"
	"gatehouse/authenticators"
	"gatehouse/id"
	"gatehouse/proof"
	"gatehouse/store"
)

// Standing is how somebody would fare under a policy, with what they hold today.
type Standing string

// The standings.
const (
	Fine    Standing = "fine"    // they notice nothing
	Another Standing = "another" // they come in, and are asked for something else or more often than now
	Out     Standing = "out"     // they could not sign in today: they set something up first, through a mailed link
	Waiting Standing = "waiting" // they have not set up anything yet, and will under the policy
)

// Affected is one person whom a policy concerns.
type Affected struct {
	Account      id.Account      `json:"account"`
	Email        string          `json:"email"`
	Name         string          `json:"name"`
	Organisation string          `json:"organisation"`
	Role         access.Role     `json:"role"`
	Standing     Standing        `json:"standing"`
	Holds        []proof.Method  `json:"holds"`
	Cohort       string          `json:"cohort,omitempty"`
	organisation id.Organisation // the first they belong to, or the scope's
}

// Tally counts people by standing.
type Tally struct {
	People  int64 `json:"people"`
	Fine    int64 `json:"fine"`
	Another int64 `json:"another"`
	Out     int64 `json:"out"`
	Waiting int64 `json:"waiting"`
}

func (t *Tally) add(s Standing) {
	t.People++
	switch s {
	case Fine:
		t.Fine++
	case Another:
		t.Another++
	case Out:
		t.Out++
	case Waiting:
		t.Waiting++
	}
}

// Part is the tally of one role in one organisation, or of one cohort.
type Part struct {
	Organisation string      `json:"organisation,omitempty"`
	Role         access.Role `json:"role,omitempty"`
	Cohort       string      `json:"cohort,omitempty"`
	Start        time.Time   `json:"start,omitzero"`
	Due          time.Time   `json:"due,omitzero"`
	Tally
	organisation id.Organisation
}

// Impact says what a policy would mean for the people of its scope who may sign in.
type Impact struct {
	Tally
	Parts []Part     `json:"parts"` // at most MostParts; the rest is in the tally alone
	Names []Affected `json:"names"` // those who are out, then those who are asked for another; at most MostNames
	More  int64      `json:"more"`  // of them not listed
}

// Bounds of what a dry run tells.
const (
	MostParts = 200
	MostNames = 1000
)

// batchSize is how many people one short transaction reads or changes.
const batchSize = 50

// everybody calls fn with the accounts of a scope, some at a time, and tells how
// far it is. Whoever is added meanwhile may be left out.
func (m *Manage) everybody(ctx context.Context, s access.Scope, progress func(done, of int64), fn func([]id.Account) error) error {
	var done, of int64
	for after := id.Account(""); ; {
		var batch []id.Account
		err := m.Store.BackgroundRead(ctx, func(tx *store.Tx) (err error) {
			if after == "" {
				if of, err = countOf(tx, s); err != nil {
					return err
				}
			}
			if s.Organisation != "" {
				batch, err = access.Members(tx, s.Organisation, s.Role, after, batchSize)
			} else {
				batch, err = accounts.IDs(tx, after, batchSize)
			}
			return err
		})
		if err != nil || len(batch) == 0 {
			return err
		}
		if err := fn(batch); err != nil {
			return err
		}
		after = batch[len(batch)-1]
		if done += int64(len(batch)); progress != nil {
			progress(done, max(done, of))
		}
	}
}

func countOf(tx *store.Tx, s access.Scope) (int64, error) {
	if s.Organisation != "" {
		return access.CountMembers(tx, s.Organisation, s.Role)
	}
	return accounts.Count(tx)
}

// DryRun works out what a policy would mean, if its terms (of its roll-out, when it
// has one) held for everybody in its scope now. It writes nothing. progress may be
// nil.
func (m *Manage) DryRun(ctx context.Context, p access.Policy, progress func(done, of int64)) (Impact, error) {
	return m.weigh(ctx, p, progress, func(a Affected) Part { return Part{organisation: a.organisation, Role: a.Role} })
}

// PolicyProgress tells how far the people of a scope are with what its policy asks
// for in the end, cohort by cohort: who is fine or only asked for another meets it.
func (m *Manage) PolicyProgress(ctx context.Context, p access.Policy, progress func(done, of int64)) (Impact, error) {
	if p.Next == nil {
		return m.DryRun(ctx, p, progress)
	}
	parts := []Part{}
	for _, c := range p.Next.Cohorts {
		parts = append(parts, Part{Cohort: c.Name, Start: c.Start, Due: c.Due})
	}
	parts = append(parts, Part{Start: p.Next.Start, Due: p.Next.Due})
	all, err := m.weigh(ctx, p, progress, func(a Affected) Part { return Part{Cohort: a.Cohort} })
	for i, part := range parts {
		for _, counted := range all.Parts {
			if counted.Cohort == part.Cohort {
				parts[i].Tally = counted.Tally
			}
		}
	}
	all.Parts = parts
	return all, err
}

func (m *Manage) weigh(ctx context.Context, p access.Policy, progress func(done, of int64), partOf func(Affected) Part) (Impact, error) {
	var all Impact
	names := map[id.Organisation]string{}
	err := m.everybody(ctx, p.Scope, progress, func(batch []id.Account) error {
		var found []Affected
		err := m.Store.BackgroundRead(ctx, func(tx *store.Tx) error {
			found = nil
			for _, account := range batch {
				a, counts, err := m.affected(tx, p, account, names)
				if err != nil {
					return err
				}
				if counts {
					found = append(found, a)
				}
			}
			return nil
		})
		for _, a := range found {
			all.count(a, partOf(a))
		}
		return err
	})
	for i := range all.Parts {
		all.Parts[i].Organisation = names[all.Parts[i].organisation]
	}
	slices.SortFunc(all.Parts, func(a, b Part) int {
		return cmp.Or(cmp.Compare(a.Organisation, b.Organisation), cmp.Compare(slices.Index(access.Roles(), a.Role), slices.Index(access.Roles(), b.Role)))
	})
	slices.SortFunc(all.Names, func(a, b Affected) int {
		return cmp.Or(-cmp.Compare(a.Standing, b.Standing), cmp.Compare(a.Email, b.Email)) // "out" before "another"
	})
	return all, err
}

func (i *Impact) count(a Affected, of Part) {
	i.add(a.Standing)
	at := slices.IndexFunc(i.Parts, func(p Part) bool {
		return p.organisation == of.organisation && p.Role == of.Role && p.Cohort == of.Cohort
	})
	if at < 0 && len(i.Parts) < MostParts {
		at, i.Parts = len(i.Parts), append(i.Parts, of)
	}
	if at >= 0 {
		i.Parts[at].add(a.Standing)
	}
	switch {
	case a.Standing != Out && a.Standing != Another:
	case len(i.Names) < MostNames:
		i.Names = append(i.Names, a)
	case a.Standing == Out && i.giveWay(a): // those who are out go first
		i.More++
	default:
		i.More++
	}
}

// giveWay puts somebody in the place of one who is only asked for another.
func (i *Impact) giveWay(a Affected) bool {
	at := slices.IndexFunc(i.Names, func(n Affected) bool { return n.Standing == Another })
	if at >= 0 {
		i.Names[at] = a
	}
	return at >= 0
}

// affected weighs one person; false for whoever may not sign in anyway.
func (m *Manage) affected(tx *store.Tx, p access.Policy, account id.Account, names map[id.Organisation]string) (Affected, bool, error) {
	who, found, err := accounts.ByID(tx, account)
	if err != nil || !found || !who.Status.MaySignIn() {
		return Affected{}, false, err
	}
	kept, err := authenticators.LoadUsual(tx, m.Keys, account)
	if err != nil {
		return Affected{}, false, err
	}
	now, then, members, err := (access.Trial{Policy: p}).Of(tx, account)
	if err != nil {
		return Affected{}, false, err
	}
	a := Affected{Account: account, Email: who.Email, Name: who.Name, Standing: standing(who, kept, now, then, tx.Now()), Holds: methodsOf(held(kept, tx.Now()))}
	for _, ms := range members {
		if a.organisation == "" && (p.Scope.Organisation == "" || p.Scope.Organisation == ms.Organisation) {
			a.organisation, a.Role = ms.Organisation, ms.Role
		}
	}
	if p.Next != nil {
		if n, _, _ := p.Cohort(account, members); n < len(p.Next.Cohorts) {
			a.Cohort = p.Next.Cohorts[n].Name
		}
	}
	if _, known := names[a.organisation]; !known && a.organisation != "" {
		o, _, err := access.OrganisationByID(tx, a.organisation)
		if err != nil {
			return a, false, err
		}
		names[a.organisation] = o.Name
	}
	a.Organisation = names[a.organisation]
	return a, true, nil
}

func methodsOf(ps []proof.Proof) []proof.Method {
	return slices.DeleteFunc(access.Seconds(), func(method proof.Method) bool {
		_, holds := proof.Find(ps, method)
		return !holds
	})
}

// standing compares what somebody would notice.
func standing(who accounts.Account, kept authenticators.Kept, now, then access.Requirement, at time.Time) Standing {
	switch {
	case who.Status == accounts.Invited || kept.Seconds(at) == 0:
		return Waiting
	case !Meets(kept, then, at):
		return Out
	case Meets(kept, now, at) && !stillUsual(kept, now, then, at), forgets(kept, now, then, at):
		return Another
	}
	return Fine
}

// stillUsual tells whether what somebody used last, and may use now, will do.
func stillUsual(kept authenticators.Kept, now, then access.Requirement, at time.Time) bool {
	var last time.Time
	var shows []proof.Proof
	later := func(made, used time.Time) bool {
		if used.After(made) {
			made = used
		}
		newer := !made.Before(last)
		if newer {
			last = made
		}
		return newer
	}
	for _, t := range kept.TOTP {
		if later(t.MadeAt, t.LastUsedAt) {
			shows = []proof.Proof{{Method: proof.TOTP}}
		}
	}
	for _, c := range kept.Credentials {
		if ps := shownBy(c, at); len(ps) > 0 && later(c.MadeAt, c.LastUsedAt) {
			shows = ps
		}
	}
	will := func(need access.Requirement) bool {
		return slices.ContainsFunc(shows, func(p proof.Proof) bool { return need.Met([]proof.Proof{{Method: proof.Password}, p}) })
	}
	return will(then) || !will(now)
}

// forgets tells whether a browser that is remembered now would not be.
func forgets(kept authenticators.Kept, now, then access.Requirement, at time.Time) bool {
	return slices.ContainsFunc(kept.Usable(authenticators.KindRemembered, at), func(c authenticators.Credential) bool {
		age := at.Sub(c.MadeAt)
		return age < now.Remember && age >= then.Remember
	})
}

// AffectedColumns are the names of Cells, stable for whoever reads the list.
func AffectedColumns() []string {
	return []string{"email", "name", "organisation", "role", "standing", "holds", "cohort"}
}

// Cells is somebody as a row of a table. A cell that a spreadsheet would take for
// a formula begins with an apostrophe (OWASP, CSV injection).
func (a Affected) Cells() []string {
	var holds []string
	for _, method := range a.Holds {
		holds = append(holds, string(method))
	}
	cells := []string{a.Email, a.Name, a.Organisation, string(a.Role), string(a.Standing), strings.Join(holds, " "), a.Cohort}
	for i, c := range cells {
		if c != "" && strings.ContainsRune("=+-@\t\r", rune(c[0])) {
			cells[i] = "'" + c
		}
	}
	return cells
}
