package web

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"gatehouse/fault"
)

func TestParsingRequestJSON(t *testing.T) {
	for _, c := range []struct {
		name string
		raw  string
		want string // the email member; "!" for refused
	}{
		{"a plain object", `{"email":"a"}`, "a"},
		{"an empty object", `{}`, ""},
		{"spaces around it", " \n{ \"email\" : \"a\" } \n", "a"},
		{"members we do not know are ignored", `{"x":1,"y":[1,{"z":null}],"email":"a"}`, "a"},
		{"names are compared exactly", `{"Email":"b","EMAIL":"c","email":"a"}`, "a"},
		{"a name written with escapes is that name", `{"\u0065mail":"a"}`, "a"},
		{"a name twice is refused", `{"email":"a","email":"b"}`, "!"},
		{"a name twice, once in escapes, is refused", `{"email":"a","\u0065mail":"b"}`, "!"},
		{"an unknown name twice is refused", `{"x":1,"x":2,"email":"a"}`, "!"},
		{"a name twice deep inside is refused", `{"x":[{"y":1,"y":2}],"email":"a"}`, "!"},
		{"the same name in two objects is fine", `{"x":{"email":"b"},"email":"a"}`, "a"},
		{"text after the object is refused", `{"email":"a"}x`, "!"},
		{"a second object is refused", `{"email":"a"}{"email":"b"}`, "!"},
		{"an array is not an object", `[{"email":"a"}]`, "!"},
		{"a string is not an object", `"email"`, "!"},
		{"null is not an object", `null`, "!"},
		{"nothing is not an object", ``, "!"},
		{"a trailing comma is refused", `{"email":"a",}`, "!"},
		{"a comment is refused", `{"email":"a"/**/}`, "!"},
		{"an end too early is refused", `{"email":"a"`, "!"},
		{"broken UTF-8 is refused", "{\"email\":\"\xff\"}", "!"},
		{"a byte order mark is refused", "\ufeff{\"email\":\"a\"}", "!"},
		{"a control character is refused", "{\"email\":\"a\x00\"}", "!"},
		{"an emoji as two escapes is one character", `{"email":"\ud83d\ude00"}`, "😀"},
		{"a high half alone is refused", `{"email":"\ud83d"}`, "!"},
		{"a high half before text is refused", `{"email":"\ud83dx"}`, "!"},
		{"a high half before another escape is refused", `{"email":"\ud83d\n"}`, "!"},
		{"two high halves are refused", `{"email":"\ud83d\ud83d\ude00"}`, "!"},
		{"a low half alone is refused", `{"email":"\ude00"}`, "!"},
		{"an escaped backslash is not the start of an escape", `{"email":"\\ud83d"}`, `\ud83d`},
		{"a replacement character is a character", `{"email":"\ufffd"}`, "\ufffd"},
		{"nesting has a limit", `{"x":` + strings.Repeat("[", maxDepth) + strings.Repeat("]", maxDepth) + `}`, "!"},
		{"nesting below it is fine", `{"x":` + strings.Repeat("[", maxDepth-1) + strings.Repeat("]", maxDepth-1) + `,"email":"a"}`, "a"},
		{"nesting without an end is refused", strings.Repeat(`{"x":`, 10000), "!"},
		{"a number is not a string", `{"email":1}`, "!"},
		{"null is not a string", `{"email":null}`, "!"},
		{"an object is not a string", `{"email":{}}`, "!"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f, err := parseFields([]byte(c.raw))
			r := reader{fields: f, err: err}
			got := r.text("email")
			if r.err != nil {
				got = "!"
				if fault.Of(r.err) != fault.BadRequest {
					t.Errorf("code %s", fault.Of(r.err))
				}
			}
			if got != c.want {
				t.Errorf("got %q, want %q (%v)", got, c.want, r.err)
			}
		})
	}
}

func TestFlags(t *testing.T) {
	for raw, want := range map[string]bool{`{"confirmed":true}`: true, `{"confirmed":false}`: false, `{}`: false} {
		f, err := parseFields([]byte(raw))
		r := reader{fields: f, err: err}
		if r.flag("confirmed") != want || r.err != nil {
			t.Errorf("%s: %v", raw, r.err)
		}
	}
	for _, raw := range []string{`{"confirmed":"true"}`, `{"confirmed":1}`, `{"confirmed":null}`} {
		f, _ := parseFields([]byte(raw))
		if r := (reader{fields: f}); r.flag("confirmed") || r.err == nil {
			t.Errorf("%s was taken", raw)
		}
	}
}

// What we accept, the standard decoder accepts and reads the same way.
func FuzzParseFields(f *testing.F) {
	for _, seed := range []string{`{"email":"a"}`, `{"a":{"b":[1,2,{"c":null}]},"d":true}`, `{"\ud83d\ude00":"\ud83d"}`, `{"a":1,"a":2}`, `[]`, "{\"a\":\"\xff\"}", `{"":"\\u"}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		got, err := parseFields(raw)
		if err != nil {
			if fault.Of(err) != fault.BadRequest {
				t.Fatalf("code %s", fault.Of(err))
			}
			return
		}
		var want map[string]any
		if err := json.Unmarshal(raw, &want); err != nil {
			t.Fatalf("accepted, but not JSON: %v", err)
		}
		if len(got) != len(want) {
			t.Fatalf("%d members, the decoder has %d", len(got), len(want))
		}
		for name, v := range got {
			if s, ok := v.(string); ok && (s != want[name] || !utf8.ValidString(s)) {
				t.Fatalf("%q: %q, the decoder has %q", name, s, want[name])
			}
		}
	})
}
