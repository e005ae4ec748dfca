package events

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"gatehouse/words"
)

func TestEveryKindConstantStandsInTheTableOnce(t *testing.T) {
	rows := map[Kind]int{}
	for _, d := range Kinds() {
		rows[d.Kind]++
	}
	constants := kindConstants(t)
	if len(constants) < 40 {
		t.Fatalf("found only %d constants in kinds.go: the test looks in the wrong place", len(constants))
	}
	for _, k := range constants {
		if rows[k] != 1 {
			t.Errorf("%s stands %d times in the table", k, rows[k])
		}
		delete(rows, k)
	}
	for k := range rows {
		t.Errorf("%s has no constant", k)
	}
}

func kindConstants(t *testing.T) (kinds []Kind) {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "kinds.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		if typ, ok := spec.Type.(*ast.Ident); ok && typ.Name == "Kind" {
			text, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
			if err != nil {
				t.Fatal(err)
			}
			kinds = append(kinds, Kind(text))
		}
		return true
	})
	return kinds
}

func TestTheTableIsWellFormed(t *testing.T) {
	for _, d := range Kinds() {
		if d.Version < 1 || !strings.HasSuffix(d.Doc, ".") {
			t.Errorf("%s: a version from 1 and a sentence are needed", d.Kind)
		}
		all := map[string]bool{}
		for _, f := range append(append([]string{}, d.Data...), d.Personal...) {
			if all[f] {
				t.Errorf("%s declares %q twice", d.Kind, f)
			}
			all[f] = true
		}
		if d.By != "" && !all[d.By] {
			t.Errorf("%s chooses its sentence by %q, which it does not declare", d.Kind, d.By)
		}
	}
}

func TestEveryKindHasASentenceWithoutHoles(t *testing.T) {
	c := words.For("en")
	for _, d := range Kinds() {
		for _, value := range append([]string{"", "of-a-later-build"}, documented(d)...) {
			bare := Event{Kind: d.Kind, Data: map[string]string{d.By: value}}
			if s := Sentence(c, bare); strings.ContainsAny(s, "{⟦") || s == "" {
				t.Errorf("%s with nothing known reads %q", d.Kind, s)
			}
			if s := Sentence(c, filled(d, value)); strings.ContainsAny(s, "{⟦") {
				t.Errorf("%s with everything known reads %q", d.Kind, s)
			}
		}
	}
}

func filled(d Definition, by string) Event {
	e := Event{Kind: d.Kind, Data: map[string]string{}, Personal: map[string]string{}}
	for _, f := range d.Data {
		e.Data[f] = "3"
	}
	for _, f := range d.Personal {
		e.Personal[f] = "x"
	}
	if d.By != "" {
		e.Data[d.By] = by
	}
	return e
}

// documented are the values that a kind's Doc lists for the field that chooses
// its sentence, as in "`reason`: wrong, used."
func documented(d Definition) []string {
	if d.By == "" {
		return nil
	}
	m := regexp.MustCompile("`" + d.By + "`: ([a-z+, -]+)").FindStringSubmatch(d.Doc)
	if m == nil {
		return nil
	}
	return strings.Split(strings.TrimSpace(m[1]), ", ")
}

func TestEveryDocumentedReasonHasASentenceOfItsOwn(t *testing.T) {
	c := words.For("en")
	looked := 0
	for _, d := range Kinds() {
		if d.By != "" && documented(d) == nil {
			t.Errorf("%s: its Doc does not list the values of `%s`", d.Kind, d.By)
		}
		for _, value := range documented(d) {
			looked++
			if !c.Has(d.Sentence() + "." + value) {
				t.Errorf("%s: no sentence for %s %q", d.Kind, d.By, value)
			}
		}
	}
	if looked < 30 {
		t.Errorf("only %d values were looked at", looked)
	}
}

func TestNoSentenceIsWithoutAKind(t *testing.T) {
	known := map[string]bool{"event.parked": true}
	for _, d := range Kinds() {
		known[d.Sentence()] = true
		for _, value := range documented(d) {
			known[d.Sentence()+"."+value] = true
		}
	}
	for _, k := range words.For("en").Keys() {
		base := strings.TrimSuffix(strings.TrimSuffix(k, ".one"), ".other")
		if strings.HasPrefix(k, "event.") && !strings.HasPrefix(k, "event.unknown") && !known[base] {
			t.Errorf("%s belongs to no kind", k)
		}
	}
}

func TestSentencesReadAsPeopleSpeak(t *testing.T) {
	c := words.For("en")
	mac := "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36"
	for name, row := range map[string]struct {
		e    Event
		want string
	}{
		"a sign-in says what was shown": {
			Event{Kind: SignedIn, Data: map[string]string{"method": "password+totp"}},
			"Signed in with password and authenticator app"},
		"a refusal says why": {
			Event{Kind: SignInRefused, Data: map[string]string{"reason": "wrong-password"}},
			"Sign-in refused: the password did not match"},
		"a refusal for a reason of a later build still says that it was one": {
			Event{Kind: SignInRefused, Data: map[string]string{"reason": "moon-phase"}},
			"Sign-in refused"},
		"an authenticator is called by its name": {
			Event{Kind: AuthenticatorAdded, Data: map[string]string{"method": "totp"}, Personal: map[string]string{"name": "Ana’s phone"}},
			"Authenticator app added: Ana’s phone"},
		"one code left is one": {
			Event{Kind: RecoveryCodeUsed, Data: map[string]string{"left": "1"}},
			"A recovery code was used; 1 is left"},
		"more codes left are more": {
			Event{Kind: RecoveryCodeUsed, Data: map[string]string{"left": "9"}},
			"A recovery code was used; 9 are left"},
		"a new device is named": {
			Event{Kind: DeviceNew, Personal: map[string]string{"agent": mac}},
			"First sign-in from Chrome on macOS"},
		"a device whose data was erased is unknown": {
			Event{Kind: DeviceNew, Hidden: Erased},
			"First sign-in from an unknown browser"},
		"an event of a later build is told of, not guessed at": {
			Event{Kind: SignedIn, Parked: true},
			"Something happened that this version of Gatehouse does not know how to describe"},
		"a name cannot bring placeholders of its own": {
			Event{Kind: AuthenticatorAdded, Personal: map[string]string{"name": "{email}", "email": "a@example.com"}},
			"Authenticator added: {email}"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := Sentence(c, row.e); got != row.want {
				t.Errorf("got  %q\nwant %q", got, row.want)
			}
		})
	}
}

func TestTheDocumentIsMadeFromTheTable(t *testing.T) {
	kept, err := os.ReadFile("../docs/events.md")
	if err != nil {
		t.Fatal(err)
	}
	if string(kept) != Markdown() {
		t.Error("docs/events.md is not what the table says; run: go run ./cmd/gatehouse events kinds --markdown > docs/events.md")
	}
}
