package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"gatehouse/seal"
)

// journal is a file of its own beside the standby: every transaction that was
// committed there, until the primary has it. No rebuild of the standby touches
// it. It is written first, with a full sync, so it is also the standby's redo
// log: at T2 what was acknowledged is as safe as this one disk.
type journal struct {
	db   *sql.DB
	path string
	keys *seal.Keys // each entry is sealed for its id: what a bad disk or a stranger wrote is no fact
}

// journalSchema is fixed: entries say themselves which schema their rows are of,
// so that they survive an upgrade made while the primary is dead.
const journalSchema = `
CREATE TABLE IF NOT EXISTS entries (
	seq      INTEGER PRIMARY KEY AUTOINCREMENT,
	id       TEXT NOT NULL UNIQUE,
	made_at  INTEGER NOT NULL,
	body     BLOB NOT NULL,
	state    TEXT NOT NULL, -- '' waits, handed, parked
	why      TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS entries_waiting ON entries (seq) WHERE state = '';
CREATE TABLE IF NOT EXISTS origin (id INTEGER PRIMARY KEY, sealed BLOB NOT NULL);`

// openJournal opens the file, or refuses one that is damaged or not ours.
func openJournal(path string, keys *seal.Keys) (*journal, error) {
	if err := makePrivate(path); err != nil {
		return nil, err
	}
	db, err := sqlitePool(path, false, 1)
	if err != nil {
		return nil, err
	}
	j := &journal{db, path, keys}
	if err := j.check(); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return j, nil
}

func (j *journal) check() error {
	if err := whole(j.db); err != nil {
		return err
	}
	if _, err := j.db.Exec(journalSchema); err != nil {
		return err
	}
	return ours(j.db, j.keys, "journal")
}

func (j *journal) close() error { return j.db.Close() }

// whole asks SQLite whether a file is sound.
func whole(db *sql.DB) error {
	var said string
	if err := db.QueryRow("PRAGMA quick_check(1)").Scan(&said); err != nil {
		return fmt.Errorf("%w: %w", errNotOurs, err)
	}
	if said != "ok" {
		return fmt.Errorf("%w: damaged: %s", errNotOurs, said)
	}
	return nil
}

// errNotOurs says that a file of the standby is not to be believed.
var errNotOurs = errors.New("store: not a sound file of this installation")

// errOtherKeys says that a file is sound and was made with keys we do not have.
var errOtherKeys = fmt.Errorf("%w: made with other keys", errNotOurs)

// ours proves by a sealed word that a file was made with our keys; a new file gets one.
func ours(db *sql.DB, keys *seal.Keys, what string) error {
	place := seal.Place{Table: "standby", Row: what, Column: "origin"}
	var sealed []byte
	err := db.QueryRow("SELECT sealed FROM origin WHERE id = 1").Scan(&sealed)
	if errors.Is(err, sql.ErrNoRows) {
		if sealed, err = keys.Seal(place, []byte("gatehouse")); err != nil {
			return err
		}
		_, err = db.Exec("INSERT INTO origin (id, sealed) VALUES (1, $1)", sealed)
		return err
	}
	if err != nil {
		return fmt.Errorf("%w: %w", errNotOurs, err)
	}
	if _, err := keys.Open(place, sealed); err != nil {
		return errOtherKeys
	}
	return nil
}

// setAside moves a file that is not to be believed out of the way, and keeps it.
func setAside(path string, now time.Time) (to string, err error) {
	to = fmt.Sprintf("%s.refused-%d", path, now.UnixMicro())
	if err = os.Rename(path, to); err != nil {
		return "", err
	}
	for _, tail := range []string{"-wal", "-shm"} {
		if e := os.Rename(path+tail, to+tail); e != nil && !errors.Is(e, os.ErrNotExist) {
			err = errors.Join(err, e)
		}
	}
	return to, err
}

// append writes an entry and waits for the disk.
func (j *journal) append(ctx context.Context, e Entry) error {
	body, err := json.Marshal(e)
	if err != nil {
		return err
	}
	sealed, err := j.keys.Seal(bodyPlace(e.ID), body)
	if err != nil {
		return err
	}
	_, err = j.db.ExecContext(ctx, `INSERT INTO entries (id, made_at, body, state, why) VALUES ($1, $2, $3, '', '')
		ON CONFLICT (id) DO UPDATE SET body = excluded.body, made_at = excluded.made_at WHERE entries.state = ''`, e.ID, Micros(e.MadeAt), sealed)
	return err
}

func bodyPlace(entry string) seal.Place {
	return seal.Place{Table: "journal", Row: entry, Column: "body"}
}

// read opens an entry. One that is damaged or not ours is told apart by damaged: it
// is parked when its turn comes, and stops no other.
func (j *journal) read(id string, sealed []byte) (e Entry) {
	body, err := j.keys.Open(bodyPlace(id), sealed)
	if err == nil {
		err = json.Unmarshal(body, &e)
	}
	if err != nil {
		return Entry{ID: id, damaged: fmt.Errorf("store: an entry of the journal is damaged or not ours: %w", err)}
	}
	return e
}

// waiting returns up to limit entries that the primary does not have, in order,
// after the first few.
func (j *journal) waiting(ctx context.Context, first, limit int) ([]Entry, error) {
	rows, err := j.db.QueryContext(ctx, `SELECT id, body FROM entries WHERE state = '' ORDER BY seq LIMIT $1 OFFSET $2`, limit, first)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []Entry
	for rows.Next() {
		var id string
		var body []byte
		if err := rows.Scan(&id, &body); err != nil {
			return nil, err
		}
		all = append(all, j.read(id, body))
	}
	return all, rows.Err()
}

// settle notes what became of an entry: "handed" or "parked", and why.
func (j *journal) settle(ctx context.Context, ids []string, state, why string) error {
	tx, err := j.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	for _, id := range ids {
		if _, err := tx.ExecContext(ctx, `UPDATE entries SET state = $1, why = $2 WHERE id = $3`, state, why, id); err != nil {
			return err
		}
	}
	return tx.Commit()
}

// tally counts what waits and what is parked.
func (j *journal) tally(ctx context.Context) (waits, size, since, parked int64, err error) {
	err = j.db.QueryRowContext(ctx, `SELECT COUNT(*), COALESCE(SUM(LENGTH(body)), 0), COALESCE(MIN(made_at), 0),
		(SELECT COUNT(*) FROM entries WHERE state = 'parked') FROM entries WHERE state = ''`).Scan(&waits, &size, &since, &parked)
	return waits, size, since, parked, err
}

// keepHanded is how long an entry that the primary has is kept, for the report and
// for a server that turns out to have lost its tail.
const keepHanded = 7 * 24 * time.Hour

func (j *journal) tidy(ctx context.Context, now time.Time) error {
	_, err := j.db.ExecContext(ctx, `DELETE FROM entries WHERE state = 'handed' AND made_at < $1`, Micros(now.Add(-keepHanded)))
	return err
}

func journalPath(dir string) string { return filepath.Join(dir, "journal.db") }
func copyPath(dir string) string    { return filepath.Join(dir, "standby.db") }
