package store_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"gatehouse/fault"
	"gatehouse/store"
	"gatehouse/store/storetest"
)

func TestTwoProcessesOnOneFileTakeTurns(t *testing.T) {
	dsn := storetest.SQLite(t)
	one, two := storetest.Open(t, dsn, nil), storetest.Open(t, dsn, nil)
	write := func(tx *store.Tx) error {
		for range 5 {
			if _, err := tx.Exec(`INSERT INTO nodes (id, started_at, seen_at, program) VALUES ('n', 1, 1, '')
				ON CONFLICT (id) DO UPDATE SET seen_at = nodes.seen_at + 1`); err != nil {
				return err
			}
		}
		return nil
	}
	done := make(chan error)
	for _, s := range []*store.Store{one, two} {
		go func() {
			var errs error
			for range 50 {
				errs = errors.Join(errs, s.Do(t.Context(), write))
			}
			done <- errs
		}()
	}
	must(t, errors.Join(<-done, <-done))
	var seen int64
	must(t, one.Read(t.Context(), func(tx *store.Tx) error { return tx.Row("SELECT seen_at FROM nodes").Scan(&seen) }))
	if seen != 2*50*5 {
		t.Errorf("%d of %d increments are there", seen, 2*50*5)
	}
}

func TestAFileLockedForLongIsTriedUntilTheDeadlineAndThenUnavailable(t *testing.T) {
	dsn := storetest.SQLite(t)
	s, other := storetest.Open(t, dsn, nil), storetest.Open(t, dsn, nil)
	release := hold(t, 1, other.Do)
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond) // three times what SQLite itself waits
	defer cancel()
	wantCode(t, s.Do(ctx, func(tx *store.Tx) error { return put(tx, "a") }), fault.Unavailable)
	if ctx.Err() == nil {
		t.Error("it gave up before its deadline")
	}
	done := make(chan error)
	go func() { done <- s.Do(t.Context(), func(tx *store.Tx) error { return put(tx, "a") }) }()
	release()
	must(t, <-done)
}

func TestAWaitingForegroundWriterGoesBeforeBackgroundWriters(t *testing.T) {
	s := storetest.Open(t, storetest.SQLite(t), nil)
	release := hold(t, 1, s.Do)
	order := make(chan string, 11)
	queue := func(name string, in func(context.Context, func(*store.Tx) error) error) {
		before := s.Queued()
		go in(t.Context(), func(*store.Tx) error { order <- name; return nil })
		for s.Queued() == before {
			runtime.Gosched()
		}
	}
	for range 10 {
		queue("background", s.Background)
	}
	queue("foreground", s.Do)
	release()
	if first := <-order; first != "foreground" {
		t.Error("background work went before a sign-in")
	}
}

func TestAFileThatCannotServeIsUnavailable(t *testing.T) {
	write := func(tx *store.Tx) error { return put(tx, "a") }
	t.Run("it is no database", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "gatehouse.db")
		must(t, os.WriteFile(path, []byte(strings.Repeat("this is a letter to my aunt\n", 100)), 0o600))
		s := storetest.OpenEmpty(t, "sqlite:"+path, nil)
		wantCode(t, s.Do(t.Context(), write), fault.Unavailable)
		wantCode(t, s.Ping(t.Context()), fault.Unavailable)
		wantCode(t, second(s.Migrate(t.Context())), fault.Unavailable)
	})
	t.Run("its disk is full, and later it is not", func(t *testing.T) {
		s := storetest.Open(t, storetest.SQLite(t), nil)
		err := s.Do(t.Context(), func(tx *store.Tx) error {
			var pages int64
			must(t, tx.Row("PRAGMA max_page_count = 1").Scan(&pages)) // as many as there are
			return put(tx, strings.Repeat("long", 1_000_000))
		})
		wantCode(t, err, fault.Unavailable)
		must(t, s.Do(t.Context(), write))
	})
	t.Run("it has gone with its directory", func(t *testing.T) {
		dir := filepath.Join(t.TempDir(), "gone")
		must(t, os.Mkdir(dir, 0o700))
		s := storetest.OpenEmpty(t, "sqlite:"+filepath.Join(dir, "gatehouse.db"), nil)
		must(t, os.RemoveAll(dir))
		wantCode(t, s.Do(t.Context(), write), fault.Unavailable)
	})
}

func TestTheFileIsDurableStrictAndPrivate(t *testing.T) {
	dsn := storetest.SQLite(t)
	s := storetest.Open(t, dsn, nil)
	for pragma, want := range map[string]string{"journal_mode": "wal", "synchronous": "2", "foreign_keys": "1"} {
		var got string
		must(t, s.Do(t.Context(), func(tx *store.Tx) error { return tx.Row("PRAGMA " + pragma).Scan(&got) }))
		if got != want {
			t.Errorf("%s is %s, want %s", pragma, got, want)
		}
	}
	if err := s.Read(t.Context(), func(tx *store.Tx) error { return tx.Row(`SELECT "nobody"`).Scan(new(string)) }); err == nil {
		t.Error("a name nobody knows in double quotes passes as a text, which PostgreSQL refuses")
	}
	files, err := filepath.Glob(strings.TrimPrefix(dsn, "sqlite:") + "*")
	must(t, err)
	for _, file := range files {
		info, err := os.Stat(file)
		must(t, err)
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v; others can read it", filepath.Base(file), info.Mode())
		}
	}
	if len(files) != 3 {
		t.Errorf("looked at %v; want the file, its log and its index", files)
	}
}

func TestAPathMayHoldAnyCharacter(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a ?b#c%20&d=é.db")
	s := storetest.Open(t, "sqlite:"+path, nil)
	must(t, s.Do(t.Context(), func(tx *store.Tx) error { return put(tx, "a") }))
	if info, err := os.Stat(path); err != nil || info.Size() == 0 {
		t.Errorf("the file is not where it was asked for: %v", err)
	}
}

func TestMoreTextsThanAreKeptAndOneReadTwiceInTurn(t *testing.T) {
	s := storetest.Open(t, storetest.SQLite(t), nil)
	must(t, s.Do(t.Context(), func(tx *store.Tx) error {
		for n := range 600 {
			var got int
			if err := tx.Row("SELECT $1 + "+strings.Repeat("1 + ", n)+"0", 1).Scan(&got); err != nil || got != n+1 {
				t.Fatalf("text %d gave %d, %v", n, got, err)
			}
		}
		return nil
	}))
}
