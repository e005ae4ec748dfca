package authenticators

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"testing"
	"time"

	"gatehouse/authenticators/softkey"
	"gatehouse/id"
	"gatehouse/proof"
	"gatehouse/seal"
	"gatehouse/store"
	"gatehouse/store/storetest"
)

func keep(t *testing.T, s *store.Store, c Credential) bool {
	t.Helper()
	return yes(t, s, func(tx *store.Tx) (bool, error) { return AddCredential(tx, testKeys(t), c) })
}

func accept(t *testing.T, s *store.Store, p proof.Proof, by string) bool {
	t.Helper()
	return yes(t, s, func(tx *store.Tx) (bool, error) { return AcceptPasskey(tx, p, by) })
}

// counted is the proof of an assertion whose counter stands at n.
func counted(c Credential, n int64) proof.Proof {
	return proof.Proof{Method: proof.Passkey, Authenticator: string(c.ID), Version: 1, Step: n}
}

func TestACredentialIsRegisteredOnce(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		c := made(t, relying(t, nil), newKey(), SortPasskey)
		if !keep(t, s, c) {
			t.Fatal("the first was refused")
		}
		for _, again := range []func(*Credential){
			func(c *Credential) { c.ID = "p2" },
			func(c *Credential) { c.ID, c.Account = "p2", ben },
		} {
			twin := c
			again(&twin)
			if keep(t, s, twin) {
				t.Errorf("the credential of %s was registered again, by %s", c.Account, twin.Account)
			}
		}
		var found Credential
		do(t, s, func(tx *store.Tx) (err error) {
			found, _, err = ByHandle(tx, testKeys(t), c.Handle)
			return err
		})
		if found.ID != "p1" || found.Account != ana {
			t.Errorf("%+v", found)
		}
	})
}

func TestTheCounterOnlyGoesUp(t *testing.T) {
	for _, row := range []struct {
		name      string
		kept, new int64
		ok        bool
	}{
		{"one that does not count", 0, 0, true},
		{"one that begins to count", 0, 1, true},
		{"the next", 7, 8, true},
		{"a later one", 7, 4294967295, true},
		{"the same again", 7, 7, false},
		{"an earlier one", 7, 6, false},
		{"one that no longer counts", 7, 0, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			storetest.Each(t, func(t *testing.T, s *store.Store) {
				c := made(t, relying(t, nil), newKey(), SortPasskey)
				c.Counter = row.kept
				keep(t, s, c)
				if ok := accept(t, s, counted(c, row.new), "attempt"); ok != row.ok {
					t.Fatalf("%v", ok)
				}
				after := load(t, s, ana).Credentials[0]
				want := map[bool]Credential{true: {State: StateGood, Counter: row.new}, false: {State: StateCloned, Counter: row.kept}}[row.ok]
				if after.State != want.State || after.Counter != want.Counter || after.Version != 2 || after.LastUsedAt.IsZero() == row.ok {
					t.Errorf("%+v", after)
				}
				if !row.ok && accept(t, s, counted(c, 4294967295), "later") {
					t.Error("a copied passkey opened something")
				}
			})
		})
	}
}

func TestAnAcceptedPasskeyIsKeptUpToDate(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		k := newKey()
		k.BackupEligible = true
		r := relying(t, nil)
		c := made(t, r, k, SortPasskey)
		keep(t, s, c)
		for _, backed := range []bool{true, false, true} {
			k.BackedUp = backed
			v := judged(t, r, got(t, r, k, nil, true, softkey.Spoil{}), true, c)
			if !v.OK || !accept(t, s, v.Proof, "attempt") {
				t.Fatal("refused")
			}
			f, err := PasskeyOf(load(t, s, ana).Credentials[0])
			if err != nil || f.BackedUp != backed || !f.BackupEligible || !f.Verifies || f.AAGUID == "" || len(f.Key) == 0 {
				t.Errorf("%+v %v", f, err)
			}
		}
	})
}

func TestABoundPasskeyIsNeverSaidToBeBackedUp(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		c := made(t, relying(t, nil), newKey(), SortPasskey)
		keep(t, s, c)
		p := counted(c, 0)
		p.Drift = 1
		accept(t, s, p, "attempt")
		if f, err := PasskeyOf(load(t, s, ana).Credentials[0]); err != nil || f.BackedUp {
			t.Errorf("%+v %v", f, err)
		}
	})
}

func TestOnlyAPasskeyIsAcceptedAsOne(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		c := made(t, relying(t, nil), newKey(), SortPasskey)
		if accept(t, s, counted(c, 1), "attempt") {
			t.Error("one that is gone")
		}
		c.Kind = KindPush
		keep(t, s, c)
		if accept(t, s, counted(c, 1), "attempt") {
			t.Error("a push device")
		}
		waiting := made(t, relying(t, nil), newKey(), SortPasskey)
		waiting.ID, waiting.State = "p2", StateWaiting
		keep(t, s, waiting)
		if accept(t, s, counted(waiting, 1), "attempt") {
			t.Error("one that waits")
		}
		if all := load(t, s, ana).Credentials; all[0].State != StateGood || all[1].State != StateWaiting {
			t.Errorf("%+v", all)
		}
	})
}

