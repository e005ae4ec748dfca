package authenticators

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"gatehouse/authenticators/softkey"
)

// libfido2, which shares no line with us, verifies the assertion that we accept,
// and refuses the ones that we refuse. fido2-assert is in Debian's fido2-tools.
func TestLibfido2AgreesOnAnAssertion(t *testing.T) {
	for _, row := range []struct {
		name, kind string
		alg        int
		spoil      softkey.Spoil
		ok         bool
	}{
		{"ES256", "es256", softkey.ES256, softkey.Spoil{}, true},
		{"RS256", "rs256", softkey.RS256, softkey.Spoil{}, true},
		{"EdDSA", "eddsa", softkey.EdDSA, softkey.Spoil{}, true},
		{"ES256, a bit of the signature another", "es256", softkey.ES256, softkey.Spoil{Signature: flip}, false},
		{"RS256, a bit of the signature another", "rs256", softkey.RS256, softkey.Spoil{Signature: flip}, false},
		{"EdDSA, a bit of the signature another", "eddsa", softkey.EdDSA, softkey.Spoil{Signature: flip}, false},
		{"ES256, for another domain", "es256", softkey.ES256, auth(func(a *softkey.AuthData) { a.Domain = "evil.test" }), false},
		{"ES256, and nobody touched it", "es256", softkey.ES256, auth(flagged(0, softkey.UP)), false},
		{"ES256, and the holder was not verified", "es256", softkey.ES256, auth(flagged(0, softkey.UV)), false},
	} {
		t.Run(row.name, func(t *testing.T) {
			r, k := relying(t, nil), newKey()
			k.Alg = row.alg
			c := made(t, r, k, SortPasskey)
			answer := got(t, r, k, nil, true, row.spoil).Reveal()
			if v := judged(t, r, got(t, r, k, nil, true, row.spoil), true, c); v.OK != row.ok {
				t.Errorf("we say %+v", v)
			}
			out, err := fido2Assert(t, []byte(answer), need(t)(k.PublicKey()), assertion{row.kind, "id.example.org", true})
			if (err == nil) != row.ok {
				t.Errorf("libfido2 says %v: %s", err, out)
			}
		})
	}
}

// assertion is what libfido2 is told to demand, besides presence.
type assertion struct {
	kind, domain string
	verified     bool
}

// fido2Assert lets libfido2 verify an AuthenticationResponseJSON.
func fido2Assert(t *testing.T, answer, pkix []byte, of assertion) ([]byte, error) {
	t.Helper()
	var a passkeyAnswer
	if err := json.Unmarshal(answer, &a); err != nil {
		t.Fatal(err)
	}
	hash := sha256.Sum256(a.Response.ClientDataJSON)
	std := base64.StdEncoding.EncodeToString
	input := strings.Join([]string{std(hash[:]), of.domain, std(softkey.CBOR([]byte(a.Response.AuthenticatorData))), std(a.Response.Signature)}, "\n") + "\n"
	key := filepath.Join(t.TempDir(), "key.pem")
	if err := os.WriteFile(key, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: pkix}), 0o600); err != nil {
		t.Fatal(err)
	}
	args := []string{"-V", "-p"}
	if of.verified {
		args = append(args, "-v")
	}
	cmd := exec.CommandContext(t.Context(), "fido2-assert", append(args, key, of.kind)...)
	cmd.Stdin = bytes.NewReader([]byte(input))
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil {
		t.Fatalf("fido2-assert (Debian: fido2-tools) does not run: %v", err)
	}
	return out, err
}
