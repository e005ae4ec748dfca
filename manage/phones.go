package manage

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"gatehouse/access"
	"gatehouse/authenticators"
	"gatehouse/events"
	"gatehouse/fault"
	"gatehouse/id"
	"gatehouse/limits"
	"gatehouse/outbox"
	"gatehouse/proof"
	"gatehouse/seal"
	"gatehouse/store"
)

// Phones is what telephone numbers need. cmd fills every field.
type Phones struct {
	Desk    TextDesk
	Numbers authenticators.NumberRules
}

// TextDesk puts messages on their way: texts.Desk.
type TextDesk interface {
	Ask(*store.Tx, authenticators.Asking) (*fault.Refusal, error)
	Note(tx *store.Tx, message id.Message, to authenticators.Credential, label string, from time.Time, locale string) error
}

// PhoneHold is how long a new number opens nothing: long enough for the owner of
// the account to read one of the notices.
const PhoneHold = 24 * time.Hour

// mostPhones bounds the numbers of one person.
const mostPhones = 5

// PhoneWish is a number that somebody wants to add.
type PhoneWish struct {
	Number   string // as it was typed
	Way      proof.Method
	Replaces id.Authenticator // the number that ends when this one begins; "" for none
}

// PhonePending is a number that waits for the code sent to it.
type PhonePending struct {
	Credential id.Authenticator `json:"c"`
	Number     string           `json:"n"` // E.164
	Masked     string           `json:"m"`
	Way        proof.Method     `json:"w"`
	Ways       []proof.Method   `json:"ws"`
	Replaces   id.Authenticator `json:"r,omitempty"`
	Asked      time.Time        `json:"t"`
}

// PhonesOn tells whether numbers may be added here at all.
func (m *Manage) PhonesOn() bool { return m.Phones != nil }

// PhoneRules are the rules for numbers; only when PhonesOn.
func (m *Manage) PhoneRules() authenticators.NumberRules { return m.Phones.Numbers }

// BeginPhone sends a code to a number that somebody wants to add, and returns the
// sealed note that ConfirmPhone wants back. Nothing is kept until then.
func (m *Manage) BeginPhone(ctx context.Context, c Caller, w PhoneWish) (note string, res Result, err error) {
	if err := m.fresh(c); err != nil || m.Phones == nil {
		return "", res, orCode(err, fault.NotFound)
	}
	n, why := m.Phones.Numbers.Parse(w.Number)
	if why == "" && !slices.Contains(n.Ways, w.Way) {
		why = "phones.bad.landline"
	}
	if why != "" {
		return "", badNumber(why), nil
	}
	p := PhonePending{Credential: id.New[id.Authenticator](m.Now(), m.Rand), Number: n.E164, Masked: n.Masked(), Way: w.Way, Ways: n.Ways, Replaces: w.Replaces, Asked: m.Now()}
	if res, err = m.sendPhone(ctx, c, p); err != nil || res.Refusal != nil {
		return "", res, err
	}
	note, err = m.sealPhone(c, p)
	return note, res, err
}

func badNumber(why string) Result {
	return Result{Refusal: &fault.Refusal{Code: fault.BadRequest, Hint: why}}
}

func (m *Manage) sealPhone(c Caller, p PhonePending) (string, error) {
	text, err := json.Marshal(p)
	if err != nil {
		return "", err
	}
	return m.sealPending(c, pending{Kind: "phone", Secret: string(text)})
}

// PendingPhone opens a note of BeginPhone, for a page that is drawn.
func (m *Manage) PendingPhone(c Caller, note string) (w PhonePending, err error) {
	p, err := m.openPending(c, "phone", note)
	if err == nil && json.Unmarshal([]byte(p.Secret), &w) != nil {
		err = fault.New(fault.AttemptExpired, nil)
	}
	return w, err
}

// AskPhoneAgain sends another code to a number that is being added.
func (m *Manage) AskPhoneAgain(ctx context.Context, c Caller, note string, way proof.Method) (string, Result, error) {
	if err := m.fresh(c); err != nil || m.Phones == nil {
		return "", Result{}, orCode(err, fault.NotFound)
	}
	p, err := m.PendingPhone(c, note)
	if err != nil {
		return "", Result{}, err
	}
	if !slices.Contains(p.Ways, way) {
		return note, badNumber("phones.bad.landline"), nil
	}
	if way == p.Way && m.Now().Sub(p.Asked) < againAfter { // a second click
		return note, Result{}, nil
	}
	p.Way = way
	res, err := m.sendPhone(ctx, c, p)
	if err != nil || res.Refusal != nil {
		return note, res, err
	}
	p.Asked = m.Now()
	note, err = m.sealPhone(c, p)
	return note, res, err
}

// againAfter is flow.AgainAfter, for numbers that are being added.
const againAfter = 30 * time.Second

