package webpush

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"gatehouse/authenticators"
	"gatehouse/id"
	"gatehouse/outbox"
	"gatehouse/seal"
	"gatehouse/store"
)

// Door gives the clients that may speak to where browsers point (package hooks).
type Door interface {
	Client(plain bool) *http.Client
	Check(address string) error // what can be seen without asking DNS
}

// Pusher sends. cmd fills every field, once.
type Pusher struct {
	Store   *store.Store
	Keys    *seal.Keys
	Door    Door
	Hosts   []string // the only hosts of push services that are spoken to; none: all
	Subject string   // mailto: or https:, by which a push service reaches us (RFC 8292 §2.1)
	Now     func() time.Time
	Rand    io.Reader
	Slog    *slog.Logger
}

// Key is the public key that browsers subscribe with now.
func (p *Pusher) Key() string { return Servers(p.Keys)[0].Public }

// CallTime bounds one message. A question lives for a minute: who takes longer is
// of no use.
const CallTime = 8 * time.Second

// Check tells whether a push address can be one. It is asked when a browser brings
// it; where its name leads is looked at again at every connection.
func (p *Pusher) Check(s authenticators.Subscription) error {
	if _, err := ParseKeys(s.P256dh, s.Auth); err != nil {
		return err
	}
	u, err := url.Parse(s.Endpoint)
	if err != nil || len(p.Hosts) > 0 && !slices.Contains(p.Hosts, strings.ToLower(u.Hostname())) {
		return errHost
	}
	return p.Door.Check(s.Endpoint)
}

var errHost = errors.New("webpush: a push service that is not allowed")

// Send wakes the device of a message of the outbox. It is a channel's Send. A push
// address that is no more is forgotten: its device answers while it is open.
func (p *Pusher) Send(ctx context.Context, m outbox.Message) outbox.Class {
	device, q := id.Authenticator(m.Fields[outbox.PushDevice]), m.Fields[outbox.PushApproval]
	c, s, err := p.look(ctx, device, m)
	if err != nil {
		return outbox.Other
	}
	if s == nil {
		return outbox.Unwritable // removed, gone or answered meanwhile
	}
	body, err := json.Marshal(Note{Question: q, Changed: m.Kind == outbox.PushChange})
	if err != nil {
		return outbox.Unwritable
	}
	status, err := p.post(ctx, *s, body, m)
	class, gone := classOf(status, err)
	if gone {
		p.forget(ctx, c, *s)
	}
	if class != outbox.Done {
		p.Slog.Warn("a push message was not taken", "device", string(device), "status", status, "why", string(class), "try", m.Tries)
	}
	return class
}

// Note is what a push message says: that there is a question, or that something
// about the account was changed. Who asks what is fetched by the app, and shown when
// the device is unlocked.
type Note struct {
	Question string `json:"question,omitempty"`
	Changed  bool   `json:"changed,omitempty"`
}

// look reads the device as it is now, and whether the question is still open.
func (p *Pusher) look(ctx context.Context, device id.Authenticator, m outbox.Message) (c authenticators.Credential, s *authenticators.Subscription, err error) {
	err = p.Store.BackgroundRead(ctx, func(tx *store.Tx) error {
		s = nil
		if wanted, err := p.wanted(tx, m); err != nil || !wanted {
			return err
		}
		var found bool
		if c, found, err = authenticators.DeviceByID(tx, p.Keys, device); err != nil || !found {
			return err
		}
		d, err := authenticators.DeviceOf(c)
		s = d.Subscription
		return err
	})
	return c, s, err
}

// wanted tells whether a message still says something: a question that is closed does not.
func (p *Pusher) wanted(tx *store.Tx, m outbox.Message) (bool, error) {
	if m.Kind == outbox.PushChange {
		return true, nil
	}
	a, found, err := authenticators.ApprovalByID(tx, p.Keys, id.Approval(m.Fields[outbox.PushApproval]))
	return found && a.StateAt(tx.Now()) == authenticators.ApprovalOpen, err
}

