package web

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"gatehouse/authenticators"
	"gatehouse/fault"
	"gatehouse/flow"
	"gatehouse/id"
	"gatehouse/manage"
)

// What Gatehouse Verify asks of us. A device is known by its key alone: it brings
// no cookie, and nothing it says counts unless it is signed.

func (s *Server) apiPushKey(r *Request) error {
	if s.Approvals == nil {
		return notFound(r)
	}
	return r.JSON(http.StatusOK, map[string]string{"key": s.Approvals.Key()})
}

// maxEndpoint bounds a push address; the longest in use have about 500 bytes.
const maxEndpoint = 2000

// readSubscription reads a push address, nil when the device has none.
func (s *Server) readSubscription(f *reader) (*authenticators.Subscription, error) {
	sub := authenticators.Subscription{Endpoint: f.text("endpoint"), P256dh: f.text("p256dh"), Auth: f.text("auth"), Server: f.text("server")}
	if f.err != nil || sub.Endpoint == "" {
		return nil, f.err
	}
	if len(sub.Endpoint) > maxEndpoint || len(sub.Server) > 100 || s.Approvals.Good(sub) != nil {
		return nil, fault.New(fault.BadRequest, errors.New("web: a push address that cannot be one"))
	}
	return &sub, nil
}

func (s *Server) apiPair(r *Request) error {
	f, err := r.readFields()
	if err != nil {
		return err
	}
	if s.Approvals == nil {
		return notFound(r)
	}
	sub, err := s.readSubscription(f)
	if err != nil {
		return err
	}
	who, err := r.Who()
	if err != nil {
		return err
	}
	j := manage.Joining{Token: f.text("token"), Signature: f.text("signature"), Who: who,
		Device: authenticators.PushDevice{Name: r.deviceName(f.text("name")), Key: f.text("key"), Subscription: sub}}
	if f.err != nil {
		return f.err
	}
	joined, err := s.Approvals.Pair.Join(r.Context(), j)
	if err != nil {
		return err
	}
	return r.JSON(http.StatusOK, apiJoined{string(joined.Device), joined.URI.Reveal(), joined.Email, j.Device.Name})
}

// apiJoined is what a device keeps of its pairing; openapi.json: Joined.
type apiJoined struct {
	DeviceID string `json:"device_id"`
	URI      string `json:"uri"` // otpauth://
	Account  string `json:"account"`
	Name     string `json:"name"`
}

// fromDevice reads what a device sent, and which it says it is.
func (r *Request) fromDevice() (f *reader, device id.Authenticator, err error) {
	if r.server.Approvals == nil {
		return nil, "", fault.New(fault.NotFound, nil)
	}
	if f, err = r.readFields(); err != nil {
		return nil, "", err
	}
	device, err = deviceID(f.text("device_id"))
	return f, device, err
}

// deviceID reads the id of a device; one that is none looks like an unknown one.
func deviceID(text string) (id.Authenticator, error) {
	d, err := id.Parse[id.Authenticator](text)
	if err != nil {
		return "", fault.New(fault.DeviceUnknown, err)
	}
	return d, nil
}

func (s *Server) apiHello(r *Request) error {
	_, device, err := r.fromDevice()
	if err != nil {
		return err
	}
	challenge, err := s.Approvals.Ask.Challenge(device)
	if err != nil {
		return err
	}
	return r.JSON(http.StatusOK, map[string]string{"challenge": challenge})
}

func (s *Server) apiOpen(r *Request) error {
	f, device, err := r.fromDevice()
	if err != nil {
		return err
	}
	challenge, signature := f.text("challenge"), f.text("signature")
	who, err := r.Who()
	if err = errors.Join(f.err, err); err != nil {
		return err
	}
	if err := s.Approvals.Ask.Paced(who); err != nil {
		return err
	}
	ticket, err := s.Approvals.Ask.OpenDevice(r.Context(), device, challenge, signature)
	if err != nil {
		return err
	}
	return r.JSON(http.StatusOK, map[string]string{"ticket": ticket, "push_key": s.Approvals.Key()})
}

// opened is a device that shows its ticket.
func (r *Request) opened() (device id.Authenticator, ticket string, err error) {
	if r.server.Approvals == nil {
		return "", "", fault.New(fault.NotFound, nil)
	}
	ticket, _ = strings.CutPrefix(r.HTTP.Header.Get("Authorization"), "Bearer ")
	device, err = deviceID(r.Query("device_id"))
	return device, ticket, err
}

