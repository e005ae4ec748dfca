package stories

import (
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse/outbox"
	"gatehouse/test/house"
)

// withVerify is somebody who has connected a device, and it.
func withVerify(h *house.House, name string) (*house.Person, *house.Device) {
	h.T.Helper()
	p := h.Person(name)
	p.SignsIn()
	d := h.NewDevice("203.0.113.7")
	p.Connects(d)
	h.Mail(p.Email, outbox.AuthenticatorAdded)
	p.Post("/signout").Is(303)
	h.Clock.Forward(time.Second)
	return p, d
}

// rings shows the password and has the phone asked; it returns the digits.
func rings(p *house.Person) string {
	p.House.T.Helper()
	p.ShowsPassword().Is(200)
	r := p.API("/signin/ask-push", nil).Asks("push")
	digits := r.Field("push.digits")
	if len(digits) != 2 || digits < "10" {
		p.House.T.Fatalf("the digits are %q", digits)
	}
	return digits
}

func TestAPhoneThatScannedThePictureLetsItsOwnerInByTwoDigits(t *testing.T) {
	house.EachOnPrimary(t, func(t *testing.T, h *house.House) {
		alice, phone := withVerify(h, "alice")
		digits := rings(alice)
		q := phone.TheQuestion()
		for _, told := range []string{`"application":"Harbour Books"`, `"organisation":"Harbour Books"`, `"browser":"Chrome on Linux"`, alice.Email, `"network":"` + alice.Network} {
			if !strings.Contains(q.Text, told) {
				t.Errorf("the phone is not told %s: %s", told, q.Text)
			}
		}
		if strings.Contains(q.Text, `"digits":"`) {
			t.Errorf("the phone is told the digits: %s", q.Text)
		}
		if r := alice.API("/signin/push", nil); r.Refused() != "not-answered" {
			t.Errorf("before the answer: %s", r.Body)
		}
		if got := phone.Says(q, "approve", digits).Is(200).Field("state"); got != "approved" {
			t.Fatalf("state %q", got)
		}
		if r := alice.Elsewhere("198.51.100.99").API("/signin/push", nil); r.Status == 200 {
			t.Error("another browser went in with the approval")
		}
		alice.API("/signin/push", nil).Asks("done")
		if alice.Inside() != 200 {
			t.Error("not inside")
		}
	})
}

func TestASecondClickAfterTheApprovalGetsTheSameSession(t *testing.T) {
	house.EachOnPrimary(t, func(t *testing.T, h *house.House) {
		alice, phone := withVerify(h, "alice")
		digits := rings(alice)
		attempt := alice.Attempt
		phone.Says(phone.TheQuestion(), "approve", digits).Is(200)
		one := alice.API("/signin/push", nil).Asks("done").Field("session.id")
		alice.Attempt = attempt
		if two := alice.API("/signin/push", nil).Asks("done").Field("session.id"); one != two {
			t.Errorf("sessions %s and %s", one, two)
		}
		h.Clock.Forward(31 * time.Second)
		alice.Attempt = attempt
		if r := alice.API("/signin/push", nil); r.Status == 200 {
			t.Errorf("the approval opened twice: %s", r.Body)
		}
	})
}

