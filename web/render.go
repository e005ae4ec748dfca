package web

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"gatehouse/authenticators"
	"gatehouse/seal"
	"gatehouse/words"
)

//go:embed templates/*.html
var templateFiles embed.FS

// Pages holds the templates, once per language.
type Pages struct {
	asset   func(name string) string
	product string             // what people call this installation; "" is the catalogue's name
	blank   *template.Template // never executed, so that it can still be cloned
	mu      sync.Mutex
	spoken  map[string]*template.Template
	voice   func(key, text string) string // tests hear and change what is said; else nil
}

// NewPages parses the templates. asset turns "app.css" into the address it is
// served under, e.g. "/assets/app.3f9c2a.css".
func NewPages(asset func(name string) string) (*Pages, error) {
	p := &Pages{asset: asset, spoken: map[string]*template.Template{}}
	blank, err := template.New("").Funcs(p.funcs(words.For())).ParseFS(templateFiles, "templates/*.html")
	if err != nil {
		return nil, fmt.Errorf("page templates: %w", err)
	}
	p.blank = blank
	return p, nil
}

// Render writes a whole page with its status. Nothing is written when the
// template fails: the caller can still answer with something else.
func (p *Pages) Render(w http.ResponseWriter, status int, f Frame, page Page) error {
	var b bytes.Buffer
	if err := p.Write(&b, f, page); err != nil {
		return err
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Language", f.lang())
	w.WriteHeader(status)
	_, err := b.WriteTo(w)
	return err
}

// Write renders a page into b.
func (p *Pages) Write(b *bytes.Buffer, f Frame, page Page) error {
	if f.Words == nil {
		f.Words = words.For()
	}
	set, err := p.in(f.Words)
	if err != nil {
		return err
	}
	a := page.about()
	return set.ExecuteTemplate(b, a.template, view{F: f, P: page, Title: a.title, Nav: a.nav, Failed: a.failed, Reading: a.reading})
}

// view is the dot of every page template: the frame, and the page itself.
type view struct {
	F       Frame
	P       Page
	Title   *Text
	Nav     string
	Failed  bool
	Reading bool
}

// Form finds the page's form, for the note above it; pages without one have none.
func (v view) Form() *Form {
	if p, ok := v.P.(interface{ form() *Form }); ok {
		return p.form()
	}
	return &Form{}
}

func (f Frame) lang() string {
	if f.Words == nil {
		return "en"
	}
	return f.Words.Lang
}

// in returns the templates that speak c, made at the first page in it.
func (p *Pages) in(c *words.Catalogue) (*template.Template, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if set, ok := p.spoken[c.Lang]; ok {
		return set, nil
	}
	set, err := p.blank.Clone()
	if err != nil {
		return nil, err
	}
	p.spoken[c.Lang] = set.Funcs(p.funcs(c))
	return set, nil
}

// funcs are the few things a template may do beyond showing a field.
func (p *Pages) funcs(c *words.Catalogue) template.FuncMap {
	say := func(key string, pairs ...any) string {
		text := c.Say(key, pairs...)
		if key == "product.name" && p.product != "" {
			text = p.product
		}
		if p.voice != nil {
			text = p.voice(key, text)
		}
		return text
	}
	return template.FuncMap{
		"t":     say,
		"say":   func(x Text) string { return say(x.Key, x.Pairs...) },
		"lang":  func() string { return c.Lang },
		"asset": p.asset,
		"of":    of,
		"fours": fours,
		"local": func(f Frame, at time.Time) Moment { return f.local(say, at) },
		"reason": func(pr *Problem) string {
			if pr.Sentence != nil {
				return say(pr.Sentence.Key, pr.Sentence.Pairs...)
			}
			return say("fault." + string(pr.Code))
		},
		"in":      func(d time.Duration) string { return span(say, d) },
		"left":    func(f Frame, until time.Time) int { return int(max(0, until.Sub(f.Now)).Seconds()) },
		"abs":     time.Duration.Abs,
		"tally":   tally,
		"qr":      qr,
		"otpauth": otpauth,
		"making":  making,
		"file":    func(f Frame, c RecoveryCodes) template.URL { return codesFile(say, f, c) },
		"zones":   zones,
		"days":    func(d time.Duration) int { return int((d + 24*time.Hour - 1) / (24 * time.Hour)) },
	}
}

// of gathers name, value pairs for a partial template that needs several things.
func of(pairs ...any) (map[string]any, error) {
	m := map[string]any{}
	if len(pairs)%2 != 0 {
		return nil, fmt.Errorf("of: %d values do not make pairs", len(pairs))
	}
	for i := 0; i < len(pairs); i += 2 {
		name, ok := pairs[i].(string)
		if !ok {
			return nil, fmt.Errorf("of: %v is not a name", pairs[i])
		}
		m[name] = pairs[i+1]
	}
	return m, nil
}

// tally is one entry per recovery code, true for the spent ones.
func tally(left, of int) []bool {
	marks := make([]bool, max(of, 0))
	for i := range marks {
		marks[i] = i >= left
	}
	return marks
}

// fours groups a key for reading aloud and typing: "ABCD EFGH IJ".
func fours(key string) string {
	var b strings.Builder
	for i, r := range key {
		if i > 0 && i%4 == 0 {
			b.WriteByte(' ')
		}
		b.WriteRune(r)
	}
	return b.String()
}

// Moment is a time as the page shows it.
type Moment struct {
	ISO  string // RFC 3339 with the reader's offset, for datetime and title
	Text string // "21 November 2026, 22:12 NZDT"
	Day  string // "21 November 2026"
}

func (f Frame) local(say sayer, at time.Time) Moment {
	zone := f.Zone
	if zone == nil {
		zone = time.UTC
	}
	at = at.In(zone)
	day := say("time.day", "day", at.Day(), "month", say("time.month."+at.Format("01")), "year", at.Year())
	return Moment{
		ISO:  at.Format(time.RFC3339),
		Text: say("time.full", "day", day, "clock", at.Format("15:04"), "zone", zoneName(at)),
		Day:  day,
	}
}

type sayer = func(key string, pairs ...any) string

// zoneName is the abbreviation people know, or UTC+03:30 where the time zone
// database has none and gives numbers.
func zoneName(at time.Time) string {
	name, _ := at.Zone()
	if name == "" || name[0] == '+' || name[0] == '-' {
		return "UTC" + at.Format("-07:00")
	}
	return name
}

// span says a duration in the coarsest words that do not mislead: seconds up
// to a minute and a half, then minutes rounded up, then hours.
func span(say sayer, d time.Duration) string {
	switch {
	case d <= 90*time.Second:
		return say("span.seconds", "n", max(1, int((d+time.Second-1)/time.Second)))
	case d <= 90*time.Minute:
		return say("span.minutes", "n", int((d+time.Minute-1)/time.Minute))
	default:
		return say("span.hours", "n", int((d+time.Hour-1)/time.Hour))
	}
}

// qr draws the key for the camera: the one piece of markup no template makes. It
// is black squares from authenticators.QRSVG, which escapes its label.
func qr(uri, label string) (template.HTML, error) {
	svg, err := authenticators.QRSVG(uri, label)
	return template.HTML(svg), err
}

// otpauth lets an app on the same device open the key. html/template refuses
// schemes it does not know; we vouch for this one only.
func otpauth(uri string) template.URL {
	if !strings.HasPrefix(uri, "otpauth://totp/") {
		return ""
	}
	return template.URL(uri)
}

// making reads from a link how its codes are made, for people who type it all.
func making(uri string) authenticators.TOTP {
	_, app, err := authenticators.ParseKeyURI(seal.Secret(uri))
	if err != nil {
		return authenticators.NewTOTP("", "", time.Time{})
	}
	return app
}

// codesFile is the text file of recovery codes as a data: address, so that
// downloading them needs neither script nor a second request.
func codesFile(say sayer, f Frame, c RecoveryCodes) template.URL {
	text := say("codes.file",
		"service", say("product.name"), "origin", c.Origin, "account", c.Email,
		"made", f.local(say, c.MadeAt).Text, "codes", strings.Join(c.Codes, "\r\n"))
	return template.URL("data:text/plain;charset=utf-8," + url.PathEscape(text))
}

// form gives the layout what every form has.
func (f Form) form() *Form { return &f }

func (f Form) failed() bool { return f.Problem != nil }

// Bad tells whether the problem concerns a field.
func (f Form) Bad(field string) bool { return f.Problem != nil && f.Problem.Field == field }

// To is the address the form posts to.
func (f Form) To(usual string) string {
	if f.Action != "" {
		return f.Action
	}
	return usual
}

func door(name string, failed bool) about {
	return about{template: name, title: Say(name + ".title"), failed: failed}
}

func room(name string, failed bool) about {
	return about{template: name, title: Say(name + ".title"), nav: name, failed: failed}
}

func (p SignIn) about() about    { return door("signin", p.failed()) }
func (p Code) about() about      { return door("code", p.failed()) }
func (p Recovery) about() about  { return door("recovery", p.failed()) }
func (p LinkSent) about() about  { return door("link-sent", p.failed()) }
func (p Forgot) about() about    { return door("forgot", p.failed()) }
func (p Unlock) about() about    { return door("unlock", p.failed()) }
func (p Fresh) about() about     { return door("fresh", p.failed()) }
func (p SignedOut) about() about { return door("signed-out", false) }

func (p NewPassword) about() about {
	a := door("new-password", p.failed())
	if a.title = Say("new-password.again"); p.First {
		a.title = Say("new-password.first")
	}
	return a
}

func (p Link) about() about {
	a := door("link", p.failed())
	a.title = Say("link.title-" + string(p.Kind))
	return a
}

func (p Waiting) about() about { return door("waiting", false) }

func (p Oops) about() about {
	name := "oops"
	if p.RetryAfter > 0 {
		name = "busy"
	}
	return door(name, true)
}

func (p Enrol) about() about {
	a := door("enrol", p.failed())
	if a.title = Say(p.Title()); p.Account {
		a.nav = "authenticators"
	}
	return a
}

func (p RecoveryCodes) about() about {
	a := door("recovery-codes", p.failed())
	if p.Account {
		a.nav = "codes"
	}
	return a
}

func (p Profile) about() about        { return room("profile", p.failed()) }
func (p PasswordChange) about() about { return room("password", p.failed()) }
func (p Authenticators) about() about { return room("authenticators", p.failed()) }
func (p CodesLeft) about() about      { return room("codes", p.failed()) }
func (p Sessions) about() about       { return room("sessions", p.failed()) }
func (p History) about() about        { return room("history", false) }
func (p AddressChange) about() about  { return room("address", p.failed()) }
func (p PolicyPresets) about() about  { return room("policy", false) }
