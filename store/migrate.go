package store

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/pressly/goose/v3"
)

// Applied is a migration that Migrate has just applied.
type Applied struct {
	Version int64
	Name    string
	Took    time.Duration
}

// MigrationState is a migration and when it was applied.
type MigrationState struct {
	Version   int64
	Name      string    // "" when only a newer release knows it
	AppliedAt time.Time // by the database's clock, UTC; zero while it is pending
}

// Migrate applies what is pending, each migration in a transaction of its own,
// and returns what it did. Nodes that start together take turns. Only ctx bounds
// it: a migration may take longer than a request.
//
// A database that a newer release has migrated is left as it is and works, as
// long as that release is the next one (changes are expand, then contract).
func (s *Store) Migrate(ctx context.Context) ([]Applied, error) {
	var all []Applied
	for left := len(s.migrations) + 1; ; {
		applied, err := s.migrateOnce(ctx)
		all = append(all, applied...)
		if err == nil || ctx.Err() != nil {
			return all, err
		}
		// Where no lock keeps order (two processes on one SQLite file) the other may
		// have been first, with all of them or with some.
		pending, statusErr := s.Pending(ctx)
		switch {
		case statusErr != nil || len(pending) >= left:
			return all, err
		case len(pending) == 0:
			return all, nil
		}
		left = len(pending)
	}
}

func (s *Store) migrateOnce(ctx context.Context) ([]Applied, error) {
	db, err := s.dialect.migrate()
	if err != nil {
		return nil, err
	}
	defer db.Close()
	provider, err := s.provider(db)
	if err != nil {
		return nil, err
	}
	results, err := provider.Up(ctx)
	var partial *goose.PartialError
	if errors.As(err, &partial) {
		results = partial.Applied // those before the one that failed
	}
	applied := make([]Applied, 0, len(results))
	for _, r := range results {
		applied = append(applied, Applied{r.Source.Version, s.migrationName(r.Source.Version), r.Duration})
	}
	if err != nil {
		_, err = s.judge("migrating", err)
	}
	return applied, err
}

func (s *Store) provider(db *sql.DB) (*goose.Provider, error) {
	list := make([]*goose.Migration, 0, len(s.migrations))
	for _, m := range s.migrations {
		up := func(ctx context.Context, tx *sql.Tx) error {
			_, err := tx.ExecContext(ctx, s.dialect.translate(m.sql))
			return err
		}
		list = append(list, goose.NewGoMigration(m.version, &goose.GoFunc{RunTx: up}, nil))
	}
	options := []goose.ProviderOption{
		goose.WithGoMigrations(list...), goose.WithDisableGlobalRegistry(true), goose.WithLogger(goose.NopLogger()),
	}
	if s.dialect.lock != nil {
		locker, err := s.dialect.lock()
		if err != nil {
			return nil, err
		}
		options = append(options, goose.WithSessionLocker(locker))
	}
	return goose.NewProvider(s.dialect.goose, db, nil, options...)
}

func (d dialect) translate(text string) string {
	text = strings.NewReplacer("{{blob}}", d.blob, "{{serial}}", d.serial, "{{xid}}", d.xid).Replace(text)
	return feedLine.ReplaceAllStringFunc(text, d.feedTrigger)
}

func (s *Store) migrationName(version int64) string {
	for _, m := range s.migrations {
		if m.version == version {
			return m.name
		}
	}
	return ""
}

// Pending lists the migrations that Migrate would apply. It changes nothing.
func (s *Store) Pending(ctx context.Context) ([]MigrationState, error) {
	states, err := s.Status(ctx)
	var pending []MigrationState
	for _, state := range states {
		if state.AppliedAt.IsZero() {
			pending = append(pending, state)
		}
	}
	return pending, err
}

// Status lists every migration, oldest first, and after them those that only a
// newer release knows. It changes nothing and waits for no lock.
func (s *Store) Status(ctx context.Context) ([]MigrationState, error) {
	var states []MigrationState
	err := s.Read(ctx, func(tx *Tx) error {
		applied, err := applied(tx)
		states = merge(s.migrations, applied)
		return err
	})
	return states, err
}

// merge puts what we know and what the database says of it together.
func merge(known []migration, applied []MigrationState) []MigrationState {
	var states []MigrationState
	for _, m := range known {
		state := MigrationState{Version: m.version, Name: m.name}
		applied = slices.DeleteFunc(applied, func(a MigrationState) bool {
			if a.Version == m.version {
				state.AppliedAt = a.AppliedAt
			}
			return a.Version == m.version
		})
		states = append(states, state)
	}
	return append(states, applied...)
}

// applied reads goose's table, which is not there before the first migration.
// Its version 0 is goose's own.
func applied(tx *Tx) ([]MigrationState, error) {
	var tables int64
	if err := tx.Row(tx.store.dialect.findTable, goose.DefaultTablename).Scan(&tables); err != nil || tables == 0 {
		return nil, err
	}
	rows, err := tx.Rows("SELECT version_id, tstamp FROM " + goose.DefaultTablename + " WHERE version_id > 0 ORDER BY version_id")
	if err != nil {
		return nil, err
	}
	var found []MigrationState
	for rows.Next() {
		var m MigrationState
		if err := rows.Scan(&m.Version, &m.AppliedAt); err != nil {
			return nil, err
		}
		m.AppliedAt = m.AppliedAt.UTC()
		found = append(found, m)
	}
	return found, rows.Err()
}
