package flow

import (
	"context"
	"encoding/json"
	"errors"
	"io"
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
	"gatehouse/proof"
	"gatehouse/store"
	"gatehouse/words"
)

// What a question to Gatehouse Verify may cost its owner: one at a time, each for
// a minute, three in ten minutes, none for twenty after they said "not me".
const (
	askLife   = time.Minute
	MuteLife  = 20 * time.Minute
	takeLife  = 2 * time.Minute // after the answer, for a browser to go in with it
	reachTime = 1200 * time.Millisecond
)

// AskRule is the limit on questions, per account.
func AskRule() limits.Rule { return limits.Rule{Name: "push", Max: 3, Per: 10 * time.Minute} }

// Asked is a question as whoever asked sees it.
type Asked struct {
	ID      id.Approval                  `json:"id"`
	Digits  string                       `json:"digits,omitempty"` // to be shown to whoever asked, and to nobody else
	Until   time.Time                    `json:"until"`
	State   authenticators.ApprovalState `json:"state"`
	Reached Reach                        `json:"reached,omitempty"`
}

// Left is how long a question that was just asked is open, in seconds.
func (a Asked) Left() int { return int(askLife.Seconds()) }

// Reach says how far a question has got.
type Reach string

// The reaches.
const (
	OnTheWay  Reach = "on-the-way"
	Reached   Reach = "reached"   // a push service took it
	Unreached Reach = "unreached" // no device could be sent it: it waits in the app
)

// askApproval asks the devices of whoever an attempt is of. Only a right password
// gets this far: a name alone makes nobody's phone ring.
func (f *Flow) askApproval(ctx context.Context, in Input) (Outcome, error) {
	a, err := f.open(in.Attempt, in.Who)
	if err != nil {
		return Outcome{}, err
	}
	_, knows := proof.Find(a.Proofs, proof.Password)
	if !a.At.asksSecond() || !knows || !has(a.Ways, Approve) || f.rehearses {
		return f.outcome(a, in.Who, &Refusal{Code: fault.AttemptExpired})
	}
	q := f.question(a, in.Who)
	var asked Asked
	var why *Refusal
	err = f.Store.Do(ctx, func(tx *store.Tx) (err error) {
		if same, err := f.proofsStand(tx, a); err != nil || !same {
			why = &Refusal{Code: fault.AttemptExpired}
			return err
		}
		asked, why, err = f.ask(tx, q)
		return err
	})
	if err != nil {
		return Outcome{}, err
	}
	if why == nil {
		a.At, a.Push = Approve, &asked
	}
	out, err := f.outcome(a, in.Who, why)
	f.Bell.Ring(string(a.Account), string(a.ID))
	return f.after(out, err)
}

// question is what is about to be asked; nothing in it changes when its
// transaction is tried again.
type question struct {
	authenticators.Approval
	who     Who
	context Question
	life    time.Duration
}

func (f *Flow) question(a attempt, who Who) question {
	kind := authenticators.AskSignIn
	if a.Purpose == Fresh {
		kind = authenticators.AskFresh
	}
	q := f.newQuestion(a.Account, kind, string(a.ID), who)
	q.Digits = f.digits()
	q.context.Application = f.Product
	q.context.Browser, q.context.Place = words.For(who.Locale).Device(who.Agent), who.Place
	if who.Network.IsValid() {
		q.context.Network = who.Network.String()
	}
	return q
}

func (f *Flow) newQuestion(account id.Account, kind authenticators.ApprovalKind, attempt string, who Who) question {
	return question{who: who, life: askLife, Approval: authenticators.Approval{
		ID: id.New[id.Approval](f.Now(), f.Rand), Account: account, Kind: kind, Attempt: attempt}}
}

