package store_test

import (
	"net"
	"net/url"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"gatehouse/fault"
	"gatehouse/store"
	"gatehouse/store/storetest"
)

// wire stands between the store and PostgreSQL and can be frozen: bytes are
// taken and go nowhere, like those for a stopped server or behind a firewall.
type wire struct {
	mu sync.RWMutex
}

// lay starts a wire to the server of dsn and returns the address of its near end.
func (w *wire) lay(t *testing.T, dsn string) string {
	t.Helper()
	u, err := url.Parse(dsn)
	must(t, err)
	network, address := "tcp", u.Host
	q := u.Query()
	if dir := q.Get("host"); dir != "" {
		network, address = "unix", filepath.Join(dir, ".s.PGSQL.5432")
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			near, err := listener.Accept()
			if err != nil {
				return
			}
			far, err := net.Dial(network, address)
			if err != nil {
				near.Close()
				continue
			}
			go w.carry(near, far)
			go w.carry(far, near)
		}
	}()
	q.Del("host")
	q.Set("sslmode", "disable")
	u.Host, u.RawQuery = listener.Addr().String(), q.Encode()
	return u.String()
}

func (w *wire) carry(from, to net.Conn) {
	defer to.Close()
	buffer := make([]byte, 4096)
	for {
		n, err := from.Read(buffer)
		w.mu.RLock()
		_, writeErr := to.Write(buffer[:n])
		w.mu.RUnlock()
		if err != nil || writeErr != nil {
			return
		}
	}
}

func TestAFrozenServerIsUnavailableAtTheDeadlineAndWorksWhenItThaws(t *testing.T) {
	var w wire
	dsn := w.lay(t, storetest.Postgres(t))
	const deadline = 500 * time.Millisecond
	s := storetest.Open(t, dsn, func(o *store.Options) { o.Deadline = deadline })
	write := func(tx *store.Tx) error { return put(tx, "a") }
	eventually(t, func() error { return s.Ping(t.Context()) })
	for _, row := range []struct {
		name string
		call func() error
	}{
		{"frozen while connected and idle", func() error { return s.Do(t.Context(), write) }},
		{"frozen before connecting", func() error { return s.Background(t.Context(), write) }},
		{"still frozen", func() error { return s.Do(t.Context(), write) }},
		{"frozen for a reader", func() error { return s.Ping(t.Context()) }},
	} {
		w.mu.Lock()
		start := time.Now()
		err := row.call()
		took := time.Since(start)
		w.mu.Unlock()
		if fault.Of(err) != fault.Unavailable || took > deadline+5*time.Second {
			t.Errorf("%s: %v after %v", row.name, err, took)
		}
	}
	frozen := false
	for !frozen { // a busy machine may meet the deadline before that
		err := s.Do(t.Context(), func(tx *store.Tx) error {
			if err := put(tx, "b"); err != nil {
				return err
			}
			w.mu.Lock()
			frozen = true
			return put(tx, "c")
		})
		if fault.Of(err) != fault.Unavailable {
			t.Fatalf("frozen in the middle of a transaction: %v", err)
		}
	}
	w.mu.Unlock()
	eventually(t, func() error { return s.Do(t.Context(), write) })
	if n := count(t, s); n != 1 {
		t.Errorf("%d rows, want only that of the call after the thaw", n)
	}
}
