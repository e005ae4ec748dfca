package manage

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"gatehouse/access"
	"gatehouse/accounts"
	"gatehouse/authenticators"
	"gatehouse/events"
	"gatehouse/fault"
	"gatehouse/id"
	"gatehouse/outbox"
	"gatehouse/proof"
	"gatehouse/sessions"
	"gatehouse/store"
)

// PolicyDo is what happens to a policy.
type PolicyDo string

// The changes, as the log calls them.
const (
	PolicySet     PolicyDo = "set"      // other terms from now on
	PolicyRollOut PolicyDo = "roll-out" // other terms, cohort by cohort
	PolicyRevert  PolicyDo = "reverted" // one step back
)

// PolicyWish is a change of the policy of one scope.
type PolicyWish struct {
	Scope   access.Scope
	Do      PolicyDo
	Terms   *access.Requirement // PolicySet; nil takes the scope's own away
	RollOut *access.Rollout     // PolicyRollOut
	Version int64               // of the policy that was looked at; 0: there was none
}

// PolicyDone is the answer to a change.
type PolicyDone struct {
	Policy     access.Policy      // as it is now
	Complaints []access.Complaint // why nothing was changed; none: it was
}

// Changer is who changes a policy: a signed-in person, or an operator.
type Changer struct {
	Caller *Caller
	Actor  string // of an operator
}

// Policies reads every policy. It works on a standby.
func (m *Manage) Policies(ctx context.Context) (all []access.Policy, err error) {
	err = m.Store.EssentialRead(ctx, func(tx *store.Tx) (err error) {
		all, err = access.Policies(tx)
		return err
	})
	return all, err
}

// Policy reads the policy of a scope, of version 0 when it has none, and what it
// would be after a change, with what speaks against that. Nothing is written.
func (m *Manage) Policy(ctx context.Context, w PolicyWish) (is, then access.Policy, bad []access.Complaint, err error) {
	err = m.Store.EssentialRead(ctx, func(tx *store.Tx) (err error) {
		is, then, bad, err = m.wished(tx, w)
		return err
	})
	return is, then, bad, err
}

// wished works out what a policy becomes.
func (m *Manage) wished(tx *store.Tx, w PolicyWish) (is, then access.Policy, bad []access.Complaint, err error) {
	others, err := access.Policies(tx)
	if err != nil {
		return is, then, nil, err
	}
	is = access.Policy{Scope: w.Scope}
	for _, p := range others {
		if p.Scope == w.Scope {
			is = p
		}
	}
	now := tx.Now()
	switch w.Do {
	case PolicySet:
		then = is.With(normal(w.Terms), now)
		if w.Terms != nil {
			bad = access.Policy{Scope: w.Scope, Terms: w.Terms}.Complaints(nil, now) // before a mistake is made normal
		}
	case PolicyRollOut:
		then = is.Settled(now)
		if then.Next != nil {
			bad = append(bad, access.Complaint{Key: "accept.bad.underway"})
		}
		bad = append(bad, access.Policy{Scope: w.Scope, Terms: &w.RollOut.Terms}.Complaints(nil, now)...)
		next := *w.RollOut
		next.Terms = next.Terms.Normal()
		then.Next = &next
	case PolicyRevert:
		if then = is.Reverted(now); is.Version == 0 {
			bad = append(bad, access.Complaint{Key: "accept.bad.nothing"})
		}
	default:
		return is, is, nil, nil
	}
	if len(bad) == 0 {
		bad = then.Complaints(others, now)
	}
	if terms := then.Wants(); len(bad) == 0 && terms != nil {
		bad = m.unable(terms.Normal())
	}
	return is, then, bad, nil
}

// unable says what terms want that this installation cannot give.
func (m *Manage) unable(terms access.Requirement) []access.Complaint {
	switch {
	case m.Passkeys == nil && !terms.Suffices(proof.TOTP):
		return []access.Complaint{{Key: "accept.bad.no-passkeys"}}
	case m.Passkeys != nil && terms.Attested && !m.Passkeys.Attests():
		return []access.Complaint{{Key: "accept.bad.attestation"}}
	}
	return nil
}

func normal(r *access.Requirement) *access.Requirement {
	if r == nil {
		return nil
	}
	n := r.Normal()
	return &n
}

