package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/mattn/go-isatty"

	"gatehouse/authenticators"
	"gatehouse/seal"
)

// CodeCommand is an authenticator app for people without a phone: it shows the codes
// of one account. It needs no server, no network and no configuration.
type CodeCommand struct {
	Name   string `arg:"" optional:"" help:"Which saved account. Without it, a link is read: the one that the page for setting up an authenticator app offers, or the key that stands there."`
	File   string `short:"f" type:"existingfile" placeholder:"FILE" help:"Read the link from this file. Without it, it is asked for and not shown, or read from a pipe. Links are never given on the command line: everybody on this machine can read those, and the shell remembers them."`
	Save   string `placeholder:"NAME" help:"Keep this account under a name, sealed with a passphrase. Without it nothing is kept."`
	List   bool   `help:"List the saved accounts."`
	Remove bool   `help:"Forget the saved account NAME."`
	Next   bool   `help:"Show the code that comes after this one, and from when it is good."`
	Once   bool   `help:"Show one code and end, on a terminal too."`
}

// Help says what a person at 3 a.m. needs.
func (c *CodeCommand) Help() string {
	return `Examples:

  gatehouse code                paste the link, see its codes; nothing is kept
  gatehouse code --save work    the same, and keep it under the name "work"
  gatehouse code work           see the codes of what was kept
  gatehouse code work | wl-copy in a pipe: the code alone, nothing else

Codes depend on this machine's clock. If they are refused, look whether it is right.
Whoever can read this machine's memory or knows the passphrase can make your codes
too: if you have a phone, an app there is the better place.`
}

// Run shows codes, or looks after what was saved.
func (c *CodeCommand) Run(ctx context.Context, p *program) error {
	if err := c.check(); err != nil {
		return err
	}
	ask := &confidant{p: p}
	box, err := codeBoxOf(p)
	if err != nil {
		return err
	}
	switch {
	case c.List:
		return c.list(p, ask, box)
	case c.Remove:
		return c.remove(p, ask, box)
	}
	one, err := c.account(p, ask, box)
	if err != nil {
		return err
	}
	return c.show(ctx, p, one)
}

func (c *CodeCommand) check() error {
	mistake := func(format string, args ...any) error {
		return &usageError{fmt.Errorf(format, args...), "gatehouse code --help"}
	}
	switch {
	case strings.Contains(c.Name, "://") || strings.Contains(c.Save, "://"):
		return mistake("a link on the command line can be read by everybody on this machine, and the shell remembers it; run gatehouse code and paste it, or use --file. If this was a real link, make a new one on your account page")
	case c.Remove && c.Name == "":
		return mistake("--remove needs the name of what to forget; gatehouse code --list shows them")
	case c.Name != "" && (c.File != "" || c.Save != ""):
		return mistake("%s is a saved account; --file and --save are for a link", c.Name)
	case c.Save != "" && !goodName(c.Save):
		return mistake("--save: a name is 1 to 40 letters, digits, dots and dashes")
	}
	return nil
}

func goodName(name string) bool {
	return len(name) <= 40 && strings.Trim(strings.ToLower(name), "abcdefghijklmnopqrstuvwxyz0123456789.-_") == "" && !strings.HasPrefix(name, "-")
}

// account is the account whose codes are shown, as saved or from a link.
func (c *CodeCommand) account(p *program, ask *confidant, box codeBox) (codeAccount, error) {
	if c.Name != "" {
		all, _, err := box.open(ask)
		if err != nil {
			return codeAccount{}, err
		}
		for _, one := range all {
			if one.Name == c.Name {
				return one, nil
			}
		}
		return codeAccount{}, next(fmt.Errorf("nothing is saved as %q%s", c.Name, didYouMean(c.Name, names(all))), "see what is: gatehouse code --list")
	}
	link, err := c.link(ask)
	if err != nil {
		return codeAccount{}, err
	}
	if _, _, err := authenticators.ParseKeyURI(link); err != nil {
		return codeAccount{}, next(err, "copy the link behind “Open in an app on this device”, or the key beside the picture, on the page where you set up an authenticator app")
	}
	one := codeAccount{Name: c.Save, Link: link.Reveal()}
	if c.Save == "" {
		return one, nil
	}
	if err := box.add(ask, one); err != nil {
		return one, err
	}
	fmt.Fprintf(p.err, "Kept as %s in %s. Next time: gatehouse code %s\n", c.Save, box.path, c.Save)
	return one, nil
}

