package flow

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"gatehouse/accounts"
	"gatehouse/proof"
)

func shown(ms ...proof.Method) (ps []proof.Proof) {
	for _, m := range ms {
		ps = append(ps, proof.Proof{Method: m, At: time.Unix(1, 0)})
	}
	return ps
}

func TestNext(t *testing.T) {
	verified := enrolment{Proof: proof.Proof{Method: proof.TOTP, At: time.Unix(1, 0)}}
	full := facts{hasPassword: true, hasSecond: true}
	bare := facts{hasPassword: true}
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
		{"a leaked password is replaced before the session", attempt{Proofs: shown(proof.Password, proof.TOTP)}, facts{true, true, "compromised", false}, NewPassword},
		{"but only after the second authenticator", attempt{Proofs: shown(proof.Password)}, facts{true, true, "compromised", false}, Code},

		{"without a second authenticator and without a link, a link is mailed", attempt{Proofs: shown(proof.Password)}, bare, LinkSent},
		{"with a spent enrol link, too", attempt{Proofs: shown(proof.Password), LinkKind: accounts.Enrol}, bare, LinkSent},
		{"with a good unlock link, too", attempt{Proofs: shown(proof.Password), LinkKind: accounts.Unlock}, facts{hasPassword: true, linkGood: true}, LinkSent},
		{"with a good address link, too", attempt{Proofs: shown(proof.Password), LinkKind: accounts.Address}, facts{hasPassword: true, linkGood: true}, LinkSent},
		{"with a good enrol link the app is set up", attempt{Proofs: shown(proof.Password), LinkKind: accounts.Enrol}, facts{hasPassword: true, linkGood: true}, Enrol},
		{"an enrol link does not replace the password", attempt{LinkKind: accounts.Enrol}, facts{hasPassword: true, linkGood: true}, Password},
		{"after the app's first code, the recovery codes", attempt{Proofs: shown(proof.Password), LinkKind: accounts.Enrol, Enrolled: verified}, facts{hasPassword: true, linkGood: true}, RecoveryCodes},
		{"an app set up in the attempt counts for nothing while the link is bad", attempt{Proofs: shown(proof.Password), LinkKind: accounts.Enrol, Enrolled: verified}, bare, LinkSent},

		{"an invitation asks for a first password", attempt{LinkKind: accounts.Invitation}, facts{linkGood: true}, NewPassword},
		{"then for the app", attempt{Proofs: shown(proof.Password), LinkKind: accounts.Invitation}, facts{hasPassword: true, linkGood: true}, Enrol},
		{"an invitation whose password is chosen already asks for it", attempt{LinkKind: accounts.Invitation}, facts{hasPassword: true, linkGood: true}, Password},
		{"a spent invitation sets no password", attempt{LinkKind: accounts.Invitation}, facts{}, Password},
		{"an invitation never passes by the second authenticator", attempt{LinkKind: accounts.Invitation}, facts{true, true, "", true}, Password},

		{"a reset asks who has a second authenticator for it first", attempt{LinkKind: accounts.Reset}, facts{true, true, "", true}, Code},
		{"then for the new password", attempt{LinkKind: accounts.Reset, Proofs: shown(proof.TOTP)}, facts{true, true, "", true}, NewPassword},
		{"a recovery code does as well", attempt{LinkKind: accounts.Reset, Proofs: shown(proof.RecoveryCode)}, facts{true, true, "", true}, NewPassword},
		{"the link itself does not", attempt{LinkKind: accounts.Reset, Proofs: shown(proof.Link)}, facts{true, true, "", true}, Code},
		{"and that ends it", attempt{LinkKind: accounts.Reset, Proofs: shown(proof.TOTP, proof.Password)}, facts{true, true, "", true}, Done},
		{"a spent reset asks for the password", attempt{LinkKind: accounts.Reset, Proofs: shown(proof.TOTP)}, full, Password},
		{"a reset of someone without a second authenticator asks for the password", attempt{LinkKind: accounts.Reset}, facts{hasPassword: true, linkGood: true}, NewPassword},
		{"then for the app", attempt{LinkKind: accounts.Reset, Proofs: shown(proof.Password)}, facts{hasPassword: true, linkGood: true}, Enrol},

		{"a fresh proof is both again", attempt{Purpose: Fresh, Proofs: shown(proof.Password)}, full, Code},
		{"and ends like a sign-in", attempt{Purpose: Fresh, Proofs: shown(proof.Password, proof.TOTP)}, full, Done},
		{"a fresh proof never enrols", attempt{Purpose: Fresh, Proofs: shown(proof.Password), LinkKind: accounts.Enrol}, facts{hasPassword: true, linkGood: true}, Password},
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
	methods := rapid.SampledFrom([]proof.Method{proof.Password, proof.TOTP, proof.RecoveryCode, proof.Link})
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
		f := facts{rapid.Bool().Draw(rt, "has password"), rapid.Bool().Draw(rt, "has second"), a.Why, rapid.Bool().Draw(rt, "link good")}
		level := proof.LevelOf(a.Proofs)
		_, password := proof.Find(a.Proofs, proof.Password)
		permits := f.linkGood && (a.LinkKind == accounts.Invitation || a.LinkKind == accounts.Enrol || a.LinkKind == accounts.Reset)
		switch got := next(a, f); {
		case got == Done && (level < proof.AAL2 || !password || !f.hasSecond || f.mustChange != ""):
			rt.Fatal("a session that was not earned")
		case (got == Enrol || got == RecoveryCodes) && (!permits || !password || f.hasSecond || a.Purpose == Fresh):
			rt.Fatal("an enrolment that nothing permits")
		case got == NewPassword && f.hasSecond && level < proof.AAL1:
			rt.Fatal("a link alone changes a password")
		case got == NewPassword && f.mustChange == "" && !(f.linkGood && (a.LinkKind == accounts.Reset || a.LinkKind == accounts.Invitation)):
			rt.Fatal("a new password that nothing permits")
		case got == Recovery:
			rt.Fatal("a step that is only another way to do one")
		}
	})
}
