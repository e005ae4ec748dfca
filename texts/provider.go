package texts

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"sync/atomic"
	"time"

	"gatehouse/id"
	"gatehouse/outbox"
	"gatehouse/proof"
	"gatehouse/seal"
)

// Message is one text message or call, worded.
type Message struct {
	ID     id.Message   // the same at every try: whoever can, tells a double by it
	To     seal.Secret  // E.164
	Way    proof.Method // proof.SMS or proof.Voice
	Text   seal.Secret  // the message; of a call what is said before the digits
	Digits seal.Secret  // of a call: said one by one, twice; "" for none
	Again  string       // of a call: said before the digits the second time
	Locale string       // BCP 47
}

// Provider hands one message to whoever carries it. The class says how it went:
//
//	Done         taken: it will be carried, as far as anybody knows
//	Unreachable  nobody answered, or a server error: it was not taken
//	NotTrusted   the certificate is not theirs
//	NotAllowed   our name and password are wrong
//	Later        too many for now
//	Refused      they will not carry this message; another may
//	Other        nobody can say: it may have been taken
type Provider interface {
	Name() string
	Send(context.Context, Message) outbox.Class
	// Try asks whether the provider is there and knows us, and sends nothing.
	Try(context.Context) outbox.Class
}

// maxAnswer bounds what is read of an answer, in bytes.
const maxAnswer = 64 << 10

// NewClient makes the client for a provider: it follows no redirect, since what is
// posted holds a code, and speaks TLS 1.2 at least. roots is nil for the system's.
func NewClient(roots *x509.CertPool) *http.Client {
	return &http.Client{
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			DialContext:            (&net.Dialer{Timeout: 3 * time.Second}).DialContext,
			TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots},
			TLSHandshakeTimeout:    3 * time.Second,
			MaxResponseHeaderBytes: 16 << 10,
			MaxIdleConnsPerHost:    8,
			IdleConnTimeout:        90 * time.Second,
			DisableCompression:     true,
		},
	}
}

// post sends a request and reads its answer. An error of the connection after the
// request was written may mean that the message was taken: Other.
func post(client *http.Client, req *http.Request) (status int, body []byte, class outbox.Class) {
	var written atomic.Bool
	req = req.WithContext(httptrace.WithClientTrace(req.Context(), &httptrace.ClientTrace{
		WroteRequest: func(i httptrace.WroteRequestInfo) { written.Store(i.Err == nil) }}))
	resp, err := client.Do(req)
	if err != nil {
		return 0, nil, classOf(req.Context(), err, written.Load())
	}
	defer resp.Body.Close()
	body, err = io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		class = classOf(req.Context(), err, true)
	}
	return resp.StatusCode, body, class
}

// classOf judges a connection that gave no whole answer. One that ran out of time is
// Unreachable though the message may have been taken: a person is waiting, and a
// second message holds the same code.
func classOf(ctx context.Context, err error, written bool) outbox.Class {
	var untrusted *tls.CertificateVerificationError
	var alert tls.AlertError
	var notTLS tls.RecordHeaderError
	var late net.Error
	switch {
	case errors.As(err, &untrusted), errors.As(err, &alert), errors.As(err, &notTLS):
		return outbox.NotTrusted
	case ctx.Err() != nil, errors.As(err, &late) && late.Timeout():
		return outbox.Unreachable
	case written:
		return outbox.Other
	}
	return outbox.Unreachable
}

// classOfStatus judges an answer by its status alone.
func classOfStatus(status int) outbox.Class {
	switch status {
	case http.StatusUnauthorized, http.StatusForbidden:
		return outbox.NotAllowed
	case http.StatusTooManyRequests:
		return outbox.Later
	case http.StatusRequestTimeout:
		return outbox.Unreachable
	}
	switch {
	case status >= 200 && status < 300:
		return outbox.Done
	case status >= 500:
		return outbox.Unreachable
	case status >= 400:
		return outbox.Refused
	}
	return outbox.Other // a redirect, or what no server should say
}

// join puts a path behind the base address of a provider.
func join(base, path string) (string, error) {
	u, err := url.Parse(base)
	if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return "", ErrAddress
	}
	return u.JoinPath(path).String(), nil
}

// ErrAddress is a provider's address that is none.
var ErrAddress = errors.New("texts: not an address like https://api.example.com")
