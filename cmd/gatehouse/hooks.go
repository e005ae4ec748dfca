package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/mattn/go-isatty"
	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	"gatehouse/access"
	"gatehouse/deliver"
	"gatehouse/events"
	"gatehouse/follow"
	"gatehouse/hooks"
	"gatehouse/id"
	"gatehouse/outbox"
	"gatehouse/store"
)

// hooksFollower is the name of the place: another name begins at the start of the log.
const hooksFollower = "hooks"

// openReceivers opens what the log is handed on to. It comes after openDelivery.
func (h *house) openReceivers() error {
	if h.deliver == nil {
		return nil // that failed, and is told
	}
	h.openHooks()
	return h.openExport()
}

// openHooks adds the follower that puts calls into the outbox and the channel that
// makes them. The channel has a worker for every receiver there may be, so that
// none waits for another.
func (h *house) openHooks() {
	h.hooks = &hooks.Hooks{
		Store: h.store, Keys: h.keys, Log: h.log, Door: hooks.NewDoor(h.l.HooksAllowed, nil), Now: h.now, Rand: rand.Reader,
		Slog: h.slog, Nudge: h.deliver.Nudge,
	}
	h.follow.Followers = append(h.follow.Followers, follow.Follower{Name: hooksFollower, InTx: h.hooks.Follow})
	h.deliver.Channels = append(h.deliver.Channels, deliver.Channel{
		Name: outbox.Hooks, Workers: hooks.Most, Send: h.hooks.Send, GivenUp: h.hooks.GivenUp})
}

// HooksCommand looks after the programs that are told what happened.
type HooksCommand struct {
	Add    HooksAdd    `cmd:"" help:"Add a receiver. Its secret is shown once."`
	List   HooksList   `cmd:"" help:"List the receivers and how their calls stand."`
	Rotate HooksRotate `cmd:"" help:"Give a receiver a new secret; the old one signs beside it for a while."`
	Off    HooksOff    `cmd:"" help:"Call a receiver no more. What waits for it is given up, and can be replayed."`
	On     HooksOn     `cmd:"" help:"Call a receiver again, about what happens from now."`
	Test   HooksTest   `cmd:"" help:"Call a receiver now, about nothing, and say how it went."`
	Replay HooksReplay `cmd:"" help:"Send events to a receiver again, each under the same webhook-id."`
}

// hookNext adds to an error of hooks what an operator can do about it.
func hookNext(name string, err error) error {
	for _, known := range []struct {
		is   error
		say  string
		next string
	}{
		{hooks.ErrName, "a receiver's name is 1 to 40 letters, digits, dots and dashes", "choose another, such as books or crm-2"},
		{hooks.ErrKinds, "no kind of event is called so", "see gatehouse events kinds; a family is written signin.*, all of them *"},
		{hooks.ErrURL, "this is not an address like https://example.com/hooks", "check the address, without # and blanks"},
		{hooks.ErrUserInfo, "an address must not hold a user or a password", "leave them out: what comes from us is known by its signature"},
		{hooks.ErrPlain, "http:// is not protected, and is for your own networks only", "use https://, or name the network under hooks.allowed_networks"},
		{hooks.ErrInside, "this address is not on the public Internet", "if it is a machine of yours that may be called, name its network under hooks.allowed_networks"},
		{hooks.ErrTaken, "a receiver is called " + name + " already", "see gatehouse hooks list, and choose another name"},
		{hooks.ErrNoHook, "no receiver is called " + plain(name), "see gatehouse hooks list"},
		{hooks.ErrTooMany, fmt.Sprintf("there are %d receivers, and no more can be served without waiting for each other", hooks.Most), "let one receiver pass events on to others, or export them to NATS"},
		{hooks.ErrOff, name + " is off", "turn it on first: gatehouse hooks on " + name},
		{hooks.ErrNoEvent, "no event has this id", "see gatehouse events list --json"},
	} {
		if errors.Is(err, known.is) {
			return next(errors.New(known.say), "%s", known.next)
		}
	}
	return err
}

// HooksAdd adds a receiver.
type HooksAdd struct {
	Name         string   `arg:"" help:"What you call it."`
	URL          string   `arg:"" help:"Where it is called: https://."`
	Kinds        []string `default:"*" placeholder:"KIND" help:"What it is told: kinds or families such as signin.*, separated by commas. Without it, everything."`
	Organisation string   `placeholder:"NAME" help:"Only what concerns this business. Without it, what concerns any."`
}

// Run adds it and shows the secret, which is not shown again.
func (c *HooksAdd) Run(ctx context.Context, p *program) error {
	return inside(ctx, p, func(h *house) error {
		organisation, err := h.organisationCalled(ctx, c.Organisation)
		if err != nil {
			return err
		}
		k, secret, err := h.hooks.Add(ctx, hooks.New{Name: c.Name, URL: c.URL, Kinds: c.Kinds, Organisation: organisation}, events.Operator)
		if err != nil {
			return hookNext(c.Name, err)
		}
		fmt.Fprintf(p.out, "Added %s. It is called about what happens from now.\n", k.Name)
		printSecret(p.out, secret.Reveal())
		fmt.Fprintf(p.out, "Try it: gatehouse hooks test %s\n", k.Name)
		return nil
	})
}

