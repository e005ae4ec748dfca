package web

import (
	"time"

	"gatehouse/authenticators"
	"gatehouse/fault"
	"gatehouse/words"
)

// Text is a sentence that is not said yet: a catalogue key with its name,
// value pairs. It is said in the reader's language when the page is rendered.
type Text struct {
	Key   string
	Pairs []any
}

// Say makes a Text.
func Say(key string, pairs ...any) *Text { return &Text{key, pairs} }

// Frame is what every page shows around its content, and what it needs to say
// words and times. The handler fills it per request.
type Frame struct {
	Words     *words.Catalogue // the reader's language; nil means English
	Zone      *time.Location   // the reader's zone; nil means UTC
	Now       time.Time        // the injected clock, for "the time left"
	Nonce     string           // this answer's CSP nonce, for script and style sheet
	RequestID string           // shown on error pages
	Languages []Language       // the language line; nil means English alone
	StatusURL string           // summary.json of the separate status host; "" shows no status line
	Condition Condition        // how things stand, for the banner
	Refresh   string           // where a page goes by itself without script, as "7; url=/signin"; "" stays
	Demo      bool             // says that this is a demo and where the mails lie
	Person    *Person          // who is signed in; nil on the pages before sign-in
	Idle      *Idle            // for the warning before idle-out; nil shows none
	Done      *Text            // what has just worked, carried over the redirect; see Done
}

// Language is one choice on the language line.
type Language struct {
	Tag  string // BCP 47, for lang and hreflang
	Name string // in that language: "Deutsch"
	Href string // address that switches; "" marks the current one
}

// Person is who is signed in, as the page head names them.
type Person struct {
	Name         string // may be empty
	Email        string
	Organisation string // may be empty
	Console      bool   // may see the console pages
}

// Idle tells the page when the session ends by itself.
type Idle struct {
	Until    time.Time     // when it idles out
	Absolute time.Time     // when it ends whatever happens; zero for unknown
	Warn     time.Duration // how long before Until the warning shows
}

// Form is part of every page that posts. Field names are constants below.
type Form struct {
	Action   string        // where it posts; "" means the page's own address
	Attempt  string        // id of the sign-in attempt the page was rendered for; a hidden field
	Return   string        // local path to go to afterwards; a hidden field, "" for none
	Note     *Text         // said calmly above the form, e.g. that another tab went further
	Remember time.Duration // a second step: for how long this browser may be remembered; 0: not offered
	Problem  *Problem      // what was refused; nil on a fresh form
}

// Problem is why a form came back. Its sentence is the catalogue's
// "fault.<Code>" unless Sentence says something better.
type Problem struct {
	Code       fault.Code
	Field      string                  // name of the field it concerns, "" for the whole form
	Item       string                  // id of the row it concerns, on pages with a form per row
	Sentence   *Text                   // instead of the code's own sentence
	Hint       *Text                   // what may help: "your phone's clock is about 90 seconds behind"
	Reasons    []authenticators.Reason // why a new password was not accepted
	RetryAfter time.Duration           // when it makes sense to try again, 0 unknown
	Help       string                  // slug of the article that helps; "" for none
}

// Names of the form fields and of the values of FieldDo.
const (
	FieldAttempt   = "attempt"
	FieldReturn    = "return"
	FieldZone      = "zone" // IANA name; filled by script on sign-in, a choice on the profile
	FieldEmail     = "email"
	FieldPassword  = "password"
	FieldCode      = "code" // one-time code or recovery code
	FieldName      = "name" // of a person or an authenticator
	FieldLocale    = "locale"
	FieldConfirmed = "confirmed" // "yes" when the box is ticked
	FieldRemember  = "remember"  // likewise; the template "remember"
	FieldItem      = "id"        // the row a button belongs to
	FieldAnswer    = "answer"    // what a browser answers for a passkey, JSON
	FieldChallenge = "challenge" // sealed, beside it
	FieldDo        = "do"

	DoResend    = "resend"
	DoRename    = "rename"
	DoRemove    = "remove"
	DoMake      = "make"
	DoEnd       = "end"
	DoEndOthers = "end-others"
)

// Page is one of the structs below; Render picks the template by its type.
type Page interface{ about() about }

// about is what Render asks of a page: its template, its title, its place in
// the account's navigation ("" for the pages at the door) and its problem.
type about struct {
	template string
	title    *Text
	nav      string
	failed   bool
	reading  bool // an article: for search engines too, and without the gate beside it
}

// --- at the door ---

// SignIn is the first page: e-mail and password in one form. GET/POST /signin.
type SignIn struct {
	Form
	Email   string      // kept when the form comes back; the password never is
	Passkey *PasskeyAsk // nil: none is asked for
	Forget  string      // what tells the browser that we do not know a passkey: JSON, "" for none
}

// Code asks for a one-time code. POST /signin/code, or Action for a fresh proof.
type Code struct {
	Form
	Email string
	Ways  Ways // every other way to answer
	Fresh bool // a signed-in person proves themselves again
	Reset bool // came through a link for a new password: no password was asked for
	Token bool // they have a code token, whose codes are taken here too
}

// Recovery asks for a recovery code. POST /signin/recovery.
type Recovery struct {
	Form
	Email string
	Ways  Ways
	Fresh bool
}

// LinkKind is what a mailed link is for. It chooses the words only.
type LinkKind string

