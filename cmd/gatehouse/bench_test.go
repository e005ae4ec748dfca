package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"strings"
	"testing"
	"time"
)

func TestGoalsOfTheBench(t *testing.T) {
	for _, row := range []struct {
		name string
		f    figure
		ok   bool
	}{
		{"a ratio at its goal is met", atLeast("x", "y", 95, 100, 0.95), true},
		{"a ratio below its goal is missed", atLeast("x", "y", 94, 100, 0.95), false},
		{"a ratio above one is met", atLeast("x", "y", 120, 100, 0.95), true},
		{"a ratio without a baseline is missed, not divided by zero", atLeast("x", "y", 95, 0, 0.95), false},
		{"a value at its bound is met", atMost("x", "y", 60, none, 60), true},
		{"a value above its bound is missed", atMost("x", "y", 60.1, none, 60), false},
		{"a baseline does not decide about a bound", atMost("x", "y", 10, 1, 15), true},
		{"no errors are met", atMost("x", "y", 0, none, 0), true},
		{"one error is missed", atMost("x", "y", 1, none, 0), false},
	} {
		if row.f.OK != row.ok {
			t.Errorf("%s: ok is %v", row.name, row.f.OK)
		}
	}
}

func TestWhatTheBenchPrintsAsJSON(t *testing.T) {
	var out bytes.Buffer
	r := &report{out: &out, json: true, hash: "argon2id m=65536,t=3,p=1"}
	if err := r.add(atLeast("check", "checks/s", 30000, 40000, 0.6), atMost("memory/idle", "MiB", 38.05, none, 60)); err != nil {
		t.Fatal(err)
	}
	want := `{"name":"check","unit":"checks/s","value":30000,"baseline":40000,"ratio":0.75,"goal":0.6,"ok":true,"hash":"argon2id m=65536,t=3,p=1"}
{"name":"memory/idle","unit":"MiB","value":38.05,"baseline":null,"ratio":null,"goal":60,"ok":true,"hash":"argon2id m=65536,t=3,p=1"}
`
	if out.String() != want {
		t.Errorf("%s\nwant\n%s", out.String(), want)
	}
}

func TestTheBenchFailsWhenAGoalIsMissed(t *testing.T) {
	r := &report{out: new(bytes.Buffer)}
	r.add(atMost("good", "ms", 1, none, 2))
	if err := r.end(); err != nil {
		t.Errorf("nothing is missed, yet: %v", err)
	}
	r.add(atMost("bad", "ms", 3, none, 2))
	err := r.end()
	if err == nil || exitCode(err) != exitFailed || !strings.Contains(err.Error(), "bad") || strings.Contains(err.Error(), "good") {
		t.Errorf("one is missed: %v", err)
	}
}

func TestTheBenchJudgesOnlyTheDefaultHashParameters(t *testing.T) {
	for _, setting := range []string{"GATEHOUSE_PASSWORDS_MEMORY_KIB=8192", "GATEHOUSE_PASSWORDS_TIME=1", "GATEHOUSE_PASSWORDS_THREADS=2"} {
		var out, told bytes.Buffer
		p := &program{out: &out, err: &told, environ: []string{setting}}
		err := (&BenchFigures{Seconds: 1, Parts: []string{"ready"}}).Run(t.Context(), p)
		var wrong *usageError
		if !errors.As(err, &wrong) || out.Len() > 0 || !strings.Contains(told.String(), "argon2id m=") {
			t.Errorf("%s: %v, printed %q and told %q", setting, err, out.String(), told.String())
		}
	}
}

func TestPercentileIsTheNearestRank(t *testing.T) {
	var hundred samples
	for i := range 100 {
		hundred = append(hundred, time.Duration(100-i)) // 100 … 1, not in order
	}
	for _, row := range []struct {
		name string
		of   samples
		p    float64
		want time.Duration
	}{
		{"the 99th of a hundred", hundred, 99, 99},
		{"the median of a hundred", hundred, 50, 50},
		{"all of a hundred", hundred, 100, 100},
		{"the 99th of five is the largest", samples{5, 1, 4, 2, 3}, 99, 5},
		{"of one, whatever is asked", samples{7}, 1, 7},
		{"of none", nil, 50, 0},
	} {
		if got := row.of.percentile(row.p); got != row.want {
			t.Errorf("%s: %d, want %d", row.name, got, row.want)
		}
	}
	if hundred[0] != 100 {
		t.Error("the samples were sorted where they stand")
	}
}

// The second example is that of Welch's t in Wikipedia's article, A3 and B3.
func TestWelch(t *testing.T) {
	seconds := func(values ...float64) (s samples) {
		for _, v := range values {
			s = append(s, time.Duration(v*float64(time.Second)))
		}
		return s
	}
	for _, row := range []struct {
		name string
		a, b samples
		want float64
	}{
		{"the same is nothing apart", seconds(1, 2, 3), seconds(1, 2, 3), 0},
		{"different spread and number", seconds(19.8, 20.4, 19.6, 17.8, 18.5, 18.9, 18.3, 18.9, 19.5, 22.0),
			seconds(28.2, 26.6, 20.1, 23.3, 25.2, 22.1, 17.7, 27.6, 20.6, 13.7, 23.2, 17.5, 20.6, 18.0, 23.9, 21.6, 24.3, 20.4, 24.0, 13.2), -2.22},
	} {
		if got := welch(row.a, row.b); math.Abs(got-row.want) > 0.01 {
			t.Errorf("%s: t = %.4f, want %.4f", row.name, got, row.want)
		}
	}
}

func TestAPersonOfTheBenchNeverUsesACodeTwice(t *testing.T) {
	begun := time.Date(2026, 11, 21, 9, 30, 0, 0, time.UTC)
	p := &benchPerson{}
	used := 0
	for now := begun; now.Before(begun.Add(5 * time.Minute)); now = now.Add(time.Second) {
		for p.ready(now) {
			before := p.last
			p.use(now)
			used++
			for _, at := range []time.Time{now, now.Add(slack)} { // when it is shown, at the latest
				if off := p.last - stepAt(at); p.last <= before || off < -1 || off > 1 {
					t.Fatalf("at %s the step %d is used after %d; %d is now", now, p.last, before, stepAt(at))
				}
			}
		}
	}
	if want := 2 + 9; used != want {
		t.Errorf("%d sign-ins in five minutes, want two at once and one for each further step (%d)", used, want)
	}
}

func TestACallerGetsSomebodyWhoHasACodeLeft(t *testing.T) {
	now := time.Date(2026, 11, 21, 9, 30, 0, 0, time.UTC)
	c := &crowd{people: []*benchPerson{{email: "tired", last: stepAt(now) + 1}, {email: "rested"}}}
	if n := c.codes(now); n != 2 {
		t.Errorf("%d sign-ins are possible, want 2", n)
	}
	p, err := c.take(now)
	if err != nil || p.email != "rested" {
		t.Fatalf("%+v, %v", p, err)
	}
	if _, err := c.take(now); !errors.Is(err, errStarved) {
		t.Errorf("nobody is left, yet: %v", err)
	}
	c.back(p)
	if _, err := c.take(now); err != nil {
		t.Error(err)
	}
}

func TestFiguresReadBackAsTheyWereWritten(t *testing.T) {
	var f struct{ Value, Goal float64 }
	text, _ := json.Marshal(atMost("x", "ms", 123.456789, none, 300))
	if err := json.Unmarshal(text, &f); err != nil || f.Value != 123.5 || f.Goal != 300 {
		t.Errorf("%s: %+v, %v", text, f, err)
	}
}
