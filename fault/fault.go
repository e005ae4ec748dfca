// Package fault is the one list of what can go wrong. A person sees a stable
// code, a sentence and a request id; a program sees the code, a status and an
// OAuth error; the log alone sees the cause.
//
// The sentence of a code is the catalogue entry "fault.<code>" in package words.
package fault

import (
	"errors"
	"fmt"
	"net/http"
	"time"
)

// Code names a fault or a refusal. It never changes once published.
type Code string

// Refusals: the person or program can do something about these.
const (
	BadRequest        Code = "bad-request"
	WrongCredentials  Code = "wrong-credentials" // unknown name, wrong password, disabled, locked: one and the same
	WrongCode         Code = "wrong-code"        // a second authenticator's code did not match
	WrongPasskey      Code = "wrong-passkey"     // an unknown passkey, or what it signed is not right: one and the same
	TooManyTries      Code = "too-many-tries"    // over a limit; nothing was checked
	AttemptExpired    Code = "attempt-expired"   // the sign-in took too long, or belongs to another browser
	LinkSpent         Code = "link-spent"        // a mailed link that is used, old or not ours
	PasswordRefused   Code = "password-refused"  // a new password that the policy does not accept
	PasswordTooLong   Code = "password-too-long" // over 1024 bytes; refused before hashing
	ConfirmCodes      Code = "confirm-codes"     // the "I have saved my recovery codes" box is not ticked
	NotSignedIn       Code = "not-signed-in"
	FreshProofNeeded  Code = "fresh-proof-needed" // a change that asks for a proof of the last five minutes
	Forbidden         Code = "forbidden"
	NotFound          Code = "not-found"
	Conflict          Code = "conflict"
	MethodNotAllowed  Code = "method-not-allowed"
	TooLarge          Code = "too-large"
	UnsupportedType   Code = "unsupported-type"
	CrossSite         Code = "cross-site"         // a form sent from another site
	WrongHost         Code = "wrong-host"         // a Host header that is not the configured origin
	LastAuthenticator Code = "last-authenticator" // removing it would leave no second authenticator
	NotAccepted       Code = "not-accepted"       // an authenticator that a policy does not accept
	PolicyRefused     Code = "policy-refused"     // a policy that would leave somebody with nothing to sign in with, or is none
	NotAsked          Code = "not-asked"          // the phone cannot be asked now: one question is open, or there were too many
	NotAnswered       Code = "not-answered"       // the phone has not answered yet
	Declined          Code = "declined"           // the phone said no, or the digits were others
	NotInTime         Code = "not-in-time"        // nobody answered in time
	PairingTaken      Code = "pairing-taken"      // another device has used the picture
	PairingSpent      Code = "pairing-spent"      // the picture is too old, used or not ours
	DeviceUnknown     Code = "device-unknown"     // no account has this device any more
)

// Faults: ours, not theirs. An outage is never reported as a verdict.
const (
	Unavailable Code = "unavailable" // the database cannot answer now
	Busy        Code = "busy"        // shed by bounded admission; no try was spent
	Internal    Code = "internal"
)

// Kind is what the table says of a code.
type Kind struct {
	Code   Code
	Status int           // HTTP status, RFC 9110
	OAuth  string        // RFC 6749 §5.2 / RFC 6750 §3.1 error value
	Retry  time.Duration // Retry-After, zero for none
}

