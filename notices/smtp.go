package notices

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	netmail "net/mail"
	"net/textproto"
	"time"

	"github.com/wneessen/go-mail"
	"github.com/wneessen/go-mail/smtp"

	"gatehouse/outbox"
	"gatehouse/seal"
)

// SMTP hands mails to a mail server, one connection each: they are few, and a
// connection that hangs then holds up one mail.
type SMTP struct {
	Host     string
	Port     int            // 0: 465 with ImplicitTLS, else 587
	TLS      TLSMode        // "" = StartTLS
	Roots    *x509.CertPool // nil: the system's
	Username string         // "" = no authentication
	Password seal.Secret
	From     string        // mailbox, as in: Gatehouse <login@example.com>
	Timeout  time.Duration // for connecting, and again for handing over; 5 s when zero
}

// TLSMode says how the way to the mail server is protected. Certificates are
// checked in every mode that has TLS.
type TLSMode string

// The modes.
const (
	StartTLS      TLSMode = "starttls"      // STARTTLS or nothing
	ImplicitTLS   TLSMode = "tls"           // from the first byte (RFC 8314 §3.3)
	Opportunistic TLSMode = "opportunistic" // STARTTLS when offered; whoever sits between can take the offer away
	NoTLS         TLSMode = "none"          // for a mail server on this machine
)

// Check tells what is wrong with the settings, without connecting.
func (s *SMTP) Check() error {
	if _, err := netmail.ParseAddress(s.From); err != nil {
		return fmt.Errorf("notices: %q is not a sender such as: Gatehouse <login@example.com>", s.From)
	}
	_, err := s.client()
	return err
}

// Try connects and signs in as Send would, and sends nothing. Its error names the
// server's answer: it is for operators.
func (s *SMTP) Try(ctx context.Context) error {
	var l line
	defer l.hangUp()
	client, err := s.client(mail.WithDialContextFunc(l.dialer(ctx, s)))
	if err != nil {
		return err
	}
	if err := client.DialWithContext(ctx); err != nil {
		return err
	}
	return client.Close()
}

// Send hands one mail over. Its error is always a *Failure.
func (s *SMTP) Send(ctx context.Context, m Mail) error {
	msg, err := message(m, s.From)
	if err != nil {
		return err
	}
	var l line
	defer l.hangUp()
	client, err := s.client(mail.WithDialContextFunc(l.dialer(ctx, s)))
	if err != nil {
		return &Failure{outbox.Other, err}
	}
	err = client.DialAndSendWithContext(ctx, msg)
	if err == nil || msg.IsDelivered() { // a bad good-bye does not undo "250 queued"
		return nil
	}
	return &Failure{classOf(err), err}
}

// line is the connection of one mail. go-mail leaves it open when the greeting,
// TLS or the password fail, and heeds ctx only until it is connected.
type line struct {
	conn net.Conn
	stop func() bool
}

func (l *line) dialer(ctx context.Context, s *SMTP) mail.DialContextFunc {
	return func(dialing context.Context, network, address string) (net.Conn, error) {
		var d interface {
			DialContext(context.Context, string, string) (net.Conn, error)
		} = &net.Dialer{}
		if s.TLS == ImplicitTLS {
			d = &tls.Dialer{Config: s.tlsConfig()}
		}
		conn, err := d.DialContext(dialing, network, address)
		if err == nil {
			l.conn, l.stop = conn, context.AfterFunc(ctx, func() { conn.Close() })
		}
		return conn, err
	}
}

func (l *line) hangUp() {
	if l.conn != nil {
		l.stop()
		l.conn.Close()
	}
}

func (s *SMTP) tlsConfig() *tls.Config {
	return &tls.Config{ServerName: s.Host, RootCAs: s.Roots, MinVersion: tls.VersionTLS12}
}

func (s *SMTP) client(more ...mail.Option) (*mail.Client, error) {
	timeout := s.Timeout
	if timeout == 0 {
		timeout = 5 * time.Second
	}
	options := append([]mail.Option{mail.WithTimeout(timeout), mail.WithTLSConfig(s.tlsConfig())}, more...)
	if from, err := netmail.ParseAddress(s.From); err == nil {
		options = append(options, mail.WithHELO(domain(from.Address)))
	}
	if s.Username != "" {
		options = append(options, mail.WithUsername(s.Username), mail.WithPassword(s.Password.Reveal()),
			mail.WithOpportunisticSMTPAuth(mail.SMTPAuthSCRAMSHA256, mail.SMTPAuthPlain, mail.SMTPAuthLogin))
	}
	mode, err := s.protection()
	if err != nil {
		return nil, err
	}
	return mail.NewClient(s.Host, append(options, mode...)...)
}

func (s *SMTP) protection() ([]mail.Option, error) {
	port := s.Port
	if port == 0 {
		port = 587
	}
	switch s.TLS {
	case "", StartTLS:
		return []mail.Option{mail.WithPort(port), mail.WithTLSPolicy(mail.TLSMandatory)}, nil
	case Opportunistic:
		return []mail.Option{mail.WithPort(port), mail.WithTLSPolicy(mail.TLSOpportunistic)}, nil
	case NoTLS:
		return []mail.Option{mail.WithPort(port), mail.WithTLSPolicy(mail.NoTLS)}, nil
	case ImplicitTLS:
		if s.Port == 0 {
			port = 465
		}
		return []mail.Option{mail.WithPort(port), mail.WithSSL()}, nil
	}
	return nil, fmt.Errorf("notices: %q is not one of starttls, tls, opportunistic, none", s.TLS)
}

// classOf finds what kind of failure it was. The text of the error stays behind.
func classOf(err error) outbox.Class {
	if code := answer(err); code != 0 {
		return classOfAnswer(code)
	}
	var record tls.RecordHeaderError
	var certificate *tls.CertificateVerificationError
	var alert tls.AlertError
	var sent *mail.SendError
	var network net.Error
	switch {
	case errors.As(err, &certificate), errors.As(err, &record), errors.As(err, &alert):
		return outbox.NotTrusted
	case errors.As(err, &network), errors.As(err, &sent), errors.Is(err, context.Canceled):
		return outbox.Unreachable
	case errors.Is(err, mail.ErrNoSupportedAuthDiscovered), errors.Is(err, smtp.ErrUnencrypted):
		return outbox.NotAllowed
	}
	return outbox.NotTrusted // go-mail: no STARTTLS on offer, or no AUTH: the server is not the one we expect
}

// answer is the server's reply code, 0 when it gave none.
func answer(err error) int {
	var sent *mail.SendError
	if errors.As(err, &sent) && sent.ErrorCode() != 0 {
		return sent.ErrorCode()
	}
	var reply *textproto.Error
	if errors.As(err, &reply) {
		return reply.Code
	}
	return 0
}

func classOfAnswer(code int) outbox.Class {
	switch {
	case code == 530, code == 534, code == 535, code == 538: // RFC 4954 §6
		return outbox.NotAllowed
	case code >= 500:
		return outbox.Refused
	case code >= 400:
		return outbox.Later
	}
	return outbox.Other
}
