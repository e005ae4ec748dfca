package authenticators

import (
	"crypto/rand"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse/id"
	"gatehouse/seal"
)

const (
	ana = id.Account("0199f000-0000-7000-8000-00000000000a")
	ben = id.Account("0199f000-0000-7000-8000-00000000000b")
)

// quick are the smallest parameters: the tests look at rules, not at costs.
var quick = Parameters{MemoryKiB: 8, Time: 1, Threads: 1}

var noon = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

// keyFolder is made once: making keys takes longer than most tests.
var keyFolder = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "gatehouse-keys-")
	if err != nil {
		return "", err
	}
	return dir, seal.InitKeys(filepath.Join(dir, "keys"))
})

func TestMain(m *testing.M) {
	code := m.Run()
	if dir, err := keyFolder(); err == nil {
		os.RemoveAll(dir)
	}
	os.Exit(code)
}

func testKeys(t testing.TB) *seal.Keys {
	t.Helper()
	dir, err := keyFolder()
	if err != nil {
		t.Fatal(err)
	}
	k, err := seal.LoadKeys(filepath.Join(dir, "keys"))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func testHasher(t testing.TB, keys *seal.Keys, p Parameters) *Hasher {
	t.Helper()
	h, err := NewHasher(HasherOptions{Keys: keys, Parameters: p, Rand: rand.Reader, Now: time.Now, Cores: 2})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// vectors reads the lines of a file in testdata, without its comments.
func vectors(t *testing.T, name string) [][]string {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	var rows [][]string
	for line := range strings.Lines(string(raw)) {
		if f := strings.Fields(line); len(f) > 0 && f[0] != "#" {
			rows = append(rows, f)
		}
	}
	return rows
}
