package authenticators

import (
	"slices"

	"gatehouse/proof"
	"gatehouse/seal"
)

// The hints about the shape of what was typed: tell them, as all hints, only after
// a right password, for they say how long somebody's codes are.
const (
	HintLength     = "code.hint.length"     // this person's codes have {n} digits
	HintRecovery   = "code.hint.recovery"   // that is a recovery code, and this is not the page for it
	HintOneTime    = "code.hint.one-time"   // that is no recovery code but one of an app or a message
	HintUnfinished = "code.hint.unfinished" // of an entry whose setting up was begun and never finished
)

// HintOfShape says what a wrong code looks like when it cannot be one of the kind
// that was asked for; no hint when it could.
func HintOfShape(k Kept, asked proof.Method, typed seal.Secret) Hint {
	digits, numeric := normaliseDigits(typed.Reveal())
	if asked == proof.RecoveryCode {
		if numeric && len(digits) >= 6 && len(digits) <= 8 {
			return Hint{Key: HintOneTime}
		}
		return Hint{}
	}
	if _, paper := normaliseRecovery(typed.Reveal()); paper && !numeric {
		return Hint{Key: HintRecovery}
	}
	lengths := k.lengths()
	if len(lengths) != 1 || numeric && slices.Contains([]int64{lengths[0], 2 * lengths[0]}, int64(len(digits))) {
		return Hint{} // of several lengths none is named: it would be the wrong one
	}
	return Hint{Key: HintLength, Seconds: lengths[0]}
}

// lengths lists, once each, how many digits the codes of an account have.
func (k Kept) lengths() (all []int64) {
	add := func(n int) {
		if n > 0 && !slices.Contains(all, int64(n)) {
			all = append(all, int64(n))
		}
	}
	for _, t := range k.TOTP {
		add(t.Digits)
	}
	for _, c := range k.Of(KindHOTP) {
		if h, err := HOTPOf(c); err == nil {
			add(h.Digits)
		}
	}
	return all
}
