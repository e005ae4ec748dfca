package house

import (
	"context"
	"fmt"
	"time"

	"gatehouse/audit"
	"gatehouse/rejoin"
)

// Audit recomputes everything and says what does not fit.
func (h *House) Audit() (found []string) {
	h.T.Helper()
	h.lit("audits")
	l := h.options.Limits
	a := audit.Audit{Store: h.Store, Keys: h.Keys, Log: h.Events, Now: h.Clock.Now,
		Name: l.PerName, Device: l.PerDevice, Link: l.PerLink, Code: l.CodeName, CodeDevice: l.CodeDevice, Undone: h.undone}
	if h.line != nil {
		a.Compare = h.Store.Compare
	}
	report, err := a.Run(h.T.Context())
	must(h.T, err)
	for _, f := range report.Findings {
		found = append(found, fmt.Sprintf("%s: %s %s", f.Check, f.Account, f.Subject))
	}
	return found
}

func (h *House) undone(ctx context.Context) ([]audit.Undone, error) {
	report, err := rejoin.Read(ctx, h.Store, time.Time{})
	var all []audit.Undone
	for _, u := range report.Conflicts {
		all = append(all, audit.Undone{ID: u.ID, Account: u.Account, Attempt: u.Attempt, Session: u.Session})
	}
	return all, err
}

// Audited ends a story: with the primary back, everything fits together, unless the
// story wrote to the database by hand.
func (h *House) Audited() {
	h.T.Helper()
	if h.tampered || h.T.Failed() {
		return
	}
	for h.next != nil { // the process that is there now
		h = h.next
	}
	h.Light()
	for _, f := range h.Audit() {
		h.T.Errorf("the audit finds %s", f)
	}
}
