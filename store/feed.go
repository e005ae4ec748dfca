package store

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// Follow is one round of keeping the standby: is the primary there, has it all
// that was done here, and what is new there? A loop calls it a few times a second
// and when Nudged says so. settle decides what a hand-over must undo.
func (s *Store) Follow(ctx context.Context, settle Settle) error {
	sb := s.standby
	if sb == nil {
		return nil
	}
	sb.turn.Lock()
	defer sb.turn.Unlock()
	sb.look()
	if sb.primaryDown() != nil {
		if err := sb.probe(ctx); err != nil {
			return err
		}
	}
	if err := sb.handOver(ctx, settle, handBatch); err != nil {
		return err
	}
	if sb.primaryDown() != nil {
		if err := sb.flip(ctx, settle); err != nil {
			return err
		}
		if err := sb.clear(ctx); err != nil {
			return err
		}
	}
	if err := sb.tidyJournal(ctx); err != nil {
		return err
	}
	err := sb.feed(ctx, settle)
	if isOutage(err) && ctx.Err() == nil {
		if probe := sb.probe(ctx); probe != nil {
			sb.lost(err)
		}
	}
	return err
}

// tidyJournal forgets, once an hour, what the primary has had for long.
func (sb *standby) tidyJournal(ctx context.Context) error {
	now := sb.primary.now()
	if now.Sub(sb.tidied) < time.Hour {
		return nil
	}
	err := sb.journal.tidy(ctx, now)
	if err == nil {
		sb.tidied = now
	}
	return err
}

// clear empties what the copy holds only to be handed over, once it is.
func (sb *standby) clear(ctx context.Context) error {
	return sb.quietly(ctx, func(tx *Tx) error {
		for table := range journalled {
			if _, err := tx.Exec("DELETE FROM " + table); err != nil {
				return err
			}
		}
		return nil
	})
}

// probe asks the primary for a write, which is what a sign-in needs of it: one
// that only reads, or whose disk is full, is as good as gone.
func (sb *standby) probe(ctx context.Context) error {
	p := sb.primary
	return p.runCall(ctx, p.foreground.write, p.newCall(sb.o.Wait), func(tx *Tx) error {
		_, err := tx.Exec(`INSERT INTO pulses (node, at) VALUES ($1, $2) ON CONFLICT (node) DO UPDATE SET at = excluded.at`, string(tx.Node()), Micros(tx.Now()))
		return err
	})
}

// news is what one round found on the primary, all in one snapshot.
type news struct {
	meta    meta
	put     []copied
	gone    []change
	applied map[int64]bool // changes beyond the place that are applied already
	share   int
	behind  bool // there is more than a round takes: the copy does not hold all yet
	whole   bool // the copy must be built anew, or compared in full
}

type copied struct {
	table string
	rows  []row
}

// mostChanges bounds a round; a node that is further behind goes on in the next.
const mostChanges = 2000

// feed brings the copy up to the primary. While this node has entries that the
// primary lacks it must not: older rows would cover them.
func (sb *standby) feed(ctx context.Context, settle Settle) error {
	found, err := sb.readNews(ctx)
	if err != nil {
		return err
	}
	if found.whole {
		return sb.resync(ctx, found.meta, settle)
	}
	if len(found.put)+len(found.gone) == 0 && sb.primary.now().Sub(sb.saved) < saveEvery {
		sb.arrived(found)
		return nil
	}
	err = sb.quietly(ctx, func(tx *Tx) error { return tx.take(found) })
	if err == nil {
		sb.saved = sb.primary.now()
		sb.arrived(found)
	}
	if found.behind {
		sb.wake()
	}
	return err
}

// saveEvery is how exact the copy's age is after a restart.
const saveEvery = 2 * time.Second

func (sb *standby) arrived(n news) {
	sb.mu.Lock()
	defer sb.mu.Unlock()
	held := len(n.applied) > 0 && n.meta.Place == sb.meta.Place
	sb.meta, sb.seen = n.meta, n.applied
	if n.share > 0 {
		sb.share = n.share
	}
	sb.noteHorizon(held)
}

// heldTooLong is how old a transaction on the primary may be before it is told:
// while it lasts, every round reads what came after it again.
const heldTooLong = time.Minute

func (sb *standby) noteHorizon(held bool) {
	now := sb.primary.now()
	if !held {
		sb.heldSince, sb.state.HorizonAge = time.Time{}, 0
		return
	}
	if sb.heldSince.IsZero() {
		sb.heldSince = now
	}
	told := sb.state.HorizonAge >= heldTooLong
	sb.state.HorizonAge = now.Sub(sb.heldSince)
	if !told && sb.state.HorizonAge >= heldTooLong {
		sb.o.Log.Warn("a transaction on the primary database has been open for more than a minute and holds the change feed back; see pg_stat_activity", "age", sb.state.HorizonAge.String())
	}
}

