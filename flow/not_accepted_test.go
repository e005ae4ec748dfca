package flow

import (
	"testing"
	"time"

	"gatehouse/authenticators"
	"gatehouse/proof"
	"gatehouse/seal"
	"gatehouse/store/storetest"
)

func TestARightCodeOfWhatIsNotAcceptedIsToldAndOpensNothing(t *testing.T) {
	b := build(t, storetest.Open(t, storetest.SQLite(t), nil))
	app := authenticators.NewTOTP("Phone", "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP", b.Now().Add(-time.Hour))
	code, err := app.CodeAt(b.Now())
	if err != nil {
		t.Fatal(err)
	}
	kept := authenticators.Kept{TOTP: []authenticators.TOTP{app}}
	check := func(ways ...Way) authenticators.Verdict {
		v, err := b.checkCode(t.Context(), attempt{Ways: ways}, kept, Input{Secret: seal.Secret(code)})
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	if v := check(Way{Step: Code, Method: proof.TOTP}); !v.OK {
		t.Error("an accepted app does not open")
	}
	if v := check(Way{Step: Code, Method: proof.HOTP}); v.OK || v.Hint.Key != HintNotAccepted {
		t.Errorf("%+v", v)
	}
}
