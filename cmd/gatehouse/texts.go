package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"gatehouse/authenticators"
	"gatehouse/deliver"
	"gatehouse/id"
	"gatehouse/manage"
	"gatehouse/outbox"
	"gatehouse/proof"
	"gatehouse/seal"
	"gatehouse/texts"
	"gatehouse/web"
	"gatehouse/words"
)

// provider is the settings of one provider of text messages.
type provider struct {
	name, kind, url, account, secretFile, from, caller string
}

// key is how the settings of a provider begin.
func (p provider) key() string { return either(p.name == "second", "text.second_", "text.") }

func (l *Loaded) providers() []provider {
	var all []provider
	for _, p := range []provider{
		{"first", l.TextKind, l.TextURL, l.TextAccount, l.TextSecret, l.TextFrom, l.TextCaller},
		{"second", l.Text2Kind, l.Text2URL, l.Text2Account, l.Text2Secret, l.Text2From, l.Text2Caller},
	} {
		if p.kind != "" {
			all = append(all, p)
		}
	}
	return all
}

// numberRules are the rules for telephone numbers.
func (l *Loaded) numberRules() authenticators.NumberRules {
	return authenticators.NumberRules{Countries: l.TextCountries, Country: l.TextHome, VoIP: l.TextVoIP}
}

// textsOn tells whether codes are sent at all: somebody sends them, and somewhere.
func (l *Loaded) textsOn() bool { return len(l.providers()) > 0 && len(l.TextCountries) > 0 }

func (l *Loaded) textBudgets() texts.Budgets {
	b := texts.DefaultBudgets()
	b.Person.Max, b.PersonDay.Max, b.Number.Max, b.NumberDay.Max = l.TextPerson, l.TextPersonDay, l.TextPerson, l.TextPersonDay
	b.Network.Max, b.Country.Max, b.CountryDay.Max, b.Day.Max = l.TextNetwork, l.TextCountry, l.TextCountryDay, l.TextDay
	return b
}

// checkTexts finds settings of text messages that cannot work together.
func (l *Loaded) checkTexts() {
	if l.Text2Kind != "" && l.TextKind == "" {
		l.wrong("text.second_kind", "the second provider is asked when the first fails; set text.kind too")
	}
	for _, p := range l.providers() {
		l.checkProvider(p, p.key())
	}
	if l.TextKind != "" && len(l.TextCountries) == 0 && !l.broken["text.countries"] {
		l.wrong("text.countries", "text.countries is empty, so no number could be kept; name the countries your people live in, as in [PT, ES]")
	}
	if l.TextHome != "" && !slices.Contains(l.TextCountries, l.TextHome) {
		l.wrong("text.home", "text.home (%s) is not among text.countries", l.TextHome)
	}
	if l.TextCountry > l.TextCountryDay || l.TextCountryDay > l.TextDay || l.TextPerson > l.TextPersonDay {
		l.wrong("text.day", "the budgets do not fit: text.country must not be above text.country_day, that not above text.day, and text.person not above text.person_day")
	}
}

func (l *Loaded) checkProvider(p provider, key string) {
	if p.secretFile == "" && !l.broken[key+"secret_file"] {
		l.wrong(key+"secret_file", "%ssecret_file is not set; it holds %s", key, either(p.kind == "twilio", "the auth token of the account", "the secret that calls are signed with, whsec_ and base64"))
	}
	switch {
	case p.kind == "twilio" && (p.account == "" || p.from == ""):
		l.wrong(either(p.account == "", key+"account", key+"from"), "with %skind: twilio set %saccount (AC…) and %sfrom (a number such as +351210000000, or MG…)", key, key, key)
	case p.kind == "hook" && p.url == "":
		l.wrong(key+"url", "with %skind: hook set %surl, where your program is called", key, key)
	case strings.HasPrefix(p.from, "MG") && p.caller == "":
		l.warn(key+"caller", "%sfrom is a messaging service, which makes no calls; set %scaller to a number, or calls are refused", key, key)
	}
	if u, err := url.Parse(p.url); err == nil && u.Scheme == "http" && !isLocal(u.Hostname()) {
		l.wrong(key+"url", "codes would pass in the open to %s; use https://", u.Hostname())
	}
}

// postOf makes what hands messages to the providers. h may be nil for a test.
func (l *Loaded) postOf() ([]texts.Provider, error) {
	client := texts.NewClient(nil)
	var all []texts.Provider
	for _, p := range l.providers() {
		if p.kind == letterBoxKind {
			all = append(all, &letterBox{label: p.name, dir: p.url, now: time.Now})
			continue
		}
		secret, err := readSecret(p.secretFile)
		if err != nil {
			return nil, next(err, "see: gatehouse config check")
		}
		all = append(all, p.open(secret, client))
	}
	return all, nil
}

func (p provider) open(secret seal.Secret, client *http.Client) texts.Provider {
	if p.kind == "hook" {
		return &texts.Hook{Label: p.name, URL: p.url, Secret: secret, Client: client, Now: time.Now}
	}
	base := p.url
	if base == "" {
		base = texts.TwilioAPI
	}
	return &texts.Twilio{Label: p.name, Base: base, Account: p.account, Token: secret, From: p.from, Caller: p.caller, Client: client}
}

// textWorkers is how many messages are on their way at once.
const textWorkers = 8

