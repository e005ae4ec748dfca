package stories

import (
	"slices"
	"testing"
	"time"

	"gatehouse/authenticators/softkey"
	"gatehouse/events"
	"gatehouse/store"
	"gatehouse/test/house"
)

// Each danger to a passkey has a name of its own in the log; whoever tries is told
// the same sentence whichever it was.
func TestEachDangerToAPasskeyHasItsNameInTheLogAlone(t *testing.T) {
	dangers := []struct {
		reason string
		spoil  softkey.Spoil
	}{
		{"origin", softkey.Spoil{Client: func(c map[string]any) { c["origin"] = "https://harbour-b00ks.example" }}},
		{"framed", softkey.Spoil{Client: func(c map[string]any) { c["crossOrigin"] = true }}},
		{"challenge", softkey.Spoil{Client: func(c map[string]any) { c["challenge"] = "YW5vdGhlciBxdWVzdGlvbiB0aGFuIHRoZSBvbmUgYXNrZWQ" }}},
		{"verification", softkey.Spoil{Auth: func(a *softkey.AuthData) { a.Flags &^= softkey.UV }}},
		{"other-user", softkey.Spoil{Answer: func(_, r map[string]any) { r["userHandle"] = "AZnwAAAAcACAAAAAAAAACg" }}},
		{"signature", badly},
	}
	house.Each(t, func(t *testing.T, h *house.House) {
		ana, key := withPasskey(h, "Ana")
		h.Dark()
		said := map[string]bool{}
		for i, d := range dangers {
			if i%3 == 0 {
				h.Clock.Forward(16 * time.Minute) // the tries are shared with typed codes
			}
			said[ana.Elsewhere("203.0.113.7").ShowsPasskey(key, d.spoil).Says("wrong-passkey").Field("error.sentence")] = true
		}
		if len(said) != 1 {
			t.Errorf("told apart: %v", said)
		}
		h.Light()
		var logged []string
		h.Do(func(tx *store.Tx) error {
			all, err := h.Events.After(tx, 0, 10_000)
			for _, e := range all {
				if e.Kind == events.SignInRefused && e.Account == ana.Account {
					logged = append(logged, e.Data["reason"])
				}
			}
			return err
		})
		for _, d := range dangers {
			if !slices.Contains(logged, d.reason) {
				t.Errorf("%s is not among %v", d.reason, logged)
			}
		}
	})
}
