package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"gatehouse/accounts"
	"gatehouse/authenticators"
	"gatehouse/drill"
	"gatehouse/events"
	"gatehouse/follow"
	"gatehouse/hooks"
	"gatehouse/id"
	"gatehouse/manage"
	"gatehouse/seal"
	"gatehouse/sessions"
	"gatehouse/store"
)

// drillHouse is what a drill asks of the program beside its processes: it opens
// the installation in this process, as gatehouse account does.
type drillHouse struct{}

func (drillHouse) inside(ctx context.Context, config string, do func(*house) error) error {
	l := load(config, nil, nil)
	if err := l.err(); err != nil {
		return err
	}
	h, err := openHouse(ctx, l, newLog(os.Stderr, "text", "error"), visitor())
	if err != nil {
		return err
	}
	return errors.Join(do(h), h.store.Close())
}

// Prepare makes keys and the schema.
func (d drillHouse) Prepare(ctx context.Context, config string) error {
	l := load(config, nil, nil)
	if err := errors.Join(l.err(), seal.InitKeys(l.KeysDir)); err != nil {
		return err
	}
	return d.inside(ctx, config, func(h *house) error {
		if _, err := h.store.Migrate(ctx); err != nil {
			return err
		}
		return h.manage.Prepare(ctx)
	})
}

// Populate adds people. A hash is bound to its account, so that each who signs in
// costs one; the dormant have one that nothing matches and that costs as much to
// compare.
func (d drillHouse) Populate(ctx context.Context, config string, active, dormant int) (people []*drill.Person, err error) {
	err = d.inside(ctx, config, func(h *house) error {
		people = make([]*drill.Person, active)
		var g errgroup.Group
		g.SetLimit(h.l.hashesAtOnce())
		for i := range people {
			g.Go(func() (err error) {
				people[i], err = settleDrill(ctx, h, i)
				return err
			})
		}
		g.Go(func() error { return addDormant(ctx, h, dormant) })
		return g.Wait()
	})
	return people, err
}

func settleDrill(ctx context.Context, h *house, i int) (*drill.Person, error) {
	secret, err := authenticators.NewTOTPSecret(rand.Reader)
	if err != nil {
		return nil, err
	}
	p := &drill.Person{Email: fmt.Sprintf("person%d-%s@harbour.example", i, strings.ToLower(rand.Text()[:6])), Secret: secret.Reveal()}
	person := manage.Person{Email: p.Email, Name: fmt.Sprintf("Person %d", i), Locale: "en", Zone: "UTC"}
	a, err := h.manage.AddReady(ctx, manage.Ready{Person: person, Password: drill.Password, TOTP: secret}, events.Operator)
	p.Account = string(a.ID)
	return p, err
}

// dormantAtOnce is how many accounts one transaction adds.
const dormantAtOnce = 250

