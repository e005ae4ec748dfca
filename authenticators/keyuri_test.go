package authenticators

import (
	"errors"
	"strings"
	"testing"
	"time"

	"gatehouse/seal"
)

func TestLinksAreReadAsAppsReadThem(t *testing.T) {
	for _, c := range []struct {
		name, text, issuer, account, how string
		err                              error
	}{
		{"our own", KeyURI("Harbour Books", "ana@harbour.example", rfcSeed).Reveal(), "Harbour Books", "ana@harbour.example", "SHA1 6 30", nil},
		{"the least", "otpauth://totp/ana?secret=" + rfcSeed, "", "ana", "SHA1 6 30", nil},
		{"everything", "otpauth://totp/Acme:ana?secret=gezd%20gnbv%20gy3t%20qojq&issuer=Acme+Ltd&algorithm=sha-256&digits=8&period=60", "Acme Ltd", "ana", "SHA256 8 60", nil},
		{"capitals and padding", "OTPAUTH://TOTP/x?secret=GEZDGNBVGY3TQOJQ====", "", "x", "SHA1 6 30", nil},
		{"a bare key in fours", "gezd gnbv gy3t qojq", "", "", "SHA1 6 30", nil},
		{"line ends around it", "\n otpauth://totp/ana?secret=" + rfcSeed + "\r\n", "", "ana", "SHA1 6 30", nil},
		{"a button", "otpauth://hotp/ana?secret=" + rfcSeed + "&counter=0", "", "", "", ErrButtonURI},
		{"another link", "https://example.com/?secret=" + rfcSeed, "", "", "", ErrNoKeyURI},
		{"an export of many", "otpauth-migration://offline?data=CjEKCkhlbGxvId6tvu8", "", "", "", ErrNoKeyURI},
		{"nothing", "", "", "", "", ErrNoKeyURI},
		{"a novel", strings.Repeat("a ", 5000), "", "", "", ErrNoKeyURI},
		{"a key that is none", "otpauth://totp/ana?secret=10", "", "", "", ErrKeySecret},
		{"no key", "otpauth://totp/ana", "", "", "", ErrKeySecret},
		{"a hash nobody has", "otpauth://totp/ana?secret=" + rfcSeed + "&algorithm=MD5", "", "", "", ErrKeyNumbers},
		{"five digits", "otpauth://totp/ana?secret=" + rfcSeed + "&digits=5", "", "", "", ErrKeyNumbers},
		{"a period of nothing", "otpauth://totp/ana?secret=" + rfcSeed + "&period=0", "", "", "", ErrKeyNumbers},
	} {
		t.Run(c.name, func(t *testing.T) {
			l, app, err := ParseKeyURI(seal.Secret(c.text))
			if !errors.Is(err, c.err) || err == nil && c.err != nil {
				t.Fatalf("%v, want %v", err, c.err)
			}
			if err != nil {
				return
			}
			if how := strings.Join([]string{app.Algorithm, string(rune('0' + app.Digits)), (time.Duration(app.Period) * time.Second).String()}, " "); l.Issuer != c.issuer || l.Account != c.account ||
				how != strings.NewReplacer(" 30", " 30s", " 60", " 1m0s").Replace(c.how) {
				t.Errorf("%+v %s", l, how)
			}
			if _, err := app.CodeAt(noon); err != nil {
				t.Error(err)
			}
		})
	}
}

func FuzzKeyURI(f *testing.F) {
	f.Add(KeyURI("Harbour Books", "ana@harbour.example", rfcSeed).Reveal())
	f.Add("otpauth://totp/%00:x?secret=" + rfcSeed + "&digits=08")
	f.Add("gezd gnbv")
	f.Fuzz(func(t *testing.T, text string) {
		_, app, err := ParseKeyURI(seal.Secret(text))
		if err != nil {
			return
		}
		if code, err := app.CodeAt(noon); err != nil || len(code.Reveal()) != app.Digits {
			t.Errorf("%q makes no code: %v", text, err)
		}
	})
}
