package house

import (
	"crypto/rand"
	"encoding/json"
	"html"
	"strings"

	"gatehouse/authenticators"
	"gatehouse/authenticators/softkey"
	"gatehouse/web"
)

// withPasskeys wires passkeys as cmd/gatehouse does.
func (h *House) withPasskeys() *web.Passkeys {
	h.T.Helper()
	rules, err := authenticators.NewRelying(authenticators.RelyingOptions{Name: "Harbour Books", Origins: []string{Origin}})
	must(h.T, err)
	h.Flow.Auth, h.Manage.Passkeys = h.Flow.Auth.WithPasskeys(rules), rules
	return &web.Passkeys{Rules: rules, Ask: h.Flow, Keep: h.Manage}
}

// NewKey is a soft authenticator: a passkey provider, or with roaming a key that is
// only touched and counts.
func NewKey(roaming bool) *softkey.Key {
	if roaming {
		return softkey.NewRoaming(rand.Reader)
	}
	return softkey.New(rand.Reader)
}

// Asked is what a page or the API asks a browser for a passkey with.
type Asked struct {
	Options   []byte
	Challenge string // sealed, where nobody has said yet who they are
	Attempt   string // the hidden field of the page
}

// AskedFor asks the API what to ask an authenticator with; outside an attempt
// nobody says who they are.
func (p *Person) AskedFor() Asked {
	p.House.T.Helper()
	r := p.API("/signin/passkey-options", nil).Is(200)
	var sent struct {
		Options   json.RawMessage
		Challenge string
	}
	must(p.House.T, json.Unmarshal([]byte(r.Body), &sent))
	return Asked{Options: sent.Options, Challenge: sent.Challenge}
}

// Answers makes the answer of a key to what was asked, as a browser at our origin
// would.
func (p *Person) Answers(key *softkey.Key, asked Asked, spoil ...softkey.Spoil) string {
	p.House.T.Helper()
	answer, err := key.Get(asked.Options, Origin, spoil...)
	must(p.House.T, err)
	return string(answer)
}

// ShowsPasskey answers the question of an attempt, or begins a sign-in.
func (p *Person) ShowsPasskey(key *softkey.Key, spoil ...softkey.Spoil) Reply {
	p.House.T.Helper()
	asked := p.AskedFor()
	return p.ShowsAnswer(asked, p.Answers(key, asked, spoil...))
}

// ShowsAnswer submits an answer that is made already.
func (p *Person) ShowsAnswer(asked Asked, answer string) Reply {
	return p.API("/signin/passkey", map[string]any{"challenge": asked.Challenge, "answer": answer})
}

// SignsInByPasskey is one gesture: no name, no password, no code.
func (p *Person) SignsInByPasskey(key *softkey.Key) Reply {
	p.House.T.Helper()
	p.Attempt = ""
	return p.ShowsPasskey(key).Asks("done")
}

// Asked reads what a page asks with.
func (r Reply) Asked() Asked {
	r.T.Helper()
	a := Asked{Options: []byte(r.Attribute("data-options")), Challenge: r.Attribute("data-challenge"), Attempt: r.Hidden("attempt")}
	if len(a.Options) == 0 {
		r.T.Fatalf("the page asks for no passkey: %d %s", r.Status, r.Body)
	}
	return a
}

// Attribute is the value of an attribute of a page, "" when there is none.
func (r Reply) Attribute(name string) string {
	_, rest, found := strings.Cut(r.Body, name+`="`)
	if !found {
		return ""
	}
	value, _, _ := strings.Cut(rest, `"`)
	return html.UnescapeString(value)
}

// AddsPasskey adds a key in the account pages; kind is "passkey" or "key". The
// session must be fresh.
func (p *Person) AddsPasskey(kind string, key *softkey.Key) Reply {
	p.House.T.Helper()
	path := "/account/authenticators/" + kind
	asked := p.Get(path).Is(200).Asked()
	answer, err := key.Create(asked.Options, Origin)
	must(p.House.T, err)
	return p.Post(path, "attempt", asked.Attempt, "answer", string(answer))
}

// ProvesAfreshByPasskey is a fresh proof in one gesture.
func (p *Person) ProvesAfreshByPasskey(key *softkey.Key) Reply {
	p.House.T.Helper()
	asked := p.Get("/fresh").Is(200).Asked()
	return p.Post("/fresh/passkey", "attempt", asked.Attempt, "answer", p.Answers(key, asked))
}