// digits are two, 10 to 99, each as likely.
func (f *Flow) digits() string {
	var b [1]byte
	for {
		if _, err := io.ReadFull(f.Rand, b[:]); err != nil {
			panic("flow: no randomness: " + err.Error())
		}
		if b[0] < 180 { // 2 × 90: the rest would make some likelier
			return strconv.Itoa(10 + int(b[0])%90)
		}
	}
}

// Question is what a person is shown, and signs. The order of fields is the order
// in which it is signed; devices show it and never rebuild it.
type Question struct {
	Version      int         `json:"v"`
	ID           id.Approval `json:"id"`
	Kind         string      `json:"kind"`
	Account      string      `json:"account"` // the address
	Application  string      `json:"application"`
	Organisation string      `json:"organisation,omitempty"`
	Browser      string      `json:"browser,omitempty"`
	Place        string      `json:"place,omitempty"`
	Network      string      `json:"network,omitempty"`
	Message      string      `json:"message,omitempty"` // of an action: the same text stands where it was begun
	Details      []Detail    `json:"details,omitempty"`
	Digits       bool        `json:"digits"` // two digits are asked for
	MadeAt       time.Time   `json:"made_at"`
	ExpiresAt    time.Time   `json:"expires_at"`
}

// Detail is one line of what is approved, such as payee or amount.
type Detail struct {
	Label string `json:"label"`
	Value string `json:"value"`
}

// ask is the one place where a question is made. It runs in a transaction that
// holds the account's row, so that of any number at once one gets through.
func (f *Flow) ask(tx *store.Tx, q question) (Asked, *Refusal, error) {
	account, found, err := accounts.Lock(tx, q.Account)
	if err != nil || !found || !f.lets(account) {
		return Asked{}, &Refusal{Code: fault.NotAsked}, err
	}
	if err := authenticators.CloseApprovals(tx, q.Account); err != nil {
		return Asked{}, nil, err
	}
	open, err := authenticators.OpenApprovals(tx, f.Keys, q.Account)
	if err != nil {
		return Asked{}, nil, err
	}
	if len(open) > 0 && open[0].Attempt == q.Attempt { // a second click
		return askedOf(open[0], tx.Now()), nil, nil
	}
	muted, err := authenticators.Muted(tx, q.Account)
	if err != nil || muted || len(open) > 0 {
		return Asked{}, &Refusal{Code: fault.NotAsked}, err // the same words whatever the reason: they may be an attacker's to read
	}
	devices, err := f.devices(tx, q.Account)
	if err != nil || len(devices) == 0 {
		return Asked{}, &Refusal{Code: fault.NotAsked}, err
	}
	answer, err := limits.Spend(tx, limits.Subject{Rule: AskRule(), Of: string(q.Account)})
	if err != nil {
		return Asked{}, nil, err
	}
	if !answer.Allowed {
		return Asked{}, &Refusal{Code: fault.NotAsked}, f.tellLimited(tx, charged{account: account, answer: answer}, q.who)
	}
	return f.put(tx, q, account, devices)
}

func (f *Flow) devices(tx *store.Tx, account id.Account) ([]authenticators.Credential, error) {
	kept, err := authenticators.LoadUsual(tx, f.Keys, account)
	return slices.DeleteFunc(kept.Of(authenticators.KindPush), func(c authenticators.Credential) bool {
		return !c.Answers(tx.Now())
	}), err
}

