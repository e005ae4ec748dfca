package store_test

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse/fault"
	"gatehouse/seal"
	"gatehouse/store"
	"gatehouse/store/storetest"
)

// node is one process with a standby: a store whose way to PostgreSQL can be cut.
type node struct {
	*store.Store
	t    *testing.T
	wire *storetest.Wire
	dir  string
	keys *seal.Keys
	log  *bytes.Buffer
	now  *storetest.Clock
	o    store.Options
}

// withStandby opens a node on a fresh database and lets it follow once.
func withStandby(t *testing.T, with func(*store.Options)) *node {
	t.Helper()
	n := &node{t: t, wire: storetest.NewWire(t, storetest.Postgres(t)), dir: t.TempDir(), now: storetest.NewClock(), log: &bytes.Buffer{}}
	n.keys = newKeys(t)
	n.open(with)
	n.follows()
	return n
}

func newKeys(t *testing.T) *seal.Keys {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "keys")
	must(t, seal.InitKeys(dir))
	keys, err := seal.LoadKeys(dir)
	must(t, err)
	return keys
}

func (n *node) open(with func(*store.Options)) {
	n.t.Helper()
	var err error
	n.o = store.Options{DSN: n.wire.DSN, Node: storetest.Node, Deadline: 30 * time.Second, Now: n.now.Now, Rand: rand.Reader,
		Standby: &store.StandbyOptions{Dir: n.dir, Keys: n.keys, Wait: 5 * time.Second, Log: slog.New(slog.NewTextHandler(n.log, nil))}}
	if with != nil {
		with(&n.o)
	}
	n.Store, err = store.Open(n.t.Context(), n.o)
	must(n.t, err)
	s := n.Store
	n.t.Cleanup(func() { s.Close() })
	if n.State().Tier == store.TierNone {
		_, err = n.Migrate(n.t.Context())
		must(n.t, err)
	}
}

// restarts is the same node after its process ended.
func (n *node) restarts() {
	n.t.Helper()
	must(n.t, n.Close())
	var err error
	n.Store, err = store.Open(n.t.Context(), n.o)
	must(n.t, err)
	s := n.Store
	n.t.Cleanup(func() { s.Close() })
}

func (n *node) follows() { n.t.Helper(); must(n.t, n.Follow(n.t.Context(), nil)) }

// uses is what a sign-in does to a code: it uses it up once.
func (n *node) uses(code, by string) (used bool) {
	n.t.Helper()
	must(n.t, n.Essential(n.t.Context(), func(tx *store.Tx) error {
		n, err := tx.Exec(`INSERT INTO totp_used (authenticator, step, used_by, made_at, node) VALUES ($1, 7, $2, $3, $4)
			ON CONFLICT (authenticator, step) DO NOTHING`, code, by, store.Micros(tx.Now()), string(tx.Node()))
		used = n == 1
		return err
	}))
	return used
}

// usedBy asks the primary itself.
func (n *node) usedBy(code string) (by string) {
	n.t.Helper()
	must(n.t, n.Do(n.t.Context(), func(tx *store.Tx) error {
		return tx.Row(`SELECT used_by FROM totp_used WHERE authenticator = $1`, code).Scan(&by)
	}))
	return by
}

func (n *node) same() {
	n.t.Helper()
	differences, err := n.Compare(n.t.Context())
	must(n.t, err)
	if len(differences) > 0 {
		n.t.Errorf("primary and standby differ: %q", differences)
	}
}

