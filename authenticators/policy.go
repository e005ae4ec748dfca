package authenticators

import (
	"context"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"gatehouse/fault"
	"gatehouse/id"
	"gatehouse/seal"
)

// Preset names a set of rules for choosing a password.
type Preset string

// The presets. docs/passwords.md says what each is and who asks for it.
const (
	Modern Preset = "modern" // SP 800-63B-4 §3.1.1: length and lists, no composition, no expiry
	PCI    Preset = "pci"    // PCI DSS 4.0.1 §8.3.6–8.3.7
	Legacy Preset = "legacy" // what many guides still ask for; SP 800-63B-4 and ASVS 5 forbid it
)

// Presets lists them in the order the console shows them.
func Presets() []Preset { return []Preset{Modern, PCI, Legacy} }

// Policy is what a new password has to be.
type Policy struct {
	Preset    Preset
	MinLength int // code points, as SP 800-63B-4 §3.1.1.2 counts
	Letters   bool
	Digits    bool
	Mixed     bool          // upper and lower case
	Symbols   bool          // something that is no letter, digit or space
	KeepOld   int           // a new one must differ from so many last ones, the current included
	MaxAge    time.Duration // zero: never expires
}

// DefaultLegacyDays is the age at which a password of the legacy preset expires.
const DefaultLegacyDays = 90

// PolicyOf opens a preset. legacyDays counts for Legacy only; 0 means the default.
func PolicyOf(p Preset, legacyDays int) (Policy, error) {
	if legacyDays < 0 {
		return Policy{}, fmt.Errorf("password expiry must be a number of days, not %d", legacyDays)
	}
	if legacyDays == 0 {
		legacyDays = DefaultLegacyDays
	}
	switch p {
	case Modern:
		return Policy{Preset: p, MinLength: 8}, nil
	case PCI:
		return Policy{Preset: p, MinLength: 12, Letters: true, Digits: true, KeepOld: 4}, nil
	case Legacy:
		return Policy{Preset: p, MinLength: 8, Letters: true, Digits: true, Mixed: true, Symbols: true,
			MaxAge: time.Duration(legacyDays) * 24 * time.Hour}, nil
	}
	return Policy{}, fmt.Errorf("password policy %q is not one of modern, pci, legacy", p)
}

// Name is the words key of the preset's name.
func (p Policy) Name() string { return "policy." + string(p.Preset) + ".name" }

// Note is the words key of what the preset is worth, said plainly in the console.
func (p Policy) Note() string { return "policy." + string(p.Preset) + ".note" }

// Reason says why a password is refused, or what a policy asks for, as a words
// key with the number it needs.
type Reason = fault.Reason

// The reasons, as words keys.
const (
	ReasonShort    = "password.reason.short"    // fewer than {n} characters
	ReasonLong     = "password.reason.long"     // more than {n} bytes
	ReasonLetter   = "password.reason.letter"   // has no letter
	ReasonDigit    = "password.reason.digit"    // has no digit
	ReasonUpper    = "password.reason.upper"    // has no capital letter
	ReasonLower    = "password.reason.lower"    // has no small letter
	ReasonSymbol   = "password.reason.symbol"   // has no symbol
	ReasonPersonal = "password.reason.personal" // is made of the person's own name, address or organisation
	ReasonCommon   = "password.reason.common"   // is one of the passwords everybody tries first
	ReasonBreached = "password.reason.breached" // stands in a list of passwords that leaked
	ReasonReused   = "password.reason.reused"   // is one of the last {n}
)

// Rules lists what the policy asks for, for the page where a password is chosen.
func (p Policy) Rules() []Reason {
	rules := []Reason{{Key: "password.rule.length", N: p.MinLength}}
	add := func(when bool, key string, n int) {
		if when {
			rules = append(rules, Reason{Key: key, N: n})
		}
	}
	add(p.Letters && !p.Mixed, "password.rule.letter", 0)
	add(p.Mixed, "password.rule.mixed", 0)
	add(p.Digits, "password.rule.digit", 0)
	add(p.Symbols, "password.rule.symbol", 0)
	add(p.KeepOld > 0, "password.rule.reused", p.KeepOld)
	add(p.MaxAge > 0, "password.rule.expires", int(p.MaxAge/(24*time.Hour)))
	return append(rules, Reason{Key: "password.rule.lists"})
}

// Lists are the passwords nobody may choose. Both may be nil: then Embedded is
// used for Common, and nothing for Breached.
type Lists struct {
	Common   *Breached // matched with its simple variants: case, digits for letters, a short tail
	Breached *Breached // the operator's filter, matched exactly
}

// Judge says everything that speaks against a password, in the order a person
// reads it; none means it is accepted. Reuse is a step of its own (Reused),
// because it is slow.
func (p Policy) Judge(pw seal.Secret, who Personal, lists Lists) []Reason {
	text := pw.Reveal()
	if len(text) > MaxPasswordBytes {
		return []Reason{{Key: ReasonLong, N: MaxPasswordBytes}}
	}
	why := p.judgeShape(normal(text))
	forms := variants(text)
	if who.matches(forms) {
		why = append(why, Reason{Key: ReasonPersonal})
	}
	if lists.common().containsAny(append(forms, text)) {
		return append(why, Reason{Key: ReasonCommon})
	}
	if lists.Breached.Contains(pw) {
		why = append(why, Reason{Key: ReasonBreached})
	}
	return why
}

func (l Lists) common() *Breached {
	if l.Common != nil {
		return l.Common
	}
	return Embedded()
}

func (p Policy) judgeShape(text string) (why []Reason) {
	if utf8.RuneCountInString(text) < p.MinLength || len(text) < MinPasswordBytes {
		why = append(why, Reason{Key: ReasonShort, N: p.MinLength})
	}
	lacks := func(asked bool, is func(rune) bool, key string) {
		if asked && strings.IndexFunc(text, is) < 0 {
			why = append(why, Reason{Key: key})
		}
	}
	lacks(p.Letters && !p.Mixed, unicode.IsLetter, ReasonLetter)
	lacks(p.Mixed, unicode.IsUpper, ReasonUpper)
	lacks(p.Mixed, unicode.IsLower, ReasonLower)
	lacks(p.Digits, unicode.IsDigit, ReasonDigit)
	lacks(p.Symbols, isSymbol, ReasonSymbol)
	return why
}

func isSymbol(r rune) bool {
	return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !unicode.IsSpace(r) && !unicode.IsMark(r)
}

// Expired tells whether a password made at that time must be changed now.
func (p Policy) Expired(madeAt, now time.Time) bool {
	return p.MaxAge > 0 && now.Sub(madeAt) >= p.MaxAge
}

// Reused tells whether a password is one of old (see OldPasswords). It verifies
// every one, found or not, and is as slow as that: never call it in a transaction.
func (h *Hasher) Reused(ctx context.Context, account id.Account, old []PasswordHash, pw seal.Secret) (bool, error) {
	found := false
	for _, o := range old {
		ok, _, err := h.Verify(ctx, account, o, pw)
		if err != nil {
			return false, err
		}
		found = found || ok
	}
	return found, nil
}
