package hooks

import (
	"errors"
	"net/netip"
	"net/url"
	"slices"
	"strings"
)

// A receiver's URL is typed by somebody, and its host means whatever its DNS says
// today: without these rules Gatehouse could be made to speak to the machines
// behind it (server-side request forgery, OWASP ASVS 5 V1.3.6).

// maxURL bounds a receiver's URL, in bytes.
const maxURL = 2000

// What is wrong with a URL.
var (
	ErrURL      = errors.New("hooks: not a URL of the form https://host/path")
	ErrUserInfo = errors.New("hooks: a URL must not hold a user or password")
	ErrPlain    = errors.New("hooks: http:// is for allowed networks only")
	ErrInside   = errors.New("hooks: the address is not one we may speak to")
)

// checkURL looks at what can be seen without asking DNS. Where the name leads is
// looked at for every connection.
func checkURL(text string, allowed []netip.Prefix) error {
	u, err := url.Parse(text)
	switch {
	case err != nil || len(text) > maxURL || u.Hostname() == "" || u.Opaque != "" || u.Fragment != "" || strings.ContainsAny(text, " \t\r\n"):
		return ErrURL
	case u.Scheme != "https" && u.Scheme != "http":
		return ErrURL
	case u.User != nil:
		return ErrUserInfo
	case u.Scheme == "http" && len(allowed) == 0:
		return ErrPlain
	}
	if a, err := netip.ParseAddr(u.Hostname()); err == nil && !mayReach(a, allowed, u.Scheme == "http") {
		return ErrInside
	}
	return nil
}

// mayReach tells whether we may connect to an address. What the operator allows
// is allowed; else it must be an address of the public Internet, and the
// connection must not be plain.
func mayReach(a netip.Addr, allowed []netip.Prefix, plain bool) bool {
	if a.Zone() != "" || !a.IsValid() {
		return false
	}
	a = a.Unmap() // ::ffff:10.0.0.1 is 10.0.0.1
	if a.IsUnspecified() || a.IsMulticast() {
		return false
	}
	if slices.ContainsFunc(allowed, func(p netip.Prefix) bool { return p.Contains(a) }) {
		return true
	}
	return !plain && isPublic(a)
}

// isPublic refuses by list for IPv4; for IPv6 only 2000::/3 has been given out at
// all, so loopback, unique local, link-local, NAT64 (64:ff9b::/96), mapped and
// compatible addresses are outside from the start.
func isPublic(a netip.Addr) bool {
	if a.Is6() && !globalUnicast.Contains(a) {
		return false
	}
	return !slices.ContainsFunc(notPublic, func(p netip.Prefix) bool { return p.Contains(a) })
}

var globalUnicast = netip.MustParsePrefix("2000::/3")

// notPublic is IANA's registries of special purpose addresses (RFC 6890 and its
// updates) as far as they can look public, and the one cloud service that hides
// behind a public address.
var notPublic = prefixes(
	"0.0.0.0/8",         // this network
	"10.0.0.0/8",        // private
	"100.64.0.0/10",     // carrier-grade NAT (RFC 6598); Alibaba's metadata lives here
	"127.0.0.0/8",       // loopback
	"168.63.129.16/32",  // Azure's host agent
	"169.254.0.0/16",    // link-local: the metadata of most clouds
	"172.16.0.0/12",     // private
	"192.0.0.0/24",      // protocol assignments; Oracle's metadata lives here
	"192.0.2.0/24",      // documentation
	"192.31.196.0/24",   // AS112
	"192.52.193.0/24",   // AMT
	"192.88.99.0/24",    // 6to4 relays
	"192.168.0.0/16",    // private
	"192.175.48.0/24",   // AS112
	"198.18.0.0/15",     // benchmarks
	"198.51.100.0/24",   // documentation
	"203.0.113.0/24",    // documentation
	"224.0.0.0/4",       // multicast
	"240.0.0.0/4",       // reserved, broadcast
	"2001::/23",         // protocol assignments: Teredo carries IPv4 addresses
	"2001:db8::/32",     // documentation
	"2002::/16",         // 6to4: carries IPv4 addresses
	"2620:4f:8000::/48", // AS112
	"3fff::/20",         // documentation
)

func prefixes(texts ...string) []netip.Prefix {
	all := make([]netip.Prefix, len(texts))
	for i, t := range texts {
		all[i] = netip.MustParsePrefix(t)
	}
	return all
}
