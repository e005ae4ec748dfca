// Package stories tells what people live through with Gatehouse, over HTTP, on
// every database: one test is one story, and its name is what must hold.
package stories

import (
	"flag"
	"os"
	"testing"
)

// TestMain bounds the random stories: each takes many steps, and every run takes
// others. -rapid.checks on the command line takes more.
func TestMain(m *testing.M) {
	if err := flag.Set("rapid.checks", "40"); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}