func printSecret(w io.Writer, secret string) {
	fmt.Fprintf(w, "Its secret, shown this once. Whoever has it can pretend to be us:\n\n  %s\n\n", secret)
}

// organisationCalled is "" for no name.
func (h *house) organisationCalled(ctx context.Context, name string) (o id.Organisation, err error) {
	if name == "" {
		return "", nil
	}
	err = h.store.BackgroundRead(ctx, func(tx *store.Tx) error {
		found, there, err := access.OrganisationByName(tx, name)
		if err == nil && !there {
			err = next(fmt.Errorf("no business is called %s", plain(name)), "see the names in gatehouse account list")
		}
		o = found.ID
		return err
	})
	return o, err
}

// HooksList lists receivers.
type HooksList struct {
	JSON bool `name:"json" help:"A JSON array, with every field."`
}

// hookJSON is a receiver as programs read it. Names are stable; fields may be added.
type hookJSON struct {
	ID           id.Hook         `json:"id"`
	Name         string          `json:"name"`
	URL          string          `json:"url"`
	Kinds        []string        `json:"kinds"`
	Organisation id.Organisation `json:"organisation,omitempty"`
	State        hooks.State     `json:"state"`
	MadeAt       time.Time       `json:"made_at"`
	Secrets      int             `json:"secrets"` // that sign now; 0 when they do not open
	OldUntil     time.Time       `json:"old_secret_until,omitzero"`
	Waiting      int             `json:"waiting"`
	Since        time.Time       `json:"waiting_since,omitzero"`
	GivenUp      int             `json:"given_up"`
}

// Run prints every receiver, by name.
func (c *HooksList) Run(ctx context.Context, p *program) error {
	return inside(ctx, p, func(h *house) error {
		all, err := h.hooks.List(ctx)
		if err != nil {
			return err
		}
		list := make([]hookJSON, len(all))
		for i, k := range all {
			n, until, _ := h.hooks.Secrets(k.Hook) // a secret that does not open is shown as 0
			list[i] = hookJSON{k.ID, k.Name, k.URL, k.Kinds, k.Organisation, k.State, k.MadeAt, n, until, k.Waiting, k.Since, k.GivenUp}
		}
		if c.JSON {
			e := json.NewEncoder(p.out)
			e.SetIndent("", "  ")
			return e.Encode(list)
		}
		return printHooks(p.out, list, h.now())
	})
}

func printHooks(w io.Writer, all []hookJSON, now time.Time) error {
	if len(all) == 0 {
		_, err := fmt.Fprintln(w, "Nobody is told. Next: gatehouse hooks add NAME https://…")
		return err
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "NAME\tSTATE\tKINDS\tSECRETS\tWAITING\tGIVEN UP\tURL")
	for _, k := range all {
		waiting := fmt.Sprint(k.Waiting)
		if k.Waiting > 0 {
			waiting += ", " + now.Sub(k.Since).Round(time.Second).String()
		}
		secrets := either(k.Secrets == 0, "does not open", fmt.Sprint(k.Secrets))
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%d\t%s\n", k.Name, k.State, strings.Join(k.Kinds, ","), secrets, waiting, k.GivenUp, plain(k.URL))
	}
	return t.Flush()
}

// named is what most commands on a receiver share.
type named struct {
	Name string `arg:"" help:"The receiver's name."`
}

// HooksRotate gives a new secret.
type HooksRotate struct {
	named
	Overlap string `default:"24h" placeholder:"TIME" help:"How long the old secret signs beside the new one: 90s, 24h, up to 30d. 0s ends it at once, for one that has leaked."`
}

// Run rotates and shows the new secret.
func (c *HooksRotate) Run(ctx context.Context, p *program) error {
	overlap, err := parseDuration(c.Overlap)
	if err != nil || overlap < 0 || overlap > hooks.LongestOverlap {
		return &usageError{fmt.Errorf("--overlap: %q is not a time from 0s to 30d", c.Overlap), "gatehouse hooks rotate --help"}
	}
	return inside(ctx, p, func(h *house) error {
		secret, err := h.hooks.Rotate(ctx, c.Name, overlap, events.Operator)
		if err != nil {
			return hookNext(c.Name, err)
		}
		printSecret(p.out, secret.Reveal())
		if overlap > 0 {
			fmt.Fprintf(p.out, "Calls are signed with both until %s.\n", h.now().Add(overlap).UTC().Format(time.RFC3339))
		}
		return nil
	})
}

// HooksOff turns a receiver off.
type HooksOff struct{ named }

// Run turns it off.
func (c *HooksOff) Run(ctx context.Context, p *program) error {
	return c.turn(ctx, p, hooks.Off, "")
}

// HooksOn turns a receiver on.
type HooksOn struct{ named }

