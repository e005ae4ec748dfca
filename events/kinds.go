package events

import "slices"

// Kind names a sort of event. It never changes once published.
type Kind string

// The kinds of this build. What each may carry stands in the table below.
const (
	SignedIn         Kind = "signin.succeeded"
	SignInRefused    Kind = "signin.refused"
	SignInLimited    Kind = "signin.limited"
	PasswordAccepted Kind = "signin.password-accepted"
	SecondAccepted   Kind = "signin.second-accepted"
	CodeRefused      Kind = "code.refused"
	FreshProved      Kind = "fresh.proved"
	FreshRefused     Kind = "fresh.refused"

	SessionEnded    Kind = "session.ended"
	SessionsEnded   Kind = "sessions.ended"
	SessionReplaced Kind = "session.replaced"

	AccountAdded     Kind = "account.added"
	AccountInvited   Kind = "account.invited"
	AccountActivated Kind = "account.activated"
	AccountDisabled  Kind = "account.disabled"
	AccountEnabled   Kind = "account.enabled"
	AccountLocked    Kind = "account.locked"
	AccountUnlocked  Kind = "account.unlocked"
	NameConfusable   Kind = "account.name-confusable"
	ProfileChanged   Kind = "profile.changed"

	LinkSent    Kind = "link.sent"
	LinkOpened  Kind = "link.opened"
	LinkSpent   Kind = "link.spent"
	LinkRefused Kind = "link.refused"

	PasswordSet         Kind = "password.set"
	PasswordChanged     Kind = "password.changed"
	PasswordReset       Kind = "password.reset"
	PasswordRehashed    Kind = "password.rehashed"
	PasswordCompromised Kind = "password.compromised"
	PasswordRefused     Kind = "password.refused"

	AuthenticatorAdded   Kind = "authenticator.added"
	AuthenticatorRenamed Kind = "authenticator.renamed"
	AuthenticatorRemoved Kind = "authenticator.removed"
	AuthenticatorCloned  Kind = "authenticator.cloned"
	ApprovalAsked        Kind = "approval.asked"
	ApprovalAnswered     Kind = "approval.answered"
	ApprovalReported     Kind = "approval.reported"
	RecoveryCodesMade    Kind = "recovery-codes.made"
	PhoneAsked           Kind = "phone.asked"
	PhoneLimited         Kind = "phone.limited"
	PhoneGivenUp         Kind = "phone.given-up"
	PhoneHeld            Kind = "phone.held"
	RecoveryCodeUsed     Kind = "recovery-codes.used"

	TokensImported Kind = "tokens.imported"
	TokenAssigned  Kind = "token.assigned"
	TokenResynced  Kind = "token.resynchronised"
	TokenLost      Kind = "token.lost"
	TokenFound     Kind = "token.found"
	TokenReturned  Kind = "token.returned"
	TokenRetired   Kind = "token.retired"

	AddressChangeAsked Kind = "address.change-asked"
	AddressChanged     Kind = "address.changed"

	DeviceNew         Kind = "device.new"
	BrowserRemembered Kind = "browser.remembered"
	BrowserForgotten  Kind = "browser.forgotten"

	OrganisationAdded Kind = "organisation.added"
	MemberAdded       Kind = "member.added"

	PolicyChanged Kind = "policy.changed"

	HookAdded    Kind = "hook.added"
	HookRotated  Kind = "hook.rotated"
	HookSwitched Kind = "hook.switched"
	HookReplayed Kind = "hook.replayed"
	HookGivenUp  Kind = "hook.given-up"

	StandbyHandedOver Kind = "standby.handed-over"
	StandbyConflict   Kind = "standby.conflict"

	MailGivenUp   Kind = "mail.given-up"
	ClockAnomaly  Kind = "clock.anomaly"
	ServerStarted Kind = "server.started"
	ServerStopped Kind = "server.stopped"
	CanaryMade    Kind = "canary.made"
)

// Definition is what the table says of a kind.
type Definition struct {
	Kind    Kind
	Version int // raised when a field changes its meaning; a reader parks versions it does not know

	Data     []string // fields it may carry in the clear: codes only
	Personal []string // fields it may carry sealed under the account's key
	By       string   // the data field that chooses a more exact sentence: "event.<kind>.<value>"
	Shown    bool     // in the person's own history
	Doc      string
}

// Analytics says that the kind helps to understand and proves nothing: on a
// standby whose disk is nearly full such events are not kept (store.Tx.Shed).
func (d Definition) Analytics() bool { return analytics[d.Kind] }

// analytics are steps on the way to something that is an event of its own.
var analytics = map[Kind]bool{PasswordAccepted: true, PasswordRehashed: true, LinkOpened: true}

