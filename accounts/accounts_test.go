package accounts_test

import (
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"gatehouse/accounts"
	"gatehouse/id"
	"gatehouse/seal"
	"gatehouse/store"
	"gatehouse/store/storetest"
)

// each runs fn on every database, with a clock of its own.
func each(t *testing.T, fn func(t *testing.T, s *store.Store, clock *storetest.Clock)) {
	t.Helper()
	clock := storetest.NewClock()
	storetest.EachWith(t, func(o *store.Options) { o.Now = clock.Now }, func(t *testing.T, s *store.Store) { fn(t, s, clock) })
}

func do(t testing.TB, s *store.Store, fn func(*store.Tx) error) {
	t.Helper()
	if err := s.Do(t.Context(), fn); err != nil {
		t.Fatal(err)
	}
}

var start = storetest.NewClock().Now()

func made[T ~string]() T { return id.New[T](start, rand.Reader) }

func account(t testing.TB, s *store.Store, email string) accounts.Account {
	t.Helper()
	key, err := accounts.Canonical(email)
	if err != nil {
		t.Fatal(err)
	}
	a := accounts.Account{ID: made[id.Account](), Email: email, EmailKey: key, Name: "Ms A", Status: accounts.Active, Locale: "en", Zone: "Europe/Vienna", HomeCell: "home"}
	do(t, s, func(tx *store.Tx) error { return accounts.Insert(tx, a) })
	return a
}

func read(t testing.TB, s *store.Store, a id.Account) (got accounts.Account) {
	t.Helper()
	do(t, s, func(tx *store.Tx) error {
		var found bool
		var err error
		if got, found, err = accounts.ByID(tx, a); err == nil && !found {
			err = errors.New("not found")
		}
		return err
	})
	return got
}

func TestAnAccountIsFoundByAnySpellingOfItsAddress(t *testing.T) {
	each(t, func(t *testing.T, s *store.Store, _ *storetest.Clock) {
		a := account(t, s, "Alice@Quay.example")
		if got := read(t, s, a.ID); got.Email != "Alice@Quay.example" || got.EmailKey != "alice@quay.example" || got.EmailVerified || got.Epoch != 1 || got.Status != accounts.Active || got.Zone != "Europe/Vienna" || !got.MadeAt.Equal(start) {
			t.Errorf("%+v", got)
		}
		for _, spelling := range []string{"alice@quay.example", " ALICE@QUAY.EXAMPLE", "ａlice@quay.example"} {
			key, err := accounts.Canonical(spelling)
			if err != nil {
				t.Fatal(err)
			}
			do(t, s, func(tx *store.Tx) error {
				got, found, err := accounts.ByEmail(tx, key)
				if !found || got.ID != a.ID {
					t.Errorf("%q: %v", spelling, found)
				}
				return err
			})
			b := a
			b.ID, b.EmailKey = made[id.Account](), key
			if err := s.Do(t.Context(), func(tx *store.Tx) error { return accounts.Insert(tx, b) }); !errors.Is(err, accounts.ErrTaken) {
				t.Errorf("%q got a second account: %v", spelling, err)
			}
		}
		do(t, s, func(tx *store.Tx) error {
			_, found, err := accounts.ByEmail(tx, "bob@quay.example")
			_, foundID, err2 := accounts.ByID(tx, made[id.Account]())
			_, foundLock, err3 := accounts.Lock(tx, made[id.Account]())
			if found || foundID || foundLock {
				t.Error("found somebody who is not there")
			}
			return errors.Join(err, err2, err3)
		})
	})
}

