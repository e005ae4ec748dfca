package webpush

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"io"
)

// maxPlain keeps the message in one record of 4096 bytes, which every push service
// takes (RFC 8030 §7.2).
const maxPlain = 3993

const recordSize = 4096

// What cannot be encrypted for.
var (
	ErrKeys  = errors.New("webpush: the browser's keys are not an uncompressed point of P-256 and 16 bytes")
	ErrLarge = errors.New("webpush: the message is too large for one record")
)

// Keys are what a browser gives with its push address.
type Keys struct {
	public *ecdh.PublicKey
	auth   []byte
}

// ParseKeys reads p256dh and auth of a push subscription, base64url with or
// without padding.
func ParseKeys(p256dh, auth string) (Keys, error) {
	point, err := decode(p256dh, 65)
	if err != nil {
		return Keys{}, ErrKeys
	}
	secret, err := decode(auth, 16)
	if err != nil {
		return Keys{}, ErrKeys
	}
	public, err := ecdh.P256().NewPublicKey(point)
	if err != nil {
		return Keys{}, ErrKeys
	}
	return Keys{public, secret}, nil
}

func decode(text string, size int) ([]byte, error) {
	if len(text) > 2*size {
		return nil, ErrKeys
	}
	for len(text) > 0 && text[len(text)-1] == '=' {
		text = text[:len(text)-1]
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err == nil && len(b) != size {
		err = ErrKeys
	}
	return b, err
}

// Encrypt makes the body of a push message: one record of the aes128gcm content
// coding (RFC 8188) with keys as of RFC 8291 §3.4. random gives the ephemeral key
// and the salt.
func Encrypt(to Keys, plain []byte, random io.Reader) ([]byte, error) {
	ours, err := newKey(random)
	if err != nil {
		return nil, err
	}
	salt := make([]byte, 16)
	if _, err := io.ReadFull(random, salt); err != nil {
		return nil, err
	}
	return encrypt(to, plain, ours, salt)
}

// newKey makes a P-256 key from random alone: ecdh's own reads a varying amount.
func newKey(random io.Reader) (*ecdh.PrivateKey, error) {
	b := make([]byte, 32)
	for {
		if _, err := io.ReadFull(random, b); err != nil {
			return nil, err
		}
		if k, err := ecdh.P256().NewPrivateKey(b); err == nil { // not zero and below the order: all but 1 in 2^32
			return k, nil
		}
	}
}

func encrypt(to Keys, plain []byte, ours *ecdh.PrivateKey, salt []byte) ([]byte, error) {
	if len(plain) > maxPlain {
		return nil, ErrLarge
	}
	shared, err := ours.ECDH(to.public)
	if err != nil {
		return nil, err
	}
	point := ours.PublicKey().Bytes()
	ikm, err := hkdf.Key(sha256.New, shared, to.auth, "WebPush: info\x00"+string(to.public.Bytes())+string(point), 32)
	if err != nil {
		return nil, err
	}
	key, err := hkdf.Key(sha256.New, ikm, salt, "Content-Encoding: aes128gcm\x00", 16)
	if err != nil {
		return nil, err
	}
	nonce, err := hkdf.Key(sha256.New, ikm, salt, "Content-Encoding: nonce\x00", 12)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		return nil, err
	}
	head := binary.BigEndian.AppendUint32(append([]byte(nil), salt...), recordSize)
	head = append(append(head, byte(len(point))), point...)
	return gcm.Seal(head, nonce, append(append([]byte(nil), plain...), 2), nil), nil // 2 ends the last record
}
