package drill

import (
	"math"
	"slices"
	"sync"
	"time"
)

// Op is a sort of operation of the load.
type Op string

// The operations of load L1 that exist. OIDC code flows and token refreshes come
// with issue 5.
const (
	SignIn Op = "sign-in"
	Check  Op = "session check"
	Reset  Op = "reset"
)

// Sample is one operation as its client saw it.
type Sample struct {
	Op    Op
	At    time.Time // begun
	Took  time.Duration
	OK    bool
	Later bool   // refused for now as promised (503 with Retry-After): a change while the primary is away
	Why   string // of a failure: code, status or error
}

// samples are written by many clients.
type samples struct {
	mu  sync.Mutex
	all []Sample
}

func (s *samples) add(x Sample) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all = append(s.all, x)
}

// between are those of an operation begun in [from, to); a zero to is now, and ""
// is any operation.
func (s *samples) between(op Op, from, to time.Time) (found []Sample) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, x := range s.all {
		if (op == "" || x.Op == op) && !x.At.Before(from) && (to.IsZero() || x.At.Before(to)) {
			found = append(found, x)
		}
	}
	return found
}

func failures(all []Sample) (n int) {
	for _, x := range all {
		if !x.OK && !x.Later {
			n++
		}
	}
	return n
}

// reasons counts failures by why.
func reasons(all []Sample) map[string]int {
	found := map[string]int{}
	for _, x := range all {
		if !x.OK && !x.Later {
			found[string(x.Op)+": "+x.Why]++
		}
	}
	return found
}

// percentile is the smallest time that p percent of all good ones do not exceed.
func percentile(all []Sample, p float64) time.Duration {
	var times []time.Duration
	for _, x := range all {
		if x.OK {
			times = append(times, x.Took)
		}
	}
	if len(times) == 0 {
		return 0
	}
	slices.Sort(times)
	rank := int(math.Ceil(p / 100 * float64(len(times))))
	return times[min(max(rank, 1), len(times))-1]
}

// enough is how many operations a promise of 99.9 % needs to mean anything.
const enough = 3000

// kept tells whether so few failed that a promise in percent was kept. With too
// few tries for the promise, none may fail.
func kept(failed, n int, percent float64) bool {
	if n < enough {
		return failed == 0
	}
	return float64(failed) <= float64(n)*(100-percent)/100+1e-9
}

func percent(failed, n int) float64 {
	if n == 0 {
		return 0
	}
	return 100 * float64(failed) / float64(n)
}

// pair is one slot with a fault and one without it, side by side.
type pair struct{ with, without []Sample }

// ratio is the p99 with the fault over that without it, and the interval in which
// 95 of 100 such runs lie, found by drawing pairs again (bootstrap); pick returns
// a number below its argument.
func ratio(pairs []pair, pick func(int) int) (r, low, high float64) {
	one := func(of []pair) float64 {
		var with, without []Sample
		for _, p := range of {
			with, without = append(with, p.with...), append(without, p.without...)
		}
		base := percentile(without, 99)
		if base == 0 {
			return 0
		}
		return float64(percentile(with, 99)) / float64(base)
	}
	if len(pairs) == 0 {
		return 0, 0, 0
	}
	const draws = 400
	drawn := make([]float64, draws)
	for i := range drawn {
		again := make([]pair, len(pairs))
		for k := range again {
			again[k] = pairs[pick(len(pairs))]
		}
		drawn[i] = one(again)
	}
	slices.Sort(drawn)
	return one(pairs), drawn[draws*25/1000], drawn[draws*975/1000]
}

// forgive makes failures of a kind count as put off: there were more people than
// the machine can take, and they were told so.
func (s *samples) forgive(why string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.all {
		if s.all[i].Why == why {
			s.all[i].Later = true
		}
	}
}

// forgiveBetween does so with everything begun while nothing was meant to work.
func (s *samples) forgiveBetween(from, to time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.all {
		if at := s.all[i].At; !at.Before(from) && at.Before(to) {
			s.all[i].Later = !s.all[i].OK
		}
	}
}
