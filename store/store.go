// Package store is the database: SQLite or PostgreSQL, one SQL text for both,
// one list of migrations. Everything happens inside a transaction that a rank 4
// package opens with Do, Read or one of their siblings.
//
// What it promises of every call:
//   - it ends: waiting for a connection, statements, retries and commit share one deadline
//   - an outage is fault.Unavailable, never a verdict and never a stray error
//   - fn may run more than once (a deadlock, a busy file, a lost connection), but
//     never again after a commit whose outcome is unknown
//   - background work has connections of its own and cannot take those of a sign-in
//   - a transaction opened inside another is refused at once (nested.go)
//   - a statement that failed ends its transaction on both databases, as
//     PostgreSQL alone would do: use ON CONFLICT, not a second try in the same fn
package store

import (
	"context"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"gatehouse/fault"
	"gatehouse/id"
)

// Options says where the database is and how much of it to use.
type Options struct {
	// DSN is "sqlite:/path/to/file.db" or "postgres://…", the latter with several
	// hosts if you like: the one that accepts writes is used.
	DSN string
	// Node is written into every row this process changes.
	Node id.Node
	// Foreground and Background are the most connections of each class. Zero
	// means 16 and 4 for PostgreSQL, 4 and 2 readers for SQLite (which has one
	// writer whatever you say). 1 and 1 work.
	Foreground, Background int
	// Deadline bounds every call. Zero means 5 s.
	Deadline time.Duration
	// Now is the clock that Tx.Now tells.
	Now func() time.Time
	// Rand names calls (Tx.Mark) and histories of the database.
	Rand io.Reader
	// Standby is nil where there is none: then Essential is Do.
	Standby *StandbyOptions
	// Peers are asked before the standby is used; nil when this node is the only one.
	Peers Peers
	// Dial connects to PostgreSQL; nil dials straight. Peers lend one that goes
	// through them when this node is cut off.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// Fault is for tests that break things on purpose: it is called before each
	// attempt, before its commit and after it, and an error of it is an outage at
	// that point. nil in production.
	Fault func(point string) error
}

// The points at which Options.Fault is called, on the primary or "standby " before them.
const (
	FaultBefore = "before"        // nothing was done
	FaultCommit = "before commit" // fn has run, and is rolled back
	FaultAfter  = "after commit"  // it is committed, and nobody hears of it
)

// Store is an open database. Its methods may be called from any goroutine.
type Store struct {
	dialect    dialect
	foreground class
	background class
	node       id.Node
	deadline   time.Duration
	now        func() time.Time
	startedAt  time.Time
	migrations []migration
	pauses     atomic.Uint64 // seeds the jitter
	calls      atomic.Uint64
	losses     atomic.Uint64 // of the primary: pooled connections from before one are not used after it
	borrows    bool          // peers may lend a way to the primary
	run        string        // names this run of the process in what its calls write
	random     io.Reader
	standby    *standby // nil where there is none
	close      func() error

	shapes sync.Map // table → its columns here

	// Of a standby's own store:
	isStandby    bool
	beforeCommit func(*Tx) error // nil on a primary

	fault func(point string) error // Options.Fault; nil in production
}

// class is what one kind of work may use.
type class struct{ write, read pool }

// pool is a capped set of connections and how a transaction begins on them.
type pool struct {
	db   *sql.DB
	tx   sql.TxOptions
	gate *gate // one writer at a time; nil where the database takes many
	rank int   // place in the gate's queue
}

// Open checks the options and prepares the pools. It does not migrate, and a
// PostgreSQL that is away now is found when it is back.
func Open(_ context.Context, o Options) (*Store, error) {
	if o.Now == nil || o.Rand == nil {
		return nil, errors.New("store: no clock, or no randomness")
	}
	if o.Deadline == 0 {
		o.Deadline = 5 * time.Second
	}
	s := &Store{node: o.Node, deadline: o.Deadline, now: o.Now, startedAt: o.Now(), migrations: migrations, random: o.Rand, fault: o.Fault}
	name := make([]byte, 12)
	if _, err := io.ReadFull(o.Rand, name); err != nil {
		return nil, err
	}
	s.run = hex.EncodeToString(name)
	var err error
	switch scheme, _, _ := strings.Cut(o.DSN, ":"); scheme {
	case "sqlite":
		err = s.openSQLite(o)
	case "postgres", "postgresql":
		err = s.openPostgres(o)
	default:
		err = errors.New("store: the database address must begin with sqlite: or postgres://")
	}
	if err == nil && o.Standby != nil {
		err = s.openStandby(o)
	}
	if err != nil {
		return nil, err
	}
	if s.standby != nil {
		s.standby.copy.fault = o.Fault
	}
	return s, nil
}

