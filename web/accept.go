package web

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"gatehouse/access"
	"gatehouse/fault"
	"gatehouse/manage"
)

// Accepter is what the pages about accepted authenticators ask of manage.Manage.
type Accepter interface {
	Policies(context.Context) ([]access.Policy, error)
	Policy(context.Context, manage.PolicyWish) (is, then access.Policy, bad []access.Complaint, err error)
	DryRun(context.Context, access.Policy, func(done, of int64)) (manage.Impact, error)
	PolicyProgress(context.Context, access.Policy, func(done, of int64)) (manage.Impact, error)
	ChangePolicy(context.Context, manage.Changer, manage.PolicyWish) (manage.PolicyDone, error)
	EndWeakSessions(context.Context, access.Scope, manage.Changer, func(done, of int64)) (int64, error)
}

const acceptPath = "/console/policy/authenticators"

func (s *Server) acceptRoutes() []route {
	if s.Accept == nil {
		return nil
	}
	return []route{
		{aPage, "GET", acceptPath, s.acceptPage},
		{aPage, "GET", acceptPath + "/change", s.acceptChangePage},
		{aPage, "POST", acceptPath + "/change", s.acceptLook},
		{aPage, "POST", acceptPath + "/list", s.acceptList},
		{aPage, "POST", acceptPath + "/apply", s.acceptApply},
		{aPage, "POST", acceptPath + "/revert", s.acceptRevert},
	}
}

// Names of the form's fields besides the usual ones.
const (
	fieldScope   = "scope"
	fieldVersion = "version"
	fieldEnd     = "end-sessions"
	acceptNames  = 50 // names on the page; the list holds a thousand
)

// acceptPage shows the rules that hold for the organisations somebody belongs to.
func (s *Server) acceptPage(r *Request) error {
	m, err := r.member()
	if err != nil {
		return err
	}
	if !mayIn(m.about.Memberships, access.ReadPolicy) {
		return fault.New(fault.Forbidden, nil)
	}
	all, err := s.Accept.Policies(r.Context())
	if err != nil {
		return err
	}
	page := Accepted{Presets: acceptPresets("")}
	usual := access.Default()
	if p := policyIn(all, access.Scope{}).Settled(s.Now()); p.Terms != nil {
		usual = *p.Terms
	}
	for _, ms := range m.about.Memberships {
		if !access.Can(ms.Role, access.ReadPolicy) {
			continue
		}
		rules, err := s.organisationRules(r, ms, all, usual)
		if err != nil {
			return err
		}
		page.Rules = append(page.Rules, rules...)
	}
	everybody := AcceptRules{Who: *Say("accept.for.installation"), Own: policyIn(all, access.Scope{}).Terms != nil, Terms: usual, Preset: access.PresetOf(usual)}
	page.Rules = append(page.Rules, everybody)
	return r.Render(r.frame(m), page)
}

func policyIn(all []access.Policy, s access.Scope) access.Policy {
	for _, p := range all {
		if p.Scope == s {
			return p
		}
	}
	return access.Policy{Scope: s}
}

// organisationRules are those of an organisation and of the roles in it that have
// their own.
func (s *Server) organisationRules(r *Request, ms access.Membership, all []access.Policy, usual access.Requirement) (found []AcceptRules, err error) {
	may := access.Can(ms.Role, access.WritePolicy)
	own := access.Scope{Organisation: ms.Organisation}
	for _, scope := range append([]access.Scope{own}, rolesOf(own)...) {
		p := policyIn(all, scope).Settled(s.Now())
		if scope.Role != "" && p.Wants() == nil {
			if may {
				found[0].Roles = append(found[0].Roles, AcceptRole{scope.Role, changeAddress(scope, "")})
			}
			continue
		}
		rules := AcceptRules{Who: whose(scope, ms.Name), Scope: scope.Key(), Version: p.Version, Own: p.Terms != nil, Terms: usual, Back: may && (p.Terms != nil || p.Before != nil)}
		if p.Terms != nil {
			rules.Terms, rules.Preset = *p.Terms, access.PresetOf(*p.Terms)
			rules.Stricter = !access.Strictest(usual, *p.Terms).Same(*p.Terms)
		}
		if may {
			rules.Change = changeAddress(scope, "")
		}
		if p.Next != nil {
			if rules.Way, err = s.acceptWay(r.Context(), p); err != nil {
				return nil, err
			}
		}
		found = append(found, rules)
	}
	return found, nil
}

