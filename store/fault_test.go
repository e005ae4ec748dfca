package store_test

import (
	"errors"
	"slices"
	"testing"

	"gatehouse/fault"
	"gatehouse/store"
	"gatehouse/store/storetest"
)

func TestAFaultOnPurposeIsAnOutageAtItsPoint(t *testing.T) {
	for _, row := range []struct {
		point string
		kept  bool
	}{{store.FaultBefore, false}, {store.FaultCommit, false}, {store.FaultAfter, true}} {
		t.Run(row.point, func(t *testing.T) {
			var seen []string
			armed := false
			storetest.EachWith(t, func(o *store.Options) {
				o.Fault = func(point string) error {
					if !armed {
						return nil
					}
					if seen = append(seen, point); point == row.point {
						return errors.New("broken on purpose")
					}
					return nil
				}
			}, func(t *testing.T, s *store.Store) {
				seen, armed = nil, true
				err := s.Do(t.Context(), func(tx *store.Tx) error { return put(tx, "n") })
				armed = false
				wantCode(t, err, fault.Unavailable)
				if want := []string{store.FaultBefore, store.FaultCommit, store.FaultAfter}; !slices.Equal(seen, want[:len(seen)]) || seen[len(seen)-1] != row.point {
					t.Errorf("asked at %q", seen)
				}
				var n int
				must(t, s.Read(t.Context(), func(tx *store.Tx) error { return tx.Row(`SELECT COUNT(*) FROM nodes WHERE id = 'n'`).Scan(&n) }))
				if (n == 1) != row.kept {
					t.Errorf("%d rows", n)
				}
			})
		})
	}
}