// Close ends every connection.
func (s *Store) Close() error { return errors.Join(s.standby.close(), s.close()) }

// Node names the process that this store writes for.
func (s *Store) Node() id.Node { return s.node }

// Do runs fn in a write transaction and commits when it returns nil. An error of
// fn comes back unchanged and rolls back. fn may run more than once, so it only
// sets what it can set again.
//
// Isolation is READ COMMITTED on PostgreSQL (lock what you decide on with
// ForUpdate); on SQLite writers take turns.
func (s *Store) Do(ctx context.Context, fn func(*Tx) error) error {
	return s.onPrimary(ctx, s.foreground.write, fn)
}

// Read runs fn on one unchanging view of the data; writing fails.
func (s *Store) Read(ctx context.Context, fn func(*Tx) error) error {
	return s.onPrimary(ctx, s.foreground.read, fn)
}

// Background is Do for work nobody waits for: it has its own connections, and on
// SQLite a waiting foreground writer goes first.
func (s *Store) Background(ctx context.Context, fn func(*Tx) error) error {
	return s.onPrimary(ctx, s.background.write, fn)
}

// BackgroundRead is to Read what Background is to Do.
func (s *Store) BackgroundRead(ctx context.Context, fn func(*Tx) error) error {
	return s.onPrimary(ctx, s.background.read, fn)
}

// Essential is Do for what must work while the primary is away: sign-in,
// sessions, permissions, tokens (DESIGN §5). When the primary does not answer
// within StandbyOptions.Wait, fn runs on the standby, in the same call: so
// whatever fn writes has an id fixed before (Tx.Mark), and its rows are a fact
// that is handed over when the primary is back. Without a standby it is Do.
func (s *Store) Essential(ctx context.Context, fn func(*Tx) error) error {
	return s.essential(ctx, func(on *Store) pool { return on.foreground.write }, fn)
}

// EssentialRead is to Read what Essential is to Do.
func (s *Store) EssentialRead(ctx context.Context, fn func(*Tx) error) error {
	return s.essential(ctx, func(on *Store) pool { return on.foreground.read }, fn)
}

// Ping asks the primary for an answer, over a foreground connection.
func (s *Store) Ping(ctx context.Context) error {
	return s.Read(ctx, func(tx *Tx) error {
		var one int64
		return tx.Row("SELECT 1").Scan(&one)
	})
}

// ErrOutcomeUnknown is in the chain of an Unavailable error when the commit was
// sent and no answer came: the transaction may have happened or not.
var ErrOutcomeUnknown = errors.New("store: it is unknown whether the transaction was committed")

// outage is the cause of every Unavailable that the store itself finds: fn may
// answer Unavailable for reasons that no other database would mend.
type outage struct{ cause error }

func (o *outage) Error() string { return o.cause.Error() }
func (o *outage) Unwrap() error { return o.cause }

func unavailable(cause error) error { return fault.New(fault.Unavailable, &outage{cause}) }

func isOutage(err error) bool {
	var o *outage
	return errors.As(err, &o)
}

// call is one use of the store: what it writes is named after it, on every run of
// fn and on whichever database fn ends up.
type call struct {
	name     string
	deadline time.Duration
}

func (s *Store) newCall(deadline time.Duration) call {
	return call{fmt.Sprintf("%s-%d", s.run, s.calls.Add(1)), deadline}
}

// onPrimary refuses at once what the primary cannot answer, when that is known:
// a change that waits for its deadline helps nobody.
func (s *Store) onPrimary(ctx context.Context, p pool, fn func(*Tx) error) error {
	if err := s.standby.primaryDown(); err != nil {
		return err
	}
	return s.runCall(ctx, p, s.newCall(s.deadline), fn)
}

