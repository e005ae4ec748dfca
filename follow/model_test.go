package follow

import (
	"fmt"
	"testing"

	"gatehouse/events"
)

// The model is a place under a lease and two workers that share it, together
// with three transactions that write events, and everything that may happen
// between them in any order: a number is given out, an event written (and with it
// a position), a commit or a rollback; a worker acquires, reads, does what it is
// there for and moves the place, or stands still while its lease runs out. One
// that dies is one that stands still for ever: the other goes on.
// The second transaction and the third concern one account: the third takes its
// number when it likes, but writes only after the second is over.
//
// Every reachable state with one lost lease is visited. The rules of
// the database are modelled: what a snapshot shows, and that effect and place
// commit together under the token. Windows are modelled too, for speed, and held
// against the real events.Place below.

const writers, hands = 3, 2

type phase int8

const (
	idle phase = iota
	numbered
	wrote
	committed
	undone
)

type writer struct {
	phase            phase
	number, position int8
}

// row is the place as the database keeps it.
type row struct {
	low, high spot
	position  int8
	token     int8
	leased    bool // its lease runs
}

// spot is a snapshot in a form that can be compared.
type spot struct{ next, open int8 } // open: a bit for each transaction

type hand struct {
	holds bool
	token int8
	row   row  // the place as it was when acquired or moved last
	page  int8 // the writer whose event it has in hand, plus one
	at    row  // the place after that
	sent  bool // an Out has left the house, the place has not moved
}

type world struct {
	writers   [writers]writer
	number    int8 // the last one given out
	positions int8
	place     row
	hands     [hands]hand
	effects   [writers]int8 // how often the effect of an event happened
	order     [writers]int8 // the events in the order of their first effect
	done      int8
	taken     int8 // how often a lease ran out
}

func (s spot) real() events.Snapshot {
	r := events.Snapshot{Next: int64(s.next)}
	for n := int8(1); n < s.next; n++ {
		if s.open&(1<<n) != 0 {
			r.Open = append(r.Open, int64(n))
		}
	}
	return r
}

func (s spot) has(number int8) bool { return number < s.next && s.open&(1<<number) == 0 }

// has tells whether an event lies in the window and is unread: events.Place.Has.
func (r row) has(number, position int8) bool {
	return r.high.has(number) && !r.low.has(number) && position > r.position
}

func (r row) real() events.Place {
	return events.Place{Low: r.low.real(), High: r.high.real(), Position: int64(r.position)}
}

// now is the snapshot a reader of this moment gets.
func (w *world) now() spot {
	s := spot{next: w.number + 1}
	for _, t := range w.writers {
		if t.phase == numbered || t.phase == wrote {
			s.open |= 1 << t.number
		}
	}
	return s
}

// read finds the first event after r, going on to the next window when r's is
// read to its end: what events.Log.Page does.
func (w *world) read(r row) (found int8, at row) {
	if found = w.first(r); found < 0 {
		r.low, r.high, r.position = r.high, w.now(), 0
		found = w.first(r)
	}
	if found >= 0 {
		r.position = w.writers[found].position
	}
	return found, r
}

func (w *world) first(r row) int8 {
	best := int8(-1)
	for i, t := range w.writers {
		if t.phase == committed && r.has(t.number, t.position) && (best < 0 || t.position < w.writers[best].position) {
			best = int8(i)
		}
	}
	return best
}

// steps are all worlds that may follow.
func (w world) steps(out bool) (next []world) {
	for i := range w.writers {
		next = append(next, w.written(i)...)
	}
	for i := range w.hands {
		next = append(next, w.handled(i, out)...)
	}
	if w.place.leased && w.taken < 1 { // time passes
		n := w
		n.place.leased, n.taken = false, w.taken+1
		next = append(next, n)
	}
	return next
}

func (w world) written(i int) (next []world) {
	n := w
	t := &n.writers[i]
	switch w.writers[i].phase {
	case idle:
		n.number++
		t.number, t.phase = n.number, numbered
	case numbered:
		if i == 0 { // it writes no event: it stands open between the others
			t.phase = committed
			break
		}
		if before := w.writers[1].phase; i == 2 && before != committed && before != undone {
			return nil // it waits for the account's row
		}
		n.positions++
		t.position, t.phase = n.positions, wrote
	case wrote:
		t.phase = committed
		other := w
		other.writers[i].phase = undone
		if i != 1 {
			return []world{n} // one that may roll back is enough
		}
		return []world{n, other}
	default:
		return nil
	}
	return []world{n}
}

