package authenticators

import (
	"bytes"
	"crypto/rand"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"gatehouse/proof"
	"gatehouse/seal"
)

func TestCodesAreThoseOfRFC4226(t *testing.T) {
	for _, row := range vectors(t, "rfc4226.txt") {
		counter, _ := strconv.ParseUint(row[0], 10, 64)
		if code, err := hotp("SHA1", []byte("12345678901234567890"), counter, 6); code != row[1] || err != nil {
			t.Errorf("counter %s: %s, %v; want %s", row[0], code, err, row[1])
		}
	}
}

func TestCodesAreThoseOfRFC6238(t *testing.T) {
	seeds := map[string]int{"SHA1": 20, "SHA256": 32, "SHA512": 64}
	for _, row := range vectors(t, "rfc6238.txt") {
		seconds, _ := strconv.ParseInt(row[0], 10, 64)
		seed := strings.Repeat("1234567890", 7)[:seeds[row[1]]]
		app := TOTP{Secret: seal.Secret(base32Secret.EncodeToString([]byte(seed))), Algorithm: row[1], Digits: 8, Period: 30, LastStep: -1}
		if code, err := app.CodeAt(time.Unix(seconds, 0)); code.Reveal() != row[2] || err != nil {
			t.Errorf("%s at %s: %s, %v; want %s", row[1], row[0], code.Reveal(), err, row[2])
		}
		for digits := 6; digits <= 8; digits++ { // fewer digits are the last ones (RFC 4226 §5.3)
			app.Digits = digits
			if m := app.match(row[2][8-digits:], time.Unix(seconds, 0)); !m.accepted || m.step != seconds/30 || m.drift != 0 {
				t.Errorf("%s at %s with %d digits: %+v", row[1], row[0], digits, m)
			}
		}
	}
}

func TestAnAlgorithmOrLengthWeDoNotKnowIsAnError(t *testing.T) {
	for _, bad := range []struct {
		algorithm string
		digits    int
	}{{"MD5", 6}, {"sha1", 6}, {"", 6}, {"SHA1", 5}, {"SHA1", 9}, {"SHA1", 0}} {
		if code, err := hotp(bad.algorithm, []byte("key"), 1, bad.digits); err == nil {
			t.Errorf("%+v made %q", bad, code)
		}
	}
}

// here is the step of noon; base is an app used last long ago.
const here = 1795262400 / 30

func testApp() TOTP {
	return TOTP{ID: "app", Secret: "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ", Algorithm: "SHA1", Digits: 6, Period: 30, LastStep: here - 1000, Version: 7}
}

func codeOf(t testing.TB, app TOTP, step int64) string {
	t.Helper()
	code, err := app.CodeAt(time.Unix(step*app.Period, 0))
	if err != nil {
		t.Fatal(err)
	}
	return code.Reveal()
}

