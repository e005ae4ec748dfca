package flow

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"io"
	"time"

	"gatehouse/fault"
	"gatehouse/limits"
	"gatehouse/seal"
)

// Wait is the cause of a fault.Busy for somebody who was turned away before
// anything was looked at: no try was spent.
type Wait struct {
	After time.Duration // come again after this; another for everybody
	About time.Duration // until it is their turn, roughly; 0 when there is no line
	Place string        // sealed: keeps their place in the line, for their device. It is no proof of anything
}

func (*Wait) Error() string { return "flow: no place inside now" }

const (
	placeLife = 30 * time.Minute // nobody is kept in a line for longer
	passLife  = 3 * time.Minute  // to type a password
)

// place is what the one who waits carries, sealed for their device: any node
// knows how long they have waited.
type place struct {
	Since time.Time `json:"s"`
	Pass  time.Time `json:"p,omitzero"` // asked in; good until then
}

// Busy tells whether work that can wait should leave the cores to people.
func (f *Flow) Busy() bool { return f.Gate.busy() }

// admit takes a place before a secret is looked at or a try is spent. Somebody
// who has hung up is not served.
func (f *Flow) admit(ctx context.Context, in Input) (leave func(), err error) {
	if err := ctx.Err(); err != nil {
		return nil, fault.New(fault.Busy, err)
	}
	now := f.Now()
	if !f.Pace.Allow(limits.Network(in.Who.Network), now) {
		return nil, f.shortly(in.Place)
	}
	p := f.openPlace(in.Place, in.Who)
	c, w := f.classOf(in, p, now), standingOf(in.Who, p)
	leave, ok := f.Gate.enter(c, w)
	if !ok && c >= passed {
		within, done := context.WithTimeout(ctx, holdFor)
		leave, ok = f.Gate.hold(within, c, w)
		done()
	}
	if !ok && (c == newSignIn || c == passed) {
		return nil, f.wait(in.Who, w, in.Brought || !p.Since.IsZero())
	}
	if !ok {
		return nil, f.shortly(in.Place)
	}
	if !f.Global.AllowN(now, 1) {
		leave()
		return nil, f.shortly(in.Place)
	}
	return leave, nil
}

// Knock is asked before the form where a secret is typed: somebody who would be
// turned away afterwards waits before it. held is the place that they carry. It
// returns the one to carry from now on, "" for none, or a fault.Busy whose cause is
// a Wait. brought tells that the device token came with the request.
func (f *Flow) Knock(who Who, held string, brought bool) (carry string, err error) {
	p, now := f.openPlace(held, who), f.Now()
	if now.Before(p.Pass) {
		return held, nil
	}
	w := standingOf(who, p)
	in, pass := f.Gate.ask(w)
	if !in {
		return "", f.wait(who, w, brought || !p.Since.IsZero())
	}
	if !pass {
		return "", nil
	}
	if p.Since.IsZero() {
		p.Since = now
	}
	return f.sealPlace(place{p.Since, now.Add(passLife)}, who)
}

// classOf says how urgent a step is. Only what we sealed counts, so nobody can
// make their own more urgent.
func (f *Flow) classOf(in Input, p place, now time.Time) class {
	switch in.Do {
	case ForgotPassword, AskUnlock, ResendLink, OpenLink:
		return rest
	}
	if in.Do == ProveAfresh && in.Session != nil || f.inProgress(in) {
		return inProgress
	}
	if now.Before(p.Pass) {
		return passed
	}
	return newSignIn
}

// inProgress tells a step of an attempt in which something was shown. A password
// for another name is not: one account would open the door to a crowd that guesses.
func (f *Flow) inProgress(in Input) bool {
	a, err := f.open(in.Attempt, in.Who)
	if err != nil || a.Account == "" {
		return false
	}
	_, same := goesOn(a, in.Email)
	return same || in.Do != ShowPassword
}

// wait turns somebody away and keeps their place in the line.
func (f *Flow) wait(who Who, w standing, known bool) error {
	since, after, about := f.Gate.wait(w, known)
	sealed, err := f.sealPlace(place{Since: since}, who)
	if err != nil {
		return err
	}
	return fault.New(fault.Busy, &Wait{f.jittered(after), about, sealed})
}

// shortly turns a step away that has no line: a moment later it gets in.
func (f *Flow) shortly(held string) error {
	return fault.New(fault.Busy, &Wait{After: f.jittered(soonest), Place: held})
}

// jittered is a duration between three quarters and five quarters of d, so that
// those who were turned away together do not come back together.
func (f *Flow) jittered(d time.Duration) time.Duration {
	var b [2]byte
	if _, err := io.ReadFull(f.Rand, b[:]); err != nil {
		return d
	}
	return d*3/4 + d/2*time.Duration(binary.BigEndian.Uint16(b[:]))/(1<<16)
}

func (f *Flow) sealPlace(p place, who Who) (string, error) {
	plain, err := json.Marshal(p)
	if err != nil {
		return "", err
	}
	return f.Keys.SealToken(seal.Waiting, string(who.Device), f.Now().Add(placeLife), plain)
}

// openPlace reads what somebody carries. What is forged, old, another's or worn
// out is nothing: its bearer is a newcomer.
func (f *Flow) openPlace(held string, who Who) (p place) {
	if held == "" {
		return p
	}
	plain, err := f.Keys.OpenToken(seal.Waiting, string(who.Device), f.Now(), held)
	if err != nil || json.Unmarshal(plain, &p) != nil || f.Gate.worn(standingOf(who, p)) {
		return place{}
	}
	return p
}