func TestWhatIsNotAnApprovalLetsNobodyIn(t *testing.T) {
	for _, c := range []struct {
		name    string
		say     func(h *house.House, p *house.Person, d, bob *house.Device, digits string)
		refused string
	}{
		{"another number", func(h *house.House, p *house.Person, d, bob *house.Device, digits string) {
			other := "10"
			if digits == other {
				other = "11"
			}
			if got := d.Says(d.TheQuestion(), "approve", other).Is(200).Field("state"); got != "wrong" {
				h.T.Errorf("state %q", got)
			}
			d.Says(h.Question(p), "approve", digits).Says("not-in-time")
		}, "declined"},
		{"declined", func(h *house.House, p *house.Person, d, bob *house.Device, _ string) {
			d.Says(d.TheQuestion(), "deny", "").Is(200)
		}, "declined"},
		{"a minute later", func(h *house.House, p *house.Person, d, bob *house.Device, digits string) {
			q := d.TheQuestion()
			h.Clock.Forward(time.Minute)
			d.Says(q, "approve", digits).Says("not-in-time")
		}, "not-in-time"},
		{"a context that was changed on the way", func(h *house.House, p *house.Person, d, bob *house.Device, digits string) {
			q := d.TheQuestion()
			q.Text = strings.Replace(q.Text, "Harbour Books", "Harbour Banks", 1)
			d.Says(q, "approve", digits).Says("forbidden")
		}, "not-answered"},
		{"digits that were changed after signing", func(h *house.House, p *house.Person, d, bob *house.Device, digits string) {
			fields := d.Given(d.TheQuestion(), "approve", "42")
			fields["digits"] = digits
			if digits != "42" {
				d.Sends(fields).Says("forbidden")
			}
		}, "not-answered"},
		{"another's device", func(h *house.House, p *house.Person, d, bob *house.Device, digits string) {
			bob.Says(d.TheQuestion(), "approve", digits).Says("not-in-time")
		}, "not-answered"},
		{"a key that is not the device's", func(h *house.House, p *house.Person, d, bob *house.Device, digits string) {
			q := d.TheQuestion()
			thief := h.NewDevice("203.0.113.66")
			thief.ID = d.ID
			thief.Says(q, "approve", digits).Says("forbidden")
		}, "not-answered"},
		{"a time from before the question", func(h *house.House, p *house.Person, d, bob *house.Device, digits string) {
			q := d.TheQuestion()
			q.Time = h.Clock.Now().Add(-time.Hour).UTC().Format(time.RFC3339Nano)
			d.Says(q, "approve", digits).Says("bad-request")
		}, "not-answered"},
		{"an approval that nobody took within two minutes", func(h *house.House, p *house.Person, d, bob *house.Device, digits string) {
			d.Says(d.TheQuestion(), "approve", digits).Is(200)
			h.Clock.Forward(2*time.Minute + time.Second)
		}, "not-in-time"},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := house.New(t, "sqlite:"+t.TempDir()+"/a.db", nil)
			_, other := withVerify(h, "bob")
			alice, phone := withVerify(h, "alice")
			digits := rings(alice)
			c.say(h, alice, phone, other, digits)
			alice.API("/signin/push", nil).Says(c.refused)
			alice.ShowsCode(alice.NextCode()).Asks("done") // another way is open all the same
			h.Audited()
		})
	}
}

func TestAnAnswerCountsOnce(t *testing.T) {
	house.EachOnPrimary(t, func(t *testing.T, h *house.House) {
		alice, phone := withVerify(h, "alice")
		alice.ShowsPassword().Is(200)
		alice.ShowsCode(alice.NextCode()).Asks("done")
		tablet := h.NewDevice("203.0.113.8")
		alice.Connects(tablet)
		alice.Post("/signout").Is(303)
		digits := rings(alice)
		q := phone.TheQuestion()
		again := phone.Given(q, "approve", digits)
		replies := make([]house.Reply, 12)
		var wait sync.WaitGroup
		for i := range replies {
			d := phone
			if i%2 == 1 {
				d = tablet
			}
			wait.Go(func() { replies[i] = d.Says(q, "approve", digits) })
		}
		wait.Wait()
		taken := 0
		for _, r := range replies {
			if r.Status == http.StatusOK {
				taken++
			} else if r.Refused() != "not-in-time" {
				t.Errorf("status %d: %s", r.Status, r.Body)
			}
		}
		if taken != 1 {
			t.Errorf("%d answers were taken", taken)
		}
		phone.Sends(again).Says("not-in-time")
		alice.API("/signin/push", nil).Asks("done")
	})
}

func TestOfManyWhoAskAtOnceOneGetsThrough(t *testing.T) {
	house.EachOnPrimaryWith(t, func(o *house.Options) { o.Limits.PerName.Max, o.Limits.PerNetwork.Max = 100, 1000 }, func(t *testing.T, h *house.House) {
		alice, phone := withVerify(h, "alice")
		people := make([]*house.Person, 20)
		for i := range people {
			people[i] = alice.Elsewhere("198.51.100.200")
			people[i].ShowsPassword().Is(200)
		}
		replies := make([]house.Reply, len(people))
		var wait sync.WaitGroup
		for i, p := range people {
			wait.Go(func() { replies[i] = p.API("/signin/ask-push", nil) })
		}
		wait.Wait()
		through := 0
		for _, r := range replies {
			if r.Status == http.StatusOK {
				through++
			} else if r.Refused() != "not-asked" {
				t.Errorf("status %d: %s", r.Status, r.Body)
			}
		}
		if n := h.Count("approvals", "state = 'open'"); through != 1 || n != 1 {
			t.Errorf("%d were asked, %d are open", through, n)
		}
		phone.Says(phone.TheQuestion(), "deny", "").Is(200)
	})
}

