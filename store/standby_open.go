package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"gatehouse/seal"
	"strings"
)

// meta is what the copy says of itself: up to where it follows which database.
type meta struct {
	Incarnation string
	System      string
	Place       int64 // 0: it never held everything
	FollowedAt  int64 // microseconds
}

const copySchema = `
CREATE TABLE IF NOT EXISTS origin (id INTEGER PRIMARY KEY, sealed BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS followed (
	id           INTEGER PRIMARY KEY,
	incarnation  TEXT NOT NULL,
	system       TEXT NOT NULL,
	place        INTEGER NOT NULL,
	followed_at  INTEGER NOT NULL
);`

// openFiles opens journal and copy. What is damaged or foreign is set aside: the
// copy is then built anew; a lost journal is told loudly, for it may have held
// what nobody else knows.
func (sb *standby) openFiles(o Options) error {
	var err error
	if sb.o.Dir, err = filepath.Abs(sb.o.Dir); err != nil {
		return err
	}
	if err := os.MkdirAll(sb.o.Dir, 0o700); err != nil {
		return err
	}
	sb.journal, err = orAside(sb, journalPath(sb.o.Dir), func(path string) (*journal, error) {
		j, err := openJournal(path, sb.o.Keys)
		if errors.Is(err, errOtherKeys) { // more likely it is the key folder that is wrong, and what is in here nobody else has
			err = fmt.Errorf("%s: %w", path, seal.ErrForeign)
		}
		return j, err
	})
	if err != nil {
		return err
	}
	sb.copy, err = orAside(sb, copyPath(sb.o.Dir), func(path string) (*Store, error) { return sb.openCopy(path, o) })
	if err != nil {
		return errors.Join(err, sb.journal.close())
	}
	sb.copy.standby, sb.copy.isStandby, sb.copy.beforeCommit = sb, true, sb.journalise
	return nil
}

// orAside opens a file, and once more after a file that is not to be believed was
// moved out of the way.
func orAside[T any](sb *standby, path string, open func(string) (T, error)) (T, error) {
	opened, err := open(path)
	if !errors.Is(err, errNotOurs) {
		return opened, err
	}
	to, moveErr := setAside(path, sb.primary.now())
	if moveErr != nil {
		return opened, errors.Join(err, moveErr)
	}
	sb.o.Log.Error("a file of the standby is damaged or not ours; it was set aside and begins anew", "file", path, "kept_as", to, "cause", err)
	sb.state.Refused = append(sb.state.Refused, to)
	return open(path)
}

func (sb *standby) openCopy(path string, o Options) (*Store, error) {
	s := &Store{node: o.Node, deadline: sb.primary.deadline, now: o.Now, startedAt: o.Now(), migrations: sb.primary.migrations, random: o.Rand, run: sb.primary.run + "s"}
	if err := s.openSQLite(Options{DSN: "sqlite:" + path}); err != nil {
		return nil, err
	}
	db := s.foreground.write.db
	err := whole(db)
	if err == nil {
		_, err = db.Exec(copySchema)
	}
	if err == nil {
		err = ours(db, sb.o.Keys, "copy")
	}
	if err == nil {
		err = sb.bringUp(s)
	}
	if err == nil {
		sb.meta, err = readMeta(db)
	}
	if err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

// bringUp gives the copy this build's schema and the triggers that the journal
// needs and the feed does not have. A copy that cannot follow is built anew.
func (sb *standby) bringUp(s *Store) error {
	if _, err := s.Migrate(context.Background()); err != nil {
		return fmt.Errorf("%w: its schema cannot be brought up to date: %w", errNotOurs, err)
	}
	for table, key := range journalled {
		text := triggerSQLite("{{feed " + table + " " + strings.Join(key, ",") + "}}")
		if _, err := s.foreground.write.db.Exec(strings.ReplaceAll(text, "CREATE TRIGGER", "CREATE TRIGGER IF NOT EXISTS")); err != nil {
			return err
		}
	}
	return nil
}

func readMeta(db *sql.DB) (meta, error) {
	var m meta
	err := db.QueryRow(`SELECT incarnation, system, place, followed_at FROM followed WHERE id = 1`).Scan(&m.Incarnation, &m.System, &m.Place, &m.FollowedAt)
	if errors.Is(err, sql.ErrNoRows) {
		return meta{}, nil
	}
	return m, err
}

func (t *Tx) writeMeta(m meta) error {
	_, err := t.Exec(`INSERT INTO followed (id, incarnation, system, place, followed_at) VALUES (1, $1, $2, $3, $4)
		ON CONFLICT (id) DO UPDATE SET incarnation = excluded.incarnation, system = excluded.system, place = excluded.place, followed_at = excluded.followed_at`,
		m.Incarnation, m.System, m.Place, m.FollowedAt)
	return err
}

// quietly writes to the copy what is no fact of this node: nothing of it is journalled.
func (sb *standby) quietly(ctx context.Context, fn func(*Tx) error) error {
	return sb.copy.runCall(ctx, sb.copy.foreground.write, sb.copy.newCall(sb.primary.deadline), func(tx *Tx) error {
		if err := fn(tx); err != nil {
			return err
		}
		_, err := tx.Exec("DELETE FROM changes")
		return err
	})
}

// redo writes into the copy what its journal has and it may lack: after a crash
// between the two, or when the copy was built anew.
func (sb *standby) redo() error {
	ctx := context.Background()
	for done := 0; ; {
		waits, err := sb.journal.waiting(ctx, done, 200)
		if err != nil || len(waits) == 0 {
			return errors.Join(err, sb.count(ctx))
		}
		done += len(waits)
		if err := sb.redoSome(ctx, waits); err != nil {
			return err
		}
	}
}

// redoSome writes entries into the copy. One that it cannot take keeps no node from
// starting: the hand-over parks it.
func (sb *standby) redoSome(ctx context.Context, some []Entry) error {
	err := sb.quietly(ctx, func(tx *Tx) error { return tx.applyAll(some) })
	if err == nil || isOutage(err) {
		return err
	}
	if len(some) == 1 {
		sb.o.Log.Error("an entry of the journal is not on the standby; the hand-over will park it", "entry", some[0].ID, "error", err)
		return nil
	}
	for _, e := range some {
		if err := sb.redoSome(ctx, []Entry{e}); err != nil {
			return err
		}
	}
	return nil
}
