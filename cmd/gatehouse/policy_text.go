package main

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"gatehouse/access"
	"gatehouse/manage"
	"gatehouse/proof"
	"gatehouse/words"
)

// flags writes the terms as they were typed, for commands to copy.
func (t policyTerms) flags() string {
	text := either(t.Preset == "", "", " "+t.Preset)
	if t.Level != "" {
		text += " --level " + quoted(plain(t.Level))
	}
	if t.Resist != nil {
		text += " --" + either(*t.Resist, "", "no-") + "phishing-resistant"
	}
	if t.Attested != nil {
		text += " --" + either(*t.Attested, "", "no-") + "attested"
	}
	if len(t.Accept) > 0 {
		text += " --accept " + strings.Join(t.Accept, ",")
	}
	if t.Remember != "" {
		text += " --remember " + quoted(plain(t.Remember))
	}
	return text
}

// rules are the rows in which terms are shown.
var rules = []struct {
	name string
	show func(access.Requirement) string
}{
	{"level", func(r access.Requirement) string { return fmt.Sprintf("AAL%d", r.Level) }},
	{"phishing-resistant", func(r access.Requirement) string { return either(r.Resistant, "yes", "no") }},
	{"attested passkeys", func(r access.Requirement) string { return either(r.Attested, "yes", "no") }},
	{"remember", func(r access.Requirement) string { return remembered(r.Remember) }},
	{"passkey", accepted(proof.Passkey)},
	{"push", accepted(proof.Push)},
	{"totp", accepted(proof.TOTP)},
	{"hotp", accepted(proof.HOTP)},
	{"sms (restricted)", accepted(proof.SMS)},
	{"voice (restricted)", accepted(proof.Voice)},
	{"recovery-code", accepted(proof.RecoveryCode)},
}

func accepted(m proof.Method) func(access.Requirement) string {
	return func(r access.Requirement) string {
		switch {
		case !r.Accepts(m):
			return "no"
		case !r.Suffices(m):
			return "not enough"
		}
		return "yes"
	}
}

func remembered(d time.Duration) string {
	switch {
	case d == 0:
		return "never"
	case d%(24*time.Hour) == 0:
		return count(int(d/(24*time.Hour)), "day")
	case d%time.Hour == 0:
		return count(int(d/time.Hour), "hour")
	}
	return d.String()
}

// column is terms under a head.
type column struct {
	head  string
	terms access.Requirement
}

func printTerms(w io.Writer, columns []column) {
	t := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	line := func(first string, cell func(column) string) {
		cells := []string{"  " + first}
		for _, c := range columns {
			cells = append(cells, cell(c))
		}
		fmt.Fprintln(t, strings.Join(cells, "\t"))
	}
	line("", func(c column) string { return c.head })
	for _, r := range rules {
		line(r.name, func(c column) string { return r.show(c.terms.Normal()) })
	}
	t.Flush()
}

func printPolicies(w io.Writer, all []access.Policy, name func(string) string, now time.Time) error {
	var own []column
	usual := column{"everybody (built in)", access.Default()}
	for _, p := range all {
		p = p.Settled(now)
		if p.Terms == nil {
			continue
		}
		c := column{name(p.Scope.Key()), *p.Terms}
		if p.Scope == (access.Scope{}) {
			usual = c
			continue
		}
		own = append(own, c)
	}
	fmt.Fprintln(w, "What holds. Where several concern somebody, the strictest of each.")
	fmt.Fprintln(w)
	printTerms(w, append([]column{usual}, own...))
	fmt.Fprintln(w, "\nBrowsers of people who look after others are never remembered. AAL1 cannot be set: nobody comes in on one proof.")
	for _, p := range all {
		if p = p.Settled(now); p.Next != nil {
			fmt.Fprintf(w, "\nUnder way for %s:\n\n", name(p.Scope.Key()))
			printTerms(w, []column{{"then", p.Next.Terms}})
			printDates(w, *p.Next)
		}
	}
	fmt.Fprintln(w, "\nThe presets, whole. To try one on paper: gatehouse policy dry-run PRESET")
	fmt.Fprintln(w)
	var presets []column
	for _, preset := range access.Presets() {
		terms, _ := preset.Terms()
		presets = append(presets, column{string(preset), terms})
	}
	printTerms(w, presets)
	return nil
}

