package hooks

import (
	"context"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"gatehouse/events"
	"gatehouse/id"
	"gatehouse/outbox"
	"gatehouse/seal"
	"gatehouse/store"
	"gatehouse/store/storetest"
)

// house is what hooks need, with a clock of its own and a log that is kept.
type house struct {
	*Hooks
	t     *testing.T
	clock *storetest.Clock
	told  *strings.Builder
}

var loopback = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}

func each(t *testing.T, fn func(h house)) {
	var clock *storetest.Clock
	storetest.EachWith(t, func(o *store.Options) {
		clock = storetest.NewClock()
		o.Now = clock.Now
	}, func(t *testing.T, s *store.Store) { fn(newHouse(t, s, clock)) })
}

// one is each on SQLite alone, for what the database has no part in.
func one(t *testing.T) house {
	clock := storetest.NewClock()
	return newHouse(t, storetest.Open(t, storetest.SQLite(t), func(o *store.Options) { o.Now = clock.Now }), clock)
}

func newHouse(t *testing.T, s *store.Store, clock *storetest.Clock) house {
	dir := t.TempDir() + "/keys"
	if err := seal.InitKeys(dir); err != nil {
		t.Fatal(err)
	}
	keys, err := seal.LoadKeys(dir)
	if err != nil {
		t.Fatal(err)
	}
	told := &strings.Builder{}
	h := house{&Hooks{
		Store: s, Keys: keys, Log: events.New(keys, rand.Reader), Door: NewDoor(loopback, nil), Now: clock.Now, Rand: rand.Reader,
		Slog: slog.New(slog.NewTextHandler(told, nil)),
	}, t, clock, told}
	h.do(func(tx *store.Tx) error { return h.Log.Introduce(tx, ana) })
	return h
}

const ana id.Account = "0199f000-0000-7000-8000-00000000000a"

func (h house) do(fn func(*store.Tx) error) {
	h.t.Helper()
	if err := h.Store.Background(h.t.Context(), fn); err != nil {
		h.t.Fatal(err)
	}
}

func (h house) add(name, url string, kinds ...string) (Hook, seal.Secret) {
	h.t.Helper()
	k, s, err := h.Add(h.t.Context(), New{Name: name, URL: url, Kinds: kinds}, events.Operator)
	if err != nil {
		h.t.Fatal(err)
	}
	return k, s
}

// happens appends an event about Ana, with all that is personal, and lets the
// follower see it.
func (h house) happens(kind events.Kind, organisation id.Organisation) events.Event {
	h.t.Helper()
	e := events.Event{Kind: kind, Account: ana, Actor: string(ana), Organisation: organisation, Session: "0199f000-0000-7000-8000-00000000000c"}
	if kind == events.SignedIn {
		e.Data = map[string]string{"method": "password+totp"}
		e.Personal = map[string]string{"email": "ana@example.com", "network": "198.51.100.7", "agent": "Firefox", "device": "d1", "place": "Lisbon"}
	}
	h.do(func(tx *store.Tx) error {
		made, err := h.Log.Append(tx, e)
		if err != nil {
			return err
		}
		e, _, err = h.Log.ByID(tx, made)
		if err != nil {
			return err
		}
		return h.Follow(tx, e)
	})
	return e
}

// fate tells what became of a call.
func (h house) fate(k Hook, e events.Event, round int) (f outbox.Fate) {
	h.t.Helper()
	h.do(func(tx *store.Tx) (err error) {
		f, _, err = outbox.FateOf(tx, messageID(k.ID, e.ID, round))
		return err
	})
	return f
}

func message(k Hook, e events.Event) outbox.Message {
	return outbox.Message{ID: messageID(k.ID, e.ID, 0), Kind: outbox.Hook, Lane: string(k.ID), Tries: 1,
		Fields: map[string]string{outbox.HookReceiver: string(k.ID), outbox.HookEvent: string(e.ID)}}
}

