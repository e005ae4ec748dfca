package store

import (
	"context"
	"fmt"
	"slices"
)

// mostDifferences bounds what Compare tells: after a few the rest says no more.
const mostDifferences = 20

// Compare reads every table of the standby beside the primary's and names rows
// that differ. It is for a quiet moment or for one with all followed: a row that
// is being written may be named although the next round brings it. nil where
// there is no standby.
func (s *Store) Compare(ctx context.Context) (differences []string, err error) {
	sb := s.standby
	if sb == nil {
		return nil, nil
	}
	sb.turn.Lock()
	defer sb.turn.Unlock()
	if err := sb.feed(ctx, nil); err != nil {
		return nil, err
	}
	for _, table := range fedTables() {
		here, err := sb.all(ctx, sb.copy, table)
		if err != nil {
			return nil, err
		}
		there, err := sb.all(ctx, s, table)
		if err != nil {
			return nil, err
		}
		differences = append(differences, differ(table, here, there)...)
		if len(differences) >= mostDifferences {
			return differences[:mostDifferences], nil
		}
	}
	return differences, nil
}

// all reads a table as texts by key. Columns that the feed does not follow by
// design are left out.
func (sb *standby) all(ctx context.Context, from *Store, table string) (map[string]string, error) {
	found := map[string]string{}
	err := from.runCall(ctx, from.background.read, from.newCall(resyncTime), func(tx *Tx) error {
		clear(found)
		rows, err := tx.collect("SELECT * FROM " + table)
		for _, r := range rows {
			for _, c := range notFollowed[table] {
				delete(r, c)
			}
			found[nameOf(table, r)] = textOf(r)
		}
		return err
	})
	return found, err
}

// notFollowed are columns whose changes alone reach the standby late or never.
var notFollowed = map[string][]string{"sessions": {"last_used_at"}, "devices": {"last_seen_at"}}

func nameOf(table string, r row) string {
	name := table
	for _, k := range keys[table] {
		name += fmt.Sprintf(" %v", r[k])
	}
	return name
}

func textOf(r row) string {
	var b []byte
	for _, c := range sortedColumns(r) {
		b = fmt.Appendf(b, "%s=%v\n", c, r[c])
	}
	return string(b)
}

func differ(table string, here, there map[string]string) []string {
	var all []string
	for name, text := range there {
		switch mine, found := here[name]; {
		case !found:
			all = append(all, name+" is not on the standby")
		case mine != text:
			all = append(all, name+" differs on the standby")
		}
	}
	for name := range here {
		if _, found := there[name]; !found {
			all = append(all, name+" is on the standby only")
		}
	}
	slices.Sort(all)
	return all
}
