package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"

	"github.com/mattn/go-isatty"
	"rsc.io/qr"

	"gatehouse/accounts"
	"gatehouse/seal"
)

// DemoCommand is a complete installation on this machine, made on first run.
type DemoCommand struct {
	Dir  string `default:"gatehouse-demo" placeholder:"DIR" help:"Where it keeps everything: people, keys, database, mails. Remove it to begin again."`
	Addr string `default:"127.0.0.1:8080" placeholder:"ADDRESS" help:"Where it listens, on this machine only."`
}

// Run makes what is missing, says how to sign in, and serves until Ctrl-C.
func (c *DemoCommand) Run(ctx context.Context, p *program) error {
	address, origin, err := c.place()
	if err != nil {
		return err
	}
	l, err := c.settings(p, address, origin)
	if err != nil {
		return err
	}
	if err := c.makeKeys(l); err != nil {
		return err
	}
	h, err := openHouse(ctx, l, newLog(p.out, l.LogFormat, l.LogLevel), resident())
	if err != nil {
		return err
	}
	people, err := c.people(ctx, h)
	if err != nil {
		return errors.Join(err, h.store.Close())
	}
	_, port, _ := cutPort(address)
	err = serve(ctx, h, serveOptions{
		mode:   "demo",
		hosts:  []string{"localhost:" + port, "127.0.0.1:" + port, "[::1]:" + port},
		onOpen: func(origin string) { c.welcome(p.out, origin, l.Product, people) },
	})
	if err == nil {
		fmt.Fprintf(p.out, "\nClosed. %s keeps everything for the next time.\n", c.Dir)
	}
	return err
}

// people prepares the database and returns who can sign in.
func (c *DemoCommand) people(ctx context.Context, h *house) ([]demoPerson, error) {
	if _, err := h.store.Migrate(ctx); err != nil {
		return nil, err
	}
	if err := h.manage.Prepare(ctx); err != nil {
		return nil, err
	}
	people, err := demoPeople(ctx, c.Dir, h)
	if errors.Is(err, accounts.ErrTaken) {
		return nil, next(fmt.Errorf("%s has people but no people.json", c.Dir), "remove %s to begin again", c.Dir)
	}
	return people, err
}

// place is where to listen and how people reach it. Links and cookies are those
// of localhost, which browsers trust without TLS; 127.0.0.1 works as well.
func (c *DemoCommand) place() (address, origin string, err error) {
	if err := judgeAddress(c.Addr); err != nil {
		return "", "", &usageError{fmt.Errorf("--addr: %w", err), "gatehouse demo --help"}
	}
	host, port, _ := cutPort(c.Addr)
	if !isLocal(host) {
		return "", "", next(fmt.Errorf("--addr %s could be reached by others, and the demo's passwords lie open", c.Addr),
			"give an address of this machine, such as 127.0.0.1:%s; for others to sign in, see: gatehouse serve --help", port)
	}
	if port == "0" {
		if port, err = freePort(host); err != nil {
			return "", "", err
		}
	}
	return net.JoinHostPort(host, port), "http://localhost:" + port, nil
}

// freePort asks the system for a port and lets it go: the origin names it before
// anything listens.
func freePort(host string) (string, error) {
	l, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		return "", err
	}
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	return port, err
}

// demoConfig makes the other commands work on a demo:
// gatehouse --config DIR/gatehouse.yaml events tail.
const demoConfig = `# Made by gatehouse demo. All other commands work with it too:
#   gatehouse --config %[1]s events tail
#   gatehouse --config %[1]s account list
origin: %[2]s
listen: %[3]s
management:
  listen: 127.0.0.1:0
data_dir: data
keys_dir: keys
mail:
  folder: outbox
log:
  format: text
  level: warn
`

func (c *DemoCommand) settings(p *program, address, origin string) (*Loaded, error) {
	if err := os.MkdirAll(c.Dir, 0o700); err != nil {
		return nil, next(err, "name a folder you may write to with --dir")
	}
	path := filepath.Join(c.Dir, "gatehouse.yaml")
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		if err := os.WriteFile(path, fmt.Appendf(nil, demoConfig, path, origin, address), 0o600); err != nil {
			return nil, err
		}
	}
	l := load(path, p.environ, map[string]string{"origin": origin, "listen": address})
	if err := l.err(); err != nil {
		return nil, err
	}
	l.boxed()
	return l, nil
}

// demoMark is a file beside the keys of a demo, whose passwords lie open.
const demoMark = "MADE-BY-DEMO"