func (s *Server) apiQuestions(r *Request) error {
	device, ticket, err := r.opened()
	if err != nil {
		return err
	}
	in, _, err := s.Approvals.Ask.Questions(r.Context(), device, ticket)
	if err != nil {
		return err
	}
	return r.JSON(http.StatusOK, in)
}

// apiEvents sends a device's questions as they come, for as long as it is open.
func (s *Server) apiEvents(r *Request) error {
	device, ticket, err := r.opened()
	if err != nil {
		return err
	}
	_, account, err := s.Approvals.Ask.Questions(r.Context(), device, ticket)
	if err != nil {
		return err
	}
	heard, stop := s.Approvals.Ask.Listen(account)
	defer stop()
	return r.streamRinging(heard, func() (string, any, bool, error) {
		in, _, err := s.Approvals.Ask.Questions(r.Context(), device, ticket)
		return "questions", in, false, err
	})
}

func (s *Server) apiAnswer(r *Request) error {
	f, device, err := r.fromDevice()
	if err != nil {
		return err
	}
	question, err := id.Parse[id.Approval](f.text("question"))
	if err != nil {
		return fault.New(fault.NotInTime, err)
	}
	who, err := r.Who()
	if err != nil {
		return err
	}
	g := flow.Given{Device: device, Question: question, Answer: f.text("answer"), Digits: f.text("digits"), Time: f.text("time"), Signature: f.text("signature"), Who: who}
	if f.err != nil {
		return f.err
	}
	if err := s.Approvals.Ask.Paced(who); err != nil {
		return err
	}
	state, err := s.Approvals.Ask.Answer(r.Context(), g)
	if err != nil {
		return err
	}
	return r.JSON(http.StatusOK, map[string]string{"state": string(state)})
}

func (s *Server) apiSubscribe(r *Request) error {
	f, device, err := r.fromDevice()
	if err != nil {
		return err
	}
	sub, err := s.readSubscription(f)
	if err != nil {
		return err
	}
	ticket := f.text("ticket")
	if _, _, err := s.Approvals.Ask.Questions(r.Context(), device, ticket); err != nil { // a ticket that stands, of a device that is there
		return err
	}
	if err := s.Approvals.Ask.Proves(r.Context(), device, manage.SubscribeText(device, ticket, sub), f.text("signature")); err != nil {
		return err
	}
	if err := s.Approvals.Pair.Subscribe(r.Context(), device, sub); err != nil {
		return err
	}
	r.w.WriteHeader(http.StatusNoContent)
	return nil
}

// --- server-sent events (HTML, "Server-sent events") ---

const (
	streamLife = 50 * time.Second       // then the browser comes again: nothing holds a stream for good
	lookEvery  = 400 * time.Millisecond // what no bell rings for: how far a message has got
	keepAlive  = 15 * time.Second       // a line that says nothing, so that proxies keep the stream
	comeBack   = "retry: 1000\n\n"      // ms
)

// stream sends what look says whenever it has changed, until it says that it is
// over. An error ends the stream: the browser comes again, and gets it as an answer.
func (r *Request) stream(heard <-chan struct{}, look func() (name string, v any, over bool, err error)) error {
	return r.streamEvery(heard, lookEvery, look)
}

// streamRinging looks only when a bell rings.
func (r *Request) streamRinging(heard <-chan struct{}, look func() (name string, v any, over bool, err error)) error {
	return r.streamEvery(heard, keepAlive, look)
}

func (r *Request) streamEvery(heard <-chan struct{}, every time.Duration, look func() (string, any, bool, error)) error {
	name, v, over, err := look()
	if err != nil {
		return err
	}
	c := http.NewResponseController(r.w)
	_, _ = c.SetWriteDeadline(time.Time{}), c.SetReadDeadline(time.Time{}) // those of an ordinary answer are shorter
	h := r.w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("X-Accel-Buffering", "no")
	r.w.WriteHeader(http.StatusOK)
	last, end, tick := "", time.NewTimer(streamLife), time.NewTicker(every)
	defer end.Stop()
	defer tick.Stop()
	fmt.Fprint(r.w, comeBack)
	for {
		text, err := json.Marshal(v)
		if err != nil {
			return nil
		}
		line := ": here\n\n"
		if string(text) != last {
			line = "event: " + name + "\ndata: " + string(text) + "\n\n"
		}
		last = string(text)
		if _, err := fmt.Fprint(r.w, line); err != nil || c.Flush() != nil || over {
			r.hungUp(err)
			return nil
		}
		select {
		case <-r.Context().Done():
			return nil
		case <-end.C:
			return nil
		case _, open := <-heard:
			if !open {
				return nil
			}
		case <-tick.C:
		}
		if name, v, over, err = look(); err != nil {
			return nil
		}
	}
}
