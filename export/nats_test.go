package export

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"gatehouse/fault"
)

// natsServer starts a real one that keeps its streams in dir; port -1 is any.
func natsServer(t *testing.T, dir string, port int) *server.Server {
	t.Helper()
	s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: port, JetStream: true, StoreDir: dir, NoLog: true, NoSigs: true, MaxPayload: 64 << 10})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	if !s.ReadyForConnections(20 * time.Second) {
		t.Fatal("the NATS server did not start")
	}
	return s
}

func streamTo(t *testing.T, s *server.Server) *Stream {
	out := NewStream(StreamOptions{URL: s.ClientURL(), Stream: "GATEHOUSE", Subject: "gatehouse.events"})
	t.Cleanup(func() { _ = out.Close() })
	return out
}

// inStream reads what the stream holds, a message a line.
func inStream(t *testing.T, s *server.Server) (text string, subjects []string) {
	t.Helper()
	conn, err := nats.Connect(s.ClientURL())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	js, err := jetstream.New(conn)
	if err != nil {
		t.Fatal(err)
	}
	stream, err := js.Stream(t.Context(), "GATEHOUSE")
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for seq := stream.CachedInfo().State.FirstSeq; seq <= stream.CachedInfo().State.LastSeq; seq++ {
		m, err := stream.GetMsg(t.Context(), seq)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&b, "%s\n", m.Data)
		subjects = append(subjects, m.Subject)
	}
	return b.String(), subjects
}

