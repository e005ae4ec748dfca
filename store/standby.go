package store

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"gatehouse/id"
	"gatehouse/seal"
)

// StandbyOptions say where a node keeps its standby (DESIGN §5) and how far it
// may be trusted.
type StandbyOptions struct {
	// Dir holds standby.db and journal.db, on another disk than a SQLite primary.
	Dir string
	// Keys seal the standby's origin: a file made with others is refused.
	Keys *seal.Keys
	// Wait is how long an essential call waits for the primary. Zero means 700 ms.
	Wait time.Duration
	// MaxAge is how long after its last contact with the primary the standby still
	// answers. Zero means 24 h.
	MaxAge time.Duration
	// Log is told of what an operator should know; nil tells nobody.
	Log *slog.Logger
	// Free is how many bytes the disk under Dir still has; nil asks the system.
	Free func(dir string) (uint64, error)
}

// Peers are the other nodes, as this one reaches them. None of its methods may
// take longer than 50 ms.
type Peers interface {
	// Claim asks every peer to reserve one-time facts for the caller before they are
	// used on a standby. It returns false when a peer has given one to somebody
	// else; peers that do not answer are not counted.
	Claim(ctx context.Context, facts []Fact) (granted bool, answered int)
	// Tell passes a journal entry on, without waiting.
	Tell(e Entry)
}

// Fact is a one-time thing and who used it: the second claimant of the same
// table and key is refused.
type Fact struct {
	Table string `json:"t"`
	Key   string `json:"k"` // JSON list
	By    string `json:"b"` // attempt or session
}

// Entry is one transaction that a standby committed: a line of its journal.
type Entry struct {
	ID     string    `json:"id"` // the idempotency key of the hand-over
	Node   id.Node   `json:"node"`
	Schema int64     `json:"schema"` // version of the schema its rows are in
	MadeAt time.Time `json:"made_at"`
	Rows   []Image   `json:"rows"`

	damaged error // it could not be read from the journal
}

// Image is a row as it was when its transaction committed.
type Image struct {
	Table   string                     `json:"table"`
	Key     json.RawMessage            `json:"key"` // JSON list of the primary key
	Deleted bool                       `json:"deleted,omitempty"`
	Columns map[string]json.RawMessage `json:"columns,omitempty"` // {"b":"base64"} for bytes
}

// Conflict is a fact of a standby that the primary could not take as it was.
type Conflict struct {
	Table string          // whose row
	Key   json.RawMessage // its primary key
	Rule  string          // why: "used-twice"
	Kept  string          // who keeps the fact: attempt or session
	Lost  string          // who used it in vain
}

// Settle is called in the transaction that hands an entry over to the primary,
// after its rows were applied: it decides what must be undone (package rejoin).
type Settle func(tx *Tx, e Entry, found []Conflict) error

// Tier is how far down the promise ladder this node stands (DESIGN §2).
type Tier string

// The tiers.
const (
	TierNone Tier = ""   // the primary answers
	Tier2    Tier = "T2" // the primary does not; the standby does
	Tier1    Tier = "T1" // neither does
)

// State is what a node knows of its primary and its standby. Asking costs nothing.
type State struct {
	Tier         Tier
	Standby      bool      // there is one
	Usable       bool      // … and it would answer: loaded, young enough, not refused
	Why          string    // why it is not usable: loading, too-old, refused, full
	Since        time.Time // since when the tier is what it is
	FollowedAt   time.Time // when the standby last held all the primary had
	HorizonAge   time.Duration
	Journal      int64 // entries not yet handed over
	JournalBytes int64
	JournalSince time.Time // when the oldest of them was made; zero when there is none
	Parked       int64     // entries that the primary did not take and that wait for a person
	Handed       int64     // entries handed over by this process
	Conflicts    int64     // found by this process
	Resyncs      int64
	Shed         int64    // analytics events not kept because the disk is full
	Peers        int      // that answered last
	Refused      []string // files that were set aside at the start
}

// standby is a node's own copy of what signing in needs, and the journal of what
// was done on it. A nil standby is none.
type standby struct {
	o       StandbyOptions
	peers   Peers
	primary *Store
	copy    *Store // standby.db: the same schema, fed from the primary
	journal *journal
	claims  claims
	answers answers
	nudge   chan struct{} // wakes Follow's loop
	torn    atomic.Pointer[Entry]

	turn sync.Mutex // one round of Follow at a time

	mu        sync.Mutex
	up        bool // the primary answered last
	state     State
	meta      meta           // what the copy says of itself
	seen      map[int64]bool // changes applied already although the place could not pass them
	saved     time.Time      // when meta was last written
	heldSince time.Time      // since when one transaction has held the place back; zero when none does
	tight     bool           // the disk under the journal is nearly full
	tidied    time.Time      // when old entries of the journal were last deleted
	share     int            // nodes that were alive when the primary was last followed
}