func TestACallGoesOnOnTheStandbyWhenThePrimaryIsGoneOrHangs(t *testing.T) {
	for _, row := range []struct {
		name string
		away func(*storetest.Wire)
		back func(*storetest.Wire)
		wait time.Duration
	}{
		{"gone", (*storetest.Wire).Cut, (*storetest.Wire).Mend, 30 * time.Second},
		{"hanging", (*storetest.Wire).Freeze, (*storetest.Wire).Thaw, 500 * time.Millisecond},
	} {
		t.Run(row.name, func(t *testing.T) {
			n := withStandby(t, func(o *store.Options) { o.Standby.Wait = 20 * time.Second })
			n.uses("before", "alice")
			n.follows()
			must(t, n.Close())
			n.o.Standby.Wait = row.wait
			n.restarts()
			row.away(n.wire)
			if n.uses("before", "mallory") {
				t.Error("a code used on the primary was good again on the standby")
			}
			if !n.uses("dark", "bob") || n.uses("dark", "mallory") {
				t.Error("a code is good once on the standby")
			}
			if state := n.State(); state.Tier != store.Tier2 || state.Journal != 1 {
				t.Errorf("the state is %+v", state)
			}
			start := time.Now()
			wantCode(t, n.Do(t.Context(), func(*store.Tx) error { return nil }), fault.Unavailable)
			if took := time.Since(start); took > 10*time.Second {
				t.Errorf("a change waited %v for a primary that is known to be away", took)
			}
			row.back(n.wire)
			eventually(t, func() error { return n.Follow(t.Context(), nil) })
			if state := n.State(); state.Tier != store.TierNone || state.Journal != 0 || state.Handed != 1 {
				t.Errorf("afterwards the state is %+v", state)
			}
			if by := n.usedBy("dark"); by != "bob" {
				t.Errorf("the primary says that %q used the code", by)
			}
			if n.uses("dark", "mallory") {
				t.Error("a code used on the standby was good again on the primary")
			}
			n.same()
		})
	}
}

func TestAnEssentialReadSaysWhereItWasAnswered(t *testing.T) {
	n := withStandby(t, nil)
	where := func() (standby bool) {
		must(t, n.EssentialRead(t.Context(), func(tx *store.Tx) error { standby = tx.Standby(); return nil }))
		return standby
	}
	if where() {
		t.Error("answered by the standby while the primary is there")
	}
	n.wire.Cut()
	if !where() {
		t.Error("the primary is cut off and yet answered")
	}
}

func TestAReadOnlyPrimaryIsAway(t *testing.T) {
	n := withStandby(t, nil)
	must(t, n.Do(t.Context(), func(tx *store.Tx) error {
		_, err := tx.Exec(`DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET default_transaction_read_only = on', current_database()); END $$`)
		return err
	}))
	n.restarts() // whoever connects from now on may only read
	if !n.uses("code", "alice") || n.State().Tier != store.Tier2 {
		t.Errorf("the state is %+v", n.State())
	}
	if err := n.Follow(t.Context(), nil); fault.Of(err) != fault.Unavailable {
		t.Errorf("a primary that takes no writes counts as back: %v", err)
	}
}

func TestAnAnswerLostOnTheWayIsTheSameFactAtTheHandOver(t *testing.T) {
	n := withStandby(t, nil)
	runs := 0
	marks := map[string]bool{}
	must(t, n.Essential(t.Context(), func(tx *store.Tx) error {
		runs++
		mark := tx.Mark()
		marks[mark] = true
		if _, err := tx.Exec(`INSERT INTO totp_used (authenticator, step, used_by, made_at, node) VALUES ($1, 7, 'alice', 1, 'n') ON CONFLICT (authenticator, step) DO NOTHING`, mark); err != nil {
			return err
		}
		if !tx.Standby() {
			n.wire.Cut() // PostgreSQL has the rows; whether it has the commit nobody knows
		}
		return nil
	}))
	if runs != 2 || len(marks) != 1 {
		t.Errorf("fn ran %d times and saw the names %v", runs, marks)
	}
	n.wire.Mend()
	eventually(t, func() error { return n.Follow(t.Context(), nil) })
	if s := n.State(); s.Handed != 1 || s.Conflicts != 0 {
		t.Errorf("%+v", s)
	}
	n.same()
}

func TestACodeUsedOnTwoSidesIsFoundAtTheHandOver(t *testing.T) {
	n := withStandby(t, nil)
	other := storetest.Open(t, n.wire.Direct(), func(o *store.Options) { o.Node = "0199f000-0000-7000-8000-0000000000ff" })
	n.wire.Cut()
	if !n.uses("code", "mallory") {
		t.Fatal("not used on the standby")
	}
	must(t, other.Do(t.Context(), func(tx *store.Tx) error {
		_, err := tx.Exec(`INSERT INTO totp_used (authenticator, step, used_by, made_at, node) VALUES ('code', 7, 'alice', 1, 'n')`)
		return err
	}))
	n.wire.Mend()
	var found []store.Conflict
	eventually(t, func() error {
		return n.Follow(t.Context(), func(_ *store.Tx, _ store.Entry, c []store.Conflict) error { found = c; return nil })
	})
	if len(found) != 1 || found[0].Rule != store.UsedTwice || found[0].Kept != "alice" || found[0].Lost != "mallory" {
		t.Errorf("found %+v", found)
	}
	if by := n.usedBy("code"); by != "alice" {
		t.Errorf("used by %q", by)
	}
	n.same()
}

