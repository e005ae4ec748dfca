package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	"github.com/mattn/go-isatty"
	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	"gatehouse/accounts"
	"gatehouse/audit"
	"gatehouse/events"
	"gatehouse/id"
	"gatehouse/rejoin"
	"gatehouse/seal"
	"gatehouse/store"
	"gatehouse/words"
)

// AuditCommand recomputes everything and says what does not fit.
type AuditCommand struct {
	JSON    bool `help:"Write one JSON object instead of lines."`
	Standby bool `help:"Also compare this node's standby with the database. The node must be stopped."`
}

// errAudit makes the exit status 1; what is wrong was said already.
var errAudit = errors.New("see above for what to do about each")

// Run changes nothing, and may run beside live traffic. It exits with 1 when
// something is wrong, or could not be looked at.
func (c *AuditCommand) Run(ctx context.Context, p *program) (err error) {
	l, err := p.mustLoad(nil)
	if err != nil {
		return err
	}
	keys, err := seal.LoadKeys(l.KeysDir)
	if err != nil {
		return err
	}
	node, standby := id.Node(""), (*store.StandbyOptions)(nil)
	if c.Standby {
		if standby = l.standby(keys, slog.New(slog.DiscardHandler)); standby == nil {
			return errors.New("this node keeps no standby: leave --standby out")
		}
		if node, err = nodeID(l.DataDir); err != nil {
			return err
		}
	}
	s, err := openStore(ctx, l, node, time.Now, standby)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	if err := migrated(ctx, s); err != nil {
		return err
	}
	bar := newAuditBar(p)
	a := newAudit(l, keys, s)
	a.Progress = bar.to
	if c.Standby {
		a.Compare = s.Compare
	}
	report, err := a.Run(ctx)
	bar.end()
	if err != nil {
		return err
	}
	return c.tell(ctx, p, s, report)
}

// newAudit is an audit of an open store, as the settings say.
func newAudit(l *Loaded, keys *seal.Keys, s *store.Store) *audit.Audit {
	rules := l.limits()
	return &audit.Audit{Store: s, Keys: keys, Log: events.New(keys, rand.Reader), Now: time.Now,
		Name: rules.PerName, Device: rules.PerDevice, Link: rules.PerLink, Code: rules.CodeName, CodeDevice: rules.CodeDevice,
		Undone: func(ctx context.Context) ([]audit.Undone, error) {
			report, err := rejoin.Read(ctx, s, time.Time{})
			var all []audit.Undone
			for _, u := range report.Conflicts {
				all = append(all, audit.Undone{ID: u.ID, Account: u.Account, Attempt: u.Attempt, Session: u.Session})
			}
			return all, err
		}}
}

func (c *AuditCommand) tell(ctx context.Context, p *program, s *store.Store, r audit.Report) error {
	if c.JSON {
		if r.Findings == nil {
			r.Findings = []audit.Finding{}
		}
		if err := json.NewEncoder(p.out).Encode(r); err != nil {
			return err
		}
	} else if err := tellAudit(ctx, p.out, s, r); err != nil {
		return err
	}
	if len(r.Findings) > 0 {
		return errAudit
	}
	return nil
}

// tellAudit says each finding in words, with what to do about it.
func tellAudit(ctx context.Context, out io.Writer, s *store.Store, r audit.Report) error {
	c := words.For("en")
	for _, f := range r.Findings {
		person := c.Say("audit.nobody")
		err := s.BackgroundRead(ctx, func(tx *store.Tx) error {
			a, found, err := accounts.ByID(tx, f.Account)
			if found {
				person = a.Email
			} else if f.Account != "" {
				person = string(f.Account)
			}
			return err
		})
		if err != nil {
			return err
		}
		key := "audit." + string(f.Check)
		fmt.Fprintf(out, "%s\n  → %s\n", c.Say(key, "person", person, "subject", f.Subject), c.Say(key+".do", "person", person, "subject", f.Subject))
	}
	if len(r.Findings) > 0 {
		fmt.Fprintln(out, c.Say("audit.bad", "n", len(r.Findings)))
		return nil
	}
	fmt.Fprintln(out, c.Say("audit.good", "accounts", r.Accounts, "sessions", r.Sessions, "events", r.Events, "mails", r.Mails))
	which := "audit.standby.left"
	if r.Compared {
		which = "audit.standby.compared"
	}
	fmt.Fprintln(out, c.Say(which))
	return nil
}

// auditBar shows how far an audit is: a moving bar on a terminal, nothing elsewhere.
type auditBar struct {
	progress *mpb.Progress // nil when nobody watches
	bar      *mpb.Bar
}

func newAuditBar(p *program) *auditBar {
	f, ok := p.err.(*os.File)
	if !ok || !isatty.IsTerminal(f.Fd()) {
		return &auditBar{}
	}
	progress := mpb.New(mpb.WithOutput(f), mpb.WithWidth(48))
	return &auditBar{progress, progress.AddBar(0, mpb.BarRemoveOnComplete(),
		mpb.PrependDecorators(decor.Name("Accounts "), decor.CountersNoUnit("%d / %d")), mpb.AppendDecorators(decor.Percentage(decor.WC{W: 5})))}
}

func (b *auditBar) to(done, total int64) {
	if b.bar != nil {
		b.bar.SetTotal(total, false)
		b.bar.SetCurrent(done)
	}
}

func (b *auditBar) end() {
	if b.progress != nil {
		b.bar.SetTotal(-1, true)
		b.progress.Wait()
	}
}
