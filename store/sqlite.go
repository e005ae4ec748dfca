package store

import (
	"cmp"
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/pressly/goose/v3"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

func (s *Store) openSQLite(o Options) error {
	path, err := filepath.Abs(strings.TrimPrefix(o.DSN, "sqlite:"))
	if err != nil {
		return err
	}
	if err := makePrivate(path); err != nil {
		return err
	}
	s.dialect = dialect{
		goose: goose.DialectSQLite3, blob: "BLOB", serial: "INTEGER PRIMARY KEY AUTOINCREMENT", xid: "0", feedOrder: "seq", rowList: "VALUES ", feedTrigger: triggerSQLite,
		findTable: "SELECT COUNT(*) AS n FROM sqlite_master WHERE type = 'table' AND name = $1",
		judge:     judgeSQLite, undone: undoneInSQLite,
		migrate: func() (*sql.DB, error) { return sql.Open("sqlite", sqliteDSN(path, false, 10*time.Second)) },
	}
	writer, err := sqlitePool(path, false, 1)
	if err != nil {
		return err
	}
	front, _ := sqlitePool(path, true, cmp.Or(o.Foreground, 4))
	back, _ := sqlitePool(path, true, cmp.Or(o.Background, 2))
	g := &gate{}
	readOnly := sql.TxOptions{ReadOnly: true}
	s.foreground = class{write: pool{db: writer, gate: g, rank: foregroundRank}, read: pool{db: front, tx: readOnly}}
	s.background = class{write: pool{db: writer, gate: g, rank: backgroundRank}, read: pool{db: back, tx: readOnly}}
	s.close = func() error { return errors.Join(front.Close(), back.Close(), writer.Close()) }
	return nil
}

// makePrivate creates the file before SQLite does, which would let others read
// it; the -wal and -shm files take their mode from it.
func makePrivate(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	return f.Close()
}

func sqlitePool(path string, readOnly bool, most int) (*sql.DB, error) {
	connector, err := sqlite.NewConnector(sqliteDSN(path, readOnly, 100*time.Millisecond))
	if err != nil {
		return nil, err
	}
	db := sql.OpenDB(keepingConnector{connector})
	db.SetMaxOpenConns(most)
	db.SetMaxIdleConns(most)
	return db, nil
}

// sqliteDSN also says how long SQLite itself waits for another process (in ours
// the gate keeps order). That wait hears no deadline, so the pools' is short and
// repeated by run.
func sqliteDSN(path string, readOnly bool, busy time.Duration) string {
	q := url.Values{"_dqs": {"0"}, "_pragma": { // in this order
		"busy_timeout(" + strconv.FormatInt(busy.Milliseconds(), 10) + ")",
		"journal_mode(WAL)",
		"synchronous(FULL)", // a commit that was answered survives a power cut
		"foreign_keys(1)",
		"trusted_schema(0)",
		"journal_size_limit(67108864)",
		"secure_delete(1)", // a destroyed key or a sent link is not left in a free page
	}}
	if readOnly {
		q["_pragma"] = append(q["_pragma"], "query_only(1)")
	} else {
		q.Set("_txlock", "immediate") // a write transaction that began as a reader can fail half-way
	}
	return (&url.URL{Scheme: "file", Path: path, RawQuery: q.Encode()}).String()
}

func judgeSQLite(err error) verdict {
	var e *sqlite.Error
	if !errors.As(err, &e) {
		return plain
	}
	switch e.Code() & 0xff {
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED:
		return again
	case sqlite3.SQLITE_READONLY, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_FULL, sqlite3.SQLITE_CANTOPEN,
		sqlite3.SQLITE_PROTOCOL, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOMEM,
		sqlite3.SQLITE_INTERRUPT, sqlite3.SQLITE_PERM:
		return away
	}
	return plain
}

func isFull(err error) bool {
	var e *sqlite.Error
	return errors.As(err, &e) && e.Code()&0xff == sqlite3.SQLITE_FULL
}

func undoneInSQLite(err error) bool {
	v := judgeSQLite(err)
	return v == again || v == plain
}

func uniqueInSQLite(err error) bool {
	var e *sqlite.Error
	return errors.As(err, &e) && (e.Code() == sqlite3.SQLITE_CONSTRAINT_UNIQUE || e.Code() == sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY)
}

// keepingConnector makes connections that keep their prepared statements, as pgx
// does: parsing SQL would cost more than running it.
type keepingConnector struct{ driver.Connector }

func (k keepingConnector) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := k.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	return &keepingConn{conn.(sqliteConn), map[string]sqliteStmt{}}, nil
}

// sqliteConn and sqliteStmt are what the driver's own types can do.
type sqliteConn interface {
	driver.Conn
	driver.ConnBeginTx
	driver.ConnPrepareContext
	driver.Pinger
	driver.SessionResetter
	driver.Validator
}

type sqliteStmt interface {
	driver.Stmt
	driver.StmtExecContext
	driver.StmtQueryContext
}

// keepingConn is used by one Tx at a time, which never has two statements open.
type keepingConn struct {
	sqliteConn
	kept map[string]sqliteStmt
}

// mostKept bounds what a text with a changing number of places could fill.
const mostKept = 256

func (c *keepingConn) keep(ctx context.Context, q string) (sqliteStmt, error) {
	if stmt, ok := c.kept[q]; ok {
		return stmt, nil
	}
	if len(c.kept) >= mostKept {
		c.forget()
	}
	stmt, err := c.PrepareContext(ctx, q)
	if err != nil {
		return nil, err
	}
	c.kept[q] = stmt.(sqliteStmt)
	return c.kept[q], nil
}

func (c *keepingConn) forget() {
	for _, stmt := range c.kept {
		stmt.Close()
	}
	clear(c.kept)
}

// ExecContext implements driver.ExecerContext.
func (c *keepingConn) ExecContext(ctx context.Context, q string, args []driver.NamedValue) (driver.Result, error) {
	stmt, err := c.keep(ctx, q)
	if err != nil {
		return nil, err
	}
	return stmt.ExecContext(ctx, args)
}

// QueryContext implements driver.QueryerContext.
func (c *keepingConn) QueryContext(ctx context.Context, q string, args []driver.NamedValue) (driver.Rows, error) {
	stmt, err := c.keep(ctx, q)
	if err != nil {
		return nil, err
	}
	return stmt.QueryContext(ctx, args)
}

// Close frees the statements, which SQLite would otherwise keep the file open for.
func (c *keepingConn) Close() error {
	c.forget()
	return c.sqliteConn.Close()
}
