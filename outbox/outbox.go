// Package outbox keeps what is to be sent: mails and web-hooks. A message is put
// here in the transaction of what it tells about: either both happened or
// neither. Sending is package deliver's work, later and at its own pace, at least
// once; the message's id goes with it, so that whoever gets it can tell a double.
//
// Addresses, names and links are sealed, and wiped once the message is gone.
package outbox

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"gatehouse/id"
	"gatehouse/seal"
	"gatehouse/store"
)

// Message is one thing to be sent.
type Message struct {
	ID      id.Message // the caller's, fixed before its transaction first runs: adding it twice is adding it once
	Kind    Kind
	Account id.Account        // whom it is for; may be empty
	To      string            // the address of a mail; else empty
	Lane    string            // the recipient: of a web-hook its receiver's id; of a mail it is filled in, a keyed hash of To
	Fields  map[string]string // what the text needs; may hold a link
	Locale  string            // BCP 47
	Due     time.Time         // not before; the transaction's time when zero
	Expires time.Time         // worthless from then on; Due and the kind's Lasts when zero

	// Filled in by Take.
	MadeAt time.Time
	Tries  int // this one included: with the id it is what this taking is known by
}

// MaxTries bounds how often a message is tried: with the waits of package deliver
// it is more than any message's life, so it stops only what goes round in a circle.
const MaxTries = 1000

// Lease is how long Take reserves a message for the node that took it. A message
// whose node dies is sent by another after that.
const Lease = 2 * time.Minute

// Fresh is for how long after it became due a message counts as live work; older
// ones are the backlog.
const Fresh = 30 * time.Second

// Class says why a mail could not be sent, without an address or a link.
type Class string

// The classes.
const (
	Done        Class = ""            // it was sent
	Unreachable Class = "unreachable" // no mail server answered, or none in time
	NotTrusted  Class = "not-trusted" // the server offers no TLS we accept
	NotAllowed  Class = "not-allowed" // the server does not accept our user and password
	Later       Class = "later"       // the server asked to try later (4xx)
	Refused     Class = "refused"     // the server refused this mail (5xx)
	Unreadable  Class = "unreadable"  // the stored mail does not open: altered, or our keys are others now
	Unwritable  Class = "unwritable"  // the mail cannot be worded: a field is missing, a link is not ours, the address is none
	Expired     Class = "expired"     // its time ran out
	Other       Class = "other"
)

// Recipient tells that the next message to the same recipient would fare no better now.
func (c Class) Recipient() bool { return c == Unreachable || c == NotTrusted || c == NotAllowed }

// Hopeless tells that no later try of the message will fare better.
func (c Class) Hopeless() bool { return c == Unwritable || c == Expired || c == Unreadable }

// Add puts a message in the outbox, in the caller's transaction.
func Add(tx *store.Tx, keys *seal.Keys, m Message) error {
	d, err := check(m)
	if err != nil {
		return err
	}
	if m.Due.IsZero() {
		m.Due = tx.Now()
	}
	if m.Expires.IsZero() {
		m.Expires = m.Due.Add(d.Lasts)
	}
	if m.Kind.Channel() == Mail {
		m.Lane = laneOf(keys, m.To)
	}
	sealed, err := closePayload(keys, m)
	if err != nil {
		return err
	}
	return insert(tx, m, sealed, settled(tx, m.Kind, sealed))
}

// settled is NULL, or for a Void the time of now: it costs what a mail costs, is
// never taken, and keeps nothing of what it was made from.
func settled(tx *store.Tx, k Kind, sealed []byte) any {
	if k != Void {
		return nil
	}
	clear(sealed)
	return store.Micros(tx.Now())
}

func check(m Message) (Definition, error) {
	d, ok := Lookup(m.Kind)
	if !ok {
		return d, fmt.Errorf("outbox: kind %q is not in the table", m.Kind)
	}
	if _, err := id.Parse[id.Message](string(m.ID)); err != nil {
		return d, fmt.Errorf("outbox: %s needs an id made before the transaction", m.Kind)
	}
	if m.Kind.Channel() != Mail && m.Lane == "" {
		return d, fmt.Errorf("outbox: %s has no lane", m.Kind)
	}
	if m.Kind.Channel() == Mail && !strings.Contains(m.To, "@") {
		return d, fmt.Errorf("outbox: %s has no address", m.Kind)
	}
	for _, f := range d.Needs {
		if m.Fields[f] == "" {
			return d, fmt.Errorf("outbox: %s needs the field %q", m.Kind, f)
		}
	}
	for _, f := range slices.Sorted(maps.Keys(m.Fields)) {
		if !slices.Contains(d.Needs, f) && !slices.Contains(d.May, f) {
			return d, fmt.Errorf("outbox: %s does not know the field %q", m.Kind, f)
		}
	}
	return d, nil
}