// A count is taken once, however many ask at the same instant; the attempt that
// has it is told apart from any other by UsedBy.
func TestOneAssertionOpensOnce(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		c := made(t, relying(t, nil), newKey(), SortPasskey)
		keep(t, s, c)
		p := counted(c, 5)
		if won := rivals(t, s, 16, func(tx *store.Tx) (bool, error) { return AcceptPasskey(tx, p, "attempt") }); won != 1 {
			t.Errorf("%d got in with one assertion", won)
		}
		do(t, s, func(tx *store.Tx) error {
			_, ours, err := UsedBy(tx, p, "attempt")
			_, theirs, err2 := UsedBy(tx, p, "another")
			if !ours || theirs {
				t.Errorf("ours %v, theirs %v", ours, theirs)
			}
			return errors.Join(err, err2)
		})
	})
}

func TestARollbackGivesTheAssertionBack(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		c := made(t, relying(t, nil), newKey(), SortPasskey)
		keep(t, s, c)
		broke := errors.New("the sign-in broke later")
		err := s.Do(t.Context(), func(tx *store.Tx) error {
			if ok, err := AcceptPasskey(tx, counted(c, 5), "attempt"); !ok || err != nil {
				t.Error(ok, err)
			}
			return broke
		})
		if !errors.Is(err, broke) || !accept(t, s, counted(c, 5), "attempt") {
			t.Error("our own failure made a copy of the person's key", err)
		}
	})
}

// No sequence of counts moves a counter back or accepts one twice.
func TestNoSequenceOfCountsGoesBack(t *testing.T) {
	s := storetest.Open(t, storetest.SQLite(t), nil)
	for seed := range uint64(40) {
		r := rand.New(rand.NewPCG(seed, 1))
		c := made(t, relying(t, nil), newKey(), SortPasskey)
		c.ID, c.Account = id.Authenticator(fmt.Sprint("p", seed)), id.Account(fmt.Sprint("account", seed))
		keep(t, s, c)
		highest, seen := int64(0), map[int64]bool{}
		for step := range 30 {
			n := highest + r.Int64N(5) - 1
			if n < 0 {
				continue
			}
			ok := accept(t, s, counted(c, n), fmt.Sprint("attempt", step))
			if ok && n > 0 && (seen[n] || n <= highest) {
				t.Fatalf("seed %d: %d was accepted after %d", seed, n, highest)
			}
			if !ok {
				break // cloned: TestTheCounterOnlyGoesUp
			}
			highest, seen[n] = max(highest, n), true
		}
		if now := load(t, s, c.Account).Credentials[0]; now.Counter != highest {
			t.Errorf("seed %d: the counter stands at %d, want %d", seed, now.Counter, highest)
		}
	}
}

// On a standby a passkey is accepted, a copy is found out, and the hand-over takes
// both to the primary.
func TestAPasskeyOpensOnTheStandby(t *testing.T) {
	clock := storetest.NewClock()
	dsn := storetest.Postgres(t)
	primary := storetest.Open(t, dsn, func(o *store.Options) { o.Now, o.Node = clock.Now, "0199f000-0000-7000-8000-00000000000b" })
	wire := storetest.NewWire(t, dsn)
	keysDir := filepath.Join(t.TempDir(), "keys")
	if err := seal.InitKeys(keysDir); err != nil {
		t.Fatal(err)
	}
	keys, err := seal.LoadKeys(keysDir)
	if err != nil {
		t.Fatal(err)
	}
	s := storetest.OpenEmpty(t, wire.DSN, func(o *store.Options) {
		o.Now, o.Standby = clock.Now, &store.StandbyOptions{Dir: t.TempDir(), Keys: keys, Wait: 20 * time.Second}
	})
	k := newKey()
	k.BackupEligible = true
	good, copied := made(t, relying(t, nil), k, SortPasskey), made(t, relying(t, nil), newKey(), SortPasskey)
	copied.ID, copied.Counter = "p2", 7
	if !keep(t, primary, good) || !keep(t, primary, copied) {
		t.Fatal("not kept")
	}
	follow := func() {
		t.Helper()
		for range 3 {
			if err := s.Follow(t.Context(), nil); err != nil {
				t.Fatal(err)
			}
		}
	}
	follow()
	wire.Cut()
	essentially := func(p proof.Proof, by string) (ok bool) {
		t.Helper()
		err := s.Essential(t.Context(), func(tx *store.Tx) (err error) {
			ok, err = AcceptPasskey(tx, p, by)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return ok
	}
	backed := counted(good, 3)
	backed.Drift = 1
	for _, row := range []struct {
		name string
		p    proof.Proof
		by   string
		ok   bool
	}{
		{"the next count", backed, "first", true},
		{"a copy's count", counted(copied, 7), "second", false},
		{"a copy's count, once it is known for one", counted(copied, 9), "third", false},
	} {
		if ok := essentially(row.p, row.by); ok != row.ok {
			t.Errorf("%s: %v", row.name, ok)
		}
	}
	wire.Mend()
	for range 100 {
		if err := s.Follow(t.Context(), nil); err == nil && s.State().Tier == store.TierNone {
			break
		}
	}
	all := load(t, primary, ana).Credentials
	if len(all) != 2 || all[0].Counter != 3 || all[0].LastUsedAt.IsZero() || all[0].State != StateGood || all[1].State != StateCloned {
		t.Errorf("after the hand-over: %+v", all)
	}
	if accept(t, primary, counted(good, 3), "another") {
		t.Error("a count that was used on the standby opened the primary")
	}
}
