package house

import (
	"context"
	"strings"
	"sync"

	"gatehouse/notices"
	"gatehouse/outbox"
)

// Mailbox takes the mails of everybody.
type Mailbox struct {
	mu    sync.Mutex
	mails []notices.Mail
	read  map[string]int // mails of a kind to an address that were read already
}

func newMailbox() *Mailbox { return &Mailbox{read: map[string]int{}} }

// Send fits notices.Sender.
func (m *Mailbox) Send(_ context.Context, mail notices.Mail) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.mails = append(m.mails, mail)
	return nil
}

// All lists the mails of a kind to an address, oldest first; "" is any kind.
func (m *Mailbox) All(email string, kind outbox.Kind) []notices.Mail {
	m.mu.Lock()
	defer m.mu.Unlock()
	var all []notices.Mail
	for _, mail := range m.mails {
		if strings.Contains(mail.To, email) && (kind == "" || mail.Kind == kind) {
			all = append(all, mail)
		}
	}
	return all
}

// next hands out each mail of a kind to an address once, in order.
func (m *Mailbox) next(email string, kind outbox.Kind) (notices.Mail, bool) {
	all := m.All(email, kind)
	m.mu.Lock()
	defer m.mu.Unlock()
	key := email + " " + string(kind)
	if m.read[key] >= len(all) {
		return notices.Mail{}, false
	}
	m.read[key]++
	return all[m.read[key]-1], true
}

// Mail waits for the next mail of a kind to an address.
func (h *House) Mail(email string, kind outbox.Kind) notices.Mail {
	h.T.Helper()
	h.lit("mails")
	var mail notices.Mail
	h.Eventually("a mail "+string(kind)+" to "+email, func() (ok bool) {
		mail, ok = h.Mailbox.next(email, kind)
		return ok
	})
	return mail
}

// Link waits for the next mail of a kind to an address and returns the token of
// its link, which must be under the configured origin.
func (h *House) Link(email string, kind outbox.Kind) string {
	h.T.Helper()
	mail := h.Mail(email, kind)
	token := TokenIn(mail)
	if token == "" {
		h.T.Fatalf("no link of ours in the mail: %q", mail.Text)
	}
	return h.Secret("the token of a mailed link", token)
}

// LinkNow is Link where nothing runs beside the requests: the mails of this moment
// are sent, and no others.
func (h *House) LinkNow(email string, kind outbox.Kind) string {
	h.T.Helper()
	ctx, stop := context.WithCancel(h.T.Context())
	var wait sync.WaitGroup
	wait.Go(func() { h.Deliver.Run(ctx) })
	token := h.Link(email, kind)
	stop()
	wait.Wait()
	return token
}

// Settled waits until nothing is left to be mailed.
func (h *House) Settled() {
	h.T.Helper()
	h.lit("mails")
	h.Eventually("an empty outbox", func() bool { return h.Count("outbox", "sent_at IS NULL AND given_up = 0 AND kind <> 'void'") == 0 })
}

// TokenIn is the token of the link in a mail; "" when it holds none.
func TokenIn(mail notices.Mail) string {
	_, token, _ := strings.Cut(mail.Text, Origin+"/link/")
	if end := strings.IndexAny(token, " \r\n\t>"); end >= 0 {
		token = token[:end]
	}
	return token
}
