package authenticators

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"strings"

	"github.com/go-webauthn/webauthn/protocol/webauthncose"

	"gatehouse/id"
)

// PasskeySort is what a person adds: the two differ in what is asked for.
type PasskeySort string

// The sorts.
const (
	SortPasskey     PasskeySort = "passkey"      // discoverable, verifies its holder: two proofs in one gesture
	SortSecurityKey PasskeySort = "security-key" // roaming, takes up no place on the key, a touch: a second proof
)

// PasskeyUser is whom a passkey is made for. The user handle of WebAuthn is the 16
// bytes of the account's id: it says nothing about the person (§14.6.1).
type PasskeyUser struct {
	Account id.Account
	Email   string // shown by the browser when the person chooses
	Name    string // "" is Email
}

// UserHandle is the user handle of an account in base64url: for the Signal API.
func UserHandle(a id.Account) string { return b64url(handleOf(a)) }

func handleOf(a id.Account) []byte {
	b, err := hex.DecodeString(strings.ReplaceAll(string(a), "-", ""))
	if err != nil || len(b) != 16 {
		return nil
	}
	return b
}

// accountOf is the account of a user handle; "" when it is none of ours.
func accountOf(handle []byte) id.Account {
	if len(handle) != 16 {
		return ""
	}
	h := hex.EncodeToString(handle)
	return id.Account(h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:])
}

func b64url(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// offered are the algorithms a new passkey may have, the preferred first. ES256 is
// what every authenticator has, RS256 what a Windows TPM has.
var offered = [...]webauthncose.COSEAlgorithmIdentifier{webauthncose.AlgES256, webauthncose.AlgEdDSA, webauthncose.AlgRS256}

// ceremony is how long a browser lets a person look for their key, in
// milliseconds (L3 §15.1 recommends five minutes).
const ceremony = 300_000

type named map[string]any

// CreationOptions are PublicKeyCredentialCreationOptionsJSON (L3 §5.1.8). have are
// the passkeys the account holds: an authenticator that has one makes no second.
func (r *Relying) CreationOptions(u PasskeyUser, challenge []byte, have []Credential, as PasskeySort) ([]byte, error) {
	name := u.Name
	if name == "" {
		name = u.Email
	}
	chosen := named{"residentKey": "required", "requireResidentKey": true, "userVerification": "required"}
	var hints []string
	if as == SortSecurityKey {
		chosen = named{"authenticatorAttachment": "cross-platform", "residentKey": "discouraged", "requireResidentKey": false, "userVerification": "discouraged"}
		hints = []string{"security-key"}
	}
	var params []named
	for _, alg := range offered {
		params = append(params, named{"type": "public-key", "alg": int(alg)})
	}
	return json.Marshal(named{
		"rp":                     named{"id": r.id, "name": r.name},
		"user":                   named{"id": b64url(handleOf(u.Account)), "name": u.Email, "displayName": name},
		"challenge":              b64url(challenge),
		"pubKeyCredParams":       params,
		"timeout":                ceremony,
		"excludeCredentials":     descriptors(have),
		"authenticatorSelection": chosen,
		"hints":                  append([]string{}, hints...),
		"attestation":            r.policy.conveyance(),
		"extensions":             named{"credProps": true},
	})
}

// RequestOptions are PublicKeyCredentialRequestOptionsJSON (L3 §5.1.8). With no
// allow list the person chooses among what their authenticators find. verified
// demands that the authenticator makes sure who holds it; a key that was added for
// its touch alone is not asked for more.
func (r *Relying) RequestOptions(challenge []byte, allow []Credential, verified bool) ([]byte, error) {
	demand := "discouraged"
	for _, c := range allow {
		if f, err := PasskeyOf(c); err == nil && f.Verifies {
			demand = "preferred"
		}
	}
	if verified {
		demand = "required"
	}
	return json.Marshal(named{
		"challenge": b64url(challenge), "timeout": ceremony, "rpId": r.id,
		"allowCredentials": descriptors(allow), "userVerification": demand,
	})
}

// descriptors name passkeys to a browser; what is no passkey is left out.
func descriptors(all []Credential) []named {
	list := []named{}
	for _, c := range all {
		cid, ok := strings.CutPrefix(c.Handle, passkeyHandle)
		f, err := PasskeyOf(c)
		if !ok || err != nil {
			continue
		}
		list = append(list, named{"type": "public-key", "id": cid, "transports": append([]string{}, f.Transports...)})
	}
	return list
}
