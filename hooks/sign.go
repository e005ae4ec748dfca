package hooks

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"strconv"
	"strings"
	"time"

	"gatehouse/seal"
)

// Names of the headers (Standard Webhooks 1.0.0, "Webhook metadata").
const (
	headerID        = "webhook-id"
	headerTimestamp = "webhook-timestamp"
	headerSignature = "webhook-signature"
)

// prefix stands before a secret, so that scanners of source code find one that was left there.
const prefix = "whsec_"

// Standard Webhooks 1.0.0, "Signature scheme": a symmetric secret has 24 to 64 bytes.
const (
	leastKey = 24
	mostKey  = 64
	ourKey   = 32
)

var errSecret = errors.New("hooks: not a secret of the form whsec_ and base64 of 24 to 64 bytes")

// sign makes the value of webhook-signature: one v1 signature for each secret,
// separated by spaces, so that a receiver may know any of them. The time is
// signed in whole seconds.
func sign(secrets []seal.Secret, message string, at time.Time, body []byte) (string, error) {
	var all []string
	for _, s := range secrets {
		key, err := keyOf(s)
		if err != nil {
			return "", err
		}
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(message + "." + strconv.FormatInt(at.Unix(), 10) + "."))
		mac.Write(body)
		all = append(all, "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	}
	if len(all) == 0 {
		return "", errSecret
	}
	return strings.Join(all, " "), nil
}

func keyOf(s seal.Secret) ([]byte, error) {
	text, ok := strings.CutPrefix(s.Reveal(), prefix)
	key, err := base64.StdEncoding.DecodeString(text)
	if !ok || err != nil || len(key) < leastKey || len(key) > mostKey {
		return nil, errSecret // never the text itself
	}
	return key, nil
}