func addDormant(ctx context.Context, h *house, n int) error {
	for done := 0; done < n; done += dormantAtOnce {
		some := min(dormantAtOnce, n-done)
		err := h.store.Background(ctx, func(tx *store.Tx) error {
			for i := range some {
				if err := dormant(tx, h, done+i); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func dormant(tx *store.Tx, h *house, i int) error {
	email := fmt.Sprintf("dormant%d@harbour.example", i)
	a := accounts.Account{ID: id.New[id.Account](h.now(), rand.Reader), Email: email, EmailKey: email, Name: "Dormant",
		Status: accounts.Active, Epoch: 1, Locale: "en", Zone: "UTC", HomeCell: "home"}
	if err := accounts.Insert(tx, a); err != nil {
		return err
	}
	if err := h.log.Introduce(tx, a.ID); err != nil {
		return err
	}
	password := authenticators.Password{ID: id.New[id.Authenticator](h.now(), rand.Reader), Hash: h.hasher.Dummy(), MadeAt: h.now()}
	return authenticators.SetPassword(tx, a.ID, password, 0)
}

// Disable keeps somebody out, as gatehouse account disable does.
func (d drillHouse) Disable(ctx context.Context, config, email string) error {
	return d.inside(ctx, config, func(h *house) error {
		_, err := h.manage.Disable(ctx, email, "", events.Operator)
		return err
	})
}

// Invite adds somebody, as gatehouse account add does.
func (d drillHouse) Invite(ctx context.Context, config, email string) (token string, err error) {
	err = d.inside(ctx, config, func(h *house) error {
		added, err := h.manage.Add(ctx, manage.Person{Email: email, Name: "Newcomer", Locale: "en", Zone: "UTC"}, events.Operator)
		_, token, _ = strings.Cut(added.Link.Reveal(), "/link/")
		return err
	})
	return token, err
}

// Stored reads what the primary has of a journal's receipts.
func (d drillHouse) Stored(ctx context.Context, config string, receipts []drill.Receipt) (drill.Stored, error) {
	s := drill.Stored{Sessions: map[string]bool{}, Steps: map[string]int64{}, SignIns: map[string]int{}, Standby: map[string]bool{}}
	err := d.inside(ctx, config, func(h *house) error {
		for len(receipts) > 0 {
			n := min(500, len(receipts))
			if err := storedOf(ctx, h, receipts[:n], s); err != nil {
				return err
			}
			receipts = receipts[n:]
		}
		return eachEvent(ctx, h, func(e events.Event) {
			if e.Kind == events.SignedIn {
				s.SignIns[string(e.Session)]++
				s.Standby[string(e.Session)] = e.Standby
			}
		})
	})
	return s, err
}

func storedOf(ctx context.Context, h *house, receipts []drill.Receipt, s drill.Stored) error {
	return h.store.BackgroundRead(ctx, func(tx *store.Tx) error {
		for _, r := range receipts {
			there, err := sessions.Lives(tx, id.Account(r.Account), id.Session(r.Session))
			if err != nil {
				return err
			}
			s.Sessions[r.Session] = there
			if s.Steps[r.Account] != 0 {
				continue
			}
			kept, err := authenticators.LoadUsual(tx, h.keys, id.Account(r.Account))
			if err != nil {
				return err
			}
			for _, app := range kept.TOTP {
				s.Steps[r.Account] = max(s.Steps[r.Account], app.LastStep)
			}
		}
		return nil
	})
}

// eachEvent goes through the whole log.
func eachEvent(ctx context.Context, h *house, do func(events.Event)) error {
	position := int64(0)
	for {
		var found []events.Event
		err := h.store.BackgroundRead(ctx, func(tx *store.Tx) (err error) {
			found, err = h.log.After(tx, position, 1000)
			return err
		})
		if err != nil || len(found) == 0 {
			return err
		}
		for _, e := range found {
			do(e)
			position = e.Position
		}
	}
}

// Backlog writes events that lead to nothing but being read.
func (d drillHouse) Backlog(ctx context.Context, config string, people []*drill.Person, n int) error {
	return d.inside(ctx, config, func(h *house) error {
		var g errgroup.Group
		g.SetLimit(2)
		const atOnce = 1000
		for done := 0; done < n; done += atOnce {
			g.Go(func() error {
				return h.store.Background(ctx, func(tx *store.Tx) error { return appendBacklog(tx, h, people, done, min(done+atOnce, n)) })
			})
		}
		return g.Wait()
	})
}

func appendBacklog(tx *store.Tx, h *house, people []*drill.Person, from, to int) error {
	for i := from; i < to; i++ {
		e := events.Event{Kind: events.ProfileChanged, Account: id.Account(people[i%len(people)].Account), Actor: events.Operator, MadeAt: time.UnixMicro(h.now().UnixMicro())}
		if _, err := h.log.Append(tx, e); err != nil {
			return err
		}
	}
	return nil
}

// Audit recomputes everything, as gatehouse audit does.
func (d drillHouse) Audit(ctx context.Context, config string) (found []string, err error) {
	err = d.inside(ctx, config, func(h *house) error {
		report, err := newAudit(h.l, h.keys, h.store).Run(ctx)
		for _, f := range report.Findings {
			found = append(found, fmt.Sprintf("%s of %s: %s", f.Check, f.Account, f.Subject))
		}
		return err
	})
	return found, err
}

// Hook adds a receiver of everything.
func (d drillHouse) Hook(ctx context.Context, config, name, url string) error {
	return d.inside(ctx, config, func(h *house) error {
		_, _, err := h.hooks.Add(ctx, hooks.New{Name: name, URL: url, Kinds: []string{"*"}}, events.Operator)
		return err
	})
}

// Parked counts the events that followers could not handle, and those behind them.
func (d drillHouse) Parked(ctx context.Context, config string) (n int64, err error) {
	err = d.inside(ctx, config, func(h *house) error {
		lags, err := follow.Lags(ctx, h.store)
		for _, l := range lags {
			n += l.Parked
		}
		return err
	})
	return n, err
}
