// Package stories tells what people live through with Gatehouse, over HTTP, on
// every database: one test is one story, and its name is what must hold.
package stories

import (
	"flag"
	"os"
	"testing"
)

// TestMain bounds the random stories: each takes many steps, and every run takes
// others. -rapid.checks on the command line takes more. A story is told on every
// database at once, because most of it is waiting: more at a time than cores.
func TestMain(m *testing.M) {
	for name, value := range map[string]string{"rapid.checks": "40", "test.parallel": "6"} {
		if err := flag.Set(name, value); err != nil {
			panic(err)
		}
	}
	os.Exit(m.Run())
}
