package export

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"gatehouse/events"
	"gatehouse/fault"
	"gatehouse/id"
	"gatehouse/seal"
)

// StreamOptions say where the stream is. Set URL, Stream and Subject.
type StreamOptions struct {
	URL         string // nats://host:4222 or tls://host:4222; several separated by commas
	Stream      string // made when it is not there, with file storage and no limits
	Subject     string // an event goes to Subject + "." + its kind
	Credentials string // path of a .creds file; "" = none
	User        string // with Password; "" = none
	Password    seal.Secret
	Personal    bool // personal data goes along
}

// Stream publishes events to a stream of NATS JetStream, each under its id as
// Nats-Msg-Id. The server drops an id that it has seen within the stream's
// duplicate window; for a page that comes again after longer, the end of the
// stream is read and compared first.
//
// The order within the stream is that of the log, except for what was under way
// when a connection broke; the field position tells the order.
type Stream struct {
	o     StreamOptions
	aside aside

	conn *nats.Conn
	js   jetstream.JetStream
	last *recent // nil: the end of the stream has to be read again
}

// NewStream makes a sink. It connects when the first page comes.
func NewStream(o StreamOptions) *Stream { return &Stream{o: o, aside: newAside()} }

const (
	connectTime = 2 * time.Second
	// duplicates is the window of a stream that we make: longer than any page is
	// under way, so that a publication the server has not answered is not made twice.
	duplicates = 10 * time.Minute
)

// Out publishes the events that the stream has not got, and returns when the
// server has stored all. It is a follower's Out.
func (s *Stream) Out(ctx context.Context, page []events.Event) error {
	return s.aside.run(ctx, func() error {
		err := s.publish(ctx, page)
		if fault.Of(err) == fault.Unavailable {
			s.hangUp()
		}
		return err
	})
}

// hangUp begins anew: what of a page arrived is not known, and nothing of it may
// arrive later over a connection that comes back by itself.
func (s *Stream) hangUp() {
	if s.conn != nil {
		s.conn.Close()
	}
	s.conn, s.last = nil, nil
}

// Close lets go of the connection. Call it when no Out runs any more.
func (s *Stream) Close() error {
	s.hangUp()
	return nil
}

func (s *Stream) publish(ctx context.Context, page []events.Event) error {
	if err := s.ready(ctx); err != nil {
		return away(err)
	}
	msgs, err := s.messages(page)
	if err != nil {
		return err
	}
	futures := make([]jetstream.PubAckFuture, len(msgs))
	for i, m := range msgs {
		if futures[i], err = s.js.PublishMsgAsync(m, jetstream.WithExpectStream(s.o.Stream)); err != nil {
			return blame(err)
		}
	}
	for _, f := range futures {
		if err := stored(ctx, f); err != nil {
			return blame(err)
		}
	}
	for _, e := range page {
		s.last.add(e.ID)
	}
	return nil
}

func stored(ctx context.Context, f jetstream.PubAckFuture) error {
	select {
	case <-f.Ok():
		return nil
	case err := <-f.Err():
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// blame: an event that is too large for the server is the event's trouble; all
// else is the server's.
func blame(err error) error {
	if errors.Is(err, nats.ErrMaxPayload) {
		return fmt.Errorf("export: %w", err)
	}
	return away(err)
}

func (s *Stream) messages(page []events.Event) ([]*nats.Msg, error) {
	var msgs []*nats.Msg
	for _, e := range page {
		if s.last.has[e.ID] {
			continue
		}
		line, err := encode(e, s.o.Personal)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", e.ID, err)
		}
		m := nats.NewMsg(s.o.Subject + "." + string(e.Kind))
		m.Header.Set(jetstream.MsgIDHeader, string(e.ID))
		m.Data = line
		msgs = append(msgs, m)
	}
	return msgs, nil
}

// ready has a connection, a stream, and the stream's end read.
func (s *Stream) ready(ctx context.Context) error {
	if s.conn == nil {
		if err := s.connect(); err != nil {
			return err
		}
	}
	if s.last != nil {
		return nil
	}
	stream, err := s.stream(ctx)
	if err != nil {
		return err
	}
	last, err := end(ctx, stream)
	if err != nil {
		return err
	}
	s.last = last
	return nil
}

// connect makes a connection that does not mend itself: what the server does not
// take now comes again with its page, over a new one.
func (s *Stream) connect() (err error) {
	options := []nats.Option{
		nats.Name("gatehouse"), nats.Timeout(connectTime), nats.FlusherTimeout(connectTime), nats.NoReconnect(),
		nats.PingInterval(5 * time.Second), nats.Secure(&tls.Config{MinVersion: tls.VersionTLS12}),
	}
	if !s.secure() {
		options = options[:len(options)-1]
	}
	if s.o.Credentials != "" {
		options = append(options, nats.UserCredentials(s.o.Credentials))
	}
	if s.o.User != "" {
		options = append(options, nats.UserInfo(s.o.User, s.o.Password.Reveal()))
	}
	if s.conn, err = nats.Connect(s.o.URL, options...); err != nil {
		return err
	}
	s.js, err = jetstream.New(s.conn, jetstream.WithPublishAsyncMaxPending(2*Page))
	return err
}

func (s *Stream) secure() bool { return strings.HasPrefix(s.o.URL, "tls://") }

// stream takes the operator's stream as it is, and makes one only when there is none.
func (s *Stream) stream(ctx context.Context) (jetstream.Stream, error) {
	found, err := s.js.Stream(ctx, s.o.Stream)
	if !errors.Is(err, jetstream.ErrStreamNotFound) {
		return found, err
	}
	return s.js.CreateStream(ctx, jetstream.StreamConfig{
		Name: s.o.Stream, Subjects: []string{s.o.Subject + ".>"}, Storage: jetstream.FileStorage, Duplicates: duplicates,
		Description: "security events of Gatehouse",
	})
}

// tailLook is how many of a stream's last messages are read, one by one: twice
// what can be under way.
const tailLook = 2 * Page

// end reads which events are at the end of a stream.
func end(ctx context.Context, stream jetstream.Stream) (*recent, error) {
	info, err := stream.Info(ctx)
	if err != nil {
		return nil, err
	}
	last := newRecent()
	to := info.State.LastSeq
	from := max(info.State.FirstSeq, to-min(to, tailLook)+1)
	for seq := from; seq <= to; seq++ {
		m, err := stream.GetMsg(ctx, seq)
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			continue // deleted
		}
		if err != nil {
			return nil, err
		}
		last.add(id.Event(m.Header.Get(jetstream.MsgIDHeader)))
	}
	return last, nil
}
