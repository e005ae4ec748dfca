package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/mattn/go-isatty"

	"gatehouse/authenticators"
	"gatehouse/events"
	"gatehouse/fault"
	"gatehouse/flow"
	"gatehouse/manage"
	"gatehouse/seal"
	"gatehouse/tokens"
)

// guessing are the budgets that a sign-in guesses codes from, for whoever is signed
// in, and for support.
func guessing(l flow.Limits) manage.Guessing {
	return manage.Guessing{Network: l.PerNetwork, Name: l.CodeName, Device: l.CodeDevice, Month: l.CodeMonth}
}

// apps is how new authenticator apps make their codes.
func (l *Loaded) apps() authenticators.Making {
	return authenticators.Making{Algorithm: l.AppsHash, Digits: l.AppsDigits, Period: int64(l.AppsPeriod / time.Second)}
}

// TokenCommand looks after hardware code tokens. What it does is recorded as the
// operator's.
type TokenCommand struct {
	Import   TokenImport  `cmd:"" help:"Take tokens into stock from a file of their maker: PSKC (RFC 6030) or CSV. Without --apply it only says what it would do."`
	List     TokenList    `cmd:"" help:"List the stock, and who has what."`
	Assign   TokenAssign  `cmd:"" help:"Give a token to a person. It opens nothing until they show a code of it on their account page."`
	Resync   TokenResync  `cmd:"" help:"Bring a token back into step for somebody on the telephone: they read out two codes in a row."`
	Lost     TokenLost    `cmd:"" help:"Nobody knows where it is: from now on it opens nothing, and sessions of its holder end."`
	Found    TokenFound   `cmd:"" help:"A lost token has turned up. It goes back to stock, not to its holder."`
	Returned TokenBack    `cmd:"" help:"Its holder has handed it in."`
	Retire   TokenRetire  `cmd:"" help:"Take a token that nobody uses out of stock for good."`
	History  TokenHistory `cmd:"" help:"What a token went through: who, when, why."`
}

// whatNextToken adds to an error about tokens what an operator can do about it.
func whatNextToken(err error) error {
	switch {
	case errors.Is(err, manage.ErrNoToken):
		return next(manage.ErrNoToken, "see what there is with gatehouse token list; capitals, spaces and dashes do not matter")
	case errors.Is(err, manage.ErrOnlyToken):
		return next(manage.ErrOnlyToken, "let them add another authenticator on their account page first. If the token is gone, say so instead: gatehouse token lost SERIAL")
	case errors.Is(err, tokens.ErrKeyNeeded):
		return next(tokens.ErrKeyNeeded, "give the maker's key with --key-file FILE, or the passphrase with --passphrase-file FILE or --ask-passphrase")
	case errors.Is(err, tokens.ErrChanged):
		return next(tokens.ErrChanged, "look at it with gatehouse token history SERIAL, and try again")
	case errors.Is(err, manage.ErrNoAccount):
		return whatNext(err)
	}
	return err
}

// tokenRef names a token on the command line.
type tokenRef struct {
	Serial       string `arg:"" help:"The serial number, as it stands on the back. Capitals, spaces and dashes do not matter."`
	Manufacturer string `placeholder:"NAME" help:"Only needed where two makers use the same serial number."`
}

func (r tokenRef) ref() manage.TokenRef { return manage.TokenRef(r) }

// TokenList lists tokens.
type TokenList struct {
	State string `enum:",stock,assigned,active,lost,returned,retired" default:"" placeholder:"STATE" help:"Only these: stock, assigned, active, lost, returned or retired."`
	JSON  bool   `name:"json" help:"JSON, one token a line."`
}

// tokenPage is how many tokens one transaction reads.
const tokenPage = 500

