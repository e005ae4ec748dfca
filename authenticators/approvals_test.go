package authenticators

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"strings"
	"testing"

	"gatehouse/id"
)

func spki(t testing.TB, key any) string {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return base64.RawURLEncoding.EncodeToString(der)
}

func phoneKey(t testing.TB, curve elliptic.Curve) (*ecdsa.PrivateKey, string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key, spki(t, &key.PublicKey)
}

func signedBy(t testing.TB, key *ecdsa.PrivateKey, text string) string {
	t.Helper()
	sum := sha256.Sum256([]byte(text))
	r, s, err := ecdsa.Sign(rand.Reader, key, sum[:])
	if err != nil {
		t.Fatal(err)
	}
	out := make([]byte, 64)
	r.FillBytes(out[:32])
	s.FillBytes(out[32:])
	return base64.RawURLEncoding.EncodeToString(out)
}

func TestASignatureStandsForOneQuestionOneTextAndOneAnswer(t *testing.T) {
	key, public := phoneKey(t, elliptic.P256())
	const question, shown = id.Approval("019a9f2e-7b22-7c3d-9e4f-5a6b7c8d9e0f"), `{"amount":"12.00"}`
	good := Signed{Answer: "approve", Digits: "17", Time: "2026-11-21T09:12:05Z", Key: public}
	good.Signature = signedBy(t, key, good.Text(question, shown))
	if !good.Stands(question, shown) {
		t.Fatal("it does not stand for what was signed")
	}
	_, other := phoneKey(t, elliptic.P256())
	for name, c := range map[string]struct {
		change   func(*Signed)
		question id.Approval
		shown    string
	}{
		"another question":           {func(*Signed) {}, "019a9f2e-7b22-7c3d-9e4f-5a6b7c8d9e00", shown},
		"another amount":             {func(*Signed) {}, question, `{"amount":"92.00"}`},
		"one blank more":             {func(*Signed) {}, question, shown + " "},
		"another answer":             {func(s *Signed) { s.Answer = "deny" }, question, shown},
		"other digits":               {func(s *Signed) { s.Digits = "71" }, question, shown},
		"digits moved to the answer": {func(s *Signed) { s.Answer, s.Digits = "approve\n17", "" }, question, shown},
		"another time":               {func(s *Signed) { s.Time = "2026-11-21T09:12:06Z" }, question, shown},
		"another key":                {func(s *Signed) { s.Key = other }, question, shown},
		"no signature":               {func(s *Signed) { s.Signature = "" }, question, shown},
		"a signature of zeros":       {func(s *Signed) { s.Signature = base64.RawURLEncoding.EncodeToString(make([]byte, 64)) }, question, shown},
		"half a signature":           {func(s *Signed) { s.Signature = s.Signature[:43] }, question, shown},
	} {
		bad := good
		c.change(&bad)
		if bad.Stands(c.question, c.shown) {
			t.Errorf("it stands for %s", name)
		}
	}
}

func TestOnlyAP256KeyIsADevicesKey(t *testing.T) {
	_, good := phoneKey(t, elliptic.P256())
	if _, err := ParseDeviceKey(good); err != nil {
		t.Fatal(err)
	}
	_, large := phoneKey(t, elliptic.P384())
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"nothing": "", "P-384": large, "RSA": spki(t, &rsaKey.PublicKey), "a blank in it": good[:10] + " " + good[10:],
		"padded": good + "=", "long": strings.Repeat("A", 10_000), "cut": good[:len(good)-4]} {
		if _, err := ParseDeviceKey(text); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}

func FuzzParseDeviceKey(f *testing.F) {
	_, good := phoneKey(f, elliptic.P256())
	f.Add(good, "x", "y")
	f.Fuzz(func(t *testing.T, key, text, signature string) {
		k, err := ParseDeviceKey(key)
		if k.Verify(text, signature) && (err != nil || len(signature) != 86) {
			t.Error("a signature that is none")
		}
	})
}
