package access

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"gatehouse/id"
	"gatehouse/store"
)

// RequiredOf is the requirement for somebody now: the strictest of the
// installation's policy, those of every organisation they belong to, and those of
// what they are there. One query.
func RequiredOf(tx *store.Tx, account id.Account) (Requirement, error) {
	return RequiredFor(tx, account, "")
}

// RequiredFor is RequiredOf for a sign-in to an application, by its client id.
func RequiredFor(tx *store.Tx, account id.Account, client string) (Requirement, error) {
	w, err := applyingTo(tx, account, client)
	return w.at(asOf(tx)), err
}

// DueOf tells what will be asked of somebody by a roll-out that they are in, and
// from when; false when nothing else is coming. Whether they hold it already is
// for the caller to see.
func DueOf(tx *store.Tx, account id.Account) (Due, bool, error) {
	w, err := applyingTo(tx, account, "")
	if err != nil {
		return Due{}, false, err
	}
	d, coming := w.due(asOf(tx))
	return d, coming, nil
}

// asOf is the time by which deadlines count. On a standby it stands still where the
// primary was last heard of: nobody can set up there what a deadline that passes
// meanwhile would ask for, and the terms before it are two factors as well.
func asOf(tx *store.Tx) time.Time { return tx.Now().Add(-tx.StandbyAge()) }

// applyingTo reads an account's memberships and every policy that bears on it.
func applyingTo(tx *store.Tx, account id.Account, client string) (applying, error) {
	w := applying{account: account}
	if client != "" {
		client = Scope{Client: client}.Key()
	}
	rows, err := tx.Rows(`SELECT m.organisation, m.role, COALESCE(p.id, ''), COALESCE(p.value, '') FROM memberships m
		LEFT JOIN policies p ON p.id IN ('organisation/' || m.organisation, 'role/' || m.organisation || '/' || m.role) AND p.kind = 'authentication'
		WHERE m.account = $1
		UNION ALL SELECT '', '', id, value FROM policies WHERE id IN ('installation', $2) AND kind = 'authentication'`, account, client)
	if err != nil {
		return w, err
	}
	defer rows.Close()
	for rows.Next() {
		var m Membership
		var key, value string
		if err := rows.Scan(&m.Organisation, &m.Role, &key, &value); err != nil {
			return w, err
		}
		if m.Organisation != "" && !slices.Contains(w.members, m) { // it comes twice where two policies hold
			w.members = append(w.members, m)
		}
		if key == "" {
			continue
		}
		p, err := opened(key, value)
		if err != nil {
			return w, err
		}
		w.policies = append(w.policies, p)
	}
	return w, rows.Err()
}

// opened reads a policy as it is kept. One that cannot be read lets nobody past:
// what it asked for is not known.
func opened(key, value string) (Policy, error) {
	var p Policy
	scope, known := ScopeOf(key)
	if !known {
		return p, fmt.Errorf("access: policy %q is of no scope we know", key)
	}
	if err := json.Unmarshal([]byte(value), &p); err != nil {
		return p, fmt.Errorf("access: policy %q cannot be read: %w", key, err)
	}
	p.Scope = scope
	return p, nil
}

// PolicyOf reads the policy of a scope; one of version 0 when there is none.
func PolicyOf(tx *store.Tx, s Scope) (Policy, error) {
	var value string
	var version int64
	err := tx.Row(`SELECT value, version FROM policies WHERE id = $1 AND kind = 'authentication'`, s.Key()).Scan(&value, &version)
	if errors.Is(err, store.ErrNoRows) {
		return Policy{Scope: s}, nil
	}
	if err != nil {
		return Policy{}, err
	}
	p, err := opened(s.Key(), value)
	p.Version = version
	return p, err
}

