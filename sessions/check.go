package sessions

import (
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"gatehouse/fault"
	"gatehouse/id"
	"gatehouse/proof"
	"gatehouse/seal"
)

// Revocation says that a session, or every session of an account before an
// epoch, is over.
type Revocation struct {
	Kind    string // "session" or "account"
	Subject string
	Epoch   int64     // account: the lowest epoch that still counts
	Until   time.Time // when every ticket it concerns has run out anyway
	MadeAt  time.Time
}

// The kinds of revocation.
const (
	OfSession = "session"
	OfAccount = "account"
)

// Checker answers "is this ticket good?" from memory. The zero value answers
// fault.Unavailable until Apply was called: a node that does not know who was
// thrown out lets nobody in.
type Checker struct {
	Keys   *seal.Keys
	Policy Policy
	// Blind is how long checks are answered without having heard from the database
	// who was thrown out (DESIGN §2: T1 has a maximum duration); zero is for ever.
	Blind time.Duration

	mu       sync.RWMutex
	loaded   bool
	heardAt  time.Time // when the database last told what was revoked
	sessions map[id.Session]time.Time
	accounts map[id.Account]epochFloor

	outage atomic.Pointer[outage] // the last time during which nobody could sign in; nil: never

	touchMu sync.Mutex
	touched map[id.Session]time.Time
}

type epochFloor struct {
	epoch int64
	until time.Time
}

// maxTouched bounds the memory of who was seen between two write-outs; above it
// "last used" in the list gets less exact and nothing else happens.
const maxTouched = 100_000

// Check opens a session ticket. When the ticket is due for a later idle end,
// renewed is the text of the new one; otherwise it is empty. The error is
// fault.NotSignedIn (not ours, over, revoked) or fault.Unavailable.
func (c *Checker) Check(token string, now time.Time) (t Ticket, renewed string, err error) {
	if token == "" {
		return t, "", fault.New(fault.NotSignedIn, nil)
	}
	t, err = c.open(token, now)
	if err != nil {
		return Ticket{}, "", err
	}
	if err := c.stands(t, now); err != nil {
		return Ticket{}, "", err
	}
	if proof.LevelOf(t.Proofs) < proof.AAL2 {
		return Ticket{}, "", fault.New(fault.NotSignedIn, errors.New("sessions: a ticket on one proof"))
	}
	c.touch(t.Session, now)
	if now.Sub(t.IssuedAt) < c.renewAfter() {
		return t, "", nil
	}
	t = t.renewed(c.Policy, now)
	renewed, err = t.Seal(c.Keys)
	return t, renewed, err
}

// renewAfter spares a new cookie on every request: the idle end is exact to a
// sixth of the idle time, at most a minute.
func (c *Checker) renewAfter() time.Duration { return min(c.Policy.Idle/6, time.Minute) }

func (c *Checker) stands(t Ticket, now time.Time) error {
	c.mu.RLock()
	defer c.mu.RUnlock()
	if !c.loaded {
		return fault.New(fault.Unavailable, errors.New("sessions: revocations are not loaded yet"))
	}
	if c.Blind > 0 && now.Sub(c.heardAt) > c.Blind {
		return fault.New(fault.Unavailable, errors.New("sessions: revocations were not heard for longer than sessions.blind"))
	}
	if _, ended := c.sessions[t.Session]; ended {
		return fault.New(fault.NotSignedIn, errors.New("sessions: ended"))
	}
	if floor, ok := c.accounts[t.Account]; ok && t.Epoch < floor.epoch {
		return fault.New(fault.NotSignedIn, errors.New("sessions: of an earlier epoch"))
	}
	return nil
}

// Heard is Apply of what the database told, asked at a moment.
func (c *Checker) Heard(rs []Revocation, asked time.Time) {
	c.Apply(rs)
	c.mu.Lock()
	defer c.mu.Unlock()
	if asked.After(c.heardAt) {
		c.heardAt = asked
	}
}

// HeardAt tells when the database last told what was revoked.
func (c *Checker) HeardAt() time.Time {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.heardAt
}

// Apply adds revocations; the first call, even with none, marks the set loaded.
// Denials only ever grow: a revocation read twice or out of order changes nothing.
func (c *Checker) Apply(rs []Revocation) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.loaded {
		c.sessions, c.accounts, c.loaded = map[id.Session]time.Time{}, map[id.Account]epochFloor{}, true
	}
	for _, r := range rs {
		if r.Kind == OfSession {
			c.sessions[id.Session(r.Subject)] = r.Until
			continue
		}
		old := c.accounts[id.Account(r.Subject)]
		floor := epochFloor{max(old.epoch, r.Epoch), r.Until}
		if old.until.After(floor.until) {
			floor.until = old.until
		}
		c.accounts[id.Account(r.Subject)] = floor
	}
}

// Forget drops revocations whose tickets have all run out. It saves memory and
// decides nothing.
func (c *Checker) Forget(now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for s, until := range c.sessions {
		if now.After(until) {
			delete(c.sessions, s)
		}
	}
	for a, floor := range c.accounts {
		if now.After(floor.until) {
			delete(c.accounts, a)
		}
	}
}

// Loaded tells whether checks can be answered.
func (c *Checker) Loaded() bool {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.loaded
}

func (c *Checker) touch(s id.Session, now time.Time) {
	c.touchMu.Lock()
	defer c.touchMu.Unlock()
	if c.touched == nil {
		c.touched = map[id.Session]time.Time{}
	}
	if len(c.touched) < maxTouched {
		c.touched[s] = now
	}
}

// Touched hands over, once, which sessions were used since the last call.
func (c *Checker) Touched() map[id.Session]time.Time {
	c.touchMu.Lock()
	defer c.touchMu.Unlock()
	t := c.touched
	c.touched = nil
	return t
}
