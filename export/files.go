package export

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"time"

	"gatehouse/events"
	"gatehouse/id"
)

// Files appends events to events-YYYY-MM-DD.jsonl in a folder, one a line: a new
// file each day (UTC, by the day of writing), in the order of the log. A file of
// an earlier day is not touched again, so it can be moved, packed or deleted; the
// newest are what a crash is mended from.
type Files struct {
	personal bool
	now      func() time.Time
	disk     disk
	aside    aside

	// What is known of the folder since it was opened; nothing when now is nil.
	file file
	name string
	size int64
	last *recent
}

// NewFiles writes into a folder, which is made when it is not there. personal says
// whether personal data goes along.
func NewFiles(path string, personal bool, now func() time.Time) *Files {
	return newFiles(folder(path), personal, now)
}

func newFiles(d disk, personal bool, now func() time.Time) *Files {
	return &Files{personal: personal, now: now, disk: d, aside: newAside()}
}

// Out appends the events that the folder has not got, and returns when they are on
// the disk. It is a follower's Out.
func (f *Files) Out(ctx context.Context, page []events.Event) error {
	return f.aside.run(ctx, func() error { return f.write(page) })
}

func (f *Files) write(page []events.Event) error {
	unlock, err := f.disk.lock()
	if err != nil {
		return away(err)
	}
	defer unlock()
	if err := f.ready(); err != nil {
		f.forget()
		return away(err)
	}
	text, fresh, err := f.lines(page)
	if err != nil || len(fresh) == 0 {
		return err
	}
	if err := f.append(text); err != nil {
		f.forget()
		return away(err)
	}
	f.size += int64(len(text))
	for _, e := range fresh {
		f.last.add(e)
	}
	return nil
}

// lines puts what the folder has not got into one text.
func (f *Files) lines(page []events.Event) (text []byte, fresh []id.Event, err error) {
	for _, e := range page {
		if f.last.has[e.ID] {
			continue
		}
		line, err := encode(e, f.personal)
		if err != nil {
			return nil, nil, fmt.Errorf("%s: %w", e.ID, err)
		}
		text, fresh = append(append(text, line...), '\n'), append(fresh, e.ID)
	}
	return text, fresh, nil
}

// append writes and makes it last. When either fails the file goes back to what it
// was: after a failed sync the system forgets that the pages are not on the disk,
// and a second sync would say all is well.
func (f *Files) append(text []byte) error {
	_, err := f.file.Write(text)
	if err == nil {
		err = f.file.Sync()
	}
	if err == nil {
		return nil
	}
	return errors.Join(err, f.file.Truncate(f.size))
}

// ready has the file of today open and its end known. A file that is not as we
// left it was written by another process, or moved: then all is looked at again.
func (f *Files) ready() error {
	if f.file != nil && !f.asLeft() {
		f.forget()
	}
	if f.file == nil {
		if err := f.recover(); err != nil {
			return err
		}
	}
	if today := nameOf(f.now()); today > f.name { // a clock that goes back opens no old file
		return f.begin(today)
	}
	return nil
}

func (f *Files) asLeft() bool {
	names, err := f.ours()
	if err != nil || len(names) == 0 || names[len(names)-1] != f.name {
		return false
	}
	size, err := f.file.Size()
	return err == nil && size == f.size
}

func (f *Files) forget() {
	if f.file != nil {
		_ = f.file.Close() // what it held has been synced, or taken back
	}
	f.file, f.name, f.size, f.last = nil, "", 0, nil
}

// begin opens a new day's file. Its name lasts before anything is written to it.
func (f *Files) begin(name string) error {
	next, err := f.disk.open(name)
	if err != nil {
		return err
	}
	if err := f.disk.syncFolder(); err != nil {
		return errors.Join(err, next.Close())
	}
	last := f.last
	f.forget()
	f.file, f.name, f.last = next, name, last
	return nil
}

// recover reads the ends of the newest files until it has seen enough events: a
// page that was broken off day after day lies in as many files. What a dead process
// wrote and did not sync is synced here, before anything of it counts as written.
func (f *Files) recover() error {
	names, err := f.ours()
	if err != nil {
		return err
	}
	var tails [][]byte
	for seen := 0; len(names) > 0 && seen < look; names = names[:len(names)-1] {
		tail, err := f.open(names[len(names)-1])
		if err != nil {
			return fmt.Errorf("%s: %w", names[len(names)-1], err)
		}
		seen += bytes.Count(tail, []byte{'\n'})
		tails = append(tails, tail)
	}
	f.last = newRecent()
	for _, tail := range slices.Backward(tails) {
		note(tail, f.last)
	}
	return f.disk.syncFolder()
}

// open mends a file and returns its end; the newest stays open, to be written to.
func (f *Files) open(name string) ([]byte, error) {
	opened, err := f.disk.open(name)
	if err != nil {
		return nil, err
	}
	tail, size, err := mend(opened)
	if f.file == nil {
		f.file, f.name, f.size = opened, name, size
		return tail, err
	}
	return tail, errors.Join(err, opened.Close())
}

// maxTail bounds what is read of a file's end, in bytes: more than look lines of
// the longest sort.
const maxTail = 32 << 20

var errNotLines = errors.New("its end is not made of lines; move it away")

// mend cuts off a line that was not finished, syncs the file, and returns its end
// and its size.
func mend(f file) (tail []byte, size int64, err error) {
	if size, err = f.Size(); err != nil {
		return nil, 0, err
	}
	from := max(0, size-maxTail)
	tail = make([]byte, size-from)
	if _, err := f.ReadAt(tail, from); err != nil && len(tail) > 0 {
		return nil, 0, err
	}
	whole := finished(tail)
	if whole == 0 && from > 0 {
		return nil, 0, errNotLines
	}
	size = from + int64(whole)
	if whole < len(tail) {
		if err := f.Truncate(size); err != nil {
			return nil, 0, err
		}
	}
	return tail[:whole], size, f.Sync()
}

// finished is where the last whole line ends. A power cut may also leave zeros
// where a disk made room and wrote nothing: a line with one is not whole.
func finished(tail []byte) int {
	if zero := bytes.IndexByte(tail, 0); zero >= 0 {
		tail = tail[:zero]
	}
	return bytes.LastIndexByte(tail, '\n') + 1
}

// note remembers the events of the last lines. A line that is none of ours says nothing.
func note(tail []byte, last *recent) {
	for line := range bytes.Lines(tail) {
		var l struct {
			ID id.Event `json:"id"`
		}
		if json.Unmarshal(line, &l) == nil && l.ID != "" {
			last.add(l.ID)
		}
	}
}

var ourName = regexp.MustCompile(`^events-\d{4}-\d\d-\d\d\.jsonl$`)

func nameOf(now time.Time) string { return "events-" + now.UTC().Format(time.DateOnly) + ".jsonl" }

// ours are the files of the folder that we write, oldest first.
func (f *Files) ours() ([]string, error) {
	all, err := f.disk.names()
	if err != nil {
		return nil, err
	}
	all = slices.DeleteFunc(all, func(n string) bool { return !ourName.MatchString(n) })
	slices.Sort(all)
	return all, nil
}
