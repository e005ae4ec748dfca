package store

import (
	"context"
	"encoding/json"
	"log/slog"
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
	Shed         int64 // analytics events not kept because the disk is full
	Peers        int   // that answered last
}
