package softkey

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"io"
	"math/big"
	"slices"
	"time"
)

// Maker is a maker of authenticators: a root that MDS would name, and a key that a
// batch of authenticators shares.
type Maker struct {
	Root  []byte // DER
	Batch []byte // DER, signed by Root
	root  *ecdsa.PrivateKey
	key   *ecdsa.PrivateKey
}

// NewMaker makes a maker of one model, whose certificates are good from a year
// before now to ten years after.
func NewMaker(rand io.Reader, model [16]byte, now time.Time) (*Maker, error) {
	m := &Maker{}
	var err error
	if m.root, err = ecdsa.GenerateKey(elliptic.P256(), rand); err != nil {
		return nil, err
	}
	if m.key, err = ecdsa.GenerateKey(elliptic.P256(), rand); err != nil {
		return nil, err
	}
	from, to := now.AddDate(-1, 0, 0), now.AddDate(10, 0, 0)
	root := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Soft keys root"}, NotBefore: from, NotAfter: to,
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	if m.Root, err = x509.CreateCertificate(rand, root, root, &m.root.PublicKey, m.root); err != nil {
		return nil, err
	}
	m.Batch, err = m.certificate(rand, model, from, to)
	return m, err
}

// certificate is one that meets L3 §8.2.1, for a batch of a model.
func (m *Maker) certificate(rand io.Reader, model [16]byte, from, to time.Time) ([]byte, error) {
	inner, err := asn1.Marshal(model[:])
	if err != nil {
		return nil, err
	}
	parent, err := x509.ParseCertificate(m.Root)
	if err != nil {
		return nil, err
	}
	batch := &x509.Certificate{SerialNumber: big.NewInt(2), NotBefore: from, NotAfter: to, BasicConstraintsValid: true,
		Subject:         pkix.Name{Country: []string{"NZ"}, Organization: []string{"Soft keys"}, OrganizationalUnit: []string{"Authenticator Attestation"}, CommonName: "Soft keys batch 1"},
		ExtraExtensions: []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 45724, 1, 1, 4}, Value: inner}}}
	return x509.CreateCertificate(rand, batch, parent, &m.key.PublicKey, m.root)
}

// attest makes the attestation object. A client that was not asked for attestation
// puts "none" in its place (L3 §5.1.3 step 22), unless AlwaysAttests.
func (k *Key) attest(h *held, auth, client []byte, asked string, s Spoil) ([]byte, error) {
	format, statement := "none", map[string]any{}
	var err error
	if k.AlwaysAttests || asked == "direct" || asked == "enterprise" {
		format, statement, err = k.statement(h, auth, client)
	}
	if err != nil {
		return nil, err
	}
	if s.Statement != nil {
		s.Statement(&format, statement)
	}
	object := CBOR(map[string]any{"fmt": format, "attStmt": statement, "authData": auth})
	if s.Object != nil {
		object = s.Object(object)
	}
	return object, nil
}

func (k *Key) statement(h *held, auth, client []byte) (string, map[string]any, error) {
	switch k.Format {
	case "", "none":
		return "none", map[string]any{}, nil
	case "self":
		sig, err := h.key.sign(signed(auth, client), k.rand)
		return "packed", map[string]any{"alg": h.key.alg, "sig": sig}, err
	case "packed":
		sig, err := signer{ES256, k.Maker.key}.sign(signed(auth, client), k.rand)
		return "packed", map[string]any{"alg": ES256, "sig": sig, "x5c": []any{k.Maker.Batch}}, err
	case "fido-u2f":
		sig, err := signer{ES256, k.Maker.key}.sign(u2f(h, auth, client), k.rand)
		return "fido-u2f", map[string]any{"sig": sig, "x5c": []any{k.Maker.Batch}}, err
	}
	return "", nil, fmt.Errorf("softkey: no attestation %q", k.Format)
}

// u2f is what a U2F key signs when it is registered (L3 §8.6).
func u2f(h *held, auth, client []byte) []byte {
	sum := sha256.Sum256(client)
	c := h.key.cose()
	x, _ := c[-2].([]byte)
	y, _ := c[-3].([]byte)
	return slices.Concat([]byte{0}, bytes.Clone(auth[:32]), sum[:], h.id, []byte{4}, x, y)
}
