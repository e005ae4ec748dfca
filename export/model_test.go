package export

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
)

// A memory disk that forgets what was not synced when its plug is pulled, and
// stops at any step it is told to.

var errCrash = errors.New("the process died here")

type memory struct {
	files map[string]*content
	kept  map[string]*content // names that last: as of the last syncFolder

	step  int   // steps done
	stop  int   // die at this step, from 1; 0 never
	after bool  // … after it took effect, not before
	part  int   // a write that dies leaves this many bytes
	fail  error // instead of dying, this step fails and the process goes on
	dead  bool
}

// content is what reads see, and what would be left after a power cut.
type content struct{ now, synced []byte }

func newMemory() *memory { return &memory{files: map[string]*content{}, kept: map[string]*content{}} }

// at counts a step and tells whether it takes effect. A dead process does nothing more.
func (m *memory) at(do func(), torn func()) error {
	if m.dead {
		return errCrash
	}
	m.step++
	if m.step != m.stop {
		do()
		return nil
	}
	switch {
	case m.after:
		do()
	case torn != nil:
		torn()
	}
	if m.fail != nil {
		return m.fail
	}
	m.dead = true
	return errCrash
}

// restart is another process on the same disk.
func (m *memory) restart() { m.step, m.stop, m.dead, m.fail = 0, 0, false, nil }

// cut pulls the plug: of what was not synced, some share of the bytes is left
// behind as written, as zeros, or not at all.
func (m *memory) cut(share int, zeros bool) {
	m.files = maps.Clone(m.kept)
	for name, c := range m.files {
		left := bytes.Clone(c.synced)
		if more := len(c.now) - len(left); more > 0 && bytes.HasPrefix(c.now, c.synced) {
			rest := c.now[len(left) : len(left)+more*share/100]
			if zeros {
				rest = make([]byte, len(rest))
			}
			left = append(left, rest...)
		}
		m.files[name] = &content{left, bytes.Clone(left)}
	}
	m.kept = maps.Clone(m.files)
}

func (m *memory) lock() (func(), error) {
	if m.dead {
		return nil, errCrash
	}
	return func() {}, nil
}

func (m *memory) names() ([]string, error) {
	if m.dead {
		return nil, errCrash
	}
	return slices.Collect(maps.Keys(m.files)), nil
}

func (m *memory) open(name string) (file, error) {
	err := m.at(func() {
		if m.files[name] == nil {
			m.files[name] = &content{}
		}
	}, nil)
	if err != nil {
		return nil, err
	}
	return &memoryFile{m, m.files[name]}, nil
}

func (m *memory) syncFolder() error {
	return m.at(func() { m.kept = maps.Clone(m.files) }, nil)
}

type memoryFile struct {
	m *memory
	c *content
}

func (f *memoryFile) Write(p []byte) (int, error) {
	err := f.m.at(func() { f.c.now = append(f.c.now, p...) }, func() { f.c.now = append(f.c.now, p[:min(len(p), f.m.part)]...) })
	if err != nil {
		return 0, err
	}
	return len(p), nil
}

func (f *memoryFile) Sync() error {
	return f.m.at(func() { f.c.synced = bytes.Clone(f.c.now) }, nil)
}

func (f *memoryFile) Truncate(size int64) error {
	return f.m.at(func() { f.c.now = f.c.now[:size] }, nil)
}

func (f *memoryFile) ReadAt(p []byte, from int64) (int, error) {
	n := copy(p, f.c.now[from:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (f *memoryFile) Size() (int64, error) { return int64(len(f.c.now)), nil }
func (f *memoryFile) Close() error         { return nil }

// all is every line of every file, oldest file first.
func (m *memory) all() string {
	var b bytes.Buffer
	for _, name := range slices.Sorted(maps.Keys(m.files)) {
		fmt.Fprintf(&b, "%s", m.files[name].now)
	}
	return b.String()
}