// runCall is the one way into a database.
func (s *Store) runCall(ctx context.Context, p pool, c call, fn func(*Tx) error) error {
	if nested() {
		return fault.New(fault.Internal, errNested)
	}
	ctx, cancel := context.WithTimeout(ctx, c.deadline)
	defer cancel()
	for try := 0; ; try++ {
		again, err := s.attempt(ctx, p, c, fn)
		if !again || !s.pause(ctx, try) {
			return err
		}
	}
}

// attempt runs fn once; again says that nothing was committed and that another
// attempt may fare better.
func (s *Store) attempt(ctx context.Context, p pool, c call, fn func(*Tx) error) (again bool, err error) {
	if err := s.broken(FaultBefore); err != nil {
		return false, err
	}
	if p.gate != nil {
		if err := p.gate.enter(ctx, p.rank); err != nil {
			return false, unavailable(fmt.Errorf("waiting for the writer: %w", err))
		}
		defer p.gate.leave()
	}
	conn, err := p.db.Conn(ctx)
	if err != nil {
		return s.judge("waiting for a connection", err)
	}
	defer conn.Close()
	sqlTx, err := conn.BeginTx(ctx, &p.tx)
	if err != nil {
		return s.judge("beginning", err)
	}
	defer sqlTx.Rollback() // also when fn panics; nothing after a commit
	t := &Tx{ctx: ctx, store: s, tx: sqlTx, call: c.name}
	err = inside(t, fn)
	t.closeRows()
	if err == nil && t.broken == nil && !p.tx.ReadOnly && s.beforeCommit != nil {
		err = s.beforeCommit(t)
	}
	var written Entry
	if err == nil && t.broken == nil && t.through {
		written, err = t.wrote()
	}
	if t.drop {
		sqlTx.Rollback() // database/sql lets go of a connection only after it
		discard(conn)
	}
	switch {
	case t.broken != nil && (t.again || t.drop || err == nil):
		return t.again, t.broken
	case err != nil || p.tx.ReadOnly:
		return false, err
	}
	if err := s.broken(FaultCommit); err != nil {
		return false, err
	}
	again, err = s.commit(ctx, conn, sqlTx)
	s.standby.remember(t.takes, err)
	if err != nil {
		return again, err
	}
	if t.through {
		s.standby.carry(ctx, written)
	}
	return false, s.broken(FaultAfter)
}

// broken asks a test whether to fail here.
func (s *Store) broken(point string) error {
	if s.fault == nil {
		return nil
	}
	if s.isStandby {
		point = "standby " + point
	}
	err := s.fault(point)
	if err == nil {
		return nil
	}
	return unavailable(fmt.Errorf("%s: %w: %w", point, ErrOutcomeUnknown, err))
}

// commit is where the outcome can become unknown: only what the database itself
// says was rolled back counts as that.
func (s *Store) commit(ctx context.Context, conn *sql.Conn, tx *sql.Tx) (again bool, err error) {
	if err := ctx.Err(); err != nil {
		return false, unavailable(fmt.Errorf("before the commit: %w", err))
	}
	err = tx.Commit()
	if err == nil {
		return false, nil
	}
	if s.dialect.undone(err) {
		return s.judge("committing", err)
	}
	discard(conn)
	return false, unavailable(fmt.Errorf("%w: %w", ErrOutcomeUnknown, err))
}

// judge turns an outage into Unavailable and leaves everything else alone.
func (s *Store) judge(doing string, err error) (again bool, _ error) {
	switch v := s.dialect.verdict(err); v {
	case plain:
		return false, err
	default:
		return v != away, unavailable(fmt.Errorf("%s: %w", doing, err))
	}
}

// pause waits before the next try: up to 5 ms at first, up to 250 ms later. It
// is false when the deadline leaves no time for one.
func (s *Store) pause(ctx context.Context, try int) bool {
	most := min(5*time.Millisecond<<min(try, 10), 250*time.Millisecond)
	timer := time.NewTimer(time.Duration(s.jitter() % uint64(most)))
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// jitter spreads the tries of callers and nodes; it guards nothing, so a hash of
// the node's name and a counter is random enough.
func (s *Store) jitter() uint64 {
	h := fnv.New64a()
	fmt.Fprintf(h, "%s %d", s.node, s.pauses.Add(1))
	return h.Sum64()
}
