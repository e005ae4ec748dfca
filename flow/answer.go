package flow

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"time"

	"gatehouse/access"
	"gatehouse/accounts"
	"gatehouse/authenticators"
	"gatehouse/events"
	"gatehouse/fault"
	"gatehouse/id"
	"gatehouse/limits"
	"gatehouse/outbox"
	"gatehouse/seal"
	"gatehouse/store"
)

// Given is an answer as it came from a device. The signature says who gave it:
// nothing else does, and nothing else is needed.
type Given struct {
	Device    id.Authenticator
	Question  id.Approval
	Answer    string
	Digits    string // "" unless two digits were asked for and this approves
	Time      string // as the server told it with the question
	Signature string
	Who       Who
}

// ErrSignature says that an answer is not signed by the device over what was asked.
var ErrSignature = errors.New("flow: an answer with a signature that does not stand")

// Paced bounds what devices of one network may ask of us, as it bounds everybody
// who signs in: fault.Busy costs nobody anything.
func (f *Flow) Paced(who Who) error {
	if !f.Pace.Allow(limits.Network(who.Network), f.Now()) {
		return fault.New(fault.Busy, nil)
	}
	return nil
}

// Answer takes a device's answer and tells what the question has come to:
// approved, denied, wrong or reported. An answer that is not the device's, is about
// another's question or another text, or comes twice or too late changes nothing:
// fault.DeviceUnknown, fault.Forbidden, fault.NotInTime.
func (f *Flow) Answer(ctx context.Context, g Given) (state authenticators.ApprovalState, err error) {
	var q authenticators.Approval
	err = f.Store.Do(ctx, func(tx *store.Tx) (err error) {
		if q, err = f.answered(tx, g); err != nil {
			return err
		}
		state, err = f.conclude(tx, q, g)
		return err
	})
	if err != nil {
		return "", err
	}
	f.Bell.Ring(q.Attempt, string(q.Account))
	f.Nudge()
	return state, nil
}

// answered finds the question of an answer, with its account's row held, makes sure
// that the device may answer it and did, and puts what it signed with it.
func (f *Flow) answered(tx *store.Tx, g Given) (q authenticators.Approval, err error) {
	c, found, err := authenticators.DeviceByID(tx, f.Keys, g.Device)
	if err != nil || !found {
		return q, orFault(err, fault.DeviceUnknown, nil)
	}
	account, found, err := accounts.Lock(tx, c.Account)
	if err != nil || !found || !f.lets(account) {
		return q, orFault(err, fault.DeviceUnknown, nil)
	}
	q, found, err = authenticators.ApprovalByID(tx, f.Keys, g.Question)
	if err != nil || !found || q.Account != c.Account {
		return q, orFault(err, fault.NotInTime, nil) // another's question looks like none
	}
	d, err := authenticators.DeviceOf(c)
	if err != nil {
		return q, err
	}
	given := g.signed(d.Key)
	if !given.Stands(q.ID, q.Shown) {
		return q, fault.New(fault.Forbidden, ErrSignature)
	}
	if q.StateAt(tx.Now()) != authenticators.ApprovalOpen {
		return q, fault.New(fault.NotInTime, nil)
	}
	q.Signed = given
	return q, g.timely(q, tx.Now())
}

func orFault(err error, code fault.Code, cause error) error {
	if err != nil {
		return err
	}
	return fault.New(code, cause)
}

func (g Given) signed(key string) authenticators.Signed {
	return authenticators.Signed{Answer: g.Answer, Digits: g.Digits, Time: g.Time, Key: key, Signature: g.Signature}
}

// timely holds what the answer says about itself against the question.
func (g Given) timely(q authenticators.Approval, now time.Time) error {
	at, err := time.Parse(time.RFC3339Nano, g.Time)
	known := slices.Contains([]string{authenticators.SayApprove, authenticators.SayDeny, authenticators.SayReport}, g.Answer)
	if err != nil || !known || at.Before(q.MadeAt.Add(-time.Second)) || at.After(now.Add(time.Second)) {
		return fault.New(fault.BadRequest, errors.New("flow: an answer that is none, or of another time"))
	}
	return nil
}

func (f *Flow) conclude(tx *store.Tx, q authenticators.Approval, g Given) (authenticators.ApprovalState, error) {
	state := q.Signed.Makes(q.Digits)
	ok, err := authenticators.Answer(tx, q.ID, state, g.Device, q.Signed)
	if err != nil || !ok {
		return "", orFault(err, fault.NotInTime, nil) // two devices at once: one was first
	}
	if state == authenticators.ApprovalReported {
		return state, f.reported(tx, q, g)
	}
	return state, f.recordAnswer(tx, q, g, events.ApprovalAnswered, map[string]string{"answer": string(state)})
}

func (f *Flow) recordAnswer(tx *store.Tx, q authenticators.Approval, g Given, kind events.Kind, data map[string]string) error {
	data["approval"], data["purpose"], data["authenticator"] = string(q.ID), string(q.Kind), string(g.Device)
	e := events.Event{Kind: kind, Account: q.Account, Actor: string(q.Account), Data: data, Personal: g.Who.Personal()}
	if q.Kind != authenticators.AskAction {
		e.Attempt = id.Attempt(q.Attempt)
	}
	_, err := f.Log.Append(tx, e)
	return err
}