func TestOfManyAddedAtOnceOneGetsTheAddress(t *testing.T) {
	each(t, func(t *testing.T, s *store.Store, _ *storetest.Clock) {
		var in, taken atomic.Int64
		var crowd sync.WaitGroup
		for range 8 {
			crowd.Go(func() {
				a := accounts.Account{ID: made[id.Account](), Email: "a@quay.example", EmailKey: "a@quay.example", Status: accounts.Invited}
				switch err := s.Do(t.Context(), func(tx *store.Tx) error { return accounts.Insert(tx, a) }); {
				case err == nil:
					in.Add(1)
				case errors.Is(err, accounts.ErrTaken):
					taken.Add(1)
				default:
					t.Error(err)
				}
			})
		}
		crowd.Wait()
		if in.Load() != 1 || taken.Load() != 7 {
			t.Errorf("%d in, %d told that it is taken", in.Load(), taken.Load())
		}
	})
}

func TestAddressesThatLookAlikeAreFound(t *testing.T) {
	each(t, func(t *testing.T, s *store.Store, _ *storetest.Clock) {
		a := account(t, s, "alice@quay.example")
		do(t, s, func(tx *store.Tx) error {
			for key, want := range map[string]int{"a1ice@quay.example": 1, "аlice@quay.example": 1, "alice@quay.example": 0, "bob@quay.example": 0} {
				alike, err := accounts.Lookalikes(tx, key)
				if err != nil || len(alike) != want || want == 1 && alike[0].ID != a.ID {
					t.Errorf("%q: %d, %v", key, len(alike), err)
				}
			}
			return nil
		})
	})
}

func TestOnlyAStatusThatLetsNobodyThroughRaisesTheEpoch(t *testing.T) {
	each(t, func(t *testing.T, s *store.Store, _ *storetest.Clock) {
		a := account(t, s, "alice@quay.example")
		epoch := int64(1)
		for _, c := range []struct {
			status accounts.Status
			may    bool
		}{{accounts.Active, true}, {accounts.Disabled, false}, {accounts.Active, true}, {accounts.Locked, false}, {accounts.Invited, true}, {accounts.Disabled, false}} {
			if !c.may {
				epoch++
			}
			do(t, s, func(tx *store.Tx) error {
				got, err := accounts.SetStatus(tx, a.ID, c.status)
				if got != epoch {
					t.Errorf("%s: epoch %d, want %d", c.status, got, epoch)
				}
				return err
			})
			if got := read(t, s, a.ID); got.Status != c.status || got.Epoch != epoch || got.Status.MaySignIn() != c.may {
				t.Errorf("%+v", got)
			}
		}
		do(t, s, func(tx *store.Tx) error {
			got, err := accounts.RaiseEpoch(tx, a.ID)
			if got != epoch+1 {
				t.Errorf("raised to %d", got)
			}
			return err
		})
		for _, s := range []accounts.Status{"", "ACTIVE", "deleted"} {
			if s.MaySignIn() {
				t.Errorf("%q may sign in", s)
			}
		}
	})
}

func TestAnAddressMovesToWhereNobodyIs(t *testing.T) {
	each(t, func(t *testing.T, s *store.Store, _ *storetest.Clock) {
		a, b := account(t, s, "alice@quay.example"), account(t, s, "bob@quay.example")
		move := func(email string) error {
			return s.Do(t.Context(), func(tx *store.Tx) error { return accounts.SetEmail(tx, a.ID, email, strings.ToLower(email)) })
		}
		if err := move("Bob@quay.example"); !errors.Is(err, accounts.ErrTaken) {
			t.Errorf("took Bob's: %v", err)
		}
		if err := move("ALICE@quay.example"); err != nil {
			t.Errorf("another spelling of her own: %v", err)
		}
		if err := move("Alice@new.example"); err != nil {
			t.Error(err)
		}
		if got := read(t, s, a.ID); got.Email != "Alice@new.example" || !got.EmailVerified {
			t.Errorf("%+v", got)
		}
		if got := read(t, s, b.ID); got.Email != "bob@quay.example" {
			t.Errorf("%+v", got)
		}
	})
}

