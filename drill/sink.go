package drill

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"mime/quotedprintable"
	"net"
	"net/mail"
	"regexp"
	"strings"
	"sync"
	"time"
)

// Mood is how the mail server of a drill behaves.
type Mood int

// The moods.
const (
	Well  Mood = iota
	Hangs      // takes the connection and says nothing for 30 s
	Fails      // 451 to every mail
	Drops      // says 250 and throws the mail away
)

// hangs is how long a hanging server keeps a sender waiting.
const hangs = 30 * time.Second

// sink is a mail server (RFC 5321) that keeps what it gets.
type sink struct {
	listener net.Listener
	now      func() time.Time
	over     chan struct{}

	mu       sync.Mutex
	mood     Mood
	arrived  []arrival
	ids      map[string]int // Message-ID → how often it was taken
	asked    int            // mails offered, whatever became of them
	newMail  chan struct{}  // closed and made anew when one arrives
	sessions sync.WaitGroup
}

type arrival struct {
	to    string
	token string // of the link in it
	at    time.Time
}

func newSink(now func() time.Time) (*sink, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &sink{listener: l, now: now, over: make(chan struct{}), ids: map[string]int{}, newMail: make(chan struct{})}
	go s.serve()
	return s, nil
}

func (s *sink) port() int { return s.listener.Addr().(*net.TCPAddr).Port }

func (s *sink) close() {
	close(s.over)
	s.listener.Close()
	s.sessions.Wait()
}

func (s *sink) feel(m Mood) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mood = m
}

func (s *sink) feels() Mood {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.mood
}

func (s *sink) serve() {
	for {
		c, err := s.listener.Accept()
		if err != nil {
			return
		}
		s.sessions.Go(func() { s.converse(c) })
	}
}

func (s *sink) converse(c net.Conn) {
	stop := make(chan struct{})
	defer close(stop)
	go func() {
		select {
		case <-s.over:
		case <-stop:
		}
		c.Close()
	}()
	if s.feels() == Hangs {
		s.sulk()
		return
	}
	in := bufio.NewReader(c)
	say := func(line string) { fmt.Fprintf(c, "%s\r\n", line) }
	say("220 drill ESMTP")
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		if s.feels() == Hangs {
			s.sulk()
			return
		}
		verb := strings.ToUpper(strings.TrimSpace(line))
		switch {
		case strings.HasPrefix(verb, "EHLO"), strings.HasPrefix(verb, "HELO"):
			say("250-drill")
			say("250 8BITMIME")
		case verb == "DATA":
			say("354 go on")
			if !s.data(in, say) {
				return
			}
		case verb == "QUIT":
			say("221 bye")
			return
		default:
			say("250 ok")
		}
	}
}

func (s *sink) sulk() {
	select {
	case <-s.over:
	case <-time.After(hangs):
	}
}

// data reads a mail up to the line with a dot.
func (s *sink) data(in *bufio.Reader, say func(string)) bool {
	var text strings.Builder
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return false
		}
		if line == ".\r\n" {
			break
		}
		text.WriteString(strings.TrimPrefix(line, "."))
	}
	mood := s.feels()
	if mood == Fails {
		s.count()
		say("451 not today")
		return true
	}
	s.take(text.String(), mood == Drops)
	say("250 taken")
	return true
}

func (s *sink) count() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked++
}

var linkToken = regexp.MustCompile(regexp.QuoteMeta(Origin) + `/link/([A-Za-z0-9_-]+)`)

func (s *sink) take(text string, drop bool) {
	s.count()
	m, err := mail.ReadMessage(strings.NewReader(text))
	if err != nil || drop {
		return
	}
	to, _ := mail.ParseAddress(m.Header.Get("To"))
	a := arrival{at: s.now()}
	if to != nil {
		a.to = to.Address
	}
	body, _ := io.ReadAll(m.Body)
	a.token = tokenIn(string(body))
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ids[m.Header.Get("Message-ID")]++
	s.arrived = append(s.arrived, a)
	close(s.newMail)
	s.newMail = make(chan struct{})
}

// tokenIn finds the link in a body, whose lines may be folded (quoted-printable).
func tokenIn(body string) string {
	plain, _ := io.ReadAll(quotedprintable.NewReader(strings.NewReader(body))) // a bad line ends it, after the link
	for _, text := range []string{string(plain), body} {
		if found := linkToken.FindStringSubmatch(text); found != nil {
			return found[1]
		}
	}
	return ""
}

// link waits for a mail with a link to somebody, made after a time; "" when ctx ends.
func (s *sink) link(ctx context.Context, to string, after time.Time) string {
	for {
		s.mu.Lock()
		more := s.newMail
		for _, a := range s.arrived {
			if a.to == to && a.token != "" && !a.at.Before(after) {
				s.mu.Unlock()
				return a.token
			}
		}
		s.mu.Unlock()
		select {
		case <-more:
		case <-ctx.Done():
			return ""
		}
	}
}

// twice counts mails that were taken more than once under one Message-ID.
func (s *sink) twice() (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, times := range s.ids {
		n += times - 1
	}
	return n
}

// taken counts the mails that arrived.
func (s *sink) taken() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.arrived)
}

// offered counts the mails that were offered, whatever became of them.
func (s *sink) offered() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked
}
