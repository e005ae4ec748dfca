package authenticators

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"math/big"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"gatehouse/authenticators/softkey"
)

// The library judges certificates of attestation by the clock of the world.
var testMaker = sync.OnceValue(func() *softkey.Maker {
	m, err := softkey.NewMaker(rand.Reader, [16]byte{7}, time.Now())
	if err != nil {
		panic(err)
	}
	return m
})

const (
	softModel  = "07000000-0000-0000-0000-000000000000"
	plainModel = "09000000-0000-0000-0000-000000000000" // that its maker signs nothing for
)

// alliance signs BLOBs as the FIDO Alliance does.
type alliance struct {
	root, leaf string // base64 DER
	key        *ecdsa.PrivateKey
}

func newAlliance(t testing.TB, from, to time.Time) alliance {
	t.Helper()
	key := func() *ecdsa.PrivateKey {
		k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	rootKey, leafKey := key(), key()
	root := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "root"}, NotBefore: from, NotAfter: to, IsCA: true, BasicConstraintsValid: true}
	leaf := &x509.Certificate{SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "mds"}, NotBefore: from, NotAfter: to}
	a := alliance{key: leafKey}
	a.root = base64.StdEncoding.EncodeToString(need(t)(x509.CreateCertificate(rand.Reader, root, root, &rootKey.PublicKey, rootKey)))
	a.leaf = base64.StdEncoding.EncodeToString(need(t)(x509.CreateCertificate(rand.Reader, leaf, root, &leafKey.PublicKey, rootKey)))
	return a
}

func (a alliance) blob(t testing.TB, change func(header, payload map[string]any)) []byte {
	t.Helper()
	payload := map[string]any{"legalHeader": "test", "no": 15, "nextUpdate": "2026-12-01", "entries": []any{
		entry(softModel, "Soft Key 7", "basic_full", []any{map[string]any{"status": "FIDO_CERTIFIED_L1", "effectiveDate": "2024-01-01"}}),
		entry(plainModel, "Plain Key 9", "basic_surrogate", []any{}),
		map[string]any{"aaguid": "no aaguid"},
	}}
	token := jwt.NewWithClaims(jwt.SigningMethodES256, jwt.MapClaims(payload))
	token.Header["x5c"] = []string{a.leaf, a.root}
	if change != nil {
		change(token.Header, payload)
	}
	signed, err := token.SignedString(a.key)
	if err != nil {
		t.Fatal(err)
	}
	return []byte(signed)
}

func entry(model, name, kind string, reports []any) map[string]any {
	return map[string]any{"aaguid": model, "timeOfLastStatusChange": "2024-01-01", "statusReports": reports, "metadataStatement": map[string]any{
		"aaguid": model, "description": name, "authenticatorVersion": 1, "protocolFamily": "fido2", "schema": 3, "upv": []any{map[string]any{"major": 1, "minor": 1}},
		"authenticationAlgorithms": []any{"secp256r1_ecdsa_sha256_raw"}, "publicKeyAlgAndEncodings": []any{"cose"}, "attestationTypes": []any{kind},
		"userVerificationDetails": []any{}, "keyProtection": []any{"hardware"}, "matcherProtection": []any{"on_chip"}, "attachmentHint": []any{"external"}, "tcDisplay": []any{},
		"attestationRootCertificates": []any{base64.StdEncoding.EncodeToString(testMaker().Root)},
	}}
}

func reported(status, from string) func(_, payload map[string]any) {
	return func(_, payload map[string]any) {
		e := payload["entries"].([]any)[0].(map[string]any)
		e["statusReports"] = append(e["statusReports"].([]any), map[string]any{"status": status, "effectiveDate": from})
	}
}

