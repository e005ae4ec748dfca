package hooks

import (
	"context"
	"regexp"
	"time"

	"gatehouse/events"
	"gatehouse/id"
	"gatehouse/outbox"
	"gatehouse/seal"
	"gatehouse/store"
)

// LongestOverlap bounds how long an old secret signs beside a new one.
const LongestOverlap = 30 * 24 * time.Hour

var goodName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9.-]{0,39}$`)

// New is what an operator says of a receiver.
type New struct {
	Name         string
	URL          string
	Kinds        []string
	Organisation id.Organisation
}

// idOf makes a receiver's id from its name, so that a name exists once.
func idOf(name string) id.Hook { return id.Derive[id.Hook]("hook", name) }

// Add makes a receiver, on from now, and tells its secret: the only time it is told.
func (h *Hooks) Add(ctx context.Context, n New, actor string) (Hook, seal.Secret, error) {
	switch {
	case !goodName.MatchString(n.Name):
		return Hook{}, "", ErrName
	case !goodKinds(n.Kinds):
		return Hook{}, "", ErrKinds
	}
	if err := checkURL(n.URL, h.Door.allowed); err != nil {
		return Hook{}, "", err
	}
	k := Hook{ID: idOf(n.Name), Organisation: n.Organisation, Name: n.Name, URL: n.URL, Kinds: n.Kinds, State: On, MadeAt: h.Now()}
	first, err := h.reseal(&k, nil, 0)
	if err != nil {
		return k, "", err
	}
	return k, first, h.Store.Background(ctx, func(tx *store.Tx) error { return h.insert(tx, k, actor) })
}

func (h *Hooks) insert(tx *store.Tx, k Hook, actor string) error {
	n, err := countHooks(tx)
	if err == nil && n >= Most {
		err = ErrTooMany
	}
	if err != nil {
		return err
	}
	added, err := insert(tx, k)
	if err == nil && !added {
		err = ErrTaken
	}
	if err != nil {
		return err
	}
	return h.record(tx, events.HookAdded, k, actor, nil)
}

// reseal puts a new secret in front of those of k and returns it.
func (h *Hooks) reseal(k *Hook, old []secret, overlap time.Duration) (seal.Secret, error) {
	fresh, err := newSecret(h.Rand, h.Now())
	if err != nil {
		return "", err
	}
	k.sealed, err = closeSecrets(h.Keys, k.ID, rotated(old, fresh, h.Now(), overlap))
	return seal.Secret(fresh.Text), err
}

// Rotate gives a receiver a new secret; the old ones sign beside it until overlap
// has passed. Zero ends them at once, for a secret that has leaked.
func (h *Hooks) Rotate(ctx context.Context, name string, overlap time.Duration, actor string) (fresh seal.Secret, err error) {
	overlap = min(max(overlap, 0), LongestOverlap)
	err = h.change(ctx, name, func(tx *store.Tx, k *Hook) error {
		old, err := openSecrets(h.Keys, k.ID, k.sealed)
		if err != nil && overlap > 0 {
			return err // with no overlap, what does not open is left behind
		}
		if fresh, err = h.reseal(k, old, overlap); err != nil {
			return err
		}
		return h.record(tx, events.HookRotated, *k, actor, map[string]string{"overlap": overlap.String()})
	})
	return fresh, err
}

// Switch turns a receiver on or off. What waits for one that is off is given up;
// Replay sends it later.
func (h *Hooks) Switch(ctx context.Context, name string, to State, actor string) error {
	return h.change(ctx, name, func(tx *store.Tx, k *Hook) error { return h.turn(tx, k, to, actor) })
}

func (h *Hooks) turn(tx *store.Tx, k *Hook, to State, actor string) error {
	if k.State == to {
		return nil
	}
	k.State = to
	return h.record(tx, events.HookSwitched, *k, actor, map[string]string{"state": string(to)})
}

// retire turns a receiver off that said it wants no more.
func (h *Hooks) retire(ctx context.Context, k Hook) {
	if err := h.Switch(ctx, k.Name, Gone, events.System); err != nil {
		h.warn("a receiver that wants no more web-hooks could not be turned off", "hook", k.Name, "error", err)
	}
}

// change reads a receiver with its row held, and writes what do made of it.
func (h *Hooks) change(ctx context.Context, name string, do func(*store.Tx, *Hook) error) error {
	return h.Store.Background(ctx, func(tx *store.Tx) error {
		k, err := selectHook(tx, idOf(name), tx.ForUpdate())
		if err != nil {
			return err
		}
		if err := do(tx, &k); err != nil {
			return err
		}
		return update(tx, k)
	})
}

func (h *Hooks) record(tx *store.Tx, kind events.Kind, k Hook, actor string, more map[string]string) error {
	codes := map[string]string{"hook": string(k.ID), "name": k.Name}
	for field, code := range more {
		codes[field] = code
	}
	_, err := h.Log.Append(tx, events.Event{Kind: kind, Organisation: k.Organisation, Actor: actor, Data: codes})
	return err
}

// Listed is a receiver and how its calls stand.
type Listed struct {
	Hook
	outbox.Crowd
}

// List gives every receiver, by name.
func (h *Hooks) List(ctx context.Context) (all []Listed, err error) {
	err = h.Store.BackgroundRead(ctx, func(tx *store.Tx) error {
		found, err := selectAll(tx)
		if err != nil {
			return err
		}
		crowds, err := outbox.Crowds(tx, outbox.Hooks)
		all = make([]Listed, len(found))
		for i, k := range found {
			all[i] = Listed{k, crowds[string(k.ID)]}
		}
		return err
	})
	return all, err
}

// Secrets tells how many secrets of a receiver sign now, and until when the
// oldest of them does; the zero time when there is one only.
func (h *Hooks) Secrets(k Hook) (n int, until time.Time, err error) {
	all, err := openSecrets(h.Keys, k.ID, k.sealed)
	if err != nil {
		return 0, until, err
	}
	for _, s := range living(all, h.Now()) {
		n++
		if s.Until.After(until) {
			until = s.Until
		}
	}
	return n, until, nil
}

// Test calls a receiver now, with an event that never happened, and says how it
// went. It works on one that is off.
func (h *Hooks) Test(ctx context.Context, name string) (k Hook, a Answer, err error) {
	err = h.Store.BackgroundRead(ctx, func(tx *store.Tx) error {
		k, err = selectHook(tx, idOf(name), "")
		return err
	})
	if err != nil {
		return k, a, err
	}
	event := id.New[id.Event](h.Now(), h.Rand)
	body, err := testPayload(h.Now(), event)
	if err != nil {
		return k, a, err
	}
	return k, h.call(ctx, k, string(event), body), nil
}
