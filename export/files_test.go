package export

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"gatehouse/events"
	"gatehouse/fault"
	"gatehouse/id"
	"gatehouse/store/storetest"
)

func happened(n int) []events.Event {
	all := make([]events.Event, n)
	for i := range all {
		all[i] = events.Event{
			ID: id.Event(fmt.Sprintf("0199f000-0000-7000-8000-%012d", i)), Kind: events.SignedIn, Version: 1, Position: int64(i + 1),
			Account: "a", Actor: "a", Node: "n", Data: map[string]string{"method": "password+totp"},
			Personal: map[string]string{"email": "ana@example.com", "network": "198.51.100.7"},
		}
	}
	return all
}

func ids(text string) (all []id.Event, err error) {
	for line := range strings.Lines(text) {
		var l Line
		if err := json.Unmarshal([]byte(line), &l); err != nil {
			return all, fmt.Errorf("not a line: %q", line)
		}
		all = append(all, l.ID)
	}
	return all, nil
}

// complain says what is wrong with an export of all.
func complain(text string, all []events.Event) error {
	got, err := ids(text)
	if err != nil {
		return err
	}
	if !strings.HasSuffix(text, "\n") && len(all) > 0 {
		return errors.New("the last line is not finished")
	}
	if len(got) != len(all) {
		return fmt.Errorf("%d lines, want %d", len(got), len(all))
	}
	for i, e := range all {
		if got[i] != e.ID {
			return fmt.Errorf("line %d is %s", i, got[i])
		}
	}
	return nil
}

// followed is a follower in three lines: its place moves when Out comes back well.
type followed struct {
	all   []events.Event
	place int
	page  int
	lose  bool // the next move of the place is lost, as when the process dies in between
}

func (f *followed) run(t context.Context, out func(context.Context, []events.Event) error) error {
	for f.place < len(f.all) {
		end := min(f.place+f.page, len(f.all))
		if err := out(t, f.all[f.place:end]); err != nil {
			return err
		}
		if f.lose {
			f.lose = false
			return errCrash
		}
		f.place = end
	}
	return nil
}

// Two days of writing, a few pages each, with the process dying or the plug pulled
// at every step of it: whatever happened, every event is there once, in order.
func TestEveryEventIsWrittenOnceWhereverItCrashes(t *testing.T) {
	all := happened(11)
	crashes := 0
	for _, after := range []bool{false, true} {
		for _, part := range []int{0, 1, 200, 320, 321, 10_000} {
			for _, cut := range []int{-1, 0, 50, 99, 100} {
				for _, zeros := range []bool{false, true} {
					for stop := 1; ; stop++ {
						m := newMemory()
						m.stop, m.after, m.part = stop, after, part
						f := &followed{all: all, page: 3}
						clock := storetest.NewClock()
						died := twoDays(t, m, f, clock)
						if !died {
							break
						}
						crashes++
						if cut >= 0 {
							m.cut(cut, zeros)
						}
						m.restart()
						if twoDays(t, m, f, clock) {
							t.Fatal("died again")
						}
						if err := complain(m.all(), all); err != nil {
							t.Fatalf("step %d, after %v, part %d, cut %d, zeros %v: %v\n%s", stop, after, part, cut, zeros, err, m.all())
						}
					}
				}
			}
		}
	}
	if crashes < 500 {
		t.Errorf("only %d crashes were tried: the test has lost its aim", crashes)
	}
}

// twoDays follows the first half on one day and the rest on the next, and tells
// whether it died.
func twoDays(t *testing.T, m *memory, f *followed, clock *storetest.Clock) (died bool) {
	files := newFiles(m, false, clock.Now)
	all := f.all
	for _, upTo := range []int{len(all) / 2, len(all)} {
		f.all = all[:upTo]
		err := f.run(t.Context(), files.Out)
		f.all = all
		if err != nil {
			if !errors.Is(err, errCrash) || fault.Of(err) != fault.Unavailable {
				t.Fatalf("an outage of the disk is told as %v", err)
			}
			return true
		}
		clock.Forward(24 * time.Hour)
	}
	return false
}

func TestEveryEventIsWrittenOnceHoweverOftenItCrashes(t *testing.T) {
	all := happened(30)
	rapid.Check(t, func(r *rapid.T) {
		m := newMemory()
		clock := storetest.NewClock()
		f := &followed{all: all, page: rapid.IntRange(1, 7).Draw(r, "page")}
		for crash := range 200 {
			m.restart()
			if crash < 12 {
				m.stop, m.after = rapid.IntRange(0, 12).Draw(r, "stop"), rapid.Bool().Draw(r, "after")
				m.part = rapid.IntRange(0, 900).Draw(r, "part")
				f.lose = rapid.Bool().Draw(r, "place lost")
				if rapid.Bool().Draw(r, "fails only") {
					m.fail = errors.New("no space left on device")
				}
			}
			err := f.run(t.Context(), newFiles(m, false, clock.Now).Out)
			if err == nil && f.place == len(all) {
				break
			}
			if crash < 12 && rapid.Bool().Draw(r, "power") {
				m.cut(rapid.IntRange(0, 100).Draw(r, "left"), rapid.Bool().Draw(r, "zeros"))
			}
			clock.Forward(time.Duration(rapid.IntRange(-30, 30).Draw(r, "hours")) * time.Hour)
		}
		if err := complain(m.all(), all); err != nil {
			r.Fatalf("%v\n%s", err, m.all())
		}
	})
}

