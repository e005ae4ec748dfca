package house

import (
	"context"
	"crypto/rand"
	"log/slog"

	"gatehouse/deliver"
	"gatehouse/outbox"
)

// delivery empties the outbox into the mailbox, as cmd/gatehouse does.
func (h *House) delivery(logger *slog.Logger) *deliver.Deliverer {
	return &deliver.Deliverer{
		Store: h.Store, Keys: h.Keys, Now: h.Clock.Now, Rand: rand.Reader, Logger: logger,
		Channels: []deliver.Channel{{
			Name: outbox.Mail, Workers: 4, Shared: true, GivenUp: h.Notices.GivenUp,
			Send: func(ctx context.Context, m outbox.Message) outbox.Class { return h.Notices.Deliver(ctx, h.Mailbox, m) },
		}},
	}
}
