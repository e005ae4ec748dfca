package web

import (
	"bytes"
	"encoding/json"
	"fmt"
	"html/template"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"

	"gatehouse/fault"
	"gatehouse/flow"
	"gatehouse/words"
)

func TestEveryPageInEveryState(t *testing.T) {
	pages := galleryPages(t)
	for _, pic := range pictures(t) {
		t.Run(pic.name, func(t *testing.T) {
			text := shown(t, pages, pic)
			for _, complaint := range complaintsAbout(text, pic) {
				t.Error(complaint)
			}
		})
	}
}

// Each rule must be able to fail: a good page with one thing wrong.
func TestTheRulesOfPagesCanFail(t *testing.T) {
	good := picture{name: "control", frame: Frame{Nonce: "abc"}, page: SignIn{Form: wrong("wrong-code", FieldPassword)}, field: FieldPassword}
	text := shown(t, galleryPages(t), good)
	if c := complaintsAbout(text, good); len(c) > 0 {
		t.Fatalf("the page itself is not in order: %q", c)
	}
	for _, row := range []struct{ name, old, new, complaint string }{
		{"a word that the catalogue lacks", `<h1>`, `<h1>⟦x⟧`, "missing"},
		{"an inline style", `<h1>`, `<h1 style="color:red">`, "style"},
		{"a style element", `<h1>`, `<style>h1{}</style><h1>`, "style"},
		{"an inline script", `<h1>`, `<script>x()</script><h1>`, "script"},
		{"an event attribute", `<h1>`, `<h1 onclick="x()">`, "onclick"},
		{"a script without the nonce", ` nonce="abc"></script>`, `></script>`, "nonce"},
		{"somebody else's picture", `<h1>`, `<img src="https://x.example/i.png" alt=""><h1>`, "third party"},
		{"a field without a label", `<label for="email">`, `<label>`, "label"},
		{"a label of nothing", `<label for="email">`, `<label for="emil">`, "for"},
		{"two headings of the first rank", `</main>`, `<h1>x</h1></main>`, "h1"},
		{"an id twice", `</main>`, `<p id="main"></p></main>`, "twice"},
		{"a description that is not there", `aria-describedby="password-wrong"`, `aria-describedby="elsewhere"`, "elsewhere"},
		{"a wrong field that does not say so", ` aria-invalid="true"`, ``, "aria-invalid"},
		{"a title that hides the error", `<title>Error: `, `<title>`, "Error:"},
		{"a summary that cannot take the focus", ` tabindex="-1" autofocus>`, `>`, "summaries"},
		{"a password that is cut", `type="password"`, `type="password" maxlength="20"`, "maxlength"},
		{"a form that posts elsewhere", `action="/signin"`, `action="https://x.example/"`, "posts"},
		{"a value that html/template refused", `<h1>`, `<h1><a href="#ZgotmplZ">x</a>`, "Zgotmpl"},
	} {
		t.Run(row.name, func(t *testing.T) {
			broken := strings.ReplaceAll(text, row.old, row.new)
			if broken == text {
				t.Fatalf("%q is not on the page", row.old)
			}
			if got := complaintsAbout(broken, good); !slices.ContainsFunc(got, func(c string) bool { return strings.Contains(c, row.complaint) }) {
				t.Errorf("want a complaint with %q, got %q", row.complaint, got)
			}
		})
	}
}

var unsaid = regexp.MustCompile(`⟦[^⟧]*⟧?`)

// complaintsAbout holds one page against the rules for all of them.
func complaintsAbout(text string, pic picture) (c []string) {
	for _, missing := range unsaid.FindAllString(text, -1) {
		c = append(c, "missing in the catalogue: "+missing)
	}
	for _, sign := range []string{"ZgotmplZ", "<no value>", "%!"} {
		if strings.Contains(text, sign) {
			c = append(c, "the page holds "+sign)
		}
	}
	doc, err := html.Parse(strings.NewReader(text))
	if err != nil {
		return append(c, err.Error())
	}
	p := read(doc)
	c = append(c, p.aboutPolicy(pic.frame.Nonce)...)
	c = append(c, p.aboutStructure()...)
	c = append(c, p.aboutFields()...)
	return append(c, p.aboutProblem(pic)...)
}

