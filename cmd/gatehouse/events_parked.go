package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"text/tabwriter"
	"time"

	"gatehouse/events"
	"gatehouse/id"
	"gatehouse/store"
)

// EventsParked shows what followers of the log could not handle.
type EventsParked struct {
	Follower string `placeholder:"NAME" help:"Only this follower's."`
	Last     int    `default:"100" help:"At most so many."`
	JSON     bool   `name:"json" help:"JSON, one event a line."`
}

type parkedJSON struct {
	Follower string    `json:"follower"`
	Event    id.Event  `json:"event"`
	Position int64     `json:"position"`
	Lane     string    `json:"lane"`
	Waits    bool      `json:"waits"` // behind another of its lane
	Why      string    `json:"why,omitempty"`
	Tries    int       `json:"tries"`
	Next     time.Time `json:"next,omitzero"`
	Since    time.Time `json:"since"`
}

// Run prints parked events, oldest first for each follower.
func (c *EventsParked) Run(ctx context.Context, p *program) error {
	r, err := openLog(ctx, p, eventFilter{})
	if err != nil {
		return err
	}
	defer r.store.Close()
	var all []events.Parked
	err = r.store.BackgroundRead(ctx, func(tx *store.Tx) (err error) {
		all, err = events.ListParked(tx, c.Follower, c.Last)
		return err
	})
	if err != nil {
		return err
	}
	if !c.JSON {
		return printParked(p, all)
	}
	for _, e := range all {
		line := parkedJSON{e.Follower, e.Event, e.Position, e.Lane, e.Why == "", e.Why, e.Tries, e.Next, e.Since}
		if err := json.NewEncoder(p.out).Encode(line); err != nil {
			return err
		}
	}
	return nil
}

func printParked(p *program, all []events.Parked) error {
	if len(all) == 0 {
		_, err := fmt.Fprintln(p.out, "Nothing is parked: every follower has handled what it read.")
		return err
	}
	t := tabwriter.NewWriter(p.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "FOLLOWER\tEVENT\tPOSITION\tSINCE\tTRIES\tWHY")
	for _, e := range all {
		fmt.Fprintf(t, "%s\t%s\t%d\t%s\t%d\t%s\n", e.Follower, e.Event, e.Position, e.Since.Format(time.RFC3339), e.Tries, plain(either(e.Why == "", "waits behind another", e.Why)))
	}
	return t.Flush()
}

// EventsRetry has parked events tried again without waiting for their time.
type EventsRetry struct {
	Event    string `arg:"" optional:"" help:"The event's id, as gatehouse events parked shows it."`
	Follower string `placeholder:"NAME" help:"Only this follower's."`
	All      bool   `help:"Every parked event."`
}

// Run makes them due now; the node that runs the follower tries them within a second or two.
func (c *EventsRetry) Run(ctx context.Context, p *program) error {
	if (c.Event == "") == !c.All {
		return &usageError{errors.New("name an event, or say --all"), "gatehouse events retry --help"}
	}
	r, err := openLog(ctx, p, eventFilter{})
	if err != nil {
		return err
	}
	defer r.store.Close()
	var n int64
	err = r.store.Background(ctx, func(tx *store.Tx) (err error) {
		n, err = events.RetryParked(tx, c.Follower, id.Event(c.Event), "")
		return err
	})
	if err != nil {
		return err
	}
	if n == 0 && !c.All {
		return next(fmt.Errorf("no event %s is parked", c.Event), "see gatehouse events parked")
	}
	_, err = fmt.Fprintf(p.out, "%d will be tried again now. See: gatehouse events parked\n", n)
	return err
}
