package authenticators

import (
	"context"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/go-webauthn/webauthn/metadata"
	"github.com/go-webauthn/webauthn/protocol"
	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"
)

// AttestationMode is how much an authenticator's maker has to vouch for it.
type AttestationMode string

// The modes. Passkeys that are synced by a cloud have no attestation: whoever
// requires it takes security keys and the like alone.
const (
	AttestationNone     AttestationMode = ""         // not asked for; nothing is ever Attested
	AttestationAsked    AttestationMode = "asked"    // asked for; Attested when its chain is good, taken when there is none
	AttestationRequired AttestationMode = "required" // nothing else is taken
)

// AttestationPolicy says which authenticators are taken.
type AttestationPolicy struct {
	Mode    AttestationMode
	AAGUIDs []string // with AttestationRequired: the models that are taken; none is all that MDS knows
	MDS     *MDS     // who made what, and how that went; needed for any mode but None
}

// sound refuses a policy that only looks like one.
func (p AttestationPolicy) sound() error {
	switch p.Mode {
	case AttestationNone, AttestationAsked, AttestationRequired:
	default:
		return fmt.Errorf("authenticators: no attestation mode %q", p.Mode)
	}
	if p.Mode != AttestationNone && p.MDS == nil {
		return errors.New("authenticators: attestation can only be judged with the metadata of the FIDO Alliance (MDS)")
	}
	if p.Mode != AttestationRequired && len(p.AAGUIDs) > 0 {
		return errors.New("authenticators: a list of models means nothing unless attestation is required: anybody can claim a model")
	}
	for _, a := range p.AAGUIDs {
		if parsed, err := uuid.Parse(a); err != nil || parsed.String() != a {
			return fmt.Errorf("authenticators: %q is no AAGUID", a)
		}
	}
	return nil
}

func (p AttestationPolicy) conveyance() string {
	if p.Mode == AttestationNone {
		return "none"
	}
	return "direct"
}

// MDS is the metadata of the FIDO Alliance (MDS 3.1), as one BLOB has it.
type MDS struct {
	Number  int       // of the BLOB; only ever grows
	Next    time.Time // when the next one is due
	entries map[uuid.UUID]*metadata.Entry
}

// Metadata is what is known of makers; nil where nothing is.
func (r *Relying) Metadata() *MDS { return r.policy.MDS }

// mdsClaims is the BLOB's payload as a JWT's.
type mdsClaims struct {
	metadata.PayloadJSON
	jwt.RegisteredClaims
}

// ReadMDS verifies a BLOB against root, a certificate in base64 DER ("" is the one
// the library pins), as it stood at now. It asks nobody: whether a certificate of
// the Alliance was revoked is not looked up, because a start must not hang on that.
// Entries that cannot be read are left out.
func ReadMDS(blob []byte, root string, now time.Time) (*MDS, error) {
	if root == "" {
		root = metadata.ProductionMDSRoot
	}
	var claims mdsClaims
	parser := jwt.NewParser(jwt.WithValidMethods([]string{"RS256", "PS256", "ES256", "ES384", "ES512"}), jwt.WithoutClaimsValidation())
	if _, err := parser.ParseWithClaims(string(blob), &claims, func(t *jwt.Token) (any, error) { return mdsSigner(t, root, now) }); err != nil {
		return nil, fmt.Errorf("authenticators: the MDS BLOB: %w", err)
	}
	decoder, err := metadata.NewDecoder(metadata.WithIgnoreEntryParsingErrors())
	if err != nil {
		return nil, err
	}
	parsed, err := decoder.Parse(&claims.PayloadJSON)
	if err != nil {
		return nil, fmt.Errorf("authenticators: the MDS BLOB: %w", err)
	}
	return &MDS{Number: parsed.Parsed.Number, Next: parsed.Parsed.NextUpdate, entries: parsed.ToMap()}, nil
}

// mdsSigner is the key of the certificate that signed a BLOB, once its chain ends
// at the root (MDS 3.1 §3.2, steps 3 to 5).
func mdsSigner(t *jwt.Token, root string, now time.Time) (any, error) {
	said, ok := t.Header["x5c"].([]any)
	if !ok || len(said) == 0 || len(said) > 8 {
		return nil, errors.New("no certificates")
	}
	anchors, between := x509.NewCertPool(), x509.NewCertPool()
	anchor, err := certificate(root)
	if err != nil {
		return nil, err
	}
	anchors.AddCert(anchor)
	var chain []*x509.Certificate
	for _, s := range said {
		text, _ := s.(string)
		c, err := certificate(text)
		if err != nil {
			return nil, err
		}
		chain = append(chain, c)
		between.AddCert(c)
	}
	_, err = chain[0].Verify(x509.VerifyOptions{Roots: anchors, Intermediates: between, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}})
	return chain[0].PublicKey, err
}

