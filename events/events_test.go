package events_test

import (
	"crypto/rand"
	"errors"
	"maps"
	"strings"
	"sync"
	"testing"

	"gatehouse/events"
	"gatehouse/id"
	"gatehouse/seal"
	"gatehouse/store"
	"gatehouse/store/storetest"
)

const (
	ana id.Account = "0199f000-0000-7000-8000-00000000aaaa"
	bob id.Account = "0199f000-0000-7000-8000-00000000bbbb"
)

func keys(t testing.TB) *seal.Keys {
	t.Helper()
	dir := t.TempDir() + "/keys"
	if err := seal.InitKeys(dir); err != nil {
		t.Fatal(err)
	}
	k, err := seal.LoadKeys(dir)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// house is a log on a store, with Ana and Bob introduced.
type house struct {
	t *testing.T
	s *store.Store
	*events.Log
}

func each(t *testing.T, fn func(h house)) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		h := house{t, s, events.New(keys(t), rand.Reader)}
		h.do(func(tx *store.Tx) error {
			return errors.Join(h.Prepare(tx), h.Introduce(tx, ana), h.Introduce(tx, bob))
		})
		fn(h)
	})
}

func (h house) do(fn func(*store.Tx) error) {
	h.t.Helper()
	if err := h.s.Do(h.t.Context(), fn); err != nil {
		h.t.Fatal(err)
	}
}

func (h house) exec(q string, args ...any) {
	h.t.Helper()
	h.do(func(tx *store.Tx) error {
		n, err := tx.Exec(q, args...)
		if err == nil && n == 0 {
			err = errors.New("the statement touched nothing")
		}
		return err
	})
}

func (h house) append(e events.Event) (made id.Event) {
	h.t.Helper()
	h.do(func(tx *store.Tx) (err error) {
		made, err = h.Append(tx, e)
		return err
	})
	return made
}

func (h house) of(account id.Account) (found []events.Event) {
	h.t.Helper()
	h.do(func(tx *store.Tx) (err error) {
		found, err = h.ForAccount(tx, account, 0, 100)
		return err
	})
	return found
}

func signIn(account id.Account, email string) events.Event {
	return events.Event{
		Kind: events.SignedIn, Account: account, Actor: string(account),
		Data:     map[string]string{"method": "password+totp"},
		Personal: map[string]string{"email": email, "network": "203.0.113.7"},
	}
}

func TestAnEventIsReadAsItWasWritten(t *testing.T) {
	each(t, func(h house) {
		e := signIn(ana, "ana@example.com")
		e.Session, e.Attempt, e.Organisation = "s", "a", "o"
		made := h.append(e)
		found := h.of(ana)
		if len(found) != 1 {
			h.t.Fatalf("found %d events", len(found))
		}
		got := found[0]
		if got.ID != made || got.Kind != e.Kind || got.Version != 1 || got.Actor != e.Actor || got.Node != storetest.Node ||
			got.Session != "s" || got.Attempt != "a" || got.Organisation != "o" || got.Position < 1 || got.NodeSeq < 1 || got.MadeAt.IsZero() {
			h.t.Errorf("got %+v", got)
		}
		if !maps.Equal(got.Data, e.Data) || !maps.Equal(got.Personal, e.Personal) {
			h.t.Errorf("got data %v and personal %v", got.Data, got.Personal)
		}
	})
}

func TestWhatTheTableDoesNotAllowIsNotWritten(t *testing.T) {
	each(t, func(h house) {
		for name, spoil := range map[string]func(*events.Event){
			"a kind that is not in the table":            func(e *events.Event) { e.Kind = "signin.dreamt" },
			"a data field the kind does not declare":     func(e *events.Event) { e.Data["mood"] = "good" },
			"a personal field the kind does not declare": func(e *events.Event) { e.Personal["shoe-size"] = "41" },
			"an address where codes belong":              func(e *events.Event) { e.Data["method"] = "ana@example.com" },
			"a sentence where codes belong":              func(e *events.Event) { e.Data["method"] = "by hand" },
			"personal data of no account":                func(e *events.Event) { e.Account = "" },
			"an event that nobody did":                   func(e *events.Event) { e.Actor = "" },
			"personal data of an account never seen":     func(e *events.Event) { e.Account = "0199f000-0000-7000-8000-00000000cccc" },
		} {
			e := signIn(ana, "ana@example.com")
			spoil(&e)
			err := h.s.Do(h.t.Context(), func(tx *store.Tx) error {
				_, err := h.Append(tx, e)
				return err
			})
			if err == nil {
				h.t.Errorf("%s was written", name)
			} else if strings.Contains(err.Error(), "ana@") || strings.Contains(err.Error(), "41") {
				h.t.Errorf("%s: the error tells the value: %v", name, err)
			}
		}
		if n := len(h.of(ana)); n != 0 {
			h.t.Errorf("%d events were written", n)
		}
	})
}

