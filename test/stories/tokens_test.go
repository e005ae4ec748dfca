package stories

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"gatehouse/outbox"
	"gatehouse/seal"
	"gatehouse/store/storetest"
	"gatehouse/test/house"
)

// flip changes one letter of a token in a way that decodes still.
func flip(token string, at int) string {
	b := []byte(token)
	if b[at] == 'A' {
		b[at] = 'B'
	} else {
		b[at] = 'A'
	}
	return string(b)
}

// mangled are all the ways in which a token is not the one we sealed.
func mangled(t *testing.T, h *house.House, token string) map[string]string {
	t.Helper()
	other := house.New(t, storetest.SQLite(t), nil)
	foreign, err := other.Keys.SealToken(seal.Attempt, "", h.Clock.Now().Add(time.Hour), []byte(`{"at":"done"}`))
	if err != nil {
		t.Fatal(err)
	}
	purpose, err := h.Keys.SealToken(seal.Flash, "", h.Clock.Now().Add(time.Hour), []byte(`{"at":"done","p":[{"m":"password"},{"m":"totp"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	return map[string]string{
		"cut by one":                 token[:len(token)-1],
		"cut in half":                token[:len(token)/2],
		"one letter longer":          token + "A",
		"another first letter":       flip(token, 0),
		"another letter inside":      flip(token, len(token)/2),
		"another last letters":       flip(token, len(token)-3),
		"sealed by another house":    foreign,
		"sealed for another purpose": purpose,
		"padded":                     token + "==",
		"plain JSON":                 `{"at":"done"}`,
		"nothing but dots":           "....",
		"ten thousand letters":       strings.Repeat("A", 10_000),
	}
}

func TestAnAttemptThatIsNotOursLeadsNowhere(t *testing.T) {
	h := house.New(t, storetest.SQLite(t), nil)
	alice := h.Person("alice")
	alice.ShowsPassword().Asks("totp")
	good := alice.Attempt
	code := alice.NextCode()
	rows := h.Count("sessions", "1 = 1") + h.Count("totp_used", "1 = 1") + h.Count("tries", "1 = 1")
	for what, token := range mangled(t, h, good) {
		for _, path := range []string{"/signin/totp", "/signin/recovery-code", "/signin/enrol-totp", "/signin/recovery-codes", "/signin/new-password", "/signin/resend-link", "/signin/resume"} {
			r := alice.Twin().API(path, map[string]any{"attempt": token, "code": code, "confirmed": true, "password": house.SecondPassword})
			if r.Status < 400 || r.Status >= 500 || r.Field("error.request_id") == "" {
				t.Errorf("%s to %s: %d %s", what, path, r.Status, r.Body)
			}
		}
	}
	if now := h.Count("sessions", "1 = 1") + h.Count("totp_used", "1 = 1") + h.Count("tries", "1 = 1"); now != rows {
		t.Errorf("something was written: %d rows, then %d", rows, now)
	}
	late := alice.Twin()
	h.Clock.Forward(30 * time.Minute)
	late.API("/signin/totp", map[string]any{"attempt": good, "code": alice.Code()}).Says("attempt-expired")
	alice.SignsIn() // and the person starts again
}

func TestASessionTicketThatIsNotOursOpensNothing(t *testing.T) {
	h := house.New(t, storetest.SQLite(t), nil)
	alice := h.Person("alice")
	alice.SignsIn()
	tokens := mangled(t, h, alice.Cookie("session"))
	tokens["the device token"] = alice.Cookie("device")
	alice.ShowsPassword()
	tokens["a sealed attempt"] = alice.Attempt
	for what, token := range tokens {
		thief := h.Browser("203.0.113.66")
		thief.SetCookie("session", token)
		if got := thief.Inside(); got != http.StatusUnauthorized {
			t.Errorf("%s: %d", what, got)
		}
		if r := h.Browser("203.0.113.66").Get("/api/v1/session", "Authorization", "Bearer "+token); r.Status != http.StatusUnauthorized {
			t.Errorf("%s as bearer: %d", what, r.Status)
		}
		if r := thief.Get("/account"); r.Status != http.StatusSeeOther {
			t.Errorf("%s: the account says %d", what, r.Status)
		}
	}
	if alice.Inside() != 200 {
		t.Error("the control: the real one does not open")
	}
	if r := h.Browser("203.0.113.66").Get("/api/v1/session", "Authorization", "Bearer "+alice.Cookie("session")); r.Status != 200 {
		t.Errorf("the control: the real one as bearer: %d", r.Status)
	}
}

func TestADeviceTokenThatIsNotOursIsJustANewDevice(t *testing.T) {
	h := house.New(t, storetest.SQLite(t), nil)
	alice := h.Person("alice")
	alice.SignsIn()
	guess(h, alice.Email)
	for what, token := range mangled(t, h, alice.Cookie("device")) {
		forger := h.Browser("203.0.113.66")
		forger.SetCookie("device", token)
		if r := forger.API("/signin", map[string]any{"email": alice.Email, "password": alice.Password}); r.Refused() != "too-many-tries" {
			t.Errorf("%s got the budget of a known device: %s", what, r.Body)
		}
	}
}

func TestARotatedKeyStillOpensWhatTheOldOneSealed(t *testing.T) {
	house.Each(t, func(t *testing.T, h *house.House) {
		alice := h.Invited("alice")
		alice.Arrives()
		midway := alice.Elsewhere("203.0.113.8")
		midway.ShowsPassword().Asks("totp")
		h.Dark()
		h.RotateKeys()
		newer := h.Restarted(nil)
		if got := alice.At(newer).Inside(); got != 200 {
			t.Errorf("the open session says %d", got)
		}
		there := &house.Person{Browser: midway.At(newer), Phone: alice.Phone}
		there.ShowsCode(there.NextCode()).Asks("done")
		newer.Light()
		again := &house.Person{Browser: newer.Browser("203.0.113.9"), Email: alice.Email, Password: alice.Password, Phone: alice.Phone}
		again.SignsIn() // pepper, vault and tokens are new ones; the hash is renewed on the way
		if h.Count("events", "kind = 'password.rehashed'") != 1 {
			t.Error("the hash was not renewed under the new pepper")
		}
		again.ShowsPassword().Asks("totp")
		again.API("/signin/recovery-code", map[string]any{"code": alice.Codes[2]}).Asks("done")
	})
}

func TestMailedLinksComeFromTheConfiguredOriginWhateverARequestSays(t *testing.T) {
	h := house.New(t, storetest.SQLite(t), nil)
	alice := h.Person("alice")
	for _, header := range [][2]string{{"X-Forwarded-Host", "evil.example"}, {"Forwarded", "host=evil.example"}, {"X-Forwarded-Server", "evil.example"}, {"X-Original-Host", "evil.example"}, {"Referer", "https://evil.example/"}} {
		h.Browser("203.0.113.5").APIWith("/forgot", map[string]any{"email": alice.Email}, header[0], header[1])
		h.Clock.Forward(31 * time.Minute)
	}
	h.Browser("203.0.113.5").API("/forgot", map[string]any{"email": alice.Email}).Asks("link-sent")
	h.Link(alice.Email, outbox.Reset)
	h.Settled()
	for _, m := range h.Mailbox.All(alice.Email, "") {
		if strings.Contains(m.Text+m.HTML+m.Subject, "evil") {
			t.Errorf("a mail names the attacker's host:\n%s", m.Text)
		}
	}
}

func TestACookieOfTheLongestAttemptStillFits(t *testing.T) {
	h := house.New(t, storetest.SQLite(t), nil)
	long := strings.Repeat("&", 254-len("@harbour-books.example"))
	alice := h.Person("x")
	h.SQL(`UPDATE accounts SET email = $1, email_key = $1, name = $2 WHERE id = $3`, long+"@harbour-books.example", strings.Repeat("<", 100), string(alice.Account))
	alice.Email = long + "@harbour-books.example"
	for range 4 {
		h.Clock.Forward(time.Minute)
	}
	alice.ShowsPassword().Asks("totp")
	if n := len(alice.Attempt); n > 4096-200 {
		t.Errorf("the attempt is %d bytes: no cookie holds it", n)
	}
	alice.ShowsCode(alice.NextCode()).Asks("done")
	if n := len(alice.Cookie("session")); n > 3000 {
		t.Errorf("the ticket is %d bytes", n)
	}
}
