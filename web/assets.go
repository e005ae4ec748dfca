package web

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"net/http"
	"path"
	"strings"

	"gatehouse/fault"
)

//go:embed assets
var assetFiles embed.FS

// assets are the files of the pages, ready to send. All of them live under one
// name made from their contents, so that a module can import its neighbour by a
// relative address and every address may be kept for ever.
type assets struct {
	build string
	files map[string]asset
}

type asset struct {
	contentType string
	plain       []byte
	gzipped     []byte // nil when it would not be shorter
}

// contentTypes is literal: the system's own table differs between machines.
var contentTypes = map[string]string{
	".css":         "text/css; charset=utf-8",
	".js":          "text/javascript; charset=utf-8",
	".svg":         "image/svg+xml",
	".png":         "image/png",
	".webp":        "image/webp",
	".ico":         "image/x-icon",
	".woff2":       "font/woff2",
	".webmanifest": "application/manifest+json",
	".txt":         "text/plain; charset=utf-8",
	".html":        "text/html; charset=utf-8",
	".json":        jsonType,
}

func loadAssets() (*assets, error) {
	a := &assets{files: map[string]asset{}}
	sum := sha256.New()
	err := fs.WalkDir(assetFiles, "assets", func(at string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		plain, err := assetFiles.ReadFile(at)
		if err != nil {
			return err
		}
		name := strings.TrimPrefix(at, "assets/")
		fmt.Fprintf(sum, "%s %d\n", name, len(plain))
		sum.Write(plain)
		a.files[name], err = newAsset(name, plain)
		return err
	})
	a.build = hex.EncodeToString(sum.Sum(nil))[:12]
	return a, err
}

func newAsset(name string, plain []byte) (asset, error) {
	kind, ok := contentTypes[path.Ext(name)]
	if !ok {
		return asset{}, fmt.Errorf("web: no content type for asset %s", name)
	}
	var b bytes.Buffer
	z, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
	if err != nil {
		return asset{}, err
	}
	if _, err := z.Write(plain); err != nil {
		return asset{}, err
	}
	if err := z.Close(); err != nil {
		return asset{}, err
	}
	f := asset{contentType: kind, plain: plain}
	if b.Len() < len(plain) {
		f.gzipped = b.Bytes()
	}
	return f, nil
}

// address is where a page finds an asset.
func (a *assets) address(name string) string { return "/assets/" + a.build + "/" + name }

// asset serves one file. An address of another build is answered with today's
// file, which nobody may keep: a page from before an upgrade goes on working.
func (s *Server) asset(r *Request) error {
	f, ok := s.assets.files[r.Path("name")]
	if !ok {
		return fault.New(fault.NotFound, nil)
	}
	keep := "public, max-age=31536000, immutable"
	if r.Path("build") != s.assets.build {
		keep = "no-store"
	}
	return r.sendAsset(f, keep)
}

func (s *Server) favicon(r *Request) error {
	f, ok := s.assets.files["favicon.svg"]
	if !ok {
		return fault.New(fault.NotFound, nil)
	}
	return r.sendAsset(f, "public, max-age=86400")
}

func (r *Request) sendAsset(f asset, keep string) error {
	h := r.w.Header()
	h.Set("Cache-Control", keep)
	h.Set("Vary", "Accept-Encoding")
	body := f.plain
	if f.gzipped != nil && acceptsGzip(r.HTTP.Header.Get("Accept-Encoding")) {
		h.Set("Content-Encoding", "gzip")
		body = f.gzipped
	}
	return r.Send(http.StatusOK, f.contentType, body)
}

// acceptsGzip reads Accept-Encoding (RFC 9110 §12.5.3) as far as we have a choice.
func acceptsGzip(header string) bool {
	for entry := range strings.SplitSeq(header, ",") {
		coding, weight, _ := strings.Cut(strings.TrimSpace(entry), ";")
		if strings.EqualFold(strings.TrimSpace(coding), "gzip") {
			weight = strings.ReplaceAll(weight, " ", "")
			return weight != "q=0" && !strings.HasPrefix(weight, "q=0.000")
		}
	}
	return false
}
