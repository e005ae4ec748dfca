package flow

import (
	"context"
	"errors"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"gatehouse/accounts"
	"gatehouse/authenticators"
	"gatehouse/fault"
	"gatehouse/id"
	"gatehouse/store"
)

// SensitiveAction is what an application that relies on us wants approved: a payment, a
// change of bank details. All of it is shown to the person and signed.
type SensitiveAction struct {
	Account      id.Account
	Application  string   // its name, as people know it
	Organisation string   // in whose name; "" is the person's own
	Reference    string   // the application's own name for this; asking twice with one is asking once
	Message      string   // also shown where the action was begun (CIBA Core §7.1, binding_message)
	Details      []Detail // such as payee, amount
	Number       bool     // two digits are shown where it was begun, and typed
	Life         time.Duration
}

// Bounds of an action: it must be read on a small screen before it is signed.
const (
	maxDetails     = 12
	maxLabel       = 40
	maxValue       = 200
	maxMessage     = 140
	maxReference   = 100
	maxApplication = 60
	actionLife     = 2 * time.Minute
	maxActionLife  = 10 * time.Minute
)

// ErrAction says that an action cannot be shown as it is.
var ErrAction = errors.New("flow: an action needs an account, an application, a reference, and texts of one line within their bounds")

func (a SensitiveAction) check() error {
	good := a.Account != "" && oneLine(a.Application, 1, maxApplication) && oneLine(a.Organisation, 0, maxApplication) &&
		oneLine(a.Reference, 1, maxReference) && oneLine(a.Message, 0, maxMessage) && len(a.Details) <= maxDetails && a.Life >= 0 && a.Life <= maxActionLife
	for _, d := range a.Details {
		good = good && oneLine(d.Label, 1, maxLabel) && oneLine(d.Value, 1, maxValue)
	}
	if !good {
		return fault.New(fault.BadRequest, ErrAction)
	}
	return nil
}

// name is the same for the same action asked twice, and for no other.
func (a SensitiveAction) name() string {
	parts := []string{string(a.Account), a.Application, a.Organisation, a.Reference, a.Message}
	for _, d := range a.Details {
		parts = append(parts, d.Label, d.Value)
	}
	return "action:" + id.Derive[string](parts...)
}

// oneLine tells a text of one line that says what it seems to: no control characters,
// and none that turn the reading direction around or cannot be seen.
func oneLine(s string, least, most int) bool {
	n := utf8.RuneCountInString(s)
	if !utf8.ValidString(s) || n < least || n > most || strings.TrimSpace(s) != s {
		return false
	}
	return !strings.ContainsFunc(s, func(r rune) bool {
		return unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || r == '\u2028' || r == '\u2029'
	})
}

// AskAction asks a person to approve an action. The limits are those of a sign-in:
// one question at a time, three in ten minutes, none while they are muted; then
// fault.NotAsked, and the application goes another way.
func (f *Flow) AskAction(ctx context.Context, a SensitiveAction) (asked Asked, why *Refusal, err error) {
	if err := a.check(); err != nil {
		return Asked{}, nil, err
	}
	q := f.newQuestion(a.Account, authenticators.AskAction, a.name(), Who{})
	q.context = Question{Application: a.Application, Organisation: a.Organisation, Message: a.Message, Details: a.Details}
	if a.Number {
		q.Digits = f.digits()
	}
	if q.life = a.Life; q.life == 0 {
		q.life = actionLife
	}
	err = f.Store.Do(ctx, func(tx *store.Tx) (err error) {
		asked, why, err = f.ask(tx, q)
		return err
	})
	if err != nil {
		return Asked{}, nil, err
	}
	f.Bell.Ring(string(a.Account))
	f.Nudge()
	return asked, why, nil
}

// ActionState tells how the question of an action stands, and gives what was
// signed. fault.NotFound when there is none.
func (f *Flow) ActionState(ctx context.Context, q id.Approval) (a authenticators.Approval, err error) {
	err = f.Store.Read(ctx, func(tx *store.Tx) error {
		var found bool
		a, found, err = authenticators.ApprovalByID(tx, f.Keys, q)
		if err == nil && (!found || a.Kind != authenticators.AskAction) {
			a, err = authenticators.Approval{}, fault.New(fault.NotFound, nil)
		}
		a.State = a.StateAt(tx.Now())
		return err
	})
	return a, err
}

// AccountOf finds whom an application means by an address.
func (f *Flow) AccountOf(ctx context.Context, email string) (account accounts.Account, err error) {
	key, err := accounts.Canonical(email)
	if err != nil {
		return account, fault.New(fault.NotFound, err)
	}
	err = f.Store.Read(ctx, func(tx *store.Tx) error {
		var found bool
		account, found, err = accounts.ByEmail(tx, key)
		if err == nil && !found {
			err = fault.New(fault.NotFound, nil)
		}
		return err
	})
	return account, err
}
