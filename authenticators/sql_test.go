package authenticators

import (
	"crypto/rand"
	"errors"
	"reflect"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"gatehouse/events"
	"gatehouse/id"
	"gatehouse/proof"
	"gatehouse/seal"
	"gatehouse/store"
	"gatehouse/store/storetest"
)

func do(t *testing.T, s *store.Store, fn func(tx *store.Tx) error) {
	t.Helper()
	if err := s.Do(t.Context(), fn); err != nil {
		t.Fatal(err)
	}
}

func load(t *testing.T, s *store.Store, account id.Account) (k Kept) {
	t.Helper()
	do(t, s, func(tx *store.Tx) (err error) {
		k, err = Load(tx, testKeys(t), account)
		return err
	})
	return k
}

func addApp(t *testing.T, s *store.Store, account id.Account, name id.Authenticator, last int64) TOTP {
	t.Helper()
	app := testApp()
	app.ID, app.Account, app.Name, app.LastStep, app.MadeAt, app.Version = name, account, "Phone "+string(name), last, noon, 1
	do(t, s, func(tx *store.Tx) error { return AddTOTP(tx, testKeys(t), app) })
	return app
}

// yes returns what a compare-and-set says in a transaction of its own.
func yes(t *testing.T, s *store.Store, fn func(tx *store.Tx) (bool, error)) (ok bool) {
	t.Helper()
	do(t, s, func(tx *store.Tx) (err error) {
		ok, err = fn(tx)
		return err
	})
	return ok
}

// rivals lets n transactions do the same thing at once and counts who won.
func rivals(t *testing.T, s *store.Store, n int, fn func(tx *store.Tx) (bool, error)) int64 {
	t.Helper()
	var won atomic.Int64
	var all sync.WaitGroup
	start := make(chan struct{})
	for range n {
		all.Go(func() {
			<-start
			var ok bool
			err := s.Do(t.Context(), func(tx *store.Tx) (err error) {
				ok, err = fn(tx)
				return err
			})
			if err != nil {
				t.Error(err)
			}
			if ok {
				won.Add(1)
			}
		})
	}
	close(start)
	all.Wait()
	return won.Load()
}

func TestWhatIsKeptIsLoadedAgain(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		keys := testKeys(t)
		if k := load(t, s, ana); !reflect.DeepEqual(k, Kept{Account: ana}) {
			t.Errorf("an account without anything: %+v", k)
		}
		_, set := testSet(t, keys)
		set.MadeAt, set.Version = noon, 1
		app := addApp(t, s, ana, "a1", 5)
		pw := Password{ID: "p1", Hash: PasswordHash{"phc", 1 << 31}, MadeAt: noon, Version: 1}
		do(t, s, func(tx *store.Tx) error {
			return errors.Join(SetPassword(tx, ana, pw, 0), SetRecoveryCodes(tx, ana, *set))
		})
		want := Kept{Account: ana, Password: &pw, TOTP: []TOTP{app}, Recovery: set}
		if k := load(t, s, ana); !reflect.DeepEqual(k, want) {
			t.Errorf("loaded\n%+v, want\n%+v", k, want)
		}
		if k := load(t, s, ben); k.Password != nil || k.TOTP != nil || k.Recovery != nil {
			t.Errorf("another account sees %+v", k)
		}
	})
}

func TestASealedSecretCopiedToAnotherAppDoesNotOpen(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		addApp(t, s, ana, "a1", 5)
		addApp(t, s, ben, "b1", 5)
		do(t, s, func(tx *store.Tx) error {
			_, err := tx.Exec(`UPDATE totp SET secret = (SELECT o.secret FROM totp o WHERE o.id = 'a1') WHERE id = 'b1'`)
			return err
		})
		err := s.Read(t.Context(), func(tx *store.Tx) error {
			_, err := Load(tx, testKeys(t), ben)
			return err
		})
		if !errors.Is(err, seal.ErrForged) {
			t.Error(err)
		}
	})
}

