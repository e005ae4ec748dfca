package main

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"gatehouse/accounts"
	"gatehouse/events"
	"gatehouse/export"
	"gatehouse/id"
	"gatehouse/seal"
	"gatehouse/store"
)

// EventsCommand reads the log of what happened. Of it, it changes nothing.
type EventsCommand struct {
	List   EventsList   `cmd:"" help:"Show the last events as a table."`
	Tail   EventsTail   `cmd:"" help:"Show events as they happen, until Ctrl-C."`
	Export EventsExport `cmd:"" help:"Write every event as JSON, one a line."`
	Kinds  EventsKinds  `cmd:"" help:"Explain what can happen."`
	Parked EventsParked `cmd:"" help:"Show events that a follower of the log could not handle."`
	Retry  EventsRetry  `cmd:"" help:"Try parked events again now."`
}

// eventFilter chooses events; empty means all.
type eventFilter struct {
	Account string   `placeholder:"EMAIL" help:"Only what concerns this person."`
	Kind    []string `placeholder:"KIND" help:"Only this kind, or all that begin with it: signin, session.ended."`
	After   int64    `placeholder:"POSITION" help:"Only events after this position."`
}

// logReader is the log, opened for reading.
type logReader struct {
	store *store.Store
	log   *events.Log
	only  id.Account // "" = everybody
	kinds []string
	names map[id.Account]string // addresses of people already looked up
}

func openLog(ctx context.Context, p *program, f eventFilter) (*logReader, error) {
	if err := knownKinds(f.Kind); err != nil {
		return nil, err
	}
	l, err := p.mustLoad(nil)
	if err != nil {
		return nil, err
	}
	keys, err := seal.LoadKeys(l.KeysDir)
	if err != nil {
		return nil, err
	}
	s, err := openStore(ctx, l, "", time.Now, nil)
	if err != nil {
		return nil, err
	}
	r := &logReader{store: s, log: events.New(keys, rand.Reader), kinds: f.Kind, names: map[id.Account]string{}}
	if err := errors.Join(migrated(ctx, s), r.find(ctx, f.Account)); err != nil {
		s.Close()
		return nil, err
	}
	return r, nil
}

func knownKinds(wanted []string) error {
	var all []string
	for _, d := range events.Kinds() {
		all = append(all, string(d.Kind))
	}
	for _, w := range wanted {
		if !slices.ContainsFunc(all, func(k string) bool { return isKind(k, w) }) {
			return &usageError{fmt.Errorf("no kind of event is called %q%s", w, didYouMean(w, all)), "gatehouse events kinds"}
		}
	}
	return nil
}

// isKind tells whether a kind is the wanted one or in its family.
func isKind(kind, wanted string) bool { return kind == wanted || strings.HasPrefix(kind, wanted+".") }

func (r *logReader) find(ctx context.Context, email string) error {
	if email == "" {
		return nil
	}
	key, err := accounts.Canonical(email)
	if err != nil {
		return err
	}
	return r.store.BackgroundRead(ctx, func(tx *store.Tx) error {
		a, found, err := accounts.ByEmail(tx, key)
		if err == nil && !found {
			return noAccount(email)
		}
		r.only = a.ID
		return err
	})
}

func (r *logReader) wants(e events.Event) bool {
	return (r.only == "" || e.Account == r.only) &&
		(len(r.kinds) == 0 || slices.ContainsFunc(r.kinds, func(w string) bool { return isKind(string(e.Kind), w) }))
}

// eventPage is how many events one transaction reads.
const eventPage = 500

// each calls do with every wanted event after a position, in order, and returns
// the last position it read.
func (r *logReader) each(ctx context.Context, after int64, do func(events.Event) error) (int64, error) {
	for {
		var page []events.Event
		err := r.store.BackgroundRead(ctx, func(tx *store.Tx) (err error) {
			page, err = r.log.After(tx, after, eventPage)
			return err
		})
		if err != nil || len(page) == 0 {
			return after, err
		}
		for _, e := range page {
			after = e.Position
			if !r.wants(e) {
				continue
			}
			if err := do(e); err != nil {
				return after, err
			}
		}
	}
}

// EventsList shows the end of the log.
type EventsList struct {
	eventFilter
	Last int  `default:"50" help:"How many."`
	JSON bool `name:"json" help:"JSON, one event a line."`
}

// Run prints the last events.
func (c *EventsList) Run(ctx context.Context, p *program) error {
	if c.Last < 1 {
		return &usageError{errors.New("--last must be at least 1"), "gatehouse events list --help"}
	}
	r, err := openLog(ctx, p, c.eventFilter)
	if err != nil {
		return err
	}
	defer r.store.Close()
	var last []events.Event
	_, err = r.each(ctx, c.After, func(e events.Event) error {
		if last = append(last, e); len(last) > c.Last {
			last = last[1:]
		}
		return nil
	})
	if err != nil {
		return err
	}
	if c.JSON {
		for _, e := range last {
			if err := printJSON(p.out, e); err != nil {
				return err
			}
		}
		return nil
	}
	return r.printTable(ctx, p.out, last)
}

