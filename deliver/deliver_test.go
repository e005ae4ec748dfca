package deliver

import (
	"context"
	"crypto/rand"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"gatehouse/id"
	"gatehouse/outbox"
	"gatehouse/seal"
	"gatehouse/store"
	"gatehouse/store/storetest"
)

// post is an outbox, a clock, and receivers that do as they are told.
type post struct {
	*Deliverer
	t     *testing.T
	clock *storetest.Clock

	mu      sync.Mutex
	sent    []id.Message
	tried   int
	inHand  map[string]int
	answer  func(context.Context, outbox.Message) outbox.Class // nil: takes everything
	gone    []outbox.Past
	arrived chan outbox.Message
}

func each(t *testing.T, c Channel, fn func(p *post)) {
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
		p := &post{t: t, clock: clock, arrived: make(chan outbox.Message, 10_000), inHand: map[string]int{}}
		c.Name, c.Send = outbox.Hooks, p.send
		c.GivenUp = func(_ *store.Tx, past outbox.Past) error {
			p.mu.Lock()
			defer p.mu.Unlock()
			p.gone = append(p.gone, past)
			return nil
		}
		p.Deliverer = &Deliverer{Store: s, Keys: keys, Channels: []Channel{c}, Now: clock.Now, Rand: rand.Reader, Every: 5 * time.Millisecond}
		fn(p)
	})
}

// send is every receiver's end.
func (p *post) send(ctx context.Context, m outbox.Message) outbox.Class {
	p.mu.Lock()
	p.tried++
	if p.inHand[m.Lane]++; p.inHand[m.Lane] > 1 {
		p.t.Errorf("two messages of lane %s are on their way", m.Lane)
	}
	answer := p.answer
	p.mu.Unlock()
	why := outbox.Done
	if answer != nil {
		why = answer(ctx, m)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.inHand[m.Lane]--
	if why == outbox.Done {
		p.sent = append(p.sent, m.ID)
		p.arrived <- m
	}
	return why
}

func (p *post) add(lane string, with func(*outbox.Message)) id.Message {
	p.t.Helper()
	p.clock.Forward(time.Microsecond) // so that their order is known
	m := outbox.Message{ID: id.New[id.Message](p.clock.Now(), rand.Reader), Kind: outbox.Hook, Lane: lane,
		Fields: map[string]string{outbox.HookReceiver: lane, outbox.HookEvent: "e"}}
	if with != nil {
		with(&m)
	}
	if err := p.Store.Do(p.t.Context(), func(tx *store.Tx) error { return outbox.Add(tx, p.Keys, m) }); err != nil {
		p.t.Fatal(err)
	}
	return m.ID
}

// running starts Run; the returned function ends it and waits.
func (p *post) running() (end func()) {
	ctx, cancel := context.WithCancel(p.t.Context())
	done := make(chan struct{})
	go func() { defer close(done); p.Run(ctx) }()
	return sync.OnceFunc(func() { cancel(); <-done })
}

// get waits for so many messages.
func (p *post) get(n int) (lanes []string) {
	p.t.Helper()
	late := time.After(20 * time.Second)
	for range n {
		select {
		case m := <-p.arrived:
			lanes = append(lanes, m.Lane)
		case <-late:
			p.t.Fatalf("only %d of %d arrived: %v", len(lanes), n, lanes)
		}
	}
	return lanes
}

// until waits for a condition, at most twenty seconds.
func (p *post) until(what string, is func() bool) {
	p.t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	late := time.After(20 * time.Second)
	for !is() {
		select {
		case <-tick.C:
		case <-late:
			p.t.Fatalf("not within 20 s: %s", what)
		}
	}
}

func (p *post) givenUp() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.gone)
}

func (p *post) tries() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.tried
}

func (p *post) says(answer func(context.Context, outbox.Message) outbox.Class) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.answer = answer
}

func TestMessagesOfALaneGoOnceAndInOrderAndLanesBesideEachOther(t *testing.T) {
	each(t, Channel{}, func(p *post) {
		var want []id.Message
		for i := range 250 {
			if m := p.add([]string{"a", "b"}[i%2], nil); i%2 == 0 {
				want = append(want, m)
			}
		}
		end := p.running()
		p.get(250)
		end()
		var got []id.Message
		for _, m := range p.sent {
			if slices.Contains(want, m) {
				got = append(got, m)
			}
		}
		if !slices.Equal(got, want) {
			p.t.Error("a lane's messages went in another order")
		}
		p.clock.Forward(time.Hour)
		defer p.running()()
		last := p.add("a", nil)
		if p.get(1); p.sent[len(p.sent)-1] != last || len(p.sent) != 251 {
			p.t.Errorf("%d were sent", len(p.sent))
		}
	})
}

