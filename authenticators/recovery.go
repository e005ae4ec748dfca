package authenticators

import (
	"context"
	"io"
	"strconv"
	"strings"

	"gatehouse/id"
	"gatehouse/proof"
	"gatehouse/seal"
)

// A set has ten codes of 80 random bits: 16 letters of 5 bits. SP 800-63B-4
// §4.2.1.1 wants 64 bits at least.
const (
	RecoveryCodes = 10 // in a set
	recoveryBytes = 10
)

// recoveryLetters are Crockford's: no i, l, o or u. What people type for those
// is read as the letter it looks like.
const recoveryLetters = "0123456789abcdefghjkmnpqrstvwxyz"

// NewRecoveryCodes makes ten codes, each four groups of four: "7kq3-…-….".
func NewRecoveryCodes(rand io.Reader) ([]seal.Secret, error) {
	codes := make([]seal.Secret, RecoveryCodes)
	b := make([]byte, recoveryBytes)
	for i := range codes {
		if _, err := io.ReadFull(rand, b); err != nil {
			return nil, err
		}
		codes[i] = seal.Secret(spell(b))
	}
	return codes, nil
}

// spell writes 80 bits as 16 letters in groups of four.
func spell(b []byte) string {
	var s strings.Builder
	var acc, bits uint
	for _, x := range b {
		acc, bits = acc<<8|uint(x), bits+8
		for bits >= 5 {
			bits -= 5
			if n := s.Len(); n%5 == 4 {
				s.WriteByte('-')
			}
			s.WriteByte(recoveryLetters[acc>>bits&31])
		}
	}
	return s.String()
}

// normaliseRecovery reads a code as people type it: any case, full-width, with or
// without dashes and spaces, i and l for 1, o for 0.
func normaliseRecovery(typed string) (code string, ok bool) {
	if len(typed) > maxTyped {
		return "", false
	}
	var b strings.Builder
	for _, r := range strings.ToLower(foldWidth(typed)) {
		switch {
		case isFiller(r):
			continue
		case r == 'i' || r == 'l':
			r = '1'
		case r == 'o':
			r = '0'
		}
		if r > 0x7f || !strings.ContainsRune(recoveryLetters, r) {
			return "", false
		}
		b.WriteRune(r)
	}
	return b.String(), b.Len() == recoveryBytes*8/5
}

// HashRecoveryCodes makes what is kept of a set. Each hash is bound to its set
// and slot. Why not Argon2: docs/decisions/0006-recovery-code-hashes.md.
func HashRecoveryCodes(keys *seal.Keys, set id.Authenticator, codes []seal.Secret) ([]RecoverySlot, error) {
	slots := make([]RecoverySlot, len(codes))
	for i, c := range codes {
		code, _ := normaliseRecovery(c.Reveal())
		pepper, sum, err := keys.Pepper(recoveryPlace(set, int64(i)), []byte(code))
		if err != nil {
			return nil, err
		}
		slots[i] = RecoverySlot{Slot: int64(i), Hash: sum, Pepper: pepper}
	}
	return slots, nil
}

func recoveryPlace(set id.Authenticator, slot int64) seal.Place {
	return seal.Place{Table: "recovery_codes", Row: string(set) + "/" + strconv.FormatInt(slot, 10), Column: "hash"}
}

type recoveryChecker struct{ keys *seal.Keys }

// Check compares with all ten slots, spent ones too, whichever matches. A spent
// code is a wrong code: the list a person holds says which they crossed out.
func (c recoveryChecker) Check(_ context.Context, kept Kept, shown Shown) (Verdict, error) {
	var v Verdict
	if kept.Recovery == nil {
		return v, nil
	}
	code, ok := normaliseRecovery(shown.Secret.Reveal())
	for _, s := range kept.Recovery.Slots {
		sum, err := c.keys.PepperWith(s.Pepper, recoveryPlace(kept.Recovery.ID, s.Slot), []byte(code))
		if err != nil {
			return Verdict{}, err
		}
		if !same(sum, s.Hash) || !ok {
			continue
		}
		p := proof.Proof{Method: proof.RecoveryCode, Authenticator: string(kept.Recovery.ID),
			Version: kept.Recovery.Version, At: shown.Now.UTC(), Step: s.Slot}
		if s.SpentAt.IsZero() {
			v = Verdict{OK: true, Proof: p}
		} else {
			v = Verdict{Used: p}
		}
	}
	return v, nil
}