func rolesOf(s access.Scope) (all []access.Scope) {
	for _, role := range access.Roles() {
		all = append(all, access.Scope{Organisation: s.Organisation, Role: role})
	}
	return all
}

func whose(s access.Scope, organisation string) Text {
	if s.Role != "" {
		return *Say("accept.for.role."+string(s.Role), "organisation", organisation)
	}
	return *Say("accept.for.organisation", "organisation", organisation)
}

func changeAddress(s access.Scope, p access.Preset) string {
	q := url.Values{fieldScope: {s.Key()}}
	if p != "" {
		q.Set("preset", string(p))
	}
	return acceptPath + "/change?" + q.Encode()
}

func (s *Server) acceptWay(ctx context.Context, p access.Policy) (*AcceptWay, error) {
	way := &AcceptWay{Terms: p.Next.Terms, Due: p.Next.Due}
	so, err := s.Accept.PolicyProgress(ctx, p, nil)
	for _, part := range so.Parts {
		way.Parts = append(way.Parts, AcceptPart{Name: cohortText(part.Cohort), Due: part.Due, Ready: part.Fine + part.Another, People: part.People, Over: !s.Now().Before(part.Due)})
	}
	return way, err
}

// acceptPresets lists the presets; with a scope, each with the way to start from it.
func acceptPresets(scope string) (all []AcceptPreset) {
	for _, p := range access.Presets() {
		terms, _ := p.Terms()
		preset := AcceptPreset{Preset: p, Terms: terms}
		if of, ok := access.ScopeOf(scope); ok {
			preset.Use = changeAddress(of, p)
		}
		all = append(all, preset)
	}
	return all
}

// acceptFor tells what a scope is called, for somebody who may change its rules.
func acceptFor(m member, key string) (access.Scope, Text, error) {
	s, ok := access.ScopeOf(key)
	for _, ms := range m.about.Memberships {
		if ok && s.Organisation != "" && ms.Organisation == s.Organisation && access.Can(ms.Role, access.WritePolicy) && (s.Role == "" || access.Known(s.Role)) {
			return s, whose(s, ms.Name), nil
		}
	}
	return s, Text{}, fault.New(fault.Forbidden, nil)
}

func (s *Server) acceptChangePage(r *Request) error {
	scope := r.Query(fieldScope)
	m, err := r.freshMemberFor(acceptPath)
	if err != nil {
		return err
	}
	of, who, err := acceptFor(m, scope)
	if err != nil {
		return err
	}
	is, _, _, err := s.Accept.Policy(r.Context(), manage.PolicyWish{Scope: of})
	if err != nil {
		return err
	}
	page := AcceptChange{AcceptChoice: AcceptChoice{Scope: scope, Version: is.Version, Terms: access.Default()}, Who: who, Presets: acceptPresets(scope), Own: is.Wants() != nil}
	if own := is.Wants(); own != nil {
		page.Terms = *own
	}
	if terms, ok := access.Preset(r.Query("preset")).Terms(); ok {
		page.Terms = terms
	}
	page.Hours = strconv.Itoa(int(page.Terms.Remember / time.Hour))
	page.Due = s.Now().In(zoneOf(m.about.Account.Zone)).AddDate(0, 0, 30).Format(time.DateOnly)
	return r.Render(r.frame(m), page)
}

// acceptLook says what a change would mean.
func (s *Server) acceptLook(r *Request) error {
	c, done, err := s.acceptChosen(r)
	if err != nil || done {
		return err
	}
	page, err := s.acceptLookOf(r.Context(), c)
	if err != nil {
		return err
	}
	return r.Render(r.frame(c.m), page)
}

