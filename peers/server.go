package peers

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"log"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"golang.org/x/net/netutil"

	"gatehouse/fault"
	"gatehouse/id"
	"gatehouse/store"
)

// House is what this node answers its peers with. A nil func knows nothing: it
// grants, takes nothing, and says nothing of itself.
type House struct {
	// Claim looks whether the facts are used already as far as this node's own
	// store knows; the reservations were asked before.
	Claim func(facts []store.Fact) (granted bool)
	// Heard takes an entry of a peer's journal. It may be called again with the
	// same entry. fault.Unavailable means "send it again later".
	Heard func(ctx context.Context, e store.Entry) error
	// Status describes this node; it may ask the database.
	Status func(ctx context.Context) Status
}

const (
	openConns   = 512 // of all peers together, those still shaking hands included
	inFlight    = 256 // calls at once; more are told to come again
	readWithin  = 10 * time.Second
	lookWithin  = 3 * time.Second // for Status
	writeWithin = 15 * time.Second
)

// server is the side that is called.
type server struct {
	*Peers
	house House
	calls chan struct{}
	lent  chan struct{}
	allow map[string]bool
}

// Serve answers peers on l until ctx ends. Nobody gets past the handshake without
// a certificate of this installation.
func (p *Peers) Serve(ctx context.Context, l net.Listener, h House) error {
	s := &server{Peers: p, house: h, calls: make(chan struct{}, inFlight), lent: make(chan struct{}, p.o.Lend), allow: map[string]bool{}}
	for _, address := range p.o.Databases {
		s.allow[strings.ToLower(address)] = true
	}
	web := &http.Server{
		Handler: s, TLSConfig: p.identity.server(), BaseContext: func(net.Listener) context.Context { return ctx },
		ReadHeaderTimeout: 5 * time.Second, ReadTimeout: readWithin, WriteTimeout: writeWithin, IdleTimeout: 2 * quietBefore, MaxHeaderBytes: 8 << 10,
		ErrorLog:     log.New(&seldom{log: p.o.Log, now: p.o.Now}, "", 0),
		TLSNextProto: map[string]func(*http.Server, *tls.Conn, http.Handler){}, // HTTP/1.1 alone: a way takes a whole connection
	}
	stop := context.AfterFunc(ctx, func() { web.Close() })
	defer stop()
	err := web.Serve(tls.NewListener(netutil.LimitListener(l, openConns), web.TLSConfig))
	if ctx.Err() != nil || errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// ServeHTTP answers one call.
func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.TLS == nil {
		http.Error(w, "", http.StatusForbidden)
		return
	}
	node, err := nodeOf(*r.TLS)
	if err != nil {
		http.Error(w, "", http.StatusForbidden)
		return
	}
	if r.Method == http.MethodConnect {
		s.lend(w, r, node) // counted by itself: a way is held for long
		return
	}
	select {
	case s.calls <- struct{}{}:
		defer func() { <-s.calls }()
		s.answer(w, r, node)
	default:
		http.Error(w, "", http.StatusServiceUnavailable)
	}
}

func (s *server) answer(w http.ResponseWriter, r *http.Request, node id.Node) {
	switch r.Method + " " + r.URL.Path {
	case "GET " + pathHello:
		reply(w, http.StatusOK, helloReply{s.o.Node})
	case "GET " + pathStatus:
		reply(w, http.StatusOK, s.status(r.Context()))
	case "POST " + pathClaim:
		s.claim(w, r)
	case "POST " + pathTell:
		s.heard(w, r, node)
	default:
		http.Error(w, "", http.StatusNotFound)
	}
}

func reply(w http.ResponseWriter, status int, body any) {
	text, err := json.Marshal(body)
	if err != nil {
		status, text = http.StatusInternalServerError, nil
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(text)
}

func (s *server) status(ctx context.Context) Status {
	ctx, cancel := context.WithTimeout(ctx, lookWithin)
	defer cancel()
	var st Status
	if s.house.Status != nil {
		st = s.house.Status(ctx)
	}
	st.Node, st.Now, st.Peers = s.o.Node, s.o.Now().UTC(), s.States()
	return st
}

// claim reserves in memory first, so that of two claims at the same moment one is
// second, and then looks into the store.
func (s *server) claim(w http.ResponseWriter, r *http.Request) {
	facts, err := decodeFacts(http.MaxBytesReader(w, r.Body, maxClaim))
	if err != nil {
		http.Error(w, "", http.StatusBadRequest)
		return
	}
	made, granted := s.reserved.Reserve(facts)
	if granted && s.house.Claim != nil && !s.house.Claim(facts) {
		s.reserved.Release(made)
		granted = false
	}
	reply(w, http.StatusOK, claimReply{granted})
}

// heard takes entries in their order. One that is malformed, or that the store
// does not want, is passed over: it must not hold up those behind it.
func (s *server) heard(w http.ResponseWriter, r *http.Request, from id.Node) {
	all, err := lines(http.MaxBytesReader(w, r.Body, maxTell))
	if err != nil {
		http.Error(w, "", http.StatusBadRequest)
		return
	}
	var told tellReply
	for _, line := range all {
		err := s.take(r.Context(), line, from)
		if fault.Of(err) == fault.Unavailable {
			reply(w, http.StatusServiceUnavailable, told)
			return
		}
		if err != nil {
			told.Refused++
			s.o.Log.Warn("what a peer told was not taken", "peer", string(from), "error", err)
		}
		told.Heard++
	}
	reply(w, http.StatusOK, told)
}

// take hands one entry to the store. A node tells only what it did itself, so
// that the log never has to ask who said so.
func (s *server) take(ctx context.Context, line []byte, from id.Node) error {
	e, err := decodeEntry(line)
	if err != nil {
		return err
	}
	if e.Node != from {
		return malformed("an entry of %s, told by %s", e.Node, from)
	}
	if s.house.Heard == nil {
		return nil
	}
	return s.house.Heard(ctx, e)
}

// seldom is a log for what strangers can cause as often as they like: one line in
// ten seconds, with the number of those left out.
type seldom struct {
	log *slog.Logger
	now func() time.Time

	mu   sync.Mutex
	last time.Time
	kept int
}

func (s *seldom) Write(text []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.now().Sub(s.last) < 10*time.Second {
		s.kept++
		return len(text), nil
	}
	s.log.Warn("a connection to peers.listen was refused", "why", strings.TrimSpace(string(text)), "others", s.kept)
	s.last, s.kept = s.now(), 0
	return len(text), nil
}
