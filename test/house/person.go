package house

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha1"
	"encoding/base32"
	"encoding/binary"
	"fmt"
	"strings"
	"time"

	"gatehouse/access"
	"gatehouse/authenticators"
	"gatehouse/id"
	"gatehouse/manage"
	"gatehouse/outbox"
	"gatehouse/seal"
)

// Person is somebody with a mailbox, a head for passwords, a phone and a browser.
type Person struct {
	*Browser
	Email      string
	Password   string
	Phone      string   // the app's secret, base32
	Invitation string   // its token, as the operator sees it
	Codes      []string // recovery codes on paper
	Account    id.Account
	Skew       time.Duration // of the phone's clock
}

// Passwords that a person of a story may have.
const (
	firstPassword  = "a harbour full of %s boats"
	SecondPassword = "seven lanterns on the quay"
)

// Person is somebody who can sign in at once, and has not done so yet.
func (h *House) Person(name string) *Person {
	h.T.Helper()
	return h.PersonWith(name, fmt.Sprintf(firstPassword, name+"'s"))
}

// PersonWith is Person with a password of the story's choice.
func (h *House) PersonWith(name, password string) *Person {
	h.T.Helper()
	p := h.stranger(name)
	p.Password = h.Secret("a password", password)
	secret, err := authenticators.NewTOTPSecret(rand.Reader)
	must(h.T, err)
	p.Phone = h.Secret("an authenticator app's secret", secret.Reveal())
	a, err := h.Manage.AddReady(h.T.Context(), manage.Ready{
		Person:   manage.Person{Email: p.Email, Name: "Ms " + name, Organisation: "Harbour Books", Role: access.Bookkeeper, Zone: "Europe/Vienna"},
		Password: seal.Secret(p.Password), TOTP: secret}, "operator")
	must(h.T, err)
	p.Account = a.ID
	return p
}

// Invited is somebody who has an invitation in their mailbox and nothing else.
func (h *House) Invited(name string) *Person {
	h.T.Helper()
	p := h.stranger(name)
	inv, err := h.Manage.Add(h.T.Context(), manage.Person{Email: p.Email, Name: "Ms " + name, Organisation: "Harbour Books", Role: access.Bookkeeper}, "operator")
	must(h.T, err)
	p.Account = inv.Account.ID
	_, token, _ := strings.Cut(inv.Link.Reveal(), "/link/")
	p.Invitation = h.Secret("the token of an invitation", token)
	return p
}

func (h *House) stranger(name string) *Person {
	p := &Person{Email: strings.ToLower(name) + "@harbour-books.example", Browser: h.Browser("198.51.100." + fmt.Sprint(10+len(name)*7%200))}
	p.Password = h.Secret("a password", fmt.Sprintf(firstPassword, name+"'s"))
	h.Secret("a password", SecondPassword)
	return p
}

// Elsewhere is the same person at a browser they have not used before.
func (p *Person) Elsewhere(network string) *Person {
	other := *p
	other.Browser = p.House.Browser(network)
	return &other
}

// Steals takes a copy of what the other's browser keeps.
func (p *Person) Steals(from *Person) *Browser {
	loot := from.Twin()
	loot.Network, loot.Agent = p.Network, p.Agent
	return loot
}

// Code is what the phone shows now.
func (p *Person) Code() string {
	return p.House.Secret("a one-time code", CodeAt(p.Phone, p.House.Clock.Now().Add(p.Skew)))
}

// NextCode lets time pass until the phone shows another code, and returns it.
func (p *Person) NextCode() string {
	p.House.Clock.Forward(30 * time.Second)
	return p.Code()
}

// ShowsPassword takes the first step; fields go over those it sends.
func (p *Person) ShowsPassword() Reply {
	p.Attempt = ""
	return p.API("/signin", map[string]any{"email": p.Email, "password": p.Password})
}

// ShowsCode takes the second step.
func (p *Person) ShowsCode(code string) Reply {
	return p.API("/signin/totp", map[string]any{"code": code})
}

// SignsIn does both, with a code that was not used before.
func (p *Person) SignsIn() Reply {
	p.House.T.Helper()
	p.ShowsPassword().Asks("totp")
	return p.ShowsCode(p.NextCode()).Asks("done")
}

// OpensLink opens the link of the next mail of a kind.
func (p *Person) OpensLink(kind outbox.Kind) Reply {
	p.House.T.Helper()
	return p.API("/link", map[string]any{"token": p.House.Link(p.Email, kind)})
}

// Enrols goes from the enrolment step to a session.
func (p *Person) Enrols(asked Reply) Reply {
	p.House.T.Helper()
	asked.Asks("enrol-totp")
	p.Phone = p.House.Secret("an authenticator app's secret", asked.Field("enrol.secret"))
	codes := p.API("/signin/enrol-totp", map[string]any{"code": p.Code(), "name": "Phone"}).Asks("recovery-codes")
	p.Keeps(codes.List("recovery_codes"))
	return p.API("/signin/recovery-codes", map[string]any{"confirmed": true}).Asks("done")
}

// Keeps writes recovery codes down.
func (p *Person) Keeps(codes []string) {
	p.Codes = codes
	for _, c := range codes {
		p.House.Secret("a recovery code", c)
	}
}

// Arrives goes from the invitation to a session.
func (p *Person) Arrives() Reply {
	p.House.T.Helper()
	token := p.Invitation
	if !p.House.options.NoMail {
		token = p.House.Link(p.Email, outbox.Invitation)
	}
	p.API("/link", map[string]any{"token": token}).Asks("new-password")
	return p.Enrols(p.API("/signin/new-password", map[string]any{"password": p.Password}))
}

// ProvesAfresh shows password and code again, through the pages.
func (p *Person) ProvesAfresh() {
	p.House.T.Helper()
	p.Get("/fresh").Is(200)
	p.Post("/fresh", "password", p.Password).Is(303)
	p.Post("/fresh/code", "code", p.NextCode()).Is(303)
}

// CodeAt is RFC 6238 once more, so that the product's own does not judge itself.
func CodeAt(secret string, at time.Time) string {
	key, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(secret)
	if err != nil {
		panic("not base32: " + secret)
	}
	mac := hmac.New(sha1.New, key)
	binary.Write(mac, binary.BigEndian, uint64(at.Unix()/30))
	sum := mac.Sum(nil)
	n := binary.BigEndian.Uint32(sum[sum[19]&15:]) & 0x7fffffff
	return fmt.Sprintf("%06d", n%1_000_000)
}
