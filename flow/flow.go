// Package flow is the sign-in: one attempt, from the first click to a session.
//
// Submit is the only way in. It reads as DESIGN §3 draws it: a place in the queue
// (memory), a try spent (short write), the check (slow, no transaction), and the
// commit in which decision, state and record are one. Steps never route to each
// other; each ends by asking next, one pure switch, what comes now.
package flow

import (
	"context"
	"io"
	"log/slog"
	"time"

	"golang.org/x/time/rate"

	"gatehouse/accounts"
	"gatehouse/authenticators"
	"gatehouse/events"
	"gatehouse/fault"
	"gatehouse/id"
	"gatehouse/limits"
	"gatehouse/proof"
	"gatehouse/seal"
	"gatehouse/sessions"
	"gatehouse/store"
)

// Step is what a person is asked to do next.
type Step string

const (
	Password      Step = "password"       // e-mail and password
	Code          Step = "totp"           // a code from an authenticator app or a hardware token
	Passkey       Step = "passkey"        // a passkey or a security key
	Approve       Step = "push"           // an approval in Gatehouse Verify
	Text          Step = "phone"          // a code by text message or call
	Recovery      Step = "recovery-code"  // or one of the recovery codes
	LinkSent      Step = "link-sent"      // open the link we mailed
	NewPassword   Step = "new-password"   // choose a password
	Enrol         Step = "enrol-totp"     // set up an authenticator app
	RecoveryCodes Step = "recovery-codes" // keep the recovery codes
	Done          Step = "done"
)

// Purpose is why the attempt was begun.
type Purpose string

const (
	SignIn     Purpose = "signin"
	Fresh      Purpose = "fresh"      // signed in already; proves it again for a sensitive change
	Invitation Purpose = "invitation" // came through an invitation link
	Reset      Purpose = "reset"      // came through a forgotten-password link
)

// Action is what a person submits.
type Action string

const (
	ShowPassword   Action = "password"       // Email, Secret
	ShowCode       Action = "totp"           // Secret
	ShowRecovery   Action = "recovery-code"  // Secret
	ShowPasskey    Action = "passkey"        // Secret (the browser's answer), Challenge when there is no attempt
	AskApproval    Action = "ask-push"       // asks the devices with Gatehouse Verify
	ShowApproval   Action = "push"           // the question has been answered
	AskText        Action = "ask-phone"      // Way (an id of View.Ways), By ("sms" or "voice")
	ShowText       Action = "phone"          // Secret
	ChoosePassword Action = "new-password"   // Secret
	EnrolCode      Action = "enrol-totp"     // Secret (a code), Name
	EnrolPasskey   Action = "enrol-passkey"  // Secret (the browser's answer), Name
	ConfirmCodes   Action = "recovery-codes" // Confirmed
	OpenLink       Action = "open-link"      // Link
	ResendLink     Action = "resend-link"    //
	ForgotPassword Action = "forgot"         // Email
	AskUnlock      Action = "unlock"         // Email
	ProveAfresh    Action = "fresh"          // Session
)

// Who asks.
type Who = sessions.Who

// Input is one submission.
type Input struct {
	Do        Action
	Attempt   string // the sealed attempt, "" at the start
	Email     string
	Secret    seal.Secret
	Name      string
	Way       id.Authenticator // AskText: which number
	By        proof.Method     // AskText: SMS or Voice
	Challenge string           // ShowPasskey without an attempt: the sealed challenge
	Trusted   string           // ShowPassword: the sealed token of a remembered browser, from its cookie
	Remember  bool             // a second step: remember this browser, where policy lets
	Confirmed bool
	Link      seal.Secret
	Session   *sessions.Ticket // the caller's session, already checked; nil when not signed in
	Return    string           // local path to go to when done; web has vetted it
	Who       Who
	Place     string // sealed: a place in the line, from an earlier Wait or Knock
	Brought   bool   // the device token came with the request: it was not made for this one
}

// Outcome is the answer to one submission.
type Outcome struct {
	Next    Step
	Attempt string          // sealed; carried by cookie or API reply. "" when there is none
	Ticket  string          // sealed session ticket, only when Next is Done
	Session sessions.Ticket // the same, opened
	Refusal *Refusal        // nil: what was submitted was accepted
	Trusted string          // sealed: this browser is remembered; goes into a cookie of its own
	View    View

	revoked []sessions.Revocation // told to this node's checker once committed
}

// Refusal is a verdict about what was submitted.
type Refusal = fault.Refusal

// View is what a page or program needs to ask for the next step.
type View struct {
	ID          id.Attempt // names the attempt without opening anything
	Purpose     Purpose
	Email       string
	Name        string
	Other       []Step         // other ways to do this step
	Ways        []Way          // every way to show the second authenticator, the likeliest first
	Asked       *TextAsked     // Text: the code that was asked for last
	Push        *Asked         // Approve: the question that was asked last
	Offers      []proof.Method // Enrol: what may be set up, TOTP and Passkey
	Secret      seal.Secret    // Enrol: base32, to be typed
	URI         seal.Secret    // Enrol: otpauth://
	Codes       []seal.Secret  // RecoveryCodes
	Why         string         // NewPassword: why one is asked for ("compromised", "expired"), or ""
	Remember    time.Duration  // a second step: for how long this browser may be remembered; 0: not offered
	Seconds     int            // Done: how many second authenticators there are, recovery codes not counted; 0: not known
	SecondSince time.Time      // Done: when the newest of them was added
	SecondNew   bool           // Done: that was in this very attempt
	Return      string
}