func TestWhichCodesOpen(t *testing.T) {
	if noon.Unix()/30 != here {
		t.Fatal("noon is at step", noon.Unix()/30)
	}
	for _, row := range []struct {
		name  string
		drift int64 // remembered
		last  int64 // steps from now
		shown int64 // steps from now
		ok    bool
		hint  Hint
	}{
		{"the code of this moment", 0, -1000, 0, true, Hint{}},
		{"the one before, typed slowly", 0, -1000, -1, true, Hint{}},
		{"the next one, from a phone a little ahead", 0, -1000, 1, true, Hint{}},
		{"two steps behind", 0, -1000, -2, false, Hint{Key: HintBehind, Seconds: 60}},
		{"three steps behind: about 90 seconds", 0, -1000, -3, false, Hint{Key: HintBehind, Seconds: 90}},
		{"ten steps ahead", 0, -1000, 10, false, Hint{Key: HintAhead, Seconds: 300}},
		{"eleven steps behind is not told", 0, -1000, -11, false, Hint{}},
		{"eleven steps ahead is not told", 0, -1000, 11, false, Hint{}},
		{"a drift that is remembered", -3, -1000, -3, true, Hint{}},
		{"one more behind a remembered drift", -3, -1000, -4, true, Hint{}},
		{"one less behind a remembered drift", -3, -1000, -2, true, Hint{}},
		{"right time on a phone that was behind", -3, -1000, 0, false, Hint{}},
		{"used already", 0, 0, 0, false, Hint{Key: HintUsed}},
		{"older than the last one used", 0, 0, -1, false, Hint{Key: HintUsed}},
		{"the next after the last one used", 0, 0, 1, true, Hint{}},
		{"used already on a phone with a drift", -3, -3, -3, false, Hint{Key: HintUsed}},
		{"eleven steps behind is not told on a phone with a drift either", -3, -1000, -12, false, Hint{}},
		{"a drift beyond what is diagnosed goes on working", -40, -1000, -41, true, Hint{}},
		{"used already with a drift beyond what is diagnosed", -40, -41, -41, false, Hint{Key: HintUsed}},
		{"long past and used meanwhile: the clock is not the matter", 0, -1, -5, false, Hint{Key: HintBehind, Seconds: 150}},
	} {
		t.Run(row.name, func(t *testing.T) {
			app := testApp()
			app.Drift, app.LastStep = row.drift, here+row.last
			m := app.match(codeOf(t, app, here+row.shown), noon)
			if m.accepted != row.ok || m.hint != row.hint {
				t.Errorf("accepted %v, hint %+v; want %v, %+v", m.accepted, m.hint, row.ok, row.hint)
			}
			if m.accepted && (m.step != here+row.shown || m.drift != row.shown) {
				t.Errorf("step %d, drift %d", m.step-here, m.drift)
			}
		})
	}
}

func TestWhatIsNoCodeOpensNothing(t *testing.T) {
	app := testApp()
	good := codeOf(t, app, here)
	for _, typed := range []string{"", " ", "x", good[:5], good + "0", "0" + good, good[:5] + "x", strings.Repeat(good, 100), "xxxxxx", "\x00\x00\x00\x00\x00\x00"} {
		if m := app.match(typed, noon); m.accepted || m.hint != (Hint{}) {
			t.Errorf("%q: %+v", typed, m)
		}
	}
	for _, typed := range []string{good, good[:3] + " " + good[3:], "\t" + good + "\n"} {
		if !app.match(typed, noon).accepted {
			t.Errorf("%q is refused", typed)
		}
	}
}

func TestADamagedSecretOpensNothing(t *testing.T) {
	for _, secret := range []seal.Secret{"", "1", "not base32!"} {
		app := testApp()
		app.Secret = secret
		if m := app.match("xxxxxx", noon); m.accepted {
			t.Errorf("%q", secret.Reveal())
		}
	}
}

func TestEveryAppOfAnAccountIsTried(t *testing.T) {
	first, second := testApp(), testApp()
	first.Secret, second.ID, second.Version = "MFRGGZDFMZTWQ2LKNNWG23TPOBYXE43U", "second", 9
	set := New(testHasher(t, testKeys(t), quick), testKeys(t))
	kept := Kept{Account: ana, TOTP: []TOTP{first, second}}
	v, err := set.Check(t.Context(), proof.TOTP, kept, Shown{Secret: seal.Secret(codeOf(t, second, here)), Now: noon})
	if err != nil || !v.OK || v.Proof.Authenticator != "second" || v.Proof.Version != 9 || v.Proof.Step != here {
		t.Errorf("%+v %v", v, err)
	}
	v, err = set.Check(t.Context(), proof.TOTP, kept, Shown{Secret: seal.Secret(codeOf(t, second, here-5)), Now: noon})
	if err != nil || v.OK || v.Hint != (Hint{Key: HintBehind, Seconds: 150}) {
		t.Errorf("a code of the second app, late: %+v %v", v, err)
	}
	kept.Decoy = true
	v, err = set.Check(t.Context(), proof.TOTP, kept, Shown{Secret: seal.Secret(codeOf(t, second, here)), Now: noon})
	if err != nil || v.OK || v.Hint != (Hint{}) {
		t.Errorf("nobody: %+v %v", v, err)
	}
}

