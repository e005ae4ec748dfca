package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"gatehouse/accounts"
	"gatehouse/id"
	"gatehouse/rejoin"
	"gatehouse/store"
	"gatehouse/words"
)

// StandbyCommand tells of what nodes did on their own.
type StandbyCommand struct {
	Report StandbyReport `cmd:"" help:"Show what nodes decided while the database was away, and what was undone afterwards."`
}

// StandbyReport shows what was handed over and what had to be undone.
type StandbyReport struct {
	Since time.Duration `default:"720h" help:"How far back to look."`
	JSON  bool          `help:"Write JSON, one object a line."`
}

// Run reads the primary database only; it changes nothing.
func (c *StandbyReport) Run(ctx context.Context, p *program) (err error) {
	l, err := p.mustLoad(nil)
	if err != nil {
		return err
	}
	s, err := openStore(ctx, l, "", time.Now, nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	if err := migrated(ctx, s); err != nil {
		return err
	}
	report, err := rejoin.Read(ctx, s, time.Now().Add(-c.Since))
	if err != nil {
		return err
	}
	names, err := addresses(ctx, s, report.Conflicts)
	if err != nil {
		return err
	}
	if c.JSON {
		return writeReportJSON(p.out, report)
	}
	return writeReport(p.out, report, names)
}

// addresses looks up whom conflicts concern.
func addresses(ctx context.Context, s *store.Store, conflicts []rejoin.Conflict) (map[id.Account]string, error) {
	names := map[id.Account]string{}
	for _, c := range conflicts {
		if _, known := names[c.Account]; known {
			continue
		}
		err := s.BackgroundRead(ctx, func(tx *store.Tx) error {
			a, found, err := accounts.ByID(tx, c.Account)
			if names[c.Account] = a.Email; !found {
				names[c.Account] = "(gone)"
			}
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return names, nil
}

// conflictLine is one conflict as JSON.
type conflictLine struct {
	Rule    rejoin.Rule `json:"rule"`
	Account id.Account  `json:"account"`
	Session id.Session  `json:"session,omitempty"`
	Attempt id.Attempt  `json:"attempt,omitempty"`
	Node    id.Node     `json:"node"`
	Entry   string      `json:"entry"`
	At      time.Time   `json:"settled_at"`
}

func writeReportJSON(out io.Writer, r rejoin.Report) error {
	enc := json.NewEncoder(out)
	for _, s := range r.Stretches {
		if err := enc.Encode(s); err != nil {
			return err
		}
	}
	for _, c := range r.Conflicts {
		if err := enc.Encode(conflictLine{c.Rule, c.Account, c.Session, c.Attempt, c.Node, c.Entry, c.MadeAt}); err != nil {
			return err
		}
	}
	return nil
}

const reportTime = "2006-01-02 15:04:05"

func writeReport(out io.Writer, r rejoin.Report, names map[id.Account]string) error {
	c := words.For("en")
	if len(r.Stretches) == 0 {
		fmt.Fprintln(out, c.Say("rejoin.report.nothing"))
		return nil
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "NODE\tFIRST STEP (UTC)\tLAST STEP (UTC)\tHANDED OVER (UTC)\tSTEPS\tROWS")
	for _, s := range r.Stretches {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%d\t%d\n", s.Node, s.From.Format(reportTime), s.To.Format(reportTime), s.HandedAt.Format(reportTime), s.Entries, s.Rows)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	fmt.Fprintln(out)
	if len(r.Conflicts) == 0 {
		fmt.Fprintln(out, c.Say("rejoin.report.no-conflicts"))
		return nil
	}
	fmt.Fprintln(out, c.Say("rejoin.report.conflicts", "n", len(r.Conflicts)))
	counts := r.ByRule()
	for _, rule := range rejoin.Rules() {
		if counts[rule] > 0 {
			fmt.Fprintf(out, "%6d  %s\n", counts[rule], c.Say("rejoin.rule."+string(rule)))
		}
	}
	fmt.Fprintln(out)
	fmt.Fprintln(w, "SETTLED (UTC)\tPERSON\tRULE\tSESSION")
	for _, f := range r.Conflicts {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", f.MadeAt.Format(reportTime), names[f.Account], f.Rule, f.Session)
	}
	return w.Flush()
}