// sendPhone asks for a code, in one transaction with what it spends.
func (m *Manage) sendPhone(ctx context.Context, c Caller, p PhonePending) (res Result, err error) {
	message, code, err := authenticators.NewPhoneCode(m.Now(), m.Rand)
	if err != nil {
		return res, err
	}
	facts := authenticators.PhoneFacts{Country: countryOf(m.Phones.Numbers, p.Number), Masked: p.Masked, Ways: p.Ways}
	err = m.do(ctx, c, func(tx *store.Tx) error {
		res = Result{}
		ch, err := m.hold(tx, c, string(message))
		if err != nil {
			return err
		}
		if res.Refusal, err = m.mayAddPhone(ch, p); err != nil || res.Refusal != nil {
			return err
		}
		res.Refusal, err = m.Phones.Desk.Ask(tx, authenticators.Asking{ID: message, Code: code, Account: ch.account.ID, Credential: p.Credential,
			Number: seal.Secret(p.Number), Facts: facts, Way: p.Way, Attempt: string(c.Ticket.Session), Network: c.Who.Network,
			Locale: localeOf(ch.account.Locale, c.Who.Locale), Personal: c.Who.Personal()})
		return err
	})
	return m.after(res, err)
}

func localeOf(own, asked string) string {
	if own != "" {
		return own
	}
	return asked
}

func countryOf(r authenticators.NumberRules, e164 string) string {
	n, _ := r.Parse(e164)
	return n.Country
}

// mayAddPhone says why a number may not be added. A policy that does not accept
// text messages takes no numbers in; what is kept already stays.
func (m *Manage) mayAddPhone(ch change, p PhonePending) (*fault.Refusal, error) {
	need, err := access.RequiredOf(ch.tx, ch.account.ID)
	if err != nil {
		return nil, err
	}
	if !need.Accepts(p.Way) {
		return &fault.Refusal{Code: fault.Forbidden, Hint: "phones.off"}, nil
	}
	kept, err := authenticators.LoadUsual(ch.tx, m.Keys, ch.account.ID)
	if err != nil {
		return nil, err
	}
	phones := kept.Of(authenticators.KindPhone)
	same := func(c authenticators.Credential) bool { return c.Secret == seal.Secret(p.Number) }
	replaced := func(c authenticators.Credential) bool { return c.ID == p.Replaces }
	switch {
	case slices.ContainsFunc(phones, same):
		return badNumber("phones.bad.have").Refusal, nil
	case len(phones) >= mostPhones:
		return badNumber("phones.most").Refusal, nil
	case p.Replaces != "" && !slices.ContainsFunc(phones, replaced):
		return nil, fault.New(fault.NotFound, nil)
	}
	return nil, nil
}

// ConfirmPhone keeps the number when the code that was sent to it was typed. It
// counts after PhoneHold, be it the first or the fifth: or whoever has taken a
// session over would remove the old number before they add their own.
func (m *Manage) ConfirmPhone(ctx context.Context, c Caller, note string, typed seal.Secret, name string) (Result, error) {
	if err := m.fresh(c); err != nil || m.Phones == nil {
		return Result{}, orCode(err, fault.NotFound)
	}
	p, err := m.PendingPhone(c, note)
	if err != nil {
		return Result{}, err
	}
	code, why, err := m.guessPhone(ctx, c, p, typed)
	if err != nil || why != nil {
		return Result{Refusal: why}, err
	}
	n, _ := m.Phones.Numbers.Parse(p.Number)
	kept, err := authenticators.NewPhone(n, name, p.Replaces)
	if err != nil {
		return Result{}, err
	}
	kept.ID, kept.Account, kept.MadeAt, kept.UsableAt = p.Credential, c.Ticket.Account, m.Now(), m.Now().Add(PhoneHold)
	res, err := m.commit(ctx, c, "authenticator-changed", func(ch change) error { return m.keepPhone(ch, p, kept, code) })
	if fault.Of(err) == fault.Conflict {
		return refused(fault.WrongCode), nil
	}
	return res, err
}

// guessPhone spends a guess and compares. The budgets are those of a sign-in from
// this device: nobody guesses more by guessing here.
func (m *Manage) guessPhone(ctx context.Context, c Caller, p PhonePending, typed seal.Secret) (code id.Message, why *fault.Refusal, err error) {
	err = m.do(ctx, c, func(tx *store.Tx) error {
		answer, err := m.chargeGuess(tx, c.Ticket.Account, c.Who)
		if err != nil {
			return err
		}
		if !answer.Allowed {
			why, err = m.guessRefused(tx, c.Ticket.Account, answer, string(c.Ticket.Account), c.Who)
			return err
		}
		codes, err := authenticators.PhoneCodes(tx, c.Ticket.Account)
		if err != nil {
			return err
		}
		found, ok, hint, err := authenticators.CheckPhoneCode(m.Keys, codes, string(c.Ticket.Session), p.Credential, seal.Secret(p.Number), typed, tx.Now())
		if err != nil {
			return err
		}
		if code, why = found.ID, nil; ok {
			return limits.GiveBack(tx, answer.Spent)
		}
		why = &fault.Refusal{Code: fault.WrongCode, Hint: hint.Key}
		return m.append(tx, events.Event{Kind: events.CodeRefused, Account: c.Ticket.Account, Actor: string(c.Ticket.Account), Session: c.Ticket.Session,
			Data: map[string]string{"reason": "wrong", "method": "phone", "purpose": "enrol"}, Personal: c.Who.Personal()})
	})
	return code, why, err
}

