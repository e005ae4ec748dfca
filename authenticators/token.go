package authenticators

import (
	"time"

	"gatehouse/id"
	"gatehouse/proof"
	"gatehouse/seal"
)

// CheckOne checks what was typed on one app or token with a clock: for
// resynchronisation and for the first code of a token. pairOnly wants two codes in
// a row.
func (t TOTP) CheckOne(typed seal.Secret, pairOnly bool, now time.Time) (proof.Proof, Hint, bool) {
	m := t.match(typed.Reveal(), now)
	p := proof.Proof{Method: proof.TOTP, Authenticator: string(t.ID), Version: t.Version, At: now.UTC(), Step: m.step, Drift: m.drift, Pair: m.pair}
	return p, m.hint, m.accepted && (m.pair || !pairOnly)
}

// InUse is a hardware token as somebody's authenticator.
type InUse struct {
	Named
	Token id.Token
	Next  int64 // the first counter or step that was never used
	TOTP  *TOTP // one with a clock, or
	HOTP  *Credential
}

// Tokens lists the hardware tokens among what is kept.
func (k Kept) Tokens() []InUse {
	var all []InUse
	for i, t := range k.TOTP {
		if t.Token != "" {
			all = append(all, InUse{Named{t.ID, KindApp, t.Name, t.MadeAt, t.LastUsedAt}, t.Token, t.LastStep + 1, &k.TOTP[i], nil})
		}
	}
	for i, c := range k.Credentials {
		if h, err := HOTPOf(c); err == nil {
			all = append(all, InUse{Named{c.ID, c.Kind, c.Name, c.MadeAt, c.LastUsedAt}, h.Token, c.Counter, nil, &k.Credentials[i]})
		}
	}
	return all
}

// Check checks what was typed on a token in use, as CheckOne and CheckHOTP do.
func (u InUse) Check(typed seal.Secret, pairOnly bool, now time.Time) (proof.Proof, Hint, bool, error) {
	if u.TOTP != nil {
		p, hint, ok := u.TOTP.CheckOne(typed, pairOnly, now)
		return p, hint, ok, nil
	}
	return CheckHOTP(*u.HOTP, typed, pairOnly, now)
}
