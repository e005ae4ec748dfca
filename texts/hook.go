package texts

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"gatehouse/outbox"
	"gatehouse/proof"
	"gatehouse/seal"
)

// Hook is a provider of the operator's own: a program that is called with JSON,
// signed as Standard Webhooks 1.0.0 says, and answers 2xx when it has taken the
// message. 410, 400 and the like refuse it; docs/phones.md tells the rest.
type Hook struct {
	Label  string
	URL    string
	Secret seal.Secret // whsec_ and base64 of 24 to 64 bytes
	Client *http.Client
	Now    func() time.Time
}

// ErrSecret is a secret that cannot sign.
var ErrSecret = errors.New("texts: not a secret of the form whsec_ and base64 of 24 to 64 bytes")

// hookCall is what the program gets.
type hookCall struct {
	Type string       `json:"type"` // text.message, text.call or text.test
	At   time.Time    `json:"timestamp"`
	Data *hookMessage `json:"data,omitempty"`
}

type hookMessage struct {
	ID     string   `json:"id"`
	To     string   `json:"to"`
	Text   string   `json:"text"`
	Digits []string `json:"digits,omitempty"` // of a call: to be said one by one after the text, with pauses, twice
	Again  string   `json:"again,omitempty"`  // of a call: to be said between the two
	Locale string   `json:"locale"`
}

// Name tells the provider from the other one.
func (h *Hook) Name() string { return h.Label }

// Send calls the program with a message.
func (h *Hook) Send(ctx context.Context, m Message) outbox.Class {
	c := hookCall{Type: "text.message", Data: &hookMessage{ID: string(m.ID), To: m.To.Reveal(), Text: m.Text.Reveal(), Locale: m.Locale}}
	if m.Way == proof.Voice {
		c.Type, c.Data.Again = "text.call", m.Again
		if m.Digits != "" {
			c.Data.Digits = strings.Split(m.Digits.Reveal(), "")
		}
	}
	return h.call(ctx, string(m.ID), c)
}

// Try calls the program with nothing to send.
func (h *Hook) Try(ctx context.Context) outbox.Class {
	return h.call(ctx, "test-"+strconv.FormatInt(h.Now().UnixMicro(), 10), hookCall{Type: "text.test"})
}

func (h *Hook) call(ctx context.Context, id string, c hookCall) outbox.Class {
	c.At = h.Now().UTC()
	body, err := json.Marshal(c)
	if err != nil {
		return outbox.Unwritable
	}
	signature, err := Sign(h.Secret, id, c.At, body)
	if err != nil {
		return outbox.NotAllowed
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, h.URL, bytes.NewReader(body))
	if err != nil {
		return outbox.Unwritable
	}
	req.Header = http.Header{
		"Content-Type": {"application/json"}, "User-Agent": {"Gatehouse-Texts/1"}, "Idempotency-Key": {id},
		"webhook-id": {id}, "webhook-timestamp": {strconv.FormatInt(c.At.Unix(), 10)}, "webhook-signature": {signature},
	}
	status, _, class := post(h.Client, req)
	if class == outbox.Done {
		class = classOfStatus(status)
	}
	return class
}

// Sign makes the value of webhook-signature (Standard Webhooks 1.0.0, "Signature
// scheme"): v1 over id, time in whole seconds and body.
func Sign(secret seal.Secret, id string, at time.Time, body []byte) (string, error) {
	text, ok := strings.CutPrefix(secret.Reveal(), "whsec_")
	key, err := base64.StdEncoding.DecodeString(text)
	if !ok || err != nil || len(key) < 24 || len(key) > 64 {
		return "", ErrSecret
	}
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(id + "." + strconv.FormatInt(at.Unix(), 10) + "."))
	mac.Write(body)
	return "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil)), nil
}
