package tokens

import (
	"errors"
	"fmt"
	"io"
)

// Row is one token of a file, or why it is refused. Err says it in plain words and
// never with the secret.
type Row struct {
	Line  int
	Token Token // without ID, state and account
	Err   error
}

// Refusal is a row that was not taken.
type Refusal struct {
	Line   int
	Reason string
}

// Report is what an import does, or would do.
type Report struct {
	Read    int
	New     int
	Known   int // there already, with the same secret: nothing to do
	Renewed int // was returned, and came again from its maker with another secret
	Refused int

	Refusals []Refusal // the first mostRefusals of them
}

// mostRefusals bounds how much of a hopeless file is kept in memory.
const mostRefusals = 1000

// Refuse counts a row that was not taken.
func (r *Report) Refuse(line int, reason string) {
	r.Refused++
	if len(r.Refusals) < mostRefusals {
		r.Refusals = append(r.Refusals, Refusal{line, reason})
	}
}

// Reader reads tokens from a file, one after the other.
type Reader interface {
	// Next is the next row; io.EOF after the last. Another error ends the file: what
	// comes after it cannot be read.
	Next() (Row, error)
}

// maxFile bounds a file: a hundred thousand tokens fit.
const maxFile = 128 << 20

// limitedFile fails instead of ending a file early that is too large.
type limitedFile struct {
	r    io.Reader
	left int64
}

func (l *limitedFile) Read(p []byte) (int, error) {
	if l.left <= 0 {
		return 0, fmt.Errorf("the file is larger than %d MB; import it in parts", maxFile>>20)
	}
	n, err := l.r.Read(p[:min(int64(len(p)), l.left)])
	l.left -= int64(n)
	return n, err
}

// Key opens the encrypted values of a PSKC file: the key itself, or the passphrase
// that it is made from.
type Key struct {
	Bytes      []byte
	Passphrase string
}

// ErrKeyNeeded says that a file is encrypted and no key was given.
var ErrKeyNeeded = errors.New("the secrets in this file are encrypted, and no key was given")

// ErrWrongKey says that nothing in a file opens with the key.
var ErrWrongKey = errors.New("the key does not open this file, or the file was changed on its way")
