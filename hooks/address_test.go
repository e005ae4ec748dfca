package hooks

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"testing"
)

func TestOnlyAddressesOfThePublicInternetAreReached(t *testing.T) {
	for address, want := range map[string]bool{
		"93.184.216.34":                      true,
		"8.8.8.8":                            true,
		"2606:2800:220:1:248:1893:25c8:1946": true,
		"::ffff:93.184.216.34":               true, // the same as 93.184.216.34

		"127.0.0.1":              false, // loopback
		"127.255.255.254":        false,
		"::1":                    false,
		"10.1.2.3":               false, // private
		"172.16.0.1":             false,
		"172.31.255.255":         false,
		"192.168.1.1":            false,
		"fd00::1":                false,
		"fc00::1":                false,
		"fec0::1":                false, // site-local, deprecated
		"169.254.169.254":        false, // metadata: AWS, Azure, Google
		"fd00:ec2::254":          false, // metadata: AWS
		"100.100.100.200":        false, // metadata: Alibaba
		"192.0.0.192":            false, // metadata: Oracle
		"168.63.129.16":          false, // Azure's host agent
		"fe80::1":                false, // link-local
		"fe80::1%eth0":           false,
		"2606:2800::1%eth0":      false, // an address with a zone is no public one
		"100.64.0.1":             false, // carrier-grade NAT
		"100.127.255.255":        false,
		"0.0.0.0":                false, // this host
		"0.1.2.3":                false,
		"::":                     false,
		"224.0.0.1":              false, // multicast
		"ff02::1":                false,
		"255.255.255.255":        false, // broadcast
		"240.0.0.1":              false,
		"192.0.2.1":              false, // documentation
		"198.51.100.1":           false,
		"203.0.113.1":            false,
		"2001:db8::1":            false,
		"3fff::1":                false,
		"198.18.0.1":             false, // benchmarks
		"::ffff:127.0.0.1":       false, // IPv4-mapped
		"::ffff:10.0.0.1":        false,
		"::ffff:169.254.169.254": false,
		"::10.0.0.1":             false, // IPv4-compatible
		"64:ff9b::10.0.0.1":      false, // NAT64
		"64:ff9b::8.8.8.8":       false,
		"64:ff9b:1::1":           false,
		"2002:0a00:0001::1":      false, // 6to4 of 10.0.0.1
		"2001:0:53aa:64c::1":     false, // Teredo
		"100::1":                 false, // discard
		"5f00::1":                false, // SRv6
	} {
		a := netip.MustParseAddr(address)
		if got := mayReach(a, nil, false); got != want {
			t.Errorf("%s: reached %v, want %v", address, got, want)
		}
		if mayReach(a, nil, true) {
			t.Errorf("%s: reached without TLS", address)
		}
	}
}

func TestAllowedNetworksAreReachedAlsoWithoutTLSAndNothingBesides(t *testing.T) {
	allowed := []netip.Prefix{netip.MustParsePrefix("10.20.0.0/16"), netip.MustParsePrefix("0.0.0.0/0")}[:1]
	for address, want := range map[string]bool{
		"10.20.3.4": true, "::ffff:10.20.3.4": true, "10.21.0.1": false, "127.0.0.1": false, "8.8.8.8": false,
	} {
		if got := mayReach(netip.MustParseAddr(address), allowed, true); got != want {
			t.Errorf("%s: %v", address, got)
		}
	}
	everything := []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("::/0")}
	for _, address := range []string{"0.0.0.0", "::", "224.0.0.1", "ff02::1"} {
		if mayReach(netip.MustParseAddr(address), everything, false) {
			t.Errorf("%s is no receiver, whatever is allowed", address)
		}
	}
}