// page is a parsed page, easy to ask.
type page struct {
	all   []*html.Node
	ids   map[string]int
	fors  map[string]bool
	title string
}

func read(doc *html.Node) page {
	p := page{ids: map[string]int{}, fors: map[string]bool{}}
	for n := range doc.Descendants() {
		if n.Type != html.ElementNode {
			continue
		}
		p.all = append(p.all, n)
		if id, ok := attr(n, "id"); ok {
			p.ids[id]++
		}
		if n.Data == "label" {
			of, _ := attr(n, "for")
			p.fors[of] = true
		}
		if n.Data == "title" && n.FirstChild != nil && p.title == "" {
			p.title = n.FirstChild.Data
		}
	}
	return p
}

func attr(n *html.Node, name string) (string, bool) {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val, true
		}
	}
	return "", false
}

func (p page) count(tag string) (n int) {
	for _, e := range p.all {
		if e.Data == tag {
			n++
		}
	}
	return n
}

// aboutPolicy: nothing that the Content-Security-Policy would stop.
func (p page) aboutPolicy(nonce string) (c []string) {
	for _, n := range p.all {
		for _, a := range n.Attr {
			if a.Key == "style" || strings.HasPrefix(a.Key, "on") {
				c = append(c, fmt.Sprintf("<%s> has the attribute %s", n.Data, a.Key))
			}
			outside := a.Key == "src" || a.Key == "href" && n.Data == "link"
			if outside && (strings.Contains(a.Val, "//") || strings.Contains(a.Val, ":")) {
				c = append(c, "asks a third party: "+a.Val)
			}
		}
		switch got, _ := attr(n, "nonce"); {
		case n.Data == "style":
			c = append(c, "an inline style")
		case n.Data == "script" && n.FirstChild != nil:
			c = append(c, "an inline script")
		case n.Data == "script" && got != nonce:
			c = append(c, "a script without the nonce")
		}
	}
	return c
}

func (p page) aboutStructure() (c []string) {
	for tag, want := range map[string]int{"h1": 1, "main": 1, "title": 1} {
		if got := p.count(tag); got != want {
			c = append(c, fmt.Sprintf("%d <%s>, want %d", got, tag, want))
		}
	}
	for id, n := range p.ids {
		if n > 1 {
			c = append(c, "the id "+id+" stands here twice")
		}
	}
	for _, n := range p.all {
		for _, a := range n.Attr {
			switch a.Key {
			case "for", "aria-controls", "aria-labelledby", "aria-describedby":
				for _, id := range strings.Fields(a.Val) {
					if p.ids[id] == 0 {
						c = append(c, fmt.Sprintf("%s=%q names nothing", a.Key, id))
					}
				}
			case "href":
				if id, ok := strings.CutPrefix(a.Val, "#"); ok && p.ids[id] == 0 {
					c = append(c, "a link to nowhere: "+a.Val)
				}
			case "action":
				if !isLocal(a.Val) {
					c = append(c, "a form posts to "+a.Val)
				}
			}
		}
	}
	return c
}

func (p page) aboutFields() (c []string) {
	for _, n := range p.all {
		if n.Data != "input" && n.Data != "select" && n.Data != "textarea" {
			continue
		}
		kind, _ := attr(n, "type")
		if kind == "hidden" {
			continue
		}
		name, _ := attr(n, "name")
		if id, ok := attr(n, "id"); !ok || !p.fors[id] {
			c = append(c, "the field "+name+" has no label")
		}
		for _, limit := range []string{"maxlength", "pattern", "minlength"} {
			if _, ok := attr(n, limit); ok {
				c = append(c, "the field "+name+" has a "+limit)
			}
		}
	}
	return c
}