func TestTheSameAttemptIsAskedOnceAndThreeInTenMinutesAreTheEnd(t *testing.T) {
	house.EachOnPrimary(t, func(t *testing.T, h *house.House) {
		alice, phone := withVerify(h, "alice")
		digits := rings(alice)
		if again := alice.API("/signin/ask-push", nil).Asks("push").Field("push.digits"); again != digits {
			t.Errorf("a second click shows %s in place of %s", again, digits)
		}
		thief := alice.Elsewhere("192.0.2.99")
		thief.ShowsPassword().Is(200)
		busy := thief.API("/signin/ask-push", nil).Says("not-asked")
		for range 2 {
			phone.Says(phone.TheQuestion(), "deny", "").Is(200)
			alice.API("/signin/ask-push", nil).Asks("push")
		}
		h.Clock.Forward(61 * time.Second)
		over := thief.API("/signin/ask-push", nil).Says("not-asked")
		if a, b := busy.Field("error.sentence"), over.Field("error.sentence"); a != b || over.Header.Get("Retry-After") != busy.Header.Get("Retry-After") {
			t.Errorf("whoever has the password is told why: %q and %q", a, b)
		}
		if h.Count("events", "kind = 'approval.asked'") != 3 {
			t.Error("not three questions")
		}
		h.Clock.Forward(10 * time.Minute)
		rings(alice)
	})
}

func TestNotMeMutesAndTellsThePersonAndTheirAdmin(t *testing.T) {
	house.EachOnPrimary(t, func(t *testing.T, h *house.House) {
		alice, phone := withVerify(h, "alice")
		boss := h.Owner("olga")
		thief := alice.Elsewhere("192.0.2.99")
		rings(thief)
		if got := phone.Says(phone.TheQuestion(), "report", "").Is(200).Field("state"); got != "reported" {
			t.Fatalf("state %q", got)
		}
		thief.API("/signin/push", nil).Says("declined")
		thief.API("/signin/ask-push", nil).Says("not-asked")
		h.Mail(alice.Email, outbox.ApprovalReported)
		h.Mail(boss.Email, outbox.ApprovalsReported)
		if h.Count("events", "kind = 'approval.reported'") != 1 {
			t.Error("it was not recorded")
		}
		h.Clock.Forward(19 * time.Minute)
		alice.ShowsPassword()
		alice.API("/signin/ask-push", nil).Says("not-asked")
		alice.ShowsCode(alice.NextCode()).Asks("done")
		if !strings.Contains(alice.Get("/account/history").Body, "was not yours") {
			t.Error("the history does not tell")
		}
		alice.Post("/signout").Is(303)
		h.Clock.Forward(2 * time.Minute)
		rings(alice)
	})
}

func TestWithoutThePasswordNobodysPhoneRings(t *testing.T) {
	house.EachOnPrimary(t, func(t *testing.T, h *house.House) {
		alice, _ := withVerify(h, "alice")
		stranger := alice.Elsewhere("192.0.2.99")
		r := stranger.API("/signin", map[string]any{"email": alice.Email, "password": "not this one"})
		nobody := stranger.Elsewhere("192.0.2.98").API("/signin", map[string]any{"email": "nobody@harbour-books.example", "password": "not this one"})
		if r.Refused() != nobody.Refused() || r.Status != nobody.Status {
			t.Errorf("a name that is known: %s, one that is not: %s", r.Body, nobody.Body)
		}
		stranger.API("/signin/ask-push", nil).Says("attempt-expired")
		alice.API("/forgot", map[string]any{"email": alice.Email})
		alice.OpensLink(outbox.Reset)
		if r := alice.API("/signin/ask-push", nil); r.Refused() != "attempt-expired" {
			t.Errorf("a mailed link made the phone ring: %s", r.Body)
		}
		if h.Count("approvals", "1 = 1") != 0 {
			t.Error("somebody was asked")
		}
	})
}

func TestAPictureIsForOneDeviceAndLeavesNothingWhenItIsDeclined(t *testing.T) {
	house.EachOnPrimary(t, func(t *testing.T, h *house.House) {
		alice := h.Person("alice")
		alice.SignsIn()
		alice.ProvesAfresh()
		token, note := house.Picture(alice.Get("/account/authenticators/verify").Is(200))
		alice.Post("/account/authenticators/verify", "attempt", note, "code", "123456").Is(401)
		thief, phone := h.NewDevice("192.0.2.99"), h.NewDevice("203.0.113.7")
		forged := h.NewDevice("192.0.2.98")
		forged.Public = phone.Public
		forged.Scans(token).Says("forbidden")
		thief.Scans(token).Is(200)
		phone.Scans(token).Says("pairing-taken")
		if r := alice.Post("/account/authenticators/verify/state", "attempt", note).Is(200); !strings.Contains(r.Body, "Pocket phone") {
			t.Errorf("the page does not say who has scanned it: %s", r.Body)
		}
		alice.Post("/account/authenticators/verify", "attempt", note, "do", "remove").Is(303)
		thief.Opens().Says("device-unknown")
		phone.Scans(token).Says("pairing-taken")
		h.Clock.Forward(11 * time.Minute)
		phone.Scans(token).Says("pairing-spent")
		h.Do(h.Tidies)
		if n := h.Count("pairings", "1 = 1"); n != 0 {
			t.Errorf("%d pairings are left", n)
		}
		for table, want := range map[string]int{"credentials": 0, "totp": 1} {
			if n := h.Count(table, "account = '"+string(alice.Account)+"'"); n != want {
				t.Errorf("%d rows of %s are left, want %d", n, table, want)
			}
		}
	})
}

