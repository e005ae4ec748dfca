package authenticators

import (
	"bufio"
	"bytes"
	"crypto/sha1"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strconv"

	"github.com/FastFilter/xorfilter"
)

// ListKind is how a list of breached passwords is written, one a line.
type ListKind string

// The kinds of lists.
const (
	ListAuto      ListKind = ""          // the first line says: 40 hex digits are SHA-1, anything else is a password
	ListPasswords ListKind = "passwords" // the passwords themselves
	ListSHA1      ListKind = "sha1"      // "HASH" or "HASH:count", hex in any case
)

// BuildOptions say how to build a filter.
type BuildOptions struct {
	Kind        ListKind
	Source      string                     // name of the list, kept in the file; at most 256 bytes
	SeenAtLeast int                        // with "HASH:count": leave out what was seen less often
	MaxKeys     int                        // stop with an error above so many; 0 means DefaultMaxKeys
	Total       int64                      // bytes to read, for Progress; 0 when not known
	Progress    func(done, total int64)    // told after every part read; may be nil
	Warn        func(line int64, w string) // told of lines left out; may be nil
}

// DefaultMaxKeys bounds a build to about 5 GB of memory: some 50 bytes for each
// password while it runs, because a filter is made of all its keys at once.
const DefaultMaxKeys = 100_000_000

// maxLine bounds a line of a list in bytes; longer ones are no passwords.
const maxLine = 4096

// BuildBreached reads a list from r and writes the filter file to w. It keeps
// eight bytes of each password in memory and builds at the end.
func BuildBreached(r io.Reader, w io.Writer, o BuildOptions) (*Breached, error) {
	if len(o.Source) > maxSource {
		return nil, fmt.Errorf("the name of the list is longer than %d bytes", maxSource)
	}
	if o.MaxKeys == 0 {
		o.MaxKeys = DefaultMaxKeys
	}
	keys, err := o.readKeys(r)
	if err != nil {
		return nil, err
	}
	if len(keys) == 0 {
		return nil, errors.New("the list holds no password")
	}
	b := &Breached{Source: o.Source, Count: uint64(len(keys))}
	f, err := xorfilter.NewBinaryFuse[uint16](keys)
	if err != nil {
		return nil, err
	}
	b.filter = *f
	out := bufio.NewWriterSize(w, 1<<16)
	if err := b.write(out); err != nil {
		return nil, err
	}
	return b, out.Flush()
}

func (o *BuildOptions) readKeys(r io.Reader) (keys []uint64, err error) {
	in := bufio.NewReaderSize(r, maxLine)
	var done, told int64
	for n := int64(1); ; n++ {
		line, size, err := readLine(in)
		done += size
		if o.Progress != nil && (done-told >= 1<<20 || err != nil) {
			o.Progress(done, o.Total)
			told = done
		}
		if errors.Is(err, io.EOF) && size == 0 {
			return keys, nil
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, err
		}
		key, take, err := o.keyOfLine(line)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		if !take {
			o.warn(n, line)
			continue
		}
		if len(keys) == o.MaxKeys {
			return nil, fmt.Errorf("the list holds more than %d passwords, which would need about %d MB of memory; raise --max or leave rare ones out with --seen-at-least", o.MaxKeys, o.MaxKeys/20_000)
		}
		keys = append(keys, key)
	}
}

func (o *BuildOptions) warn(n int64, line []byte) {
	if o.Warn != nil && line == nil {
		o.Warn(n, fmt.Sprintf("longer than %d bytes, left out", maxLine))
	}
}

// keyOfLine reads one line; take is false for a line to leave out. The first line
// settles the kind of the list.
func (o *BuildOptions) keyOfLine(line []byte) (key uint64, take bool, err error) {
	if len(line) == 0 {
		return 0, false, nil
	}
	if o.Kind == ListAuto {
		o.Kind = ListPasswords
		if _, _, err := parseSHA1(line); err == nil {
			o.Kind = ListSHA1
		}
	}
	switch o.Kind {
	case ListPasswords:
		return keyOf(sha1.Sum(line)), true, nil
	case ListSHA1:
		sum, count, err := parseSHA1(line)
		return keyOf(sum), err == nil && count >= o.SeenAtLeast, err
	}
	return 0, false, fmt.Errorf("a list is of passwords or sha1, not %q", o.Kind)
}

// parseSHA1 reads "HASH" or "HASH:count". Without a count it was seen often enough.
func parseSHA1(line []byte) (sum [sha1.Size]byte, count int, err error) {
	hash, times, counted := bytes.Cut(bytes.TrimSpace(line), []byte(":"))
	count = int(^uint(0) >> 1)
	if counted {
		if count, err = strconv.Atoi(string(times)); err != nil {
			return sum, 0, errors.New("not a SHA-1 in hex with a count behind a colon")
		}
	}
	if len(hash) != hex.EncodedLen(len(sum)) {
		return sum, 0, errors.New("not a SHA-1 in hex (40 digits)")
	}
	if _, err := hex.Decode(sum[:], hash); err != nil {
		return sum, 0, errors.New("not a SHA-1 in hex (40 digits)")
	}
	return sum, count, nil
}

// readLine returns a line without its end and how many bytes it took, end
// included; a line that does not fit the buffer comes back nil.
func readLine(in *bufio.Reader) (line []byte, size int64, err error) {
	part, err := in.ReadSlice('\n')
	size = int64(len(part))
	if !errors.Is(err, bufio.ErrBufferFull) {
		return bytes.TrimSuffix(bytes.TrimSuffix(part, []byte("\n")), []byte("\r")), size, err
	}
	for errors.Is(err, bufio.ErrBufferFull) {
		part, err = in.ReadSlice('\n')
		size += int64(len(part))
	}
	return nil, size, err
}
