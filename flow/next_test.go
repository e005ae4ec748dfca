package flow

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"gatehouse/access"
	"gatehouse/accounts"
	"gatehouse/proof"
)

func shown(ms ...proof.Method) (ps []proof.Proof) {
	for _, m := range ms {
		ps = append(ps, proof.Proof{Method: m, At: time.Unix(1, 0)})
	}
	return ps
}

var app = []Way{{Step: Code, Method: proof.TOTP}, {Step: Recovery, Method: proof.RecoveryCode}}

func (f facts) but(mustChange string, linkGood bool) facts {
	f.mustChange, f.linkGood = mustChange, linkGood
	return f
}

func TestNext(t *testing.T) {
	verified := enrolment{Proof: proof.Proof{Method: proof.TOTP, At: time.Unix(1, 0)}}
	full := facts{hasPassword: true, ways: app, need: access.Default()}
	bare := facts{hasPassword: true, need: access.Default()}
	key := func(how proof.Proof) []proof.Proof {
		how.Method, how.At = proof.Passkey, time.Unix(1, 0)
		return []proof.Proof{how}
	}
	keys := facts{hasPassword: true, need: access.Default(), ways: []Way{{Step: Passkey, Method: proof.Passkey}, {Step: Code, Method: proof.TOTP}, {Step: Recovery, Method: proof.RecoveryCode}}}
	appsOnly := full
	appsOnly.need.Methods = []proof.Method{proof.TOTP}
	strict := access.Default()
	strict.Resistant = true
	strictKeys, strictApp := keys, full
	strictKeys.need, strictApp.need = strict, strict
	strictApp3 := strictApp
	strictApp3.linkGood = true
	for _, c := range []struct {
		name string
		a    attempt
		f    facts
		want Step
	}{
		{"at the start the password is asked for", attempt{}, full, Password},
		{"after the password, the second authenticator", attempt{Proofs: shown(proof.Password)}, full, Code},
		{"password and app are enough", attempt{Proofs: shown(proof.Password, proof.TOTP)}, full, Done},
		{"password and recovery code are enough", attempt{Proofs: shown(proof.Password, proof.RecoveryCode)}, full, Done},
		{"an app without a password is not enough", attempt{Proofs: shown(proof.TOTP)}, full, Password},
		{"app and recovery code are one factor", attempt{Proofs: shown(proof.TOTP, proof.RecoveryCode)}, full, Password},
		{"the password twice is one factor", attempt{Proofs: shown(proof.Password, proof.Password)}, full, Code},
		{"a link is no factor", attempt{Proofs: shown(proof.Password, proof.Link)}, full, Code},
		{"a leaked password is replaced before the session", attempt{Proofs: shown(proof.Password, proof.TOTP)}, full.but("compromised", false), NewPassword},
		{"but only after the second authenticator", attempt{Proofs: shown(proof.Password)}, full.but("compromised", false), Code},

		{"without a second authenticator and without a link, a link is mailed", attempt{Proofs: shown(proof.Password)}, bare, LinkSent},
		{"with a spent enrol link, too", attempt{Proofs: shown(proof.Password), LinkKind: accounts.Enrol}, bare, LinkSent},
		{"with a good unlock link, too", attempt{Proofs: shown(proof.Password), LinkKind: accounts.Unlock}, bare.but("", true), LinkSent},
		{"with a good address link, too", attempt{Proofs: shown(proof.Password), LinkKind: accounts.Address}, bare.but("", true), LinkSent},
		{"with a good enrol link the app is set up", attempt{Proofs: shown(proof.Password), LinkKind: accounts.Enrol}, bare.but("", true), Enrol},
		{"an enrol link does not replace the password", attempt{LinkKind: accounts.Enrol}, bare.but("", true), Password},
		{"after the app's first code, the recovery codes", attempt{Proofs: shown(proof.Password), LinkKind: accounts.Enrol, Enrolled: verified}, bare.but("", true), RecoveryCodes},
		{"an app set up in the attempt counts for nothing while the link is bad", attempt{Proofs: shown(proof.Password), LinkKind: accounts.Enrol, Enrolled: verified}, bare, LinkSent},

		{"an invitation asks for a first password", attempt{LinkKind: accounts.Invitation}, facts{linkGood: true, need: access.Default()}, NewPassword},
		{"then for the app", attempt{Proofs: shown(proof.Password), LinkKind: accounts.Invitation}, bare.but("", true), Enrol},
		{"an invitation whose password is chosen already asks for it", attempt{LinkKind: accounts.Invitation}, bare.but("", true), Password},
		{"a spent invitation sets no password", attempt{LinkKind: accounts.Invitation}, facts{need: access.Default()}, Password},
		{"an invitation never passes by the second authenticator", attempt{LinkKind: accounts.Invitation}, full.but("", true), Password},

		{"a reset asks who has a second authenticator for it first", attempt{LinkKind: accounts.Reset}, full.but("", true), Code},
		{"then for the new password", attempt{LinkKind: accounts.Reset, Proofs: shown(proof.TOTP)}, full.but("", true), NewPassword},
		{"a recovery code does as well", attempt{LinkKind: accounts.Reset, Proofs: shown(proof.RecoveryCode)}, full.but("", true), NewPassword},
		{"the link itself does not", attempt{LinkKind: accounts.Reset, Proofs: shown(proof.Link)}, full.but("", true), Code},
		{"and that ends it", attempt{LinkKind: accounts.Reset, Proofs: shown(proof.TOTP, proof.Password)}, full.but("", true), Done},
		{"a spent reset asks for the password", attempt{LinkKind: accounts.Reset, Proofs: shown(proof.TOTP)}, full, Password},
		{"a reset of someone without a second authenticator asks for the password", attempt{LinkKind: accounts.Reset}, bare.but("", true), NewPassword},
		{"then for the app", attempt{LinkKind: accounts.Reset, Proofs: shown(proof.Password)}, bare.but("", true), Enrol},

		{"a passkey that verified its holder is enough by itself", attempt{Proofs: key(proof.Proof{Verified: true})}, keys, Done},
		{"one that was only touched is not", attempt{Proofs: key(proof.Proof{})}, keys, Password},
		{"where passkeys are not accepted, one leads to the password", attempt{Proofs: key(proof.Proof{Verified: true})}, appsOnly, Password},
		{"and from there to what is", attempt{Proofs: shown(proof.Password)}, appsOnly, Code},
		{"after the password, the way used last is asked for", attempt{Proofs: shown(proof.Password)}, keys, Passkey},
		{"and a touch is enough", attempt{Proofs: append(shown(proof.Password), key(proof.Proof{})...)}, keys, Done},
		{"a leaked password is replaced after a passkey too", attempt{Proofs: key(proof.Proof{Verified: true})}, keys.but("compromised", false), NewPassword},
		{"where only passkeys are accepted, an app leads to the passkey", attempt{Proofs: shown(proof.Password, proof.TOTP)}, strictKeys, Passkey},
		{"and the passkey ends it", attempt{Proofs: append(shown(proof.Password, proof.TOTP), key(proof.Proof{})...)}, strictKeys, Done},
		{"who has none proves the app first", attempt{Proofs: shown(proof.Password)}, strictApp, Code},
		{"then a link is mailed", attempt{Proofs: shown(proof.Password, proof.TOTP)}, strictApp, LinkSent},
		{"and lets them set up what is accepted", attempt{Proofs: shown(proof.Password, proof.TOTP), LinkKind: accounts.Enrol}, strictApp3, Enrol},
		{"the link does not spare the app", attempt{Proofs: shown(proof.Password), LinkKind: accounts.Enrol}, strictApp3, Code},
		{"a fresh proof of what they hold is as good as their session", attempt{Purpose: Fresh, Proofs: shown(proof.Password, proof.TOTP)}, strictApp, Done},
		{"but not where they hold better", attempt{Purpose: Fresh, Proofs: shown(proof.Password, proof.TOTP)}, strictKeys, Passkey},

		{"a fresh proof is both again", attempt{Purpose: Fresh, Proofs: shown(proof.Password)}, full, Code},
		{"and ends like a sign-in", attempt{Purpose: Fresh, Proofs: shown(proof.Password, proof.TOTP)}, full, Done},
		{"a fresh proof never enrols", attempt{Purpose: Fresh, Proofs: shown(proof.Password), LinkKind: accounts.Enrol}, bare.but("", true), Password},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := next(c.a, c.f); got != c.want {
				t.Errorf("next is %q, want %q", got, c.want)
			}
		})
	}
}

