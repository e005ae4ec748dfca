// Package softkey is a WebAuthn authenticator and its browser in software, for
// tests: it answers CreationOptions and RequestOptions as the two together do, and
// spoils any part of an answer that a test wants spoilt. It knows nothing of the
// house: what it makes is judged by what stands in the standard.
package softkey

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strings"
)

// The algorithms of a key (COSE).
const (
	ES256 = -7
	EdDSA = -8
	ES384 = -35
	RS256 = -257
)

// Key is a soft authenticator. Its fields may be changed between two ceremonies.
type Key struct {
	Alg            int      // 0 is ES256
	AAGUID         [16]byte // of its model
	Verifies       bool     // it makes sure who holds it, whenever it is not told to leave that
	BackupEligible bool     // BE
	BackedUp       bool     // BS
	Counts         bool     // it has a signature counter
	Count          uint32   // what that counter stands at
	Format         string   // attestation: "" or "none", "self", "packed", "fido-u2f"
	Maker          *Maker   // who vouches for it, for "packed" and "fido-u2f"
	Transports     []string
	AlwaysAttests  bool // even where no attestation was asked for

	rand io.Reader
	held []*held
}

// held is one passkey on a key.
type held struct {
	id, user   []byte
	domain     string
	resident   bool
	key        signer
	createdFor string // the user's name
}

// New makes an authenticator without passkeys: one that verifies its holder.
func New(rand io.Reader) *Key {
	return &Key{Verifies: true, Transports: []string{"internal", "hybrid"}, rand: rand}
}

// NewRoaming makes a security key: touched only, counting, not backed up.
func NewRoaming(rand io.Reader) *Key {
	return &Key{Counts: true, Transports: []string{"usb", "nfc"}, rand: rand}
}

// Spoil says what is spoilt of an answer, in the order in which it is made. A nil
// field spoils nothing.
type Spoil struct {
	Client    func(c map[string]any)                 // what the browser says of the page
	Text      func(clientDataJSON []byte) []byte     // the same, serialised; it is signed as it is then
	Auth      func(a *AuthData)                      // what the authenticator says
	Data      func(authData []byte) []byte           // the same, serialised; it is signed as it is then
	Statement func(format *string, s map[string]any) // the attestation statement, signed already
	Object    func(attestationObject []byte) []byte  // all of it, in CBOR
	Signature func(sig []byte) []byte                // of an assertion
	Answer    func(answer, response map[string]any)  // the JSON, as an object
	Bytes     func(answer []byte) []byte             // the JSON, as text
}

// creation is what of PublicKeyCredentialCreationOptionsJSON is looked at.
type creation struct {
	RP        struct{ ID string }
	User      struct{ ID, Name string }
	Challenge string
	Params    []struct{ Alg int }   `json:"pubKeyCredParams"`
	Exclude   []struct{ ID string } `json:"excludeCredentials"`
	Selection struct {
		ResidentKey      string `json:"residentKey"`
		UserVerification string `json:"userVerification"`
	} `json:"authenticatorSelection"`
	Attestation string
}

// The errors are those a browser rejects its promise with.
var (
	ErrExcluded   = errors.New("InvalidStateError: this authenticator holds one of the account's passkeys already")
	ErrNoneFound  = errors.New("NotAllowedError: no passkey for this")
	ErrAlgorithm  = errors.New("NotSupportedError: none of the algorithms")
	ErrUnverified = errors.New("NotAllowedError: this key cannot verify its holder")
	errOptions    = errors.New("TypeError: no options")
)

// Create answers CreationOptions from a page at an origin.
func (k *Key) Create(options []byte, origin string, spoil ...Spoil) ([]byte, error) {
	var o creation
	if err := json.Unmarshal(options, &o); err != nil {
		return nil, errors.Join(errOptions, err)
	}
	if err := k.mayCreate(o); err != nil {
		return nil, err
	}
	h, err := k.hold(o)
	if err != nil {
		return nil, err
	}
	var s Spoil
	if len(spoil) > 0 {
		s = spoil[0]
	}
	client := k.client("webauthn.create", o.Challenge, origin, s)
	auth := k.authData(h, o.Selection.UserVerification, s, true)
	object, err := k.attest(h, auth, client, o.Attestation, s)
	if err != nil {
		return nil, err
	}
	response := map[string]any{
		"clientDataJSON": b64(client), "attestationObject": b64(object), "authenticatorData": b64(auth),
		"transports": k.Transports, "publicKeyAlgorithm": k.alg(),
	}
	return answer(h, response, map[string]any{"credProps": map[string]any{"rk": h.resident}}, s)
}

