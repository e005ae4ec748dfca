package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// schemaVersion is the newest migration of this build: what its rows look like.
func (s *Store) schemaVersion() int64 {
	if len(s.migrations) == 0 {
		return 0
	}
	return s.migrations[len(s.migrations)-1].version
}

// journalise runs before a transaction of the copy commits: what it wrote becomes
// one entry, on the disk before the answer. A crash between the two leaves an
// entry that the next start writes into the copy (redo).
func (sb *standby) journalise(t *Tx) error {
	e, err := sb.entryOf(t)
	if err != nil || len(e.Rows) == 0 {
		return err
	}
	if sb.primaryDown() == nil {
		return errFlipped
	}
	if sb.tornBy(e.ID) {
		return errTorn
	}
	if refused := sb.claim(t.ctx, e); len(refused) > 0 {
		return &claimed{refused}
	}
	err = sb.journal.append(t.ctx, e)
	if err != nil && isFull(err) && sb.giveUpReserve() {
		err = sb.journal.append(t.ctx, e)
	}
	if err != nil {
		sb.o.Log.Error("the journal of the standby cannot be written; nothing more is decided on it", "error", err)
		return unavailable(fmt.Errorf("writing the journal: %w", err))
	}
	sb.tear(e)
	sb.added(e)
	if sb.peers != nil {
		sb.peers.Tell(e)
	}
	return nil
}

// claimed carries the facts that another node was given.
type claimed struct{ facts []Fact }

func (c *claimed) Error() string        { return errClaimed.Error() }
func (c *claimed) Is(target error) bool { return target == errClaimed }

// entryOf reads what the triggers noted and takes the rows as they are now.
func (sb *standby) entryOf(t *Tx) (Entry, error) {
	e := Entry{ID: t.call, Node: t.Node(), Schema: sb.primary.schemaVersion(), MadeAt: t.Now()}
	changed, err := t.changed("", 0, 0)
	if err != nil || len(changed) == 0 {
		return e, err
	}
	for _, c := range distinct(changed) {
		r, err := t.row(c.table, c.key)
		if err != nil {
			return e, err
		}
		img, err := imageOf(c.table, c.key, r)
		if err != nil {
			return e, err
		}
		e.Rows = append(e.Rows, img)
	}
	_, err = t.Exec("DELETE FROM changes")
	return e, err
}

// change is a line of the feed.
type change struct {
	seq, order int64
	table      string
	key        json.RawMessage
}

// distinct keeps each row once, at the place of its first change.
func distinct(all []change) []change {
	seen := map[string]bool{}
	var kept []change
	for _, c := range all {
		name := keyText(c.table, c.key)
		if !seen[name] {
			seen[name] = true
			kept = append(kept, c)
		}
	}
	return kept
}

