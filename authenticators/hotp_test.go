package authenticators

import (
	"errors"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"gatehouse/id"
	"gatehouse/proof"
	"gatehouse/seal"
	"gatehouse/store"
	"gatehouse/store/storetest"
)

const rfcSeed = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ" // "12345678901234567890"

func testToken(t testing.TB, counter int64) Credential {
	t.Helper()
	c, err := NewHOTP("Token", rfcSeed, HOTP{Token: "t1", Algorithm: "SHA1", Digits: 6}, counter, noon)
	if err != nil {
		t.Fatal(err)
	}
	c.ID, c.Account, c.Version = "h1", ana, 3
	return c
}

func pressed(t testing.TB, counter int64) string {
	t.Helper()
	code, err := HOTPAt("SHA1", rfcSeed, counter, 6)
	if err != nil {
		t.Fatal(err)
	}
	return code.Reveal()
}

func TestTheCodesOfRFC4226OpenInTheirOrder(t *testing.T) {
	for _, row := range vectors(t, "rfc4226.txt") {
		counter, _ := strconv.ParseInt(row[0], 10, 64)
		m, err := matchHOTP(testToken(t, counter), seal.Secret(row[1]))
		if err != nil || !m.accepted || m.step != counter {
			t.Errorf("counter %d: %+v %v", counter, m, err)
		}
	}
}

func TestWhichCodesOfAButtonOpen(t *testing.T) {
	const next = 1000
	one := func(n int64) string { return pressed(t, next+n) }
	for _, row := range []struct {
		name  string
		shown string
		ok    bool
		step  int64 // from next
		hint  string
	}{
		{"the next one", one(0), true, 0, ""},
		{"the last of the window", one(9), true, 9, ""},
		{"one beyond the window", one(10), false, 10, HintTokenAgain},
		{"far beyond", one(199), false, 199, HintTokenAgain},
		{"too far beyond to be told", one(200), false, 0, ""},
		{"the one used last", one(-1), false, -1, HintTokenUsed},
		{"the oldest that is told", one(-10), false, -10, HintTokenUsed},
		{"one older than that", one(-11), false, 0, ""},
		{"two in a row in the window", one(3) + one(4), true, 4, ""},
		{"two in a row far beyond", one(150) + " " + one(151), true, 151, ""},
		{"the last two that are looked for", one(198) + one(199), true, 199, ""},
		{"two in a row beyond everything", one(199) + one(200), false, 0, ""},
		{"two in a row, the first of them used", one(-1) + one(0), false, 0, HintTokenUsed},
		{"two in a row that were used", one(-3) + one(-2), false, -2, HintTokenUsed},
		{"two with one left out", one(50) + one(52), false, 0, ""},
		{"two the wrong way round", one(51) + one(50), false, 0, ""},
		{"the same one twice", one(50) + one(50), false, 0, ""},
		{"three in a row", one(50) + one(51) + one(52), false, 0, ""},
		{"nothing", "", false, 0, ""},
		{"letters", "abcdef", false, 0, ""},
		{"x, as the filler is", "xxxxxx", false, 0, ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			m, err := matchHOTP(testToken(t, next), seal.Secret(row.shown))
			if err != nil || m.accepted != row.ok || m.hint.Key != row.hint {
				t.Fatalf("%+v %v; want %v %q", m, err, row.ok, row.hint)
			}
			if (m.accepted || m.used || m.told) && m.step != next+row.step {
				t.Errorf("step %d", m.step-next)
			}
		})
	}
}

func TestATokenThatWasNeverPressedKnowsNoOlderCodes(t *testing.T) {
	m, err := matchHOTP(testToken(t, 0), seal.Secret(pressed(t, 0)))
	if err != nil || !m.accepted || m.step != 0 {
		t.Errorf("%+v %v", m, err)
	}
	for n := int64(-10); n < 0; n++ {
		code, err := hotp("SHA1", []byte("12345678901234567890"), uint64(n), 6)
		if err != nil {
			t.Fatal(err)
		}
		if m, err := matchHOTP(testToken(t, 0), seal.Secret(code)); err != nil || m.used || m.step < 0 {
			t.Errorf("counter %d: %+v %v", n, m, err)
		}
	}
}

