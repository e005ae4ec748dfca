package drill

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// attacker tries, all through a drill, what must never work. What is refused or
// cannot be checked now is fine; whatever is accepted is a violation.
type attacker struct {
	client   *client
	now      func() time.Time
	phone    func() time.Time
	victims  *crowd    // people whose passwords are guessed; they do nothing else
	disabled []*Person // may not come in, with everything right
	revoked  []Receipt // their sessions are over
	journal  *Journal

	turn sync.Mutex // held while a try is under way

	patient atomic.Bool // does not replay codes: nodes that cannot know of each other would accept one each

	mu       sync.Mutex
	found    []string
	tried    map[string]int
	replayed map[string]bool
}

// attackEvery is the pace of tries, each of another sort: most cost the server a
// hash, and the attack is not meant to be the load.
const attackEvery = 500 * time.Millisecond

func (a *attacker) run(ctx context.Context) {
	tick := time.NewTicker(attackEvery)
	defer tick.Stop()
	sorts := []func(context.Context){a.useRevoked, a.replay, a.comeInDisabled, a.guess}
	for turn := 0; ; turn++ {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		a.turn.Lock()
		sorts[turn%len(sorts)](ctx)
		a.turn.Unlock()
	}
}

// judged counts a try; accepted is a violation.
func (a *attacker) judged(what string, accepted bool, who string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.tried == nil {
		a.tried = map[string]int{}
	}
	a.tried[what]++
	if accepted {
		a.found = append(a.found, fmt.Sprintf("%s (%s) at %s", what, who, a.now().UTC().Format(time.TimeOnly)))
	}
}

func (a *attacker) violations() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return append([]string(nil), a.found...)
}

// guess shows a wrong password, from a network and a browser of its own.
func (a *attacker) guess(ctx context.Context) {
	p := a.victims.take(a.now())
	if p == nil {
		return
	}
	defer a.victims.back(p)
	stranger := &Person{Email: p.Email}
	r, err := a.client.password(ctx, stranger, "not "+Password, a.client.network())
	a.judged("a wrong password", err == nil && r.Next == "totp", p.Email)
}

// replay shows a code that has opened a session, with the right password.
func (a *attacker) replay(ctx context.Context) {
	if a.patient.Load() {
		return
	}
	for _, r := range a.journal.last(40) {
		a.mu.Lock()
		done := a.replayed[r.Session] || r.Code == "" || a.now().Sub(r.At) > appStep
		if a.replayed == nil {
			a.replayed = map[string]bool{}
		}
		a.replayed[r.Session] = true
		a.mu.Unlock()
		if done {
			continue
		}
		from := a.client.network()
		stranger := &Person{Email: r.Email}
		step, err := a.client.password(ctx, stranger, Password, from)
		if err != nil || step.Next != "totp" {
			return
		}
		step, err = a.client.code(ctx, step.Attempt, step.Device, r.Code, from)
		a.judged("a code used twice", err == nil && step.Next == "done", r.Email)
		return
	}
}

func (a *attacker) comeInDisabled(ctx context.Context) {
	a.mu.Lock()
	n := len(a.disabled)
	var p *Person
	if n > 0 {
		p = a.disabled[a.tried["a disabled person"]%n]
	}
	a.mu.Unlock()
	if p == nil {
		return
	}
	stranger := &Person{Email: p.Email, Secret: p.Secret}
	_, why := a.client.signIn(ctx, stranger, a.now, a.phone)
	a.judged("a disabled person", why == "", p.Email)
}

func (a *attacker) useRevoked(ctx context.Context) {
	a.mu.Lock()
	var r Receipt
	if n := len(a.revoked); n > 0 {
		r = a.revoked[a.tried["a revoked session"]%n]
	}
	a.mu.Unlock()
	if r.Ticket == "" {
		return
	}
	answer, err := a.client.check(ctx, r.Ticket)
	a.judged("a revoked session", err == nil && answer.Active, r.Email)
}

// shut adds somebody who must stay out from now on.
func (a *attacker) shut(p *Person) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.disabled = append(a.disabled, p)
}

// revoke adds a session that is over from now on.
func (a *attacker) revoke(r Receipt) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.revoked = append(a.revoked, r)
}