const (
	defaultWait   = 700 * time.Millisecond
	defaultMaxAge = 24 * time.Hour
)

// openStandby prepares the node's standby. A copy that is broken or not ours is
// moved aside and built anew; only a folder that cannot be written is an error.
func (s *Store) openStandby(o Options) error {
	sb := &standby{o: *o.Standby, peers: o.Peers, primary: s, up: true, seen: map[int64]bool{}, nudge: make(chan struct{}, 1), share: 1}
	sb.o.Wait, sb.o.MaxAge = cmp.Or(sb.o.Wait, defaultWait), cmp.Or(sb.o.MaxAge, defaultMaxAge)
	sb.claims.now = o.Now
	sb.state = State{Standby: true, Since: o.Now()}
	if sb.o.Free == nil {
		sb.o.Free = freeBytes
	}
	if sb.o.Log == nil {
		sb.o.Log = slog.New(slog.DiscardHandler)
	}
	if err := sb.openFiles(o); err != nil {
		return err
	}
	sb.look()
	s.standby = sb
	return errors.Join(sb.redo(), sb.recall(context.Background()))
}

func (sb *standby) close() error {
	if sb == nil {
		return nil
	}
	return errors.Join(sb.copy.close(), sb.journal.close())
}

// heldTries is how often a call that waits for a row on the primary tries again
// before it is told to come later.
const heldTries = 2

// errFlipped says that the primary took over while this call waited for its turn
// on the standby.
var errFlipped = errors.New("store: the primary is back")

// errClaimed says that another node has used up what this call was about to.
var errClaimed = errors.New("store: claimed by another node")

// essential runs fn on the primary and, when that does not answer, on the standby.
func (s *Store) essential(ctx context.Context, class func(*Store) pool, fn func(*Tx) error) error {
	sb := s.standby
	if sb == nil {
		return s.runCall(ctx, class(s), s.newCall(s.deadline), fn)
	}
	c := s.newCall(sb.o.Wait)
	for tries := 0; ; tries++ {
		down := sb.primaryDown()
		if down == nil {
			n := sb.answers.begin()
			down = sb.onPrimary(ctx, class(s), c, fn)
			if !isOutage(down) || ctx.Err() != nil {
				sb.answered(n, class(s), down)
				return down
			}
			if sb.held(n, down) {
				if tries < heldTries {
					continue
				}
				return down
			}
			sb.lost(down)
		}
		err := sb.call(ctx, class(sb.copy), call{c.name, s.deadline}, fn)
		var taken *claimed
		if errors.As(err, &taken) {
			if err := sb.markUsed(ctx, taken.facts); err != nil {
				return err
			}
		}
		if errors.Is(err, errTorn) {
			if err := sb.mend(ctx); err != nil {
				return err
			}
		}
		again := errors.Is(err, errFlipped) || errors.Is(err, errClaimed) || errors.Is(err, errTorn)
		if !again || tries > 3 {
			return orOutage(err, again, down)
		}
	}
}

// onPrimary runs fn on the primary. Where peers lend a way, half the wait is kept
// for trying once more over a new connection: one that is cut off alone is not yet
// in the dark.
func (sb *standby) onPrimary(ctx context.Context, p pool, c call, fn func(*Tx) error) error {
	s := sb.primary
	if !s.borrows {
		return s.runCall(ctx, p, c, fn)
	}
	c.deadline /= 2
	err := s.runCall(ctx, p, c, fn)
	if !isOutage(err) || ctx.Err() != nil {
		return err
	}
	s.losses.Add(1)
	return s.runCall(ctx, p, c, fn)
}

func orOutage(err error, again bool, down error) error {
	if again {
		return unavailable(down)
	}
	return err
}

// call runs fn on the copy, if that may be believed.
func (sb *standby) call(ctx context.Context, p pool, c call, fn func(*Tx) error) error {
	if why := sb.unusable(); why != "" {
		return unavailable(fmt.Errorf("the primary does not answer, and the standby is not to be used: %s", why))
	}
	err := sb.copy.runCall(ctx, p, c, fn)
	if err == nil {
		sb.joined(c.name)
	}
	return err
}

