package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/mattn/go-isatty"
	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	"gatehouse/access"
	"gatehouse/events"
	"gatehouse/fault"
	"gatehouse/manage"
)

// PolicyCommand says which authenticators are accepted.
type PolicyCommand struct {
	Show     PolicyShow     `cmd:"" help:"Show what holds for whom, and the presets, whole."`
	DryRun   PolicyDryRun   `cmd:"" name:"dry-run" help:"Say whom a policy would ask for something new, and who could not sign in today. Nothing is changed."`
	Set      PolicySet      `cmd:"" help:"Set a policy, at once. It says first what that means, and asks."`
	Rollout  PolicyRollout  `cmd:"" help:"Bring a policy in step by step: people are told, and held to it from their day on."`
	Progress PolicyProgress `cmd:"" help:"Show how far people are with what a policy asks for."`
}

// PolicyShow shows policies.
type PolicyShow struct {
	JSON bool `name:"json" help:"As JSON, with every field."`
}

// Run prints every policy and every preset.
func (c *PolicyShow) Run(ctx context.Context, p *program) error {
	return inside(ctx, p, func(h *house) error {
		all, err := h.manage.Policies(ctx)
		if err != nil {
			return err
		}
		name, err := h.scopeNames(ctx)
		if err != nil {
			return err
		}
		if c.JSON {
			return printPoliciesJSON(p.out, all, name)
		}
		return printPolicies(p.out, all, name, h.now())
	})
}

// PolicyDryRun weighs a policy.
type PolicyDryRun struct {
	policyTerms
	policyScope
	CSV  bool `name:"csv" help:"The list of people as CSV: who could not sign in today, and who is asked for another authenticator."`
	JSON bool `name:"json" help:"All of it as JSON."`
}

// Run prints what it would mean.
func (c *PolicyDryRun) Run(ctx context.Context, p *program) error {
	if !c.given() {
		return &usageError{errors.New("say what to try: a preset (modern, pci or ato), or what is to differ from what holds now"), "gatehouse policy dry-run --help"}
	}
	return inside(ctx, p, func(h *house) error {
		s, err := c.policyScope.of(ctx, h)
		if err != nil {
			return err
		}
		plan, err := h.planned(ctx, c.policyTerms, s, manage.PolicySet)
		if err != nil {
			return err
		}
		impact, err := h.weighed(ctx, p, plan.then)
		switch {
		case err != nil:
			return err
		case c.CSV:
			return printAffectedCSV(p.out, impact.Names)
		case c.JSON:
			return printImpactJSON(p.out, impact)
		}
		all, err := h.manage.Policies(ctx)
		if err != nil {
			return err
		}
		printChange(p.out, plan.name(s.Key()), plan.is.Wants(), plan.then.Wants())
		printTogether(p.out, all, s, plan.then.Wants(), h.now())
		printImpact(p.out, impact)
		fmt.Fprintf(p.out, "\nNothing was changed. To apply it: gatehouse policy set%s%s\n", c.policyTerms.flags(), c.policyScope.flags())
		return nil
	})
}

// plan is a change that was thought through.
type plan struct {
	is, then access.Policy
	terms    access.Requirement
	name     func(string) string
}

// planned works out what a policy becomes; an error says in words why it cannot.
func (h *house) planned(ctx context.Context, t policyTerms, s access.Scope, do manage.PolicyDo) (pl plan, err error) {
	if pl.name, err = h.scopeNames(ctx); err != nil {
		return pl, err
	}
	if pl.is, _, _, err = h.manage.Policy(ctx, manage.PolicyWish{Scope: s}); err != nil {
		return pl, err
	}
	if pl.terms, err = t.of(pl.is); err != nil {
		return pl, err
	}
	var bad []access.Complaint
	_, pl.then, bad, err = h.manage.Policy(ctx, manage.PolicyWish{Scope: s, Do: do, Terms: &pl.terms})
	if err == nil && len(bad) > 0 {
		err = refusedPolicy(bad, pl.name)
	}
	return pl, err
}