// reported has nobody asked for a while, and tells the person and, once an hour,
// each who looks after them.
func (f *Flow) reported(tx *store.Tx, q authenticators.Approval, g Given) error {
	if err := authenticators.Mute(tx, q.Account, tx.Now().Add(MuteLife)); err != nil {
		return err
	}
	if err := f.recordAnswer(tx, q, g, events.ApprovalReported, map[string]string{"muted": strconv.Itoa(int(MuteLife.Seconds()))}); err != nil {
		return err
	}
	account, _, err := accounts.ByID(tx, q.Account)
	if err != nil {
		return err
	}
	if err := outbox.Add(tx, f.Keys, f.notice(account, outbox.ApprovalReported, id.Derive[id.Message](string(q.ID), "reported"), g.Who)); err != nil {
		return err
	}
	admins, err := access.Admins(tx, q.Account)
	for _, admin := range admins {
		if err == nil && admin != q.Account {
			err = f.tellAdmin(tx, admin)
		}
	}
	return err
}

func (f *Flow) tellAdmin(tx *store.Tx, admin id.Account) error {
	a, found, err := accounts.ByID(tx, admin)
	if err != nil || !found || !a.Status.MaySignIn() {
		return err
	}
	m := f.notice(a, outbox.ApprovalsReported, id.Derive[id.Message](string(admin), string(outbox.ApprovalsReported), tx.Now().Truncate(time.Hour).String()), Who{})
	for _, field := range []string{outbox.Device, outbox.Place, outbox.Network} {
		delete(m.Fields, field)
	}
	return outbox.Add(tx, f.Keys, m)
}

// --- a device that is open ---

// ticketLife is how long an open app is known by what it showed.
const ticketLife = 12 * time.Hour

// Ticket is what a device shows to read its questions.
func (f *Flow) Ticket(device id.Authenticator) (string, error) {
	return f.Keys.SealToken(seal.Verify, string(device), f.Now().Add(ticketLife), []byte("open"))
}

// challengeLife is how long a device has to sign that it is itself.
const challengeLife = 2 * time.Minute

// Challenge begins the proof that a device is itself. It says nothing about
// whether there is such a device.
func (f *Flow) Challenge(device id.Authenticator) (string, error) {
	return f.Keys.SealToken(seal.Verify, "hello "+string(device), f.Now().Add(challengeLife), f.seed())
}

// OpenText is what a device signs to be let at its questions.
func OpenText(device id.Authenticator, challenge string) string {
	return "gatehouse verify open 1\n" + string(device) + "\n" + challenge
}

// OpenDevice takes the signed challenge and gives a ticket for it.
func (f *Flow) OpenDevice(ctx context.Context, device id.Authenticator, challenge, signature string) (ticket string, err error) {
	if _, err := f.Keys.OpenToken(seal.Verify, "hello "+string(device), f.Now(), challenge); err != nil {
		return "", fault.New(fault.AttemptExpired, err)
	}
	if err := f.Proves(ctx, device, OpenText(device, challenge), signature); err != nil {
		return "", err
	}
	return f.Ticket(device)
}

// Proves makes sure that a text is signed by a device that somebody still has.
func (f *Flow) Proves(ctx context.Context, device id.Authenticator, text, signature string) error {
	return f.Store.Read(ctx, func(tx *store.Tx) error {
		c, found, err := authenticators.DeviceByID(tx, f.Keys, device)
		if err != nil || !found {
			return orFault(err, fault.DeviceUnknown, nil)
		}
		d, err := authenticators.DeviceOf(c)
		if err != nil {
			return err
		}
		key, err := authenticators.ParseDeviceKey(d.Key)
		if err != nil || !key.Verify(text, signature) {
			return fault.New(fault.Forbidden, ErrSignature)
		}
		return nil
	})
}

// Listen is what an open device of an account listens to.
func (f *Flow) Listen(account id.Account) (heard <-chan struct{}, stop func()) {
	return f.Bell.Listen(string(account))
}

// Waiting is a question as its owner's device gets it.
type Waiting struct {
	ID   id.Approval `json:"id"`
	Text string      `json:"text"` // a Question as JSON, to be signed byte for byte
	Time string      `json:"time"` // now, by the server: to be signed with the answer
	Left int         `json:"left"` // seconds until it is closed
}

// Inbox is what a device that is open gets.
type Inbox struct {
	Questions []Waiting `json:"questions"`
	Email     string    `json:"account"`
	Name      string    `json:"name"`              // of the device
	Push      bool      `json:"push"`              // it has a push address that works, as far as we know
	Changed   bool      `json:"changed,omitempty"` // something about the account was changed that its owner can still stop
}

// Questions lists what a device's owner is asked. It also tells what to listen to
// for the next one.
func (f *Flow) Questions(ctx context.Context, device id.Authenticator, ticket string) (in Inbox, account id.Account, err error) {
	if _, err := f.Keys.OpenToken(seal.Verify, string(device), f.Now(), ticket); err != nil {
		return in, "", fault.New(fault.NotSignedIn, err)
	}
	err = f.Store.Read(ctx, func(tx *store.Tx) error {
		in = Inbox{Questions: []Waiting{}}
		c, found, err := authenticators.DeviceByID(tx, f.Keys, device)
		if err != nil || !found {
			return orFault(err, fault.DeviceUnknown, nil)
		}
		a, found, err := accounts.ByID(tx, c.Account)
		if err != nil || !found || !f.lets(a) {
			return orFault(err, fault.DeviceUnknown, nil)
		}
		account, in.Email, in.Name, in.Push = c.Account, a.Email, c.Name, c.Secret != "" && c.State == authenticators.StateGood
		if in.Changed, err = authenticators.PhoneHeld(tx, c.Account); err != nil {
			return err
		}
		open, err := authenticators.OpenApprovals(tx, f.Keys, c.Account)
		for _, q := range open {
			in.Questions = append(in.Questions, Waiting{ID: q.ID, Text: q.Shown, Time: tx.Now().UTC().Format(time.RFC3339Nano),
				Left: int(q.ExpiresAt.Sub(tx.Now()).Seconds())})
		}
		return err
	})
	return in, account, err
}