func TestDenialsMergeByUnionInEitherOrder(t *testing.T) {
	n := withStandby(t, nil)
	direct := storetest.Open(t, n.wire.Direct(), nil)
	must(t, n.Do(t.Context(), func(tx *store.Tx) error {
		_, err := tx.Exec(`INSERT INTO accounts (id, email, email_key, email_skeleton, name, status, epoch, locale, zone, home_cell, made_at, version, node)
			VALUES ('a', 'a', 'a', 'a', 'Ada', 'active', 1, '', '', '', 1, 1, 'n')`)
		return err
	}))
	n.follows()
	n.wire.Cut()
	must(t, n.Essential(t.Context(), func(tx *store.Tx) error {
		_, err := tx.Exec(`UPDATE accounts SET status = 'disabled', epoch = 2, name = 'changed on a standby' WHERE id = 'a'`)
		return err
	}))
	must(t, direct.Do(t.Context(), func(tx *store.Tx) error {
		_, err := tx.Exec(`UPDATE accounts SET status = 'locked', epoch = 5, name = 'Ada Lovelace' WHERE id = 'a'`)
		return err
	}))
	n.wire.Mend()
	eventually(t, func() error { return n.Follow(t.Context(), nil) })
	var status, name string
	var epoch int64
	must(t, direct.Read(t.Context(), func(tx *store.Tx) error {
		return tx.Row(`SELECT status, epoch, name FROM accounts WHERE id = 'a'`).Scan(&status, &epoch, &name)
	}))
	if status != "disabled" || epoch != 5 || name != "Ada Lovelace" {
		t.Errorf("%s, epoch %d, %q", status, epoch, name)
	}
	n.same()
}

func TestAJournalOutlivesItsProcessAndItsCopy(t *testing.T) {
	for _, row := range []struct {
		name string
		harm func(t *testing.T, copy string)
	}{
		{"the process ended", func(*testing.T, string) {}},
		{"the copy was lost", func(t *testing.T, copy string) {
			for _, tail := range []string{"", "-wal", "-shm"} {
				os.Remove(copy + tail)
			}
		}},
	} {
		t.Run(row.name, func(t *testing.T) {
			n := withStandby(t, nil)
			n.wire.Cut()
			n.uses("dark", "alice")
			must(t, n.Close())
			row.harm(t, filepath.Join(n.dir, "standby.db"))
			var err error
			n.Store, err = store.Open(t.Context(), n.o)
			must(t, err)
			if s := n.State(); s.Journal != 1 {
				t.Errorf("%+v", s)
			}
			n.wire.Mend()
			eventually(t, func() error { return n.Follow(t.Context(), nil) })
			if by := n.usedBy("dark"); by != "alice" {
				t.Errorf("used by %q", by)
			}
			n.same()
		})
	}
}

func TestAFileThatIsDamagedOrForeignIsSetAsideAndNeverUsed(t *testing.T) {
	damage := func(t *testing.T, path string) {
		must(t, os.WriteFile(path, bytes.Repeat([]byte("not a database "), 1000), 0o600))
		os.Remove(path + "-wal")
		os.Remove(path + "-shm")
	}
	for _, row := range []struct {
		name string
		file string
		harm func(t *testing.T, n *node, path string)
	}{
		{"a damaged copy", "standby.db", func(t *testing.T, _ *node, path string) { damage(t, path) }},
		{"a damaged journal", "journal.db", func(t *testing.T, _ *node, path string) { damage(t, path) }},
		{"a copy of another installation", "standby.db", func(t *testing.T, _ *node, path string) {
			other := withStandby(t, nil)
			must(t, other.Close())
			foreign, err := os.ReadFile(filepath.Join(other.dir, "standby.db"))
			must(t, err)
			damage(t, path)
			must(t, os.WriteFile(path, foreign, 0o600))
		}},
	} {
		t.Run(row.name, func(t *testing.T) {
			n := withStandby(t, nil)
			must(t, n.Close())
			path := filepath.Join(n.dir, row.file)
			row.harm(t, n, path)
			var err error
			n.Store, err = store.Open(t.Context(), n.o)
			must(t, err)
			if aside, _ := filepath.Glob(path + ".refused-*"); len(aside) == 0 || !strings.Contains(n.log.String(), "set aside") {
				t.Errorf("nothing was set aside: %s", n.log)
			}
			n.wire.Cut()
			if row.file == "standby.db" {
				wantCode(t, n.Essential(t.Context(), func(*store.Tx) error { return nil }), fault.Unavailable)
			}
			n.wire.Mend()
			eventually(t, func() error { return n.Follow(t.Context(), nil) })
			n.same()
		})
	}
}

