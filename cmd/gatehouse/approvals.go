package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"gatehouse/authenticators"
	"gatehouse/deliver"
	"gatehouse/fault"
	"gatehouse/flow"
	"gatehouse/hooks"
	"gatehouse/id"
	"gatehouse/outbox"
	"gatehouse/web"
	"gatehouse/webpush"
)

// openApprovals makes what asks phones and hears them. It comes after openFlow.
func (h *house) openApprovals() error {
	if h.flow == nil || h.deliver == nil {
		return nil // that failed, and is told
	}
	h.flow.Bell = &flow.Bell{}
	h.pusher = &webpush.Pusher{Store: h.store, Keys: h.keys, Door: hooks.NewDoor(h.l.PushAllowed, nil), Hosts: h.l.PushHosts,
		Subject: h.l.pushSubject(), Now: h.now, Rand: rand.Reader, Slog: h.slog}
	h.deliver.Channels = append(h.deliver.Channels, deliver.Channel{Name: outbox.Push, Workers: 32, Patience: webpush.CallTime, Send: h.pusher.Send})
	return nil
}

// pushSubject is how push services reach whoever runs this.
func (l *Loaded) pushSubject() string {
	for _, s := range []string{l.PushSubject, l.Security} {
		if s != "" {
			return s
		}
	}
	u, err := url.Parse(l.Origin)
	if err != nil {
		return "mailto:security@localhost"
	}
	return "mailto:security@" + u.Hostname()
}

// approvals is what the pages need of it.
func (h *house) approvals() *web.Approvals {
	return &web.Approvals{Ask: h.flow, Pair: h.manage, Key: h.pusher.Key, Good: h.pusher.Check}
}

const hearEvery = 300 * time.Millisecond // questions of other nodes reach an open app within twice this

// hearApprovals follows what other nodes asked and answered.
func (r *loops) hearApprovals(ctx context.Context) {
	r.wait.Go(func() {
		r.every(ctx, "hearing of questions", hearEvery, func(ctx context.Context) error {
			if !r.ready.Load() {
				return nil
			}
			return r.flow.Bell.Follow(ctx, r.store, r.now())
		})
	})
	r.wait.Go(func() {
		pausable(ctx, "tidying", func(ctx context.Context) {
			r.every(ctx, "forgetting unfinished pairings", tidyEvery, r.tidyPairings)
		})
	})
}

func (r *loops) tidyPairings(ctx context.Context) error {
	if !r.ready.Load() {
		return nil
	}
	return r.store.Background(ctx, authenticators.TidyApprovals)
}

// ApproveCommand asks people to approve sensitive actions, for applications that
// have no other way yet.
type ApproveCommand struct {
	Ask  ApproveAsk  `cmd:"" help:"Ask somebody's phone to approve an action, and print the question's id."`
	Show ApproveShow `cmd:"" help:"Show a question: what was asked, how it stands, and whether the signature holds."`
}

// ApproveAsk is gatehouse approve ask.
type ApproveAsk struct {
	Email        string        `arg:"" help:"The person's address."`
	Application  string        `required:"" placeholder:"NAME" help:"What people call the application that asks."`
	Organisation string        `placeholder:"NAME" help:"In whose name; their own organisation when left out."`
	Reference    string        `required:"" placeholder:"TEXT" help:"The application's own name for the action. Asking twice with one is asking once."`
	Message      string        `placeholder:"TEXT" help:"One line that also stands where the action was begun."`
	Detail       []string      `sep:"none" placeholder:"LABEL=VALUE" help:"A line of what is approved, such as Payee=… or Amount=…; repeat it for more."`
	Number       bool          `help:"Also ask for two digits, which the application shows."`
	Life         time.Duration `default:"2m" help:"How long the question is open, at most 10m."`
}

