package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/database"
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
	applied, err := s.migrateOnce(ctx)
	if err != nil && ctx.Err() == nil {
		// Where no lock keeps order (two processes on one SQLite file) the
		// other may have been first.
		if pending, statusErr := s.Pending(ctx); statusErr == nil && len(pending) == 0 {
			return applied, nil
		}
	}
	return applied, err
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
	if err != nil {
		_, err = s.judge("migrating", err)
		return nil, err
	}
	applied := make([]Applied, 0, len(results))
	for _, r := range results {
		applied = append(applied, Applied{r.Source.Version, s.migrationName(r.Source.Version), r.Duration})
	}
	return applied, nil
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
	return strings.NewReplacer("{{blob}}", d.blob, "{{serial}}", d.serial).Replace(text)
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

// Status lists every migration, oldest first, and those that only a newer
// release knows after them. It changes nothing and waits for no lock.
func (s *Store) Status(ctx context.Context) ([]MigrationState, error) {
	ctx, cancel := context.WithTimeout(ctx, s.deadline)
	defer cancel()
	appliedAt, err := s.appliedAt(ctx)
	if err != nil {
		_, err = s.judge("reading the migrations", err)
		return nil, err
	}
	var states []MigrationState
	for _, m := range s.migrations {
		states = append(states, MigrationState{m.version, m.name, appliedAt[m.version]})
		delete(appliedAt, m.version)
	}
	for version, at := range appliedAt {
		states = append(states, MigrationState{version, "", at})
	}
	return states, nil
}

// appliedAt reads goose's table, which is not there before the first migration.
func (s *Store) appliedAt(ctx context.Context) (map[int64]time.Time, error) {
	db := s.foreground.read.db
	table, err := database.NewStore(s.dialect.goose, goose.DefaultTablename)
	if err != nil {
		return nil, err
	}
	extended, ok := table.(database.StoreExtender)
	if !ok {
		return nil, errors.New("store: goose cannot tell whether its table exists")
	}
	exists, err := extended.TableExists(ctx, db)
	if err != nil || !exists {
		return nil, err
	}
	versions, err := table.ListMigrations(ctx, db)
	if err != nil {
		return nil, err
	}
	at := map[int64]time.Time{}
	for _, v := range versions {
		if v.Version == 0 || !v.IsApplied {
			continue // 0 is goose's own
		}
		row, err := table.GetMigration(ctx, db, v.Version)
		if err != nil {
			return nil, fmt.Errorf("migration %d: %w", v.Version, err)
		}
		at[v.Version] = row.Timestamp.UTC()
	}
	return at, nil
}
