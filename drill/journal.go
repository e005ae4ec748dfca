package drill

import (
	"slices"
	"sync"
	"time"
)

// Receipt is what a client was told: that it is signed in.
type Receipt struct {
	Session string // its id
	Account string
	Email   string
	Ticket  string
	Step    int64 // the code's time step, which must be used up from now on
	Code    string
	At      time.Time
	Ended   bool // told since that it is over
}

// Journal is the clients' own record of what they were told. It is written when
// an answer arrives and before anybody looks at the database.
type Journal struct {
	mu       sync.Mutex
	receipts []Receipt
	byID     map[string]int
	twice    int // a session id that was told to two attempts
}

func newJournal() *Journal { return &Journal{byID: map[string]int{}} }

// Told notes an acknowledged sign-in.
func (j *Journal) Told(r Receipt) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if _, known := j.byID[r.Session]; known {
		j.twice++
	}
	j.byID[r.Session] = len(j.receipts)
	j.receipts = append(j.receipts, r)
}

// EndedOf notes that every session of an account so far is over, on purpose.
func (j *Journal) EndedOf(account string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for i := range j.receipts {
		if j.receipts[i].Account == account {
			j.receipts[i].Ended = true
		}
	}
}

// Ended notes that one session is over.
func (j *Journal) Ended(session string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if i, ok := j.byID[session]; ok {
		j.receipts[i].Ended = true
	}
}

// All is a copy, oldest first.
func (j *Journal) All() []Receipt {
	j.mu.Lock()
	defer j.mu.Unlock()
	return slices.Clone(j.receipts)
}

// Since are those told at or after a time.
func (j *Journal) Since(t time.Time) (found []Receipt) {
	for _, r := range j.All() {
		if !r.At.Before(t) {
			found = append(found, r)
		}
	}
	return found
}

// last is the newest n living receipts.
func (j *Journal) last(n int) []Receipt {
	j.mu.Lock()
	defer j.mu.Unlock()
	var found []Receipt
	for i := len(j.receipts) - 1; i >= 0 && len(found) < n; i-- {
		if !j.receipts[i].Ended {
			found = append(found, j.receipts[i])
		}
	}
	return found
}

// Stored is what the database knows of the journal's sessions.
type Stored struct {
	Sessions map[string]bool  // id → it is there and was not ended
	Steps    map[string]int64 // account → the last time step used up
	SignIns  map[string]int   // session → how many sign-ins the log has for it
	Standby  map[string]bool  // session → the log says that it began on a standby
}

// Difference holds the journal against the database: what was acknowledged and is
// not there, and what happened twice.
func (j *Journal) Difference(s Stored) (lost, duplicates []string) {
	for _, r := range j.All() {
		switch {
		case r.Ended:
		case !s.Sessions[r.Session]:
			lost = append(lost, "session "+r.Session)
		case s.Steps[r.Account] < r.Step:
			lost = append(lost, "used-up code of session "+r.Session)
		}
		if s.SignIns[r.Session] == 0 {
			lost = append(lost, "event of session "+r.Session)
		}
	}
	for session, n := range s.SignIns {
		if n > 1 && session != "" {
			duplicates = append(duplicates, "sign-in of session "+session)
		}
	}
	for range j.twice {
		duplicates = append(duplicates, "a session told to two attempts")
	}
	slices.Sort(duplicates)
	return lost, duplicates
}
