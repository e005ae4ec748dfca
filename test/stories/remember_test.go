package stories

import (
	"strings"
	"testing"
	"time"

	"gatehouse/access"
	"gatehouse/outbox"
	"gatehouse/store"
	"gatehouse/test/house"
)

const month = 30 * 24 * time.Hour

// remembering makes the policy of a house let browsers be remembered for so long.
func remembering(h *house.House, d time.Duration) {
	h.T.Helper()
	h.Do(func(tx *store.Tx) error {
		p, err := access.PolicyOf(tx, access.Scope{})
		if err != nil {
			return err
		}
		terms := access.Default()
		terms.Remember = d
		_, err = access.KeepPolicy(tx, p.With(&terms, tx.Now()))
		return err
	})
}

// signsInByPage signs in through the pages and has the browser remembered.
func signsInByPage(p *house.Person, fields ...string) {
	p.House.T.Helper()
	p.Post("/signin", "email", p.Email, "password", p.Password).Is(303)
	code := p.NextCode()
	to := p.Post("/signin/code", append([]string{"code", code}, fields...)...).Is(303).Header.Get("Location")
	if !strings.HasPrefix(to, "/account") {
		p.House.T.Fatalf("not in, but at %s", to)
	}
	p.House.Secret("the cookie of a remembered browser", p.Cookie("trust"))
}

// passwordAlone is where the password alone leads on the pages: in, or on to the
// second authenticator. It comes late enough to have tries again.
func passwordAlone(p *house.Person) string {
	p.House.T.Helper()
	p.House.Clock.Forward(16 * time.Minute)
	return passwordOnce(p)
}

func passwordOnce(p *house.Person) string {
	p.House.T.Helper()
	p.SetCookie("session", "")
	p.SetCookie("attempt", "")
	return p.Post("/signin", "email", p.Email, "password", p.Password).Is(303).Header.Get("Location")
}

const in, asked = "/account", "/signin/code"

func TestARememberedBrowserIsAskedForThePasswordAlone(t *testing.T) {
	house.Each(t, func(t *testing.T, h *house.House) {
		remembering(h, month)
		alice := h.Person("alice")
		if page := alice.Get("/signin"); strings.Contains(page.Body, `name="remember"`) {
			t.Error("it is offered before anything was shown")
		}
		alice.Post("/signin", "email", alice.Email, "password", alice.Password).Is(303)
		if page := alice.Get("/signin/code").Is(200); !strings.Contains(page.Body, `name="remember"`) || !strings.Contains(page.Body, "30 days") {
			t.Error("the box is not offered, or does not say for how long")
		}
		signsInByPage(alice, "remember", "yes")
		once(t, h, "events", "kind = 'browser.remembered'")
		h.Dark()
		if to := passwordAlone(alice); to != in {
			t.Fatalf("led to %s", to)
		}
		session := alice.Get("/api/v1/session").Is(200)
		if !strings.Contains(session.Body, `"remembered"`) || strings.Contains(session.Body, `"otp"`) {
			t.Errorf("amr is not honest: %s", session.Body)
		}
		// It stands in for nothing that matters: a change asks for both again.
		if to := alice.Get("/account/password").Is(303).Header.Get("Location"); !strings.HasPrefix(to, "/fresh") {
			t.Errorf("a change after a remembered sign-in leads to %s", to)
		}
		alice.Get("/fresh").Is(200)
		if to := alice.Post("/fresh", "password", alice.Password).Is(303).Header.Get("Location"); to != "/fresh/code" {
			t.Errorf("a fresh proof on a remembered browser leads to %s", to)
		}
		alice.Post("/fresh/code", "code", alice.NextCode()).Is(303)
		alice.Get("/account/password").Is(200)
	})
}

func TestARememberedBrowserIsForgottenWhenItsTimeIsOver(t *testing.T) {
	house.Each(t, func(t *testing.T, h *house.House) {
		remembering(h, 24*time.Hour)
		alice := h.Person("alice")
		signsInByPage(alice, "remember", "yes")
		h.Clock.Forward(22 * time.Hour)
		if h.Dark(); passwordAlone(alice) != in {
			t.Error("forgotten before its time")
		}
		h.Clock.Forward(2 * time.Hour)
		if to := passwordAlone(alice); to != asked {
			t.Errorf("after its time: %s", to)
		}
	})
}