// PolicySet sets a policy, takes one away, or goes back.
type PolicySet struct {
	policyTerms
	policyScope
	None        bool  `help:"Take the scope's own policy away: what holds for everybody holds."`
	Previous    bool  `help:"Go one step back: to the policy before, or out of a roll-out that is under way."`
	EndSessions bool  `help:"Also end the sessions that were opened with less. Without it they go on until they end by themselves, within a day at most."`
	Version     int64 `placeholder:"N" default:"-1" help:"Only if the policy still is of this version: see gatehouse policy show --json."`
	Yes         bool  `help:"Do not ask."`
}

// Run sets it.
func (c *PolicySet) Run(ctx context.Context, p *program) error {
	if n := len(trueOnes(c.None, c.Previous, c.given())); n != 1 {
		return &usageError{errors.New("say one thing: a preset or what is to differ, --none, or --previous"), policyHelp}
	}
	return inside(ctx, p, func(h *house) error {
		s, err := c.policyScope.of(ctx, h)
		if err != nil {
			return err
		}
		w := manage.PolicyWish{Scope: s, Do: manage.PolicySet}
		pl := plan{}
		switch {
		case c.given():
			if pl, err = h.planned(ctx, c.policyTerms, s, manage.PolicySet); err != nil {
				return err
			}
			w.Terms = &pl.terms
		case c.Previous:
			w.Do = manage.PolicyRevert
		}
		return h.changes(ctx, p, w, c.Version, c.EndSessions, c.Yes)
	})
}

func trueOnes(all ...bool) (n []bool) {
	for _, is := range all {
		if is {
			n = append(n, is)
		}
	}
	return n
}

// changes shows what a change means, asks, makes it, and says what came of it.
func (h *house) changes(ctx context.Context, p *program, w manage.PolicyWish, version int64, endSessions, yes bool) error {
	name, err := h.scopeNames(ctx)
	if err != nil {
		return err
	}
	is, then, bad, err := h.manage.Policy(ctx, w)
	if err == nil && len(bad) > 0 {
		err = refusedPolicy(bad, name)
	}
	if err != nil {
		return err
	}
	if w.Version = is.Version; version >= 0 {
		w.Version = version
	}
	all, err := h.manage.Policies(ctx)
	if err != nil {
		return err
	}
	who := name(w.Scope.Key())
	printChange(p.out, who, is.Wants(), then.Wants())
	printTogether(p.out, all, w.Scope, then.Wants(), h.now())
	impact, err := h.weighed(ctx, p, then)
	if err != nil {
		return err
	}
	printImpact(p.out, impact)
	if then.Next != nil {
		printDates(p.out, *then.Next)
	}
	if !yes {
		if err := p.confirm("\nApply this? Type yes: "); err != nil {
			return err
		}
	}
	done, err := h.manage.ChangePolicy(ctx, manage.Changer{Actor: events.Operator}, w)
	switch {
	case fault.Of(err) == fault.Conflict:
		return next(errors.New("somebody else changed this policy meanwhile; nothing was changed by you"), "see what holds now with gatehouse policy show, and try again")
	case err != nil:
		return err
	case len(done.Complaints) > 0:
		return refusedPolicy(done.Complaints, name)
	}
	fmt.Fprintf(p.out, "\nDone: version %d of the policy for %s. Those who may change such rules are told by mail.\n", done.Policy.Version, who)
	if endSessions {
		return h.endsWeak(ctx, p, w.Scope)
	}
	fmt.Fprintln(p.out, "Sessions that are open go on until they end by themselves.")
	return nil
}

func (h *house) endsWeak(ctx context.Context, p *program, s access.Scope) error {
	b := newPolicyBar(p, "Ending sessions  ")
	ended, err := h.manage.EndWeakSessions(ctx, s, manage.Changer{Actor: events.Operator}, b.to)
	b.end(err == nil)
	fmt.Fprintf(p.out, "Sessions opened with less were ended of %s.\n", people(ended))
	return next(err, "the rest can be ended by the same command")
}

// confirm asks for a yes on a terminal; elsewhere the answer must be --yes.
func (p *program) confirm(question string) error {
	if !isatty.IsTerminal(p.in.Fd()) {
		return next(errors.New("this changes how people sign in, and nobody is here to be asked: nothing was changed"), "look at the numbers above, then add --yes")
	}
	fmt.Fprint(p.err, question)
	text, err := bufio.NewReader(p.in).ReadString('\n')
	if err == nil && strings.TrimSpace(strings.ToLower(text)) != "yes" {
		err = errors.New("nothing was changed")
	}
	return err
}