func TestAReceiverGetsWhatItAskedForAndNothingElse(t *testing.T) {
	each(t, func(h house) {
		const books, other id.Organisation = "0199f000-0000-7000-8000-0000000000b1", "0199f000-0000-7000-8000-0000000000b2"
		all, _ := h.add("all", "https://example.com/", "*")
		family, _ := h.add("family", "https://example.com/", "session.*")
		exact, _ := h.add("exact", "https://example.com/", "signin.succeeded")
		off, _ := h.add("off", "https://example.com/", "*")
		if err := h.Switch(h.t.Context(), "off", Off, events.Operator); err != nil {
			h.t.Fatal(err)
		}
		mine, _, err := h.Add(h.t.Context(), New{Name: "mine", URL: "https://example.com/", Kinds: []string{"*"}, Organisation: books}, events.Operator)
		if err != nil {
			h.t.Fatal(err)
		}
		in := h.happens(events.SignedIn, books)
		out := h.happens(events.SessionEnded, other)
		about := h.happens(events.HookAdded, books) // what happens to receivers is told to none
		for _, row := range []struct {
			k    Hook
			e    events.Event
			want outbox.Fate
		}{
			{all, in, outbox.Waiting}, {all, out, outbox.Waiting}, {all, about, outbox.Unknown},
			{family, in, outbox.Unknown}, {family, out, outbox.Waiting},
			{exact, in, outbox.Waiting}, {exact, out, outbox.Unknown},
			{off, in, outbox.Unknown}, {off, out, outbox.Unknown},
			{mine, in, outbox.Waiting}, {mine, out, outbox.Unknown},
		} {
			if got := h.fate(row.k, row.e, 0); got != row.want {
				h.t.Errorf("%s, %s: %q, want %q", row.k.Name, row.e.Kind, got, row.want)
			}
		}
	})
}

func TestFollowingAnEventTwiceIsCallingOnce(t *testing.T) {
	each(t, func(h house) {
		h.add("one", "https://example.com/", "*")
		e := h.happens(events.SignedIn, "")
		h.do(func(tx *store.Tx) error { return h.Follow(tx, e) })
		n := 0
		h.do(func(tx *store.Tx) error {
			return tx.Row(`SELECT COUNT(*) FROM outbox WHERE kind = 'hook'`).Scan(&n)
		})
		if n != 1 {
			h.t.Errorf("%d calls wait", n)
		}
	})
}

// receiver keeps the calls it gets and answers each by answer.
type receiver struct {
	*httptest.Server
	mu    sync.Mutex
	calls []call
}

type call struct {
	header http.Header
	body   []byte
}

func receive(t *testing.T, answer http.HandlerFunc) *receiver {
	r := &receiver{}
	r.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, _ := io.ReadAll(req.Body)
		r.mu.Lock()
		r.calls = append(r.calls, call{req.Header, body})
		r.mu.Unlock()
		answer(w, req)
	}))
	r.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	r.StartTLS()
	t.Cleanup(func() { r.CloseClientConnections(); r.Close() })
	return r
}

func (r *receiver) got() []call {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.calls
}

// trust makes the house believe the receiver's certificate.
func (h house) trust(r *receiver) {
	roots := x509.NewCertPool()
	roots.AddCert(r.Certificate())
	h.Door = NewDoor(loopback, roots)
}

func fine(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }

