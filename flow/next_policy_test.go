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

// What a policy that has become stricter leads to.
func TestNextUnderAStricterPolicy(t *testing.T) {
	way := func(ms ...proof.Method) (ways []Way) {
		steps := map[proof.Method]Step{proof.TOTP: Code, proof.HOTP: Code, proof.Passkey: Passkey, proof.Push: Approve, proof.SMS: Text, proof.RecoveryCode: Recovery}
		for _, m := range ms {
			ways = append(ways, Way{Step: steps[m], Method: m})
		}
		return ways
	}
	of := func(need access.Requirement, ms ...proof.Method) facts {
		return facts{hasPassword: true, need: need, ways: way(ms...)}
	}
	resistant, keysOrPaper, noPaper := access.Default(), access.Default(), access.Default()
	resistant.Resistant = true
	keysOrPaper.Methods = []proof.Method{proof.Passkey, proof.RecoveryCode}
	noPaper.Methods = []proof.Method{proof.TOTP, proof.Passkey}
	key := append(shown(proof.Password), proof.Proof{Method: proof.Passkey, At: time.Unix(1, 0)})
	aal3 := access.Default()
	aal3.Level = proof.AAL3
	for _, c := range []struct {
		name string
		a    attempt
		f    facts
		want Step
	}{
		{"a way that can be enough is asked for before the one used last", attempt{Proofs: shown(proof.Password)}, of(resistant, proof.TOTP, proof.Passkey, proof.RecoveryCode), Passkey},
		{"also when nothing was shown yet", attempt{LinkKind: accounts.Reset}, facts{hasPassword: true, need: resistant, linkGood: true, ways: way(proof.TOTP, proof.Passkey, proof.RecoveryCode)}, Passkey},
		{"who lost the passkey shows a recovery code, and a link is mailed", attempt{Proofs: shown(proof.Password, proof.RecoveryCode)}, of(resistant, proof.Passkey, proof.RecoveryCode), LinkSent},
		{"but a fresh proof is the passkey all the same", attempt{Purpose: Fresh, Proofs: shown(proof.Password, proof.RecoveryCode)}, of(resistant, proof.Passkey, proof.RecoveryCode), Passkey},
		{"a recovery code that is accepted is never asked for", attempt{Proofs: shown(proof.Password, proof.TOTP)}, of(keysOrPaper, proof.TOTP, proof.RecoveryCode), LinkSent},
		{"and is enough for who chooses it", attempt{Proofs: shown(proof.Password, proof.RecoveryCode)}, of(keysOrPaper, proof.TOTP, proof.RecoveryCode), Done},
		{"one that is not accepted leads to a link", attempt{Proofs: shown(proof.Password, proof.RecoveryCode)}, of(noPaper, proof.TOTP, proof.RecoveryCode), LinkSent},
		{"a passkey that is not attested leads to one that is", attempt{Proofs: key}, of(aal3, proof.Passkey, proof.RecoveryCode), LinkSent},
		{"where only paper is left, it is asked for", attempt{Proofs: shown(proof.Password)}, of(access.Default(), proof.RecoveryCode), Recovery},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := next(c.a, c.f); got != c.want {
				t.Errorf("next is %q, want %q", got, c.want)
			}
		})
	}
}

// Whatever the policy and whatever somebody holds: they come in by showing what
// they are asked for, or by the mailed link, in a few steps; or they can take the
// recovery codes. Nobody goes round in a circle.
func TestNextAlwaysLeadsOn(t *testing.T) {
	second := rapid.SampledFrom([]Way{{Step: Code, Method: proof.TOTP}, {Step: Code, Method: proof.HOTP}, {Step: Passkey, Method: proof.Passkey}, {Step: Text, Method: proof.SMS}, {Step: Approve, Method: proof.Push}})
	rapid.Check(t, func(rt *rapid.T) {
		need := access.Requirement{Level: rapid.SampledFrom([]proof.Level{proof.AAL2, proof.AAL3}).Draw(rt, "level"),
			Resistant: rapid.Bool().Draw(rt, "resistant"), Attested: rapid.Bool().Draw(rt, "attested"),
			Methods: rapid.SliceOfDistinct(rapid.SampledFrom(access.Seconds()), rapid.ID).Draw(rt, "methods")}.Normal()
		if len(need.Enrols()) == 0 {
			return // access.Policy.Complaints refuses it
		}
		f := facts{hasPassword: true, need: need, ways: rapid.SliceOfNDistinct(second, 0, 4, rapid.ID).Draw(rt, "ways")}
		if len(f.ways) > 0 {
			f.ways = append(f.ways, Way{Step: Recovery, Method: proof.RecoveryCode})
		}
		weak, paper := rapid.Bool().Draw(rt, "their passkey is an ordinary one"), rapid.Bool().Draw(rt, "all is lost but paper")
		a := attempt{Purpose: SignIn}
		var trail []Step
		for {
			a.At = next(a, f)
			trail = append(trail, a.At)
			if len(trail) > 8 {
				rt.Fatalf("round in a circle: %v", trail)
			}
			switch a.At {
			case Done:
				if !need.Met(a.Proofs) {
					rt.Fatalf("in without what is required: %v", trail)
				}
				return
			case Password:
				a.Proofs = append(a.Proofs, shown(proof.Password)...)
			case LinkSent:
				a.LinkKind, f.linkGood = accounts.Enrol, true
			case Enrol:
				a.Enrolled.Proof = proof.Proof{Method: need.Enrols()[0], At: time.Unix(1, 0), Verified: true, Bound: true, Attested: true}
			case RecoveryCodes:
				a.Proofs = append(a.Proofs, a.Enrolled.Proof)
				f.ways = append(f.ways, Way{Step: Code, Method: a.Enrolled.Proof.Method})
			case Code, Passkey, Text, Approve:
				i := slices.IndexFunc(f.ways, func(w Way) bool {
					_, again := proof.Find(a.Proofs, w.Method)
					return w.Step == a.At && !again // checkCode takes no other
				})
				if i < 0 {
					rt.Fatalf("asked for what they do not have: %v", trail)
				}
				p := f.ways[i].strongest()
				if paper {
					p = proof.Proof{Method: proof.RecoveryCode}
				} else if weak {
					p.Bound, p.Attested = false, false
				}
				if _, again := proof.Find(a.Proofs, p.Method); again && (paper || p.Method == proof.Passkey) {
					rt.Fatalf("asked for the same once more: %v", trail)
				}
				p.At = time.Unix(1, 0)
				a.Proofs = append(a.Proofs, p)
			default:
				rt.Fatalf("a step of something else: %v", trail)
			}
		}
	})
}
