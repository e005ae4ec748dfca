package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The bench itself can say all four things there are to say.
func TestBench(t *testing.T) {
	module := t.TempDir()
	lay := func(name, text string) {
		if err := os.WriteFile(filepath.Join(module, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	lay("go.mod", "module lamp\n\ngo 1.26\n")
	lay("lamp.go", "package lamp\n\n// On says yes.\nfunc On() bool { return true }\n")
	lay("lamp_test.go", "package lamp\n\nimport \"testing\"\n\nfunc TestOn(t *testing.T) {\n\tt.Run(\"at night\", func(t *testing.T) {\n\t\tif !On() {\n\t\t\tt.Error(\"dark\")\n\t\t}\n\t})\n}\n")
	cases := []struct{ name, old, new, caught, want string }{
		{"a test that notices", "return true", "return false", ". TestOn/at night", ""},
		{"a test that does not notice", "says yes", "says no", ". TestOn", "it passes"},
		{"a test that is not there", "return true", "return false", ". TestOff", "there is no such test"},
		{"a mutation that does not compile", "return true", "return 1", ". TestOn", "it ends another way"},
		{"a mutation whose place is gone", "return maybe", "return false", ". TestOn", "no longer fit"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			b := bench{root: module, jobs: 1}
			err := b.run(t.Context(), []mutation{{c.name, "lamp.go", c.old, c.new, c.caught}})
			switch {
			case c.want == "" && err != nil:
				t.Fatal(err)
			case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
				t.Fatalf("want %q, got %v", c.want, err)
			}
		})
	}
}
