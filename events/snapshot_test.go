package events_test

import (
	"slices"
	"testing"

	"gatehouse/events"
)

func TestASnapshotReadsAsItWasWritten(t *testing.T) {
	for text, want := range map[string]events.Snapshot{
		"":               {},
		"7:7:":           {Next: 7},
		"5:9:5,8":        {Next: 9, Open: []int64{5, 8}},
		"5:9:5":          {Next: 9, Open: []int64{5}},
		"1:4294967299:1": {Next: 1<<32 + 3, Open: []int64{1}},
	} {
		got, err := events.ParseSnapshot(text)
		if err != nil || got.Next != want.Next || !slices.Equal(got.Open, want.Open) || got.String() != text {
			t.Errorf("%q reads %+v (%v) and is written %q", text, got, err, got)
		}
	}
	for _, text := range []string{":", "5", "5:9", "9:5:", "5:9:9", "5:9:4", "5:9:8,5", "5:9:5,5", "5:9:5,", "a:b:c", "5:9:5:5", "-1:9:", "0:0:", "05:9:"} {
		if got, err := events.ParseSnapshot(text); err == nil {
			t.Errorf("%q reads %+v", text, got)
		}
	}
}

func TestASnapshotHasWhatWasOver(t *testing.T) {
	s := events.Snapshot{Next: 9, Open: []int64{5, 8}}
	for n, want := range map[int64]bool{1: true, 4: true, 5: false, 6: true, 7: true, 8: false, 9: false, 10: false} {
		if s.Has(n) != want {
			t.Errorf("has %d: %v", n, !want)
		}
	}
	if (events.Snapshot{}).Has(0) {
		t.Error("the empty one has something")
	}
}

func FuzzASnapshotThatIsAcceptedIsWrittenTheSame(f *testing.F) {
	for _, text := range []string{"", "7:7:", "5:9:5,8", "5:9:8,5", "x"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s, err := events.ParseSnapshot(text)
		if err != nil {
			return
		}
		again, err := events.ParseSnapshot(s.String())
		if err != nil || again.Next != s.Next || !slices.Equal(again.Open, s.Open) {
			t.Errorf("%q became %q", text, s)
		}
	})
}
