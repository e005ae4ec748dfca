package tokens

import (
	"encoding/base32"
	"fmt"
	"strings"
	"time"
	"unicode"

	"gatehouse/id"
	"gatehouse/seal"
)

// Kind is what makes a token show another code.
type Kind string

// The kinds.
const (
	TOTP Kind = "totp" // its clock
	HOTP Kind = "hotp" // its button
)

// Token is one hardware code token.
type Token struct {
	ID           id.Token
	Manufacturer string
	Serial       string // as Serial makes it
	Kind         Kind
	Secret       seal.Secret // base32 without padding
	Algorithm    string      // "SHA1", "SHA256" or "SHA512"
	Digits       int         // 6 to 8
	Period       int64       // seconds; 0 for HOTP
	Counter      int64       // an activation must show a later one: HOTP: the next counter, TOTP: the first step that was never used
	State        State
	Account      id.Account // whom it is assigned to; of a lost one, who lost it; ""
	MadeAt       time.Time
	Version      int64
}

// State is where a token is in its life.
type State string

// The states.
const (
	Stock    State = "stock"    // in the drawer, never given to anybody
	Assigned State = "assigned" // given to somebody who has not shown a code of it yet, or has taken it off their account
	Active   State = "active"   // an authenticator of its holder
	Lost     State = "lost"     // nobody knows where it is; it opens nothing
	Returned State = "returned" // back in the drawer after somebody had it
	Retired  State = "retired"  // of no use to anybody ever again
)

// What is one step of a token's life, as its history says it.
type What string

// The steps.
const (
	Imported       What = "imported"
	Renewed        What = "renewed" // came again from its maker with another secret
	GivenTo        What = "assigned"
	Activated      What = "activated"
	Removed        What = "removed" // its holder, or support, took it off the account
	Resynchronised What = "resynchronised"
	LostBy         What = "lost"
	Found          What = "found"
	HandedIn       What = "returned"
	TakenOut       What = "retired"
)

// steps says from which states a step may be taken, and where it leads.
var steps = map[What]struct {
	from []State
	to   State
}{
	Imported:       {nil, Stock},
	Renewed:        {[]State{Returned}, Stock},
	GivenTo:        {[]State{Stock, Returned}, Assigned},
	Activated:      {[]State{Assigned}, Active},
	Removed:        {[]State{Active}, Assigned},
	Resynchronised: {[]State{Active}, Active},
	LostBy:         {[]State{Assigned, Active}, Lost},
	Found:          {[]State{Lost}, Returned},
	HandedIn:       {[]State{Assigned, Active}, Returned},
	TakenOut:       {[]State{Stock, Assigned, Lost, Returned}, Retired},
}

// After is the state that a step leads to; an error says in words why this token
// cannot take it.
//
// A token with a button that somebody has had is not given to anybody else: whoever
// held it can have pressed it a hundred times and written the codes down, and they
// would open the next holder's account for ever. It comes back from its maker with
// another secret first (Renewed). A clock cannot be pressed ahead.
func (t Token) After(w What) (State, error) {
	step := steps[w]
	ok := false
	for _, s := range step.from {
		ok = ok || s == t.State
	}
	switch {
	case !ok:
		return "", fmt.Errorf("token %s is %s, and so cannot be %s", t.Serial, t.State, w)
	case w == GivenTo && t.State == Returned && t.Kind == HOTP:
		return "", fmt.Errorf("token %s has a button and has been in other hands, where codes of it can have been written down in advance", t.Serial)
	}
	return step.to, nil
}

// maxSerial and maxManufacturer bound what a token is called, in characters.
const (
	maxSerial       = 40
	maxManufacturer = 60
)

// Serial is a serial number as it is kept and compared: capitals, without the spaces
// and dashes that people and makers put between. false: it cannot be one.
func Serial(text string) (string, bool) {
	var b strings.Builder
	for _, r := range text {
		switch {
		case unicode.IsSpace(r) || unicode.Is(unicode.Pd, r) || unicode.Is(unicode.Cf, r):
		case r >= 'a' && r <= 'z':
			b.WriteRune(r + 'A' - 'a')
		case r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '.', r == '/', r == '_':
			b.WriteRune(r)
		default:
			return "", false
		}
		if b.Len() > maxSerial {
			return "", false
		}
	}
	return b.String(), b.Len() > 0
}