// openTexts adds text messages and calls to the flow, the account pages and what
// empties the outbox. It comes after openFlow; without a provider it does nothing.
func (h *house) openTexts() error {
	if h.flow == nil || h.manage == nil || h.deliver == nil || !h.l.textsOn() {
		return nil
	}
	all, err := h.l.postOf()
	if err != nil {
		return err
	}
	counts := h.metrics.Texts()
	post := &texts.Post{Store: h.store, Log: h.log, Providers: all, Product: h.l.Product, Origin: h.l.Origin, Now: h.now, Slog: h.slog,
		Took: counts.Took, Handed: counts.Handed}
	desk := &texts.Desk{Keys: h.keys, Log: h.log, Numbers: h.l.numberRules(), Budgets: h.l.textBudgets(), Limited: counts.Limited}
	h.deliver.Channels = append(h.deliver.Channels, deliver.Channel{
		Name: outbox.Texts, Workers: textWorkers, Shared: true, Patience: texts.AllPatience, Send: post.Send, GivenUp: post.GivenUp})
	h.flow.Texts = desk
	h.manage.Phones = &manage.Phones{Desk: desk, Numbers: desk.Numbers}
	return nil
}

// phonePages is what the pages need for telephone numbers; nil when none are sent
// anything.
func (h *house) phonePages() *web.Phones {
	if h.manage.Phones == nil {
		return nil
	}
	return &web.Phones{Sent: h.flow, Keep: h.manage, Rules: h.manage.Phones.Numbers}
}

// sweepPhones takes off numbers whose place others have taken.
func (r *loops) sweepPhones(ctx context.Context) error {
	if r.manage.Phones == nil {
		return nil
	}
	return r.manage.SweepPhones(ctx)
}

// texts asks every provider whether it is there and knows us.
func (d *doctor) texts(ctx context.Context) {
	if len(d.l.providers()) == 0 {
		return
	}
	all, err := d.l.postOf()
	if err != nil {
		d.add("text messages", failure, "gatehouse config check", "%v", err)
		return
	}
	d.add("text messages", warning, "accept stronger ways only: gatehouse policy", "codes may be sent to %s; they are the weakest way to sign in (NIST SP 800-63B-4 calls it restricted)", strings.Join(d.l.TextCountries, ", "))
	for _, p := range all {
		within, cancel := context.WithTimeout(ctx, texts.Patience)
		class := p.Try(within)
		cancel()
		if class != outbox.Done {
			d.add("text provider "+p.Name(), failure, textFix(p.Name(), class), "%s", textWhy(class))
			continue
		}
		d.add("text provider "+p.Name(), success, "", "answers and knows us")
	}
}

func textWhy(class outbox.Class) string {
	switch class {
	case outbox.Unreachable:
		return "does not answer, or answers that it is broken"
	case outbox.NotTrusted:
		return "its certificate is not for its address"
	case outbox.NotAllowed:
		return "does not accept our account and secret"
	case outbox.Later:
		return "has had too many messages from us for now"
	case outbox.Refused:
		return "answers, but refuses this"
	}
	return "answers with something that we cannot read"
}

func textFix(name string, class outbox.Class) string {
	key := provider{name: name}.key()
	if class == outbox.NotAllowed {
		return "put the right secret into " + key + "secret_file, and check " + key + "account"
	}
	return "check " + key + "url, and what the provider says of itself; until then the other one is used, if there is one"
}

// TextCommand tries text messages out.
type TextCommand struct {
	Test TextTest `cmd:"" help:"Send a text message without a code to a number, through each provider, and say how it went."`
}

// TextTest sends a message.
type TextTest struct {
	Number string `arg:"" help:"The number, with + and the country, or as it is written in text.home."`
	Call   bool   `help:"Call it instead."`
}

// Run sends one message through each provider and fails when one did not take it.
func (c *TextTest) Run(ctx context.Context, p *program) error {
	return inside(ctx, p, func(h *house) error {
		all, err := h.l.postOf()
		if err != nil {
			return err
		}
		if len(all) == 0 {
			return next(errors.New("nobody sends text messages here"), "set text.kind: gatehouse config docs")
		}
		n, why := h.l.numberRules().Parse(c.Number)
		if why != "" {
			return next(errors.New(words.For().Say(why)), "see text.countries: gatehouse config check --print-effective")
		}
		failed := 0
		for _, one := range all {
			class := one.Send(ctx, c.message(h, n))
			if class != outbox.Done {
				failed++
			}
			fmt.Fprintf(p.out, "%s: %s\n", one.Name(), either(class == outbox.Done, "taken", textWhy(class)))
		}
		if failed > 0 {
			return next(errors.New(count(failed, "provider")+" did not take it"), "gatehouse doctor says what to look at")
		}
		return nil
	})
}

func (c *TextTest) message(h *house, n authenticators.Number) texts.Message {
	m := texts.Message{ID: id.New[id.Message](h.now(), rand.Reader), To: seal.Secret(n.E164), Way: proof.SMS, Locale: "en",
		Text: seal.Secret(words.For().Say("text.test", "product", h.l.Product))}
	if c.Call {
		m.Way = proof.Voice
	}
	return m
}

// judgeHTTP is for the address of a provider; whether http:// will do is a
// cross-check.
func judgeHTTP(text string) error {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || u.User != nil || u.Fragment != "" {
		return fmt.Errorf("%q is not an address like https://sms.example.com/send", text)
	}
	return nil
}

func judgeCountry(text string) error {
	if !authenticators.Country(text) {
		return fmt.Errorf("%q is not a country; write its two letters in capitals, such as PT or DE", text)
	}
	return nil
}