func TestADamagedTokenIsAnErrorAndOpensNothing(t *testing.T) {
	for name, change := range map[string]func(*Credential){
		"no public part": func(c *Credential) { c.Public = []byte("{") },
		"no secret":      func(c *Credential) { c.Secret = "1" },
		"nine digits":    func(c *Credential) { c.Public = []byte(`{"algorithm":"SHA1","digits":9}`) },
		"a passkey":      func(c *Credential) { c.Kind = KindPasskey },
	} {
		c := testToken(t, 5)
		change(&c)
		if m, err := matchHOTP(c, seal.Secret(pressed(t, 5))); err == nil || m.accepted {
			t.Errorf("%s: %+v", name, m)
		}
	}
}

func TestAllTokensOfAnAccountAreTried(t *testing.T) {
	first, second := testToken(t, 5), testToken(t, 70)
	second.ID = "h2"
	set := New(testHasher(t, testKeys(t), quick), testKeys(t))
	kept := Kept{Account: ana, Credentials: []Credential{first, second}}
	v, err := set.Check(t.Context(), proof.HOTP, kept, Shown{Secret: seal.Secret(pressed(t, 71)), Now: noon})
	if err != nil || !v.OK || v.Proof.Authenticator != "h2" || v.Proof.Step != 71 || v.Proof.Version != 3 {
		t.Errorf("%+v %v", v, err)
	}
	second.State = StateWaiting
	kept.Credentials[1] = second
	v, err = set.Check(t.Context(), proof.HOTP, kept, Shown{Secret: seal.Secret(pressed(t, 71)), Now: noon})
	if err != nil || v.OK || v.Hint.Key != HintTokenAgain || v.Told.Step != 71 || v.Told.Authenticator != "h1" {
		t.Errorf("%+v %v", v, err)
	}
	kept.Decoy = true
	v, err = set.Check(t.Context(), proof.HOTP, kept, Shown{Secret: seal.Secret(pressed(t, 5)), Now: noon})
	if err != nil || v.OK || v.Hint.Key != "" {
		t.Errorf("nobody: %+v %v", v, err)
	}
}

func keepToken(t *testing.T, s *store.Store, name id.Authenticator, counter int64) {
	t.Helper()
	c := testToken(t, counter)
	c.ID = name
	do(t, s, func(tx *store.Tx) error {
		ok, err := AddCredential(tx, testKeys(t), c)
		if !ok {
			err = errors.Join(err, errors.New("not kept"))
		}
		return err
	})
}

func TestOfTwoAtTheSameInstantOneGetsTheCounter(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		keepToken(t, s, "h1", 5)
		p := proof.Proof{Method: proof.HOTP, Authenticator: "h1", Step: 7}
		if won := rivals(t, s, 16, func(tx *store.Tx) (bool, error) { return AcceptHOTP(tx, p, "attempt") }); won != 1 {
			t.Errorf("%d got in with one code", won)
		}
		if c := load(t, s, ana).Credentials[0]; c.Counter != 8 || c.LastUsedAt.IsZero() {
			t.Errorf("%+v", c)
		}
	})
}

func TestACounterNeverGoesBack(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		keepToken(t, s, "h1", 5)
		burn := func(step int64) {
			do(t, s, func(tx *store.Tx) error { return BurnTOTP(tx, proof.Proof{Authenticator: "h1", Step: step}) })
		}
		burn(50)
		burn(60)
		for _, row := range []struct {
			name  string
			token string
			step  int64
			pair  bool
			ok    bool
		}{
			{"one before the next", "h1", 4, false, false},
			{"the next", "h1", 5, false, true},
			{"the same again", "h1", 5, false, false},
			{"one left out", "h1", 7, false, true},
			{"the one that was left out", "h1", 6, false, false},
			{"a token that is gone", "h2", 9, false, false},
			{"two in a row, the first of them used", "h1", 8, true, false},
			{"two in a row", "h1", 31, true, true},
			{"the first of them alone", "h1", 30, false, false},
			{"two in a row, the first of them was refused with a hint", "h1", 51, true, false},
			{"the one after them", "h1", 52, false, true},
			{"a code that was refused with a hint", "h1", 60, false, false},
			{"the one after it", "h1", 61, false, true},
		} {
			p := proof.Proof{Method: proof.HOTP, Authenticator: row.token, Step: row.step, Pair: row.pair}
			if ok := yes(t, s, func(tx *store.Tx) (bool, error) { return AcceptHOTP(tx, p, fmt.Sprint("attempt ", row.name)) }); ok != row.ok {
				t.Errorf("%s: %v", row.name, ok)
			}
		}
	})
}