// Kinds of mailed links. LinkAny is for a page that must not or cannot know.
const (
	LinkAny        LinkKind = "any"
	LinkInvitation LinkKind = "invitation"
	LinkReset      LinkKind = "reset"
	LinkUnlock     LinkKind = "unlock"
	LinkEnrol      LinkKind = "enrol"
	LinkAddress    LinkKind = "address"
)

// LinkSent says that a mail is on its way, the same for any address.
// POST /signin/link-sent with do=resend sends it once more.
type LinkSent struct {
	Form
	Kind    LinkKind
	Email   string // as typed
	Minutes int    // how long the link holds
	Resend  bool   // offer to send again
}

// NewPassword sets a first or a new password from a link. POST /signin/new-password.
type NewPassword struct {
	Form
	Email  string
	Policy authenticators.Policy
	First  bool   // an invitation, not a reset
	Why    string // why it must be changed now: "compromised", "expired" (flow.View.Why), or ""
}

// Enrol adds an authenticator app: inside the sign-in (POST /signin/enrol) or,
// with Account set, from the account (POST /account/authenticators/add).
type Enrol struct {
	Form
	Email   string
	Key     string // base32, ungrouped
	URI     string // otpauth://totp/…; drawn as the QR picture
	Name    string // what was typed for the name; "" suggests one
	Account bool
	Passkey *PasskeyAsk // offered in place of the app; nil: it is not
	NoApp   bool        // an app is not accepted here
}

// RecoveryCodes shows new recovery codes, once. POST /signin/codes, or Action.
type RecoveryCodes struct {
	Form
	Email   string
	Codes   []string  // grouped as they are to be typed
	MadeAt  time.Time // UTC
	Origin  string    // configured origin, printed and written into the file
	Account bool      // inside /account, not inside the sign-in
}

// Forgot asks for the address of a reset link. POST /forgot.
type Forgot struct {
	Form
	Email string
}

// Unlock asks for the address of a link that lets this browser try again. POST /unlock.
type Unlock struct {
	Form
	Email string
}

// Link is the clean page behind a mailed link: one button. POST /link.
type Link struct {
	Form
	Kind LinkKind
}

// Fresh asks a signed-in person for the password again; Code follows. POST /fresh.
// A passkey does in place of both.
type Fresh struct {
	Form
	Email   string
	Passkey *PasskeyAsk // nil: the person has none
}

// SignedOut is where POST /signout leads.
type SignedOut struct{}

// Oops is the page for anything that cannot go on: a sentence, a stable code,
// the request id, and what to do next. RetryAfter > 0 makes it the busy page.
type Oops struct {
	Code       fault.Code
	Sentence   *Text         // instead of "fault.<Code>"
	RetryAfter time.Duration // as in the Retry-After header
	Retry      string        // a GET address that makes sense to open again, "" for none
}

// --- the account ---

// Profile is the overview: where things stand, and the person's own details.
// POST /account with name, locale, zone.
type Profile struct {
	Form
	Email          string
	Name           string
	Locale         string // "" for the browser's choice
	Zone           string // IANA
	Locales        []Language
	PasswordAt     time.Time // when it was set; zero for none
	PasswordExpiry time.Time // zero for never
	Authenticators int
	CodesLeft      int
	Sessions       int
	Reminders      []Reminder // what waits for the person
}

// PasswordChange sets a new password after a fresh proof. POST /account/password.
type PasswordChange struct {
	Form
	Email  string
	SetAt  time.Time
	Policy authenticators.Policy
}

// CodesLeft is the state of the recovery codes. POST /account/recovery-codes with do=make.
type CodesLeft struct {
	Form
	Left, Of int
	MadeAt   time.Time
}

// Sessions lists where the person is signed in. POST /account/sessions with
// do=end (id) or do=end-others.
type Sessions struct {
	Form
	Items    []Session
	Browsers []Browser // remembered
}

// Session is one row of Sessions.
type Session struct {
	ID         string
	Device     string // "Chrome on Windows"; "" when unknown
	Place      string // "Lisbon, Portugal"; "" when unknown
	Network    string
	SignedInAt time.Time
	SeenAt     time.Time
	This       bool
}

// History is what happened to the account, newest first.
type History struct {
	Items []Happening
	Older string // address of the next page, "" for none
}

// Happening is one row of History.
type Happening struct {
	At      time.Time
	What    Text // the event kind's sentence
	Why     *Text
	Device  string
	Place   string
	Network string
	Refused bool // marked in words, not by colour alone
}

// AddressChange asks for a new e-mail address after a fresh proof. POST /account/address.
type AddressChange struct {
	Form
	Email   string // the present one
	New     string // as typed
	Pending string // a new address that still waits for its confirmation
}

// PolicyPresets shows the password policy presets for what they are. GET /console/policy.
type PolicyPresets struct {
	Current authenticators.Preset   // the one in force
	Presets []authenticators.Policy // each as it would be with this configuration
}

// done is what a redirect may carry as ?done=…: nothing else is ever shown.
var done = map[string]bool{
	"profile": true, "password": true, "renamed": true, "removed": true, "added": true,
	"ended": true, "ended-others": true, "codes": true, "address-asked": true,
	"address-changed": true, "resent": true, "phone-held": true, "phone-removed": true, "kept-both": true, "paired": true, "forgotten": true, "added-passkey": true, "added-key": true,
	"added-token": true, "resync": true,
	"accept-set": true, "accept-roll-out": true, "accept-reverted": true,
}

// Done turns the name in ?done=name into the sentence "done.<name>", or nil
// for a name we do not know: an address must not put words on our pages.
func Done(name string) *Text {
	if !done[name] {
		return nil
	}
	return Say("done." + name)
}