// put keeps the question, records it, and has every device woken that can be.
func (f *Flow) put(tx *store.Tx, q question, account accounts.Account, devices []authenticators.Credential) (Asked, *Refusal, error) {
	q.MadeAt = tx.Now()
	q.ExpiresAt = q.MadeAt.Add(q.life)
	if q.context.Organisation == "" {
		names, err := access.OrganisationNames(tx, q.Account)
		if err != nil {
			return Asked{}, nil, err
		}
		if len(names) > 0 {
			q.context.Organisation = names[0]
		}
	}
	c := q.context
	c.Version, c.ID, c.Kind, c.Account, c.Digits = 1, q.ID, string(q.Kind), account.Email, q.Digits != ""
	c.MadeAt, c.ExpiresAt = q.MadeAt.UTC(), q.ExpiresAt.UTC()
	shown, err := json.Marshal(c)
	if err != nil {
		return Asked{}, nil, err
	}
	q.Shown, q.State = string(shown), authenticators.ApprovalOpen
	if err := authenticators.Ask(tx, f.Keys, q.Approval); err != nil {
		return Asked{}, nil, err
	}
	e := events.Event{Kind: events.ApprovalAsked, Account: q.Account, Actor: events.Anonymous,
		Data: map[string]string{"approval": string(q.ID), "purpose": string(q.Kind)}, Personal: q.who.Personal()}
	if q.Kind == authenticators.AskAction {
		e.Actor = events.System
	} else {
		e.Attempt = id.Attempt(q.Attempt)
	}
	if _, err := f.Log.Append(tx, e); err != nil {
		return Asked{}, nil, err
	}
	asked := askedOf(q.Approval, tx.Now())
	asked.Reached, err = f.wake(tx, q.Approval, devices)
	return asked, nil, err
}

// wake puts a message into the outbox for every device with a push address.
func (f *Flow) wake(tx *store.Tx, q authenticators.Approval, devices []authenticators.Credential) (Reach, error) {
	reach := Unreached
	for _, d := range devices {
		if d.Secret == "" || !d.Opens(tx.Now()) {
			continue
		}
		reach = OnTheWay
		err := outbox.Add(tx, f.Keys, outbox.Message{ID: noteID(q.ID, d.ID), Kind: outbox.PushNote, Account: q.Account, Lane: string(d.ID),
			Fields: map[string]string{outbox.PushDevice: string(d.ID), outbox.PushApproval: string(q.ID)}, Expires: q.ExpiresAt})
		if err != nil {
			return reach, err
		}
	}
	return reach, nil
}

func noteID(q id.Approval, d id.Authenticator) id.Message {
	return id.Derive[id.Message](string(q), string(d))
}

func askedOf(a authenticators.Approval, now time.Time) Asked {
	return Asked{ID: a.ID, Digits: a.Digits, Until: a.ExpiresAt, State: a.StateAt(now)}
}

// ErrNoQuestion says that an attempt has asked nothing.
var ErrNoQuestion = errors.New("flow: this attempt has asked nothing")

// Asked tells how the question of an attempt stands, for the page that waits. It
// costs nobody a try.
func (f *Flow) Asked(ctx context.Context, sealed string, who Who) (Asked, error) {
	a, err := f.open(sealed, who)
	if err != nil {
		return Asked{}, err
	}
	q, reach, err := f.readAsked(ctx, a)
	if err != nil {
		return Asked{}, err
	}
	asked := askedOf(q, f.Now())
	asked.Reached = reach
	return asked, nil
}

// Waits is what a page that waits listens to.
func (f *Flow) Waits(sealed string, who Who) (heard <-chan struct{}, stop func(), err error) {
	a, err := f.open(sealed, who)
	if err != nil {
		return nil, nil, err
	}
	heard, stop = f.Bell.Listen(string(a.ID))
	return heard, stop, nil
}

func (f *Flow) readAsked(ctx context.Context, a attempt) (q authenticators.Approval, reach Reach, err error) {
	err = f.Store.Read(ctx, func(tx *store.Tx) error {
		var found bool
		if q, found, err = authenticators.ApprovalOf(tx, f.Keys, a.Account, string(a.ID)); err != nil {
			return err
		}
		if !found || a.Account == "" {
			return fault.New(fault.NotInTime, ErrNoQuestion)
		}
		reach, err = f.reach(tx, q)
		return err
	})
	return q, reach, err
}