func printDates(w io.Writer, r access.Rollout) {
	fmt.Fprintln(w)
	t := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	fmt.Fprintln(t, "  COHORT\tWHO\tTOLD FROM\tHELD TO IT FROM")
	for _, c := range r.Cohorts {
		fmt.Fprintf(t, "  %s\t%s\t%s\t%s\n", plain(c.Name), cohortWho(c), day(c.Start), day(c.Due))
	}
	fmt.Fprintf(t, "  -\t%s\t%s\t%s\n", either(len(r.Cohorts) == 0, "everybody", "everybody else"), day(r.Start), day(r.Due))
	t.Flush()
}

func day(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 MST") }

func cohortWho(c access.Cohort) string {
	switch {
	case c.Role != "":
		return "each " + string(c.Role)
	case c.Percent > 0:
		return fmt.Sprintf("%d in 100", c.Percent)
	}
	return people(int64(len(c.Accounts)))
}

func people(n int64) string { return words.For("en").Say("accept.people", "n", n) }

func printChange(w io.Writer, who string, is, then *access.Requirement) {
	show := func(head string, r *access.Requirement) column {
		if r == nil {
			return column{head + " (what holds for everybody)", access.Default()}
		}
		if p := access.PresetOf(*r); p != "" {
			head += " (" + string(p) + ")"
		}
		return column{head, *r}
	}
	fmt.Fprintf(w, "The policy for %s:\n\n", who)
	printTerms(w, []column{show("now", is), show("then", then)})
}

// printTogether says where the rules for everybody are stricter than those of a
// scope: those hold.
func printTogether(w io.Writer, all []access.Policy, s access.Scope, then *access.Requirement, now time.Time) {
	usual := access.Default()
	for _, p := range all {
		if p = p.Settled(now); p.Scope == (access.Scope{}) && p.Terms != nil {
			usual = *p.Terms
		}
	}
	if s == (access.Scope{}) || then == nil || access.Strictest(usual, *then).Same(*then) {
		return
	}
	together := access.Strictest(usual, *then)
	fmt.Fprintln(w, "\nThe rules for everybody are stricter here, and hold:")
	for _, r := range rules {
		if says := r.show(together); says != r.show(then.Normal()) {
			fmt.Fprintf(w, "  %s: %s\n", r.name, says)
		}
	}
}

// printImpact prints the numbers, then at most so many names.
func printImpact(w io.Writer, i manage.Impact) {
	c := words.For("en")
	fmt.Fprintf(w, "\nIt concerns %s:\n\n", people(i.People))
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	for _, row := range []struct {
		n   int64
		key string
	}{{i.Fine, "fine"}, {i.Another, "another"}, {i.Out, "out"}, {i.Waiting, "waiting"}} {
		fmt.Fprintf(t, "  %d\t %s\n", row.n, c.Say("accept.tally."+row.key, "n", row.n))
	}
	t.Flush()
	if len(i.Parts) > 1 {
		printParts(w, i.Parts)
	}
	printNames(w, i)
}

func printParts(w io.Writer, parts []manage.Part) {
	fmt.Fprintln(w)
	t := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	fmt.Fprintln(t, "  BUSINESS\tROLE\tPEOPLE\tFINE\tANOTHER\tNOT READY\tNOT SET UP")
	for _, p := range parts {
		fmt.Fprintf(t, "  %s\t%s\t%d\t%d\t%d\t%d\t%d\n", dash(plain(p.Organisation)), dash(string(p.Role)), p.People, p.Fine, p.Another, p.Out, p.Waiting)
	}
	t.Flush()
}

// namesShown is how many names are printed; --csv lists them all.
const namesShown = 20

func printNames(w io.Writer, i manage.Impact) {
	if len(i.Names) == 0 {
		return
	}
	c := words.For("en")
	fmt.Fprintln(w)
	t := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	for _, a := range i.Names[:min(len(i.Names), namesShown)] {
		fmt.Fprintf(t, "  %s\t%s\thas %s\n", plain(a.Email), c.Say("accept.standing."+string(a.Standing)), methodList(a.Holds))
	}
	t.Flush()
	if more := int64(len(i.Names)-namesShown) + i.More; more > 0 {
		fmt.Fprintf(w, "  and %d more: gatehouse policy dry-run --csv\n", more)
	}
	if i.Out > 0 {
		fmt.Fprintln(w, "\n"+c.Say("accept.tally.out-how"))
	}
}

func printProgress(w io.Writer, who string, p access.Policy, way manage.Impact, now time.Time) error {
	fmt.Fprintf(w, "The policy for %s, version %d:\n\n", who, p.Version)
	printTerms(w, []column{{either(p.Over(now) || p.Next == nil, "holds", "under way"), *p.Wants()}})
	fmt.Fprintln(w)
	t := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	if p.Next == nil {
		fmt.Fprintln(t, "  BUSINESS\tROLE\tPEOPLE\tREADY\tNOT READY\tNOT SET UP")
		for _, part := range way.Parts {
			fmt.Fprintf(t, "  %s\t%s\t%d\t%s\t%d\t%d\n", dash(plain(part.Organisation)), dash(string(part.Role)), part.People, ready(part.Tally), part.Out, part.Waiting)
		}
	} else {
		fmt.Fprintln(t, "  COHORT\tHELD TO IT FROM\tPEOPLE\tREADY\tNOT READY\tNOT SET UP")
		for i, part := range way.Parts {
			name := either(i == len(way.Parts)-1, "everybody else", plain(part.Cohort))
			fmt.Fprintf(t, "  %s\t%s\t%d\t%s\t%d\t%d\n", name, day(part.Due)+either(now.Before(part.Due), "", " (holds)"), part.People, ready(part.Tally), part.Out, part.Waiting)
		}
	}
	t.Flush()
	fmt.Fprintf(w, "\n%d of %s are ready.\n", way.Fine+way.Another, people(way.People))
	return nil
}

func ready(t manage.Tally) string {
	n, of := t.Fine+t.Another, t.People-t.Waiting
	if of == 0 {
		return fmt.Sprint(n)
	}
	return fmt.Sprintf("%d (%d %%)", n, 100*n/of)
}

// printAffectedCSV writes the list for a spreadsheet: no cell is a formula.
func printAffectedCSV(w io.Writer, all []manage.Affected) error {
	out := csv.NewWriter(w)
	if err := out.Write(manage.AffectedColumns()); err != nil {
		return err
	}
	for _, a := range all {
		if err := out.Write(a.Cells()); err != nil {
			return err
		}
	}
	out.Flush()
	return out.Error()
}

func printImpactJSON(w io.Writer, i manage.Impact) error { return writeJSON(w, i) }

func writeJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// policyJSON is a policy as programs read it. Names are stable; fields may be added.
type policyJSON struct {
	Scope   string       `json:"scope"`
	Name    string       `json:"name"`
	Version int64        `json:"version"`
	Terms   *termsJSON   `json:"terms"`
	Next    *rollOutJSON `json:"roll_out,omitempty"`
	Before  *termsJSON   `json:"before,omitempty"`
}

type termsJSON struct {
	Preset    access.Preset  `json:"preset,omitempty"`
	Level     proof.Level    `json:"aal"`
	Resistant bool           `json:"phishing_resistant"`
	Attested  bool           `json:"attested"`
	Methods   []proof.Method `json:"methods"`
	Remember  int64          `json:"remember_seconds"`
}

type rollOutJSON struct {
	Terms   *termsJSON      `json:"terms"`
	Start   time.Time       `json:"start"`
	Due     time.Time       `json:"due"`
	Cohorts []access.Cohort `json:"cohorts,omitempty"`
}

func termsOf(r *access.Requirement) *termsJSON {
	if r == nil {
		return nil
	}
	n := r.Normal()
	return &termsJSON{access.PresetOf(n), n.Level, n.Resistant, n.Attested, n.Methods, int64(n.Remember.Seconds())}
}

func printPoliciesJSON(w io.Writer, all []access.Policy, name func(string) string) error {
	usual := access.Default()
	out := struct {
		BuiltIn  *termsJSON                   `json:"built_in"`
		Policies []policyJSON                 `json:"policies"`
		Presets  map[access.Preset]*termsJSON `json:"presets"`
	}{termsOf(&usual), []policyJSON{}, map[access.Preset]*termsJSON{}}
	for _, p := range all {
		j := policyJSON{Scope: p.Scope.Key(), Name: name(p.Scope.Key()), Version: p.Version, Terms: termsOf(p.Terms), Before: termsOf(p.Before)}
		if p.Next != nil {
			j.Next = &rollOutJSON{termsOf(&p.Next.Terms), p.Next.Start, p.Next.Due, p.Next.Cohorts}
		}
		out.Policies = append(out.Policies, j)
	}
	for _, preset := range access.Presets() {
		terms, _ := preset.Terms()
		out.Presets[preset] = termsOf(&terms)
	}
	return writeJSON(w, out)
}
