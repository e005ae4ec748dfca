// Package drill replays outages: it runs real Gatehouse processes on a real
// PostgreSQL server, puts load on them, breaks something, and says what people
// would have noticed. DESIGN §2 is what a drill holds the program to; the list of
// drills is in list.go.
//
// A drill believes nobody. What the clients were told stands in a journal of
// their own (journal.go), which is held against the database afterwards; an
// attacker (attacker.go) tries all the while what must never work; and a drill
// whose fault did not take has failed, whatever else it saw.
package drill