// aboutProblem: a refusal is said in the title, in one summary that takes the
// focus, and at its field.
func (p page) aboutProblem(pic picture) (c []string) {
	failed := pic.page.about().failed
	if strings.HasPrefix(p.title, "Error: ") != failed {
		c = append(c, fmt.Sprintf("the title is %q; must it say Error: %t", p.title, failed))
	}
	form, has := pic.page.(interface{ form() *Form })
	if !has || form.form().Problem == nil {
		return c
	}
	summaries, invalid := 0, false
	for _, n := range p.all {
		role, _ := attr(n, "role")
		tab, _ := attr(n, "tabindex")
		_, focus := attr(n, "autofocus")
		if focus && role != "alert" {
			c = append(c, "something else takes the focus from the summary")
		}
		if role == "alert" && tab == "-1" && focus {
			summaries++
		}
		id, _ := attr(n, "id")
		if bad, _ := attr(n, "aria-invalid"); bad == "true" && id == pic.field {
			_, said := attr(n, "aria-describedby")
			invalid = said
		}
	}
	if summaries != 1 {
		c = append(c, fmt.Sprintf("%d summaries that can take the focus, want one", summaries))
	}
	if pic.field != "" && !invalid {
		c = append(c, "the field "+pic.field+" is wrong and lacks aria-invalid or its description")
	}
	return c
}

func TestEveryWordOfThePagesIsUsed(t *testing.T) {
	heard := map[string]bool{}
	pages := galleryPages(t)
	pages.voice = func(key, text string) string { heard[key] = true; return text }
	for _, pic := range pictures(t) {
		shown(t, pages, pic)
	}
	for m := time.January; m <= time.December; m++ {
		(Frame{}).local(func(key string, _ ...any) string { heard[key] = true; return "" }, time.Date(2026, m, 1, 0, 0, 0, 0, time.UTC))
	}
	for _, d := range []time.Duration{time.Second, time.Hour, 9 * time.Hour} {
		span(func(key string, _ ...any) string { heard[key] = true; return "" }, d)
	}
	raw, err := os.ReadFile("../words/en/pages.json")
	if err != nil {
		t.Fatal(err)
	}
	var texts map[string]string
	if err := json.Unmarshal(raw, &texts); err != nil {
		t.Fatal(err)
	}
	handlers := handlersSay(t)
	for key := range texts {
		if strings.Contains(handlers, `"`+key+`"`) {
			continue
		}
		one, _ := strings.CutSuffix(key, ".one")
		base, _ := strings.CutSuffix(one, ".other")
		if !heard[key] && !heard[base] {
			t.Errorf("no page says %q", key)
		}
	}
}

// handlersSay is the program text of this folder: a handler puts words on a page
// by naming their key.
func handlersSay(t *testing.T) string {
	t.Helper()
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for _, f := range files {
		if strings.HasSuffix(f, "_test.go") {
			continue
		}
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		all.Write(text)
	}
	return all.String()
}

// A sentence is about the page it stands on: no recovery code is on offer where
// one is being typed or none is made yet, and nobody's password was right who
// came by a link.
func TestAWrongCodeIsWordedByItsPage(t *testing.T) {
	r := &Request{HTTP: request("POST", "/signin/code", ""), server: buildHouse(t, site).Server}
	pages := galleryPages(t)
	say := func(page flow.Step, why *flow.Refusal) string {
		p, err := r.stepView(page, flow.Outcome{View: flow.View{Purpose: flow.Reset}, Refusal: why}, Say("product.name"))
		if err != nil {
			t.Fatal(err)
		}
		return shown(t, pages, picture{page: p})
	}
	wrong := &flow.Refusal{Code: fault.WrongCode}
	for page, want := range map[flow.Step]string{flow.Code: "or use a recovery code.", flow.Recovery: "not one of your recovery codes", flow.Enrol: "no older one"} {
		if text := say(page, wrong); !strings.Contains(text, want) || page != flow.Code && strings.Contains(text, "or use a recovery code.") {
			t.Errorf("a wrong code on %s does not say %q", page, want)
		}
		if text := say(page, &flow.Refusal{Code: fault.TooManyTries}); strings.Contains(text, want) {
			t.Errorf("%s says %q of something else", page, want)
		}
	}
	if text := say(flow.Code, nil); strings.Contains(text, "Your password was right") || !strings.Contains(text, "Before you choose a new password") {
		t.Error("who came by a link for a new password is told that a password was right")
	}
}

