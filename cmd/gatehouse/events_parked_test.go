package main

import (
	"bytes"
	"strings"
	"testing"
)

func TestAnEventThatIsNotParkedIsNotTriedAgain(t *testing.T) {
	l := trial(t, "origin: http://localhost:8080\n")
	for _, c := range []struct {
		name  string
		retry EventsRetry
		says  string // the end of the answer; empty is an error
	}{
		{"a wrong id", EventsRetry{Event: "0199f3a2-7c10-7b52-9d3e-0a4be1c77d10"}, ""},
		{"neither an id nor all", EventsRetry{}, ""},
		{"all, and there is none", EventsRetry{All: true}, "0 will be tried again now. See: gatehouse events parked\n"},
	} {
		var out bytes.Buffer
		err := c.retry.Run(t.Context(), &program{out: &out, err: t.Output(), configFile: l.File})
		if (err != nil) != (c.says == "") || !strings.HasSuffix(out.String(), c.says) {
			t.Errorf("%s: %v, %q", c.name, err, out.String())
		}
	}
}
