package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"slices"
	"text/tabwriter"
	"time"
)

// figure is one measured number and its goal, as bench --json prints it.
type figure struct {
	Name     string   `json:"name"`
	Unit     string   `json:"unit"`
	Value    float64  `json:"value"`
	Baseline *float64 `json:"baseline"` // nil where there is nothing to compare with
	Ratio    *float64 `json:"ratio"`    // value / baseline
	Goal     float64  `json:"goal"`     // for the ratio when ofRatio, else for the value
	OK       bool     `json:"ok"`
	Hash     string   `json:"hash"` // the parameters everything was measured with

	ofRatio bool
}

// atLeast judges value ÷ baseline: more is better.
func atLeast(name, unit string, value, baseline, goal float64) figure {
	f := compared(name, unit, value, baseline)
	f.Goal, f.ofRatio = goal, true
	f.OK = baseline > 0 && *f.Ratio >= goal
	return f
}

// atMost judges value itself: less is better. The baseline is told and decides
// nothing.
func atMost(name, unit string, value, baseline, goal float64) figure {
	f := compared(name, unit, value, baseline)
	f.Goal = goal
	f.OK = value <= goal
	return f
}

// none says that a figure has no baseline.
const none = 0

func compared(name, unit string, value, baseline float64) figure {
	f := figure{Name: name, Unit: unit, Value: rounded(value)}
	if baseline > 0 {
		b, r := rounded(baseline), rounded(value/baseline)
		f.Baseline, f.Ratio = &b, &r
	}
	return f
}

// rounded keeps four digits: more would only be noise.
func rounded(v float64) float64 {
	if v == 0 || math.IsNaN(v) || math.IsInf(v, 0) {
		return 0
	}
	scale := math.Pow(10, 3-math.Floor(math.Log10(math.Abs(v))))
	return math.Round(v*scale) / scale
}

// goal in words.
func (f figure) goalText() string {
	if f.ofRatio {
		return fmt.Sprintf("≥ %v × baseline", f.Goal)
	}
	return fmt.Sprintf("≤ %v", f.Goal)
}

// report prints figures: as a table, or as JSON the moment each is known.
type report struct {
	out     io.Writer
	json    bool
	hash    string
	figures []figure
}

func (r *report) add(figures ...figure) error {
	for _, f := range figures {
		f.Hash = r.hash
		r.figures = append(r.figures, f)
		if !r.json {
			continue
		}
		if err := json.NewEncoder(r.out).Encode(f); err != nil {
			return err
		}
	}
	return nil
}

// end prints the table and tells which goals were missed.
func (r *report) end() error {
	if !r.json {
		r.table()
	}
	var missed missedGoals
	for _, f := range r.figures {
		if !f.OK {
			missed = append(missed, f.Name)
		}
	}
	if len(missed) > 0 {
		return missed
	}
	return nil
}

func (r *report) table() {
	t := tabwriter.NewWriter(r.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "FIGURE\tVALUE\tUNIT\tBASELINE\tRATIO\tGOAL\t")
	for _, f := range r.figures {
		fmt.Fprintf(t, "%s\t%v\t%s\t%s\t%s\t%s\t%s\n", f.Name, f.Value, f.Unit, maybe(f.Baseline), maybe(f.Ratio), f.goalText(), either(f.OK, "ok", "MISSED"))
	}
	t.Flush()
}

func maybe(v *float64) string {
	if v == nil {
		return "-"
	}
	return fmt.Sprint(*v)
}

// missedGoals is the error of a bench that measured well and found too little.
type missedGoals []string

func (m missedGoals) Error() string {
	return fmt.Sprintf("%s missed: %v", count(len(m), "goal"), []string(m))
}

// samples are durations of the same thing.
type samples []time.Duration

// percentile is the smallest sample that p percent of all do not exceed (nearest
// rank); 0 when there is none.
func (s samples) percentile(p float64) time.Duration {
	if len(s) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(s))
	rank := int(math.Ceil(p / 100 * float64(len(sorted))))
	return sorted[min(max(rank, 1), len(sorted))-1]
}

func (s samples) meanVariance() (mean, variance float64) {
	for _, d := range s {
		mean += d.Seconds()
	}
	mean /= float64(len(s))
	for _, d := range s {
		variance += (d.Seconds() - mean) * (d.Seconds() - mean)
	}
	return mean, variance / float64(len(s)-1)
}

// welch is Welch's t of two sets of samples that need not vary alike: how many
// standard errors their means are apart. Each must have two samples or more.
func welch(a, b samples) float64 {
	meanA, varA := a.meanVariance()
	meanB, varB := b.meanVariance()
	apart := meanA - meanB
	if apart == 0 {
		return 0
	}
	return apart / math.Sqrt(varA/float64(len(a))+varB/float64(len(b)))
}

func millis(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
