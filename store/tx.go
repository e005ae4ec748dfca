package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strconv"
	"time"

	"gatehouse/id"
)

// ErrNoRows is what Row.Scan returns when there is none. It does not end the transaction.
var ErrNoRows = sql.ErrNoRows

// Tx is a transaction. It is for the one goroutine that runs fn, and over when fn
// returns. Its deadline is that of the call that opened it.
type Tx struct {
	ctx     context.Context
	store   *Store
	tx      *sql.Tx
	open    *sql.Rows // rows not yet read to their end
	broken  error     // the first failure: nothing works after it
	again   bool      // … and another attempt may fare better
	drop    bool      // … and the connection is not to be used again
	call    string    // names the call that opened it
	marks   int       // how many names were given out
	through bool      // what it writes goes to the standby before the answer
	takes   []Fact    // one-time things it uses up
}

// Exec runs a statement and returns how many rows it touched.
func (t *Tx) Exec(q string, args ...any) (affected int64, err error) {
	if err := t.ready(); err != nil {
		return 0, err
	}
	result, err := t.tx.ExecContext(t.ctx, q, args...)
	if err != nil {
		return 0, t.fail(err)
	}
	affected, err = result.RowsAffected()
	return affected, t.fail(err)
}

// Rows runs a query. Close it, or read it to its end, before the next statement.
func (t *Tx) Rows(q string, args ...any) (*Rows, error) {
	if err := t.ready(); err != nil {
		return nil, err
	}
	rows, err := t.tx.QueryContext(t.ctx, q, args...)
	if err != nil {
		return nil, t.fail(err)
	}
	t.open = rows
	return &Rows{t, rows}, nil
}

// Row runs a query for one row; what went wrong is told by Scan.
func (t *Tx) Row(q string, args ...any) Row {
	rows, err := t.Rows(q, args...)
	return Row{rows, err}
}

// ForUpdate ends a SELECT that locks what it finds until the transaction is over.
// SQLite has one writer, so there it says nothing.
func (t *Tx) ForUpdate() string { return t.store.dialect.forUpdate }

// Now tells the store's clock in UTC, to the microsecond the database keeps.
func (t *Tx) Now() time.Time { return Time(Micros(t.store.now())) }

// Node names the process that writes.
func (t *Tx) Node() id.Node { return t.store.node }

// Mark is a name for something this fn writes: unique, and the same again when fn
// runs again, on this database or the other. fn must ask in the same order.
func (t *Tx) Mark() string {
	t.marks++
	return t.call + "-" + strconv.Itoa(t.marks)
}

// Horizon tells what a reader of a log may count as complete. On PostgreSQL every
// row whose column xid is below h is visible or never will be, and byTransaction
// is true; on SQLite whatever is visible is complete, in the order of its serial.
func (t *Tx) Horizon() (h int64, byTransaction bool, err error) {
	if t.store.dialect.horizon == "" {
		return 0, false, nil
	}
	err = t.Row("SELECT " + t.store.dialect.horizon).Scan(&h)
	return h, true, err
}

// DatabaseNow is the time by the database's own clock, the one that all nodes
// share: leases run by it. SQLite has none but ours.
func (t *Tx) DatabaseNow() (time.Time, error) {
	if t.store.dialect.clock == "" {
		return t.Now(), nil
	}
	var micros int64
	err := t.Row("SELECT " + t.store.dialect.clock).Scan(&micros)
	return Time(micros), err
}

var (
	errRowsOpen = errors.New("store: the rows of the query before are still open")
	errBroken   = errors.New("store: a statement before failed, which ended this transaction")
)

// ready refuses what PostgreSQL could not do and SQLite would: one behaviour for both.
func (t *Tx) ready() error {
	if t.broken != nil {
		return fmt.Errorf("%w: %w", errBroken, t.broken)
	}
	if t.open != nil {
		t.broken = errRowsOpen
		return errRowsOpen
	}
	return nil
}

// fail notes the first failure and says what fn gets to see of it.
func (t *Tx) fail(err error) error {
	if err == nil || t.broken != nil {
		return err
	}
	v := t.store.dialect.verdict(err)
	t.broken, t.again, t.drop = err, v == again || v == lost, v == lost || v == away
	if v != plain {
		t.broken = unavailable(err)
	}
	return t.broken
}

func (t *Tx) closeRows() {
	if t.open != nil {
		t.open.Close()
		t.open = nil
	}
}

// Row is at most one row.
type Row struct {
	rows *Rows
	err  error
}

// Scan reads the row into dst; ErrNoRows when there is none.
func (r Row) Scan(dst ...any) error {
	if r.err != nil {
		return r.err
	}
	defer r.rows.Close()
	if !r.rows.Next() {
		if err := r.rows.Err(); err != nil {
			return err
		}
		return ErrNoRows
	}
	if err := r.rows.Scan(dst...); err != nil {
		return err
	}
	return r.rows.Close()
}

// Rows is what a query found.
type Rows struct {
	t    *Tx
	rows *sql.Rows
}

// Next goes to the next row; after the last one it closes the rows.
func (r *Rows) Next() bool {
	if r.rows.Next() {
		return true
	}
	r.Close()
	return false
}

// Scan reads the row into dst.
func (r *Rows) Scan(dst ...any) error { return r.t.fail(r.rows.Scan(dst...)) }

// Err tells what ended the rows early; ask it after the loop.
func (r *Rows) Err() error {
	if err := r.rows.Err(); err != nil {
		return r.t.fail(err)
	}
	return nil
}

// Close frees the transaction for the next statement; twice is once.
func (r *Rows) Close() error {
	if r.t.open == r.rows {
		r.t.open = nil
	}
	err := r.rows.Close()
	if err == nil {
		err = r.rows.Err()
	}
	return r.t.fail(err)
}

// Micros is how a time is kept: microseconds since 1970, UTC.
func Micros(t time.Time) int64 { return t.UnixMicro() }

// Time reads what Micros wrote, in UTC.
func Time(micros int64) time.Time { return time.UnixMicro(micros).UTC() }