func TestAnEventOfARolledBackTransactionDidNotHappen(t *testing.T) {
	each(t, func(h house) {
		ours := errors.New("something else failed")
		err := h.s.Do(h.t.Context(), func(tx *store.Tx) error {
			if _, err := h.Append(tx, signIn(ana, "ana@example.com")); err != nil {
				return err
			}
			return ours
		})
		if !errors.Is(err, ours) || len(h.of(ana)) != 0 {
			h.t.Errorf("error %v, %d events", err, len(h.of(ana)))
		}
	})
}

func TestNothingPersonalIsStoredInTheClear(t *testing.T) {
	each(t, func(h house) {
		h.append(signIn(ana, "ana@example.com"))
		h.append(signIn(events.Nobody, "ana@example.com"))
		h.do(func(tx *store.Tx) error {
			rows, err := tx.Rows(`SELECT data, personal FROM events`)
			if err != nil {
				return err
			}
			defer rows.Close()
			seen := 0
			for ; rows.Next(); seen++ {
				var data string
				var personal []byte
				if err := rows.Scan(&data, &personal); err != nil {
					return err
				}
				if len(personal) == 0 || strings.Contains(data+string(personal), "ana@") || strings.Contains(data+string(personal), "203.0") {
					h.t.Errorf("stored: %s %q", data, personal)
				}
			}
			if seen != 2 {
				h.t.Errorf("looked at %d rows", seen)
			}
			return rows.Err()
		})
	})
}

func TestErasingAPersonLeavesTheLogWhole(t *testing.T) {
	each(t, func(h house) {
		h.append(signIn(ana, "ana@example.com"))
		h.append(signIn(bob, "bob@example.com"))
		h.do(func(tx *store.Tx) error { return h.Forget(tx, ana) })
		h.append(signIn(ana, "ana@example.com"))
		h.do(func(tx *store.Tx) error { return h.Introduce(tx, ana) })
		h.append(signIn(ana, "ana@example.com"))

		found := h.of(ana)
		if len(found) != 3 {
			h.t.Fatalf("found %d events, not 3", len(found))
		}
		for _, e := range found {
			if len(e.Personal) != 0 || e.Data["method"] != "password+totp" {
				h.t.Errorf("got %+v", e)
			}
		}
		if found[2].Hidden != events.Erased {
			h.t.Errorf("the event from before is hidden because %q", found[2].Hidden)
		}
		if others := h.of(bob); others[0].Personal["email"] != "bob@example.com" {
			h.t.Errorf("Bob's is gone too: %+v", others[0])
		}
	})
}

func TestTheDecoyIsNeverErased(t *testing.T) {
	each(t, func(h house) {
		err := h.s.Do(h.t.Context(), func(tx *store.Tx) error { return h.Forget(tx, events.Nobody) })
		if err == nil {
			h.t.Error("its key was destroyed")
		}
		h.do(h.Prepare) // a second start
		h.append(signIn(events.Nobody, "who@example.com"))
		if found := h.of(events.Nobody); found[0].Personal["email"] != "who@example.com" {
			h.t.Errorf("got %+v", found[0])
		}
	})
}

func TestPersonalDataOfAnotherEventDoesNotOpen(t *testing.T) {
	each(t, func(h house) {
		first := h.append(signIn(ana, "ana@example.com"))
		second := h.append(signIn(ana, "mallory@example.com"))
		h.exec(`UPDATE events SET personal = (SELECT personal FROM events WHERE id = $1) WHERE id = $2`, string(second), string(first))
		found := h.of(ana)
		if found[1].Hidden != events.Forged || found[1].Personal != nil {
			h.t.Errorf("the copied-over event reads %+v", found[1])
		}
		if found[0].Personal["email"] != "mallory@example.com" {
			h.t.Errorf("the other one reads %+v", found[0])
		}
	})
}

