package store

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// joining says how a row that a standby wrote joins the row the primary has under
// the same key: column by column, so that the order of hand-overs does not
// matter and doing it twice changes nothing. A column that is not named keeps
// what the primary has.
type joining struct {
	leave   bool              // never handed over: it is the node's own affair
	once    bool              // what is there stays; a new row is written
	present bool              // a standby never makes such a row: one that is not there was taken away, and stays so
	claim   string            // the column that says who used a one-time thing
	columns map[string]joiner // how the others join
}

// joiner makes one value of the primary's and the standby's.
type joiner func(has, comes any) any

// merges is the one list of written rules (DESIGN §5). Denials merge by union.
var merges = map[string]joining{
	"events":         {once: true},
	"outbox":         {once: true},
	"account_keys":   {once: true},
	"sessions":       {columns: map[string]joiner{"last_used_at": highest, "ended_at": present, "ended_why": present}},
	"revocations":    {columns: map[string]joiner{"epoch": highest, "until": highest, "made_at": highest}},
	"totp_used":      {claim: "used_by"},
	"totp":           {present: true, columns: map[string]joiner{"last_step": highest, "last_used_at": highest}},
	"credentials":    {present: true, columns: map[string]joiner{"counter": highest, "last_used_at": highest, "state": present}},
	"recovery_codes": {present: true, claim: "spent_by", columns: map[string]joiner{"spent_at": present, "spent_by": present}},
	"tries":          {columns: map[string]joiner{"at": union, "expires_at": highest}},
	"devices":        {columns: map[string]joiner{"last_seen_at": highest}},
	"accounts":       {present: true, columns: map[string]joiner{"status": stricter, "epoch": highest}},
	"passwords":      {present: true, columns: map[string]joiner{"must_change": present}},
	"links":          {present: true, columns: map[string]joiner{"spent_at": present, "spent_by": present}}, // whoever is kept out: their links are too
	"canaries":       {columns: map[string]joiner{"at": highest, "attempt": latest}},
	"nodes":          {leave: true},
}

func highest(has, comes any) any {
	a, _ := has.(int64)
	b, is := comes.(int64)
	if is && (b > a || has == nil) {
		return b
	}
	return has
}

// present keeps what the primary has, and takes what it lacks.
func present(has, comes any) any {
	if has == nil || has == "" {
		return comes
	}
	return has
}

func latest(_, comes any) any { return comes }

// severity orders what an account may be denied.
var severity = map[string]int{"invited": 0, "active": 1, "locked": 2, "disabled": 3}

func stricter(has, comes any) any {
	a, _ := has.(string)
	b, _ := comes.(string)
	if severity[b] > severity[a] {
		return b
	}
	return has
}

// union joins two lists of tries, which are numbers between commas. Tries of one
// microsecond are counted: as many as the list that has more of them. A negative
// number is a try that a standby gave back: it takes its own out, and goes.
func union(has, comes any) any {
	here, there := tallied(has), tallied(comes)
	for at, n := range there {
		here[at] = max(here[at], n)
	}
	for at, n := range here {
		if at < 0 {
			here[-at] = max(0, here[-at]-n)
			delete(here, at)
		}
	}
	var all []string
	for _, at := range slices.Sorted(maps.Keys(here)) {
		all = append(all, slices.Repeat([]string{strconv.FormatInt(at, 10)}, here[at])...)
	}
	return strings.Join(all, ",")
}

// tallied counts the numbers of a list.
func tallied(list any) map[int64]int {
	all := map[int64]int{}
	text, _ := list.(string)
	for part := range strings.SplitSeq(text, ",") {
		if n, err := strconv.ParseInt(part, 10, 64); err == nil {
			all[n]++
		}
	}
	return all
}

// notHanded are columns that a database gives itself.
var notHanded = map[string][]string{"events": {"position", "xid"}}

// UsedTwice is the rule of a one-time thing that two attempts used up.
const UsedTwice = "used-twice"

