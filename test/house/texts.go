package house

import (
	"context"
	"crypto/rand"
	"log/slog"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"gatehouse/access"
	"gatehouse/authenticators"
	"gatehouse/deliver"
	"gatehouse/id"
	"gatehouse/manage"
	"gatehouse/outbox"
	"gatehouse/proof"
	"gatehouse/store"
	"gatehouse/texts"
	"gatehouse/web"
)

// Phones takes the text messages and calls of everybody. It is a provider that
// does as it is told.
type Phones struct {
	mu     sync.Mutex
	all    []texts.Message
	asked  int
	answer func(texts.Message) outbox.Class // nil: takes everything
}

// Name fits texts.Provider.
func (p *Phones) Name() string { return "first" }

// Try fits texts.Provider.
func (p *Phones) Try(context.Context) outbox.Class { return outbox.Done }

// Send fits texts.Provider.
func (p *Phones) Send(_ context.Context, m texts.Message) outbox.Class {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asked++
	if p.answer != nil {
		if class := p.answer(m); class != outbox.Done {
			return class
		}
	}
	p.all = append(p.all, m)
	return outbox.Done
}

// Answers has the provider answer otherwise from now on; nil takes everything.
func (p *Phones) Answers(with func(texts.Message) outbox.Class) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.answer = with
}

// Asked is how often the provider was asked to take something.
func (p *Phones) Asked() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.asked
}

// To lists what a number has received, oldest first.
func (p *Phones) To(number string) (all []texts.Message) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, m := range p.all {
		if m.To.Reveal() == number {
			all = append(all, m)
		}
	}
	return all
}

// TextRules are whose numbers a house takes.
func TextRules() authenticators.NumberRules {
	return authenticators.NumberRules{Countries: []string{"PT"}, Country: "PT"}
}

// openTexts adds text messages, when the story wants them.
func (h *House) openTexts(logger *slog.Logger) {
	o := h.options
	if !o.Texts {
		return
	}
	h.Phones = &Phones{}
	all := o.Providers
	if all == nil {
		all = []texts.Provider{h.Phones}
	}
	post := &texts.Post{Store: h.Store, Log: h.Events, Providers: all, Product: "Harbour Books", Origin: Origin, Now: h.Clock.Now, Slog: logger}
	budgets := texts.DefaultBudgets()
	if o.TextBudgets != nil {
		o.TextBudgets(&budgets)
	}
	desk := &texts.Desk{Keys: h.Keys, Log: h.Events, Numbers: TextRules(), Budgets: budgets}
	h.Deliver.Channels = append(h.Deliver.Channels, deliver.Channel{Name: outbox.Texts, Workers: 4, Patience: texts.AllPatience, Send: post.Send, GivenUp: post.GivenUp})
	h.Flow.Texts = desk
	h.Manage.Phones = &manage.Phones{Desk: desk, Numbers: desk.Numbers}
}

// phonePages is what the pages need for them.
func (h *House) phonePages() *web.Phones {
	if h.Manage.Phones == nil {
		return nil
	}
	return &web.Phones{Sent: h.Flow, Keep: h.Manage, Rules: TextRules()}
}

// AcceptTexts has the installation's policy accept text messages and calls.
func (h *House) AcceptTexts() {
	h.T.Helper()
	terms := access.Default()
	terms.Methods = append(slices.Clone(terms.Methods), proof.SMS, proof.Voice)
	must(h.T, h.Store.Do(h.T.Context(), func(tx *store.Tx) error {
		if err := access.HoldPolicies(tx); err != nil {
			return err
		}
		p, err := access.PolicyOf(tx, access.Scope{})
		if err != nil {
			return err
		}
		_, err = access.KeepPolicy(tx, p.With(&terms, tx.Now()))
		return err
	}))
}

var sixDigits = regexp.MustCompile(`^[0-9]{6} `)

// Texted waits for the next text message or call to a number, after seen of them,
// and returns the code in it.
func (h *House) Texted(number string, seen int) string {
	h.T.Helper()
	var got texts.Message
	h.Eventually("a code sent to a telephone", func() bool {
		all := h.Phones.To(number)
		if len(all) > seen {
			got = all[seen]
		}
		return len(all) > seen
	})
	code := got.Digits.Reveal()
	if got.Way == proof.SMS {
		code = strings.TrimSpace(sixDigits.FindString(got.Text.Reveal()))
	}
	if len(code) != 6 {
		h.T.Fatalf("no code in what was sent by %s", got.Way)
	}
	return h.Secret("a code by text message", code)
}

// HasPhone gives a person a number at once, as if it had been added long ago.
func (p *Person) HasPhone(e164 string) authenticators.Credential {
	h := p.House
	h.T.Helper()
	n, why := TextRules().Parse(e164)
	if why != "" {
		h.T.Fatalf("%s: %s", e164, why)
	}
	c, err := authenticators.NewPhone(n, "", "")
	must(h.T, err)
	c.ID, c.Account, c.MadeAt = id.New[id.Authenticator](h.Clock.Now(), rand.Reader), p.Account, h.Clock.Now().Add(-48*time.Hour)
	h.Secret("a telephone number", e164)
	must(h.T, h.Store.Do(h.T.Context(), func(tx *store.Tx) error {
		_, err := authenticators.AddCredential(tx, h.Keys, c)
		return err
	}))
	return c
}

// Cell is one text that a question to the database answers with.
func (h *House) Cell(question string) (text string) {
	h.T.Helper()
	db := h.open()
	defer db.Close()
	must(h.T, db.QueryRowContext(context.Background(), question).Scan(&text))
	return text
}
