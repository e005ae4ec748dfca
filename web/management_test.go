package web

import (
	"context"
	"errors"
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"gatehouse/fault"
	"gatehouse/flow"
)

func well(context.Context) error { return nil }

func TestHealth(t *testing.T) {
	away := func(context.Context) error {
		return fault.New(fault.Unavailable, errors.New("dial postgres://secret@db"))
	}
	for _, c := range []struct {
		name, path string
		ready      []Probe
		want       int
		body       string
	}{
		{"alive whatever the database does", "/livez", []Probe{{"database", away}}, 200, `{"status":"UP","checks":[]}`},
		{"ready when all is well", "/readyz", []Probe{{"database", well}, {"revocations", well}}, 200,
			`{"status":"UP","checks":[{"name":"database","status":"UP"},{"name":"revocations","status":"UP"}]}`},
		{"not ready when the database is away, without telling where it is", "/readyz", []Probe{{"database", away}, {"revocations", well}}, 503,
			`{"status":"DOWN","checks":[{"name":"database","status":"DOWN","data":{"code":"unavailable"}},{"name":"revocations","status":"UP"}]}`},
		{"started is asked apart", "/startupz", []Probe{{"database", away}}, 200, `{"status":"UP","checks":[{"name":"migrations","status":"UP"}]}`},
		{"nothing else is here", "/", nil, 404, "404 page not found"},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := Management{Ready: c.ready, Started: []Probe{{"migrations", well}}, Metrics: NewMetrics("test", nil), Log: slog.New(slog.DiscardHandler)}
			w := httptest.NewRecorder()
			m.Handler().ServeHTTP(w, httptest.NewRequest("GET", c.path, nil))
			if w.Code != c.want || strings.TrimSpace(w.Body.String()) != c.body {
				t.Errorf("got %d %s", w.Code, w.Body)
			}
		})
	}
}

// What every node has in common is told, and is no reason to send people elsewhere.
func TestASharedFaultIsToldAndStaysReady(t *testing.T) {
	away := func(context.Context) error { return fault.New(fault.Unavailable, nil) }
	st := Status{Node: "n", Tier: "T2", Issues: []Issue{{Feature: "database", Tier: "T2", Since: morning}}}
	for _, c := range []struct {
		name string
		own  func(context.Context) error
		want int
		body string
	}{
		{"only that", well, 200, `{"status":"UP","checks":[{"name":"signin","status":"UP"},{"name":"database","status":"DEGRADED","data":{"code":"unavailable"}}],`},
		{"and this node too", away, 503, `{"status":"DOWN","checks":[{"name":"signin","status":"DOWN","data":{"code":"unavailable"}},{"name":"database","status":"DEGRADED","data":{"code":"unavailable"}}],`},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := Management{Ready: []Probe{{"signin", c.own}}, Shared: []Probe{{"database", away}}, Metrics: NewMetrics("test", nil),
				Log: slog.New(slog.DiscardHandler), Status: func() Status { return st }}
			w := httptest.NewRecorder()
			m.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/readyz", nil))
			want := c.body + `"tier":"T2","degraded":[{"feature":"database","tier":"T2","since":"` + morning.Format(time.RFC3339Nano) + `"}]}`
			if w.Code != c.want || strings.TrimSpace(w.Body.String()) != want {
				t.Errorf("got %d %s\nwant %s", w.Code, w.Body, want)
			}
			w = httptest.NewRecorder()
			m.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/livez", nil))
			if w.Code != 200 || strings.TrimSpace(w.Body.String()) != `{"status":"UP","checks":[]}` {
				t.Errorf("/livez: %d %s", w.Code, w.Body)
			}
			w = httptest.NewRecorder()
			m.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/statusz", nil))
			if w.Code != 200 || !strings.HasPrefix(w.Body.String(), `{"node":"n",`) {
				t.Errorf("/statusz: %d %s", w.Code, w.Body)
			}
		})
	}
}

