package store_test

import (
	"database/sql"
	"strings"
	"testing"

	"gatehouse/store"
	"gatehouse/store/storetest"
)

// What strangers can fill must not be searched through: they would make every
// answer slower, and more so for names we do not know.
func TestWhatStrangersFillIsFoundByAnIndex(t *testing.T) {
	dsn := storetest.SQLite(t)
	storetest.Open(t, dsn, func(*store.Options) {})
	db, err := sql.Open("sqlite", "file:"+strings.TrimPrefix(dsn, "sqlite:"))
	must(t, err)
	defer db.Close()
	for _, row := range []struct{ name, query, index string }{
		{"a link takes the place of the one before", `UPDATE links SET spent_at = 1 WHERE account = $1 AND kind = $2 AND spent_at IS NULL`, "links_unspent"},
		{"the mails that are due", `SELECT MIN(due_at) FROM outbox WHERE due_at <= $1 AND expires_at > $1 AND sent_at IS NULL AND given_up = 0`, "outbox_due"},
		{"the mails that were sent long ago", `DELETE FROM outbox WHERE made_at < $1 AND (sent_at IS NOT NULL OR given_up = 1)`, "outbox_made"},
		{"the devices of an account", `SELECT COUNT(*) FROM devices WHERE account = $1`, "devices_account"},
		{"the codes sent to an account", `SELECT id FROM phone_codes WHERE account = $1 AND made_at > $2`, "phone_codes_account"},
		{"the sent codes that are over", `DELETE FROM phone_codes WHERE expires_at < $1`, "phone_codes_expires"},
		{"the open question of an account", `SELECT id FROM approvals WHERE account = $1 AND state = 'open'`, "approvals_open"},
		{"the question of an attempt", `SELECT id FROM approvals WHERE attempt = $1 AND account = $2 ORDER BY made_at DESC LIMIT 1`, "approvals_a"},
		{"who went in with an approval", `SELECT used_at FROM approvals WHERE attempt = $1 AND credential = $2 AND used_by = $1`, "approvals_attempt"},
		{"the questions of a month ago", `DELETE FROM approvals WHERE made_at < $1 AND signature = ''`, "approvals_made"},
		{"the pairings that ran out", `DELETE FROM pairings WHERE expires_at <= $1`, "pairings_expires"},
		{"the second authenticators of an account", `SELECT id FROM credentials WHERE account = $1 AND kind = 'phone' AND usable_at > $2`, "credentials_account"},
	} {
		var id, parent, unused int
		var plan string
		must(t, db.QueryRow("EXPLAIN QUERY PLAN "+row.query, "a", "b").Scan(&id, &parent, &unused, &plan))
		if !strings.HasPrefix(plan, "SEARCH") || !strings.Contains(plan, row.index) {
			t.Errorf("%s: %s", row.name, plan)
		}
	}
}