// Run prints the stock by serial number.
func (c *TokenList) Run(ctx context.Context, p *program) error {
	return inside(ctx, p, func(h *house) error {
		t := tabwriter.NewWriter(p.out, 0, 0, 2, ' ', 0)
		shown, after := 0, manage.TokenRow{}
		for {
			page, err := h.manage.Tokens(ctx, tokens.State(c.State), after, tokenPage)
			if err != nil {
				return err
			}
			for _, row := range page {
				if shown++; c.JSON {
					err = json.NewEncoder(p.out).Encode(tokenJSON(row))
				} else {
					if shown == 1 {
						fmt.Fprintln(t, "SERIAL\tMAKER\tKIND\tCODES\tSTATE\tHOLDER\tSINCE")
					}
					fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", row.Serial, dash(plain(row.Manufacturer)), row.Kind, codesOf(row), row.State, dash(plain(row.Email)), row.MadeAt.Format(time.DateOnly))
				}
				if err != nil {
					return err
				}
			}
			if len(page) < tokenPage {
				break
			}
			after = page[len(page)-1]
		}
		if shown == 0 && !c.JSON {
			fmt.Fprintln(p.out, "No such tokens. To take some into stock: gatehouse token import FILE")
		}
		return t.Flush()
	})
}

func codesOf(row manage.TokenRow) string {
	text := fmt.Sprintf("%d digits, %s", row.Digits, row.Algorithm)
	if row.Kind == tokens.TOTP {
		text += fmt.Sprintf(", %d s", row.Period)
	}
	return text
}

func tokenJSON(row manage.TokenRow) map[string]any {
	return map[string]any{"id": row.ID, "serial": row.Serial, "manufacturer": row.Manufacturer, "kind": row.Kind, "algorithm": row.Algorithm,
		"digits": row.Digits, "period": row.Period, "state": row.State, "holder": row.Email, "made_at": row.MadeAt}
}

// TokenAssign gives a token to somebody.
type TokenAssign struct {
	tokenRef
	Email  string `arg:"" help:"Whose it shall be."`
	Reason string `placeholder:"WORDS" help:"Why, in a few words; kept as letters, digits and dashes."`
}

// Run assigns.
func (c *TokenAssign) Run(ctx context.Context, p *program) error {
	return inside(ctx, p, func(h *house) error {
		row, err := h.manage.AssignToken(ctx, c.ref(), c.Email, c.Reason, events.Operator)
		if err != nil {
			return whatNextToken(err)
		}
		fmt.Fprintf(p.out, "Token %s is %s's. It opens nothing yet: they add it on their account page,\n  %s/account/authenticators/token\nwith its serial number and a code.\n", row.Serial, plain(row.Email), h.l.Origin)
		return nil
	})
}

// TokenResync brings a token back into step.
type TokenResync struct{ tokenRef }

// Run asks for two codes and tries them.
func (c *TokenResync) Run(ctx context.Context, p *program) error {
	first, second, err := twoLines(p, "First code:  ", "Second code: ")
	if err != nil {
		return err
	}
	return inside(ctx, p, func(h *house) error {
		row, why, err := h.manage.ResyncFor(ctx, c.ref(), first, second, events.Operator)
		switch {
		case err != nil:
			return whatNextToken(err)
		case why != nil && why.Code == fault.TooManyTries:
			return next(errors.New("too many wrong codes for this person; nothing was checked"), "wait %s; their own sign-ins wait as long, for it is the same limit", why.RetryAfter.Round(time.Second))
		case why != nil:
			return next(errors.New("these are not two codes of this token, one right after the other"), "let them press twice more and read out both; leave none out")
		}
		fmt.Fprintf(p.out, "Token %s of %s is back in step. Its next code will be taken; these two are used up.\n", row.Serial, plain(row.Email))
		return nil
	})
}

// tokenMove is what the commands that change a token's state share.
type tokenMove struct {
	tokenRef
	Reason string `placeholder:"WORDS" help:"Why, in a few words; kept in its history as letters, digits and dashes."`
}

// TokenLost reports a token lost.
type TokenLost struct{ tokenMove }

// Run reports it.
func (c *TokenLost) Run(ctx context.Context, p *program) error {
	return inside(ctx, p, func(h *house) error {
		row, link, err := h.manage.LoseToken(ctx, c.ref(), c.Reason, events.Operator)
		if err != nil {
			return whatNextToken(err)
		}
		fmt.Fprintf(p.out, "Token %s is lost: it opens nothing any more.\n", row.Serial)
		if link != "" {
			fmt.Fprintf(p.out, "%s had nothing else. Their sessions are over, and with their password this link lets\nthem set up something new. It is mailed, and good once:\n  %s\n", plain(row.Email), link.Reveal())
		}
		return nil
	})
}