func TestAStandbyThatIsTooOldLetsNobodyIn(t *testing.T) {
	n := withStandby(t, func(o *store.Options) { o.Standby.MaxAge = time.Hour })
	n.wire.Cut()
	n.uses("young", "alice")
	n.now.Set(n.now.Now().Add(61 * time.Minute))
	wantCode(t, n.Essential(t.Context(), func(*store.Tx) error { return nil }), fault.Unavailable)
	if s := n.State(); s.Tier != store.Tier1 || s.Why != "too-old" {
		t.Errorf("%+v", s)
	}
}

func TestANodeThatMissedTheFeedBuildsItsCopyAnew(t *testing.T) {
	n := withStandby(t, nil)
	must(t, n.Do(t.Context(), func(tx *store.Tx) error {
		if err := put(tx, "missed"); err != nil {
			return err
		}
		_, err := tx.Exec(`UPDATE feed SET complete_from = 9000000000000000000`)
		return err
	}))
	before := n.State().Resyncs
	must(t, n.Do(t.Context(), func(tx *store.Tx) error { _, err := tx.Exec(`DELETE FROM changes`); return err }))
	n.follows()
	if n.State().Resyncs != before+1 {
		t.Error("the gap was not seen")
	}
	must(t, n.Do(t.Context(), func(tx *store.Tx) error { _, err := tx.Exec(`UPDATE feed SET complete_from = 0`); return err }))
	n.same()
}

// A row whose transaction commits late must reach the copy although younger ones
// came first.
func TestTheFeedSkipsNoTransactionThatCommitsLate(t *testing.T) {
	n := withStandby(t, nil)
	direct := storetest.Open(t, n.wire.Direct(), nil)
	written, commit := make(chan bool), make(chan bool)
	var late sync.WaitGroup
	late.Go(func() {
		direct.Do(t.Context(), func(tx *store.Tx) error {
			err := put(tx, "late")
			close(written)
			<-commit
			return err
		})
	})
	<-written
	for i := range 5 {
		must(t, direct.Do(t.Context(), func(tx *store.Tx) error { return put(tx, fmt.Sprint("early ", i)) }))
		n.follows()
		n.now.Set(n.now.Now().Add(30 * time.Second))
	}
	if age := n.State().HorizonAge; age < time.Minute || !strings.Contains(n.log.String(), "holds the change feed back") {
		t.Errorf("the open transaction is not told: %v", age)
	}
	close(commit)
	late.Wait()
	n.follows()
	n.follows()
	if age := n.State().HorizonAge; age != 0 {
		t.Errorf("the feed counts as held back: %v", age)
	}
	n.same()
}

func TestTheFeedCarriesManyRowsInSeveralRounds(t *testing.T) {
	for name, dsn := range map[string]func(testing.TB) string{"postgres": storetest.Postgres, "sqlite": storetest.SQLite} {
		t.Run(name, func(t *testing.T) {
			s := storetest.Open(t, dsn(t), func(o *store.Options) {
				o.Standby = &store.StandbyOptions{Dir: t.TempDir(), Keys: newKeys(t), Wait: 20 * time.Second}
			})
			must(t, s.Follow(t.Context(), nil))
			for i := range 5 {
				must(t, s.Do(t.Context(), func(tx *store.Tx) error {
					for k := range 900 {
						if err := put(tx, fmt.Sprint(i, "-", k)); err != nil {
							return err
						}
					}
					_, err := tx.Exec(`DELETE FROM nodes WHERE id = $1`, fmt.Sprint(i, "-", 5))
					return err
				}))
			}
			for range 6 {
				must(t, s.Follow(t.Context(), nil))
			}
			if r := s.State().Resyncs; r != 1 {
				t.Errorf("built %d times", r)
			}
			differences, err := s.Compare(t.Context())
			must(t, err)
			if len(differences) > 0 {
				t.Errorf("%q", differences)
			}
			must(t, s.ForgetChanges(t.Context()))
			must(t, s.Follow(t.Context(), nil))
			if r := s.State().Resyncs; r != 1 {
				t.Error("tidying the feed made a gap")
			}
		})
	}
}

