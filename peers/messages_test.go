package peers_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"gatehouse/peers"
	"gatehouse/store/storetest"
)

func TestWhatIsTooLargeOrMakesNoSenseIsRefused(t *testing.T) {
	keys, _ := newKeys(t)
	address, p, reached := one(t, keys, storetest.NewClock())
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: p.ClientConfig()}}
	for _, c := range []struct {
		name, method, path string
		body               io.Reader
		want               int
	}{
		{"a claim that is no JSON", "POST", peers.PathClaim, strings.NewReader("x"), 400},
		{"a claim of nothing", "POST", peers.PathClaim, strings.NewReader(`{}`), 400},
		{"a claim of too many facts", "POST", peers.PathClaim, strings.NewReader(`{"facts":[` + strings.Repeat(`{"t":"used","k":"[1]","b":"x"},`, 64) + `{"t":"used","k":"[1]","b":"x"}]}`), 400},
		{"a claim that is too long", "POST", peers.PathClaim, strings.NewReader(`{"facts":[{"t":"used","k":"[1]","b":"` + strings.Repeat("x", 70000) + `"}]}`), 400},
		{"a table with another name than tables have", "POST", peers.PathClaim, strings.NewReader(`{"facts":[{"t":"used; --","k":"[1]","b":"x"}]}`), 400},
		{"a key that is no list", "POST", peers.PathClaim, strings.NewReader(`{"facts":[{"t":"used","k":"1","b":"x"}]}`), 400},
		{"a fact of nobody", "POST", peers.PathClaim, strings.NewReader(`{"facts":[{"t":"used","k":"[1]"}]}`), 400},
		{"a tell with more entries than may be", "POST", peers.PathTell, strings.NewReader(strings.Repeat("{}\n", 300)), 400},
		{"a tell of a line without end", "POST", peers.PathTell, bytes.NewReader(bytes.Repeat([]byte("x"), 2<<20)), 400},
		{"a tell without end", "POST", peers.PathTell, bytes.NewReader(bytes.Repeat([]byte("xxxxxxxxx\n"), 1<<20)), 400},
		{"a path nobody knows", "GET", "/", nil, 404},
		{"a claim by GET", "GET", peers.PathClaim, nil, 404},
	} {
		r, err := http.NewRequest(c.method, "https://"+address+c.path, c.body)
		must(t, err)
		answer, err := client.Do(r)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		answer.Body.Close()
		if answer.StatusCode != c.want {
			t.Errorf("%s: %s", c.name, answer.Status)
		}
	}
	if reached() {
		t.Error("one of them reached the store")
	}
}

// What is taken is small and has the shape that the store is told it has.
func FuzzDecodeFacts(f *testing.F) {
	f.Add([]byte(`{"facts":[{"t":"used","k":"[\"a\",1]","b":"x"}]}`))
	f.Add([]byte(`{"facts":null}`))
	f.Add([]byte(`{"facts":[{"t":"","k":"[","b":""}]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		facts, err := peers.DecodeFacts(bytes.NewReader(text))
		if err != nil {
			return
		}
		if len(facts) == 0 || len(facts) > 64 {
			t.Fatalf("%d facts", len(facts))
		}
		for _, fact := range facts {
			if fact.Table == "" || len(fact.Table) > 63 || fact.By == "" || len(fact.By) > 200 || !isList(fact.Key) {
				t.Fatalf("%+v", fact)
			}
		}
	})
}

func FuzzDecodeEntry(f *testing.F) {
	good, _ := json.Marshal(entry(storetest.Node, "e"))
	f.Add(good)
	f.Add([]byte(`{"id":"e","node":"` + string(storetest.Node) + `","schema":3,"rows":[{"table":"used","key":["a"],"columns":{"x":{"b":"AA=="}}}],"more":1}`))
	f.Add([]byte(`{"rows":[{}]}`))
	f.Fuzz(func(t *testing.T, line []byte) {
		e, err := peers.DecodeEntry(line)
		if err != nil {
			return
		}
		if e.ID == "" || len(e.Node) != 36 || e.Schema < 1 || len(e.Rows) == 0 {
			t.Fatalf("%+v", e)
		}
		for _, row := range e.Rows {
			if row.Table == "" || !isList(string(row.Key)) {
				t.Fatalf("%+v", row)
			}
		}
		again, err := json.Marshal(e)
		if err != nil {
			return // a year beyond 9999 is read and not written
		}
		if _, err := peers.DecodeEntry(again); err != nil && len(again) < 1<<20 {
			t.Fatalf("its own text is refused: %v\n%s", err, again)
		}
	})
}

func FuzzLines(f *testing.F) {
	f.Add([]byte("{}\n{}\n"))
	f.Add([]byte("\n\n\r\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		all, _ := peers.Lines(bytes.NewReader(text))
		if len(all) > 256 {
			t.Fatalf("%d lines", len(all))
		}
		for _, line := range all {
			if bytes.ContainsRune(line, '\n') {
				t.Fatalf("%q", line)
			}
		}
	})
}

func isList(text string) bool {
	var list []json.RawMessage
	return json.Unmarshal([]byte(text), &list) == nil
}
