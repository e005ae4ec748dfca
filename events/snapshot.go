package events

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"gatehouse/store"
)

// Snapshot says which of PostgreSQL's transactions were over at one moment: those
// below Next that are not Open. Whoever waited for another is in no snapshot
// without it. A horizon (the lowest open transaction) would not do: with a third
// one open between them, it shows the one that waited and hides the other.
type Snapshot struct {
	Next int64   // no transaction from here on had begun
	Open []int64 // those below Next that were not over, in order
}

// Has tells whether a transaction was over.
func (s Snapshot) Has(transaction int64) bool {
	if transaction >= s.Next {
		return false
	}
	_, open := slices.BinarySearch(s.Open, transaction)
	return !open
}

// String writes a snapshot as PostgreSQL does (pg_snapshot): lowest open, next, open.
func (s Snapshot) String() string {
	if s.Next == 0 {
		return ""
	}
	lowest := s.Next
	if len(s.Open) > 0 {
		lowest = s.Open[0]
	}
	return fmt.Sprintf("%d:%d:%s", lowest, s.Next, list(s.Open))
}

func list(numbers []int64) string {
	texts := make([]string, len(numbers))
	for i, n := range numbers {
		texts[i] = strconv.FormatInt(n, 10)
	}
	return strings.Join(texts, ",")
}

// array writes the open transactions as a bigint[] of PostgreSQL.
func (s Snapshot) array() string { return "{" + list(s.Open) + "}" }

var errSnapshot = errors.New("events: this is no snapshot of transactions")

// ParseSnapshot reads what String wrote; "" is the snapshot that has nothing.
func ParseSnapshot(text string) (s Snapshot, err error) {
	if text == "" {
		return s, nil
	}
	parts := strings.Split(text, ":")
	if len(parts) != 3 {
		return s, errSnapshot
	}
	lowest, err1 := number(parts[0])
	next, err2 := number(parts[1])
	if err1 != nil || err2 != nil || lowest > next || lowest < 1 {
		return s, errSnapshot
	}
	s.Next = next
	if parts[2] == "" {
		return s, nil
	}
	for part := range strings.SplitSeq(parts[2], ",") {
		n, err := number(part)
		if err != nil || n < lowest || n >= next || len(s.Open) > 0 && n <= s.Open[len(s.Open)-1] {
			return Snapshot{}, errSnapshot
		}
		s.Open = append(s.Open, n)
	}
	return s, nil
}

// number reads one as PostgreSQL writes it: digits alone, none too many.
func number(text string) (int64, error) {
	n, err := strconv.ParseInt(text, 10, 64)
	if err == nil && strconv.FormatInt(n, 10) != text {
		err = errSnapshot
	}
	return n, err
}

// snapshotOf is what tx sees; byTransaction is false where writers take turns and
// whatever is visible is complete.
func snapshotOf(tx *store.Tx) (s Snapshot, byTransaction bool, err error) {
	if _, byTransaction, err = tx.Horizon(); err != nil || !byTransaction {
		return s, byTransaction, err
	}
	var text string
	if err = tx.Row(`SELECT pg_current_snapshot()::text`).Scan(&text); err != nil {
		return s, true, err
	}
	s, err = ParseSnapshot(text)
	return s, true, err
}
