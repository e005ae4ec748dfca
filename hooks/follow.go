package hooks

import (
	"slices"
	"strconv"
	"strings"

	"gatehouse/events"
	"gatehouse/id"
	"gatehouse/outbox"
	"gatehouse/store"
)

// Follow puts a message for each receiver that asked for e into the outbox. It is
// a follower's InTx: the messages and its place are one transaction. Their ids are
// made of receiver and event, so that a second run writes the same rows.
func (h *Hooks) Follow(tx *store.Tx, e events.Event) error {
	if !leaves(e) {
		return nil
	}
	all, err := selectOn(tx)
	if err != nil {
		return err
	}
	for _, k := range all {
		if !k.wants(e) {
			continue
		}
		if err := h.enqueue(tx, k.ID, e.ID, 0); err != nil {
			return err
		}
	}
	return nil
}

// leaves tells whether an event may be told to anybody. What happens to receivers
// is not: one that is dead would be told for ever that it could not be told.
func leaves(e events.Event) bool { return !strings.HasPrefix(string(e.Kind), "hook.") }

// enqueue puts one call into the outbox.
func (h *Hooks) enqueue(tx *store.Tx, hook id.Hook, event id.Event, round int) error {
	return outbox.Add(tx, h.Keys, outbox.Message{
		ID: messageID(hook, event, round), Kind: outbox.Hook, Lane: string(hook),
		Fields: map[string]string{outbox.HookReceiver: string(hook), outbox.HookEvent: string(event)},
	})
}

func (k Hook) wants(e events.Event) bool {
	if k.Organisation != "" && k.Organisation != e.Organisation {
		return false
	}
	return slices.ContainsFunc(k.Kinds, func(p string) bool { return matches(p, e.Kind) })
}

// matches knows "*", a family as "signin.*", and a kind.
func matches(pattern string, kind events.Kind) bool {
	if family, ok := strings.CutSuffix(pattern, "*"); ok {
		return strings.HasPrefix(string(kind), family)
	}
	return pattern == string(kind)
}

// goodKinds refuses patterns that match no kind of this build.
func goodKinds(patterns []string) bool {
	for _, p := range patterns {
		if strings.Contains(strings.TrimSuffix(p, "*"), "*") || strings.HasSuffix(p, "*") && p != "*" && !strings.HasSuffix(p, ".*") {
			return false
		}
		if !slices.ContainsFunc(events.Kinds(), func(d events.Definition) bool { return matches(p, d.Kind) }) {
			return false
		}
	}
	return len(patterns) > 0
}

// messageID names the call about an event: round 0 is the follower's, each replay
// is one more.
func messageID(hook id.Hook, event id.Event, round int) id.Message {
	return id.Derive[id.Message]("hook", string(hook), string(event), strconv.Itoa(round))
}
