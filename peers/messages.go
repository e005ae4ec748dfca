package peers

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"time"

	"gatehouse/id"
	"gatehouse/store"
)

// What is sent, and how much of it is taken. Unknown fields are passed over, so
// that a node of the next release can say more.
const (
	pathHello  = "/peer/1/hello"
	pathStatus = "/peer/1/status"
	pathClaim  = "/peer/1/claim"
	pathTell   = "/peer/1/tell"

	maxClaim = 64 << 10 // bytes of one claim
	maxFacts = 64
	maxTell  = 4 << 20 // bytes of one tell
	maxLine  = 1 << 20 // … of one entry in it
	maxLines = 256
	maxRows  = 1000
	maxKey   = 4 << 10
	maxReply = 256 << 10
)

type claimRequest struct {
	Facts []store.Fact `json:"facts"`
}

type claimReply struct {
	Granted bool `json:"granted"`
}

// tellReply says how many entries of a tell, counted from its first, need not be
// sent again, and how many of those were not taken.
type tellReply struct {
	Heard   int `json:"heard"`
	Refused int `json:"refused"`
}

type helloReply struct {
	Node id.Node `json:"node"`
}

// Status is what a node says of itself to gatehouse peers check.
type Status struct {
	Node     id.Node   `json:"node"`
	Version  string    `json:"version"`
	Schema   int64     `json:"schema"` // the newest migration it knows
	Now      time.Time `json:"now"`
	Database bool      `json:"database"` // the database answers it
	Why      string    `json:"why,omitempty"`
	Peers    []State   `json:"peers"`
}

var tableName = regexp.MustCompile(`^[a-z][a-z0-9_]{0,62}$`)

var errMalformed = errors.New("peers: malformed")

func malformed(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{errMalformed}, args...)...)
}

// decodeFacts reads a claim. Every text in it ends up in a map, so all are bounded.
func decodeFacts(r io.Reader) ([]store.Fact, error) {
	var c claimRequest
	if err := json.NewDecoder(io.LimitReader(r, maxClaim)).Decode(&c); err != nil {
		return nil, malformed("%v", err)
	}
	if len(c.Facts) == 0 || len(c.Facts) > maxFacts {
		return nil, malformed("%d facts", len(c.Facts))
	}
	for _, f := range c.Facts {
		if !tableName.MatchString(f.Table) || !isKey([]byte(f.Key)) || f.By == "" || len(f.By) > 200 {
			return nil, malformed("a fact of %.64q", f.Table)
		}
	}
	return c.Facts, nil
}

// isKey says whether a text is a JSON list that can be a row's key.
func isKey(text []byte) bool {
	return len(text) <= maxKey && bytes.HasPrefix(text, []byte("[")) && json.Valid(text)
}

// decodeEntry reads one line of a tell. Whether its tables and columns exist is
// for the store to say.
func decodeEntry(line []byte) (store.Entry, error) {
	var e store.Entry
	if len(line) > maxLine {
		return e, malformed("%d bytes", len(line))
	}
	if err := json.Unmarshal(line, &e); err != nil {
		return e, malformed("%v", err)
	}
	if _, err := id.Parse[id.Node](string(e.Node)); err != nil {
		return e, malformed("the node of an entry")
	}
	if e.ID == "" || len(e.ID) > 200 || e.Schema < 1 || len(e.Rows) == 0 || len(e.Rows) > maxRows {
		return e, malformed("an entry with %d rows in schema %d", len(e.Rows), e.Schema)
	}
	for _, row := range e.Rows {
		if !tableName.MatchString(row.Table) || !isKey(row.Key) {
			return e, malformed("a row of %.64q", row.Table)
		}
	}
	return e, nil
}

// lines splits a tell. What is longer than may be comes back as an error, after
// the lines before it.
func lines(r io.Reader) ([][]byte, error) {
	var all [][]byte
	s := bufio.NewScanner(io.LimitReader(r, maxTell))
	s.Buffer(make([]byte, 0, 4096), maxLine+1)
	for s.Scan() {
		if len(all) == maxLines {
			return all, malformed("more than %d entries", maxLines)
		}
		all = append(all, bytes.Clone(s.Bytes()))
	}
	return all, s.Err()
}
