// Package web is how people and programs reach Gatehouse: pages, the JSON API,
// assets, and the management listener. It parses, bounds and answers; every
// decision is made by the packages below.
//
// A handler is a function that answers through its Request or returns an
// error. One function, answer, turns every error into what the reader can use.
package web

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"gatehouse/authenticators"
	"gatehouse/flow"
	"gatehouse/seal"
	"gatehouse/sessions"
)

// Submitter is what pages and API ask of flow.Flow.
type Submitter interface {
	Submit(context.Context, flow.Input) (flow.Outcome, error)
	Resume(attempt string, who flow.Who) (flow.Outcome, error)
}

// TicketChecker is the session check, sessions.Checker.
type TicketChecker interface {
	Check(token string, now time.Time) (t sessions.Ticket, renewed string, err error)
}

// Manager is what the API asks of manage.Manage.
type Manager interface {
	SignOut(context.Context, sessions.Ticket) error
}

// Server answers the public listener. Fill the fields and call New.
type Server struct {
	Origin   string         // the configured public origin, "https://sign-in.example", without a path
	Proxies  []netip.Prefix // whose X-Forwarded-For and X-Forwarded-Proto count
	Keys     *seal.Keys
	Flow     Submitter
	Sessions TicketChecker
	Manage   Manager
	Policy   authenticators.Policy // of new passwords, for the meter
	Lists    authenticators.Lists
	Metrics  *Metrics
	Log      *slog.Logger
	Now      func() time.Time
	Rand     io.Reader // safe for use by many at once, as crypto/rand.Reader is

	Demo            bool   // pages say that this is a demo
	StatusURL       string // of the separate status host; "" shows no status line
	SecurityContact string // for security.txt, "mailto:…" or "https://…"; empty: security@ the origin's host

	origin  *url.URL
	secure  bool // the origin is https
	cookies cookieNames
	assets  *assets
	pages   *Pages
	mux     *http.ServeMux
	openAPI []byte
	headers map[sort][]header
}

// kind of route: what its bodies look like, how its errors are told, who may keep it.
type sort int

const (
	aPage sort = iota // HTML; posts are forms
	anAPI             // JSON both ways
	aFile             // the same bytes for everybody
)

// route is one row of the table.
type route struct {
	sort   sort
	method string // GET answers HEAD too
	path   string // http.ServeMux pattern; it is what the log shows instead of the path
	do     handler
}

// handler answers a request or returns why not.
type handler func(*Request) error

// routes is the one list of what the public listener answers. The API's part is
// held against openapi.json by a test.
func (s *Server) routes() []route {
	return []route{
		{anAPI, "POST", "/api/v1/signin", s.apiSignIn},
		{anAPI, "POST", "/api/v1/signin/totp", s.apiCode},
		{anAPI, "POST", "/api/v1/signin/recovery-code", s.apiRecovery},
		{anAPI, "POST", "/api/v1/signin/enrol-totp", s.apiEnrol},
		{anAPI, "POST", "/api/v1/signin/recovery-codes", s.apiConfirmCodes},
		{anAPI, "POST", "/api/v1/signin/new-password", s.apiNewPassword},
		{anAPI, "POST", "/api/v1/signin/resend-link", s.apiResendLink},
		{anAPI, "POST", "/api/v1/signin/resume", s.apiResume},
		{anAPI, "POST", "/api/v1/forgot", s.apiForgot},
		{anAPI, "POST", "/api/v1/unlock", s.apiUnlock},
		{anAPI, "POST", "/api/v1/link", s.apiLink},
		{anAPI, "POST", "/api/v1/password-strength", s.apiStrength},
		{anAPI, "GET", sessionPath, s.apiSession},
		{anAPI, "DELETE", sessionPath, s.apiSignOut},
		{anAPI, "GET", "/api/openapi.json", s.apiDescription},

		{aFile, "GET", "/assets/{build}/{name...}", s.asset},
		{aFile, "GET", "/favicon.svg", s.favicon},
		{aFile, "GET", "/.well-known/change-password", s.changePassword},
		{aFile, "GET", "/.well-known/security.txt", s.securityText},
	}
}

// New checks the fields and makes a server of them.
func New(s Server) (*Server, error) {
	if err := s.check(); err != nil {
		return nil, err
	}
	var err error
	if s.assets, err = loadAssets(); err != nil {
		return nil, err
	}
	if s.pages, err = NewPages(s.assets.address); err != nil {
		return nil, err
	}
	s.secure = s.origin.Scheme == "https"
	s.cookies = namesOfCookies(s.secure)
	s.headers = fixedHeaders(s.secure)
	s.Proxies = unmapped(s.Proxies)
	s.openAPI = openAPI
	s.mux = s.muxOf(s.routes())
	return &s, nil
}

func (s *Server) check() error {
	u, err := url.Parse(s.Origin)
	if err != nil {
		return fmt.Errorf("web: origin: %w", err)
	}
	if u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.Path != "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		return fmt.Errorf("web: origin %q is not of the form https://host", s.Origin)
	}
	s.origin = u
	if s.Keys == nil || s.Flow == nil || s.Manage == nil || s.Sessions == nil || s.Log == nil || s.Now == nil || s.Rand == nil || s.Metrics == nil {
		return errors.New("web: a field of Server is not filled in")
	}
	return nil
}

// muxOf adds two things to the table: a path asked with another method is 405
// (or 204 for OPTIONS) and any other path is 404, both told by answer.
func (s *Server) muxOf(table []route) *http.ServeMux {
	mux := http.NewServeMux()
	allowed := map[string][]string{}
	sorts := map[string]sort{}
	for _, rt := range table {
		mux.HandleFunc(rt.method+" "+rt.path, s.serve(rt))
		allowed[rt.path] = append(allowed[rt.path], rt.method)
		sorts[rt.path] = rt.sort
	}
	for path, methods := range allowed {
		mux.HandleFunc(path, s.serve(route{sorts[path], "", path, otherMethod(methods)}))
	}
	mux.HandleFunc("/", s.serve(route{aPage, "", "(none)", notFound}))
	mux.HandleFunc("/api/", s.serve(route{anAPI, "", "(none)", notFound}))
	return mux
}

// NewHTTPServer bounds what a connection may cost before a handler sees it.
func NewHTTPServer(h http.Handler, log *slog.Logger) *http.Server {
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       20 * time.Second,
		WriteTimeout:      40 * time.Second, // waiting for a hash is part of it
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(quiet{log.Handler()}, slog.LevelDebug),
	}
}

// rightHost compares without regard to case and the scheme's own port.
func (s *Server) rightHost(host string) bool {
	return host == s.origin.Host || strings.EqualFold(s.withoutPort(host), s.withoutPort(s.origin.Host))
}

func (s *Server) withoutPort(host string) string {
	if s.secure {
		return strings.TrimSuffix(host, ":443")
	}
	return strings.TrimSuffix(host, ":80")
}
