package web

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"gatehouse/fault"
)

// checkTime bounds every readiness check: an answer that comes later is a no.
const checkTime = 2 * time.Second

// Probe is one question about this process, asked when somebody wants to know.
type Probe struct {
	Name string
	Ask  func(context.Context) error // nil means well
}

// Management answers the management listener, which is not for the public.
//
//	/livez     is the process itself alive? Never asks the database: restarting us does not mend it.
//	/readyz    should requests be sent here now?
//	/startupz  has it finished starting?
//	/metrics   Prometheus text
//	/statusz   all that the node knows of itself, as JSON (Status)
//
// Answers are 200 or 503 with {"status":"UP","checks":[{"name":…,"status":…}]}.
// A check that every node would fail alike says DEGRADED and stays 200: sending
// people elsewhere mends nothing. /readyz tells tier and issues beside it.
type Management struct {
	Ready   []Probe // all must be well for /readyz
	Shared  []Probe // told beside those by /readyz: their failing is no fault of this node
	Started []Probe // all must be well for /startupz
	Metrics *Metrics
	Log     *slog.Logger
	Status  func() Status // for /statusz and beside /readyz; it must cost nothing. nil: neither
}

type health struct {
	Status string  `json:"status"`
	Checks []check `json:"checks"`
	Tier   string  `json:"tier,omitempty"`
	Issues []Issue `json:"degraded,omitempty"`
}

type check struct {
	Name   string            `json:"name"`
	Status string            `json:"status"`
	Data   map[string]string `json:"data,omitempty"`
}

// Handler makes the management listener's handler.
func (m *Management) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /livez", m.answers(nil))
	mux.HandleFunc("GET /readyz", m.ready)
	mux.HandleFunc("GET /startupz", m.answers(m.Started))
	mux.Handle("GET /metrics", m.Metrics.handler())
	if m.Status != nil {
		mux.HandleFunc("GET /statusz", m.statusz)
	}
	return mux
}

func (m *Management) answers(probes []Probe) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) { tellHealth(w, m.ask(r.Context(), probes)) }
}

// ready answers /readyz: 503 only for what sending people elsewhere would mend.
func (m *Management) ready(w http.ResponseWriter, r *http.Request) {
	found := m.ask(r.Context(), m.Ready)
	for _, c := range m.ask(r.Context(), m.Shared).Checks {
		if c.Status == "DOWN" {
			c.Status = "DEGRADED"
		}
		found.Checks = append(found.Checks, c)
	}
	if m.Status != nil {
		s := m.Status()
		found.Tier, found.Issues = s.Tier, s.Issues
	}
	tellHealth(w, found)
}

func tellHealth(w http.ResponseWriter, found health) {
	status := http.StatusOK
	if found.Status != "UP" {
		status = http.StatusServiceUnavailable
	}
	w.Header().Set("Content-Type", jsonType)
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(found) // nobody to tell when the prober has gone
}

// ask puts every question at once and waits no longer than checkTime.
func (m *Management) ask(ctx context.Context, probes []Probe) health {
	ctx, cancel := context.WithTimeout(ctx, checkTime)
	defer cancel()
	found := health{Status: "UP", Checks: make([]check, len(probes))}
	var all sync.WaitGroup
	for i, p := range probes {
		all.Go(func() { found.Checks[i] = m.askOne(ctx, p) })
	}
	all.Wait()
	for _, c := range found.Checks {
		if c.Status != "UP" {
			found.Status = "DOWN"
		}
	}
	return found
}

func (m *Management) askOne(ctx context.Context, p Probe) check {
	said := make(chan error, 1)
	go func() { said <- p.Ask(ctx) }() // a probe that forgets its context must not hold up the others
	var err error
	select {
	case err = <-said:
	case <-ctx.Done():
		err = fault.New(fault.Unavailable, ctx.Err())
	}
	if err == nil {
		return check{Name: p.Name, Status: "UP"}
	}
	m.Log.Warn("not well", "check", p.Name, "cause", err)
	return check{Name: p.Name, Status: "DOWN", Data: map[string]string{"code": string(fault.Of(err))}}
}