func TestAKeyOfAnotherAccountDoesNotOpen(t *testing.T) {
	each(t, func(h house) {
		h.append(signIn(ana, "ana@example.com"))
		h.exec(`UPDATE account_keys SET sealed = (SELECT sealed FROM account_keys WHERE account = $1) WHERE account = $2`, string(bob), string(ana))
		if found := h.of(ana); found[0].Hidden != events.Forged {
			h.t.Errorf("got %+v", found[0])
		}
	})
}

func TestAReaderParksWhatItDoesNotKnow(t *testing.T) {
	each(t, func(h house) {
		later := h.append(signIn(ana, "ana@example.com"))
		strange := h.append(signIn(ana, "ana@example.com"))
		known := h.append(signIn(ana, "ana@example.com"))
		h.exec(`UPDATE events SET kind_version = 2, data = '[1]' WHERE id = $1`, string(later))
		h.exec(`UPDATE events SET kind = 'moon.landed' WHERE id = $1`, string(strange))
		h.exec(`UPDATE events SET data = '{"method":"password+totp","aura":{"hue":3},"mood":"good"}' WHERE id = $1`, string(known))
		found := h.of(ana)
		if len(found) != 3 || !found[2].Parked || !found[1].Parked || found[0].Parked {
			h.t.Fatalf("got %+v", found)
		}
		if !maps.Equal(found[0].Data, map[string]string{"method": "password+totp"}) {
			h.t.Errorf("unknown fields were kept: %v", found[0].Data)
		}
	})
}

func TestAPageOfHistoryGoesOnWhereTheLastEnded(t *testing.T) {
	each(t, func(h house) {
		for range 5 {
			h.append(signIn(ana, "ana@example.com"))
			h.append(signIn(bob, "bob@example.com"))
		}
		var before int64
		var all []events.Event
		for range 3 {
			h.do(func(tx *store.Tx) error {
				page, err := h.ForAccount(tx, ana, before, 2)
				if err == nil && len(page) > 0 {
					all = append(all, page...)
					before = page[len(page)-1].Position
				}
				return err
			})
		}
		if len(all) != 5 {
			h.t.Fatalf("%d events in three pages", len(all))
		}
		for i := range all[1:] {
			if all[i].Position <= all[i+1].Position || all[i].NodeSeq <= all[i+1].NodeSeq {
				h.t.Errorf("not newest first at %d", i)
			}
		}
		h.do(func(tx *store.Tx) error {
			after, err := h.After(tx, all[0].Position-1, 10)
			if len(after) != 2 || after[0].ID != all[0].ID {
				h.t.Errorf("after: %+v", after)
			}
			return err
		})
	})
}

func TestAVeryTalkativeBrowserKeepsNobodyOut(t *testing.T) {
	each(t, func(h house) {
		e := signIn(ana, "ana@example.com")
		e.Personal["agent"] = strings.Repeat("é", 9000)
		h.append(e)
		if n := len(h.of(ana)[0].Personal["agent"]); n == 0 || n > 512 {
			h.t.Errorf("%d bytes were kept", n)
		}
	})
}

func TestTheSequenceOfANodeGrowsOverARestartAndAmongManyWriters(t *testing.T) {
	each(t, func(h house) {
		h.append(signIn(ana, "ana@example.com"))
		again := events.New(keys(h.t), rand.Reader)
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				for range 5 {
					err := h.s.Do(h.t.Context(), func(tx *store.Tx) error {
						_, err := again.Append(tx, events.Event{Kind: events.AccountLocked, Account: ana, Actor: events.Operator})
						return err
					})
					if err != nil {
						h.t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		seen := map[int64]bool{}
		found := h.of(ana)
		oldest := found[len(found)-1]
		for _, e := range found {
			if seen[e.NodeSeq] || e.NodeSeq < oldest.NodeSeq {
				h.t.Errorf("%d came twice or went back", e.NodeSeq)
			}
			seen[e.NodeSeq] = true
		}
		if len(seen) != 21 {
			h.t.Errorf("%d events", len(seen))
		}
	})
}