func TestASecondClickOnARememberedBrowserOpensOneSession(t *testing.T) {
	house.Each(t, func(t *testing.T, h *house.House) {
		remembering(h, month)
		alice := h.Person("alice")
		signsInByPage(alice, "remember", "yes")
		h.Clock.Forward(time.Hour)
		h.Dark()
		before := h.Count("sessions", "ended_at IS NULL")
		passwordOnce(alice)
		tab := alice.Cookie("session")
		h.Clock.Forward(time.Second)
		passwordOnce(alice)
		if n := h.Count("sessions", "ended_at IS NULL"); n != before+1 {
			t.Errorf("%d sessions more, want one", n-before)
		}
		if tab == "" || alice.Inside() != 200 {
			t.Error("out")
		}
	})
}

// What is not offered is not done either, whatever a form says.
func TestABrowserIsRememberedOnlyWherePolicyLetsIt(t *testing.T) {
	house.EachOnPrimary(t, func(t *testing.T, h *house.House) {
		alice := h.Person("alice")
		signsInByPage(alice, "remember", "yes")
		if alice.Cookie("trust") != "" || h.Count("credentials", "kind = 'remembered'") != 0 {
			t.Error("remembered without a policy that lets it")
		}
		remembering(h, month)
		if signsInByPage(alice); alice.Cookie("trust") != "" {
			t.Error("remembered without being asked to")
		}
		alice.SetCookie("session", "")
		alice.Post("/signin", "email", alice.Email, "password", alice.Password).Is(303)
		paper := h.Person("bob")
		paper.Post("/signin", "email", paper.Email, "password", paper.Password).Is(303)
		if len(paper.Codes) > 0 {
			paper.Post("/signin/recovery", "code", paper.Codes[0], "remember", "yes").Is(303)
			if paper.Cookie("trust") != "" {
				t.Error("a recovery code has a browser remembered")
			}
		}
	})
}

// Everything that ends the other sessions ends remembered browsers too.
func TestWhatForgetsARememberedBrowser(t *testing.T) {
	for name, change := range map[string]func(*testing.T, *house.House, *house.Person){
		"its person says so": func(t *testing.T, h *house.House, p *house.Person) {
			page := p.Get("/account/sessions").Is(200)
			if !strings.Contains(page.Body, "Remembered browsers") {
				t.Error("it is not listed")
			}
			p.Post("/account/remembered", "do", "forget").Is(303)
			if strings.Contains(p.Get("/account/sessions").Body, "Remembered browsers") {
				t.Error("it is listed still")
			}
			once(t, h, "events", "kind = 'browser.forgotten'")
		},
		"they sign out everywhere else": func(t *testing.T, _ *house.House, p *house.Person) {
			p.Post("/account/sessions", "do", "end-others").Is(303)
		},
	} {
		t.Run(name, func(t *testing.T) {
			house.Each(t, func(t *testing.T, h *house.House) {
				remembering(h, month)
				alice := h.Person("alice")
				signsInByPage(alice, "remember", "yes")
				h.Dark()
				change(t, h, alice)
				if to := passwordAlone(alice); to != asked {
					t.Errorf("led to %s", to)
				}
				h.Light()
				if to := passwordAlone(alice); to != asked {
					t.Errorf("after the return it led to %s", to)
				}
			})
		})
	}
	for name, change := range map[string]func(*house.House, *house.Person){
		"a new password": func(h *house.House, p *house.Person) {
			p.ProvesAfresh()
			p.Post("/account/password", "password", house.SecondPassword).Is(303)
			p.Password = house.SecondPassword
		},
		"a forgotten password": func(h *house.House, p *house.Person) {
			other := p.Elsewhere("203.0.113.9")
			other.API("/forgot", map[string]any{"email": p.Email}).Asks("link-sent")
			other.OpensLink(outbox.Reset).Asks("totp")
			other.ShowsCode(other.NextCode()).Asks("new-password")
			other.API("/signin/new-password", map[string]any{"password": house.SecondPassword}).Asks("done")
			p.Password = house.SecondPassword
		},
		"new recovery codes": func(h *house.House, p *house.Person) {
			p.ProvesAfresh()
			page := p.Get("/account/recovery-codes/new").Is(200)
			p.Post("/account/recovery-codes/new", "attempt", page.Hidden("attempt"), "confirmed", "yes").Is(303)
		},
		"a policy that no longer lets it": func(h *house.House, _ *house.Person) { remembering(h, 0) },
		"a policy with fewer days": func(h *house.House, _ *house.Person) {
			remembering(h, 24*time.Hour)
			h.Clock.Forward(24 * time.Hour)
		},
	} {
		t.Run(name, func(t *testing.T) {
			house.EachOnPrimary(t, func(t *testing.T, h *house.House) {
				remembering(h, month)
				alice := h.Person("alice")
				signsInByPage(alice, "remember", "yes")
				change(h, alice)
				if to := passwordAlone(alice); to != asked {
					t.Errorf("led to %s", to)
				}
			})
		})
	}
}

