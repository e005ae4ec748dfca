// Package id names things. Every identifier is a UUIDv7 (RFC 9562 §5.7) made in
// the process that creates the thing, and every kind has a Go type of its own so
// that an account can never be passed where a session is meant.
//
// An id is never an order: two nodes make ids without asking each other. What
// needs an order (events) carries a position of its own.
package id

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"time"
)

type (
	// Account names a person who signs in. People belong to themselves, not to organisations.
	Account string
	// Approval names one question to Gatehouse Verify.
	Approval string
	// Attempt names one try to sign in or to prove oneself afresh, from first click to session.
	Attempt string
	// Authenticator names one password, one authenticator app or other second
	// authenticator, one set of recovery codes.
	Authenticator string
	// Device names a browser or native app that carries a device token.
	Device string
	// Event names something that happened.
	Event string
	// Hook names a receiver of web-hooks.
	Hook string
	// Link names a mailed single-use link (invitation, reset, …).
	Link string
	// Message names one outgoing mail in the outbox; it is also its idempotency key.
	Message string
	// Node names one running Gatehouse process and the disk it lives on.
	Node string
	// Organisation names a business whose members sign in.
	Organisation string
	// Session names one signed-in browser or app.
	Session string
	// Token names one hardware code token, in stock or in somebody's pocket.
	Token string
)

// ErrMalformed says that a text is not a UUID in its canonical form.
var ErrMalformed = errors.New("id: malformed")

// New makes a UUIDv7 from the time (millisecond resolution) and 74 bits of
// randomness. It panics when random cannot be read: no id is better than a
// guessable one.
func New[T ~string](now time.Time, random io.Reader) T {
	var b [16]byte
	if _, err := io.ReadFull(random, b[6:]); err != nil {
		panic("id: no randomness: " + err.Error())
	}
	ms := uint64(now.UnixMilli())
	for i := range 6 {
		b[i] = byte(ms >> (40 - 8*i))
	}
	b[6] = b[6]&0x0f | 0x70
	b[8] = b[8]&0x3f | 0x80
	return T(format(b))
}

// Derive makes an id that is always the same for the same parts: for what an
// attempt writes at most once, so that a retry writes the same row. It is a
// UUIDv8 (RFC 9562 §5.8) over SHA-256.
func Derive[T ~string](parts ...string) T {
	h := sha256.New()
	for _, p := range parts {
		fmt.Fprintf(h, "%d:%s", len(p), p)
	}
	b := [16]byte(h.Sum(nil))
	b[6] = b[6]&0x0f | 0x80
	b[8] = b[8]&0x3f | 0x80
	return T(format(b))
}

// Parse accepts only the canonical lower-case form, so that one thing has one name.
func Parse[T ~string](s string) (T, error) {
	if len(s) != 36 || s[8] != '-' || s[13] != '-' || s[18] != '-' || s[23] != '-' {
		return "", ErrMalformed
	}
	for i := range len(s) {
		c := s[i]
		dash := i == 8 || i == 13 || i == 18 || i == 23
		if !dash && !(c >= '0' && c <= '9' || c >= 'a' && c <= 'f') {
			return "", ErrMalformed
		}
	}
	return T(s), nil
}

func format(b [16]byte) string {
	var s [36]byte
	hex.Encode(s[0:8], b[0:4])
	hex.Encode(s[9:13], b[4:6])
	hex.Encode(s[14:18], b[6:8])
	hex.Encode(s[19:23], b[8:10])
	hex.Encode(s[24:36], b[10:16])
	s[8], s[13], s[18], s[23] = '-', '-', '-', '-'
	return string(s[:])
}
