package web

import (
	"compress/gzip"
	"io"
	"net/http"
	"testing"
)

func TestAssets(t *testing.T) {
	h := buildHouse(t, site)
	for name, f := range h.assets.files {
		at := h.assets.address(name)
		plain := h.send(request("GET", at, ""))
		if plain.StatusCode != 200 || plain.Header.Get("Cache-Control") != "public, max-age=31536000, immutable" ||
			plain.Header.Get("Content-Type") != f.contentType || plain.Header.Get("Vary") != "Accept-Encoding" || bodyOf(t, plain) != string(f.plain) {
			t.Errorf("%s: %d %v", at, plain.StatusCode, plain.Header)
		}
		if zipped := h.send(request("GET", at, "", "Accept-Encoding: br, gzip")); unzipped(t, zipped) != string(f.plain) {
			t.Errorf("%s: compressed it is something else", at)
		}
	}
}

func unzipped(t *testing.T, res *http.Response) string {
	t.Helper()
	if res.Header.Get("Content-Encoding") == "" {
		return bodyOf(t, res)
	}
	z, err := gzip.NewReader(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestAnAssetOfAnotherBuildIsServedButNotKept(t *testing.T) {
	h := buildHouse(t, site)
	res := h.send(request("GET", "/assets/0123456789ab/favicon.svg", ""))
	if res.StatusCode != 200 || res.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("%d, Cache-Control %q", res.StatusCode, res.Header.Get("Cache-Control"))
	}
}

func TestGzipIsSentToThoseWhoTakeIt(t *testing.T) {
	for header, want := range map[string]bool{
		"gzip": true, "br, gzip": true, "GZIP;q=0.5": true, "gzip ; q=1": true,
		"": false, "br": false, "gzip;q=0": false, "gzip; q=0.000": false, "xgzip": false, "*": false,
	} {
		if got := acceptsGzip(header); got != want {
			t.Errorf("%q: %v", header, got)
		}
	}
}

func TestWellKnowns(t *testing.T) {
	h := buildHouse(t, site, func(s *Server) { s.SecurityContact = "mailto:holes@harbour-books.example" })
	change := h.send(request("GET", "/.well-known/change-password", ""))
	if change.StatusCode != http.StatusFound || change.Header.Get("Location") != "/account/password" {
		t.Errorf("change-password: %d to %s", change.StatusCode, change.Header.Get("Location"))
	}
	res := h.send(request("GET", "/.well-known/security.txt", ""))
	want := "Contact: mailto:holes@harbour-books.example\nExpires: 2027-02-19T00:00:00Z\nPreferred-Languages: en\nCanonical: " + site + "/.well-known/security.txt\n"
	if got := bodyOf(t, res); got != want || res.Header.Get("Content-Type") != "text/plain; charset=utf-8" {
		t.Errorf("security.txt:\n%s\nwant:\n%s", got, want)
	}
	if got := buildHouse(t, "http://127.0.0.1:8080").securityContact(); got != "mailto:security@localhost" {
		t.Errorf("a contact nobody chose: %s", got)
	}
}