func TestACallIsSignedNamesTheEventAndHoldsNothingPersonal(t *testing.T) {
	each(t, func(h house) {
		r := receive(h.t, fine)
		h.trust(r)
		k, secret := h.add("books", r.URL+"/hooks?token=abc", "*")
		e := h.happens(events.SignedIn, "")
		h.clock.Set(time.Now()) // the library compares with the real clock
		for range 2 {
			if class := h.Send(h.t.Context(), message(k, e)); class != outbox.Done {
				h.t.Fatalf("%s\n%s", class, h.told)
			}
		}
		calls := r.got()
		if len(calls) != 2 || calls[0].header.Get(headerID) != string(e.ID) || calls[1].header.Get(headerID) != string(e.ID) {
			h.t.Fatalf("%d calls", len(calls))
		}
		judge, err := standardwebhooks.NewWebhook(secret.Reveal())
		if err != nil {
			h.t.Fatal(err)
		}
		if err := judge.Verify(calls[0].body, calls[0].header); err != nil {
			h.t.Error(err)
		}
		for _, personal := range []string{"ana@", "198.51.100.7", "Firefox", "d1\"", "Lisbon"} {
			if strings.Contains(string(calls[0].body), personal) {
				h.t.Errorf("the call tells %q: %s", personal, calls[0].body)
			}
		}
		var said struct {
			Type      string
			Timestamp time.Time
			Data      struct {
				Event   id.Event
				Account id.Account
				Codes   map[string]string
			}
		}
		if err := json.Unmarshal(calls[0].body, &said); err != nil || said.Type != "signin.succeeded" || !said.Timestamp.Equal(e.MadeAt) ||
			said.Data.Event != e.ID || said.Data.Account != ana || said.Data.Codes["method"] != "password+totp" {
			h.t.Errorf("%v: %s", err, calls[0].body)
		}
	})
}

func TestADecoyIsNobodysAccount(t *testing.T) {
	body, err := Payload(events.Event{Kind: events.SignInRefused, Account: events.Nobody, Actor: events.Anonymous})
	if err != nil || strings.Contains(string(body), string(events.Nobody)) {
		t.Errorf("%s, %v", body, err)
	}
}

func TestAnAnswerIsJudgedByItsStatus(t *testing.T) {
	h := one(t)
	status := 200
	r := receive(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Location", "http://169.254.169.254/latest/meta-data/")
		w.WriteHeader(status)
	})
	h.trust(r)
	k, _ := h.add("books", r.URL, "*")
	e := h.happens(events.SignedIn, "")
	for _, row := range []struct {
		status int
		want   outbox.Class
	}{
		{200, outbox.Done}, {204, outbox.Done}, {299, outbox.Done},
		{301, outbox.Refused}, {302, outbox.Refused}, {307, outbox.Refused}, {308, outbox.Refused},
		{400, outbox.Refused}, {401, outbox.Refused}, {404, outbox.Refused},
		{408, outbox.Unreachable}, {429, outbox.Unreachable}, {502, outbox.Unreachable}, {503, outbox.Unreachable}, {504, outbox.Unreachable},
		{500, outbox.Later}, {599, outbox.Later},
	} {
		status = row.status
		before := len(r.got())
		if got := h.Send(t.Context(), message(k, e)); got != row.want {
			t.Errorf("%d: %q, want %q", row.status, got, row.want)
		}
		if n := len(r.got()) - before; n != 1 {
			t.Errorf("%d: called %d times", row.status, n)
		}
	}
}

func TestAReceiverThatWantsNoMoreIsTurnedOff(t *testing.T) {
	h := one(t)
	r := receive(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusGone) })
	h.trust(r)
	k, _ := h.add("books", r.URL, "*")
	e := h.happens(events.SignedIn, "")
	for range 2 {
		if got := h.Send(t.Context(), message(k, e)); got != outbox.Unwritable {
			t.Errorf("%q", got)
		}
	}
	if all, err := h.List(t.Context()); err != nil || all[0].State != Gone || len(r.got()) != 1 {
		t.Errorf("%+v, %v, called %d times", all, err, len(r.got()))
	}
}

