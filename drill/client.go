package drill

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"time"
)

// Origin is the public address of every drill's installation.
const Origin = "https://" + host

const host = "gatehouse.example"

// patience is how long a client waits for an answer before it counts as failed.
const patience = 10 * time.Second

// client speaks the JSON API as a reverse proxy would on behalf of ever other
// networks: nodes take turns, and one that takes no connection is passed over.
type client struct {
	scheme string
	http   *http.Client
	nodes  func() []string // public addresses, those to be tried first
	from   *atomic.Uint32
}

func newClient(nodes func() []string) *client {
	t := &http.Transport{MaxIdleConnsPerHost: 512, DisableCompression: true, IdleConnTimeout: 5 * time.Second,
		DialContext: (&net.Dialer{Timeout: time.Second}).DialContext}
	return &client{scheme: "http", http: &http.Client{Transport: t, Timeout: patience}, nodes: nodes, from: new(atomic.Uint32)}
}

// network is another one at every call, so that the limit on each stays on and
// is not reached.
func (c *client) network() string {
	n := c.from.Add(1)
	return fmt.Sprintf("10.%d.%d.%d", byte(n>>16), byte(n>>8), byte(n))
}

// reply is what a drill reads of an answer.
type reply struct {
	Next    string
	Attempt string
	Device  string
	Place   string // in the line of those who wait
	Active  bool
	Session struct{ Ticket, ID, Account string }
	Error   struct{ Code string }
	Reasons []struct{ Code string }

	Status int           `json:"-"`
	Later  bool          `json:"-"` // 503 with Retry-After
	Took   time.Duration `json:"-"`
}

// UnmarshalJSON reads "session" as the object of a finished step; in the answer
// to a session check it is a text.
func (r *reply) UnmarshalJSON(text []byte) error {
	type plain reply
	var loose struct {
		*plain
		Session json.RawMessage
	}
	loose.plain = (*plain)(r)
	if err := json.Unmarshal(text, &loose); err != nil {
		return err
	}
	if len(loose.Session) > 0 && loose.Session[0] == '{' {
		return json.Unmarshal(loose.Session, &r.Session)
	}
	return nil
}

// why is a failed answer in a word.
func (r reply) why() string {
	if r.Error.Code != "" {
		return r.Error.Code
	}
	return fmt.Sprintf("status %d, next %q", r.Status, r.Next)
}

type call struct {
	method, path string
	from         string // network
	ticket       string
	body         map[string]string
}

// ask sends a call to the first node that takes a connection.
func (c *client) ask(ctx context.Context, k call) (reply, error) {
	var errs []error
	for _, address := range c.nodes() {
		r, err := c.askAt(ctx, address, k)
		var dial *net.OpError
		if err == nil || !errors.As(err, &dial) || dial.Op != "dial" {
			return r, err
		}
		errs = append(errs, err)
	}
	return reply{}, errors.Join(append(errs, errors.New("no node takes a connection"))...)
}

func (c *client) askAt(ctx context.Context, address string, k call) (r reply, err error) {
	var body io.Reader
	if k.body != nil {
		text, err := json.Marshal(k.body)
		if err != nil {
			return r, err
		}
		body = bytes.NewReader(text)
	}
	req, err := http.NewRequestWithContext(ctx, k.method, c.scheme+"://"+address+k.path, body)
	if err != nil {
		return r, err
	}
	req.Host = host
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-Forwarded-For", k.from)
	req.Header.Set("X-Forwarded-Proto", "https")
	if k.ticket != "" {
		req.Header.Set("Authorization", "Bearer "+k.ticket)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return r, err
	}
	return read(resp)
}

// mostAnswer is longer than any answer of the API.
const mostAnswer = 1 << 20

func read(resp *http.Response) (r reply, err error) {
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, mostAnswer))
	if err == nil && len(text) > 0 && strings.HasPrefix(resp.Header.Get("Content-Type"), "application/json") {
		err = json.Unmarshal(text, &r)
	}
	r.Status = resp.StatusCode
	r.Later = r.Status == http.StatusServiceUnavailable && resp.Header.Get("Retry-After") != ""
	return r, err
}

// password takes the first step.
func (c *client) password(ctx context.Context, p *Person, password, from string) (reply, error) {
	body := map[string]string{"email": p.Email, "password": password, "device": p.device}
	if p.place != "" {
		body["place"] = p.place
	}
	r, err := c.ask(ctx, call{method: "POST", path: "/api/v1/signin", from: from, body: body})
	if p.place = r.Place; r.Device != "" {
		p.device = r.Device // a place is good for the browser it was given to
	}
	return r, err
}

// code takes the second step.
func (c *client) code(ctx context.Context, attempt, device, code, from string) (reply, error) {
	return c.ask(ctx, call{method: "POST", path: "/api/v1/signin/totp", from: from,
		body: map[string]string{"attempt": attempt, "device": device, "code": code}})
}

// signIn is a whole sign-in. It returns a receipt, or why there is none.
func (c *client) signIn(ctx context.Context, p *Person, now, phone func() time.Time) (r Receipt, why string) {
	from := c.network()
	a, err := c.password(ctx, p, p.knows(), from)
	if err != nil {
		return r, "password: " + brief(err)
	}
	if a.Next != "totp" {
		return r, "password: " + a.why()
	}
	p.device = a.Device
	code, step, err := p.use(phone())
	if err != nil {
		return r, err.Error()
	}
	if a, err = c.code(ctx, a.Attempt, p.device, code, from); err != nil {
		return r, "code: " + brief(err)
	}
	if a.Next != "done" || a.Session.Ticket == "" {
		return r, "code: " + a.why()
	}
	return Receipt{Session: a.Session.ID, Account: a.Session.Account, Email: p.Email, Ticket: a.Session.Ticket, Step: step, Code: code, At: now()}, ""
}

func (p *Person) knows() string {
	if p.password != "" {
		return p.password
	}
	return Password
}

// check asks whether a session is good.
func (c *client) check(ctx context.Context, ticket string) (reply, error) {
	return c.ask(ctx, call{method: "GET", path: "/api/v1/session", from: "10.255.0.1", ticket: ticket})
}

func (c *client) signOut(ctx context.Context, ticket string) (reply, error) {
	return c.ask(ctx, call{method: "DELETE", path: "/api/v1/session", from: "10.255.0.1", ticket: ticket})
}

// forgot asks for a mail to reset a password: a change, which only the primary takes.
func (c *client) forgot(ctx context.Context, email, from string) (reply, error) {
	return c.ask(ctx, call{method: "POST", path: "/api/v1/forgot", from: from, body: map[string]string{"email": email}})
}

// brief keeps addresses and ports out of a reason, so that the same ones count together.
func brief(err error) string {
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return "no answer in time"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "connection cut"
	}
	var op *net.OpError
	if errors.As(err, &op) {
		return "connection: " + op.Op + ": " + op.Err.Error()
	}
	return err.Error()
}
