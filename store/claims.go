package store

import (
	"context"
	"encoding/json"
	"sync"
	"time"
)

// oneTime lists the tables whose rows are used up once, and the column that says
// by whom.
var oneTime = map[string]string{"totp_used": "used_by", "recovery_codes": "spent_by"}

// claims remembers who asked for a one-time fact first, on this node and on its
// peers: the second is refused. It forgets after a while, when the fact itself
// has arrived.
type claims struct {
	now func() time.Time

	mu    sync.Mutex
	taken map[string]claim
}

type claim struct {
	by string
	at time.Time
}

const (
	claimLasts = 10 * time.Minute // longer than any code lives
	mostClaims = 500_000          // more than a node can check codes in that time; above it a standby grants nothing
)

func (c *claims) take(facts []Fact) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now()
	if c.taken == nil {
		c.taken = map[string]claim{}
	}
	if len(c.taken) >= mostClaims {
		c.forget(now)
	}
	for _, f := range facts {
		old, found := c.taken[f.name()]
		if found && old.by != f.By && now.Sub(old.at) < claimLasts || !found && len(c.taken) >= mostClaims {
			return false
		}
	}
	for _, f := range facts {
		c.taken[f.name()] = claim{f.By, now}
	}
	return true
}

func (c *claims) forget(now time.Time) {
	for name, old := range c.taken {
		if now.Sub(old.at) >= claimLasts {
			delete(c.taken, name)
		}
	}
}

func (f Fact) name() string { return f.Table + f.Key }

// Claim reserves one-time facts for a peer that is about to use them on its
// standby: false when this node has given one to somebody else, or its own copy
// says that it is used.
func (s *Store) Claim(facts []Fact) (granted bool) {
	if s.standby == nil {
		return true
	}
	return s.standby.claims.take(facts) && s.standby.unused(facts)
}

func (sb *standby) unused(facts []Fact) bool {
	ctx, cancel := context.WithTimeout(context.Background(), peerTime)
	defer cancel()
	free := true
	err := sb.copy.runCall(ctx, sb.copy.background.read, sb.copy.newCall(peerTime), func(tx *Tx) error {
		for _, f := range facts {
			row, err := tx.row(f.Table, json.RawMessage(f.Key))
			if err != nil {
				return err
			}
			by, _ := row[oneTime[f.Table]].(string)
			free = free && (by == "" || by == f.By)
		}
		return nil
	})
	return free && (err == nil || isOutage(err)) // a copy that cannot be asked is no verdict: as a peer that does not answer
}

// peerTime bounds everything that is asked of a peer, or for one.
const peerTime = 50 * time.Millisecond

// facts are the one-time things that an entry uses up.
func (e Entry) facts() []Fact {
	var all []Fact
	for _, r := range e.Rows {
		column, is := oneTime[r.Table]
		if !is || r.Deleted {
			continue
		}
		var by string
		if json.Unmarshal(r.Columns[column], &by) == nil && by != "" {
			all = append(all, Fact{Table: r.Table, Key: string(r.Key), By: by})
		}
	}
	return all
}

// claim asks the peers for what an entry uses up. Those that do not answer are
// not counted: what nodes cut off from each other cannot know is found at the
// hand-over (docs/resilience.md).
func (sb *standby) claim(ctx context.Context, e Entry) (refused []Fact) {
	facts := e.facts()
	if len(facts) == 0 {
		return nil
	}
	if !sb.claims.take(facts) {
		return facts
	}
	if sb.peers == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, peerTime)
	defer cancel()
	granted, answered := sb.peers.Claim(ctx, facts)
	sb.mu.Lock()
	sb.state.Peers = answered
	sb.mu.Unlock()
	if granted {
		return nil
	}
	return facts
}

// elsewhere is who used up what a peer claimed first; it is no attempt of ours.
const elsewhere = "elsewhere"

// markUsed writes into the copy that another node used something up, so that fn,
// run again, sees a code that is no longer good. It is no fact of ours and not
// journalled; the feed or the peer's entry brings the truth.
func (sb *standby) markUsed(ctx context.Context, facts []Fact) error {
	return sb.quietly(ctx, func(tx *Tx) error {
		for _, f := range facts {
			if err := tx.markUsed(f); err != nil {
				return err
			}
		}
		return nil
	})
}

func (t *Tx) markUsed(f Fact) error {
	key, err := keyValues(json.RawMessage(f.Key))
	if err != nil {
		return err
	}
	now := Micros(t.Now())
	switch f.Table {
	case "totp_used":
		_, err = t.Exec(`INSERT INTO totp_used (authenticator, step, used_by, made_at, node) VALUES ($1, $2, $3, $4, $5)
			ON CONFLICT (authenticator, step) DO NOTHING`, key[0], key[1], elsewhere, now, t.Node())
		if err == nil {
			_, err = t.Exec(`UPDATE totp SET last_step = $1 WHERE id = $2 AND last_step < $1`, key[1], key[0])
		}
		if err == nil {
			_, err = t.Exec(`UPDATE credentials SET counter = $1 + 1 WHERE id = $2 AND kind = 'hotp' AND counter <= $1`, key[1], key[0])
		}
	case "recovery_codes":
		_, err = t.Exec(`UPDATE recovery_codes SET spent_at = $1, spent_by = $2 WHERE recovery_set = $3 AND slot = $4 AND spent_at IS NULL`,
			now, elsewhere, key[0], key[1])
	}
	return err
}
