package store

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
)

// resyncTime bounds the building of a copy: a million accounts take a minute or two.
const resyncTime = 15 * time.Minute

// resync builds the copy anew from one snapshot of the primary: the first time,
// after a gap in the feed, and when the primary turns out to have another
// history. The old copy answers until the new one is complete: it is one
// transaction.
func (sb *standby) resync(ctx context.Context, to meta, settle Settle) error {
	promoted := sb.meta.Place > 0 && sb.meta.System != to.System
	if promoted {
		if err := sb.returnTail(ctx, to, settle); err != nil {
			return err
		}
	}
	start := sb.primary.now()
	p := sb.primary
	err := p.runCall(ctx, p.background.read, p.newCall(resyncTime), func(from *Tx) error {
		place, err := from.feedHorizon()
		if err != nil {
			return err
		}
		to.Place, to.FollowedAt = max(place, 1), Micros(start)
		return sb.quietlyLong(ctx, func(tx *Tx) error {
			for _, table := range fedTables() {
				if err := tx.copyTable(from, table); err != nil {
					return err
				}
			}
			return tx.writeMeta(to)
		})
	})
	if err != nil {
		return fmt.Errorf("building the standby: %w", err)
	}
	sb.mu.Lock()
	sb.meta, sb.seen = to, map[int64]bool{}
	sb.state.Resyncs++
	sb.mu.Unlock()
	sb.saved = start
	if err := sb.recall(ctx); err != nil {
		return err
	}
	sb.o.Log.Info("the standby was built from the primary", "took", sb.primary.now().Sub(start).String())
	return nil
}

// recall counts, from the copy alone, the nodes that were alive when it was last
// fed: among them limits are divided.
func (sb *standby) recall(ctx context.Context) error {
	return sb.copy.runCall(ctx, sb.copy.background.read, sb.copy.newCall(sb.primary.deadline), func(tx *Tx) error {
		n, err := tx.aliveAt(Time(sb.meta.FollowedAt))
		sb.mu.Lock()
		defer sb.mu.Unlock()
		sb.share = n
		return err
	})
}

// quietlyLong is quietly for a transaction that takes its time. It runs inside
// one of the primary, on another database: nothing can wait for itself.
func (sb *standby) quietlyLong(ctx context.Context, fn func(*Tx) error) error {
	done := make(chan error, 1)
	go func() {
		done <- sb.copy.runCall(ctx, sb.copy.background.write, sb.copy.newCall(resyncTime), func(tx *Tx) error {
			if err := fn(tx); err != nil {
				return err
			}
			_, err := tx.Exec("DELETE FROM changes")
			return err
		})
	}()
	return <-done
}

// page is how many rows are copied at a time.
const page = 1000

// copyTable replaces a table by what the primary has, in the order of its key.
func (t *Tx) copyTable(from *Tx, table string) error {
	if _, err := t.Exec("DELETE FROM " + table); err != nil {
		return err
	}
	key := strings.Join(keys[table], ", ")
	var after []any
	for {
		q := "SELECT * FROM " + table
		if after != nil {
			places := make([]string, len(after))
			for i := range after {
				places[i] = fmt.Sprintf("$%d", i+1)
			}
			q += " WHERE (" + key + ") > (" + strings.Join(places, ", ") + ")"
		}
		rows, err := from.collect(fmt.Sprintf("%s ORDER BY %s LIMIT %d", q, key, page), after...)
		if err != nil {
			return err
		}
		last := len(rows) < page
		if len(rows) > 0 {
			after = nil
			for _, k := range keys[table] {
				after = append(after, rows[len(rows)-1][k])
			}
		}
		if err := t.putAll(table, rows); err != nil || last {
			return err
		}
	}
}

// tails are what a promoted server may lack and must not: what was used up and
// who was denied. cut says which rows still matter.
var tails = []struct{ table, where string }{
	{"totp_used", "made_at > $1"},
	{"recovery_codes", "spent_at > $1"},
	{"revocations", "made_at > $1"},
	{"sessions", "ended_at > $1"},
	{"accounts", "status IN ('locked', 'disabled') AND $1 > 0"},
}

// tailAge is how far back a lost tail is looked for.
const tailAge = 24 * time.Hour

// returnTail hands a server with another history the denials and used-up facts
// that this node saw on the old one; the rest of what it lacks is told by number.
func (sb *standby) returnTail(ctx context.Context, to meta, settle Settle) error {
	e := Entry{ID: "tail " + to.System + " " + to.Incarnation + " " + string(sb.primary.node), Node: sb.primary.node, Schema: sb.primary.schemaVersion(), MadeAt: sb.primary.now()}
	err := sb.copy.runCall(ctx, sb.copy.background.read, sb.copy.newCall(resyncTime), func(tx *Tx) error {
		e.Rows = nil
		for _, tail := range tails {
			if err := tx.gather(&e, tail.table, tail.where, Micros(e.MadeAt.Add(-tailAge))); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	sb.o.Log.Warn("the primary database has another history than the one this standby followed: a promoted or restored server; denials and used-up codes are handed back to it",
		"was", sb.meta.System, "is", to.System, "rows", len(e.Rows))
	for rows := range slices.Chunk(e.Rows, tailPart) {
		if err := sb.returnRows(ctx, e, rows, settle); err != nil {
			return err
		}
	}
	return nil
}

// returnRows hands a part of a tail back. It is named by what is in it: a later try
// has other parts. One row that cannot be taken is told and keeps back no other.
func (sb *standby) returnRows(ctx context.Context, tail Entry, rows []Image, settle Settle) error {
	text, err := json.Marshal(rows)
	if err != nil {
		return err
	}
	part := tail
	part.ID, part.Rows = fmt.Sprintf("%s %x", tail.ID, sha256.Sum256(text)), rows
	err = sb.handSome(ctx, []Entry{part}, settle)
	if err == nil || isOutage(err) {
		return err
	}
	if len(rows) == 1 {
		sb.o.Log.Error("a row that this standby knew cannot be handed back", "table", rows[0].Table, "key", string(rows[0].Key), "error", err)
		return nil
	}
	for i := range rows {
		if err := sb.returnRows(ctx, tail, rows[i:i+1], settle); err != nil {
			return err
		}
	}
	return nil
}

// tailPart is how many rows of a tail go back in one transaction: all of a busy
// day's would run into its deadline, each time anew.
const tailPart = 500

func (t *Tx) gather(e *Entry, table, where string, since int64) error {
	rows, err := t.collect("SELECT * FROM "+table+" WHERE "+where, since)
	if err != nil {
		return err
	}
	for _, r := range rows {
		var values []any
		for _, k := range keys[table] {
			values = append(values, r[k])
		}
		key, err := keyOf(values)
		if err != nil {
			return err
		}
		img, err := imageOf(table, key, r)
		if err != nil {
			return err
		}
		e.Rows = append(e.Rows, img)
	}
	return nil
}
