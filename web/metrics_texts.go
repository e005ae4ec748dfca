package web

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"gatehouse/outbox"
	"gatehouse/proof"
)

// TextMetrics count text messages and calls. Providers are called "first" and
// "second", so the labels tell nothing about anybody.
type TextMetrics struct {
	took    *prometheus.HistogramVec
	handed  *prometheus.HistogramVec
	limited *prometheus.CounterVec
}

// slow are buckets for what waits for others.
var slow = []float64{.05, .1, .25, .5, 1, 2, 4, 8, 15, 30, 60, 120, 300, 600}

// Texts adds the metrics of text messages. Call it once.
func (m *Metrics) Texts() *TextMetrics {
	t := &TextMetrics{
		took: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "gatehouse_text_provider_seconds",
			Help: "Time a provider took to take a text message or call, or not to; class is empty when it did.", Buckets: slow}, []string{"provider", "way", "class"}),
		handed: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "gatehouse_text_handover_seconds",
			Help: "Time from when a code was asked for until a provider took it.", Buckets: slow}, []string{"way"}),
		limited: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "gatehouse_text_limited_total",
			Help: "Codes that were not sent because a budget was used up; text-country, text-country-day and text-day deserve an alarm."}, []string{"rule"}),
	}
	m.registry.MustRegister(t.took, t.handed, t.limited)
	return t
}

// Took notes one try with a provider.
func (t *TextMetrics) Took(provider string, way proof.Method, class outbox.Class, d time.Duration) {
	t.took.WithLabelValues(provider, string(way), string(class)).Observe(d.Seconds())
}

// Handed notes how long a code waited for a provider.
func (t *TextMetrics) Handed(way proof.Method, d time.Duration) {
	t.handed.WithLabelValues(string(way)).Observe(d.Seconds())
}

// Limited notes a code that was not sent.
func (t *TextMetrics) Limited(rule string) { t.limited.WithLabelValues(rule).Inc() }
