package sessions_test

import (
	"crypto/rand"
	"net/netip"
	"slices"
	"testing"
	"time"

	"gatehouse/fault"
	"gatehouse/id"
	"gatehouse/proof"
	"gatehouse/seal"
	"gatehouse/sessions"
	"gatehouse/store"
	"gatehouse/store/storetest"
)

func newKeys(t testing.TB) *seal.Keys {
	t.Helper()
	dir := t.TempDir() + "/keys"
	if err := seal.InitKeys(dir); err != nil {
		t.Fatal(err)
	}
	keys, err := seal.LoadKeys(dir)
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

var noon = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

func made[T ~string](now time.Time) T { return id.New[T](now, rand.Reader) }

// both are the proofs of a full sign-in.
func both(now time.Time) []proof.Proof {
	return []proof.Proof{{Method: proof.Password, Authenticator: string(made[id.Authenticator](now)), Version: 1, At: now},
		{Method: proof.TOTP, Authenticator: string(made[id.Authenticator](now)), Version: 1, At: now, Step: 7}}
}

func ticket(now time.Time) sessions.Ticket {
	return sessions.NewTicket(made[id.Session](now), made[id.Account](now), 3, made[id.Device](now), both(now), sessions.DefaultPolicy(), now)
}

func sealed(t testing.TB, keys *seal.Keys, tk sessions.Ticket) string {
	t.Helper()
	text, err := tk.Seal(keys)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestACheck(t *testing.T) {
	keys, foreign := newKeys(t), newKeys(t)
	p := sessions.DefaultPolicy()
	good := ticket(noon)
	one := good
	one.Proofs = one.Proofs[:1]
	elsewhere := sealed(t, foreign, good)
	attempt, _ := keys.SealToken(seal.Attempt, "", noon.Add(time.Hour), []byte("{}"))
	empty, _ := keys.SealToken(seal.Ticket, "", noon.Add(time.Hour), []byte("{}"))
	of := func(rs ...sessions.Revocation) []sessions.Revocation { return rs }
	session := func(s id.Session) sessions.Revocation {
		return sessions.Revocation{Kind: sessions.OfSession, Subject: string(s), Until: good.AbsoluteUntil}
	}
	account := func(a id.Account, epoch int64) sessions.Revocation {
		return sessions.Revocation{Kind: sessions.OfAccount, Subject: string(a), Epoch: epoch, Until: good.AbsoluteUntil}
	}
	for _, c := range []struct {
		name    string
		token   string
		at      time.Time
		revoked []sessions.Revocation
		want    fault.Code
	}{
		{"a good ticket", sealed(t, keys, good), noon, nil, ""},
		{"no ticket", "", noon, nil, fault.NotSignedIn},
		{"of another house", elsewhere, noon, nil, fault.NotSignedIn},
		{"something else we sealed", attempt, noon, nil, fault.NotSignedIn},
		{"a ticket with nothing in it", empty, noon, nil, fault.NotSignedIn},
		{"a ticket on one proof, were there such a thing", sealed(t, keys, one), noon, nil, fault.NotSignedIn},
		{"a moment before the idle end", sealed(t, keys, good), noon.Add(p.Idle - time.Microsecond), nil, ""},
		{"at the idle end", sealed(t, keys, good), noon.Add(p.Idle), nil, fault.NotSignedIn},
		{"ended by itself", sealed(t, keys, good), noon, of(session(good.Session)), fault.NotSignedIn},
		{"another session ended", sealed(t, keys, good), noon, of(session(made[id.Session](noon))), ""},
		{"everything before a later epoch ended", sealed(t, keys, good), noon, of(account(good.Account, 4)), fault.NotSignedIn},
		{"everything before its own epoch ended", sealed(t, keys, good), noon, of(account(good.Account, 3)), ""},
		{"somebody else's ended", sealed(t, keys, good), noon, of(account(made[id.Account](noon), 9)), ""},
		{"a later epoch heard of first, then an earlier", sealed(t, keys, good), noon, of(account(good.Account, 4), account(good.Account, 2)), fault.NotSignedIn},
	} {
		t.Run(c.name, func(t *testing.T) {
			checker := &sessions.Checker{Keys: keys, Policy: p}
			checker.Apply(c.revoked)
			got, _, err := checker.Check(c.token, c.at)
			if fault.Of(err) != c.want {
				t.Fatalf("%v, want %q", err, c.want)
			}
			if c.want == "" && (got.Session != good.Session || got.Account != good.Account || !got.AuthTime().Equal(noon)) {
				t.Errorf("%+v", got)
			}
			if c.want != "" && got.Session != "" {
				t.Error("a refused ticket is handed on")
			}
		})
	}
}

func TestANodeThatHasNotLoadedSaysUnavailableNeverNo(t *testing.T) {
	keys := newKeys(t)
	checker := &sessions.Checker{Keys: keys, Policy: sessions.DefaultPolicy()}
	if _, _, err := checker.Check(sealed(t, keys, ticket(noon)), noon); fault.Of(err) != fault.Unavailable || checker.Loaded() {
		t.Errorf("%v", err)
	}
	checker.Apply(nil)
	if _, _, err := checker.Check(sealed(t, keys, ticket(noon)), noon); err != nil || !checker.Loaded() {
		t.Errorf("loaded: %v", err)
	}
}

func TestUseMovesTheIdleEndAndNeverTheAbsoluteOne(t *testing.T) {
	keys := newKeys(t)
	p := sessions.DefaultPolicy()
	checker := &sessions.Checker{Keys: keys, Policy: p}
	checker.Apply(nil)
	first := ticket(noon)
	token := sealed(t, keys, first)
	if _, renewed, err := checker.Check(token, noon.Add(time.Second)); err != nil || renewed != "" {
		t.Errorf("a second later: renewed %v, %v", renewed != "", err)
	}
	now := noon
	for now.Before(first.AbsoluteUntil) {
		tk, renewed, err := checker.Check(token, now)
		if err != nil {
			t.Fatalf("after %v: %v", now.Sub(noon), err)
		}
		if tk.IdleUntil.After(first.AbsoluteUntil) || !tk.AbsoluteUntil.Equal(first.AbsoluteUntil) || !tk.AuthTime().Equal(noon) {
			t.Fatalf("after %v: %+v", now.Sub(noon), tk)
		}
		if renewed != "" {
			token = renewed
		}
		now = now.Add(p.Idle - time.Second)
	}
	if _, _, err := checker.Check(token, first.AbsoluteUntil); fault.Of(err) != fault.NotSignedIn {
		t.Errorf("past its absolute end: %v", err)
	}
}

func TestForgettingNeverLetsARevokedTicketBackIn(t *testing.T) {
	keys := newKeys(t)
	checker := &sessions.Checker{Keys: keys, Policy: sessions.DefaultPolicy()}
	gone, old := ticket(noon), ticket(noon)
	checker.Apply([]sessions.Revocation{{Kind: sessions.OfSession, Subject: string(gone.Session), Until: gone.AbsoluteUntil},
		{Kind: sessions.OfAccount, Subject: string(old.Account), Epoch: 4, Until: old.AbsoluteUntil}})
	for at := noon; !at.After(gone.AbsoluteUntil); at = at.Add(10 * time.Minute) {
		checker.Forget(at)
		for _, tk := range []sessions.Ticket{gone, old} { // however lately its idle end was moved
			tk.IdleUntil = tk.AbsoluteUntil
			if _, _, err := checker.Check(sealed(t, keys, tk), at); fault.Of(err) != fault.NotSignedIn {
				t.Fatalf("after %v: %v", at.Sub(noon), err)
			}
		}
	}
	if !checker.Loaded() {
		t.Error("forgot that it was loaded")
	}
}

func TestWhoWasSeenIsHandedOverOnce(t *testing.T) {
	keys := newKeys(t)
	checker := &sessions.Checker{Keys: keys, Policy: sessions.DefaultPolicy()}
	checker.Apply(nil)
	tk := ticket(noon)
	for _, at := range []time.Time{noon, noon.Add(time.Second)} {
		if _, _, err := checker.Check(sealed(t, keys, tk), at); err != nil {
			t.Fatal(err)
		}
	}
	if got := checker.Touched(); len(got) != 1 || !got[tk.Session].Equal(noon.Add(time.Second)) {
		t.Errorf("%v", got)
	}
	if got := checker.Touched(); len(got) != 0 {
		t.Errorf("handed over twice: %v", got)
	}
}

// each runs fn on every database, at noon.
func each(t *testing.T, fn func(t *testing.T, s *store.Store, clock *storetest.Clock, keys *seal.Keys)) {
	t.Helper()
	clock := storetest.NewClock()
	storetest.EachWith(t, func(o *store.Options) { o.Now = clock.Now; clock.Set(noon) }, func(t *testing.T, s *store.Store) { fn(t, s, clock, newKeys(t)) })
}

func do(t testing.TB, s *store.Store, fn func(*store.Tx) error) {
	t.Helper()
	if err := s.Do(t.Context(), fn); err != nil {
		t.Fatal(err)
	}
}

func TestTheRowBesideTheTicket(t *testing.T) {
	each(t, func(t *testing.T, s *store.Store, clock *storetest.Clock, keys *seal.Keys) {
		tk, attempt := ticket(noon), made[id.Attempt](noon)
		seen := sessions.Seen{Network: "192.0.2.1", Agent: "a browser", Place: "Linz"}
		do(t, s, func(tx *store.Tx) error { return sessions.Insert(tx, keys, tk, attempt, seen) })
		do(t, s, func(tx *store.Tx) error {
			got, found, err := sessions.ByAttempt(tx, keys, attempt)
			if err != nil || !found || got.ID != tk.Session || got.Seen != seen || !slices.Equal(got.Proofs, tk.Proofs) || !got.EndedAt.IsZero() || !got.MadeAt.Equal(noon) {
				t.Errorf("%+v %v %v", got, found, err)
			}
			if _, found, err := sessions.ByAttempt(tx, keys, made[id.Attempt](noon)); found || err != nil {
				t.Errorf("another attempt: %v %v", found, err)
			}
			return nil
		})
		second := ticket(noon)
		err := s.Do(t.Context(), func(tx *store.Tx) error { return sessions.Insert(tx, keys, second, attempt, seen) })
		if !store.IsUnique(err) {
			t.Errorf("an attempt opened a second session: %v", err)
		}
		do(t, s, func(tx *store.Tx) error {
			live, err := sessions.Live(tx, keys, tk.Account, tk.Epoch, noon, 30*time.Minute)
			if err != nil || len(live) != 1 {
				t.Errorf("%d live, %v", len(live), err)
			}
			live, err = sessions.Live(tx, keys, tk.Account, tk.Epoch+1, noon, 30*time.Minute)
			if err != nil || len(live) != 0 {
				t.Errorf("%d live of a later epoch, %v", len(live), err)
			}
			return sessions.Touch(tx, map[id.Session]time.Time{tk.Session: noon.Add(time.Minute)})
		})
		do(t, s, func(tx *store.Tx) error { return sessions.Touch(tx, map[id.Session]time.Time{tk.Session: noon}) })
		do(t, s, func(tx *store.Tx) error {
			got, _, err := sessions.ByAttempt(tx, keys, attempt)
			if !got.LastUsedAt.Equal(noon.Add(time.Minute)) {
				t.Errorf("last used went back to %v", got.LastUsedAt)
			}
			return err
		})
	})
}

func TestEndingIsForOnesOwnAndOnce(t *testing.T) {
	each(t, func(t *testing.T, s *store.Store, clock *storetest.Clock, keys *seal.Keys) {
		tk := ticket(noon)
		do(t, s, func(tx *store.Tx) error {
			return sessions.Insert(tx, keys, tk, made[id.Attempt](noon), sessions.Seen{})
		})
		end := func(a id.Account) (r *sessions.Revocation) {
			do(t, s, func(tx *store.Tx) (err error) {
				r, err = sessions.End(tx, a, tk.Session, tk.AbsoluteUntil, "by-person")
				return err
			})
			return r
		}
		lives := func() (l bool) {
			do(t, s, func(tx *store.Tx) (err error) { l, err = sessions.Lives(tx, tk.Account, tk.Session); return err })
			return l
		}
		if r := end(made[id.Account](noon)); r != nil || !lives() {
			t.Error("somebody else ended it")
		}
		if r := end(tk.Account); r == nil || r.Subject != string(tk.Session) || !r.Until.Equal(tk.AbsoluteUntil) || lives() {
			t.Errorf("%+v", r)
		}
		if r := end(tk.Account); r != nil {
			t.Error("ended twice")
		}
		do(t, s, func(tx *store.Tx) error {
			rs, err := sessions.Revocations(tx, time.Time{})
			if err != nil || len(rs) != 1 || rs[0].Kind != sessions.OfSession || rs[0].Subject != string(tk.Session) {
				t.Errorf("%+v %v", rs, err)
			}
			if rs, err := sessions.Revocations(tx, noon.Add(time.Microsecond)); err != nil || len(rs) != 0 {
				t.Errorf("since later: %+v %v", rs, err)
			}
			return nil
		})
		clock.Set(tk.AbsoluteUntil)
		do(t, s, func(tx *store.Tx) error {
			rs, err := sessions.Revocations(tx, time.Time{})
			if err != nil || len(rs) != 0 {
				t.Errorf("one that no longer matters: %+v %v", rs, err)
			}
			return nil
		})
	})
}

func TestEndingAllSparesALaterEpochAndRevocationsOnlyGrow(t *testing.T) {
	each(t, func(t *testing.T, s *store.Store, clock *storetest.Clock, keys *seal.Keys) {
		account := made[id.Account](noon)
		for epoch := range int64(4) {
			tk := ticket(noon)
			tk.Account, tk.Epoch = account, epoch
			do(t, s, func(tx *store.Tx) error {
				return sessions.Insert(tx, keys, tk, made[id.Attempt](noon), sessions.Seen{})
			})
		}
		endAll := func(epoch int64, absolute time.Duration) (n int64) {
			do(t, s, func(tx *store.Tx) (err error) {
				_, n, err = sessions.EndAll(tx, account, epoch, absolute, "by-person")
				return err
			})
			return n
		}
		if n := endAll(3, 12*time.Hour); n != 3 {
			t.Errorf("%d ended, want those of epochs 0 to 2", n)
		}
		if n := endAll(2, time.Hour); n != 0 {
			t.Errorf("%d ended twice", n)
		}
		do(t, s, func(tx *store.Tx) error {
			rs, err := sessions.Revocations(tx, time.Time{})
			if err != nil || len(rs) != 1 || rs[0].Epoch != 3 || !rs[0].Until.Equal(noon.Add(12*time.Hour)) {
				t.Errorf("a later word took an earlier back: %+v %v", rs, err)
			}
			return nil
		})
		clock.Forward(24 * time.Hour)
		do(t, s, sessions.Tidy)
		do(t, s, func(tx *store.Tx) error {
			if _, err := sessions.Live(tx, keys, account, 3, noon, time.Hour); err != nil {
				t.Error(err)
			}
			return nil
		})
	})
}

func TestTidyDropsWhatHasBeenOverForAMonth(t *testing.T) {
	each(t, func(t *testing.T, s *store.Store, clock *storetest.Clock, keys *seal.Keys) {
		tk, attempt := ticket(noon), made[id.Attempt](noon)
		do(t, s, func(tx *store.Tx) error { return sessions.Insert(tx, keys, tk, attempt, sessions.Seen{}) })
		there := func() (found bool) {
			do(t, s, sessions.Tidy)
			do(t, s, func(tx *store.Tx) (err error) { _, found, err = sessions.ByAttempt(tx, keys, attempt); return err })
			return found
		}
		clock.Set(noon.AddDate(0, 0, 28))
		if !there() {
			t.Error("gone too early")
		}
		clock.Set(noon.AddDate(0, 1, 2))
		if there() {
			t.Error("still there")
		}
	})
}

func TestADeviceIsKnownForWhoSignedInOnItOnly(t *testing.T) {
	each(t, func(t *testing.T, s *store.Store, _ *storetest.Clock, _ *seal.Keys) {
		alice, bob := made[id.Account](noon), made[id.Account](noon)
		laptop, phone := made[id.Device](noon), made[id.Device](noon)
		do(t, s, func(tx *store.Tx) error {
			for _, c := range []struct {
				device       id.Device
				account      id.Account
				fresh, first bool
			}{{laptop, alice, true, true}, {laptop, alice, false, false}, {phone, alice, true, false}, {laptop, bob, true, true}} {
				fresh, first, err := sessions.Remember(tx, c.device, c.account)
				if err != nil || fresh != c.fresh || first != c.first {
					t.Errorf("%+v: fresh %v, first %v, %v", c, fresh, first, err)
				}
			}
			for _, c := range []struct {
				device  id.Device
				account id.Account
				want    bool
			}{{laptop, alice, true}, {phone, alice, true}, {laptop, bob, true}, {phone, bob, false}, {"", alice, false}} {
				if got, err := sessions.Known(tx, c.device, c.account); err != nil || got != c.want {
					t.Errorf("%+v: %v %v", c, got, err)
				}
			}
			return nil
		})
	})
}

func TestWhatEventsAndRowsKeepOfWhoAsks(t *testing.T) {
	w := sessions.Who{Device: "d", Network: netip.MustParseAddr("192.0.2.1"), Agent: "a", Place: "Linz"}
	if p := w.Personal(); p["device"] != "d" || p["network"] != "192.0.2.1" || p["agent"] != "a" || p["place"] != "Linz" {
		t.Errorf("%v", p)
	}
	if p := (sessions.Who{}).Personal(); p["network"] != "" || p["place"] != "" {
		t.Errorf("%v", p)
	}
	if s := w.Seen(); s != (sessions.Seen{Network: "192.0.2.1", Agent: "a", Place: "Linz"}) {
		t.Errorf("%v", s)
	}
}
