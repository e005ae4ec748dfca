package house

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"time"

	"gatehouse/access"
	"gatehouse/authenticators"
	"gatehouse/deliver"
	"gatehouse/flow"
	"gatehouse/hooks"
	"gatehouse/id"
	"gatehouse/manage"
	"gatehouse/outbox"
	"gatehouse/seal"
	"gatehouse/store"
	"gatehouse/web"
	"gatehouse/webpush"
)

// openApprovals adds what asks phones, as cmd/gatehouse does; push services of a
// story stand on this machine.
func (h *House) openApprovals(logger *slog.Logger) {
	h.Flow.Bell = &flow.Bell{}
	h.Pusher = &webpush.Pusher{Store: h.Store, Keys: h.Keys, Door: hooks.NewDoor([]netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, nil),
		Subject: "mailto:security@harbour-books.example", Now: h.Clock.Now, Rand: rand.Reader, Slog: logger}
	h.Deliver.Channels = append(h.Deliver.Channels, deliver.Channel{Name: outbox.Push, Workers: 8, Patience: webpush.CallTime, Send: h.Pusher.Send})
}

func (h *House) approvals() *web.Approvals {
	return &web.Approvals{Ask: h.Flow, Pair: h.Manage, Key: h.Pusher.Key, Good: h.Pusher.Check}
}