// PolicyRollout brings a policy in.
type PolicyRollout struct {
	policyTerms
	policyScope
	policyRollOut
	Version int64 `placeholder:"N" default:"-1" help:"Only if the policy still is of this version."`
	Yes     bool  `help:"Do not ask."`
}

// Run begins the roll-out.
func (c *PolicyRollout) Run(ctx context.Context, p *program) error {
	return inside(ctx, p, func(h *house) error {
		s, err := c.policyScope.of(ctx, h)
		if err != nil {
			return err
		}
		pl, err := h.planned(ctx, c.policyTerms, s, manage.PolicySet)
		if err != nil {
			return err
		}
		r, err := c.policyRollOut.of(ctx, h, pl.terms)
		if err != nil {
			return err
		}
		err = h.changes(ctx, p, manage.PolicyWish{Scope: s, Do: manage.PolicyRollOut, RollOut: r}, c.Version, false, c.Yes)
		if err == nil {
			fmt.Fprintf(p.out, "How far people are: gatehouse policy progress%s\nTo take it back:    gatehouse policy set --previous%s\n", c.policyScope.flags(), c.policyScope.flags())
		}
		return err
	})
}

// PolicyProgress tells how far people are.
type PolicyProgress struct {
	policyScope
	CSV  bool `name:"csv" help:"Who is not ready, as CSV."`
	JSON bool `name:"json" help:"All of it as JSON."`
}

// Run prints it.
func (c *PolicyProgress) Run(ctx context.Context, p *program) error {
	return inside(ctx, p, func(h *house) error {
		s, err := c.policyScope.of(ctx, h)
		if err != nil {
			return err
		}
		name, err := h.scopeNames(ctx)
		if err != nil {
			return err
		}
		is, _, _, err := h.manage.Policy(ctx, manage.PolicyWish{Scope: s})
		if err != nil {
			return err
		}
		if is.Wants() == nil {
			return next(fmt.Errorf("there is no policy for %s", name(s.Key())), "see what holds with gatehouse policy show")
		}
		b := newPolicyBar(p, "Reading what people hold  ")
		way, err := h.manage.PolicyProgress(ctx, is, b.to)
		b.end(err == nil)
		switch {
		case err != nil:
			return err
		case c.CSV:
			return printAffectedCSV(p.out, way.Names)
		case c.JSON:
			return printImpactJSON(p.out, way)
		}
		return printProgress(p.out, name(s.Key()), is, way, h.now())
	})
}

func (h *house) weighed(ctx context.Context, p *program, then access.Policy) (manage.Impact, error) {
	b := newPolicyBar(p, "Reading what people hold  ")
	impact, err := h.manage.DryRun(ctx, then, b.to)
	b.end(err == nil)
	return impact, err
}

// policyBar shows how many people were looked at: on a terminal alone, and only
// when it takes a while.
type policyBar struct {
	out   *os.File
	what  string
	begun time.Time
	bar   *replayBar
}

func newPolicyBar(p *program, what string) *policyBar {
	f, ok := p.err.(*os.File)
	if !ok || !isatty.IsTerminal(f.Fd()) {
		return &policyBar{}
	}
	return &policyBar{out: f, what: what, begun: time.Now(), bar: &replayBar{}}
}

func (b *policyBar) to(at, end int64) {
	if b.out == nil || b.bar.bar == nil && time.Since(b.begun) < 500*time.Millisecond {
		return
	}
	if b.bar.bar == nil {
		progress := mpb.New(mpb.WithOutput(b.out), mpb.WithWidth(48))
		b.bar = &replayBar{progress, progress.AddBar(0, mpb.BarRemoveOnComplete(),
			mpb.PrependDecorators(decor.Name(b.what), decor.CountersNoUnit("%d / %d")),
			mpb.AppendDecorators(decor.Percentage(decor.WC{W: 5}), decor.Name("  "), decor.AverageETA(decor.ET_STYLE_GO)))}
	}
	b.bar.to(at, end)
}

func (b *policyBar) end(good bool) {
	if b.bar != nil && b.bar.bar != nil {
		b.bar.end(good)
	}
}
