package web

import (
	"encoding/base64"
	"fmt"
	"io"
	"net/url"
	"strings"
)

// header is one that never changes. Its values are shared by all answers and
// must not be appended to.
type header struct {
	name   string
	values []string
}

// fixedHeaders are sent with every answer of a sort, whatever its status.
func fixedHeaders(secure bool) map[sort][]header {
	common := []header{
		{"X-Content-Type-Options", []string{"nosniff"}},
		{"X-Frame-Options", []string{"DENY"}}, // for what does not know frame-ancestors
		{"Cross-Origin-Opener-Policy", []string{"same-origin"}},
		{"Cross-Origin-Resource-Policy", []string{"same-origin"}},
		{"Permissions-Policy", []string{permissionsPolicy}},
		{"Cache-Control", []string{"no-store"}}, // assets replace it
	}
	if secure {
		// ASVS 5 §3.4.1: a year at least, names below it too.
		common = append(common, header{"Strict-Transport-Security", []string{"max-age=31536000; includeSubDomains"}})
	}
	bare := append(common[:len(common):len(common)],
		header{"Content-Security-Policy", []string{"default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"}},
		header{"Referrer-Policy", []string{"no-referrer"}})
	// "same-origin" tells nobody else anything, as no-referrer does; but under
	// no-referrer browsers send "Origin: null" with a form, and one that lacks
	// Sec-Fetch-Site would then be refused as cross-site (Fetch §3.2, "serializing
	// a request origin"). Pages with a secret in their address say no-referrer.
	pages := append(common[:len(common):len(common)], header{"Referrer-Policy", []string{"same-origin"}})
	return map[sort][]header{aPage: pages, anAPI: bare, aFile: bare}
}

// permissionsPolicy turns off what a sign-in never needs. Copying recovery codes
// and passkeys stay allowed on our own pages.
const permissionsPolicy = "accelerometer=(), autoplay=(), browsing-topics=(), camera=(), display-capture=(), " +
	"encrypted-media=(), fullscreen=(), geolocation=(), gyroscope=(), hid=(), idle-detection=(), magnetometer=(), " +
	"microphone=(), midi=(), payment=(), picture-in-picture=(), screen-wake-lock=(), serial=(), usb=(), xr-spatial-tracking=()"

// contentPolicy is the Content-Security-Policy of pages, with "?" for the nonce.
// Scripts and style sheets count by nonce only: 'self' would add nothing, since a
// module's imports carry its nonce along (HTML, "descendant script fetch options").
// Trusted Types make writing markup from script an error where browsers know them.
// status is the address of the status line, "" for none.
func contentPolicy(status string) (string, error) {
	connect := "'self'"
	if status != "" {
		u, err := url.Parse(status)
		if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || strings.ContainsAny(u.Host, "; ,'?") {
			return "", fmt.Errorf("web: status address %q is not an http address", status)
		}
		connect += " " + u.Scheme + "://" + u.Host
	}
	return "default-src 'none'; script-src 'nonce-?'; style-src 'nonce-?'; img-src 'self'; font-src 'self'; connect-src " + connect +
		"; manifest-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'" +
		"; require-trusted-types-for 'script'; trusted-types 'none'", nil
}

func (r *Request) setHeaders() {
	h := r.w.Header()
	for _, f := range r.server.headers[r.route.sort] {
		h[f.name] = f.values
	}
	h["X-Request-Id"] = []string{r.ID}
	if r.route.sort == aPage {
		h["Content-Security-Policy"] = []string{strings.ReplaceAll(r.server.content, "?", r.Nonce)}
	}
	if strings.Contains(r.route.path, "{token}") {
		h["Referrer-Policy"] = []string{"no-referrer"}
	}
}

// nonce is 128 random bits for one answer's Content-Security-Policy, in the URL
// alphabet: HTML escapes "+", and then pages that are alike differ in length.
func nonce(random io.Reader) (string, error) {
	var b [16]byte
	_, err := io.ReadFull(random, b[:])
	return base64.RawURLEncoding.EncodeToString(b[:]), err
}