func (sb *standby) readNews(ctx context.Context) (news, error) {
	p := sb.primary
	var found news
	var unknown bool
	now := p.now()
	err := p.runCall(ctx, p.background.read, p.newCall(max(sb.o.Wait, time.Second)), func(tx *Tx) error {
		found = news{applied: map[int64]bool{}, meta: sb.meta}
		h, err := tx.history()
		if unknown = !h.known(); err != nil || unknown {
			return err
		}
		found.meta.Incarnation, found.meta.System = h.incarnation, h.noted
		found.whole = sb.meta.Place < max(h.completeFrom, 1) || found.meta.Incarnation != sb.meta.Incarnation || found.meta.System != sb.meta.System
		if found.whole {
			return nil
		}
		return sb.readChanges(tx, &found)
	})
	if err != nil || !unknown {
		if !found.behind {
			found.meta.FollowedAt = Micros(now)
		}
		return found, err
	}
	if err := sb.adopt(ctx); err != nil {
		return news{}, err
	}
	return sb.readNews(ctx)
}

func (sb *standby) readChanges(tx *Tx, found *news) error {
	order := tx.store.dialect.feedOrder
	place, err := tx.feedHorizon()
	if err != nil {
		return err
	}
	limit := mostChanges + len(sb.seen) // those are read again while a transaction holds the place back
	all, err := tx.changed(order, sb.meta.Place, limit)
	if err != nil {
		return err
	}
	if found.behind = len(all) == limit; found.behind { // there is more: stop before the last transaction, which may be cut
		place = min(place, all[len(all)-1].order)
		found.whole = all[0].order == place && order == "xid" // one transaction larger than a round
	}
	found.meta.Place = max(place, sb.meta.Place)
	var fresh []change
	for _, c := range all {
		if !sb.seen[c.seq] {
			fresh = append(fresh, c)
		}
		if c.order >= found.meta.Place {
			found.applied[c.seq] = true
		}
	}
	if found.share, err = tx.aliveAt(tx.Now()); err != nil {
		return err
	}
	return tx.fetch(distinct(fresh), found)
}

// aliveFor is how long a node that says nothing still counts as one.
const aliveFor = 10 * time.Minute

// aliveAt counts the nodes that were alive at a moment.
func (t *Tx) aliveAt(at time.Time) (n int, err error) {
	err = t.Row(`SELECT COUNT(*) FROM nodes WHERE seen_at > $1`, Micros(at.Add(-aliveFor))).Scan(&n)
	return n, err
}

// feedHorizon is the place before which nothing more will appear.
func (t *Tx) feedHorizon() (int64, error) {
	h, byTransaction, err := t.Horizon()
	if err != nil || byTransaction {
		return h, err
	}
	err = t.Row(`SELECT COALESCE(MAX(seq), 0) + 1 FROM changes`).Scan(&h)
	return h, err
}

// fetchChunk is how many rows are asked for at a time.
const fetchChunk = 100

// fetch reads the rows that changed; those that are not there any more are gone.
func (t *Tx) fetch(changed []change, found *news) error {
	byTable := map[string][]change{}
	for _, c := range changed {
		byTable[c.table] = append(byTable[c.table], c)
	}
	for _, table := range fedTables() {
		for chunk := range slices.Chunk(byTable[table], fetchChunk) {
			if err := t.fetchSome(table, chunk, found); err != nil {
				return err
			}
		}
	}
	return nil
}

func (t *Tx) fetchSome(table string, chunk []change, found *news) error {
	var args []any
	var tuples []string
	missing := map[string]change{}
	for _, c := range chunk {
		values, err := keyValues(c.key)
		if err != nil {
			return err
		}
		places := make([]string, len(values))
		for i, v := range values {
			args = append(args, v)
			places[i] = fmt.Sprintf("$%d", len(args))
		}
		tuples = append(tuples, "("+strings.Join(places, ", ")+")")
		missing[fmt.Sprint(values...)] = c
	}
	rows, err := t.collect("SELECT * FROM "+table+" WHERE ("+strings.Join(keys[table], ", ")+") IN ("+t.store.dialect.rowList+strings.Join(tuples, ", ")+")", args...)
	if err != nil {
		return err
	}
	for _, r := range rows {
		values := make([]any, len(keys[table]))
		for i, k := range keys[table] {
			values[i] = r[k]
		}
		delete(missing, fmt.Sprint(values...))
	}
	found.put = append(found.put, copied{table, rows})
	for _, c := range missing {
		found.gone = append(found.gone, c)
	}
	return nil
}

// take writes what a round found into the copy.
func (t *Tx) take(n news) error {
	for _, c := range n.gone {
		if err := t.remove(c.table, c.key); err != nil {
			return err
		}
	}
	for _, c := range n.put {
		if err := t.putAll(c.table, c.rows); err != nil {
			return err
		}
	}
	return t.writeMeta(n.meta)
}

