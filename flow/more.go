package flow

import (
	"gatehouse/authenticators"
	"gatehouse/proof"
	"gatehouse/store"
)

// What is wrong with a code, for somebody whose password was right. Nothing here
// is looked for among other people's authenticators, and of one that was removed
// nothing is kept: the code of such an entry is only a wrong one, and the page says
// that it may be of another entry.

// hintOf adds to a refused code what its shape says, or that it belongs to an app
// whose setting up was begun and never finished.
func (f *Flow) hintOf(tx *store.Tx, a attempt, v authenticators.Verdict, s second) (authenticators.Hint, error) {
	if _, knows := proof.Find(a.Proofs, proof.Password); !knows || v.Hint.Key != "" {
		return v.Hint, nil
	}
	asked := proof.TOTP
	switch s.in.Do {
	case ShowCode:
	case ShowRecovery:
		asked = proof.RecoveryCode
	default:
		return v.Hint, nil
	}
	if asked == proof.TOTP {
		move, under, err := authenticators.MoveOf(tx, f.Keys, a.Account)
		if err != nil {
			return v.Hint, err
		}
		if under && move.Secret != "" {
			if _, _, ok, _ := f.Apps.New("", move.Secret, f.Now()).CheckNew(s.in.Secret, f.Now()); ok {
				return authenticators.Hint{Key: authenticators.HintUnfinished}, nil
			}
		}
	}
	kept, err := authenticators.LoadUsual(tx, f.Keys, a.Account)
	return authenticators.HintOfShape(kept, asked, s.in.Secret), err
}
