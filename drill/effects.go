package drill

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"

	"gatehouse/events"
)

// exported reads what the export follower has written: the effect that a drill
// can count without asking the program.
type exported struct {
	dir    string
	read   map[string]int64 // file → how far
	ids    map[string]int
	last   map[string]int64 // account → position of the latest line
	inside map[string]bool  // sessions with a sign-in
	kinds  map[string]int
	early  int // lines that stand behind a later one of the same account
	broken int // lines that are none
}

func newExported(dir string) *exported {
	return &exported{dir: dir, read: map[string]int64{}, ids: map[string]int{}, last: map[string]int64{}, inside: map[string]bool{}, kinds: map[string]int{}}
}

// look reads what has come since the last look.
func (e *exported) look() error {
	files, err := filepath.Glob(filepath.Join(e.dir, "*.jsonl"))
	if err != nil {
		return err
	}
	slices.Sort(files)
	for _, file := range files {
		if err := e.more(file); err != nil {
			return err
		}
	}
	return nil
}

func (e *exported) more(file string) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return err
	}
	text := make([]byte, max(0, st.Size()-e.read[file]))
	n, _ := f.ReadAt(text, e.read[file]) // what was cut off meanwhile comes with the next look
	text = text[:bytes.LastIndexByte(text[:n], '\n')+1]
	e.read[file] += int64(len(text))
	for line := range bytes.Lines(text) {
		e.line(line)
	}
	return nil
}

func (e *exported) line(text []byte) {
	var l struct {
		ID, Kind, Account, Session string
		Position                   int64
	}
	if json.Unmarshal(text, &l) != nil || l.ID == "" {
		e.broken++
		return
	}
	e.ids[l.ID]++
	e.kinds[l.Kind]++
	if e.ids[l.ID] == 1 && l.Account != "" {
		if l.Position < e.last[l.Account] {
			e.early++
		}
		e.last[l.Account] = l.Position
	}
	if l.Kind == string(events.SignedIn) && l.Session != "" {
		e.inside[l.Session] = true
	}
}

// twice counts events that were written more than once.
func (e *exported) twice() (n int) {
	for _, times := range e.ids {
		n += times - 1
	}
	return n
}