// The bounds of a secret in bytes: RFC 4226 §4 R6 wants 128 bits at least, and a
// longer one than a block of SHA-512 is no stronger.
const (
	shortestSecret = 16
	longestSecret  = 128
)

var base32Secret = base32.StdEncoding.WithPadding(base32.NoPadding)

// check makes a token of what a file says of it, or says in plain words what is
// wrong. No word of it repeats what the file says, besides numbers.
func (t Token) check(serial string, secret []byte) (Token, error) {
	var ok bool
	if strings.TrimSpace(serial) == "" {
		return t, fmt.Errorf("there is no serial number")
	}
	if looksLikeFormula(serial) || looksLikeFormula(t.Manufacturer) {
		return t, fmt.Errorf("a cell begins like a formula of a spreadsheet; no serial number does")
	}
	if t.Serial, ok = Serial(serial); !ok {
		return t, fmt.Errorf("the serial number is not made of at most %d letters and digits", maxSerial)
	}
	t.Manufacturer = strings.Join(strings.Fields(t.Manufacturer), " ")
	if len([]rune(t.Manufacturer)) > maxManufacturer || strings.ContainsFunc(t.Manufacturer, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return t, fmt.Errorf("the manufacturer is not a name of at most %d characters", maxManufacturer)
	}
	if n := len(secret); n < shortestSecret || n > longestSecret {
		return t, fmt.Errorf("the secret has %d bytes; it must have %d to %d", n, shortestSecret, longestSecret)
	}
	if strings.Count(string(secret), string(secret[:1])) == len(secret) {
		return t, fmt.Errorf("the secret is one byte over and over, so it is no secret")
	}
	t.Secret = seal.Secret(base32Secret.EncodeToString(secret))
	return t, t.checkCodes()
}

// The bounds of a period in seconds, as for authenticator apps.
const (
	shortestPeriod = 15
	longestPeriod  = 120
)

// maxCounter is more often than anybody presses a button.
const maxCounter = 1 << 40

func (t Token) checkCodes() error {
	switch {
	case t.Kind != TOTP && t.Kind != HOTP:
		return fmt.Errorf("the type is neither totp nor hotp")
	case t.Algorithm != "SHA1" && t.Algorithm != "SHA256" && t.Algorithm != "SHA512":
		return fmt.Errorf("the algorithm is none of SHA1, SHA256 and SHA512")
	case t.Digits < 6 || t.Digits > 8:
		return fmt.Errorf("a code has 6, 7 or 8 digits")
	case t.Kind == TOTP && (t.Period < shortestPeriod || t.Period > longestPeriod):
		return fmt.Errorf("the period is not %d to %d seconds", shortestPeriod, longestPeriod)
	case t.Counter < 0 || t.Counter > maxCounter:
		return fmt.Errorf("the counter is not a number from 0 to %d", int64(maxCounter))
	}
	return nil
}

// looksLikeFormula tells whether a spreadsheet would compute a cell instead of
// showing it, to whoever opens a list of ours.
func looksLikeFormula(cell string) bool {
	cell = strings.TrimLeft(cell, " ")
	return cell != "" && strings.ContainsRune("=+-@\t\r", rune(cell[0]))
}

// algorithm reads the names of hashes that files use.
func algorithm(name string) string {
	plain := strings.ToUpper(strings.TrimSpace(name))
	plain = strings.TrimPrefix(plain, "HMAC-")
	switch plain = strings.ReplaceAll(plain, "-", ""); plain {
	case "", "SHA", "HMACSHA1":
		return "SHA1"
	case "HMACSHA256":
		return "SHA256"
	case "HMACSHA512":
		return "SHA512"
	}
	return plain
}
