package events

import (
	"errors"
	"math"
	"time"

	"gatehouse/id"
	"gatehouse/store"
)

// Place is how far a follower has read. Only its holder moves it, and only while
// nobody else has taken it: the token grows with every new holder.
//
// PostgreSQL shows transactions in the order of their commits, not of their
// positions: a lower position may appear after a higher one was read. So the log
// is read in windows: what the snapshot High has and Low has not, inside it in
// the order of positions. Transactions that waited for each other, as two that
// concern one account do, are read in the order in which they committed, and
// nobody waits for one that stays open. SQLite has one writer: there Position
// alone counts.
type Place struct {
	Name      string
	Low, High Snapshot
	Position  int64 // the last one read inside the window
	Token     int64
	Holder    id.Node
	Until     time.Time // end of the lease, on the database's clock
	History   string    // which history of the database it counts in

	version     int64 // of the row as we last saw it: a move that the database lost is noticed
	looked      bool  // first and last are known
	first, last int64 // lowest and highest position in the window; 0 and 0 in an empty one
}

// ErrFenced says that a place is no longer held: another node took it, or the
// database is not the one we knew. Whoever gets it begins again with Acquire.
var ErrFenced = errors.New("events: the place was taken by another holder, or the database has another history")

// At is the place after e has been handled, e being of the page read at p.
func (p Place) At(e Event) Place {
	p.Position = e.Position
	return p
}

