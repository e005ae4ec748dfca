// Package proof holds the noun that ties a sign-in together: what a person
// showed, when, and how strong that is. Authenticators make proofs, flow collects
// them, sessions keep them, access demands them and events record them.
package proof

import (
	"slices"
	"time"
)

// Method says what kind of thing was shown, in the words of NIST SP 800-63B-4 §3.1.
type Method string

// The methods of this build. A mailed link proves an address only: it counts
// towards no assurance level (SP 800-63B-4 §3.1.3.1 forbids e-mail as an
// out-of-band authenticator), it merely permits enrolment or a new password.
const (
	Password     Method = "password"
	TOTP         Method = "totp"
	RecoveryCode Method = "recovery-code"
	Link         Method = "link"
)

// Level is an authenticator assurance level of NIST SP 800-63B-4 §2.
type Level int

// The levels. There is no session below AAL2 anywhere in Gatehouse.
const (
	None Level = 0
	AAL1 Level = 1
	AAL2 Level = 2
)

// Proof is one thing shown and found right.
type Proof struct {
	Method        Method    `json:"m"`
	Authenticator string    `json:"a"`           // the id.Authenticator (id.Link for Link) that was shown
	Version       int64     `json:"v"`           // that credential's version when it was checked; commit compares it
	At            time.Time `json:"t"`           // when it was checked, UTC
	Step          int64     `json:"s,omitempty"` // TOTP: the time step accepted; RecoveryCode: the slot used
	Drift         int64     `json:"d,omitempty"` // TOTP: the phone's clock minus ours, in steps
}

// factor is one of the kinds that SP 800-63B-4 §2.2 wants two different ones of.
func (m Method) factor() string {
	switch m {
	case Password:
		return "knowledge"
	case TOTP, RecoveryCode:
		return "possession"
	}
	return ""
}

// LevelOf is the assurance level that proofs reach together.
func LevelOf(proofs []Proof) Level {
	factors := map[string]bool{}
	for _, p := range proofs {
		if f := p.Method.factor(); f != "" {
			factors[f] = true
		}
	}
	return min(Level(len(factors)), AAL2)
}

// Find returns the newest proof of a method.
func Find(proofs []Proof, m Method) (Proof, bool) {
	for _, p := range slices.Backward(proofs) {
		if p.Method == m {
			return p, true
		}
	}
	return Proof{}, false
}

// AMR lists the authentication method references of RFC 8176 §2 for proofs.
// A recovery code has no registered value and is reported as "otp".
func AMR(proofs []Proof) []string {
	var refs []string
	add := func(ref string) {
		if !slices.Contains(refs, ref) {
			refs = append(refs, ref)
		}
	}
	for _, p := range proofs {
		switch p.Method {
		case Password:
			add("pwd")
		case TOTP, RecoveryCode:
			add("otp")
		}
	}
	if LevelOf(proofs) >= AAL2 {
		add("mfa")
	}
	return refs
}

// Oldest is the time of the oldest proof that counts towards a level: the
// moment from which "fresh" is reckoned. Zero when there is none.
func Oldest(proofs []Proof) time.Time {
	var t time.Time
	for _, p := range proofs {
		if p.Method.factor() != "" && (t.IsZero() || p.At.Before(t)) {
			t = p.At
		}
	}
	return t
}
