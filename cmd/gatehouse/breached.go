package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/dustin/go-humanize"
	"github.com/mattn/go-isatty"
	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	"gatehouse/authenticators"
)

// BreachedCommand looks after the filter of breached passwords.
type BreachedCommand struct {
	Build BreachedBuild `cmd:"" help:"Make a filter file from a list of passwords or of their SHA-1 hashes."`
	Check BreachedCheck `cmd:"" help:"Ask whether a password is in a filter. It is read without showing it."`
}

// BreachedBuild makes a filter file.
type BreachedBuild struct {
	In          string `required:"" placeholder:"FILE" help:"The list, one password or hash a line; - reads standard input."`
	Out         string `required:"" placeholder:"FILE" help:"The filter to write. An existing one is replaced in one step."`
	Format      string `enum:"auto,passwords,sha1" default:"auto" help:"passwords: the passwords themselves. sha1: HASH or HASH:count, as Have I Been Pwned hands them out. auto: the first line says."`
	SeenAtLeast int    `default:"1" help:"Leave out hashes whose count is lower. It keeps the file small and loses what few people use."`
	Max         int    `default:"0" help:"Stop above so many passwords; 0 is 100 million, about 5 GB of memory."`
}

// Run builds the filter beside its place and moves it there when it is whole.
func (c *BreachedBuild) Run(p *program) error {
	in, size, err := openList(p, c.In)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.CreateTemp(filepath.Dir(c.Out), ".breached-*")
	if err != nil {
		return next(err, "name a folder you may write to after --out")
	}
	defer os.Remove(out.Name())
	built, err := c.build(p, in, size, out)
	if err := errors.Join(err, out.Chmod(0o644), out.Sync(), out.Close()); err != nil {
		return err
	}
	if err := os.Rename(out.Name(), c.Out); err != nil {
		return err
	}
	path, err := filepath.Abs(c.Out) // a relative one would be relative to the configuration
	if err != nil {
		return err
	}
	fmt.Fprintf(p.out, "Made %s of %s %s. To use it:\n  passwords:\n    breached_file: %s\n", c.Out,
		humanize.Comma(int64(built.Count)), either(built.Count == 1, "password", "passwords"), path)
	return nil
}

func (c *BreachedBuild) build(p *program, in io.Reader, size int64, out io.Writer) (*authenticators.Breached, error) {
	kind := authenticators.ListKind(c.Format)
	if c.Format == "auto" {
		kind = authenticators.ListAuto
	}
	bar := newBar(p, size)
	built, err := authenticators.BuildBreached(in, out, authenticators.BuildOptions{
		Kind: kind, Source: shortName(c.In), SeenAtLeast: c.SeenAtLeast, MaxKeys: c.Max, Total: size,
		Progress: func(done, _ int64) { bar.to(done) },
		Warn:     func(line int64, why string) { bar.say("%s:%d: %s", c.In, line, why) },
	})
	bar.end(err == nil)
	return built, next(err, "name how the list is written with --format, and look at that line")
}

func openList(p *program, path string) (in io.ReadCloser, size int64, err error) {
	if path == "-" {
		return io.NopCloser(p.in), 0, nil
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, 0, next(err, "check the path after --in")
	}
	st, err := f.Stat()
	if err != nil {
		return nil, 0, errors.Join(err, f.Close())
	}
	return f, st.Size(), nil
}

func shortName(path string) string {
	name := filepath.Base(path)
	return name[:min(len(name), 256)]
}

// bar shows how far a build is: a moving bar on a terminal, nothing elsewhere,
// because in a log every frame would be a line.
type bar struct {
	w        io.Writer
	progress *mpb.Progress // nil when nobody watches
	bar      *mpb.Bar
}

func newBar(p *program, size int64) *bar {
	f, ok := p.err.(*os.File)
	if !ok || !isatty.IsTerminal(f.Fd()) {
		return &bar{w: p.err}
	}
	progress := mpb.New(mpb.WithOutput(f), mpb.WithWidth(48))
	return &bar{w: progress, progress: progress, bar: progress.AddBar(size,
		mpb.PrependDecorators(decor.Name("Reading  "), decor.CountersKibiByte("% .1f / % .1f")),
		mpb.AppendDecorators(decor.Percentage(decor.WC{W: 5}), decor.Name("  "), decor.OnComplete(decor.AverageETA(decor.ET_STYLE_GO), "building the filter")),
	)}
}

func (b *bar) to(done int64) {
	if b.bar != nil {
		b.bar.SetCurrent(done)
	}
}

func (b *bar) say(format string, args ...any) { fmt.Fprintf(b.w, format+"\n", args...) }

func (b *bar) end(good bool) {
	if b.progress == nil {
		return
	}
	if good {
		b.bar.SetTotal(-1, true)
	} else {
		b.bar.Abort(true)
	}
	b.progress.Wait()
}

// BreachedCheck asks a filter about one password.
type BreachedCheck struct {
	File string `placeholder:"FILE" help:"The filter. Without it, passwords.breached_file of the configuration, or the one inside the program."`
}

// Run asks for a password and says what the filter knows. It exits with 1 when
// the password is in it.
func (c *BreachedCheck) Run(p *program) error {
	filter, err := c.open(p)
	if err != nil {
		return err
	}
	pw, err := p.askSecret("Password: ")
	if err != nil {
		return err
	}
	if filter.Contains(pw) {
		return next(fmt.Errorf("it is in %s (%s passwords)", filter.Source, humanize.Comma(int64(filter.Count))),
			"choose another wherever it is used; about one good password in 65,000 is named by mistake")
	}
	fmt.Fprintf(p.out, "It is not in %s (%s passwords).\n", filter.Source, humanize.Comma(int64(filter.Count)))
	return nil
}

func (c *BreachedCheck) open(p *program) (*authenticators.Breached, error) {
	path := c.File
	if path == "" {
		path = p.load(nil).Breached
	}
	if path == "" {
		return authenticators.Embedded(), nil
	}
	return authenticators.OpenBreached(path)
}
