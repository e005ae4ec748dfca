package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"gatehouse/access"
	"gatehouse/accounts"
	"gatehouse/events"
	"gatehouse/id"
	"gatehouse/manage"
)

// AccountCommand looks after people. What it does is recorded as the operator's.
type AccountCommand struct {
	Add     AccountAdd     `cmd:"" help:"Add a person and mail them an invitation, which is good for one use."`
	Invite  AccountInvite  `cmd:"" help:"Mail a new invitation to someone who has not finished setting up."`
	List    AccountList    `cmd:"" help:"List everybody."`
	Disable AccountDisable `cmd:"" help:"Keep a person out. Their sessions end within a second, and they are told."`
	Enable  AccountEnable  `cmd:"" help:"Let a disabled person in again."`
	Lock    AccountLock    `cmd:"" help:"Keep a person out until unlock. Their sessions end within a second."`
	Unlock  AccountUnlock  `cmd:"" help:"Let a locked person in again."`
	Reset   AccountReset   `cmd:"" help:"Take off a person's authenticator apps and recovery codes, because all are lost, and mail them a link to set up new ones. Make sure who asks first."`
}

// inside opens the house for one command and closes it afterwards.
func inside(ctx context.Context, p *program, do func(*house) error) error {
	l, err := p.mustLoad(nil)
	if err != nil {
		return err
	}
	h, err := openHouse(ctx, l, slog.New(slog.NewTextHandler(p.err, &slog.HandlerOptions{Level: slog.LevelWarn})), visitor())
	if err != nil {
		return err
	}
	err = migrated(ctx, h.store)
	if err == nil {
		err = do(h)
	}
	return errors.Join(whatNext(err), h.store.Close())
}

// whatNext adds to an error of manage what an operator can do about it.
func whatNext(err error) error {
	switch {
	case errors.Is(err, manage.ErrNoAccount):
		return next(manage.ErrNoAccount, "see who there is with gatehouse account list; capitals do not matter")
	case errors.Is(err, accounts.ErrTaken):
		return next(errors.New("this address has an account already"), "see it with gatehouse account list; to mail another invitation: gatehouse account invite EMAIL")
	}
	return err
}

func noAccount(email string) error {
	return whatNext(fmt.Errorf("%s: %w", email, manage.ErrNoAccount))
}

// AccountAdd adds a person.
type AccountAdd struct {
	Email        string      `arg:"" help:"Where the invitation goes; it is what the person signs in with."`
	Name         string      `placeholder:"NAME" help:"What the person is called. They can change it."`
	Organisation string      `placeholder:"NAME" help:"The business they work for, made when there is none of that name."`
	Role         access.Role `default:"bookkeeper" placeholder:"ROLE" help:"owner, security-admin, supporter, bookkeeper or developer of that business."`
	Locale       string      `placeholder:"TAG" help:"Language of their mails, such as en. Without it, what their browser asks for."`
	Zone         string      `placeholder:"ZONE" help:"Their time zone, such as Europe/Lisbon. Without it, their browser's."`
}

// Run adds the account and prints its link, for the day mail does not work.
func (c *AccountAdd) Run(ctx context.Context, p *program) error {
	if err := c.check(); err != nil {
		return err
	}
	return inside(ctx, p, func(h *house) error {
		added, err := h.manage.Add(ctx, manage.Person{Email: c.Email, Name: c.Name, Locale: c.Locale, Zone: c.Zone, Organisation: c.Organisation, Role: c.Role}, events.Operator)
		if err != nil {
			return err
		}
		fmt.Fprintf(p.out, "Added %s.\n", plain(added.Account.Email))
		if c.Organisation == "" {
			fmt.Fprintln(p.out, "They belong to no organisation, so no role was given; --organisation names one.")
		}
		for _, other := range added.Lookalikes {
			fmt.Fprintf(p.out, "Look twice: this address looks like %s, which is another person's.\n", plain(other.Email))
		}
		printInvitation(p.out, added.Link.Reveal())
		return nil
	})
}

func (c *AccountAdd) check() error {
	if !access.Known(c.Role) {
		var all []string
		for _, r := range access.Roles() {
			all = append(all, string(r))
		}
		return &usageError{fmt.Errorf("--role: %q is not one of %s%s", c.Role, strings.Join(all, ", "), didYouMean(string(c.Role), all)), "gatehouse account add --help"}
	}
	if _, err := time.LoadLocation(c.Zone); err != nil {
		return &usageError{fmt.Errorf("--zone: %q is not a time zone such as Europe/Lisbon", c.Zone), "gatehouse account add --help"}
	}
	return nil
}

func printInvitation(w io.Writer, link string) {
	fmt.Fprintf(w, `An invitation is being mailed, as soon as the server runs. If it does not arrive,
hand this link over yourself. It is good for one use and for %s:

  %s
`, inDays(accounts.Invitation.Life()), link)
}

func inDays(d time.Duration) string { return count(int(d/(24*time.Hour)), "day") }

// AccountInvite mails another invitation.
type AccountInvite struct {
	Email string `arg:"" help:"The person's address."`
}

// Run invites again.
func (c *AccountInvite) Run(ctx context.Context, p *program) error {
	return inside(ctx, p, func(h *house) error {
		link, err := h.manage.Reinvite(ctx, c.Email, events.Operator)
		if err == nil {
			printInvitation(p.out, link.Reveal())
		}
		return err
	})
}

// AccountList lists people.
type AccountList struct {
	JSON bool `name:"json" help:"A JSON array, with every field."`
}

// accountPage is how many accounts one transaction reads.
const accountPage = 500

