// Command gatehouse is the whole program: the server, the demo, and the tools of
// the people who run it. Each command has a file of its own; this one only
// chooses. Settings are in config.go, the wiring in serve.go.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/alecthomas/kong"

	"gatehouse/fault"
)

// The codes the program exits with.
const (
	exitFailed  = 1
	exitMistake = 2 // the command line or the configuration is wrong; nothing was done
	exitAtOnce  = 3 // a second signal came while shutting down
)

// program is what every command gets: where to read and write, and what was said
// before the command's name.
type program struct {
	in         *os.File
	out, err   io.Writer
	environ    []string
	configFile string
}

type commands struct {
	Config string `short:"c" placeholder:"FILE" env:"GATEHOUSE_CONFIG" help:"The configuration file. Without it ${usual} is read, if it is there."`

	Demo  DemoCommand  `cmd:"" group:"Start" help:"Try it now: a complete sign-in with five people, made on first run. Needs nothing."`
	Serve ServeCommand `cmd:"" group:"Start" help:"Serve people, as the configuration says."`

	Code CodeCommand `cmd:"" group:"Start" help:"Show the codes of your account on this computer: an authenticator app for people without a phone."`

	ConfigCmd ConfigCommand  `cmd:"" name:"config" group:"Set up" help:"Check and explain the configuration."`
	Keys      KeysCommand    `cmd:"" group:"Set up" help:"Make, renew and list the keys."`
	Peers     PeersCommand   `cmd:"" group:"Set up" help:"Ask the other nodes of this installation how they are."`
	Migrate   MigrateCommand `cmd:"" group:"Set up" help:"Show what the database needs, and with --apply do it."`

	Account  AccountCommand  `cmd:"" group:"Look after" help:"Invite, list, disable and unlock people."`
	Approve  ApproveCommand  `cmd:"" group:"Look after" help:"Ask somebody's phone to approve an action of another application, and show what was signed."`
	Token    TokenCommand    `cmd:"" group:"Look after" help:"Look after hardware code tokens: stock, who has which, lost ones."`
	Policy   PolicyCommand   `cmd:"" group:"Look after" help:"Say which authenticators are accepted: dry run, roll-out and progress."`
	Events   EventsCommand   `cmd:"" group:"Look after" help:"Read what happened."`
	Standby  StandbyCommand  `cmd:"" group:"Look after" help:"See what nodes did while the database was away."`
	Hooks    HooksCommand    `cmd:"" group:"Look after" help:"Tell other programs what happened (web-hooks)."`
	Text     TextCommand     `cmd:"" group:"Look after" help:"Try text messages and calls out."`
	Breached BreachedCommand `cmd:"" group:"Look after" help:"Make and ask the filter of breached passwords."`

	Drill       DrillCommand       `cmd:"" group:"Measure" help:"Replay outages on this machine, with real processes and load, and say what people would have noticed."`
	Bench       BenchCommand       `cmd:"" group:"Measure" help:"Measure this program on this machine: sign-in, session check, memory, start."`
	Audit       AuditCommand       `cmd:"" group:"Measure" help:"Recompute everything: sessions, codes used up, tries, mails and hand-overs against the log."`
	Doctor      DoctorCommand      `cmd:"" group:"Measure" help:"Look the whole installation over; each finding comes with what to do about it."`
	Status      StatusCommand      `cmd:"" group:"Measure" help:"Show how running servers stand: what works for people now, and what is wrong."`
	Healthcheck HealthcheckCommand `cmd:"" group:"Measure" help:"Ask a running server how it is; exits with 1 when it is not well."`
	Version     VersionCommand     `cmd:"" group:"Measure" help:"Say which build this is."`
}

func main() {
	syscall.Umask(0o077) // what we write is nobody else's, unless its command says otherwise
	os.Exit(run(os.Args[1:]))
}

// run is the program without its end, so that tests can call it.
func run(args []string) int {
	p := &program{in: os.Stdin, out: os.Stdout, err: os.Stderr, environ: os.Environ()}
	ctx, stop := untilSignal()
	defer stop()
	if err := p.run(ctx, args); err != nil {
		fmt.Fprintln(p.err, explain(err))
		return exitCode(err)
	}
	return 0
}

func (p *program) run(ctx context.Context, args []string) error {
	var c commands
	prepareFlags(&c)
	parser, err := kong.New(&c,
		kong.Name("gatehouse"),
		kong.Description("Gatehouse lets people in: a sign-in with passkeys, or a password and a second authenticator.\n\nTry it: gatehouse demo"),
		kong.Vars{"usual": usualFile, "parts": strings.Join(benchPartNames(), ", ")},
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, NoExpandSubcommands: true}),
		kong.Writers(p.out, p.err),
		kong.BindTo(ctx, (*context.Context)(nil)),
		kong.Bind(p),
	)
	if err != nil {
		return err
	}
	if len(args) == 0 {
		args = []string{"--help"}
	}
	chosen, err := parser.Parse(args)
	if err != nil {
		return &usageError{err, helpFor(err)}
	}
	p.configFile = c.Config
	return chosen.Run()
}

func prepareFlags(c *commands) {
	c.Serve.flags = newFlagValues()
	c.Serve.Plugins = c.Serve.flags.plugin()
	c.ConfigCmd.Check.flags = newFlagValues()
	c.ConfigCmd.Check.Plugins = c.ConfigCmd.Check.flags.plugin()
}

// usageError is a command line that makes no sense.
type usageError struct {
	error
	help string
}

func (u *usageError) Error() string { return u.error.Error() + "\nSee: " + u.help }
func (u *usageError) ExitCode() int { return exitMistake }
func (u *usageError) Unwrap() error { return u.error }

func helpFor(err error) string {
	var parse *kong.ParseError
	if errors.As(err, &parse) && parse.Context != nil && parse.Context.Selected() != nil {
		return "gatehouse " + parse.Context.Selected().Path() + " --help"
	}
	return "gatehouse --help"
}

// advice is an error with the next thing to do.
type advice struct {
	error
	next string
}

func (a *advice) Unwrap() error { return a.error }

// next adds what to do now to an error; nil stays nil.
func next(err error, format string, args ...any) error {
	if err == nil {
		return nil
	}
	return &advice{err, fmt.Sprintf(format, args...)}
}

// explain writes an error for the terminal: what happened, then what to do. The
// mistakes of a configuration stand as they are, so that an editor finds them.
func explain(err error) string {
	var m *mistakes
	if errors.As(err, &m) {
		return m.Error()
	}
	text := "gatehouse: " + err.Error()
	var a *advice
	if errors.As(err, &a) {
		return text + "\nNext: " + a.next
	}
	if fault.Of(err) == fault.Unavailable {
		return text + "\nNext: see that the database runs and that database.dsn leads to it, then try again"
	}
	return text
}

func exitCode(err error) int {
	var coded interface{ ExitCode() int }
	if errors.As(err, &coded) {
		return coded.ExitCode()
	}
	return exitFailed
}

// untilSignal is done at the first SIGINT or SIGTERM; the second ends the program
// at once, for an operator who will not wait.
func untilSignal() (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(context.Background())
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	go func() {
		<-signals
		cancel()
		<-signals
		os.Exit(exitAtOnce)
	}()
	return ctx, cancel
}