func TestAnEntryThatThePrimaryCannotTakeStopsNoOther(t *testing.T) {
	n := withStandby(t, nil)
	n.wire.Cut()
	n.uses("one", "alice")
	n.uses("poison", "bob")
	n.uses("two", "carol")
	n.wire.Mend()
	settle := func(_ *store.Tx, e store.Entry, _ []store.Conflict) error {
		if bytes.Contains(e.Rows[0].Key, []byte("poison")) {
			return fmt.Errorf("cannot be settled")
		}
		return nil
	}
	eventually(t, func() error { return n.Follow(t.Context(), settle) })
	if s := n.State(); s.Parked != 1 || s.Handed != 2 || s.Tier != store.TierNone {
		t.Errorf("%+v", s)
	}
	if n.usedBy("one") != "alice" || n.usedBy("two") != "carol" {
		t.Error("the others did not arrive")
	}
}

func TestAPeersClaimIsRefusedTheSecondTime(t *testing.T) {
	n := withStandby(t, nil)
	fact := func(code, by string) []store.Fact {
		return []store.Fact{{Table: "totp_used", Key: fmt.Sprintf(`[%q, 7]`, code), By: by}}
	}
	n.wire.Cut()
	n.uses("ours", "alice")
	for _, row := range []struct {
		name    string
		facts   []store.Fact
		granted bool
	}{
		{"what nobody used", fact("free", "bob"), true},
		{"the same for the same attempt", fact("free", "bob"), true},
		{"the same for another", fact("free", "mallory"), false},
		{"what this node's copy has as used", fact("ours", "mallory"), false},
	} {
		if got := n.Claim(row.facts); got != row.granted {
			t.Errorf("%s: granted %v", row.name, got)
		}
	}
}

func TestWhatAPeerTellsIsKnownHereAndNotHandedOver(t *testing.T) {
	n := withStandby(t, nil)
	n.wire.Cut()
	e := store.Entry{ID: "e1", Node: "other", MadeAt: n.now.Now(), Rows: []store.Image{{Table: "totp_used", Key: json.RawMessage(`["code",7]`),
		Columns: map[string]json.RawMessage{"authenticator": []byte(`"code"`), "step": []byte("7"), "used_by": []byte(`"bob"`), "made_at": []byte("1"), "node": []byte(`"other"`)}}}}
	must(t, n.Heard(t.Context(), e))
	if n.uses("code", "mallory") {
		t.Error("a code that a peer has seen used was good here")
	}
	if s := n.State(); s.Journal != 0 {
		t.Errorf("%+v", s)
	}
}

func TestAStandbyMayBeNamedFromWhereTheProcessStands(t *testing.T) {
	n := withStandby(t, nil)
	t.Chdir(n.dir)
	n.o.Standby.Dir = "here"
	n.restarts()
	n.follows()
	if _, err := os.Stat(filepath.Join(n.dir, "here", "journal.db")); err != nil || strings.Contains(n.log.String(), "set aside") {
		t.Errorf("%v, %s", err, n.log)
	}
}

func TestANodeThatStartsInTheDarkSharesLimitsWithThoseItKnew(t *testing.T) {
	n := withStandby(t, nil)
	must(t, n.SeenNow(t.Context()))
	must(t, n.Do(t.Context(), func(tx *store.Tx) error {
		_, err := tx.Exec(`INSERT INTO nodes (id, started_at, seen_at, program) VALUES ('b', 1, $1, 't'), ('long gone', 1, 1, 't')`, store.Micros(tx.Now()))
		return err
	}))
	n.follows()
	n.now.Set(n.now.Now().Add(3 * time.Second))
	n.follows()
	n.wire.Cut()
	n.restarts()
	var share int
	must(t, n.Essential(t.Context(), func(tx *store.Tx) error { share = tx.Share(); return nil }))
	if share != 2 {
		t.Errorf("limits are divided among %d", share)
	}
}

