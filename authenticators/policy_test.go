package authenticators

import (
	"slices"
	"strings"
	"testing"
	"time"

	"gatehouse/seal"
	"gatehouse/words"
)

var anaHerself = Personal{Email: "ana.marsh@harbour-books.example", Name: "Ana Márquez-Marsh", Organisations: []string{"Harbour Books", "Reef & Sons"}, Product: "Gatehouse"}

func policy(t testing.TB, p Preset) Policy {
	t.Helper()
	policy, err := PolicyOf(p, 0)
	if err != nil {
		t.Fatal(err)
	}
	return policy
}

func keysOf(reasons []Reason) (keys []string) {
	for _, r := range reasons {
		keys = append(keys, r.Key)
	}
	return keys
}

func TestWhatSpeaksAgainstAPassword(t *testing.T) {
	leaked := buildTest(t, "tangerine-otter-41\n")
	for _, row := range []struct {
		name   string
		preset Preset
		pw     seal.Secret
		why    []string
	}{
		{"modern takes small letters alone", Modern, "quaysidelantern", nil},
		{"modern takes eight unlikely characters", Modern, "vq7xk2mw", nil},
		{"modern takes every script", Modern, "причалфонарь", nil},
		{"modern wants eight characters, and counts characters, not bytes", Modern, "причал", []string{ReasonShort}},
		{"modern refuses seven", Modern, "vq7xk2m", []string{ReasonShort}},
		{"a character made of two strokes counts once", Modern, "e\u0301e\u0301e\u0301e\u0301e\u0301", []string{ReasonShort}},
		{"a common password", Modern, "password", []string{ReasonCommon}},
		{"a common password in capitals", Modern, "PassWord", []string{ReasonCommon}},
		{"a common password with digits for letters", Modern, "P@ssw0rd", []string{ReasonCommon}},
		{"a common password with a year", Modern, "sunshine2026", []string{ReasonCommon}},
		{"a common password with a tail", Modern, "Passw0rd!123", []string{ReasonCommon}},
		{"a common password in full-width letters", Modern, "ｐａｓｓｗｏｒｄ", []string{ReasonCommon}},
		{"a common word inside a long one does no harm", Modern, "my password for the quay", nil},
		{"a common word with a long number of its own", Modern, "sunshine 8412 9931", nil},
		{"her name", Modern, "AnaMárquezMarsh", []string{ReasonPersonal}},
		{"her name without accents", Modern, "ana marquez marsh", []string{ReasonPersonal}},
		{"her address", Modern, "ana.marsh@harbour-books.example", []string{ReasonPersonal}},
		{"the part before the @", Modern, "ana.marsh", []string{ReasonPersonal}},
		{"two of her three names", Modern, "marquezmarsh!", []string{ReasonPersonal}},
		{"her organisation", Modern, "HarbourBooks", []string{ReasonPersonal}},
		{"her organisation with digits for letters", Modern, "h4rb0ur-b00k5", []string{ReasonPersonal}},
		{"her organisation with a year and a mark", Modern, "Harbour Books26!", []string{ReasonPersonal}},
		{"her other organisation", Modern, "reef&sons!", []string{ReasonPersonal}},
		{"the product", Modern, "Gatehouse1", []string{ReasonPersonal}},
		{"her organisation inside a long phrase does no harm", Modern, "harbour books smell of old paper", nil},
		{"a leaked password", Modern, "tangerine-otter-41", []string{ReasonBreached}},
		{"a leaked password is matched as it is, not its variants", Modern, "Tangerine-otter-41", nil},
		{"pci wants twelve", PCI, "vq7xk2mw", []string{ReasonShort}},
		{"pci wants a digit", PCI, "quaysidelantern", []string{ReasonDigit}},
		{"pci wants a letter", PCI, "841299315507", []string{ReasonLetter}},
		{"pci takes letters and digits of any script", PCI, "причалфонарь٧", nil},
		{"pci asks for no capitals and no symbols", PCI, "quaysidelantern7", nil},
		{"legacy wants a capital, a digit and a symbol", Legacy, "quaysidelantern", []string{ReasonUpper, ReasonDigit, ReasonSymbol}},
		{"legacy wants a small letter", Legacy, "QUAYSIDE-7", []string{ReasonLower}},
		{"a space is no symbol", Legacy, "Quayside lantern 7", []string{ReasonSymbol}},
		{"legacy takes all four", Legacy, "Quayside-7", nil},
		{"legacy refuses a common one all the same", Legacy, "Passw0rd!", []string{ReasonCommon}},
		{"several reasons at once", Legacy, "anamarsh", []string{ReasonUpper, ReasonDigit, ReasonSymbol, ReasonPersonal}},
		{"longer than is ever hashed", Modern, seal.Secret(strings.Repeat("long ", 205)), []string{ReasonLong}},
	} {
		t.Run(row.name, func(t *testing.T) {
			why := keysOf(policy(t, row.preset).Judge(row.pw, anaHerself, Lists{Breached: leaked}))
			if !slices.Equal(why, row.why) {
				t.Errorf("%v, want %v", why, row.why)
			}
		})
	}
}