func (k *Key) mayCreate(o creation) error {
	for _, e := range o.Exclude {
		if slices.ContainsFunc(k.held, func(h *held) bool { return b64(h.id) == e.ID }) {
			return ErrExcluded
		}
	}
	if !slices.ContainsFunc(o.Params, func(p struct{ Alg int }) bool { return p.Alg == k.alg() }) {
		return ErrAlgorithm
	}
	if o.Selection.UserVerification == "required" && !k.Verifies {
		return ErrUnverified
	}
	return nil
}

func (k *Key) hold(o creation) (*held, error) {
	signs, err := newSigner(k.alg(), k.rand)
	if err != nil {
		return nil, err
	}
	h := &held{id: make([]byte, 32), domain: o.RP.ID, resident: o.Selection.ResidentKey == "required", key: signs, createdFor: o.User.Name}
	if _, err := io.ReadFull(k.rand, h.id); err != nil {
		return nil, err
	}
	h.user, err = base64.RawURLEncoding.DecodeString(o.User.ID)
	k.held = append(k.held, h)
	return h, err
}

// request is what of PublicKeyCredentialRequestOptionsJSON is looked at.
type request struct {
	Challenge    string
	RPID         string                `json:"rpId"`
	Allow        []struct{ ID string } `json:"allowCredentials"`
	Verification string                `json:"userVerification"`
}

// Get answers RequestOptions from a page at an origin with the newest passkey that
// fits.
func (k *Key) Get(options []byte, origin string, spoil ...Spoil) ([]byte, error) {
	var o request
	if err := json.Unmarshal(options, &o); err != nil {
		return nil, errors.Join(errOptions, err)
	}
	h := k.fitting(o)
	if h == nil {
		return nil, ErrNoneFound
	}
	if o.Verification == "required" && !k.Verifies {
		return nil, ErrUnverified
	}
	var s Spoil
	if len(spoil) > 0 {
		s = spoil[0]
	}
	if k.Counts {
		k.Count++
	}
	client := k.client("webauthn.get", o.Challenge, origin, s)
	auth := k.authData(h, o.Verification, s, false)
	sig, err := h.key.sign(signed(auth, client), k.rand)
	if err != nil {
		return nil, err
	}
	if s.Signature != nil {
		sig = s.Signature(sig)
	}
	response := map[string]any{"clientDataJSON": b64(client), "authenticatorData": b64(auth), "signature": b64(sig)}
	if h.resident {
		response["userHandle"] = b64(h.user)
	}
	return answer(h, response, map[string]any{}, s)
}

func (k *Key) fitting(o request) *held {
	for _, h := range slices.Backward(k.held) {
		allowed := len(o.Allow) == 0 && h.resident
		for _, a := range o.Allow {
			allowed = allowed || a.ID == b64(h.id)
		}
		if allowed && h.domain == o.RPID {
			return h
		}
	}
	return nil
}

// Forget removes every passkey, as a person does who resets their key.
func (k *Key) Forget() { k.held = nil }

// Names lists for whom passkeys are held, oldest first.
func (k *Key) Names() (all []string) {
	for _, h := range k.held {
		all = append(all, h.createdFor)
	}
	return all
}

// PublicKey is that of the newest passkey in PKIX DER, for other programs.
func (k *Key) PublicKey() ([]byte, error) {
	if len(k.held) == 0 {
		return nil, ErrNoneFound
	}
	return k.held[len(k.held)-1].key.pkix()
}

func (k *Key) alg() int {
	if k.Alg == 0 {
		return ES256
	}
	return k.Alg
}

func (k *Key) client(kind, challenge, origin string, s Spoil) []byte {
	c := map[string]any{"type": kind, "challenge": challenge, "origin": origin, "crossOrigin": false}
	if s.Client != nil {
		s.Client(c)
	}
	text := mustJSON(c)
	if s.Text != nil {
		text = s.Text(text)
	}
	return text
}

func answer(h *held, response, extensions map[string]any, s Spoil) ([]byte, error) {
	a := map[string]any{
		"id": b64(h.id), "rawId": b64(h.id), "type": "public-key", "response": response,
		"clientExtensionResults": extensions, "authenticatorAttachment": "cross-platform",
	}
	if s.Answer != nil {
		s.Answer(a, response)
	}
	raw := mustJSON(a)
	if s.Bytes != nil {
		raw = s.Bytes(raw)
	}
	return raw, nil
}

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// mustJSON serialises maps of strings, numbers and lists, which always works; as a
// browser does, it leaves <, > and & alone.
func mustJSON(v any) []byte {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		panic(err)
	}
	return []byte(strings.TrimSuffix(b.String(), "\n"))
}
