package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"gatehouse/id"
	"gatehouse/seal"
	"gatehouse/store"
)

// openStore opens the database of the configuration. It does not ask it anything yet.
func openStore(ctx context.Context, l *Loaded, node id.Node, now func() time.Time, standby *store.StandbyOptions, with ...func(*store.Options)) (*store.Store, error) {
	dsn, err := l.dsn()
	if err != nil {
		return nil, err
	}
	o := store.Options{DSN: dsn, Node: node, Foreground: l.Foreground, Background: l.Background, Deadline: l.Deadline, Now: now, Rand: rand.Reader, Standby: standby}
	if path, sqlite := strings.CutPrefix(dsn, "sqlite:"); sqlite {
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return nil, next(err, "make the folder and give it to the user Gatehouse runs as, or set data_dir")
		}
		o.Foreground, o.Background = l.readers("database.foreground", o.Foreground), l.readers("database.background", o.Background)
	}
	for _, change := range with {
		change(&o)
	}
	s, err := store.Open(ctx, o)
	if errors.Is(err, seal.ErrForeign) {
		return s, next(err, "point keys_dir to the right folder, or put it back from the backup; if standby.dir came from another installation, move it away")
	}
	return s, next(err, "see where database.dsn leads: gatehouse config check --print-effective")
}

// standby says where this node keeps its standby: beside its other data for a
// PostgreSQL elsewhere; for a SQLite file only where somebody names a folder, for
// a second copy on the same disk dies with the first.
func (l *Loaded) standby(keys *seal.Keys, log *slog.Logger) *store.StandbyOptions {
	dir := l.StandbyDir
	if dsn, err := l.dsn(); dir == "" && err == nil && !strings.HasPrefix(dsn, "sqlite:") {
		dir = filepath.Join(l.DataDir, "standby")
	}
	if dir == "" || l.StandbyOff {
		return nil
	}
	return &store.StandbyOptions{Dir: dir, Keys: keys, Wait: l.StandbyWait, MaxAge: l.StandbyMaxAge, Log: log}
}

// readers leaves SQLite's own default where nobody wrote a number: more
// connections to one file only cost memory.
func (l *Loaded) readers(key string, n int) int {
	if _, written := l.From[key]; written {
		return n
	}
	return 0
}

// migrated refuses to work on a database that a migration is waiting for.
func migrated(ctx context.Context, s *store.Store) error {
	pending, err := s.Pending(ctx)
	if err != nil {
		return err
	}
	if len(pending) == 0 {
		return nil
	}
	return &needsMigration{len(pending)}
}

type needsMigration struct{ pending int }

func (n *needsMigration) Error() string {
	return fmt.Sprintf("the database waits for %s: gatehouse migrate --apply", count(n.pending, "migration"))
}

func count(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %s%s", n, thing, either(strings.HasSuffix(thing, "s"), "es", "s"))
}
