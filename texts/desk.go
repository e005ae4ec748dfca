package texts

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/url"
	"time"

	"gatehouse/authenticators"
	"gatehouse/events"
	"gatehouse/fault"
	"gatehouse/id"
	"gatehouse/limits"
	"gatehouse/outbox"
	"gatehouse/seal"
	"gatehouse/store"
)

// Budgets bound what is sent, from the narrowest to the widest. Whoever makes
// telephones ring for money (SMS pumping) runs into the first of them; whoever has
// many accounts and networks runs into the last.
type Budgets struct {
	Person, PersonDay   limits.Rule // one account
	Number, NumberDay   limits.Rule // one number, whoever's
	Network             limits.Rule // one IPv4 address or IPv6 /64
	Country, CountryDay limits.Rule // all numbers of one country
	Day                 limits.Rule // everybody together
}

// DefaultBudgets are meant for an office.
func DefaultBudgets() Budgets {
	const day = 24 * time.Hour
	return Budgets{
		Person:     limits.Rule{Name: "text-person", Max: 3, Per: 10 * time.Minute},
		PersonDay:  limits.Rule{Name: "text-person-day", Max: 10, Per: day},
		Number:     limits.Rule{Name: "text-number", Max: 3, Per: 10 * time.Minute},
		NumberDay:  limits.Rule{Name: "text-number-day", Max: 10, Per: day},
		Network:    limits.Rule{Name: "text-network", Max: 20, Per: time.Hour},
		Country:    limits.Rule{Name: "text-country", Max: 60, Per: time.Hour},
		CountryDay: limits.Rule{Name: "text-country-day", Max: 300, Per: day},
		Day:        limits.Rule{Name: "text-day", Max: 1000, Per: day},
	}
}

// Desk takes orders for messages, in the transactions of those who ask.
type Desk struct {
	Keys    *seal.Keys
	Log     *events.Log
	Numbers authenticators.NumberRules
	Budgets Budgets
	Limited func(rule string) // a message was not sent because of a budget; nil: nobody counts
}

// Ask puts a code on its way, or says which budget is used up and for how long. A
// number of a country that is served no more is sent nothing.
func (d *Desk) Ask(tx *store.Tx, a authenticators.Asking) (*fault.Refusal, error) {
	if !d.Numbers.Serves(a.Facts.Country) {
		return &fault.Refusal{Code: fault.Forbidden, Hint: authenticators.NumberCountry}, nil
	}
	answer, err := limits.Spend(tx, d.subjects(a)...)
	if err != nil {
		return nil, err
	}
	if !answer.Allowed {
		return d.refused(tx, a, answer)
	}
	if err := authenticators.AddPhoneCode(tx, d.Keys, a); err != nil {
		return nil, err
	}
	if err := d.record(tx, a, events.PhoneAsked, map[string]string{"authenticator": string(a.Credential)}); err != nil {
		return nil, err
	}
	return nil, outbox.Add(tx, d.Keys, outbox.Message{ID: a.ID, Kind: outbox.TextCode, Account: a.Account, Lane: d.hash(a.Number), Locale: a.Locale,
		Expires: tx.Now().Add(authenticators.PhoneCodeSend),
		Fields:  map[string]string{outbox.Number: a.Number.Reveal(), outbox.Way: string(a.Way), outbox.Digits: a.Code.Reveal()}})
}

func (d *Desk) subjects(a authenticators.Asking) []limits.Subject {
	b, person, number := d.Budgets, string(a.Account), d.hash(a.Number)
	return []limits.Subject{
		{Rule: b.Person, Of: person}, {Rule: b.PersonDay, Of: person}, {Rule: b.Number, Of: number}, {Rule: b.NumberDay, Of: number},
		{Rule: b.Network, Of: limits.Network(a.Network)}, {Rule: b.Country, Of: a.Facts.Country}, {Rule: b.CountryDay, Of: a.Facts.Country},
		{Rule: b.Day, Of: "all"},
	}
}

// refused records a refusal once a window and limit.
func (d *Desk) refused(tx *store.Tx, a authenticators.Asking, answer limits.Answer) (*fault.Refusal, error) {
	if d.Limited != nil {
		d.Limited(answer.Rule)
	}
	why := &fault.Refusal{Code: fault.TooManyTries, Hint: "phones.hint.too-many", RetryAfter: answer.RetryAfter}
	if !answer.Tell {
		return why, nil
	}
	return why, d.record(tx, a, events.PhoneLimited, map[string]string{"scope": answer.Rule})
}

// record keeps the country of a number and what is shown of it, never the number.
func (d *Desk) record(tx *store.Tx, a authenticators.Asking, kind events.Kind, data map[string]string) error {
	personal := map[string]string{"number": a.Facts.Masked}
	for k, v := range a.Personal {
		personal[k] = v
	}
	data["way"], data["country"] = string(a.Way), a.Facts.Country
	_, err := d.Log.Append(tx, events.Event{Kind: kind, Account: a.Account, Actor: string(a.Account), Data: data, Personal: personal})
	return err
}

// Note tells one number about another that was added, by text message.
func (d *Desk) Note(tx *store.Tx, message id.Message, to authenticators.Credential, label string, from time.Time, locale string) error {
	if !d.Numbers.Serves(authenticators.PhoneOf(to).Country) {
		return nil
	}
	return outbox.Add(tx, d.Keys, outbox.Message{ID: message, Kind: outbox.TextNote, Account: to.Account, Lane: d.hash(to.Secret), Locale: locale,
		Fields: map[string]string{outbox.Number: to.Secret.Reveal(), outbox.Label: label, outbox.From: from.UTC().Format(time.RFC3339)}})
}

// hash names a number without telling it: a number is short enough to be found by
// trying all of them, unless the hash is keyed.
func (d *Desk) hash(number seal.Secret) string {
	key := d.Keys.Derive("texts number")
	mac := hmac.New(sha256.New, key[:])
	mac.Write([]byte(number.Reveal()))
	return hex.EncodeToString(mac.Sum(nil)[:12])
}

// host is what a code is bound to: a browser offers it on our pages and on no other
// (WICG, "Delivering origin-bound one-time codes over SMS").
func host(origin string) string {
	u, err := url.Parse(origin)
	if err != nil {
		return ""
	}
	return u.Hostname()
}
