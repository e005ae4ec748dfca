package flow

import (
	"bytes"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"time"

	"gatehouse/access"
	"gatehouse/accounts"
	"gatehouse/authenticators"
	"gatehouse/fault"
	"gatehouse/id"
	"gatehouse/limits"
	"gatehouse/proof"
	"gatehouse/seal"
)

// attempt is a sign-in in progress. It lives sealed in the browser, bound to its
// device token, so that any node goes on with what another began. Nothing in it
// counts tries, and what it says was proved carries the version that was proved.
type attempt struct {
	ID          id.Attempt        `json:"id"`
	Purpose     Purpose           `json:"w"`
	At          Step              `json:"at"`
	Account     id.Account        `json:"a,omitempty"`
	Known       int64             `json:"v,omitempty"` // the account's version when it was read: a store that holds an older one is behind
	Email       string            `json:"e,omitempty"`
	Name        string            `json:"n,omitempty"`
	Proofs      []proof.Proof     `json:"p,omitempty"`
	Link        id.Link           `json:"l,omitempty"`
	LinkKind    accounts.LinkKind `json:"lk,omitempty"`
	Tries       []limits.Try      `json:"t,omitempty"`  // receipts, given back when it ends well
	Ways        []Way             `json:"ws,omitempty"` // how the second authenticator may be shown, the likeliest first
	Asked       *TextAsked        `json:"ta,omitempty"` // the code by text message or call that was asked for last
	Push        *Asked            `json:"pu,omitempty"` // the question to Gatehouse Verify that was asked last
	Enrolled    enrolment         `json:"en,omitzero"`
	Seed        []byte            `json:"sd"`          // what it shows for the first time comes from here, so that a second click shows the same
	Session     id.Session        `json:"s,omitempty"` // Fresh: the session that is proved anew
	Why         string            `json:"y,omitempty"` // why a new password is asked for
	Return      string            `json:"r,omitempty"`
	RememberFor time.Duration     `json:"rf,omitempty"` // for how long this browser may be remembered
	Remember    bool              `json:"rm,omitempty"` // and its person asked for it
	Zone        string            `json:"z,omitempty"`  // of the browser's clock, for a person who has chosen none
	Expires     time.Time         `json:"x"`

	seconds     int // as facts, when it ends
	secondSince time.Time
}

// enrolment is a second authenticator being set up. It exists nowhere else until
// the attempt ends: one abandoned half-way leaves nothing behind.
type enrolment struct {
	ID      id.Authenticator           `json:"i"`
	Secret  string                     `json:"s"`           // of the app that is offered
	How     authenticators.Making      `json:"h,omitzero"`  // how it makes its codes
	Passkey *authenticators.Credential `json:"k,omitempty"` // set up instead of an app
	Offers  []proof.Method             `json:"o,omitempty"` // what may be set up here
	Name    string                     `json:"n"`
	Proof   proof.Proof                `json:"p"`
	Codes   []string                   `json:"c"`
}

// offers tells whether a kind of second authenticator may be set up here.
func (a attempt) offers(m proof.Method) bool { return slices.Contains(a.Enrolled.Offers, m) }

// begin starts an attempt.
func (f *Flow) begin(p Purpose, in Input) attempt {
	now := f.Now()
	return attempt{ID: id.New[id.Attempt](now, f.Rand), Seed: f.seed(), Purpose: p, At: Password, Return: in.Return, Zone: in.Who.Zone, Expires: now.Add(attemptLife)}
}

const seedBytes = 32

func (f *Flow) seed() []byte {
	seed := make([]byte, seedBytes)
	if _, err := io.ReadFull(f.Rand, seed); err != nil {
		panic("flow: no randomness: " + err.Error())
	}
	return seed
}

// randomness for one thing an attempt makes: the same for every copy of the
// attempt, and for nobody who cannot open it.
func (a attempt) randomness(of string) (io.Reader, error) {
	if len(a.Seed) != seedBytes {
		return nil, fault.New(fault.AttemptExpired, errors.New("flow: an attempt without a seed"))
	}
	const enough = 512
	key, err := hkdf.Expand(sha256.New, a.Seed, "gatehouse attempt "+of, enough)
	return bytes.NewReader(key), err
}

func (f *Flow) seal(a attempt, who Who) (string, error) {
	plain, err := json.Marshal(a)
	if err != nil {
		return "", err
	}
	return f.Keys.SealToken(seal.Attempt, string(who.Device), a.Expires, plain)
}

func (f *Flow) open(sealed string, who Who) (attempt, error) {
	var a attempt
	plain, err := f.Keys.OpenToken(seal.Attempt, string(who.Device), f.Now(), sealed)
	if err != nil {
		return a, fault.New(fault.AttemptExpired, err)
	}
	if err := json.Unmarshal(plain, &a); err != nil {
		return a, fault.New(fault.AttemptExpired, err)
	}
	return a, nil
}

// facts is what the database says about the account of an attempt.
type facts struct {
	hasPassword bool
	ways        []Way              // how a second authenticator may be shown; none: there is none
	need        access.Requirement // what the session must be opened with
	mustChange  string             // "", or why a new password is due: "compromised", "expired"
	linkGood    bool               // the attempt's link still permits what its kind permits
	remember    time.Duration      // for how long this browser may be remembered
	seconds     int                // second authenticators there are
	secondSince time.Time          // when the newest was added
}

func (f facts) hasSecond() bool { return len(f.ways) > 0 }

