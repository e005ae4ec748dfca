package peers_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"gatehouse/peers"
	"gatehouse/store/storetest"
)

// connect makes one connection to PostgreSQL as the store does: names are looked
// up by whoever dials.
func connect(ctx context.Context, dsn string, dial func(context.Context, string, string) (net.Conn, error)) error {
	config, err := pgx.ParseConfig(dsn)
	if err != nil {
		return err
	}
	config.DialFunc = dial
	config.LookupFunc = func(_ context.Context, host string) ([]string, error) { return []string{host}, nil }
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	var one int
	return conn.QueryRow(ctx, "SELECT 1").Scan(&one)
}

func TestANodeThatIsCutOffReachesTheDatabaseThroughAPeer(t *testing.T) {
	for _, c := range []struct {
		name string
		cut  state
	}{
		{"connections are refused", refused},
		{"packets vanish", silent},
		{"something takes connections and nothing answers", frozen},
	} {
		t.Run(c.name, func(t *testing.T) {
			address, dsn := relay(t)
			wires := []*wire{{}, {}}
			all := installation(t, 2, func(i int, o *peers.Options, _ *peers.House) {
				o.Databases, o.Straight = []string{address}, wires[i].dial
			})
			meet(t, all)
			must(t, connect(t.Context(), dsn, all[0].Dial))
			if wires[0].count() == 0 || wires[1].count() != 0 {
				t.Fatal("the control: while its own way is whole, a node goes it")
			}
			wires[0].set(c.cut)
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
			first := connect(ctx, dsn, all[0].Dial)
			cancel()
			if c.cut != frozen && first != nil { // that one is only found by trying
				t.Errorf("the first connection after the cut: %v", first)
			}
			must(t, connect(t.Context(), dsn, all[0].Dial))
			if wires[1].count() == 0 {
				t.Error("the control: the peer's way was not used")
			}
			wires[1].set(c.cut)
			ctx, cancel = context.WithTimeout(t.Context(), 500*time.Millisecond)
			err := connect(ctx, dsn, all[0].Dial)
			cancel()
			if err == nil {
				t.Error("the control: both ways are cut, and there is a connection")
			}
			wires[0].set(whole)
			eventually(t, "its own way is used again", func() bool {
				before := wires[0].count()
				return connect(t.Context(), dsn, all[0].Dial) == nil && wires[0].count() > before
			})
		})
	}
}

func TestADeadWayIsRememberedAndTriedAgain(t *testing.T) {
	address, dsn := relay(t)
	wires := []*wire{{}, {}}
	clock := storetest.NewClock()
	all := installation(t, 2, func(i int, o *peers.Options, _ *peers.House) {
		o.Databases, o.Straight, o.Now = []string{address}, wires[i].dial, clock.Now
	})
	meet(t, all)
	wires[0].set(silent)
	must(t, connect(t.Context(), dsn, all[0].Dial))
	wires[0].set(whole)
	before := wires[1].count()
	must(t, connect(t.Context(), dsn, all[0].Dial))
	if wires[1].count() == before {
		t.Error("a way that was dead a moment ago was tried first")
	}
	clock.Forward(peers.DeadFor)
	before = wires[0].count()
	must(t, connect(t.Context(), dsn, all[0].Dial))
	if wires[0].count() == before {
		t.Error("it was not tried again")
	}
}

// borrow asks a node for a way, with its own words.
func borrow(t *testing.T, address, target string, config *tls.Config) (status int, conn net.Conn) {
	t.Helper()
	c, err := tls.Dial("tcp", address, config)
	must(t, err)
	t.Cleanup(func() { c.Close() })
	_, err = fmt.Fprintf(c, "CONNECT %s HTTP/1.1\r\nHost: %s\r\n\r\n", target, target)
	must(t, err)
	answer, err := http.ReadResponse(bufio.NewReader(c), &http.Request{Method: http.MethodConnect})
	must(t, err)
	return answer.StatusCode, c
}