// hear is what serve does.
func (h *House) hear(ctx context.Context) {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		if err := h.Flow.Bell.Follow(ctx, h.Store, h.Clock.Now()); err != nil && ctx.Err() == nil {
			h.Flow.Slog.Warn("hearing of questions", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// Device is a device with Gatehouse Verify. It does what approve.js does, with a
// key of its own.
type Device struct {
	*Browser
	ID     string
	Secret string // of its codes, base32
	Push   *authenticators.Subscription

	key    *ecdsa.PrivateKey
	Public string // SubjectPublicKeyInfo, base64url
	ticket string
}

// NewDevice is a device that belongs to nobody yet.
func (h *House) NewDevice(network string) *Device {
	h.T.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(h.T, err)
	der, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	must(h.T, err)
	d := &Device{Browser: h.Browser(network), key: key, Public: base64.RawURLEncoding.EncodeToString(der)}
	d.Agent = "Mozilla/5.0 (Android 15; Mobile; rv:140.0) Gecko/140.0 Firefox/140.0"
	return d
}

// Sign makes a signature as WebCrypto does.
func (d *Device) Sign(text string) string {
	sum := sha256.Sum256([]byte(text))
	r, s, err := ecdsa.Sign(rand.Reader, d.key, sum[:])
	must(d.House.T, err)
	out := make([]byte, 64)
	r.FillBytes(out[:32])
	s.FillBytes(out[32:])
	return base64.RawURLEncoding.EncodeToString(out)
}

// Scans joins an account by the token of a picture.
func (d *Device) Scans(token string) Reply { return d.ScansAs(token, "Pocket phone") }

// ScansAs is Scans under a name of the story's choice.
func (d *Device) ScansAs(token, name string) Reply {
	d.House.T.Helper()
	text := manage.JoinText(token, authenticators.PushDevice{Key: d.Public, Subscription: d.Push})
	fields := map[string]any{"token": token, "name": name, "key": d.Public, "signature": d.Sign(text)}
	if d.Push != nil {
		fields["endpoint"], fields["p256dh"], fields["auth"], fields["server"] = d.Push.Endpoint, d.Push.P256dh, d.Push.Auth, d.Push.Server
	}
	r := d.API("/verify/pair", fields)
	if r.Status == 200 {
		d.ID = r.Field("device_id")
		u, err := url.Parse(r.Field("uri"))
		must(d.House.T, err)
		d.Secret = d.House.Secret("the secret of Gatehouse Verify", u.Query().Get("secret"))
	}
	return r
}

var (
	pairToken = regexp.MustCompile(`/verify/#pair=([A-Za-z0-9_-]+)`)
	pairNote  = regexp.MustCompile(`name="attempt" value="([^"]+)"`)
)

// Picture reads the page with the picture: its token, and the note of its form.
func Picture(r Reply) (token, note string) {
	r.T.Helper()
	t, n := pairToken.FindStringSubmatch(r.Body), pairNote.FindStringSubmatch(r.Body)
	if t == nil || n == nil {
		r.T.Fatalf("no picture on the page: %s", r.Body)
	}
	return t[1], n[1]
}

// Connects gives a signed-in person a device.
func (p *Person) Connects(d *Device) {
	p.House.T.Helper()
	p.ProvesAfresh()
	token, note := Picture(p.Get("/account/authenticators/verify").Is(200))
	d.Scans(token).Is(200)
	code := p.House.Secret("a one-time code", CodeAt(d.Secret, p.House.Clock.Now()))
	p.Post("/account/authenticators/verify", "attempt", note, "code", code, "name", "Pocket phone").Is(303)
}

// Opens gets a ticket, as the app does when it is opened.
func (d *Device) Opens() Reply {
	d.House.T.Helper()
	challenge := d.API("/verify/hello", map[string]any{"device_id": d.ID}).Is(200).Field("challenge")
	r := d.API("/verify/open", map[string]any{"device_id": d.ID, "challenge": challenge, "signature": d.Sign(flow.OpenText(id.Authenticator(d.ID), challenge))})
	d.ticket = r.Field("ticket")
	return r
}

// Asks are the questions the device gets.
func (d *Device) Asks() []flow.Waiting {
	d.House.T.Helper()
	var in flow.Inbox
	r := d.send("GET", "/api/v1/verify/questions?device_id="+d.ID, "", "", "Authorization", "Bearer "+d.ticket).Is(200)
	must(d.House.T, json.Unmarshal([]byte(r.Body), &in))
	return in.Questions
}

// TheQuestion opens the app and takes the one question in it.
func (d *Device) TheQuestion() flow.Waiting {
	d.House.T.Helper()
	d.Opens().Is(200)
	all := d.Asks()
	if len(all) != 1 {
		d.House.T.Fatalf("%d questions, want one", len(all))
	}
	return all[0]
}

// Says signs an answer and sends it.
func (d *Device) Says(q flow.Waiting, answer, digits string) Reply {
	d.House.T.Helper()
	return d.Sends(d.Given(q, answer, digits))
}

// Given is a signed answer that is not sent yet.
func (d *Device) Given(q flow.Waiting, answer, digits string) map[string]any {
	s := authenticators.Signed{Answer: answer, Digits: digits, Time: q.Time}
	return map[string]any{"device_id": d.ID, "question": string(q.ID), "answer": answer, "digits": digits, "time": q.Time, "signature": d.Sign(s.Text(q.ID, q.Text))}
}

// Sends sends an answer that was signed before.
func (d *Device) Sends(fields map[string]any) Reply {
	return d.API("/verify/answer", fields)
}

// Listens opens the stream of the app and returns what it has got by the time it
// holds a text.
func (d *Device) Listens(until string) string {
	d.House.T.Helper()
	return d.stream("/api/v1/verify/events?device_id="+d.ID, until, "Authorization", "Bearer "+d.ticket)
}

// Hears opens the stream of the page that waits.
func (b *Browser) Hears(until string) string { return b.stream("/signin/push/events", until) }

var shownDigits = regexp.MustCompile(`<b>(\d)</b><b>(\d)</b>`)

// Shown are the two digits on a page.
func Shown(r Reply) string {
	r.T.Helper()
	m := shownDigits.FindStringSubmatch(r.Body)
	if m == nil {
		r.T.Fatalf("no digits on the page: %s", r.Body)
	}
	return m[1] + m[2]
}

// Question is a question as its owner got it, once more from the database.
func (h *House) Question(p *Person) (w flow.Waiting) {
	h.T.Helper()
	h.Do(func(tx *store.Tx) error {
		all, err := authenticators.ApprovalsAfter(tx, h.Keys, "", 1000)
		for _, q := range all {
			if q.Account == p.Account {
				w = flow.Waiting{ID: q.ID, Text: q.Shown, Time: q.MadeAt.UTC().Format(time.RFC3339Nano)}
			}
		}
		return err
	})
	return w
}

// Tidies forgets what nobody finished, as serve does every minute.
func (h *House) Tidies(tx *store.Tx) error { return authenticators.TidyApprovals(tx) }

// Owner is somebody who looks after the others of the organisation.
func (h *House) Owner(name string) *Person {
	h.T.Helper()
	p := h.stranger(name)
	secret, err := authenticators.NewTOTPSecret(rand.Reader)
	must(h.T, err)
	p.Phone = h.Secret("an authenticator app's secret", secret.Reveal())
	a, err := h.Manage.AddReady(h.T.Context(), manage.Ready{Person: manage.Person{Email: p.Email, Name: "Ms " + name, Organisation: "Harbour Books", Role: access.Owner},
		Password: seal.Secret(p.Password), TOTP: secret}, "operator")
	must(h.T, err)
	p.Account = a.ID
	return p
}

// stream reads server-sent events until they hold a text, at most ten seconds.
func (b *Browser) stream(path, until string, headers ...string) string {
	b.House.T.Helper()
	ctx, cancel := context.WithTimeout(b.House.T.Context(), 10*time.Second)
	defer cancel()
	r := b.request("GET", path, "", "", headers...).WithContext(ctx)
	w := &streamed{header: http.Header{}, until: until, enough: cancel}
	b.House.Web.ServeHTTP(w, r)
	if !strings.Contains(w.text(), until) {
		b.House.T.Fatalf("%s: not within ten seconds: %q; it said: %s", path, until, w.text())
	}
	return w.text()
}

// streamed is an answer that is read while it is written.
type streamed struct {
	header http.Header
	until  string
	enough func()

	mu sync.Mutex
	b  strings.Builder
}

func (s *streamed) Header() http.Header { return s.header }
func (s *streamed) WriteHeader(int)     {}
func (s *streamed) Flush()              {}

func (s *streamed) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.b.Write(p)
	if strings.Contains(s.b.String(), s.until) {
		s.enough()
	}
	return len(p), nil
}

func (s *streamed) text() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// Subscribes brings the server the push address that the device has now.
func (d *Device) Subscribes() Reply {
	text := manage.SubscribeText(id.Authenticator(d.ID), d.ticket, d.Push)
	return d.API("/verify/subscription", map[string]any{"device_id": d.ID, "ticket": d.ticket, "signature": d.Sign(text),
		"endpoint": d.Push.Endpoint, "p256dh": d.Push.P256dh, "auth": d.Push.Auth, "server": d.Push.Server})
}
