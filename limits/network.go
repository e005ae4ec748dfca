package limits

import "net/netip"

// Network is what one client counts as: its IPv4 address, or its IPv6 /64,
// because a household or a rented server holds all of that.
func Network(a netip.Addr) string {
	a = a.Unmap()
	if a.Is6() {
		p, err := a.WithZone("").Prefix(64)
		if err == nil {
			return p.String()
		}
	}
	return a.String()
}
