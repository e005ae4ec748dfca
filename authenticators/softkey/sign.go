package softkey

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"fmt"
	"io"
	"math/big"
)

// signer is a key pair of one algorithm.
type signer struct {
	alg int
	key crypto.Signer
}

func newSigner(alg int, rand io.Reader) (signer, error) {
	var key crypto.Signer
	var err error
	switch alg {
	case ES256:
		key, err = ecdsa.GenerateKey(elliptic.P256(), rand)
	case ES384:
		key, err = ecdsa.GenerateKey(elliptic.P384(), rand)
	case RS256:
		key, err = rsa.GenerateKey(rand, 2048)
	case EdDSA:
		_, private, e := ed25519.GenerateKey(rand)
		key, err = private, e
	default:
		err = fmt.Errorf("softkey: no algorithm %d", alg)
	}
	return signer{alg, key}, err
}

func (s signer) sign(message []byte, rand io.Reader) ([]byte, error) {
	switch s.alg {
	case EdDSA:
		return s.key.Sign(rand, message, crypto.Hash(0))
	case ES384:
		sum := sha512.Sum384(message)
		return s.key.Sign(rand, sum[:], crypto.SHA384)
	}
	sum := sha256.Sum256(message)
	return s.key.Sign(rand, sum[:], crypto.SHA256)
}

func (s signer) pkix() ([]byte, error) { return x509.MarshalPKIXPublicKey(s.key.Public()) }

// cose is the public key as a COSE_Key (RFC 9052 §7).
func (s signer) cose() map[int]any {
	switch p := s.key.Public().(type) {
	case *ecdsa.PublicKey:
		size := (p.Params().BitSize + 7) / 8
		point, err := p.Bytes() // 4, x, y
		if err != nil {
			panic(err)
		}
		curve := map[int]int{ES256: 1, ES384: 2}[s.alg]
		return map[int]any{1: 2, 3: s.alg, -1: curve, -2: point[1 : 1+size], -3: point[1+size:]}
	case *rsa.PublicKey:
		return map[int]any{1: 3, 3: s.alg, -1: p.N.Bytes(), -2: big.NewInt(int64(p.E)).Bytes()}
	case ed25519.PublicKey:
		return map[int]any{1: 1, 3: s.alg, -1: 6, -2: []byte(p)}
	}
	return nil
}