// Attacks on it: the cookie without the password, the password without the cookie,
// somebody else's, one on another device.
func TestARememberedBrowserIsNobodyElses(t *testing.T) {
	house.Each(t, func(t *testing.T, h *house.House) {
		remembering(h, month)
		alice, bob := h.Person("alice"), h.Person("bob")
		signsInByPage(alice, "remember", "yes")
		signsInByPage(bob, "remember", "yes")
		trust := alice.Cookie("trust")
		h.Dark()

		cookieOnly := alice.Elsewhere("203.0.113.1")
		cookieOnly.Browser = alice.Steals(alice)
		cookieOnly.Password = "not her password at all"
		cookieOnly.SetCookie("session", "")
		cookieOnly.Post("/signin", "email", alice.Email, "password", cookieOnly.Password).Is(401)
		if cookieOnly.Inside() != 401 {
			t.Error("the cookie alone opens a session")
		}

		passwordOnly := alice.Elsewhere("203.0.113.2")
		if to := passwordAlone(passwordOnly); to != asked {
			t.Errorf("the password alone leads to %s", to)
		}

		other := bob.Elsewhere("203.0.113.3") // knows Bob's password and holds Alice's cookie and device
		other.Browser = alice.Steals(alice)
		if to := passwordAlone(other); to != asked {
			t.Errorf("another account's cookie leads to %s", to)
		}
		forged := alice.Elsewhere("203.0.113.4")
		for _, cookie := range []string{trust[:len(trust)-2] + "AA", "x", alice.Cookie("device"), strings.Repeat("A", 5000)} {
			forged.SetCookie("trust", cookie)
			if to := passwordAlone(forged); to != asked {
				t.Errorf("a made-up cookie leads to %s", to)
			}
		}
		if to := passwordAlone(alice); to != in {
			t.Fatalf("all that has forgotten her own: %s", to)
		}

		// A copy on another device, with the right password: a theft. All are forgotten.
		thief := alice.Elsewhere("203.0.113.5")
		thief.Get("/signin")
		thief.SetCookie("trust", trust)
		if to := passwordAlone(thief); to != asked {
			t.Errorf("a stolen cookie leads to %s", to)
		}
		if to := passwordAlone(alice); to != asked {
			t.Errorf("after the theft was noticed her own leads to %s", to)
		}
		if to := passwordAlone(bob); to != in {
			t.Errorf("Bob’s browser is forgotten too: %s", to)
		}
		h.Light()
		once(t, h, "events", "kind = 'browser.forgotten'")
		if to := passwordAlone(alice); to != asked {
			t.Errorf("after the return: %s", to)
		}
	})
}

// A mailed link leads past no second authenticator, remembered or not.
func TestARememberedBrowserResetsNothing(t *testing.T) {
	house.EachOnPrimary(t, func(t *testing.T, h *house.House) {
		remembering(h, month)
		alice := h.Person("alice")
		signsInByPage(alice, "remember", "yes")
		alice.SetCookie("session", "")
		alice.Post("/forgot", "email", alice.Email).Is(303)
		alice.Get("/link/" + h.Link(alice.Email, outbox.Reset)).Is(303)
		if to := alice.Post("/link").Is(303).Header.Get("Location"); to != asked {
			t.Errorf("led to %s", to)
		}
		if r := alice.Post("/signin/new-password", "password", house.SecondPassword); r.Status == 200 {
			t.Errorf("a new password without the second authenticator: %d", r.Status)
		}
	})
}

// The eleventh browser is one too many: the oldest is forgotten.
func TestTenBrowsersAreRemembered(t *testing.T) {
	house.EachOnPrimary(t, func(t *testing.T, h *house.House) {
		remembering(h, month)
		alice := h.Person("alice")
		var all []*house.Person
		for i := range 11 {
			p := alice.Elsewhere("198.51.100." + string(rune('0'+i%10)))
			signsInByPage(p, "remember", "yes")
			h.Clock.Forward(time.Minute)
			all = append(all, p)
		}
		if n := h.Count("credentials", "kind = 'remembered'"); n != 10 {
			t.Errorf("%d are kept", n)
		}
		if to := passwordAlone(all[0]); to != asked {
			t.Errorf("the oldest leads to %s", to)
		}
		if to := passwordAlone(all[1]); to != in {
			t.Errorf("the second oldest leads to %s", to)
		}
	})
}