func TestOfTwoAtTheSameInstantOneGetsTheStep(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		addApp(t, s, ana, "a1", here-1)
		p := proof.Proof{Method: proof.TOTP, Authenticator: "a1", Step: here, Drift: -1}
		if won := rivals(t, s, 16, func(tx *store.Tx) (bool, error) { return AcceptTOTP(tx, p, "attempt") }); won != 1 {
			t.Errorf("%d got in with one code", won)
		}
		app := load(t, s, ana).TOTP[0]
		if app.LastStep != here || app.Drift != -1 || app.LastUsedAt.IsZero() {
			t.Errorf("%+v", app)
		}
	})
}

func TestAStepIsAcceptedOnlyAfterTheLast(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		addApp(t, s, ana, "a1", here)
		for _, row := range []struct {
			name string
			app  string
			step int64
			ok   bool
		}{
			{"the last one again", "a1", here, false},
			{"one before it", "a1", here - 1, false},
			{"the next", "a1", here + 1, true},
			{"the next again", "a1", here + 1, false},
			{"one between two that were used", "a1", here, false},
			{"an app that is gone", "a2", here + 2, false},
			{"a later one", "a1", here + 5, true},
		} {
			p := proof.Proof{Method: proof.TOTP, Authenticator: row.app, Step: row.step}
			if ok := yes(t, s, func(tx *store.Tx) (bool, error) { return AcceptTOTP(tx, p, "attempt") }); ok != row.ok {
				t.Errorf("%s: %v", row.name, ok)
			}
		}
	})
}

// A row of totp_used without the raised last_step is what a hand-over from a
// standby leaves: the natural key alone must refuse the step.
func TestTheNaturalKeyRefusesAStepByItself(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		addApp(t, s, ana, "a1", here-1)
		p := proof.Proof{Method: proof.TOTP, Authenticator: "a1", Step: here}
		do(t, s, func(tx *store.Tx) error {
			_, err := AcceptTOTP(tx, p, "attempt")
			return err
		})
		do(t, s, func(tx *store.Tx) error {
			_, err := tx.Exec(`UPDATE totp SET last_step = $1`, here-1)
			return err
		})
		if yes(t, s, func(tx *store.Tx) (bool, error) { return AcceptTOTP(tx, p, "another") }) {
			t.Error("the step was given away twice")
		}
	})
}

func TestARollbackGivesTheCodeBack(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		addApp(t, s, ana, "a1", here-1)
		p := proof.Proof{Method: proof.TOTP, Authenticator: "a1", Step: here}
		broke := errors.New("the sign-in broke later")
		err := s.Do(t.Context(), func(tx *store.Tx) error {
			if ok, err := AcceptTOTP(tx, p, "attempt"); !ok || err != nil {
				t.Error(ok, err)
			}
			return broke
		})
		if !errors.Is(err, broke) {
			t.Error(err)
		}
		if !yes(t, s, func(tx *store.Tx) (bool, error) { return AcceptTOTP(tx, p, "attempt") }) {
			t.Error("our own failure cost the person their code")
		}
	})
}

func TestOfTwoAtTheSameInstantOneSpendsTheRecoveryCode(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		_, set := testSet(t, testKeys(t))
		do(t, s, func(tx *store.Tx) error { return SetRecoveryCodes(tx, ana, *set) })
		p := proof.Proof{Method: proof.RecoveryCode, Authenticator: "set", Step: 4}
		won := rivals(t, s, 16, func(tx *store.Tx) (bool, error) {
			ok, left, err := SpendRecoveryCode(tx, ana, p, "attempt")
			if left != 9 {
				t.Errorf("%d left", left)
			}
			return ok, err
		})
		if k := load(t, s, ana); won != 1 || RecoveryLeft(k) != 9 || k.Recovery.Slots[4].SpentAt.IsZero() {
			t.Errorf("%d spent it, %d left", won, RecoveryLeft(k))
		}
	})
}

