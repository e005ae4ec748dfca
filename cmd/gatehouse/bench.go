package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/mattn/go-isatty"
	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	"gatehouse/authenticators"
	"gatehouse/store/pgtemp"
)

// BenchCommand measures this program on this machine.
type BenchCommand struct {
	Figures BenchFigures `cmd:"" default:"withargs" help:"Measure sign-in, session check, memory and start against their goals."`
	Timing  BenchTiming  `cmd:"" help:"Measure whether unknown names can be told from wrong passwords by the time an answer takes."`
	Bare    BenchBare    `cmd:"" hidden:"" help:"The handler that the session check is compared with."`
}

// Help follows the line above.
func (BenchCommand) Help() string {
	return "\"figures\" is what it does without a name: gatehouse bench --seconds 30 check memory\n\nFlags and parts: gatehouse bench figures --help"
}

// benchFlags are those of both benches.
type benchFlags struct {
	JSON bool `help:"Print one JSON object a line and figure."`
}

// BenchFigures measures the numbers that are promised.
type BenchFigures struct {
	benchFlags
	Seconds  int      `default:"10" placeholder:"N" help:"Seconds that each part is measured, and as long again its baseline. 10 when not given."`
	Postgres string   `placeholder:"DSN" help:"A PostgreSQL server to make a database on, and drop it. Without it, a temporary one is started."`
	Parts    []string `arg:"" optional:"" name:"part" help:"Which parts: ${parts}. None means all."`
}

// benchParts are what can be measured, in order.
var benchParts = []struct {
	name string
	run  func(*bench, context.Context) error
}{
	{"signin/sqlite", (*bench).signInSQLite},
	{"signin/postgres", (*bench).signInPostgres},
	{"cpu", (*bench).signInCPU},
	{"check", (*bench).sessionCheck},
	{"memory", (*bench).memory},
	{"ready", (*bench).ready},
	{"login-storm", (*bench).loginStorm},
}

func benchPartNames() (names []string) {
	for _, part := range benchParts {
		names = append(names, part.name)
	}
	return names
}

// Run measures the parts that were asked for. It exits with 1 when a goal is missed.
func (c *BenchFigures) Run(ctx context.Context, p *program) (err error) {
	if c.Seconds < 1 {
		return &usageError{errors.New("--seconds must be 1 or more"), "gatehouse bench --help"}
	}
	for _, part := range c.Parts {
		if names := benchPartNames(); !slices.Contains(names, part) {
			return &usageError{fmt.Errorf("%q is none of the parts %s%s", part, strings.Join(names, ", "), didYouMean(part, names)), "gatehouse bench --help"}
		}
	}
	b, err := newBench(p, c.JSON)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.close()) }()
	b.length, b.server = time.Duration(c.Seconds)*time.Second, c.Postgres
	for _, part := range benchParts {
		if len(c.Parts) > 0 && !slices.Contains(c.Parts, part.name) {
			continue
		}
		if err := part.run(b, ctx); err != nil {
			return fmt.Errorf("%s: %w", part.name, err)
		}
	}
	return b.report.end()
}

// bench is one run.
type bench struct {
	p      *program
	report *report
	dir    string
	hash   authenticators.Parameters
	bare   bareHasher
	hashes float64       // bare hashes a second on this machine, roughly
	length time.Duration // of each part
	server string        // the PostgreSQL server; "" = none yet
	temp   *pgtemp.Server
	houses map[string]*benchHouse
	drop   []string // databases made on server
}

// newBench refuses to judge other hash parameters than the defaults: with
// cheaper ones every ratio would look different and no goal would mean anything.
func newBench(p *program, asJSON bool) (*bench, error) {
	l := p.load(nil)
	hash := authenticators.Parameters{MemoryKiB: uint32(l.HashMemory), Time: uint32(l.HashTime), Threads: uint8(l.HashThreads)}
	text := fmt.Sprintf("argon2id m=%d,t=%d,p=%d", hash.MemoryKiB, hash.Time, hash.Threads)
	fmt.Fprintf(p.err, "Hash parameters: %s (%d MiB). Cores: %d.\n", text, hash.MemoryKiB>>10, runtime.GOMAXPROCS(0))
	if hash != authenticators.DefaultParameters {
		return nil, &usageError{next(errors.New("the goals are about the default hash parameters, and the configuration names others"),
			"run it without that configuration and without GATEHOUSE_PASSWORDS_… in the environment"), "gatehouse bench --help"}
	}
	dir, err := os.MkdirTemp("", "gatehouse-bench-")
	if err != nil {
		return nil, err
	}
	return &bench{p: p, dir: dir, hash: hash, bare: newBareHasher(), houses: map[string]*benchHouse{},
		report: &report{out: p.out, json: asJSON, hash: text}}, nil
}

