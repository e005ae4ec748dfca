package authenticators

import (
	"crypto/sha1"
	"fmt"
	"path/filepath"
	"strings"

	"bytes"
	"compress/gzip"
	"flag"
	"gatehouse/seal"
	"io"
	"os"
	"testing"
)

var update = flag.Bool("update", false, "write common.filter again from its list")

const commonSource = "common-passwords.txt of Django 5.2.1 (BSD-3-Clause), SHA-256 29ca0fa5303165f012f3e9775e3e95a3071cdd59f219973ec1cbb308d0214a6f"

func commonList(t *testing.T) []byte {
	t.Helper()
	f, err := os.Open("testdata/common-passwords.txt.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	list, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func TestTheEmbeddedFilterIsWhatItsListMakes(t *testing.T) {
	var file bytes.Buffer
	if _, err := BuildBreached(bytes.NewReader(commonList(t)), &file, BuildOptions{Kind: ListPasswords, Source: commonSource}); err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile("common.filter", file.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if !bytes.Equal(file.Bytes(), embedded) {
		t.Error("common.filter differs from what its list makes; run: go test ./authenticators -run Embedded -update")
	}
}

func TestTheEmbeddedFilterKnowsEveryPasswordOfItsList(t *testing.T) {
	n := 0
	for line := range strings.Lines(string(commonList(t))) {
		if n++; !Embedded().Contains(seal.Secret(strings.TrimSuffix(line, "\n"))) {
			t.Errorf("misses %q", line)
		}
	}
	if n < 19_000 || uint64(n) != Embedded().Count || Embedded().Source != commonSource || len(embedded) > 300<<10 {
		t.Errorf("%d passwords, %d in %q, %d bytes", n, Embedded().Count, Embedded().Source, len(embedded))
	}
}

func TestTheFilterSeldomTakesAnotherPasswordForALeakedOne(t *testing.T) {
	wrong := 0
	for i := range 200_000 {
		if Embedded().Contains(seal.Secret(fmt.Sprintf("never leaked %d", i))) {
			wrong++
		}
	}
	if wrong > 30 { // about 3 are to be expected at 1 in 65,536
		t.Errorf("%d of 200,000", wrong)
	}
}

func buildTest(t testing.TB, list string) *Breached {
	t.Helper()
	return openTest(t, buildFile(t, list, BuildOptions{Source: "a test"}))
}

func buildFile(t testing.TB, list string, o BuildOptions) []byte {
	t.Helper()
	var file bytes.Buffer
	if _, err := BuildBreached(strings.NewReader(list), &file, o); err != nil {
		t.Fatal(err)
	}
	return file.Bytes()
}

func openTest(t testing.TB, file []byte) *Breached {
	t.Helper()
	path := filepath.Join(t.TempDir(), "breached.filter")
	if err := os.WriteFile(path, file, 0o600); err != nil {
		t.Fatal(err)
	}
	b, err := OpenBreached(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func sha1Hex(pw string) string { return fmt.Sprintf("%X", sha1.Sum([]byte(pw))) }

func TestListsOfPasswordsAndOfHashesMakeTheSameFilter(t *testing.T) {
	for _, row := range []struct {
		name, list string
		options    BuildOptions
	}{
		{"passwords", "lantern\nquayside\n", BuildOptions{}},
		{"passwords without an end to the last line", "lantern\nquayside", BuildOptions{}},
		{"passwords from Windows, with an empty line", "lantern\r\n\r\nquayside\r\n", BuildOptions{Kind: ListPasswords}},
		{"passwords that come twice", "lantern\nquayside\nlantern\nlantern\n", BuildOptions{}},
		{"hashes", sha1Hex("lantern") + "\n" + sha1Hex("quayside") + "\n", BuildOptions{}},
		{"hashes in small letters", strings.ToLower(sha1Hex("lantern") + "\n" + sha1Hex("quayside")), BuildOptions{Kind: ListSHA1}},
		{"hashes with counts", sha1Hex("lantern") + ":12\n" + sha1Hex("quayside") + ":3\r\n", BuildOptions{}},
		{"hashes with counts, rare ones left out", sha1Hex("lantern") + ":12\n" + sha1Hex("quayside") + ":10\n" + sha1Hex("jetty") + ":9", BuildOptions{SeenAtLeast: 10}},
		{"passwords with a line that is no password", "lantern\n" + strings.Repeat("x", 10_000) + "\nquayside\n", BuildOptions{}},
	} {
		t.Run(row.name, func(t *testing.T) {
			b := openTest(t, buildFile(t, row.list, row.options))
			for pw, want := range map[seal.Secret]bool{"lantern": true, "quayside": true, "jetty": false, "Lantern": false, "": false} {
				if b.Contains(pw) != want {
					t.Errorf("%q: %v", pw.Reveal(), !want)
				}
			}
		})
	}
}

func TestAListThatIsNoneIsRefusedWithItsLine(t *testing.T) {
	for _, row := range []struct {
		name, list, want string
		options          BuildOptions
	}{
		{"nothing at all", "", "holds no password", BuildOptions{}},
		{"a password among hashes", sha1Hex("a") + "\nlantern\n", "line 2", BuildOptions{}},
		{"a short hash", "ABCDEF\n", "line 1", BuildOptions{Kind: ListSHA1}},
		{"a hash with a letter that is no hex", strings.Repeat("G", 40), "line 1", BuildOptions{Kind: ListSHA1}},
		{"a count that is none", sha1Hex("a") + ":many", "line 1", BuildOptions{Kind: ListSHA1}},
		{"an unknown kind", "lantern", "ntlm", BuildOptions{Kind: "ntlm"}},
		{"more than was bargained for", "a\nb\nc\n", "more than 2", BuildOptions{MaxKeys: 2}},
		{"a name without end", "a", "longer than", BuildOptions{Source: strings.Repeat("x", 300)}},
	} {
		t.Run(row.name, func(t *testing.T) {
			if _, err := BuildBreached(strings.NewReader(row.list), io.Discard, row.options); err == nil || !strings.Contains(err.Error(), row.want) {
				t.Errorf("%v, want %q", err, row.want)
			}
		})
	}
}

func TestProgressCountsEveryByte(t *testing.T) {
	list := strings.Repeat("lantern quayside jetty\n", 200_000) + strings.Repeat("x", 9_999)
	var last, calls int64
	warned := 0
	_, err := BuildBreached(strings.NewReader(list), io.Discard, BuildOptions{Total: int64(len(list)), MaxKeys: 1 << 20,
		Progress: func(done, total int64) {
			if done < last || total != int64(len(list)) {
				t.Errorf("%d after %d of %d", done, last, total)
			}
			last = done
			calls++
		},
		Warn: func(int64, string) { warned++ }})
	if err != nil || last != int64(len(list)) || calls < 4 || warned != 1 {
		t.Errorf("%v: %d of %d bytes in %d calls, %d warnings", err, last, len(list), calls, warned)
	}
}

func TestADamagedFileIsRefused(t *testing.T) {
	good := buildFile(t, "lantern\nquayside\n", BuildOptions{Source: "a test"})
	open := func(file []byte) error {
		_, err := readBreached(bytes.NewReader(file), int64(len(file)))
		return err
	}
	if err := open(good); err != nil {
		t.Fatal(err)
	}
	for cut := range good {
		if open(good[:cut]) == nil {
			t.Fatalf("the first %d of %d bytes pass", cut, len(good))
		}
	}
	for i := range good {
		bad := bytes.Clone(good)
		bad[i] ^= 0x40
		if open(bad) == nil {
			t.Fatalf("byte %d may change", i)
		}
	}
	if open(append(bytes.Clone(good), 0)) == nil {
		t.Error("a byte too many passes")
	}
	if _, err := OpenBreached(filepath.Join(t.TempDir(), "missing")); err == nil {
		t.Error("a missing file passes")
	}
}

func TestNoFilterContainsNothing(t *testing.T) {
	var none *Breached
	if none.Contains("password") || none.Bytes() != 0 {
		t.Error("a filter that is not there answers")
	}
}
