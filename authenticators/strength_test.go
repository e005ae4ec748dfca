package authenticators

import (
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"gatehouse/seal"
)

func TestTheMeterGivesAReason(t *testing.T) {
	for _, row := range []struct {
		name     string
		pw       seal.Secret
		min, max int
		why      string
	}{
		{"nothing", "", 0, 0, WhyEmpty},
		{"a common password", "password", 0, 0, WhyCommon},
		{"keys in a row", "zxcvfr43", 0, 2, WhyKeyboard},
		{"one letter again and again", "aaaaaaaaaaaa", 0, 1, WhyRepeat},
		{"a run of letters", "abcdefgh", 0, 1, WhySequence},
		{"a date", "1997-04-13", 0, 0, WhyDate},
		{"her own name", "Márquez-Marsh1", 0, 0, WhyPersonal},
		{"a common password with digits for letters", "p4ssw0rd!", 0, 1, WhyCommon},
		{"four unrelated words", "otter lantern quayside vinegar", 3, 4, ""},
		{"random letters", "vq7xk2mwp9rj4t", 3, 4, ""},
		{"too short to be anything", "q7x", 0, 1, WhyShort},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := Estimate(row.pw, anaHerself)
			keys := keysOf(s.Reasons)
			if s.Score < row.min || s.Score > row.max || row.why != "" && !slices.Contains(keys, row.why) || row.why == "" && keys != nil {
				t.Errorf("score %d, %v; want %d to %d, %q", s.Score, keys, row.min, row.max, row.why)
			}
		})
	}
}

func TestTheMeterIsQuickWhateverIsTyped(t *testing.T) {
	const tooLong = 5 * time.Second // takes 0.1 s here; with the library's own leet matcher 12 s
	for name, pw := range map[string]string{
		"a megabyte of one letter":     strings.Repeat("a", 1<<20),
		"a megabyte of leet":           strings.Repeat("p4$$w0rd|7!", 1<<16),
		"every substitution at once":   strings.Repeat("4@8({[<369!1|0$5+7%2z", 50),
		"a megabyte that folds longer": strings.Repeat("ﷺ", 1<<18),
		"dates":                        strings.Repeat("13.04.1997", 1000),
	} {
		done := make(chan Strength, 1)
		go func() { done <- Estimate(seal.Secret(pw), anaHerself) }()
		select {
		case <-done:
		case <-time.After(tooLong):
			t.Errorf("%s takes for ever", name)
		}
	}
}

func FuzzStrength(f *testing.F) {
	for _, s := range []string{"password", "ﷺ", "\xff\xfe", "пароль", "🔑🔑", "1/1/1", "aaaa"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, pw string) {
		s := Estimate(seal.Secret(pw), anaHerself)
		if s.Score < 0 || s.Score > 4 || len(s.Reasons) > 2 || s.Score >= 3 && s.Reasons != nil || s.Score < 3 && s.Reasons == nil {
			t.Errorf("%q: %+v", pw, s)
		}
	})
}

func TestCuttingKeepsWholeCharacters(t *testing.T) {
	if s := capRunes("äöü", 2); s != "äö" || !utf8.ValidString(s) {
		t.Error(s)
	}
	if s := capRunes("ab", 2); s != "ab" {
		t.Error(s)
	}
}