// laneOf names the recipient of a mail without telling who it is.
func laneOf(keys *seal.Keys, address string) string {
	key := keys.Derive("outbox lane")
	mac := hmac.New(sha256.New, key[:])
	mac.Write([]byte(strings.ToLower(address)))
	return hex.EncodeToString(mac.Sum(nil)[:12])
}

// Wish says what to take.
type Wish struct {
	Channel Channel
	Lanes   int      // at most so many
	PerLane int      // at most so many messages of each
	Backlog int      // at most so many messages that are not Fresh any more
	Skip    []string // lanes to leave alone
}

// Take reserves messages that are due, unsent and still worth sending, lane by
// lane: no lane of which anybody has a message in hand, and each lane from its
// oldest message on. Lanes whose messages have just become due come first, then
// the backlog, longest due first. Each message counts a try, paid before it is
// made. One that does not open is given up here and stops none of the others.
func Take(tx *store.Tx, keys *seal.Keys, now time.Time, w Wish) ([][]Message, error) {
	t := &taking{tx: tx, keys: keys, now: now, Wish: w}
	err := t.begin()
	if err == nil {
		err = t.fresh()
	}
	if err == nil && w.Backlog > 0 {
		err = t.backlog()
	}
	return t.taken, err
}

// Sent records that messages have gone, and wipes what they held.
func Sent(tx *store.Tx, now time.Time, messages ...id.Message) error {
	return inParts(messages, func(part []id.Message) error { return markSent(tx, part, now) })
}

// Failed records a try that failed and when to try next; gone tells that there
// is no next: the message runs out before, or was tried too often. Such a message
// is wiped. It does nothing when another has taken the message meanwhile.
func Failed(tx *store.Tx, m Message, why Class, next time.Time) (gone bool, err error) {
	expires, tries, err := selectLife(tx, m.ID)
	if errors.Is(err, store.ErrNoRows) || err == nil && tries != m.Tries {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if !next.Before(expires) || tries >= MaxTries {
		return true, giveUp(tx, m.ID, why)
	}
	return false, postpone(tx, m.ID, why, next)
}

// Release gives messages back that were taken and not tried: they are due as
// before, and no try is counted.
func Release(tx *store.Tx, messages ...Message) error {
	for _, m := range messages {
		if err := release(tx, m); err != nil {
			return err
		}
	}
	return nil
}

// Past is a mail that was given up.
type Past struct {
	ID      id.Message
	Kind    Kind
	Account id.Account
	Tries   int
	Why     Class
}

// Expire gives up to limit mails up whose time has run out. Nothing depends on
// it: an expired mail is never taken. It wipes them and makes them known.
func Expire(tx *store.Tx, now time.Time, limit int) ([]Past, error) {
	past, err := selectExpired(tx, now, limit)
	if err != nil {
		return nil, err
	}
	for i := range past {
		if past[i].Why == "" {
			past[i].Why = Expired
		}
		if err := giveUp(tx, past[i].ID, past[i].Why); err != nil {
			return nil, err
		}
	}
	return past, nil
}

// Prune deletes the rows of mails that were made before a time and are sent or given up.
func Prune(tx *store.Tx, before time.Time) (int64, error) { return prune(tx, before) }

// Due tells whether Take would find anything, without a lock.
func Due(tx *store.Tx, now time.Time, w Wish) (bool, error) { return anyDue(tx, now, w) }

// OldestDue is since when the longest waiting message is due; false when none waits.
func OldestDue(tx *store.Tx, now time.Time) (time.Time, bool, error) { return oldestDue(tx, now) }

// payload is the sealed part of a message.
type payload struct {
	To     string            `json:"to"`
	Locale string            `json:"locale,omitempty"`
	Fields map[string]string `json:"fields,omitempty"`
}

func payloadPlace(message id.Message) seal.Place {
	return seal.Place{Table: "outbox", Row: string(message), Column: "payload"}
}

func closePayload(keys *seal.Keys, m Message) ([]byte, error) {
	plain, err := json.Marshal(payload{m.To, m.Locale, m.Fields})
	if err != nil {
		return nil, err
	}
	return keys.Seal(payloadPlace(m.ID), plain)
}

func openPayload(keys *seal.Keys, r row) (Message, error) {
	var p payload
	plain, err := keys.Open(payloadPlace(r.id), r.payload)
	if err == nil {
		err = json.Unmarshal(plain, &p)
	}
	return Message{
		ID: r.id, Kind: r.kind, Account: r.account, To: p.To, Lane: r.lane, Fields: p.Fields, Locale: p.Locale,
		Due: r.due, Expires: r.expires, MadeAt: r.made, Tries: r.tries + 1,
	}, err
}
