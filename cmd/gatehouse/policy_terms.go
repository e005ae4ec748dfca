package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"gatehouse/access"
	"gatehouse/accounts"
	"gatehouse/id"
	"gatehouse/proof"
	"gatehouse/store"
	"gatehouse/words"
)

// policyScope says whom a policy is for.
type policyScope struct {
	Organisation string      `placeholder:"NAME" help:"For the people of this business. Without it, and without --client, for everybody."`
	Role         access.Role `placeholder:"ROLE" help:"For those who are this in --organisation: owner, security-admin, supporter, bookkeeper or developer."`
	Client       string      `placeholder:"ID" help:"For sign-ins to the application with this client id."`
}

const policyHelp = "gatehouse policy set --help"

func (s policyScope) of(ctx context.Context, h *house) (access.Scope, error) {
	switch {
	case s.Client != "" && (s.Organisation != "" || s.Role != ""):
		return access.Scope{}, &usageError{errors.New("--client stands alone: a policy is for people or for an application"), policyHelp}
	case s.Role != "" && s.Organisation == "":
		return access.Scope{}, &usageError{errors.New("--role is one in a business: name it with --organisation"), policyHelp}
	case s.Role != "" && !access.Known(s.Role):
		var all []string
		for _, r := range access.Roles() {
			all = append(all, string(r))
		}
		return access.Scope{}, &usageError{fmt.Errorf("--role: %q is not one of %s%s", s.Role, strings.Join(all, ", "), didYouMean(string(s.Role), all)), policyHelp}
	}
	o, err := h.organisationCalled(ctx, s.Organisation)
	return access.Scope{Organisation: o, Role: s.Role, Client: s.Client}, err
}

// flags writes the scope as it was typed, for commands to copy.
func (s policyScope) flags() string {
	var all []string
	for _, f := range [][2]string{{"organisation", s.Organisation}, {"role", string(s.Role)}, {"client", s.Client}} {
		if f[1] != "" {
			all = append(all, fmt.Sprintf(" --%s %s", f[0], quoted(plain(f[1]))))
		}
	}
	return strings.Join(all, "")
}

func quoted(text string) string {
	return either(strings.ContainsAny(text, " '\"$&;|<>()*?\\"), "'"+strings.ReplaceAll(text, "'", `'\''`)+"'", text)
}

// policyTerms say what is accepted: a preset, and what is to differ from it.
type policyTerms struct {
	Preset   string   `arg:"" optional:"" help:"modern, pci or ato: see gatehouse policy show. Without it, what holds now, with the changes below."`
	Level    string   `placeholder:"LEVEL" help:"aal2 (two different proofs) or aal3 (one of them a key that cannot be copied, vouched for by its maker)."`
	Resist   *bool    `name:"phishing-resistant" negatable:"" help:"Accept only what a false sign-in page cannot relay: passkeys and security keys."`
	Attested *bool    `negatable:"" help:"A passkey counts only when its maker vouches for it."`
	Accept   []string `placeholder:"METHOD" help:"What is accepted besides the password, separated by commas: passkey, push, totp, hotp, sms, voice, recovery-code."`
	Remember string   `placeholder:"TIME" help:"How long a browser may be remembered, such as 12h or 30d; 0 is never."`
}

// of works the terms out, from the preset or from what a policy wants now.
func (t policyTerms) of(is access.Policy) (r access.Requirement, err error) {
	mistake := func(format string, args ...any) (access.Requirement, error) {
		return r, &usageError{fmt.Errorf(format, args...), policyHelp}
	}
	r = access.Default()
	if own := is.Wants(); own != nil {
		r = *own
	}
	if t.Preset != "" {
		known := false
		if r, known = access.Preset(t.Preset).Terms(); !known {
			var all []string
			for _, p := range access.Presets() {
				all = append(all, string(p))
			}
			return mistake("%q is none of the presets %s%s", t.Preset, strings.Join(all, ", "), didYouMean(t.Preset, all))
		}
	}
	if t.Level != "" {
		n, err := strconv.Atoi(strings.TrimPrefix(strings.ToLower(t.Level), "aal"))
		if err != nil {
			return mistake("--level: %q is neither aal2 nor aal3", t.Level)
		}
		r.Level = proof.Level(n)
	}
	if t.Resist != nil {
		r.Resistant = *t.Resist
	}
	if t.Attested != nil {
		r.Attested = *t.Attested
	}
	if len(t.Accept) > 0 {
		r.Methods = nil
		for _, text := range t.Accept {
			if !slices.Contains(access.Seconds(), proof.Method(text)) {
				return mistake("--accept: %q is none of %s%s", text, methodList(access.Seconds()), didYouMean(text, strings.Split(methodList(access.Seconds()), ", ")))
			}
			r.Methods = append(r.Methods, proof.Method(text))
		}
	}
	if t.Remember != "" {
		if r.Remember, err = parseDuration(either(t.Remember == "0", "0s", t.Remember)); err != nil {
			return mistake("--remember: %w", err)
		}
	}
	return r, nil
}

