package accounts

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
	"pgregory.net/rapid"

	"gatehouse/fault"
)

func TestAllSpellingsOfAnAddressShareOneKey(t *testing.T) {
	for _, row := range []struct{ name, email, key string }{
		{"as it is", "ana@harbour.example", "ana@harbour.example"},
		{"in capitals", "ANA@Harbour.Example", "ana@harbour.example"},
		{"with spaces around it, as pasted", " \tana@harbour.example\r\n", "ana@harbour.example"},
		{"with a no-break space behind it", "ana@harbour.example\u00a0", "ana@harbour.example"},
		{"in full-width letters", "ａｎａ＠ｈａｒｂｏｕｒ．ｅｘａｍｐｌｅ", "ana@harbour.example"},
		{"with a ligature", "ﬁona@harbour.example", "fiona@harbour.example"},
		{"with a German sharp s", "STRASSE@harbour.example", "strasse@harbour.example"},
		{"with a German sharp s in small letters", "straße@harbour.example", "strasse@harbour.example"},
		{"with an accent in two strokes", "rene\u0301@harbour.example", "rené@harbour.example"},
		{"with an accent in one", "RENÉ@harbour.example", "rené@harbour.example"},
		{"with a Greek final sigma", "ΝΊΚΟΣ@harbour.example", "νίκοσ@harbour.example"},
		{"with a Kelvin sign for K", "\u212aim@harbour.example", "kim@harbour.example"},
		{"with a Turkish dotted I, which is not a plain i", "İnci@harbour.example", "i̇nci@harbour.example"},
		{"with a plus and dots, which are other mailboxes", "ana.m+books@harbour.example", "ana.m+books@harbour.example"},
		{"the shortest", "a@b", "a@b"},
		{"the longest", strings.Repeat("a", 242) + "@example.com", strings.Repeat("a", 242) + "@example.com"},
	} {
		t.Run(row.name, func(t *testing.T) {
			if key, err := Canonical(row.email); key != row.key || err != nil {
				t.Errorf("%q, %v; want %q", key, err, row.key)
			}
		})
	}
}

func TestWhatIsNoAddressIsRefused(t *testing.T) {
	for _, row := range []struct{ name, email string }{
		{"nothing", ""},
		{"spaces only", "   "},
		{"no @", "ana.harbour.example"},
		{"two @", "ana@harbour@example"},
		{"a second @ in full-width", "ana@harbour＠example"},
		{"nothing before the @", "@harbour.example"},
		{"nothing behind the @", "ana@"},
		{"a space within", "ana marsh@harbour.example"},
		{"a line end within, for a second header", "ana@harbour.example\r\nBcc: eve@example.com"},
		{"a zero byte", "ana\x00@harbour.example"},
		{"a zero-width space, which nobody sees", "an\u200ba@harbour.example"},
		{"a text direction mark", "ana\u202e@harbour.example"},
		{"a soft hyphen", "an\u00ada@harbour.example"},
		{"a variation selector", "ana\ufe0f@harbour.example"},
		{"bytes that are no UTF-8", "ana\xff@harbour.example"},
		{"the replacement character", "ana\ufffd@harbour.example"},
		{"255 bytes", strings.Repeat("a", 243) + "@example.com"},
		{"255 bytes only when folded", strings.Repeat("ﷺ", 8) + "@" + strings.Repeat("b", 150) + ".example"},
		{"ten megabytes", strings.Repeat("a", 10<<20) + "@example.com"},
	} {
		t.Run(row.name, func(t *testing.T) {
			key, err := Canonical(row.email)
			if fault.Of(err) != fault.BadRequest || key != "" {
				t.Errorf("%q, %v", key, err)
			}
			if err != nil && strings.Contains(err.Error(), "ana") {
				t.Errorf("the error repeats the address: %v", err)
			}
		})
	}
}

func TestAddressesThatLookAlikeShareASkeleton(t *testing.T) {
	for _, row := range []struct {
		name, one, other string
		same             bool
	}{
		{"itself", "ana@harbour.example", "ana@harbour.example", true},
		{"Cyrillic letters", "ana@harbour.example", "аnа@hаrbоur.ехаmрlе", true},
		{"r and n for m", "mary@harbour.example", "rnary@harbour.example", true},
		{"1 for l", "paul@harbour.example", "pau1@harbour.example", true},
		{"0 for o", "ana@harbour.example", "ana@harb0ur.example", true},
		{"a Greek omicron", "ana@harbour.example", "ana@harbοur.example", true},
		{"a dotless i", "nina@harbour.example", "nına@harbour.example", true},
		{"another name", "ana@harbour.example", "ina@harbour.example", false},
		{"an accent that can be seen", "rene@harbour.example", "rené@harbour.example", false},
		{"another order", "ana@harbour.example", "naa@harbour.example", false},
	} {
		t.Run(row.name, func(t *testing.T) {
			one, err1 := Canonical(row.one)
			other, err2 := Canonical(row.other)
			if err1 != nil || err2 != nil {
				t.Fatal(err1, err2)
			}
			if got := Skeleton(one) == Skeleton(other); got != row.same {
				t.Errorf("%q and %q", Skeleton(one), Skeleton(other))
			}
		})
	}
}

func TestTheTableOfLookalikesIsWhole(t *testing.T) {
	lines := strings.Count(confusables, "\n")
	if table := lookalikes(); len(table) != lines || lines < 5000 {
		t.Errorf("%d characters of %d lines", len(table), lines)
	}
	for from, to := range lookalikes() {
		if to == "" || to == string(from) || !utf8.ValidString(to) || !norm.NFD.IsNormalString(string(from)) {
			t.Errorf("%U looks like %q", from, to)
		}
		if s := Skeleton(to); Skeleton(s) != s || Skeleton(string(from)) != s {
			t.Errorf("%U looks like %q, which looks like %q", from, to, Skeleton(to))
		}
	}
}

func addresses() *rapid.Generator[string] {
	part := rapid.StringOf(rapid.RuneFrom(nil, unicode.L, unicode.Nd, unicode.Mn, unicode.Lt, unicode.So))
	return rapid.Custom(func(t *rapid.T) string { return part.Draw(t, "local") + "@" + part.Draw(t, "domain") })
}

func TestAKeyIsItsOwnKey(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) { checkKey(t, addresses().Draw(t, "address")) })
}

func FuzzCanonical(f *testing.F) {
	for _, s := range []string{"ana@harbour.example", "ＡＮＡ＠ｈ", "İ@İ", "ᾳ\u0345@ᾼ", "ß@ẞ", "\u0390@\u1fd3", "ana\u0345\u0301@x.y"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) { checkKey(t, s) })
}

func checkKey(t interface{ Fatalf(string, ...any) }, email string) {
	key, err := Canonical(email)
	if err != nil {
		return
	}
	if again, err := Canonical(key); again != key || err != nil {
		t.Fatalf("%q became %q and then %q, %v", email, key, again, err)
	}
	if len(key) < 3 || len(key) > 254 || strings.Count(key, "@") != 1 || !norm.NFKC.IsNormalString(key) {
		t.Fatalf("%q became %q", email, key)
	}
	if key2, err := Canonical("  " + strings.ToUpper(key) + " "); err == nil && fold(strings.ToUpper(key)) == key && key2 != key {
		t.Fatalf("%q in capitals became %q", key, key2)
	}
	if s := Skeleton(key); Skeleton(s) != s {
		t.Fatalf("the skeleton of %q is %q, and that of it %q", key, s, Skeleton(s))
	}
}
