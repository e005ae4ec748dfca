package authenticators

import (
	"context"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"gatehouse/id"
	"gatehouse/proof"
	"gatehouse/seal"
	"gatehouse/store"
)

// A token with a button counts how often it was pressed (RFC 4226); we keep the
// next counter we expect. Somebody who presses it in a pocket moves ahead of us.
const (
	hotpWindow = 10  // counters from the next one on whose code opens (RFC 4226 §7.4, s)
	hotpAhead  = 200 // counters from the next one on in which two codes in a row are looked for
	hotpBehind = 10  // counters before it that are recognised as used
)

// HOTP is what a credential of KindHOTP says of itself, besides secret and counter.
type HOTP struct {
	Token     id.Token `json:"token"`
	Algorithm string   `json:"algorithm"`
	Digits    int      `json:"digits"`
}

// NewHOTP is a token with a button as it is added: counter is the next one that
// opens. ID and Account are the caller's.
func NewHOTP(name string, secret seal.Secret, h HOTP, counter int64, now time.Time) (Credential, error) {
	public, err := json.Marshal(h)
	return Credential{Kind: KindHOTP, Name: name, Public: public, Secret: secret, Counter: counter, MadeAt: now.UTC()}, err
}

// HOTPOf reads what NewHOTP wrote.
func HOTPOf(c Credential) (h HOTP, err error) {
	if c.Kind != KindHOTP {
		return h, errors.New("authenticators: not a token with a button")
	}
	return h, json.Unmarshal(c.Public, &h)
}

type hotpChecker struct{}

// Check tries the code on every token of the account and always computes every
// counter of every one that is looked at.
func (hotpChecker) Check(_ context.Context, kept Kept, shown Shown) (Verdict, error) {
	var v Verdict
	for _, c := range kept.Usable(KindHOTP, shown.Now) {
		m, err := matchHOTP(c, shown.Secret)
		if err != nil {
			return Verdict{}, err
		}
		p := proof.Proof{Method: proof.HOTP, Authenticator: string(c.ID), Version: c.Version, At: shown.Now.UTC(), Step: m.step, Pair: m.pair}
		switch {
		case v.OK:
		case m.accepted:
			v = Verdict{OK: true, Proof: p}
		case m.used:
			v.Used, v.Hint = p, m.hint
		case m.told:
			v.Told, v.Hint = p, m.hint
		}
	}
	return v, nil
}

// CheckHOTP checks what was typed on one token: for resynchronisation and for the
// first code of a new one. pairOnly wants two codes in a row.
func CheckHOTP(c Credential, typed seal.Secret, pairOnly bool, now time.Time) (proof.Proof, Hint, bool, error) {
	m, err := matchHOTP(c, typed)
	p := proof.Proof{Method: proof.HOTP, Authenticator: string(c.ID), Version: c.Version, At: now.UTC(), Step: m.step, Pair: m.pair}
	return p, m.hint, m.accepted && (m.pair || !pairOnly), err
}

// matchHOTP compares a typed code, or two in a row, with the counters from
// hotpBehind before the next one to hotpAhead after it. Of several matches the
// lowest that opens counts. What matches beyond the window opens nothing, and is
// told: the next two together will.
func matchHOTP(c Credential, typed seal.Secret) (matched, error) {
	h, err := HOTPOf(c)
	if err != nil {
		return matched{}, err
	}
	key, err := decodeSecret(c.Secret)
	if err != nil {
		return matched{}, errors.New("authenticators: the secret of a token cannot be read")
	}
	one, first, second := halves(typed, h.Digits)
	var best matched
	before := ""
	for n := c.Counter - hotpBehind; n < c.Counter+hotpAhead; n++ {
		code, err := hotp(h.Algorithm, key, uint64(n), h.Digits)
		if err != nil {
			return matched{}, err
		}
		single, last := equal(code, one), equal(code, second)
		pair := equal(before, first) && last
		before = code
		if n >= 0 && !best.accepted && (single || pair) {
			best = judgeHOTP(best, n, n-c.Counter, pair)
		}
	}
	return best, nil
}

// judgeHOTP says what a match so far from the next counter is worth. The first code
// of a pair must not be older than the next counter: it is a code like any other.
func judgeHOTP(best matched, n, off int64, pair bool) matched {
	m := matched{step: n, pair: pair}
	switch {
	case off < 0 || pair && off < 1:
		m.used, m.hint = true, Hint{Key: HintTokenUsed}
	case pair || off < hotpWindow:
		m.accepted = true
	case best.used || best.told:
		return best
	default:
		m.told, m.hint = true, Hint{Key: HintTokenAgain}
	}
	return m
}

// halves reads what was typed as one code and as two in a row; what it is not
// becomes a text of the same length that no code equals, for the same work.
func halves(typed seal.Secret, digits int) (one, first, second string) {
	none := strings.Repeat("x", digits)
	one, first, second = none, none, none
	text, ok := normaliseDigits(typed.Reveal())
	switch {
	case ok && len(text) == digits:
		one = text
	case ok && len(text) == 2*digits:
		first, second = text[:digits], text[digits:]
	}
	return one, first, second
}

func equal(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }

// HOTPAt is the code of a counter: for tests and stories, which have no token.
func HOTPAt(algorithm string, secret seal.Secret, counter int64, digits int) (seal.Secret, error) {
	key, err := decodeSecret(secret)
	if err != nil {
		return "", err
	}
	code, err := hotp(algorithm, key, uint64(counter), digits)
	return seal.Secret(code), err
}

// AcceptHOTP spends the counter that a proof showed, and with two codes in a row
// the one before: by (an attempt or session id) gets it or, when somebody was first
// or the token is gone, false. The next counter only ever grows, so that every
// older code is over as well; it grows too when a code that is right was burnt.
func AcceptHOTP(tx *store.Tx, p proof.Proof, by string) (bool, error) {
	if !takeSteps(tx, p, by) {
		return false, nil
	}
	now := store.Micros(tx.Now())
	raised, err := one(tx.Exec(`UPDATE credentials SET counter = $2, last_used_at = $3, version = version + 1, node = $4
		WHERE id = $1 AND kind = 'hotp' AND state = '' AND counter < $2`, p.Authenticator, p.Step+1, now, tx.Node()))
	if err != nil || !raised {
		return false, err
	}
	return useSteps(tx, p, by)
}

// takeSteps reserves what a proof shows among the nodes (store.Tx.Take).
func takeSteps(tx *store.Tx, p proof.Proof, by string) bool {
	for _, step := range stepsOf(p) {
		if !tx.Take("totp_used", by, p.Authenticator, step) {
			return false
		}
	}
	return true
}

// useSteps writes what was taken: the natural key lets no two stores give the same
// step away unnoticed. false: one of them was used, or burnt, before.
func useSteps(tx *store.Tx, p proof.Proof, by string) (bool, error) {
	for _, step := range stepsOf(p) {
		fresh, err := one(tx.Exec(`INSERT INTO totp_used (authenticator, step, used_by, made_at, node) VALUES ($1, $2, $3, $4, $5)
			ON CONFLICT (authenticator, step) DO NOTHING`, p.Authenticator, step, by, store.Micros(tx.Now()), tx.Node()))
		if err != nil || !fresh {
			return false, err
		}
	}
	return true, nil
}

// stepsOf lists the steps or counters that a proof uses up.
func stepsOf(p proof.Proof) []int64 {
	if p.Pair {
		return []int64{p.Step - 1, p.Step}
	}
	return []int64{p.Step}
}