func methodList(ms []proof.Method) string {
	var all []string
	for _, m := range ms {
		all = append(all, string(m))
	}
	return strings.Join(all, ", ")
}

// given tells whether anything was said about terms.
func (t policyTerms) given() bool {
	return t.Preset != "" || t.Level != "" || t.Resist != nil || t.Attested != nil || len(t.Accept) > 0 || t.Remember != ""
}

// policyRollOut says when, and for whom first.
type policyRollOut struct {
	By     string   `required:"" placeholder:"TIME" help:"When everybody is held to it: 14d from now, or 2026-12-24."`
	Start  string   `placeholder:"TIME" default:"0s" help:"From when on people are told: 2d from now, or a day. Without it, at once."`
	Cohort []string `sep:"none" placeholder:"NAME:WHO:BY" help:"Part of the people, with a day of their own; may be repeated, and the first that somebody is in counts. WHO is role=owner, percent=10 or people=ana@example.com,ben@example.com; BY is as --by."`
}

func (c policyRollOut) of(ctx context.Context, h *house, terms access.Requirement) (*access.Rollout, error) {
	now := h.now()
	r := &access.Rollout{Terms: terms}
	var err error
	if r.Due, err = parseDay("--by", c.By, now); err != nil {
		return nil, err
	}
	if r.Start, err = parseDay("--start", c.Start, now); err != nil {
		return nil, err
	}
	for _, text := range c.Cohort {
		parts := strings.Split(text, ":")
		if len(parts) != 3 {
			return nil, &usageError{fmt.Errorf("--cohort: %q is not NAME:WHO:BY, such as first:percent=10:7d", text), "gatehouse policy rollout --help"}
		}
		cohort := access.Cohort{Name: parts[0], Start: r.Start}
		if cohort.Due, err = parseDay("--cohort", parts[2], now); err != nil {
			return nil, err
		}
		if err := h.members(ctx, &cohort, parts[1]); err != nil {
			return nil, err
		}
		r.Cohorts = append(r.Cohorts, cohort)
	}
	return r, nil
}

// members reads who is in a cohort.
func (h *house) members(ctx context.Context, c *access.Cohort, text string) error {
	kind, value, _ := strings.Cut(text, "=")
	switch kind {
	case "role":
		c.Role = access.Role(value)
		return nil
	case "percent":
		n, err := strconv.Atoi(value)
		if c.Percent = n; err == nil {
			return nil
		}
	case "people":
		for email := range strings.SplitSeq(value, ",") {
			a, err := h.accountCalled(ctx, email)
			if err != nil {
				return err
			}
			c.Accounts = append(c.Accounts, a)
		}
		return nil
	}
	return &usageError{fmt.Errorf("--cohort: %q is not role=ROLE, percent=NUMBER or people=ADDRESS,ADDRESS", text), "gatehouse policy rollout --help"}
}

func (h *house) accountCalled(ctx context.Context, email string) (a id.Account, err error) {
	key, err := accounts.Canonical(email)
	if err != nil {
		return a, noAccount(plain(email))
	}
	err = h.store.BackgroundRead(ctx, func(tx *store.Tx) error {
		found, there, err := accounts.ByEmail(tx, key)
		if err == nil && !there {
			err = noAccount(plain(email))
		}
		a = found.ID
		return err
	})
	return a, err
}

// parseDay reads a day or a time, or a span from now.
func parseDay(flag, text string, now time.Time) (time.Time, error) {
	if d, err := parseDuration(text); err == nil {
		return now.Add(d), nil
	}
	for _, layout := range []string{time.DateOnly, time.RFC3339} {
		if t, err := time.Parse(layout, text); err == nil {
			return t.UTC(), nil
		}
	}
	return time.Time{}, &usageError{fmt.Errorf("%s: %q is neither a day such as 2026-12-24 nor a span such as 14d", flag, text), "gatehouse policy rollout --help"}
}

// refusedPolicy says in words why nothing was changed.
func refusedPolicy(done []access.Complaint, name func(string) string) error {
	c := words.For("en")
	var all []string
	for _, bad := range done {
		with := bad.With
		if _, scope := access.ScopeOf(with); scope {
			with = name(with)
		}
		all = append(all, c.Say(bad.Key, "with", plain(with)))
	}
	return next(errors.New("nothing was changed.\n"+strings.Join(all, "\n")), "see what holds and the presets: gatehouse policy show")
}

// scopeNames says what scopes are called, by key.
func (h *house) scopeNames(ctx context.Context) (func(string) string, error) {
	names := map[id.Organisation]string{}
	err := h.store.BackgroundRead(ctx, func(tx *store.Tx) error {
		all, err := access.Organisations(tx, accountPage*100)
		for _, o := range all {
			names[o.ID] = plain(o.Name)
		}
		return err
	})
	return func(key string) string {
		s, _ := access.ScopeOf(key)
		switch {
		case s.Client != "":
			return "sign-ins to " + plain(s.Client)
		case s.Role != "":
			return "each " + string(s.Role) + " at " + names[s.Organisation]
		case s.Organisation != "":
			return names[s.Organisation]
		}
		return "everybody"
	}, err
}
