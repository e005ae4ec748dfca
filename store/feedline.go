package store

import (
	"fmt"
	"regexp"
	"strings"
)

// The feed's triggers are written from one line of the schema, so that both
// databases say the same of a table:
//
//	{{feed devices device,account}}             every write of a row
//	{{feed sessions id of ended_at,version}}    updates of these columns only; inserts and deletes always
//
// A row's key never changes in this schema.
var feedLine = regexp.MustCompile(`\{\{feed (\w+) ([\w,]+)(?: of ([\w,]+))?\}\}`)

type feed struct{ table, key, columns string }

func parseFeedLine(line string) feed {
	m := feedLine.FindStringSubmatch(line)
	return feed{table: m[1], key: m[2], columns: m[3]}
}

// of lists the key's columns of NEW or OLD.
func (f feed) of(row string) string {
	return row + "." + strings.ReplaceAll(f.key, ",", ", "+row+".")
}

func (f feed) update() string {
	if f.columns == "" {
		return "UPDATE"
	}
	return "UPDATE OF " + f.columns
}

func triggerSQLite(line string) string {
	f := parseFeedLine(line)
	var b strings.Builder
	for _, on := range []struct{ name, event, row string }{{"insert", "INSERT", "NEW"}, {"update", f.update(), "NEW"}, {"delete", "DELETE", "OLD"}} {
		fmt.Fprintf(&b, "CREATE TRIGGER feed_%s_%s AFTER %s ON %s BEGIN INSERT INTO changes (xid, tbl, key) VALUES (0, '%s', json_array(%s)); END;\n",
			f.table, on.name, on.event, f.table, f.table, f.of(on.row))
	}
	return b.String()
}

func triggerPostgres(line string) string {
	f := parseFeedLine(line)
	const body = `INSERT INTO changes (xid, tbl, key) VALUES (pg_current_xact_id()::text::bigint, '%s', json_build_array(%s)::text)`
	return fmt.Sprintf(`CREATE FUNCTION feed_%[1]s() RETURNS trigger LANGUAGE plpgsql AS $feed$ BEGIN
	IF TG_OP = 'DELETE' THEN %[2]s; ELSE %[3]s; END IF;
	RETURN NULL;
END $feed$;
CREATE TRIGGER feed_%[1]s AFTER INSERT OR DELETE OR %[4]s ON %[1]s FOR EACH ROW EXECUTE FUNCTION feed_%[1]s();
`, f.table, fmt.Sprintf(body, f.table, f.of("OLD")), fmt.Sprintf(body, f.table, f.of("NEW")), f.update())
}
