package house

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
)

// Browser is a browser or native app at one address. It keeps cookies, and the
// attempt of the JSON API.
type Browser struct {
	House   *House
	Network string // address it comes from
	Agent   string
	Attempt string // of the API: the sealed sign-in in progress

	mu      sync.Mutex
	cookies map[string]string
}

// Browser opens a new browser at an address of its own.
func (h *House) Browser(network string) *Browser {
	return &Browser{House: h, Network: network, cookies: map[string]string{},
		Agent: "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36"}
}

// Twin is the same browser in a second tab: what it keeps from now on is its own.
func (b *Browser) Twin() *Browser {
	b.mu.Lock()
	defer b.mu.Unlock()
	twin := &Browser{House: b.House, Network: b.Network, Agent: b.Agent, Attempt: b.Attempt, cookies: map[string]string{}}
	for k, v := range b.cookies {
		twin.cookies[k] = v
	}
	return twin
}

// At is a twin that talks to another node.
func (b *Browser) At(node *House) *Browser {
	twin := b.Twin()
	twin.House = node
	return twin
}

// Reply is an answer.
type Reply struct {
	Status int
	Header http.Header
	Body   string

	T      testing.TB
	fields map[string]any
}

// Field is a text field of a JSON answer, named as "error.code"; "" when missing.
func (r Reply) Field(name string) string {
	var v any = r.fields
	for part := range strings.SplitSeq(name, ".") {
		m, ok := v.(map[string]any)
		if !ok {
			return ""
		}
		v = m[part]
	}
	s, _ := v.(string)
	return s
}

// List is a field of texts.
func (r Reply) List(name string) []string {
	var all []string
	items, _ := r.fields[name].([]any)
	for _, item := range items {
		s, _ := item.(string)
		all = append(all, s)
	}
	return all
}

// Next is the step that the JSON API asks for.
func (r Reply) Next() string { return r.Field("next") }

// Refused is the code of an error of the JSON API.
func (r Reply) Refused() string { return r.Field("error.code") }

// Is fails the test unless the answer has a status.
func (r Reply) Is(status int) Reply {
	r.T.Helper()
	if r.Status != status {
		r.T.Fatalf("status %d, want %d: %s", r.Status, status, r.Body)
	}
	return r
}

// Asks fails the test unless the JSON API asks for a step.
func (r Reply) Asks(step string) Reply {
	r.T.Helper()
	if r.Status != http.StatusOK || r.Next() != step {
		r.T.Fatalf("status %d, next %q, want next %q: %s", r.Status, r.Next(), step, r.Body)
	}
	return r
}

// Says fails the test unless the JSON API refused with a code.
func (r Reply) Says(code string) Reply {
	r.T.Helper()
	if r.Refused() != code {
		r.T.Fatalf("status %d, error %q, want %q: %s", r.Status, r.Refused(), code, r.Body)
	}
	return r
}

// request is what the browser sends.
func (b *Browser) request(method, path, contentType, body string, headers ...string) *http.Request {
	r := httptest.NewRequest(method, Origin+path, strings.NewReader(body))
	r.TLS = nil
	r.RemoteAddr = "127.0.0.1:4711"
	r.Header.Set("X-Forwarded-For", b.Network)
	r.Header.Set("X-Forwarded-Proto", "https")
	r.Header.Set("User-Agent", b.Agent)
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	b.mu.Lock()
	var jar []string
	for name, value := range b.cookies {
		jar = append(jar, name+"="+value) // as it is: a thief's cookie need not be well formed
	}
	b.mu.Unlock()
	if len(jar) > 0 {
		r.Header.Set("Cookie", strings.Join(jar, "; "))
	}
	return r
}

// send passes a request through the whole server.
func (b *Browser) send(method, path, contentType, body string, headers ...string) Reply {
	r := b.request(method, path, contentType, body, headers...)
	w := httptest.NewRecorder()
	b.House.Web.ServeHTTP(w, r)
	res := w.Result()
	b.keep(res.Cookies())
	reply := Reply{Status: res.StatusCode, Header: res.Header, Body: w.Body.String(), T: b.House.T}
	if strings.HasPrefix(res.Header.Get("Content-Type"), "application/json") {
		if err := json.Unmarshal(w.Body.Bytes(), &reply.fields); err != nil {
			b.House.T.Errorf("malformed JSON from %s: %v", path, err)
		}
	}
	return reply
}

func (b *Browser) keep(cookies []*http.Cookie) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, c := range cookies {
		if c.MaxAge < 0 || c.Value == "" {
			delete(b.cookies, c.Name)
			continue
		}
		b.cookies[c.Name] = c.Value
		if strings.HasSuffix(c.Name, "gh-session") {
			b.House.Secret("a session ticket", c.Value)
		}
	}
}

// API posts fields to the JSON API, with the attempt it holds, and keeps the one
// it gets.
func (b *Browser) API(path string, fields map[string]any) Reply { return b.APIWith(path, fields) }

// APIWith is API with more headers, in pairs.
func (b *Browser) APIWith(path string, fields map[string]any, headers ...string) Reply {
	if fields == nil {
		fields = map[string]any{}
	}
	if _, given := fields["attempt"]; !given && b.Attempt != "" {
		fields["attempt"] = b.Attempt
	}
	body, err := json.Marshal(fields)
	must(b.House.T, err)
	r := b.send("POST", "/api/v1"+path, "application/json", string(body), headers...)
	if a := r.Field("attempt"); a != "" {
		b.Attempt = b.House.Secret("a sealed attempt", a)
	}
	return r
}

// Get asks for a page or an API address.
func (b *Browser) Get(path string, headers ...string) Reply {
	return b.send("GET", path, "", "", headers...)
}

// Delete is the method of that name.
func (b *Browser) Delete(path string) Reply { return b.send("DELETE", path, "", "") }

// Post sends a form and does not follow where it leads. Fields are pairs.
func (b *Browser) Post(path string, fields ...string) Reply {
	form := url.Values{}
	for i := 0; i+1 < len(fields); i += 2 {
		form.Add(fields[i], fields[i+1])
	}
	return b.send("POST", path, "application/x-www-form-urlencoded", form.Encode())
}

// PostFrom sends an empty form with more headers, in pairs.
func (b *Browser) PostFrom(path string, headers ...string) Reply {
	return b.send("POST", path, "application/x-www-form-urlencoded", "", headers...)
}

// Cookie is the value of one of our cookies, named without its prefix.
func (b *Browser) Cookie(name string) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.cookies["__Host-gh-"+name]
}

// SetCookie puts a cookie of ours into the jar; "" takes it out.
func (b *Browser) SetCookie(name, value string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if value == "" {
		delete(b.cookies, "__Host-gh-"+name)
		return
	}
	b.cookies["__Host-gh-"+name] = value
}

// Inside is the status of the session check: 200, 401 or 503.
func (b *Browser) Inside() int { return b.Get("/api/v1/session").Status }

// Hidden is the value of a hidden field of a page.
func (r Reply) Hidden(name string) string {
	for piece := range strings.SplitSeq(r.Body, "<input") {
		tag, _, _ := strings.Cut(piece, ">")
		if strings.Contains(tag, `name="`+name+`"`) {
			if _, rest, ok := strings.Cut(tag, `value="`); ok {
				value, _, _ := strings.Cut(rest, `"`)
				return value
			}
		}
	}
	return ""
}
