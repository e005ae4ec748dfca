package house

import (
	"context"
	"database/sql"
	"encoding/base64"
	"fmt"
	"strings"
)

// open opens the database beside the store, to look at it from outside: in the dark
// that is the node's own standby.
func (h *House) open() *sql.DB {
	h.T.Helper()
	driver, address := "pgx", h.at()
	if path, ok := strings.CutPrefix(address, "sqlite:"); ok {
		driver, address = "sqlite", "file:"+path+"?_pragma=busy_timeout(10000)"
	}
	db, err := sql.Open(driver, address)
	must(h.T, err)
	return db
}

// SQL runs a statement beside the store.
func (h *House) SQL(statement string, args ...any) {
	h.T.Helper()
	h.tampered = true
	db := h.open()
	defer db.Close()
	_, err := db.ExecContext(context.Background(), statement, args...)
	must(h.T, err)
}

// HoldSQLite keeps every writer of a SQLite database waiting, as a disk that hangs
// does, until it is let go.
func (h *House) HoldSQLite() (release func()) {
	h.T.Helper()
	db := h.open()
	conn, err := db.Conn(context.Background())
	must(h.T, err)
	_, err = conn.ExecContext(context.Background(), "BEGIN IMMEDIATE")
	must(h.T, err)
	return func() {
		_, err := conn.ExecContext(context.Background(), "ROLLBACK")
		must(h.T, err)
		conn.Close()
		db.Close()
	}
}

// Count counts the rows of a table that meet a condition.
func (h *House) Count(table, where string, args ...any) (n int) {
	h.T.Helper()
	db := h.open()
	defer db.Close()
	must(h.T, db.QueryRowContext(context.Background(), "SELECT COUNT(*) FROM "+table+" WHERE "+where, args...).Scan(&n))
	return n
}

// Cell is one value of the database.
type Cell struct{ Table, Column, Value string }

// Dump reads every column of every row of every table.
func (h *House) Dump() []Cell {
	h.T.Helper()
	db := h.open()
	defer db.Close()
	list := `SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'`
	if strings.HasPrefix(h.at(), "sqlite:") {
		list = `SELECT name FROM sqlite_master WHERE type = 'table'`
	}
	var tables []string
	rows, err := db.Query(list)
	must(h.T, err)
	for rows.Next() {
		var name string
		must(h.T, rows.Scan(&name))
		tables = append(tables, name)
	}
	must(h.T, rows.Close())
	var all []Cell
	for _, table := range tables {
		all = append(all, dumpTable(h, db, table)...)
	}
	return all
}

func dumpTable(h *House, db *sql.DB, table string) (all []Cell) {
	h.T.Helper()
	rows, err := db.Query(`SELECT * FROM "` + table + `"`)
	must(h.T, err)
	defer rows.Close()
	columns, err := rows.Columns()
	must(h.T, err)
	for rows.Next() {
		values := make([]any, len(columns))
		into := make([]any, len(columns))
		for i := range values {
			into[i] = &values[i]
		}
		must(h.T, rows.Scan(into...))
		for i, v := range values {
			text := fmt.Sprint(v)
			if b, ok := v.([]byte); ok {
				text = string(b)
			}
			all = append(all, Cell{table, columns[i], text})
		}
	}
	must(h.T, rows.Err())
	return all
}

// Leaks says where a secret of the story stands in the database or the logs.
func (h *House) Leaks() []string {
	h.T.Helper()
	places := h.Dump()
	places = append(places, Cell{"the log", "", h.Log.String()})
	h.secrets.mu.Lock()
	defer h.secrets.mu.Unlock()
	var found []string
	for secret, what := range h.secrets.all {
		for _, form := range append(forms(secret), base64.StdEncoding.EncodeToString([]byte(secret)), base64.RawURLEncoding.EncodeToString([]byte(secret))) {
			for _, at := range places {
				if strings.Contains(at.Value, form) && !harmless(form, at) {
					found = append(found, fmt.Sprintf("%s (%q) in %s.%s", what, form, at.Table, at.Column))
				}
			}
		}
	}
	return found
}

// harmless are six digits that turn up in a number by chance.
func harmless(form string, at Cell) bool {
	if len(form) > 8 {
		return false
	}
	for _, word := range strings.FieldsFunc(at.Value, func(r rune) bool { return r < '0' || r > '9' && r < 'A' || r > 'Z' && r < 'a' || r > 'z' }) {
		if word == form {
			return false
		}
	}
	return true
}