// next is the decision: what an attempt must still show. It is pure, and the
// only place that says Done.
func next(a attempt, f facts) Step {
	_, password := proof.Find(a.Proofs, proof.Password)
	whole := password || proof.LevelOf(a.Proofs) >= access.Required() // a passkey that verified its holder needs no password
	chooses := f.linkGood && (a.LinkKind == accounts.Reset || a.LinkKind == accounts.Invitation && !f.hasPassword)
	switch {
	case chooses && !password && f.hasSecond() && proof.LevelOf(a.Proofs) < proof.AAL1:
		return f.second(a) // a mailbox alone changes nothing for someone who has a second authenticator
	case chooses && !password:
		return NewPassword
	case !whole:
		return Password
	case !f.hasSecond() && a.Purpose == Fresh:
		return Password // cannot happen to a living session; never a way to enrol
	case !f.hasSecond():
		return f.enrols(a)
	case proof.LevelOf(a.Proofs) < access.Required():
		return f.second(a)
	case f.enough(a) && f.mustChange != "":
		return NewPassword
	case f.enough(a):
		return Done
	case f.canMeet(a) && (a.Purpose == Fresh || !gaveUp(a)):
		return f.second(a)
	case !password && f.hasPassword:
		return Password // a passkey alone is not what is asked of them; with the password, something else may be
	}
	return f.enrols(a) // what they hold is no longer enough: they add what is
}

// WhyNotAccepted is View.Why of somebody who sets up something, though they hold
// something: a policy does not accept it, or all that it accepts is lost.
const WhyNotAccepted = "not-accepted"

// gaveUp tells whether a recovery code was shown: whoever does that says that the
// others are out of reach. Where the code is not enough by itself, asking for those
// would be a dead end; they set up a new one, through a mailed link.
func gaveUp(a attempt) bool {
	_, paper := proof.Find(a.Proofs, proof.RecoveryCode)
	return paper
}

// enrols is the step of somebody who must set up a second authenticator. A
// password, and what was enough until now, never enrol anything without a link.
func (f facts) enrols(a attempt) Step {
	switch {
	case !permitsEnrolment(a.LinkKind, f.linkGood):
		return LinkSent
	case a.Enrolled.Proof.At.IsZero():
		return Enrol
	}
	return RecoveryCodes
}

// enough tells whether what was shown meets the requirement. A fresh proof by
// somebody who holds nothing that would meet it is as good as their session: or
// they could never add what is missing.
func (f facts) enough(a attempt) bool {
	return f.need.Met(a.Proofs) || a.Purpose == Fresh && !f.canMeet(a)
}

// canMeet tells whether another authenticator of theirs would meet the requirement.
// Recovery codes are never asked for, or paper would put off for ever what a policy
// asks for.
func (f facts) canMeet(a attempt) bool {
	for _, w := range f.ways {
		_, shown := proof.Find(a.Proofs, w.Method)
		if !shown && w.Step != Recovery && f.need.Met(append(slices.Clone(a.Proofs), w.strongest())) {
			return true
		}
	}
	return false
}

// second is the step of the first way that was not shown yet: of those that would
// meet the requirement when there is one, and recovery codes only when there is
// nothing else.
func (f facts) second(a attempt) Step {
	best, step := 0, Code
	for _, w := range f.ways {
		_, shown := proof.Find(a.Proofs, w.Method)
		rank := 1
		switch {
		case shown:
			continue
		case w.Step != Recovery && f.need.Met(append(slices.Clone(a.Proofs), w.strongest(), proof.Proof{Method: proof.Password})):
			rank = 3
		case w.Step != Recovery:
			rank = 2
		}
		if rank > best {
			best, step = rank, w.Step
		}
	}
	return step
}

func permitsEnrolment(k accounts.LinkKind, good bool) bool {
	return good && (k == accounts.Invitation || k == accounts.Enrol || k == accounts.Reset)
}

// view shows an attempt to whoever asks for its next step.
func (f *Flow) view(a attempt) View {
	v := View{ID: a.ID, Purpose: a.Purpose, Email: a.Email, Name: a.Name, Why: a.Why, Return: a.Return,
		Remember: a.RememberFor, Seconds: a.seconds, SecondSince: a.secondSince, SecondNew: !a.Enrolled.Proof.At.IsZero()}
	switch {
	case a.At.asksSecond():
		v.Ways, v.Asked, v.Push = a.Ways, a.Asked, a.Push
		v.Other = otherSteps(a)
	case a.At == LinkSent && len(a.Ways) > 0:
		v.Why = WhyNotAccepted
	case a.At == Enrol:
		if len(a.Ways) > 0 {
			v.Why = WhyNotAccepted
		}
		v.Offers = a.Enrolled.Offers
		v.Secret = seal.Secret(a.Enrolled.Secret)
		v.URI = a.Enrolled.How.New("", v.Secret, f.Now()).KeyURI(f.Product, a.Email)
	case a.At == RecoveryCodes:
		for _, c := range a.Enrolled.Codes {
			v.Codes = append(v.Codes, seal.Secret(c))
		}
	}
	return v
}

// outcome seals an attempt that goes on.
func (f *Flow) outcome(a attempt, who Who, r *Refusal) (Outcome, error) {
	sealed, err := f.seal(a, who)
	return Outcome{Next: a.At, Attempt: sealed, Refusal: r, View: f.view(a)}, err
}