// post hands one message over.
func (p *Pusher) post(ctx context.Context, s authenticators.Subscription, plain []byte, m outbox.Message) (status int, err error) {
	ctx, cancel := context.WithTimeout(ctx, CallTime)
	defer cancel()
	if err := p.Check(s); err != nil {
		return 0, errGone
	}
	req, err := p.request(ctx, s, plain, m)
	if err != nil {
		return 0, err
	}
	resp, err := p.Door.Client(req.URL.Scheme == "http").Do(req)
	if err != nil {
		return 0, err
	}
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 4096))
	return resp.StatusCode, resp.Body.Close()
}

// errGone is of an address that no message can go to any more.
var errGone = errors.New("webpush: this address cannot be used any more")

func (p *Pusher) request(ctx context.Context, s authenticators.Subscription, plain []byte, m outbox.Message) (*http.Request, error) {
	servers := Servers(p.Keys)
	i := slices.IndexFunc(servers, func(v Server) bool { return v.Public == s.Server })
	to, err := ParseKeys(s.P256dh, s.Auth)
	if i < 0 || err != nil {
		return nil, errGone // our key for it has left the folder: the app brings another address when it is opened
	}
	body, err := Encrypt(to, plain, p.Rand)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.Endpoint, bytes.NewReader(body))
	if err != nil {
		return nil, errGone
	}
	authorization, err := servers[i].authorization(req.URL, p.Subject, p.Now(), p.Rand)
	if err != nil {
		return nil, err
	}
	req.Header = http.Header{"Content-Encoding": {"aes128gcm"}, "Content-Type": {"application/octet-stream"}, "Authorization": {authorization},
		"Ttl": {ttl(m.Expires.Sub(p.Now()))}, "Urgency": {"high"}, "Topic": {topic(m)}, "User-Agent": {"Gatehouse-Push/1"}}
	return req, nil
}

// ttl is how long a push service may keep the message, in whole seconds: no longer
// than the question lives.
func ttl(left time.Duration) string {
	return strconv.Itoa(max(1, int((left+time.Second-1)/time.Second)))
}

// topic has a later question take the place of one that a push service still holds
// (RFC 8030 §5.4: at most 32 characters of base64url); what tells of a change takes
// the place of no question.
func topic(m outbox.Message) string {
	name := strings.ReplaceAll(m.Lane, "-", "")
	if m.Kind == outbox.PushChange {
		name = "c" + name
	}
	return name[:min(32, len(name))]
}

// classOf says what an answer means for the message, and whether the address is no
// more (RFC 8030 §7.3: 404; push services also say 410).
func classOf(status int, err error) (class outbox.Class, gone bool) {
	switch {
	case errors.Is(err, errGone):
		return outbox.Unwritable, true
	case status == 0:
		return outbox.Unreachable, false
	case status >= 200 && status < 300:
		return outbox.Done, false
	case status == http.StatusNotFound, status == http.StatusGone:
		return outbox.Unwritable, true
	case status == http.StatusRequestEntityTooLarge:
		return outbox.Unwritable, false
	case status == http.StatusTooManyRequests, status >= 500:
		return outbox.Later, false
	}
	return outbox.Refused, false
}

// forget takes a push address off a device, unless it has brought another since.
func (p *Pusher) forget(ctx context.Context, c authenticators.Credential, s authenticators.Subscription) {
	err := p.Store.Background(ctx, func(tx *store.Tx) error {
		now, found, err := authenticators.DeviceByID(tx, p.Keys, c.ID)
		if err != nil || !found {
			return err
		}
		d, err := authenticators.DeviceOf(now)
		if err != nil || d.Subscription == nil || *d.Subscription != s {
			return err
		}
		return authenticators.SetSubscription(tx, p.Keys, now, nil)
	})
	if err != nil {
		p.Slog.Warn("a push address that is gone could not be forgotten", "device", string(c.ID), "error", err)
	}
}
