package softkey

import (
	"crypto/sha256"
	"encoding/binary"
	"slices"

	"github.com/fxamacker/cbor/v2"
)

// The flags of authenticator data (WebAuthn L3 §6.1).
const (
	UP = 1 << 0
	UV = 1 << 2
	BE = 1 << 3
	BS = 1 << 4
	AT = 1 << 6
	ED = 1 << 7
)

// AuthData is authenticator data before it is serialised.
type AuthData struct {
	Domain       string // its SHA-256 is rpIdHash
	Flags        byte
	Count        uint32
	AAGUID       [16]byte
	CredentialID []byte
	COSE         map[int]any // the public key
	RawCOSE      []byte      // instead of COSE, when it is not nil
	Extensions   []byte      // CBOR; set ED for it
}

func (k *Key) authData(h *held, verification string, s Spoil, created bool) []byte {
	a := AuthData{Domain: h.domain, Flags: UP, Count: k.Count}
	if k.Verifies && verification != "discouraged" {
		a.Flags |= UV
	}
	if k.BackupEligible {
		a.Flags |= BE
	}
	if k.BackedUp {
		a.Flags |= BS
	}
	if created {
		a.Flags |= AT
		a.AAGUID, a.CredentialID, a.COSE = k.AAGUID, h.id, h.key.cose()
	}
	if s.Auth != nil {
		s.Auth(&a)
	}
	data := a.serialised()
	if s.Data != nil {
		data = s.Data(data)
	}
	return data
}

func (a AuthData) serialised() []byte {
	sum := sha256.Sum256([]byte(a.Domain))
	b := append(sum[:], a.Flags)
	b = binary.BigEndian.AppendUint32(b, a.Count)
	if a.Flags&AT != 0 {
		b = append(b, a.AAGUID[:]...)
		b = binary.BigEndian.AppendUint16(b, uint16(len(a.CredentialID)))
		b = append(b, a.CredentialID...)
		b = append(b, a.key()...)
	}
	return append(b, a.Extensions...)
}

func (a AuthData) key() []byte {
	if a.RawCOSE != nil {
		return a.RawCOSE
	}
	return CBOR(a.COSE)
}

// CBOR encodes as CTAP2 wants it.
func CBOR(v any) []byte {
	mode, err := cbor.CTAP2EncOptions().EncMode()
	if err != nil {
		panic(err)
	}
	b, err := mode.Marshal(v)
	if err != nil {
		panic(err)
	}
	return b
}

// signed is what a signature is over: authenticator data and the hash of the
// client data.
func signed(auth, client []byte) []byte {
	sum := sha256.Sum256(client)
	return slices.Concat(auth, sum[:])
}
