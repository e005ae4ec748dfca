package hooks_test

// What a developer who receives web-hooks writes. The part between the two marks
// is what docs/hooks.md shows, letter by letter; the tests below run it.

// docs: from here
import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// verify says whether body was sent by the Gatehouse that shares one of the
// secrets, within the last five minutes. body is as it came, before any parsing.
func verify(secrets []string, header http.Header, body []byte, now time.Time) error {
	seconds, err := strconv.ParseInt(header.Get("webhook-timestamp"), 10, 64)
	if err != nil || now.Sub(time.Unix(seconds, 0)).Abs() > 5*time.Minute {
		return errors.New("no time, or one too far from ours")
	}
	for _, secret := range secrets {
		key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
		if err != nil {
			return errors.New("the secret is not whsec_ and base64")
		}
		mac := hmac.New(sha256.New, key)
		fmt.Fprintf(mac, "%s.%d.%s", header.Get("webhook-id"), seconds, body)
		want := "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
		for got := range strings.FieldsSeq(header.Get("webhook-signature")) {
			if hmac.Equal([]byte(got), []byte(want)) { // takes as long for a near miss
				return nil
			}
		}
	}
	return errors.New("no signature made with our secret")
}

// Receiver takes web-hooks. Keep seen in your database, with a unique key, in the
// transaction of what you do about the event: a call can come twice.
type Receiver struct {
	Secrets []string // as gatehouse hooks add and rotate showed them
	Do      func(kind string, data json.RawMessage) error

	mu   sync.Mutex
	seen map[string]bool
}

func (r *Receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, req.Body, 64<<10))
	if err != nil {
		w.WriteHeader(http.StatusRequestEntityTooLarge)
		return
	}
	if err := verify(r.Secrets, req.Header, body, time.Now()); err != nil {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	var call struct {
		Type string          `json:"type"`
		Data json.RawMessage `json:"data"`
	}
	if err := json.Unmarshal(body, &call); err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if id := req.Header.Get("webhook-id"); !r.seen[id] {
		if err := r.Do(call.Type, call.Data); err != nil {
			w.WriteHeader(http.StatusInternalServerError) // it comes again
			return
		}
		if r.seen == nil {
			r.seen = map[string]bool{}
		}
		r.seen[id] = true
	}
	w.WriteHeader(http.StatusNoContent)
}

// docs: to here
