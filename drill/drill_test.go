package drill

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

var noon = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

func told(id string) Receipt {
	return Receipt{Session: id, Account: "account-" + id, Step: 7, At: noon}
}

func TestTheJournalFindsWhatTheDatabaseLostOrDidTwice(t *testing.T) {
	whole := func() Stored {
		s := Stored{map[string]bool{}, map[string]int64{}, map[string]int{}, map[string]bool{}}
		for _, id := range []string{"a", "b"} {
			s.Sessions[id], s.Steps["account-"+id], s.SignIns[id] = true, 7, 1
		}
		return s
	}
	for _, c := range []struct {
		name        string
		harm        func(*Stored, *Journal)
		lost, twice []string
	}{
		{"nothing is wrong", func(*Stored, *Journal) {}, nil, nil},
		{"a session's row is gone", func(s *Stored, _ *Journal) { delete(s.Sessions, "b") }, []string{"session b"}, nil},
		{"a code can be used again", func(s *Stored, _ *Journal) { s.Steps["account-a"] = 6 }, []string{"used-up code of session a"}, nil},
		{"an event is gone", func(s *Stored, _ *Journal) { delete(s.SignIns, "a") }, []string{"event of session a"}, nil},
		{"a sign-in is recorded twice", func(s *Stored, _ *Journal) { s.SignIns["a"] = 2 }, nil, []string{"sign-in of session a"}},
		{"a session was told to two attempts", func(_ *Stored, j *Journal) { j.Told(told("a")) }, nil, []string{"a session told to two attempts"}},
		{"a session that ended on purpose is no loss", func(s *Stored, j *Journal) { delete(s.Sessions, "b"); j.Ended("b") }, nil, nil},
		{"so did all of an account", func(s *Stored, j *Journal) { delete(s.Sessions, "a"); j.EndedOf("account-a") }, nil, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			j, s := newJournal(), whole()
			j.Told(told("a"))
			j.Told(told("b"))
			c.harm(&s, j)
			if lost, twice := j.Difference(s); !reflect.DeepEqual(lost, c.lost) || !reflect.DeepEqual(twice, c.twice) {
				t.Errorf("lost %q, twice %q", lost, twice)
			}
		})
	}
}

func TestAPromiseInPercentNeedsEnoughTriesOrNoFailure(t *testing.T) {
	for _, c := range []struct {
		failed, n int
		percent   float64
		want      bool
	}{
		{0, 10, 99.9, true}, {1, 2999, 99.9, false}, {3, 3000, 99.9, true}, {4, 3000, 99.9, false},
		{1, 9999, 99.99, false}, {1, 10_000, 99.99, true}, {1, 100_000, 100, false},
	} {
		if got := kept(c.failed, c.n, c.percent); got != c.want {
			t.Errorf("%d of %d failed, %v %% promised: %v", c.failed, c.n, c.percent, got)
		}
	}
}

func testStage() *stage {
	s := &stage{Site: &Site{Now: func() time.Time { return noon }, Say: func(string) {}}, result: &Result{}, length: time.Second}
	s.people = &load{journal: newJournal(), samples: &samples{}, now: s.Now}
	s.attack = &attacker{now: s.Now}
	return s
}

func TestADrillWhoseFaultDidNotTakeHasFailed(t *testing.T) {
	s := testStage()
	err := s.breaks("killing it", func() error { return nil }, func() error { return errors.New("it runs") })
	if err == nil || !strings.Contains(err.Error(), "did not take") {
		t.Errorf("a fault that did not take: %v", err)
	}
	if err := s.finish(t.Context(), 99.9); err == nil || !strings.Contains(err.Error(), "nothing was broken") {
		t.Errorf("a drill that broke nothing: %v", err)
	}
	if err := s.breaks("killing it", func() error { return nil }, func() error { return nil }); err != nil || s.faultAt.IsZero() {
		t.Errorf("a fault that took: %v", err)
	}
}

func TestADrillThatBreaksNothingDoesNotPass(t *testing.T) {
	site := &Site{Dir: t.TempDir(), Now: time.Now, Say: func(string) {}, seed: &seed{}}
	r := site.one(t.Context(), Drill{Name: "idle", run: func(context.Context, *stage) error { return errors.New("broke nothing") }})
	if r.Pass || len(r.Missed) == 0 {
		t.Errorf("it broke nothing and came out as %+v", r)
	}
	r = site.one(t.Context(), Drill{Name: "later", Waits: "issue 5"})
	if r.Pass || r.NotRun == "" || r.verdict() != "not run" {
		t.Errorf("a drill that cannot be run came out as %+v", r)
	}
}

