package authenticators

import (
	"bytes"
	"crypto/sha1"
	"crypto/sha256"
	_ "embed"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"

	"github.com/FastFilter/xorfilter"

	"gatehouse/seal"
)

// Breached is a filter of passwords that leaked: it never misses one that it was
// built from, and takes another for one of them once in about 65,000 times.
type Breached struct {
	Source string // where the passwords come from, as named when it was built
	Count  uint64 // how many it was built from
	filter xorfilter.BinaryFuse[uint16]
}

// embedded is built from the list named in docs/passwords.md; to make it again:
//
//	go test ./authenticators -run Embedded -update
//
//go:embed common.filter
var embedded []byte

var openEmbedded = sync.OnceValues(func() (*Breached, error) { return readBreached(bytes.NewReader(embedded), int64(len(embedded))) })

// Embedded is the small filter that is part of the program.
func Embedded() *Breached {
	b, err := openEmbedded()
	if err != nil {
		panic(err) // embedded at build time; a test opens it
	}
	return b
}

// OpenBreached reads a filter file whole: it needs as much memory as the file is
// long. A file that is damaged, or of a later version, is an error.
func OpenBreached(path string) (*Breached, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	b, err := readBreached(f, st.Size())
	if err != nil {
		return nil, fmt.Errorf("%s: %w; make a new one: gatehouse breached build", path, err)
	}
	return b, nil
}

// Contains tells whether a password is in the list, as it was typed or in the
// form in which it is hashed. A nil filter contains nothing.
func (b *Breached) Contains(pw seal.Secret) bool {
	return b != nil && b.containsAny([]string{pw.Reveal(), normal(pw.Reveal())})
}

// Bytes is the memory the filter takes.
func (b *Breached) Bytes() int64 {
	if b == nil {
		return 0
	}
	return 2 * int64(len(b.filter.Fingerprints))
}

func (b *Breached) containsAny(forms []string) bool {
	found := false
	for _, f := range forms {
		found = b.filter.Contains(keyOf(sha1.Sum([]byte(f)))) || found
	}
	return found
}

// keyOf is what of a password goes into the filter: the first 64 bits of its
// SHA-1, because the public lists of breached passwords are lists of SHA-1.
func keyOf(sum [sha1.Size]byte) uint64 { return binary.BigEndian.Uint64(sum[:8]) }

// The file: magic with version, a header of fixed size, the source's name, the
// fingerprints, and the SHA-256 of all before it. Numbers are little-endian.
const (
	breachedMagic = "GATEHOUSE BREACHED 1\n"
	maxSource     = 256
)

type breachedHeader struct {
	Count              uint64
	Seed               uint64
	SegmentLength      uint32
	SegmentLengthMask  uint32
	SegmentCount       uint32
	SegmentCountLength uint32
	Fingerprints       uint32
	SourceBytes        uint32
}

var errBreachedFile = errors.New("not a filter of breached passwords, or damaged")

func (b *Breached) write(w io.Writer) error {
	f := b.filter
	sum := sha256.New()
	out := io.MultiWriter(w, sum)
	if _, err := io.WriteString(out, breachedMagic); err != nil {
		return err
	}
	h := breachedHeader{b.Count, f.Seed, f.SegmentLength, f.SegmentLengthMask, f.SegmentCount, f.SegmentCountLength,
		uint32(len(f.Fingerprints)), uint32(len(b.Source))}
	if err := binary.Write(out, binary.LittleEndian, h); err != nil {
		return err
	}
	if _, err := io.WriteString(out, b.Source); err != nil {
		return err
	}
	if err := binary.Write(out, binary.LittleEndian, f.Fingerprints); err != nil {
		return err
	}
	_, err := w.Write(sum.Sum(nil))
	return err
}

// readBreached checks every length against size before memory is taken for it,
// and the sum before anything is believed.
func readBreached(r io.Reader, size int64) (*Breached, error) {
	sum := sha256.New()
	in := io.TeeReader(r, sum)
	magic := make([]byte, len(breachedMagic))
	var h breachedHeader
	if _, err := io.ReadFull(in, magic); err != nil || string(magic) != breachedMagic {
		return nil, errBreachedFile
	}
	if err := binary.Read(in, binary.LittleEndian, &h); err != nil || !h.fits(size) {
		return nil, errBreachedFile
	}
	source := make([]byte, h.SourceBytes)
	prints := make([]uint16, h.Fingerprints)
	if _, err := io.ReadFull(in, source); err != nil {
		return nil, errBreachedFile
	}
	if err := binary.Read(in, binary.LittleEndian, prints); err != nil {
		return nil, errBreachedFile
	}
	want := make([]byte, sha256.Size)
	if _, err := io.ReadFull(r, want); err != nil || !bytes.Equal(want, sum.Sum(nil)) {
		return nil, errBreachedFile
	}
	return &Breached{string(source), h.Count, xorfilter.BinaryFuse[uint16]{
		Seed: h.Seed, SegmentLength: h.SegmentLength, SegmentLengthMask: h.SegmentLengthMask,
		SegmentCount: h.SegmentCount, SegmentCountLength: h.SegmentCountLength, Fingerprints: prints,
	}}, nil
}

// fits tells whether the numbers agree with each other and with the file's size:
// a filter that does not would read outside its own array.
func (h breachedHeader) fits(size int64) bool {
	want := int64(len(breachedMagic)) + int64(binary.Size(h)) + int64(h.SourceBytes) + 2*int64(h.Fingerprints) + sha256.Size
	length, segments := uint64(h.SegmentLength), uint64(h.SegmentCount)
	return size == want && h.SourceBytes <= maxSource &&
		length > 0 && length&(length-1) == 0 && h.SegmentLengthMask == h.SegmentLength-1 &&
		uint64(h.SegmentCountLength) == segments*length && uint64(h.Fingerprints) == (segments+2)*length
}
