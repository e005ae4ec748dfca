package web

import (
	"errors"
	"fmt"
	"log/slog"
	"mime"
	"net/http"
	"path"
	"runtime/debug"
	"strings"
	"time"

	"gatehouse/fault"
)

// maxBody bounds every body. The largest form holds an address and a password.
const maxBody = 64 << 10

// ServeHTTP answers the public listener.
func (s *Server) ServeHTTP(w http.ResponseWriter, hr *http.Request) {
	if s.quickSession(w, hr) {
		return
	}
	start := s.Now()
	r := &Request{HTTP: hr, server: s, w: &recorder{ResponseWriter: w}}
	r.w.request = r
	defer s.finish(r, start)
	if err := r.name(); err != nil {
		r.err = err // no randomness: nothing can be answered safely
		r.w.WriteHeader(http.StatusInternalServerError)
		return
	}
	if hr.Method == http.MethodConnect || !canonical(hr.URL.EscapedPath()) {
		s.serve(lost)(r.w, hr)
		return
	}
	r.route = lost
	r.setHeaders() // of what the mux answers by itself: a redirect to a folder's slash
	s.mux.ServeHTTP(r.w, hr)
}

// lost is where a request stands before its route is known, and when there is none.
var lost = route{aPage, "", "(none)", notFound}

// canonical tells a path without "//", "/./" and "/../": nobody is sent one, so
// who asks for one is not helped by a redirect.
func canonical(p string) bool {
	c := path.Clean(p)
	return p == c || p == c+"/"
}

// serve is the way of every request to its handler.
func (s *Server) serve(rt route) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		r := w.(*recorder).request
		r.route = rt
		r.setHeaders()
		if err := s.run(r); err != nil {
			s.answer(r, err)
		}
	}
}

// run turns a panic into an error like any other.
func (s *Server) run(r *Request) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fault.New(fault.Internal, fmt.Errorf("panic: %v\n%s", p, debug.Stack()))
		}
	}()
	if err := s.admit(r); err != nil {
		return err
	}
	if plainAtProxy(r.HTTP, s.Proxies) && s.secure {
		return r.toSecure()
	}
	return r.route.do(r)
}

// admit refuses what no handler should see, cheapest question first.
func (s *Server) admit(r *Request) error {
	if !s.rightHost(r.HTTP.Host) {
		return fault.New(fault.WrongHost, nil)
	}
	if r.HTTP.ContentLength > maxBody {
		return fault.New(fault.TooLarge, nil)
	}
	if err := new(http.CrossOriginProtection).Check(r.HTTP); err != nil {
		return fault.New(fault.CrossSite, err)
	}
	if r.HTTP.Method != http.MethodPost || r.route.method != http.MethodPost {
		return nil
	}
	if err := r.typeIs(bodyType[r.route.sort]); err != nil {
		return err
	}
	if r.route.sort == aPage {
		return r.readForm()
	}
	return nil
}

var bodyType = [...]string{aPage: "application/x-www-form-urlencoded", anAPI: jsonType, aFile: ""}

// typeIs compares the media type of the body; the only charset is UTF-8.
func (r *Request) typeIs(want string) error {
	got, params, err := mime.ParseMediaType(r.HTTP.Header.Get("Content-Type"))
	charset := params["charset"]
	if err != nil || got != want || charset != "" && !strings.EqualFold(charset, "utf-8") {
		return fault.New(fault.UnsupportedType, nil)
	}
	return nil
}

// toSecure moves a reader who came over plain HTTP. What was posted that way is
// refused: it has been in the open already.
func (r *Request) toSecure() error {
	if r.HTTP.Method != http.MethodGet && r.HTTP.Method != http.MethodHead {
		return fault.New(fault.WrongHost, errors.New("web: posted over plain HTTP"))
	}
	if !strings.HasPrefix(r.HTTP.URL.Path, "/") { // "GET https:.evil.example" would lead to another host
		return fault.New(fault.NotFound, nil)
	}
	r.w.Header().Set("Location", r.server.Origin+r.HTTP.URL.RequestURI())
	r.w.WriteHeader(http.StatusPermanentRedirect)
	return nil
}

// name gives the request its id and the answer its nonce.
func (r *Request) name() (err error) {
	r.ID, err = quotable(r.server.Rand)
	if err == nil {
		r.Nonce, err = nonce(r.server.Rand)
	}
	return err
}

// finish writes the request's one line: the route's pattern, never the path or
// query, which may hold a mailed link.
func (s *Server) finish(r *Request, start time.Time) {
	took := s.Now().Sub(start)
	s.Metrics.answered(r, took)
	level := r.level()
	if !s.Log.Enabled(r.Context(), level) {
		return
	}
	attrs := append([]slog.Attr{
		slog.String("id", r.ID),
		slog.String("method", knownMethod(r.HTTP.Method)),
		slog.String("route", r.route.path),
		slog.Int("status", r.w.status),
		slog.Int64("bytes", r.w.bytes),
		slog.Duration("took", took),
	}, r.notes...)
	if r.err != nil {
		attrs = append(attrs, slog.String("fault", string(fault.Of(r.err))), slog.String("cause", r.err.Error()))
	}
	s.Log.LogAttrs(r.Context(), level, "request", attrs...)
}

// level is as loud as the answer is bad; files and session checks are whispered.
func (r *Request) level() slog.Level {
	switch {
	case fault.Of(r.err) == fault.Busy: // in a storm these are thousands; the metrics count them
		return slog.LevelDebug
	case r.w.status == http.StatusInternalServerError:
		return slog.LevelError
	case r.w.status > http.StatusInternalServerError:
		return slog.LevelWarn
	case r.route.sort == aFile, r.route.path == sessionPath && r.HTTP.Method != http.MethodDelete:
		return slog.LevelDebug
	}
	return slog.LevelInfo
}

// knownMethod keeps a stranger's text out of logs and metrics.
func knownMethod(m string) string {
	switch m {
	case "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT", "TRACE":
		return m
	}
	return "other"
}

// recorder remembers what was answered.
type recorder struct {
	http.ResponseWriter
	request *Request
	status  int
	bytes   int64
}

// WriteHeader notes the status.
func (w *recorder) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

// Write counts the bytes. An answer to HEAD has none, whoever wrote it.
func (w *recorder) Write(b []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	if w.request.HTTP.Method == http.MethodHead {
		return len(b), nil
	}
	n, err := w.ResponseWriter.Write(b)
	w.bytes += int64(n)
	return n, err
}

// Unwrap lets http.ResponseController through.
func (w *recorder) Unwrap() http.ResponseWriter { return w.ResponseWriter }