// Limits are the numbers behind "pay before you look".
type Limits struct {
	PerName    limits.Rule // a name from devices its owner has not used
	PerDevice  limits.Rule // a name from one device its owner has used
	PerLink    limits.Rule // a name from a browser that opened a mailed link
	PerNetwork limits.Rule
	CodeName   limits.Rule // second-authenticator codes, as the three above
	CodeDevice limits.Rule
	CodeMonth  limits.Rule // beside each of those: wrong codes in the long run (SP 800-63B-4 §3.2.2)
	Change     limits.Rule // passwords proposed and new codes shown, per account: each may cost a hash and a line in the log
	Mail       limits.Rule // mails asked for, per address and kind
	MailNet    limits.Rule // mails asked for, per network
}

// DefaultLimits are five tries in 15 minutes for anything that can be guessed.
func DefaultLimits() Limits {
	const quarter = 15 * time.Minute
	return Limits{
		PerName:    limits.Rule{Name: "name", Max: 5, Per: quarter},
		PerDevice:  limits.Rule{Name: "device", Max: 5, Per: quarter},
		PerLink:    limits.Rule{Name: "link", Max: 5, Per: quarter},
		PerNetwork: limits.Rule{Name: "network", Max: 100, Per: quarter},
		CodeName:   limits.Rule{Name: "code", Max: 5, Per: quarter},
		CodeDevice: limits.Rule{Name: "code-device", Max: 5, Per: quarter},
		CodeMonth:  limits.Rule{Name: "code-month", Max: 100, Per: 30 * 24 * time.Hour},
		Change:     limits.Rule{Name: "change", Max: 20, Per: quarter},
		// As long as a link lives: whoever may not ask for another has one that opens.
		Mail:    limits.Rule{Name: "mail", Max: 3, Per: accounts.Reset.Life()},
		MailNet: limits.Rule{Name: "mail-network", Max: 20, Per: time.Hour},
	}
}

// Flow holds what a sign-in needs. cmd fills every field, once.
type Flow struct {
	Store    *store.Store
	Keys     *seal.Keys
	Log      *events.Log
	Auth     *authenticators.Set
	Choose   authenticators.Chooser
	Sessions *sessions.Checker
	Limits   Limits
	Gate     *Gate                 // who may take a step now; nil lets everybody in
	Pace     *limits.Pace          // sign-in steps of one network, so that nobody uses up Global alone; nil bounds nothing
	Global   *rate.Limiter         // sign-in steps of everybody on this node
	AdminAge time.Duration         // how old a standby may be for people who look after others; DefaultAdminAge when zero
	Origin   string                // the configured public origin, the only source of links
	Product  string                // the issuer shown in authenticator apps
	Apps     authenticators.Making // how new authenticator apps make their codes; empty is Usual
	Texts    Texter                // sends codes by text message and call; nil: none are sent
	Bell     *Bell                 // tells who waits here that a question was asked or answered; nil: they look for themselves
	Now      func() time.Time
	Rand     io.Reader
	Slog     *slog.Logger
	Nudge    func() // wakes the mail sender; never waits

	rehearses bool // the canary's own: it takes back what it wrote (canary.go)
}

// attemptLife is how long a person may take from password to session: long
// enough to find a phone and write down ten codes.
const attemptLife = 30 * time.Minute

// Submit takes one step. An error is ours (fault.Unavailable, fault.Busy, …) and
// says nothing about the person; a refusal is in the Outcome.
func (f *Flow) Submit(ctx context.Context, in Input) (Outcome, error) {
	leave, err := f.admit(ctx, in)
	if err != nil {
		return Outcome{}, err
	}
	defer leave()
	switch in.Do {
	case ShowPassword:
		return f.showPassword(ctx, in)
	case ShowCode, ShowRecovery, ShowText:
		return f.showSecond(ctx, in)
	case ShowPasskey:
		return f.showPasskey(ctx, in)
	case EnrolPasskey:
		return f.enrolPasskey(ctx, in)
	case AskText:
		return f.askText(ctx, in)
	case AskApproval:
		return f.askApproval(ctx, in)
	case ShowApproval:
		return f.showApproval(ctx, in)
	case ChoosePassword:
		return f.choosePassword(ctx, in)
	case EnrolCode:
		return f.enrolCode(ctx, in)
	case ConfirmCodes:
		return f.confirmCodes(ctx, in)
	case OpenLink:
		return f.openLink(ctx, in)
	case ResendLink:
		return f.resendLink(ctx, in)
	case ForgotPassword, AskUnlock:
		return f.mailLink(ctx, in)
	case ProveAfresh:
		return f.proveAfresh(ctx, in)
	}
	return Outcome{}, fault.New(fault.BadRequest, nil)
}

// Resume tells what an attempt is waiting for, from the sealed attempt alone.
// fault.AttemptExpired when it is too old, forged or another browser's.
func (f *Flow) Resume(sealed string, who Who) (Outcome, error) {
	a, err := f.open(sealed, who)
	if err != nil {
		return Outcome{}, err
	}
	return Outcome{Next: a.At, Attempt: sealed, View: f.view(a)}, nil
}

// refuse ends a step with a refusal and stays where the attempt was.
func refuse(next Step, code fault.Code) Outcome {
	return Outcome{Next: next, Refusal: &Refusal{Code: code}}
}
