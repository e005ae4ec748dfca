package stories

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"gatehouse/test/house"
)

func TestANewNumberIsToldOnTheDevicesWithVerifyWithoutSayingWhat(t *testing.T) {
	house.EachOnPrimaryWith(t, texting, func(t *testing.T, h *house.House) {
		service := newPushService(t)
		service.status.Store(http.StatusCreated)
		alice, phone := withPush(t, h, service)
		h.AcceptTexts()
		alice.ShowsPassword()
		alice.ShowsCode(alice.NextCode()).Asks("done")
		phone.Opens().Is(200)
		if in := phone.Listens("questions"); strings.Contains(in, `"changed"`) {
			t.Errorf("before anything was changed: %s", in)
		}
		addsNumber(alice, other, "", 0).Is(303)
		h.Eventually("a push message", func() bool { return service.got.Load() == 1 })
		header := *service.header.Load()
		if header.Get("Ttl") == "60" || header.Get("Topic") == strings.ReplaceAll(phone.ID, "-", "") {
			t.Errorf("it goes when a question goes, or takes the place of one: %v", header)
		}
		if in := phone.Listens("changed"); !strings.Contains(in, `"changed":true`) || strings.Contains(in, "77") {
			t.Errorf("the open app: %s", in)
		}
		h.Eventually("that it was taken", func() bool { return h.Count("outbox", "kind = 'push.change' AND sent_at IS NOT NULL") == 1 })
		h.Clock.Forward(25 * time.Hour)
		phone.Opens().Is(200)
		if in := phone.Listens("questions"); strings.Contains(in, `"changed"`) {
			t.Errorf("after the hold: %s", in)
		}
	})
}

func TestADeviceWithoutAPushAddressDelaysNoNumber(t *testing.T) {
	house.EachOnPrimaryWith(t, texting, func(t *testing.T, h *house.House) {
		h.AcceptTexts()
		alice := h.Person("alice")
		alice.SignsIn()
		alice.Connects(h.NewDevice("203.0.113.7"))
		addsNumber(alice, other, "", 0).Is(303)
		if n := h.Count("outbox", "channel = 'push'"); n != 0 {
			t.Errorf("%d messages to nowhere", n)
		}
	})
}

func TestAHeldNumberThatAMoveTakesOffLetsTheOldOneGoOn(t *testing.T) {
	for _, why := range []string{"lost", "phone"} {
		t.Run(why, func(t *testing.T) {
			house.EachOnPrimaryWith(t, texting, func(t *testing.T, h *house.House) {
				alice, old := withPhone(h)
				alice.ShowsPassword()
				alice.ShowsCode(alice.NextCode()).Asks("done")
				addsNumber(alice, other, string(old.ID), 0).Is(303)
				held := h.Cell("SELECT id FROM credentials WHERE kind = 'phone' AND usable_at > 0")
				movesOn(alice, "begin", "why", why, "id", held).Is(303)
				if why == "phone" {
					key := offered(alice)
					movesOn(alice, "arrive", "code", codeOf(alice, key), "name", "New phone").Is(303)
					movesOn(alice, "finish", "code", codeOf(alice, key)).Is(303)
				}
				if n := h.Count("credentials", "kind = 'phone'"); n != 1 {
					t.Fatalf("%d numbers", n)
				}
				h.Clock.Forward(25 * time.Hour)
				if r := alice.Elsewhere("203.0.113.9").ShowsPassword(); !strings.Contains(r.Body, "••42") {
					t.Errorf("ways: %s", r.Body)
				}
			})
		})
	}
}