func makeStream(t *testing.T, s *server.Server, c jetstream.StreamConfig) {
	t.Helper()
	conn, err := nats.Connect(s.ClientURL())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	js, err := jetstream.New(conn)
	if err == nil {
		_, err = js.CreateStream(t.Context(), c)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestEventsArriveInTheStreamOnceInOrderAndWithoutPersonalData(t *testing.T) {
	s := natsServer(t, t.TempDir(), -1)
	f := &followed{all: happened(1000), page: Page}
	if err := f.run(t.Context(), streamTo(t, s).Out); err != nil {
		t.Fatal(err)
	}
	text, subjects := inStream(t, s)
	if err := complain(text, f.all); err != nil {
		t.Error(err)
	}
	if subjects[0] != "gatehouse.events.signin.succeeded" || strings.Contains(text, "ana@example.com") {
		t.Errorf("subject %q, or personal data", subjects[0])
	}
}

func TestAPageThatComesAgainIsStoredOnceThoughTheServerHasForgottenItsIds(t *testing.T) {
	s := natsServer(t, t.TempDir(), -1)
	// The shortest window a server accepts, to show that nothing depends on it.
	makeStream(t, s, jetstream.StreamConfig{Name: "GATEHOUSE", Subjects: []string{"gatehouse.events.>"}, Duplicates: 100 * time.Millisecond})
	f := &followed{all: happened(300), page: 100, lose: true}
	for range 3 { // the process dies after each page, before its place is written down
		f.lose = true
		if err := f.run(t.Context(), streamTo(t, s).Out); !errors.Is(err, errCrash) {
			t.Fatal(err)
		}
		f.place += 50 // another follower's page need not begin where the last did
		<-time.After(150 * time.Millisecond)
	}
	if err := f.run(t.Context(), streamTo(t, s).Out); err != nil {
		t.Fatal(err)
	}
	text, _ := inStream(t, s)
	if err := complain(text, f.all); err != nil {
		t.Error(err)
	}
}

func TestAServerThatDiesUnderAPageGetsTheRestOfItWhenItIsBack(t *testing.T) {
	dir := t.TempDir()
	s := natsServer(t, dir, -1)
	port := s.Addr().(*net.TCPAddr).Port
	out := streamTo(t, s)
	all := happened(3 * Page)
	if err := out.Out(t.Context(), all[:10]); err != nil {
		t.Fatal(err)
	}
	f := &followed{all: all, place: 10, page: Page}
	died := make(chan struct{})
	go func() { s.Shutdown(); s.WaitForShutdown(); close(died) }() // somewhere in the middle
	for err := error(nil); err == nil && f.place < len(all); {
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		err = f.run(ctx, out.Out)
		cancel()
		if err != nil && fault.Of(err) != fault.Unavailable {
			t.Fatalf("told as %v", err)
		}
	}
	<-died
	again := natsServer(t, dir, port)
	f.place = max(0, f.place-20) // and so did we
	if err := f.run(t.Context(), out.Out); err != nil {
		t.Fatal(err)
	}
	text, _ := inStream(t, again)
	got, err := ids(text)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]int{}
	for _, e := range got {
		seen[string(e)]++
	}
	for _, e := range all {
		if seen[string(e.ID)] != 1 {
			t.Errorf("%s is there %d times", e.ID, seen[string(e.ID)])
		}
	}
}

func TestAServerThatIsAwayOrFrozenIsAnOutageAndEndsInTime(t *testing.T) {
	frozen, err := net.Listen("tcp", "127.0.0.1:0") // takes connections and says nothing
	if err != nil {
		t.Fatal(err)
	}
	defer frozen.Close()
	for name, url := range map[string]string{"away": "nats://127.0.0.1:1", "frozen": "nats://" + frozen.Addr().String()} {
		out := NewStream(StreamOptions{URL: url, Stream: "GATEHOUSE", Subject: "gatehouse.events"})
		ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
		begin := time.Now()
		err := out.Out(ctx, happened(1))
		cancel()
		if took := time.Since(begin); fault.Of(err) != fault.Unavailable || took > 2*time.Second {
			t.Errorf("%s: %v after %s", name, err, took)
		}
	}
}

func TestAServerThatFreezesInTheMiddleHoldsItsPageAndEndsInTime(t *testing.T) {
	s := natsServer(t, t.TempDir(), -1)
	proxy := newProxy(t, s.Addr().String())
	out := NewStream(StreamOptions{URL: "nats://" + proxy.Addr().String(), Stream: "GATEHOUSE", Subject: "gatehouse.events"})
	all := happened(600)
	if err := out.Out(t.Context(), all[:200]); err != nil {
		t.Fatal(err)
	}
	proxy.freeze()
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	if err := out.Out(ctx, all[200:400]); fault.Of(err) != fault.Unavailable {
		t.Fatalf("told as %v", err)
	}
	proxy.thaw()
	f := &followed{all: all, place: 200, page: 200}
	deadline := time.Now().Add(20 * time.Second)
	for err := f.run(t.Context(), out.Out); err != nil; err = f.run(t.Context(), out.Out) {
		if fault.Of(err) != fault.Unavailable || time.Now().After(deadline) {
			t.Fatal(err)
		}
		<-time.After(20 * time.Millisecond) // the page before is letting go
	}
	text, _ := inStream(t, s)
	if err := complain(text, all); err != nil {
		t.Error(err)
	}
}

func TestAnEventTooLargeForTheServerIsTheEventsTroubleAndNoOutage(t *testing.T) {
	s := natsServer(t, t.TempDir(), -1)
	all := happened(2)
	all[1].Actor = strings.Repeat("x", 128<<10)
	err := streamTo(t, s).Out(t.Context(), all)
	if err == nil || fault.Of(err) == fault.Unavailable {
		t.Errorf("told as %v", err)
	}
}

func TestTheOperatorsStreamIsTakenAsItIs(t *testing.T) {
	s := natsServer(t, t.TempDir(), -1)
	makeStream(t, s, jetstream.StreamConfig{Name: "GATEHOUSE", Subjects: []string{"gatehouse.events.>"}, MaxMsgs: 5, Storage: jetstream.MemoryStorage})
	f := &followed{all: happened(20), page: 4}
	if err := f.run(t.Context(), streamTo(t, s).Out); err != nil {
		t.Fatal(err)
	}
	text, _ := inStream(t, s)
	if err := complain(text, f.all[15:]); err != nil {
		t.Error(err)
	}
}
