package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"gatehouse/authenticators"
	"gatehouse/events"
	"gatehouse/manage"
	"gatehouse/outbox"
	"gatehouse/proof"
	"gatehouse/texts"
	"gatehouse/tokens"
)

// letterBoxKind is the provider of text messages that a demo has: no setting names it.
const letterBoxKind = "letter-box"

// demoCountries are those whose numbers a demo takes; nothing is sent to any.
var demoCountries = []string{"PT", "GB", "DE", "US", "AU", "NZ"}

// boxed lets text messages and calls of a demo land beside its mails, unless the
// configuration names somebody who sends them.
func (l *Loaded) boxed() {
	if l.TextKind != "" || l.MailFolder == "" {
		return
	}
	l.TextKind, l.TextURL = letterBoxKind, l.MailFolder
	if len(l.TextCountries) == 0 {
		l.TextCountries = demoCountries
	}
}

// letterBox writes text messages and calls into a folder instead of sending them.
// Whoever reads it can sign in with them, as with the mails there.
type letterBox struct {
	label, dir string
	now        func() time.Time
}

func (b *letterBox) Name() string { return b.label }

func (b *letterBox) Try(context.Context) outbox.Class { return outbox.Done }

// Send writes a message to a file of its own and to 0-latest.txt.
func (b *letterBox) Send(_ context.Context, m texts.Message) outbox.Class {
	what, said := "Text message", m.Text.Reveal()
	if m.Way == proof.Voice {
		what, said = "Call", fmt.Sprintf("%s %s. %s %[2]s.", said, m.Digits.Reveal(), m.Again)
	}
	at := b.now()
	text := fmt.Appendf(nil, "To:      %s\nDate:    %s\n%s:\n\n%s\n", m.To.Reveal(), at.Format(time.RFC1123Z), what, said)
	name := at.UTC().Format("2006-01-02T150405.000000Z") + "-" + string(m.Way) + ".txt"
	if os.MkdirAll(b.dir, 0o700) != nil {
		return outbox.Unreachable
	}
	for _, file := range []string{name, "0-latest.txt"} {
		if os.WriteFile(filepath.Join(b.dir, file), text, 0o600) != nil {
			return outbox.Unreachable
		}
	}
	return outbox.Done
}

// demoTokens is the file of the demo's hardware code tokens, and demoSerial the one
// that waits for its owner to add it.
const (
	demoTokens = "tokens.csv"
	demoSerial = "HB-1001"
)

// stockTokens makes two tokens, takes them into stock, and gives one to somebody.
func stockTokens(ctx context.Context, dir string, h *house, owner string) error {
	button, err := authenticators.NewTOTPSecret(rand.Reader)
	if err != nil {
		return err
	}
	clock, err := authenticators.NewTOTPSecret(rand.Reader)
	if err != nil {
		return err
	}
	file := fmt.Appendf(nil, "serial,type,encoding,secret\n%s,hotp,base32,%s\nHB-1002,totp,base32,%s\n", demoSerial, button.Reveal(), clock.Reveal())
	if err := os.WriteFile(filepath.Join(dir, demoTokens), file, 0o600); err != nil {
		return err
	}
	from, err := tokens.ReadCSV(bytes.NewReader(file))
	if err != nil {
		return err
	}
	if _, err := h.manage.ImportTokens(ctx, from, true, events.Operator, nil); err != nil {
		return err
	}
	_, err = h.manage.AssignToken(ctx, manage.TokenRef{Serial: demoSerial}, owner, "", events.Operator)
	return err
}

// demoSecret is the secret of the demo's token, for oathtool; "" where a demo of an
// older build has none.
func demoSecret(dir string) string {
	text, err := os.ReadFile(filepath.Join(dir, demoTokens))
	if err != nil {
		return ""
	}
	_, row, _ := bytes.Cut(text, []byte("\n"+demoSerial+",hotp,base32,"))
	secret, _, _ := bytes.Cut(row, []byte("\n"))
	return string(secret)
}
