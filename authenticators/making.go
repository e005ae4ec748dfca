package authenticators

import (
	"cmp"
	"time"

	"gatehouse/seal"
)

// Making is how an authenticator makes its codes.
type Making struct {
	Algorithm string `json:"a,omitempty"` // "SHA1", "SHA256" or "SHA512"
	Digits    int    `json:"d,omitempty"` // 6 to 8
	Period    int64  `json:"p,omitempty"` // seconds of one step
}

// The bounds of a period, in seconds: a shorter one gives nobody the time to type,
// a longer one leaves a code seen over a shoulder good for too long.
const (
	shortestPeriod = 15
	longestPeriod  = 120
)

// Usual is what apps expect without being told. Google Authenticator ignores what
// an address says of algorithm, digits and period, and shows codes made with these,
// which is why new apps get them unless an operator chose otherwise.
func Usual() Making { return Making{Algorithm: "SHA1", Digits: 6, Period: 30} }

// Or fills what is not set from Usual.
func (m Making) Or() Making {
	u := Usual()
	return Making{cmp.Or(m.Algorithm, u.Algorithm), cmp.Or(m.Digits, u.Digits), cmp.Or(m.Period, u.Period)}
}

// Check refuses what no code can be made with.
func (m Making) Check() error {
	if _, ok := hashes[m.Algorithm]; !ok || m.Digits < 6 || m.Digits > 8 || m.Period < shortestPeriod || m.Period > longestPeriod {
		return errAlgorithm
	}
	return nil
}

// New is an authenticator app that makes its codes so. ID, Account, LastStep and
// Drift are the caller's.
func (m Making) New(name string, secret seal.Secret, now time.Time) TOTP {
	m = m.Or()
	return TOTP{Name: name, Secret: secret, Algorithm: m.Algorithm, Digits: m.Digits, Period: m.Period, MadeAt: now.UTC()}
}