func (t *Tx) putAll(table string, rows []row) error {
	has, err := t.columns(table)
	if err != nil {
		return err
	}
	for _, r := range rows {
		for c := range r {
			if !has[c] {
				delete(r, c)
			}
		}
		if err := t.put(table, r); err != nil {
			return err
		}
	}
	return nil
}

// sameFile is the system of a database that is a file.
const sameFile = "file"

// history is what the feed says of the server, and what the server is.
type history struct {
	incarnation  string
	noted, is    string
	completeFrom int64
}

// known says that the feed is of this server: another server, or another timeline
// of the same one after a promotion, is another history.
func (h history) known() bool { return h.noted == h.is && h.noted != "" }

func (t *Tx) history() (history, error) {
	h := history{is: sameFile}
	err := t.Row(`SELECT incarnation, system, complete_from FROM feed WHERE id = 1`).Scan(&h.incarnation, &h.noted, &h.completeFrom)
	if err != nil && !errors.Is(err, ErrNoRows) || t.store.dialect.system == "" {
		return h, onlyReal(err)
	}
	return h, t.Row("SELECT " + t.store.dialect.system).Scan(&h.is)
}

func onlyReal(err error) error {
	if errors.Is(err, ErrNoRows) {
		return nil
	}
	return err
}

// adopt writes down which history the primary holds.
func (sb *standby) adopt(ctx context.Context) error {
	p := sb.primary
	fresh := make([]byte, 12)
	if _, err := io.ReadFull(p.random, fresh); err != nil {
		return err
	}
	return p.runCall(ctx, p.background.write, p.newCall(p.deadline), func(tx *Tx) error { return tx.adopt(hex.EncodeToString(fresh)) })
}

// adopt begins a new history after a restore into another server: its transaction
// numbers are others, so what was noted with the old ones counts as over.
func (t *Tx) adopt(fresh string) error {
	h, err := t.history()
	if err != nil || h.known() {
		return err
	}
	if h.noted == "" || before(h.noted) == before(h.is) { // new, or the same server promoted
		_, err := t.Exec(`INSERT INTO feed (id, incarnation, system, complete_from, made_at) VALUES (1, $1, $2, 0, $3)
			ON CONFLICT (id) DO UPDATE SET system = excluded.system`, fresh, h.is, Micros(t.Now()))
		return err
	}
	for _, q := range []string{`DELETE FROM changes`, `UPDATE events SET xid = 0 WHERE xid > 0`} {
		if _, err := t.Exec(q); err != nil {
			return err
		}
	}
	_, err = t.Exec(`UPDATE feed SET incarnation = $1, system = $2, complete_from = 0, made_at = $3 WHERE id = 1`, fresh, h.is, Micros(t.Now()))
	return err
}

// before cuts the timeline off.
func before(system string) string {
	server, _, _ := strings.Cut(system, "/")
	return server
}

// Incarnation names the history this database holds: a place noted in another one
// says nothing here. It is "" until the feed has been read for the first time.
func (t *Tx) Incarnation() (string, error) {
	var name string
	err := t.Row(`SELECT incarnation FROM feed WHERE id = 1`).Scan(&name)
	if errors.Is(err, ErrNoRows) {
		return "", nil
	}
	return name, err
}

// place of this node's standby, for the row it keeps among the nodes.
func (sb *standby) place() int64 {
	if sb == nil {
		return 0
	}
	sb.mu.Lock()
	defer sb.mu.Unlock()
	return sb.meta.Place
}

// ForgetChanges deletes changes that every living node has. A node that was away for
// longer finds the gap and builds its copy anew.
func (s *Store) ForgetChanges(ctx context.Context) error {
	return s.Background(ctx, func(tx *Tx) error {
		order := tx.store.dialect.feedOrder
		var lowest, newest int64
		err := tx.Row(`SELECT COALESCE(MIN(place), 0) FROM nodes WHERE seen_at > $1 AND place > 0`, Micros(tx.Now().Add(-keepChanges))).Scan(&lowest)
		if err != nil {
			return err
		}
		if err := tx.Row(`SELECT COALESCE(MAX(` + order + `), 0) FROM changes`).Scan(&newest); err != nil {
			return err
		}
		if lowest == 0 || lowest > newest { // nobody follows, or all have all: the newest stays, so that serials go on
			lowest = newest
		}
		if _, err := tx.Exec(`DELETE FROM changes WHERE `+order+` < $1`, lowest); err != nil {
			return err
		}
		_, err = tx.Exec(`UPDATE feed SET complete_from = $1 WHERE id = 1 AND complete_from < $1`, lowest)
		return err
	})
}

// keepChanges is how long changes wait for a node that is away.
const keepChanges = 24 * time.Hour
