package events

import (
	"bytes"
	"errors"
	"maps"
	"testing"
	"time"

	"gatehouse/id"
	"gatehouse/seal"
)

func FuzzPersonalDataOpensOnlyAsItWasSealed(f *testing.F) {
	key := bytes.Repeat([]byte{7}, keySize)
	const event id.Event = "0199f000-0000-7000-8000-00000000eeee"
	want := map[string]string{"email": "ana@example.com"}
	genuine, err := closePersonal(key, event, want)
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte{}, string(event), 0)
	f.Add(genuine, string(event), 3)
	f.Add(genuine[:len(genuine)-1], string(event), 1)
	f.Add(genuine, "another event", 0)
	f.Fuzz(func(t *testing.T, sealed []byte, name string, flip int) {
		if personal, err := openPersonal(key, id.Event(name), sealed); err == nil {
			// Each fuzzing process seals a genuine one of its own: compare what it says.
			if !maps.Equal(personal, want) || name != string(event) {
				t.Fatalf("opened what was not sealed: %v", personal)
			}
		} else if !errors.Is(err, seal.ErrForged) || personal != nil {
			t.Fatalf("refused with %v and %v", err, personal)
		}
		spoilt := bytes.Clone(genuine)
		spoilt[uint(flip)%uint(len(spoilt))] ^= 1
		if _, err := openPersonal(key, event, spoilt); err == nil {
			t.Fatalf("a flipped bit at %d went unnoticed", flip)
		}
	})
}

func TestPersonalDataOpensWithItsKeyForItsEventOnly(t *testing.T) {
	key, other := bytes.Repeat([]byte{1}, keySize), bytes.Repeat([]byte{2}, keySize)
	want := map[string]string{"email": "ana@example.com", "name": "Ana"}
	sealed, err := closePersonal(key, "e1", want)
	if err != nil {
		t.Fatal(err)
	}
	for name, row := range map[string]struct {
		key   []byte
		event id.Event
		opens bool
	}{
		"its key and event":      {key, "e1", true},
		"another account's key":  {other, "e1", false},
		"another event":          {key, "e2", false},
		"a key that is gone":     {nil, "e1", false},
		"a key of half the size": {key[:16], "e1", false},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := openPersonal(row.key, row.event, sealed)
			if row.opens != (err == nil) || row.opens && !maps.Equal(got, want) {
				t.Errorf("got %v, %v", got, err)
			}
		})
	}
}

func TestATailTellsEachEventOnceAndMissesNoLateOne(t *testing.T) {
	start := time.Date(2026, 11, 21, 9, 0, 0, 0, time.UTC)
	tail := &Tail{Position: 10}
	at := func(seconds int, log ...int64) (told []int64) {
		var found []Event
		for _, p := range log {
			if p > tail.Position {
				found = append(found, Event{ID: id.Event(rune('a' + p)), Position: p})
			}
		}
		for _, e := range tail.fresh(found, start.Add(time.Duration(seconds)*time.Second)) {
			told = append(told, e.Position)
		}
		return told
	}
	for _, step := range []struct {
		name    string
		seconds int
		log     []int64
		want    []int64
	}{
		{"two events are told", 0, []int64{11, 13}, []int64{11, 13}},
		{"and not a second time", 1, []int64{11, 13}, nil},
		{"one that committed late, with a position in between, is told", 2, []int64{11, 12, 13}, []int64{12}},
		{"and the log goes on", 3, []int64{11, 12, 13, 14}, []int64{14}},
		{"what is old enough is left behind", 20, []int64{11, 12, 13, 14}, nil},
	} {
		if got := at(step.seconds, step.log...); !equal(got, step.want) {
			t.Errorf("%s: got %v", step.name, got)
		}
	}
	if tail.Position != 14 || len(tail.seen) != 0 {
		t.Errorf("in the end at %d with %d remembered", tail.Position, len(tail.seen))
	}
}

func equal(a, b []int64) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}
