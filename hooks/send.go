package hooks

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"gatehouse/events"
	"gatehouse/id"
	"gatehouse/outbox"
	"gatehouse/store"
)

// Answer is how a call went.
type Answer struct {
	Class  outbox.Class // outbox.Done = the receiver has it
	Status int          // of the HTTP answer; 0 when none came
	Took   time.Duration
	Err    error // why there was no answer; it may name the URL's host, never its path
}

// Send makes the call of a message of the outbox. It is a channel's Send: no
// transaction is open while a receiver is spoken to, and a receiver that must not
// be called any more makes the message hopeless.
func (h *Hooks) Send(ctx context.Context, m outbox.Message) outbox.Class {
	k, e, err := h.look(ctx, id.Hook(m.Fields[outbox.HookReceiver]), id.Event(m.Fields[outbox.HookEvent]))
	switch {
	case errors.Is(err, ErrNoHook), errors.Is(err, ErrNoEvent), errors.Is(err, ErrOff):
		return outbox.Unwritable
	case err != nil:
		return outbox.Other
	}
	body, err := Payload(e)
	if err != nil {
		return outbox.Unwritable
	}
	a := h.call(ctx, k, string(e.ID), body)
	if a.Status == http.StatusGone {
		h.retire(ctx, k)
	}
	if a.Class != outbox.Done {
		h.warn("a web-hook was not taken", "hook", k.Name, "event", string(e.ID), "try", m.Tries, "why", string(a.Class), "status", a.Status, "took", a.Took.String())
	}
	return a.Class
}

// GivenUp records that a message will never be sent. It is a channel's GivenUp.
func (h *Hooks) GivenUp(tx *store.Tx, p outbox.Past) error {
	_, lane, err := outbox.FateOf(tx, p.ID)
	if err != nil {
		return err
	}
	_, err = h.Log.Append(tx, events.Event{Kind: events.HookGivenUp, Actor: events.System, Data: map[string]string{
		"hook": lane, "message": string(p.ID), "error": string(p.Why), "tries": strconv.Itoa(p.Tries),
	}})
	return err
}

// look reads the receiver as it is now, not as it was when the message was made,
// and the event.
func (h *Hooks) look(ctx context.Context, hook id.Hook, event id.Event) (k Hook, e events.Event, err error) {
	err = h.Store.BackgroundRead(ctx, func(tx *store.Tx) error {
		if k, err = selectHook(tx, hook, ""); err != nil {
			return err
		}
		if k.State != On {
			return ErrOff
		}
		found := false
		if e, found, err = h.Log.ByID(tx, event); err == nil && !found {
			err = ErrNoEvent
		}
		return err
	})
	return k, e, err
}

// call signs and posts. The signature's time is that of this try, so that a
// receiver can refuse what somebody recorded and plays again.
func (h *Hooks) call(ctx context.Context, k Hook, message string, body []byte) Answer {
	begin := h.Now()
	ctx, cancel := context.WithTimeout(ctx, h.Door.call)
	defer cancel()
	req, err := h.request(ctx, k, message, body)
	if err != nil {
		return Answer{Class: outbox.Unwritable, Err: err}
	}
	client := either(req.URL.Scheme == "http", h.Door.plain, h.Door.secure)
	resp, err := client.Do(req)
	if err != nil {
		return Answer{Class: classOf(err), Err: cause(err), Took: h.Now().Sub(begin)}
	}
	defer time.AfterFunc(bodyTime, cancel).Stop() // ends the reading below; the status has been said already
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, maxBody))
	_ = resp.Body.Close()
	return Answer{Class: classOfStatus(resp.StatusCode), Status: resp.StatusCode, Took: h.Now().Sub(begin)}
}

func (h *Hooks) request(ctx context.Context, k Hook, message string, body []byte) (*http.Request, error) {
	secrets, err := openSecrets(h.Keys, k.ID, k.sealed)
	if err != nil {
		return nil, err
	}
	now := h.Now()
	signature, err := sign(texts(secrets, now), message, now, body)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, k.URL, bytes.NewReader(body))
	if err != nil {
		return nil, ErrURL
	}
	req.Header = http.Header{
		"Content-Type": {"application/json"}, "User-Agent": {"Gatehouse-Hooks/1"},
		headerID: {message}, headerTimestamp: {strconv.FormatInt(now.Unix(), 10)}, headerSignature: {signature},
	}
	return req, nil
}

// classOfStatus: 2xx means taken, whatever else the answer says. 410 ends it. An
// overloaded or absent receiver has its lane wait; any other 5xx may be about this
// event alone, and the next goes on. A redirect is not followed, as it could lead
// inside; like the rest it needs somebody to change something.
func classOfStatus(status int) outbox.Class {
	switch status {
	case http.StatusGone:
		return outbox.Unwritable
	case http.StatusRequestTimeout, http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return outbox.Unreachable
	}
	switch {
	case status >= 200 && status < 300:
		return outbox.Done
	case status >= 500:
		return outbox.Later
	}
	return outbox.Refused
}

func classOf(err error) outbox.Class {
	var (
		untrusted *tls.CertificateVerificationError
		alert     tls.AlertError
		notTLS    tls.RecordHeaderError
	)
	switch {
	case errors.Is(err, ErrInside), errors.Is(err, ErrPlain):
		return outbox.NotAllowed
	case errors.As(err, &untrusted), errors.As(err, &alert), errors.As(err, &notTLS):
		return outbox.NotTrusted
	}
	return outbox.Unreachable
}

// cause strips the URL, whose path or query may be a secret, from an error.
func cause(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return errors.New("no answer in time")
	}
	var dns *net.DNSError
	if errors.As(err, &dns) {
		return errors.New("DNS does not know the host: " + dns.Err)
	}
	return err
}