// ChangePolicy changes a policy: what speaks against it is in the answer, and
// nothing was changed then. fault.Conflict when somebody else changed it since the
// version that was looked at, fault.FreshProofNeeded and fault.Forbidden for a
// person; operators alone change what holds for everybody, or for an application.
func (m *Manage) ChangePolicy(ctx context.Context, by Changer, w PolicyWish) (PolicyDone, error) {
	if by.Caller != nil {
		if err := m.fresh(*by.Caller); err != nil {
			return PolicyDone{}, err
		}
	}
	key := string(id.New[id.Attempt](m.Now(), m.Rand))
	var done PolicyDone
	err := m.Store.Do(ctx, func(tx *store.Tx) (err error) {
		done = PolicyDone{}
		if err := m.mayChangePolicy(tx, by, w.Scope); err != nil {
			return err
		}
		if err := access.HoldPolicies(tx); err != nil {
			return err
		}
		is, then, bad, err := m.wished(tx, w)
		if err != nil || len(bad) > 0 {
			done = PolicyDone{is, bad}
			return err
		}
		if is.Version != w.Version {
			return fault.New(fault.Conflict, nil)
		}
		if kept, err := access.KeepPolicy(tx, then); err != nil || !kept {
			return unlessChanged(err)
		}
		then.Version++
		done.Policy = then
		if err := m.recordPolicy(tx, by, w, is, then); err != nil {
			return err
		}
		return m.tellPolicy(tx, by, w.Scope, key)
	})
	m.Nudge()
	return done, err
}

// unlessChanged is the error, or that somebody else was quicker.
func unlessChanged(err error) error {
	if err == nil {
		err = fault.New(fault.Conflict, nil)
	}
	return err
}

// mayChangePolicy asks again, in the transaction that changes, what the person is
// in the organisation that it concerns, and whether their session still stands.
func (m *Manage) mayChangePolicy(tx *store.Tx, by Changer, s access.Scope) error {
	if by.Caller == nil {
		return nil
	}
	if _, err := m.hold(tx, *by.Caller, ""); err != nil {
		return err
	}
	members, err := access.Memberships(tx, by.Caller.Ticket.Account)
	if err != nil {
		return err
	}
	for _, ms := range members {
		if s.Organisation != "" && ms.Organisation == s.Organisation && access.Can(ms.Role, access.WritePolicy) {
			return nil
		}
	}
	return fault.New(fault.Forbidden, nil)
}

func (m *Manage) recordPolicy(tx *store.Tx, by Changer, w PolicyWish, is, then access.Policy) error {
	e := events.Event{Kind: events.PolicyChanged, Organisation: w.Scope.Organisation, Actor: by.Actor, Data: map[string]string{
		"what": string(w.Do), "scope": w.Scope.Key(), "before": TermsCode(is.Wants()), "after": TermsCode(then.Wants()), "version": strconv.FormatInt(then.Version, 10)}}
	if then.Next != nil {
		e.Data["due"], e.Data["cohorts"] = then.Next.Due.UTC().Format(time.RFC3339), strconv.Itoa(len(then.Next.Cohorts))
	}
	if c := by.Caller; c != nil {
		e.Account, e.Actor, e.Session, e.Personal = c.Ticket.Account, string(c.Ticket.Account), c.Ticket.Session, c.Who.Personal()
	}
	return m.append(tx, e)
}

// TermsCode writes terms as one word, for the log: aal2,resistant,passkey+totp,remember=43200.
func TermsCode(r *access.Requirement) string {
	if r == nil {
		return "none"
	}
	n := r.Normal()
	parts := []string{fmt.Sprintf("aal%d", n.Level)}
	if n.Resistant {
		parts = append(parts, "resistant")
	}
	if n.Attested {
		parts = append(parts, "attested")
	}
	var methods []string
	for _, method := range n.Methods {
		methods = append(methods, string(method))
	}
	return strings.Join(append(parts, strings.Join(methods, "+"), fmt.Sprintf("remember=%d", int64(n.Remember.Seconds()))), ",")
}

// mostTold bounds the mails of one change.
const mostTold = 200

// tellPolicy tells those who may change such rules, so that nobody does it alone
// and unseen.
func (m *Manage) tellPolicy(tx *store.Tx, by Changer, s access.Scope, key string) error {
	told, err := access.PolicyWriters(tx, s.Organisation, mostTold)
	if err != nil {
		return err
	}
	name := ""
	if s.Organisation != "" {
		o, _, err := access.OrganisationByID(tx, s.Organisation)
		if err != nil {
			return err
		}
		name = o.Name
	}
	var who sessions.Who
	if by.Caller != nil {
		who = by.Caller.Who
	}
	for _, account := range told {
		a, found, err := accounts.ByID(tx, account)
		if err != nil {
			return err
		}
		if !found || a.Status != accounts.Active {
			continue
		}
		mail := m.notice(a, outbox.PolicyChanged, key+string(account), who)
		if by.Caller == nil {
			delete(mail.Fields, outbox.Device)
		}
		if name != "" {
			mail.Fields[outbox.Organisation] = name
		}
		if err := outbox.Add(tx, m.Keys, mail); err != nil {
			return err
		}
	}
	return nil
}