func TestAURLIsJudgedBeforeItIsKept(t *testing.T) {
	allowed := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
	for name, row := range map[string]struct {
		url     string
		allowed []netip.Prefix
		want    error
	}{
		"an ordinary one":                {"https://example.com/hooks?x=1", nil, nil},
		"one with a port":                {"https://example.com:8443/", nil, nil},
		"no scheme":                      {"example.com/hooks", nil, ErrURL},
		"a file":                         {"file:///etc/passwd", nil, ErrURL},
		"gopher":                         {"gopher://example.com/", nil, ErrURL},
		"no host":                        {"https:///hooks", nil, ErrURL},
		"a fragment":                     {"https://example.com/#x", nil, ErrURL},
		"a line end":                     {"https://example.com/\nHost: x", nil, ErrURL},
		"a password":                     {"https://user:pass@example.com/", nil, ErrUserInfo},
		"a host that looks like another": {"https://example.com@10.0.0.1/", nil, ErrUserInfo},
		"http":                           {"http://example.com/", nil, ErrPlain},
		"http, with allowed networks":    {"http://inside.example/", allowed, nil}, // where it leads is seen later
		"http to an allowed address":     {"http://10.1.2.3/", allowed, nil},
		"http to a public address":       {"http://8.8.8.8/", allowed, ErrInside},
		"a private address":              {"https://192.168.0.1/", nil, ErrInside},
		"loopback":                       {"https://[::1]/", nil, ErrInside},
		"a mapped private address":       {"https://[::ffff:192.168.0.1]/", nil, ErrInside},
	} {
		if err := checkURL(row.url, row.allowed); !errors.Is(err, row.want) {
			t.Errorf("%s: %v, want %v", name, err, row.want)
		}
	}
}

func FuzzWhatACheckedURLLeadsToIsNeverInside(f *testing.F) {
	for _, seed := range []string{"https://127.0.0.1/", "https://0x7f.1/", "https://2130706433/", "https://[::ffff:7f00:1]/", "https://127.1/", "https://①②⑦.0.0.1/", "https://localhost/"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if checkURL(text, nil) != nil {
			return
		}
		u, err := url.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		d := NewDoor(nil, nil)
		d.lookup = func(context.Context, string, string) ([]netip.Addr, error) { // as a system's resolver that knows odd spellings
			return []netip.Addr{netip.MustParseAddr("127.0.0.1")}, nil
		}
		reached, err := d.reachable(t.Context(), u.Hostname(), u.Scheme == "http")
		for _, a := range reached {
			if !isPublic(a) {
				t.Errorf("%q leads to %s", text, a)
			}
		}
		if err == nil && u.Scheme == "http" {
			t.Errorf("%q is spoken to without TLS", text)
		}
	})
}

func TestANameIsAskedForOnceAndThatAnswerIsUsed(t *testing.T) {
	inside, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer inside.Close()
	_, port, _ := net.SplitHostPort(inside.Addr().String())
	answers := [][]netip.Addr{{netip.MustParseAddr("192.168.77.77"), netip.MustParseAddr("127.0.0.1")}, {netip.MustParseAddr("10.0.0.1")}}
	asked := 0
	d := NewDoor([]netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, nil)
	d.lookup = func(context.Context, string, string) ([]netip.Addr, error) {
		asked++
		return answers[min(asked-1, 1)], nil
	}
	conn, err := d.dial(t.Context(), "rebinding.example:"+port, false)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if asked != 1 || conn.RemoteAddr().String() != inside.Addr().String() {
		t.Errorf("asked %d times, connected to %s", asked, conn.RemoteAddr())
	}
	if _, err := d.dial(t.Context(), "rebinding.example:"+port, false); !errors.Is(err, ErrInside) {
		t.Errorf("the second answer leads inside: %v", err)
	}
	if err := d.lastLook("10.0.0.1:443", false); !errors.Is(err, ErrInside) {
		t.Errorf("the socket's own look: %v", err)
	}
}

func TestAllAddressesOfANameAreLookedAt(t *testing.T) {
	d := NewDoor(nil, nil)
	d.lookup = func(context.Context, string, string) ([]netip.Addr, error) {
		return []netip.Addr{netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("93.184.216.34"), netip.MustParseAddr("::ffff:127.0.0.1")}, nil
	}
	got, err := d.reachable(t.Context(), "mixed.example", false)
	if err != nil || !slices.Equal(got, []netip.Addr{netip.MustParseAddr("93.184.216.34")}) {
		t.Errorf("%v, %v", got, err)
	}
}
