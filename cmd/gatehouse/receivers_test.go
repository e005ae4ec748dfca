package main

import (
	"bufio"
	"context"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"gatehouse/deliver"
	"gatehouse/events"
	"gatehouse/export"
	"gatehouse/follow"
	"gatehouse/hooks"
	"gatehouse/outbox"
	"gatehouse/seal"
	"gatehouse/store"
	"gatehouse/store/storetest"
)

// receivers is a small house: a store, a log, and whoever is told about it.
type receivers struct {
	*house
	t *testing.T
}

func newReceivers(t *testing.T, s *store.Store, roots *x509.CertPool) receivers {
	dir := t.TempDir() + "/keys"
	if err := seal.InitKeys(dir); err != nil {
		t.Fatal(err)
	}
	keys, err := seal.LoadKeys(dir)
	if err != nil {
		t.Fatal(err)
	}
	h := &house{l: &Loaded{}, slog: slog.New(slog.DiscardHandler), clock: newClock(), keys: keys, store: s, log: events.New(keys, rand.Reader)}
	h.deliver = &deliver.Deliverer{Store: s, Keys: keys, Now: h.now, Rand: rand.Reader, Every: 20 * time.Millisecond}
	h.follow = &follow.Runner{Store: s, Log: h.log, Now: h.now, Rand: rand.Reader, Every: 20 * time.Millisecond}
	h.openHooks()
	h.hooks.Door = hooks.NewDoor([]netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, roots)
	return receivers{h, t}
}

// run starts both loops; the test ends them.
func (r receivers) run() {
	ctx, cancel := context.WithCancel(context.Background())
	var wait sync.WaitGroup
	wait.Go(func() { r.deliver.Run(ctx) })
	wait.Go(func() { r.follow.Run(ctx) })
	r.t.Cleanup(func() { cancel(); wait.Wait() })
}

// happens appends n events and tells how long the slowest took.
func (r receivers) happens(n int) (slowest time.Duration) {
	r.t.Helper()
	for range n {
		begin := time.Now()
		err := r.store.Do(r.t.Context(), func(tx *store.Tx) error {
			_, err := r.log.Append(tx, events.Event{Kind: events.ServerStarted, Actor: events.System})
			return err
		})
		if err != nil {
			r.t.Fatal(err)
		}
		slowest = max(slowest, time.Since(begin))
	}
	return slowest
}

// eventually waits for what must come by itself.
func (r receivers) eventually(within time.Duration, what string, is func() bool) time.Duration {
	r.t.Helper()
	begin := time.Now()
	for !is() {
		if time.Since(begin) > within {
			r.t.Fatalf("not within %s: %s", within, what)
		}
		<-time.After(10 * time.Millisecond)
	}
	return time.Since(begin)
}

// Sixty receivers that do their worst, and one that is well: it gets everything at
// once, and whoever signs in notices nothing.
func TestNastyReceiversCostNobodyElseAnything(t *testing.T) {
	var mu sync.Mutex
	well := map[string]int{}
	inward := 0
	gone := make(chan struct{})
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		switch q.URL.Path {
		case "/well":
			mu.Lock()
			well[q.Header.Get("webhook-id")]++
			mu.Unlock()
		case "/inward":
			http.Redirect(w, q, "/inside", http.StatusTemporaryRedirect)
		case "/inside":
			mu.Lock()
			inward++
			mu.Unlock()
		case "/slow":
			select {
			case <-time.After(3 * time.Second):
			case <-gone:
			}
		case "/endless":
			for q.Context().Err() == nil {
				if _, err := io.WriteString(w, strings.Repeat("x", 64<<10)); err != nil {
					return
				}
			}
		default:
			select {
			case <-q.Context().Done():
			case <-gone:
			}
		}
	}))
	srv.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	srv.StartTLS()
	defer srv.Close()
	defer close(gone)
	roots := x509.NewCertPool()
	roots.AddCert(srv.Certificate())

	clock := newClock()
	s := storetest.Open(t, storetest.Postgres(t), func(o *store.Options) { o.Now = clock.Now })
	r := newReceivers(t, s, roots)
	worst := []string{srv.URL + "/hang", srv.URL + "/slow", srv.URL + "/endless", srv.URL + "/inward", "https://127.0.0.1:1/dead"}
	for i := range hooks.Most - 1 {
		if _, _, err := r.hooks.Add(t.Context(), hooks.New{Name: fmt.Sprintf("bad-%d", i), URL: worst[i%len(worst)], Kinds: []string{"*"}}, events.Operator); err != nil {
			t.Fatal(err)
		}
	}
	if _, _, err := r.hooks.Add(t.Context(), hooks.New{Name: "well", URL: srv.URL + "/well", Kinds: []string{"*"}}, events.Operator); err != nil {
		t.Fatal(err)
	}
	r.run()
	const n = 10
	slowest := r.happens(n)
	took := r.eventually(20*time.Second, "the one that is well has everything", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return len(well) == n
	})
	if slowest > 2*time.Second {
		t.Errorf("somebody who signs in would have waited %s", slowest)
	}
	slowest = r.happens(n) // and so it goes on, while the others hang
	took = max(took, r.eventually(20*time.Second, "the one that is well has everything again", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return len(well) == 2*n
	}))
	t.Logf("the well one had everything after %s; the slowest write took %s", took, slowest)
	mu.Lock()
	defer mu.Unlock()
	for e, times := range well {
		if times != 1 {
			t.Errorf("%s came %d times", e, times)
		}
	}
	if inward != 0 {
		t.Errorf("%d calls were led inside", inward)
	}
}