// What a receiver can do to us, and how long it can keep one of our callers.
func TestANastyReceiverCostsItsOwnCallAndNoMore(t *testing.T) {
	inside := receive(t, fine)
	drip := func(w http.ResponseWriter, r *http.Request, what string) {
		for r.Context().Err() == nil {
			if _, err := io.WriteString(w, what); err != nil {
				return
			}
			w.(http.Flusher).Flush()
		}
	}
	for name, row := range map[string]struct {
		answer http.HandlerFunc
		want   outbox.Class
	}{
		"it hangs before it answers": {func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, outbox.Unreachable},
		"it says 200 and hangs in the body": {func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(200)
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		}, outbox.Done},
		"it sends an endless body": {func(w http.ResponseWriter, r *http.Request) { drip(w, r, strings.Repeat("x", 4096)) }, outbox.Done},
		"it sends endless headers": {func(w http.ResponseWriter, r *http.Request) {
			for range 40 {
				w.Header().Add("X-More", strings.Repeat("x", 1024))
			}
		}, outbox.Unreachable},
		"it sends endless interim answers": {func(w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				w.WriteHeader(http.StatusProcessing)
			}
		}, outbox.Unreachable},
		"it redirects inward": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, inside.URL, http.StatusTemporaryRedirect)
		}, outbox.Refused},
		"it breaks the connection": {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, outbox.Unreachable},
	} {
		t.Run(name, func(t *testing.T) {
			h := one(t)
			r := receive(t, row.answer)
			h.trust(r)
			h.Door.call = 500 * time.Millisecond
			k, _ := h.add("books", r.URL, "*")
			e := h.happens(events.SignedIn, "")
			begin := time.Now()
			got := h.Send(t.Context(), message(k, e))
			if took := time.Since(begin); got != row.want || took > 5*time.Second {
				t.Errorf("%q after %s\n%s", got, took, h.told)
			}
		})
	}
	if n := len(inside.got()); n != 0 {
		t.Errorf("the inside was called %d times", n)
	}
}

func TestWhoMustNotBeSpokenToIsNot(t *testing.T) {
	inside := receive(t, fine)
	for name, row := range map[string]struct {
		url  string
		door func() *Door
		want outbox.Class
	}{
		"a certificate we do not trust": {inside.URL, func() *Door { return NewDoor(loopback, nil) }, outbox.NotTrusted},
		"a private address behind a name": {"https://rebinding.example/", func() *Door {
			d := NewDoor(nil, nil)
			d.lookup = func(context.Context, string, string) ([]netip.Addr, error) {
				return []netip.Addr{netip.MustParseAddr("127.0.0.1")}, nil
			}
			return d
		}, outbox.NotAllowed},
		"a public address without TLS": {"http://plain.example/", func() *Door {
			d := NewDoor(loopback, nil)
			d.lookup = func(context.Context, string, string) ([]netip.Addr, error) {
				return []netip.Addr{netip.MustParseAddr("93.184.216.34")}, nil
			}
			return d
		}, outbox.NotAllowed},
		"nobody listens":                   {"https://127.0.0.1:1/", func() *Door { return NewDoor(loopback, nil) }, outbox.Unreachable},
		"an address that was allowed once": {"https://127.0.0.1:1/", func() *Door { return NewDoor(nil, nil) }, outbox.NotAllowed},
	} {
		t.Run(name, func(t *testing.T) {
			h := one(t)
			k, _ := h.add("books", row.url, "*")
			e := h.happens(events.SignedIn, "")
			h.Door = row.door()
			if got := h.Send(t.Context(), message(k, e)); got != row.want {
				t.Errorf("%q, want %q\n%s", got, row.want, h.told)
			}
		})
	}
	if n := len(inside.got()); n != 0 {
		t.Errorf("the inside was called %d times", n)
	}
}

func TestWhatIsLoggedOfACallHoldsNoURLAndNoSecret(t *testing.T) {
	h := one(t)
	k, secret := h.add("books", "https://127.0.0.1:1/path-token?key=query-token", "*")
	h.Send(t.Context(), message(k, h.happens(events.SignedIn, "")))
	for _, s := range []string{"path-token", "query-token", secret.Reveal()} {
		if strings.Contains(h.told.String(), s) {
			t.Errorf("the log tells %q", s)
		}
	}
	if !strings.Contains(h.told.String(), "hook=books") {
		t.Errorf("the log does not tell whom: %q", h.told)
	}
}