func testMDS(t testing.TB, change func(header, payload map[string]any)) *MDS {
	t.Helper()
	a := newAlliance(t, noon.AddDate(-1, 0, 0), noon.AddDate(1, 0, 0))
	m, err := ReadMDS(a.blob(t, change), a.root, noon)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestAnMDSBlobIsVerified(t *testing.T) {
	year := func(n int) time.Time { return noon.AddDate(n, 0, 0) }
	a, stranger := newAlliance(t, year(-1), year(1)), newAlliance(t, year(-1), year(1))
	for _, row := range []struct {
		name string
		blob []byte
		root string
		at   time.Time
		ok   bool
	}{
		{"of the root that is trusted", a.blob(t, nil), a.root, noon, true},
		{"of another root", a.blob(t, nil), stranger.root, noon, false},
		{"of the root that the library pins, which it is not", a.blob(t, nil), "", noon, false},
		{"when the certificates are over", a.blob(t, nil), a.root, year(2), false},
		{"before the certificates begin", a.blob(t, nil), a.root, year(-2), false},
		{"with a bit of it changed", []byte(strings.Replace(string(a.blob(t, nil)), ".", ".e", 1)), a.root, noon, false},
		{"cut off", a.blob(t, nil)[:400], a.root, noon, false},
		{"without certificates", a.blob(t, func(h, _ map[string]any) { delete(h, "x5c") }), a.root, noon, false},
		{"with a chain that does not lead to the root", a.blob(t, func(h, _ map[string]any) { h["x5c"] = []string{stranger.leaf, a.root} }), a.root, noon, false},
		{"with something that is no certificate", a.blob(t, func(h, _ map[string]any) { h["x5c"] = []any{7} }), a.root, noon, false},
		{"with no algorithm", a.blob(t, func(h, _ map[string]any) { h["alg"] = "none" }), a.root, noon, false},
		{"with the algorithm of a shared secret", a.blob(t, func(h, _ map[string]any) { h["alg"] = "HS256" }), a.root, noon, false},
		{"without a date", a.blob(t, func(_, p map[string]any) { p["nextUpdate"] = "soon" }), a.root, noon, false},
		{"empty", nil, a.root, noon, false},
	} {
		m, err := ReadMDS(row.blob, row.root, row.at)
		if (err == nil) != row.ok {
			t.Errorf("%s: %v", row.name, err)
		}
		if row.ok && (m.Number != 15 || m.Next.Format(time.DateOnly) != "2026-12-01" || len(m.entries) != 2) {
			t.Errorf("%s: %+v", row.name, m)
		}
	}
}

// attestRow is an authenticator and what a policy makes of it.
type attestRow struct {
	name     string
	mode     AttestationMode
	models   []string
	mds      func(header, payload map[string]any)
	key      func(*softkey.Key)
	why      string
	attested string // what it is vouched for as
}

var attestRows = []attestRow{
	{"nothing is asked for, and a maker vouches: it is taken, and counts for nothing", AttestationNone, nil, nil, vouching("packed", 7), "", ""},
	{"asked for, and none", AttestationAsked, nil, nil, nil, "", ""},
	{"asked for, and its own", AttestationAsked, nil, nil, attesting("self"), "", ""},
	{"asked for, and its maker's", AttestationAsked, nil, nil, vouching("packed", 7), "", "Soft Key 7"},
	{"asked for, and a stranger's", AttestationAsked, nil, nil, strange, "", ""},
	{"asked for, and of a model that is warned of", AttestationAsked, nil, reported("ATTESTATION_KEY_COMPROMISE", "2026-01-01"), vouching("packed", 7), badRevoked, ""},
	{"required, and none", AttestationRequired, nil, nil, nil, badModel, ""},
	{"required, and its own", AttestationRequired, nil, nil, attesting("self"), badModel, ""},
	{"required, and its own, of a model whose keys all do so", AttestationRequired, nil, nil,
		func(k *softkey.Key) { attesting("self")(k); k.AAGUID = [16]byte{9} }, badModel, ""},
	{"required, and its maker's", AttestationRequired, nil, nil, vouching("packed", 7), "", "Soft Key 7"},
	{"required, and a stranger's who claims the model", AttestationRequired, nil, nil, strange, badModel, ""},
	{"required, and a maker's that MDS does not know", AttestationRequired, nil, func(_, p map[string]any) { p["entries"] = []any{} }, vouching("packed", 7), badModel, ""},
	{"required, and a U2F key, which has no model", AttestationRequired, nil, nil, vouching("fido-u2f", 0), badModel, ""},
	{"required, and a U2F key of the maker that claims a model, which nothing it signs names", AttestationRequired, nil, nil, vouching("fido-u2f", 7), badModel, ""},
	{"required and listed", AttestationRequired, []string{softModel}, nil, vouching("packed", 7), "", "Soft Key 7"},
	{"required and not listed", AttestationRequired, []string{plainModel}, nil, vouching("packed", 7), badModel, ""},
	{"required, and the model was revoked", AttestationRequired, nil, reported("REVOKED", "2026-11-20"), vouching("packed", 7), badRevoked, ""},
	{"required, and its users can be impersonated", AttestationRequired, nil, reported("USER_VERIFICATION_BYPASS", "2026-01-01"), vouching("packed", 7), badRevoked, ""},
	{"required, and its keys leak", AttestationRequired, nil, reported("USER_KEY_REMOTE_COMPROMISE", "2026-01-01"), vouching("packed", 7), badRevoked, ""},
	{"required, and will be revoked tomorrow", AttestationRequired, nil, reported("REVOKED", "2026-11-22"), vouching("packed", 7), "", "Soft Key 7"},
	{"required, and there is an update for it", AttestationRequired, nil, reported("UPDATE_AVAILABLE", "2026-01-01"), vouching("packed", 7), "", "Soft Key 7"},
}

// strange is a key of another maker that claims to be the model of ours.
func strange(k *softkey.Key) {
	vouching("packed", 7)(k)
	m, err := softkey.NewMaker(rand.Reader, [16]byte{7}, time.Now())
	if err != nil {
		panic(err)
	}
	k.Maker = m
}

func TestAttestationByPolicy(t *testing.T) {
	for _, row := range attestRows {
		t.Run(row.name, func(t *testing.T) {
			r, k := relying(t, &AttestationPolicy{Mode: row.mode, AAGUIDs: row.models, MDS: testMDS(t, row.mds)}), newKey()
			if row.key != nil {
				row.key(k)
			}
			c, p, hint, ok := r.CheckNew(anaUser, question, created(t, r, k, SortPasskey, softkey.Spoil{}), SortPasskey, noon)
			if hint.Reason != row.why || ok != (row.why == "") {
				t.Fatalf("%v %q, want %q", ok, hint.Reason, row.why)
			}
			if !ok {
				return
			}
			f, err := PasskeyOf(c)
			if err != nil || f.AttestedAs != row.attested || f.Attested != (row.attested != "") || p.Attested != f.Attested {
				t.Errorf("%+v %+v %v", f, p, err)
			}
		})
	}
}

// A model that is warned of later is vouched for by nobody from then on: what it
// proves is less, and its owner can still sign in.
func TestAModelThatIsWarnedOfLaterIsNotRelyedOn(t *testing.T) {
	good := relying(t, &AttestationPolicy{Mode: AttestationRequired, MDS: testMDS(t, nil)})
	k := newKey()
	vouching("packed", 7)(k)
	c := made(t, good, k, SortPasskey)
	for _, row := range []struct {
		name string
		r    *Relying
		want bool
	}{
		{"as it was", good, true},
		{"warned of", relying(t, &AttestationPolicy{Mode: AttestationRequired, MDS: testMDS(t, reported("REVOKED", "2026-11-20"))}), false},
		{"in a house that asks no longer, and so has nobody to ask", relying(t, nil), false},
	} {
		v := judged(t, row.r, got(t, row.r, k, []Credential{c}, true, softkey.Spoil{}), true, c)
		if !v.OK || v.Proof.Attested != row.want {
			t.Errorf("%s: %+v", row.name, v)
		}
	}
}
