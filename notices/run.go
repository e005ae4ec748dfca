package notices

import (
	"context"
	"errors"
	"strconv"

	"gatehouse/events"
	"gatehouse/outbox"
	"gatehouse/store"
)

// Deliver words a mail and hands it to the sender, once. What stays behind is its
// class: the server's own words often name the person.
func (n *Notices) Deliver(ctx context.Context, sender Sender, m outbox.Message) outbox.Class {
	if !n.Now().Before(m.Expires) {
		return outbox.Expired
	}
	mail, err := n.Render(m)
	if err != nil {
		n.warn("a mail cannot be worded and is given up", "mail", string(m.Kind), "message", string(m.ID), "error", err.Error())
		return outbox.Unwritable
	}
	if err = sender.Send(ctx, mail); err == nil {
		return outbox.Done
	}
	why := outbox.Other
	var f *Failure
	if errors.As(err, &f) {
		why = f.Class
	}
	n.tell(m, why, err)
	return why
}

// tell logs a failure. The server's words are told only where they are about the
// connection: about a mail, they often name the person.
func (n *Notices) tell(m outbox.Message, why outbox.Class, err error) {
	about := []any{"mail", string(m.Kind), "message", string(m.ID), "try", m.Tries, "why", string(why)}
	if why.Recipient() {
		about = append(about, "error", errors.Unwrap(err))
	}
	n.warn("a mail was not handed over and will be tried again", about...)
}

func (n *Notices) warn(text string, about ...any) {
	if n.Logger != nil {
		n.Logger.Warn(text, about...)
	}
}

// GivenUp records that a mail will never be sent, where its owner can read it.
func (n *Notices) GivenUp(tx *store.Tx, p outbox.Past) error {
	_, err := n.Log.Append(tx, events.Event{
		Kind: events.MailGivenUp, Account: p.Account, Actor: events.System,
		Data: map[string]string{"mail": string(p.Kind), "message": string(p.ID), "error": string(p.Why), "tries": strconv.Itoa(p.Tries)},
	})
	return err
}
