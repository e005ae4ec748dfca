package main

import (
	"context"
	"crypto/rand"

	"gatehouse/deliver"
	"gatehouse/follow"
	"gatehouse/notices"
	"gatehouse/outbox"
)

// openDelivery makes what empties the outbox and what reads the log. Rooms that
// have a channel or a follower add it before the loops start.
func (h *house) openDelivery() error {
	sender, err := h.l.sender()
	if err != nil {
		return err
	}
	h.notices = &notices.Notices{Log: h.log, Origin: h.l.Origin, Product: h.l.Product, Now: h.now, Logger: h.slog}
	h.deliver = &deliver.Deliverer{
		Store: h.store, Keys: h.keys, Now: h.now, Rand: rand.Reader, Logger: h.slog,
		Busy:     func() bool { return h.flow.Busy() },
		Channels: []deliver.Channel{mailChannel(h.notices, sender)},
	}
	h.follow = &follow.Runner{Store: h.store, Log: h.log, Now: h.now, Rand: rand.Reader, Logger: h.slog}
	return nil
}

// mailChannel sends mails: few at once, a connection each.
func mailChannel(n *notices.Notices, sender notices.Sender) deliver.Channel {
	return deliver.Channel{
		Name: outbox.Mail, Workers: 4, Shared: true, GivenUp: n.GivenUp,
		Send: func(ctx context.Context, m outbox.Message) outbox.Class { return n.Deliver(ctx, sender, m) },
	}
}

// startDelivery runs both, once the schema was seen to fit.
func (r *loops) startDelivery(ctx context.Context) {
	r.deliver.Ready, r.follow.Ready = r.ready.Load, r.ready.Load
	r.wait.Go(func() { pausable(ctx, "mail", r.deliver.Run) })
	r.wait.Go(func() { pausable(ctx, "followers", r.follow.Run) })
}