// changed reads the feed from a place on; limit 0 reads all of it.
func (t *Tx) changed(order string, from int64, limit int) ([]change, error) {
	q, args := "SELECT seq, seq AS place, tbl, key FROM changes ORDER BY seq", []any(nil)
	if limit > 0 {
		q = strings.ReplaceAll("SELECT seq, {o} AS place, tbl, key FROM changes WHERE {o} >= $1 ORDER BY {o}, seq LIMIT $2", "{o}", order)
		args = []any{from, limit}
	}
	rows, err := t.Rows(q, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []change
	for rows.Next() {
		var c change
		var key string
		if err := rows.Scan(&c.seq, &c.order, &c.table, &key); err != nil {
			return nil, err
		}
		c.key = json.RawMessage(key)
		all = append(all, c)
	}
	return all, rows.Err()
}

// handBatch is how many entries go over in one transaction.
const handBatch = 50

// handOver gives the primary what was done here, in order, each entry once. An
// entry that the primary cannot take is tried alone, then parked: it stops none
// of the others, and is told. While the standby is in use, fewer than leave may
// stay behind: sign-ins that go on would keep it from ever being done.
func (sb *standby) handOver(ctx context.Context, settle Settle, leave int) error {
	for {
		batch, err := sb.journal.waiting(ctx, 0, handBatch)
		if err != nil || len(batch) == 0 || len(batch) < leave && sb.primaryDown() != nil {
			return errors.Join(err, sb.count(ctx))
		}
		err = sb.handSome(ctx, batch, settle)
		if err != nil && !isOutage(err) {
			err = sb.handSingly(ctx, batch, settle)
		}
		if err != nil {
			return err
		}
	}
}

func (sb *standby) handSingly(ctx context.Context, batch []Entry, settle Settle) error {
	for _, e := range batch {
		err := sb.handSome(ctx, []Entry{e}, settle)
		if isOutage(err) {
			return err
		}
		if err != nil {
			sb.o.Log.Error("an entry of the journal cannot be handed over and is parked: see gatehouse standby report", "entry", e.ID, "made_at", e.MadeAt, "error", err)
			if err := sb.journal.settle(ctx, []string{e.ID}, "parked", err.Error()); err != nil {
				return err
			}
		}
	}
	return nil
}

func (sb *standby) handSome(ctx context.Context, batch []Entry, settle Settle) error {
	found := 0
	p := sb.primary
	err := p.runCall(ctx, p.foreground.write, p.newCall(handTime), func(tx *Tx) error {
		found = 0
		for _, e := range batch {
			n, err := tx.hand(e, settle)
			if err != nil {
				return err
			}
			found += n
		}
		return nil
	})
	if err != nil {
		return err
	}
	ids := make([]string, len(batch))
	for i, e := range batch {
		ids[i] = e.ID
	}
	sb.mu.Lock()
	sb.state.Handed += int64(len(batch))
	sb.state.Conflicts += int64(found)
	sb.mu.Unlock()
	return sb.journal.settle(ctx, ids, "handed", "")
}

// handTime bounds one transaction of the hand-over.
const handTime = 5 * time.Second

// hand applies one entry unless it was applied before.
func (t *Tx) hand(e Entry, settle Settle) (conflicts int, err error) {
	if e.damaged != nil {
		return 0, e.damaged
	}
	fresh, err := t.Exec(`INSERT INTO handed (entry, from_node, made_at, handed_at, rows_in, conflicts) VALUES ($1, $2, $3, $4, $5, 0)
		ON CONFLICT (entry) DO NOTHING`, e.ID, string(e.Node), Micros(e.MadeAt), Micros(t.Now()), len(e.Rows))
	if err != nil || fresh == 0 {
		return 0, err
	}
	var found []Conflict
	for _, img := range e.Rows {
		c, err := t.apply(img)
		if err != nil {
			return 0, err
		}
		if c != nil {
			found = append(found, *c)
		}
	}
	if len(found) > 0 {
		if _, err := t.Exec(`UPDATE handed SET conflicts = $1 WHERE entry = $2`, len(found), e.ID); err != nil {
			return 0, err
		}
	}
	if settle == nil {
		return len(found), nil
	}
	return len(found), settle(t, e, found)
}

// Heard takes a journal entry that a peer made: this node's standby knows it from
// then on. It is the peer's to hand over, and what decides nothing (events, outbox)
// is passed over.
func (s *Store) Heard(ctx context.Context, e Entry) error {
	sb := s.standby
	if sb == nil {
		return nil
	}
	sb.claims.take(e.facts())
	e.Rows = slices.DeleteFunc(slices.Clone(e.Rows), func(img Image) bool { return journalled[img.Table] != nil })
	return sb.quietly(ctx, func(tx *Tx) error { return tx.applyAll([]Entry{e}) })
}

// added notes a new entry for State.
func (sb *standby) added(e Entry) {
	sb.mu.Lock()
	defer sb.mu.Unlock()
	if sb.state.Journal == 0 {
		sb.state.JournalSince = e.MadeAt
	}
	sb.state.Journal++
}

// count asks the journal what waits.
func (sb *standby) count(ctx context.Context) error {
	waits, size, since, parked, err := sb.journal.tally(ctx)
	if err != nil {
		return err
	}
	sb.mu.Lock()
	defer sb.mu.Unlock()
	sb.state.Journal, sb.state.JournalBytes, sb.state.Parked = waits, size, parked
	sb.state.JournalSince = time.Time{}
	if waits > 0 {
		sb.state.JournalSince = Time(since)
	}
	return nil
}
