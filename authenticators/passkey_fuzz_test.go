package authenticators

import (
	"testing"
	"time"

	"gatehouse/authenticators/softkey"
	"gatehouse/proof"
	"gatehouse/seal"
)

// Whatever a browser sends, either ceremony ends in a verdict, at once: nothing
// that was not signed by the key opens, and a registration that is taken is one
// that can be read again.
func FuzzPasskeyAnswer(f *testing.F) {
	r, k := relying(f, nil), newKey()
	k.AlwaysAttests = true
	for _, format := range []string{"none", "self", "packed", "fido-u2f"} {
		k.Format, k.Maker = format, testMaker()
		f.Add([]byte(created(f, r, k, SortPasskey, softkey.Spoil{}).Reveal()))
	}
	k.Forget()
	k.Format = "none"
	c := made(f, r, k, SortPasskey)
	right := got(f, r, k, nil, true, softkey.Spoil{}).Reveal()
	f.Add([]byte(right))
	f.Add([]byte(`{"id":"AA","rawId":"AA","type":"public-key","response":{"clientDataJSON":"e30","authenticatorData":"AAAA","signature":"AA"}}`))
	kept := Kept{Account: ana, Credentials: []Credential{c}}
	f.Fuzz(func(t *testing.T, raw []byte) {
		began := time.Now()
		answer := seal.Secret(raw)
		if made, p, hint, ok := r.CheckNew(anaUser, question, answer, SortPasskey, noon); ok {
			if facts, err := PasskeyOf(made); err != nil || len(facts.Key) == 0 || p.Method != proof.Passkey || made.Handle == passkeyHandle {
				t.Errorf("taken, and useless: %+v %v", made, err)
			}
		} else if hint.Key == "" || hint.Reason == "" {
			t.Error("refused without a reason")
		}
		v, err := passkeyChecker{r}.Check(t.Context(), kept, Shown{Secret: answer, Challenge: question, Verified: true, Now: noon})
		if err != nil || v.OK && !sameAssertion(string(raw), right) {
			t.Errorf("opened, or broke: %+v %v", v, err)
		}
		ShownBy(answer)
		if took := time.Since(began); took > 2*time.Second {
			t.Errorf("%d bytes took %s", len(raw), took)
		}
	})
}

// The parts of an answer, which base64 would keep a fuzzer out of.
func FuzzPasskeyParts(f *testing.F) {
	r, k := relying(f, nil), newKey()
	k.AlwaysAttests = true
	seed := func(answer string, ok bool) {
		a, _, read := readAnswer(answer)
		if read != ok {
			f.Fatal("a seed is broken")
		}
		f.Add([]byte(a.ID), []byte(a.Response.ClientDataJSON), []byte(a.Response.AttestationObject), []byte(a.Response.AuthenticatorData), []byte(a.Response.Signature))
	}
	for _, format := range []string{"none", "self", "packed", "fido-u2f"} {
		k.Format, k.Maker = format, testMaker()
		seed(created(f, r, k, SortPasskey, softkey.Spoil{}).Reveal(), true)
	}
	k.Forget()
	c := made(f, r, k, SortPasskey)
	right := got(f, r, k, nil, true, softkey.Spoil{}).Reveal()
	seed(right, true)
	kept := Kept{Account: ana, Credentials: []Credential{c}}
	f.Fuzz(func(t *testing.T, cid, client, object, auth, sig []byte) {
		began := time.Now()
		answer := answerOf(cid, map[string]any{"clientDataJSON": b64url(client), "attestationObject": b64url(object),
			"authenticatorData": b64url(auth), "signature": b64url(sig), "userHandle": UserHandle(ana)})
		if made, _, _, ok := r.CheckNew(anaUser, question, answer, SortPasskey, noon); ok {
			if facts, err := PasskeyOf(made); err != nil || len(facts.Key) == 0 || made.Handle != passkeyHandle+b64url(cid) {
				t.Errorf("taken, and useless: %+v %v", made, err)
			}
		}
		v, err := passkeyChecker{r}.Check(t.Context(), kept, Shown{Secret: answer, Challenge: question, Verified: true, Now: noon})
		if err != nil || v.OK && !sameAssertion(answer.Reveal(), right) {
			t.Errorf("opened, or broke: %+v %v", v, err)
		}
		if took := time.Since(began); took > 2*time.Second {
			t.Errorf("%d bytes took %s", len(answer), took)
		}
	})
}

// sameAssertion tells whether two answers carry what the key signed.
func sameAssertion(a, b string) bool {
	one, ok := readGot(a)
	two, _ := readGot(b)
	return ok && string(one.answer.Response.AuthenticatorData) == string(two.answer.Response.AuthenticatorData) &&
		string(one.answer.Response.ClientDataJSON) == string(two.answer.Response.ClientDataJSON)
}

func FuzzMDS(f *testing.F) {
	a := newAlliance(f, noon.AddDate(-1, 0, 0), noon.AddDate(1, 0, 0))
	right := a.blob(f, nil)
	f.Add(right)
	f.Add([]byte("a.b.c"))
	f.Fuzz(func(t *testing.T, blob []byte) {
		if m, err := ReadMDS(blob, a.root, noon); err == nil && (m.Number != 15 || len(m.entries) != 2) {
			t.Errorf("another BLOB than the one that was signed: %+v", m)
		}
	})
}