// What people type about themselves is shown, never obeyed.
func TestHostileTextStaysText(t *testing.T) {
	const evil = `"><script>alert(1)</script><img src=x onerror=alert(1)>'`
	f := Frame{Person: &Person{Name: evil, Email: evil, Organisation: evil}, RequestID: evil, StatusURL: "javascript:" + evil}
	hostile := Form{Attempt: evil, Return: evil, Note: Say("fault.wrong-host.at", "origin", evil)}
	for _, p := range []Page{
		SignIn{Form: hostile, Email: evil}, Code{Form: hostile, Email: evil}, Fresh{Form: hostile, Email: evil},
		Enrol{Form: hostile, Name: evil, Key: evil, URI: "otpauth://totp/" + evil}, Enrol{URI: "javascript:alert(1)"},
		RecoveryCodes{Email: evil, Codes: []string{evil}, Origin: evil}, LinkSent{Kind: LinkAny, Email: evil},
		Profile{Name: evil, Email: evil, Zone: evil}, Authenticators{Items: []Authenticator{{ID: evil, Name: evil}, {Name: evil}}},
		Sessions{Items: []Session{{ID: evil, Device: evil, Place: evil, Network: evil}}},
		History{Items: []Happening{{What: *Say("event.parked"), Device: evil, Place: evil, Network: evil}}, Older: "javascript:alert(1)"},
		AddressChange{Email: evil, New: evil, Pending: evil}, Oops{Code: "x", Retry: "javascript:alert(1)"},
	} {
		var b bytes.Buffer
		if err := galleryPages(t).Write(&b, f, p); err != nil {
			t.Fatalf("%T: %v", p, err)
		}
		doc, err := html.Parse(&b)
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range read(doc).all {
			for _, a := range n.Attr {
				if strings.HasPrefix(a.Key, "on") || (a.Key == "href" && strings.HasPrefix(a.Val, "javascript:")) {
					t.Errorf("%T: <%s %s=%q>", p, n.Data, a.Key, a.Val)
				}
			}
			if n.Data == "script" && n.FirstChild != nil {
				t.Errorf("%T: a script came through", p)
			}
		}
	}
}

func TestTheSignInPageIsLight(t *testing.T) {
	var b bytes.Buffer
	if err := galleryPages(t).Write(&b, Frame{}, SignIn{}); err != nil {
		t.Fatal(err)
	}
	total := b.Len()
	for _, name := range []string{"app.css", "page.js", "password.js", "favicon.svg"} {
		info, err := os.Stat(filepath.Join("assets", name))
		if err != nil {
			t.Fatal(err)
		}
		total += int(info.Size())
	}
	if total > 60*1024 { // before compression
		t.Errorf("%d bytes", total)
	}
}

func TestMoments(t *testing.T) {
	at := time.Date(2026, 7, 27, 21, 5, 9, 0, time.UTC)
	for _, row := range []struct{ name, zone, text, iso string }{
		{"no zone known", "", "27 July 2026, 21:05 UTC", "2026-07-27T21:05:09Z"},
		{"Lisbon in summer", "Europe/Lisbon", "27 July 2026, 22:05 WEST", "2026-07-27T22:05:09+01:00"},
		{"Auckland is a day ahead", "Pacific/Auckland", "28 July 2026, 09:05 NZST", "2026-07-28T09:05:09+12:00"},
		{"a zone without an abbreviation", "America/Sao_Paulo", "27 July 2026, 18:05 UTC-03:00", "2026-07-27T18:05:09-03:00"},
		{"a zone with half an hour", "Asia/Kolkata", "28 July 2026, 02:35 IST", "2026-07-28T02:35:09+05:30"},
	} {
		t.Run(row.name, func(t *testing.T) {
			f := Frame{}
			if row.zone != "" {
				zone, err := time.LoadLocation(row.zone)
				if err != nil {
					t.Fatal(err)
				}
				f.Zone = zone
			}
			if m := f.local(words.For().Say, at); m.Text != row.text || m.ISO != row.iso {
				t.Errorf("got %q, %q", m.Text, m.ISO)
			}
		})
	}
}

