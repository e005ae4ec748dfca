package main

import (
	"bufio"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/mattn/go-isatty"

	"gatehouse/events"
	"gatehouse/tokens"
)

// TokenImport reads a file of tokens.
type TokenImport struct {
	File           string `arg:"" help:"The file; - reads it from standard input."`
	Apply          bool   `help:"Write. Without it nothing is changed, and the report says what would be."`
	Format         string `default:"auto" enum:"auto,pskc,csv" help:"auto looks at how the file begins."`
	KeyFile        string `type:"existingfile" placeholder:"FILE" help:"For encrypted PSKC: a file with the pre-shared key in hexadecimal digits."`
	PassphraseFile string `type:"existingfile" placeholder:"FILE" help:"For encrypted PSKC: a file with the passphrase."`
	AskPassphrase  bool   `help:"Ask for the passphrase; what is typed is not shown. Keys are never given on the command line, where other people on this machine could read them."`
	JSON           bool   `name:"json" help:"The report as JSON."`
}

// Run reads the file, and says what was, or would be, done.
func (c *TokenImport) Run(ctx context.Context, p *program) error {
	key, err := c.key(p)
	if err != nil {
		return err
	}
	file := p.in
	if c.File != "-" {
		if err := checkFile(c.File, false); err != nil {
			return next(err, "name the file that the maker of the tokens sent, PSKC or CSV; - reads standard input")
		}
		if file, err = os.Open(c.File); err != nil {
			return err
		}
		defer file.Close()
	}
	text := newCounted(file)
	from, err := c.reader(text, key)
	if err != nil {
		return err
	}
	return inside(ctx, p, func(h *house) error {
		shown := newProgress(p, text)
		r, err := h.manage.ImportTokens(ctx, from, c.Apply, events.Operator, func(rows int) { shown.show(rows) })
		shown.end()
		if c.JSON {
			return errors.Join(err, c.printJSON(p.out, r))
		}
		c.print(p.out, r)
		if err != nil {
			return next(whatNextToken(err), "what stands above was%s; mend the file and import it again, which does nothing twice", either(c.Apply, " done", " only looked at"))
		}
		if r.Refused > 0 && r.New+r.Known+r.Renewed == 0 {
			return whatNextToken(c.hopeless(r))
		}
		return nil
	})
}

// hopeless is why nothing of a file could be taken.
func (c *TokenImport) hopeless(r tokens.Report) error {
	for _, e := range []error{tokens.ErrKeyNeeded, tokens.ErrWrongKey} {
		if len(r.Refusals) > 0 && r.Refusals[0].Reason == e.Error() {
			return e
		}
	}
	return next(errors.New("no token in this file could be taken"), "mend the lines above and import it again; docs/tokens.md explains the columns")
}

func (c *TokenImport) key(p *program) (k tokens.Key, err error) {
	if c.KeyFile != "" {
		text, err := os.ReadFile(c.KeyFile)
		if err != nil {
			return k, err
		}
		plain := strings.TrimPrefix(strings.Join(strings.Fields(string(text)), ""), "0x")
		if k.Bytes, err = hex.DecodeString(plain); err != nil || len(k.Bytes) != 16 && len(k.Bytes) != 24 && len(k.Bytes) != 32 {
			return k, fmt.Errorf("%s: a key is 32, 48 or 64 hexadecimal digits", c.KeyFile)
		}
	}
	switch {
	case c.PassphraseFile != "":
		text, err := os.ReadFile(c.PassphraseFile)
		k.Passphrase = strings.TrimRight(string(text), "\r\n")
		return k, err
	case c.AskPassphrase:
		secret, err := p.askSecret("Passphrase of the file: ")
		k.Passphrase = secret.Reveal()
		return k, err
	}
	return k, nil
}

