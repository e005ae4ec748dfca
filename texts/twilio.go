package texts

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/xml"
	"net/http"
	"net/url"
	"strings"

	"gatehouse/outbox"
	"gatehouse/proof"
	"gatehouse/seal"
)

// TwilioAPI is where Twilio itself answers.
const TwilioAPI = "https://api.twilio.com"

// Twilio is a provider that speaks the REST interface of Twilio, version
// 2010-04-01: Messages.json and Calls.json. Others have copied it.
type Twilio struct {
	Label   string // what the operator's eyes see: "first", "second"
	Base    string // https://api.twilio.com
	Account string // AC…
	Token   seal.Secret
	From    string // a number of theirs, or the id of a messaging service (MG…)
	Caller  string // the number that calls; From when empty
	Client  *http.Client
}

// Name tells the provider from the other one.
func (t *Twilio) Name() string { return t.Label }

// Send posts a message or a call.
func (t *Twilio) Send(ctx context.Context, m Message) outbox.Class {
	what, form := "Messages.json", url.Values{"To": {m.To.Reveal()}, "Body": {m.Text.Reveal()}}
	switch {
	case m.Way == proof.Voice:
		what, form = "Calls.json", url.Values{"To": {m.To.Reveal()}, "From": {orElse(t.Caller, t.From)}, "Twiml": {twiml(m)}}
	case strings.HasPrefix(t.From, "MG"):
		form.Set("MessagingServiceSid", t.From)
	default:
		form.Set("From", t.From)
	}
	req, err := t.request(ctx, http.MethodPost, what, form.Encode())
	if err != nil {
		return outbox.Unwritable
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("I-Twilio-Idempotency-Token", string(m.ID)) // those that know it take a double for one
	status, body, class := post(t.Client, req)
	if class == outbox.Done {
		class = classOfStatus(status)
	}
	if class == outbox.Done && !hasSid(body) {
		return outbox.Other // somebody else answered: a proxy, a page that asks to sign in
	}
	return class
}

// Try reads the account that pays.
func (t *Twilio) Try(ctx context.Context) outbox.Class {
	req, err := t.request(ctx, http.MethodGet, "", "")
	if err != nil {
		return outbox.Unwritable
	}
	status, body, class := post(t.Client, req)
	if class == outbox.Done {
		class = classOfStatus(status)
	}
	if class == outbox.Done && !hasSid(body) {
		return outbox.Other
	}
	return class
}

func (t *Twilio) request(ctx context.Context, method, what, body string) (*http.Request, error) {
	path := "/2010-04-01/Accounts/" + url.PathEscape(t.Account)
	if what == "" {
		path += ".json"
	} else {
		path += "/" + what
	}
	address, err := join(t.Base, path)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, method, address, strings.NewReader(body))
	if err != nil {
		return nil, ErrAddress // the cause would quote it
	}
	req.SetBasicAuth(t.Account, t.Token.Reveal())
	req.Header.Set("User-Agent", "Gatehouse-Texts/1")
	req.Header.Set("Accept", "application/json")
	return req, nil
}

func hasSid(body []byte) bool {
	var answer struct {
		Sid string `json:"sid"`
	}
	return json.Unmarshal(body, &answer) == nil && answer.Sid != ""
}

// twiml says the text, then each digit with a pause behind it, and all again:
// a pen has to be found first.
func twiml(m Message) string {
	var b bytes.Buffer
	say := func(text string) {
		b.WriteString(`<Say language="` + language(m.Locale) + `">`)
		_ = xml.EscapeText(&b, []byte(text)) // a buffer takes everything
		b.WriteString(`</Say>`)
	}
	pause := func(seconds string) { b.WriteString(`<Pause length="` + seconds + `"/>`) }
	b.WriteString("<Response>")
	pause("1")
	say(m.Text.Reveal())
	for round := range 2 {
		if m.Digits == "" {
			break
		}
		pause("1")
		if round > 0 {
			say(m.Again)
			pause("1")
		}
		for _, d := range m.Digits.Reveal() {
			say(string(d))
			pause("1")
		}
	}
	b.WriteString("</Response>")
	return b.String()
}

// language is a voice's language for ours.
func language(locale string) string {
	if strings.HasPrefix(locale, "en") || locale == "" {
		return "en-GB"
	}
	return strings.Map(func(r rune) rune {
		if r == '-' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' {
			return r
		}
		return -1
	}, locale)
}

func orElse(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}