func (w world) handled(i int, out bool) (next []world) {
	h := w.hands[i]
	n := w
	me := &n.hands[i]
	switch {
	case !h.holds:
		if w.place.leased {
			return next
		}
		n.place.token++
		n.place.leased = true
		me.holds, me.token, me.row = true, n.place.token, n.place
	case h.page == 0:
		found, at := w.read(h.row)
		if me.row = at; found >= 0 {
			me.row, me.page, me.at = h.row, found+1, at
		} else if at == h.row {
			return next
		}
	case out && !h.sent: // it leaves the house, whoever holds the place by now
		n.happens(h.page - 1)
		me.sent = true
	case w.place.token != h.token: // fenced: nothing of its transaction happens
		*me = hand{}
	default:
		if !out {
			n.happens(h.page - 1)
		}
		n.place.low, n.place.high, n.place.position, n.place.leased = h.at.low, h.at.high, h.at.position, true
		me.row, me.page, me.sent = n.place, 0, false
	}
	return append(next, n)
}

func (w *world) happens(event int8) {
	if w.effects[event]++; w.effects[event] == 1 {
		w.order[w.done] = event
		w.done++
	}
}

// wrong says which promise a world breaks.
func (w world) wrong(out bool) string {
	for i, n := range w.effects {
		if n > 0 && w.writers[i].phase != committed {
			return fmt.Sprintf("the effect of event %d, which never happened", i)
		}
		if n > 1 && !out {
			return fmt.Sprintf("%d effects of event %d", n, i)
		}
	}
	before := false
	for _, e := range w.order[:w.done] {
		if e == 2 && !before && w.writers[1].phase == committed {
			return "an account's second event came before its first"
		}
		before = before || e == 1
	}
	return ""
}

// drained lets everything that is left be read by one worker alone.
func (w world) drained(out bool) world {
	w.hands = [hands]hand{}
	w.place.leased = false
	for range 20 {
		for _, n := range w.handled(0, out) {
			w = n
		}
	}
	return w
}

func TestTheModelsWindowsAreTheRealOnes(t *testing.T) {
	for low := range int8(16) {
		for high := range int8(16) {
			r := row{low: spot{3, low &^ 9}, high: spot{5, high << 1}, position: 2}
			for number := range int8(6) {
				for position := range int8(5) {
					if number > 0 && r.has(number, position) != r.real().Has(int64(number), int64(position)) {
						t.Fatalf("%+v, transaction %d, position %d", r, number, position)
					}
				}
			}
			next := r.real().Next(r.low.real())
			if next.Position != 0 || next.Low.String() != r.high.real().String() || next.High.String() != r.low.real().String() {
				t.Fatalf("the next window of %+v is %+v", r, next)
			}
		}
	}
}

func visit(out bool, check func(world) string) (seen map[world]bool, complaint string) {
	seen = map[world]bool{}
	todo := []world{{}}
	for len(todo) > 0 {
		w := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if seen[w] {
			continue
		}
		seen[w] = true
		if complaint = check(w); complaint != "" {
			return seen, fmt.Sprintf("%s: %+v", complaint, w)
		}
		todo = append(todo, w.steps(out)...)
	}
	return seen, ""
}

func TestNoOrderOfCommitsCrashesAndLostLeasesSkipsOrRepeatsAnEvent(t *testing.T) {
	for name, out := range map[string]bool{"in the transaction: exactly once": false, "out of the house: at least once": true} {
		t.Run(name, func(t *testing.T) {
			seen, complaint := visit(out, func(w world) string {
				if why := w.wrong(out); why != "" {
					return why
				}
				for _, t := range w.writers {
					if t.phase != committed && t.phase != undone {
						return ""
					}
				}
				end := w.drained(out)
				for i, t := range end.writers {
					if i > 0 && t.phase == committed && end.effects[i] == 0 {
						return fmt.Sprintf("event %d is never handled", i)
					}
				}
				return end.wrong(out)
			})
			if complaint != "" {
				t.Error(complaint)
			}
			t.Logf("%d states", len(seen))
			if len(seen) < 10_000 {
				t.Error("that is not every state")
			}
		})
	}
}
