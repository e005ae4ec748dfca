package notices

import (
	"errors"
	"fmt"
	"net/url"
	"strings"

	"gatehouse/outbox"
	"gatehouse/words"
)

// letter is a mail before it is laid out as text and as HTML.
type letter struct {
	Lang, Subject, Greeting, Lead string
	Button, Link                  string // the link that the mail is about
	Until, Instead                string
	Facts                         []fact
	Advice                        []string
	AdviceButton, AdviceLink      string // where to stop what was not you
	Footer                        []string
}

type fact struct{ Label, Value string }

// Render words a message. What it cannot word it never can, so that is given up.
func (n *Notices) Render(m outbox.Message) (Mail, error) {
	d, ok := designOf(m.Kind)
	if !ok {
		return Mail{}, fmt.Errorf("notices: no text for %q", m.Kind)
	}
	l, err := n.compose(d, m)
	if err != nil {
		return Mail{}, err
	}
	html, err := l.html()
	if err != nil {
		return Mail{}, err
	}
	return Mail{
		ID: string(m.ID), Kind: m.Kind, Lang: l.Lang, To: m.To,
		Subject: l.Subject, Text: l.text(), HTML: html, Made: m.MadeAt.UTC(),
	}, nil
}

func (n *Notices) compose(d design, m outbox.Message) (letter, error) {
	c := words.For(m.Locale)
	zone := zoneOf(m.Fields[outbox.Zone])
	happened, err := facts(c, d, m.Fields, zone)
	if err != nil {
		return letter{}, err
	}
	say := n.sayer(c, m.Fields)
	l := letter{
		Lang: c.Lang, Greeting: greeting(c, m.Fields[outbox.Name]), Facts: happened,
		Subject: subject(c, say, d, m.Fields), Lead: lead(c, say, d, m.Fields),
		Footer: []string{say("mail.footer.origin"), say("mail.footer.plain")},
	}
	if !d.Asks {
		n.advise(&l, d, say)
		return l, nil
	}
	l.Link = m.Fields[outbox.Link]
	l.Button = say(key(d, "button"))
	l.Instead = say("mail.link.instead")
	l.Until = c.Say("mail.link.until", "until", moment(c, m.Expires, zone))
	l.Advice = []string{say(key(d, "ignore"))}
	return l, n.ours(l.Link)
}

// advise says how to stop what was not you.
func (n *Notices) advise(l *letter, d design, say func(string) string) {
	if d.Out {
		l.Advice = []string{say("mail.notice.stop.out")}
		return
	}
	l.Advice = []string{say("mail.notice.fine"), say("mail.notice.stop")}
	l.AdviceButton, l.AdviceLink = say("mail.notice.button"), n.origin()+"/account/sessions"
}

// sayer fills the placeholders that any sentence of a mail may have.
func (n *Notices) sayer(c *words.Catalogue, fields map[string]string) func(string) string {
	product := n.Product
	if product == "" {
		product = c.Say("product.name")
	}
	pairs := []any{"product", product, "origin", n.origin(), "n", fields[outbox.Left]}
	for _, f := range []string{outbox.Device, outbox.Place, outbox.Organisation} {
		pairs = append(pairs, f, plain(fields[f]))
	}
	return func(k string) string { return plainLine(c.Say(k, pairs...)) }
}

func key(d design, part string) string { return "mail." + string(d.Kind) + "." + part }

func subject(c *words.Catalogue, say func(string) string, d design, fields map[string]string) string {
	if k := key(d, "subject.place"); c.Has(k) && plain(fields[outbox.Place]) != "" {
		return say(k)
	}
	return say(key(d, "subject"))
}

func lead(c *words.Catalogue, say func(string) string, d design, fields map[string]string) string {
	if k := key(d, "lead.organisation"); c.Has(k) && plain(fields[outbox.Organisation]) != "" {
		return say(k)
	}
	return say(key(d, "lead"))
}

func greeting(c *words.Catalogue, name string) string {
	if name = plain(name); name == "" {
		return c.Say("mail.hello.nobody")
	}
	return c.Say("mail.hello", "name", name)
}

// origin is the configured origin without a slash at its end.
func (n *Notices) origin() string { return strings.TrimRight(n.Origin, "/") }

var errLink = errors.New("notices: a link that is not ours")

// ours refuses a link to anywhere but the configured origin, whoever put it
// there: a mail of ours never leads people elsewhere.
func (n *Notices) ours(link string) error {
	u, err := url.Parse(link)
	if err != nil || !strings.HasPrefix(link, n.origin()+"/") || u.User != nil || strings.ContainsAny(link, " \t\r\n\"<>\\") {
		return errLink
	}
	return nil
}