func TestPresetsAreWhatTheyAreCalled(t *testing.T) {
	if _, err := PolicyOf("strict", 0); err == nil {
		t.Error("an unknown preset passes")
	}
	if _, err := PolicyOf(Legacy, -1); err == nil {
		t.Error("a negative number of days passes")
	}
	if p := policy(t, PCI); p.KeepOld != 4 || p.MinLength != 12 || p.MaxAge != 0 {
		t.Errorf("%+v", p)
	}
	if p := policy(t, Modern); p != (Policy{Preset: Modern, MinLength: 8}) {
		t.Errorf("modern asks for more than length: %+v", p)
	}
	if got := keysOf(policy(t, Legacy).Rules()); !slices.Equal(got, []string{"password.rule.length", "password.rule.mixed", "password.rule.digit", "password.rule.symbol", "password.rule.expires", "password.rule.lists"}) {
		t.Error(got)
	}
	if got := keysOf(policy(t, PCI).Rules()); !slices.Equal(got, []string{"password.rule.length", "password.rule.letter", "password.rule.digit", "password.rule.reused", "password.rule.lists"}) {
		t.Error(got)
	}
}

func TestOnlyLegacyPasswordsExpire(t *testing.T) {
	month, err := PolicyOf(Legacy, 30)
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		name   string
		policy Policy
		age    time.Duration
		want   bool
	}{
		{"modern never", policy(t, Modern), 50 * 365 * 24 * time.Hour, false},
		{"pci never, as nobody signs in with a password alone", policy(t, PCI), 50 * 365 * 24 * time.Hour, false},
		{"legacy not before its day", policy(t, Legacy), 90*24*time.Hour - time.Second, false},
		{"legacy on its day", policy(t, Legacy), 90 * 24 * time.Hour, true},
		{"legacy with thirty days", month, 30 * 24 * time.Hour, true},
	} {
		if got := row.policy.Expired(noon, noon.Add(row.age)); got != row.want {
			t.Errorf("%s: %v", row.name, got)
		}
	}
}

func TestAPasswordUsedBeforeIsFoundAmongTheOldHashes(t *testing.T) {
	h := testHasher(t, testKeys(t), quick)
	var old []PasswordHash
	for _, pw := range []seal.Secret{"lantern-one", "lantern-two"} {
		hash, err := h.Hash(t.Context(), ana, pw)
		if err != nil {
			t.Fatal(err)
		}
		old = append(old, hash)
	}
	for pw, want := range map[seal.Secret]bool{"lantern-one": true, "lantern-two": true, "lantern-three": false} {
		if got, err := h.Reused(t.Context(), ana, old, pw); got != want || err != nil {
			t.Errorf("%s: %v %v", pw.Reveal(), got, err)
		}
	}
	if _, err := h.Reused(t.Context(), ana, []PasswordHash{{"damaged", 1}}, "lantern-one"); err == nil {
		t.Error("a damaged hash must be an error, not \"never used\"")
	}
}

func TestEverySentenceIsInTheCatalogue(t *testing.T) {
	english := words.For("en")
	keys := []string{ReasonShort, ReasonLong, ReasonLetter, ReasonDigit, ReasonUpper, ReasonLower, ReasonSymbol, ReasonPersonal, ReasonCommon, ReasonBreached, ReasonReused,
		WhyEmpty, WhyShort, WhyCommon, WhyPersonal, WhyWord, WhyName, WhyKeyboard, WhyRepeat, WhySequence, WhyDate, HintAhead, HintBehind, HintUsed}
	for _, p := range Presets() {
		policy := policy(t, p)
		keys = append(append(keys, policy.Name(), policy.Note()), keysOf(policy.Rules())...)
	}
	for score := range 5 {
		keys = append(keys, Strength{Score: score}.Label())
	}
	for _, k := range keys {
		if !english.Has(k) {
			t.Errorf("%s is missing", k)
		}
	}
	if s := english.Say(HintBehind, Hint{Key: HintBehind, Seconds: 90}.Fields()...); !strings.Contains(s, "about 90 seconds behind") {
		t.Error(s)
	}
}
