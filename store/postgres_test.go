package store_test

import (
	"database/sql"
	"errors"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse/fault"
	"gatehouse/store"
	"gatehouse/store/storetest"
)

// openPostgres also returns a way to administer the database behind the store's back.
func openPostgres(t *testing.T) (*store.Store, func(statement string)) {
	t.Helper()
	dsn := storetest.Postgres(t)
	admin, err := sql.Open("pgx", dsn)
	must(t, err)
	t.Cleanup(func() { admin.Close() })
	admin.SetMaxOpenConns(1)
	return storetest.Open(t, dsn, nil), func(statement string) {
		_, err := admin.Exec(statement)
		must(t, err)
	}
}

// cutAll ends every connection but the one it uses, as a restart of the server would.
const cutAll = `SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity
	WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'`

func TestADeadlockIsTriedAgainUntilBothWritersAreDone(t *testing.T) {
	s, _ := openPostgres(t)
	must(t, s.Do(t.Context(), func(tx *store.Tx) error { return errors.Join(put(tx, "a"), put(tx, "b")) }))
	var met sync.WaitGroup
	met.Add(2)
	runs := make(chan string, 100)
	both := func(first, second string) func(*store.Tx) error {
		meet := sync.OnceFunc(func() { met.Done(); met.Wait() })
		return func(tx *store.Tx) error {
			runs <- first
			raise := "UPDATE nodes SET seen_at = seen_at + 1 WHERE id = $1"
			if _, err := tx.Exec(raise, first); err != nil {
				return err
			}
			meet() // each holds one row now and will want the other's
			_, err := tx.Exec(raise, second)
			return err
		}
	}
	done := make(chan error)
	go func() { done <- s.Do(t.Context(), both("a", "b")) }()
	go func() { done <- s.Do(t.Context(), both("b", "a")) }()
	must(t, errors.Join(<-done, <-done))
	var sum int64
	must(t, s.Read(t.Context(), func(tx *store.Tx) error {
		return tx.Row("SELECT CAST(SUM(seen_at) AS BIGINT) AS n FROM nodes").Scan(&sum)
	}))
	if len(runs) < 3 || sum != 6 {
		t.Errorf("%d runs and a sum of %d; want a third run for the deadlock, and each writer's work once (6)", len(runs), sum)
	}
}

func TestAClosedPortIsUnavailable(t *testing.T) {
	s := storetest.OpenEmpty(t, "postgres://nobody:hunter2@"+closedPort(t)+"/x?sslmode=disable", nil)
	nothing := func(*store.Tx) error { return nil }
	for name, err := range map[string]error{
		"write": s.Do(t.Context(), nothing), "read": s.Read(t.Context(), nothing), "background": s.Background(t.Context(), nothing),
		"ping": s.Ping(t.Context()), "status": second(s.Status(t.Context())), "migrate": second(s.Migrate(t.Context())),
		"floor": second(s.Floor(t.Context())),
	} {
		if fault.Of(err) != fault.Unavailable || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: got %v, want unavailable and no password in it", name, err)
		}
	}
}

func closedPort(t *testing.T) (address string) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	must(t, listener.Close())
	return listener.Addr().String()
}

func second[T any](_ T, err error) error { return err }

func TestAfterARestartOfTheServerTheFirstCallWorks(t *testing.T) {
	s, admin := openPostgres(t)
	release := hold(t, 10, s.Do) // idle connections that will be dead
	release()
	admin(cutAll)
	must(t, s.Do(t.Context(), func(tx *store.Tx) error { return put(tx, "a") }))
	must(t, s.Ping(t.Context()))
}

func TestAConnectionLostInsideFnIsTriedAgainOnAnother(t *testing.T) {
	s, admin := openPostgres(t)
	runs := 0
	must(t, s.Do(t.Context(), func(tx *store.Tx) error {
		runs++
		must(t, put(tx, "first"))
		if runs == 1 {
			admin(cutAll)
		}
		return put(tx, "second")
	}))
	if n := count(t, s); runs != 2 || n != 2 {
		t.Errorf("%d runs and %d rows, want 2 and 2", runs, n)
	}
}