func TestSpans(t *testing.T) {
	for _, row := range []struct {
		name string
		d    time.Duration
		want string
	}{
		{"nothing left is said as a second", 0, "1 second"},
		{"seconds are rounded up", 9100 * time.Millisecond, "10 seconds"},
		{"a minute and a half is still seconds", 90 * time.Second, "90 seconds"},
		{"minutes are rounded up", 91 * time.Second, "2 minutes"},
		{"hours are rounded up", 91 * time.Minute, "2 hours"},
	} {
		t.Run(row.name, func(t *testing.T) {
			if got := span(words.For().Say, row.d); got != row.want {
				t.Errorf("got %q, want %q", got, row.want)
			}
		})
	}
}

func TestDoneShowsOnlyWhatItKnows(t *testing.T) {
	for _, name := range []string{"", "no-such", "../x", "<b>"} {
		if Done(name) != nil {
			t.Errorf("%q is shown", name)
		}
	}
	if d := Done("password"); d == nil || !words.For().Has(d.Key) {
		t.Error("a known one is not")
	}
}

func TestZones(t *testing.T) {
	for _, row := range []struct{ name, chosen, first string }{
		{"nothing chosen", "", "UTC"},
		{"a zone of the list", "Europe/Lisbon", "UTC"},
		{"an alias is kept by standing first", "Asia/Calcutta", "Asia/Calcutta"},
	} {
		t.Run(row.name, func(t *testing.T) {
			groups := zones(row.chosen)
			if groups[0].Name != row.first {
				t.Errorf("first is %q", groups[0].Name)
			}
			for _, g := range groups {
				for _, z := range g.Zones {
					if _, err := time.LoadLocation(z.Value); err != nil {
						t.Errorf("%s: %v", z.Value, err)
					}
				}
			}
		})
	}
}

// Without script and without a second request, the file is complete.
func TestTheFileOfRecoveryCodes(t *testing.T) {
	href := string(codesFile(words.For().Say, Frame{}, RecoveryCodes{
		Email: "ana@harbour.example", Origin: "https://sign-in.example", Codes: []string{"AAAA-1111", "BBBB-2222"}, MadeAt: galleryNow}))
	for _, part := range []string{"data:text/plain", "ana@harbour.example", "https:%2F%2Fsign-in.example", "AAAA-1111%0D%0ABBBB-2222", "21%20November%202026"} {
		if !strings.Contains(href, part) {
			t.Errorf("%q is not in %s", part, href)
		}
	}
	if strings.ContainsAny(href, "\"<>\r\n ") {
		t.Errorf("not an address: %s", href)
	}
}

// A script that is sent must be one that some page asks for, and the other way round.
func TestPagesAndAssetsAgree(t *testing.T) {
	asked := map[string]bool{"favicon.svg": true}
	p, err := NewPages(func(name string) string { asked[name] = true; return "/" + name })
	if err != nil {
		t.Fatal(err)
	}
	for _, pic := range pictures(t) {
		shown(t, p, pic)
	}
	for name := range asked {
		if _, err := os.Stat(filepath.Join("assets", name)); err != nil {
			t.Errorf("a page asks for %s", name)
		}
	}
	err = filepath.WalkDir("assets", func(path string, d os.DirEntry, err error) error {
		if name, _ := filepath.Rel("assets", path); err == nil && !d.IsDir() && !asked[name] {
			t.Errorf("no page asks for %s", name)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestOnlyTheQRPictureIsMarkup(t *testing.T) {
	svg, err := qr(galleryURI, `<"&>`)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(svg), `<"`) || strings.Contains(string(svg), "style=") {
		t.Errorf("not safe: %.200s", svg)
	}
	if got := otpauth("javascript:alert(1)//otpauth://totp/"); got != template.URL("") {
		t.Errorf("let through: %s", got)
	}
}
