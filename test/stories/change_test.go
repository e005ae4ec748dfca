package stories

import (
	"net/http"
	"testing"
	"time"

	"gatehouse/id"
	"gatehouse/manage"
	"gatehouse/outbox"
	"gatehouse/seal"
	"gatehouse/sessions"
	"gatehouse/test/house"
)

// caller is a person as manage sees them.
func caller(t *testing.T, p *house.Person) manage.Caller {
	t.Helper()
	ticket, _, err := p.House.Sessions.Check(p.Cookie("session"), p.House.Clock.Now())
	if err != nil {
		t.Fatal(err)
	}
	return manage.Caller{Ticket: ticket, Who: sessions.Who{Device: ticket.Device, Agent: p.Agent}}
}

// the changes that ask for a fresh proof, end the other sessions, give this one a
// new id, and tell the person.
var changes = []struct {
	name   string
	form   string // where its form is
	tell   outbox.Kind
	change func(t *testing.T, p *house.Person) house.Reply
}{
	{"a new password", "/account/password", outbox.PasswordChanged, func(t *testing.T, p *house.Person) house.Reply {
		return p.Post("/account/password", "password", house.SecondPassword)
	}},
	{"another authenticator app", "/account/authenticators/add", outbox.AuthenticatorAdded, func(t *testing.T, p *house.Person) house.Reply {
		page := p.Get("/account/authenticators/add").Is(200)
		note := page.Hidden("attempt")
		secret, _, err := p.House.Manage.ShowTOTP(t.Context(), caller(t, p), note)
		if err != nil {
			t.Fatal(err)
		}
		p.House.Secret("an authenticator app's secret", secret.Reveal())
		return p.Post("/account/authenticators/add", "attempt", note, "code", house.CodeAt(secret.Reveal(), p.House.Clock.Now()), "name", "Tablet")
	}},
	{"new recovery codes", "/account/recovery-codes/new", outbox.RecoveryCodesMade, func(t *testing.T, p *house.Person) house.Reply {
		page := p.Get("/account/recovery-codes/new").Is(200)
		note := page.Hidden("attempt")
		codes, err := p.House.Manage.ShowRecoveryCodes(caller(t, p), note)
		if err != nil {
			t.Fatal(err)
		}
		if len(codes) != 10 {
			t.Errorf("%d codes", len(codes))
		}
		p.Codes = nil
		for _, c := range codes {
			p.Codes = append(p.Codes, p.House.Secret("a recovery code", c.Reveal()))
			if !contains(page.Body, c.Reveal()) {
				t.Error("a code is not on the page")
			}
		}
		p.Post("/account/recovery-codes/new", "attempt", note).Is(http.StatusUnprocessableEntity) // the box is not ticked
		return p.Post("/account/recovery-codes/new", "attempt", note, "confirmed", "yes")
	}},
	{"an authenticator less", "", outbox.AuthenticatorRemoved, func(t *testing.T, p *house.Person) house.Reply {
		o, err := p.House.Manage.Overview(t.Context(), caller(t, p))
		if err != nil {
			t.Fatal(err)
		}
		return p.Post("/account/authenticators", "do", "remove", "id", string(o.Apps[0].ID))
	}},
}

func TestAChangeOfCredentialsAsksForAFreshProofAndEndsTheOthers(t *testing.T) {
	for _, c := range changes {
		t.Run(c.name, func(t *testing.T) {
			house.Each(t, func(t *testing.T, h *house.House) {
				alice := h.Invited("alice")
				alice.Arrives()
				phone := alice.Elsewhere("203.0.113.7")
				phone.SignsIn()
				if c.tell == outbox.AuthenticatorRemoved { // there must be two
					changes[1].change(t, alice).Is(303)
					phone.SignsIn()
				}
				h.Clock.Forward(10 * time.Minute)
				if c.form != "" {
					if r := alice.Get(c.form).Is(303); !contains(r.Header.Get("Location"), "/fresh") {
						t.Errorf("not asked for a fresh proof but led to %s", r.Header.Get("Location"))
					}
				}
				if c.tell == outbox.PasswordChanged || c.tell == outbox.AuthenticatorRemoved {
					if r := c.change(t, alice); r.Status != 303 || !contains(r.Header.Get("Location"), "/fresh") {
						t.Errorf("changed without a fresh proof: %d to %s", r.Status, r.Header.Get("Location"))
					}
				}
				stale := alice.Twin()
				h.Dark() // the proof is for the standby, the change is not
				alice.ProvesAfresh()
				if stale.Inside() != 401 {
					t.Error("the session kept its id through a fresh proof")
				}
				h.OnPrimary(func() house.Reply { return c.change(t, alice) })
				stale = alice.Twin()
				if r := c.change(t, alice).Is(303); contains(r.Header.Get("Location"), "/fresh") {
					t.Fatalf("a fresh proof was not enough: %s", r.Header.Get("Location"))
				}
				if alice.Inside() != 200 || stale.Inside() != 401 || phone.Inside() != 401 {
					t.Errorf("this session %d, its old id %d, the other %d", alice.Inside(), stale.Inside(), phone.Inside())
				}
				h.Mail(alice.Email, c.tell)
				h.Clock.Forward(5*time.Minute + time.Second) // counted from the proof, not from the change
				if c.form != "" {
					alice.Get(c.form).Is(303)
				}
			})
		})
	}
}

