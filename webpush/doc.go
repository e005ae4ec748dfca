// Package webpush wakes a phone: Web Push (RFC 8030) to the push service a browser
// chose, encrypted for that browser (RFC 8291), signed by this installation (RFC 8292).
package webpush