var table = map[Code]Kind{
	BadRequest:        {Status: http.StatusBadRequest, OAuth: "invalid_request"},
	WrongCredentials:  {Status: http.StatusUnauthorized, OAuth: "access_denied"},
	WrongCode:         {Status: http.StatusUnauthorized, OAuth: "access_denied"},
	WrongPasskey:      {Status: http.StatusUnauthorized, OAuth: "access_denied"},
	TooManyTries:      {Status: http.StatusTooManyRequests, OAuth: "access_denied"},
	AttemptExpired:    {Status: http.StatusConflict, OAuth: "invalid_request"},
	LinkSpent:         {Status: http.StatusGone, OAuth: "invalid_request"},
	PasswordRefused:   {Status: http.StatusUnprocessableEntity, OAuth: "invalid_request"},
	PasswordTooLong:   {Status: http.StatusUnprocessableEntity, OAuth: "invalid_request"},
	ConfirmCodes:      {Status: http.StatusUnprocessableEntity, OAuth: "invalid_request"},
	NotSignedIn:       {Status: http.StatusUnauthorized, OAuth: "login_required"},
	FreshProofNeeded:  {Status: http.StatusForbidden, OAuth: "insufficient_user_authentication"}, // RFC 9470 §3
	Forbidden:         {Status: http.StatusForbidden, OAuth: "access_denied"},
	NotFound:          {Status: http.StatusNotFound, OAuth: "invalid_request"},
	Conflict:          {Status: http.StatusConflict, OAuth: "invalid_request"},
	MethodNotAllowed:  {Status: http.StatusMethodNotAllowed, OAuth: "invalid_request"},
	TooLarge:          {Status: http.StatusRequestEntityTooLarge, OAuth: "invalid_request"},
	UnsupportedType:   {Status: http.StatusUnsupportedMediaType, OAuth: "invalid_request"},
	CrossSite:         {Status: http.StatusForbidden, OAuth: "access_denied"},
	WrongHost:         {Status: http.StatusMisdirectedRequest, OAuth: "invalid_request"},
	LastAuthenticator: {Status: http.StatusConflict, OAuth: "invalid_request"},
	NotAccepted:       {Status: http.StatusConflict, OAuth: "invalid_request"},
	PolicyRefused:     {Status: http.StatusUnprocessableEntity, OAuth: "invalid_request"},
	NotAsked:          {Status: http.StatusTooManyRequests, OAuth: "slow_down"},
	NotAnswered:       {Status: http.StatusConflict, OAuth: "authorization_pending"},
	Declined:          {Status: http.StatusUnauthorized, OAuth: "access_denied"},
	NotInTime:         {Status: http.StatusGone, OAuth: "expired_token"},
	PairingTaken:      {Status: http.StatusConflict, OAuth: "invalid_request"},
	PairingSpent:      {Status: http.StatusGone, OAuth: "invalid_request"},
	DeviceUnknown:     {Status: http.StatusGone, OAuth: "invalid_request"},
	Unavailable:       {Status: http.StatusServiceUnavailable, OAuth: "temporarily_unavailable", Retry: 10 * time.Second},
	Busy:              {Status: http.StatusServiceUnavailable, OAuth: "temporarily_unavailable", Retry: 5 * time.Second},
	Internal:          {Status: http.StatusInternalServerError, OAuth: "server_error"},
}

// Lookup returns the table's row for a code; an unknown code is Internal.
func Lookup(c Code) Kind {
	k, ok := table[c]
	if !ok {
		c, k = Internal, table[Internal]
	}
	k.Code = c
	return k
}

// Codes lists every code, in no order: tests hold the catalogue against it.
func Codes() []Code {
	codes := make([]Code, 0, len(table))
	for c := range table {
		codes = append(codes, c)
	}
	return codes
}

// Error carries a code up to the one place that answers.
type Error struct {
	Code  Code
	Cause error // for the log only
}

func (e *Error) Error() string {
	if e.Cause == nil {
		return string(e.Code)
	}
	return fmt.Sprintf("%s: %v", e.Code, e.Cause)
}

func (e *Error) Unwrap() error { return e.Cause }

// New makes an error with a code; cause may be nil and reaches only the log.
func New(c Code, cause error) error { return &Error{c, cause} }

// Of finds the outermost code in err. An error without one is Internal; nil is "".
func Of(err error) Code {
	if err == nil {
		return ""
	}
	var e *Error
	if errors.As(err, &e) {
		return e.Code
	}
	return Internal
}

// Refusal is a verdict about what was submitted. It is a value, committed like a
// success; it is never an error of ours.
type Refusal struct {
	Code       Code
	Hint       string // words key of what may help, "" for none
	HintFields []any  // pairs for words.Say
	Reasons    []Reason
	RetryAfter time.Duration // how long until a try is left; zero when it does not matter
}

// Reason says why something was not accepted, as a words key with the number it needs.
type Reason struct {
	Key string
	N   int
}

// Fields are the pairs for words.Say.
func (r Reason) Fields() []any { return []any{"n", r.N} }
