package authenticators

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-webauthn/webauthn/metadata"
	"github.com/google/uuid"

	"gatehouse/seal"
)

// hexed is bytes as the vectors have them.
type hexed []byte

// UnmarshalText reads hexadecimal digits.
func (h *hexed) UnmarshalText(text []byte) error {
	b, err := hex.DecodeString(string(text))
	*h = b
	return err
}

type officialVectors struct {
	Root    hexed `json:"attestation_ca_cert"`
	Vectors []struct {
		Section        string
		Challenge      hexed
		ClientDataJSON hexed
		Object         hexed `json:"attestationObject"`
		ID             hexed `json:"credential_id"`
		Authentication struct {
			Challenge, ClientDataJSON, AuthenticatorData, Signature, Key hexed
		}
	}
}

// official says what is to become of each vector: refused for a reason, or taken
// and vouched for by the vectors' root, or just taken.
var official = map[string]struct {
	new, got string
	attested bool
}{
	"§16.2 None Attestation - ES256":                          {},
	"§16.3 Self Attestation (Packed) - ES256":                 {},
	"§16.4 None Attestation - ES256 - Cross Origin":           {new: badFrame, got: badFrame}, // no page of ours is framed
	"§16.5 None Attestation - ES256 - Top Origin":             {new: badFrame, got: badFrame},
	"§16.6 None Attestation - ES256 - Long Credential ID":     {},
	"§16.7 Packed Attestation - ES256":                        {attested: true},
	"§16.8 Packed Attestation - ES384":                        {new: badAlgorithm}, // not offered
	"§16.9 Packed Attestation - ES512":                        {new: badAlgorithm},
	"§16.10 Packed Attestation - RS256":                       {attested: true},
	"§16.11 Packed Attestation - EdDSA":                       {attested: true},
	"§16.13 TPM Attestation - ES256":                          {new: badStatement}, // its manufacturer is made up
	"§16.14 Android Key Attestation - ES256":                  {new: badStatement}, // its authorization lists are empty, which §8.4 forbids
	"§16.15 Apple Anonymous Attestation - ES256 - Top Origin": {new: badStatement}, // its root is not Apple's
	"§16.16 FIDO U2F Attestation - ES256":                     {},
}

// The vectors of the standard itself (L3 §16): made by nobody here.
func TestTheStandardsOwnVectors(t *testing.T) {
	raw, err := os.ReadFile(filepath.Join("testdata", "webauthn", "l3-section16.json"))
	if err != nil {
		t.Fatal(err)
	}
	var all officialVectors
	if err := json.Unmarshal(raw, &all); err != nil {
		t.Fatal(err)
	}
	if len(all.Vectors) != len(official) {
		t.Fatalf("%d vectors, and something is said of %d", len(all.Vectors), len(official))
	}
	r := officialHouse(t, all.Root)
	for _, v := range all.Vectors {
		t.Run(v.Section, func(t *testing.T) {
			want, known := official[v.Section]
			if !known {
				t.Fatal("nothing is said of it")
			}
			new := answerOf(v.ID, map[string]any{"clientDataJSON": b64url(v.ClientDataJSON), "attestationObject": b64url(v.Object)})
			c, _, hint, ok := r.CheckNew(anaUser, v.Challenge, new, SortSecurityKey, noon)
			if hint.Reason != want.new || ok != (want.new == "") {
				t.Errorf("registration: %v %q, want %q", ok, hint.Reason, want.new)
			}
			f := PasskeyFacts{Key: v.Authentication.Key, BackupEligible: v.Authentication.AuthenticatorData[32]&8 != 0}
			if ok {
				f, err = PasskeyOf(c)
				if err != nil || string(f.Key) != string(v.Authentication.Key) || f.Attested != want.attested {
					t.Errorf("%+v %v", f, err)
				}
			}
			c = Credential{ID: "p1", Account: ana, Kind: KindPasskey, Handle: "passkey:" + b64url(v.ID), Public: f.public()}
			got := answerOf(v.ID, map[string]any{"clientDataJSON": b64url(v.Authentication.ClientDataJSON),
				"authenticatorData": b64url(v.Authentication.AuthenticatorData), "signature": b64url(v.Authentication.Signature)})
			shown := Shown{Secret: got, Challenge: v.Authentication.Challenge, Now: noon}
			verdict, err := passkeyChecker{r}.Check(t.Context(), Kept{Account: ana, Credentials: []Credential{c}}, shown)
			if err != nil || verdict.Hint.Reason != want.got || verdict.OK != (want.got == "") {
				t.Errorf("authentication: %+v %v, want %q", verdict, err, want.got)
			}
		})
	}
}

// officialHouse is example.org, and trusts the vectors' root for every model.
func officialHouse(t *testing.T, root []byte) *Relying {
	t.Helper()
	anchor, err := certificate(base64.StdEncoding.EncodeToString(root))
	if err != nil {
		t.Fatal(err)
	}
	mds := &MDS{entries: map[uuid.UUID]*metadata.Entry{}}
	for _, model := range strings.Fields("876ca4f52071c3e9b25509ef2cdf7ed6 428f8878298b9862a36ad8c7527bfef2 d5aa33581e8ca478e20fe713f5d32ff2") {
		e := &metadata.Entry{}
		e.MetadataStatement.AttestationTypes = metadata.AuthenticatorAttestationTypes{metadata.BasicFull}
		e.MetadataStatement.AttestationRootCertificates = append(e.MetadataStatement.AttestationRootCertificates, anchor)
		mds.entries[uuid.MustParse(model)] = e
	}
	r, err := NewRelying(RelyingOptions{Origins: []string{"https://example.org"}, Attestation: AttestationPolicy{Mode: AttestationAsked, MDS: mds}})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func answerOf(cid []byte, response map[string]any) seal.Secret {
	raw, err := json.Marshal(map[string]any{"id": b64url(cid), "rawId": b64url(cid), "type": "public-key", "response": response, "clientExtensionResults": map[string]any{}})
	if err != nil {
		panic(err)
	}
	return seal.Secret(raw)
}
