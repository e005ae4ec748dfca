package notices

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"fmt"
	"math/big"
	"net"
	"strings"
	"sync"
	"testing"
	"time"
)

// sink is a small mail server that keeps what it is given.
type sink struct {
	t        *testing.T
	listener net.Listener
	tls      *tls.Config
	roots    *x509.CertPool
	conns    sync.WaitGroup

	// how it behaves; set before the first connection
	implicit, noTLS bool
	user            string            // "" = asks for no password
	answers         map[string]string // to a command's first words, instead of the usual
	rude            bool              // hangs up after the mail, without good-bye

	mu    sync.Mutex
	mails []letterbox
	lines []string // everything clients said
}

type letterbox struct {
	from, to, data string
	secure         bool
}

func newSink(t *testing.T, with func(*sink)) *sink {
	t.Helper()
	s := &sink{t: t, answers: map[string]string{}}
	s.certify()
	if with != nil {
		with(s)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.listener = l
	s.conns.Go(s.serve)
	t.Cleanup(func() { l.Close(); s.conns.Wait() })
	return s
}

func (s *sink) certify() {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		s.t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "sink"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		s.t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		s.t.Fatal(err)
	}
	s.roots = x509.NewCertPool()
	s.roots.AddCert(cert)
	s.tls = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
}

func (s *sink) port() int { return s.listener.Addr().(*net.TCPAddr).Port }

func (s *sink) serve() {
	for {
		c, err := s.listener.Accept()
		if err != nil {
			return
		}
		if s.implicit {
			c = tls.Server(c, s.tls)
		}
		s.conns.Go(func() {
			defer func() { c.Close() }()
			c.SetDeadline(time.Now().Add(20 * time.Second))
			s.talk(&c)
		})
	}
}

func (s *sink) talk(c *net.Conn) {
	in := bufio.NewReader(*c)
	say := func(line string) { fmt.Fprintf(*c, "%s\r\n", line) }
	var m letterbox
	m.secure = s.implicit
	say("220 sink ESMTP")
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		line = strings.TrimRight(line, "\r\n")
		s.note(line)
		if answer, ok := s.instead(line); ok {
			if answer == "" {
				continue // says nothing, for as long as the client likes to wait
			}
			say(answer)
			continue
		}
		verb, rest, _ := strings.Cut(line, " ")
		switch strings.ToUpper(verb) {
		case "EHLO":
			say("250-sink")
			if !s.noTLS && !m.secure {
				say("250-STARTTLS")
			}
			if s.user != "" && m.secure {
				say("250-AUTH PLAIN")
			}
			say("250-SMTPUTF8")
			say("250 8BITMIME")
		case "STARTTLS":
			say("220 go on")
			secure := tls.Server(*c, s.tls)
			*c, in, m.secure = secure, bufio.NewReader(secure), true
		case "AUTH":
			_, token, _ := strings.Cut(rest, " ")
			plain, _ := base64.StdEncoding.DecodeString(token)
			if string(plain) != "\x00"+s.user+"\x00right" {
				say("535 5.7.8 no")
				continue
			}
			say("235 yes")
		case "MAIL":
			m.from = rest
			say("250 ok")
		case "RCPT":
			m.to = rest
			say("250 ok")
		case "DATA":
			say("354 go on")
			m.data = readData(in)
			s.keep(m)
			say("250 queued")
			if s.rude {
				return
			}
		case "QUIT":
			say("221 bye")
			return
		default:
			say("250 ok")
		}
	}
}

func readData(in *bufio.Reader) string {
	var b strings.Builder
	for {
		line, err := in.ReadString('\n')
		if err != nil || line == ".\r\n" {
			return b.String()
		}
		b.WriteString(strings.TrimPrefix(line, "."))
	}
}

func (s *sink) instead(line string) (string, bool) {
	for begin, answer := range s.answers {
		if strings.HasPrefix(strings.ToUpper(line), strings.ToUpper(begin)) {
			return answer, true
		}
	}
	return "", false
}

func (s *sink) note(line string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lines = append(s.lines, line)
}

func (s *sink) keep(m letterbox) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mails = append(s.mails, m)
}

func (s *sink) got() []letterbox {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]letterbox(nil), s.mails...)
}

func (s *sink) said(begin string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range s.lines {
		if strings.HasPrefix(l, begin) {
			return true
		}
	}
	return false
}

// sender is an SMTP that speaks to the sink.
func (s *sink) sender() *SMTP {
	return &SMTP{
		Host: "127.0.0.1", Port: s.port(), Roots: s.roots,
		From: "Harbour Books <login@gatehouse.example>", Timeout: 5 * time.Second,
	}
}