func (r *logReader) printTable(ctx context.Context, w io.Writer, list []events.Event) error {
	if len(list) == 0 {
		_, err := fmt.Fprintln(w, "Nothing of that sort has happened.")
		return err
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "POSITION\tTIME\tWHAT\tWHOM\tBY\tMORE")
	for _, e := range list {
		line, err := r.line(ctx, e)
		if err != nil {
			return err
		}
		fmt.Fprintln(t, line)
	}
	return t.Flush()
}

// line is one event with tabs between its columns.
func (r *logReader) line(ctx context.Context, e events.Event) (string, error) {
	whom, err := r.whom(ctx, e.Account)
	by := e.Actor
	if by == string(e.Account) {
		by = "themselves"
	}
	return fmt.Sprintf("%d\t%s\t%s\t%s\t%s\t%s", e.Position, e.MadeAt.Format(time.RFC3339), e.Kind, whom, by, more(e)), err
}

// whom names a person by their address of today.
func (r *logReader) whom(ctx context.Context, a id.Account) (string, error) {
	switch a {
	case "":
		return "-", nil
	case events.Nobody:
		return "(unknown)", nil
	}
	if name, known := r.names[a]; known {
		return name, nil
	}
	name := string(a)
	err := r.store.BackgroundRead(ctx, func(tx *store.Tx) error {
		account, found, err := accounts.ByID(tx, a)
		if found {
			name = plain(account.Email)
		}
		return err
	})
	r.names[a] = name
	return name, err
}

func more(e events.Event) string {
	var parts []string
	for _, k := range slices.Sorted(maps.Keys(e.Data)) {
		parts = append(parts, k+"="+e.Data[k])
	}
	for _, k := range []string{"email", "network", "place"} {
		if e.Personal[k] != "" {
			parts = append(parts, k+"="+plain(e.Personal[k]))
		}
	}
	switch {
	case e.Parked:
		parts = append(parts, "(of a newer release)")
	case e.Hidden != "":
		parts = append(parts, "("+either(e.Hidden == events.Forged, "does not open: altered, or sealed under other keys", string(e.Hidden))+")")
	}
	return strings.Join(parts, " ")
}

// EventsTail follows the log.
type EventsTail struct {
	eventFilter
	JSON bool `name:"json" help:"JSON, one event a line."`
}

// tailEvery is how often the log is looked at, and tailOverlap how many
// positions are read again: on PostgreSQL a slower transaction may commit a
// lower position later (events.Log.After).
const (
	tailEvery   = 500 * time.Millisecond
	tailOverlap = 200
)

// Run prints events until it is interrupted.
func (c *EventsTail) Run(ctx context.Context, p *program) error {
	r, err := openLog(ctx, p, c.eventFilter)
	if err != nil {
		return err
	}
	defer r.store.Close()
	start := c.After
	if start == 0 {
		if start, err = r.each(ctx, 0, func(events.Event) error { return nil }); err != nil {
			return err
		}
	}
	return r.follow(ctx, start, func(e events.Event) error {
		if c.JSON {
			return printJSON(p.out, e)
		}
		line, err := r.line(ctx, e)
		fmt.Fprintln(p.out, strings.ReplaceAll(line, "\t", "  "))
		return err
	})
}

// follow prints what comes after start, each once, until ctx ends.
func (r *logReader) follow(ctx context.Context, start int64, do func(events.Event) error) error {
	told := map[id.Event]bool{}
	last := start
	for {
		var now []events.Event
		upTo, err := r.each(ctx, max(start, last-tailOverlap), func(e events.Event) error {
			now = append(now, e)
			return nil
		})
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		last = max(last, upTo)
		if told, err = tellNew(now, told, do); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(tailEvery):
		}
	}
}

// tellNew calls do with the events not told before and returns what was told,
// which is no more than was read this time.
func tellNew(now []events.Event, told map[id.Event]bool, do func(events.Event) error) (map[id.Event]bool, error) {
	seen := make(map[id.Event]bool, len(now))
	for _, e := range now {
		seen[e.ID] = true
		if told[e.ID] {
			continue
		}
		if err := do(e); err != nil {
			return seen, err
		}
	}
	return seen, nil
}

// EventsExport writes the log.
type EventsExport struct {
	eventFilter
}

// Run writes JSON lines to standard output, oldest first.
func (c *EventsExport) Run(ctx context.Context, p *program) error {
	r, err := openLog(ctx, p, c.eventFilter)
	if err != nil {
		return err
	}
	defer r.store.Close()
	w := bufio.NewWriterSize(p.out, 64<<10)
	if _, err := r.each(ctx, c.After, func(e events.Event) error { return printJSON(w, e) }); err != nil {
		return err
	}
	return w.Flush()
}

// printJSON writes an event as gatehouse's export followers do, with all that is known.
func printJSON(w io.Writer, e events.Event) error {
	return json.NewEncoder(w).Encode(export.LineOf(e))
}

// EventsKinds explains the kinds.
type EventsKinds struct {
	Markdown bool `help:"Write docs/events.md."`
}

// Run prints the table of kinds.
func (c *EventsKinds) Run(p *program) error {
	if c.Markdown {
		_, err := io.WriteString(p.out, events.Markdown())
		return err
	}
	t := tabwriter.NewWriter(p.out, 0, 0, 2, ' ', 0)
	for _, d := range events.Kinds() {
		fmt.Fprintf(t, "%s\t%s\n", d.Kind, firstSentence(d.Doc))
	}
	return t.Flush()
}