// EndWeakSessions ends every session of the people of a scope that was opened with
// less than is asked for now, in small transactions. It may be called again. It
// returns of how many people.
func (m *Manage) EndWeakSessions(ctx context.Context, s access.Scope, by Changer, progress func(done, of int64)) (ended int64, err error) {
	if by.Caller != nil {
		if err := m.fresh(*by.Caller); err != nil {
			return 0, err
		}
		if err := m.Store.Do(ctx, func(tx *store.Tx) error { return m.mayChangePolicy(tx, by, s) }); err != nil {
			return 0, err
		}
	}
	return ended, m.everybody(ctx, s, progress, func(batch []id.Account) error {
		var revoked []sessions.Revocation
		var n int64
		err := m.Store.Background(ctx, func(tx *store.Tx) error {
			revoked, n = nil, 0
			for _, account := range batch {
				r, weak, err := m.endWeak(tx, account, by)
				if err != nil {
					return err
				}
				if weak {
					revoked, n = append(revoked, r), n+1
				}
			}
			return nil
		})
		ended += n
		_, err = m.after(Result{}, err, revoked...)
		return err
	})
}

func (m *Manage) endWeak(tx *store.Tx, account id.Account, by Changer) (r sessions.Revocation, weak bool, err error) {
	a, found, err := accounts.Lock(tx, account)
	if err != nil || !found {
		return r, false, err
	}
	need, err := access.RequiredOf(tx, account)
	if err != nil {
		return r, false, err
	}
	live, err := sessions.Live(tx, m.Keys, account, a.Epoch, tx.Now(), m.Sessions.Policy.Absolute)
	if err != nil {
		return r, false, err
	}
	for _, s := range live {
		weak = weak || !need.Met(s.Proofs)
	}
	if !weak {
		return r, false, nil
	}
	epoch, err := accounts.RaiseEpoch(tx, account)
	if err != nil {
		return r, false, err
	}
	r, n, err := sessions.EndAll(tx, account, epoch, m.Sessions.Policy.Absolute, "policy")
	if err != nil {
		return r, false, err
	}
	actor := by.Actor
	if by.Caller != nil {
		actor = string(by.Caller.Ticket.Account)
	}
	return r, true, m.append(tx, events.Event{Kind: events.SessionsEnded, Account: account, Actor: actor,
		Data: map[string]string{"why": "policy", "count": strconv.FormatInt(n, 10)}})
}

// held is everything that somebody could show in a sign-in beside a password:
// each at its best, recovery codes and remembered browsers left out.
func held(kept authenticators.Kept, now time.Time) (all []proof.Proof) {
	for range kept.TOTP {
		all = append(all, proof.Proof{Method: proof.TOTP})
	}
	for _, c := range kept.Credentials {
		all = append(all, shownBy(c, now)...)
	}
	return all
}

func shownBy(c authenticators.Credential, now time.Time) []proof.Proof {
	if c.Kind == authenticators.KindRemembered || !c.Answers(now) {
		return nil
	}
	switch c.Kind {
	case authenticators.KindPhone:
		return []proof.Proof{{Method: proof.SMS}, {Method: proof.Voice}}
	case authenticators.KindPasskey:
		f, err := authenticators.PasskeyOf(c)
		return []proof.Proof{{Method: proof.Passkey, Verified: err == nil && f.Verifies, Bound: err == nil && !f.BackupEligible, Attested: f.Attested}}
	}
	return []proof.Proof{{Method: c.Kind.Method()}}
}

// Meets tells whether what somebody holds can meet a requirement.
func Meets(kept authenticators.Kept, need access.Requirement, now time.Time) bool {
	for _, p := range held(kept, now) {
		if need.Met([]proof.Proof{p}) || kept.Password != nil && need.Met([]proof.Proof{{Method: proof.Password}, p}) {
			return true
		}
	}
	return false
}

// dueOf is what a roll-out will ask of somebody that they do not hold yet; nil
// when there is no such thing.
func dueOf(tx *store.Tx, kept authenticators.Kept) (*access.Due, error) {
	d, coming, err := access.DueOf(tx, kept.Account)
	if err != nil || !coming || Meets(kept, d.Missing, tx.Now()) {
		return nil, err
	}
	return &d, nil
}
