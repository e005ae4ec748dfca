package access

import (
	"slices"
	"time"

	"gatehouse/proof"
)

// Requirement is what a session of somebody must be opened with; it is also what
// one policy says. The zero value asks for two factors and accepts nothing.
type Requirement struct {
	Level     proof.Level    `json:"level"`              // never below Required
	Resistant bool           `json:"phishing_resistant"` // one proof must be phishing-resistant
	Attested  bool           `json:"attested"`           // a passkey counts only when its maker vouched for it
	Methods   []proof.Method `json:"methods"`            // second authenticators that are accepted
	Remember  time.Duration  `json:"remember"`           // how long a browser may be remembered; 0: never
}

// Seconds lists every method that a policy can accept, the strongest first.
func Seconds() []proof.Method {
	return []proof.Method{proof.Passkey, proof.Push, proof.TOTP, proof.HOTP, proof.SMS, proof.Voice, proof.RecoveryCode}
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

// Suffices tells whether a method can be enough together with a password: a code
// never is where phishing resistance is asked for, though it is accepted.
func (r Requirement) Suffices(m proof.Method) bool {
	return r.Met([]proof.Proof{{Method: proof.Password}, strongest(m)})
}

// strongest is what a method proves at best.
func strongest(m proof.Method) proof.Proof {
	key := m == proof.Passkey
	return proof.Proof{Method: m, Verified: key, Bound: key, Attested: key}
}

// Enrols lists what somebody may set up while they sign in: an app or a passkey,
// whichever would meet the requirement together with a password.
func (r Requirement) Enrols() []proof.Method {
	return slices.DeleteFunc([]proof.Method{proof.TOTP, proof.Passkey}, func(m proof.Method) bool { return !r.Suffices(m) })
}

// Met tells whether proofs are enough: level, resistance, and a second
// authenticator that is accepted among them.
func (r Requirement) Met(ps []proof.Proof) bool {
	accepted := slices.DeleteFunc(slices.Clone(ps), func(p proof.Proof) bool {
		return p.Method != proof.Password && (!r.Accepts(p.Method) || p.Method == proof.Passkey && r.Attested && !p.Attested)
	})
	return proof.LevelOf(accepted) >= max(r.Level, Required()) && (!r.Resistant || proof.Resistant(accepted))
}

// Normal is the requirement as it works: never below AAL2; AAL3 needs keys whose
// makers vouch for them (SP 800-63B-4 §2.3.1); a remembered browser is neither
// phishing-resistant nor AAL3, so that none is remembered there; methods in the
// order of Seconds, once each.
func (r Requirement) Normal() Requirement {
	r.Level = max(r.Level, Required())
	r.Attested = r.Attested || r.Level >= proof.AAL3
	if r.Level >= proof.AAL3 || r.Resistant {
		r.Remember = 0
	}
	r.Methods = slices.DeleteFunc(Seconds(), func(m proof.Method) bool { return !slices.Contains(r.Methods, m) })
	return r
}

// Strictest is what two requirements ask for together: whatever meets it meets
// both.
func Strictest(a, b Requirement) Requirement {
	return Requirement{
		Level:     max(a.Level, b.Level),
		Resistant: a.Resistant || b.Resistant,
		Attested:  a.Attested || b.Attested,
		Methods:   slices.DeleteFunc(slices.Clone(a.Methods), func(m proof.Method) bool { return !slices.Contains(b.Methods, m) }),
		Remember:  min(a.Remember, b.Remember),
	}.Normal()
}

// Same tells whether two requirements ask for the same.
func (r Requirement) Same(other Requirement) bool {
	a, b := r.Normal(), other.Normal()
	return a.Level == b.Level && a.Resistant == b.Resistant && a.Attested == b.Attested && a.Remember == b.Remember && slices.Equal(a.Methods, b.Methods)
}
