package store

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// row is one row of any table as the database gives it: int64, string, []byte or nil.
type row = map[string]any

// keys names the primary key of every table that is copied or journalled.
var keys = readKeys()

// journalled are the tables a standby writes that are no part of the feed: they
// are not read for a decision, only handed over.
var journalled = map[string][]string{"events": {"id"}, "outbox": {"id"}}

// readKeys takes the keys from the schema's own feed lines.
func readKeys() map[string][]string {
	found := map[string][]string{}
	for _, m := range migrations {
		for _, line := range feedLine.FindAllString(m.sql, -1) {
			f := parseFeedLine(line)
			found[f.table] = strings.Split(f.key, ",")
		}
	}
	for table, key := range journalled {
		found[table] = key
	}
	return found
}

// fedTables lists what the feed copies, in an order in which no row refers to one
// that comes later.
func fedTables() []string {
	var all []string
	for _, m := range migrations {
		for _, line := range feedLine.FindAllString(m.sql, -1) {
			all = append(all, parseFeedLine(line).table)
		}
	}
	return all
}

// scanRow reads the current row of rows.
func (r *Rows) scanRow(columns []string) (row, error) {
	values := make([]any, len(columns))
	into := make([]any, len(columns))
	for i := range values {
		into[i] = &values[i]
	}
	if err := r.Scan(into...); err != nil {
		return nil, err
	}
	found := make(row, len(columns))
	for i, c := range columns {
		if b, is := values[i].([]byte); is {
			values[i] = append([]byte{}, b...) // an empty value is not NULL
		}
		found[c] = values[i]
	}
	return found, nil
}

