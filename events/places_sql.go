package events

import (
	"time"

	"gatehouse/id"
	"gatehouse/store"
)

const placeColumns = `SELECT name, low, high, position, incarnation, token, holder, lease_until, version FROM places `

func insertPlace(tx *store.Tx, name string) error {
	_, err := tx.Exec(`INSERT INTO places (name, low, high, position, incarnation, token, holder, lease_until, moved_at, version, node)
		VALUES ($1, '', '', 0, '', 0, '', 0, $2, 1, $3) ON CONFLICT (name) DO NOTHING`, name, store.Micros(tx.Now()), string(tx.Node()))
	return err
}

func selectPlace(tx *store.Tx, name, lock string) (p Place, err error) {
	all, err := collectPlaces(tx, placeColumns+`WHERE name = $1`+lock, name)
	if err == nil && len(all) == 0 {
		err = store.ErrNoRows
	}
	if err != nil {
		return p, err
	}
	return all[0].Place, nil
}

func selectPlaces(tx *store.Tx) ([]Standing, error) {
	return collectPlaces(tx, placeColumns+`ORDER BY name`)
}

func collectPlaces(tx *store.Tx, query string, args ...any) ([]Standing, error) {
	rows, err := tx.Rows(query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []Standing
	for rows.Next() {
		var s Standing
		if err := s.scan(rows); err != nil {
			return nil, err
		}
		all = append(all, s)
	}
	return all, rows.Err()
}

func (s *Standing) scan(rows *store.Rows) (err error) {
	var low, high string
	var until int64
	if err = rows.Scan(&s.Name, &low, &high, &s.Position, &s.History, &s.Token, &s.Holder, &until, &s.version); err != nil {
		return err
	}
	s.Until = store.Time(until)
	if s.Low, err = ParseSnapshot(low); err != nil {
		return err
	}
	s.High, err = ParseSnapshot(high)
	return err
}

// updatePlace writes p where token and version are still those p was read with.
func updatePlace(tx *store.Tx, p *Place, token int64, now, until time.Time) error {
	n, err := tx.Exec(`UPDATE places SET low = $1, high = $2, position = $3, incarnation = $4, token = $5, holder = $6, lease_until = $7,
		moved_at = $8, version = version + 1, node = $9 WHERE name = $10 AND token = $11 AND version = $12`,
		p.Low.String(), p.High.String(), p.Position, p.History, p.Token, string(p.Holder), store.Micros(until),
		store.Micros(now), string(tx.Node()), p.Name, token, p.version)
	if err == nil && n == 0 {
		err = ErrFenced
	}
	p.version, p.Until = p.version+1, until
	return err
}

// startOver has every place read again from some positions back, because those
// cannot tell which transactions below them were still open. Events with a number
// that has not been given out here have it from the old history; they count as over.
func startOver(tx *store.Tx, now Snapshot, history string) error {
	_, err := tx.Exec(`UPDATE places SET position = CASE WHEN position > $1 THEN position - $1 ELSE 0 END, low = '', high = $2,
		incarnation = $3, token = token + 1, version = version + 1, node = $4`, int64(back), now.String(), history, string(tx.Node()))
	if err != nil {
		return err
	}
	lowest := append(now.Open, now.Next)[0]
	_, err = tx.Exec(`UPDATE events SET xid = 0 WHERE xid >= $1`, lowest)
	return err
}

// back is more positions than are given out while one transaction can be open.
const back = 10_000

// countUnread counts up to bound.
func countUnread(tx *store.Tx, s *Standing, byTransaction bool, bound int64) error {
	q := `SELECT made_at FROM events WHERE position > $1 LIMIT $2`
	args := []any{s.Position, bound}
	if byTransaction {
		q = `SELECT made_at FROM events WHERE (xid >= $1 OR xid = ANY($2::bigint[]))
			AND NOT (xid < $3 AND NOT xid = ANY($4::bigint[]) AND position <= $5) LIMIT $6`
		args = []any{s.Low.Next, s.Low.array(), s.High.Next, s.High.array(), s.Position, bound}
	}
	var oldest int64
	err := tx.Row(`SELECT COUNT(*), COALESCE(MIN(made_at), 0) FROM (`+q+`) AS unread`, args...).Scan(&s.Unread, &oldest)
	if s.Unread > 0 {
		s.Oldest = store.Time(oldest)
	}
	return err
}

// inWindow chooses what High has and Low has not, through the index of
// transactions; it is PostgreSQL's alone.
const inWindow = `(xid >= $1 OR xid = ANY($2::bigint[])) AND xid < $3 AND NOT xid = ANY($4::bigint[])`

// selectBounds finds the ends of a window: the "+ 0" keeps the planner from
// walking the whole log by position instead.
func selectBounds(tx *store.Tx, p Place) (first, last int64, err error) {
	err = tx.Row(`SELECT COALESCE(MIN(position + 0), 0), COALESCE(MAX(position + 0), 0) FROM events WHERE `+inWindow,
		p.Low.Next, p.Low.array(), p.High.Next, p.High.array()).Scan(&first, &last)
	return first, last, err
}

func selectWindow(tx *store.Tx, p Place, from int64, limit int) ([]row, error) {
	return collect(tx, columns+`WHERE `+inWindow+` AND e.position > $5 AND e.position <= $6 ORDER BY e.position LIMIT $7`,
		p.Low.Next, p.Low.array(), p.High.Next, p.High.array(), from, p.last, limit)
}

func insertParked(tx *store.Tx, p Parked, next int64, tries int) error {
	_, err := tx.Exec(`INSERT INTO parked (follower, event, position, lane, why, tries, next_at, made_at, version, node)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 1, $9) ON CONFLICT (follower, event) DO NOTHING`,
		p.Follower, string(p.Event), p.Position, p.Lane, p.Why, tries, next, store.Micros(tx.Now()), string(tx.Node()))
	return err
}

func selectLanes(tx *store.Tx, follower string) (map[string]bool, error) {
	rows, err := tx.Rows(`SELECT DISTINCT lane FROM parked WHERE follower = $1`, follower)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	lanes := map[string]bool{}
	for rows.Next() {
		var lane string
		if err := rows.Scan(&lane); err != nil {
			return nil, err
		}
		lanes[lane] = true
	}
	return lanes, rows.Err()
}

func selectLaneParked(tx *store.Tx, follower, lane string) (bool, error) {
	var n int64
	err := tx.Row(`SELECT COUNT(*) FROM (SELECT 1 FROM parked WHERE follower = $1 AND lane = $2 LIMIT 1) AS one`, follower, lane).Scan(&n)
	return n > 0, err
}

func selectParked(tx *store.Tx, where string, args ...any) ([]Parked, error) {
	rows, err := tx.Rows(`SELECT follower, event, position, lane, why, tries, next_at, made_at FROM parked `+where, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []Parked
	for rows.Next() {
		var p Parked
		var next, since int64
		if err := rows.Scan(&p.Follower, &p.Event, &p.Position, &p.Lane, &p.Why, &p.Tries, &next, &since); err != nil {
			return nil, err
		}
		if next != never {
			p.Next = store.Time(next)
		}
		p.Since = store.Time(since)
		all = append(all, p)
	}
	return all, rows.Err()
}

func hurryParked(tx *store.Tx, follower string, event id.Event, why string) (int64, error) {
	return tx.Exec(`UPDATE parked SET next_at = 0, version = version + 1, node = $1
		WHERE next_at < $2 AND (follower = $3 OR $3 = '') AND (event = $4 OR $4 = '') AND (why = $5 OR $5 = '')`,
		string(tx.Node()), int64(never), follower, string(event), why)
}

func deleteParked(tx *store.Tx, follower string, event id.Event) error {
	_, err := tx.Exec(`DELETE FROM parked WHERE follower = $1 AND event = $2`, follower, string(event))
	return err
}

func promoteParked(tx *store.Tx, follower, lane string) error {
	_, err := tx.Exec(`UPDATE parked SET next_at = 0, version = version + 1, node = $1 WHERE follower = $2 AND event =
		(SELECT event FROM parked WHERE follower = $2 AND lane = $3 ORDER BY made_at, position LIMIT 1)`,
		string(tx.Node()), follower, lane)
	return err
}

func updateParked(tx *store.Tx, p Parked, why string, next int64) error {
	_, err := tx.Exec(`UPDATE parked SET why = $1, next_at = $2, tries = tries + 1, version = version + 1, node = $3
		WHERE follower = $4 AND event = $5`, why, next, string(tx.Node()), p.Follower, string(p.Event))
	return err
}

func countParked(tx *store.Tx, follower string) (n int64, err error) {
	err = tx.Row(`SELECT COUNT(*) FROM parked WHERE follower = $1`, follower).Scan(&n)
	return n, err
}
