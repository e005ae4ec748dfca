package rejoin

import (
	"context"
	"time"

	"gatehouse/id"
	"gatehouse/store"
)

// Stretch is what one node decided alone in one go.
type Stretch struct {
	Node     id.Node   `json:"node"`
	From     time.Time `json:"from"`      // of its first entry
	To       time.Time `json:"to"`        // of its last
	HandedAt time.Time `json:"handed_at"` // when the last of them was taken
	Entries  int64     `json:"entries"`   // transactions
	Rows     int64     `json:"rows"`
	Contests int64     `json:"contests"` // one-time things that somebody else had used
}

// Report is what was handed over and what had to be undone.
type Report struct {
	Stretches []Stretch
	Conflicts []Conflict
}

const (
	apart      = 10 * time.Minute // a pause longer than this begins another stretch
	reportPage = 500
)

// Read makes the report of everything since a moment, on the primary.
func Read(ctx context.Context, s *store.Store, from time.Time) (Report, error) {
	var r Report
	latest := map[id.Node]int{} // where a node's last stretch stands
	var last *store.Handed
	for {
		var page []store.Handed
		err := s.BackgroundRead(ctx, func(tx *store.Tx) (err error) {
			page, err = tx.Handed(from, last, reportPage)
			return err
		})
		if err != nil {
			return r, err
		}
		if len(page) == 0 {
			break
		}
		for _, h := range page {
			r.add(h, latest)
		}
		last = &page[len(page)-1]
	}
	return r, r.readConflicts(ctx, s, from)
}

func (r *Report) add(h store.Handed, latest map[id.Node]int) {
	i, known := latest[h.Node]
	if !known || h.MadeAt.Sub(r.Stretches[i].To) > apart {
		i, latest[h.Node] = len(r.Stretches), len(r.Stretches)
		r.Stretches = append(r.Stretches, Stretch{Node: h.Node, From: h.MadeAt})
	}
	s := &r.Stretches[i]
	s.To, s.Entries, s.Rows, s.Contests = h.MadeAt, s.Entries+1, s.Rows+h.Rows, s.Contests+h.Conflicts
	if h.HandedAt.After(s.HandedAt) {
		s.HandedAt = h.HandedAt
	}
}

func (r *Report) readConflicts(ctx context.Context, s *store.Store, from time.Time) error {
	var last *Conflict
	for {
		var page []Conflict
		err := s.BackgroundRead(ctx, func(tx *store.Tx) (err error) {
			page, err = Conflicts(tx, from, last, reportPage)
			return err
		})
		if err != nil || len(page) == 0 {
			return err
		}
		r.Conflicts = append(r.Conflicts, page...)
		last = &page[len(page)-1]
	}
}

// ByRule counts what was undone, by rule.
func (r Report) ByRule() map[Rule]int {
	n := map[Rule]int{}
	for _, c := range r.Conflicts {
		n[c.Rule]++
	}
	return n
}
