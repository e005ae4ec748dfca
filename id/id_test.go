package id_test

import (
	"bytes"
	"crypto/rand"
	"errors"
	"regexp"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"pgregory.net/rapid"

	"gatehouse/id"
)

// RFC 9562 appendix A.6: the example of a UUIDv7.
func TestNewIsTheExampleOfRFC9562(t *testing.T) {
	at := time.UnixMilli(0x017F22E279B0)
	random := bytes.NewReader([]byte{0x0C, 0xC3, 0x18, 0xC4, 0xDC, 0x0C, 0x0C, 0x07, 0x39, 0x8F})
	if got, want := id.New[id.Account](at, random), id.Account("017f22e2-79b0-7cc3-98c4-dc0c0c07398f"); got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

var form = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-[78][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)

func TestNewIdsAreWellFormedAndDiffer(t *testing.T) {
	seen := map[id.Event]bool{}
	at := time.Unix(1_800_000_000, 0)
	for range 10_000 {
		e := id.New[id.Event](at, rand.Reader)
		if !form.MatchString(string(e)) || e[14] != '7' || seen[e] {
			t.Fatalf("%s", e)
		}
		if _, err := id.Parse[id.Event](string(e)); err != nil {
			t.Fatal(err)
		}
		seen[e] = true
	}
}

func TestWithoutRandomnessThereIsNoId(t *testing.T) {
	for name, random := range map[string]*strings.Reader{"none": strings.NewReader(""), "too little": strings.NewReader("123456789")} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: an id that can be guessed", name)
				}
			}()
			id.New[id.Session](time.Now(), random)
		}()
	}
	defer func() {
		if recover() == nil {
			t.Error("broken: an id that can be guessed")
		}
	}()
	id.New[id.Session](time.Now(), iotest.ErrReader(errors.New("broken")))
}

func TestDeriveIsTheSameForTheSamePartsOnly(t *testing.T) {
	one := id.Derive[id.Session]("ab", "c")
	if one != id.Derive[id.Session]("ab", "c") || !form.MatchString(string(one)) || one[14] != '8' {
		t.Errorf("%s", one)
	}
	for _, other := range [][]string{{"a", "bc"}, {"abc"}, {"ab", "c", ""}, {"", "ab", "c"}, {"c", "ab"}, {}} {
		if id.Derive[id.Session](other...) == one {
			t.Errorf("%q collides", other)
		}
	}
	rapid.Check(t, func(rt *rapid.T) {
		parts := rapid.SliceOfN(rapid.String(), 0, 4)
		a, b := parts.Draw(rt, "a"), parts.Draw(rt, "b")
		same := len(a) == len(b) && strings.Join(a, "\x00\x01\x00") == strings.Join(b, "\x00\x01\x00")
		if (id.Derive[id.Link](a...) == id.Derive[id.Link](b...)) != same {
			rt.Fatal("two things, one id, or the other way round")
		}
	})
}

func TestParseTakesTheCanonicalFormOnly(t *testing.T) {
	good := "017f22e2-79b0-7cc3-98c4-dc0c0c07398f"
	if got, err := id.Parse[id.Device](good); err != nil || got != id.Device(good) {
		t.Errorf("%q, %v", got, err)
	}
	for name, s := range map[string]string{
		"empty": "", "in capitals": strings.ToUpper(good), "in braces": "{" + good + "}", "with a space": good + " ",
		"without dashes": strings.ReplaceAll(good, "-", ""), "too short": good[1:], "a dash elsewhere": "017f22e27-9b0-7cc3-98c4-dc0c0c07398f",
		"a letter beyond f": "017g22e2-79b0-7cc3-98c4-dc0c0c07398f", "a line break": good[:35] + "\n", "as a URN": "urn:uuid:" + good,
	} {
		if _, err := id.Parse[id.Device](s); !errors.Is(err, id.ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