func TestEveryDrillHasAWayToRunOrSaysWhatItWaitsFor(t *testing.T) {
	for _, d := range List() {
		if (d.run == nil) == (d.Waits == "") || d.Replays == "" || d.Fault == "" {
			t.Errorf("%s is half written", d.Name)
		}
	}
	short, err := Choose([]string{"short"})
	if err != nil || len(short) != 7 {
		t.Errorf("the short set has %d, %v", len(short), err)
	}
	if _, err := Choose([]string{"primary-gnoe"}); err == nil {
		t.Error("a drill that does not exist was chosen")
	}
}

func TestAResultIsOneFlatObject(t *testing.T) {
	r := Result{Name: "primary-gone", Pass: true, RecoverS: seconds(1.23456), N: 12}
	r.figure("first_signin_s", 0.70049)
	text, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"name":"primary-gone","pass":true,"signins_failed_pct":0,"detect_s":null,"recover_s":1.235,"lost":0,"duplicates":0,"violations":0,"n":12,"seconds":0,"accounts":0,"first_signin_s":0.7}`
	if string(text) != want {
		t.Errorf("got  %s\nwant %s", text, want)
	}
}

func TestTheTableKeepsRowsOfOtherDrillsAndTheWordsAroundIt(t *testing.T) {
	path := filepath.Join(t.TempDir(), "resilience.md")
	if err := os.WriteFile(path, []byte("# Words\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, r := range []Result{{Name: "read-only", Pass: true, N: 1}, {Name: "primary-gone"}, {Name: "read-only", Pass: true, N: 2}} {
		if err := Docs(path, []Result{r}); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(string(text), "\n")
	if lines[0] != "# Words" || strings.Count(string(text), "| read-only | pass |") != 1 || !strings.Contains(string(text), "| 2 |") ||
		!strings.Contains(string(text), "| primary-gone | FAIL |") || strings.Count(string(text), docsBegin) != 1 {
		t.Errorf("the file is now\n%s", text)
	}
	if err := os.WriteFile(path, []byte(docsBegin), 0o600); err != nil {
		t.Fatal(err)
	}
	if Docs(path, nil) == nil {
		t.Error("a file with one mark of two was written over")
	}
}

func TestAWireThatIsCutCarriesNothing(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go io.Copy(c, c)
		}
	}()
	w, err := NewWire(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	say := func() error {
		c, err := net.Dial("tcp", w.Address())
		if err != nil {
			return err
		}
		defer c.Close()
		if _, err := c.Write([]byte("x")); err != nil {
			return err
		}
		_, err = io.ReadFull(c, make([]byte, 1))
		return err
	}
	if err := say(); err != nil || w.isCut() == nil {
		t.Fatalf("a whole wire: %v", err)
	}
	w.Cut()
	if say() == nil || w.isCut() != nil {
		t.Error("a cut wire carries, or does not know that it is cut")
	}
	w.Mend()
	if err := say(); err != nil {
		t.Errorf("a mended wire: %v", err)
	}
}

func TestOnlyWhatWasNotAlarmedBeforeIsAnAlarm(t *testing.T) {
	found := alarms("# HELP gatehouse_degraded x\ngatehouse_degraded{feature=\"mail\"} 0\ngatehouse_degraded{feature=\"database\"} 1\nother 1\n")
	if len(found) != 1 || !found[`gatehouse_degraded{feature="database"}`] {
		t.Errorf("found %v", found)
	}
	if v, ok := gauge("a_b 1\na 2.5\n", "a"); v != 2.5 || !ok {
		t.Errorf("read %v, %v", v, ok)
	}
}

func TestARatioOfEqualPairsIsOneAndOfSlowOnesIsMore(t *testing.T) {
	slot := func(d time.Duration) (all []Sample) {
		for range 20 {
			all = append(all, Sample{Took: d, OK: true})
		}
		return all
	}
	var same, slow []pair
	for range pairsAsked {
		same = append(same, pair{slot(100), slot(100)})
		slow = append(slow, pair{slot(300), slot(100)})
	}
	turn := 0
	pick := func(n int) int { turn++; return turn % n }
	if r, low, high := ratio(same, pick); r != 1 || low != 1 || high != 1 {
		t.Errorf("equal pairs: %v, %v–%v", r, low, high)
	}
	if r, low, _ := ratio(slow, pick); r != 3 || low <= 1.2 {
		t.Errorf("slow pairs: %v, from %v", r, low)
	}
}
