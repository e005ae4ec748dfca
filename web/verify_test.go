package web

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"image/png"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"gatehouse/words"
)

func verifyText(t *testing.T, name string) string {
	t.Helper()
	raw, err := verifyFiles.ReadFile("verify/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

func TestVerifyIsServedWholeAndSmall(t *testing.T) {
	h := buildHouse(t, site)
	types := map[string]string{".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8", ".png": "image/png",
		".svg": "image/svg+xml", ".json": "application/json", ".webmanifest": "application/manifest+json", "": "text/html; charset=utf-8"}
	sent, plainly := 0, 0
	for name := range h.verify.files {
		res := h.send(request("GET", "/verify/"+name, "", "Accept-Encoding: gzip"))
		ext := ""
		if i := strings.LastIndex(name, "."); i >= 0 {
			ext = name[i:]
		}
		if res.StatusCode != http.StatusOK || res.Header.Get("Content-Type") != types[ext] || res.Header.Get(verifyBuildHeader) != h.verify.build {
			t.Errorf("/verify/%s: %d %v", name, res.StatusCode, res.Header)
		}
		sent += int(res.ContentLength)
		if res.ContentLength < 0 {
			sent += len(bodyOf(t, h.send(request("GET", "/verify/"+name, ""))))
		}
		plainly += len(unzipped(t, h.send(request("GET", "/verify/"+name, "", "Accept-Encoding: gzip"))))
	}
	t.Logf("Gatehouse Verify: %d files, %d bytes sent, %d unpacked", len(h.verify.files), sent, plainly)
	if sent > 150_000 {
		t.Errorf("%d bytes are more than the 150 KB of the app in all", sent)
	}
}

func TestVerifyIsAskedForAgainOnlyWhenItChanged(t *testing.T) {
	h := buildHouse(t, site)
	tag := h.send(request("GET", "/verify/app.js", "")).Header.Get("ETag")
	if again := h.send(request("GET", "/verify/app.js", "", "If-None-Match: "+tag)); again.StatusCode != http.StatusNotModified || again.Header.Get(verifyBuildHeader) == "" {
		t.Errorf("the same again: %d %v", again.StatusCode, again.Header)
	}
	if other := h.send(request("GET", "/verify/app.js", "", `If-None-Match: "000000000000-en"`)); other.StatusCode != http.StatusOK {
		t.Errorf("after an update: %d", other.StatusCode)
	}
	if slash := h.send(request("GET", "/verify", "")); slash.StatusCode != http.StatusSeeOther || slash.Header.Get("Location") != "/verify/" {
		t.Errorf("without the slash: %d to %q", slash.StatusCode, slash.Header.Get("Location"))
	}
	if h.send(request("GET", "/verify/index.html", "")).StatusCode != http.StatusNotFound {
		t.Error("the template itself is served")
	}
}

func TestTheHeadersOfVerify(t *testing.T) {
	h := buildHouse(t, site)
	page := h.send(request("GET", "/verify/", ""))
	csp := page.Header.Get("Content-Security-Policy")
	for _, piece := range []string{"default-src 'none'", "script-src 'self'", "style-src 'self'", "img-src 'self' data: blob:", "connect-src 'self'",
		"worker-src 'self'", "manifest-src 'self'", "media-src blob:", "frame-ancestors 'none'", "base-uri 'none'", "require-trusted-types-for 'script'"} {
		if !strings.Contains(csp+";", piece+";") {
			t.Errorf("the page's policy lacks %q: %s", piece, csp)
		}
	}
	if allowed := page.Header.Get("Permissions-Policy"); !strings.Contains(allowed, "camera=(self)") || !strings.Contains(allowed, "publickey-credentials-get=(self)") || !strings.Contains(allowed, "microphone=()") {
		t.Errorf("Permissions-Policy %q", allowed)
	}
	worker := h.send(request("GET", "/verify/sw.js", ""))
	if worker.Header.Get("Cache-Control") != "no-cache" || worker.Header.Get("Service-Worker-Allowed") != "/verify/" || !strings.Contains(worker.Header.Get("Content-Security-Policy"), "connect-src 'self'") {
		t.Errorf("the service worker: %v", worker.Header)
	}
	if strings.Contains(h.send(request("GET", "/signin", "")).Header.Get("Permissions-Policy"), "camera=(self)") {
		t.Error("another page may use the camera")
	}
}

func TestThePageOfVerifyHasNothingInline(t *testing.T) {
	h := buildHouse(t, site, func(s *Server) { s.Product = "Books & Co" })
	page := bodyOf(t, h.send(request("GET", "/verify/", "")))
	for _, bad := range []string{"⟦", "<style", " style=", " onclick=", "nonce="} {
		if strings.Contains(page, bad) {
			t.Errorf("the page holds %q", bad)
		}
	}
	if inline := regexp.MustCompile(`<script[^>]*>[^<]`).FindString(page); inline != "" {
		t.Errorf("an inline script: %s", inline)
	}
	if !strings.Contains(page, "Books &amp; Co Verify") {
		t.Error("the page does not say what people call this installation")
	}
	for _, m := range regexp.MustCompile(`(?:href|src)="(/verify/[^"]*)"`).FindAllStringSubmatch(page, -1) {
		if h.send(request("GET", m[1], "")).StatusCode != http.StatusOK {
			t.Errorf("%s is not there", m[1])
		}
	}
}

func TestTheManifestOfVerify(t *testing.T) {
	h := buildHouse(t, site, func(s *Server) { s.Product = `Books "& Co` })
	var m struct {
		ID, Name, Display string
		Start             string `json:"start_url"`
		Scope             string
		Icons             []struct{ Src, Sizes, Purpose string }
	}
	if err := json.Unmarshal([]byte(bodyOf(t, h.send(request("GET", "/verify/manifest.webmanifest", "")))), &m); err != nil {
		t.Fatal(err)
	}
	if m.ID != "/verify/" || m.Start != "/verify/" || m.Scope != "/verify/" || m.Display != "standalone" || m.Name != `Books "& Co Verify` {
		t.Errorf("%+v", m)
	}
	for _, icon := range m.Icons {
		picture, err := png.DecodeConfig(strings.NewReader(bodyOf(t, h.send(request("GET", icon.Src, "")))))
		if want := strings.Split(icon.Sizes, "x")[0]; err != nil || picture.Width != picture.Height || want != map[int]string{192: "192", 512: "512"}[picture.Width] {
			t.Errorf("%s: %v %v", icon.Src, picture, err)
		}
	}
	if !slices.ContainsFunc(m.Icons, func(i struct{ Src, Sizes, Purpose string }) bool { return i.Purpose == "maskable" }) {
		t.Error("no maskable icon")
	}
}

func TestTheServiceWorkerKnowsEveryFileAndItsBuild(t *testing.T) {
	h := buildHouse(t, site)
	first, _, _ := strings.Cut(bodyOf(t, h.send(request("GET", "/verify/sw.js", ""))), "\n")
	var app struct {
		Build string
		Files []string
	}
	if err := json.Unmarshal([]byte(strings.TrimPrefix(first, "const app = ")), &app); err != nil {
		t.Fatal(first, err)
	}
	for name := range h.verify.files {
		if name != "sw.js" && !slices.Contains(app.Files, name) {
			t.Errorf("%q would be missing offline", name)
		}
	}
	renamed := buildHouse(t, site, func(s *Server) { s.Product = "Other" })
	if app.Build != h.verify.build || renamed.verify.build == h.verify.build {
		t.Error("the build does not follow what is served")
	}
}

// Words are asked for by their keys in script; a slip would stand on the page.
func TestTheWordsOfVerifyAreThere(t *testing.T) {
	c := words.For("en")
	entries, err := verifyFiles.ReadDir("verify")
	if err != nil {
		t.Fatal(err)
	}
	asked := map[string]bool{}
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), ".js") && e.Name() != "index.html" {
			continue
		}
		text := verifyText(t, e.Name())
		for _, m := range regexp.MustCompile(`['"](verify\.[a-z0-9.-]+[a-z0-9])['"]`).FindAllStringSubmatch(text, -1) {
			asked[m[1]] = true
		}
		for _, m := range regexp.MustCompile(`new Refused\('([a-z-]+)'`).FindAllStringSubmatch(text, -1) {
			asked["verify.bad."+m[1]] = true
		}
	}
	for key := range asked {
		if !c.Has(key) {
			t.Errorf("%s is not in the catalogue", key)
		}
	}
	var said map[string]string
	if err := json.Unmarshal([]byte(bodyOf(t, buildHouse(t, site).send(request("GET", "/verify/words.json", "")))), &said); err != nil {
		t.Fatal(err)
	}
	if said["verify.name"] != "Gatehouse Verify" || said["product.name"] != "" || said["verify.list.left.other"] == "" {
		t.Errorf("words.json: %d entries", len(said))
	}
}

func TestVerifyTellsTheTime(t *testing.T) {
	h := buildHouse(t, site)
	var said struct{ Now int64 }
	res := h.send(request("GET", "/verify/time", ""))
	if err := json.Unmarshal([]byte(bodyOf(t, res)), &said); err != nil || said.Now != h.Now().UnixMilli() || res.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("%+v %v", said, err)
	}
}

// The reader of QR pictures is somebody else's code; it is what was looked at, or
// this fails. How it is made: docs/decisions/0021.
func TestTheLibraryOfVerifyIsTheOneThatWasLookedAt(t *testing.T) {
	sum := sha256.Sum256([]byte(verifyText(t, "qr-lib.js")))
	if got := hex.EncodeToString(sum[:]); got != "65c668a8a9fbfe58ecdbe10324a08e140ac71d6244ed8d88a770de4ba63a4dd7" {
		t.Errorf("qr-lib.js is %s", got)
	}
}
