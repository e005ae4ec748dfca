package outbox

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"gatehouse/id"
	"gatehouse/store"
)

type row struct {
	id                 id.Message
	kind               Kind
	account            id.Account
	lane               string
	payload            []byte
	made, due, expires time.Time
	tries              int
}

func insert(tx *store.Tx, m Message, sealed []byte, sentAt any) error {
	var account any
	if m.Account != "" {
		account = string(m.Account)
	}
	_, err := tx.Exec(`INSERT INTO outbox (id, kind, account, payload, made_at, due_at, expires_at, tries, sent_at, given_up, last_error, version, node, channel, lane)
		VALUES ($1, $2, $3, $4, $5, $6, $7, 0, $8, 0, '', 1, $9, $10, $11) ON CONFLICT (id) DO NOTHING`,
		string(m.ID), string(m.Kind), account, sealed, store.Micros(tx.Now()), store.Micros(m.Due), store.Micros(m.Expires), sentAt, string(tx.Node()),
		string(m.Kind.Channel()), m.Lane)
	return err
}

// lock has the takers of a channel take turns: two that looked at once could each
// take a message of the same lane.
func lock(tx *store.Tx, c Channel) error {
	_, err := tx.Exec(`INSERT INTO takings (channel, version, node) VALUES ($1, 1, $2)
		ON CONFLICT (channel) DO UPDATE SET version = takings.version + 1, node = excluded.node`, string(c), string(tx.Node()))
	return err
}

// open is what can still be sent; the index of open messages is chosen by it.
const open = `sent_at IS NULL AND given_up = 0`

// selectBusy lists the lanes of which somebody has a message in hand.
func selectBusy(tx *store.Tx, c Channel, databaseNow int64) ([]string, error) {
	return lanes(tx, `SELECT DISTINCT lane FROM outbox WHERE channel = $1 AND taken > $2 AND taken > 0 AND `+open, string(c), databaseNow)
}

// looked is how many messages are looked at to find lanes.
const looked = 512

// selectDue lists lanes of messages that are due after a time and up to another,
// longest due first, looking at so many messages.
func selectDue(tx *store.Tx, t *taking, after, upTo int64, look int) ([]string, error) {
	q := `SELECT lane, due_at FROM outbox WHERE channel = $1 AND due_at > $2 AND due_at <= $3 AND expires_at > $4 AND ` + open
	args := []any{string(t.Channel), after, upTo, store.Micros(t.now)}
	skip, args := without("lane", t.avoid, args)
	args = append(args, look)
	q += skip + ` ORDER BY due_at LIMIT ` + hole(args)
	args = append(args, t.room())
	return lanes(tx, `SELECT lane FROM (`+q+`) AS oldest GROUP BY lane ORDER BY MIN(due_at) LIMIT `+hole(args), args...)
}

func anyDue(tx *store.Tx, now time.Time, w Wish) (bool, error) {
	q := `SELECT lane FROM outbox WHERE channel = $1 AND due_at <= $2 AND expires_at > $2 AND ` + open
	args := []any{string(w.Channel), store.Micros(now)}
	if w.Backlog <= 0 {
		args = append(args, store.Micros(now.Add(-Fresh)))
		q += ` AND due_at > ` + hole(args)
	}
	skip, args := without("lane", w.Skip, args)
	found, err := lanes(tx, q+skip+` LIMIT 1`, args...)
	return len(found) > 0, err
}

// without leaves lanes out of a query.
func without(column string, avoid []string, args []any) (string, []any) {
	if len(avoid) == 0 {
		return "", args
	}
	holes := make([]string, len(avoid))
	for i, lane := range avoid {
		args = append(args, lane)
		holes[i] = hole(args)
	}
	return ` AND ` + column + ` NOT IN (` + strings.Join(holes, ", ") + `)`, args
}

// hole is the place of the last argument.
func hole(args []any) string { return "$" + strconv.Itoa(len(args)) }