func TestTheLastAuthenticatorStays(t *testing.T) {
	house.Each(t, func(t *testing.T, h *house.House) {
		alice := h.Person("alice")
		h.Dark()
		alice.SignsIn()
		h.OnPrimary(func() house.Reply { return changes[3].change(t, alice) })
		r := changes[3].change(t, alice)
		if r.Status != http.StatusConflict || h.Count("totp", "account = $1", string(alice.Account)) != 1 {
			t.Errorf("status %d", r.Status)
		}
		if alice.Inside() != 200 {
			t.Error("out")
		}
	})
}

func TestANewSetOfRecoveryCodesKillsTheOld(t *testing.T) {
	house.Each(t, func(t *testing.T, h *house.House) {
		alice := h.Invited("alice")
		alice.Arrives()
		old := alice.Codes[5]
		changes[2].change(t, alice).Is(303)
		h.Dark()
		laptop := alice.Elsewhere("203.0.113.4")
		laptop.ShowsPassword().Asks("totp")
		laptop.API("/signin/recovery-code", map[string]any{"code": old}).Says("wrong-code")
		laptop.API("/signin/recovery-code", map[string]any{"code": alice.Codes[5]}).Asks("done")
	})
}

func TestASessionThatWasEndedChangesNothing(t *testing.T) {
	house.Each(t, func(t *testing.T, h *house.House) {
		alice := h.Person("alice")
		h.Dark()
		alice.SignsIn()
		as := caller(t, alice) // checked on a node that has not heard of it yet
		phone := alice.Elsewhere("203.0.113.7")
		phone.SignsIn()
		if err := h.Manage.EndSession(t.Context(), caller(t, phone), as.Ticket.Session); err != nil {
			t.Fatal(err)
		}
		if res, err := h.Manage.ChangePassword(t.Context(), as, seal.Secret(house.SecondPassword)); err == nil && res.Refusal == nil {
			t.Error("a session that was ended changed the password")
		}
		if _, err := h.Manage.EndOthers(t.Context(), as); err == nil {
			t.Error("a session that was ended ended the others")
		}
		if err := h.Manage.SetProfile(t.Context(), as, manage.Profile{Name: "Mallory"}); err == nil {
			t.Error("a session that was ended changed the profile")
		}
		if phone.Inside() != 200 {
			t.Error("the other session is gone")
		}
	})
}

func TestAnAddressIsChangedByItsOwnMailboxAndTheOldOneIsTold(t *testing.T) {
	house.Each(t, func(t *testing.T, h *house.House) {
		alice := h.Person("alice")
		h.Dark()
		alice.SignsIn()
		phone := alice.Elsewhere("203.0.113.7")
		phone.SignsIn()
		const moved = "alice@new-quay.example"
		h.OnPrimary(func() house.Reply { return alice.Post("/account/address", "email", moved) })
		alice.Post("/account/address", "email", moved).Is(303)
		token := h.Link(moved, outbox.AddressConfirm)
		if h.Count("accounts", "email = $1", moved) != 0 {
			t.Fatal("changed before the link was opened")
		}
		alice.Get("/link/" + token).Is(303)
		alice.Post("/link").Is(303)
		if alice.Inside() != 200 || phone.Inside() != 401 {
			t.Errorf("this session %d, the other %d", alice.Inside(), phone.Inside())
		}
		h.Mail("alice@harbour-books.example", outbox.AddressChanged)
		phone.ShowsPassword().Says("wrong-credentials")
		phone.Email = moved
		phone.SignsIn()
		other := h.Browser("203.0.113.9")
		other.Get("/link/" + token).Is(303)
		other.Post("/link").Is(http.StatusGone)
	})
}

func TestAThiefsAddressChangeEndsWithTheOwnersNewPassword(t *testing.T) {
	house.Each(t, func(t *testing.T, h *house.House) {
		alice := h.Person("alice")
		h.Dark()
		alice.SignsIn()
		mallory := alice.Steals(alice)
		h.OnPrimary(func() house.Reply { return mallory.Post("/account/address", "email", "mallory@elsewhere.example") })
		mallory.Post("/account/address", "email", "mallory@elsewhere.example").Is(303)
		token := h.Link("mallory@elsewhere.example", outbox.AddressConfirm)
		alice.Post("/account/password", "password", house.SecondPassword).Is(303)
		mallory.Get("/link/" + token).Is(303)
		mallory.Post("/link").Is(http.StatusGone)
		if h.Count("accounts", "email = $1", alice.Email) != 1 {
			t.Error("the account went to the thief's address")
		}
	})
}

