package authenticators

import (
	"crypto/rand"
	"encoding/json"
	"testing"

	"gatehouse/authenticators/softkey"
	"gatehouse/id"
	"gatehouse/proof"
	"gatehouse/seal"
)

// The house of the passkey tests, and a neighbour.
const (
	homeOrigin = "https://id.example.org"
	kinOrigin  = "https://shop.example.com" // related
	evilOrigin = "https://id.example.org.evil.test"
)

var (
	question = []byte("the question that was asked, 32b")
	anaUser  = PasskeyUser{Account: ana, Email: "ana@example.org", Name: "Ana"}
)

// relying is the house with a policy; nil is one that asks for no attestation.
func relying(t testing.TB, policy *AttestationPolicy) *Relying {
	t.Helper()
	o := RelyingOptions{Name: "Gatehouse", Origins: []string{homeOrigin, kinOrigin}}
	if policy != nil {
		o.Attestation = *policy
	}
	r, err := NewRelying(o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// need takes what cannot fail here.
func need(t testing.TB) func([]byte, error) []byte {
	return func(b []byte, err error) []byte {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
}

// created answers CreationOptions of a house.
func created(t testing.TB, r *Relying, k *softkey.Key, as PasskeySort, spoil softkey.Spoil) seal.Secret {
	t.Helper()
	options := need(t)(r.CreationOptions(anaUser, question, nil, as))
	return seal.Secret(need(t)(k.Create(options, homeOrigin, spoil)))
}

// made is a passkey of Ana's as it is kept.
func made(t testing.TB, r *Relying, k *softkey.Key, as PasskeySort) Credential {
	t.Helper()
	c, _, hint, ok := r.CheckNew(anaUser, question, created(t, r, k, as, softkey.Spoil{}), as, noon)
	if !ok {
		t.Fatalf("a good passkey was refused: %s", hint.Reason)
	}
	c.ID = "p1"
	return c
}

// got answers RequestOptions of a house for passkeys that are kept.
func got(t testing.TB, r *Relying, k *softkey.Key, allow []Credential, verified bool, spoil softkey.Spoil) seal.Secret {
	t.Helper()
	options := need(t)(r.RequestOptions(question, allow, verified))
	return seal.Secret(need(t)(k.Get(options, homeOrigin, spoil)))
}

// judged is the verdict of the set on an answer.
func judged(t testing.TB, r *Relying, answer seal.Secret, verified bool, kept ...Credential) Verdict {
	t.Helper()
	s := (&Set{checkers: map[proof.Method]Checker{}}).WithPasskeys(r)
	v, err := s.Check(t.Context(), proof.Passkey, Kept{Account: ana, Credentials: kept},
		Shown{Secret: answer, Challenge: question, Verified: verified, Now: noon})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func newKey() *softkey.Key { return softkey.New(rand.Reader) }

// withFacts is a passkey whose facts are changed.
func withFacts(t testing.TB, c Credential, change func(*PasskeyFacts)) Credential {
	t.Helper()
	f, err := PasskeyOf(c)
	if err != nil {
		t.Fatal(err)
	}
	change(&f)
	c.Public = f.public()
	return c
}

func object(t testing.TB, raw []byte) map[string]any {
	t.Helper()
	var m map[string]any
	if err := json.Unmarshal(raw, &m); err != nil {
		t.Fatal(err)
	}
	return m
}

func flagged(on, off byte) func(*softkey.AuthData) {
	return func(a *softkey.AuthData) { a.Flags = a.Flags&^off | on }
}

const other = id.Account("0199f000-0000-7000-8000-00000000000c")