func TestTheListIsInOrderAndGoesOn(t *testing.T) {
	each(t, func(t *testing.T, s *store.Store, _ *storetest.Clock) {
		for _, n := range []int{3, 1, 4, 5, 2} {
			account(t, s, fmt.Sprintf("p%d@quay.example", n))
		}
		var all []string
		after := ""
		for range 3 {
			do(t, s, func(tx *store.Tx) error {
				page, err := accounts.List(tx, after, 2)
				for _, a := range page {
					all = append(all, a.EmailKey[:2])
					after = a.EmailKey
				}
				return err
			})
		}
		if got := strings.Join(all, " "); got != "p1 p2 p3 p4 p5" {
			t.Error(got)
		}
	})
}

func TestProfileAndVerification(t *testing.T) {
	each(t, func(t *testing.T, s *store.Store, clock *storetest.Clock) {
		a := account(t, s, "alice@quay.example")
		do(t, s, func(tx *store.Tx) error {
			return errors.Join(accounts.SetProfile(tx, a.ID, "Alice", "en-GB", "Europe/London"), accounts.VerifyEmail(tx, a.ID))
		})
		clock.Forward(time.Hour)
		do(t, s, func(tx *store.Tx) error { return accounts.VerifyEmail(tx, a.ID) })
		got := read(t, s, a.ID)
		if got.Name != "Alice" || got.Locale != "en-GB" || got.Zone != "Europe/London" || !got.EmailVerified || got.Version <= 1 {
			t.Errorf("%+v", got)
		}
	})
}

