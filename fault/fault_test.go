package fault_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"testing"

	"gatehouse/fault"
)

func TestEveryCodeHasAStatusAndOAuthError(t *testing.T) {
	for _, c := range fault.Codes() {
		k := fault.Lookup(c)
		if k.Code != c || k.Status < 400 || k.Status > 599 || k.OAuth == "" {
			t.Errorf("%s: %+v", c, k)
		}
	}
}

func TestAnOutageIsNeverAVerdict(t *testing.T) {
	for _, c := range []fault.Code{fault.Unavailable, fault.Busy} {
		if k := fault.Lookup(c); k.Status != http.StatusServiceUnavailable || k.Retry == 0 || k.OAuth != "temporarily_unavailable" {
			t.Errorf("%s: %+v", c, k)
		}
	}
	for _, c := range fault.Codes() {
		if k := fault.Lookup(c); k.Status < 500 && k.Retry != 0 {
			t.Errorf("%s is theirs and asks to come again", c)
		}
	}
}

func TestOfFindsTheOutermostCode(t *testing.T) {
	inner := fault.New(fault.Busy, io.EOF)
	for _, c := range []struct {
		name string
		err  error
		want fault.Code
	}{
		{"no error", nil, ""},
		{"an error without a code", io.EOF, fault.Internal},
		{"a code", inner, fault.Busy},
		{"wrapped", fmt.Errorf("while: %w", inner), fault.Busy},
		{"a code around a code", fault.New(fault.Unavailable, inner), fault.Unavailable},
		{"joined", errors.Join(io.EOF, inner), fault.Busy},
	} {
		if got := fault.Of(c.err); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
	if !errors.Is(fault.New(fault.Unavailable, inner), io.EOF) {
		t.Error("the cause is lost")
	}
	if got := fault.New(fault.NotFound, nil).Error(); got != "not-found" {
		t.Errorf("%q", got)
	}
}

func TestACodeNobodyKnowsIsOurs(t *testing.T) {
	if k := fault.Lookup("who knows"); k.Code != fault.Internal || k.Status != 500 {
		t.Errorf("%+v", k)
	}
}