// keepPhone uses the code up, keeps the number, and tells everybody who may have to
// stop it.
func (m *Manage) keepPhone(ch change, p PhonePending, n authenticators.Credential, code id.Message) error {
	if why, err := m.mayAddPhone(ch, p); err != nil || why != nil {
		return orCode(err, fault.Conflict)
	}
	if ok, err := authenticators.UsePhoneCode(ch.tx, code, string(ch.caller.Ticket.Session)); err != nil || !ok {
		return orCode(err, fault.Conflict)
	}
	kept, err := authenticators.LoadUsual(ch.tx, m.Keys, ch.account.ID)
	if err != nil {
		return err
	}
	if _, err := authenticators.AddCredential(ch.tx, m.Keys, n); err != nil {
		return err
	}
	if p.Replaces != "" {
		if _, err := authenticators.SetExpiry(ch.tx, ch.account.ID, p.Replaces, n.UsableAt); err != nil {
			return err
		}
	}
	return m.holdPhone(ch, n, p, kept)
}

// holdPhone records the hold and tells of it by mail, on every other number and on
// every device with Gatehouse Verify.
func (m *Manage) holdPhone(ch change, n authenticators.Credential, p PhonePending, kept authenticators.Kept) error {
	until := n.UsableAt.UTC().Format(time.RFC3339)
	if err := m.recordSecond(ch, events.AuthenticatorAdded, authenticators.Named{ID: n.ID, Kind: n.Kind, Name: n.Name}); err != nil {
		return err
	}
	err := m.recordWith(ch, events.PhoneHeld, map[string]string{"authenticator": string(n.ID), "replaces": string(p.Replaces), "until": until},
		map[string]string{"number": p.Masked})
	if err != nil {
		return err
	}
	for _, o := range kept.Of(authenticators.KindPhone) {
		if !o.Opens(ch.tx.Now()) {
			continue
		}
		if err := m.Phones.Desk.Note(ch.tx, id.Derive[id.Message](ch.key, string(o.ID)), o, p.Masked, n.UsableAt, ch.account.Locale); err != nil {
			return err
		}
	}
	if err := m.tellDevices(ch, kept); err != nil {
		return err
	}
	return m.tell(ch, outbox.PhoneChange, outbox.Label, p.Masked, outbox.From, until)
}

// tellDevices wakes every device with a push address to say that something about
// the account was changed, and not what: who holds the device locked reads it too.
func (m *Manage) tellDevices(ch change, kept authenticators.Kept) error {
	for _, d := range kept.Of(authenticators.KindPush) {
		if d.Secret == "" || !d.Opens(ch.tx.Now()) {
			continue
		}
		err := outbox.Add(ch.tx, m.Keys, outbox.Message{ID: id.Derive[id.Message](ch.key, "push", string(d.ID)), Kind: outbox.PushChange,
			Account: ch.account.ID, Lane: string(d.ID), Fields: map[string]string{outbox.PushDevice: string(d.ID)}})
		if err != nil {
			return err
		}
	}
	return nil
}

// phoneStopped lets the number go on that a removed one was to replace.
func phoneStopped(ch change, kept authenticators.Kept, removed id.Authenticator) error {
	for _, c := range kept.Of(authenticators.KindPhone) {
		old := authenticators.PhoneOf(c).Replaces
		if c.ID != removed || old == "" || c.Opens(ch.tx.Now()) {
			continue
		}
		if _, err := authenticators.SetExpiry(ch.tx, ch.account.ID, old, time.Time{}); err != nil {
			return err
		}
	}
	return nil
}

// PhoneState tells how the code stands that was asked for last for a new number,
// and when that was.
func (m *Manage) PhoneState(ctx context.Context, c Caller) (state authenticators.TextState, asked time.Time, err error) {
	err = m.Store.Read(ctx, func(tx *store.Tx) (err error) {
		state, asked, err = authenticators.StateOfText(tx, c.Ticket.Account, string(c.Ticket.Session))
		return err
	})
	return state, asked, err
}

// sweepBatch bounds one round of SweepPhones.
const sweepBatch = 50

// SweepPhones takes numbers off whose place others have taken, and forgets codes
// that are long over. Nothing depends on it: each is judged where it is used.
func (m *Manage) SweepPhones(ctx context.Context) error {
	return m.Store.Background(ctx, func(tx *store.Tx) error {
		ended, err := authenticators.ReplacedPhones(tx, m.Keys, sweepBatch)
		if err != nil {
			return err
		}
		for _, c := range ended {
			if _, err := authenticators.Remove(tx, c.Account, c.ID); err != nil {
				return err
			}
			err := m.append(tx, events.Event{Kind: events.AuthenticatorRemoved, Account: c.Account, Actor: events.System, Personal: map[string]string{"name": c.Name},
				Data: map[string]string{"method": string(c.Kind.Method()), "authenticator": string(c.ID), "why": "replaced"}})
			if err != nil {
				return err
			}
		}
		return authenticators.TidyPhoneCodes(tx)
	})
}