func TestWhenALinkIsGood(t *testing.T) {
	a := accounts.Account{ID: "a", EmailKey: "alice@quay.example"}
	l := accounts.Link{ID: "l", Kind: accounts.Reset, Account: "a", Email: "alice@quay.example", Expires: start.Add(time.Minute)}
	with := func(change func(*accounts.Link)) accounts.Link {
		c := l
		change(&c)
		return c
	}
	for _, c := range []struct {
		name string
		link accounts.Link
		now  time.Time
		by   string
		want bool
	}{
		{"as it was mailed", l, start, "", true},
		{"a moment before its end", l, start.Add(time.Minute - time.Microsecond), "", true},
		{"at its end", l, start.Add(time.Minute), "", false},
		{"spent", with(func(l *accounts.Link) { l.SpentBy = "x" }), start, "", false},
		{"spent by somebody else", with(func(l *accounts.Link) { l.SpentBy = "x" }), start, "y", false},
		{"spent by this very attempt", with(func(l *accounts.Link) { l.SpentBy = "x" }), start, "x", true},
		{"spent by this very attempt, and old", with(func(l *accounts.Link) { l.SpentBy = "x" }), start.Add(time.Minute), "x", false},
		{"replaced by a newer one", with(func(l *accounts.Link) { l.SpentBy = "replaced" }), start, "", false},
		{"of another account", with(func(l *accounts.Link) { l.Account = "b" }), start, "", false},
		{"mailed to an address the account has no longer", with(func(l *accounts.Link) { l.Email = "old@quay.example" }), start, "", false},
		{"an address link names the new address", with(func(l *accounts.Link) { l.Kind, l.Email = accounts.Address, "new@quay.example" }), start, "", true},
	} {
		if got := c.link.Good(a, c.now, c.by); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
	for _, k := range []accounts.LinkKind{accounts.Reset, accounts.Enrol, accounts.Unlock, accounts.Address} {
		if k.Life() > 30*time.Minute {
			t.Errorf("%s lives %v", k, k.Life())
		}
	}
}

func TestALinkIsFoundByItsTokenKeptAsAHashAndSpentOnce(t *testing.T) {
	each(t, func(t *testing.T, s *store.Store, clock *storetest.Clock) {
		a := account(t, s, "alice@quay.example")
		insert := func(kind accounts.LinkKind) (accounts.Link, seal.Secret) {
			l, token := accounts.Link{ID: made[id.Link](), Kind: kind, Account: a.ID, Email: a.EmailKey, Expires: clock.Now().Add(kind.Life())}, accounts.NewToken(rand.Reader)
			do(t, s, func(tx *store.Tx) error { return accounts.InsertLink(tx, l, token) })
			return l, token
		}
		find := func(token seal.Secret) (l accounts.Link, found bool) {
			do(t, s, func(tx *store.Tx) (err error) { l, found, err = accounts.FindLink(tx, token); return err })
			return l, found
		}
		good := func(token seal.Secret) bool {
			l, found := find(token)
			return found && l.Good(a, clock.Now(), "")
		}
		old, oldToken := insert(accounts.Reset)
		_, unlock := insert(accounts.Unlock)
		l, token := insert(accounts.Reset)
		if good(oldToken) || !good(token) || !good(unlock) {
			t.Errorf("the replaced %v, the newest %v, another kind %v", good(oldToken), good(token), good(unlock))
		}
		for _, bad := range []seal.Secret{"", token + "x", token[1:], seal.Secret(strings.ToLower(token.Reveal()))} {
			if _, found := find(bad); found && bad != token {
				t.Error("another token finds it")
			}
		}
		do(t, s, func(tx *store.Tx) error {
			got, found, err := accounts.LinkByID(tx, old.ID)
			if !found || got.SpentBy != "replaced" {
				t.Errorf("%+v", got)
			}
			return err
		})
		var won atomic.Int64
		var crowd sync.WaitGroup
		for i := range 8 {
			crowd.Go(func() {
				err := s.Do(t.Context(), func(tx *store.Tx) error {
					ok, err := accounts.SpendLink(tx, l.ID, fmt.Sprint("attempt ", i))
					if ok {
						won.Add(1)
					}
					return err
				})
				if err != nil {
					t.Error(err)
				}
			})
		}
		crowd.Wait()
		if won.Load() != 1 {
			t.Errorf("spent by %d", won.Load())
		}
		spent, _ := find(token)
		do(t, s, func(tx *store.Tx) error {
			ok, err := accounts.SpendLink(tx, l.ID, spent.SpentBy)
			if !ok {
				t.Error("the one who spent it may not say so again")
			}
			return errors.Join(err, accounts.SpendLinks(tx, a.ID, "sweep"))
		})
		if good(unlock) {
			t.Error("a link outlived the sweep")
		}
		if again, _ := find(token); again.SpentBy != spent.SpentBy {
			t.Error("the sweep rewrote who spent it")
		}
	})
}

func TestALinkIsUnderTheOriginAndCannotBeGuessed(t *testing.T) {
	if got := accounts.LinkURL("https://sign-in.example/", "tok"); got != "https://sign-in.example/link/tok" {
		t.Error(got)
	}
	seen := map[seal.Secret]bool{}
	for range 1000 {
		token := accounts.NewToken(rand.Reader)
		if len(token) != 43 || seen[token] {
			t.Fatalf("%d letters, seen %v", len(token), seen[token])
		}
		seen[token] = true
	}
	defer func() {
		if recover() == nil {
			t.Error("a token without randomness")
		}
	}()
	accounts.NewToken(strings.NewReader("short"))
}

func TestTidyDropsLinksLongOver(t *testing.T) {
	each(t, func(t *testing.T, s *store.Store, clock *storetest.Clock) {
		a := account(t, s, "alice@quay.example")
		l, token := accounts.Link{ID: made[id.Link](), Kind: accounts.Reset, Account: a.ID, Email: a.EmailKey, Expires: clock.Now().Add(time.Minute)}, accounts.NewToken(rand.Reader)
		do(t, s, func(tx *store.Tx) error { return accounts.InsertLink(tx, l, token) })
		there := func() (found bool) {
			do(t, s, accounts.Tidy)
			do(t, s, func(tx *store.Tx) (err error) { _, found, err = accounts.LinkByID(tx, l.ID); return err })
			return found
		}
		clock.Forward(24 * time.Hour)
		if !there() {
			t.Error("gone too early")
		}
		clock.Forward(2 * time.Minute)
		if there() {
			t.Error("still there")
		}
	})
}
