package authenticators

import (
	"cmp"
	"errors"
	"net/url"
	"strconv"
	"strings"
	"time"

	"gatehouse/seal"
)

// The mistakes of ParseKeyURI, in words for whoever pasted the text.
var (
	ErrNoKeyURI   = errors.New("this is neither an otpauth:// link nor a key as it stands beside the picture")
	ErrButtonURI  = errors.New("this link is for a token with a button (otpauth://hotp); only codes that change with time can be shown")
	ErrKeySecret  = errors.New("the key in this link cannot be read")
	ErrKeyNumbers = errors.New("this link asks for codes that nobody makes: the hash is SHA1, SHA256 or SHA512, with 6 to 8 digits, every 15 to 120 seconds")
)

// maxKeyURI bounds a link, in bytes; they have two or three hundred.
const maxKeyURI = 4096

// Label is what a link says of an account: what an app shows beside the code.
type Label struct {
	Issuer  string
	Account string
}

// ParseKeyURI reads an otpauth address as apps do, or the bare key that stands
// beside the picture. Its errors never repeat the text.
func ParseKeyURI(text seal.Secret) (Label, TOTP, error) {
	plain := strings.TrimSpace(text.Reveal())
	if len(plain) > maxKeyURI {
		return Label{}, TOTP{}, ErrNoKeyURI
	}
	if !strings.Contains(plain, ":") {
		app, err := appOf(plain, Usual())
		if err != nil {
			err = ErrNoKeyURI
		}
		return Label{}, app, err
	}
	u, err := url.Parse(plain)
	if err != nil || !strings.EqualFold(u.Scheme, "otpauth") {
		return Label{}, TOTP{}, ErrNoKeyURI
	}
	switch strings.ToLower(u.Host) {
	case "hotp":
		return Label{}, TOTP{}, ErrButtonURI
	case "totp":
	default:
		return Label{}, TOTP{}, ErrNoKeyURI
	}
	q := u.Query()
	how, err := makingOf(q)
	if err != nil {
		return Label{}, TOTP{}, err
	}
	app, err := appOf(q.Get("secret"), how)
	return labelOf(u.Path, q.Get("issuer")), app, err
}

func makingOf(q url.Values) (Making, error) {
	m := Making{Algorithm: strings.ReplaceAll(strings.ToUpper(cmp.Or(q.Get("algorithm"), Usual().Algorithm)), "-", "")}
	digits, bad := strconv.Atoi(cmp.Or(q.Get("digits"), "6"))
	period, worse := strconv.ParseInt(cmp.Or(q.Get("period"), "30"), 10, 64)
	m.Digits, m.Period = digits, period
	if bad != nil || worse != nil || m.Check() != nil {
		return m, ErrKeyNumbers
	}
	return m, nil
}

// shortestKey is what the shortest keys in use have, in bytes: 80 bits.
const shortestKey = 10

func appOf(secret string, how Making) (TOTP, error) {
	secret = strings.TrimRight(strings.ToUpper(strings.NewReplacer(" ", "", "-", "").Replace(secret)), "=")
	key, err := base32Secret.DecodeString(secret)
	if err != nil || len(key) < shortestKey {
		return TOTP{}, ErrKeySecret
	}
	return how.New("", seal.Secret(secret), time.Time{}), nil
}

func labelOf(path, issuer string) Label {
	l := Label{Issuer: issuer, Account: strings.TrimPrefix(path, "/")}
	if from, account, both := strings.Cut(l.Account, ":"); both {
		l.Issuer, l.Account = cmp.Or(issuer, from), account
	}
	return Label{Issuer: strings.TrimSpace(l.Issuer), Account: strings.TrimSpace(l.Account)}
}
