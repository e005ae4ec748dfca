package hooks

import (
	"context"
	"strconv"
	"time"

	"gatehouse/events"
	"gatehouse/id"
	"gatehouse/outbox"
	"gatehouse/store"
)

// Which says what to replay: one event, or all since a time; with Failed only
// those whose last call was given up.
type Which struct {
	Event  id.Event
	Since  time.Time
	Failed bool
}

// page is how many events one transaction of a replay reads.
const page = 200

// Replay puts events into the outbox again for one receiver that is on, however
// their calls went, with the same webhook-id. An event whose call still waits is
// left alone, so that a replay that was broken off can be run again. progress is
// told how far in the log it is, and where the log ended; it may be nil.
func (h *Hooks) Replay(ctx context.Context, name string, w Which, actor string, progress func(at, end int64)) (queued int, err error) {
	k, end, err := h.beginReplay(ctx, name)
	if err != nil {
		return 0, err
	}
	if w.Event != "" {
		queued, err = h.replayOne(ctx, k, w.Event)
	} else {
		queued, err = h.replayLog(ctx, k, w, end, progress)
	}
	if err != nil || queued == 0 {
		return queued, err
	}
	h.nudge()
	return queued, h.Store.Background(ctx, func(tx *store.Tx) error {
		return h.record(tx, events.HookReplayed, k, actor, map[string]string{"count": strconv.Itoa(queued)})
	})
}

func (h *Hooks) beginReplay(ctx context.Context, name string) (k Hook, end int64, err error) {
	err = h.Store.BackgroundRead(ctx, func(tx *store.Tx) error {
		if k, err = selectHook(tx, idOf(name), ""); err != nil {
			return err
		}
		if k.State != On {
			return ErrOff
		}
		end, err = h.lastPosition(tx)
		return err
	})
	return k, end, err
}

// lastPosition finds the end of the log by halving: it is only asked for when
// somebody watches.
func (h *Hooks) lastPosition(tx *store.Tx) (int64, error) {
	after := func(p int64) (bool, error) {
		found, err := h.Log.After(tx, p, 1)
		return len(found) > 0, err
	}
	low, high := int64(0), int64(1)
	for {
		more, err := after(high)
		if err != nil {
			return 0, err
		}
		if !more {
			break
		}
		low, high = high, high*2
	}
	for low < high {
		mid := low + (high-low)/2
		more, err := after(mid)
		if err != nil {
			return 0, err
		}
		if more {
			low = mid + 1
		} else {
			high = mid
		}
	}
	return low, nil
}

func (h *Hooks) replayOne(ctx context.Context, k Hook, event id.Event) (queued int, err error) {
	err = h.Store.Background(ctx, func(tx *store.Tx) error {
		queued = 0
		_, found, err := h.Log.ByID(tx, event)
		if err == nil && !found {
			err = ErrNoEvent
		}
		if err != nil {
			return err
		}
		queued, err = h.again(tx, k, event, false)
		return err
	})
	return queued, err
}

func (h *Hooks) replayLog(ctx context.Context, k Hook, w Which, end int64, progress func(at, end int64)) (queued int, err error) {
	for at := int64(0); at < end; {
		var now int
		err := h.Store.Background(ctx, func(tx *store.Tx) (err error) {
			now, at, err = h.replayPage(tx, k, w, at, end)
			return err
		})
		if err != nil {
			return queued, err
		}
		queued += now
		if progress != nil {
			progress(at, end)
		}
	}
	return queued, nil
}

// replayPage reads a page after a position and returns where it ends.
func (h *Hooks) replayPage(tx *store.Tx, k Hook, w Which, at, end int64) (queued int, next int64, err error) {
	found, err := h.Log.After(tx, at, page)
	if err != nil || len(found) == 0 {
		return 0, end, err
	}
	for _, e := range found {
		if e.MadeAt.Before(w.Since) || e.Parked || !leaves(e) || !k.wants(e) {
			continue
		}
		n, err := h.again(tx, k, e.ID, w.Failed)
		if err != nil {
			return 0, at, err
		}
		queued += n
	}
	return queued, found[len(found)-1].Position, nil
}

// again enqueues the next round of a call; rounds are few, so they are counted by looking.
func (h *Hooks) again(tx *store.Tx, k Hook, event id.Event, failed bool) (int, error) {
	round, last := 0, outbox.Unknown
	for {
		fate, _, err := outbox.FateOf(tx, messageID(k.ID, event, round))
		if err != nil {
			return 0, err
		}
		if fate == outbox.Unknown {
			break
		}
		last = fate
		round++
	}
	if last == outbox.Waiting || failed && last != outbox.GivenUp {
		return 0, nil
	}
	return 1, h.enqueue(tx, k.ID, event, round)
}