// Policies lists every policy, by scope. There is at most one for each
// organisation, role and application.
func Policies(tx *store.Tx) ([]Policy, error) {
	rows, err := tx.Rows(`SELECT id, value, version FROM policies WHERE kind = 'authentication' ORDER BY id`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []Policy
	for rows.Next() {
		var key, value string
		var version int64
		if err := rows.Scan(&key, &value, &version); err != nil {
			return nil, err
		}
		p, err := opened(key, value)
		if err != nil {
			return nil, err
		}
		p.Version = version
		all = append(all, p)
	}
	return all, rows.Err()
}

// HoldPolicies keeps everybody else from changing policies until the transaction
// ends: whether one fits the others is decided on all of them.
func HoldPolicies(tx *store.Tx) error {
	_, err := tx.Exec(`INSERT INTO policies (id, kind, value, made_at, version, node) VALUES ('guard', 'guard', '', $1, 1, $2)
		ON CONFLICT (id) DO UPDATE SET version = policies.version + 1, node = excluded.node`, store.Micros(tx.Now()), tx.Node())
	return err
}

// KeepPolicy writes a policy over the version it was read as; false when somebody
// else has changed it since.
func KeepPolicy(tx *store.Tx, p Policy) (bool, error) {
	p.Changed = store.Micros(tx.Now())
	value, err := json.Marshal(p)
	if err != nil {
		return false, err
	}
	var organisation any
	if p.Scope.Organisation != "" {
		organisation = p.Scope.Organisation
	}
	if p.Version == 0 {
		n, err := tx.Exec(`INSERT INTO policies (id, organisation, kind, value, made_at, version, node) VALUES ($1, $2, 'authentication', $3, $4, 1, $5)
			ON CONFLICT (id) DO NOTHING`, p.Scope.Key(), organisation, string(value), p.Changed, tx.Node())
		return n == 1, err
	}
	n, err := tx.Exec(`UPDATE policies SET value = $2, version = version + 1, node = $3 WHERE id = $1 AND version = $4`,
		p.Scope.Key(), string(value), tx.Node(), p.Version)
	return n == 1, err
}

// Trial is what everybody is asked for now, and what they would be with one policy
// put in place of what its scope has.
type Trial struct{ Policy Policy }

// Of compares for one person: now, and under the policy once its roll-out has
// reached everybody.
func (t Trial) Of(tx *store.Tx, account id.Account) (now, then Requirement, members []Membership, err error) {
	w, err := applyingTo(tx, account, t.Policy.Scope.Client)
	if err != nil {
		return now, then, nil, err
	}
	now = w.at(asOf(tx))
	p := t.Policy
	p.Terms, p.Next = p.Wants(), nil
	var others []Policy
	for _, o := range w.policies {
		if o.Scope.Key() != p.Scope.Key() {
			others = append(others, o)
		}
	}
	w.policies = append([]Policy{p}, others...)
	return now, w.at(asOf(tx)), w.members, nil
}

// Members lists the accounts of an organisation, of one role or of all, after an
// account, in order.
func Members(tx *store.Tx, o id.Organisation, r Role, after id.Account, limit int) ([]id.Account, error) {
	return store.Column[id.Account](tx, `SELECT account FROM memberships WHERE organisation = $1 AND (role = $2 OR $2 = '') AND account > $3 ORDER BY account LIMIT $4`,
		o, r, after, limit)
}

// CountMembers counts them.
func CountMembers(tx *store.Tx, o id.Organisation, r Role) (n int64, err error) {
	err = tx.Row(`SELECT COUNT(*) FROM memberships WHERE organisation = $1 AND (role = $2 OR $2 = '')`, o, r).Scan(&n)
	return n, err
}

// Organisations lists organisations by name, at most so many.
func Organisations(tx *store.Tx, limit int) ([]Organisation, error) {
	rows, err := tx.Rows(`SELECT id, name, made_at FROM organisations ORDER BY name, id LIMIT $1`, limit)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []Organisation
	for rows.Next() {
		var o Organisation
		var made int64
		if err := rows.Scan(&o.ID, &o.Name, &made); err != nil {
			return nil, err
		}
		o.MadeAt = store.Time(made)
		all = append(all, o)
	}
	return all, rows.Err()
}

// PolicyWriters lists who may change policies: of an organisation, or of any
// where o is empty; at most so many, in order.
func PolicyWriters(tx *store.Tx, o id.Organisation, limit int) ([]id.Account, error) {
	var all []id.Account
	for _, r := range Roles() {
		if !Can(r, WritePolicy) {
			continue
		}
		some, err := store.Column[id.Account](tx, `SELECT DISTINCT account FROM memberships WHERE (organisation = $1 OR $1 = '') AND role = $2 ORDER BY account LIMIT $3`, o, r, limit)
		if err != nil {
			return nil, err
		}
		all = append(all, some...)
	}
	return all[:min(len(all), limit)], nil
}

// OrganisationByID finds an organisation.
func OrganisationByID(tx *store.Tx, o id.Organisation) (Organisation, bool, error) {
	org := Organisation{ID: o}
	var made int64
	err := tx.Row(`SELECT name, made_at FROM organisations WHERE id = $1`, o).Scan(&org.Name, &made)
	if errors.Is(err, store.ErrNoRows) {
		return org, false, nil
	}
	org.MadeAt = store.Time(made)
	return org, err == nil, err
}