// What must hold for every attempt there could be, the impossible ones included.
func TestNextNever(t *testing.T) {
	methods := rapid.SampledFrom([]proof.Method{proof.Password, proof.TOTP, proof.Passkey, proof.SMS, proof.RecoveryCode, proof.Remembered, proof.Link})
	ways := rapid.SampledFrom([]Way{{Step: Code, Method: proof.TOTP}, {Step: Passkey, Method: proof.Passkey}, {Step: Text, Method: proof.SMS}, {Step: Approve, Method: proof.Push}})
	kinds := rapid.SampledFrom([]accounts.LinkKind{"", accounts.Invitation, accounts.Reset, accounts.Enrol, accounts.Unlock, accounts.Address})
	rapid.Check(t, func(rt *rapid.T) {
		a := attempt{
			Purpose:  rapid.SampledFrom([]Purpose{SignIn, Fresh, Invitation, Reset}).Draw(rt, "purpose"),
			At:       rapid.SampledFrom([]Step{Password, Code, LinkSent, NewPassword, Enrol, RecoveryCodes, Done}).Draw(rt, "at"),
			Proofs:   shown(rapid.SliceOfN(methods, 0, 4).Draw(rt, "proofs")...),
			LinkKind: kinds.Draw(rt, "link"),
			Why:      rapid.SampledFrom([]string{"", compromised, expired}).Draw(rt, "why"),
		}
		if rapid.Bool().Draw(rt, "verified") {
			a.Enrolled.Proof = proof.Proof{Method: proof.TOTP, At: time.Unix(1, 0)}
		}
		for i := range a.Proofs {
			a.Proofs[i].Verified = a.Proofs[i].Method == proof.Passkey && rapid.Bool().Draw(rt, "verified")
		}
		need := access.Default()
		need.Resistant, need.Level = rapid.Bool().Draw(rt, "resistant"), rapid.SampledFrom([]proof.Level{0, proof.AAL2, proof.AAL3}).Draw(rt, "level needed")
		f := facts{hasPassword: rapid.Bool().Draw(rt, "has password"), ways: rapid.SliceOfN(ways, 0, 3).Draw(rt, "ways"), need: need, mustChange: a.Why, linkGood: rapid.Bool().Draw(rt, "link good")}
		upgrade := level2(a) && !need.Met(a.Proofs) && (!f.canMeet(a) || gaveUp(a))
		level := proof.LevelOf(a.Proofs)
		_, password := proof.Find(a.Proofs, proof.Password)
		permits := f.linkGood && (a.LinkKind == accounts.Invitation || a.LinkKind == accounts.Enrol || a.LinkKind == accounts.Reset)
		switch got := next(a, f); {
		case got == Done && (level < proof.AAL2 || !password && !verified(a.Proofs) || !f.hasSecond() || f.mustChange != ""):
			rt.Fatal("a session that was not earned")
		case got == Done && a.Purpose != Fresh && !need.Met(a.Proofs):
			rt.Fatal("a session below what is required")
		case (got == Enrol || got == RecoveryCodes) && (!permits || !password && !verified(a.Proofs) || f.hasSecond() && !upgrade || a.Purpose == Fresh):
			rt.Fatal("an enrolment that nothing permits")
		case got == NewPassword && f.hasSecond() && level < proof.AAL1:
			rt.Fatal("a link alone changes a password")
		case got == NewPassword && f.mustChange == "" && !(f.linkGood && (a.LinkKind == accounts.Reset || a.LinkKind == accounts.Invitation)):
			rt.Fatal("a new password that nothing permits")
		case got == Recovery:
			rt.Fatal("a step that is only another way to do one")
		}
	})
}

func level2(a attempt) bool { return proof.LevelOf(a.Proofs) >= proof.AAL2 }

func verified(ps []proof.Proof) bool {
	return slices.ContainsFunc(ps, func(p proof.Proof) bool { return p.Method == proof.Passkey && p.Verified })
}
