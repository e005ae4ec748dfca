package authenticators_test

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"gatehouse/authenticators"
	"gatehouse/proof"
)

var portugal = authenticators.NumberRules{Countries: []string{"PT", "GB"}, Country: "PT"}

func TestNumbersAreReadAsPeopleTypeThem(t *testing.T) {
	abroad := authenticators.NumberRules{Countries: []string{"PT", "US", "DE"}}
	for _, c := range []struct {
		what  string
		rules authenticators.NumberRules
		typed string
		e164  string
		why   string
	}{
		{"with spaces", portugal, " 912 345 642 ", "+351912345642", ""},
		{"with its country", portugal, "+351 912-345-642", "+351912345642", ""},
		{"with 00", portugal, "00351912345642", "+351912345642", ""},
		{"with 00 and no country of its own", abroad, "00351 912 345 642", "+351912345642", ""},
		{"with brackets", abroad, "+1 (212) 736-5000", "+12127365000", ""},
		{"with a zero in brackets", portugal, "+44 (0)20 7946 0018", "+442079460018", ""},
		{"full-width", portugal, "＋３５１９１２３４５６４２", "+351912345642", ""},
		{"Arabic digits", portugal, "٩١٢٣٤٥٦٤٢", "+351912345642", ""},
		{"without a country where none is ours", abroad, "912 345 642", "", authenticators.NumberUnreadable},
		{"words", portugal, "call me", "", authenticators.NumberUnreadable},
		{"letters for digits", portugal, "+1 800 FLOWERS", "", authenticators.NumberUnreadable},
		{"an extension", portugal, "912345642 ext 7", "", authenticators.NumberUnreadable},
		{"too short", portugal, "9123", "", authenticators.NumberUnreadable},
		{"too long", portugal, strings.Repeat("9", 64), "", authenticators.NumberUnreadable},
		{"endless", portugal, strings.Repeat("9", 100_000), "", authenticators.NumberUnreadable},
		{"nothing", portugal, "", "", authenticators.NumberUnreadable},
		{"an emergency", portugal, "112", "", authenticators.NumberUnreadable},
		{"another country", portugal, "+33 6 12 34 56 78", "", authenticators.NumberCountry},
		{"no country at all is allowed", authenticators.NumberRules{}, "+351912345642", "", authenticators.NumberCountry},
		{"an island that shares a prefix", abroad, "+1 876 922 1234", "", authenticators.NumberCountry},
		{"a satellite", portugal, "+870 773 111 632", "", authenticators.NumberCountry},
		{"premium rate", portugal, "+351 601 234 567", "", authenticators.NumberPaid},
		{"shared cost", portugal, "+351 707 123 456", "", authenticators.NumberPaid},
		{"premium rate, British", portugal, "+44 909 879 0000", "", authenticators.NumberPaid},
		{"Internet telephony", portugal, "+351 30 123 4567", "", authenticators.NumberVoIP},
	} {
		n, why := c.rules.Parse(c.typed)
		if why != c.why || why == "" && n.E164 != c.e164 {
			t.Errorf("%s: %q is %q, %q", c.what, c.typed, n.E164, why)
		}
	}
}

func TestWaysFollowTheSortOfNumber(t *testing.T) {
	voip := portugal
	voip.VoIP = true
	for _, c := range []struct {
		rules authenticators.NumberRules
		typed string
		want  []proof.Method
	}{
		{portugal, "912345642", []proof.Method{proof.SMS, proof.Voice}},
		{portugal, "211234567", []proof.Method{proof.Voice}},
		{voip, "+351 30 123 4567", []proof.Method{proof.SMS, proof.Voice}},
	} {
		if n, why := c.rules.Parse(c.typed); why != "" || !slices.Equal(n.Ways, c.want) {
			t.Errorf("%s: %v, %q", c.typed, n.Ways, why)
		}
	}
}

func TestAMaskShowsTheCountryAndTwoDigitsHoweverLongTheNumberIs(t *testing.T) {
	for number, want := range map[string]string{"+351912345642": "+351 ••• ••42", "+442079460018": "+44 ••• ••18", "+12127365000": "+1 ••• ••00", "+4": "••• ••", "": "••• ••"} {
		n, _ := authenticators.NumberRules{Countries: []string{"PT", "GB", "US"}}.Parse(number)
		n.E164 = number
		if got := n.Masked(); got != want {
			t.Errorf("%s: %q", number, got)
		}
	}
}

func FuzzParseNumber(f *testing.F) {
	for _, s := range []string{"912 345 642", "+351912345642", "0044 20 7946 0018", "٩١٢", "+", "00", "call me", "\x00\xff"} {
		f.Add(s)
	}
	e164 := regexp.MustCompile(`^\+[1-9][0-9]{6,14}$`)
	f.Fuzz(func(t *testing.T, typed string) {
		n, why := portugal.Parse(typed)
		if why != "" {
			return
		}
		if !e164.MatchString(n.E164) || !portugal.Serves(n.Country) || len(n.Ways) == 0 {
			t.Errorf("%q is %+v", typed, n)
		}
		if again, why := portugal.Parse(n.E164); why != "" || again.E164 != n.E164 {
			t.Errorf("%q is not read again as itself: %+v, %q", n.E164, again, why)
		}
		if strings.Contains(n.Masked(), n.E164[4:len(n.E164)-2]) {
			t.Errorf("the mask of %s shows it: %s", n.E164, n.Masked())
		}
	})
}
