package sessions

import (
	"encoding/json"
	"errors"
	"time"

	"gatehouse/id"
	"gatehouse/proof"
	"gatehouse/seal"
	"gatehouse/store"
)

// Seen is where a session was started from. It is personal data and sealed at rest.
type Seen struct {
	Network string `json:"network"` // IP address
	Agent   string `json:"agent"`   // User-Agent header, bounded by web
	Place   string `json:"place"`   // words, "" when not known
}

// Session is the row beside the ticket.
type Session struct {
	ID            id.Session
	Account       id.Account
	Attempt       id.Attempt
	Epoch         int64
	Device        id.Device
	Proofs        []proof.Proof
	Seen          Seen
	MadeAt        time.Time
	LastUsedAt    time.Time
	AbsoluteUntil time.Time
	EndedAt       time.Time // zero while it lives
	Standby       bool      // opened while the primary database was away (ByID and its like tell)
}

// Insert writes the row of a session that starts with ticket t. The unique
// attempt makes a second start of the same attempt a violation (store.IsUnique).
func Insert(tx *store.Tx, keys *seal.Keys, t Ticket, attempt id.Attempt, seen Seen) error {
	proofs, err := json.Marshal(t.Proofs)
	if err != nil {
		return err
	}
	where, err := json.Marshal(seen)
	if err != nil {
		return err
	}
	sealed, err := keys.Seal(seenPlace(t.Session), where)
	if err != nil {
		return err
	}
	standby := 0
	if tx.Standby() {
		standby = 1
	}
	_, err = tx.Exec(`INSERT INTO sessions (id, account, attempt, epoch, device, proofs, seen, made_at, last_used_at, absolute_until, ended_why, standby, version, node)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $8, $9, '', $10, 1, $11)`,
		t.Session, t.Account, attempt, t.Epoch, t.Device, string(proofs), sealed, store.Micros(t.MadeAt), store.Micros(t.AbsoluteUntil), standby, tx.Node())
	return err
}

const columns = `id, account, attempt, epoch, device, proofs, seen, made_at, last_used_at, absolute_until, COALESCE(ended_at, 0)`

// ByAttempt finds the session that an attempt opened: the answer to a double submit.
func ByAttempt(tx *store.Tx, keys *seal.Keys, attempt id.Attempt) (Session, bool, error) {
	s, err := scan(tx.Row(`SELECT `+columns+` FROM sessions WHERE attempt = $1`, attempt).Scan, keys)
	if errors.Is(err, store.ErrNoRows) {
		return Session{}, false, nil
	}
	return s, err == nil, err
}

// Lives tells whether a session of an account was not ended, as the database has
// it now: a change of rights does not rest on what this node has heard. A standby
// may not have heard of the session at all; then nothing speaks against its ticket
// but a revocation.
func Lives(tx *store.Tx, account id.Account, session id.Session) (bool, error) {
	var living, listed int64
	err := tx.Row(`SELECT COALESCE(SUM(CASE WHEN account = $2 AND ended_at IS NULL THEN 1 ELSE 0 END), 0) AS living, COUNT(*) AS listed FROM sessions WHERE id = $1`,
		session, account).Scan(&living, &listed)
	if err != nil || listed > 0 || !tx.Standby() {
		return living == 1, err
	}
	revoked, err := Revoked(tx, session)
	return !revoked, err
}

// Revoked tells whether a session was ended by its id, also where its row is not known.
func Revoked(tx *store.Tx, session id.Session) (bool, error) {
	var n int64
	err := tx.Row(`SELECT COUNT(*) FROM revocations WHERE kind = $1 AND subject = $2`, OfSession, session).Scan(&n)
	return n > 0, err
}

// Live lists the sessions of an account that are neither ended nor past their
// absolute end, newest first. Idle ones are listed until then: their tickets are
// dead already, and saying so is better than hiding them; idleBefore filters.
func Live(tx *store.Tx, keys *seal.Keys, account id.Account, epoch int64, now time.Time, idle time.Duration) ([]Session, error) {
	rows, err := tx.Rows(`SELECT `+columns+` FROM sessions
		WHERE account = $1 AND ended_at IS NULL AND absolute_until > $2 AND last_used_at > $3 AND epoch >= $4
		ORDER BY made_at DESC LIMIT 200`, account, store.Micros(now), store.Micros(now.Add(-idle-flushSlack)), epoch)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []Session
	for rows.Next() {
		s, err := scan(rows.Scan, keys)
		if err != nil {
			return nil, err
		}
		all = append(all, s)
	}
	return all, rows.Err()
}

// flushSlack is how far last_used_at in the row may lag behind the ticket.
const flushSlack = time.Minute

func scan(read func(...any) error, keys *seal.Keys) (Session, error) {
	var s Session
	var proofs string
	var seen []byte
	var made, used, until, ended int64
	if err := read(&s.ID, &s.Account, &s.Attempt, &s.Epoch, &s.Device, &proofs, &seen, &made, &used, &until, &ended); err != nil {
		return s, err
	}
	s.MadeAt, s.LastUsedAt, s.AbsoluteUntil = store.Time(made), store.Time(used), store.Time(until)
	if ended != 0 {
		s.EndedAt = store.Time(ended)
	}
	where, err := keys.Open(seenPlace(s.ID), seen)
	if err != nil {
		return s, err
	}
	return s, errors.Join(json.Unmarshal([]byte(proofs), &s.Proofs), json.Unmarshal(where, &s.Seen))
}

