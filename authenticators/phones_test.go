package authenticators

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"gatehouse/id"
	"gatehouse/proof"
	"gatehouse/seal"
	"gatehouse/store"
	"gatehouse/store/storetest"
)

const lisbon = seal.Secret("+351912345642")

// eachWithClock runs fn on every database, with a clock of its own.
func eachWithClock(t *testing.T, fn func(t *testing.T, s *store.Store, clock *storetest.Clock)) {
	t.Helper()
	clock := storetest.NewClock()
	storetest.EachWith(t, func(o *store.Options) { o.Now = clock.Now }, func(t *testing.T, s *store.Store) { fn(t, s, clock) })
}

func addPhone(t *testing.T, s *store.Store, account id.Account, usable time.Time) Credential {
	t.Helper()
	n, _ := NumberRules{Countries: []string{"PT"}}.Parse(lisbon.Reveal())
	c, err := NewPhone(n, "", "")
	if err != nil {
		t.Fatal(err)
	}
	c.ID, c.Account, c.MadeAt, c.UsableAt = id.New[id.Authenticator](noon, rand.Reader), account, noon, usable
	do(t, s, func(tx *store.Tx) error {
		_, err := AddCredential(tx, testKeys(t), c)
		return err
	})
	return c
}

func askCode(t *testing.T, s *store.Store, c Credential, attempt string) Asking {
	t.Helper()
	message, code, err := NewPhoneCode(noon, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	a := Asking{ID: message, Code: code, Account: c.Account, Credential: c.ID, Number: c.Secret, Way: proof.SMS, Attempt: attempt}
	do(t, s, func(tx *store.Tx) error { return AddPhoneCode(tx, testKeys(t), a) })
	return a
}

// check compares what is typed with the codes of an attempt.
func check(t *testing.T, s *store.Store, account id.Account, attempt string, typed seal.Secret, now time.Time) (v Verdict) {
	t.Helper()
	var k Kept
	do(t, s, func(tx *store.Tx) (err error) {
		k, err = LoadPhones(tx, testKeys(t), account)
		return err
	})
	v, err := phoneChecker{testKeys(t)}.Check(t.Context(), k.AskedBy(attempt), Shown{Secret: typed, Now: now})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestACodeThatWasSentOpensOnlyWhatAskedForIt(t *testing.T) {
	eachWithClock(t, func(t *testing.T, s *store.Store, clock *storetest.Clock) {
		ana, bob := id.New[id.Account](noon, rand.Reader), id.New[id.Account](noon, rand.Reader)
		a := askCode(t, s, addPhone(t, s, ana, time.Time{}), "attempt")
		addPhone(t, s, bob, time.Time{})
		now := clock.Now()
		spaced := seal.Secret(a.Code[:3] + " " + a.Code[3:])
		for what, v := range map[string]bool{
			"its own attempt":      check(t, s, ana, "attempt", a.Code, now).OK,
			"typed with a space":   check(t, s, ana, "attempt", spaced, now).OK,
			"another attempt":      !check(t, s, ana, "other", a.Code, now).OK,
			"another person":       !check(t, s, bob, "attempt", a.Code, now).OK,
			"another code":         !check(t, s, ana, "attempt", "x"+a.Code[1:], now).OK,
			"nothing":              !check(t, s, ana, "attempt", "", now).OK,
			"a quarter later":      !check(t, s, ana, "attempt", a.Code, now.Add(PhoneCodeLatest)).OK,
			"just before that end": check(t, s, ana, "attempt", a.Code, now.Add(PhoneCodeLatest-time.Second)).OK,
		} {
			if !v {
				t.Error(what)
			}
		}
	})
}

func TestANumberOnHoldOpensNothing(t *testing.T) {
	eachWithClock(t, func(t *testing.T, s *store.Store, clock *storetest.Clock) {
		ana := id.New[id.Account](noon, rand.Reader)
		c := addPhone(t, s, ana, clock.Now().Add(time.Minute))
		a := askCode(t, s, c, "attempt")
		if check(t, s, ana, "attempt", a.Code, clock.Now()).OK {
			t.Error("it is on hold")
		}
		p := proof.Proof{Method: proof.SMS, Authenticator: string(c.ID), Step: PhoneCode{ID: a.ID}.step()}
		if yes(t, s, func(tx *store.Tx) (bool, error) { return SpendPhoneCode(tx, testKeys(t), ana, p, "attempt") }) {
			t.Error("it is on hold, and was spent")
		}
		clock.Forward(time.Minute)
		if !check(t, s, ana, "attempt", a.Code, clock.Now()).OK {
			t.Error("the hold is over")
		}
	})
}

func TestOfManyWhoShowACodeAtOnceOneHasIt(t *testing.T) {
	eachWithClock(t, func(t *testing.T, s *store.Store, clock *storetest.Clock) {
		ana := id.New[id.Account](noon, rand.Reader)
		a := askCode(t, s, addPhone(t, s, ana, time.Time{}), "attempt")
		v := check(t, s, ana, "attempt", a.Code, clock.Now())
		won := rivals(t, s, 8, func(tx *store.Tx) (bool, error) { return SpendPhoneCode(tx, testKeys(t), ana, v.Proof, "attempt") })
		if won != 1 {
			t.Errorf("%d have it", won)
		}
		again := check(t, s, ana, "attempt", a.Code, clock.Now())
		do(t, s, func(tx *store.Tx) error {
			at, ours, err := UsedBy(tx, again.Used, "attempt")
			if !ours || !at.Equal(clock.Now()) {
				t.Errorf("used by this attempt: %v, at %v", ours, at)
			}
			if _, ours, err := UsedBy(tx, again.Used, "other"); ours || err != nil {
				t.Errorf("used by another: %v, %v", ours, err)
			}
			return err
		})
	})
}

func TestAHandOverIsNotedOnceAndAFailureNeverAfterIt(t *testing.T) {
	eachWithClock(t, func(t *testing.T, s *store.Store, clock *storetest.Clock) {
		ana := id.New[id.Account](noon, rand.Reader)
		a := askCode(t, s, addPhone(t, s, ana, time.Time{}), "attempt")
		state := func() (state TextState) {
			do(t, s, func(tx *store.Tx) (err error) {
				state, _, err = StateOfText(tx, ana, "attempt")
				return err
			})
			return state
		}
		if got := state(); got != TextOnWay {
			t.Errorf("%q", got)
		}
		clock.Forward(time.Minute)
		do(t, s, func(tx *store.Tx) error { return HandedOver(tx, a.ID) })
		clock.Forward(4 * time.Minute)
		do(t, s, func(tx *store.Tx) error { return HandedOver(tx, a.ID) }) // sent again after a crash
		do(t, s, func(tx *store.Tx) error { return FailText(tx, a.ID, "expired") })
		if got := state(); got != TextHanded {
			t.Errorf("%q", got)
		}
		clock.Forward(time.Minute)
		if got := state(); got != TextOver {
			t.Errorf("five minutes after the first hand-over: %q", got)
		}
	})
}

func TestAPhonesNumberStandsNowhereInTheDatabase(t *testing.T) {
	eachWithClock(t, func(t *testing.T, s *store.Store, _ *storetest.Clock) {
		c := addPhone(t, s, id.New[id.Account](noon, rand.Reader), time.Time{})
		do(t, s, func(tx *store.Tx) error {
			var name, public string
			var sealed []byte
			err := tx.Row(`SELECT name, public, secret FROM credentials WHERE id = $1`, c.ID).Scan(&name, &public, &sealed)
			for _, text := range [][]byte{[]byte(name), []byte(public), sealed} {
				if bytes.Contains(text, []byte("912345")) {
					t.Errorf("%q", text)
				}
			}
			return err
		})
	})
}

func TestCodesAreSixDigitsAndNoneIsLikelier(t *testing.T) {
	high := bytes.NewReader(append([]byte{0xff, 0xff, 0xff, 0xff}, bytes.Repeat([]byte{0}, 40)...)) // the first draw is above the last whole million
	_, code, err := NewPhoneCode(noon, high)
	if err != nil || code != "000000" {
		t.Errorf("%q, %v", code.Reveal(), err)
	}
	if _, _, err := NewPhoneCode(noon, bytes.NewReader(nil)); err == nil {
		t.Error("a code without randomness")
	}
	for range 100 {
		if _, code, _ := NewPhoneCode(noon, rand.Reader); len(code) != 6 {
			t.Errorf("%q", code.Reveal())
		}
	}
}

// Whatever is done in whatever order: no code opens twice, none after a newer one
// of its attempt, and none after its end.
func TestNoOrderOfStepsOpensACodeTwice(t *testing.T) {
	clock := storetest.NewClock()
	s := storetest.Open(t, storetest.SQLite(t), func(o *store.Options) { o.Now = clock.Now })
	rapid.Check(t, func(r *rapid.T) {
		ana := id.New[id.Account](noon, rand.Reader)
		phone := addPhone(t, s, ana, time.Time{})
		var asked []Asking
		opened := map[id.Message]bool{}
		newest := map[string]id.Message{}
		ends := map[id.Message]time.Time{}
		for range rapid.IntRange(3, 14).Draw(r, "steps") {
			switch rapid.SampledFrom([]string{"ask", "ask", "hand", "show", "show", "show", "wait"}).Draw(r, "step") {
			case "ask":
				a := askCode(t, s, phone, fmt.Sprint("attempt ", rapid.IntRange(0, 1).Draw(r, "attempt")))
				asked, newest[a.Attempt], ends[a.ID] = append(asked, a), a.ID, clock.Now().Add(PhoneCodeLatest)
			case "hand":
				if len(asked) > 0 {
					a := rapid.SampledFrom(asked).Draw(r, "code")
					do(t, s, func(tx *store.Tx) error { return HandedOver(tx, a.ID) })
				}
			case "wait":
				clock.Forward(time.Duration(rapid.IntRange(1, 400).Draw(r, "seconds")) * time.Second)
			case "show":
				if len(asked) == 0 {
					continue
				}
				a := rapid.SampledFrom(asked).Draw(r, "code")
				v := check(t, s, ana, a.Attempt, a.Code, clock.Now())
				ok := v.OK && yes(t, s, func(tx *store.Tx) (bool, error) { return SpendPhoneCode(tx, testKeys(t), ana, v.Proof, a.Attempt) })
				if ok && (opened[a.ID] || newest[a.Attempt] != a.ID || !clock.Now().Before(ends[a.ID])) {
					r.Fatalf("opened: before %v, newest %v", opened[a.ID], newest[a.Attempt] == a.ID)
				}
				opened[a.ID] = opened[a.ID] || ok
			}
		}
	})
}
