package web

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestClientAddress(t *testing.T) {
	for _, c := range []struct {
		name      string
		peer      string
		forwarded []string
		trusted   []string
		want      string
	}{
		{"without a proxy the peer is the client", "203.0.113.9:4711", nil, nil, "203.0.113.9"},
		{"a stranger's X-Forwarded-For is hearsay", "203.0.113.9:4711", []string{"198.51.100.1"}, []string{"10.0.0.0/8"}, "203.0.113.9"},
		{"nobody is trusted by default, not even loopback", "127.0.0.1:4711", []string{"198.51.100.1"}, nil, "127.0.0.1"},
		{"a listed proxy says who its client was", "10.0.0.1:4711", []string{"198.51.100.1"}, []string{"10.0.0.0/8"}, "198.51.100.1"},
		{"what the client forged stands left and is not read", "10.0.0.1:4711", []string{"1.1.1.1, 198.51.100.1"}, []string{"10.0.0.0/8"}, "198.51.100.1"},
		{"a forged entry that looks like a proxy of ours is not read either", "10.0.0.1:4711", []string{"1.1.1.1, 10.9.9.9, 198.51.100.1"}, []string{"10.0.0.0/8"}, "198.51.100.1"},
		{"two listed proxies in a row are both passed", "10.0.0.1:4711", []string{"198.51.100.1, 10.0.0.2"}, []string{"10.0.0.0/8"}, "198.51.100.1"},
		{"an unlisted proxy in between is the client", "10.0.0.1:4711", []string{"198.51.100.1, 192.0.2.7, 10.0.0.2"}, []string{"10.0.0.0/8"}, "192.0.2.7"},
		{"header lines are one list, the last line is nearest", "10.0.0.1:4711", []string{"1.1.1.1", "198.51.100.1"}, []string{"10.0.0.0/8"}, "198.51.100.1"},
		{"when all are listed the farthest counts", "10.0.0.1:4711", []string{"10.0.0.3, 10.0.0.2"}, []string{"10.0.0.0/8"}, "10.0.0.3"},
		{"garbage ends the walk at the last good address", "10.0.0.1:4711", []string{"198.51.100.1, unknown, 10.0.0.2"}, []string{"10.0.0.0/8"}, "10.0.0.2"},
		{"an empty header changes nothing", "10.0.0.1:4711", []string{""}, []string{"10.0.0.0/8"}, "10.0.0.1"},
		{"an entry may carry a port", "10.0.0.1:4711", []string{"198.51.100.1:9999"}, []string{"10.0.0.0/8"}, "198.51.100.1"},
		{"an IPv6 entry may carry brackets", "10.0.0.1:4711", []string{"[2001:db8::1]"}, []string{"10.0.0.0/8"}, "2001:db8::1"},
		{"an IPv6 entry may carry brackets and a port", "10.0.0.1:4711", []string{"[2001:db8::1]:443"}, []string{"10.0.0.0/8"}, "2001:db8::1"},
		{"an IPv4-mapped peer is the IPv4 address", "[::ffff:203.0.113.9]:4711", nil, nil, "203.0.113.9"},
		{"an IPv4-mapped peer is found in an IPv4 list", "[::ffff:10.0.0.1]:4711", []string{"198.51.100.1"}, []string{"10.0.0.0/8"}, "198.51.100.1"},
		{"an IPv4-mapped list is found by an IPv4 peer", "10.0.0.1:4711", []string{"198.51.100.1"}, []string{"::ffff:10.0.0.0/104"}, "198.51.100.1"},
		{"an IPv4-mapped entry is the IPv4 address", "10.0.0.1:4711", []string{"::ffff:198.51.100.1"}, []string{"10.0.0.0/8"}, "198.51.100.1"},
		{"a zone is dropped", "[fe80::1%eth0]:4711", nil, nil, "fe80::1"},
		{"an IPv6 proxy may be listed", "[2001:db8:1::7]:4711", []string{"2001:db8:2::1"}, []string{"2001:db8:1::/48"}, "2001:db8:2::1"},
		{"hops are bounded", "10.0.0.1:4711", []string{"198.51.100.1, " + strings.Repeat("10.0.0.2, ", 200) + "10.0.0.3"}, []string{"10.0.0.0/8"}, "10.0.0.2"},
		{"a Unix socket has no address", "@", nil, nil, "invalid IP"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := clientAddr(c.peer, c.forwarded, unmapped(prefixes(c.trusted...))); got.String() != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}

func TestPlainHTTPAtTheProxy(t *testing.T) {
	for _, c := range []struct {
		name, peer, proto, origin, method string
		want                              int
	}{
		{"a listed proxy's plain reader is led to https", "10.0.0.1:1", "http", site, "GET", http.StatusPermanentRedirect},
		{"a listed proxy's secure reader is served", "10.0.0.1:1", "https", site, "GET", http.StatusFound},
		{"the proxy's own word is the last one", "10.0.0.1:1", "http, https", site, "GET", http.StatusFound},
		{"a stranger's word does not count", "203.0.113.9:1", "http", site, "GET", http.StatusFound},
		{"what was posted in the open is refused", "10.0.0.1:1", "http", site, "POST", http.StatusMisdirectedRequest},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := buildHouse(t, c.origin, func(s *Server) { s.Proxies = prefixes("10.0.0.0/8") })
			path, body := "/.well-known/change-password", ""
			if c.method == "POST" {
				path, body = "/api/v1/signin", "{}"
			}
			r := request(c.method, path, body, "X-Forwarded-Proto: "+c.proto)
			r.RemoteAddr = c.peer
			res := h.send(r)
			if res.StatusCode != c.want {
				t.Errorf("got %d, want %d", res.StatusCode, c.want)
			}
			if res.StatusCode == http.StatusPermanentRedirect && res.Header.Get("Location") != site+path {
				t.Errorf("led to %s", res.Header.Get("Location"))
			}
		})
	}
}

