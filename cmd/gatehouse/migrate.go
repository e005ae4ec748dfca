package main

import (
	"context"
	"fmt"
	"text/tabwriter"
	"time"

	"gatehouse/store"
)

// MigrateCommand shows the migrations and applies those that are pending.
type MigrateCommand struct {
	Apply bool `help:"Apply what is pending. Make a backup first. Nodes of this release and the one before go on serving meanwhile."`
}

// Run shows, and with --apply does.
func (c *MigrateCommand) Run(ctx context.Context, p *program) error {
	l, err := p.mustLoad(nil)
	if err != nil {
		return err
	}
	s, err := openStore(ctx, l, "", time.Now, nil)
	if err != nil {
		return err
	}
	defer s.Close()
	if c.Apply {
		if err := c.apply(ctx, p, s); err != nil {
			return err
		}
	}
	return c.show(ctx, p, s)
}

func (c *MigrateCommand) apply(ctx context.Context, p *program, s *store.Store) error {
	applied, err := s.Migrate(ctx)
	for _, a := range applied {
		fmt.Fprintf(p.out, "Applied %d (%s) in %s.\n", a.Version, a.Name, a.Took.Round(time.Millisecond))
	}
	return next(err, "nothing of the failed migration has stayed; see what the database says above, then run gatehouse migrate --apply again")
}

func (c *MigrateCommand) show(ctx context.Context, p *program, s *store.Store) error {
	states, err := s.Status(ctx)
	if err != nil {
		return err
	}
	t := tabwriter.NewWriter(p.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "MIGRATION\tNAME\tAPPLIED")
	pending := 0
	for _, m := range states {
		switch {
		case m.AppliedAt.IsZero():
			pending++
			fmt.Fprintf(t, "%d\t%s\tpending\n", m.Version, m.Name)
		case m.Name == "":
			fmt.Fprintf(t, "%d\t(of a newer release)\t%s\n", m.Version, m.AppliedAt.Format(time.RFC3339))
		default:
			fmt.Fprintf(t, "%d\t%s\t%s\n", m.Version, m.Name, m.AppliedAt.Format(time.RFC3339))
		}
	}
	if err := t.Flush(); err != nil {
		return err
	}
	if pending > 0 {
		fmt.Fprintf(p.out, "\n%s pending. Make a backup, then: gatehouse migrate --apply\n", count(pending, "migration"))
		return nil
	}
	fmt.Fprintln(p.out, "\nThe database is up to date.")
	return nil
}