func (s *Server) acceptLookOf(ctx context.Context, c chosen) (AcceptLook, error) {
	impact, err := s.Accept.DryRun(ctx, c.then, nil)
	page := AcceptLook{AcceptChoice: c.choice, Who: c.who, Impact: impact, Names: impact.Names[:min(len(impact.Names), acceptNames)], Back: changeAddress(c.wish.Scope, "")}
	page.More = int64(len(impact.Names)-len(page.Names)) + impact.More
	before, then := access.Default(), access.Default()
	if t := c.is.Wants(); t != nil {
		before = *t
	}
	if t := c.then.Wants(); t != nil {
		then = *t
	}
	page.Rows = compared(before, then)
	if c.then.Next != nil {
		page.By = c.then.Next.Due
	}
	return page, err
}

// acceptList hands out who would notice something, for a spreadsheet or a program.
func (s *Server) acceptList(r *Request) error {
	c, done, err := s.acceptChosen(r)
	if err != nil || done {
		return err
	}
	impact, err := s.Accept.DryRun(r.Context(), c.then, nil)
	if err != nil {
		return err
	}
	r.w.Header().Set("Content-Disposition", `attachment; filename="people.`+map[bool]string{true: "json", false: "csv"}[r.Text("as") == "json"]+`"`)
	if r.Text("as") == "json" {
		body, err := json.MarshalIndent(impact, "", "  ")
		if err != nil {
			return err
		}
		return r.Send(http.StatusOK, jsonType, body)
	}
	var b bytes.Buffer
	out := csv.NewWriter(&b)
	rows := [][]string{manage.AffectedColumns()}
	for _, a := range impact.Names {
		rows = append(rows, a.Cells())
	}
	if err := out.WriteAll(rows); err != nil {
		return err
	}
	return r.Send(http.StatusOK, "text/csv; charset=utf-8", b.Bytes())
}

// acceptApply makes the change that was looked at.
func (s *Server) acceptApply(r *Request) error {
	c, done, err := s.acceptChosen(r)
	if err != nil || done {
		return err
	}
	if !r.Ticked(FieldConfirmed) {
		page, err := s.acceptLookOf(r.Context(), c)
		if err != nil {
			return err
		}
		refusal := fault.Refusal{Code: fault.PolicyRefused}
		page.Problem = &Problem{Code: refusal.Code, Field: FieldConfirmed, Sentence: Say("accept.sure.needed")}
		return r.RenderRefused(&refusal, r.frame(c.m), page)
	}
	by := manage.Changer{Caller: &c.m.caller}
	res, err := s.Accept.ChangePolicy(r.Context(), by, c.wish)
	if err != nil {
		return err
	}
	if len(res.Complaints) > 0 {
		return s.acceptAgain(r, c, "", c.m.complaint(res.Complaints[0]))
	}
	if r.Ticked(fieldEnd) && c.wish.Do == manage.PolicySet {
		if _, err := s.Accept.EndWeakSessions(r.Context(), c.wish.Scope, by, nil); err != nil {
			return err
		}
	}
	return r.Redirect(acceptPath + "?done=accept-" + string(c.wish.Do))
}

// acceptRevert goes one step back.
func (s *Server) acceptRevert(r *Request) error {
	m, err := r.freshMemberFor(acceptPath)
	if err != nil {
		return err
	}
	of, _, err := acceptFor(m, r.Text(fieldScope))
	if err != nil {
		return err
	}
	version, _ := strconv.ParseInt(r.Text(fieldVersion), 10, 64)
	res, err := s.Accept.ChangePolicy(r.Context(), manage.Changer{Caller: &m.caller}, manage.PolicyWish{Scope: of, Do: manage.PolicyRevert, Version: version})
	if err == nil && len(res.Complaints) > 0 {
		err = fault.New(fault.Conflict, nil)
	}
	if err != nil {
		return err
	}
	return r.Redirect(acceptPath + "?done=accept-reverted")
}

// Holds says in words what somebody has.
func (p AcceptLook) Holds(a manage.Affected) []Text {
	var all []Text
	for _, m := range a.Holds {
		all = append(all, *Say("accept.method." + string(m)))
	}
	return all
}
