package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"gatehouse/web"
)

const (
	stormClients = 5000 // as in DRILLS.md, login-storm
	stormTrip    = 500 * time.Millisecond
	stormMemory  = 512 // MiB of the heap, clients included
)

// loginStorm lets everybody come at once and try again the moment they are turned
// away, with no more pause than the way there and back. The names are unknown: to
// check one costs what a known one costs. Server and clients share this process and
// its cores, so what the clients cost counts against us.
func (b *bench) loginStorm(ctx context.Context) error {
	h, err := b.house(ctx, "storm")
	if err != nil {
		return err
	}
	return h.inside(ctx, func(in *house) error {
		site, err := web.New(web.Server{Origin: h.l.Origin, Proxies: h.l.Proxies, Keys: in.keys, Flow: in.flow, Door: in.flow, Sessions: in.sessions,
			Manage: in.manage, Choose: in.choose, Life: in.sessions.Policy, Metrics: in.metrics, Log: in.slog, Now: in.now, Rand: rand.Reader})
		if err != nil {
			return err
		}
		before := runtime.GOMAXPROCS(0)
		defer runtime.GOMAXPROCS(before)
		capacity, err := b.capacity(ctx)
		if err != nil {
			return err
		}
		limitMemory(h.l) // as serve does
		makeWay(h.l.hashesAtOnce())
		s := &storm{site: site}
		took := s.blow(ctx, b.length)
		runtime.GOMAXPROCS(before)
		after, err := b.capacity(ctx)
		if err != nil {
			return err
		}
		return b.report.add(
			atLeast("login-storm/goodput", "checks/s", float64(s.checked.Load())/took.Seconds(), (capacity+after)/2, 0.80),
			atMost("login-storm/refusal/p99", "ms", millis(s.refusals.percentile(99)), none, 50),
			atMost("login-storm/heap", "MiB", s.heap, none, stormMemory),
			atMost("login-storm/errors", "errors", float64(s.wrong.Load()), none, 0))
	})
}

// capacity is the hashes a second that the machine computes now, alone.
func (b *bench) capacity(ctx context.Context) (float64, error) {
	n := max(8, int(b.hashes*b.length.Seconds()/4))
	took, err := b.bare.many(ctx, b.hash, n)
	return float64(n) / took.Seconds(), err
}

// storm is everybody at once.
type storm struct {
	site    http.Handler
	checked atomic.Int64
	wrong   atomic.Int64
	names   atomic.Int64
	heap    float64 // MiB at most

	mu       sync.Mutex
	refusals samples
}

func (s *storm) blow(ctx context.Context, length time.Duration) time.Duration {
	ctx, end := context.WithTimeout(ctx, length)
	defer end()
	var g sync.WaitGroup
	begun := time.Now()
	for i := range stormClients {
		g.Go(func() {
			if pause(ctx, stormTrip*time.Duration(i)/stormClients) == nil { // the net spreads them over one trip
				s.client(ctx, i)
			}
		})
	}
	g.Go(func() { s.watch(ctx) })
	g.Wait()
	return time.Since(begun)
}

func (s *storm) watch(ctx context.Context) {
	for {
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		s.heap = max(s.heap, float64(m.HeapInuse+m.StackInuse)/(1<<20))
		if pause(ctx, time.Second) != nil {
			return
		}
	}
}

// client is somebody who wants in; whoever was checked makes way for another.
func (s *storm) client(ctx context.Context, i int) {
	from := fmt.Sprintf("10.%d.%d.%d", 100+i>>16, byte(i>>8), byte(i))
	for ctx.Err() == nil {
		begun := time.Now()
		switch status := s.try(ctx, from); {
		case status == http.StatusUnauthorized:
			s.checked.Add(1)
		case status == http.StatusServiceUnavailable && ctx.Err() == nil:
			s.refused(time.Since(begun))
		case ctx.Err() == nil:
			s.wrong.Add(1)
		}
		if pause(ctx, stormTrip) != nil {
			return
		}
	}
}

func (s *storm) refused(after time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refusals = append(s.refusals, after)
}

func (s *storm) try(ctx context.Context, from string) int {
	body := fmt.Appendf(nil, `{"email":"storm-%d@harbour.example","password":%q}`, s.names.Add(1), benchPassword)
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "/api/v1/signin", bytes.NewReader(body))
	if err != nil {
		panic(errors.Join(errors.New("bench: the storm's request"), err))
	}
	r.Host, r.RemoteAddr = benchHost, "127.0.0.1:4711"
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("X-Forwarded-For", from)
	r.Header.Set("X-Forwarded-Proto", "https")
	w := httptest.NewRecorder()
	s.site.ServeHTTP(w, r)
	return w.Code
}
