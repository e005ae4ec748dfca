package flow

import (
	"context"
	"errors"
	"time"

	"gatehouse/accounts"
	"gatehouse/id"
	"gatehouse/limits"
	"gatehouse/sessions"
	"gatehouse/store"
)

// ReadRevocations tells this node's session checker what was revoked since a
// moment; the zero time means all of it. The first success makes the checker answer.
func (f *Flow) ReadRevocations(ctx context.Context, since time.Time) error {
	var found []sessions.Revocation
	asked := f.Now()
	err := f.Store.EssentialRead(ctx, func(tx *store.Tx) (err error) { // nothing secondary may delay a denial
		found, err = sessions.Revocations(tx, since)
		return err
	})
	if err == nil {
		f.Sessions.Heard(found, asked)
	}
	return err
}

// Follower is one round of reading what other nodes revoked; a loop calls it a few
// times a second. Each round reads a while back again, because transactions
// commit late and nodes' clocks differ: a minute every time, now and then an
// hour, and everything every ten minutes, so that even a node whose clock is far
// off throws somebody out. Reading a revocation twice changes nothing. While the
// database is away the set stays as it was (DESIGN §2, T1).
func (f *Flow) Follower() func(context.Context) error {
	var hour, all time.Time // when we last read that far
	return func(ctx context.Context) error {
		now := f.Now()
		since := now.Add(-time.Minute)
		switch {
		case now.Sub(all) >= 10*time.Minute:
			since = time.Time{}
		case now.Sub(hour) >= 20*time.Second:
			since = now.Add(-time.Hour)
		}
		if err := f.ReadRevocations(ctx, since); err != nil {
			return err
		}
		if since.IsZero() {
			all = now
		}
		if now.Sub(since) >= time.Hour {
			hour = now
		}
		return nil
	}
}

// useBatch bounds a background write, so that it never holds a writer for long.
const useBatch = 200

// NoteUse writes when sessions were last used: a display, so it may come late, and
// what cannot be written now is not kept.
func (f *Flow) NoteUse(ctx context.Context) error {
	part := map[id.Session]time.Time{}
	write := func() error {
		if len(part) == 0 {
			return nil
		}
		err := f.Store.Background(ctx, func(tx *store.Tx) error { return sessions.Touch(tx, part) })
		clear(part)
		return err
	}
	for s, at := range f.Sessions.Touched() {
		if part[s] = at; len(part) < useBatch {
			continue
		}
		if err := write(); err != nil {
			return err
		}
	}
	return write()
}

// Tidy frees memory and disk of what is long over. It decides nothing and may fail.
func (f *Flow) Tidy(ctx context.Context) error {
	f.Sessions.Forget(f.Now())
	return f.Store.Background(ctx, func(tx *store.Tx) error { return errors.Join(limits.Tidy(tx), sessions.Tidy(tx), accounts.Tidy(tx)) })
}
