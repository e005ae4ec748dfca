package authenticators

import (
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/nyaruka/phonenumbers"

	"gatehouse/proof"
)

// NumberRules say which telephone numbers may be kept. Every country that is not
// named is refused: codes by text message are sold on by whoever owns the number
// ranges they go to.
type NumberRules struct {
	Countries []string // ISO 3166-1 alpha-2, in capitals; none: no number may be kept
	Country   string   // whose numbers may be typed without their country code; "" for none
	VoIP      bool     // numbers of Internet telephony too
}

// Number is a telephone number that may be kept.
type Number struct {
	E164    string // ITU-T E.164, as in +351912345678
	Country string // ISO 3166-1 alpha-2
	Ways    []proof.Method
}

// Why a number is not taken, as words keys.
const (
	NumberUnreadable = "phones.bad.unreadable"
	NumberCountry    = "phones.bad.country"
	NumberPaid       = "phones.bad.paid" // whoever calls it pays more than usual
	NumberVoIP       = "phones.bad.voip"
)

// maxNumber bounds what may be typed as a telephone number, in bytes.
const maxNumber = 64

// Parse reads a number as people type it: any digits, spaces, dashes, brackets, 00
// or + before the country. why is "" when it may be kept.
func (r NumberRules) Parse(typed string) (n Number, why string) {
	digits, ok := dialled(typed)
	if !ok {
		return n, NumberUnreadable
	}
	if rest, found := strings.CutPrefix(digits, "00"); found && r.Country == "" {
		digits = "+" + rest
	}
	p, err := phonenumbers.Parse(digits, r.Country)
	if err != nil || !phonenumbers.IsValidNumber(p) {
		return n, NumberUnreadable
	}
	n = Number{E164: phonenumbers.Format(p, phonenumbers.E164), Country: phonenumbers.GetRegionCodeForNumber(p)}
	if !slices.Contains(r.Countries, n.Country) {
		return n, NumberCountry
	}
	n.Ways, why = r.ways(phonenumbers.GetNumberType(p))
	return n, why
}

// ways is how a kind of number can be reached. A kind that is not listed is paid
// for by whoever calls, or is nobody's own.
func (r NumberRules) ways(kind phonenumbers.PhoneNumberType) ([]proof.Method, string) {
	switch kind {
	case phonenumbers.MOBILE, phonenumbers.FIXED_LINE_OR_MOBILE:
		return []proof.Method{proof.SMS, proof.Voice}, ""
	case phonenumbers.FIXED_LINE:
		return []proof.Method{proof.Voice}, ""
	case phonenumbers.VOIP:
		if r.VoIP {
			return []proof.Method{proof.SMS, proof.Voice}, ""
		}
		return nil, NumberVoIP
	}
	return nil, NumberPaid
}

// Serves tells whether a kept number may still be sent something: a country that
// was taken off the list is sent nothing from then on.
func (r NumberRules) Serves(country string) bool { return slices.Contains(r.Countries, country) }

// Country tells whether a text is the code of a country that has telephone numbers.
func Country(code string) bool { return phonenumbers.GetSupportedRegions()[code] }

// Prefixes lists what the numbers begin with that may be kept: "+351".
func (r NumberRules) Prefixes() []string {
	var all []string
	for _, c := range r.Countries {
		if code := phonenumbers.GetCountryCodeForRegion(c); code != 0 && !slices.Contains(all, "+"+strconv.Itoa(code)) {
			all = append(all, "+"+strconv.Itoa(code))
		}
	}
	return all
}

// Example is a mobile number of the first country, as people write it there.
func (r NumberRules) Example() string {
	country, form := r.Country, phonenumbers.NATIONAL
	if country == "" && len(r.Countries) > 0 {
		country, form = r.Countries[0], phonenumbers.INTERNATIONAL
	}
	n := phonenumbers.GetExampleNumberForType(country, phonenumbers.MOBILE)
	if n == nil {
		return "+351 912 345 678"
	}
	return phonenumbers.Format(n, form)
}

// dialled keeps the digits, and a plus at the beginning.
func dialled(typed string) (string, bool) {
	if len(typed) > maxNumber {
		return "", false
	}
	var b strings.Builder
	for _, c := range typed {
		switch {
		case unicode.Is(unicode.Nd, c):
			b.WriteByte('0' + digitValue(c))
		case (c == '+' || c == '＋') && b.Len() == 0:
			b.WriteByte('+')
		case isFiller(c) || c == '(' || c == ')' || c == '/' || c == '（' || c == '）':
		default:
			return "", false
		}
	}
	return b.String(), b.Len() > 4
}

// Masked shows of a number no more than its country code and its last two digits:
// "+351 ••• ••42", however long it is.
func (n Number) Masked() string {
	p, err := phonenumbers.Parse(n.E164, "")
	if err != nil || len(n.E164) < 6 {
		return "••• ••"
	}
	code := phonenumbers.GetCountryCodeForRegion(n.Country)
	if code == 0 {
		code = int(p.GetCountryCode())
	}
	return "+" + strconv.Itoa(code) + " ••• ••" + n.E164[len(n.E164)-2:]
}
