package authenticators

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
	"golang.org/x/text/width"
)

// Personal is what an attacker tries first for this person.
type Personal struct {
	Email         string
	Name          string
	Organisations []string
	Product       string
}

// minWord is the shortest personal word that is compared, in letters.
const minWord = 3

// maxParts bounds how much of a long name is put together in every way.
const maxParts = 8

// words lists every personal word squashed: each text, the two sides of an
// address, each part, and neighbouring parts put together.
func (p Personal) words() []string {
	var all []string
	add := func(text string) {
		if w := squash(text); utf8.RuneCountInString(w) >= minWord && !slices.Contains(all, w) {
			all = append(all, w)
		}
	}
	for _, text := range append([]string{p.Email, p.Name, p.Product}, p.Organisations...) {
		add(text)
		for side := range strings.SplitSeq(text, "@") {
			parts := strings.FieldsFunc(side, betweenWords)
			parts = parts[:min(len(parts), maxParts)]
			for from := range parts {
				for to := from + 1; to <= len(parts); to++ {
					add(strings.Join(parts[from:to], ""))
				}
			}
		}
	}
	return all
}

func betweenWords(r rune) bool {
	return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !unicode.IsMark(r)
}

// matches compares whole passwords, not parts of them: "harbour" inside a long
// phrase does no harm (SP 800-63B-4 §3.1.1.2 compares the entire password).
func (p Personal) matches(forms []string) bool {
	words := p.words()
	return slices.ContainsFunc(forms, func(f string) bool { return slices.Contains(words, squash(f)) })
}

// maxTail is how many digits and symbols at the end are looked past: "2026!" and
// "123" are what people add to a word, a long number is a secret of its own.
const maxTail = 4

// leets are the readings of digits and symbols as letters; 1 and ! have two.
var leets = []*strings.Replacer{
	strings.NewReplacer("0", "o", "1", "i", "!", "i", "|", "i", "3", "e", "4", "a", "@", "a", "5", "s", "$", "s", "7", "t", "+", "t", "8", "b", "9", "g"),
	strings.NewReplacer("0", "o", "1", "l", "!", "l", "|", "l", "3", "e", "4", "a", "@", "a", "5", "s", "$", "s", "7", "t", "+", "t", "8", "b", "9", "g"),
}

// variants are the words a password is a simple variant of: in lower case, with
// and without its tail, read as it stands and with digits as letters.
func variants(pw string) []string {
	var all []string
	add := func(s string) {
		if s != "" && !slices.Contains(all, s) {
			all = append(all, s)
		}
	}
	low := strings.ToLower(norm.NFKC.String(pw))
	for _, form := range []string{low, cutTail(low)} {
		add(form)
		for _, l := range leets {
			add(l.Replace(form))
		}
	}
	return all
}

func cutTail(s string) string {
	cut := strings.TrimRightFunc(s, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsMark(r) })
	if utf8.RuneCountInString(s[len(cut):]) > maxTail {
		return s
	}
	return cut
}

// squash keeps letters and digits only, in lower case and without accents.
func squash(s string) string {
	keep := func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			return unicode.ToLower(r)
		}
		return -1
	}
	return strings.Map(keep, norm.NFKD.String(s))
}

func foldWidth(s string) string { return width.Fold.String(s) }
