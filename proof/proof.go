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
	TOTP         Method = "totp"          // §3.1.4 one-time password, by time: an app, or a token with a clock
	HOTP         Method = "hotp"          // §3.1.4 one-time password, by counter: a token with a button
	Passkey      Method = "passkey"       // §3.1.7 WebAuthn: a passkey or a security key
	Push         Method = "push"          // §3.1.3 out-of-band: Gatehouse Verify signs with a key of its own
	SMS          Method = "sms"           // §3.1.3.3 out-of-band over the telephone network: restricted
	Voice        Method = "voice"         // the same, read out
	RecoveryCode Method = "recovery-code" // §4.2.1
	Remembered   Method = "remembered"    // a browser that proved a second authenticator before (§3.1.6 would call its cookie a software key)
	Link         Method = "link"
)

// Level is an authenticator assurance level of NIST SP 800-63B-4 §2.
type Level int

// The levels. There is no session below AAL2 anywhere in Gatehouse.
const (
	None Level = 0
	AAL1 Level = 1
	AAL2 Level = 2
	AAL3 Level = 3
)

// Proof is one thing shown and found right.
type Proof struct {
	Method        Method    `json:"m"`
	Authenticator string    `json:"a"`           // the id.Authenticator (id.Link for Link) that was shown
	Version       int64     `json:"v"`           // that credential's version when it was checked; commit compares it
	At            time.Time `json:"t"`           // when it was checked, UTC
	Step          int64     `json:"s,omitempty"` // TOTP: the time step accepted; HOTP: the counter; RecoveryCode: the slot; Passkey: the signature counter
	Drift         int64     `json:"d,omitempty"` // TOTP: the phone's clock minus ours, in steps; Passkey: 1 when it is backed up now
	Pair          bool      `json:"2,omitempty"` // HOTP and TOTP of a token: two codes in a row were shown, Step being the second one's
	Verified      bool      `json:"u,omitempty"` // Passkey: the authenticator made sure who held it (UV), which is a factor of its own
	Bound         bool      `json:"b,omitempty"` // Passkey: its key never leaves the device it was made on (not backup eligible)
	Attested      bool      `json:"w,omitempty"` // Passkey: its maker has vouched for what it is
}

// factor is one of the kinds that SP 800-63B-4 §2.2 wants two different ones of.
func (m Method) factor() string {
	switch m {
	case Password:
		return "knowledge"
	case TOTP, HOTP, Passkey, Push, SMS, Voice, RecoveryCode, Remembered:
		return "possession"
	}
	return ""
}

// LevelOf is the assurance level that proofs reach together: AAL2 for two
// different factors, of which a passkey that verified its holder is both (§3.1.7.1);
// AAL3 when one of them is a key that cannot be copied and whose maker vouched for
// it (§2.3.1). What a proof was made with decides, never what an account holds.
func LevelOf(proofs []Proof) Level {
	factors := map[string]bool{}
	bound := false
	for _, p := range proofs {
		if f := p.Method.factor(); f != "" {
			factors[f] = true
		}
		if p.Method == Passkey {
			bound = bound || p.Bound && p.Attested
			if p.Verified {
				factors["activation"] = true
			}
		}
	}
	if len(factors) >= 2 && bound {
		return AAL3
	}
	return min(Level(len(factors)), AAL2)
}

// Resistant tells whether one of the proofs cannot be relayed by a false page:
// phishing resistance in the sense of SP 800-63B-4 §3.2.5.
func Resistant(proofs []Proof) bool {
	_, shown := Find(proofs, Passkey)
	return shown
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

// AMR lists the authentication method references of RFC 8176 §2 for proofs. A
// recovery code has no registered value and is reported as "otp". Two values are
// ours: "push" for an approval in Gatehouse Verify, and "remembered" for a browser
// that was remembered, so that a relying party can tell it from a proof of today.
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
		case TOTP, HOTP, RecoveryCode:
			add("otp")
		case Passkey:
			add(map[bool]string{true: "hwk", false: "swk"}[p.Bound])
			if p.Verified {
				add("user")
			}
		case Push:
			add("push")
		case SMS:
			add("sms")
		case Voice:
			add("tel")
		case Remembered:
			add("remembered")
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
