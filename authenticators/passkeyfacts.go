package authenticators

import (
	"encoding/json"
	"errors"
)

// passkeyHandle begins the Handle of a passkey; its credential id in base64url follows.
const passkeyHandle = "passkey:"

// PasskeyFacts are what Public of a passkey says: the credential record of L3 §4
// besides id, counter and owner. None of it is secret.
type PasskeyFacts struct {
	Key            []byte      `json:"key"` // COSE_Key, CBOR
	Sort           PasskeySort `json:"sort"`
	AAGUID         string      `json:"aaguid"`                // of its model, claimed unless Attested; zeros when it does not say
	BackupEligible bool        `json:"backup_eligible"`       // BE: it may be copied to other devices by its maker's cloud; never changes
	BackedUp       bool        `json:"backed_up"`             // BS when it was last used
	Verifies       bool        `json:"verifies"`              // it made sure who held it when it was added (uvInitialized)
	Discoverable   bool        `json:"discoverable"`          // the browser says it is found without being named
	Transports     []string    `json:"transports,omitempty"`  // how it is reached: usb, nfc, ble, hybrid, internal …
	Attested       bool        `json:"attested,omitempty"`    // its maker vouched for AAGUID, by a chain we trust
	AttestedAs     string      `json:"attested_as,omitempty"` // what the maker calls the model; only when Attested
	Model          string      `json:"model,omitempty"`       // a name for people to see; not verified unless Attested
	Format         string      `json:"format"`                // of the attestation statement
}

var errNoPasskey = errors.New("authenticators: this credential is no passkey")

// PasskeyOf reads the facts of a passkey.
func PasskeyOf(c Credential) (f PasskeyFacts, err error) {
	if c.Kind != KindPasskey {
		return f, errNoPasskey
	}
	err = json.Unmarshal(c.Public, &f)
	return f, err
}

func (f PasskeyFacts) public() json.RawMessage {
	b, err := json.Marshal(f)
	if err != nil {
		return nil // strings, bytes and booleans always marshal
	}
	return b
}