func seenPlace(s id.Session) seal.Place {
	return seal.Place{Table: "sessions", Row: string(s), Column: "seen"}
}

// End ends one session of an account and records its revocation; nil when it was
// over already or belongs to somebody else. A denial holds also for a session that
// this database has not heard of, because another node opened it in the dark: until
// is how long a ticket of it may last.
func End(tx *store.Tx, account id.Account, session id.Session, until time.Time, why string) (*Revocation, error) {
	var absolute int64
	err := tx.Row(`UPDATE sessions SET ended_at = $1, ended_why = $2, version = version + 1, node = $3
		WHERE id = $4 AND account = $5 AND ended_at IS NULL RETURNING absolute_until`,
		store.Micros(tx.Now()), why, tx.Node(), session, account).Scan(&absolute)
	if errors.Is(err, store.ErrNoRows) {
		return endUnheard(tx, session, until)
	}
	if err != nil {
		return nil, err
	}
	r := Revocation{Kind: OfSession, Subject: string(session), Until: store.Time(absolute), MadeAt: tx.Now()}
	return &r, revoke(tx, r)
}

// endUnheard revokes a session of which there is no row. Whose it is cannot be
// looked up; its id, which nobody else is told, has to do.
func endUnheard(tx *store.Tx, session id.Session, until time.Time) (*Revocation, error) {
	var listed int64
	if err := tx.Row(`SELECT COUNT(*) FROM sessions WHERE id = $1`, session).Scan(&listed); err != nil || listed > 0 {
		return nil, err
	}
	if revoked, err := Revoked(tx, session); err != nil || revoked {
		return nil, err
	}
	r := Revocation{Kind: OfSession, Subject: string(session), Until: until, MadeAt: tx.Now()}
	return &r, revoke(tx, r)
}

// EndAll ends every session of an account older than epoch (which the caller has
// just raised), listed or not, and counts the listed ones. absolute is the longest
// life a ticket can have.
func EndAll(tx *store.Tx, account id.Account, epoch int64, absolute time.Duration, why string) (r Revocation, ended int64, err error) {
	now := tx.Now()
	r = Revocation{Kind: OfAccount, Subject: string(account), Epoch: epoch, Until: now.Add(absolute), MadeAt: now}
	ended, err = tx.Exec(`UPDATE sessions SET ended_at = $1, ended_why = $2, version = version + 1, node = $3
		WHERE account = $4 AND epoch < $5 AND ended_at IS NULL AND absolute_until > $1`, store.Micros(now), why, tx.Node(), account, epoch)
	if err != nil {
		return r, ended, err
	}
	return r, ended, revoke(tx, r)
}

func revoke(tx *store.Tx, r Revocation) error {
	tx.Through()
	_, err := tx.Exec(`INSERT INTO revocations (kind, subject, epoch, until, made_at, version, node) VALUES ($1, $2, $3, $4, $5, 1, $6)
		ON CONFLICT (kind, subject) DO UPDATE SET
			epoch = CASE WHEN excluded.epoch > revocations.epoch THEN excluded.epoch ELSE revocations.epoch END,
			until = CASE WHEN excluded.until > revocations.until THEN excluded.until ELSE revocations.until END,
			made_at = excluded.made_at, version = revocations.version + 1, node = excluded.node`,
		r.Kind, r.Subject, r.Epoch, store.Micros(r.Until), store.Micros(r.MadeAt), tx.Node())
	return err
}

// Revocations reads what was revoked since a moment and still matters. Callers
// overlap the windows: another node's clock and open transactions may lag.
func Revocations(tx *store.Tx, since time.Time) ([]Revocation, error) {
	rows, err := tx.Rows(`SELECT kind, subject, epoch, until, made_at FROM revocations WHERE made_at >= $1 AND until > $2`,
		store.Micros(since), store.Micros(tx.Now()))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []Revocation
	for rows.Next() {
		var r Revocation
		var until, made int64
		if err := rows.Scan(&r.Kind, &r.Subject, &r.Epoch, &until, &made); err != nil {
			return nil, err
		}
		r.Until, r.MadeAt = store.Time(until), store.Time(made)
		all = append(all, r)
	}
	return all, rows.Err()
}

// Touch writes when sessions were last used; a display, so it may come late.
func Touch(tx *store.Tx, used map[id.Session]time.Time) error {
	for s, at := range used {
		if _, err := tx.Exec(`UPDATE sessions SET last_used_at = $1 WHERE id = $2 AND last_used_at < $1`, store.Micros(at), s); err != nil {
			return err
		}
	}
	return nil
}

// Tidy deletes revocations and sessions that have been over for a month. It
// frees disk and decides nothing.
func Tidy(tx *store.Tx) error {
	month := store.Micros(tx.Now().AddDate(0, -1, 0))
	if _, err := tx.Exec(`DELETE FROM revocations WHERE until < $1`, month); err != nil {
		return err
	}
	_, err := tx.Exec(`DELETE FROM sessions WHERE absolute_until < $1`, month)
	return err
}
