package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"

	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
)

// dialect is everything in which the two databases differ.
type dialect struct {
	goose        goose.Dialect
	blob, serial string // what {{blob}} and {{serial}} stand for
	xid          string // the default of a column that keeps the writing transaction
	rowList      string // what a list of rows begins with
	feedOrder    string // the column of changes that a place counts
	transaction  string // the number of this transaction; "" where writers take turns
	horizon      string // the first transaction that is not over; "" where writers take turns
	clock        string // the database's clock in microseconds; "" where it has none of its own
	system       string // which database server this is, and of which history; "" where a file is a file
	forUpdate    string
	feedTrigger  func(line string) string // writes the triggers that {{feed …}} asks for
	findTable    string                   // counts the tables called $1
	judge        func(error) verdict
	undone       func(error) bool                   // a commit error that certainly rolled back
	migrate      func() (*sql.DB, error)            // a connection without the deadlines of the pools
	lock         func() (lock.SessionLocker, error) // nil: none is needed
}

// verdict is what an error means for the transaction.
type verdict int

const (
	plain verdict = iota // the statement's own: a constraint, a mistake of ours
	again                // rolled back by the database; the same again may succeed
	lost                 // the connection is gone, and with it the transaction
	away                 // the database cannot answer now
)

func (d dialect) verdict(err error) verdict {
	switch {
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return away
	case errors.Is(err, driver.ErrBadConn), errors.Is(err, sql.ErrConnDone):
		return lost
	}
	return d.judge(err)
}

// IsUnique says that err is about a row that was to be the only one of its kind.
func IsUnique(err error) bool { return uniqueInSQLite(err) || uniqueInPostgres(err) }

// discard makes database/sql close the connection instead of keeping it.
func discard(conn *sql.Conn) {
	conn.Raw(func(any) error { return driver.ErrBadConn })
}