// collect reads every row of a query.
func (t *Tx) collect(q string, args ...any) ([]row, error) {
	rows, err := t.Rows(q, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	columns, err := rows.rows.Columns()
	if err != nil {
		return nil, t.fail(err)
	}
	var all []row
	for rows.Next() {
		r, err := rows.scanRow(columns)
		if err != nil {
			return nil, err
		}
		all = append(all, r)
	}
	return all, rows.Err()
}

// row reads the row of a key, locked; nil when there is none.
func (t *Tx) row(table string, key json.RawMessage) (row, error) {
	values, err := keyValues(key)
	if err != nil {
		return nil, err
	}
	where, err := whereKey(table, len(values))
	if err != nil {
		return nil, err
	}
	found, err := t.collect("SELECT * FROM "+table+where+t.ForUpdate(), values...)
	if err != nil || len(found) == 0 {
		return nil, err
	}
	return found[0], nil
}

// whereKey is also what keeps a table's name that came in a journal or from a
// peer from being anything but one of ours.
func whereKey(table string, values int) (string, error) {
	columns, known := keys[table]
	if !known || len(columns) != values {
		return "", fmt.Errorf("store: no copied table %q with %d key columns", table, values)
	}
	var b strings.Builder
	for i, c := range columns {
		fmt.Fprintf(&b, "%s%s = $%d", [2]string{" WHERE ", " AND "}[min(i, 1)], c, i+1)
	}
	return b.String(), nil
}

// keyValues reads the JSON list of a key: texts and whole numbers.
func keyValues(key json.RawMessage) ([]any, error) {
	var raw []json.RawMessage
	if err := json.Unmarshal(key, &raw); err != nil {
		return nil, fmt.Errorf("store: a key that is no list: %w", err)
	}
	values := make([]any, len(raw))
	for i, r := range raw {
		v, err := decode(r)
		if err != nil {
			return nil, err
		}
		values[i] = v
	}
	return values, nil
}

// put writes a row as it is; what is there under the same key, or under another
// unique one, gives way. Columns that this build's schema does not have are left out.
func (t *Tx) put(table string, r row) error {
	columns := make([]string, 0, len(r))
	for c := range r {
		columns = append(columns, c)
	}
	slices.Sort(columns)
	values := make([]any, len(columns))
	places := make([]string, len(columns))
	for i, c := range columns {
		values[i], places[i] = r[c], fmt.Sprintf("$%d", i+1)
	}
	verb := "INSERT INTO "
	if t.store.isStandby {
		verb = "INSERT OR REPLACE INTO "
	}
	_, err := t.Exec(verb+table+" ("+strings.Join(columns, ", ")+") VALUES ("+strings.Join(places, ", ")+")", values...)
	return err
}

// change sets columns of the row of a key.
func (t *Tx) change(table string, key json.RawMessage, set row) error {
	values, err := keyValues(key)
	if err != nil {
		return err
	}
	where, err := whereKey(table, len(values))
	if err != nil {
		return err
	}
	var b strings.Builder
	for i, c := range sortedColumns(set) {
		fmt.Fprintf(&b, "%s%s = $%d", [2]string{"", ", "}[min(i, 1)], c, len(values)+1)
		values = append(values, set[c])
	}
	_, err = t.Exec("UPDATE "+table+" SET "+b.String()+where, values...)
	return err
}

func (t *Tx) remove(table string, key json.RawMessage) error {
	values, err := keyValues(key)
	if err != nil {
		return err
	}
	where, err := whereKey(table, len(values))
	if err != nil {
		return err
	}
	_, err = t.Exec("DELETE FROM "+table+where, values...)
	return err
}

func sortedColumns(r row) []string {
	columns := make([]string, 0, len(r))
	for c := range r {
		columns = append(columns, c)
	}
	slices.Sort(columns)
	return columns
}

// imageOf is a row made fit for the journal.
func imageOf(table string, key json.RawMessage, r row) (Image, error) {
	img := Image{Table: table, Key: key, Deleted: r == nil}
	if r == nil {
		return img, nil
	}
	img.Columns = make(map[string]json.RawMessage, len(r))
	for c, v := range r {
		text, err := encode(v)
		if err != nil {
			return img, fmt.Errorf("store: %s.%s: %w", table, c, err)
		}
		img.Columns[c] = text
	}
	return img, nil
}

// row is the image as a row again. Only columns the table has here are kept: a
// later release may have more.
func (img Image) row(has map[string]bool) (row, error) {
	r := make(row, len(img.Columns))
	for c, text := range img.Columns {
		if !has[c] {
			continue
		}
		v, err := decode(text)
		if err != nil {
			return nil, fmt.Errorf("store: %s.%s: %w", img.Table, c, err)
		}
		r[c] = v
	}
	return r, nil
}

// isOf refuses an image whose key is not its row's: written under the one, it would
// cover the other.
func (img Image) isOf(r row) error {
	values, err := keyValues(img.Key)
	if err != nil {
		return err
	}
	if len(values) != len(keys[img.Table]) {
		return fmt.Errorf("store: a key of %q with %d columns", img.Table, len(values))
	}
	for i, c := range keys[img.Table] {
		if has, given := r[c]; !given || !reflect.DeepEqual(has, values[i]) {
			return fmt.Errorf("store: a row of %q that is another than its key says", img.Table)
		}
	}
	return nil
}

type base64Bytes struct {
	B string `json:"b"`
}

func encode(v any) (json.RawMessage, error) {
	switch v := v.(type) {
	case nil, int64, string:
		return json.Marshal(v)
	case []byte:
		return json.Marshal(base64Bytes{base64.StdEncoding.EncodeToString(v)})
	}
	return nil, fmt.Errorf("a value of type %T", v)
}

func decode(text json.RawMessage) (any, error) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, err
	}
	switch v := v.(type) {
	case nil, string:
		return v, nil
	case json.Number:
		return v.Int64()
	case map[string]any:
		b, is := v["b"].(string)
		if !is || len(v) != 1 {
			break
		}
		return base64.StdEncoding.DecodeString(b)
	}
	return nil, fmt.Errorf("store: a value that no column has: %.40s", text)
}

func keyOf(values []any) (json.RawMessage, error) {
	parts := make([]json.RawMessage, len(values))
	for i, v := range values {
		text, err := encode(v)
		if err != nil {
			return nil, err
		}
		parts[i] = text
	}
	return json.Marshal(parts)
}