func TestWhatANodeKnowsOfItselfIsInTheMetrics(t *testing.T) {
	m := NewMetrics("test", nil)
	st := Status{At: morning, Started: morning.Add(-time.Minute), Tier: "T3", Ready: true, Canary: Canary{GoodAt: morning.Add(-2 * time.Second)},
		Standby: Standby{Usable: true, Age: 3}, Journal: Journal{Entries: 4, Bytes: 5, Oldest: 6, Parked: 7}, Hash: HashQueue{Waiting: 8},
		Follow: []Lag{{Name: "export", Behind: 9, Events: 10, Parked: 11}}, Peers: 12}
	m.Watch(func() Status { return st })
	w := httptest.NewRecorder()
	m.handler().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	for _, line := range []string{"ready 1", "signin_works 0", "canary_success 0", "canary_age_seconds 2", "standby_usable 1", "standby_age_seconds 3",
		"spool_entries 4", "spool_bytes 5", "spool_oldest_seconds 6", "spool_parked 7", "hash_queue_waiting 8", `tier{tier="T3"} 1`, `tier{tier="none"} 0`,
		`follower_lag_seconds{follower="export"} 9`, `follower_lag_events{follower="export"} 10`, `follower_parked_events{follower="export"} 11`, "peers 12"} {
		if !strings.Contains(w.Body.String(), "\ngatehouse_"+line+"\n") {
			t.Errorf("no line gatehouse_%s", line)
		}
	}
	families, err := m.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	if problems, err := promlint.NewWithMetricFamilies(families).Lint(); err != nil || len(problems) > 0 {
		t.Errorf("%v %v", problems, err)
	}
}

func TestAProbeThatHangsIsANo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		free := make(chan struct{})
		defer close(free)
		hangs := func(context.Context) error { <-free; return nil }
		m := Management{Ready: []Probe{{"database", hangs}, {"revocations", well}}, Log: slog.New(slog.DiscardHandler)}
		start := time.Now()
		found := m.ask(t.Context(), m.Ready)
		if took := time.Since(start); took != checkTime {
			t.Errorf("answered after %s", took)
		}
		if found.Status != "DOWN" || found.Checks[0].Status != "DOWN" || found.Checks[1].Status != "UP" {
			t.Errorf("got %+v", found)
		}
	})
}

// As `promtool check metrics` does.
func TestMetricsAreNamedAsPrometheusAsks(t *testing.T) {
	m := NewMetrics("test", func() time.Duration { return time.Second })
	m.Degraded("mail", false)
	m.CertExpires(morning)
	families, err := m.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	problems, err := promlint.NewWithMetricFamilies(families).Lint()
	if err != nil || len(problems) > 0 {
		t.Errorf("%v %v", problems, err)
	}
}

func TestMetricsCountWhatHappened(t *testing.T) {
	h := buildHouse(t, site)
	token, made := h.ticket(t)
	outcomes := []flow.Outcome{
		{Next: flow.Password, Refusal: &flow.Refusal{Code: fault.WrongCredentials}},
		{Next: flow.Code},
		{Next: flow.Code, Refusal: &flow.Refusal{Code: fault.WrongCode}},
		{Next: flow.Done, Ticket: token, Session: made},
	}
	h.flow.answer = func(flow.Input) (flow.Outcome, error) {
		out := outcomes[0]
		outcomes = outcomes[1:]
		return out, nil
	}
	for _, path := range []string{"/api/v1/signin", "/api/v1/signin", "/api/v1/signin/totp", "/api/v1/signin/totp"} {
		h.send(request("POST", path, `{"email":"ana@b.example","password":"12345678","code":"123456"}`))
	}
	h.send(request("GET", "/api/v1/session", "", "Authorization: Bearer "+token))
	h.Metrics.HashTook(80*time.Millisecond, time.Second)
	h.Metrics.Degraded("mail", true)
	h.Metrics.CertExpires(morning)
	h.Metrics.CertExpires(morning)
	m := Management{Metrics: h.Metrics, Log: slog.New(slog.DiscardHandler)}
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	text := w.Body.String()
	for _, line := range []string{
		`gatehouse_signins_total{first_factor="password",outcome="refused",reason="wrong-credentials",second_factor=""} 1`,
		`gatehouse_signins_total{first_factor="password",outcome="refused",reason="wrong-code",second_factor="totp"} 1`,
		`gatehouse_signins_total{first_factor="password",outcome="success",reason="",second_factor="totp"} 1`,
		`gatehouse_second_factor_challenges_total{outcome="refused",type="totp"} 1`,
		`gatehouse_second_factor_challenges_total{outcome="success",type="totp"} 1`,
		`gatehouse_http_request_duration_seconds_count{code="401",method="POST",route="/api/v1/signin"} 1`,
		`gatehouse_session_checks_total 1`,
		`gatehouse_password_hash_seconds_bucket{le="0.1"} 1`,
		`gatehouse_hash_queue_wait_seconds_bucket{le="1"} 1`,
		`gatehouse_degraded{feature="mail",tier="T3"} 1`,
		`gatehouse_cert_expiry_timestamp_seconds 1.7952534e+09`,
		`version="test"} 1`,
	} {
		if !strings.Contains(text, line) {
			t.Errorf("no line %s", line)
		}
	}
	if strings.Contains(text, "ana") || strings.Contains(text, "192.0.2") {
		t.Error("a person or a network is a label")
	}
}