// Sentence is the catalogue key of the history sentence.
func (d Definition) Sentence() string { return "event." + string(d.Kind) }

// seen is what a request shows of whoever made it: device is the id of its
// device token, agent the User-Agent header, network the client address.
var seen = []string{"network", "agent", "device", "place"}

// with is seen and more.
func with(more ...string) []string { return slices.Concat(seen, more) }

// table is the one list of what can happen; docs/events.md is made from it.
var table = []Definition{
	{SignedIn, 1, []string{"method", "client", "device-known", "authenticator"}, with("email"), "method", true,
		"A person signed in: two proofs, one new session. `method`: password+totp, password+remembered, password+recovery-code, passkey, password+passkey, password+push, password+sms, password+voice."},
	{SignInRefused, 1, []string{"reason", "method", "client"}, with("email"), "reason", true,
		"A sign-in was refused after it was checked. `reason`: wrong-password, wrong-code, wrong-passkey, cloned-passkey, origin, framed, challenge, verification, signature, other-user, off, no-password, unknown-name, unknown-passkey, invited, disabled, locked, disabled-meanwhile, changed-meanwhile, attempt-spent. Those from origin to off are of passkeys, which have a few more that only a broken program brings about."},
	{SignInLimited, 1, []string{"scope", "tries", "client"}, with("email"), "scope", true,
		"Too many tries; nothing was checked. Recorded once a window and limit. `scope`: name, device, link, network, global, code, code-device, code-month, push, change, mail, mail-network."},
	{PasswordAccepted, 1, []string{"client"}, with(), "", false,
		"The password was right and a second proof was asked for."},
	{SecondAccepted, 1, []string{"method", "client"}, with(), "", false,
		"A second authenticator was right and used up, and something more was asked for: a new password, or an authenticator that is accepted."},
	{CodeRefused, 1, []string{"reason", "method", "purpose", "client", "steps", "authenticator"}, with(), "reason", true,
		"A code of a second authenticator was refused. `reason`: wrong, used, clock, spent, origin, framed, challenge, verification, signature, other-user, off, ahead (a hardware token is too far ahead; two codes in a row put that right; those from origin to off are of passkeys). `purpose`: signin, fresh, enrol, resync. `steps`: how far the phone's clock is off, when that was found."},
	{FreshProved, 1, []string{"method", "client", "authenticator"}, with(), "", true,
		"A signed-in person proved again who they are, before a change."},
	{FreshRefused, 1, []string{"reason", "method", "client"}, with(), "", true,
		"A signed-in person failed to prove again who they are."},

	{SessionEnded, 1, []string{"why", "ended"}, with(), "why", true,
		"A session ended. `ended` is its id when another session ended it. `why`: signed-out, by-person, idle, absolute, renewed, password-changed, authenticator-changed, address-changed, disabled, locked, by-operator, reconciled (it was opened on a standby and should not have been)."},
	{SessionsEnded, 1, []string{"why", "count"}, with(), "why", true,
		"Several sessions ended at once. `why`: by-person, password-changed, password-reset, authenticator-changed, recovery-codes-changed, address-changed, disabled, locked, by-operator, policy (they were opened with what a policy no longer accepts)."},
	{SessionReplaced, 1, []string{"why", "replaced"}, with(), "", false,
		"A session got a new id because its rights changed. `replaced` is the old id."},

	{AccountAdded, 1, []string{"role"}, []string{"email", "name"}, "", true,
		"An account was made."},
	{AccountInvited, 1, []string{"link"}, []string{"email"}, "", true,
		"An invitation was made and is being mailed."},
	{AccountActivated, 1, []string{"method"}, with(), "", true,
		"An invited person finished setting up: password, second authenticator, recovery codes."},
	{AccountDisabled, 1, []string{"why"}, nil, "", true,
		"An account was disabled; every session of it ended."},
	{AccountEnabled, 1, []string{"why"}, nil, "", true,
		"A disabled account was allowed in again."},
	{AccountLocked, 1, []string{"why"}, nil, "", true,
		"An account was locked until somebody unlocks it."},
	{AccountUnlocked, 1, []string{"why"}, with(), "", true,
		"A locked account may sign in again."},
	{NameConfusable, 1, []string{"looks-like"}, []string{"email"}, "", false,
		"An address that looks like another account's was added. `looks-like` is that account's id."},
	{ProfileChanged, 1, []string{"fields"}, with("name"), "", true,
		"Name, language or time zone were changed. `fields` lists which, separated by commas."},

	{LinkSent, 1, []string{"kind", "link"}, []string{"email"}, "kind", true,
		"A link was put in the outbox. `kind`: invitation, reset, enrol, unlock, address."},
	{LinkOpened, 1, []string{"kind", "link"}, with(), "", false,
		"A mailed link was opened in a browser; it is not spent by that."},
	{LinkSpent, 1, []string{"kind", "link"}, with(), "kind", true,
		"A mailed link was used up. `kind`: invitation, reset, enrol, unlock, address."},
	{LinkRefused, 1, []string{"kind", "link", "reason"}, with(), "", false,
		"A mailed link was refused. `reason`: spent, expired, unknown, address-changed."},

	{PasswordSet, 1, []string{"by"}, with(), "", true,
		"A first password was chosen."},
	{PasswordChanged, 1, []string{"by"}, with(), "", true,
		"The password was changed by the signed-in person."},
	{PasswordReset, 1, []string{"link"}, with(), "", true,
		"The password was chosen anew through a mailed link."},
	{PasswordRehashed, 1, []string{"from", "to"}, nil, "", false,
		"The hash was made again with the present parameters or pepper, at a sign-in."},
	{PasswordCompromised, 1, []string{"source"}, nil, "", true,
		"The password was found in a leak, or marked as known to others; it must be changed."},
	{PasswordRefused, 1, []string{"reasons"}, with(), "", false,
		"A new password was not accepted. `reasons` lists the rules it broke, never the password."},

	{AuthenticatorAdded, 1, []string{"method", "authenticator", "link"}, with("name"), "method", true,
		"An authenticator was added after a code of it was verified. `method`: totp, passkey, sms, push+totp (a device with Gatehouse Verify, and the app of codes that comes with it)."},
	{AuthenticatorRenamed, 1, []string{"method", "authenticator"}, with("name"), "", true,
		"An authenticator got another name."},
	{AuthenticatorRemoved, 1, []string{"method", "authenticator", "why"}, with("name"), "method", true,
		"An authenticator was removed. `method`: totp, passkey, push, sms."},
	{AuthenticatorCloned, 1, []string{"method", "authenticator"}, with("name"), "", true,
		"The counter of a security key went back: somebody has a copy of it. It opens nothing from then on, and its owner is told."},
	{ApprovalAsked, 1, []string{"approval", "purpose", "client"}, with(), "", false,
		"The devices with Gatehouse Verify were asked. `approval` is the question's id. `purpose`: signin, fresh, action; of an action, `client` is the application."},
	{ApprovalAnswered, 1, []string{"answer", "approval", "purpose", "client", "authenticator"}, with(), "answer", true,
		"A device with Gatehouse Verify answered, signed with its key. `answer`: approved, denied, wrong (other digits than the sign-in page showed)."},
	{ApprovalReported, 1, []string{"approval", "purpose", "client", "authenticator", "muted"}, with(), "", true,
		"A person said that a question to Gatehouse Verify was not theirs: somebody may know their password. Security admins are told by mail; nobody is asked for `muted` seconds."},
	{PhoneAsked, 1, []string{"way", "country", "authenticator"}, with("number"), "way", true,
		"A code was asked for by text message or call. `way`: sms, voice. `country`: of the number, ISO 3166-1. `number`: its country code and last two digits."},
	{PhoneLimited, 1, []string{"scope", "way", "country"}, with("number"), "", true,
		"Too many text messages or calls were asked for, and none was sent. Recorded once a window and limit; somebody should look when `scope` is not a person's. `scope`: text-person, text-person-day, text-number, text-number-day, text-network, text-country, text-country-day, text-day."},
	{PhoneGivenUp, 1, []string{"message", "error", "tries"}, nil, "", true,
		"A text message or call was not taken by any provider before it ran out. `error` is a class such as unreachable, refused, expired."},
	{PhoneHeld, 1, []string{"authenticator", "replaces", "until"}, with("number"), "", true,
		"A telephone number was added, and opens nothing until `until` (RFC 3339, UTC), so that its owner can stop what was not them."},
	{RecoveryCodesMade, 1, []string{"count", "set"}, with(), "", true,
		"New recovery codes were made; the old set is dead."},
	{RecoveryCodeUsed, 1, []string{"left", "set"}, with(), "", true,
		"A recovery code was used up. `left` is how many remain."},

	{TokensImported, 1, []string{"count"}, nil, "", false,
		"Hardware code tokens were taken into stock. `count` is how many were new, or came again with another secret."},
	{TokenAssigned, 1, []string{"token", "why"}, nil, "", true,
		"A hardware code token was given to a person. It opens nothing until they show a code of it."},
	{TokenResynced, 1, []string{"token", "authenticator"}, with(), "", true,
		"A hardware code token was brought back into step with two codes in a row, by its holder or by support."},
	{TokenLost, 1, []string{"token", "why"}, nil, "", true,
		"A hardware code token was reported lost. It opens nothing any more."},
	{TokenFound, 1, []string{"token", "why"}, nil, "", true,
		"A lost hardware code token was found. It went back to stock and opens nothing."},
	{TokenReturned, 1, []string{"token", "why"}, nil, "", true,
		"A hardware code token was handed in."},
	{TokenRetired, 1, []string{"token", "why"}, nil, "", true,
		"A hardware code token was taken out of use for good."},

	{AddressChangeAsked, 1, []string{"link"}, with("email"), "", true,
		"A new e-mail address was entered; it counts once its link is opened."},
	{AddressChanged, 1, []string{"link"}, with("email", "old-email"), "", true,
		"The account signs in with another e-mail address."},

	{DeviceNew, 1, []string{"client"}, with(), "", true,
		"The first sign-in from this browser or app; the person is told by mail."},
	{BrowserRemembered, 1, []string{"authenticator", "days"}, with("name"), "", true,
		"A browser is remembered for `days` days: until then it counts as second authenticator beside the password, until something changes what opens the account."},
	{BrowserForgotten, 1, []string{"why", "authenticator", "count"}, with("name"), "why", true,
		"Remembered browsers are asked for the second authenticator again. `why`: by-person, lost-phone, elsewhere (another browser showed a copy of the cookie, after a right password: all are forgotten)."},

	{OrganisationAdded, 1, nil, nil, "", false,
		"An organisation was made."},
	{MemberAdded, 1, []string{"role"}, nil, "", true,
		"A person became a member of an organisation."},

	{PolicyChanged, 1, []string{"what", "scope", "before", "after", "version", "due", "cohorts"}, with(), "what", true,
		"Which authenticators are accepted was changed. `what`: set, roll-out, reverted. `scope`: installation, organisation/ID, role/ID/ROLE, client/ID. `before` and `after` are terms such as aal2,passkey+totp,remember=43200; none where there are none. `due` is the last day of a roll-out, `cohorts` how many it has."},

	{HookAdded, 1, []string{"hook", "name"}, nil, "", false,
		"A receiver of web-hooks was added. `hook` is its id, `name` what the operator calls it."},
	{HookRotated, 1, []string{"hook", "name", "overlap"}, nil, "", false,
		"A receiver of web-hooks got a new secret. `overlap` is how long the old ones sign beside it."},
	{HookSwitched, 1, []string{"hook", "name", "state"}, nil, "state", false,
		"A receiver of web-hooks was turned on or off. `state`: on, off, gone."},
	{HookReplayed, 1, []string{"hook", "name", "count"}, nil, "", false,
		"Events were put into the outbox again for a receiver of web-hooks. `count` is how many."},
	{HookGivenUp, 1, []string{"hook", "message", "error", "tries"}, nil, "", false,
		"A receiver of web-hooks did not take a call before it ran out. `error` is a class such as unreachable, refused, expired; gatehouse hooks replay sends it again."},

	{StandbyHandedOver, 1, []string{"node", "hour"}, nil, "", false,
		"A node hands over what it decided alone while the primary database was away. Recorded once for each hour in which it did; `gatehouse standby report` lists all."},
	{StandbyConflict, 1, []string{"rule", "node", "entry"}, with(), "rule", true,
		"A sign-in that a node had allowed while the primary database was away was undone. `rule`: used-twice, account-gone, kept-out, earlier-epoch, credential-changed, password-compromised. `entry`: of that node's journal."},

	{MailGivenUp, 1, []string{"mail", "message", "error", "tries"}, nil, "", true,
		"A mail could not be delivered before it ran out. `error` is a class such as unreachable, refused, expired."},
	{ClockAnomaly, 1, []string{"microseconds"}, nil, "", false,
		"The machine's clock went back below the time already recorded."},
	{ServerStarted, 1, []string{"version", "go", "schema", "mode"}, nil, "", false,
		"A Gatehouse process started."},
	{ServerStopped, 1, []string{"version", "why"}, nil, "", false,
		"A Gatehouse process stopped in order."},
	{CanaryMade, 1, nil, nil, "", false,
		"A node made itself an account to try the sign-in with. Nobody can use it, and its sign-ins are not recorded: see decision 0016."},
}

// Kinds lists every definition, in the order of the table.
func Kinds() []Definition { return slices.Clone(table) }

// Lookup returns the definition of a kind, or false.
func Lookup(k Kind) (Definition, bool) {
	i := slices.IndexFunc(table, func(d Definition) bool { return d.Kind == k })
	if i < 0 {
		return Definition{}, false
	}
	return table[i], true
}
