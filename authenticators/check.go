package authenticators

import (
	"context"
	"fmt"

	"gatehouse/proof"
	"gatehouse/seal"
)

// Checker compares what is shown with what is kept. It holds no transaction and
// may be slow. A verdict that is not OK is no error; an error means we broke.
type Checker interface {
	Check(ctx context.Context, kept Kept, shown Shown) (Verdict, error)
}

// Set holds one Checker per method: a new authenticator is one line in New.
type Set struct {
	Hasher   *Hasher
	passkeys *Relying
	checkers map[proof.Method]Checker
}

// New makes the set of every method that needs nothing else; see WithPasskeys.
func New(h *Hasher, keys *seal.Keys) *Set {
	return &Set{Hasher: h, checkers: map[proof.Method]Checker{
		proof.Password:     passwordChecker{h},
		proof.TOTP:         totpChecker{},
		proof.HOTP:         hotpChecker{},
		proof.RecoveryCode: recoveryChecker{keys},
		proof.SMS:          phoneChecker{keys}, // and what was read out
	}}
}

// Check runs the checker of a method. An unknown method is an error. Whatever is
// shown for a decoy, the verdict is no.
func (s *Set) Check(ctx context.Context, m proof.Method, kept Kept, shown Shown) (Verdict, error) {
	c, ok := s.checkers[m]
	if !ok {
		return Verdict{}, fmt.Errorf("authenticators: no checker for method %q", m)
	}
	v, err := c.Check(ctx, kept, shown)
	if err != nil || kept.Decoy {
		return Verdict{}, err
	}
	return v, nil
}