func TestAnAppIsAddedWithItsFirstCode(t *testing.T) {
	secret, err := NewTOTPSecret(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	app := NewTOTP("Phone", secret, noon)
	step, drift, ok, hint := CheckNewTOTP(secret, seal.Secret(codeOf(t, app, here-1)), noon)
	if !ok || step != here-1 || drift != -1 || hint != (Hint{}) {
		t.Errorf("step %d, drift %d, %v, %+v", step-here, drift, ok, hint)
	}
	_, _, ok, hint = CheckNewTOTP(secret, seal.Secret(codeOf(t, app, here+4)), noon)
	if ok || hint != (Hint{Key: HintAhead, Seconds: 120}) {
		t.Errorf("a phone two minutes ahead: %v, %+v", ok, hint)
	}
}

func TestASecretHas160BitsAndComesFromTheSourceOfRandomness(t *testing.T) {
	secret, err := NewTOTPSecret(bytes.NewReader([]byte("12345678901234567890")))
	if err != nil || secret.Reveal() != "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ" {
		t.Errorf("%s %v", secret.Reveal(), err)
	}
	if _, err := NewTOTPSecret(bytes.NewReader(make([]byte, 19))); err == nil {
		t.Error("a source that runs dry must be an error")
	}
}

func TestTheKeyURIIsReadByAppsAsItIsMeant(t *testing.T) {
	uri := KeyURI("Harbour & Söhne: Books", "ana+books@harbour.example", "GEZDGNBVGY3TQOJQ").Reveal()
	u, err := url.Parse(uri)
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	if u.Scheme != "otpauth" || u.Host != "totp" || u.Path != "/Harbour & Söhne Books:ana+books@harbour.example" ||
		q.Get("issuer") != "Harbour & Söhne Books" || q.Get("secret") != "GEZDGNBVGY3TQOJQ" ||
		q.Get("algorithm") != "SHA1" || q.Get("digits") != "6" || q.Get("period") != "30" {
		t.Error(uri)
	}
	if strings.ContainsAny(uri, " +") { // an app that reads + as a plus shows it
		t.Error("spaces must be %20:", uri)
	}
}

// A code opens one door once: whatever codes are shown in whatever order, with
// whatever clock, no step is ever accepted twice, nor one before another.
func TestACodeNeverOpensTwice(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		app := testApp()
		now := int64(here)
		app.LastStep = now - 5
		for range rapid.IntRange(1, 20).Draw(t, "shows") {
			now += rapid.Int64Range(-1, 3).Draw(t, "time passes")
			shown := now + rapid.Int64Range(-12, 12).Draw(t, "phone")
			code, err := app.CodeAt(time.Unix(shown*30, 0))
			if err != nil {
				t.Fatal(err)
			}
			m := app.match(code.Reveal(), time.Unix(now*30+rapid.Int64Range(0, 29).Draw(t, "seconds"), 0))
			if !m.accepted {
				continue
			}
			if m.step <= app.LastStep {
				t.Fatalf("step %d is accepted after %d", m.step, app.LastStep)
			}
			if abs(m.drift-app.Drift) > totpWindow {
				t.Fatalf("drift %d is accepted beside %d", m.drift, app.Drift)
			}
			app.LastStep, app.Drift = m.step, m.drift
			if app.match(code.Reveal(), time.Unix(now*30, 0)).accepted && codeOf2(app, m.step) == code.Reveal() && !collides(app, now, m.step, code.Reveal()) {
				t.Fatal("the same code opens again at once")
			}
		}
	})
}

func codeOf2(app TOTP, step int64) string {
	code, _ := app.CodeAt(time.Unix(step*app.Period, 0))
	return code.Reveal()
}

// collides tells whether a later step near now happens to have the same digits,
// which is chance, not replay.
func collides(app TOTP, now, step int64, code string) bool {
	for s := max(step+1, now-20); s <= now+20; s++ {
		if codeOf2(app, s) == code {
			return true
		}
	}
	return false
}
