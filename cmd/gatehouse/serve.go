package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"runtime"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/alecthomas/kong"

	"gatehouse/authenticators"
	"gatehouse/events"
	"gatehouse/fault"
	"gatehouse/web"
)

// ServeCommand runs the server.
type ServeCommand struct {
	kong.Plugins
	flags *flagValues
}

// Run serves until it is told to stop.
func (c *ServeCommand) Run(ctx context.Context, p *program) error {
	l := p.load(c.flags)
	l.checkFiles()
	p.warnings(l)
	if err := l.err(); err != nil {
		return err
	}
	h, err := openHouse(ctx, l, newLog(p.out, l.LogFormat, l.LogLevel), resident())
	if err != nil {
		return err
	}
	return serve(ctx, h, serveOptions{mode: "serve"})
}

type serveOptions struct {
	mode   string              // "serve" or "demo", for the log and the pages
	hosts  []string            // other names this server answers to; only the demo has any
	onOpen func(origin string) // called when people can come; may be nil
}

// server is one run of serve.
type server struct {
	*house
	options    serveOptions
	loops      *loops
	knowing    *knowing
	public     *http.Server
	management *http.Server
	cert       *certificate // nil without TLS files
	leaving    atomic.Bool
}

// serve opens the two listeners, runs the loops, waits for the end and leaves in
// order. It closes the house.
func serve(ctx context.Context, h *house, o serveOptions) (err error) {
	defer func() { err = errors.Join(err, h.store.Close()) }()
	limitMemory(h.l)
	makeWay(h.l.hashesAtOnce())
	s := &server{house: h, options: o, loops: &loops{house: h}}
	s.knowing = newKnowing(h, s.loops, s.leaving.Load)
	if err := s.build(); err != nil {
		return err
	}
	public, management, err := s.listen()
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	inside, end := context.WithCancel(context.WithoutCancel(ctx)) // loops outlive the last request
	s.loops.start(inside, stop)
	s.knowing.start(inside)
	go s.run(s.management, management, stop)
	go s.run(s.public, public, stop)
	s.loops.wait.Go(func() { watchdog(inside, s.alive) })
	s.opened(inside, public.Addr(), management.Addr())

	<-ctx.Done()
	s.leave(end)
	if why := context.Cause(ctx); !errors.Is(why, context.Canceled) {
		return why
	}
	return nil
}

// build makes both HTTP servers; nothing is open yet.
func (s *server) build() error {
	where, err := openPlaces(s.l.Places)
	if err != nil {
		return err
	}
	site, err := web.New(web.Server{
		Origin: s.l.Origin, OtherHosts: s.options.hosts, Proxies: s.l.Proxies, Keys: s.keys, Flow: s.flow, Door: s.flow, Sessions: s.sessions,
		Manage: s.manage, Accept: s.manage, Tokens: s.manage, Moves: s.manage, Passkeys: s.forPages(), Phones: s.phonePages(), Choose: s.choose, Life: s.sessions.Policy, Metrics: s.metrics, Log: s.slog, Now: s.now, Rand: rand.Reader,
		Place: where.of, Product: s.l.Product, Demo: s.options.mode == "demo", SecurityContact: s.l.Security,
		Condition: s.knowing.condition, Approvals: s.approvals(),
	})
	if err != nil {
		return err
	}
	var handler http.Handler = site
	if s.l.hasTLS() {
		if s.cert, err = openCertificate(s.l.TLSCert, s.l.TLSKey, s.slog); err != nil {
			return next(fmt.Errorf("the certificate cannot be used: %w", err), "see: gatehouse config check")
		}
	} else if len(s.l.Proxies) > 0 {
		handler = onlyProxies(s.l.Proxies, site)
	}
	s.public = web.NewHTTPServer(handler, s.slog)
	s.public.RegisterOnShutdown(s.flow.Bell.Close)
	s.management = web.NewHTTPServer(s.managementHandler(), s.slog)
	return nil
}

// onlyProxies answers nobody but the listed proxies: without TLS, whoever
// connects straight would send a password in the open.
func onlyProxies(trusted []netip.Prefix, to http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		peer, err := netip.ParseAddrPort(r.RemoteAddr)
		addr := peer.Addr().Unmap().WithZone("")
		for _, p := range trusted {
			if err == nil && p.Contains(addr) {
				to.ServeHTTP(w, r)
				return
			}
		}
		http.Error(w, "This address answers its proxy only. Use the public address.", http.StatusForbidden)
	})
}

func (s *server) managementHandler() http.Handler {
	m := web.Management{
		Started: []web.Probe{{Name: "start", Ask: s.askStarted}},
		Ready:   []web.Probe{{Name: "start", Ask: s.askStarted}, {Name: "leaving", Ask: s.askLeaving}, {Name: "signin", Ask: s.knowing.askSignIn}, {Name: "clock", Ask: s.knowing.askClock}},
		Shared:  []web.Probe{{Name: "database", Ask: s.knowing.askDatabase}},
		Metrics: s.metrics, Log: s.slog, Status: s.knowing.status,
	}
	mux := http.NewServeMux()
	mux.Handle("/", m.Handler())
	drillRoutes(mux)
	return mux
}

