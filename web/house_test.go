package web

import (
	"bytes"
	"context"
	"crypto/rand"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse/accounts"
	"gatehouse/fault"
	"gatehouse/flow"
	"gatehouse/id"
	"gatehouse/manage"
	"gatehouse/proof"
	"gatehouse/seal"
	"gatehouse/sessions"
)

// house is a server with a flow that says what a test tells it to.
type house struct {
	*Server
	flow    *toldFlow
	checker *sessions.Checker
	manage  *toldManage
	log     *bytes.Buffer
	clock   time.Time
}

// toldManage knows signing out; all else is for the stories of package test.
type toldManage struct {
	Manager
	ended []id.Session
}

func (m *toldManage) SignOut(_ context.Context, c manage.Caller) error {
	m.ended = append(m.ended, c.Ticket.Session)
	return nil
}

// toldFlow answers as told and remembers what it was asked.
type toldFlow struct {
	mu     sync.Mutex
	asked  []flow.Input
	answer func(flow.Input) (flow.Outcome, error)
}

func (f *toldFlow) Submit(_ context.Context, in flow.Input) (flow.Outcome, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked = append(f.asked, in)
	if f.answer == nil {
		return flow.Outcome{Next: flow.Code, Attempt: "sealed-attempt"}, nil
	}
	return f.answer(in)
}

func (f *toldFlow) Resume(attempt string, who flow.Who) (flow.Outcome, error) {
	if attempt != "sealed-attempt" {
		return flow.Outcome{}, fault.New(fault.AttemptExpired, nil)
	}
	return flow.Outcome{Next: flow.Code, Attempt: attempt, View: flow.View{Email: "ana@harbour-books.example"}}, nil
}

func (f *toldFlow) PeekLink(context.Context, seal.Secret) (accounts.LinkKind, error) {
	return accounts.Reset, nil
}

func (f *toldFlow) last(t *testing.T) flow.Input {
	t.Helper()
	if len(f.asked) == 0 {
		t.Fatal("the flow was not asked")
	}
	return f.asked[len(f.asked)-1]
}

var morning = time.Date(2026, 11, 21, 9, 30, 0, 0, time.UTC)

// buildHouse makes a server for an origin; change may fill in more fields.
func buildHouse(t testing.TB, origin string, change ...func(*Server)) *house {
	t.Helper()
	dir := t.TempDir() + "/keys"
	if err := seal.InitKeys(dir); err != nil {
		t.Fatal(err)
	}
	keys, err := seal.LoadKeys(dir)
	if err != nil {
		t.Fatal(err)
	}
	h := &house{flow: &toldFlow{}, manage: &toldManage{}, checker: &sessions.Checker{Keys: keys, Policy: sessions.DefaultPolicy()}, log: &bytes.Buffer{}, clock: morning}
	h.checker.Apply(nil)
	s := Server{Origin: origin, Keys: keys, Flow: h.flow, Sessions: h.checker, Manage: h.manage, Life: sessions.DefaultPolicy(), Metrics: NewMetrics("test", nil),
		Log: slog.New(slog.NewTextHandler(h.log, nil)), Now: func() time.Time { return h.clock }, Rand: rand.Reader}
	for _, c := range change {
		c(&s)
	}
	if h.Server, err = New(s); err != nil {
		t.Fatal(err)
	}
	return h
}

const site = "https://sign-in.harbour-books.example"

// send passes a request through the whole server.
func (h *house) send(r *http.Request) *http.Response {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result()
}

// request is one from a browser at the right address. Edits are "Name: value"
// headers; "Name:" removes one.
func request(method, path, body string, edits ...string) *http.Request {
	r := httptest.NewRequest(method, site+path, strings.NewReader(body))
	if method == "POST" {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		if strings.HasPrefix(path, "/api/") {
			r.Header.Set("Content-Type", "application/json")
		}
	}
	for _, e := range edits {
		name, value, _ := strings.Cut(e, ":")
		value = strings.TrimSpace(value)
		switch {
		case value == "":
			r.Header.Del(name)
		case name == "Host":
			r.Host = value
		default:
			r.Header.Set(name, value)
		}
	}
	return r
}

func bodyOf(t testing.TB, res *http.Response) string {
	t.Helper()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// ticket makes a good session of the house.
func (h *house) ticket(t testing.TB) (string, sessions.Ticket) {
	t.Helper()
	proofs := []proof.Proof{{Method: proof.Password, At: h.clock}, {Method: proof.TOTP, At: h.clock}}
	made := sessions.NewTicket(id.New[id.Session](h.clock, rand.Reader), id.New[id.Account](h.clock, rand.Reader), 1,
		id.New[id.Device](h.clock, rand.Reader), proofs, sessions.DefaultPolicy(), h.clock)
	text, err := made.Seal(h.Keys)
	if err != nil {
		t.Fatal(err)
	}
	return text, made
}

func (h *house) cookieNamed(res *http.Response, name string) *http.Cookie {
	for _, c := range res.Cookies() {
		if c.Name == name {
			return c
		}
	}
	return nil
}

func prefixes(list ...string) []netip.Prefix {
	var all []netip.Prefix
	for _, p := range list {
		all = append(all, netip.MustParsePrefix(p))
	}
	return all
}
