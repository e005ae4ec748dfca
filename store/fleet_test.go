package store_test

import (
	"testing"
	"time"

	"gatehouse/store"
	"gatehouse/store/storetest"
)

func TestNodesAreListedWhileTheyAreAlive(t *testing.T) {
	clock := storetest.NewClock()
	storetest.EachWith(t, func(o *store.Options) { o.Now = clock.Now }, func(t *testing.T, s *store.Store) {
		must(t, s.SeenNow(t.Context()))
		alive, err := s.Nodes(t.Context(), clock.Now().Add(-time.Minute))
		must(t, err)
		if len(alive) != 1 || alive[0].Node != storetest.Node || !alive[0].At.Equal(clock.Now()) || alive[0].Program == "" {
			t.Errorf("%+v", alive)
		}
		alive, err = s.Nodes(t.Context(), clock.Now().Add(time.Second))
		must(t, err)
		if len(alive) != 0 {
			t.Errorf("long gone: %+v", alive)
		}
		if s.Schema() < 3 {
			t.Errorf("schema %d", s.Schema())
		}
	})
}
