package notices

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse/events"
	"gatehouse/id"
	"gatehouse/outbox"
	"gatehouse/seal"
	"gatehouse/store"
	"gatehouse/store/storetest"
)

const ana id.Account = "0199f000-0000-7000-8000-00000000aaaa"

// post is an office at work: a store, a clock, and a sender that does as it is told.
type post struct {
	*Notices
	t     *testing.T
	s     *store.Store
	clock *storetest.Clock
	said  *bytes.Buffer

	mu      sync.Mutex
	sent    []Mail
	answer  func(Mail) error // nil: takes everything
	arrived chan Mail
}

func each(t *testing.T, fn func(p *post)) {
	var clock *storetest.Clock
	storetest.EachWith(t, func(o *store.Options) {
		clock = storetest.NewClock()
		o.Now = clock.Now
	}, func(t *testing.T, s *store.Store) {
		dir := t.TempDir() + "/keys"
		if err := seal.InitKeys(dir); err != nil {
			t.Fatal(err)
		}
		keys, err := seal.LoadKeys(dir)
		if err != nil {
			t.Fatal(err)
		}
		var said bytes.Buffer
		fn(&post{
			Notices: &Notices{
				Keys: keys, Log: events.New(keys, rand.Reader), Origin: origin, Product: "Harbour Books",
				Now: clock.Now, Rand: rand.Reader, Logger: slog.New(slog.NewTextHandler(&said, nil)), Every: time.Hour,
			},
			t: t, s: s, clock: clock, said: &said, arrived: make(chan Mail, 100),
		})
	})
}

