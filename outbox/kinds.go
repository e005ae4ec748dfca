package outbox

import "time"

// Kind names a sort of message.
type Kind string

// Channel names a way out of the house.
type Channel string

// The channels of this build.
const (
	Mail  Channel = "mail" // to the address in Message.To
	Hooks Channel = "hook" // to the receiver whose id is Message.Lane
	Texts Channel = "text" // to the telephone number in the field Number; Message.Lane is a keyed hash of it
	Push  Channel = "push" // to the device with Gatehouse Verify whose id is Message.Lane
)

// The kinds of this build. Links are asked for and run out; notices tell what
// has already happened.
const (
	Invitation     Kind = "invitation"      // to an invited address: choose a password, enrol an authenticator
	Reset          Kind = "reset"           // forgotten password
	EnrolLink      Kind = "enrol-link"      // permits enrolment after a reset by support
	UnlockLink     Kind = "unlock-link"     // gives this browser a try of its own when the name is over its limit
	AddressConfirm Kind = "address-confirm" // to the new address: open it to change the account's address

	// Void is written for an address that may get no link, so that asking costs the
	// same for every address. It is never sent.
	Void Kind = "void"

	NewDevice            Kind = "notice.new-device"
	PasswordChanged      Kind = "notice.password-changed"
	AuthenticatorAdded   Kind = "notice.authenticator-added"
	AuthenticatorRemoved Kind = "notice.authenticator-removed"
	AuthenticatorCloned  Kind = "notice.authenticator-cloned"
	RecoveryCodesMade    Kind = "notice.recovery-codes-made"
	RecoveryCodeUsed     Kind = "notice.recovery-code-used"
	AddressChanged       Kind = "notice.address-changed" // to the old address
	AccountDisabled      Kind = "notice.account-disabled"
	PolicyChanged        Kind = "notice.policy-changed" // to those who may change it
	SignInUndone         Kind = "notice.signin-undone"  // what a standby let in was ended at the hand-over
	SignInsUndone        Kind = "notice.signins-undone" // the same, to those who look after the person

	ApprovalReported  Kind = "notice.approval-reported"  // a person said that a question to their phone was not theirs
	ApprovalsReported Kind = "notice.approvals-reported" // the same, to those who look after the person

	// PushNote wakes one device with Gatehouse Verify: somebody asks.
	PushNote Kind = "push"
	// PushChange tells one device that its owner's account was changed.
	PushChange Kind = "push.change"

	TextCode    Kind = "text.code"           // a code by text message or call
	TextNote    Kind = "text.note"           // to a number of theirs: another was added
	PhoneChange Kind = "notice.phone-change" // the same, by mail

	// Hook is one event for one receiver of web-hooks.
	Hook Kind = "hook"
)

// Names of the fields of a message.
const (
	Link         = "link"         // full URL, built from the configured origin
	Name         = "name"         // the person's name, for the greeting
	Zone         = "zone"         // IANA name of the person's time zone
	Time         = "time"         // when it happened, RFC 3339 in UTC
	Device       = "device"       // in words, as words.Catalogue.Device makes them
	Place        = "place"        // in words; left out when unknown
	Network      = "network"      // the network address it came from
	Left         = "left"         // recovery codes left, a number
	Method       = "method"       // how a person signed in, a code such as password+totp
	Label        = "label"        // the name of an authenticator, as its owner chose it
	Organisation = "organisation" // whom an invitation comes from
	NewAddress   = "new-address"  // the address an account was moved to

	PushDevice   = "device-id" // id of the credential of a device with Gatehouse Verify
	PushApproval = "approval"  // id of the question

	Number = "number" // telephone number, E.164
	Way    = "way"    // sms or voice
	Digits = "digits" // of a code
	From   = "from"   // from when it counts, RFC 3339 in UTC

	HookReceiver = "hook"  // id of the receiver
	HookEvent    = "event" // id of the event, or what is sent in its place
	HookBody     = "body"  // the body as it is sent, when it was made beforehand
)

// Definition is what the table says of a kind.
type Definition struct {
	Kind  Kind
	Needs []string      // fields without which the mail says nothing
	May   []string      // fields it also knows
	Lasts time.Duration // how long it is worth sending when the message names no end
}

// Channel is how messages of the kind leave the house.
func (k Kind) Channel() Channel {
	switch k {
	case Hook:
		return Hooks
	case PushNote, PushChange:
		return Push
	case TextCode, TextNote:
		return Texts
	}
	return Mail
}

var about = []string{Name, Zone, Device, Place, Network, Method}

// table is the one list of messages; notices has a text for each mail.
var table = []Definition{
	{Invitation, []string{Link}, []string{Name, Zone, Organisation}, 72 * time.Hour},
	{Reset, []string{Link}, about, 30 * time.Minute},
	{EnrolLink, []string{Link}, about, 30 * time.Minute},
	{UnlockLink, []string{Link}, about, 30 * time.Minute},
	{AddressConfirm, []string{Link}, about, 30 * time.Minute},

	{Void, []string{Link}, about, 30 * time.Minute},

	{NewDevice, []string{Time, Device}, about, 72 * time.Hour},
	{PasswordChanged, []string{Time}, about, 72 * time.Hour},
	{AuthenticatorAdded, []string{Time}, append([]string{Label}, about...), 72 * time.Hour},
	{AuthenticatorRemoved, []string{Time}, append([]string{Label}, about...), 72 * time.Hour},
	{AuthenticatorCloned, []string{Time}, append([]string{Label}, about...), 72 * time.Hour},
	{RecoveryCodesMade, []string{Time}, about, 72 * time.Hour},
	{RecoveryCodeUsed, []string{Time, Left}, about, 72 * time.Hour},
	{AddressChanged, []string{Time}, append([]string{NewAddress}, about...), 72 * time.Hour},
	{AccountDisabled, []string{Time}, about, 72 * time.Hour},
	{PolicyChanged, []string{Time}, append([]string{Organisation}, about...), 72 * time.Hour},
	{SignInUndone, []string{Time}, about, 72 * time.Hour},
	{SignInsUndone, []string{Time}, []string{Name, Zone}, 72 * time.Hour},

	{ApprovalReported, []string{Time}, about, 72 * time.Hour},
	{ApprovalsReported, []string{Time}, []string{Name, Zone}, 72 * time.Hour},

	{TextCode, []string{Number, Way, Digits}, nil, 10 * time.Minute},
	{TextNote, []string{Number, Label, From}, nil, 24 * time.Hour},
	{PhoneChange, []string{Time, Label, From}, about, 72 * time.Hour},

	{PushNote, []string{PushDevice, PushApproval}, nil, time.Minute},
	{PushChange, []string{PushDevice}, nil, 24 * time.Hour},
	{Hook, []string{HookReceiver, HookEvent}, []string{HookBody}, 72 * time.Hour},
}

// Kinds lists every definition, in the order of the table.
func Kinds() []Definition { return append([]Definition(nil), table...) }

// Lookup returns the definition of a kind, or false.
func Lookup(k Kind) (Definition, bool) {
	for _, d := range table {
		if d.Kind == k {
			return d, true
		}
	}
	return Definition{}, false
}