// TokenFound takes a lost token back.
type TokenFound struct{ tokenMove }

// Run takes it back.
func (c *TokenFound) Run(ctx context.Context, p *program) error {
	return inside(ctx, p, func(h *house) error {
		row, err := h.manage.FindToken(ctx, c.ref(), c.Reason, events.Operator)
		if err == nil {
			fmt.Fprintf(p.out, "Token %s is back in the drawer and opens nothing. %s\n", row.Serial, fate(row))
		}
		return whatNextToken(err)
	})
}

// fate says what may become of a token that came back.
func fate(row manage.TokenRow) string {
	if row.Kind == tokens.HOTP {
		return "It has a button, and whoever had it may have written codes down:\nlet its maker put a new secret into it and import that, or retire it: gatehouse token retire " + row.Serial
	}
	return "To give it to somebody: gatehouse token assign " + row.Serial + " EMAIL"
}

// TokenBack takes a token back from its holder.
type TokenBack struct{ tokenMove }

// Run takes it back.
func (c *TokenBack) Run(ctx context.Context, p *program) error {
	return inside(ctx, p, func(h *house) error {
		row, err := h.manage.ReturnToken(ctx, c.ref(), c.Reason, events.Operator)
		if err == nil {
			fmt.Fprintf(p.out, "Token %s was handed in and opens nothing any more. %s\n", row.Serial, fate(row))
		}
		return whatNextToken(err)
	})
}

// TokenRetire takes a token out of stock.
type TokenRetire struct{ tokenMove }

// Run takes it out.
func (c *TokenRetire) Run(ctx context.Context, p *program) error {
	return inside(ctx, p, func(h *house) error {
		row, err := h.manage.RetireToken(ctx, c.ref(), c.Reason, events.Operator)
		if err == nil {
			fmt.Fprintf(p.out, "Token %s is retired for good. Its history stays: gatehouse token history %s\n", row.Serial, row.Serial)
		}
		return whatNextToken(err)
	})
}

// TokenHistory shows what a token went through.
type TokenHistory struct {
	tokenRef
	JSON bool `name:"json" help:"JSON, one step a line."`
}

// Run prints it, oldest first.
func (c *TokenHistory) Run(ctx context.Context, p *program) error {
	return inside(ctx, p, func(h *house) error {
		row, lines, err := h.manage.TokenHistory(ctx, c.ref())
		if err != nil {
			return whatNextToken(err)
		}
		if c.JSON {
			for _, l := range lines {
				err = errors.Join(err, json.NewEncoder(p.out).Encode(map[string]any{"at": l.At, "what": l.What, "whom": l.Email, "by": l.By, "reason": l.Reason}))
			}
			return err
		}
		fmt.Fprintf(p.out, "Token %s, %s, %s: %s%s\n\n", row.Serial, row.Kind, codesOf(row), row.State, either(row.Email == "", "", ", "+plain(row.Email)))
		t := tabwriter.NewWriter(p.out, 0, 0, 2, ' ', 0)
		fmt.Fprintln(t, "TIME\tWHAT\tWHOM\tBY\tWHY")
		for _, l := range lines {
			fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\n", l.At.Format(time.RFC3339), l.What, dash(plain(l.Email)), either(l.By == l.Email && l.By != "", "themselves", plain(l.By)), dash(l.Reason))
		}
		return t.Flush()
	})
}

// twoLines asks for two things that are no secrets: codes that are used up at once.
func twoLines(p *program, questions ...string) (first, second seal.Secret, err error) {
	in := bufio.NewScanner(io.LimitReader(p.in, maxSecret))
	for i, to := range []*seal.Secret{&first, &second} {
		if isatty.IsTerminal(p.in.Fd()) {
			fmt.Fprint(p.err, questions[i])
		}
		if !in.Scan() {
			return "", "", next(errors.New("two codes are needed, each on a line of its own"), "see gatehouse token resync --help")
		}
		*to = seal.Secret(in.Text())
	}
	return first, second, in.Err()
}