// Send is the sender's part. It looks for an open transaction: with a pool of one
// a second one would not begin.
func (p *post) Send(ctx context.Context, m Mail) error {
	err := p.s.Background(ctx, func(tx *store.Tx) error { _, err := tx.Exec(`UPDATE outbox SET version = version`); return err })
	if err != nil {
		p.t.Errorf("a transaction is open while a mail is sent: %v", err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.answer != nil {
		if err := p.answer(m); err != nil {
			return err
		}
	}
	p.sent = append(p.sent, m)
	p.arrived <- m
	return nil
}

func (p *post) ids() (ids []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, m := range p.sent {
		ids = append(ids, m.ID)
	}
	return ids
}

func (p *post) do(fn func(*store.Tx) error) {
	p.t.Helper()
	if err := p.s.Do(p.t.Context(), fn); err != nil {
		p.t.Fatal(err)
	}
}

func (p *post) add(spoil func(*outbox.Message)) string {
	p.t.Helper()
	m := about(outbox.NewDevice)
	delete(m.Fields, outbox.Link)
	delete(m.Fields, outbox.Left)
	m.ID, m.Account = id.New[id.Message](p.clock.Now(), rand.Reader), ana
	m.Expires = time.Time{}
	p.clock.Forward(time.Millisecond) // so that their order is known
	if spoil != nil {
		spoil(&m)
	}
	p.do(func(tx *store.Tx) error { return outbox.Add(tx, p.Keys, m) })
	return string(m.ID)
}

// work does what Run does until nothing more is due.
func (p *post) work() {
	p.t.Helper()
	p.drain(p.t.Context(), p.s, p)
}

func (p *post) givenUp() (found []events.Event) {
	p.do(func(tx *store.Tx) (err error) {
		found, err = p.Log.ForAccount(tx, ana, 0, 100)
		return err
	})
	return found
}

func TestMailsAreSentOnceAndInOrder(t *testing.T) {
	each(t, func(p *post) {
		var want []string
		for range batch*2 + 3 {
			want = append(want, p.add(nil))
		}
		p.work()
		p.clock.Forward(time.Hour)
		p.work()
		if got := p.ids(); !slices.Equal(got, want) {
			p.t.Errorf("sent %v\nwant %v", got, want)
		}
	})
}

func TestAMailOfANodeThatDiedIsSentLater(t *testing.T) {
	each(t, func(p *post) {
		want := p.add(nil)
		p.do(func(tx *store.Tx) error { // another node takes it and is gone
			_, err := outbox.Take(tx, p.Keys, p.clock.Now(), 10)
			return err
		})
		p.work()
		if len(p.ids()) != 0 {
			p.t.Error("sent while the other node may still be at it")
		}
		p.clock.Forward(outbox.Lease + time.Second)
		p.work()
		if got := p.ids(); len(got) != 1 || got[0] != want {
			p.t.Errorf("sent %v", got)
		}
	})
}

func TestAMailThatCannotBeWordedStopsNoOther(t *testing.T) {
	each(t, func(p *post) {
		p.add(func(m *outbox.Message) {
			m.Kind, m.Fields = outbox.Reset, map[string]string{outbox.Link: "https://evil.example/secret-link"}
		})
		p.add(func(m *outbox.Message) { m.Fields[outbox.Time] = "yesterday" })
		good := p.add(nil)
		p.work()
		if got := p.ids(); len(got) != 1 || got[0] != good {
			p.t.Errorf("sent %v", got)
		}
		found := p.givenUp()
		if len(found) != 2 || found[0].Kind != events.MailGivenUp || found[0].Data["error"] != "unwritable" {
			p.t.Errorf("recorded: %+v", found)
		}
		if strings.Contains(p.said.String(), "secret-link") || strings.Contains(p.said.String(), "ana@") {
			p.t.Errorf("the log tells too much: %s", p.said)
		}
	})
}

func TestAMailTheServerRefusesStopsNoOtherAndIsTriedAgain(t *testing.T) {
	each(t, func(p *post) {
		bad, good := p.add(nil), p.add(nil)
		p.answer = func(m Mail) error {
			if m.ID == bad {
				return &Failure{outbox.Later, errors.New("451 ana@example.com: later")}
			}
			return nil
		}
		p.work()
		if got := p.ids(); len(got) != 1 || got[0] != good {
			p.t.Errorf("sent %v", got)
		}
		if strings.Contains(p.said.String(), "ana@") || !strings.Contains(p.said.String(), "why=later") {
			p.t.Errorf("the log says: %s", p.said)
		}
		p.answer = nil
		p.clock.Forward(firstWait * 2)
		p.work()
		if got := p.ids(); len(got) != 2 || got[1] != bad {
			p.t.Errorf("in the end %v", got)
		}
	})
}

func TestAServerThatIsAwayIsAskedOnceARoundAndEverythingArrivesLater(t *testing.T) {
	each(t, func(p *post) {
		for range 5 {
			p.add(nil)
		}
		asked := 0
		p.answer = func(Mail) error {
			asked++
			return &Failure{outbox.Unreachable, errors.New("connection refused")}
		}
		p.work()
		if asked != 1 || !strings.Contains(p.said.String(), "connection refused") {
			p.t.Errorf("asked %d times; the log says: %s", asked, p.said)
		}
		p.answer = nil
		p.clock.Forward(firstWait * 2)
		p.work()
		if n := len(p.ids()); n != 5 {
			p.t.Errorf("%d arrived", n)
		}
	})
}

func TestAMailThatNeverArrivesIsGivenUpWhenItRunsOutAndItsOwnerCanReadSo(t *testing.T) {
	each(t, func(p *post) {
		p.add(nil)
		tries := 0
		p.answer = func(Mail) error { tries++; return errors.New("no") }
		for end := p.clock.Now().Add(73 * time.Hour); p.clock.Now().Before(end); p.clock.Forward(5 * time.Minute) {
			p.work()
		}
		found := p.givenUp()
		if len(found) != 1 || found[0].Kind != events.MailGivenUp || found[0].Data["mail"] != "notice.new-device" {
			p.t.Errorf("recorded: %+v", found)
		}
		if tries < 200 || tries > outbox.MaxTries {
			p.t.Errorf("tried %d times in three days", tries)
		}
	})
}

func TestALinkIsNotMailedOnceItHasRunOut(t *testing.T) {
	each(t, func(p *post) {
		p.add(func(m *outbox.Message) {
			m.Kind, m.Fields = outbox.Reset, map[string]string{outbox.Link: origin + "/link/abc"}
		})
		p.clock.Forward(30 * time.Minute)
		p.work()
		if len(p.ids()) != 0 {
			p.t.Error("it was")
		}
		if found := p.givenUp(); len(found) != 1 || found[0].Data["error"] != "expired" {
			p.t.Errorf("recorded: %+v", found)
		}
	})
}

// running starts Run; the returned function ends it and waits.
func (p *post) running() (end func()) {
	ctx, cancel := context.WithCancel(p.t.Context())
	done := make(chan struct{})
	go func() { defer close(done); p.Run(ctx, p.s, p) }()
	return func() { cancel(); <-done }
}

func TestANudgeSendsAtOnceAndRunEndsWithItsContext(t *testing.T) {
	each(t, func(p *post) {
		end := p.running()
		defer end()
		for range 3 {
			want := p.add(nil)
			p.Nudge()
			if m := <-p.arrived; m.ID != want {
				p.t.Errorf("got %s", m.ID)
			}
		}
	})
}

func TestWhatWasTakenAndNotSentIsGivenBackAtTheEnd(t *testing.T) {
	each(t, func(p *post) {
		first, second := p.add(nil), p.add(nil)
		ctx, cancel := context.WithCancel(p.t.Context())
		p.answer = func(Mail) error { cancel(); return nil } // told to end in the middle of the first
		p.Run(ctx, p.s, p)
		if got := p.ids(); len(got) != 1 || got[0] != first {
			p.t.Fatalf("sent %v", got)
		}
		p.answer = nil
		p.work() // the next process, at once
		if got := p.ids(); len(got) != 2 || got[1] != second {
			p.t.Errorf("sent %v in the end: the first twice, or the second not", got)
		}
	})
}

func TestWaitsGrowStayBoundedAndDiffer(t *testing.T) {
	n := &Notices{Rand: rand.Reader}
	seen := map[time.Duration]bool{}
	for try := 1; try < 40; try++ {
		for _, why := range []outbox.Class{outbox.Later, outbox.Refused} {
			d := n.wait(why, try)
			seen[d] = true
			if d < firstWait*3/4 || d > longestWait*5/4 {
				t.Errorf("try %d, %s: %v", try, why, d)
			}
			if why == outbox.Refused && d < refusedWait*3/4 {
				t.Errorf("try %d after a refusal: only %v", try, d)
			}
		}
	}
	if len(seen) < 70 {
		t.Errorf("only %d different waits of 78", len(seen))
	}
	if a, b := n.wait(outbox.Later, 1), n.wait(outbox.Later, 6); a >= b {
		t.Errorf("the sixth wait %v is not longer than the first %v", b, a)
	}
}
