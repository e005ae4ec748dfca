package texts

import (
	"context"
	"log/slog"
	"strconv"
	"sync"
	"time"

	"gatehouse/authenticators"
	"gatehouse/events"
	"gatehouse/outbox"
	"gatehouse/proof"
	"gatehouse/seal"
	"gatehouse/store"
	"gatehouse/words"
)

// Patience is how long one provider may take to take a message, and how long a
// channel may take with both.
const (
	Patience    = 4 * time.Second
	AllPatience = 2*Patience + 2*time.Second
)

// Post hands what is in the outbox to the providers, in order. Set every field that
// has no default.
type Post struct {
	Store     *store.Store
	Log       *events.Log
	Providers []Provider
	Product   string
	Origin    string // the configured public origin; its host binds the code to our pages
	Now       func() time.Time
	Slog      *slog.Logger                                                                 // nil: silent
	Took      func(provider string, way proof.Method, class outbox.Class, d time.Duration) // one try; nil: nobody counts
	Handed    func(way proof.Method, d time.Duration)                                      // from being asked for to being taken; nil: nobody counts
	Patience  time.Duration                                                                // for one provider; Patience when zero

	once     sync.Once
	circuits []*circuit
}

// Send hands one message over. It is a channel's Send: no transaction is open while
// a provider is spoken to. A code that nobody waits for any more is not sent.
func (p *Post) Send(ctx context.Context, m outbox.Message) outbox.Class {
	if m.Kind == outbox.TextCode && !p.wanted(ctx, m) {
		return outbox.Done
	}
	text, ok := p.worded(m)
	if !ok {
		return outbox.Unwritable
	}
	class := p.Hand(ctx, text, m.Tries)
	if m.Kind == outbox.TextCode {
		p.note(ctx, m, class)
	}
	return class
}

// wanted tells whether a code is still waited for; when the store cannot say, it is.
func (p *Post) wanted(ctx context.Context, m outbox.Message) bool {
	wanted := true
	err := p.Store.BackgroundRead(ctx, func(tx *store.Tx) (err error) {
		wanted, err = authenticators.TextWanted(tx, m.ID)
		return err
	})
	return wanted || err != nil
}

// note begins the life of a code that was taken, and says of one that nobody will
// take that it will not arrive.
func (p *Post) note(ctx context.Context, m outbox.Message, class outbox.Class) {
	if class == outbox.Done && p.Handed != nil {
		p.Handed(proof.Method(m.Fields[outbox.Way]), p.Now().Sub(m.MadeAt))
	}
	if class != outbox.Done && !class.Hopeless() {
		return
	}
	err := p.Store.Background(context.WithoutCancel(ctx), func(tx *store.Tx) error {
		if class == outbox.Done {
			return authenticators.HandedOver(tx, m.ID)
		}
		return authenticators.FailText(tx, m.ID, string(class))
	})
	if err != nil { // the code opens for a quarter of an hour from when it was asked for, and no longer
		p.warn("when a code was handed over was not written down", "message", string(m.ID), "error", err.Error())
	}
}

// Hand tries the providers until one has the message. The next try of the same
// message begins with the next provider.
//
// Whoever answers clearly that it has not taken it, or does not answer in time, is
// followed by the other at once. One that may have taken it is not: the message is
// tried again some seconds later, beginning with the other, so that a person seldom
// gets two.
func (p *Post) Hand(ctx context.Context, m Message, try int) outbox.Class {
	p.once.Do(func() {
		for range p.Providers {
			p.circuits = append(p.circuits, &circuit{})
		}
	})
	worst, refused := outbox.Unreachable, 0
	for i := range p.Providers {
		n := (i + max(try, 1) - 1) % len(p.Providers)
		if !p.circuits[n].lets(p.Now()) {
			continue
		}
		switch class := p.one(ctx, n, m); class {
		case outbox.Done:
			return class
		case outbox.Other:
			return outbox.Later
		case outbox.Refused:
			refused++
		default:
			worst = class
		}
	}
	if refused == len(p.Providers) {
		return outbox.Unwritable // nobody carries it: no later try fares better
	}
	if refused > 0 {
		return outbox.Later // about this number as much as about them: others go on
	}
	return worst
}

// one gives a message to one provider.
func (p *Post) one(ctx context.Context, n int, m Message) outbox.Class {
	patience := p.Patience
	if patience == 0 {
		patience = Patience
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	begin := p.Now()
	class := p.Providers[n].Send(ctx, m)
	took := p.Now().Sub(begin)
	was := p.circuits[n].open()
	p.circuits[n].went(class, p.Now())
	if p.Took != nil {
		p.Took(p.Providers[n].Name(), m.Way, class, took)
	}
	if class != outbox.Done {
		p.warn("a text message or call was not taken", "provider", p.Providers[n].Name(), "message", string(m.ID), "way", string(m.Way), "why", string(class), "took", took.String())
	}
	if is := p.circuits[n].open(); is && !was {
		p.warn("a provider of text messages is left out for a while", "provider", p.Providers[n].Name(), "why", string(class))
	}
	return class
}

func (p *Post) warn(text string, about ...any) {
	if p.Slog != nil {
		p.Slog.Warn(text, about...)
	}
}

// GivenUp records that a message will never be sent. It is a channel's GivenUp.
func (p *Post) GivenUp(tx *store.Tx, past outbox.Past) error {
	if past.Kind == outbox.TextCode {
		if err := authenticators.FailText(tx, past.ID, string(past.Why)); err != nil {
			return err
		}
	}
	_, err := p.Log.Append(tx, events.Event{Kind: events.PhoneGivenUp, Account: past.Account, Actor: events.System,
		Data: map[string]string{"message": string(past.ID), "error": string(past.Why), "tries": strconv.Itoa(past.Tries)}})
	return err
}

// worded puts a message of the outbox into words.
func (p *Post) worded(m outbox.Message) (Message, bool) {
	c := words.For(m.Locale)
	out := Message{ID: m.ID, To: seal.Secret(m.Fields[outbox.Number]), Way: proof.Method(m.Fields[outbox.Way]), Locale: c.Lang}
	code, product := m.Fields[outbox.Digits], p.product(c)
	switch {
	case m.Kind == outbox.TextNote:
		from, err := time.Parse(time.RFC3339, m.Fields[outbox.From])
		out.Way = proof.SMS
		out.Text = seal.Secret(c.Say("text.note", "product", product, "number", m.Fields[outbox.Label],
			"from", from.UTC().Format("2006-01-02 15:04 UTC"), "address", p.Origin+"/account/authenticators/phone"))
		return out, err == nil
	case m.Kind != outbox.TextCode:
		return out, false
	case out.Way == proof.Voice:
		out.Text, out.Digits, out.Again = seal.Secret(c.Say("text.call", "product", product)), seal.Secret(code), c.Say("text.call-again")
	default:
		out.Text = seal.Secret(c.Say("text.message", "code", code, "product", product) + "\n\n@" + host(p.Origin) + " #" + code)
	}
	return out, true
}

func (p *Post) product(c *words.Catalogue) string { return orElse(p.Product, c.Say("product.name")) }
