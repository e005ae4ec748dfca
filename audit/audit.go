// Package audit recomputes everything: what the tables say is held against the
// log, and the log against the tables. Sessions and sign-ins, codes used up, tries,
// revocations, mails, hand-overs, keys: each says of the others what it must, or
// something is wrong with this program, with a disk, or with somebody who wrote
// to the database by hand. It changes nothing, and may run beside live traffic.
package audit

import (
	"cmp"
	"context"
	"slices"
	"time"

	"gatehouse/accounts"
	"gatehouse/events"
	"gatehouse/id"
	"gatehouse/limits"
	"gatehouse/outbox"
	"gatehouse/seal"
	"gatehouse/store"
)

// Check names one thing that is looked at. Its sentence is the catalogue's
// "audit.<check>", and what to do about a finding "audit.<check>.do".
type Check string

// The checks.
const (
	SessionWithoutSignIn Check = "session-without-signin" // a session that no sign-in opened
	SignInWithoutSession Check = "signin-without-session"
	CodeNotUsedUp        Check = "code-not-used-up"    // a session whose code could be used again
	CodeUsedTwice        Check = "code-used-twice"     // two sessions on one code
	CodeUsedByNobody     Check = "code-used-by-nobody" // used up, and nothing says by what
	RecoveryUnrecorded   Check = "recovery-unrecorded" // a recovery code is gone and no event says so
	RecoveryNotUsedUp    Check = "recovery-not-used-up"
	NotRevoked           Check = "not-revoked" // an ended session that other nodes may still let in
	NotEnded             Check = "not-ended"   // revoked, yet listed as alive
	StandbyMark          Check = "standby-mark"
	TriesMissing         Check = "tries-missing"   // fewer tries counted than were refused
	TriesOver            Check = "tries-over"      // more than the limit allows
	EffectMissing        Check = "effect-missing"  // something happened and nobody was told
	EffectUncaused       Check = "effect-uncaused" // told, or told twice, without a cause
	KeyMissing           Check = "key-missing"
	KeyForged            Check = "key-forged"
	EventForged          Check = "event-forged"
	ApprovalForged       Check = "approval-forged" // an answer of a phone whose signature does not stand, or says something else
	Orphan               Check = "orphan"          // a row of an account that is not there
	NotHandedOver        Check = "not-handed-over" // an event of a standby without a hand-over
	RecordedTwice        Check = "recorded-twice"  // one step of a node recorded under two ids
	ConflictOpen         Check = "conflict-open"   // settled, yet what it was about goes on
	StandbyDiffers       Check = "standby-differs"
)

// Finding is one thing that is not as it should be.
type Finding struct {
	Check   Check      `json:"check"`
	Account id.Account `json:"account,omitempty"`
	Subject string     `json:"subject"` // what it is about: an id, a table, a rule
}

// Undone is what reconciliation ended (package rejoin).
type Undone struct {
	ID      string
	Account id.Account
	Attempt id.Attempt
	Session id.Session
}

// Audit holds what a recomputation needs. cmd fills every field, once.
type Audit struct {
	Store *store.Store
	Keys  *seal.Keys
	Log   *events.Log
	Now   func() time.Time

	// Name, Device and Link limit passwords; Code and CodeDevice limit codes.
	Name, Device, Link, Code, CodeDevice limits.Rule

	// Undone lists what reconciliation ended; nil: nothing ever.
	Undone func(context.Context) ([]Undone, error)
	// Compare holds the standby against the primary; nil where there is none.
	Compare func(context.Context) (differences []string, err error)
	// Progress is told how far it is; nil tells nobody.
	Progress func(done, total int64)
}

// Report is what a recomputation found.
type Report struct {
	Accounts int64     `json:"accounts"` // looked at
	Events   int64     `json:"events"`
	Sessions int64     `json:"sessions"`
	Mails    int64     `json:"mails"`
	Compared bool      `json:"standby_compared"`
	Findings []Finding `json:"findings"`
}

// memory is how far back things must be there: sessions and mails are tidied
// away after a month.
const memory = 27 * 24 * time.Hour

const page = 200

