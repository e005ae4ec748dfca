package flow

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"gatehouse/access"
	"gatehouse/authenticators"
	"gatehouse/fault"
	"gatehouse/proof"
	"gatehouse/seal"
	"gatehouse/store/storetest"
)

func withPasskeys(t *testing.T, b building) building {
	t.Helper()
	rules, err := authenticators.NewRelying(authenticators.RelyingOptions{Name: "Harbour Books", Origins: []string{b.Origin}})
	if err != nil {
		t.Fatal(err)
	}
	b.Auth = b.Auth.WithPasskeys(rules)
	return b
}

func TestWhereAPasskeyIsTaken(t *testing.T) {
	key := []Way{{Step: Passkey, Method: proof.Passkey}, {Step: Recovery, Method: proof.RecoveryCode}}
	both := enrolment{Offers: []proof.Method{proof.TOTP, proof.Passkey}}
	for _, c := range []struct {
		name string
		a    attempt
		want bool
	}{
		{"where it is asked for", attempt{At: Passkey, Ways: key}, true},
		{"where a code is asked for, and the person has a passkey", attempt{At: Code, Ways: key}, true},
		{"where a code is asked for, and the person has none", attempt{At: Code, Ways: app}, false},
		{"in place of the password of a fresh proof", attempt{At: Password, Purpose: Fresh}, true},
		{"not in place of any other password: that is a sign-in of its own", attempt{At: Password, Purpose: Reset}, false},
		{"where one may be set up", attempt{At: Enrol, Enrolled: both}, true},
		{"where only an app may be set up", attempt{At: Enrol, Enrolled: enrolment{Offers: both.Offers[:1]}}, false},
		{"not at the recovery codes", attempt{At: RecoveryCodes, Enrolled: both}, false},
		{"not while a new password is chosen", attempt{At: NewPassword, Ways: key}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := c.a.takesPasskey(); got != c.want {
				t.Errorf("taken: %v", got)
			}
		})
	}
}

func TestAQuestionBelongsToOneAttempt(t *testing.T) {
	b := build(t, storetest.Open(t, storetest.SQLite(t), nil))
	one, other := b.begin(SignIn, Input{}), b.begin(SignIn, Input{})
	of := func(a attempt) []byte {
		c, err := a.challenge()
		if err != nil || len(c) != 32 {
			t.Fatal(c, err)
		}
		return c
	}
	enrols := one
	enrols.At = Enrol
	if !bytes.Equal(of(one), of(one)) {
		t.Error("two copies of an attempt ask two questions")
	}
	if bytes.Equal(of(one), of(other)) || bytes.Equal(of(one), of(enrols)) {
		t.Error("two attempts, or a new passkey and an old one, are asked the same")
	}
	one.Seed = nil
	if _, err := one.challenge(); fault.Of(err) != fault.AttemptExpired {
		t.Errorf("a question that anybody could work out: %v", err)
	}
}

func TestTheQuestionOfAnOpenDoor(t *testing.T) {
	each(t, func(t *testing.T, b building) {
		b = withPasskeys(t, b)
		who := b.who()
		ask, err := b.PasskeyOptions(t.Context(), "", who)
		if err != nil {
			t.Fatal(err)
		}
		var said struct {
			Allow        []any  `json:"allowCredentials"`
			Verification string `json:"userVerification"`
		}
		if err := json.Unmarshal(ask.Options, &said); err != nil || len(said.Allow) > 0 || said.Verification != "required" || ask.RenewIn >= passkeyLife {
			t.Errorf("asked %s, %v", ask.Options, err)
		}
		attempt, err := b.outcome(b.begin(SignIn, Input{}), who, nil)
		if err != nil {
			t.Fatal(err)
		}
		for name, try := range map[string]Input{
			"another browser":     {Who: b.who(), Challenge: ask.Challenge},
			"an attempt for one":  {Who: who, Challenge: attempt.Attempt},
			"one that is made up": {Who: who, Challenge: "AAAA" + ask.Challenge[4:]},
		} {
			try.Do = ShowPasskey
			if _, err := b.Submit(t.Context(), try); fault.Of(err) != fault.AttemptExpired {
				t.Errorf("%s: %v", name, err)
			}
		}
		nonsense := Input{Do: ShowPasskey, Who: who, Challenge: ask.Challenge, Secret: "{}"}
		if out := b.submit(t, nonsense); out.Next != Password || out.Refusal == nil || out.Refusal.Code != fault.WrongPasskey {
			t.Errorf("nonsense: %+v", out)
		}
		b.clock.Forward(passkeyLife)
		if _, err := b.Submit(t.Context(), nonsense); fault.Of(err) != fault.AttemptExpired {
			t.Errorf("after ten minutes: %v", err)
		}
	})
}

