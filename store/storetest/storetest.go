// Package storetest gives tests a real database: every test on SQLite, on
// PostgreSQL, and on PostgreSQL with one connection a class, where whatever
// takes a second connection inside a transaction is found out.
//
// PostgreSQL is the server of GATEHOUSE_TEST_POSTGRES (a superuser's address;
// each test makes and drops a database of its own), or a temporary one that the
// test process starts and that ends with it (cluster.go). Without either the
// test fails: nothing is skipped.
package storetest

import (
	"crypto/rand"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"gatehouse/id"
	"gatehouse/store"
)

// Node is the node of every store made here.
const Node id.Node = "0199f000-0000-7000-8000-000000000001"

// Each runs fn on a fresh, migrated store of every sort.
func Each(t *testing.T, fn func(t *testing.T, s *store.Store)) {
	t.Helper()
	EachWith(t, nil, fn)
}

// EachWith is Each with options changed by with, which may be nil.
func EachWith(t *testing.T, with func(*store.Options), fn func(t *testing.T, s *store.Store)) {
	t.Helper()
	for _, sort := range []struct {
		name string
		dsn  func(testing.TB) string
		with func(*store.Options)
	}{
		{"sqlite", SQLite, func(*store.Options) {}},
		{"postgres", Postgres, func(*store.Options) {}},
		{"postgres, pool of one", Postgres, func(o *store.Options) { o.Foreground, o.Background = 1, 1 }},
	} {
		t.Run(sort.name, func(t *testing.T) {
			fn(t, Open(t, sort.dsn(t), func(o *store.Options) {
				if with != nil {
					with(o)
				}
				sort.with(o)
			}))
		})
	}
}

// Open opens and migrates the database at dsn; the test closes it. The deadline
// is long, so that a busy machine fails no test; with may shorten it.
func Open(t testing.TB, dsn string, with func(*store.Options)) *store.Store {
	t.Helper()
	s := OpenEmpty(t, dsn, with)
	if _, err := s.Migrate(t.Context()); err != nil {
		t.Fatalf("migrating: %v", err)
	}
	return s
}

// OpenEmpty is Open without the migrations.
func OpenEmpty(t testing.TB, dsn string, with func(*store.Options)) *store.Store {
	t.Helper()
	o := store.Options{DSN: dsn, Node: Node, Deadline: 30 * time.Second, Now: time.Now, Rand: rand.Reader}
	if with != nil {
		with(&o)
	}
	s, err := store.Open(t.Context(), o)
	if err != nil {
		t.Fatalf("opening the store: %v", err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("closing the store: %v", err)
		}
	})
	return s
}

// SQLite returns the address of a database that does not exist yet.
func SQLite(t testing.TB) string {
	return "sqlite:" + filepath.Join(t.TempDir(), "gatehouse.db")
}

// Clock is a clock that shows what the test says. Its zero value is of no use;
// make one with NewClock.
type Clock struct {
	mu  sync.Mutex
	now time.Time
}

// NewClock shows half past nine on a Saturday morning.
func NewClock() *Clock {
	return &Clock{now: time.Date(2026, 11, 21, 9, 30, 0, 0, time.UTC)}
}

// Now fits store.Options.Now and its like.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// Set shows t.
func (c *Clock) Set(t time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = t
}

// Forward moves the clock; a negative d moves it back.
func (c *Clock) Forward(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}
