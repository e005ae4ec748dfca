package access

import (
	"time"

	"gatehouse/proof"
)

// Preset names terms that somebody else has asked for.
type Preset string

// The presets. docs/policy.md says what each is and which paragraph asks for what.
const (
	Modern Preset = "modern" // passkeys and every authenticator that is not restricted
	PCI    Preset = "pci"    // PCI DSS 4.0.1 §8.4 and §8.5
	ATO    Preset = "ato"    // Australian Taxation Office, operational security of digital service providers
)

// Presets lists them in the order they are shown.
func Presets() []Preset { return []Preset{Modern, PCI, ATO} }

// Terms are what a preset says, whole; false for a name that is none.
func (p Preset) Terms() (Requirement, bool) {
	terms, known := presets[p]
	return terms.Normal(), known
}

// presets is the literal table: nothing of a preset is anywhere else.
var presets = map[Preset]Requirement{
	Modern: {Level: proof.AAL2, Remember: 30 * 24 * time.Hour,
		Methods: []proof.Method{proof.Passkey, proof.Push, proof.TOTP, proof.HOTP, proof.RecoveryCode}},
	// §8.5.1: success of all factors is required before access is granted. A browser
	// that is remembered stands in for one of them, so none is: our reading.
	PCI: {Level: proof.AAL2,
		Methods: []proof.Method{proof.Passkey, proof.Push, proof.TOTP, proof.HOTP, proof.RecoveryCode}},
	// "Remember me" must be shorter than 24 hours; twelve are a working day.
	ATO: {Level: proof.AAL2, Remember: 12 * time.Hour,
		Methods: []proof.Method{proof.Passkey, proof.Push, proof.TOTP, proof.HOTP, proof.RecoveryCode}},
}

// PresetOf names the preset that terms are, word for word; "" for none.
func PresetOf(r Requirement) Preset {
	for _, p := range Presets() {
		if terms, _ := p.Terms(); terms.Same(r) {
			return p
		}
	}
	return ""
}
