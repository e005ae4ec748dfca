package events

import (
	"fmt"
	"strings"
)

const preface = `# Events

<!-- Made by: go run ./cmd/gatehouse events kinds --markdown > docs/events.md
     The source is events/kinds.go. -->

Everything that happens is one event, written in the same transaction as what it records: when there is no event, it did not happen.
` + "`gatehouse events list`, `tail` and `export`" + ` read the log; ` + "`export`" + ` writes one JSON object a line.

Every event has an id (UUIDv7, never an order), a position (the order of this log, with gaps), the time in UTC, the node and the node's own sequence,
whom it concerns (` + "`account`" + `), who did it (` + "`actor`" + `: an account id, ` + "`operator`, `system` or `nobody`" + `), and, where there is one, organisation, session and attempt.

* **Data** holds codes, never sentences and never anything personal.
* **Personal** is sealed under a key of the account it concerns. Erasing a person destroys that key: the events stay, whole and in order, and what was personal in them can never be read again.
  A name nobody has is recorded about the decoy account ` + "`" + string(Nobody) + "`" + `, whose events cost the same to write.
* **History** marks what a person reads about themselves under My account.
* A reader ignores fields it does not know, and parks a kind or version it does not know: shows that it is there, and leaves it alone.

`

// Markdown makes docs/events.md from the table.
func Markdown() string {
	var b strings.Builder
	b.WriteString(preface)
	b.WriteString("| Kind | Version | What happened | Data | Personal | History |\n|---|---|---|---|---|---|\n")
	for _, d := range table {
		history := ""
		if d.Shown {
			history = "yes"
		}
		fmt.Fprintf(&b, "| `%s` | %d | %s | %s | %s | %s |\n", d.Kind, d.Version, d.Doc, ticked(d.Data), ticked(d.Personal), history)
	}
	return b.String()
}

func ticked(fields []string) string {
	if len(fields) == 0 {
		return ""
	}
	return "`" + strings.Join(fields, "` `") + "`"
}
