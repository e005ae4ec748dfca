package accounts

import (
	_ "embed"
	"errors"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"

	"gatehouse/fault"
)

// The bounds of an address in bytes: RFC 5321 §4.5.3.1.3 leaves 254 for what is
// between the brackets of a path.
const (
	minEmail = 3
	maxEmail = 254
)

// Canonical is the form in which addresses are compared: NFKC, case-folded,
// trimmed. All spellings of one address share one account and one try limit. It
// is not the form that mail is sent to: some servers tell capitals apart.
// An address out of bounds or without exactly one "@" is fault.BadRequest.
func Canonical(email string) (key string, err error) {
	if len(email) > 4*maxEmail || !utf8.ValidString(email) {
		return "", badAddress("too long, or not UTF-8")
	}
	key = strings.TrimSpace(fold(strings.TrimSpace(email)))
	local, domain, _ := strings.Cut(key, "@")
	switch {
	case len(key) < minEmail || len(key) > maxEmail:
		return "", badAddress("length out of bounds")
	case local == "" || domain == "" || strings.Contains(domain, "@"):
		return "", badAddress("not one @ between two names")
	case strings.ContainsFunc(key, notPrinted):
		return "", badAddress("spaces or invisible characters")
	}
	return key, nil
}

func badAddress(why string) error {
	return fault.New(fault.BadRequest, errors.New("accounts: address: "+why))
}

// fold is toNFKC_Casefold without its removal of invisible characters, which are
// refused instead. Folding can undo normalisation and the other way round, so it
// is repeated until nothing changes (Unicode Standard §3.13, D146: three times
// always suffice).
func fold(s string) string {
	for range 4 {
		next := norm.NFKC.String(cases.Fold().String(norm.NFKC.String(s)))
		if next == s {
			break
		}
		s = next
	}
	return s
}

func notPrinted(r rune) bool {
	return unicode.IsSpace(r) || unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || unicode.Is(unicode.Variation_Selector, r) || r == utf8.RuneError
}

// confusables is the table of UTS #39 §4, one source character and what it looks
// like a line; confusables/README.md says where it comes from.
//
//go:embed confusables/table.txt
var confusables string

var lookalikes = sync.OnceValue(func() map[rune]string {
	table := make(map[rune]string, 10_000)
	for line := range strings.Lines(confusables) {
		from, to, found := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
		if r, _ := utf8.DecodeRuneInString(from); found {
			table[r] = to
		}
	}
	return table
})

// Skeleton is what a canonical address looks like (UTS #39 §4): two that share a
// skeleton are easily taken for each other. It is for comparing, never for
// showing. Two things go beyond UTS #39: it is put in lower case, as keys are and
// the table writes the look of 0 as a capital O, and it is done again until
// nothing changes, as a few looks in the table have looks of their own.
func Skeleton(key string) string {
	for range 4 {
		next := look(key)
		if next == key {
			break
		}
		key = next
	}
	return key
}

func look(s string) string {
	table := lookalikes()
	var b strings.Builder
	for _, r := range norm.NFD.String(s) {
		if to, ok := table[r]; ok {
			b.WriteString(to)
		} else {
			b.WriteRune(r)
		}
	}
	return norm.NFD.String(strings.ToLower(norm.NFD.String(b.String())))
}
