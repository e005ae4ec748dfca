package deliver

import (
	"context"
	"fmt"
	"time"

	"gatehouse/id"
	"gatehouse/outbox"
	"gatehouse/store"
)

// result is how it went with one message.
type result struct {
	message outbox.Message
	back    bool // it was not tried
	why     outbox.Class
	next    time.Time // of the next try
}

// grace is for the message being handed over when Run is told to end.
const grace = 3 * time.Second

// start sends what the queue holds, as far as there are workers.
func (l *line) start(ctx context.Context) {
	for ctx.Err() == nil {
		c, slow, ok := l.next()
		if !ok {
			return
		}
		l.sending.Go(func() { l.send(ctx, c, slow) })
	}
}

// send hands over a chunk in order, and gives back the rest when its lane fails,
// when Run ends, or when the reservation would not last.
func (l *line) send(ctx context.Context, c chunk, slow bool) {
	defer func() { l.over(slow) }()
	for i, m := range c.messages {
		now := l.Now()
		if ctx.Err() != nil || !l.mayGo(c.lane, now) || now.Sub(c.taken) > outbox.Lease-2*l.Patience || now.Before(c.taken) {
			l.giveBack([]chunk{{messages: c.messages[i:]}})
			return
		}
		why, hung := outbox.Expired, false
		if now.Before(m.Expires) {
			why, slow, hung = l.one(ctx, m, slow)
		}
		l.results <- l.judge(c.lane, m, why, hung)
	}
}

// one sends one message. One that hangs gives its worker's place away.
func (l *line) one(ctx context.Context, m outbox.Message, slow bool) (why outbox.Class, nowSlow, hung bool) {
	ctx, cancel := patient(ctx, l.Patience)
	defer cancel()
	done := make(chan outbox.Class, 1)
	go func() { done <- l.careful(ctx, m) }()
	hangs := time.NewTimer(slowAfter)
	defer hangs.Stop()
	for {
		select {
		case why := <-done:
			return why, slow, hung
		case <-hangs.C:
			hung = true
			slow = slow || l.turnSlow()
		}
	}
}

// careful calls Send: no message ends the process.
func (l *line) careful(ctx context.Context, m outbox.Message) (why outbox.Class) {
	defer func() {
		if what := recover(); what != nil {
			l.warn("sending a message went wrong in a way nobody thought of", "message", string(m.ID), "kind", string(m.Kind), "panic", fmt.Sprint(what))
			why = outbox.Other
		}
	}()
	return l.Send(ctx, m)
}

// patient outlives ctx by a moment: a message cut off in mid-sentence may have
// arrived, and would be sent again.
func patient(ctx context.Context, limit time.Duration) (context.Context, context.CancelFunc) {
	sending, cancel := context.WithTimeout(context.WithoutCancel(ctx), limit)
	stop := context.AfterFunc(ctx, func() { time.AfterFunc(grace, cancel) })
	return sending, func() { stop(); cancel() }
}

// judge says what follows from how it went, for the message and for its lane.
func (l *line) judge(lane string, m outbox.Message, why outbox.Class, hung bool) result {
	now := l.Now()
	r := result{message: m, why: why}
	switch {
	case why == outbox.Done:
		l.went(lane, hung)
	case why.Hopeless():
		r.next = m.Expires
	case why.Recipient():
		r.next = l.fails(lane, now)
	default:
		r.next = now.Add(l.wait(why, m.Tries))
	}
	return r
}

// giveBack has messages that were not tried taken again.
func (l *line) giveBack(chunks []chunk) {
	for _, c := range chunks {
		for _, m := range c.messages {
			l.results <- result{message: m, back: true}
		}
	}
}

// record writes results down, all that have come in together, until the channel
// is closed. It does so also when Run is ending: what has been sent must not be
// sent again.
func (l *line) record(ctx context.Context) {
	for r := range l.results {
		all := l.gather(r)
		for try := 1; ; try++ {
			err := l.write(context.WithoutCancel(ctx), all)
			if err == nil {
				break
			}
			l.warn("how messages went could not be written down", "channel", string(l.Name), "messages", len(all), "error", err.Error())
			if try == tries || ctx.Err() != nil {
				break // they are due again when their reservation is over
			}
			time.Sleep(time.Duration(try) * time.Second)
		}
		l.nudge()
	}
}

// tries of writing results: together less than a reservation lasts.
const tries = 5

// gather adds what else has come in.
func (l *line) gather(first result) []result {
	all := []result{first}
	for len(all) < atOnce {
		select {
		case r, ok := <-l.results:
			if !ok {
				return all
			}
			all = append(all, r)
		default:
			return all
		}
	}
	return all
}

func (l *line) write(ctx context.Context, all []result) error {
	now := l.Now()
	return l.Store.Background(ctx, func(tx *store.Tx) error {
		if err := outbox.Sent(tx, now, sentOf(all)...); err != nil {
			return err
		}
		for _, r := range all {
			if err := l.fail(tx, r); err != nil {
				return err
			}
		}
		return nil
	})
}

func (l *line) fail(tx *store.Tx, r result) error {
	if r.back {
		return outbox.Release(tx, r.message)
	}
	if r.why == outbox.Done {
		return nil
	}
	gone, err := outbox.Failed(tx, r.message, r.why, r.next)
	if err != nil || !gone || l.GivenUp == nil {
		return err
	}
	m := r.message
	return l.GivenUp(tx, outbox.Past{ID: m.ID, Kind: m.Kind, Account: m.Account, Tries: m.Tries, Why: r.why})
}

func sentOf(all []result) (sent []id.Message) {
	for _, r := range all {
		if !r.back && r.why == outbox.Done {
			sent = append(sent, r.message.ID)
		}
	}
	return sent
}
