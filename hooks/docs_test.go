package hooks_test

import (
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"gatehouse/events"
	"gatehouse/hooks"
	"gatehouse/seal"
	"gatehouse/store/storetest"
)

func TestTheDocumentShowsTheReceiverThatIsTested(t *testing.T) {
	source, err := os.ReadFile("receiver_test.go")
	if err != nil {
		t.Fatal(err)
	}
	document, err := os.ReadFile("../docs/hooks.md")
	if err != nil {
		t.Fatal(err)
	}
	_, part, ok := strings.Cut(string(source), "// docs: from here\n")
	part, _, end := strings.Cut(part, "\n// docs: to here")
	if !ok || !end || !strings.Contains(string(document), "```go\n"+part+"```\n") {
		t.Error("docs/hooks.md does not show what stands between the marks in receiver_test.go; copy it")
	}
}

func TestTheReceiverOfTheDocumentTakesOurCallsOnceAndNobodyElses(t *testing.T) {
	dir := t.TempDir() + "/keys"
	if err := seal.InitKeys(dir); err != nil {
		t.Fatal(err)
	}
	keys, err := seal.LoadKeys(dir)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	fails := false
	r := &Receiver{Do: func(kind string, _ json.RawMessage) error {
		if fails {
			return errors.New("no")
		}
		got = append(got, kind)
		return nil
	}}
	var last *http.Request
	var body string
	srv := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		text, _ := io.ReadAll(q.Body)
		last, body = q.Clone(q.Context()), string(text)
		q.Body = io.NopCloser(strings.NewReader(body))
		r.ServeHTTP(w, q)
	}))
	defer srv.Close()
	roots := x509.NewCertPool()
	roots.AddCert(srv.Certificate())
	h := &hooks.Hooks{
		Store: storetest.Open(t, storetest.SQLite(t), nil), Keys: keys, Log: events.New(keys, rand.Reader), Now: time.Now, Rand: rand.Reader,
		Door: hooks.NewDoor([]netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, roots),
	}
	_, secret, err := h.Add(t.Context(), hooks.New{Name: "books", URL: srv.URL, Kinds: []string{"*"}}, events.Operator)
	if err != nil {
		t.Fatal(err)
	}
	status := func() int {
		t.Helper()
		_, a, err := h.Test(t.Context(), "books")
		if err != nil {
			t.Fatal(err)
		}
		return a.Status
	}
	if s := status(); s != http.StatusUnauthorized {
		t.Errorf("without the secret: %d", s)
	}
	r.Secrets = []string{secret.Reveal()}
	fails = true
	if s := status(); s != http.StatusInternalServerError {
		t.Errorf("while it cannot: %d", s)
	}
	fails = false
	if s := status(); s != http.StatusNoContent || len(got) != 1 || got[0] != "hook.test" {
		t.Fatalf("with the secret: %d, did %q", s, got)
	}
	again := func(change func(*http.Request)) int {
		q := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body))
		q.Header = last.Header.Clone()
		change(q)
		w := httptest.NewRecorder()
		r.ServeHTTP(w, q)
		return w.Code
	}
	for name, row := range map[string]struct {
		change func(*http.Request)
		want   int
	}{
		"the same call once more": {func(*http.Request) {}, http.StatusNoContent},
		"under another id":        {func(q *http.Request) { q.Header.Set("webhook-id", "another") }, http.StatusUnauthorized},
		"ten minutes old":         {func(q *http.Request) { q.Header.Set("webhook-timestamp", "1614265330") }, http.StatusUnauthorized},
		"with another body":       {func(q *http.Request) { q.Body = io.NopCloser(strings.NewReader(body + " ")) }, http.StatusUnauthorized},
		"without a signature":     {func(q *http.Request) { q.Header.Del("webhook-signature") }, http.StatusUnauthorized},
		"too large":               {func(q *http.Request) { q.Body = io.NopCloser(strings.NewReader(strings.Repeat("x", 1<<20))) }, http.StatusRequestEntityTooLarge},
	} {
		if code := again(row.change); code != row.want {
			t.Errorf("%s: %d, want %d", name, code, row.want)
		}
	}
	if len(got) != 1 {
		t.Errorf("it was done %d times", len(got))
	}
	if _, err := h.Rotate(t.Context(), "books", time.Hour, events.Operator); err != nil {
		t.Fatal(err)
	}
	if s := status(); s != http.StatusNoContent {
		t.Errorf("with the old secret, within the overlap: %d", s)
	}
}