// reader finds out what the file is.
func (c *TokenImport) reader(text *counted, key tokens.Key) (tokens.Reader, error) {
	format := c.Format
	if format == "auto" {
		format = either(text.isXML(), "pskc", "csv")
	}
	if format == "pskc" {
		return tokens.ReadPSKC(text, key, time.Now()), nil
	}
	from, err := tokens.ReadCSV(text)
	return from, next(err, "see docs/tokens.md for the columns")
}

func (c *TokenImport) print(w io.Writer, r tokens.Report) {
	for _, bad := range r.Refusals {
		fmt.Fprintf(w, "line %d: refused: %s\n", bad.Line, bad.Reason)
	}
	if more := r.Refused - len(r.Refusals); more > 0 {
		fmt.Fprintf(w, "… and %d more were refused.\n", more)
	}
	verb := either(c.Apply, "were", "would be")
	fmt.Fprintf(w, "%s read: %d %s taken into stock, %d known already, %d refused.\n", count(r.Read, "token"), r.New, verb, r.Known, r.Refused)
	if r.Renewed > 0 {
		fmt.Fprintf(w, "%d that had been returned %s in stock again with a new secret.\n", r.Renewed, verb)
	}
	switch {
	case !c.Apply && r.New+r.Renewed > 0:
		fmt.Fprintf(w, "Nothing was written. To do it: gatehouse token import %s --apply\n", plain(c.File))
	case c.Apply && r.New+r.Renewed > 0:
		fmt.Fprintln(w, "The file holds the secrets of these tokens: delete it now, and every copy of it.")
	}
}

func (c *TokenImport) printJSON(w io.Writer, r tokens.Report) error {
	type bad struct {
		Line   int    `json:"line"`
		Reason string `json:"reason"`
	}
	refusals := []bad{}
	for _, b := range r.Refusals {
		refusals = append(refusals, bad{b.Line, b.Reason})
	}
	return json.NewEncoder(w).Encode(map[string]any{"applied": c.Apply, "read": r.Read, "new": r.New, "known": r.Known, "renewed": r.Renewed, "refused": r.Refused, "refusals": refusals})
}

// counted is a file whose beginning can be looked at, and that counts what was read.
type counted struct {
	*bufio.Reader
	size, read int64
}

func newCounted(f *os.File) *counted {
	c := &counted{}
	if info, err := f.Stat(); err == nil && info.Mode().IsRegular() {
		c.size = info.Size()
	}
	c.Reader = bufio.NewReader(f)
	return c
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.read += int64(n)
	return n, err
}

// isXML tells whether the file begins like XML, after spaces and a byte order mark.
func (c *counted) isXML() bool {
	head, _ := c.Peek(256)
	return strings.HasPrefix(strings.TrimLeft(string(head), "\uFEFF \t\r\n"), "<")
}

// progress shows on a terminal how far a file was read.
type progress struct {
	w     io.Writer // nil: no terminal
	file  *counted
	shown bool
}

func newProgress(p *program, file *counted) *progress {
	b := &progress{file: file}
	if f, ok := p.err.(*os.File); ok && isatty.IsTerminal(f.Fd()) {
		b.w = f
	}
	return b
}

// show draws the bar anew; small files are over before anybody could read it.
func (b *progress) show(rows int) {
	if b.w == nil || rows < 400 {
		return
	}
	b.shown = true
	if b.file.size == 0 {
		fmt.Fprintf(b.w, "\r%s", count(rows, "token"))
		return
	}
	fmt.Fprintf(b.w, "\r%s %s", drawn(int(b.file.read*100/b.file.size), 100, 30), count(rows, "token"))
}

func (b *progress) end() {
	if b.shown {
		fmt.Fprint(b.w, "\r\x1b[K")
	}
}

// drawn is a bar that shows how much of all is done.
func drawn(done, all, width int) string {
	full := min(max(done*width/max(all, 1), 0), width)
	return "[" + strings.Repeat("=", full) + strings.Repeat(" ", width-full) + "]"
}