func (c *CodeCommand) link(ask *confidant) (seal.Secret, error) {
	if c.File == "" {
		return ask.secret("Link (otpauth://…), or the key; it is not shown: ")
	}
	text, err := os.ReadFile(c.File)
	return seal.Secret(text), err
}

// show prints one code, or on a terminal each as it comes, until Ctrl-C.
func (c *CodeCommand) show(ctx context.Context, p *program, one codeAccount) error {
	label, app, err := authenticators.ParseKeyURI(seal.Secret(one.Link))
	if err != nil {
		return err
	}
	out, ok := p.out.(*os.File)
	live := ok && isatty.IsTerminal(out.Fd()) && !c.Once && !c.Next
	if !live {
		return c.once(p.out, app, time.Now(), ok && isatty.IsTerminal(out.Fd()))
	}
	fmt.Fprintf(out, "%s   (Ctrl-C ends)\n", plain(titleOf(one, label)))
	tick := time.NewTicker(250 * time.Millisecond)
	defer tick.Stop()
	for {
		line, err := codeLine(app, time.Now())
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "\r\x1b[K%s", line)
		select {
		case <-ctx.Done():
			fmt.Fprint(out, "\r\x1b[K") // nobody who comes later reads a code that is still good
			return nil
		case <-tick.C:
		}
	}
}

func titleOf(one codeAccount, l authenticators.Label) string {
	var parts []string
	for _, part := range []string{one.Name, l.Issuer, l.Account} {
		if part != "" {
			parts = append(parts, part)
		}
	}
	return strings.Join(parts, " · ")
}

// codeLine is the line that lives on a terminal: the code, a bar, the seconds left.
func codeLine(app authenticators.TOTP, now time.Time) (string, error) {
	code, err := app.CodeAt(now)
	left := app.Period - now.Unix()%app.Period
	return fmt.Sprintf("  %s   %s %2d s ", inHalves(code.Reveal()), drawn(int(left), int(app.Period), 20), left), err
}

// inHalves puts a gap in the middle of a code, as people read it out.
func inHalves(code string) string {
	half := (len(code) + 1) / 2
	return code[:half] + " " + code[half:]
}

// once prints one code; beside it on a terminal how long it is good. In a pipe there
// is the code and nothing else.
func (c *CodeCommand) once(w io.Writer, app authenticators.TOTP, now time.Time, terminal bool) error {
	left := app.Period - now.Unix()%app.Period
	said := fmt.Sprintf("   good for %d s", left)
	if c.Next {
		now = now.Add(time.Duration(left) * time.Second)
		said = fmt.Sprintf("   good in %d s, for %d s", left, app.Period)
	}
	code, err := app.CodeAt(now)
	if err != nil {
		return err
	}
	if terminal {
		_, err = fmt.Fprintln(w, inHalves(code.Reveal())+said)
		return err
	}
	_, err = fmt.Fprintln(w, code.Reveal())
	return err
}

func (c *CodeCommand) list(p *program, ask *confidant, box codeBox) error {
	all, found, err := box.open(ask)
	if err != nil || !found || len(all) == 0 {
		if err == nil {
			fmt.Fprintln(p.out, "Nothing is saved. To save an account: gatehouse code --save NAME")
		}
		return err
	}
	t := tabwriter.NewWriter(p.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "NAME\tSERVICE\tACCOUNT")
	for _, one := range all {
		label, _, _ := authenticators.ParseKeyURI(seal.Secret(one.Link))
		fmt.Fprintf(t, "%s\t%s\t%s\n", plain(one.Name), dash(plain(label.Issuer)), dash(plain(label.Account)))
	}
	return t.Flush()
}

func (c *CodeCommand) remove(p *program, ask *confidant, box codeBox) error {
	if err := box.remove(ask, c.Name); err != nil {
		return err
	}
	fmt.Fprintf(p.out, "%s is forgotten here. It still opens your account: remove the authenticator on your account page too, if you are done with it.\n", c.Name)
	return nil
}

// confidant asks for several secrets in turn: on a terminal unseen, from a pipe line by
// line.
type confidant struct {
	p     *program
	lines *bufio.Reader
	pass  seal.Secret // of the box, asked for once
}

func (a *confidant) secret(question string) (seal.Secret, error) {
	if isatty.IsTerminal(a.p.in.Fd()) {
		return a.p.askSecret(question)
	}
	if a.lines == nil {
		a.lines = bufio.NewReader(io.LimitReader(a.p.in, 4*maxSecret))
	}
	text, err := a.lines.ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", err
	}
	if text = strings.TrimRight(text, "\r\n"); text == "" {
		return "", errors.New("nothing was given where a secret was expected")
	}
	return seal.Secret(text), nil
}