func TestANewSetKillsTheOld(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		keys := testKeys(t)
		codes, old := testSet(t, keys)
		do(t, s, func(tx *store.Tx) error { return SetRecoveryCodes(tx, ana, *old) })
		v, err := New(testHasher(t, keys, quick), keys).Check(t.Context(), proof.RecoveryCode, load(t, s, ana), Shown{Secret: codes[0], Now: noon})
		if err != nil || !v.OK {
			t.Fatal(v, err)
		}
		fresh, err := NewRecoveryCodes(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		slots, err := HashRecoveryCodes(keys, "set2", fresh)
		if err != nil {
			t.Fatal(err)
		}
		do(t, s, func(tx *store.Tx) error {
			return SetRecoveryCodes(tx, ana, RecoverySet{ID: "set2", MadeAt: noon, Slots: slots})
		})
		do(t, s, func(tx *store.Tx) error {
			if ok, _, err := SpendRecoveryCode(tx, ana, v.Proof, "attempt"); ok || err != nil {
				t.Errorf("a proof of the old set is spent: %v", err)
			}
			if same, err := StillSame(tx, ana, v.Proof); same || err != nil {
				t.Errorf("the old set still counts: %v", err)
			}
			return nil
		})
		if v, err := New(testHasher(t, keys, quick), keys).Check(t.Context(), proof.RecoveryCode, load(t, s, ana), Shown{Secret: codes[0], Now: noon}); err != nil || v.OK {
			t.Error("an old code opens", err)
		}
	})
}

func TestACredentialIsTheSameUntilItIsReplaced(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		addApp(t, s, ana, "a1", here-1)
		addApp(t, s, ana, "a2", here-1)
		hash := PasswordHash{"one", 1}
		do(t, s, func(tx *store.Tx) error { return SetPassword(tx, ana, Password{ID: "p1", Hash: hash, MadeAt: noon}, 0) })
		pw := proof.Proof{Method: proof.Password, Authenticator: "p1", Version: 1}
		app := proof.Proof{Method: proof.TOTP, Authenticator: "a1", Version: 1, Step: here}
		is := func(name string, account id.Account, p proof.Proof, want bool) {
			t.Helper()
			if got := yes(t, s, func(tx *store.Tx) (bool, error) { return StillSame(tx, account, p) }); got != want {
				t.Errorf("%s: %v", name, got)
			}
		}
		is("a password nobody touched", ana, pw, true)
		is("the same for another account", ben, pw, false)
		is("an app nobody touched", ana, app, true)
		is("a link, which is not ours", ana, proof.Proof{Method: proof.Link, Authenticator: "a1"}, false)
		is("a version from the future, as after a restore", ana, proof.Proof{Method: proof.TOTP, Authenticator: "a1", Version: 2}, false)
		yes(t, s, func(tx *store.Tx) (bool, error) { return RefreshHash(tx, ana, hash, PasswordHash{"two", 2}) })
		is("a password that was only rehashed", ana, pw, true)
		yes(t, s, func(tx *store.Tx) (bool, error) { return AcceptTOTP(tx, app, "x") })
		is("an app that was only used", ana, app, true)
		do(t, s, func(tx *store.Tx) error {
			return SetPassword(tx, ana, Password{ID: "p2", Hash: hash, MadeAt: noon}, 0)
		})
		is("a password that was changed", ana, pw, false)
		yes(t, s, func(tx *store.Tx) (bool, error) { return Remove(tx, ana, "a1") })
		is("an app that was removed", ana, app, false)
	})
}

func TestARehashReplacesOnlyTheHashItWasMadeFrom(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		old, fresh := PasswordHash{"old", 1}, PasswordHash{"fresh", 2}
		do(t, s, func(tx *store.Tx) error { return SetPassword(tx, ana, Password{ID: "p1", Hash: old, MadeAt: noon}, 0) })
		refresh := func(tx *store.Tx) (bool, error) { return RefreshHash(tx, ana, old, fresh) }
		if won := rivals(t, s, 4, refresh); won != 1 {
			t.Errorf("%d rehashed", won)
		}
		if k := load(t, s, ana); k.Password.Hash != fresh || k.Password.ID != "p1" || !k.Password.MadeAt.Equal(noon) {
			t.Errorf("%+v", k.Password)
		}
		do(t, s, func(tx *store.Tx) error {
			return SetPassword(tx, ana, Password{ID: "p2", Hash: PasswordHash{"chosen", 2}, MadeAt: noon}, 0)
		})
		if yes(t, s, func(tx *store.Tx) (bool, error) { return RefreshHash(tx, ana, fresh, old) }) || load(t, s, ana).Password.Hash.PHC != "chosen" {
			t.Error("a rehash brought an old password back")
		}
	})
}