func TestAForgottenPasswordEndsAThiefsAddressChange(t *testing.T) {
	house.Each(t, func(t *testing.T, h *house.House) {
		alice := h.Person("alice")
		h.Dark()
		alice.SignsIn()
		mallory := alice.Steals(alice)
		h.OnPrimary(func() house.Reply { return mallory.Post("/account/address", "email", "mallory@elsewhere.example") })
		mallory.Post("/account/address", "email", "mallory@elsewhere.example").Is(303)
		token := h.Link("mallory@elsewhere.example", outbox.AddressConfirm)
		laptop := alice.Elsewhere("203.0.113.8")
		laptop.API("/forgot", map[string]any{"email": alice.Email}).Asks("link-sent")
		laptop.OpensLink(outbox.Reset).Asks("totp")
		laptop.ShowsCode(laptop.NextCode()).Asks("new-password")
		laptop.API("/signin/new-password", map[string]any{"password": house.SecondPassword}).Asks("done")
		mallory.Get("/link/" + token).Is(303)
		mallory.Post("/link").Is(http.StatusGone)
	})
}

func TestAnAddressThatSomebodyHasIsNotTakenFromThem(t *testing.T) {
	house.Each(t, func(t *testing.T, h *house.House) {
		alice, bob := h.Person("alice"), h.Person("bob")
		h.Dark()
		alice.SignsIn()
		h.OnPrimary(func() house.Reply { return alice.Post("/account/address", "email", "free@harbour-books.example") })
		free := shape(alice.Post("/account/address", "email", "free@harbour-books.example").Is(303), "")
		taken := shape(alice.Post("/account/address", "email", bob.Email).Is(303), "")
		if free != taken {
			t.Errorf("a taken address can be told:\n%s\n%s", free, taken)
		}
		h.Settled()
		if n := len(h.Mailbox.All(bob.Email, "")); n != 0 {
			t.Errorf("%d mails to the owner of the address", n)
		}
	})
}

func TestADeviceThatIsNewIsToldByMailAndAKnownOneIsNot(t *testing.T) {
	house.Each(t, func(t *testing.T, h *house.House) {
		alice := h.Person("alice")
		h.Dark()
		alice.SignsIn()
		alice.SignsIn()
		h.Light()
		h.Settled()
		if n := len(h.Mailbox.All(alice.Email, outbox.NewDevice)); n != 0 {
			t.Errorf("%d mails about the device it all began on", n)
		}
		h.Dark()
		alice.Elsewhere("203.0.113.8").SignsIn()
		h.Light()
		mail := h.Mail(alice.Email, outbox.NewDevice)
		if !contains(mail.Text, "Chrome") || !contains(mail.Text, "/account/sessions") {
			t.Errorf("device or how to stop it is missing:\n%s", mail.Text)
		}
	})
}

func TestEndingTheOthersNeedsNoProofAndEndsThem(t *testing.T) {
	house.Each(t, func(t *testing.T, h *house.House) {
		alice := h.Person("alice")
		h.Dark()
		alice.SignsIn()
		thief := alice.Elsewhere("203.0.113.66")
		thief.SignsIn()
		h.Clock.Forward(10 * time.Minute)
		alice.Post("/account/sessions", "do", "end-others").Is(303)
		if alice.Inside() != 200 || thief.Inside() != 401 {
			t.Errorf("this %d, the other %d", alice.Inside(), thief.Inside())
		}
	})
}

func TestNobodyEndsSomebodyElsesSession(t *testing.T) {
	house.Each(t, func(t *testing.T, h *house.House) {
		alice, bob := h.Person("alice"), h.Person("bob")
		h.Dark()
		alice.SignsIn()
		bob.SignsIn()
		bob.Post("/account/sessions", "do", "end", "id", string(caller(t, alice).Ticket.Session))
		bob.Post("/account/sessions", "do", "end", "id", string(id.Session("00000000-0000-7000-8000-000000000001")))
		if alice.Inside() != 200 {
			t.Error("Bob ended Alice's session")
		}
	})
}

func TestIdleAndAbsoluteEnds(t *testing.T) {
	house.Each(t, func(t *testing.T, h *house.House) {
		alice := h.Person("alice")
		h.Dark()
		alice.SignsIn()
		start := h.Clock.Now()
		life := sessions.DefaultPolicy()
		idle := alice.Twin()
		for h.Clock.Now().Add(life.Idle / 2).Before(start.Add(life.Absolute)) {
			h.Clock.Forward(life.Idle / 2)
			if got := alice.Inside(); got != 200 {
				t.Fatalf("%d after %v of use", got, h.Clock.Now().Sub(start))
			}
		}
		if idle.Inside() != 401 {
			t.Error("a ticket nobody used is still good")
		}
		h.Clock.Set(start.Add(life.Absolute - time.Microsecond))
		if alice.Inside() != 200 {
			t.Error("over before its absolute end")
		}
		h.Clock.Set(start.Add(life.Absolute))
		if alice.Inside() != 401 {
			t.Error("good past its absolute end")
		}
	})
}
