package authenticators

import (
	"context"
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"encoding/base32"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"
	"math"
	"net/url"
	"strings"
	"time"

	"gatehouse/proof"
	"gatehouse/seal"
)

const (
	totpWindow    = 1  // steps accepted on either side of the remembered drift (RFC 6238 §5.2)
	totpDiagnosed = 10 // steps on either side of now that are recognised, not accepted
	totpPair      = 60 // steps on either side of the remembered drift in which two codes in a row of a hardware token are looked for
	secretBytes   = 20 // 160 bits (RFC 4226 §4 R6)
)

var base32Secret = base32.StdEncoding.WithPadding(base32.NoPadding)

// NewTOTPSecret makes a 160-bit secret in base32.
func NewTOTPSecret(rand io.Reader) (seal.Secret, error) {
	b := make([]byte, secretBytes)
	if _, err := io.ReadFull(rand, b); err != nil {
		return "", err
	}
	return seal.Secret(base32Secret.EncodeToString(b)), nil
}

// NewTOTP is an authenticator app as it is enrolled where nothing else is set:
// named, with what every app understands. ID, Account, LastStep and Drift are the
// caller's.
func NewTOTP(name string, secret seal.Secret, now time.Time) TOTP {
	return Usual().New(name, secret, now)
}

// KeyURI is the otpauth address of a new app with the usual values.
func KeyURI(issuer, account string, secret seal.Secret) seal.Secret {
	return NewTOTP("", secret, time.Time{}).KeyURI(issuer, account)
}

// KeyURI is the otpauth address that a QR code carries, with the values that are
// really this app's. Issuer stands in the label and as a parameter, as apps differ
// in which they read; a colon would end it early, so it is dropped.
func (t TOTP) KeyURI(issuer, account string) seal.Secret {
	plain := strings.NewReplacer(":", "")
	from := escape(plain.Replace(issuer))
	return seal.Secret(fmt.Sprintf("otpauth://totp/%s:%s?secret=%s&issuer=%s&algorithm=%s&digits=%d&period=%d",
		from, escape(plain.Replace(account)), t.Secret.Reveal(), from, t.Algorithm, t.Digits, t.Period))
}

// escape writes a space as %20: some apps show a plus as a plus.
func escape(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "+", "%20") }

// CheckNewTOTP is TOTP.CheckNew of an app with the usual values.
func CheckNewTOTP(secret seal.Secret, typed seal.Secret, now time.Time) (step, drift int64, ok bool, hint Hint) {
	return NewTOTP("", secret, now).CheckNew(typed, now)
}

// CheckNew checks the first code of an app that is being added. Its clock is not
// known yet: ±1 step of ours is accepted and the drift reported, to be kept.
func (t TOTP) CheckNew(typed seal.Secret, now time.Time) (step, drift int64, ok bool, hint Hint) {
	t.LastStep, t.Drift = math.MinInt64, 0
	m := t.match(typed.Reveal(), now)
	if !m.accepted {
		return 0, 0, false, m.hint
	}
	return m.step, m.drift, true, Hint{}
}

type totpChecker struct{}

// Check tries the code on every app of the account and always computes every
// step of every app, so that the time taken tells nothing about where it matched.
func (totpChecker) Check(_ context.Context, kept Kept, shown Shown) (Verdict, error) {
	var v Verdict
	for _, t := range kept.TOTP {
		m := t.match(shown.Secret.Reveal(), shown.Now)
		p := proof.Proof{Method: proof.TOTP, Authenticator: string(t.ID), Version: t.Version,
			At: shown.Now.UTC(), Step: m.step, Drift: m.drift, Pair: m.pair}
		if m.accepted && !v.OK {
			v = Verdict{OK: true, Proof: p}
		}
		if !v.OK && v.Hint.Key == "" {
			v.Hint = m.hint
		}
		if !v.OK && m.told {
			v.Told = p
		}
		if !v.OK && m.used {
			v.Used = p
		}
	}
	return v, nil
}

// matched is what one app makes of a code.
type matched struct {
	accepted    bool
	used        bool  // right, but of a step that is not later than the last accepted one
	told        bool  // of a step that is not accepted now, and may be later; the hint gives it away
	pair        bool  // two codes in a row were shown; step is the second one's
	step, drift int64 // of the code accepted, used or told
	hint        Hint
}

