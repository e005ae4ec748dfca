package store

import (
	"context"
	"errors"
	"time"
)

// The feed brings the standby what the primary has a moment late. Two things must
// not wait for it on the node that did them: that a code was used, which is
// remembered here, and a denial, which is written through.

// Take says that a one-time thing of table (see oneTime) with this key is about to
// be used by an attempt or session: false when this node knows that another has
// used or claimed it, whichever database that was on. It is remembered once the
// transaction is committed, or may have been.
func (t *Tx) Take(table, by string, key ...any) bool {
	sb := t.store.standby
	if sb == nil {
		return true
	}
	name, err := keyOf(key)
	if err != nil {
		return false
	}
	f := Fact{Table: table, Key: string(name), By: by}
	t.takes = append(t.takes, f)
	return sb.claims.free(f)
}

// free tells whether nobody else is known to have a fact. A memory that is full
// refuses nothing here: the database itself is asked next.
func (c *claims) free(f Fact) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	old, found := c.taken[f.name()]
	return !found || old.by == f.By || c.now().Sub(old.at) >= claimLasts
}

// remember keeps what a transaction on the primary has used up, or may have.
func (sb *standby) remember(facts []Fact, outcome error) {
	if sb == nil || len(facts) == 0 || outcome != nil && !errors.Is(outcome, ErrOutcomeUnknown) {
		return
	}
	sb.claims.take(facts)
}

// Through has what this transaction wrote be on the standby too before it is
// answered, as far as that can be: for denials, which nothing may forget.
func (t *Tx) Through() { t.through = !t.store.isStandby && t.store.standby != nil }

// throughTime bounds what the writing through may add to an answer.
const throughTime = 300 * time.Millisecond

// wrote reads, on the primary, the rows of this transaction.
func (t *Tx) wrote() (e Entry, err error) {
	from := t.store.standby.place() // where writers take turns, what the feed has not read is enough
	own := t.store.dialect.transaction
	if own != "" {
		if err := t.Row("SELECT " + own).Scan(&from); err != nil {
			return e, err
		}
	}
	changed, err := t.changed(t.store.dialect.feedOrder, from, mostChanges)
	if err != nil {
		return e, err
	}
	for _, c := range distinct(changed) {
		if own != "" && c.order != from {
			continue // another's, which is younger
		}
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
	return e, nil
}

// carry writes an entry into the copy, beside the feed: it joins by the rules of a
// hand-over, so that neither order does harm. What fails the feed repairs.
func (sb *standby) carry(ctx context.Context, e Entry) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), throughTime)
	defer cancel()
	if err := sb.quietly(ctx, func(tx *Tx) error { return tx.applyAll([]Entry{e}) }); err != nil {
		sb.o.Log.Warn("a denial is not on the standby yet; the feed brings it", "error", err)
	}
}
