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
	"slices"
	"strings"
	"time"

	"gatehouse/accounts"
	"gatehouse/authenticators"
	"gatehouse/events"
	"gatehouse/flow"
	"gatehouse/id"
	"gatehouse/manage"
	"gatehouse/seal"
	"gatehouse/sessions"
)

// Submitter is what pages and API ask of flow.Flow.
type Submitter interface {
	Submit(context.Context, flow.Input) (flow.Outcome, error)
	Resume(attempt string, who flow.Who) (flow.Outcome, error)
	PeekLink(ctx context.Context, token seal.Secret) (accounts.LinkKind, error)
}

// TicketChecker is the session check, sessions.Checker.
type TicketChecker interface {
	Check(token string, now time.Time) (t sessions.Ticket, renewed string, err error)
}

// Manager is what pages and API ask of manage.Manage.
type Manager interface {
	Overview(context.Context, manage.Caller) (manage.Overview, error)
	SetProfile(context.Context, manage.Caller, manage.Profile) error
	ChangePassword(context.Context, manage.Caller, seal.Secret) (manage.Result, error)
	BeginTOTP(context.Context, manage.Caller) (note string, secret, uri seal.Secret, err error)
	ShowTOTP(context.Context, manage.Caller, string) (secret, uri seal.Secret, err error)
	ConfirmTOTP(context.Context, manage.Caller, string, seal.Secret, string) (manage.Result, error)
	Rename(context.Context, manage.Caller, id.Authenticator, string) error
	Remove(context.Context, manage.Caller, id.Authenticator) (manage.Result, error)
	BeginRecoveryCodes(manage.Caller) (note string, codes []seal.Secret, err error)
	ShowRecoveryCodes(manage.Caller, string) ([]seal.Secret, error)
	ConfirmRecoveryCodes(context.Context, manage.Caller, string, bool) (manage.Result, error)
	List(context.Context, manage.Caller) ([]manage.Listed, error)
	EndSession(context.Context, manage.Caller, id.Session) error
	EndOthers(context.Context, manage.Caller) (manage.Result, error)
	SignOut(context.Context, manage.Caller) error
	History(ctx context.Context, c manage.Caller, before int64, limit int) ([]events.Event, error)
	AskAddressChange(context.Context, manage.Caller, string) (manage.Result, error)
	ConfirmAddress(context.Context, seal.Secret, *manage.Caller, sessions.Who) (manage.Result, error)
}