// Run prints everybody, by address.
func (c *AccountList) Run(ctx context.Context, p *program) error {
	return inside(ctx, p, func(h *house) error {
		var all []manage.Row
		for after := ""; ; {
			page, err := h.manage.People(ctx, after, accountPage)
			if err != nil {
				return err
			}
			all = append(all, page...)
			if len(page) < accountPage {
				break
			}
			after = page[len(page)-1].EmailKey
		}
		if c.JSON {
			return printAccountsJSON(p.out, all)
		}
		return printAccounts(p.out, all)
	})
}

func printAccounts(w io.Writer, all []manage.Row) error {
	if len(all) == 0 {
		_, err := fmt.Fprintln(w, "Nobody yet. Next: gatehouse account add EMAIL --organisation NAME --role owner")
		return err
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "E-MAIL\tNAME\tSTATUS\tROLE\tAPPS\tCODES LEFT\tSINCE")
	for _, a := range all {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%d\t%d\t%s\n", plain(a.Email), dash(plain(a.Name)), a.Status, dash(plain(rolesOf(a))), a.Apps, a.CodesLeft, a.MadeAt.Format(time.DateOnly))
	}
	return t.Flush()
}

func rolesOf(a manage.Row) string {
	var roles []string
	for _, m := range a.Memberships {
		roles = append(roles, fmt.Sprintf("%s at %s", m.Role, m.Name))
	}
	return strings.Join(roles, ", ")
}

func dash(text string) string { return either(text == "", "-", text) }

// plain keeps what people chose themselves (names, addresses) from steering the
// terminal it is printed on.
func plain(text string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, text)
}

// accountJSON is an account as programs read it. Names are stable; fields may be added.
type accountJSON struct {
	ID            id.Account       `json:"id"`
	Email         string           `json:"email"`
	EmailVerified bool             `json:"email_verified"`
	Name          string           `json:"name"`
	Status        accounts.Status  `json:"status"`
	Locale        string           `json:"locale"`
	Zone          string           `json:"zone"`
	MadeAt        time.Time        `json:"made_at"`
	Apps          int              `json:"authenticator_apps"`
	CodesLeft     int              `json:"recovery_codes_left"`
	Memberships   []membershipJSON `json:"memberships"`
}

type membershipJSON struct {
	Organisation id.Organisation `json:"organisation"`
	Name         string          `json:"name"`
	Role         access.Role     `json:"role"`
}

func printAccountsJSON(w io.Writer, all []manage.Row) error {
	list := make([]accountJSON, len(all))
	for i, a := range all {
		list[i] = accountJSON{a.ID, a.Email, a.EmailVerified, a.Name, a.Status, a.Locale, a.Zone, a.MadeAt, a.Apps, a.CodesLeft, []membershipJSON{}}
		for _, m := range a.Memberships {
			list[i].Memberships = append(list[i].Memberships, membershipJSON{m.Organisation, m.Name, m.Role})
		}
	}
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(list)
}

// change is what the four commands on somebody's status share.
type change struct {
	Email  string `arg:"" help:"The person's address."`
	Reason string `placeholder:"WORDS" help:"Why, in a few words; kept in the log of events as letters, digits and dashes."`
}

func (c *change) run(ctx context.Context, p *program, what string, do func(*house) (accounts.Account, error)) error {
	return inside(ctx, p, func(h *house) error {
		a, err := do(h)
		if err != nil {
			return err
		}
		fmt.Fprintf(p.out, "%s is %s.%s\n", plain(a.Email), a.Status, what)
		return nil
	})
}

// AccountDisable disables a person.
type AccountDisable struct{ change }

// Run disables.
func (c *AccountDisable) Run(ctx context.Context, p *program) error {
	err := c.run(ctx, p, " Their sessions are over and their links spent.", func(h *house) (accounts.Account, error) {
		return h.manage.Disable(ctx, c.Email, c.Reason, events.Operator)
	})
	return c.orOnStandby(ctx, p, "disable", err)
}

// AccountEnable lets a disabled person in again.
type AccountEnable struct{ change }

// Run enables.
func (c *AccountEnable) Run(ctx context.Context, p *program) error {
	return c.run(ctx, p, " They can sign in.", func(h *house) (accounts.Account, error) {
		return h.manage.Enable(ctx, c.Email, c.Reason, events.Operator)
	})
}

// AccountLock locks a person.
type AccountLock struct{ change }

// Run locks.
func (c *AccountLock) Run(ctx context.Context, p *program) error {
	err := c.run(ctx, p, " Their sessions are over. To let them in again: gatehouse account unlock", func(h *house) (accounts.Account, error) {
		return h.manage.Lock(ctx, c.Email, c.Reason, events.Operator)
	})
	return c.orOnStandby(ctx, p, "lock", err)
}

// AccountUnlock lets a locked person in again.
type AccountUnlock struct{ change }

// Run unlocks.
func (c *AccountUnlock) Run(ctx context.Context, p *program) error {
	return c.run(ctx, p, " They can sign in.", func(h *house) (accounts.Account, error) {
		return h.manage.Unlock(ctx, c.Email, c.Reason, events.Operator)
	})
}

// AccountReset takes off second authenticators.
type AccountReset struct{ change }

// Run resets, and prints the link for the day mail does not work.
func (c *AccountReset) Run(ctx context.Context, p *program) error {
	return inside(ctx, p, func(h *house) error {
		a, link, err := h.manage.ResetSecond(ctx, c.Email, c.Reason, events.Operator)
		if err != nil {
			return err
		}
		fmt.Fprintf(p.out, "%s has no authenticator any more. Their sessions are over, and they are told.\n", a.Email)
		fmt.Fprintf(p.out, "With their password, this link lets them set up a new one. It is mailed, and good once, until it is %s old:\n  %s\n", accounts.Enrol.Life(), link.Reveal())
		return nil
	})
}