// Why a standby is not to be used.
const (
	whyLoading = "loading" // it has never held all that the primary had
	whyTooOld  = "too-old"
	whyBroken  = "broken" // its last write failed: a full or dead disk
)

func (sb *standby) unusable() string {
	sb.mu.Lock()
	defer sb.mu.Unlock()
	return sb.unusableNow()
}

func (sb *standby) unusableNow() string {
	switch {
	case sb.meta.Place == 0:
		return whyLoading
	case sb.primary.now().Sub(Time(sb.meta.FollowedAt)) > sb.o.MaxAge:
		return whyTooOld
	}
	return ""
}

// primaryDown is nil while the primary answers, and otherwise the outage.
func (sb *standby) primaryDown() error {
	if sb == nil {
		return nil
	}
	sb.mu.Lock()
	defer sb.mu.Unlock()
	if sb.up {
		return nil
	}
	return unavailable(errors.New("the primary did not answer when last asked"))
}

// lost remembers that the primary does not answer, so that the next caller need
// not find out; Follow finds out when it does again.
func (sb *standby) lost(cause error) {
	sb.mu.Lock()
	first := sb.up
	if first {
		sb.up, sb.state.Since = false, sb.primary.now()
		sb.primary.losses.Add(1)
	}
	sb.mu.Unlock()
	if first {
		sb.o.Log.Error("the primary database does not answer; sign-ins go on from the standby", "cause", cause)
		sb.wake()
	}
}

// flip gives the calls back to the primary once it has all that was done here:
// nobody writes to the copy meanwhile, so that no code used here is good there.
func (sb *standby) flip(ctx context.Context, settle Settle) error {
	gate := sb.copy.foreground.write.gate
	if err := gate.enter(ctx, foregroundRank); err != nil {
		return err
	}
	defer gate.leave()
	if err := sb.handOver(ctx, settle, 0); err != nil {
		return err
	}
	sb.torn.Store(nil) // the primary has it, and the feed brings it
	sb.mu.Lock()
	dark := sb.primary.now().Sub(sb.state.Since)
	sb.up, sb.state.Since = true, sb.primary.now()
	sb.mu.Unlock()
	sb.o.Log.Info("the primary database answers again and has all that was done on the standby", "away", dark.String())
	return nil
}

// answered notes what the primary answered. After a write a round of Follow is due:
// what the standby does not know yet is what could be used a second time if the
// primary died just now.
func (sb *standby) answered(n uint64, p pool, err error) {
	if p.tx.ReadOnly {
		return
	}
	if err == nil {
		sb.answers.committed(n)
	}
	sb.wake()
}

func (sb *standby) wake() {
	select {
	case sb.nudge <- struct{}{}:
	default:
	}
}

// Nudged tells a loop that calls Follow to do so now. Without a standby it never does.
func (s *Store) Nudged() <-chan struct{} {
	if s.standby == nil {
		return nil
	}
	return s.standby.nudge
}

// State tells how this node stands. It asks nobody.
func (s *Store) State() State {
	sb := s.standby
	if sb == nil {
		return State{}
	}
	sb.mu.Lock()
	defer sb.mu.Unlock()
	state := sb.state
	state.Why = sb.unusableNow()
	state.Usable = state.Why == ""
	state.FollowedAt = time.Time{}
	if sb.meta.FollowedAt != 0 {
		state.FollowedAt = Time(sb.meta.FollowedAt)
	}
	switch {
	case sb.up:
		state.Tier = TierNone
	case state.Usable:
		state.Tier = Tier2
	default:
		state.Tier = Tier1
	}
	return state
}

// Standby says whether this transaction runs on the node's own standby.
func (t *Tx) Standby() bool { return t.store.isStandby }

// StandbyAge is how long ago the standby last held all that the primary had; zero
// on the primary.
func (t *Tx) StandbyAge() time.Duration {
	if !t.store.isStandby {
		return 0
	}
	sb := t.store.standby
	sb.mu.Lock()
	defer sb.mu.Unlock()
	return max(0, t.store.now().Sub(Time(sb.meta.FollowedAt)))
}

// Share is among how many nodes a limit is divided: on a standby, as many as were
// alive when the primary was last followed, because each counts alone; 1 on the primary.
func (t *Tx) Share() int {
	if !t.store.isStandby {
		return 1
	}
	sb := t.store.standby
	sb.mu.Lock()
	defer sb.mu.Unlock()
	return max(1, sb.share)
}
