package web

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"html/template"
	"maps"
	"net/http"
	"path"
	"slices"
	"strings"

	"gatehouse/fault"
	"gatehouse/words"
)

//go:embed verify
var verifyFiles embed.FS

// verifyApp is Gatehouse Verify, our authenticator app, ready to send: by name,
// then by language ("" for what is the same in all).
type verifyApp struct {
	build string // made from everything that a browser can get; another build is an update
	files map[string]map[string]asset
}

// The headers of the app's page and of its service worker. Scripts and styles come
// from our own files only; "gatehouse-verify" is the one Trusted Types policy, for
// the address of the service worker. The camera is allowed here and nowhere else.
const (
	verifyPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; " +
		"worker-src 'self'; manifest-src 'self'; media-src blob:; form-action 'none'; frame-ancestors 'none'; base-uri 'none'; " +
		"require-trusted-types-for 'script'; trusted-types gatehouse-verify"
	verifyWorkerPolicy = "default-src 'none'; script-src 'self'; connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
	verifyBuildHeader  = "X-Verify-Build"
)

var verifyPermissions = strings.Replace(permissionsPolicy, "camera=()", "camera=(self), publickey-credentials-create=(self), publickey-credentials-get=(self)", 1)

// verifyRoutes has one row for each file, so that rooms beside it may have rows
// under /verify/ of their own.
func (s *Server) verifyRoutes() []route {
	rows := []route{
		{aFile, "GET", "/verify", func(r *Request) error { return r.Redirect("/verify/") }},
		{aFile, "GET", "/verify/time", s.verifyTime},
	}
	if s.verify == nil {
		return rows
	}
	for _, name := range slices.Sorted(maps.Keys(s.verify.files)) {
		rows = append(rows, route{aFile, "GET", "/verify/" + orElse(name, "{$}"), s.verifyFile(name)})
	}
	return rows
}

// verifyTime tells a device our clock, in milliseconds since 1970, to compare its
// own with: the Date header has whole seconds only.
func (s *Server) verifyTime(r *Request) error {
	return r.JSON(http.StatusOK, map[string]int64{"now": s.Now().UnixMilli()})
}

// verifyFile sends a file of the app. The browser's own cache asks each time
// (304 mostly); offline it is the service worker that keeps the files.
func (s *Server) verifyFile(name string) handler {
	return func(r *Request) error {
		kinds := s.verify.files[name]
		f, ok := kinds[r.Words().Lang]
		if !ok {
			f, ok = kinds[""]
		}
		if !ok {
			return fault.New(fault.NotFound, nil)
		}
		h := r.w.Header()
		tag := `"` + s.verify.build + "-" + r.Words().Lang + `"`
		h.Set("ETag", tag)
		h.Set(verifyBuildHeader, s.verify.build)
		switch name {
		case "":
			h.Set("Content-Security-Policy", verifyPolicy)
			h.Set("Permissions-Policy", verifyPermissions)
		case "sw.js":
			h.Set("Content-Security-Policy", verifyWorkerPolicy)
			h.Set("Service-Worker-Allowed", "/verify/")
		}
		if r.HTTP.Header.Get("If-None-Match") == tag {
			h.Set("Cache-Control", "no-cache")
			h.Set("Vary", "Accept-Encoding, Accept-Language")
			r.w.WriteHeader(http.StatusNotModified)
			return nil
		}
		err := r.sendAsset(f, "no-cache")
		return err
	}
}

// loadVerify makes the app's files: the page, the words and the manifest in each
// language, and the service worker, which has to know the names of all the others.
func loadVerify(p *Pages, look asset) (*verifyApp, error) {
	v := &verifyApp{files: map[string]map[string]asset{"app.css": {"": look}}}
	if err := v.addPlain(); err != nil {
		return nil, err
	}
	for _, lang := range words.Languages() {
		if err := v.addSpoken(p, words.For(lang)); err != nil {
			return nil, err
		}
	}
	return v, v.addWorker()
}

func (v *verifyApp) add(name, lang string, plain []byte) error {
	kind := name
	if name == "" {
		kind = "index.html"
	}
	f, err := newAsset(kind, plain)
	if v.files[name] == nil {
		v.files[name] = map[string]asset{}
	}
	v.files[name][lang] = f
	return err
}

// addPlain adds what is the same in every language and is not made here.
func (v *verifyApp) addPlain() error {
	entries, err := verifyFiles.ReadDir("verify")
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.IsDir() || slices.Contains([]string{"index.html", "manifest.webmanifest", "sw.js"}, e.Name()) {
			continue
		}
		plain, err := verifyFiles.ReadFile(path.Join("verify", e.Name()))
		if err != nil {
			return err
		}
		if err := v.add(e.Name(), "", plain); err != nil {
			return err
		}
	}
	return nil
}

// addSpoken adds the page, the words and the manifest of one language.
func (v *verifyApp) addSpoken(p *Pages, c *words.Catalogue) error {
	say := p.funcs(c)["t"].(func(string, ...any) string)
	said := map[string]string{}
	for _, key := range c.Keys() {
		if strings.HasPrefix(key, "verify.") {
			said[key] = strings.ReplaceAll(say(key), "{product}", say("product.name"))
		}
	}
	list, err := json.Marshal(said)
	if err != nil {
		return err
	}
	page, err := v.page(p, c)
	if err != nil {
		return err
	}
	manifest, err := verifyManifest(said, c.Lang)
	if err != nil {
		return err
	}
	for name, plain := range map[string][]byte{"": page, "words.json": list, "manifest.webmanifest": manifest} {
		if err := v.add(name, c.Lang, plain); err != nil {
			return err
		}
	}
	return nil
}

func (v *verifyApp) page(p *Pages, c *words.Catalogue) ([]byte, error) {
	set, err := template.New("").Funcs(p.funcs(c)).ParseFS(templateFiles, "templates/layout.html")
	if err != nil {
		return nil, err
	}
	if set, err = set.ParseFS(verifyFiles, "verify/index.html"); err != nil {
		return nil, err
	}
	var b bytes.Buffer
	err = set.ExecuteTemplate(&b, "verify", nil)
	return b.Bytes(), err
}

func verifyManifest(said map[string]string, lang string) ([]byte, error) {
	raw, err := verifyFiles.ReadFile("verify/manifest.webmanifest")
	if err != nil {
		return nil, err
	}
	text := string(raw)
	for hole, value := range map[string]string{"{name}": said["verify.name"], "{about}": said["verify.about"], "{lang}": lang} {
		quoted, err := json.Marshal(value)
		if err != nil {
			return nil, err
		}
		text = strings.ReplaceAll(text, `"`+hole+`"`, string(quoted))
	}
	return []byte(text), nil
}

// addWorker names the build after all files, and tells the service worker.
func (v *verifyApp) addWorker() error {
	worker, err := verifyFiles.ReadFile("verify/sw.js")
	if err != nil {
		return err
	}
	sum := sha256.New()
	names := slices.Sorted(maps.Keys(v.files))
	for _, name := range names {
		for _, lang := range slices.Sorted(maps.Keys(v.files[name])) {
			f := v.files[name][lang]
			fmt.Fprintf(sum, "%s %s %d\n", name, lang, len(f.plain))
			sum.Write(f.plain)
		}
	}
	sum.Write(worker)
	v.build = hex.EncodeToString(sum.Sum(nil))[:12]
	known, err := json.Marshal(map[string]any{"build": v.build, "files": names, "push": v.files["push-sw.js"] != nil})
	if err != nil {
		return err
	}
	return v.add("sw.js", "", fmt.Appendf(nil, "const app = %s\n%s", known, worker))
}