// Run asks, waits for nobody, and wakes the phone before it ends.
func (c *ApproveAsk) Run(ctx context.Context, p *program) error {
	a := flow.SensitiveAction{Application: c.Application, Organisation: c.Organisation, Reference: c.Reference, Message: c.Message, Number: c.Number, Life: c.Life}
	for _, d := range c.Detail {
		label, value, found := strings.Cut(d, "=")
		if !found {
			return next(fmt.Errorf("%q is not of the form LABEL=VALUE", d), "write it as --detail \"Amount=12,400.00 EUR\"")
		}
		a.Details = append(a.Details, flow.Detail{Label: label, Value: value})
	}
	return inside(ctx, p, func(h *house) error { return c.ask(ctx, p, h, a) })
}

// ask puts the question; the running server wakes the phone.
func (c *ApproveAsk) ask(ctx context.Context, p *program, h *house, a flow.SensitiveAction) error {
	account, err := h.flow.AccountOf(ctx, c.Email)
	if fault.Of(err) == fault.NotFound {
		return noAccount(c.Email)
	}
	if err != nil {
		return err
	}
	a.Account = account.ID
	asked, why, err := h.flow.AskAction(ctx, a)
	switch {
	case fault.Of(err) == fault.BadRequest:
		return next(errors.Unwrap(err), "a label has at most 40 characters, a value 200, a message 140; twelve details at most, ten minutes at most")
	case err != nil:
		return err
	case why != nil:
		return next(errors.New("the phone was not asked: no device is connected, a question is open, there were three in ten minutes, or the person muted them"), "wait, or use another way to confirm the action")
	}
	fmt.Fprintf(p.out, "%s open until %s", asked.ID, asked.Until.UTC().Format(time.RFC3339))
	if asked.Digits != "" {
		fmt.Fprintf(p.out, " show the digits %s", asked.Digits)
	}
	fmt.Fprintln(p.out)
	return nil
}

// ApproveShow is gatehouse approve show.
type ApproveShow struct {
	ID string `arg:"" help:"The question's id, as printed by ask and as it stands in events."`
}

// Run prints the question as JSON.
func (c *ApproveShow) Run(ctx context.Context, p *program) error {
	q, err := id.Parse[id.Approval](c.ID)
	if err != nil {
		return next(errors.New("this is not the id of a question"), approvalIDs)
	}
	return inside(ctx, p, func(h *house) error {
		a, err := h.flow.ActionState(ctx, q)
		if err != nil {
			return next(whatQuestion(err), approvalIDs)
		}
		return json.NewEncoder(p.out).Encode(shownApproval(a))
	})
}

// approvalIDs says where ids of questions stand.
const approvalIDs = "gatehouse approve ask prints the id; it also stands in gatehouse events export, as approval"

func whatQuestion(err error) error {
	if fault.Of(err) == fault.NotFound {
		return errors.New("no question about an action has this id")
	}
	return err
}

// shownQuestion is what approve show prints: everything that is needed to check
// the signature without us.
type shownQuestion struct {
	ID         id.Approval                  `json:"id"`
	State      authenticators.ApprovalState `json:"state"`
	Account    id.Account                   `json:"account"`
	Shown      json.RawMessage              `json:"shown"` // as it was signed, byte for byte
	AnsweredAt string                       `json:"answered_at,omitempty"`
	Device     id.Authenticator             `json:"device,omitempty"`
	Signed     *authenticators.Signed       `json:"signed,omitempty"`
	Text       string                       `json:"signed_text,omitempty"` // what the signature is over
	Stands     bool                         `json:"signature_stands"`
}

func shownApproval(a authenticators.Approval) shownQuestion {
	s := shownQuestion{ID: a.ID, State: a.State, Account: a.Account, Shown: json.RawMessage(a.Shown), Device: a.Credential}
	if a.Signed.Signature != "" {
		s.AnsweredAt = a.AnsweredAt.UTC().Format(time.RFC3339Nano)
		s.Signed, s.Text, s.Stands = &a.Signed, a.Signed.Text(a.ID, a.Shown), a.Signed.Stands(a.ID, a.Shown)
	}
	return s
}