func lanes(tx *store.Tx, query string, args ...any) ([]string, error) {
	rows, err := tx.Rows(query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []string
	for rows.Next() {
		var lane string
		if err := rows.Scan(&lane); err != nil {
			return nil, err
		}
		all = append(all, lane)
	}
	return all, rows.Err()
}

// selectLane reads the oldest messages of a lane that are due. The "+ 0" keeps the
// planner from walking the whole backlog by due_at.
func selectLane(tx *store.Tx, c Channel, lane string, now time.Time, limit int) ([]row, error) {
	rows, err := tx.Rows(`SELECT id, kind, COALESCE(account, ''), lane, payload, made_at, due_at, expires_at, tries FROM outbox
		WHERE channel = $1 AND lane = $2 AND due_at + 0 <= $3 AND expires_at > $3 AND `+open+` ORDER BY made_at, id LIMIT $4`+tx.ForUpdate(),
		string(c), lane, store.Micros(now), limit)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []row
	for rows.Next() {
		var r row
		var made, due, expires int64
		if err := rows.Scan(&r.id, &r.kind, &r.account, &r.lane, &r.payload, &made, &due, &expires, &r.tries); err != nil {
			return nil, err
		}
		r.made, r.due, r.expires = store.Time(made), store.Time(due), store.Time(expires)
		all = append(all, r)
	}
	return all, rows.Err()
}

// claim also moves due_at, for nodes of the release before, which know no other sign.
func claim(tx *store.Tx, messages []id.Message, now time.Time, databaseNow int64) error {
	in, args := list(messages, store.Micros(now.Add(Lease)), databaseNow+Lease.Microseconds(), string(tx.Node()))
	_, err := tx.Exec(`UPDATE outbox SET due_at = $1, taken = $2, tries = tries + 1, version = version + 1, node = $3 WHERE id IN (`+in+`)`, args...)
	return err
}

// list appends ids to the arguments of a statement and names their places.
func list(messages []id.Message, args ...any) (string, []any) {
	holes := make([]string, len(messages))
	for i, m := range messages {
		args = append(args, string(m))
		holes[i] = hole(args)
	}
	return strings.Join(holes, ", "), args
}

// inParts keeps statements to a bounded number of arguments.
func inParts(messages []id.Message, do func([]id.Message) error) error {
	for part := range slices.Chunk(messages, 100) {
		if err := do(part); err != nil {
			return err
		}
	}
	return nil
}

func release(tx *store.Tx, m Message) error {
	_, err := tx.Exec(`UPDATE outbox SET due_at = $2, taken = 0, tries = tries - 1, version = version + 1, node = $3
		WHERE id = $1 AND tries = $4 AND `+open, string(m.ID), store.Micros(m.Due), string(tx.Node()), m.Tries)
	return err
}

func markSent(tx *store.Tx, messages []id.Message, now time.Time) error {
	in, args := list(messages, store.Micros(now), []byte{}, string(tx.Node()))
	_, err := tx.Exec(`UPDATE outbox SET sent_at = $1, payload = $2, taken = 0, last_error = '', given_up = 0, version = version + 1, node = $3
		WHERE id IN (`+in+`) AND sent_at IS NULL`, args...)
	return err
}

func selectLife(tx *store.Tx, message id.Message) (expires time.Time, tries int, err error) {
	var until int64
	err = tx.Row(`SELECT expires_at, tries FROM outbox WHERE id = $1 AND sent_at IS NULL AND given_up = 0`+tx.ForUpdate(),
		string(message)).Scan(&until, &tries)
	return store.Time(until), tries, err
}

func postpone(tx *store.Tx, message id.Message, why Class, next time.Time) error {
	_, err := tx.Exec(`UPDATE outbox SET due_at = $2, taken = 0, last_error = $3, version = version + 1, node = $4 WHERE id = $1`,
		string(message), store.Micros(next), string(why), string(tx.Node()))
	return err
}

func giveUp(tx *store.Tx, message id.Message, why Class) error {
	_, err := tx.Exec(`UPDATE outbox SET given_up = 1, taken = 0, last_error = $2, payload = $3, version = version + 1, node = $4
		WHERE id = $1 AND sent_at IS NULL`, string(message), string(why), []byte{}, string(tx.Node()))
	return err
}

func selectExpired(tx *store.Tx, now time.Time, limit int) ([]Past, error) {
	rows, err := tx.Rows(`SELECT id, kind, COALESCE(account, ''), tries, last_error FROM outbox
		WHERE expires_at <= $1 AND sent_at IS NULL AND given_up = 0 ORDER BY id LIMIT $2`+tx.ForUpdate(), store.Micros(now), limit)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var past []Past
	for rows.Next() {
		var p Past
		if err := rows.Scan(&p.ID, &p.Kind, &p.Account, &p.Tries, &p.Why); err != nil {
			return nil, err
		}
		past = append(past, p)
	}
	return past, rows.Err()
}

func prune(tx *store.Tx, before time.Time) (int64, error) {
	return tx.Exec(`DELETE FROM outbox WHERE made_at < $1 AND (sent_at IS NOT NULL OR given_up = 1)`, store.Micros(before))
}

func oldestDue(tx *store.Tx, now time.Time) (time.Time, bool, error) {
	var due *int64
	err := tx.Row(`SELECT MIN(due_at) FROM outbox WHERE due_at <= $1 AND expires_at > $1 AND sent_at IS NULL AND given_up = 0`,
		store.Micros(now)).Scan(&due)
	if err != nil || due == nil {
		return time.Time{}, false, err
	}
	return store.Time(*due), true, nil
}
