package authenticators

import (
	"strings"
	"unicode"
)

// maxTyped bounds what a person may type as a code, in bytes: ten digits of an
// exotic script with spaces between them fit, a novel does not.
const maxTyped = 256

// normaliseDigits reads a code as people type and paste it: spaces and dashes of
// any script are dropped and every Unicode decimal digit (full-width, Arabic, …)
// becomes ASCII. ok is false when anything else is in it.
func normaliseDigits(typed string) (digits string, ok bool) {
	if len(typed) > maxTyped {
		return "", false
	}
	var b strings.Builder
	for _, r := range typed {
		switch {
		case isFiller(r):
		case unicode.Is(unicode.Nd, r):
			b.WriteByte('0' + digitValue(r))
		default:
			return "", false
		}
	}
	return b.String(), b.Len() > 0
}

// digitValue of a decimal digit: Unicode keeps the ten of every script together,
// in order, in one run of ten (Unicode Standard §4.6).
func digitValue(r rune) byte {
	for _, rg := range unicode.Nd.R16 {
		if uint32(r) >= uint32(rg.Lo) && uint32(r) <= uint32(rg.Hi) {
			return byte((uint32(r) - uint32(rg.Lo)) % 10)
		}
	}
	for _, rg := range unicode.Nd.R32 {
		if uint32(r) >= rg.Lo && uint32(r) <= rg.Hi {
			return byte((uint32(r) - rg.Lo) % 10)
		}
	}
	return 0
}

// isFiller says what is dropped from a typed code: spaces, dashes, and the
// invisible marks that a copied text carries along.
func isFiller(r rune) bool {
	return unicode.IsSpace(r) || unicode.Is(unicode.Pd, r) || unicode.Is(unicode.Cf, r) || r == '\u2212' || r == '\u30fb' || r == '\u00b7' || r == '_' || r == '.'
}