// A folder that another process holds, as a hung disk does, and a NATS server that
// takes connections and says nothing: writes go on, hooks go on, and nothing is lost.
func TestABlockedSinkDelaysNobodyAndLosesNothing(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		frozen, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer frozen.Close()
		folder := t.TempDir()
		lock, err := os.OpenFile(filepath.Join(folder, ".lock"), os.O_CREATE|os.O_RDWR, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
			t.Fatal(err)
		}
		r := newReceivers(t, s, nil)
		r.l.ExportFolder, r.l.ExportNATS, r.l.ExportStream, r.l.ExportTopic = folder, "nats://"+frozen.Addr().String(), "GATEHOUSE", "gatehouse.events"
		if err := r.openExport(); err != nil {
			t.Fatal(err)
		}
		for i := range r.follow.Followers {
			r.follow.Followers[i].Patience = 300 * time.Millisecond
		}
		k, _, err := r.hooks.Add(t.Context(), hooks.New{Name: "dead", URL: "https://127.0.0.1:1/", Kinds: []string{"*"}}, events.Operator)
		if err != nil {
			t.Fatal(err)
		}
		r.run()
		const n = 40
		if slowest := r.happens(n); slowest > 2*time.Second {
			t.Errorf("somebody who signs in would have waited %s", slowest)
		}
		r.eventually(20*time.Second, "every hook is in the outbox", func() bool { return r.crowd(k).Waiting == n })
		if text, _ := filepath.Glob(folder + "/events-*"); len(text) != 0 {
			t.Fatal("the folder was not blocked: the test has lost its aim")
		}
		lock.Close() // the disk is back
		r.eventually(30*time.Second, "every event is in the folder", func() bool { return lines(t, folder) >= n })
		if got := lines(t, folder); got != n+1 && got != n { // and the event of the receiver that was added
			t.Errorf("%d lines", got)
		}
	})
}

func (r receivers) crowd(k hooks.Hook) (c outbox.Crowd) {
	r.t.Helper()
	err := r.store.BackgroundRead(r.t.Context(), func(tx *store.Tx) error {
		all, err := outbox.Crowds(tx, outbox.Hooks)
		c = all[string(k.ID)]
		return err
	})
	if err != nil {
		r.t.Fatal(err)
	}
	return c
}

// lines counts the events in a folder, each of which must be there once.
func lines(t *testing.T, folder string) (n int) {
	t.Helper()
	names, _ := filepath.Glob(folder + "/events-*")
	seen := map[string]bool{}
	for _, name := range names {
		f, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		for s := bufio.NewScanner(f); s.Scan(); n++ {
			var l export.Line
			if json.Unmarshal(s.Bytes(), &l) == nil && seen[string(l.ID)] {
				t.Errorf("%s is there twice", l.ID)
			}
			seen[string(l.ID)] = true
		}
		f.Close()
	}
	return n
}

// A receiver that is away for a day while another is well: the other notices
// nothing and gets each event once, and the first gets all of it when it is back.
func TestAReceiverThatWasDeadForADayGetsEverythingWhenItIsBack(t *testing.T) {
	var mu sync.Mutex
	back := false
	got := map[string]map[string]int{"/dead": {}, "/well": {}}
	srv := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		if q.URL.Path == "/dead" && !back {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		got[q.URL.Path][q.Header.Get("webhook-id")]++
	}))
	defer srv.Close()
	has := func(path string, n int) func() bool {
		return func() bool {
			mu.Lock()
			defer mu.Unlock()
			return len(got[path]) == n
		}
	}
	roots := x509.NewCertPool()
	roots.AddCert(srv.Certificate())
	clock := storetest.NewClock()
	s := storetest.Open(t, storetest.SQLite(t), func(o *store.Options) { o.Now = clock.Now })
	r := newReceivers(t, s, roots)
	r.deliver.Now, r.follow.Now, r.hooks.Now = clock.Now, clock.Now, clock.Now
	var k hooks.Hook
	for _, name := range []string{"dead", "well"} {
		var err error
		if k, _, err = r.hooks.Add(t.Context(), hooks.New{Name: name, URL: srv.URL + "/" + name, Kinds: []string{"*"}}, events.Operator); err != nil {
			t.Fatal(err)
		}
	}
	r.run()
	const hours, each = 24, 5
	for hour := range hours {
		r.happens(each)
		r.eventually(20*time.Second, "the one that is well has this hour's", has("/well", (hour+1)*each))
		r.eventually(20*time.Second, "it is written down that it has", func() bool { return r.crowd(k).Waiting == 0 }) // an hour is longer than a lease
		clock.Forward(time.Hour)
	}
	mu.Lock()
	back = true
	mu.Unlock()
	clock.Forward(15 * time.Minute) // longer than the longest pause
	for tries := 0; !has("/dead", hours*each)(); tries++ {
		if tries == 200 {
			t.Fatalf("of %d only %d came", hours*each, len(got["/dead"]))
		}
		clock.Forward(time.Second)
		<-time.After(50 * time.Millisecond)
	}
	mu.Lock()
	defer mu.Unlock()
	for e, times := range got["/well"] {
		if times != 1 {
			t.Errorf("the one that is well got %s %d times", e, times)
		}
	}
}
