package authenticators

import (
	"sync"

	"gatehouse/authenticators/argon2id"
)

// spare keeps the memory of hashes that are done for those to come, no more of
// them than ever ran at once.
type spare struct {
	mu   sync.Mutex
	kept []*argon2id.Memory
	used bool // since the last rest
}

func (s *spare) take() *argon2id.Memory {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.used = true
	if len(s.kept) == 0 {
		return new(argon2id.Memory)
	}
	last := len(s.kept) - 1
	m := s.kept[last]
	s.kept = s.kept[:last]
	return m
}

func (s *spare) put(m *argon2id.Memory) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.kept = append(s.kept, m)
}

func (s *spare) rest() (freed int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.used {
		s.used = false
		return 0
	}
	for _, m := range s.kept {
		freed += m.Size()
	}
	s.kept = nil
	return freed
}

// Rest lets go of the memory of past hashes when none began since the last call,
// and says how many bytes that was: call it now and then, so that a quiet server
// is a small one.
func (h *Hasher) Rest() (freed int64) { return h.memory.rest() }
