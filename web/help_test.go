package web

import (
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"gatehouse/words"
)

// late are pictures that are not made yet: test/browser/pictures.mjs makes them
// when it can. The list may only become shorter.
var late = []string{}

func TestEveryHelpLinkLeadsToAnArticle(t *testing.T) {
	link := regexp.MustCompile(`/help/([a-z-]+)"|"on" "([a-z-]+)"|"on" \(or \(and [^)]*\) "([a-z-]+)"\) "([a-z-]+)"|Help(?:: +| = )"([a-z-]+)"`)
	files, err := filepath.Glob("templates/*.html")
	if err != nil {
		t.Fatal(err)
	}
	code, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	linked := map[string]bool{}
	for _, f := range append(files, code...) {
		if strings.HasSuffix(f, "_test.go") {
			continue
		}
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range link.FindAllStringSubmatch(string(text), -1) {
			for _, slug := range m[1:] {
				if slug != "" && !slices.Contains(slugs(), slug) {
					t.Errorf("%s links to %q, which is no article", f, slug)
				}
				linked[slug] = true
			}
		}
	}
	if len(linked) < 6 || !linked["wrong-code"] || !linked["lost-phone"] {
		t.Errorf("only %d articles are found to be linked: the search for links is broken", len(linked))
	}
}

func TestEveryArticleIsWhole(t *testing.T) {
	raw, err := os.ReadFile("../words/en/help.json")
	if err != nil {
		t.Fatal(err)
	}
	unused := map[string]string{}
	if err := json.Unmarshal(raw, &unused); err != nil {
		t.Fatal(err)
	}
	c := words.For()
	used := func(key string) {
		if !c.Has(key) {
			t.Errorf("no words for %s", key)
		}
		delete(unused, key)
	}
	for _, a := range articles {
		page := a.page(func(string) bool { return true })
		used(page.Key("title"))
		used(page.Key("lead"))
		pictures := 0
		for _, b := range page.Blocks {
			if !slices.Contains([]string{"h", "p", "note", "ul", "ol", "img"}, b.Kind) {
				t.Errorf("%s has a block %q", a.slug, b.Kind)
			}
			for _, key := range b.Keys {
				used(key)
			}
			if b.Kind == "img" {
				pictures++
				pictureIsThere(t, b.Image)
			}
		}
		for _, slug := range page.See {
			if !slices.Contains(slugs(), slug) || slug == a.slug {
				t.Errorf("%s: see %q", a.slug, slug)
			}
		}
		if words := len(strings.Fields(a.text(c))); words < 80 || words > 450 {
			t.Errorf("%s has %d words", a.slug, words)
		}
	}
	for key := range unused {
		if regexp.MustCompile(`^help\.[a-z-]+\.\d+$|^help\.picture\.`).MatchString(key) {
			t.Errorf("no article says %s", key)
		}
	}
}

func pictureIsThere(t *testing.T, name string) {
	t.Helper()
	info, err := os.Stat(filepath.Join("assets", name))
	is := strings.TrimSuffix(filepath.Base(name), ".webp")
	switch {
	case err != nil && !slices.Contains(late, is):
		t.Errorf("the picture %s is missing: node test/browser/pictures.mjs", name)
	case err == nil && info.Size() > 25<<10:
		t.Errorf("%s has %d bytes", name, info.Size())
	case err == nil && slices.Contains(late, is):
		t.Errorf("%s is there: take it off the list", name)
	}
}

func TestHelpIsForEverybody(t *testing.T) {
	h := buildHouse(t, site)
	asked := func(path string) (int, string) {
		res := h.send(request("GET", path, ""))
		text, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		return res.StatusCode, string(text)
	}
	for _, path := range []string{"/help", "/help/new-phone", "/help?q=clock", "/help?q=%3Cscript%3E"} {
		status, text := asked(path)
		if status != 200 || strings.Contains(text, "noindex") {
			t.Errorf("%s: status %d, or kept from search engines", path, status)
		}
		if strings.Contains(text, "<script>") {
			t.Errorf("%s: markup came through", path)
		}
	}
	if status, _ := asked("/help/no-such"); status != 404 {
		t.Errorf("no such article: %d", status)
	}
	if _, text := asked("/signin"); !strings.Contains(text, "noindex") {
		t.Error("the sign-in page is for search engines")
	}
}

func TestSearchInHelp(t *testing.T) {
	for _, row := range []struct {
		name, query string
		want        []string
	}{
		{"nothing asked for finds all", "", slugs()},
		{"a word of a title", "outage", []string{"outage"}},
		{"of a body, in capitals", "SHARE", []string{"gatehouse-verify", "text-messages"}},
		{"all words have to be there", "clock settings", []string{"wrong-code"}},
		{"what is nowhere", "zeppelin", nil},
	} {
		t.Run(row.name, func(t *testing.T) {
			var found []string
			for _, a := range articles {
				if a.mentions(words.For(), row.query) {
					found = append(found, a.slug)
				}
			}
			if !slices.Equal(found, row.want) {
				t.Errorf("found %q", found)
			}
		})
	}
}
