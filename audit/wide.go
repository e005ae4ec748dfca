package audit

import (
	"slices"
	"time"

	"gatehouse/access"
	"gatehouse/accounts"
	"gatehouse/authenticators"
	"gatehouse/events"
	"gatehouse/id"
	"gatehouse/sessions"
	"gatehouse/store"
)

// What concerns more than one account.

// referring are the owners of rows that name an account.
var referring = []struct {
	name string
	list func(tx *store.Tx, after id.Account, limit int) ([]id.Account, error)
}{
	{"sessions, devices", sessions.Referred},
	{"passwords, apps, recovery codes", authenticators.Referred},
	{"links", accounts.Referred},
	{"memberships", access.Referred},
	{"data keys", events.Referred},
}

// orphans: no row names an account that is not there.
func (r *run) orphans() error {
	for _, owner := range referring {
		if err := r.orphansOf(owner.name, owner.list); err != nil {
			return err
		}
	}
	var strays []string
	err := r.read(func(tx *store.Tx) (err error) { strays, err = authenticators.Strays(tx, page); return err })
	for _, s := range strays {
		r.add(Finding{Check: Orphan, Subject: "recovery codes of the set " + s})
	}
	return err
}

func (r *run) orphansOf(name string, list func(*store.Tx, id.Account, int) ([]id.Account, error)) error {
	after := id.Account("")
	for {
		var ids, missing []id.Account
		err := r.read(func(tx *store.Tx) (err error) {
			missing = nil
			if ids, err = list(tx, after, page); err != nil {
				return err
			}
			for _, a := range ids {
				_, there, err := accounts.ByID(tx, a)
				if err != nil {
					return err
				}
				if !there && a != events.Nobody {
					missing = append(missing, a)
				}
			}
			return nil
		})
		if err != nil || len(ids) == 0 {
			return err
		}
		for _, a := range missing {
			r.add(Finding{Check: Orphan, Account: a, Subject: name})
		}
		after = ids[len(ids)-1]
	}
}

// handOvers: every event that a standby recorded came with a journal entry, and no
// step of a node is recorded under two ids.
func (r *run) handOvers() error {
	entries, err := r.entries()
	if err != nil {
		return err
	}
	var first, last int64
	err = r.read(func(tx *store.Tx) (err error) { first, last, err = events.Span(tx); return err })
	if err != nil {
		return err
	}
	type step struct {
		node id.Node
		seq  int64
	}
	steps := map[step]id.Event{}
	const stride = 20_000
	for at := first; at <= last && last > 0; at += stride {
		var some []events.Alone
		err := r.read(func(tx *store.Tx) (err error) {
			some, err = events.RecordedAlone(tx, at, min(at+stride, last+1))
			return err
		})
		if err != nil {
			return err
		}
		for _, e := range some {
			if _, twice := steps[step{e.Node, e.NodeSeq}]; twice {
				r.add(Finding{Check: RecordedTwice, Subject: string(e.ID)})
			}
			steps[step{e.Node, e.NodeSeq}] = e.ID
			if !came(entries[e.Node], e.MadeAt) {
				r.add(Finding{Check: NotHandedOver, Subject: string(e.ID)})
			}
		}
	}
	return nil
}

// entries are the moments at which each node made what it has handed over.
func (r *run) entries() (map[id.Node][]time.Time, error) {
	all := map[id.Node][]time.Time{}
	var last *store.Handed
	for {
		var some []store.Handed
		err := r.read(func(tx *store.Tx) (err error) {
			some, err = tx.Handed(time.UnixMicro(0), last, page*10)
			return err
		})
		if err != nil || len(some) == 0 {
			return all, err
		}
		for _, h := range some {
			all[h.Node] = append(all[h.Node], h.MadeAt)
		}
		last = &some[len(some)-1]
	}
}

// came tells whether one of these moments, in order, is that of the transaction
// that recorded something at t.
func came(entries []time.Time, t time.Time) bool {
	i, _ := slices.BinarySearchFunc(entries, t.Add(-time.Second), time.Time.Compare)
	return i < len(entries) && entries[i].Sub(t) <= 3*within
}