func TestOldPasswordsAreKeptAsLongAsThePolicyAsks(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		set := func(n int, keep int) {
			p := Password{ID: id.Authenticator(rune('a' + n)), Hash: PasswordHash{string(rune('A' + n)), 1}, MadeAt: noon.Add(time.Duration(n) * time.Hour)}
			do(t, s, func(tx *store.Tx) error { return SetPassword(tx, ana, p, keep) })
		}
		old := func(limit int) (all string) {
			do(t, s, func(tx *store.Tx) error {
				hashes, err := OldPasswords(tx, ana, limit)
				all = ""
				for _, h := range hashes {
					all += h.PHC
				}
				return err
			})
			return all
		}
		for n := range 6 {
			set(n, 3)
		}
		if got := old(4); got != "FEDC" {
			t.Errorf("the last four are %s", got)
		}
		if got := old(9); got != "FEDC" {
			t.Errorf("older ones were kept: %s", got)
		}
		set(6, 0)
		if got := old(9); got != "G" {
			t.Errorf("a policy without history keeps %s", got)
		}
		if got := old(0); got != "" {
			t.Errorf("none asked, got %s", got)
		}
	})
}

func TestACompromisedPasswordIsMarkedUntilItIsChanged(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		mark := func(tx *store.Tx) (bool, error) { return MarkCompromised(tx, ana, "compromised") }
		if yes(t, s, mark) {
			t.Error("nothing to mark")
		}
		do(t, s, func(tx *store.Tx) error { return SetPassword(tx, ana, Password{ID: "p1", MadeAt: noon}, 0) })
		if !yes(t, s, mark) || load(t, s, ana).Password.MustChange != "compromised" {
			t.Error("not marked")
		}
		do(t, s, func(tx *store.Tx) error { return SetPassword(tx, ana, Password{ID: "p2", MadeAt: noon}, 0) })
		if load(t, s, ana).Password.MustChange != "" {
			t.Error("still marked")
		}
	})
}

func TestAppsAreRenamedAndRemovedByTheirOwnerOnly(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		addApp(t, s, ana, "a1", 1)
		addApp(t, s, ana, "a2", 1)
		addApp(t, s, ben, "b1", 1)
		if yes(t, s, func(tx *store.Tx) (bool, error) { return Rename(tx, ana, "b1", "mine") }) {
			t.Error("Ana renamed Ben's app")
		}
		if yes(t, s, func(tx *store.Tx) (bool, error) { return Remove(tx, ana, "b1") }) {
			t.Error("Ana removed Ben's app")
		}
		if !yes(t, s, func(tx *store.Tx) (bool, error) { return Rename(tx, ana, "a1", "Tablet") }) || load(t, s, ana).TOTP[0].Name != "Tablet" {
			t.Error("not renamed")
		}
		if !yes(t, s, func(tx *store.Tx) (bool, error) { return Remove(tx, ana, "a1") }) || len(load(t, s, ana).TOTP) != 1 {
			t.Error("not removed")
		}
	})
}

func TestNobodyHasAsMuchAsAPersonAndItOpensNothing(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		keys := testKeys(t)
		prepare := func(tx *store.Tx) (bool, error) { return true, Prepare(tx, keys, rand.Reader) }
		if rivals(t, s, 3, prepare) != 3 { // several nodes start at once, and again
			t.Error("a second start fails")
		}
		k := load(t, s, events.Nobody)
		if !k.Decoy || k.Password == nil || len(k.TOTP) != 1 || RecoveryLeft(k) != 10 {
			t.Fatalf("%+v", k)
		}
		code, err := k.TOTP[0].CodeAt(noon)
		if err != nil {
			t.Fatal(err)
		}
		set := New(testHasher(t, keys, quick), keys)
		for _, m := range []proof.Method{proof.Password, proof.TOTP, proof.RecoveryCode} {
			if v, err := set.Check(t.Context(), m, k, Shown{Secret: code, Now: noon}); v.OK || err != nil {
				t.Errorf("%s: %+v %v", m, v, err)
			}
		}
	})
}