// An answer says whose it is, in the words of whoever sends it: nothing of that
// may be long or odd enough to break a store.
func TestAnswersOfAnyKindAreRefusedAndPaidFor(t *testing.T) {
	each(t, func(t *testing.T, b building) {
		b = withPasskeys(t, b)
		b.Limits.CodeName.Max = 1000
		id := strings.Repeat("A", 1364)
		for _, answer := range []seal.Secret{"", "null", "[]", "{", seal.Secret(`{"id":"` + id + `","rawId":"` + id + `","type":"public-key","response":{"clientDataJSON":"e30"}}`),
			seal.Secret(strings.Repeat("x", 1<<17)), "{\"id\":\"\x00\"}"} {
			who := b.who()
			ask, err := b.PasskeyOptions(t.Context(), "", who)
			if err != nil {
				t.Fatal(err)
			}
			out := b.submit(t, Input{Do: ShowPasskey, Who: who, Challenge: ask.Challenge, Secret: answer})
			if out.Refusal == nil || out.Refusal.Code != fault.WrongPasskey || out.Ticket != "" {
				t.Errorf("%.40q: %+v", answer.Reveal(), out)
			}
		}
	})
}

func TestAHouseWithoutPasskeysTakesNone(t *testing.T) {
	b := build(t, storetest.Open(t, storetest.SQLite(t), nil))
	if ask, err := b.PasskeyOptions(t.Context(), "", b.who()); err != nil || ask.Options != nil {
		t.Errorf("asks for %s, %v", ask.Options, err)
	}
	if _, err := b.Submit(t.Context(), Input{Do: ShowPasskey, Challenge: "x", Who: b.who()}); fault.Of(err) != fault.NotFound {
		t.Errorf("took one: %v", err)
	}
	a := b.begin(Invitation, Input{})
	a.At = Enrol
	if err := b.startEnrolment(&a, access.Default()); err != nil {
		t.Fatal(err)
	}
	sealed, err := b.seal(a, Who{})
	if err != nil {
		t.Fatal(err)
	}
	out := b.submit(t, Input{Do: EnrolPasskey, Attempt: sealed})
	if out.Refusal == nil || out.Refusal.Code != fault.AttemptExpired {
		t.Errorf("set one up: %+v", out)
	}
}

func TestWhyAPasswordIsDueAfterAPasskey(t *testing.T) {
	b := build(t, storetest.Open(t, storetest.SQLite(t), nil))
	old := &authenticators.Password{MadeAt: b.clock.Now().Add(-100 * 24 * time.Hour)}
	legacy, err := authenticators.PolicyOf(authenticators.Legacy, 90)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name   string
		kept   authenticators.Kept
		policy authenticators.Policy
		want   string
	}{
		{"who has no password needs none", authenticators.Kept{}, legacy, ""},
		{"an old one is fine", authenticators.Kept{Password: old}, b.Choose.Policy, ""},
		{"but not where they run out", authenticators.Kept{Password: old}, legacy, expired},
		{"one that has leaked is replaced", authenticators.Kept{Password: &authenticators.Password{MustChange: compromised, MadeAt: b.clock.Now()}}, b.Choose.Policy, compromised},
	} {
		t.Run(c.name, func(t *testing.T) {
			b.Choose.Policy = c.policy
			if got := b.passwordDue(c.kept); got != c.want {
				t.Errorf("due because %q, want %q", got, c.want)
			}
		})
	}
}
