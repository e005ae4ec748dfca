package proof_test

import (
	"slices"
	"testing"
	"time"

	"gatehouse/proof"
)

var one, two = time.Unix(100, 0), time.Unix(200, 0)

func at(when time.Time, ms ...proof.Method) (ps []proof.Proof) {
	for _, m := range ms {
		ps = append(ps, proof.Proof{Method: m, At: when})
	}
	return ps
}

func TestLevelAndReferences(t *testing.T) {
	const pw, app, paper, link = proof.Password, proof.TOTP, proof.RecoveryCode, proof.Link
	for _, c := range []struct {
		name  string
		shown []proof.Method
		level proof.Level
		amr   []string
	}{
		{"a password and a token with a button", []proof.Method{pw, proof.HOTP}, proof.AAL2, []string{"pwd", "otp", "mfa"}},
		{"a password and a text message", []proof.Method{pw, proof.SMS}, proof.AAL2, []string{"pwd", "sms", "mfa"}},
		{"a password and a call", []proof.Method{pw, proof.Voice}, proof.AAL2, []string{"pwd", "tel", "mfa"}},
		{"a password and an approval", []proof.Method{pw, proof.Push}, proof.AAL2, []string{"pwd", "push", "mfa"}},
		{"a password and a remembered browser", []proof.Method{pw, proof.Remembered}, proof.AAL2, []string{"pwd", "remembered", "mfa"}},
		{"a remembered browser and a text, which are one factor", []proof.Method{proof.Remembered, proof.SMS}, proof.AAL1, []string{"remembered", "sms"}},
		{"nothing", nil, proof.None, nil},
		{"a password", []proof.Method{pw}, proof.AAL1, []string{"pwd"}},
		{"a password twice", []proof.Method{pw, pw}, proof.AAL1, []string{"pwd"}},
		{"an app", []proof.Method{app}, proof.AAL1, []string{"otp"}},
		{"an app and a recovery code, which are one factor", []proof.Method{app, paper}, proof.AAL1, []string{"otp"}},
		{"a password and an app", []proof.Method{pw, app}, proof.AAL2, []string{"pwd", "otp", "mfa"}},
		{"an app and a password", []proof.Method{app, pw}, proof.AAL2, []string{"otp", "pwd", "mfa"}},
		{"a password and a recovery code", []proof.Method{pw, paper}, proof.AAL2, []string{"pwd", "otp", "mfa"}},
		{"everything", []proof.Method{link, pw, app, paper}, proof.AAL2, []string{"pwd", "otp", "mfa"}},
		{"a link, which counts for nothing", []proof.Method{link}, proof.None, nil},
		{"a password and a link", []proof.Method{pw, link}, proof.AAL1, []string{"pwd"}},
		{"two things nobody knows", []proof.Method{"pigeon", "magic"}, proof.None, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := proof.LevelOf(at(one, c.shown...)); got != c.level {
				t.Errorf("level %d, want %d", got, c.level)
			}
			if got := proof.AMR(at(one, c.shown...)); !slices.Equal(got, c.amr) {
				t.Errorf("amr %v, want %v", got, c.amr)
			}
		})
	}
}

func TestFreshIsReckonedFromTheOldestProofThatCounts(t *testing.T) {
	if got := proof.Oldest(append(at(two, proof.Password), at(one, proof.TOTP)...)); got != one {
		t.Errorf("%v", got)
	}
	if got := proof.Oldest(append(at(two, proof.Password), at(one, proof.Link)...)); got != two {
		t.Errorf("a link made it older: %v", got)
	}
	if got := proof.Oldest(nil); !got.IsZero() {
		t.Errorf("%v", got)
	}
}

func TestFindReturnsTheNewest(t *testing.T) {
	ps := append(at(one, proof.Password), at(two, proof.Password)...)
	if p, ok := proof.Find(ps, proof.Password); !ok || p.At != two {
		t.Errorf("%v %v", p, ok)
	}
	if _, ok := proof.Find(ps, proof.TOTP); ok {
		t.Error("found what is not there")
	}
}

func TestWhatAPasskeyIsWorth(t *testing.T) {
	pw := proof.Proof{Method: proof.Password, At: one}
	key := func(change func(*proof.Proof)) proof.Proof {
		p := proof.Proof{Method: proof.Passkey, At: one}
		change(&p)
		return p
	}
	for _, c := range []struct {
		name      string
		shown     []proof.Proof
		level     proof.Level
		resistant bool
		amr       []string
	}{
		{"a key that was only touched", []proof.Proof{key(func(*proof.Proof) {})}, proof.AAL1, true, []string{"swk"}},
		{"a key that verified its holder", []proof.Proof{key(func(p *proof.Proof) { p.Verified = true })}, proof.AAL2, true, []string{"swk", "user", "mfa"}},
		{"a password and a key that was only touched", []proof.Proof{pw, key(func(*proof.Proof) {})}, proof.AAL2, true, []string{"pwd", "swk", "mfa"}},
		{"a bound key that nobody vouched for", []proof.Proof{key(func(p *proof.Proof) { p.Verified, p.Bound = true, true })}, proof.AAL2, true, []string{"hwk", "user", "mfa"}},
		{"an attested key that is copied to a cloud", []proof.Proof{key(func(p *proof.Proof) { p.Verified, p.Attested = true, true })}, proof.AAL2, true, []string{"swk", "user", "mfa"}},
		{"a bound and attested key", []proof.Proof{key(func(p *proof.Proof) { p.Verified, p.Bound, p.Attested = true, true, true })}, proof.AAL3, true, []string{"hwk", "user", "mfa"}},
		{"a bound and attested key that was only touched", []proof.Proof{key(func(p *proof.Proof) { p.Bound, p.Attested = true, true })}, proof.AAL1, true, []string{"hwk"}},
		{"the same after a password", []proof.Proof{pw, key(func(p *proof.Proof) { p.Bound, p.Attested = true, true })}, proof.AAL3, true, []string{"pwd", "hwk", "mfa"}},
		{"a password and a code", []proof.Proof{pw, {Method: proof.TOTP, Verified: true, Bound: true, Attested: true}}, proof.AAL2, false, []string{"pwd", "otp", "mfa"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := proof.LevelOf(c.shown); got != c.level {
				t.Errorf("level %d, want %d", got, c.level)
			}
			if got := proof.Resistant(c.shown); got != c.resistant {
				t.Errorf("phishing-resistant: %v", got)
			}
			if got := proof.AMR(c.shown); !slices.Equal(got, c.amr) {
				t.Errorf("amr %v, want %v", got, c.amr)
			}
		})
	}
}
