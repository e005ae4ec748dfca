package authenticators

import (
	"slices"
	"strings"

	"github.com/ccojocar/zxcvbn-go"
	"github.com/ccojocar/zxcvbn-go/matching"
	"github.com/ccojocar/zxcvbn-go/scoring"

	"gatehouse/seal"
)

// maxEstimated bounds what the meter looks at: its matchers take time that grows
// with the square of the length, and 128 characters are strong already.
const maxEstimated = 128

// Strength is how long a guesser would need, roughly, and why.
type Strength struct {
	Score   int      // 0 very weak, 1 weak, 2 fair, 3 good, 4 strong
	Reasons []Reason // why it is not better; none for 3 and 4
}

// Label is the words key of the score's name.
func (s Strength) Label() string {
	return [...]string{"strength.0", "strength.1", "strength.2", "strength.3", "strength.4"}[s.Score]
}

// The meter's reasons, as words keys.
const (
	WhyEmpty    = "strength.why.empty"
	WhyShort    = "strength.why.short"
	WhyCommon   = "strength.why.common"
	WhyPersonal = "strength.why.personal"
	WhyWord     = "strength.why.word"
	WhyName     = "strength.why.name"
	WhyKeyboard = "strength.why.keyboard"
	WhyRepeat   = "strength.why.repeat"
	WhySequence = "strength.why.sequence"
	WhyDate     = "strength.why.date"
)

// Estimate judges a password while it is typed. It is advice: the policy decides.
func Estimate(pw seal.Secret, who Personal) Strength {
	text := capRunes(normal(capRunes(pw.Reveal(), maxEstimated)), maxEstimated)
	if text == "" {
		return Strength{Reasons: []Reason{{Key: WhyEmpty}}}
	}
	found := guess(text, who.words())
	s := Strength{Score: min(max(found.Score, 0), 4)}
	if who.matches(variants(text)) {
		return Strength{Score: 0, Reasons: []Reason{{Key: WhyPersonal}}}
	}
	if isDate(text) {
		return Strength{Score: 0, Reasons: []Reason{{Key: WhyDate}}}
	}
	if s.Score >= 3 {
		return s
	}
	for _, m := range found.MatchSequence {
		s.add(whyOf(m.Pattern, m.DictionaryName))
	}
	if len(s.Reasons) == 0 {
		s.add(WhyShort)
	}
	return s
}

// guess takes the weakest reading of a text: as it stands, and with digits and
// symbols read as letters. The library's own matcher for those is left out: it
// tries every combination, and 128 chosen symbols keep it busy for twelve seconds.
func guess(text string, personal []string) scoring.MinEntropyMatch {
	weakest := zxcvbn.PasswordStrength(text, personal, matching.FilterL33tMatcher)
	low := strings.ToLower(text)
	readings := []string{low, leets[0].Replace(low), leets[1].Replace(low)}
	for i, r := range readings {
		if slices.Contains(readings[:i], r) || r == low {
			continue
		}
		if m := zxcvbn.PasswordStrength(r, personal, matching.FilterL33tMatcher); m.Score < weakest.Score {
			weakest = m
		}
	}
	return weakest
}

// isDate tells whether a text is nothing but six to eight digits, with or without
// the marks between day, month and year: the library sees such dates too seldom.
func isDate(text string) bool {
	digits := strings.NewReplacer("-", "", ".", "", "/", "", " ", "").Replace(text)
	return len(digits) >= 6 && len(digits) <= 8 && strings.Trim(digits, "0123456789") == ""
}

func (s *Strength) add(key string) {
	for _, r := range s.Reasons {
		if r.Key == key {
			return
		}
	}
	if key != "" && len(s.Reasons) < 2 { // more than two is a lecture
		s.Reasons = append(s.Reasons, Reason{Key: key})
	}
}

func whyOf(pattern, dictionary string) string {
	switch pattern {
	case "spatial":
		return WhyKeyboard
	case "repeat":
		return WhyRepeat
	case "sequence":
		return WhySequence
	case "date":
		return WhyDate
	case "dictionary":
		return whyWord(dictionary)
	}
	return ""
}

func whyWord(dictionary string) string {
	switch dictionary {
	case "user_inputs":
		return WhyPersonal
	case "Passwords":
		return WhyCommon
	case "English":
		return WhyWord
	}
	return WhyName
}

func capRunes(s string, n int) string {
	for i := range s {
		if n == 0 {
			return s[:i]
		}
		n--
	}
	return s
}
