// Package limits counts tries. A try is spent in its own transaction before any
// secret is compared (DESIGN §3), so a crowd of parallel guesses gets exactly
// the limit, and nothing that fails later gives a try back.
//
// A limit is a sliding log: at most Max tries in any window of length Per,
// exactly, not on average. A refused try is not counted, so a person who waits
// gets in; the attacker who fills a name's budget never fills that of a device
// the owner has used before, because that is another subject.
package limits

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"gatehouse/store"
)

// Rule is one limit.
type Rule struct {
	Name string // what is counted; part of the key
	Max  int
	Per  time.Duration
}

// Subject is one thing a rule counts for: a name, a network, a device.
type Subject struct {
	Rule Rule
	Of   string
}

func (s Subject) key() string {
	h := sha256.Sum256([]byte(s.Rule.Name + "\x00" + s.Of))
	return hex.EncodeToString(h[:])
}

// Try is the receipt of a spent try. With it a sign-in that ends well gives back
// what it spent itself, and no more.
type Try struct {
	Key string `json:"k"`
	At  int64  `json:"t"` // microseconds
}

// Answer says whether every subject had a try left.
type Answer struct {
	Allowed    bool
	Spent      []Try
	RetryAfter time.Duration // refused: when the first try of the refusing rule runs out
	Tell       bool          // refused for the first time in this window: worth an event
	Rule       string        // refused: which rule
}

// Spend takes one try from each subject in turn and stops at the first that has
// none left. The tries of those before it stay spent.
func Spend(tx *store.Tx, subjects ...Subject) (Answer, error) {
	answer := Answer{Allowed: true}
	for _, s := range subjects {
		t, retry, err := spend(tx, s)
		if err != nil {
			return Answer{}, err
		}
		if retry > 0 {
			tell, err := firstRefusal(tx, s)
			return Answer{Spent: answer.Spent, RetryAfter: retry, Tell: tell, Rule: s.Rule.Name}, err
		}
		answer.Spent = append(answer.Spent, t)
	}
	return answer, nil
}

func spend(tx *store.Tx, s Subject) (t Try, retry time.Duration, err error) {
	now := store.Micros(tx.Now())
	key := s.key()
	if tx.Standby() { // writers take turns there, and what is written is a line of its journal: a refusal writes none
		log, err := look(tx, key)
		if retry := s.over(tx, since(log, now-s.Rule.Per.Microseconds()), now); err != nil || retry > 0 {
			return t, retry, err
		}
	}
	log, err := hold(tx, key)
	if err != nil {
		return t, 0, err
	}
	log = since(log, now-s.Rule.Per.Microseconds())
	if retry := s.over(tx, log, now); retry > 0 {
		return t, retry, nil
	}
	if n := len(log); n > 0 && log[n-1] >= now { // a receipt is one try's: no two share a stamp
		now = log[n-1] + 1
	}
	log = append(log, now)
	return Try{key, now}, 0, save(tx, key, log, now+s.Rule.Per.Microseconds())
}

// over is how long it takes until a try is left; 0 when one is.
func (s Subject) over(tx *store.Tx, log []int64, now int64) time.Duration {
	if s.Rule.Max < 1 { // a rule that nobody filled in lets nobody through
		return max(s.Rule.Per, time.Second)
	}
	if len(log) < share(s.Rule.Max, tx) {
		return 0
	}
	wait := time.Duration(log[0]+s.Rule.Per.Microseconds()-now) * time.Microsecond
	return max(wait, time.Second)
}

// share is what a limit leaves this store: all of it on the primary. Nodes that are
// cut off from each other count alone, so each gets its part (rounded down) of what
// is allowed together, but always one.
func share(most int, tx *store.Tx) int { return max(1, most/tx.Share()) }

// firstRefusal is a limit of one on the telling itself.
func firstRefusal(tx *store.Tx, s Subject) (bool, error) {
	_, retry, err := spend(tx, Subject{Rule{"told:" + s.Rule.Name, 1, s.Rule.Per}, s.Of})
	return retry == 0, err
}

// GiveBack returns tries by their receipts. A receipt works once. It is one
// statement a try, without reading first: what it takes out is found as text.
//
// On a standby a try is not taken out but turned negative. It counts no more, and
// the hand-over, which joins lists and so cannot see what is missing from one,
// takes it out on the primary too: or an office that signed in through an outage
// would be refused after it.
func GiveBack(tx *store.Tx, tries []Try) error {
	for _, t := range tries {
		spent, left := ","+strconv.FormatInt(t.At, 10)+",", ","
		if tx.Standby() {
			left = "," + strconv.FormatInt(-t.At, 10) + ","
		}
		_, err := tx.Exec(`UPDATE tries SET at = REPLACE(',' || at || ',', $1, $2), version = version + 1, node = $3 WHERE key = $4`,
			spent, left, tx.Node(), t.Key)
		if err != nil {
			return err
		}
	}
	return nil
}

// hold locks the row of a key, making it when it is not there, and reads its log.
func hold(tx *store.Tx, key string) ([]int64, error) {
	var at string
	err := tx.Row(`INSERT INTO tries (key, at, expires_at, version, node) VALUES ($1, '', $2, 1, $3)
		ON CONFLICT (key) DO UPDATE SET version = tries.version + 1, node = excluded.node RETURNING at`,
		key, store.Micros(tx.Now()), tx.Node()).Scan(&at)
	if err != nil {
		return nil, err
	}
	return split(at), nil
}

// look reads the log of a key without holding it.
func look(tx *store.Tx, key string) ([]int64, error) {
	var at string
	err := tx.Row(`SELECT at FROM tries WHERE key = $1`, key).Scan(&at)
	if errors.Is(err, store.ErrNoRows) {
		return nil, nil
	}
	return split(at), err
}

func save(tx *store.Tx, key string, log []int64, expires int64) error {
	_, err := tx.Exec(`UPDATE tries SET at = $1, expires_at = $2 WHERE key = $3`, join(log), expires, key)
	return err
}

// since keeps what is younger than a moment, and so nothing that was given back. A
// stamp from the future (a clock that was set back) counts: fail closed.
func since(log []int64, from int64) []int64 {
	return slices.DeleteFunc(log, func(at int64) bool { return at <= from })
}

func split(at string) []int64 {
	var log []int64
	for s := range strings.SplitSeq(at, ",") {
		if v, err := strconv.ParseInt(s, 10, 64); err == nil {
			log = append(log, v)
		}
	}
	return log
}

func join(log []int64) string {
	var b []byte
	for i, v := range log {
		if i > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendInt(b, v, 10)
	}
	return string(b)
}

// Tidy deletes logs that no longer count. It frees disk and decides nothing:
// every entry's age is checked where it is read.
func Tidy(tx *store.Tx) error {
	_, err := tx.Exec(`DELETE FROM tries WHERE expires_at < $1`, store.Micros(tx.Now().Add(-24*time.Hour)))
	return err
}