// Server answers the public listener. Fill the fields and call New.
type Server struct {
	Origin     string         // the configured public origin, "https://sign-in.example", without a path
	OtherHosts []string       // further Host headers that are answered; only the demo has any
	Proxies    []netip.Prefix // whose X-Forwarded-For and X-Forwarded-Proto count
	Keys       *seal.Keys
	Flow       Submitter
	Sessions   TicketChecker
	Manage     Manager
	Moves      Mover                   // of manage too; nil: nobody is reminded or helped to move
	Approvals  *Approvals              // nil: no phone is asked
	Phones     *Phones                 // nil: this house sends no text messages
	Passkeys   *Passkeys               // nil: this house takes none
	Tokens     TokenKeeper             // of manage too; nil: hardware tokens cannot be added
	Accept     Accepter                // of manage too; nil: there are no pages about accepted authenticators
	Choose     authenticators.Chooser  // as in flow.Flow, for the meter
	Life       sessions.Policy         // of sessions, as in the checker
	Place      func(netip.Addr) string // words for where an address is, "" when not known; nil = never known
	Metrics    *Metrics
	Log        *slog.Logger
	Now        func() time.Time
	Rand       io.Reader // safe for use by many at once, as crypto/rand.Reader is

	Door      Door             // asked before the form of a sign-in; nil lets everybody see it
	Condition func() Condition // how things stand, for the banner; asked for every page, so it must cost nothing. nil is well

	Product         string // what people call this installation; "" is the catalogue's name
	Demo            bool   // pages say that this is a demo
	StatusURL       string // of the separate status host; "" shows no status line
	SecurityContact string // for security.txt, "mailto:…" or "https://…"; empty: security@ the origin's host

	origin  *url.URL
	secure  bool // the origin is https
	cookies cookieNames
	assets  *assets
	verify  *verifyApp
	pages   *Pages
	mux     *http.ServeMux
	known   map[string]bool // the pages there are, by path
	openAPI []byte
	headers map[sort][]header
	meter   chan struct{} // holds one token while a password is estimated
	content string        // Content-Security-Policy of pages, "?" for the nonce
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
	return append([]route{
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

		{aPage, "GET", "/{$}", s.front},
		{aPage, "GET", "/signin", s.signInPage},
		{aPage, "POST", "/signin", s.signIn},
		{aPage, "GET", "/signin/code", s.stepPage(flow.Code)},
		{aPage, "POST", "/signin/code", s.code},
		{aPage, "GET", "/signin/recovery", s.stepPage(flow.Recovery)},
		{aPage, "POST", "/signin/recovery", s.recovery},
		{aPage, "GET", "/signin/link-sent", s.stepPage(flow.LinkSent)},
		{aPage, "POST", "/signin/link-sent", s.resend},
		{aPage, "GET", "/signin/new-password", s.stepPage(flow.NewPassword)},
		{aPage, "POST", "/signin/new-password", s.newPassword},
		{aPage, "GET", "/signin/enrol", s.stepPage(flow.Enrol)},
		{aPage, "POST", "/signin/enrol", s.enrol},
		{aPage, "GET", "/signin/codes", s.stepPage(flow.RecoveryCodes)},
		{aPage, "POST", "/signin/codes", s.confirmCodes},
		{aPage, "GET", "/forgot", s.forgotPage},
		{aPage, "POST", "/forgot", s.forgot},
		{aPage, "GET", "/forgot/sent", s.sentPage(LinkReset)},
		{aPage, "GET", "/unlock", s.unlockPage},
		{aPage, "POST", "/unlock", s.unlock},
		{aPage, "GET", "/unlock/sent", s.sentPage(LinkUnlock)},
		{aPage, "GET", "/link/{token}", s.mailedLink},
		{aPage, "GET", "/link", s.linkPage},
		{aPage, "POST", "/link", s.openLink},
		{aPage, "GET", "/fresh", s.freshPage},
		{aPage, "POST", "/fresh", s.fresh},
		{aPage, "GET", "/fresh/code", s.stepPage(flow.Code)},
		{aPage, "POST", "/fresh/code", s.code},
		{aPage, "GET", "/fresh/recovery", s.stepPage(flow.Recovery)},
		{aPage, "POST", "/fresh/recovery", s.recovery},
		{aPage, "POST", "/signout", s.signOut},
		{aPage, "GET", "/signed-out", s.signedOut},

		{aPage, "GET", "/account", s.profilePage},
		{aPage, "POST", "/account", s.setProfile},
		{aPage, "GET", "/account/password", s.passwordPage},
		{aPage, "POST", "/account/password", s.changePasswordForm},
		{aPage, "GET", "/account/authenticators", s.authenticatorsPage},
		{aPage, "POST", "/account/authenticators", s.changeAuthenticator},
		{aPage, "GET", "/account/authenticators/add", s.addAuthenticatorPage},
		{aPage, "POST", "/account/authenticators/add", s.addAuthenticator},
		{aPage, "GET", "/account/recovery-codes", s.codesPage},
		{aPage, "POST", "/account/recovery-codes", s.makeCodes},
		{aPage, "GET", "/account/recovery-codes/new", s.newCodesPage},
		{aPage, "POST", "/account/recovery-codes/new", s.confirmNewCodes},
		{aPage, "GET", "/account/sessions", s.sessionsPage},
		{aPage, "POST", "/account/sessions", s.endSessions},
		{aPage, "GET", "/account/history", s.historyPage},
		{aPage, "GET", "/account/address", s.addressPage},
		{aPage, "POST", "/account/address", s.changeAddress},
		{aPage, "GET", "/console/policy", s.policyPage},

		{aFile, "GET", "/assets/{build}/{name...}", s.asset},
		{aFile, "GET", "/favicon.svg", s.favicon},
		{aFile, "GET", "/.well-known/change-password", s.changePassword},
		{aFile, "GET", "/.well-known/security.txt", s.securityText},
		{aFile, "GET", "/.well-known/passkey-endpoints", s.passkeyEndpoints},
		{aFile, "GET", "/.well-known/webauthn", s.relatedOrigins},
	}, s.rooms()...)
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
	s.pages.product = s.Product
	if s.verify, err = loadVerify(s.pages, s.assets.files["app.css"]); err != nil {
		return nil, err
	}
	s.secure = s.origin.Scheme == "https"
	s.cookies = namesOfCookies(s.secure)
	s.headers = fixedHeaders(s.secure)
	if s.content, err = contentPolicy(s.StatusURL); err != nil {
		return nil, err
	}
	s.Proxies = unmapped(s.Proxies)
	s.openAPI = openAPI
	s.meter = make(chan struct{}, 1)
	table := s.routes()
	s.mux, s.known = s.muxOf(table), pagesOf(table)
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
	if s.Keys == nil || s.Flow == nil || s.Manage == nil || s.Sessions == nil || s.Log == nil || s.Now == nil || s.Rand == nil || s.Metrics == nil || s.Life.Fresh == 0 {
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
	mux.HandleFunc("/", s.serve(lost))
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
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug), // broken handshakes and the like
	}
}

// rightHost compares without regard to case and the scheme's own port.
func (s *Server) rightHost(host string) bool {
	return host == s.origin.Host || strings.EqualFold(s.withoutPort(host), s.withoutPort(s.origin.Host)) || slices.Contains(s.OtherHosts, host)
}

func (s *Server) withoutPort(host string) string {
	if s.secure {
		return strings.TrimSuffix(host, ":443")
	}
	return strings.TrimSuffix(host, ":80")
}