func TestTwoNodesShareTheLanes(t *testing.T) {
	each(t, Channel{}, func(p *post) {
		two := &Deliverer{Store: p.Store, Keys: p.Keys, Channels: p.Channels, Now: p.Now, Rand: p.Rand, Every: p.Every}
		for i := range 120 {
			p.add(fmt.Sprint("lane ", i%6), nil)
		}
		ctx, stop := context.WithCancel(t.Context())
		var wait sync.WaitGroup
		wait.Go(func() { p.Run(ctx) })
		wait.Go(func() { two.Run(ctx) })
		p.get(120)
		stop()
		wait.Wait()
		if len(p.sent) != 120 {
			p.t.Errorf("%d were sent", len(p.sent))
		}
	})
}

func TestReceiversThatHangStallNobodyElse(t *testing.T) {
	each(t, Channel{Workers: 2}, func(p *post) {
		let := make(chan struct{})
		p.says(func(ctx context.Context, m outbox.Message) outbox.Class {
			if m.Lane[:4] == "hang" {
				select {
				case <-let:
				case <-ctx.Done():
				}
				return outbox.Unreachable
			}
			return outbox.Done
		})
		for i := range 5 { // more than there are workers
			p.add(fmt.Sprint("hangs ", i), nil)
			p.add(fmt.Sprint("hangs ", i), nil)
		}
		for i := range 20 {
			p.add(fmt.Sprint("fine ", i), nil)
		}
		end := p.running()
		begin := time.Now()
		p.get(20)
		if took := time.Since(begin); took > 8*time.Second {
			p.t.Errorf("the others waited %v", took)
		}
		close(let)
		end()
	})
}

func TestAReceiverThatIsAwayPausesItsLaneAndGoesOnFromTheFront(t *testing.T) {
	each(t, Channel{}, func(p *post) {
		var asked atomic.Int64
		p.says(func(_ context.Context, m outbox.Message) outbox.Class {
			if m.Lane == "away" {
				asked.Add(1)
				return outbox.Unreachable
			}
			return outbox.Done
		})
		var want []id.Message
		for range 3 {
			want = append(want, p.add("away", nil))
		}
		p.add("fine", nil)
		defer p.running()()
		p.get(1)
		p.until("a first try", func() bool { return asked.Load() == 1 })
		p.add("fine", nil)
		p.get(1)
		if n := asked.Load(); n != 1 {
			p.t.Errorf("asked %d times", n)
		}
		p.says(nil)
		p.clock.Forward(2 * firstWait)
		p.get(3)
		if got := p.sent[2:]; !slices.Equal(got, want) {
			p.t.Errorf("then sent %v, want %v", got, want)
		}
	})
}

func TestOneRefusedMessageHoldsUpNoOtherOfItsLane(t *testing.T) {
	each(t, Channel{}, func(p *post) {
		bad := p.add("a", nil)
		good := p.add("a", nil)
		p.says(func(_ context.Context, m outbox.Message) outbox.Class {
			if m.ID == bad {
				return outbox.Later
			}
			return outbox.Done
		})
		defer p.running()()
		p.get(1)
		p.says(nil)
		p.until("the failure is written down", func() bool {
			p.clock.Forward(firstWait)
			return len(p.arrived) > 0
		})
		if p.get(1); !slices.Equal(p.sent, []id.Message{good, bad}) {
			p.t.Errorf("sent %v", p.sent)
		}
	})
}

func TestAServerThatEverybodyNeedsIsAskedSeldomAndEverythingArrivesLater(t *testing.T) {
	each(t, Channel{Shared: true}, func(p *post) {
		p.says(func(context.Context, outbox.Message) outbox.Class { return outbox.Unreachable })
		for i := range 60 {
			p.add(fmt.Sprint("lane ", i), nil)
		}
		end := p.running()
		p.until("some tries", func() bool { return p.tries() >= breakAt })
		p.add("one more", nil)
		p.Nudge()
		for range 20 {
			p.add("more", nil)
		}
		if n := p.tries(); n > breakAt+8 {
			p.t.Errorf("asked %d times", n)
		}
		p.says(nil)
		p.until("all arrived", func() bool {
			p.clock.Forward(firstWait)
			return len(p.arrived) == 81
		})
		end()
		if len(p.gone) != 0 {
			p.t.Errorf("given up: %+v", p.gone)
		}
	})
}