// Free tells whether Acquire would succeed now, without asking for a lock.
func Free(tx *store.Tx, name string, holder id.Node, lease time.Duration) (bool, error) {
	p, err := selectPlace(tx, name, "")
	if errors.Is(err, store.ErrNoRows) {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	now, err := tx.DatabaseNow()
	return p.free(now, holder, lease), err
}

// free: a lease that ends further away than one can be given is of a database
// whose clock was set back since; it binds nobody.
func (p Place) free(now time.Time, holder id.Node, lease time.Duration) bool {
	return p.Holder == holder || !now.Before(p.Until) || p.Until.Sub(now) > 2*lease
}

// Acquire takes the place of a follower for as long as lease says, under a new
// token; ok is false while another node holds it. A follower that has no place
// yet begins at the start of the log.
func Acquire(tx *store.Tx, name string, holder id.Node, lease time.Duration) (p Place, ok bool, err error) {
	if err := insertPlace(tx, name); err != nil {
		return p, false, err
	}
	if p, err = selectPlace(tx, name, tx.ForUpdate()); err != nil {
		return p, false, err
	}
	now, err := tx.DatabaseNow()
	if err != nil || !p.free(now, holder, lease) {
		return p, false, err
	}
	if p, err = settle(tx, p); err != nil {
		return p, false, err
	}
	p.Token, p.Holder = p.Token+1, holder
	err = updatePlace(tx, &p, p.Token-1, now, now.Add(lease))
	return p, err == nil, err
}

// Move writes down how far a holder has read and renews its lease. In the
// transaction of what was done with the events, that was done once; ErrFenced
// means that nothing of this transaction may happen.
func Move(tx *store.Tx, p Place, lease time.Duration) (Place, error) {
	now, err := tx.DatabaseNow()
	if err != nil {
		return p, err
	}
	err = updatePlace(tx, &p, p.Token, now, now.Add(lease))
	return p, err
}

// Release lets go of a place, so that another node need not wait for the lease.
func Release(tx *store.Tx, p Place) error {
	err := updatePlace(tx, &p, p.Token, tx.Now(), time.UnixMicro(0))
	if errors.Is(err, ErrFenced) {
		return nil
	}
	return err
}

// Page returns up to limit events that follow p, in order, all of one window, and
// p in that window: Place.At tells where each leads. A place that went on to an
// empty window need not be written down.
func (l *Log) Page(tx *store.Tx, p Place, limit int) ([]Event, Place, error) {
	now, byTransaction, err := snapshotOf(tx)
	if err != nil {
		return nil, p, err
	}
	if !byTransaction {
		found, err := l.After(tx, p.Position, limit)
		return found, p, err
	}
	if err := sameHistory(tx, p, now); err != nil {
		return nil, p, err
	}
	found, p, err := l.window(tx, p, limit)
	if err == nil && len(found) == 0 {
		found, p, err = l.window(tx, p.Next(now), limit)
	}
	return found, p, err
}

// Next is the beginning of the window after p's, which has been read to its end.
func (p Place) Next(now Snapshot) Place {
	p.Low, p.High, p.Position, p.looked = p.High, now, 0, false
	return p
}

// Has tells whether an event written by a transaction lies in p's window, still
// unread.
func (p Place) Has(transaction, position int64) bool {
	return p.High.Has(transaction) && !p.Low.Has(transaction) && position > p.Position
}

func (l *Log) window(tx *store.Tx, p Place, limit int) (_ []Event, _ Place, err error) {
	if !p.looked {
		if p.first, p.last, err = selectBounds(tx, p); err != nil {
			return nil, p, err
		}
		p.looked = true
	}
	from := max(p.Position, p.first-1)
	if from >= p.last {
		return nil, p, nil
	}
	found, err := l.read(selectWindow(tx, p, from, limit))
	return found, p, err
}

// sameHistory finds out when the database is another than the one p counts in.
func sameHistory(tx *store.Tx, p Place, now Snapshot) error {
	history, err := tx.Incarnation()
	if err == nil && (history != p.History || now.Next < p.High.Next) {
		err = ErrFenced
	}
	return err
}

// settle makes a place count in the history this database has. In another one
// (restored) transactions have other numbers, so every place starts over by
// position. Nothing is left out; some events come twice.
func settle(tx *store.Tx, p Place) (Place, error) {
	now, byTransaction, err := snapshotOf(tx)
	if err != nil || !byTransaction {
		return p, err
	}
	history, err := tx.Incarnation()
	if err != nil {
		return p, err
	}
	if now.Next >= p.High.Next && (p.History == history || p.History == "") {
		p.History = history
		return p, nil
	}
	if err := startOver(tx, now, history); err != nil {
		return p, err
	}
	return selectPlace(tx, p.Name, tx.ForUpdate())
}

// never is the next try of what waits behind another parked event.
const never = math.MaxInt64

// Parked is an event that a follower could not handle, or one that waits behind it.
type Parked struct {
	Follower string
	Event    id.Event
	Position int64
	Lane     string
	Why      string // "" = waits behind another
	Tries    int
	Next     time.Time // of the next try; zero while it waits
	Since    time.Time
}

// Park puts an event aside. An empty why puts it behind what is parked of its
// lane already; otherwise it is tried again at next.
func Park(tx *store.Tx, p Parked) error {
	next, tries := int64(never), 0
	if p.Why != "" {
		next, tries = store.Micros(p.Next), 1
	}
	return insertParked(tx, p, next, tries)
}

// ParkedLanes lists the lanes of a follower in which something is parked.
func ParkedLanes(tx *store.Tx, follower string) (map[string]bool, error) {
	return selectLanes(tx, follower)
}

// LaneParked tells whether anything of a lane is parked.
func LaneParked(tx *store.Tx, follower, lane string) (bool, error) {
	return selectLaneParked(tx, follower, lane)
}

// DueParked lists up to limit parked events whose next try has come, each the
// first of its lane.
func DueParked(tx *store.Tx, follower string, now time.Time, limit int) ([]Parked, error) {
	return selectParked(tx, `WHERE follower = $1 AND next_at <= $2 ORDER BY next_at LIMIT $3`, follower, store.Micros(now), limit)
}

// ListParked lists parked events of a follower, "" being all of them, up to limit.
func ListParked(tx *store.Tx, follower string, limit int) ([]Parked, error) {
	return selectParked(tx, `WHERE follower = $1 OR $1 = '' ORDER BY follower, made_at, position LIMIT $2`, follower, limit)
}

// RetryParked has the first of every lane tried at once: of one follower and
// event, or of all where those are empty. It returns how many.
func RetryParked(tx *store.Tx, follower string, event id.Event, why string) (int64, error) {
	return hurryParked(tx, follower, event, why)
}

// Unpark forgets a parked event that has been handled; the next of its lane is due.
func Unpark(tx *store.Tx, p Parked) error {
	if err := deleteParked(tx, p.Follower, p.Event); err != nil {
		return err
	}
	return promoteParked(tx, p.Follower, p.Lane)
}

// Postpone writes down that a parked event failed again.
func Postpone(tx *store.Tx, p Parked, why string, next time.Time) error {
	return updateParked(tx, p, why, store.Micros(next))
}

// One returns one event by its id; false when there is none.
func (l *Log) One(tx *store.Tx, event id.Event) (Event, bool, error) {
	found, err := l.read(collect(tx, columns+`WHERE e.id = $1`, string(event)))
	if err != nil || len(found) == 0 {
		return Event{}, false, err
	}
	return found[0], true, nil
}

// Standing is a place as an operator wants to see it.
type Standing struct {
	Place
	Unread int64     // counted up to a bound
	Oldest time.Time // when the oldest unread event was made; zero when there is none
	Parked int64
	Held   bool // its lease runs
}

// Standings tells of every place, by name. It counts at most bound unread events of each.
func Standings(tx *store.Tx, bound int64) ([]Standing, error) {
	_, byTransaction, err := tx.Horizon()
	if err != nil {
		return nil, err
	}
	now, err := tx.DatabaseNow()
	if err != nil {
		return nil, err
	}
	all, err := selectPlaces(tx)
	for i := range all {
		s := &all[i]
		s.Held = now.Before(s.Until)
		if err == nil {
			err = countUnread(tx, s, byTransaction, bound)
		}
		if err == nil {
			s.Parked, err = countParked(tx, s.Name)
		}
	}
	return all, err
}