// Between two rounds of the feed the node itself must not forget what it did.
func TestWhatThisNodeDidAMomentAgoItKnowsInTheDark(t *testing.T) {
	for name, dsn := range map[string]func(testing.TB) string{"postgres": storetest.Postgres, "sqlite": storetest.SQLite} {
		t.Run(name, func(t *testing.T) {
			broken := false
			s := storetest.Open(t, dsn(t), func(o *store.Options) {
				o.Standby = &store.StandbyOptions{Dir: t.TempDir(), Keys: newKeys(t), Wait: 20 * time.Second}
				o.Fault = func(point string) error {
					if broken && !strings.HasPrefix(point, "standby") {
						return errors.New("cut off")
					}
					return nil
				}
			})
			must(t, s.Do(t.Context(), func(tx *store.Tx) error {
				_, err := tx.Exec(`INSERT INTO accounts (id, email, email_key, email_skeleton, name, status, epoch, locale, zone, home_cell, made_at, version, node)
					VALUES ('a', 'a', 'a', 'a', 'Ada', 'active', 1, '', '', '', 1, 1, 'n')`)
				return err
			}))
			must(t, s.Follow(t.Context(), nil))
			must(t, s.Do(t.Context(), func(tx *store.Tx) error {
				tx.Through()
				_, err := tx.Exec(`UPDATE accounts SET status = 'disabled', epoch = 2 WHERE id = 'a'`)
				return err
			}))
			must(t, s.Essential(t.Context(), func(tx *store.Tx) error {
				if !tx.Take("totp_used", "ada", "app", int64(7)) {
					t.Error("a fresh code is refused")
				}
				return nil
			}))
			broken = true
			var status string
			must(t, s.Essential(t.Context(), func(tx *store.Tx) error {
				if !tx.Standby() {
					t.Error("the primary answered")
				}
				if tx.Take("totp_used", "mallory", "app", int64(7)) {
					t.Error("a code used a moment ago on the primary is good again")
				}
				if !tx.Take("totp_used", "ada", "app", int64(7)) {
					t.Error("the same attempt may show its own code again")
				}
				return tx.Row(`SELECT status FROM accounts WHERE id = 'a'`).Scan(&status)
			}))
			if status != "disabled" {
				t.Errorf("somebody disabled a moment ago is %s in the dark", status)
			}
		})
	}
}

func TestTheJournalForgetsWhatThePrimaryHasHadForAWeek(t *testing.T) {
	n := withStandby(t, nil)
	n.wire.Cut()
	n.uses("dark", "alice")
	n.wire.Mend()
	eventually(t, func() error { return n.Follow(t.Context(), nil) })
	for _, row := range []struct {
		after time.Duration
		kept  int64
	}{{6 * 24 * time.Hour, 1}, {2 * 24 * time.Hour, 0}} {
		n.now.Set(n.now.Now().Add(row.after))
		n.follows()
		if got := n.JournalLines(); got != row.kept {
			t.Errorf("after %v more %d entries are kept, want %d", row.after, got, row.kept)
		}
	}
}

// A wrong key folder must not cost the journal, which nobody else has.
func TestAJournalMadeWithOtherKeysStopsTheStartAndStays(t *testing.T) {
	n := withStandby(t, nil)
	n.wire.Cut()
	n.uses("dark", "alice")
	must(t, n.Close())
	right := n.o.Standby.Keys
	n.o.Standby.Keys = newKeys(t)
	if _, err := store.Open(t.Context(), n.o); !errors.Is(err, seal.ErrForeign) {
		t.Fatalf("started with other keys: %v", err)
	}
	n.o.Standby.Keys = right
	var err error
	n.Store, err = store.Open(t.Context(), n.o)
	must(t, err)
	if s := n.State(); s.Journal != 1 || !s.Usable {
		t.Errorf("with the right keys again: %+v", s)
	}
}