// Run turns it on.
func (c *HooksOn) Run(ctx context.Context, p *program) error {
	return c.turn(ctx, p, hooks.On, fmt.Sprintf(" For what it missed: gatehouse hooks replay %s --since TIME", c.Name))
}

func (c *named) turn(ctx context.Context, p *program, to hooks.State, more string) error {
	return inside(ctx, p, func(h *house) error {
		if err := h.hooks.Switch(ctx, c.Name, to, events.Operator); err != nil {
			return hookNext(c.Name, err)
		}
		fmt.Fprintf(p.out, "%s is %s.%s\n", c.Name, to, more)
		return nil
	})
}

// HooksTest calls a receiver.
type HooksTest struct{ named }

// Run makes one call and fails when it was not taken.
func (c *HooksTest) Run(ctx context.Context, p *program) error {
	return inside(ctx, p, func(h *house) error {
		k, a, err := h.hooks.Test(ctx, c.Name)
		if err != nil {
			return hookNext(c.Name, err)
		}
		took := a.Took.Round(time.Millisecond)
		switch {
		case a.Class == outbox.Done:
			fmt.Fprintf(p.out, "%s took it: %d, after %s.\n", k.Name, a.Status, took)
			return nil
		case a.Status > 0:
			return next(fmt.Errorf("%s answered %d after %s, and only 200 to 299 means taken", k.Name, a.Status, took), "%s", either(a.Status/100 == 3, "give us the address it redirects to: redirects are not followed", "look into the receiver's own log"))
		}
		return hookNext(c.Name, fmt.Errorf("%s was not reached (%s) after %s: %w", k.Name, a.Class, took, a.Err))
	})
}

// HooksReplay sends again.
type HooksReplay struct {
	named
	Event  string `placeholder:"ID" xor:"which" help:"This event, whether the receiver asked for its kind or not."`
	Since  string `placeholder:"TIME" xor:"which" help:"What happened since: 2026-11-21T09:00:00Z, or 24h for the last day."`
	Failed bool   `xor:"which" help:"What was given up in the last 30 days."`
}

// Run puts events into the outbox again; a running server sends them.
func (c *HooksReplay) Run(ctx context.Context, p *program) error {
	which, err := c.which(time.Now())
	if err != nil {
		return &usageError{err, "gatehouse hooks replay --help"}
	}
	return inside(ctx, p, func(h *house) error {
		bar := newReplayBar(p)
		n, err := h.hooks.Replay(ctx, c.Name, which, events.Operator, bar.to)
		bar.end(err == nil)
		if err != nil {
			return hookNext(c.Name, err)
		}
		fmt.Fprintf(p.out, "%s to be sent again to %s, as soon as the server runs.\n", either(n == 1, "1 event is", fmt.Sprintf("%d events are", n)), c.Name)
		return nil
	})
}

// keptFailures is how long the outbox remembers what it gave up.
const keptFailures = 30 * 24 * time.Hour

func (c *HooksReplay) which(now time.Time) (w hooks.Which, err error) {
	switch {
	case c.Event != "":
		w.Event, err = id.Parse[id.Event](c.Event)
		if err != nil {
			err = fmt.Errorf("--event: %q is not the id of an event", c.Event)
		}
	case c.Since != "":
		w.Since, err = parseSince(c.Since, now)
	case c.Failed:
		w.Failed, w.Since = true, now.Add(-keptFailures)
	default:
		err = errors.New("say which: --event ID, --since TIME or --failed")
	}
	return w, err
}

func parseSince(text string, now time.Time) (time.Time, error) {
	if d, err := parseDuration(text); err == nil && d >= 0 {
		return now.Add(-d), nil
	}
	if t, err := time.Parse(time.RFC3339, text); err == nil {
		return t, nil
	}
	return time.Time{}, fmt.Errorf("--since: %q is not a time; write 2026-11-21T09:00:00Z, or 24h for the last day", text)
}

// replayBar shows how far in the log a replay is: on a terminal alone.
type replayBar struct {
	progress *mpb.Progress
	bar      *mpb.Bar
}

func newReplayBar(p *program) *replayBar {
	f, ok := p.err.(*os.File)
	if !ok || !isatty.IsTerminal(f.Fd()) {
		return &replayBar{}
	}
	progress := mpb.New(mpb.WithOutput(f), mpb.WithWidth(48))
	return &replayBar{progress, progress.AddBar(0, mpb.BarRemoveOnComplete(),
		mpb.PrependDecorators(decor.Name("Reading the log  "), decor.CountersNoUnit("%d / %d")),
		mpb.AppendDecorators(decor.Percentage(decor.WC{W: 5}), decor.Name("  "), decor.AverageETA(decor.ET_STYLE_GO)))}
}

func (b *replayBar) to(at, end int64) {
	if b.bar != nil {
		b.bar.SetTotal(end, false)
		b.bar.SetCurrent(at)
	}
}

func (b *replayBar) end(good bool) { (&bar{progress: b.progress, bar: b.bar}).end(good) }