// alive answers the watchdog: a process whose session check hangs is none.
func (s *server) alive() bool { return s.sessions.Loaded() || !s.loops.ready.Load() }

func (s *server) askStarted(context.Context) error {
	if !s.loops.started() {
		return fault.New(fault.Unavailable, errors.New("the database has not answered since the start"))
	}
	return nil
}

func (s *server) askLeaving(context.Context) error {
	if s.leaving.Load() {
		return fault.New(fault.Unavailable, errors.New("shutting down"))
	}
	return nil
}

func (s *server) listen() (public, management net.Listener, err error) {
	if public, err = listen(s.l.Listen, "listen"); err != nil {
		return nil, nil, err
	}
	if management, err = listen(s.l.Management, "management.listen"); err != nil {
		return nil, nil, errors.Join(err, public.Close())
	}
	if s.cert != nil {
		s.public.TLSConfig = s.cert.config()
	}
	return public, management, nil
}

func listen(address, setting string) (net.Listener, error) {
	l, err := net.Listen("tcp", address)
	return l, next(err, "see who has that address (ss -ltnp), or set %s to another", setting)
}

// run serves one listener; that it ends before we leave is a reason to stop.
func (s *server) run(srv *http.Server, l net.Listener, stop context.CancelCauseFunc) {
	var err error
	if srv.TLSConfig != nil {
		err = srv.ServeTLS(l, "", "")
	} else {
		err = srv.Serve(l)
	}
	if !errors.Is(err, http.ErrServerClosed) {
		stop(err)
	}
}

// opened says so, to the log, to systemd, and in the log of events.
func (s *server) opened(ctx context.Context, public, management net.Addr) {
	s.slog.Info("open", "origin", s.l.Origin, "listen", public.String(), "management", management.String(), "version", version(), "mode", s.options.mode)
	if s.cert != nil {
		s.metrics.CertExpires(s.cert.until())
		s.loops.wait.Go(func() { s.cert.watch(ctx, s.metrics.CertExpires) })
	}
	notify("READY=1")
	s.loops.wait.Go(func() { s.recordStart(ctx) })
	s.loops.wait.Go(func() { s.control(ctx) })
	if s.options.onOpen != nil {
		s.options.onOpen(s.l.Origin)
	}
}

// recordStart writes the start down as soon as the database answers.
func (s *server) recordStart(ctx context.Context) {
	for s.askStarted(ctx) != nil {
		select {
		case <-ctx.Done():
			return // it was never open to anybody
		case <-time.After(askAgain):
		}
	}
	s.tellEvent(ctx, events.ServerStarted, map[string]string{"version": version(), "mode": s.options.mode})
}

func (s *server) tellEvent(ctx context.Context, kind events.Kind, data map[string]string) {
	if err := s.loops.record(ctx, kind, data); err != nil {
		s.slog.Warn("an event of the server was not written", "kind", string(kind), "error", err)
	}
}

// leaveWithin is how long requests under way may take to finish.
const leaveWithin = 10 * time.Second

// leave closes the doors first, then waits for those inside, then stops the
// loops. The management listener answers until the last.
func (s *server) leave(end context.CancelFunc) {
	s.leaving.Store(true)
	notify("STOPPING=1")
	s.slog.Info("closing; requests under way are finished")
	ctx, cancel := context.WithTimeout(context.Background(), leaveWithin)
	defer cancel()
	if err := s.public.Shutdown(ctx); err != nil {
		s.slog.Warn("some requests were cut off", "after", leaveWithin.String())
		_ = s.public.Close()
	}
	if s.loops.ready.Load() {
		s.tellEvent(ctx, events.ServerStopped, map[string]string{"version": version(), "why": "asked"})
	}
	end()
	s.loops.wait.Wait()
	_ = s.management.Close()
	s.slog.Info("closed")
}

// limitMemory tells the garbage collector what we mean to need: the hashes at
// once, the filter, and some room for all else. GOMEMLIMIT beats it.
func limitMemory(l *Loaded) {
	if os.Getenv("GOMEMLIMIT") != "" {
		return
	}
	filter := int64(0)
	if st, err := os.Stat(l.Breached); err == nil && l.Breached != "" {
		filter = st.Size()
	}
	hash := authenticators.Parameters{MemoryKiB: uint32(l.HashMemory)}
	debug.SetMemoryLimit(hash.MemoryLimit(l.hashesAtOnce(), filter))
}

// makeWay keeps the hashes, which are as many as there are cores, from taking
// every place that Go runs goroutines in: a short query behind them would wait up
// to 10 ms for each turn. With as many places again the system shares out the
// cores, and it lets those that sleep much go first.
func makeWay(hashes int) { runtime.GOMAXPROCS(runtime.GOMAXPROCS(0) + hashes) }
