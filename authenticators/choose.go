package authenticators

import (
	"context"

	"gatehouse/id"
	"gatehouse/seal"
)

// Chooser judges new passwords: by policy, lists, an outside look-up and, where
// asked, the last few passwords. It hashes to find a reused one: never call it in
// a transaction.
type Chooser struct {
	Policy Policy
	Lists  Lists
	Leaked func(ctx context.Context, pw seal.Secret) bool // outside look-up with its own short budget; fails open; nil = off
	Hasher *Hasher
}

// Judge says everything that speaks against a new password; old are the hashes it
// must differ from.
func (c Chooser) Judge(ctx context.Context, account id.Account, pw seal.Secret, who Personal, old []PasswordHash) ([]Reason, error) {
	why := c.Policy.Judge(pw, who, c.Lists)
	if len(why) > 0 {
		return why, nil // no hash is spent on one that is refused anyway
	}
	if c.Leaked != nil && c.Leaked(ctx, pw) {
		why = append(why, Reason{Key: ReasonBreached})
	}
	reused, err := c.Hasher.Reused(ctx, account, old, pw)
	if err == nil && reused {
		why = append(why, Reason{Key: ReasonReused, N: max(c.Policy.KeepOld, 1)})
	}
	return why, err
}

// Compromised tells whether a password stands in a list of leaked ones: the
// evidence on which a change is asked for (SP 800-63B-4 §3.1.1.2).
func (c Chooser) Compromised(ctx context.Context, pw seal.Secret) bool {
	return c.Lists.Breached.Contains(pw) || c.Lists.common().Contains(pw) || c.Leaked != nil && c.Leaked(ctx, pw)
}