// Run recomputes everything. An error means that it could not be done, not that
// something is wrong; what is wrong stands in the report.
func (a *Audit) Run(ctx context.Context) (Report, error) {
	r := &run{Audit: a, ctx: ctx, from: a.Now().Add(-memory), undone: map[id.Session]Undone{}}
	for _, step := range []func() error{r.readUndone, r.readMails, r.everyAccount, r.approvals, r.orphans, r.handOvers, r.compare} {
		if err := step(); err != nil {
			return r.report, err
		}
	}
	slices.SortStableFunc(r.report.Findings, func(x, y Finding) int { return cmp.Compare(x.Check, y.Check) })
	return r.report, nil
}

// run is one recomputation.
type run struct {
	*Audit
	ctx    context.Context
	from   time.Time
	report Report
	undone map[id.Session]Undone
	mails  map[id.Account][]outbox.Put
}

func (r *run) read(fn func(*store.Tx) error) error { return r.Store.BackgroundRead(r.ctx, fn) }

func (r *run) add(found ...Finding) { r.report.Findings = append(r.report.Findings, found...) }

func (r *run) readUndone() error {
	if r.Undone == nil {
		return nil
	}
	all, err := r.Undone(r.ctx)
	for _, u := range all {
		r.undone[u.Session] = u
	}
	return err
}

// readMails keeps what was put in the outbox, by account: a few dozen bytes each.
func (r *run) readMails() error {
	r.mails = map[id.Account][]outbox.Put{}
	var after id.Message
	for {
		var all []outbox.Put
		err := r.read(func(tx *store.Tx) (err error) {
			all, err = outbox.All(tx, after, page*10)
			return err
		})
		if err != nil || len(all) == 0 {
			return err
		}
		for _, p := range all {
			r.mails[p.Account] = append(r.mails[p.Account], p)
		}
		r.report.Mails += int64(len(all))
		after = all[len(all)-1].ID
	}
}

// everyAccount looks at one account after the other, each on one unchanging view,
// so that what goes on meanwhile looks like nothing missing.
func (r *run) everyAccount() error {
	var total int64
	if err := r.read(func(tx *store.Tx) (err error) { total, err = accounts.Count(tx); return err }); err != nil {
		return err
	}
	after := id.Account("")
	for {
		var ids []id.Account
		err := r.read(func(tx *store.Tx) (err error) { ids, err = accounts.IDs(tx, after, page); return err })
		if err != nil || len(ids) == 0 {
			return err
		}
		for _, account := range ids {
			if err := r.account(account); err != nil {
				return err
			}
			if r.report.Accounts++; r.Progress != nil {
				r.Progress(r.report.Accounts, max(total, r.report.Accounts))
			}
		}
		after = ids[len(ids)-1]
	}
}

// account looks at one account. What is found is looked for once more, with the
// account's mails from the same view as the rest: they were read before.
func (r *run) account(account id.Account) error {
	found, err := r.look(account, r.mails[account], false)
	if err != nil || len(found) == 0 {
		return err
	}
	again, err := r.look(account, nil, true)
	for _, f := range again {
		if slices.Contains(found, f) {
			r.add(f)
		}
	}
	return err
}

func (r *run) look(account id.Account, mails []outbox.Put, again bool) (found []Finding, err error) {
	err = r.read(func(tx *store.Tx) (err error) {
		if again {
			if mails, err = outbox.Of(tx, account); err != nil {
				return err
			}
		}
		p, err := r.gather(tx, account)
		if err != nil || !p.there {
			return err
		}
		p.mails = mails
		found = p.judge()
		if !again {
			r.report.Sessions += int64(len(p.sessions))
			r.report.Events += int64(len(p.log))
		}
		return nil
	})
	return found, err
}

// compare holds the standby against the primary.
func (r *run) compare() error {
	if r.Compare == nil {
		return nil
	}
	differences, err := r.Compare(r.ctx)
	if err != nil {
		return err
	}
	r.report.Compared = true
	for _, d := range differences {
		r.add(Finding{Check: StandbyDiffers, Subject: d})
	}
	return nil
}