// apply joins one image with what this database has; found tells of a one-time
// thing that somebody else has used.
func (t *Tx) apply(img Image) (found *Conflict, err error) {
	rule, known := merges[img.Table]
	if rule.leave {
		return nil, nil
	}
	if img.Deleted || !known {
		return nil, t.applyUnknown(img, known)
	}
	has, err := t.columns(img.Table)
	if err != nil {
		return nil, err
	}
	comes, err := img.row(has)
	if err != nil {
		return nil, err
	}
	for _, c := range notHanded[img.Table] {
		delete(comes, c)
	}
	if err := img.isOf(comes); err != nil {
		return nil, err
	}
	here, err := t.row(img.Table, img.Key)
	switch {
	case err != nil, here == nil && rule.present:
		return nil, err
	case here == nil:
		return nil, t.insertNew(img, comes)
	case rule.once:
		return nil, nil
	}
	found = rule.conflict(img, here, comes)
	return found, t.join(img, rule, here, comes)
}

// applyUnknown refuses what no standby of a known release writes: a row taken
// away, or a table without a rule.
func (t *Tx) applyUnknown(img Image, known bool) error {
	if img.Deleted && known { // tidying: the primary tidies for itself
		return nil
	}
	return fmt.Errorf("store: no rule for handing over a row of %q", img.Table)
}

// insertNew writes a row the primary does not have. Another row with the same
// unique fact under another key (a session of the same attempt) wins.
func (t *Tx) insertNew(img Image, r row) error {
	if img.Table == "sessions" {
		taken, err := t.collect("SELECT id FROM sessions WHERE attempt = $1", r["attempt"])
		if err != nil || len(taken) > 0 {
			return err
		}
	}
	return t.put(img.Table, r)
}

// conflict compares who used up a one-time thing.
func (m joining) conflict(img Image, here, comes row) *Conflict {
	if m.claim == "" {
		return nil
	}
	kept, _ := here[m.claim].(string)
	lost, _ := comes[m.claim].(string)
	if kept == "" || lost == "" || kept == lost || kept == elsewhere || lost == elsewhere {
		return nil
	}
	return &Conflict{Table: img.Table, Key: img.Key, Rule: UsedTwice, Kept: kept, Lost: lost}
}

// join writes the columns whose joint value is another than the one that is there.
// A row that only the standby sees otherwise is written all the same: so the feed
// carries it, and the copy takes over what the primary keeps.
func (t *Tx) join(img Image, m joining, here, comes row) error {
	set := row{}
	for c, with := range m.columns {
		v, given := comes[c]
		if !given {
			continue
		}
		if joint := with(here[c], v); !reflect.DeepEqual(joint, here[c]) { // forged ones may hold bytes, which == does not take
			set[c] = joint
		}
	}
	if version, has := here["version"].(int64); has && (len(set) > 0 || differs(here, comes)) {
		set["version"] = version + 1
	}
	if len(set) == 0 {
		return nil
	}
	return t.change(img.Table, img.Key, set)
}

// differs compares the columns that both have.
func differs(here, comes row) bool {
	for c, v := range comes {
		if has, both := here[c]; both && fmt.Sprint(has) != fmt.Sprint(v) {
			return true
		}
	}
	return false
}

// applyAll joins entries with this database and forgets what they met.
func (t *Tx) applyAll(entries []Entry) error {
	for _, e := range entries {
		if e.damaged != nil {
			return e.damaged
		}
		for _, img := range e.Rows {
			if _, err := t.apply(img); err != nil {
				return err
			}
		}
	}
	return nil
}

// columns are those a table has in this database.
func (t *Tx) columns(table string) (map[string]bool, error) {
	if known, found := t.store.shapes.Load(table); found {
		return known.(map[string]bool), nil
	}
	if _, known := keys[table]; !known {
		return nil, fmt.Errorf("store: no copied table %q", table)
	}
	rows, err := t.Rows("SELECT * FROM " + table + " LIMIT 0")
	if err != nil {
		return nil, err
	}
	names, err := rows.rows.Columns()
	if err := firstOf(err, rows.Close()); err != nil {
		return nil, err
	}
	has := map[string]bool{}
	for _, n := range names {
		has[n] = true
	}
	t.store.shapes.Store(table, has)
	return has, nil
}

func firstOf(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// key as text, for comparing.
func keyText(table string, key json.RawMessage) string {
	values, err := keyValues(key)
	if err != nil {
		return table + " " + string(key)
	}
	return table + " " + fmt.Sprint(values...)
}
