package authenticators

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"strings"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/protocol/webauthncbor"

	"gatehouse/id"
	"gatehouse/seal"
)

// The bounds of an answer, in bytes. The longest honest ones (a TPM with its
// certificates) are about 8 KiB. A key of RSA-4096 takes 530: the bound on the key
// bounds the work of one signature.
const (
	maxAnswer       = 64 << 10
	maxClientData   = 8 << 10
	maxAttestation  = 24 << 10
	maxCredentialID = 1023 // L3 §7.1 step 25
	maxPublicKey    = 1 << 10
	maxTransports   = 8
)

// bytesJSON is base64url without padding, as RegistrationResponseJSON and
// AuthenticationResponseJSON (L3 §5.1) have it.
type bytesJSON []byte

// UnmarshalJSON takes a JSON string, or null for none.
func (b *bytesJSON) UnmarshalJSON(raw []byte) error {
	var s string
	if err := json.Unmarshal(raw, &s); err != nil {
		return err
	}
	if strings.ContainsAny(s, "\r\n") { // which the decoder would pass over: one thing has one spelling
		return base64.CorruptInputError(0)
	}
	plain, err := base64.RawURLEncoding.Strict().DecodeString(s)
	*b = plain
	return err
}

// passkeyAnswer is what a browser sends after either ceremony.
type passkeyAnswer struct {
	ID       bytesJSON `json:"id"`
	RawID    bytesJSON `json:"rawId"`
	Type     string    `json:"type"`
	Response struct {
		ClientDataJSON    bytesJSON `json:"clientDataJSON"`
		AttestationObject bytesJSON `json:"attestationObject"`
		AuthenticatorData bytesJSON `json:"authenticatorData"`
		Signature         bytesJSON `json:"signature"`
		UserHandle        bytesJSON `json:"userHandle"`
		Transports        []string  `json:"transports"`
	} `json:"response"`
	Extensions struct {
		CredProps struct {
			RK bool `json:"rk"`
		} `json:"credProps"`
	} `json:"clientExtensionResults"`
}

// clientData is what the browser says of the page that asked (L3 §5.8.1).
type clientData struct {
	Type        string          `json:"type"`
	Challenge   string          `json:"challenge"`
	Origin      string          `json:"origin"`
	CrossOrigin bool            `json:"crossOrigin"`
	TopOrigin   json.RawMessage `json:"topOrigin"`
}

// readAnswer parses what both answers have. Nothing in it is verified.
func readAnswer(raw string) (a passkeyAnswer, c clientData, ok bool) {
	if len(raw) > maxAnswer || strictJSON([]byte(raw), &a) != nil {
		return a, c, false
	}
	named := len(a.ID) > 0 && len(a.ID) <= maxCredentialID && bytes.Equal(a.ID, a.RawID) && a.Type == "public-key"
	text := bytes.TrimPrefix(a.Response.ClientDataJSON, []byte("\xef\xbb\xbf")) // UTF-8 decode strips the mark
	return a, c, named && len(text) <= maxClientData && strictJSON(text, &c) == nil
}

// strictJSON reads one JSON value and nothing after it.
func strictJSON(raw []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(raw))
	if err := d.Decode(into); err != nil {
		return err
	}
	if _, err := d.Token(); err != io.EOF {
		return io.ErrUnexpectedEOF
	}
	return nil
}

// readNew parses the answer to CreationOptions: steps 3 to 6, 12 and 13 of L3 §7.1.
func readNew(raw string) (n newAnswer, why string) {
	a, c, ok := readAnswer(raw)
	n.answer, n.client = a, c
	if !ok || len(a.Response.AttestationObject) > maxAttestation || len(a.Response.AttestationObject) == 0 {
		return n, badAnswer
	}
	if webauthncbor.Unmarshal(a.Response.AttestationObject, &n.object) != nil {
		return n, badAnswer
	}
	if tooLong(n.object.RawAuthData) {
		return n, badLength
	}
	if n.object.AuthData.Unmarshal(n.object.RawAuthData) != nil || !n.object.AuthData.Flags.HasAttestedCredentialData() {
		return n, badAnswer
	}
	key := n.object.AuthData.AttData
	if !bytes.Equal(key.CredentialID, a.RawID) || len(key.CredentialPublicKey) > maxPublicKey {
		return n, badAnswer
	}
	sum := sha256.Sum256(a.Response.ClientDataJSON)
	n.hash = sum[:]
	return n, ""
}

// newAnswer is the answer to CreationOptions, parsed.
type newAnswer struct {
	answer passkeyAnswer
	client clientData
	object protocol.AttestationObject
	hash   []byte // of the client data
}

// tooLong tells whether attested credential data names a credential id that is
// longer than L3 §7.1 step 25 allows, before anything else is read of it.
func tooLong(auth []byte) bool {
	const at = 53 // of the length: after hash, flags, counter and AAGUID
	return len(auth) >= at+2 && protocol.AuthenticatorFlags(auth[32]).HasAttestedCredentialData() &&
		int(auth[at])<<8|int(auth[at+1]) > maxCredentialID
}

// ShownBy reads who an answer to RequestOptions says it is from: the handle for
// ByHandle and the user handle, "" when there is none. Neither is verified.
func ShownBy(answer seal.Secret) (handle string, account id.Account, ok bool) {
	a, _, ok := readAnswer(answer.Reveal())
	if !ok {
		return "", "", false
	}
	return passkeyHandle + b64url(a.RawID), accountOf(a.Response.UserHandle), true
}
