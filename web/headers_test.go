package web

import (
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"gatehouse/fault"
	"gatehouse/words"
)

// filled gives a route's pattern an address.
func filled(rt route) string {
	return strings.NewReplacer("{build}", "x", "{name...}", "favicon.svg", "{token}", "t", "{$}", "").Replace(rt.path)
}

func TestHeadersOnEveryRoute(t *testing.T) {
	for _, origin := range []string{site, "http://127.0.0.1:8080"} {
		h := buildHouse(t, origin)
		table := append(h.routes(), route{aPage, "GET", "/nowhere", nil}, route{anAPI, "GET", "/api/v1/nowhere", nil},
			route{aPage, "GET", "/bad%20host", nil}, route{anAPI, "BREW", "/api/v1/signin", nil},
			route{aPage, "GET", "//evil.example/..", nil}, route{aPage, "GET", "/api", nil}, route{aPage, "CONNECT", "/signin", nil})
		for _, rt := range table {
			r := httptest.NewRequest(rt.method, origin+filled(rt), strings.NewReader("x"))
			res := h.send(r)
			t.Run(origin+" "+rt.method+" "+rt.path, func(t *testing.T) { holdsHeaders(t, res, origin == site) })
		}
	}
}

func holdsHeaders(t *testing.T, res *http.Response, secure bool) {
	want := map[string]string{
		"X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY",
		"Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Resource-Policy": "same-origin",
		"Cache-Control": "no-store", "Permissions-Policy": permissionsPolicy, "Strict-Transport-Security": "",
	}
	if secure {
		want["Strict-Transport-Security"] = "max-age=31536000; includeSubDomains"
	}
	if res.Request == nil && res.Header.Get("Content-Type") == "image/svg+xml" {
		want["Cache-Control"] = res.Header.Get("Cache-Control") // TestAssets looks at it
	}
	if res.Header.Get(verifyBuildHeader) != "" {
		want["Cache-Control"], want["Permissions-Policy"] = "no-cache", res.Header.Get("Permissions-Policy") // TestTheHeadersOfVerify looks at it
	}
	for name, value := range want {
		if got := res.Header.Get(name); got != value {
			t.Errorf("%s: %q, want %q", name, got, value)
		}
	}
	csp := res.Header.Get("Content-Security-Policy")
	for _, piece := range []string{"default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'"} {
		if !strings.Contains(csp, piece) {
			t.Errorf("Content-Security-Policy %q lacks %q", csp, piece)
		}
	}
	if strings.Contains(csp, "unsafe") || strings.Contains(csp, "*") || strings.Contains(csp, "?") {
		t.Errorf("Content-Security-Policy %q is lax", csp)
	}
	if !requestID.MatchString(res.Header.Get("X-Request-Id")) {
		t.Errorf("request id %q", res.Header.Get("X-Request-Id"))
	}
	switch ref := res.Header.Get("Referrer-Policy"); ref {
	case "no-referrer", "same-origin":
	default:
		t.Errorf("Referrer-Policy %q", ref)
	}
	if res.Header.Get("Server") != "" || res.Header.Get("X-Powered-By") != "" {
		t.Error("the server boasts")
	}
}

func TestThePolicyOfAPage(t *testing.T) {
	h := buildHouse(t, site, func(s *Server) { s.StatusURL = "https://status.example/api/v2/summary.json" })
	nonce := regexp.MustCompile(`script-src 'nonce-([A-Za-z0-9_-]{22})';`)
	seen := map[string]bool{}
	for range 3 {
		res := h.send(request("GET", "/nowhere", ""))
		csp, body := res.Header.Get("Content-Security-Policy"), bodyOf(t, res)
		m := nonce.FindStringSubmatch(csp)
		if m == nil || seen[m[1]] {
			t.Fatalf("no new nonce in %q", csp)
		}
		seen[m[1]] = true
		if !strings.Contains(csp, "connect-src 'self' https://status.example;") {
			t.Errorf("the status line cannot load: %q", csp)
		}
		// html/template writes "+" as &#43;
		if strings.Count(body, `nonce="`+m[1]+`"`) < 2 {
			t.Errorf("the page does not carry the nonce of its policy:\n%s", body)
		}
	}
}

func TestAStatusAddressCannotLoosenThePolicy(t *testing.T) {
	for _, bad := range []string{"status.example", "javascript:x", "https://a;script-src *", "https://", "//status.example", "https://a,b"} {
		if csp, err := contentPolicy(bad); err == nil {
			t.Errorf("%q made %q", bad, csp)
		}
	}
}

func TestAPageWithATokenInItsAddressTellsNobody(t *testing.T) {
	h := pageServer(t, notFound)
	if got := h.send(request("GET", "/test/form/token", "")).Header.Get("Referrer-Policy"); got != "no-referrer" {
		t.Errorf("Referrer-Policy %q", got)
	}
}

func TestTheCatalogueSaysEveryFault(t *testing.T) {
	c := words.For("en")
	known := map[string]bool{"fault.wrong-host.at": true}
	for _, code := range fault.Codes() {
		key := "fault." + string(code)
		known[key] = true
		if said := c.Say(key); strings.Contains(said, "⟦") || strings.Contains(said, "{") || len(said) < 20 || !strings.HasSuffix(said, ".") {
			t.Errorf("%s: %q", key, said)
		}
	}
	for _, key := range c.Keys() {
		if strings.HasPrefix(key, "fault.") && !known[key] {
			t.Errorf("%s is nobody's sentence", key)
		}
	}
	if said := c.Say("fault.wrong-host.at", "origin", site); !strings.Contains(said, site) {
		t.Errorf("fault.wrong-host.at: %q", said)
	}
}

func TestAnOriginIsJustThat(t *testing.T) {
	for _, bad := range []string{"", "sign-in.example", "https://a.example/", "https://a.example/x", "https://a.example?x", "https://u@a.example", "ftp://a.example", "https://"} {
		if _, err := New(Server{Origin: bad}); err == nil || !strings.Contains(err.Error(), "origin") {
			t.Errorf("%q: %v", bad, err)
		}
	}
}
