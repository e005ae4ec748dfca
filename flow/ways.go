package flow

import (
	"cmp"
	"slices"
	"time"

	"gatehouse/access"
	"gatehouse/authenticators"
	"gatehouse/id"
	"gatehouse/proof"
	"gatehouse/store"
)

// Way is one way for a person to show a second authenticator.
type Way struct {
	Step   Step             `json:"s"`
	Method proof.Method     `json:"m"`
	ID     id.Authenticator `json:"i,omitempty"` // Text: the number it goes to
	Label  string           `json:"l,omitempty"` // Text: the end of that number; else what the person calls it
	Token  bool             `json:"t,omitempty"` // Code: the codes come from a hardware token
}

// asksSecond tells whether a step asks for a second authenticator: an attempt that
// waits at one of these may answer by any other of the person's ways.
func (s Step) asksSecond() bool {
	switch s {
	case Code, Passkey, Approve, Text, Recovery:
		return true
	}
	return false
}

// strongest is what a way could prove at best.
func (w Way) strongest() proof.Proof {
	key := w.Method == proof.Passkey
	return proof.Proof{Method: w.Method, Verified: key, Bound: key, Attested: key}
}

// has tells whether a way with a step is among ways.
func has(ways []Way, s Step) bool {
	return slices.ContainsFunc(ways, func(w Way) bool { return w.Step == s })
}

// otherSteps lists, once each, the steps by which an attempt can be answered
// besides the one it waits at.
func otherSteps(a attempt) []Step {
	var all []Step
	for _, w := range a.Ways {
		if w.Step != a.At && !slices.Contains(all, w.Step) {
			all = append(all, w.Step)
		}
	}
	return all
}

// factsFor reads what next needs to know of an account besides its credentials.
func factsFor(tx *store.Tx, a attempt, kept authenticators.Kept, linkGood bool, mustChange string) (facts, error) {
	need, err := access.RequiredOf(tx, a.Account)
	if err != nil {
		return facts{}, err
	}
	fs := facts{hasPassword: kept.Password != nil, need: need, mustChange: mustChange, linkGood: linkGood,
		ways: withoutPush(a, waysOf(kept, need, tx.Standby(), tx.Now())), seconds: kept.Seconds(tx.Now())}
	for _, s := range kept.Named() {
		if s.MadeAt.After(fs.secondSince) {
			fs.secondSince = s.MadeAt
		}
	}
	if a.Purpose == SignIn && !tx.Standby() { // which makes no credentials
		fs.remember = need.Remember
	}
	return fs, nil
}

// takes keeps of the facts what the pages of the next step show.
func (a *attempt) takes(fs facts) {
	a.Ways, a.RememberFor, a.seconds, a.secondSince = fs.ways, fs.remember, fs.seconds, fs.secondSince
}

// waysOf lists a person's ways, the one used last first, recovery codes at the
// end. What can never be enough by the policy is left out, unless there is nothing else:
// then it still proves who is about to add what is accepted. On a standby nothing
// is offered that has to be sent.
func waysOf(kept authenticators.Kept, need access.Requirement, standby bool, now time.Time) []Way {
	all := candidates(kept, standby, now)
	slices.SortStableFunc(all, func(a, b candidate) int { return -cmp.Compare(a.last.UnixMicro(), b.last.UnixMicro()) })
	var ways, rest []Way
	for _, c := range all {
		if need.Suffices(c.Method) {
			ways = append(ways, c.Way)
		} else {
			rest = append(rest, c.Way)
		}
	}
	if len(ways) == 0 {
		ways = rest
	}
	if len(ways) > 0 || len(kept.Named()) > 0 { // whose only way has to be sent, on a standby, or was switched off is no newcomer
		ways = append(ways, Way{Step: Recovery, Method: proof.RecoveryCode})
	}
	return ways
}

// candidate is a way and when it was last used, or made.
type candidate struct {
	Way
	last time.Time
}

func candidates(kept authenticators.Kept, standby bool, now time.Time) (all []candidate) {
	add := func(w Way, made, used time.Time) {
		last := made
		if used.After(made) {
			last = used
		}
		for i, c := range all {
			if c.Way == w {
				all[i].last = time.UnixMicro(max(c.last.UnixMicro(), last.UnixMicro()))
				return
			}
		}
		all = append(all, candidate{w, last})
	}
	for _, t := range kept.TOTP {
		add(Way{Step: Code, Method: proof.TOTP, Token: t.Token != ""}, t.MadeAt, t.LastUsedAt)
	}
	for _, c := range kept.Credentials {
		if !c.Answers(now) {
			continue
		}
		switch {
		case c.Kind == authenticators.KindPasskey:
			add(Way{Step: Passkey, Method: proof.Passkey}, c.MadeAt, c.LastUsedAt)
		case c.Kind == authenticators.KindHOTP:
			add(Way{Step: Code, Method: proof.HOTP, Token: true}, c.MadeAt, c.LastUsedAt)
		case c.Kind == authenticators.KindPush && !standby:
			add(Way{Step: Approve, Method: proof.Push}, c.MadeAt, c.LastUsedAt)
		case c.Kind == authenticators.KindPhone && !standby:
			phone := authenticators.PhoneOf(c)
			for _, m := range phone.Ways {
				add(Way{Step: Text, Method: m, ID: c.ID, Label: phone.Masked}, c.MadeAt, c.LastUsedAt)
			}
		}
	}
	return all
}
