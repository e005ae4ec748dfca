package authenticators

import (
	"testing"

	"gatehouse/proof"
	"gatehouse/seal"
)

func TestWhatAWrongCodeLooksLike(t *testing.T) {
	six, eight := TOTP{Digits: 6}, TOTP{Digits: 8}
	for _, row := range []struct {
		name  string
		kept  []TOTP
		asked proof.Method
		typed seal.Secret
		want  Hint
	}{
		{"six digits may be a code", []TOTP{six}, proof.TOTP, "123 456", Hint{}},
		{"two codes in a row may be of a token", []TOTP{six}, proof.TOTP, "123456 654321", Hint{}},
		{"five are one too few", []TOTP{six}, proof.TOTP, "12345", Hint{Key: HintLength, Seconds: 6}},
		{"six where there are eight", []TOTP{eight}, proof.TOTP, "123456", Hint{Key: HintLength, Seconds: 8}},
		{"who has both is told no length", []TOTP{six, eight}, proof.TOTP, "12345", Hint{}},
		{"a word is no code", []TOTP{six}, proof.TOTP, "password", Hint{Key: HintLength, Seconds: 6}},
		{"a recovery code", []TOTP{six}, proof.TOTP, "7kq2-9f0c-41xw-m3tb", Hint{Key: HintRecovery}},
		{"one without its dashes, in capitals", []TOTP{six}, proof.TOTP, "7KQ29F0C41XWM3TB", Hint{Key: HintRecovery}},
		{"sixteen digits are none by accident only", []TOTP{six}, proof.TOTP, "1234123412341234", Hint{Key: HintLength, Seconds: 6}},
		{"an app's code where paper is asked for", []TOTP{six}, proof.RecoveryCode, "123 456", Hint{Key: HintOneTime}},
		{"a token's", []TOTP{six}, proof.RecoveryCode, "12345678", Hint{Key: HintOneTime}},
		{"a recovery code with a slip of the pen", []TOTP{six}, proof.RecoveryCode, "7kq2-9f0c-41xw-m3tu", Hint{}},
		{"nothing at all", nil, proof.TOTP, "", Hint{}},
	} {
		t.Run(row.name, func(t *testing.T) {
			if got := HintOfShape(Kept{TOTP: row.kept}, row.asked, row.typed); got != row.want {
				t.Errorf("got %+v, want %+v", got, row.want)
			}
		})
	}
}

func FuzzNoShapeBreaksTheHint(f *testing.F) {
	f.Add("123456")
	f.Add("７kq2—９f0c·41xw_m3tb")
	f.Fuzz(func(t *testing.T, typed string) {
		for _, asked := range []proof.Method{proof.TOTP, proof.RecoveryCode} {
			if h := HintOfShape(Kept{TOTP: []TOTP{{Digits: 6}}}, asked, seal.Secret(typed)); h.Seconds != 0 && h.Key != HintLength {
				t.Errorf("%q: %+v", typed, h)
			}
		}
	})
}
