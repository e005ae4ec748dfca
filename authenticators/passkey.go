package authenticators

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/url"
	"slices"
	"strings"

	"golang.org/x/net/publicsuffix"

	"gatehouse/proof"
)

// Relying is this house as a relying party of WebAuthn Level 3: what a passkey is
// asked to sign, and what is accepted of what it signs. It holds no transaction.
type Relying struct {
	id, name string
	origins  []string // as a browser writes them
	hash     [32]byte // of id
	policy   AttestationPolicy
}

// RelyingOptions say where passkeys are used.
type RelyingOptions struct {
	ID          string   // a domain; "" is the host of the first origin
	Name        string   // what people call this house
	Origins     []string // the configured origin first, then related ones (§5.11)
	Attestation AttestationPolicy
}

// ErrNoDomain says that a house at an IP address can have no passkeys: browsers
// bind them to a name.
var ErrNoDomain = errors.New("authenticators: passkeys are bound to a domain name, and the origin has none")

// NewRelying judges the options once, so that no ceremony has to. The ID must be
// the host of the first origin or a domain above it, and no public suffix.
// Related origins may be anywhere: the browser asks /.well-known/webauthn.
func NewRelying(o RelyingOptions) (*Relying, error) {
	if len(o.Origins) == 0 {
		return nil, errors.New("authenticators: a relying party has an origin")
	}
	r := &Relying{id: strings.ToLower(o.ID), name: o.Name, policy: o.Attestation}
	for _, raw := range o.Origins {
		origin, err := browserOrigin(raw)
		if err != nil {
			return nil, err
		}
		r.origins = append(r.origins, origin)
	}
	host := hostOf(r.origins[0])
	if r.id == "" {
		r.id = host
	}
	if err := domainFor(r.id, host); err != nil {
		return nil, err
	}
	r.hash = sha256.Sum256([]byte(r.id))
	return r, o.Attestation.sound()
}

// ID is the domain that passkeys are bound to.
func (r *Relying) ID() string { return r.id }

// Related lists the origins besides the first: for /.well-known/webauthn.
func (r *Relying) Related() []string { return slices.Clone(r.origins[1:]) }

// browserOrigin is an origin as a browser serialises it (HTML §7.1.1): lower case,
// no default port, no path. WebAuthn runs in secure contexts only.
func browserOrigin(raw string) (string, error) {
	u, err := url.Parse(strings.ToLower(raw))
	if err != nil || u.Host == "" || u.User != nil || u.Path != "" && u.Path != "/" || u.RawQuery != "" || u.Fragment != "" {
		return "", fmt.Errorf("authenticators: %q is no origin", raw)
	}
	if u.Scheme != "https" && !(u.Scheme == "http" && local(u.Hostname())) {
		return "", fmt.Errorf("authenticators: %q: passkeys need https", raw)
	}
	if u.Scheme == "https" && u.Port() == "443" || u.Scheme == "http" && u.Port() == "80" {
		u.Host = u.Hostname()
	}
	return u.Scheme + "://" + u.Host, nil
}

func local(host string) bool { return host == "localhost" || strings.HasSuffix(host, ".localhost") }

func hostOf(origin string) string {
	u, err := url.Parse(origin)
	if err != nil {
		return ""
	}
	return u.Hostname()
}

// domainFor tells whether an RP ID may be used at a host (L3 §5.1.3 step 8): equal
// to it, or a registrable suffix of it.
func domainFor(id, host string) error {
	if net.ParseIP(strings.Trim(host, "[]")) != nil {
		return ErrNoDomain
	}
	if id != host && !strings.HasSuffix(host, "."+id) {
		return fmt.Errorf("authenticators: the passkey domain %q is not %q nor above it", id, host)
	}
	if suffix, _ := publicsuffix.PublicSuffix(id); id == suffix && !local(id) && id != host {
		return fmt.Errorf("authenticators: %q belongs to everybody: passkeys cannot be bound to it", id)
	}
	return nil
}

// WithPasskeys is the set with passkeys in it.
func (s *Set) WithPasskeys(r *Relying) *Set {
	more := &Set{Hasher: s.Hasher, passkeys: r, checkers: maps.Clone(s.checkers)}
	more.checkers[proof.Passkey] = passkeyChecker{r}
	return more
}

// Passkeys is the relying party; nil: this house takes no passkeys.
func (s *Set) Passkeys() *Relying { return s.passkeys }