func TestACommitWithoutAnAnswerIsUnknownAndNotTriedAgain(t *testing.T) {
	s, admin := openPostgres(t)
	runs := 0
	err := s.Do(t.Context(), func(tx *store.Tx) error {
		runs++
		must(t, put(tx, "a"))
		admin(cutAll)
		return nil
	})
	wantCode(t, err, fault.Unavailable)
	if runs != 1 || !errors.Is(err, store.ErrOutcomeUnknown) {
		t.Errorf("%d runs and %v; want one run and an unknown outcome", runs, err)
	}
}

func TestAConnectionThatTurnsOutReadOnlyIsUnavailableAndNotUsedAgain(t *testing.T) {
	s := storetest.Open(t, storetest.Postgres(t), func(o *store.Options) { o.Foreground = 1 })
	var before, after int64
	pid := "SELECT pg_backend_pid()"
	err := s.Do(t.Context(), func(tx *store.Tx) error {
		must(t, tx.Row(pid).Scan(&before))
		_, err := tx.Exec("SET TRANSACTION READ ONLY")
		must(t, err)
		return put(tx, "a")
	})
	wantCode(t, err, fault.Unavailable)
	must(t, s.Do(t.Context(), func(tx *store.Tx) error {
		return errors.Join(tx.Row(pid).Scan(&after), put(tx, "a"))
	}))
	if before == after {
		t.Error("the connection to a read-only server is used again")
	}
}

func TestAServerThatTakesNoWritesIsNotConnectedTo(t *testing.T) {
	s, admin := openPostgres(t)
	var name string
	must(t, s.Do(t.Context(), func(tx *store.Tx) error { return tx.Row("SELECT current_database()").Scan(&name) }))
	write := func(tx *store.Tx) error { return put(tx, "a") }
	admin(`ALTER DATABASE "` + name + `" SET default_transaction_read_only = on`)
	admin(cutAll)
	wantCode(t, s.Do(t.Context(), write), fault.Unavailable)
	admin(`ALTER DATABASE "` + name + `" SET default_transaction_read_only = off`)
	must(t, s.Do(t.Context(), write))
}

func TestOfSeveralHostsTheOneThatAnswersIsUsed(t *testing.T) {
	var w wire
	dsn := strings.Replace(w.lay(t, storetest.Postgres(t)), "@", "@"+closedPort(t)+",", 1)
	s := storetest.Open(t, dsn, nil)
	must(t, s.Do(t.Context(), func(tx *store.Tx) error { return put(tx, "a") }))
}

func TestTheServerKnowsTheDeadlineTooAndTheTimeZoneIsUTC(t *testing.T) {
	dsn := storetest.Postgres(t)
	s := storetest.Open(t, dsn, func(o *store.Options) { o.Deadline = 7 * time.Second })
	for setting, want := range map[string]string{
		"statement_timeout": "7s", "idle_in_transaction_session_timeout": "7s", "TimeZone": "UTC", "application_name": "gatehouse",
		"transaction_isolation": "read committed",
	} {
		var got string
		must(t, s.Do(t.Context(), func(tx *store.Tx) error {
			return tx.Row("SELECT current_setting($1)", setting).Scan(&got)
		}))
		if got != want {
			t.Errorf("%s is %q, want %q", setting, got, want)
		}
	}
}

func TestAStatementIsParsedOnceAConnectionOnPostgres(t *testing.T) {
	s := storetest.Open(t, storetest.Postgres(t), func(o *store.Options) { o.Foreground = 1 })
	var kept int64
	for range 3 {
		must(t, s.Do(t.Context(), func(tx *store.Tx) error {
			return tx.Row("SELECT COUNT(*) AS n FROM pg_prepared_statements WHERE statement LIKE $1", "%pg_prepared_statements%").Scan(&kept)
		}))
	}
	if kept != 1 {
		t.Errorf("%d statements are kept, want the one", kept)
	}
}
