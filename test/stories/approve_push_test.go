package stories

import (
	"crypto/ecdh"
	"crypto/rand"
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"gatehouse/authenticators"
	"gatehouse/test/house"
)

// pushService answers as it is told, and counts.
type pushService struct {
	*httptest.Server
	status atomic.Int64 // 0: it hangs
	got    atomic.Int64
	header atomic.Pointer[http.Header]
}

func newPushService(t *testing.T) *pushService {
	s := &pushService{}
	hang := make(chan struct{})
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.got.Add(1)
		h := r.Header.Clone()
		s.header.Store(&h)
		if s.status.Load() == 0 {
			<-hang
			return
		}
		w.WriteHeader(int(s.status.Load()))
	}))
	t.Cleanup(func() { close(hang); s.Close() })
	return s
}

// subscription is what a browser makes with a push service.
func (s *pushService) subscription(t *testing.T, h *house.House) *authenticators.Subscription {
	t.Helper()
	key, err := ecdh.P256().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	auth := make([]byte, 16)
	rand.Read(auth)
	b64 := base64.RawURLEncoding.EncodeToString
	return &authenticators.Subscription{Endpoint: h.Secret("a push address", s.URL+"/push/for-ana"), P256dh: b64(key.PublicKey().Bytes()), Auth: b64(auth), Server: h.Pusher.Key()}
}

func withPush(t *testing.T, h *house.House, s *pushService) (*house.Person, *house.Device) {
	t.Helper()
	p := h.Person("alice")
	p.SignsIn()
	d := h.NewDevice("203.0.113.7")
	d.Push = s.subscription(t, h)
	p.Connects(d)
	p.Post("/signout").Is(303)
	h.Clock.Forward(time.Second)
	return p, d
}

func TestAMessageWakesThePhoneAndSaysNothing(t *testing.T) {
	house.EachOnPrimary(t, func(t *testing.T, h *house.House) {
		service := newPushService(t)
		service.status.Store(http.StatusCreated)
		alice, phone := withPush(t, h, service)
		digits := rings(alice)
		h.Eventually("a message", func() bool { return service.got.Load() == 1 })
		header := *service.header.Load()
		for name, want := range map[string]string{"Ttl": "60", "Urgency": "high", "Content-Encoding": "aes128gcm"} {
			if header.Get(name) != want {
				t.Errorf("%s: %q", name, header.Get(name))
			}
		}
		if header.Get("Topic") == "" || !strings.HasPrefix(header.Get("Authorization"), "vapid t=") {
			t.Errorf("%v", header)
		}
		h.Eventually("that it was taken", func() bool {
			return alice.API("/signin/push/state", nil).Field("reached") == "reached"
		})
		phone.Says(phone.TheQuestion(), "approve", digits).Is(200)
		alice.API("/signin/push", nil).Asks("done")
	})
}

func TestWhateverThePushServiceDoesThePageSaysSoAndThePhoneCanAnswer(t *testing.T) {
	for _, c := range []struct {
		name   string
		status int
		state  string // of the device afterwards
	}{
		{"it is gone", http.StatusGone, "gone"}, {"it does not know the address", http.StatusNotFound, "gone"}, {"it is down", http.StatusInternalServerError, ""},
		{"the message is too large for it", http.StatusRequestEntityTooLarge, ""}, {"it has had too many", http.StatusTooManyRequests, ""}, {"it hangs", 0, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			h := house.New(t, "sqlite:"+t.TempDir()+"/a.db", nil)
			service := newPushService(t)
			service.status.Store(int64(c.status))
			alice, phone := withPush(t, h, service)
			digits := rings(alice)
			h.Eventually("a try", func() bool { return service.got.Load() > 0 })
			h.Clock.Forward(1600 * time.Millisecond) // a page says it within two seconds
			h.Eventually("the page that says so", func() bool {
				return alice.API("/signin/push/state", nil).Field("reached") == "unreached"
			})
			h.Eventually("what is kept of the address", func() bool {
				return h.Count("credentials", "kind = 'push' AND state = '"+c.state+"'") == 1
			})
			phone.Says(phone.TheQuestion(), "approve", digits).Is(200)
			alice.API("/signin/push", nil).Asks("done")
			h.Audited()
		})
	}
}

func TestAPushAddressThatLeadsInsideIsRefused(t *testing.T) {
	h := house.New(t, "sqlite:"+t.TempDir()+"/a.db", nil)
	alice := h.Person("alice")
	alice.SignsIn()
	alice.ProvesAfresh()
	service := newPushService(t)
	for _, endpoint := range []string{"http://10.0.0.1/x", "https://169.254.169.254/latest", "https://[::1]/x", "http://example.com/x", "ftp://example.com/x", "https://user:pw@example.com/x", "not a url"} {
		token, _ := house.Picture(alice.Get("/account/authenticators/verify").Is(200))
		d := h.NewDevice("203.0.113.7")
		d.Push = service.subscription(t, h)
		d.Push.Endpoint = endpoint
		d.Scans(token)
		if r := d.Scans(token); r.Status == 200 {
			t.Errorf("%s was taken", endpoint)
		}
	}
}

func TestADeviceBringsAnotherAddressWhenItIsOpened(t *testing.T) {
	house.EachOnPrimary(t, func(t *testing.T, h *house.House) {
		service := newPushService(t)
		service.status.Store(http.StatusGone)
		alice, phone := withPush(t, h, service)
		rings(alice)
		h.Eventually("the address is forgotten", func() bool { return h.Count("credentials", "state = 'gone'") == 1 })
		phone.Says(phone.TheQuestion(), "deny", "").Is(200)
		service.status.Store(http.StatusCreated)
		phone.Push = service.subscription(t, h)
		phone.Subscribes().Is(204)
		before := service.got.Load()
		alice.API("/signin/ask-push", nil).Asks("push")
		h.Eventually("a message to the new address", func() bool { return service.got.Load() > before })
		if h.Count("credentials", "state = 'gone'") != 0 {
			t.Error("the device counts as gone")
		}
		phone.Says(phone.TheQuestion(), "deny", "").Is(200)
	})
}