func TestADeviceThatWasRemovedIsToldAndAnswersNothing(t *testing.T) {
	house.EachOnPrimary(t, func(t *testing.T, h *house.House) {
		alice, phone := withVerify(h, "alice")
		other := alice.Elsewhere("198.51.100.77")
		other.ShowsPassword().Is(200)
		other.ShowsCode(other.NextCode()).Asks("done")
		other.ProvesAfresh()
		digits := rings(alice)
		q := phone.TheQuestion()
		other.Post("/account/authenticators", "do", "remove", "id", phone.ID).Is(303)
		phone.Says(q, "approve", digits).Says("device-unknown")
		phone.Opens().Says("device-unknown")
		alice.API("/signin/push", nil).Says("not-answered")
	})
}

func TestThePageAndTheAppHearOfEachOtherAtOnceOverTwoNodes(t *testing.T) {
	house.EachOnPrimary(t, func(t *testing.T, h *house.House) {
		alice, phone := withVerify(h, "alice")
		there := h.Neighbour()
		far := &house.Device{}
		*far = *phone
		far.Browser = phone.Browser.At(there)
		far.Opens().Is(200)
		heard := make(chan string, 1)
		go func() { heard <- far.Listens(`"id":"`) }()
		h.Eventually("an app that listens", func() bool { return there.Flow.Bell.Ears() > 0 })
		alice.Post("/signin", "email", alice.Email, "password", alice.Password).Is(303)
		if got := <-heard; !strings.Contains(got, "event: questions") {
			t.Errorf("the app on another node heard %s", got)
		}
		page := alice.Get("/signin/push").Is(200)
		digits := house.Shown(page)
		waits := make(chan string, 1)
		go func() { waits <- alice.Hears(`"state":"approved"`) }()
		h.Eventually("a page that listens", func() bool { return h.Flow.Bell.Ears() > 0 })
		far.Says(far.TheQuestion(), "approve", digits).Is(200)
		<-waits
		alice.Post("/signin/push", "do", "approved").Is(303)
		if alice.Inside() != 200 {
			t.Error("not inside")
		}
	})
}

func TestInTheDarkNobodyIsAskedAndTheOtherWaysAreThere(t *testing.T) {
	house.Each(t, func(t *testing.T, h *house.House) {
		bob, _ := withVerify(h, "bob")
		alice, phone := withVerify(h, "alice")
		alice.Post("/signin", "email", alice.Email, "password", alice.Password).Is(303)
		page := alice.Get("/signin/push").Is(200)
		if !strings.Contains(page.Body, "/signin/code") {
			t.Fatalf("no other way on the page: %s", page.Body)
		}
		h.Dark()
		if h.IsDark() {
			r := alice.Post("/signin/push", "do", "ask")
			r.Is(503)
			if !strings.Contains(r.Body, "/signin/code") || !strings.Contains(r.Body, "nothing to do with you") {
				t.Errorf("no next step: %s", r.Body)
			}
			if next := bob.ShowsPassword().Next(); next != "totp" {
				t.Errorf("a new sign-in asks for %s", next)
			}
			bob.ShowsCode(bob.NextCode()).Asks("done")
		} else {
			phone.Says(phone.TheQuestion(), "deny", "").Is(200)
		}
		alice.Post("/signin/code", "code", alice.NextCode()).Is(303)
		if alice.Inside() != 200 {
			t.Error("not inside")
		}
	})
}

func TestAPhoneAlsoProvesSomebodyAfresh(t *testing.T) {
	house.EachOnPrimary(t, func(t *testing.T, h *house.House) {
		alice, phone := withVerify(h, "alice")
		digits := rings(alice)
		phone.Says(phone.TheQuestion(), "approve", digits).Is(200)
		alice.API("/signin/push", nil).Asks("done")
		h.Clock.Forward(6 * time.Minute)
		if to := alice.Get("/account/password").Is(303).Header.Get("Location"); !strings.HasPrefix(to, "/fresh") {
			t.Fatalf("led to %s", to)
		}
		alice.Get("/fresh").Is(200)
		if to := alice.Post("/fresh", "password", alice.Password).Is(303).Header.Get("Location"); to != "/fresh/push" {
			t.Fatalf("led to %s", to)
		}
		page := alice.Get("/fresh/push").Is(200)
		q := phone.TheQuestion()
		if !strings.Contains(q.Text, `"kind":"fresh"`) {
			t.Errorf("the phone is told %s", q.Text)
		}
		phone.Says(q, "approve", house.Shown(page)).Is(200)
		alice.Post("/fresh/push", "do", "approved").Is(303)
		alice.Get("/account/password").Is(200)
	})
}
