// Package seal keeps secrets: it seals values at rest, seals short-lived tokens,
// and peppers hashes. The cryptography is Tink's (AES-256-GCM and XChaCha20-Poly1305 with key rotation,
// HMAC-SHA-256 PRF); this package decides what each sealed thing is bound to.
//
// Three key sets, never one for two purposes:
//
//	vault   seals values in the database, bound to table, row and column
//	tokens  seals attempts, session tickets and device tokens, bound to purpose and browser
//	pepper  keyed PRF in front of password and recovery-code hashes; keys for other
//	        purposes are derived from it (Derive), each for one purpose alone
//
// In each, the newest key makes and every listed key still verifies.
package seal

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"log/slog"
	"strings"
	"time"

	"github.com/tink-crypto/tink-go/v2/prf"
	"github.com/tink-crypto/tink-go/v2/tink"
)

// Secret is a text that must never be printed: fmt, slog and JSON show "[secret]".
type Secret string

func (Secret) String() string               { return "[secret]" }
func (Secret) GoString() string             { return "[secret]" }
func (Secret) LogValue() slog.Value         { return slog.StringValue("[secret]") }
func (Secret) MarshalJSON() ([]byte, error) { return []byte(`"[secret]"`), nil }

// Reveal is the one way to the text, so that every use can be found by name.
func (s Secret) Reveal() string { return string(s) }

var (
	// ErrForged is any sealed value that our keys did not make for this place.
	ErrForged = errors.New("seal: not sealed by us for this use")
	// ErrForeign says that a database was made with other keys than ours.
	ErrForeign = errors.New("these are not the keys this database was made with")
	// ErrExpired is a genuine token past its time.
	ErrExpired = errors.New("seal: expired")
)

// Keys are the opened key sets.
type Keys struct {
	vault  tink.AEAD
	tokens tink.AEAD
	pepper *prf.Set
}

// Place is where a sealed value lives; it is the associated data of the seal, so
// that a value copied to another row or column does not open.
type Place struct{ Table, Row, Column string }

func (p Place) bytes() []byte { return []byte(p.Table + "\x00" + p.Row + "\x00" + p.Column) }

// Seal encrypts a value for one place in the database. The key's id is its prefix.
func (k *Keys) Seal(at Place, plain []byte) ([]byte, error) {
	return k.vault.Encrypt(plain, at.bytes())
}

// Open decrypts what Seal made for the same place, or returns ErrForged.
func (k *Keys) Open(at Place, sealed []byte) ([]byte, error) {
	plain, err := k.vault.Decrypt(sealed, at.bytes())
	if err != nil {
		return nil, ErrForged
	}
	return plain, nil
}

// Purpose separates kinds of token: one never opens as another.
type Purpose string

// The purposes of this build.
const (
	Attempt Purpose = "attempt" // a sign-in in progress, bound to the device token's id
	Ticket  Purpose = "ticket"  // a session, in the session cookie
	Device  Purpose = "device"  // this browser, in the device cookie
	Pending Purpose = "pending" // an authenticator being added in the account pages, bound to the session id
	Flash   Purpose = "flash"   // a message for the next page, bound to the device token's id
	Mailed  Purpose = "mailed"  // the link a person opened, carried in a cookie to a clean address
	Passkey Purpose = "passkey" // a passkey challenge that no attempt carries yet, bound to the device token's id
	Trust   Purpose = "trust"   // a remembered browser, in a cookie, bound to the device token's id
	Pairing Purpose = "pairing" // lets one Gatehouse Verify join an account, in a QR code, bound to nothing: whoever scans it
	Verify  Purpose = "verify"  // a device with Gatehouse Verify that has shown its key, bound to its credential's id
	Waiting Purpose = "waiting" // a place in the line at the door, bound to the device token's id
)

// SealToken makes a URL-safe token that opens only for the same purpose and
// binding, until expires.
func (k *Keys) SealToken(p Purpose, binding string, expires time.Time, plain []byte) (string, error) {
	body := make([]byte, 8, 8+len(plain))
	binary.BigEndian.PutUint64(body, uint64(expires.UnixMicro()))
	sealed, err := k.tokens.Encrypt(append(body, plain...), tokenData(p, binding))
	if err != nil {
		return "", err
	}
	return base64.RawURLEncoding.EncodeToString(sealed), nil
}

// maxToken bounds what is decoded: browsers keep cookies to 4096 bytes.
const maxToken = 4096

// OpenToken returns what SealToken sealed, ErrExpired for a genuine token that is
// too old, ErrForged for everything else.
func (k *Keys) OpenToken(p Purpose, binding string, now time.Time, token string) ([]byte, error) {
	if len(token) > maxToken || strings.ContainsAny(token, "\r\n") { // which the decoder would pass over
		return nil, ErrForged
	}
	sealed, err := base64.RawURLEncoding.Strict().DecodeString(token)
	if err != nil {
		return nil, ErrForged
	}
	body, err := k.tokens.Decrypt(sealed, tokenData(p, binding))
	if err != nil || len(body) < 8 {
		return nil, ErrForged
	}
	if now.UnixMicro() >= int64(binary.BigEndian.Uint64(body)) {
		return nil, ErrExpired
	}
	return body[8:], nil
}

func tokenData(p Purpose, binding string) []byte { return []byte(string(p) + "\x00" + binding) }

// Pepper runs input through the newest pepper key, bound to its place, and
// returns the key's id beside the 32-byte result.
func (k *Keys) Pepper(at Place, input []byte) (keyID uint32, out []byte, err error) {
	out, err = k.pepper.ComputePrimaryPRF(pepperInput(at, input), 32)
	return k.pepper.PrimaryID, out, err
}

// PepperWith is Pepper with the key that made an older hash. A key that is no
// longer there is an error, never a mismatch: an outage is not a verdict.
func (k *Keys) PepperWith(keyID uint32, at Place, input []byte) ([]byte, error) {
	f, ok := k.pepper.PRFs[keyID]
	if !ok {
		return nil, errors.New("seal: the pepper key of this hash is missing from the key folder")
	}
	return f.ComputePRF(pepperInput(at, input), 32)
}

// PepperID is the id of the pepper key that makes new hashes.
func (k *Keys) PepperID() uint32 { return k.pepper.PrimaryID }

func pepperInput(at Place, input []byte) []byte {
	place := sha256.Sum256(at.bytes())
	return append(place[:], input...)
}