// match compares a typed code with every step from -10 to +10 around now and the
// three around the remembered drift. Of several matches the accepted one nearest
// to the remembered drift counts. Two codes of a hardware token in a row are looked
// for further away (matchPair), for nobody can set its clock.
func (t TOTP) match(typed string, now time.Time) matched {
	digits, ok := normaliseDigits(typed)
	if ok && t.Token != "" && len(digits) == 2*t.Digits {
		return t.matchPair(digits, now)
	}
	if !ok || len(digits) != t.Digits {
		digits = strings.Repeat("x", t.Digits) // the same work, and no match
	}
	key := t.key()
	here := floorDiv(now.Unix(), t.Period)
	var best matched
	bestOff, hintOff := int64(math.MaxInt64), int64(math.MaxInt64)
	for _, d := range t.drifts() {
		if !t.codeIs(key, here+d, digits) {
			continue
		}
		off := abs(d - t.Drift)
		late := here+d > t.LastStep
		switch {
		case off <= totpWindow && late && off < bestOff:
			best.accepted, best.step, best.drift, bestOff = true, here+d, d, off
		case off < hintOff:
			best.hint, hintOff = t.diagnose(d, late, off), off
			if !best.accepted {
				best.used, best.told = off <= totpWindow && !late, late
				best.step, best.drift = here+d, d
			}
		}
	}
	if best.accepted {
		best.hint, best.used, best.told = Hint{}, false, false
	}
	return best
}

// matchPair looks for two codes in a row up to totpPair steps around the remembered
// drift; of several the nearest counts.
func (t TOTP) matchPair(digits string, now time.Time) matched {
	key := t.key()
	here := floorDiv(now.Unix(), t.Period)
	var best matched
	bestOff := int64(math.MaxInt64)
	for d := t.Drift - totpPair; d <= t.Drift+totpPair; d++ {
		first, second := t.codeIs(key, here+d-1, digits[:t.Digits]), t.codeIs(key, here+d, digits[t.Digits:])
		if off := abs(d - t.Drift); first && second && off < bestOff {
			late := here+d-1 > t.LastStep
			best = matched{accepted: late, used: !late, pair: true, step: here + d, drift: d}
			bestOff = off
		}
	}
	if best.used {
		best.hint = Hint{Key: HintTokenUsed}
	}
	return best
}

// drifts lists the drifts that are looked at, in steps.
func (t TOTP) drifts() []int64 {
	var all []int64
	for d := int64(-totpDiagnosed); d <= totpDiagnosed; d++ {
		all = append(all, d)
	}
	for d := t.Drift - totpWindow; d <= t.Drift+totpWindow; d++ {
		if abs(d) > totpDiagnosed {
			all = append(all, d)
		}
	}
	return all
}

// diagnose says in words why a code that belongs to another step is refused. The
// clock of a hardware token is nothing its owner can set: two codes in a row tell
// us how far it is off.
func (t TOTP) diagnose(d int64, late bool, off int64) Hint {
	switch {
	case !late && off <= totpWindow:
		return Hint{Key: HintUsed}
	case t.Token != "":
		return Hint{Key: HintTokenAgain}
	case d < 0:
		return Hint{Key: HintBehind, Seconds: -d * t.Period}
	case d > 0:
		return Hint{Key: HintAhead, Seconds: d * t.Period}
	}
	return Hint{}
}

// key decodes the secret; nil when it is damaged, and then no code is right.
func (t TOTP) key() []byte {
	key, err := decodeSecret(t.Secret)
	if err != nil {
		return nil
	}
	return key
}

func decodeSecret(s seal.Secret) ([]byte, error) {
	return base32Secret.DecodeString(strings.ToUpper(s.Reveal()))
}

// codeIs compares in constant time with the code of a step.
func (t TOTP) codeIs(key []byte, step int64, digits string) bool {
	if len(key) == 0 || step < 0 {
		return false
	}
	code, err := hotp(t.Algorithm, key, uint64(step), t.Digits)
	return err == nil && subtle.ConstantTimeCompare([]byte(code), []byte(digits)) == 1
}

// CodeAt is the code of the app at a time: for gatehouse code, the demo, the bench
// and tests.
func (t TOTP) CodeAt(at time.Time) (seal.Secret, error) {
	key, err := decodeSecret(t.Secret)
	if err != nil {
		return "", err
	}
	code, err := hotp(t.Algorithm, key, uint64(floorDiv(at.Unix(), t.Period)), t.Digits)
	return seal.Secret(code), err
}

var errAlgorithm = errors.New("authenticators: an authenticator app uses SHA1, SHA256 or SHA512 and 6 to 8 digits")

// hashes are those of RFC 6238 §1.2, by the names that otpauth addresses use.
var hashes = map[string]func() hash.Hash{"SHA1": sha1.New, "SHA256": sha256.New, "SHA512": sha512.New}

// hotp is RFC 4226 §5.3 with the hashes of RFC 6238 §1.2.
func hotp(algorithm string, key []byte, counter uint64, digits int) (string, error) {
	maker, ok := hashes[algorithm]
	if !ok || digits < 6 || digits > 8 {
		return "", errAlgorithm
	}
	mac := hmac.New(maker, key)
	var c [8]byte
	binary.BigEndian.PutUint64(c[:], counter)
	mac.Write(c[:])
	sum := mac.Sum(nil)
	n := binary.BigEndian.Uint32(sum[sum[len(sum)-1]&0xf:]) & 0x7fffffff
	code := make([]byte, digits)
	for i := digits - 1; i >= 0; i-- {
		code[i] = byte('0' + n%10)
		n /= 10
	}
	return string(code), nil
}

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

func abs(n int64) int64 { return max(n, -n) }