func TestTheBacklogStandsStillWhilePeopleWaitAndLiveMessagesDoNot(t *testing.T) {
	each(t, Channel{}, func(p *post) {
		var busy atomic.Bool
		busy.Store(true)
		p.Busy = busy.Load
		for i := range 10 {
			p.add(fmt.Sprint("old ", i), nil)
		}
		p.clock.Forward(outbox.Fresh + time.Second)
		defer p.running()()
		for i := range 5 {
			p.add(fmt.Sprint("live ", i), nil)
			if got := p.get(1); got[0] != fmt.Sprint("live ", i) {
				p.t.Errorf("got %v", got)
			}
		}
		busy.Store(false)
		p.clock.Forward(time.Second)
		p.get(10)
	})
}

func TestTheBacklogIsTakenOldestFirstAtItsRate(t *testing.T) {
	each(t, Channel{Workers: 1}, func(p *post) {
		p.Rate = 10
		for i := range 30 {
			p.add(fmt.Sprintf("%02d", i), nil)
		}
		p.clock.Forward(outbox.Fresh + time.Second)
		defer p.running()()
		var got []string
		for n := range 3 {
			got = append(got, p.get(10)...)
			if len(p.arrived) != 0 && n < 2 {
				p.t.Errorf("more than the rate")
			}
			p.clock.Forward(time.Second)
		}
		if !slices.IsSorted(got) {
			p.t.Errorf("not oldest first: %v", got)
		}
	})
}

func TestWhatHasRunOutOrCannotBeSentIsGivenUpAndRecorded(t *testing.T) {
	each(t, Channel{}, func(p *post) {
		p.add("a", func(m *outbox.Message) { m.Expires = p.clock.Now().Add(time.Minute) })
		p.clock.Forward(time.Hour)
		hopeless := p.add("b", nil)
		wild := p.add("c", nil)
		p.says(func(_ context.Context, m outbox.Message) outbox.Class {
			if m.ID == wild {
				panic("oh")
			}
			return outbox.Unwritable
		})
		end := p.running()
		p.until("two tries, and two given up", func() bool { return p.tries() >= 2 && p.givenUp() >= 2 })
		end()
		var why []outbox.Class
		for _, g := range p.gone {
			why = append(why, g.Why)
		}
		slices.Sort(why)
		if !slices.Equal(why, []outbox.Class{outbox.Expired, outbox.Unwritable}) || len(p.sent) != 0 {
			p.t.Errorf("given up %+v, %s among them; sent %v", p.gone, hopeless, p.sent)
		}
	})
}

func TestWhatWasTakenAndNotSentIsGivenBackAtTheEnd(t *testing.T) {
	each(t, Channel{Workers: 1}, func(p *post) {
		first, second := p.add("a", nil), p.add("a", nil)
		ctx, cancel := context.WithCancel(p.t.Context())
		p.says(func(context.Context, outbox.Message) outbox.Class { cancel(); return outbox.Done })
		p.Run(ctx) // told to end in the middle of the first
		if !slices.Equal(p.sent, []id.Message{first}) {
			p.t.Fatalf("sent %v", p.sent)
		}
		p.says(nil)
		defer p.running()() // the next process, at once
		p.get(2)
		if !slices.Equal(p.sent, []id.Message{first, second}) {
			p.t.Errorf("sent %v in the end: the first twice, or the second not", p.sent)
		}
	})
}

func TestWaitsGrowStayBoundedAndDiffer(t *testing.T) {
	d := &Deliverer{Rand: rand.Reader}
	seen := map[time.Duration]bool{}
	for try := 1; try < 40; try++ {
		for _, why := range []outbox.Class{outbox.Later, outbox.Refused} {
			w := d.wait(why, try)
			seen[w] = true
			if w < firstWait*3/4 || w > longestWait*5/4 {
				t.Errorf("try %d, %s: %v", try, why, w)
			}
		}
	}
	if len(seen) < 70 {
		t.Errorf("only %d different waits of 78", len(seen))
	}
	if a, b := d.wait(outbox.Later, 1), d.wait(outbox.Later, 6); a >= b {
		t.Errorf("the sixth wait %v is not longer than the first %v", b, a)
	}
}