func TestNobodyIsLedElsewhereFromPlainHTTP(t *testing.T) {
	h := buildHouse(t, site, func(s *Server) { s.Proxies = prefixes("10.0.0.0/8") })
	for _, target := range []string{"https:.evil.example", "*"} {
		r := request("GET", "/signin", "", "X-Forwarded-Proto: http")
		u, err := url.ParseRequestURI(target) // as net/http reads the request line
		if err != nil {
			t.Fatal(err)
		}
		r.URL, r.RequestURI, r.RemoteAddr = u, target, "10.0.0.1:1"
		if res := h.send(r); res.Header.Get("Location") != "" {
			t.Errorf("%s led to %s", target, res.Header.Get("Location"))
		}
	}
}

func TestForwardedHostsAreNeverBelieved(t *testing.T) {
	h := buildHouse(t, site, func(s *Server) { s.Proxies = prefixes("10.0.0.0/8") })
	r := request("GET", "/.well-known/security.txt", "", "X-Forwarded-Host: evil.example", "Forwarded: host=evil.example;proto=http")
	r.RemoteAddr = "10.0.0.1:1"
	if body := bodyOf(t, h.send(r)); strings.Contains(body, "evil") || !strings.Contains(body, site) {
		t.Errorf("the origin is not the configured one:\n%s", body)
	}
}

func TestWhoAsks(t *testing.T) {
	h := buildHouse(t, site, func(s *Server) { s.Proxies = prefixes("10.0.0.0/8") })
	r := request("POST", "/api/v1/forgot", `{"email":"a@b.example"}`,
		"X-Forwarded-For: 1.1.1.1, 198.51.100.1", "User-Agent: Mozilla\x01/5.0 "+strings.Repeat("é", 600), "Accept-Language: xx, en-NZ;q=0.8")
	r.RemoteAddr = "10.0.0.1:1"
	h.send(r)
	who := h.flow.last(t).Who
	if who.Network.String() != "198.51.100.1" {
		t.Errorf("network %s", who.Network)
	}
	if len(who.Agent) > maxAgent || !utf8.ValidString(who.Agent) || strings.Contains(who.Agent, "\x01") || !strings.HasPrefix(who.Agent, "Mozilla/5.0 é") {
		t.Errorf("agent of %d bytes: %q", len(who.Agent), who.Agent)
	}
	if who.Locale != "en" {
		t.Errorf("locale %q", who.Locale)
	}
	if who.Device == "" {
		t.Error("no device")
	}
}