func TestAWayIsLentToTheOwnDatabaseAndNowhereElse(t *testing.T) {
	database, secret := listen(t), listen(t)
	reached := make(chan struct{}, 10)
	go func() {
		for {
			c, err := secret.Accept()
			if err != nil {
				return
			}
			reached <- struct{}{}
			c.Close()
		}
	}()
	_, port, _ := net.SplitHostPort(database.Addr().String())
	all := installation(t, 2, func(_ int, o *peers.Options, _ *peers.House) {
		o.Databases = []string{database.Addr().String(), "Db.Example:5432"}
	})
	for _, c := range []struct {
		name, target string
		want         int
	}{
		{"the database of its configuration", database.Addr().String(), 200},
		{"a name of its configuration that cannot be reached, in other letters", "dB.example:5432", 502},
		{"another service on the same machine", secret.Addr().String(), 403},
		{"the database under a name it does not have here", "localhost:" + port, 403},
		{"the database with a dot", "127.0.0.1.:" + port, 403},
		{"the database in another spelling", "0x7f.0.0.1:" + port, 403},
		{"the database's host at another port", "127.0.0.1:22", 403},
		{"a metadata service", "169.254.169.254:80", 403},
		{"itself", all[0].address, 403},
	} {
		if status, _ := borrow(t, all[0].address, c.target, all[1].ClientConfig()); status != c.want {
			t.Errorf("%s: %d", c.name, status)
		}
	}
	if len(reached) > 0 {
		t.Error("the other service was reached")
	}
}

func TestABoundedNumberOfWaysIsLent(t *testing.T) {
	database := listen(t)
	all := installation(t, 2, func(_ int, o *peers.Options, _ *peers.House) {
		o.Databases, o.Lend = []string{database.Addr().String()}, 2
	})
	target, config := database.Addr().String(), all[1].ClientConfig()
	_, first := borrow(t, all[0].address, target, config)
	if status, _ := borrow(t, all[0].address, target, config); status != http.StatusOK {
		t.Fatalf("the second: %d", status)
	}
	if status, _ := borrow(t, all[0].address, target, config); status != http.StatusServiceUnavailable {
		t.Errorf("the third: %d", status)
	}
	first.Close()
	eventually(t, "a place is free again", func() bool {
		status, _ := borrow(t, all[0].address, target, config)
		return status == http.StatusOK
	})
}

func TestBytesPassALentWayBothWaysAndItsEndIsTheEnd(t *testing.T) {
	database := listen(t)
	all := installation(t, 2, func(_ int, o *peers.Options, _ *peers.House) { o.Databases = []string{database.Addr().String()} })
	_, conn := borrow(t, all[0].address, database.Addr().String(), all[1].ClientConfig())
	far, err := database.Accept()
	must(t, err)
	message := make([]byte, 1<<20)
	for i := range message {
		message[i] = byte(i * 7)
	}
	for name, pair := range map[string][2]net.Conn{"there": {conn, far}, "back": {far, conn}} {
		var wait sync.WaitGroup
		wait.Go(func() { _, _ = pair[0].Write(message) })
		got := make([]byte, len(message))
		if _, err := io.ReadFull(pair[1], got); err != nil || string(got) != string(message) {
			t.Errorf("%s: %v", name, err)
		}
		wait.Wait()
	}
	far.Close()
	if _, err := conn.Read(make([]byte, 1)); err == nil {
		t.Error("it did not end with the database's side")
	}
}

func TestACutOffNodeIsNotLentAWayThatWasLent(t *testing.T) {
	address, dsn := relay(t)
	wires := []*wire{{}, {}, {}}
	all := installation(t, 3, func(i int, o *peers.Options, _ *peers.House) {
		o.Databases, o.Straight = []string{address}, wires[i].dial
	})
	meet(t, all)
	wires[0].set(refused)
	wires[1].set(refused)
	must(t, connect(t.Context(), dsn, all[0].Dial)) // through the third, not through the second's neighbour
	wires[2].set(refused)
	if err := connect(t.Context(), dsn, all[0].Dial); err == nil {
		t.Error("there is no way left, and there is a connection")
	}
}

func TestANodeWithoutPeersDialsStraight(t *testing.T) {
	_, dsn := relay(t)
	w := &wire{}
	all := installation(t, 1, func(_ int, o *peers.Options, _ *peers.House) { o.Straight = w.dial })
	meet(t, all)
	must(t, connect(t.Context(), dsn, all[0].Dial))
	w.set(refused)
	if err := connect(t.Context(), dsn, all[0].Dial); err == nil || w.count() != 1 {
		t.Errorf("%v", err)
	}
}
