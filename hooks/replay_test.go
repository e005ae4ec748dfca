package hooks

import (
	"context"
	"errors"
	"testing"
	"time"

	"gatehouse/events"
	"gatehouse/outbox"
	"gatehouse/store"
)

// ends has the first call about e sent, or given up.
func (h house) ends(k Hook, e events.Event, round int, sent bool) {
	h.t.Helper()
	h.do(func(tx *store.Tx) error {
		if sent {
			return outbox.Sent(tx, h.clock.Now(), messageID(k.ID, e.ID, round))
		}
		m := message(k, e)
		m.ID, m.Tries = messageID(k.ID, e.ID, round), 0
		_, err := outbox.Failed(tx, m, outbox.Refused, h.clock.Now().Add(100*time.Hour))
		return err
	})
}

func (h house) replay(w Which) int {
	h.t.Helper()
	n, err := h.Replay(h.t.Context(), "books", w, events.Operator, nil)
	if err != nil {
		h.t.Fatal(err)
	}
	return n
}

func TestFailedCallsAreReplayedAndOthersAreNot(t *testing.T) {
	each(t, func(h house) {
		k, _ := h.add("books", "https://example.com/", "signin.*")
		sent, failed, waits := h.happens(events.SignedIn, ""), h.happens(events.SignedIn, ""), h.happens(events.SignedIn, "")
		h.happens(events.SessionEnded, "") // not asked for
		h.ends(k, sent, 0, true)
		h.ends(k, failed, 0, false)
		if all, err := h.List(h.t.Context()); err != nil || all[0].Waiting != 1 || all[0].GivenUp != 1 || !all[0].Since.Equal(h.clock.Now()) {
			h.t.Errorf("listed as %+v, %v", all, err)
		}
		if n := h.replay(Which{Failed: true}); n != 1 {
			h.t.Errorf("%d were replayed", n)
		}
		if h.fate(k, sent, 1) != outbox.Unknown || h.fate(k, failed, 1) != outbox.Waiting || h.fate(k, waits, 1) != outbox.Unknown {
			h.t.Error("the wrong one was replayed")
		}
		if n := h.replay(Which{Failed: true}); n != 0 {
			h.t.Errorf("replayed again while it waits: %d", n)
		}
		h.ends(k, failed, 1, false)
		if n := h.replay(Which{Failed: true}); n != 1 || h.fate(k, failed, 2) != outbox.Waiting {
			h.t.Errorf("failed twice, replayed %d", n)
		}
		h.ends(k, failed, 2, true)
		if n := h.replay(Which{Failed: true}); n != 0 {
			h.t.Errorf("taken at last, and replayed %d", n)
		}
	})
}

func TestEverythingSinceATimeIsReplayed(t *testing.T) {
	each(t, func(h house) {
		k, _ := h.add("books", "https://example.com/", "*")
		before := h.happens(events.SignedIn, "")
		h.ends(k, before, 0, true)
		h.clock.Forward(time.Hour)
		since := h.clock.Now()
		var all []events.Event
		for range page + 3 {
			all = append(all, h.happens(events.SessionEnded, ""))
		}
		h.ends(k, all[0], 0, true)
		h.ends(k, all[page+1], 0, true)
		var at, end int64
		n, err := h.Replay(h.t.Context(), "books", Which{Since: since}, events.Operator, func(a, e int64) {
			if a <= at || a > e {
				h.t.Errorf("progress went from %d to %d of %d", at, a, e)
			}
			at, end = a, e
		})
		if err != nil || n != 2 || at != end {
			h.t.Errorf("%d were replayed, %v; at %d of %d", n, err, at, end)
		}
		if h.fate(k, before, 1) != outbox.Unknown || h.fate(k, all[page+1], 1) != outbox.Waiting {
			h.t.Error("the wrong ones were replayed")
		}
	})
}

func TestOneEventIsReplayedByItsIdUnderTheSameWebhookId(t *testing.T) {
	each(t, func(h house) {
		r := receive(h.t, fine)
		h.trust(r)
		k, _ := h.add("books", r.URL, "signin.refused")
		e := h.happens(events.SignedIn, "") // not even asked for: an operator who names it means it
		if n := h.replay(Which{Event: e.ID}); n != 1 {
			h.t.Fatalf("%d were replayed", n)
		}
		m := message(k, e)
		if class := h.Send(h.t.Context(), m); class != outbox.Done || r.got()[0].header.Get(headerID) != string(e.ID) {
			h.t.Errorf("%q", class)
		}
	})
}

func TestAReplayThatCannotBeIsRefused(t *testing.T) {
	each(t, func(h house) {
		h.add("books", "https://example.com/", "*")
		h.add("off", "https://example.com/", "*")
		if err := h.Switch(h.t.Context(), "off", Off, events.Operator); err != nil {
			h.t.Fatal(err)
		}
		e := h.happens(events.SignedIn, "")
		for name, row := range map[string]struct {
			hook  string
			which Which
			want  error
		}{
			"nobody":          {"nobody", Which{Event: e.ID}, ErrNoHook},
			"one that is off": {"off", Which{Event: e.ID}, ErrOff},
			"no such event":   {"books", Which{Event: "0199f000-0000-7000-8000-0000000000ff"}, ErrNoEvent},
		} {
			if _, err := h.Replay(h.t.Context(), row.hook, row.which, events.Operator, nil); !errors.Is(err, row.want) {
				h.t.Errorf("%s: %v", name, err)
			}
		}
	})
}

func TestAReplayThatWasBrokenOffGoesOnWhereNothingWaitsYet(t *testing.T) {
	h := one(t)
	k, _ := h.add("books", "https://example.com/", "*")
	var all []events.Event
	for range 2 * page {
		e := h.happens(events.SessionEnded, "")
		h.ends(k, e, 0, true)
		all = append(all, e)
	}
	ctx, cancel := context.WithCancel(t.Context())
	first, err := h.Replay(ctx, "books", Which{Since: time.Unix(0, 0)}, events.Operator, func(int64, int64) { cancel() })
	if err == nil || first == 0 || first == len(all) {
		t.Fatalf("%d, %v", first, err)
	}
	rest := h.replay(Which{Since: time.Unix(0, 0)})
	if first+rest != len(all) {
		t.Errorf("%d and %d of %d", first, rest, len(all))
	}
}

func TestAGivenUpCallIsRecordedWithItsReceiver(t *testing.T) {
	each(t, func(h house) {
		k, _ := h.add("books", "https://example.com/", "*")
		e := h.happens(events.SignedIn, "")
		h.ends(k, e, 0, false)
		var last events.Event
		h.do(func(tx *store.Tx) error {
			if err := h.GivenUp(tx, outbox.Past{ID: messageID(k.ID, e.ID, 0), Kind: outbox.Hook, Tries: 7, Why: outbox.Refused}); err != nil {
				return err
			}
			found, err := h.Log.After(tx, e.Position, 10)
			if err == nil {
				last = found[len(found)-1]
			}
			return err
		})
		if last.Kind != events.HookGivenUp || last.Data["error"] != "refused" || last.Data["tries"] != "7" {
			h.t.Errorf("%+v", last)
		}
	})
}
