package web

import (
	"slices"
	"strconv"
	"strings"

	"gatehouse/fault"
	"gatehouse/words"
)

// article is one page of help. Its words are help.<slug>.title, .lead and .1, .2, …
// in the order of its blocks.
type article struct {
	slug   string
	blocks string // h, p, note, ul:n, ol:n, img:name, with spaces between
	see    string // slugs of articles that belong to it
}

// articles is the one list, in the order in which it is shown.
var articles = []article{
	{"overview", "p img:signin h ul:6 h p img:second h p", "authenticator-apps passkeys new-phone recovery-codes"},
	{"authenticator-apps", "p h ol:4 img:enrol h p h p h p img:code note", "wrong-code new-phone gatehouse-verify"},
	{"gatehouse-verify", "p h ol:3 img:approve h p h ul:3", "authenticator-apps new-phone support"},
	{"new-phone", "p h ol:4 img:moving-arrive h p h p img:moved h p note", "lost-phone recovery-codes"},
	{"lost-phone", "h ol:3 img:ways h p h p h p", "recovery-codes new-phone support"},
	{"passkeys", "p h ol:3 img:passkey-add h p h p h p", "overview lost-phone"},
	{"code-tokens", "p h ol:3 h ul:3 h p", "wrong-code overview"},
	{"text-messages", "p h ul:3 p h ul:3 h p", "overview support"},
	{"recovery-codes", "p img:recovery-codes h ul:3 h ol:3 img:recovery h p", "lost-phone new-phone"},
	{"remembered-browsers", "p img:remember h ul:5 h p note", "overview lost-phone"},
	{"wrong-code", "h ol:3 img:code-wrong h ul:4 h p h p h p", "authenticator-apps code-tokens new-phone"},
	{"outage", "p h ul:3 h ul:3 h p note", "overview support"},
	{"support", "h ul:4 h ul:5 note h ol:4", "gatehouse-verify lost-phone"},
}

// Block is a piece of an article.
type Block struct {
	Kind  string   // h, p, note, ul, ol, img
	Keys  []string // of its sentences; of a picture, of the text that stands for it
	Image string   // name of the asset
}

// Article is one article, whole. GET /help/{article}
type Article struct {
	Slug   string
	Blocks []Block
	See    []string // slugs
}

// HelpList is the list of articles, or those that a search has found. GET /help?q=…
type HelpList struct {
	Query string
	Found []string // slugs; with a Query, those that match
	All   []string
}

func (p HelpList) about() about {
	return about{template: "help-list", title: Say("help.title"), reading: true}
}

func (p Article) about() about {
	return about{template: "help-article", title: Say("help." + p.Slug + ".title"), reading: true}
}

// Key is the catalogue key of a word of the article.
func (p Article) Key(of string) string { return "help." + p.Slug + "." + of }

func (s *Server) helpRoutes() []route {
	return []route{
		{aPage, "GET", "/help", s.helpPage},
		{aPage, "GET", "/help/{article}", s.articlePage},
	}
}

func (s *Server) helpPage(r *Request) error {
	page := HelpList{Query: firstRunes(r.Query("q"), 80)}
	for _, a := range articles {
		page.All = append(page.All, a.slug)
		if a.mentions(r.Words(), page.Query) {
			page.Found = append(page.Found, a.slug)
		}
	}
	return r.Render(r.helpFrame(), page)
}

func (s *Server) articlePage(r *Request) error {
	for _, a := range articles {
		if a.slug == r.Path("article") {
			return r.Render(r.helpFrame(), a.page(func(name string) bool { _, ok := s.assets.files[name]; return ok }))
		}
	}
	return fault.New(fault.NotFound, nil)
}

// helpFrame knows nobody: help is the same for everyone, and may be indexed.
func (r *Request) helpFrame() Frame { return r.Frame() }

// page lays an article out; a picture that is not made yet is left out.
func (a article) page(has func(asset string) bool) Article {
	page := Article{Slug: a.slug, See: strings.Fields(a.see)}
	next := 0
	for _, text := range strings.Fields(a.blocks) {
		kind, of, _ := strings.Cut(text, ":")
		if kind == "img" {
			if name := "help/" + of + ".webp"; has(name) {
				page.Blocks = append(page.Blocks, Block{Kind: kind, Keys: []string{"help.picture." + of}, Image: name})
			}
			continue
		}
		n, err := strconv.Atoi(of)
		if err != nil {
			n = 1
		}
		b := Block{Kind: kind}
		for range n {
			next++
			b.Keys = append(b.Keys, page.Key(strconv.Itoa(next)))
		}
		page.Blocks = append(page.Blocks, b)
	}
	return page
}

// mentions tells whether every word of a search stands somewhere in the article.
func (a article) mentions(c *words.Catalogue, query string) bool {
	text := strings.ToLower(a.text(c))
	return !slices.ContainsFunc(strings.Fields(strings.ToLower(query)), func(w string) bool { return !strings.Contains(text, w) })
}

func (a article) text(c *words.Catalogue) string {
	page := a.page(func(string) bool { return false })
	all := []string{c.Say(page.Key("title")), c.Say(page.Key("lead"))}
	for _, b := range page.Blocks {
		for _, key := range b.Keys {
			all = append(all, c.Say(key))
		}
	}
	return strings.Join(all, "\n")
}

func firstRunes(s string, n int) string {
	if r := []rune(s); len(r) > n {
		return string(r[:n])
	}
	return s
}
