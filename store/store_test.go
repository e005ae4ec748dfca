package store_test

import (
	"testing"

	"gatehouse/store"
	"gatehouse/store/storetest"
)

func TestFirst(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		if err := s.SeenNow(t.Context()); err != nil {
			t.Fatal(err)
		}
		at, err := s.Floor(t.Context())
		t.Log(at, err)
		st, err := s.Status(t.Context())
		t.Log(st, err)
	})
}