func TestATokenThatIsSwitchedOffSpendsNothing(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		keepToken(t, s, "h1", 5)
		do(t, s, func(tx *store.Tx) error { _, err := SetState(tx, ana, "h1", "lost"); return err })
		if yes(t, s, func(tx *store.Tx) (bool, error) {
			return AcceptHOTP(tx, proof.Proof{Method: proof.HOTP, Authenticator: "h1", Step: 5}, "attempt")
		}) {
			t.Error("it opened")
		}
	})
}

func TestTwoCodesInARowPutAClockRight(t *testing.T) {
	token := testApp()
	token.Token = "t1"
	pair := func(d int64) string { return codeOf(t, token, here+d-1) + codeOf(t, token, here+d) }
	for _, row := range []struct {
		name  string
		typed string
		ok    bool
		hint  string
	}{
		{"one code, ten minutes off", codeOf(t, token, here-8), false, HintTokenAgain},
		{"two in a row, ten minutes off", pair(-20), true, ""},
		{"half an hour off", pair(60), true, ""},
		{"further than that", pair(61), false, ""},
		{"two that are not in a row", codeOf(t, token, here-20) + codeOf(t, token, here-18), false, ""},
		{"two the wrong way round", codeOf(t, token, here-18) + codeOf(t, token, here-19), false, ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			m := token.match(row.typed, noon)
			if m.accepted != row.ok || m.hint.Key != row.hint {
				t.Errorf("%+v", m)
			}
		})
	}
	token.LastStep = here - 20
	if m := token.match(pair(-20), noon); m.accepted || !m.used || m.hint.Key != HintTokenUsed {
		t.Errorf("two that were used: %+v", m)
	}
	app := testApp()
	if m := app.match(pair(0), noon); m.accepted {
		t.Error("an app, whose owner can set its clock, takes one code at a time")
	}
}

// oathtool is another implementation of both RFCs.
func oathtool(t *testing.T, args ...string) []string {
	t.Helper()
	out, err := exec.Command("oathtool", args...).Output()
	if err != nil {
		t.Fatalf("oathtool %q (Debian package oathtool): %v", args, err)
	}
	return strings.Fields(string(out))
}

func TestOathtoolMakesTheSameCodes(t *testing.T) {
	for _, seed := range []string{rfcSeed, "MFRGGZDFMZTWQ2LKNNWG23TPOBYXE43UOV3HO6DZPI"} {
		for digits := 6; digits <= 8; digits++ {
			got := oathtool(t, "--hotp", "-b", "-d", strconv.Itoa(digits), "-c", "997", "-w", "20", seed)
			for i, want := range got {
				code, err := HOTPAt("SHA1", seal.Secret(seed), 997+int64(i), digits)
				if err != nil || code.Reveal() != want {
					t.Errorf("counter %d, %d digits: %s, oathtool %s, %v", 997+i, digits, code.Reveal(), want, err)
				}
			}
			for _, algorithm := range []string{"SHA1", "SHA256", "SHA512"} {
				for _, period := range []int64{30, 60} {
					app := TOTP{Secret: seal.Secret(seed), Algorithm: algorithm, Digits: digits, Period: period, LastStep: -1}
					want := oathtool(t, "--totp="+strings.ToLower(algorithm), "-b", "-d", strconv.Itoa(digits), "-s", fmt.Sprint(period, "s"), "-N", noon.Format("2006-01-02 15:04:05 UTC"), seed)[0]
					if m := app.match(want, noon); !m.accepted || m.drift != 0 {
						t.Errorf("%s, %d digits, %d s: oathtool's %s is refused", algorithm, digits, period, want)
					}
				}
			}
		}
	}
}

func TestANewAppGetsWhatTheOperatorChose(t *testing.T) {
	how := Making{Algorithm: "SHA512", Digits: 8, Period: 60}
	app := how.New("App", rfcSeed, noon)
	uri := app.KeyURI("Harbour Books", "ana@harbour.example").Reveal()
	if !strings.HasSuffix(uri, "&algorithm=SHA512&digits=8&period=60") {
		t.Error(uri)
	}
	code, err := app.CodeAt(noon)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, ok, _ := app.CheckNew(code, noon); !ok {
		t.Error("its own code is refused")
	}
	if usual := (Making{}).New("", "", time.Time{}); usual.Algorithm != "SHA1" || usual.Digits != 6 || usual.Period != 30 {
		t.Errorf("%+v", usual)
	}
	for _, bad := range []Making{{"MD5", 6, 30}, {"SHA1", 5, 30}, {"SHA1", 9, 30}, {"SHA1", 6, 1}, {"SHA1", 6, 3600}, {}} {
		if bad.Check() == nil {
			t.Errorf("%+v is taken", bad)
		}
	}
}
