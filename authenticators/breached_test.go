package authenticators

import (
	"bytes"
	"compress/gzip"
	"flag"
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