func TestAFailedWriteOrSyncIsTakenBackAndMadeAgainByTheSameProcess(t *testing.T) {
	all := happened(9)
	for stop := 1; stop < 40; stop++ {
		m := newMemory()
		m.stop, m.fail, m.part = stop, errors.New("no space left on device"), 100
		f := &followed{all: all, page: 3}
		files := newFiles(m, false, storetest.NewClock().Now)
		err := f.run(t.Context(), files.Out)
		if err != nil && fault.Of(err) != fault.Unavailable {
			t.Fatalf("told as %v", err)
		}
		if err := f.run(t.Context(), files.Out); err != nil {
			t.Fatal(err)
		}
		if err := complain(m.all(), all); err != nil {
			t.Fatalf("step %d: %v", stop, err)
		}
	}
}

func TestAFolderForReal(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	clock := storetest.NewClock()
	f := &followed{all: happened(1000), page: Page}
	if err := f.run(t.Context(), NewFiles(path, false, clock.Now).Out); err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(path, "events-2026-11-21.jsonl")
	half, err := os.OpenFile(name, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(half, `{"position":1001,"id":"0199f`) // and the machine stops
	half.Close()
	f.place, f.all = 1000-Page, happened(1300) // the place was not moved
	other := NewFiles(path, false, clock.Now)
	if err := f.run(t.Context(), other.Out); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(name, name+".1"); err != nil { // logrotate, in the middle of the day
		t.Fatal(err)
	}
	f.place, f.all = 1300, happened(1400)
	if err := f.run(t.Context(), other.Out); err != nil {
		t.Fatal(err)
	}
	old, _ := os.ReadFile(name + ".1")
	now, _ := os.ReadFile(name)
	if err := complain(string(old)+string(now), f.all); err != nil || len(now) == 0 {
		t.Error(err)
	}
	if st, err := os.Stat(name); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", st.Mode(), err)
	}
}

func TestTwoProcessesOnOneFolderWriteEachEventOnce(t *testing.T) {
	path := t.TempDir()
	clock := storetest.NewClock()
	all := happened(600)
	a, b := NewFiles(path, false, clock.Now), NewFiles(path, false, clock.Now)
	for at := 0; at < len(all); at += 100 {
		for _, files := range []*Files{a, b, a} { // a page goes over to the other, and the first wakes with it in its hands
			if err := files.Out(t.Context(), all[at:at+100]); err != nil {
				t.Fatal(err)
			}
		}
	}
	text, _ := os.ReadFile(filepath.Join(path, nameOf(clock.Now())))
	if err := complain(string(text), all); err != nil {
		t.Error(err)
	}
}

func TestPersonalDataIsLeftOutUnlessAskedFor(t *testing.T) {
	for _, personal := range []bool{false, true} {
		m := newMemory()
		if err := newFiles(m, personal, storetest.NewClock().Now).Out(t.Context(), happened(1)); err != nil {
			t.Fatal(err)
		}
		if got := strings.Contains(m.all(), "ana@example.com") && strings.Contains(m.all(), "198.51.100.7"); got != personal {
			t.Errorf("asked %v, told %v: %s", personal, got, m.all())
		}
	}
}

func TestAnEventOfANewerReleaseIsParkedAndNotTheSink(t *testing.T) {
	page := happened(3)
	page[1].Parked = true
	m := newMemory()
	err := newFiles(m, false, storetest.NewClock().Now).Out(t.Context(), page)
	if !errors.Is(err, errNewer) || fault.Of(err) == fault.Unavailable || m.all() != "" {
		t.Errorf("%v, wrote %q", err, m.all())
	}
}

// hung is a disk whose write never comes back.
type hung struct {
	*memory
	let chan struct{}
}

func (h *hung) open(name string) (file, error) {
	f, err := h.memory.open(name)
	return &hungFile{f, h.let}, err
}

type hungFile struct {
	file
	let chan struct{}
}

func (f *hungFile) Write(p []byte) (int, error) { <-f.let; return f.file.Write(p) }

func TestADeadDiskKeepsNobodyAndLosesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &hung{newMemory(), make(chan struct{})}
		files := newFiles(h, false, time.Now)
		all := happened(3)
		begin := time.Now()
		for range 3 {
			ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
			if err := files.Out(ctx, all); fault.Of(err) != fault.Unavailable {
				t.Errorf("told as %v", err)
			}
			cancel()
		}
		if took := time.Since(begin); took != 3*time.Second {
			t.Errorf("three tries took %s: only the first has anything to wait for", took)
		}
		close(h.let) // the disk is back
		synctest.Wait()
		if err := files.Out(t.Context(), all); err != nil {
			t.Fatal(err)
		}
		if err := complain(h.all(), all); err != nil {
			t.Error(err)
		}
	})
}

func FuzzTheEndOfAFileIsMendedToWholeLines(f *testing.F) {
	f.Add([]byte("{\"id\":\"a\"}\n{\"id\":"))
	f.Add([]byte("\x00\x00\n"))
	f.Add([]byte("no line at all"))
	f.Fuzz(func(t *testing.T, text []byte) {
		m := newMemory()
		m.files["x"] = &content{now: slices.Clone(text)}
		last := newRecent()
		tail, size, err := mend(&memoryFile{m, m.files["x"]})
		note(tail, last)
		left := m.files["x"].now
		if err != nil || size != int64(len(left)) || len(left) > 0 && left[len(left)-1] != '\n' || slices.Contains(left, 0) || !strings.HasPrefix(string(text), string(left)) {
			t.Errorf("%q became %q, %d, %v", text, left, size, err)
		}
		lines := bufio.NewScanner(strings.NewReader(string(left)))
		for lines.Scan() {
			var l Line
			if json.Unmarshal(lines.Bytes(), &l) == nil && l.ID != "" && len(last.has) == 0 {
				t.Errorf("%q was not noted", l.ID)
			}
		}
	})
}
