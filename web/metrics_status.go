package web

import "github.com/prometheus/client_golang/prometheus"

// tiers says which rung of the promise ladder (DESIGN §2) a feature takes away;
// T0 is this node itself.
var tiers = map[string]string{
	"database": "T2", "stores": "T1", "signin": "T1",
	"refused": "T0", "clock-far": "T0", "blind": "T0", "unheard": "T1",
}

// TierOf is the rung that a feature's failing leads to: T3 for whatever people can
// do without.
func TierOf(feature string) string {
	if t, ok := tiers[feature]; ok {
		return t
	}
	return "T3"
}

// Features lists those that always have a line in gatehouse_degraded.
func Features() []string {
	return []string{"blind", "clock-far", "database", "database-clock", "disk", "followers", "journal", "mail", "overload", "parked", "refused", "signin", "standby", "stores", "unheard"}
}

// Watch adds what a node knows of itself to the metrics; it is asked on every scrape.
func (m *Metrics) Watch(status func() Status) {
	m.registry.MustRegister(watched{status})
}

type watched struct{ status func() Status }

func describe(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("gatehouse_"+name, help, labels, nil)
}

// gauges are read from the status one by one.
var gauges = []struct {
	desc *prometheus.Desc
	of   func(Status) float64
}{
	{describe("ready", "1 when this node should be sent requests."), func(s Status) float64 { return number(s.Ready) }},
	{describe("signin_works", "1 when people can sign in here."), func(s Status) float64 { return number(s.Works.SignIn) }},
	{describe("canary_success", "1 when this node's own sign-in went well the last time."), func(s Status) float64 { return number(s.Canary.Works) }},
	{describe("canary_age_seconds", "Since this node's own sign-in went well."), func(s Status) float64 { return sinceGood(s) }},
	{describe("canary_duration_seconds", "How long this node's own sign-in took the last time."), func(s Status) float64 { return s.Canary.Took }},
	{describe("standby_usable", "1 when this node's standby would answer."), func(s Status) float64 { return number(s.Standby.Usable) }},
	{describe("standby_age_seconds", "Since this node's standby held all that the primary had."), func(s Status) float64 { return s.Standby.Age }},
	{describe("standby_horizon_seconds", "How long the oldest open transaction of the primary holds this node's standby back."), func(s Status) float64 { return s.Standby.Horizon }},
	{describe("spool_entries", "Entries of the standby's journal that the primary does not have yet."), func(s Status) float64 { return float64(s.Journal.Entries) }},
	{describe("spool_bytes", "Size of those entries."), func(s Status) float64 { return float64(s.Journal.Bytes) }},
	{describe("spool_oldest_seconds", "Age of the oldest of those entries."), func(s Status) float64 { return s.Journal.Oldest }},
	{describe("spool_parked", "Entries that the primary did not take and that wait for a person."), func(s Status) float64 { return float64(s.Journal.Parked) }},
	{describe("spool_shed", "Analytics events of this process that were not kept because the disk is full."), func(s Status) float64 { return float64(s.Journal.Shed) }},
	{describe("hash_queue_waiting", "Sign-ins that wait for a core now."), func(s Status) float64 { return float64(s.Hash.Waiting) }},
	{describe("peers", "Other nodes that answer this one."), func(s Status) float64 { return float64(s.Peers) }},
}

var (
	tierDesc   = describe("tier", "1 for the rung of the promise ladder this node stands on.", "tier")
	lagDesc    = describe("follower_lag_seconds", "Age of the oldest event that a follower has not read.", "follower")
	unreadDesc = describe("follower_lag_events", "Events that a follower has not read.", "follower")
	parkedDesc = describe("follower_parked_events", "Events that a follower has set aside.", "follower")
)

// Describe fits prometheus.Collector: what it collects is checked as it comes.
func (w watched) Describe(chan<- *prometheus.Desc) {}

// Collect fits prometheus.Collector.
func (w watched) Collect(out chan<- prometheus.Metric) {
	s := w.status()
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	for _, g := range gauges {
		gauge(g.desc, g.of(s))
	}
	for _, tier := range []string{"none", "T3", "T2", "T1", "T0"} {
		gauge(tierDesc, number(tier == s.Tier || tier == "none" && s.Tier == ""), tier)
	}
	for _, l := range s.Follow {
		gauge(lagDesc, l.Behind, l.Name)
		gauge(unreadDesc, float64(l.Events), l.Name)
		gauge(parkedDesc, float64(l.Parked), l.Name)
	}
}

func sinceGood(s Status) float64 {
	if s.Canary.GoodAt.IsZero() {
		return s.At.Sub(s.Started).Seconds()
	}
	return s.At.Sub(s.Canary.GoodAt).Seconds()
}

func number(yes bool) float64 {
	if yes {
		return 1
	}
	return 0
}
