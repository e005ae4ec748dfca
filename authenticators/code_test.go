package authenticators

import (
	"strings"
	"testing"
	"unicode"
)

func TestDigitsAreReadInEveryScriptAndWithEveryGap(t *testing.T) {
	for _, row := range []struct {
		name, typed, digits string
		ok                  bool
	}{
		{"plain", "287082", "287082", true},
		{"a leading zero stays", "081804", "081804", true},
		{"a space in the middle, as apps show it", "287 082", "287082", true},
		{"a dash", "287-082", "287082", true},
		{"a no-break space and a line end, from a mail", "287\u00a0082\r\n", "287082", true},
		{"an en dash, from a word processor", "287–082", "287082", true},
		{"a zero-width space, from a chat", "287\u200b082", "287082", true},
		{"full-width digits", "２８７　０８２", "287082", true},
		{"Arabic digits", "٢٨٧٠٨٢", "287082", true},
		{"Devanagari digits", "२८७०८२", "287082", true},
		{"mathematical bold digits", "𝟐𝟖𝟕𝟎𝟖𝟐", "287082", true},
		{"digits of an Adlam keyboard", "𞥒𞥘𞥗𞥐𞥘𞥒", "287082", true},
		{"a letter", "28708o", "", false},
		{"a Roman numeral is no digit", "Ⅷ87082", "", false},
		{"a superscript is no digit", "²87082", "", false},
		{"nothing", "", "", false},
		{"only gaps", " - ", "", false},
		{"a novel", strings.Repeat("1", 300), "", false},
	} {
		t.Run(row.name, func(t *testing.T) {
			digits, ok := normaliseDigits(row.typed)
			if ok != row.ok || ok && digits != row.digits {
				t.Errorf("%q, %v", digits, ok)
			}
		})
	}
}

func TestEveryRunOfUnicodeDigitsStartsWithItsZero(t *testing.T) {
	for _, r := range unicode.Nd.R16 {
		if r.Stride != 1 || (r.Hi-r.Lo+1)%10 != 0 {
			t.Errorf("%U to %U is no run of tens", r.Lo, r.Hi)
		}
	}
	for _, r := range unicode.Nd.R32 {
		if r.Stride != 1 || (r.Hi-r.Lo+1)%10 != 0 {
			t.Errorf("%U to %U is no run of tens", r.Lo, r.Hi)
		}
	}
}

func FuzzTypedCode(f *testing.F) {
	for _, s := range []string{"287 082", "２８７０８２", "7kq3-9xwf-0000-zzzz", "٢٨٧٠٨٢", "\xff\xfe"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, typed string) {
		if digits, ok := normaliseDigits(typed); ok {
			if strings.Trim(digits, "0123456789") != "" || digits == "" {
				t.Errorf("%q became %q", typed, digits)
			}
			if again, ok := normaliseDigits(digits); !ok || again != digits {
				t.Errorf("%q is not stable: %q", digits, again)
			}
		}
		if code, ok := normaliseRecovery(typed); ok {
			if len(code) != 16 || strings.Trim(code, recoveryLetters) != "" {
				t.Errorf("%q became %q", typed, code)
			}
			if again, ok := normaliseRecovery(code); !ok || again != code {
				t.Errorf("%q is not stable: %q", code, again)
			}
		}
	})
}
