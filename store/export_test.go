package store

import "fmt"

// AddMigration pretends that this program is of a later release.
func (s *Store) AddMigration(version int64, name, sql string) {
	s.migrations = append(s.migrations[:len(s.migrations):len(s.migrations)], migration{version, name, sql})
}

// Queued counts who waits for a connection, or on SQLite for the writer.
func (s *Store) Queued() int {
	if g := s.foreground.write.gate; g != nil {
		return g.waiting()
	}
	return 0
}

// LimitJournal lets the journal grow by so many bytes more, like a disk that is
// full after them.
func (s *Store) LimitJournal(more int64) error {
	db := s.standby.journal.db
	var pages, size int64
	if err := db.QueryRow("PRAGMA page_count").Scan(&pages); err != nil {
		return err
	}
	if err := db.QueryRow("PRAGMA page_size").Scan(&size); err != nil {
		return err
	}
	var now int64
	return db.QueryRow(fmt.Sprintf("PRAGMA max_page_count = %d", pages+more/size)).Scan(&now)
}

// JournalLines counts every entry of the journal, handed over or not.
func (s *Store) JournalLines() (n int64) {
	if err := s.standby.journal.db.QueryRow("SELECT COUNT(*) FROM entries").Scan(&n); err != nil {
		return -1
	}
	return n
}
