package authenticators

import (
	"encoding/base64"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"gatehouse/seal"
)

// recorded are answers of a real browser: testdata/webauthn/record.mjs makes them.
type recorded struct {
	Origin  string
	Answers []struct {
		Name     string
		As       PasskeySort
		Verified bool
		Create   json.RawMessage
		Get      json.RawMessage
		SPKI     string
	}
}

// What Chromium makes of its virtual authenticators is taken by us, and by
// libfido2.
func TestWhatChromiumRecorded(t *testing.T) {
	raw, err := os.ReadFile(filepath.Join("testdata", "webauthn", "chromium156.json"))
	if err != nil {
		t.Fatal(err)
	}
	var all recorded
	if err := json.Unmarshal(raw, &all); err != nil || len(all.Answers) != 4 {
		t.Fatal(len(all.Answers), err)
	}
	r, err := NewRelying(RelyingOptions{Origins: []string{all.Origin}})
	if err != nil {
		t.Fatal(err)
	}
	want := []PasskeyFacts{
		{Format: "packed", Discoverable: true, Verifies: true},
		{Format: "packed", Discoverable: true, Verifies: true, BackupEligible: true, BackedUp: true},
		{Format: "packed"},
		{Format: "fido-u2f"},
	}
	for i, a := range all.Answers {
		t.Run(a.Name, func(t *testing.T) {
			c, _, hint, ok := r.CheckNew(anaUser, question, seal.Secret(a.Create), a.As, noon)
			if !ok {
				t.Fatalf("the registration was refused: %s", hint.Reason)
			}
			c.ID = "p1"
			f, err := PasskeyOf(c)
			if err != nil || f.Format != want[i].Format || f.Discoverable != want[i].Discoverable || f.Verifies != want[i].Verifies ||
				f.BackupEligible != want[i].BackupEligible || f.BackedUp != want[i].BackedUp || f.Attested || len(f.Transports) != 1 {
				t.Errorf("%+v %v", f, err)
			}
			v, err := passkeyChecker{r}.Check(t.Context(), Kept{Account: ana, Credentials: []Credential{c}},
				Shown{Secret: seal.Secret(a.Get), Challenge: question, Verified: a.Verified, Now: noon})
			if err != nil || !v.OK || v.Proof.Step <= c.Counter && v.Proof.Step != 0 || v.Proof.Verified != a.Verified {
				t.Errorf("the assertion: %+v %v, counter %d", v, err, c.Counter)
			}
			spki, err := base64.StdEncoding.DecodeString(a.SPKI)
			if err != nil {
				t.Fatal(err)
			}
			if out, err := fido2Assert(t, a.Get, spki, assertion{kind: "es256", domain: "localhost", verified: a.Verified}); err != nil {
				t.Errorf("libfido2: %v: %s", err, out)
			}
		})
	}
}
