package drill

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"strings"
	"time"
)

// poison are statements with blank lines between.
//
//go:embed poison.sql
var poison string

// poisonEvent: bad rows harm nobody but what they are about.
func poisonEvent(ctx context.Context, s *stage) error {
	if err := s.open(ctx, 1, s.exports()); err != nil {
		return err
	}
	if err := s.warm(ctx); err != nil {
		return err
	}
	victim := s.crowd.keep()
	rows := 0
	write := func() (err error) { rows, err = s.poison(victim.Account); return err }
	if err := s.breaks("poisoning the database", write, func() error { return anyRows(rows) }); err != nil {
		return err
	}
	s.result.figure("poisoned_rows", rows)
	if err := s.parked(ctx); err != nil {
		return err
	}
	if err := s.hold(ctx, "poisoned", s.length); err != nil {
		return err
	}
	s.failsClosed(ctx, victim)
	if err := s.heals("nothing: the rows stay", func() error { return nil }); err != nil {
		return err
	}
	if err := s.settle(ctx, time.Minute); err != nil {
		return err
	}
	log := newExported(s.exportDir())
	if err := s.effects(ctx, log); err != nil {
		return err
	}
	s.unaudited = true // an audit rightly complains of such rows
	return s.finish(ctx, 100)
}

func anyRows(n int) error {
	if n == 0 {
		return errors.New("the database took none of the rows")
	}
	return nil
}

// poison writes what the schema does not refuse, and counts it.
func (s *stage) poison(account string) (rows int, err error) {
	for statement := range strings.SplitSeq(poison, "\n\n") {
		if strings.HasPrefix(statement, "--") {
			continue
		}
		err := s.primary.ExecIn(database, strings.ReplaceAll(statement, "$ACCOUNT", account))
		if err == nil {
			rows++
		}
	}
	if rows < 10 {
		return rows, fmt.Errorf("only %d of the rows could be written", rows)
	}
	return rows, nil
}

// parkedWithin is how long bad events may hold up those behind them.
const parkedWithin = 5 * time.Second

// parked waits until a sign-in that came after the poison was handed on, which
// means that the bad events were put aside, and counts these.
func (s *stage) parked(ctx context.Context) error {
	log := newExported(s.exportDir())
	for {
		if err := log.look(); err != nil {
			return err
		}
		for _, r := range s.people.journal.Since(s.faultAt) {
			if log.inside[r.Session] {
				after := s.Now().Sub(s.faultAt)
				s.result.figure("others_go_on_s", after.Seconds())
				n, err := s.House.Parked(ctx, s.nodes[0].Config)
				s.result.figure("parked", n)
				if after > parkedWithin {
					s.result.miss("others went on after %v; %v are allowed", after, parkedWithin)
				}
				if n == 0 {
					s.result.miss("no event was parked: was anything poisoned?")
				}
				return err
			}
		}
		if s.Now().Sub(s.faultAt) > time.Minute {
			s.result.miss("nothing that came after the poison was handed on within a minute")
			return nil
		}
		if err := wait(ctx, 50*time.Millisecond); err != nil {
			return err
		}
	}
}

// failsClosed: whoever the bad rows are about is still asked for a second
// authenticator.
func (s *stage) failsClosed(ctx context.Context, victim *Person) {
	a, err := s.people.client.password(ctx, &Person{Email: victim.Email}, Password, s.people.client.network())
	s.attack.judged("a password alone, of somebody with bad rows", err == nil && (a.Next == "done" || a.Session.Ticket != ""), victim.Email)
}