func (c *DemoCommand) makeKeys(l *Loaded) error {
	if _, err := os.Stat(l.KeysDir); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := seal.InitKeys(l.KeysDir); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(l.KeysDir, demoMark), []byte("gatehouse serve refuses these keys.\n"), 0o600)
}

// refuseDemoKeys keeps a demo from growing into an installation: its keys and
// people's secrets stand in a file to read.
func refuseDemoKeys(l *Loaded) error {
	if _, err := os.Stat(filepath.Join(l.KeysDir, demoMark)); err != nil {
		return nil
	}
	return fmt.Errorf("%s holds the keys of a demo, whose passwords lie open; make an installation of its own: gatehouse keys init --dir DIR, set keys_dir to it, and begin with an empty database", l.KeysDir)
}

// welcome is what the person who tries it reads.
func (c *DemoCommand) welcome(w io.Writer, origin, product string, people []demoPerson) {
	owner := people[0]
	fmt.Fprintf(w, "\nGatehouse is open:  %s/signin\n(%s works as well)\n\n", origin, strings.Replace(origin, "localhost", "127.0.0.1", 1))
	fmt.Fprintf(w, "These people work at %s. Sign in as any of them:\n\n", demoOrganisation)
	fmt.Fprintf(w, "  %-15s %-26s %-22s %s\n", "ROLE", "E-MAIL", "PASSWORD", "SECRET OF THE AUTHENTICATOR APP")
	for _, d := range people {
		fmt.Fprintf(w, "  %-15s %-26s %-22s %s\n", d.Role, d.Email, d.Password, d.TOTPSecret)
	}
	fmt.Fprintf(w, `
After the password you are asked for a code. To get the one of %[1]s:
  %[4]s code        and paste the secret, or: oathtool --totp -b %[2]s
or add that secret to any authenticator app, or open this there:
  %[3]s
`, owner.Name, owner.TOTPSecret, owner.uri(product), calledAs(os.Args[0]))
	printQR(w, owner.uri(product))
	c.inviteToMore(w, origin)
	fmt.Fprint(w, "\nCtrl-C stops it.\n")
}

// inviteToMore says how to try each of the other ways in, and where things lie.
func (c *DemoCommand) inviteToMore(w io.Writer, origin string) {
	in := func(name string) string { return filepath.Join(c.Dir, name) }
	command := calledAs(os.Args[0]) + " --config " + in("gatehouse.yaml")
	fmt.Fprintf(w, `
Once signed in, see My account, Authenticators:
  Passkey           your browser or a security key asks; nothing else is needed
  Gatehouse Verify  our own app: connect %[1]s/verify/ in another window, and approve there
  Code token        serial number %[2]s (Olivia's); ten codes, one after the other:
                    oathtool --hotp -b -c 0 -w 9 %[3]s
  Text message      to any number of %[4]s, once they are accepted:
                    %[5]s policy set --accept passkey,push,totp,hotp,recovery-code,sms,voice
What is accepted is set by Sam, the security admin, at %[1]s/console/policy/authenticators

All of the above:      %[6]s
Mails, texts, calls:   %[7]s
Tokens to import:      %[8]s
Watch what happens:    %[5]s events tail
Begin again:           stop, then rm -r %[9]s
`, origin, demoSerial, demoSecret(c.Dir), strings.Join(demoCountries, ", "), command, in("people.json"), in("outbox"), in(demoTokens), c.Dir)
}

// calledAs is what to type for another command of this same program.
func calledAs(program string) string {
	if strings.Contains(program, "go-build") {
		return "go run ./cmd/gatehouse"
	}
	return "gatehouse"
}

// printQR draws a QR code with half blocks, two rows a line, dark on light in
// every colour scheme. Elsewhere than on a terminal it would only be noise.
func printQR(w io.Writer, text string) {
	f, ok := w.(*os.File)
	if !ok || !isatty.IsTerminal(f.Fd()) {
		return
	}
	code, err := qr.Encode(text, qr.L)
	if err != nil {
		return // the address above it says the same
	}
	const quiet = 4 // modules around it (ISO/IEC 18004 §6.3.8)
	fmt.Fprintln(w)
	for y := -quiet; y < code.Size+quiet; y += 2 {
		fmt.Fprint(w, "  \x1b[30;107m")
		for x := -quiet; x < code.Size+quiet; x++ {
			fmt.Fprint(w, halfBlock(code.Black(x, y), code.Black(x, y+1)))
		}
		fmt.Fprintln(w, "\x1b[0m")
	}
}

func halfBlock(top, bottom bool) string {
	switch {
	case top && bottom:
		return "█"
	case top:
		return "▀"
	case bottom:
		return "▄"
	}
	return " "
}
