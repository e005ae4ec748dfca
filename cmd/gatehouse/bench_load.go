package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"gatehouse/authenticators"
	"gatehouse/authenticators/argon2id"
)

// client speaks the JSON API to a server, as a listed proxy would on behalf of
// ever other networks.
type client struct {
	house *benchHouse
	http  *http.Client
	from  *atomic.Uint32
}

func newClient(h *benchHouse, callers int) *client {
	t := &http.Transport{MaxIdleConnsPerHost: callers, DisableCompression: true}
	return &client{house: h, http: &http.Client{Transport: t, Timeout: time.Minute}, from: new(atomic.Uint32)}
}

func (c *client) close() { c.http.CloseIdleConnections() }

// network is another one at every call, so that the limit on each stays on and
// is not reached.
func (c *client) network() string {
	n := c.from.Add(1)
	return fmt.Sprintf("10.%d.%d.%d", byte(n>>16), byte(n>>8), byte(n))
}

// answer is what the bench reads of a step.
type answer struct {
	Next    string
	Attempt string
	Device  string
	Session struct{ Ticket string }
	Error   struct{ Code string }
	status  int
}

func (c *client) post(ctx context.Context, path, from string, body map[string]string) (answer, error) {
	var a answer
	text, err := json.Marshal(body)
	if err != nil {
		return a, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+c.house.public+path, bytes.NewReader(text))
	if err != nil {
		return a, err
	}
	req.Host = benchHost
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-Forwarded-For", from)
	req.Header.Set("X-Forwarded-Proto", "https")
	resp, err := c.http.Do(req)
	if err != nil {
		return a, err
	}
	defer resp.Body.Close()
	text, err = io.ReadAll(resp.Body)
	if err == nil {
		err = json.Unmarshal(text, &a)
	}
	a.status = resp.StatusCode
	return a, err
}

// signIn is a whole sign-in: password, then code. It returns the ticket.
func (c *client) signIn(ctx context.Context, p *benchPerson) (string, error) {
	from := c.network()
	a, err := c.post(ctx, "/api/v1/signin", from, map[string]string{"email": p.email, "password": benchPassword, "device": p.device})
	if err != nil || a.Next != "totp" {
		return "", refusedStep("password", a, err)
	}
	p.device = a.Device
	code, err := p.code(time.Now())
	if err != nil {
		return "", err
	}
	a, err = c.post(ctx, "/api/v1/signin/totp", from, map[string]string{"attempt": a.Attempt, "device": p.device, "code": code})
	if err != nil || a.Next != "done" {
		return "", refusedStep("code", a, err)
	}
	return a.Session.Ticket, nil
}

func refusedStep(step string, a answer, err error) error {
	if err != nil {
		return fmt.Errorf("%s: %w", step, err)
	}
	return fmt.Errorf("%s: status %d, %q, next %q", step, a.status, a.Error.Code, a.Next)
}

// anyone signs somebody in.
func (c *client) anyone(ctx context.Context) (ticket string, err error) {
	p, err := c.house.people.take(time.Now())
	if err != nil {
		return "", err
	}
	defer c.house.people.back(p)
	return c.signIn(ctx, p)
}

// burst does something n times among so many callers, and returns how long all of
// it took and what went wrong. A mistake of the bench itself ends it.
func burst(ctx context.Context, callers, n int, do func(context.Context) error) (took time.Duration, failed []error, err error) {
	var mu sync.Mutex
	var left atomic.Int64
	left.Store(int64(n))
	var g sync.WaitGroup
	begun := time.Now()
	for range callers {
		g.Go(func() {
			for left.Add(-1) >= 0 && ctx.Err() == nil {
				if err := do(ctx); err != nil {
					mu.Lock()
					failed = append(failed, err)
					mu.Unlock()
				}
			}
		})
	}
	g.Wait()
	took = time.Since(begun)
	for _, f := range failed {
		if errors.Is(f, errStarved) {
			return took, failed, f
		}
	}
	return took, failed, ctx.Err()
}

// bareHasher computes the hashes of a server with nothing around them, in the
// same kept memory: argon2.IDKey of x/crypto, which takes fresh memory each time,
// would be easier to keep up with.
type bareHasher chan *argon2id.Memory

// newBareHasher has room for as many at once as there are cores: that is the most
// any number of callers can get.
func newBareHasher() bareHasher {
	h := make(bareHasher, runtime.GOMAXPROCS(0))
	for range cap(h) {
		h <- new(argon2id.Memory)
	}
	return h
}

func (h bareHasher) one(p authenticators.Parameters) {
	m := <-h
	defer func() { h <- m }()
	m.Key([]byte(benchPassword), make([]byte, 16), p.Time, p.MemoryKiB, p.Threads, 32)
}

func (h bareHasher) many(ctx context.Context, p authenticators.Parameters, n int) (time.Duration, error) {
	took, _, err := burst(ctx, cap(h), n, func(context.Context) error { h.one(p); return nil })
	return took, err
}

// asker sends one prepared request over one connection again and again. It does
// next to nothing itself, because it shares the cores with what it measures.
type asker struct {
	conn     net.Conn
	in       *bufio.Reader
	question []byte
}

func dialAsker(address, path, from, ticket string) (*asker, error) {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return nil, err
	}
	q := "GET " + path + " HTTP/1.1\r\nHost: " + benchHost + "\r\nX-Forwarded-For: " + from + "\r\nX-Forwarded-Proto: https\r\nAuthorization: Bearer " + ticket + "\r\n\r\n"
	return &asker{conn, bufio.NewReader(conn), []byte(q)}, nil
}

// ask returns the body of a 200; anything else is an error.
func (a *asker) ask() ([]byte, error) {
	if _, err := a.conn.Write(a.question); err != nil {
		return nil, err
	}
	length, status := 0, ""
	for {
		line, err := a.in.ReadSlice('\n')
		if err != nil {
			return nil, err
		}
		if len(line) <= 2 {
			break
		}
		if status == "" {
			status = strings.TrimSpace(string(line))
		} else if n, ok := bytes.CutPrefix(line, []byte("Content-Length: ")); ok {
			length = atoi(n)
		}
	}
	body, err := a.in.Peek(length)
	if err != nil {
		return nil, err
	}
	if status != "HTTP/1.1 200 OK" || length == 0 {
		return nil, fmt.Errorf("%s %s", status, body)
	}
	_, err = a.in.Discard(length)
	return body, err // good until the next ask
}

func atoi(digits []byte) (n int) {
	for _, d := range bytes.TrimSpace(digits) {
		n = n*10 + int(d-'0')
	}
	return n
}

// crowdOf asks over so many connections for a while and returns how many answers
// came.
func crowdOf(ctx context.Context, callers int, address, path, ticket string, during time.Duration) (answers int64, took time.Duration, err error) {
	askers := make([]*asker, callers)
	for i := range askers {
		if askers[i], err = dialAsker(address, path, fmt.Sprintf("10.200.0.%d", i), ticket); err != nil {
			return 0, 0, err
		}
		defer askers[i].conn.Close()
	}
	errs := make(chan error, callers)
	var n atomic.Int64
	begun := time.Now()
	for _, a := range askers {
		go func() {
			var err error
			for err == nil && time.Since(begun) < during && ctx.Err() == nil {
				if _, err = a.ask(); err == nil {
					n.Add(1)
				}
			}
			errs <- err
		}()
	}
	for range askers {
		err = errors.Join(err, <-errs)
	}
	return n.Load(), time.Since(begun), err
}
