package web

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"unicode"
)

const (
	maxAgent = 512 // bytes of User-Agent that are kept: enough to name a browser
	maxHops  = 32  // entries of X-Forwarded-For that are read, from the right
)

// clientAddr is the address a request came from. peer is the other end of the
// connection. Forwarded addresses count only while the one who handed them over
// is a listed proxy: so the walk goes from the right, and the first address that
// is not a listed proxy is the client. What stands left of it is hearsay.
func clientAddr(peer string, forwarded []string, trusted []netip.Prefix) netip.Addr {
	addr := parseHop(peer)
	hops := 0
	for _, line := range slices.Backward(forwarded) {
		for entry := range backwardComma(line) {
			if hops++; hops > maxHops || !isTrusted(addr, trusted) {
				return addr
			}
			next := parseHop(entry)
			if !next.IsValid() {
				return addr
			}
			addr = next
		}
	}
	return addr
}

// backwardComma yields the comma-separated entries of a header line, last first.
func backwardComma(line string) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for more := true; more; {
			entry := line
			if i := strings.LastIndexByte(line, ','); i >= 0 {
				line, entry = line[:i], line[i+1:]
			} else {
				more = false
			}
			if !yield(strings.TrimSpace(entry)) {
				return
			}
		}
	}
}

// parseHop reads "address" or "address:port"; an IPv4 address in IPv6 clothes is
// the IPv4 address, and zones are dropped (they mean something on one machine only).
func parseHop(s string) netip.Addr {
	a, err := netip.ParseAddr(strings.Trim(s, "[]"))
	if err != nil {
		ap, err := netip.ParseAddrPort(s)
		if err != nil {
			return netip.Addr{}
		}
		a = ap.Addr()
	}
	return a.Unmap().WithZone("")
}

func isTrusted(a netip.Addr, trusted []netip.Prefix) bool {
	return a.IsValid() && slices.ContainsFunc(trusted, func(p netip.Prefix) bool { return p.Contains(a) })
}

// plainAtProxy tells that a listed proxy says its client spoke plain HTTP.
func plainAtProxy(r *http.Request, trusted []netip.Prefix) bool {
	said := r.Header.Values("X-Forwarded-Proto")
	if len(said) == 0 || !isTrusted(parseHop(r.RemoteAddr), trusted) {
		return false
	}
	for last := range backwardComma(said[len(said)-1]) {
		return strings.EqualFold(last, "http")
	}
	return false
}

// unmapped makes "::ffff:10.0.0.0/104" the list entry it means, 10.0.0.0/8.
func unmapped(trusted []netip.Prefix) []netip.Prefix {
	list := slices.Clone(trusted)
	for i, p := range list {
		if p.Addr().Is4In6() && p.Bits() >= 96 {
			list[i] = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
		}
	}
	return list
}

// boundedAgent is the User-Agent header as it may be kept: valid UTF-8 without
// control characters, at most maxAgent bytes.
func boundedAgent(agent string) string { return boundedText(agent, maxAgent) }

// boundedText cuts at a character's edge and drops what does not print.
func boundedText(s string, limit int) string {
	s = strings.ToValidUTF8(s[:min(len(s), limit)], "")
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return -1
		}
		return r
	}, s)
}

// languages reads an Accept-Language header (RFC 9110 §12.5.4), most wanted
// first. Weights other than 0 are ignored: browsers write the list in order.
func languages(header string) []string {
	var tags []string
	for entry := range strings.SplitSeq(boundedText(header, 200), ",") {
		tag, weight, _ := strings.Cut(entry, ";")
		tag = strings.TrimSpace(tag)
		if tag == "" || tag == "*" || strings.TrimSpace(weight) == "q=0" {
			continue
		}
		tags = append(tags, tag)
	}
	return tags
}
