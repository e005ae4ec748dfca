package audit

import (
	"slices"
	"time"

	"gatehouse/events"
	"gatehouse/outbox"
)

// cause is what a kind of mail tells of.
type cause struct {
	mails  []outbox.Kind // any one of them
	events []events.Kind
	always bool // each such event has its mail
}

var linkKinds = []outbox.Kind{outbox.Invitation, outbox.Reset, outbox.EnrolLink, outbox.UnlockLink}

// causes is the one table of what a person is told of. An event of a link may be
// answered by a mail that is never sent (outbox.Void): it costs the same.
var causes = []cause{
	{mails: append([]outbox.Kind{outbox.Void}, linkKinds...), events: []events.Kind{events.LinkSent, events.AccountInvited}, always: true},
	{mails: []outbox.Kind{outbox.AddressConfirm, outbox.Void}, events: []events.Kind{events.AddressChangeAsked}, always: true},
	{mails: []outbox.Kind{outbox.NewDevice}, events: []events.Kind{events.DeviceNew}, always: true},
	{mails: []outbox.Kind{outbox.PasswordChanged}, events: []events.Kind{events.PasswordChanged, events.PasswordReset}, always: true},
	{mails: []outbox.Kind{outbox.AuthenticatorAdded, outbox.PhoneChange}, events: []events.Kind{events.AuthenticatorAdded}, always: true},
	{mails: []outbox.Kind{outbox.TextCode}, events: []events.Kind{events.PhoneAsked}, always: true},
	{mails: []outbox.Kind{outbox.AuthenticatorRemoved}, events: []events.Kind{events.AuthenticatorRemoved}}, // several at once are one mail
	{mails: []outbox.Kind{outbox.AuthenticatorCloned}, events: []events.Kind{events.AuthenticatorCloned}, always: true},
	{mails: []outbox.Kind{outbox.RecoveryCodesMade}, events: []events.Kind{events.RecoveryCodesMade}}, // none with a first app
	{mails: []outbox.Kind{outbox.RecoveryCodeUsed}, events: []events.Kind{events.RecoveryCodeUsed}, always: true},
	{mails: []outbox.Kind{outbox.AddressChanged}, events: []events.Kind{events.AddressChanged}, always: true},
	{mails: []outbox.Kind{outbox.AccountDisabled}, events: []events.Kind{events.AccountDisabled}}, // none when they were already
	{mails: []outbox.Kind{outbox.ApprovalReported}, events: []events.Kind{events.ApprovalReported}, always: true},
	{mails: []outbox.Kind{outbox.SignInUndone}, events: []events.Kind{events.StandbyConflict}, always: true},
}

// effects: each thing that a person must be told of has one mail, and each mail
// has its cause, once.
func (p *picture) effects() (found []Finding) {
	mails := map[outbox.Kind][]outbox.Put{}
	for _, m := range p.mails {
		if m.MadeAt.After(p.r.from.Add(within)) {
			mails[m.Kind] = append(mails[m.Kind], m)
		}
	}
	for _, c := range causes {
		for _, e := range p.log {
			if !slices.Contains(c.events, e.Kind) {
				continue
			}
			if !takeMail(mails, c.mails, e.MadeAt) && c.always && e.MadeAt.After(p.r.from.Add(lateBy)) {
				found = append(found, p.finding(EffectMissing, string(e.ID)))
			}
		}
	}
	for kind, rest := range mails {
		for _, m := range rest {
			if caused(kind) {
				found = append(found, p.finding(EffectUncaused, string(m.ID)))
			}
		}
	}
	return found
}

// caused tells whether a kind of mail tells of something that the account's own
// log holds. Those to admins and to web-hooks tell of others.
func caused(k outbox.Kind) bool {
	return slices.ContainsFunc(causes, func(c cause) bool { return slices.Contains(c.mails, k) })
}

// takeMail removes one mail of these kinds that was written with an event.
func takeMail(mails map[outbox.Kind][]outbox.Put, kinds []outbox.Kind, at time.Time) bool {
	best, of, where := within+1, outbox.Kind(""), -1
	for _, k := range kinds {
		for i, m := range mails[k] {
			if d := m.MadeAt.Sub(at).Abs(); d < best {
				best, of, where = d, k, i
			}
		}
	}
	if where < 0 {
		return false
	}
	mails[of] = slices.Delete(slices.Clone(mails[of]), where, where+1)
	return true
}