func TestRotatingKeepsTheOldSecretSigningForItsOverlap(t *testing.T) {
	each(t, func(h house) {
		r := receive(h.t, fine)
		h.trust(r)
		h.clock.Set(time.Now())
		k, old := h.add("books", r.URL, "*")
		e := h.happens(events.SignedIn, "")
		fresh, err := h.Rotate(h.t.Context(), "books", time.Minute, events.Operator)
		if err != nil {
			h.t.Fatal(err)
		}
		accepted := func(secret seal.Secret) bool {
			if class := h.Send(h.t.Context(), message(k, e)); class != outbox.Done {
				h.t.Fatal(class)
			}
			judge, err := standardwebhooks.NewWebhook(secret.Reveal())
			if err != nil {
				h.t.Fatal(err)
			}
			calls := r.got()
			last := calls[len(calls)-1]
			return judge.Verify(last.body, last.header) == nil
		}
		if !accepted(old) || !accepted(fresh) {
			h.t.Error("within the overlap one of both is not accepted")
		}
		h.clock.Forward(time.Minute)
		if accepted(old) || !accepted(fresh) {
			h.t.Error("after the overlap the old one signs, or the new one does not")
		}
		if all, err := h.List(h.t.Context()); err != nil || strings.Contains(string(all[0].sealed), "whsec") {
			h.t.Errorf("kept in the clear, or %v", err)
		}
	})
}

func TestAMistakeOfTheOperatorIsNamed(t *testing.T) {
	each(t, func(h house) {
		h.add("taken", "https://example.com/", "*")
		for name, row := range map[string]struct {
			n    New
			want error
		}{
			"a name with a blank":     {New{Name: "my hook", URL: "https://example.com/", Kinds: []string{"*"}}, ErrName},
			"no kinds":                {New{Name: "a", URL: "https://example.com/"}, ErrKinds},
			"a kind nobody knows":     {New{Name: "a", URL: "https://example.com/", Kinds: []string{"signin.suceeded"}}, ErrKinds},
			"a star in the middle":    {New{Name: "a", URL: "https://example.com/", Kinds: []string{"sign*.x"}}, ErrKinds},
			"half a word with a star": {New{Name: "a", URL: "https://example.com/", Kinds: []string{"sign*"}}, ErrKinds},
			"a private address":       {New{Name: "a", URL: "https://10.0.0.1/", Kinds: []string{"*"}}, ErrInside},
			"a name that is taken":    {New{Name: "taken", URL: "https://example.com/", Kinds: []string{"*"}}, ErrTaken},
		} {
			if _, _, err := h.Add(h.t.Context(), row.n, events.Operator); !errors.Is(err, row.want) {
				h.t.Errorf("%s: %v", name, err)
			}
		}
		for range Most - 1 {
			h.add("more-"+string(id.New[id.Hook](h.clock.Now(), rand.Reader))[:30], "https://example.com/", "*")
		}
		if _, _, err := h.Add(h.t.Context(), New{Name: "one-too-many", URL: "https://example.com/", Kinds: []string{"*"}}, events.Operator); !errors.Is(err, ErrTooMany) {
			h.t.Errorf("one too many: %v", err)
		}
		if _, err := h.Rotate(h.t.Context(), "nobody", 0, events.Operator); !errors.Is(err, ErrNoHook) {
			h.t.Errorf("nobody: %v", err)
		}
	})
}

func TestATestCallIsMadeAtOnceAndAlsoToOneThatIsOff(t *testing.T) {
	h := one(t)
	r := receive(t, fine)
	h.trust(r)
	h.add("books", r.URL, "*")
	if err := h.Switch(t.Context(), "books", Off, events.Operator); err != nil {
		t.Fatal(err)
	}
	_, a, err := h.Test(t.Context(), "books")
	if err != nil || a.Status != 204 || a.Class != outbox.Done || !strings.Contains(string(r.got()[0].body), `"type":"hook.test"`) {
		t.Errorf("%+v, %v", a, err)
	}
}
