package webpush

import (
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/url"
	"time"

	"gatehouse/seal"
)

// Server is a key by which push services know us (RFC 8292 §3.2), and Public as
// browsers want it.
type Server struct {
	Public string // uncompressed point, base64url
	key    *ecdsa.PrivateKey
}

// Servers are made from the key folder, the newest first: every node has the same
// without keeping anything, and after a rotation the older one still signs for the
// subscriptions made for it, until it leaves the folder. A push service refuses a
// message for a subscription that was made for another key.
func Servers(keys *seal.Keys) []Server {
	var all []Server
	for _, secret := range keys.DeriveAll("web push server key") {
		all = append(all, serverOf(secret))
	}
	return all
}

func serverOf(secret [32]byte) Server {
	for {
		private, err := ecdh.P256().NewPrivateKey(secret[:])
		if err != nil { // zero, or not below the order: 1 in 2^32
			secret = sha256.Sum256(secret[:])
			continue
		}
		key, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), secret[:])
		if err != nil {
			panic("webpush: " + err.Error()) // ecdh took it
		}
		return Server{base64.RawURLEncoding.EncodeToString(private.PublicKey().Bytes()), key}
	}
}

// tokenLife of a VAPID token; RFC 8292 §2 allows a day.
const tokenLife = 6 * time.Hour

// authorization makes the Authorization header for a push service: a JWT (ES256)
// about its origin and us, and our public key.
func (s Server) authorization(endpoint *url.URL, subject string, now time.Time, random io.Reader) (string, error) {
	claims, err := json.Marshal(struct {
		Aud string `json:"aud"`
		Exp int64  `json:"exp"`
		Sub string `json:"sub"`
	}{endpoint.Scheme + "://" + endpoint.Host, now.Add(tokenLife).Unix(), subject})
	if err != nil {
		return "", err
	}
	text := base64.RawURLEncoding.EncodeToString([]byte(`{"typ":"JWT","alg":"ES256"}`)) + "." + base64.RawURLEncoding.EncodeToString(claims)
	sum := sha256.Sum256([]byte(text))
	r, v, err := ecdsa.Sign(random, s.key, sum[:])
	if err != nil {
		return "", err
	}
	signature := make([]byte, 64)
	r.FillBytes(signature[:32])
	v.FillBytes(signature[32:])
	return "vapid t=" + text + "." + base64.RawURLEncoding.EncodeToString(signature) + ", k=" + s.Public, nil
}
