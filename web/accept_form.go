package web

import (
	"strconv"
	"time"

	"gatehouse/access"
	"gatehouse/fault"
	"gatehouse/manage"
	"gatehouse/proof"
)

// acceptChoice reads the form, wherever it stands now.
func (r *Request) acceptChoice() AcceptChoice {
	c := AcceptChoice{Scope: r.Text(fieldScope), None: r.Ticked("none"), Hours: r.Text("hours"), Later: r.Text("when") == "later", Due: r.Text("due"), First: r.Text("first")}
	c.Version, _ = strconv.ParseInt(r.Text(fieldVersion), 10, 64)
	level, _ := strconv.Atoi(r.Text("level"))
	c.Terms = access.Requirement{Level: proof.Level(level), Resistant: r.Ticked("resistant"), Attested: r.Ticked("attested")}
	for _, m := range access.Seconds() {
		if r.Ticked("accept-" + string(m)) {
			c.Terms.Methods = append(c.Terms.Methods, m)
		}
	}
	return c
}

// wish makes of a choice what manage understands; the field that is wrong, or "".
func (c *AcceptChoice) wish(of access.Scope, now time.Time, zone *time.Location) (w manage.PolicyWish, wrong string, why string) {
	w = manage.PolicyWish{Scope: of, Do: manage.PolicySet, Version: c.Version}
	if c.None {
		return w, "", ""
	}
	hours, err := strconv.Atoi(c.Hours)
	if err != nil {
		return w, "hours", "accept.bad.number"
	}
	if hours < 0 || hours > int(access.MostRemember/time.Hour) {
		return w, "hours", "accept.bad.remember"
	}
	c.Terms.Remember = time.Duration(hours) * time.Hour
	w.Terms = &c.Terms
	if !c.Later {
		return w, "", ""
	}
	last, err := time.ParseInLocation(time.DateOnly, c.Due, zone)
	if err != nil {
		return w, "due", "accept.bad.date"
	}
	due := last.AddDate(0, 0, 1).UTC()
	if !due.After(now) {
		return w, "due", "accept.bad.due"
	}
	half := now.Add(due.Sub(now) / 2).Truncate(time.Hour).UTC()
	w.Do, w.RollOut = manage.PolicyRollOut, &access.Rollout{Terms: c.Terms, Start: now.UTC(), Due: due}
	if !half.After(now) {
		half = due
	}
	switch c.First {
	case "admins":
		w.RollOut.Cohorts = []access.Cohort{{Name: "owners", Role: access.Owner, Start: now.UTC(), Due: half}, {Name: "security-admins", Role: access.SecurityAdmin, Start: now.UTC(), Due: half}}
	case "tenth":
		w.RollOut.Cohorts = []access.Cohort{{Name: "tenth", Percent: 10, Start: now.UTC(), Due: half}}
	}
	return w, "", ""
}

// chosen is what acceptLook, acceptList and acceptApply have in common.
type chosen struct {
	m        member
	choice   AcceptChoice
	who      Text
	wish     manage.PolicyWish
	is, then access.Policy
}

// acceptChosen reads a choice and works out what becomes of it. done tells that the
// form went back to the person with what is wrong in it.
func (s *Server) acceptChosen(r *Request) (c chosen, done bool, err error) {
	if c.m, err = r.freshMemberFor(acceptPath); err != nil {
		return c, false, err
	}
	c.choice = r.acceptChoice()
	of, who, err := acceptFor(c.m, c.choice.Scope)
	if err != nil {
		return c, false, err
	}
	c.who = who
	wish, field, why := c.choice.wish(of, s.Now(), zoneOf(c.m.about.Account.Zone))
	if c.wish = wish; why != "" {
		return c, true, s.acceptAgain(r, c, field, *Say(why))
	}
	var bad []access.Complaint
	if c.is, c.then, bad, err = s.Accept.Policy(r.Context(), wish); err != nil {
		return c, false, err
	}
	if len(bad) > 0 {
		return c, true, s.acceptAgain(r, c, "", c.m.complaint(bad[0]))
	}
	return c, false, nil
}

// complaint says what speaks against rules. Of organisations that are not the
// reader's it does not tell the names.
func (m member) complaint(bad access.Complaint) Text {
	with := bad.With
	if s, scope := access.ScopeOf(with); scope {
		with = m.scopeName(s)
	}
	return *Say(bad.Key, "with", with)
}

func (m member) scopeName(s access.Scope) string {
	for _, ms := range m.about.Memberships {
		if ms.Organisation == s.Organisation && s.Role == "" {
			return ms.Name
		}
		if ms.Organisation == s.Organisation {
			return string(s.Role) + ", " + ms.Name
		}
	}
	if s.Client != "" {
		return s.Client
	}
	if s.Organisation != "" {
		return "…"
	}
	return "*"
}

func (s *Server) acceptAgain(r *Request, c chosen, field string, why Text) error {
	refusal := fault.Refusal{Code: fault.PolicyRefused}
	page := AcceptChange{AcceptChoice: c.choice, Who: c.who, Presets: acceptPresets(c.choice.Scope)}
	page.Problem = &Problem{Code: refusal.Code, Field: field, Sentence: &why}
	return r.RenderRefused(&refusal, r.frame(c.m), page)
}