func certificate(b64 string) (*x509.Certificate, error) {
	der, err := base64.StdEncoding.DecodeString(b64)
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}

// revoked tells whether a model is one that the Alliance warns of at a time.
func (m *MDS) revoked(model uuid.UUID, at time.Time) bool {
	e := m.entries[model]
	return e != nil && metadata.ValidateStatusReportsAt(e.StatusReports, nil, metadata.DefaultUndesiredAuthenticatorStatuses(), at) != nil
}

// stillTrusts tells whether a model that was vouched for when it was added is
// still one to rely on.
func (p AttestationPolicy) stillTrusts(aaguid string, at time.Time) bool {
	model, err := uuid.Parse(aaguid)
	return err == nil && p.MDS != nil && !p.MDS.revoked(model, at)
}

// vouched is what an attestation is worth.
type vouched struct {
	attested bool
	model    string // as MDS calls it; "" when MDS has no such model
}

// vouchedFor is steps 21 to 24 of L3 §7.1. The statement has to be right even
// where none was asked for; that it leads to a maker is another matter.
func (r *Relying) vouchedFor(n newAnswer, now time.Time) (v vouched, why string) {
	model, _ := uuid.FromBytes(n.object.AuthData.AttData.AAGUID) // 16 bytes, as parsed
	if !statementIs(n, nil) {
		return v, badStatement
	}
	if r.policy.Mode == AttestationNone {
		return v, ""
	}
	if r.policy.MDS.revoked(model, now) {
		return v, badRevoked
	}
	if e := r.policy.MDS.entries[model]; e != nil {
		v.model = e.MetadataStatement.Description
	}
	v.attested = statementIs(n, mdsProvider{r.policy.MDS}) && namesModel(n)
	if r.policy.Mode == AttestationRequired && !r.takes(v, model) {
		return v, badModel
	}
	return v, ""
}

func (r *Relying) takes(v vouched, model uuid.UUID) bool {
	return v.attested && (len(r.policy.AAGUIDs) == 0 || slices.Contains(r.policy.AAGUIDs, model.String()))
}

// statementIs verifies an attestation statement; with a provider, also that it
// leads by certificates to a maker whom MDS names for that model. A statement that
// the key signed for itself vouches for nothing.
func statementIs(n newAnswer, by metadata.Provider) bool {
	object := n.object
	if object.VerifyAttestation(n.hash, by, protocol.AttestationPolicy{}, protocol.SignaturePolicy{}) != nil {
		return false
	}
	trust := []metadata.AuthenticatorAttestationType{metadata.BasicFull, metadata.AttCA, metadata.AnonCA}
	return by == nil || slices.Contains(trust, metadata.AuthenticatorAttestationType(object.Type))
}

// namesModel tells whether what was signed is bound to a model. A statement of U2F
// is not (§8.6 signs no AAGUID): a maker's key of one model could claim another.
func namesModel(n newAnswer) bool {
	return protocol.AttestationFormat(n.object.Format) != protocol.AttestationFormatFIDOUniversalSecondFactor
}

// mdsProvider answers the library's questions from one BLOB. Status reports are
// judged by revoked, with our clock. A U2F key has no AAGUID and so no entry.
type mdsProvider struct{ mds *MDS }

func (p mdsProvider) GetEntry(_ context.Context, model uuid.UUID) (*metadata.Entry, error) {
	return p.mds.entries[model], nil
}
func (mdsProvider) GetValidateEntry(context.Context) bool                 { return true }
func (mdsProvider) GetValidateEntryPermitZeroAAGUID(context.Context) bool { return false }
func (mdsProvider) GetValidateTrustAnchor(context.Context) bool           { return true }
func (mdsProvider) GetValidateStatus(context.Context) bool                { return false }
func (mdsProvider) GetValidateAttestationTypes(context.Context) bool      { return true }
func (mdsProvider) ValidateStatusReports(context.Context, []metadata.StatusReport) error {
	return nil
}
