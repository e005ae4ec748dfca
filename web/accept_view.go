package web

import (
	"time"

	"gatehouse/access"
	"gatehouse/flow"
	"gatehouse/manage"
	"gatehouse/proof"
	"gatehouse/words"
)

// Accepted shows which authenticators are accepted, for whom. GET /console/policy/authenticators.
type Accepted struct {
	Rules   []AcceptRules
	Presets []AcceptPreset
}

// AcceptRules are the rules of one scope.
type AcceptRules struct {
	Who      Text
	Scope    string // its key
	Version  int64
	Own      bool // it has rules of its own
	Terms    access.Requirement
	Preset   access.Preset // that they are; "" for none
	Stricter bool          // the rules for everybody are stricter
	Change   string        // where they are changed; "" for nobody here
	Back     bool          // there is something to go back to
	Way      *AcceptWay    // what is being brought in; nil: nothing
	Roles    []AcceptRole  // those who could have rules of their own
}

// AcceptRole is a link to the rules of one role.
type AcceptRole struct {
	Role access.Role
	Href string
}

// AcceptWay is a roll-out.
type AcceptWay struct {
	Terms access.Requirement
	Due   time.Time
	Parts []AcceptPart
}

// AcceptPart is one cohort of it.
type AcceptPart struct {
	Name          *Text // nil: everybody else
	Due           time.Time
	Ready, People int64
	Over          bool
}

// AcceptPreset is a preset with all that it says.
type AcceptPreset struct {
	Preset access.Preset
	Terms  access.Requirement
	Use    string // where to start from it; "" shows it only
}

// AcceptChange is the form for the rules of one scope. GET/POST /console/policy/authenticators/change.
type AcceptChange struct {
	Form
	AcceptChoice
	Who     Text
	Presets []AcceptPreset
	Own     bool // it has rules that can be taken away
}

// AcceptChoice is what was chosen, as it goes from page to page.
type AcceptChoice struct {
	Scope   string
	Version int64
	None    bool // take the scope's own rules away
	Terms   access.Requirement
	Hours   string // to remember a browser for
	Later   bool
	Due     string // the last day to get ready, 2026-12-24
	First   string // who goes first: "", "admins", "tenth"
}

// AcceptLook says what a change would mean, and asks. POST /console/policy/authenticators/look.
type AcceptLook struct {
	Form
	AcceptChoice
	Who    Text
	Rows   []AcceptRow
	Impact manage.Impact
	Names  []manage.Affected // at most acceptNames
	More   int64
	By     time.Time // everybody is held to it from then on; zero: at once
	Back   string    // to the form
}

// AcceptRow compares one rule.
type AcceptRow struct {
	Rule         Text
	Before, Then Text
	Changed      bool
}

func (p Accepted) about() about     { return room("accept", false) }
func (p AcceptChange) about() about { return acceptRoom("accept.form.title", p.failed()) }
func (p AcceptLook) about() about   { return acceptRoom("accept.look.title", p.failed()) }

func acceptRoom(title string, failed bool) about {
	name := "accept-change"
	if title == "accept.look.title" {
		name = "accept-look"
	}
	return about{template: name, title: Say(title), nav: "accept", failed: failed}
}

// Facts are the rules, for a list.
func (r AcceptRules) Facts() []AcceptFact { return acceptFacts(r.Terms) }

// Facts are the rules that are being brought in.
func (w AcceptWay) Facts() []AcceptFact { return acceptFacts(w.Terms) }

// Facts are the rules of the preset.
func (p AcceptPreset) Facts() []AcceptFact { return acceptFacts(p.Terms) }

// AcceptFact is one rule and what it says.
type AcceptFact struct {
	Rule, Says Text
}

func acceptFacts(terms access.Requirement) []AcceptFact {
	terms = terms.Normal()
	return []AcceptFact{
		{*Say("accept.fact.level"), levelText(terms.Level)},
		{*Say("accept.fact.resistant"), needText(terms.Resistant)},
		{*Say("accept.fact.attested"), needText(terms.Attested)},
		{*Say("accept.fact.remember"), rememberText(terms.Remember)},
	}
}

func levelText(l proof.Level) Text {
	if l >= proof.AAL3 {
		return *Say("accept.level.3")
	}
	return *Say("accept.level.2")
}

func needText(is bool) Text {
	if is {
		return *Say("accept.yes")
	}
	return *Say("accept.no")
}

func rememberText(d time.Duration) Text {
	switch {
	case d <= 0:
		return *Say("accept.never")
	case d%(24*time.Hour) == 0 && d > 24*time.Hour:
		return *Say("accept.days", "n", int(d/(24*time.Hour)))
	}
	return *Say("accept.hours", "n", int((d+time.Hour-1)/time.Hour))
}

// AcceptMethod is one method on a page.
type AcceptMethod struct {
	Method     proof.Method
	Accepted   bool
	Restricted bool
}

// Methods lists every method, and which of them terms accept so that it can be
// enough.
func (r AcceptRules) Methods() []AcceptMethod { return acceptMethods(r.Terms) }

// Methods is as that of AcceptRules.
func (w AcceptWay) Methods() []AcceptMethod { return acceptMethods(w.Terms) }

// Methods is as that of AcceptRules.
func (p AcceptPreset) Methods() []AcceptMethod { return acceptMethods(p.Terms) }

func acceptMethods(terms access.Requirement) (all []AcceptMethod) {
	terms = terms.Normal()
	for _, m := range access.Seconds() {
		all = append(all, AcceptMethod{m, terms.Suffices(m), m == proof.SMS || m == proof.Voice})
	}
	return all
}

// Choices are the boxes of the form.
func (c AcceptChoice) Choices() (all []AcceptMethod) {
	for _, m := range access.Seconds() {
		all = append(all, AcceptMethod{m, c.Terms.Accepts(m), m == proof.SMS || m == proof.Voice})
	}
	return all
}

// compared lists every rule of two sets, and which differ.
func compared(before, then access.Requirement) (rows []AcceptRow) {
	a, b := acceptFacts(before), acceptFacts(then)
	for i := range a {
		rows = append(rows, AcceptRow{a[i].Rule, a[i].Says, b[i].Says, a[i].Says.Key != b[i].Says.Key || pair(a[i].Says) != pair(b[i].Says)})
	}
	was, will := acceptMethods(before), acceptMethods(then)
	says := map[bool]Text{true: *Say("accept.is"), false: *Say("accept.is-not")}
	for i := range was {
		if was[i].Accepted || will[i].Accepted {
			rows = append(rows, AcceptRow{*Say("accept.method." + string(was[i].Method)), says[was[i].Accepted], says[will[i].Accepted], was[i].Accepted != will[i].Accepted})
		}
	}
	return rows
}

func pair(t Text) any {
	if len(t.Pairs) < 2 {
		return nil
	}
	return t.Pairs[1]
}

// cohortText is what a cohort is called; nil for everybody else.
func cohortText(name string) *Text {
	key := "accept.first." + name
	switch {
	case name == "":
		return nil
	case words.For().Has(key):
		return Say(key)
	}
	return Say("accept.first.named", "name", name)
}

// ledBy says on the pages of a sign-in why something has to be set up.
func ledBy(v flow.View, f Form) Form {
	if v.Why == flow.WhyNotAccepted && f.Note == nil {
		f.Note = Say("accept.led")
	}
	return f
}
