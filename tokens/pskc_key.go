package tokens

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/xml"
	"errors"
	"hash"
	"strings"
)

// pskcOpener opens the encrypted values of one container (RFC 6030 §6): AES-CBC
// with a MAC over the cipher text, under a key that both sides have (§6.1) or one
// derived from a passphrase with PBKDF2 (§6.2). Keys wrapped for a certificate
// (§6.3) are not supported: makers who send them also send the other two.
type pskcOpener struct {
	key     Key
	derived *pskcDerived
	mac     pskcMAC
	bytes   []byte // of the key, once it is known
	macKey  []byte
	refused error // why nothing of this container opens
}

type pskcEncryptionKey struct {
	Derived *pskcDerived `xml:"DerivedKey"`
	Wrapped *struct{}    `xml:"X509Data"`
}

type pskcDerived struct {
	Method struct {
		Algorithm string `xml:"Algorithm,attr"`
		Params    struct {
			Salt  string `xml:"Salt>Specified"`
			Count int    `xml:"IterationCount"`
			Bytes int    `xml:"KeyLength"`
			PRF   struct {
				Algorithm string `xml:"Algorithm,attr"`
			} `xml:"PRF"`
		} `xml:"PBKDF2-params"`
	} `xml:"KeyDerivationMethod"`
}

type pskcMAC struct {
	Algorithm string         `xml:"Algorithm,attr"`
	Key       *pskcEncrypted `xml:"MACKey"`
}

// maxIterations bounds how long a file may make us compute: two million take a
// second, and makers write a few thousand.
const maxIterations = 2_000_000

func (o *pskcOpener) read(x *xml.Decoder, t xml.StartElement) error {
	if t.Name.Local == "MACMethod" {
		return notSyntax(x.DecodeElement(&o.mac, &t), &o.refused)
	}
	var k pskcEncryptionKey
	err := notSyntax(x.DecodeElement(&k, &t), &o.refused)
	if k.Wrapped != nil {
		o.refused = errors.New("the key of this file is wrapped for a certificate, which is not supported; ask its maker for one with a pre-shared key or a passphrase")
	}
	o.derived = k.Derived
	return err
}

// notSyntax passes an error on that ends the file, and keeps another.
func notSyntax(err error, keep *error) error {
	var wrong *xml.UnmarshalError
	if err != nil && !errors.As(err, &wrong) && !strings.Contains(err.Error(), "strconv") {
		return err
	}
	if err != nil {
		*keep = errors.New("what the file says of its key cannot be read")
	}
	return nil
}

// open checks the MAC first, then decrypts.
func (o *pskcOpener) open(v pskcEncrypted, mac string) ([]byte, error) {
	if o == nil {
		return nil, errors.New("its secret is encrypted, and the file does not say how")
	}
	if err := o.prepare(); err != nil {
		return nil, err
	}
	sealed, err := fromBase64(v.Cipher)
	want, badMAC := fromBase64(mac)
	if err != nil || badMAC != nil {
		return nil, errors.New("the encrypted secret, or its check value, is not base64")
	}
	maker, ok := macs[o.mac.Algorithm]
	if !ok || len(want) == 0 {
		return nil, errors.New("its secret is encrypted without a check value that is understood here (HMAC with SHA-1, SHA-256 or SHA-512), so nobody could tell whether it was changed")
	}
	h := hmac.New(maker, o.macKey)
	h.Write(sealed)
	if !hmac.Equal(h.Sum(nil), want) {
		return nil, ErrWrongKey
	}
	return decryptCBC(o.bytes, v.Method.Algorithm, sealed)
}

var macs = map[string]func() hash.Hash{
	"http://www.w3.org/2000/09/xmldsig#hmac-sha1":        sha1.New,
	"http://www.w3.org/2001/04/xmldsig-more#hmac-sha256": sha256.New,
	"http://www.w3.org/2001/04/xmldsig-more#hmac-sha512": sha512.New,
}

// prepare makes the keys of the container, once.
func (o *pskcOpener) prepare() error {
	if o.refused != nil || o.bytes != nil {
		return o.refused
	}
	if o.bytes, o.refused = o.encryptionKey(); o.refused != nil {
		return o.refused
	}
	if o.mac.Key == nil {
		o.macKey = o.bytes
		return nil
	}
	sealed, err := fromBase64(o.mac.Key.Cipher)
	if err == nil {
		o.macKey, err = decryptCBC(o.bytes, o.mac.Key.Method.Algorithm, sealed)
	}
	if err != nil {
		o.refused = ErrWrongKey
	}
	return o.refused
}

func (o *pskcOpener) encryptionKey() ([]byte, error) {
	if o.derived == nil {
		if len(o.key.Bytes) == 0 {
			return nil, ErrKeyNeeded
		}
		return o.key.Bytes, nil
	}
	m := o.derived.Method
	p := m.Params
	salt, err := fromBase64(p.Salt)
	switch {
	case o.key.Passphrase == "":
		return nil, ErrKeyNeeded
	case !strings.HasSuffix(m.Algorithm, "#pbkdf2"):
		return nil, errors.New("the key of this file is made from a passphrase in a way that is not PBKDF2")
	case err != nil || len(salt) == 0 || p.Count < 1 || p.Count > maxIterations || p.Bytes != 16 && p.Bytes != 24 && p.Bytes != 32:
		return nil, errors.New("what the file says of how its key is made cannot be right")
	}
	prf := sha1.New
	switch {
	case strings.HasSuffix(p.PRF.Algorithm, "hmac-sha256"), strings.HasSuffix(p.PRF.Algorithm, "hmacWithSHA256"):
		prf = sha256.New
	case p.PRF.Algorithm != "" && !strings.HasSuffix(p.PRF.Algorithm, "hmac-sha1") && !strings.HasSuffix(p.PRF.Algorithm, "hmacWithSHA1"):
		return nil, errors.New("the key of this file is made with a hash that is not supported")
	}
	return pbkdf2.Key(prf, o.key.Passphrase, salt, p.Count, p.Bytes)
}

// cbcKeys are the lengths of the keys of the methods (XML Encryption §5.2.2).
var cbcKeys = map[string]int{
	"http://www.w3.org/2001/04/xmlenc#aes128-cbc": 16,
	"http://www.w3.org/2001/04/xmlenc#aes192-cbc": 24,
	"http://www.w3.org/2001/04/xmlenc#aes256-cbc": 32,
}

// decryptCBC opens IV and cipher text; the last byte of the plain text says how many
// bytes were added (XML Encryption §5.2).
func decryptCBC(key []byte, method string, sealed []byte) ([]byte, error) {
	want, ok := cbcKeys[method]
	if !ok {
		return nil, errors.New("the secret is encrypted in a way that is not supported; AES-CBC is")
	}
	if len(key) != want {
		return nil, ErrWrongKey
	}
	const block = aes.BlockSize
	if len(sealed) < 2*block || len(sealed)%block != 0 {
		return nil, errors.New("the encrypted secret has been cut off")
	}
	c, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	plain := make([]byte, len(sealed)-block)
	cipher.NewCBCDecrypter(c, sealed[:block]).CryptBlocks(plain, sealed[block:])
	pad := int(plain[len(plain)-1])
	if pad < 1 || pad > block {
		return nil, ErrWrongKey
	}
	return plain[:len(plain)-pad], nil
}
