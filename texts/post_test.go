package texts_test

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse/outbox"
	"gatehouse/proof"
	"gatehouse/store/storetest"
	"gatehouse/texts"
)

func serve(t *testing.T, h http.Handler) string {
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL
}

// told is a provider that answers as told and counts.
type told struct {
	name  string
	mu    sync.Mutex
	class outbox.Class
	asked int
}

func (p *told) Name() string                     { return p.name }
func (p *told) Try(context.Context) outbox.Class { return p.class }
func (p *told) Send(context.Context, texts.Message) outbox.Class {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asked++
	return p.class
}

func (p *told) says(c outbox.Class) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.class = c
}

func (p *told) count() (n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	n, p.asked = p.asked, 0
	return n
}

func twoTold() (*texts.Post, *told, *told, *storetest.Clock) {
	clock := storetest.NewClock()
	one, two := &told{name: "first"}, &told{name: "second"}
	return &texts.Post{Providers: []texts.Provider{one, two}, Now: clock.Now}, one, two, clock
}

func TestTheSecondProviderIsAskedWhenTheFirstClearlyHasNotTakenIt(t *testing.T) {
	for _, c := range []struct {
		first  outbox.Class
		second bool
		want   outbox.Class
	}{
		{outbox.Done, false, outbox.Done},
		{outbox.Unreachable, true, outbox.Done},
		{outbox.Later, true, outbox.Done},
		{outbox.NotAllowed, true, outbox.Done},
		{outbox.NotTrusted, true, outbox.Done},
		{outbox.Refused, true, outbox.Done},
		{outbox.Other, false, outbox.Later}, // it may have been taken: the next try begins with the other
	} {
		p, one, two, _ := twoTold()
		one.says(c.first)
		if got := p.Hand(t.Context(), code, 1); got != c.want || (two.count() == 1) != c.second {
			t.Errorf("%q: %q", c.first, got)
		}
	}
}

func TestAnUnclearAnswerIsFollowedByTheOtherProviderAtTheNextTry(t *testing.T) {
	p, one, two, _ := twoTold()
	one.says(outbox.Other)
	p.Hand(t.Context(), code, 1)
	if got := p.Hand(t.Context(), code, 2); got != outbox.Done || two.count() != 1 || one.count() != 1 {
		t.Errorf("%q", got)
	}
}

func TestWhatNobodyCarriesIsGivenUpAndWhatOneMightIsNot(t *testing.T) {
	p, one, two, _ := twoTold()
	one.says(outbox.Refused)
	two.says(outbox.Refused)
	if got := p.Hand(t.Context(), code, 1); !got.Hopeless() {
		t.Errorf("both refuse: %q", got)
	}
	two.says(outbox.Unreachable)
	if got := p.Hand(t.Context(), code, 1); got.Hopeless() || got == outbox.Done {
		t.Errorf("one refuses, one is away: %q", got)
	}
}

func TestADeadProviderIsLeftOutAndTriedAgainByOneMessage(t *testing.T) {
	p, one, two, clock := twoTold()
	one.says(outbox.Unreachable)
	for range 10 {
		p.Hand(t.Context(), code, 1)
	}
	if n := one.count(); n != 2 || two.count() != 10 {
		t.Errorf("the dead one was asked %d times in ten", n)
	}
	clock.Forward(15 * time.Second)
	p.Hand(t.Context(), code, 1)
	p.Hand(t.Context(), code, 1)
	if n := one.count(); n != 1 {
		t.Errorf("asked %d times after the pause", n)
	}
	clock.Forward(15 * time.Second)
	one.says(outbox.Done)
	two.count()
	for range 3 {
		p.Hand(t.Context(), code, 1)
	}
	if one.count() != 3 || two.count() != 0 {
		t.Error("it is back and not used")
	}
}

func TestWithBothDeadAMessageCostsNoTimeOut(t *testing.T) {
	p, one, two, _ := twoTold()
	one.says(outbox.Unreachable)
	two.says(outbox.NotAllowed)
	for range 5 {
		if got := p.Hand(t.Context(), code, 1); got == outbox.Done || got.Hopeless() {
			t.Errorf("%q", got)
		}
	}
	if a, b := one.count(), two.count(); a != 2 || b != 1 {
		t.Errorf("asked %d and %d times in five", a, b)
	}
}

// With two processes: the first hangs, then is killed; the second carries on.
func TestAProviderThatHangsOrDiesIsFollowedByTheOther(t *testing.T) {
	client := texts.NewClient(nil)
	one, two := start(t, "token"), start(t, hookSecret)
	var logged strings.Builder
	p := &texts.Post{Now: time.Now, Patience: 300 * time.Millisecond, Slog: slog.New(slog.NewTextHandler(&logged, nil)), Providers: []texts.Provider{
		&texts.Twilio{Label: "first", Base: one.base, Account: "AC", Token: "token", From: "+351210000000", Client: client},
		&texts.Hook{Label: "second", URL: two.base + "/hook", Secret: hookSecret, Client: client, Now: time.Now},
	}}
	one.behaves("hang")
	begin := time.Now()
	if got := p.Hand(t.Context(), code, 1); got != outbox.Done {
		t.Fatalf("%q", got)
	}
	if took := time.Since(begin); took > 2*time.Second {
		t.Errorf("took %v", took)
	}
	one.kill()
	for range 3 {
		if got := p.Hand(t.Context(), code, 1); got != outbox.Done {
			t.Fatalf("%q", got)
		}
	}
	if all, _ := two.taken(); len(all) != 4 {
		t.Errorf("the second took %d", len(all))
	}
	for _, secret := range []string{"912345642", "482915", "token", "whsec"} {
		if strings.Contains(logged.String(), secret) {
			t.Errorf("the log holds %q: %s", secret, logged.String())
		}
	}
}

func TestTriesAreCounted(t *testing.T) {
	p, one, _, _ := twoTold()
	one.says(outbox.Later)
	var seen []string
	p.Took = func(provider string, way proof.Method, class outbox.Class, _ time.Duration) {
		seen = append(seen, provider+" "+string(way)+" "+string(class))
	}
	p.Hand(t.Context(), code, 1)
	if strings.Join(seen, ", ") != "first sms later, second sms " {
		t.Errorf("%q", seen)
	}
}
