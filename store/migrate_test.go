package store_test

import (
	"errors"
	"maps"
	"slices"
	"testing"

	"gatehouse/store"
	"gatehouse/store/storetest"
)

func TestMigratingTwiceChangesNothing(t *testing.T) {
	forEachEmpty(t, func(t *testing.T, dsn string) {
		s := storetest.OpenEmpty(t, dsn, nil)
		pending, err := s.Pending(t.Context())
		must(t, err)
		applied, err := s.Migrate(t.Context())
		must(t, err)
		if len(pending) == 0 || len(applied) != len(pending) || applied[0].Name != "the house" || applied[0].Version != 1 {
			t.Errorf("%v was pending, %v was applied", pending, applied)
		}
		before := columns(t, s)
		again, err := s.Migrate(t.Context())
		must(t, err)
		if len(again) != 0 || !maps.Equal(before, columns(t, s)) {
			t.Errorf("the second time %v was applied", again)
		}
		states, err := s.Status(t.Context())
		must(t, err)
		for _, state := range states {
			if state.AppliedAt.IsZero() || state.Name == "" {
				t.Errorf("%+v is not told as applied", state)
			}
		}
		pending, err = s.Pending(t.Context())
		if err != nil || len(pending) != 0 || len(states) != len(applied) {
			t.Errorf("afterwards %v is pending, of %v (%v)", pending, states, err)
		}
	})
}

func forEachEmpty(t *testing.T, fn func(t *testing.T, dsn string)) {
	t.Run("sqlite", func(t *testing.T) { fn(t, storetest.SQLite(t)) })
	t.Run("postgres", func(t *testing.T) { fn(t, storetest.Postgres(t)) })
}

func TestNodesThatStartTogetherMigrateOnce(t *testing.T) {
	forEachEmpty(t, func(t *testing.T, dsn string) {
		const nodes = 4
		done, total := make(chan error, nodes), make(chan int, nodes)
		for range nodes {
			s := storetest.OpenEmpty(t, dsn, nil)
			go func() {
				applied, err := s.Migrate(t.Context())
				total <- len(applied)
				done <- err
			}()
		}
		var errs error
		sum := 0
		for range nodes {
			errs, sum = errors.Join(errs, <-done), sum+<-total
		}
		must(t, errs)
		states, err := storetest.OpenEmpty(t, dsn, nil).Status(t.Context())
		must(t, err)
		if sum != len(states) {
			t.Errorf("%d migrations were applied by all together, want each of %d once", sum, len(states))
		}
	})
}

func TestADatabaseThatTheNextReleaseHasMigratedStillWorks(t *testing.T) {
	forEachEmpty(t, func(t *testing.T, dsn string) {
		next := storetest.OpenEmpty(t, dsn, nil)
		next.AddMigration(1000, "of the next release", "ALTER TABLE nodes ADD COLUMN extra {{blob}}; CREATE TABLE more (n {{serial}})")
		_, err := next.Migrate(t.Context())
		must(t, err)

		s := storetest.OpenEmpty(t, dsn, nil)
		applied, err := s.Migrate(t.Context())
		must(t, err)
		pending, err := s.Pending(t.Context())
		must(t, err)
		states, err := s.Status(t.Context())
		must(t, err)
		last := states[len(states)-1]
		if len(applied)+len(pending) != 0 || last.Version != 1000 || last.Name != "" || last.AppliedAt.IsZero() {
			t.Errorf("applied %v, pending %v, status %v", applied, pending, states)
		}
		must(t, s.SeenNow(t.Context()))
		must(t, s.Do(t.Context(), func(tx *store.Tx) error { return put(tx, "a") }))
	})
}

func TestAMigrationThatFailsLeavesNothingAndIsToldByName(t *testing.T) {
	forEachEmpty(t, func(t *testing.T, dsn string) {
		s := storetest.Open(t, dsn, nil)
		before := columns(t, s)
		s.AddMigration(1000, "broken", "CREATE TABLE half (a BIGINT); CREATE TABLE half (a BIGINT)")
		if _, err := s.Migrate(t.Context()); err == nil {
			t.Error("a broken migration passed")
		}
		pending, err := s.Pending(t.Context())
		must(t, err)
		if len(pending) != 1 || pending[0].Name != "broken" || !maps.Equal(before, columns(t, s)) {
			t.Errorf("pending is %v and the tables have changed or not", pending)
		}
	})
}

func TestTheFreshSchemaIsTheSameOnBothDatabases(t *testing.T) {
	lite := columns(t, storetest.Open(t, storetest.SQLite(t), nil))
	postgres := columns(t, storetest.Open(t, storetest.Postgres(t), nil))
	if len(lite) < 100 {
		t.Fatalf("only %d columns were found", len(lite))
	}
	all := maps.Clone(lite)
	maps.Copy(all, postgres)
	for _, column := range slices.Sorted(maps.Keys(all)) {
		if lite[column] != postgres[column] {
			t.Errorf("%s is %q on SQLite and %q on PostgreSQL", column, lite[column], postgres[column])
		}
	}
}

// columns maps table.column to its type (in PostgreSQL's words) and whether it may be NULL.
func columns(t *testing.T, s *store.Store) map[string]string {
	t.Helper()
	lite := `SELECT m.name || '.' || c.name AS name,
			CASE WHEN c.type = 'INTEGER' THEN 'bigint' WHEN c.type = 'BLOB' THEN 'bytea' ELSE lower(c.type) END
			|| CASE WHEN c."notnull" = 1 OR c.pk > 0 THEN '' ELSE ' or null' END AS kind
		FROM sqlite_master m JOIN pragma_table_info(m.name) c
		WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite_%' AND m.name NOT LIKE 'goose_%'`
	postgres := `SELECT table_name || '.' || column_name AS name,
			data_type || CASE WHEN is_nullable = 'NO' THEN '' ELSE ' or null' END AS kind
		FROM information_schema.columns WHERE table_schema = current_schema() AND table_name NOT LIKE 'goose_%'`
	found := map[string]string{}
	must(t, s.Read(t.Context(), func(tx *store.Tx) error {
		q := postgres
		if tx.ForUpdate() == "" {
			q = lite
		}
		rows, err := tx.Rows(q)
		if err != nil {
			return err
		}
		for rows.Next() {
			var name, kind string
			if err := rows.Scan(&name, &kind); err != nil {
				return err
			}
			found[name] = kind
		}
		return rows.Err()
	}))
	return found
}
