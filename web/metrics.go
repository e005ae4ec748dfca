package web

import (
	"net/http"
	"runtime"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"gatehouse/fault"
	"gatehouse/flow"
	"gatehouse/proof"
	"gatehouse/sessions"
)

// Metrics are what /metrics shows. No label ever names a person, an address, a
// network or an organisation, and every label has a bounded set of values.
type Metrics struct {
	registry   *prometheus.Registry
	signins    *prometheus.CounterVec
	challenges *prometheus.CounterVec
	requests   *prometheus.HistogramVec
	checks     prometheus.Counter
	hash       prometheus.Histogram
	hashWait   prometheus.Histogram
	degraded   *prometheus.GaugeVec
	cert       prometheus.Gauge
	signedIn   atomic.Int64
}

// seconds are the buckets of OpenTelemetry's http.server.request.duration.
var seconds = []float64{.005, .01, .025, .05, .075, .1, .25, .5, .75, 1, 2.5, 5, 7.5, 10}

// NewMetrics makes a registry of its own. oldestMail tells how long the oldest
// mail that is due has waited; nil leaves that gauge out. It is asked on every scrape.
func NewMetrics(version string, oldestMail func() time.Duration) *Metrics {
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		signins: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "gatehouse_signins_total",
			Help: "Sign-in steps that ended a sign-in, well or not."}, []string{"outcome", "reason", "first_factor", "second_factor"}),
		challenges: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "gatehouse_second_factor_challenges_total",
			Help: "Answers given to the question for a second authenticator."}, []string{"type", "outcome"}),
		requests: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "gatehouse_http_request_duration_seconds",
			Help: "Time to answer a request, session checks that say yes not included.", Buckets: seconds}, []string{"method", "route", "code"}),
		checks: prometheus.NewCounter(prometheus.CounterOpts{Name: "gatehouse_session_checks_total",
			Help: "Session checks over HTTP that said yes."}),
		hash: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "gatehouse_password_hash_seconds",
			Help: "Time to compute one password hash.", Buckets: seconds}),
		hashWait: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "gatehouse_hash_queue_wait_seconds",
			Help: "Time spent waiting for a core before hashing.", Buckets: seconds}),
		degraded: prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "gatehouse_degraded",
			Help: "1 while a feature works less well than it should; tier is the rung of the promise ladder that this leads to."}, []string{"tier", "feature"}),
		cert: prometheus.NewGauge(prometheus.GaugeOpts{Name: "gatehouse_cert_expiry_timestamp_seconds",
			Help: "When the certificate in use runs out, in seconds since 1970."}),
	}
	build := prometheus.NewGauge(prometheus.GaugeOpts{Name: "gatehouse_build_info", Help: "Always 1; the labels tell the build.",
		ConstLabels: prometheus.Labels{"version": version, "goversion": runtime.Version()}})
	build.Set(1)
	m.registry.MustRegister(m.signins, m.challenges, m.requests, m.checks, m.hash, m.hashWait, m.degraded, build,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	if oldestMail != nil {
		m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "gatehouse_event_outbox_oldest_seconds",
			Help: "How long the oldest message that is due has been waiting."}, func() float64 { return oldestMail().Seconds() }))
	}
	return m
}

// HashTook notes one password hash: how long it took and how long it had waited.
func (m *Metrics) HashTook(hashing, waiting time.Duration) {
	m.hash.Observe(hashing.Seconds())
	m.hashWait.Observe(waiting.Seconds())
}

// Degraded notes whether a feature ("database", "mail", …) works less well than
// it should. Features are named in code, never by input.
func (m *Metrics) Degraded(feature string, yes bool) {
	v := 0.0
	if yes {
		v = 1
	}
	m.degraded.WithLabelValues(TierOf(feature), feature).Set(v)
}

// CertExpires notes when the certificate in use runs out. The gauge exists from
// the first call on.
func (m *Metrics) CertExpires(at time.Time) {
	m.cert.Set(float64(at.Unix()))
	_ = m.registry.Register(m.cert) // a second registration of the same gauge changes nothing
}

func (m *Metrics) handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}

// SignedIn counts the people who got in since the start.
func (m *Metrics) SignedIn() int64 { return m.signedIn.Load() }

func (m *Metrics) sessionChecked() { m.checks.Inc() }

func (m *Metrics) answered(r *Request, took time.Duration) {
	m.requests.WithLabelValues(knownMethod(r.HTTP.Method), r.route.path, strconv.Itoa(r.w.status)).Observe(took.Seconds())
}

// submitted counts what a step of the flow came to.
func (m *Metrics) submitted(in flow.Input, out flow.Outcome, err error) {
	outcome, reason := "success", ""
	switch {
	case err != nil:
		outcome, reason = "error", string(fault.Lookup(fault.Of(err)).Code)
	case out.Refusal != nil:
		outcome, reason = "refused", string(fault.Lookup(out.Refusal.Code).Code)
	}
	switch in.Do {
	case flow.ShowCode, flow.ShowRecovery, flow.ShowPasskey, flow.ShowApproval, flow.ShowText:
		m.challenges.WithLabelValues(string(in.Do), outcome).Inc()
	}
	if outcome == "success" && out.Next != flow.Done {
		return // under way
	}
	if outcome == "success" {
		m.signedIn.Add(1)
	}
	first, second := factors(in.Do, out.Session)
	m.signins.WithLabelValues(outcome, reason, first, second).Inc()
}

// factors names what was shown: from the session's proofs when there is one,
// else from the step that was refused.
func factors(do flow.Action, t sessions.Ticket) (first, second string) {
	for _, p := range t.Proofs {
		switch p.Method {
		case proof.Password:
			first = string(p.Method)
		default:
			second = string(p.Method)
		}
	}
	if first == "" { // a passkey alone
		first, second = second, ""
	}
	if len(t.Proofs) > 0 {
		return first, second
	}
	switch do {
	case flow.ShowPassword, flow.ShowPasskey:
		return string(do), ""
	case flow.ShowCode, flow.ShowRecovery, flow.ShowApproval, flow.ShowText:
		return string(flow.ShowPassword), string(do)
	}
	return "", ""
}