func (b *bench) close() error {
	var errs []error
	for _, name := range b.drop {
		errs = append(errs, pgtemp.DropDatabase(b.server, name))
	}
	if b.temp != nil {
		errs = append(errs, b.temp.Close())
	}
	return errors.Join(append(errs, os.RemoveAll(b.dir))...)
}

// rate is how many hashes this machine does in a second, found once.
func (b *bench) rate(ctx context.Context) (float64, error) {
	if b.hashes > 0 {
		return b.hashes, nil
	}
	n := 4 * runtime.GOMAXPROCS(0)
	if _, err := b.bare.many(ctx, b.hash, n/2); err != nil { // warm up
		return 0, err
	}
	took, err := b.bare.many(ctx, b.hash, n)
	b.hashes = float64(n) / took.Seconds()
	return b.hashes, err
}

// cheapest are the lowest parameters that a configuration may name.
var cheapest = authenticators.Parameters{MemoryKiB: 8192, Time: 1, Threads: 1}

// house makes an installation at first use: "sqlite" or "postgres", with
// "/cheap" for the lowest hash parameters.
func (b *bench) house(ctx context.Context, name string) (*benchHouse, error) {
	if h, ok := b.houses[name]; ok {
		return h, nil
	}
	rate, err := b.rate(ctx)
	if err != nil {
		return nil, err
	}
	base, cheap := strings.CutSuffix(name, "/cheap")
	dsn, more := "", ""
	if base == "postgres" {
		if dsn, err = b.database(); err != nil {
			return nil, err
		}
	}
	steps := max(200, int(10*rate))
	if cheap {
		steps, more = 100_000, fmt.Sprintf("passwords: {memory_kib: %d, time: %d, threads: %d}\n", cheapest.MemoryKiB, cheapest.Time, cheapest.Threads)
	}
	h, err := newBenchHouse(ctx, b.dir, name, dsn, steps, more)
	b.houses[name] = h
	return h, err
}

func (b *bench) database() (dsn string, err error) {
	if b.server == "" {
		if b.temp, err = pgtemp.Start(pgtemp.Options{Durable: true}); err != nil {
			return "", next(err, "install PostgreSQL, or name a server with --postgres")
		}
		b.server = b.temp.URL
	}
	name := "gatehouse_bench_" + strings.ToLower(rand.Text()[:8])
	if dsn, err = pgtemp.MakeDatabase(b.server, name); err != nil {
		return "", next(err, "give --postgres a user who may make databases, as postgres://user@host/name")
	}
	b.drop = append(b.drop, name)
	return dsn, nil
}

// open makes sure that a house has people for so many sign-ins, and serves it.
func (b *bench) open(ctx context.Context, name string, signIns int) (*benchServer, error) {
	h, err := b.house(ctx, name)
	if err != nil {
		return nil, err
	}
	if err := b.invite(ctx, h, signIns); err != nil {
		return nil, err
	}
	return h.serve(ctx)
}

// BenchBare is a process of its own, so that it is measured as the server is.
type BenchBare struct{}

// Run answers everything with what a session check looks like, until it is killed.
func (BenchBare) Run(p *program) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Fprintln(p.out, l.Addr())
	return http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, `{"active":true}`)
	}))
}

// steps shows how far something is: a bar on a terminal, nothing elsewhere.
func (b *bench) steps(what string, total int) *stepBar {
	f, ok := b.p.err.(*os.File)
	if !ok || !isatty.IsTerminal(f.Fd()) {
		return &stepBar{}
	}
	progress := mpb.New(mpb.WithOutput(f), mpb.WithWidth(40))
	return &stepBar{progress, progress.AddBar(int64(total), mpb.BarRemoveOnComplete(),
		mpb.PrependDecorators(decor.Name(what+"  "), decor.CountersNoUnit("%d / %d")),
		mpb.AppendDecorators(decor.Percentage(decor.WC{W: 5}), decor.Name("  "), decor.AverageETA(decor.ET_STYLE_GO)))}
}

type stepBar struct {
	progress *mpb.Progress // nil when nobody watches
	bar      *mpb.Bar
}

func (s *stepBar) one() {
	if s.progress != nil {
		s.bar.Increment()
	}
}

func (s *stepBar) end(good bool) { (&bar{progress: s.progress, bar: s.bar}).end(good) }

// ticketOf reads the ticket that a session check renewed, if it did.
func ticketOf(body []byte, old string) string {
	var said struct{ Ticket string }
	if json.Unmarshal(body, &said) == nil && said.Ticket != "" {
		return said.Ticket
	}
	return old
}