// reach looks what became of the messages of a question. A push service that hangs
// or fails counts as one that cannot be reached after a moment, so that nobody
// waits for a phone that will not ring.
func (f *Flow) reach(tx *store.Tx, q authenticators.Approval) (Reach, error) {
	devices, err := f.devices(tx, q.Account)
	if err != nil {
		return "", err
	}
	waiting := false
	for _, d := range devices {
		fate, _, err := outbox.FateOf(tx, noteID(q.ID, d.ID))
		if err != nil || fate == outbox.Gone {
			return Reached, err
		}
		waiting = waiting || fate == outbox.Waiting
	}
	if waiting && tx.Now().Sub(q.MadeAt) < reachTime {
		return OnTheWay, nil
	}
	return Unreached, nil
}

// showApproval goes in with an approval. Whatever else the question has come to is
// told, and costs no try: there was nothing to guess.
func (f *Flow) showApproval(ctx context.Context, in Input) (Outcome, error) {
	a, err := f.open(in.Attempt, in.Who)
	if err != nil {
		return Outcome{}, err
	}
	q, _, err := f.readAsked(ctx, a)
	if errors.Is(err, ErrNoQuestion) {
		return f.outcome(a, in.Who, &Refusal{Code: fault.NotInTime})
	}
	if err != nil {
		return Outcome{}, err
	}
	if why := refusalOf(q, f.Now()); why != "" {
		return f.outcome(a, in.Who, &Refusal{Code: why})
	}
	return f.showSecond(ctx, in)
}

func refusalOf(q authenticators.Approval, now time.Time) fault.Code {
	switch q.StateAt(now) {
	case authenticators.ApprovalApproved:
		if q.UsedBy == "" && now.Sub(q.AnsweredAt) > takeLife {
			return fault.NotInTime
		}
		return ""
	case authenticators.ApprovalOpen:
		return fault.NotAnswered
	case authenticators.ApprovalExpired:
		return fault.NotInTime
	}
	return fault.Declined
}

// checkApproval finds the approval of this very attempt. Its signature was checked
// when it was given; it is checked again, so that nothing but the device's key
// opens the door.
func (f *Flow) checkApproval(ctx context.Context, a attempt, kept authenticators.Kept, _ Input) (v authenticators.Verdict, err error) {
	q, _, err := f.readAsked(ctx, a)
	if err != nil || refusalOf(q, f.Now()) != "" || !q.Signed.Stands(q.ID, q.Shown) || q.Signed.Makes(q.Digits) != authenticators.ApprovalApproved {
		return v, err
	}
	for _, c := range kept.Of(authenticators.KindPush) {
		d, err := authenticators.DeviceOf(c)
		if err != nil {
			return v, err
		}
		if c.ID != q.Credential || d.Key != q.Signed.Key || !c.Answers(f.Now()) {
			continue
		}
		p := proof.Proof{Method: proof.Push, Authenticator: string(c.ID), Version: c.Version, At: q.AnsweredAt}
		if q.UsedBy != "" {
			return authenticators.Verdict{Used: p}, nil
		}
		return authenticators.Verdict{OK: true, Proof: p}, nil
	}
	return v, nil
}

func (f *Flow) useApproval(tx *store.Tx, a attempt, _ accounts.Account, p proof.Proof, _ Input) (bool, error) {
	q, found, err := authenticators.ApprovalOf(tx, f.Keys, a.Account, string(a.ID))
	if err != nil || !found || q.Credential != id.Authenticator(p.Authenticator) {
		return false, err
	}
	ok, err := authenticators.UseApproval(tx, q.ID, string(a.ID))
	if err != nil || !ok {
		return false, err
	}
	return true, authenticators.MarkUsed(tx, id.Authenticator(p.Authenticator))
}

// withoutPush leaves approval out where no password was shown: a mailbox alone
// makes nobody's phone ring.
func withoutPush(a attempt, ways []Way) []Way {
	if _, knows := proof.Find(a.Proofs, proof.Password); knows {
		return ways
	}
	return slices.DeleteFunc(ways, func(w Way) bool { return w.Step == Approve })
}
