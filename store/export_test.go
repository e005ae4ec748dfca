package store

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
