package seal_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gatehouse/seal"
)

var noon = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

func newKeys(t testing.TB) (*seal.Keys, string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "keys")
	if err := seal.InitKeys(dir); err != nil {
		t.Fatal(err)
	}
	return load(t, dir), dir
}

func load(t testing.TB, dir string) *seal.Keys {
	t.Helper()
	k, err := seal.LoadKeys(dir)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestAValueOpensInItsOwnPlaceOnly(t *testing.T) {
	k, _ := newKeys(t)
	at := seal.Place{Table: "totp", Row: "r1", Column: "secret"}
	sealed, err := k.Seal(at, []byte("plain"))
	if err != nil {
		t.Fatal(err)
	}
	if plain, err := k.Open(at, sealed); err != nil || string(plain) != "plain" {
		t.Fatalf("%q, %v", plain, err)
	}
	for name, other := range map[string]seal.Place{
		"another table":        {Table: "outbox", Row: "r1", Column: "secret"},
		"another row":          {Table: "totp", Row: "r2", Column: "secret"},
		"another column":       {Table: "totp", Row: "r1", Column: "name"},
		"the names glued anew": {Table: "totpr1", Row: "", Column: "secret"},
		"nowhere":              {},
	} {
		if _, err := k.Open(other, sealed); !errors.Is(err, seal.ErrForged) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for i := range sealed {
		bad := bytes.Clone(sealed)
		bad[i] ^= 1
		if _, err := k.Open(at, bad); !errors.Is(err, seal.ErrForged) {
			t.Fatalf("byte %d changed: %v", i, err)
		}
	}
	for n := range sealed {
		if _, err := k.Open(at, sealed[:n]); !errors.Is(err, seal.ErrForged) {
			t.Fatalf("cut to %d: %v", n, err)
		}
	}
	again, _ := k.Seal(at, []byte("plain"))
	if bytes.Equal(again, sealed) {
		t.Error("sealing twice gave the same: equal values can be told")
	}
}

func TestATokenOpensForItsPurposeBindingAndTime(t *testing.T) {
	k, _ := newKeys(t)
	token, err := k.SealToken(seal.Attempt, "device-1", noon.Add(time.Minute), []byte("plain"))
	if err != nil {
		t.Fatal(err)
	}
	foreign, _ := newKeys(t)
	for _, c := range []struct {
		name    string
		keys    *seal.Keys
		purpose seal.Purpose
		binding string
		now     time.Time
		token   string
		want    error
	}{
		{"as it was sealed", k, seal.Attempt, "device-1", noon, token, nil},
		{"a microsecond before its end", k, seal.Attempt, "device-1", noon.Add(time.Minute - time.Microsecond), token, nil},
		{"at its end", k, seal.Attempt, "device-1", noon.Add(time.Minute), token, seal.ErrExpired},
		{"a year later", k, seal.Attempt, "device-1", noon.AddDate(1, 0, 0), token, seal.ErrExpired},
		{"for another purpose", k, seal.Ticket, "device-1", noon, token, seal.ErrForged},
		{"for another browser", k, seal.Attempt, "device-2", noon, token, seal.ErrForged},
		{"for no browser", k, seal.Attempt, "", noon, token, seal.ErrForged},
		{"with purpose and binding glued anew", k, seal.Attempt + "\x00device-1", "", noon, token, seal.ErrForged},
		{"an expired one for another browser says no more than forged", k, seal.Attempt, "device-2", noon.AddDate(1, 0, 0), token, seal.ErrForged},
		{"by another house's keys", foreign, seal.Attempt, "device-1", noon, token, seal.ErrForged},
		{"empty", k, seal.Attempt, "device-1", noon, "", seal.ErrForged},
		{"padded", k, seal.Attempt, "device-1", noon, token + "=", seal.ErrForged},
		{"with a line break", k, seal.Attempt, "device-1", noon, token[:8] + "\n" + token[8:], seal.ErrForged},
		{"longer than a cookie", k, seal.Attempt, "device-1", noon, strings.Repeat("A", 5000), seal.ErrForged},
	} {
		t.Run(c.name, func(t *testing.T) {
			plain, err := c.keys.OpenToken(c.purpose, c.binding, c.now, c.token)
			if !errors.Is(err, c.want) || c.want == nil && string(plain) != "plain" {
				t.Errorf("%q, %v; want %v", plain, err, c.want)
			}
		})
	}
	for n := range token {
		if _, err := k.OpenToken(seal.Attempt, "device-1", noon, token[:n]); !errors.Is(err, seal.ErrForged) {
			t.Fatalf("cut to %d letters: %v", n, err)
		}
	}
}

func TestATokenHasOneSpelling(t *testing.T) {
	k, _ := newKeys(t)
	token, err := k.SealToken(seal.Ticket, "", noon.Add(time.Hour), []byte("x"))
	if err != nil {
		t.Fatal(err)
	}
	opened := 0
	for _, last := range "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_" {
		if _, err := k.OpenToken(seal.Ticket, "", noon, token[:len(token)-1]+string(last)); err == nil {
			opened++
		}
	}
	if opened != 1 {
		t.Errorf("%d spellings of the last letter open", opened)
	}
}

func TestARotatedKeyMakesAndTheOldOnesStillOpen(t *testing.T) {
	old, dir := newKeys(t)
	at := seal.Place{Table: "totp", Row: "r", Column: "secret"}
	value, _ := old.Seal(at, []byte("v"))
	token, _ := old.SealToken(seal.Ticket, "", noon.Add(time.Hour), []byte("t"))
	pepper, sum, err := old.Pepper(at, []byte("pw"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range seal.Names() {
		if err := seal.RotateKey(dir, name); err != nil {
			t.Fatal(err)
		}
	}
	k := load(t, dir)
	if plain, err := k.Open(at, value); err != nil || string(plain) != "v" {
		t.Errorf("the old value: %v", err)
	}
	if plain, err := k.OpenToken(seal.Ticket, "", noon, token); err != nil || string(plain) != "t" {
		t.Errorf("the old token: %v", err)
	}
	if got, err := k.PepperWith(pepper, at, []byte("pw")); err != nil || !bytes.Equal(got, sum) {
		t.Errorf("the old pepper: %v", err)
	}
	if now, other, _ := k.Pepper(at, []byte("pw")); now == pepper || bytes.Equal(other, sum) || k.PepperID() != now {
		t.Error("the newest pepper does not make")
	}
	fresh, _ := k.Seal(at, []byte("v"))
	if _, err := old.Open(at, fresh); !errors.Is(err, seal.ErrForged) {
		t.Error("the old keys open what the newest sealed: the newest does not make")
	}
	infos, err := seal.ListKeys(dir)
	if err != nil || len(infos) != 2*len(seal.Names()) {
		t.Fatalf("%d keys, %v", len(infos), err)
	}
	primaries := map[string]int{}
	for _, i := range infos {
		if i.Primary {
			primaries[i.Set]++
		}
	}
	for _, name := range seal.Names() {
		if primaries[name] != 1 {
			t.Errorf("%s has %d keys that make", name, primaries[name])
		}
	}
}

func TestAPepperThatIsMissingIsAnErrorAndNoMismatch(t *testing.T) {
	k, _ := newKeys(t)
	if _, err := k.PepperWith(k.PepperID()+1, seal.Place{}, nil); err == nil {
		t.Error("no error")
	}
}

func TestAPepperIsBoundToItsPlace(t *testing.T) {
	k, _ := newKeys(t)
	_, one, _ := k.Pepper(seal.Place{Table: "passwords", Row: "a"}, []byte("pw"))
	_, two, _ := k.Pepper(seal.Place{Table: "passwords", Row: "b"}, []byte("pw"))
	_, three, _ := k.Pepper(seal.Place{Table: "passwords", Row: "ap"}, []byte("w"))
	if bytes.Equal(one, two) || bytes.Equal(one, three) || len(one) != 32 {
		t.Error("two places, one hash")
	}
}

func TestKeyFilesAreForTheirOwnerAlone(t *testing.T) {
	_, dir := newKeys(t)
	folder, err := os.Stat(dir)
	if err != nil || folder.Mode().Perm() != 0o700 {
		t.Errorf("the folder: %v, %v", folder.Mode(), err)
	}
	for _, name := range seal.Names() {
		path := filepath.Join(dir, name+".json")
		if st, err := os.Stat(path); err != nil || st.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v", name, err)
		}
		for _, mode := range []os.FileMode{0o604, 0o640, 0o660, 0o606} {
			if err := os.Chmod(path, mode); err != nil {
				t.Fatal(err)
			}
			if _, err := seal.LoadKeys(dir); err == nil || !strings.Contains(err.Error(), "chmod 600") {
				t.Errorf("%s with mode %o: %v", name, mode, err)
			}
		}
		if err := os.Chmod(path, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	load(t, dir)
}

func TestKeysAreNeverOverwritten(t *testing.T) {
	k, dir := newKeys(t)
	sealed, _ := k.Seal(seal.Place{}, []byte("v"))
	if err := seal.InitKeys(dir); err == nil {
		t.Error("init went over keys that are there")
	}
	if _, err := load(t, dir).Open(seal.Place{}, sealed); err != nil {
		t.Error("the keys changed")
	}
	if err := os.Remove(filepath.Join(dir, "vault.json")); err != nil {
		t.Fatal(err)
	}
	if err := seal.InitKeys(dir); err == nil {
		t.Error("init went into a folder with keys in it")
	}
	if _, err := os.Stat(filepath.Join(dir, "vault.json")); err == nil {
		t.Error("a refused init wrote a file")
	}
}

func TestBadKeyFilesAreNamedWithWhatToDo(t *testing.T) {
	for _, c := range []struct {
		name, says string
		damage     func(path string) error
	}{
		{"missing", "put it back from the backup", os.Remove}, // never "make a new one": it would open nothing
		{"empty", "not a key file", func(p string) error { return os.WriteFile(p, nil, 0o600) }},
		{"cut off", "not a key file", func(p string) error {
			b, err := os.ReadFile(p)
			return errors.Join(err, os.WriteFile(p, b[:len(b)/2], 0o600))
		}},
		{"of another set", "pepper.json", func(p string) error {
			b, err := os.ReadFile(filepath.Join(filepath.Dir(p), "vault.json"))
			return errors.Join(err, os.WriteFile(p, b, 0o600))
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, dir := newKeys(t)
			if err := c.damage(filepath.Join(dir, "pepper.json")); err != nil {
				t.Fatal(err)
			}
			_, err := seal.LoadKeys(dir)
			if err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%v", err)
			}
		})
	}
	if _, err := seal.LoadKeys(t.TempDir()); err == nil || !strings.Contains(err.Error(), "run: gatehouse keys init --dir") {
		t.Errorf("an empty folder: %v", err)
	}
}

func TestASecretIsNeverPrinted(t *testing.T) {
	s := seal.Secret("hunter2hunter2")
	b, err := json.Marshal(map[string]any{"s": s, "p": &s, "in": struct{ S seal.Secret }{s}})
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "s", s, "in", struct{ S seal.Secret }{s})
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "s", s, "in", struct{ S seal.Secret }{s})
	all := string(b) + log.String() + fmt.Sprint(s) + fmt.Sprintf("%v %+v %#v %s %q %v %#v", s, s, s, s, s, []seal.Secret{s}, struct{ S seal.Secret }{s})
	if strings.Contains(all, "hunter2") {
		t.Errorf("printed: %s", all)
	}
	if s.Reveal() != "hunter2hunter2" {
		t.Error("the control: it is not there at all")
	}
}

// Whatever is handed in, OpenToken answers with one of two errors or with what
// was sealed, and nothing that was not sealed opens.
func FuzzOpenToken(f *testing.F) {
	k, _ := newKeys(f)
	good, err := k.SealToken(seal.Attempt, "b", noon.Add(time.Hour), []byte("plain"))
	if err != nil {
		f.Fatal(err)
	}
	for _, s := range []string{"", good, good[1:], good + "A", "A", "====", strings.Repeat("_", 4097), base64.RawURLEncoding.EncodeToString(make([]byte, 60))} {
		f.Add("attempt", "b", s, int64(0))
	}
	f.Fuzz(func(t *testing.T, purpose, binding, token string, later int64) {
		now := noon.Add(time.Duration(later))
		plain, err := k.OpenToken(seal.Purpose(purpose), binding, now, token)
		switch {
		case err == nil && (token != good || purpose != "attempt" || binding != "b" || string(plain) != "plain" || !now.Before(noon.Add(time.Hour))):
			t.Errorf("opened %q for %q, %q at %v", token, purpose, binding, now)
		case err != nil && !errors.Is(err, seal.ErrForged) && !errors.Is(err, seal.ErrExpired):
			t.Errorf("another error: %v", err)
		}
	})
}
