package manage

import (
	"testing"

	"gatehouse/authenticators"
	"gatehouse/id"
)

func TestTwoOfOneAccountNeverHaveTheSameNameByThemselves(t *testing.T) {
	had := []authenticators.Named{{ID: "a", Name: "Chrome on Linux"}, {ID: "b", Name: "Chrome on Linux"}, {ID: "c", Name: "Tablet"}, {ID: "d", Name: "Tablet (2)"}}
	for _, c := range []struct {
		why, name, want string
		own             []id.Authenticator
	}{
		{"a name that is free stays", "Phone", "Phone", nil},
		{"one that is taken is counted, also where two have it already", "Chrome on Linux", "Chrome on Linux (2)", nil},
		{"and counted on", "Tablet", "Tablet (3)", nil},
		{"what is sent twice finds itself and keeps its name", "Chrome on Linux", "Chrome on Linux", []id.Authenticator{"a", "b"}},
	} {
		if got := freeName(had, c.name, c.own); got != c.want {
			t.Errorf("%s: %q became %q, want %q", c.why, c.name, got, c.want)
		}
	}
}
