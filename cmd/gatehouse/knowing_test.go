package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"gatehouse/fault"
	"gatehouse/manage"
	"gatehouse/store/storetest"
	"gatehouse/web"
)

// readiness is what /readyz says now.
func readiness(t *testing.T, management string) (code int, answer struct {
	Status, Tier string
	Checks       []struct{ Name, Status string }
	Degraded     []struct{ Feature, Tier string }
}) {
	t.Helper()
	resp, err := http.Get("http://" + management + "/readyz")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, answer
}

func statusNow(t *testing.T, management string) web.Status {
	t.Helper()
	st, err := fetchStatus(t.Context(), "http://"+management)
	if err != nil {
		t.Fatal(err)
	}
	return *st
}

const outageEmail = "olga@example.com"

// The primary goes, then comes back: the node stays ready, says T2 everywhere, and
// its canary signs in on the standby meanwhile.
func TestANodeWhosePrimaryGoesSaysSoAndStaysReady(t *testing.T) {
	way := storetest.NewWire(t, storetest.Postgres(t))
	public, management := freeAddress(t), freeAddress(t)
	l := trialAt(t, way.DSN, "origin: http://localhost\nlisten: "+public+"\nmanagement: {listen: "+management+"}\npasswords: {memory_kib: 8192, time: 1}\ncanary: {every: 1s}\n")
	h, err := openHouse(t.Context(), l, newLog(t.Output(), "text", "error"), resident())
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	left := make(chan error, 1)
	go func() { left <- serve(ctx, h, serveOptions{mode: "serve"}) }()
	eventually(t, "ready", func() bool { return statusOfURL("http://"+management+"/readyz") == http.StatusOK })
	add := &AccountAdd{Email: outageEmail, Role: "bookkeeper"}
	if err := add.Run(t.Context(), &program{in: os.Stdin, out: t.Output(), err: t.Output(), configFile: l.File}); err != nil {
		t.Fatal(err)
	}
	added := time.Now()
	eventually(t, "a standby that knows her", func() bool { return h.store.State().FollowedAt.After(added) })
	made := statusNow(t, management).Canary.At
	eventually(t, "a standby that knows the canary", func() bool { return h.store.State().FollowedAt.After(made) })
	eventually(t, "well", func() bool { return statusNow(t, management).Status == "well" })

	way.Cut()
	eventually(t, "the canary signs in on the standby", func() bool {
		st := statusNow(t, management)
		return st.Tier == "T2" && st.Canary.Works && st.Canary.Standby
	})
	code, answer := readiness(t, management)
	if code != http.StatusOK || answer.Status != "UP" || answer.Tier != "T2" || len(answer.Degraded) == 0 || answer.Degraded[0].Feature != "database" {
		t.Errorf("/readyz says %d %+v", code, answer)
	}
	for _, c := range answer.Checks {
		if want := either(c.Name == "database", "DEGRADED", "UP"); c.Status != want {
			t.Errorf("the check %s says %s", c.Name, c.Status)
		}
	}
	if st := statusNow(t, management); !st.Works.SignIn || !st.Works.Sessions || st.Works.Changes || st.Since.IsZero() {
		t.Errorf("it says that this works: %+v", st.Works)
	}
	var out bytes.Buffer
	err = (&StatusCommand{URL: []string{management}}).Run(t.Context(), &program{out: &out})
	if exitCode(err) != exitDegraded || !strings.Contains(out.String(), "works, from this node's standby") {
		t.Errorf("gatehouse status ends with %d and says\n%s", exitCode(err), out.String())
	}
	resp, err := http.Get("http://" + management + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	text, _ := io.ReadAll(resp.Body)
	resp.Body.Close()
	for _, line := range []string{`gatehouse_degraded{feature="database",tier="T2"} 1`, `gatehouse_tier{tier="T2"} 1`, "gatehouse_ready 1", "gatehouse_canary_success 1"} {
		if !strings.Contains(string(text), line) {
			t.Errorf("no line %s", line)
		}
	}
	keepsOut(t, h)

	way.Mend()
	eventually(t, "well again", func() bool { return statusNow(t, management).Status == "well" })
	stop()
	if err := <-left; err != nil {
		t.Error(err)
	}
}

func TestWhatStatusShowsAndEndsWith(t *testing.T) {
	now := time.Date(2026, 11, 21, 3, 0, 0, 0, time.UTC)
	node := func(with func(*facts)) *httptest.Server {
		st := healthy(with).status(func(string) time.Time { return now.Add(-48 * time.Minute) })
		m := web.Management{Metrics: web.NewMetrics("test", nil), Status: func() web.Status { return st }}
		s := httptest.NewServer(m.Handler())
		t.Cleanup(s.Close)
		return s
	}
	well, away := node(nil), node(both(tier("T2"), func(f *facts) {
		f.trial.Standby, f.state.FollowedAt, f.state.Journal, f.state.JournalSince = true, now.Add(-48*time.Minute), 1234, now.Add(-48*time.Minute)
	}))
	broken := node(both(failed("refused"), longAgo))
	stranger := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(stranger.Close)
	for _, c := range []struct {
		name string
		urls []string
		code int
		says []string
	}{
		{"all is well", []string{well.URL, well.URL}, 0, []string{"WELL", "Sign-in      works", "Changes      work"}},
		{"the primary is away", []string{well.URL, away.URL}, exitDegraded,
			[]string{"DEGRADED  T2 since 02:12:00Z, 48 min ago", "works, from this node's standby", "Changes      have to wait", "1,234 entries", "Sign-ins go on from this node's standby"}},
		{"a node refuses everybody", []string{well.URL, away.URL, broken.URL}, exitDown, []string{"DOWN  T0", "not ready: signin", "DOES NOT WORK (refused)", "Take it out of service"}},
		{"a node does not answer", []string{well.URL, "127.0.0.1:1"}, exitDown, []string{"NO ANSWER", "systemctl status gatehouse"}},
		{"it is something else", []string{stranger.URL}, exitDown, []string{"NO ANSWER  it answers 404"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var out bytes.Buffer
			err := (&StatusCommand{URL: c.urls}).Run(t.Context(), &program{out: &out})
			code := 0
			if err != nil {
				code = exitCode(err)
			}
			if code != c.code {
				t.Errorf("it ends with %d (%v)", code, err)
			}
			for _, words := range c.says {
				if !strings.Contains(out.String(), words) {
					t.Errorf("it does not say %q:\n%s", words, out.String())
				}
			}
			var lines bytes.Buffer
			if again := (&StatusCommand{URL: c.urls, JSON: true}).Run(t.Context(), &program{out: &lines}); (again == nil) != (err == nil) {
				t.Error(again)
			}
			if n := strings.Count(lines.String(), "\n"); n != len(c.urls) {
				t.Errorf("%d lines of JSON for %d nodes", n, len(c.urls))
			}
			for line := range strings.Lines(lines.String()) {
				var one standing
				if err := json.Unmarshal([]byte(line), &one); err != nil || one.URL == "" || (one.Status == nil) != (one.Error != "") {
					t.Errorf("%s: %v", line, err)
				}
			}
		})
	}
	for feature := range wrong {
		if !strings.HasSuffix(strings.TrimSpace(wrong[feature]), ".") && !strings.Contains(wrong[feature], ": ") {
			t.Errorf("%s says %q", feature, wrong[feature])
		}
	}
	for _, feature := range append(web.Features(), "clock") {
		if wrong[feature] == "" {
			t.Errorf("nothing is said about %s", feature)
		}
	}
}

// While nobody gets in the sessions are told, and again when somebody does.
func TestSessionsAreToldWhenNobodyGetsIn(t *testing.T) {
	l := trial(t, "origin: http://localhost:8080\npasswords: {memory_kib: 8192, time: 1}\n")
	h, err := openHouse(t.Context(), l, newLog(t.Output(), "text", "error"), resident())
	if err != nil {
		t.Fatal(err)
	}
	defer h.store.Close()
	r := &loops{house: h}
	k := newKnowing(h, r, func() bool { return false })
	if err := r.arrive(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(k.try(t.Context()), k.measure(t.Context())); err != nil || !h.sessions.Grace().IsZero() || k.condition() != (web.Condition{}) {
		t.Fatalf("all is well: %v, grace %v, %+v", err, h.sessions.Grace(), k.condition())
	}
	good := k.facts.goodAt
	k.facts.trial.Cause, k.facts.trial.Err = "busy", errors.New("busy")
	k.facts.goodAt = good.Add(-failAfter - time.Second)
	if err := k.look(t.Context()); err != nil || !h.sessions.Grace().Equal(good.Add(-failAfter-time.Second)) || !k.condition().SignInsFail {
		t.Errorf("nobody gets in: %v, grace %v, %+v", err, h.sessions.Grace(), k.condition())
	}
	if err := k.try(t.Context()); err != nil || !h.sessions.Grace().IsZero() || k.condition().SignInsFail {
		t.Errorf("it works again: %v, grace %v", err, h.sessions.Grace())
	}
}

// What only the server knows becomes a finding of doctor.
func TestDoctorAsksTheServer(t *testing.T) {
	now := time.Date(2026, 11, 21, 3, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		name string
		with func(*facts)
		want []string // status and first word of what is said
	}{
		{"all is well", nil, []string{"success lets"}},
		{"the standby is too old", func(f *facts) { f.state.Usable, f.state.Why = false, "too-old" }, []string{"warning standby"}},
		{"the journal is not taken and entries are parked", func(f *facts) {
			f.state.Journal, f.state.JournalSince, f.state.Parked = 4, now.Add(-time.Hour), 1
		}, []string{"warning journal", "warning parked"}},
		{"nobody gets in", both(failed("refused"), longAgo), []string{"failure people", "failure refused", "failure signin"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			st := healthy(c.with).status(func(string) time.Time { return now })
			m := web.Management{Metrics: web.NewMetrics("test", nil), Status: func() web.Status { return st }}
			s := httptest.NewServer(m.Handler())
			defer s.Close()
			d := &doctor{l: &Loaded{}}
			d.l.Management = strings.TrimPrefix(s.URL, "http://")
			d.running(t.Context())
			var got []string
			for _, f := range d.findings {
				got = append(got, f.Status+" "+strings.TrimSuffix(strings.Fields(f.Says)[0], ":"))
				if f.Status != success && f.Fix == "" {
					t.Errorf("%s comes with nothing to do", f.Says)
				}
			}
			if strings.Join(got, ", ") != strings.Join(c.want, ", ") {
				t.Errorf("found %q, want %q", got, c.want)
			}
		})
	}
	d := &doctor{l: &Loaded{}}
	d.l.Management = "127.0.0.1:1"
	d.running(t.Context())
	if len(d.findings) != 1 || d.findings[0].Status != warning {
		t.Errorf("a server that does not answer: %+v", d.findings)
	}
}

// keepsOut disables somebody while the database is away, as an operator does: the
// command has no standby and asks the server, through a socket of their own.
func keepsOut(t *testing.T, h *house) {
	t.Helper()
	var out bytes.Buffer
	p := &program{in: os.Stdin, out: &out, err: t.Output(), configFile: h.l.File}
	err := (&AccountDisable{change{Email: outageEmail}}).Run(t.Context(), p)
	if err != nil || !strings.Contains(out.String(), outageEmail+" is disabled here.") {
		t.Errorf("disabling in the dark: %v, %q", err, out.String())
	}
	if err := (&AccountLock{change{Email: "nobody@example.com"}}).Run(t.Context(), p); err == nil || errors.Is(err, manage.ErrNoAccount) || !strings.Contains(err.Error(), "standby has no account nobody@example.com") {
		t.Errorf("that a standby knows nobody of that name proves nothing: %v", err)
	}
	if err := (&AccountEnable{change{Email: outageEmail}}).Run(t.Context(), p); fault.Of(err) != fault.Unavailable {
		t.Errorf("let in again in the dark: %v", err)
	}
	if st, err := os.Stat(controlPath(h.l.DataDir)); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("the socket is open to others: %v, %v", st, err)
	}
}
