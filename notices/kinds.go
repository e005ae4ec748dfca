package notices

import (
	"gatehouse/outbox"
)

// design is how a kind of mail is laid out. Its words are the catalogue's
// "mail.<kind>.…"; its subject names a place when the key "….subject.place" exists.
type design struct {
	Kind  outbox.Kind
	Asks  bool     // it carries a link to open; otherwise it tells what has happened
	Facts []string // what is told about it, in this order, as far as it is known
	Out   bool     // the person can no longer sign in: no way to their sessions
}

// asked is what a mail with a link tells about whoever asked for it.
var asked = []string{outbox.Device, outbox.Place, outbox.Network}

// happened is what every notice tells.
var happened = []string{outbox.Time, outbox.Device, outbox.Place, outbox.Network}

var designs = []design{
	{Kind: outbox.Invitation, Asks: true},
	{Kind: outbox.Reset, Asks: true, Facts: asked},
	{Kind: outbox.EnrolLink, Asks: true, Facts: asked},
	{Kind: outbox.UnlockLink, Asks: true, Facts: asked},
	{Kind: outbox.AddressConfirm, Asks: true, Facts: asked},

	{Kind: outbox.NewDevice, Facts: append([]string{outbox.Method}, happened...)},
	{Kind: outbox.PasswordChanged, Facts: happened},
	{Kind: outbox.AuthenticatorAdded, Facts: append([]string{outbox.Label}, happened...)},
	{Kind: outbox.AuthenticatorRemoved, Facts: append([]string{outbox.Label}, happened...)},
	{Kind: outbox.AuthenticatorCloned, Facts: append([]string{outbox.Label}, happened...)},
	{Kind: outbox.RecoveryCodesMade, Facts: happened},
	{Kind: outbox.RecoveryCodeUsed, Facts: happened},
	{Kind: outbox.AddressChanged, Facts: append([]string{outbox.NewAddress}, happened...)},
	{Kind: outbox.PhoneChange, Facts: append([]string{outbox.Label, outbox.From}, happened...)},
	{Kind: outbox.AccountDisabled, Facts: []string{outbox.Time}, Out: true},
	{Kind: outbox.PolicyChanged, Facts: happened},
	{Kind: outbox.SignInUndone, Facts: happened},
	{Kind: outbox.SignInsUndone, Facts: []string{outbox.Time}, Out: true},
	{Kind: outbox.ApprovalReported, Facts: happened},
	{Kind: outbox.ApprovalsReported, Facts: []string{outbox.Time}, Out: true},
}

func designOf(k outbox.Kind) (design, bool) {
	for _, d := range designs {
		if d.Kind == k {
			return d, true
		}
	}
	return design{}, false
}
