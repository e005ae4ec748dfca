package authenticators

import (
	"time"

	"gatehouse/id"
	"gatehouse/proof"
	"gatehouse/seal"
)

// Password is the password an account holds.
type Password struct {
	ID         id.Authenticator // a newly chosen password has a new id; a rehash keeps it
	Hash       PasswordHash
	MustChange string    // "", or why it must be changed at the next sign-in: "compromised"
	MadeAt     time.Time // when the person chose it
	Version    int64
}

// TOTP is one authenticator app (RFC 6238) of an account.
type TOTP struct {
	ID         id.Authenticator
	Account    id.Account
	Name       string
	Secret     seal.Secret // base32 without padding, as in the otpauth URI
	Algorithm  string      // "SHA1", "SHA256" or "SHA512"
	Digits     int         // 6 to 8
	Period     int64       // seconds of one step
	LastStep   int64       // the last step accepted; only a later one is
	Drift      int64       // the phone's clock minus ours, in steps
	MadeAt     time.Time
	LastUsedAt time.Time // zero: never since it was added
	Version    int64
	Token      id.Token // the hardware token it is; "" for an app
}

// RecoverySet is the one set of recovery codes of an account.
type RecoverySet struct {
	ID      id.Authenticator
	MadeAt  time.Time
	Version int64
	Slots   []RecoverySlot // in slot order
}

// RecoverySlot is one recovery code, of which only a keyed hash is kept.
type RecoverySlot struct {
	Slot    int64
	Hash    []byte // 32 bytes
	Pepper  uint32 // the pepper key that made Hash
	SpentAt time.Time
}

// Kept is all that Gatehouse keeps of one account's authenticators.
type Kept struct {
	Account     id.Account
	Decoy       bool         // of nobody: no check on it ever succeeds, at the same cost
	Password    *Password    // nil: none was set yet
	TOTP        []TOTP       // oldest first
	Credentials []Credential // every other second authenticator, oldest first
	Recovery    *RecoverySet
	PhoneCodes  []PhoneCode // sent lately, oldest first; only LoadPhones reads them
}

// RecoveryLeft counts the recovery codes that still open.
func RecoveryLeft(k Kept) int {
	left := 0
	if k.Recovery != nil {
		for _, s := range k.Recovery.Slots {
			if s.SpentAt.IsZero() {
				left++
			}
		}
	}
	return left
}

// Shown is what a person showed, and when.
type Shown struct {
	Secret    seal.Secret // a password, a code; for a passkey the browser's answer, JSON
	Challenge []byte      // what a passkey was asked to sign
	Verified  bool        // a passkey must have verified its holder
	Alone     bool        // nobody was named before: a passkey must name its owner (WebAuthn L3 §7.2 step 6)
	Now       time.Time
}

// Verdict is what a check found.
type Verdict struct {
	OK    bool
	Proof proof.Proof // only when OK
	Hint  Hint        // only when not OK; tell it only after a right password
	Used  proof.Proof // only when not OK: right, but it has opened a door already; see UsedBy
	Told  proof.Proof // only when not OK: the code is that of another step, and Hint says so; see BurnTOTP
	Stale bool        // a right password whose hash is made with old parameters or an old pepper key: see RefreshHash
}

// Hint helps a person whose code did not match.
type Hint struct {
	Key     string // words key, "" for none
	Seconds int64  // how far the phone's clock is off, for HintBehind and HintAhead
	Reason  string // for the log alone: why a passkey was refused; see passkeyrules.go
}

// The hints, as words keys.
const (
	HintBehind = "totp.hint.behind" // the phone's clock is about {n} seconds behind
	HintAhead  = "totp.hint.ahead"  // … ahead
	HintUsed   = "totp.hint.used"   // this code opened a door already; wait for the next

	HintTokenUsed  = "token.hint.used"  // of a hardware token: used already, or older than one that was; press again
	HintTokenAgain = "token.hint.again" // … right, but too far away: press twice more and type both codes in a row
)

// UsedHint is the hint for a code that somebody else used first.
func UsedHint(m proof.Method) Hint {
	if m == proof.HOTP {
		return Hint{Key: HintTokenUsed}
	}
	return Hint{Key: HintUsed}
}

// Fields are the pairs for words.Say.
func (h Hint) Fields() []any { return []any{"n", h.Seconds} }
