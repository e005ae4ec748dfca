package stories

import (
	"testing"
	"time"

	"gatehouse/accounts"
	"gatehouse/authenticators"
	"gatehouse/outbox"
	"gatehouse/test/house"
)

func TestAForgottenPasswordKeepsTheSecondAuthenticator(t *testing.T) {
	house.Each(t, func(t *testing.T, h *house.House) {
		alice := h.Person("alice")
		alice.SignsIn()
		laptop := alice.Elsewhere("203.0.113.8")
		laptop.API("/forgot", map[string]any{"email": alice.Email}).Asks("link-sent")
		token := h.Link(alice.Email, outbox.Reset)
		laptop.API("/link", map[string]any{"token": token}).Asks("totp")
		laptop.API("/signin/new-password", map[string]any{"password": house.SecondPassword}) // before any code
		if laptop.ShowsPassword(); laptop.API("/signin/new-password", map[string]any{"password": house.SecondPassword}).Next() == "done" {
			t.Fatal("a mailbox alone changed the password")
		}
		laptop.API("/link", map[string]any{"token": token, "attempt": ""}).Asks("totp")
		laptop.ShowsCode(laptop.NextCode()).Asks("new-password")
		laptop.API("/signin/new-password", map[string]any{"password": house.SecondPassword}).Asks("done")
		if alice.Inside() != 401 || laptop.Inside() != 200 {
			t.Errorf("the other session: %d, this one: %d", alice.Inside(), laptop.Inside())
		}
		h.Mail(alice.Email, outbox.PasswordChanged)
		if r := laptop.API("/link", map[string]any{"token": token, "attempt": ""}); r.Refused() != "link-spent" {
			t.Errorf("the link opened twice: %s", r.Body)
		}
		h.Dark()
		alice.ShowsPassword().Says("wrong-credentials")
		alice.Password = house.SecondPassword
		alice.SignsIn()
	})
}

func TestAResetLinkIsGoodForThirtyMinutesAndTheNewestCounts(t *testing.T) {
	house.EachOnPrimary(t, func(t *testing.T, h *house.House) {
		alice := h.Person("alice")
		if accounts.Reset.Life() > 30*time.Minute {
			t.Errorf("a reset link lives %v", accounts.Reset.Life())
		}
		ask := func() string {
			alice.API("/forgot", map[string]any{"email": alice.Email}).Asks("link-sent")
			return h.Link(alice.Email, outbox.Reset)
		}
		first, second := ask(), ask()
		alice.API("/link", map[string]any{"token": first}).Says("link-spent")
		h.Clock.Forward(30*time.Minute - time.Microsecond)
		alice.API("/link", map[string]any{"token": second}).Asks("totp")
		h.Clock.Forward(time.Microsecond)
		alice.API("/link", map[string]any{"token": second, "attempt": ""}).Says("link-spent")
		for _, token := range []string{"", "x", first + "x", second[:20]} {
			alice.API("/link", map[string]any{"token": token, "attempt": ""}).Says("link-spent")
		}
	})
}

func TestForgettingSaysTheSameForEveryAddress(t *testing.T) {
	house.EachOnPrimary(t, func(t *testing.T, h *house.House) {
		h.Person("alice")
		h.Invited("ines")
		h.Person("dora")
		if _, err := h.Manage.Disable(t.Context(), "dora@harbour-books.example", "", "operator"); err != nil {
			t.Fatal(err)
		}
		for _, path := range []string{"/forgot", "/unlock"} {
			var want string
			for _, name := range []string{"alice", "ines", "dora", "nobody-we-know", "not-an-address@"} {
				email := name + "@harbour-books.example"
				r := h.Browser("198.51.100.77").API(path, map[string]any{"email": email})
				if got := shape(r, email); want == "" {
					want = got
				} else if got != want {
					t.Errorf("%s for %s says\n%s\nwant\n%s", path, name, got, want)
				}
			}
		}
		h.Settled()
		if n := len(h.Mailbox.All("dora", outbox.Reset)) + len(h.Mailbox.All("nobody", "")); n != 0 {
			t.Errorf("%d mails to people who may get none", n)
		}
	})
}

func TestSomebodyInvitedWhoForgotThePasswordJustChosenStillGetsIn(t *testing.T) {
	house.EachOnPrimary(t, func(t *testing.T, h *house.House) {
		alice := h.Invited("alice")
		alice.OpensLink(outbox.Invitation).Asks("new-password")
		alice.API("/signin/new-password", map[string]any{"password": "what was it again, then"}).Asks("enrol-totp")
		// The phone is empty; a day later the password is gone from memory.
		h.Clock.Forward(24 * time.Hour)
		alice.Attempt = ""
		alice.API("/forgot", map[string]any{"email": alice.Email}).Asks("link-sent")
		alice.OpensLink(outbox.Reset).Asks("new-password")
		alice.Enrols(alice.API("/signin/new-password", map[string]any{"password": alice.Password}))
		if alice.Inside() != 200 {
			t.Error("not inside")
		}
	})
}

func TestForgettingDoesNotShortenAnInvitation(t *testing.T) {
	house.EachOnPrimary(t, func(t *testing.T, h *house.House) {
		alice := h.Invited("alice")
		h.Link(alice.Email, outbox.Invitation)
		mallory := h.Browser("203.0.113.66")
		mallory.API("/forgot", map[string]any{"email": alice.Email}).Asks("link-sent")
		token := h.Link(alice.Email, outbox.Invitation)
		h.Clock.Forward(24 * time.Hour) // Alice reads her mail tomorrow
		alice.API("/link", map[string]any{"token": token}).Asks("new-password")
	})
}

func TestAResetLinkWhoseAccountGotASecondAuthenticatorMeanwhileAsksForIt(t *testing.T) {
	house.EachOnPrimary(t, func(t *testing.T, h *house.House) {
		alice := h.Invited("alice")
		alice.OpensLink(outbox.Invitation).Asks("new-password")
		asked := alice.API("/signin/new-password", map[string]any{"password": alice.Password}).Asks("enrol-totp")
		mallory := alice.Elsewhere("203.0.113.66") // reads Alice's mail
		mallory.API("/forgot", map[string]any{"email": alice.Email}).Asks("link-sent")
		mallory.OpensLink(outbox.Reset).Asks("new-password")
		alice.Enrols(asked)
		if r := mallory.API("/signin/new-password", map[string]any{"password": house.SecondPassword}); r.Status == 200 {
			t.Errorf("a mailbox alone changed the password: %s", r.Body)
		}
		if alice.Inside() != 200 {
			t.Error("Alice is out")
		}
	})
}

func TestOneResetSetsOnePassword(t *testing.T) {
	policy, err := authenticators.PolicyOf(authenticators.PCI, 0)
	if err != nil {
		t.Fatal(err)
	}
	house.EachOnPrimaryWith(t, func(o *house.Options) { o.Policy = policy }, func(t *testing.T, h *house.House) {
		alice := h.Invited("alice")
		alice.OpensLink(outbox.Invitation).Asks("new-password")
		alice.API("/signin/new-password", map[string]any{"password": "thirteen quiet moorings 13"}).Asks("enrol-totp")
		alice.API("/forgot", map[string]any{"email": alice.Email, "attempt": ""}).Asks("link-sent")
		alice.OpensLink(outbox.Reset).Asks("new-password")
		again := alice.Twin()
		alice.API("/signin/new-password", map[string]any{"password": "fourteen quiet moorings 14"}).Asks("enrol-totp")
		again.API("/signin/new-password", map[string]any{"password": "fifteen quiet moorings 15"}).Says("link-spent")
		if n := h.Count("events", "kind = 'password.reset'"); n != 1 {
			t.Errorf("%d resets recorded", n)
		}
	})
}

func TestAnInvitationWhosePasswordIsSetAsksForIt(t *testing.T) {
	house.EachOnPrimary(t, func(t *testing.T, h *house.House) {
		alice := h.Invited("alice")
		token := h.Link(alice.Email, outbox.Invitation)
		alice.API("/link", map[string]any{"token": token}).Asks("new-password")
		other := alice.Elsewhere("203.0.113.9")
		other.API("/link", map[string]any{"token": token}).Asks("new-password")
		alice.API("/signin/new-password", map[string]any{"password": alice.Password}).Asks("enrol-totp")
		if r := other.API("/signin/new-password", map[string]any{"password": house.SecondPassword}); r.Status == 200 {
			t.Errorf("an invitation set a second password: %s", r.Body)
		}
		other.API("/link", map[string]any{"token": token, "attempt": ""}).Asks("password")
		other.Enrols(other.API("/signin", map[string]any{"email": alice.Email, "password": alice.Password}))
	})
}

func TestARecoveryCodeOpensOnceAndItsOwnerIsTold(t *testing.T) {
	house.Each(t, func(t *testing.T, h *house.House) {
		alice := h.Invited("alice")
		alice.Arrives()
		h.Dark()
		alice.ShowsPassword().Asks("totp")
		alice.API("/signin/recovery-code", map[string]any{"code": "  " + alice.Codes[0] + " "}).Asks("done")
		h.Light()
		if mail := h.Mail(alice.Email, outbox.RecoveryCodeUsed); !contains(mail.Text, "9") {
			t.Errorf("the number left is not told: %s", mail.Text)
		}
		elsewhere := alice.Elsewhere("203.0.113.4")
		elsewhere.ShowsPassword().Asks("totp")
		elsewhere.API("/signin/recovery-code", map[string]any{"code": alice.Codes[0]}).Says("wrong-code")
		elsewhere.API("/signin/recovery-code", map[string]any{"code": alice.Codes[1]}).Asks("done")
		if n := h.Count("recovery_codes", "spent_at IS NOT NULL"); n != 2 {
			t.Errorf("%d spent", n)
		}
	})
}

func TestAPhonesWrongClockIsToldOnlyAfterTheRightPasswordAndRemembered(t *testing.T) {
	house.Each(t, func(t *testing.T, h *house.House) {
		alice := h.Person("alice")
		h.Dark()
		alice.Skew = -90 * time.Second
		alice.ShowsPassword().Asks("totp")
		r := alice.ShowsCode(alice.NextCode()).Says("wrong-code")
		if hint := r.Field("hint"); !contains(hint, "90") || !contains(hint, "behind") {
			t.Errorf("the hint is %q", hint)
		}
		h.Clock.Forward(time.Minute)
		alice.Skew = -30 * time.Second
		alice.ShowsCode(alice.Code()).Asks("done")
		alice.Skew = -60 * time.Second // one more step slow: within one of what is remembered
		h.Clock.Forward(2 * time.Minute)
		alice.SignsIn()

		h.Light()
		// A mailbox is not a password: who came through a reset link is told nothing.
		mallory := alice.Elsewhere("203.0.113.66")
		mallory.API("/forgot", map[string]any{"email": alice.Email}).Asks("link-sent")
		mallory.OpensLink(outbox.Reset).Asks("totp")
		mallory.Skew = 2 * time.Minute
		if r := mallory.ShowsCode(mallory.NextCode()).Says("wrong-code"); r.Field("hint") != "" {
			t.Errorf("told to somebody who has shown no password: %q", r.Field("hint"))
		}
	})
}

func TestAnEnrolmentThatIsAbandonedLeavesNothing(t *testing.T) {
	house.EachOnPrimary(t, func(t *testing.T, h *house.House) {
		alice := h.Invited("alice")
		alice.OpensLink(outbox.Invitation).Asks("new-password")
		asked := alice.API("/signin/new-password", map[string]any{"password": alice.Password}).Asks("enrol-totp")
		alice.Phone = asked.Field("enrol.secret")
		alice.API("/signin/enrol-totp", map[string]any{"code": "000000"}).Says("wrong-code")
		alice.API("/signin/enrol-totp", map[string]any{"code": alice.Code()}).Asks("recovery-codes")
		alice.API("/signin/recovery-codes", map[string]any{"confirmed": false}).Says("confirm-codes")
		if h.Count("totp", "account = $1", string(alice.Account))+h.Count("recovery_sets", "account = $1", string(alice.Account))+h.Count("sessions", "1 = 1") != 0 {
			t.Error("something was kept before it was confirmed")
		}
		if h.Count("accounts", "status = 'invited'") != 1 {
			t.Error("no longer invited")
		}
		alice.API("/signin/recovery-codes", map[string]any{"confirmed": true}).Asks("done")
		if h.Count("accounts", "status = 'active'") != 1 {
			t.Error("not active")
		}
	})
}

func TestAPasswordThatLeakedIsReplacedBeforeTheSessionStarts(t *testing.T) {
	house.Each(t, func(t *testing.T, h *house.House) {
		alice := h.PersonWith("alice", "password1")
		h.Dark()
		alice.ShowsPassword().Asks("totp")
		r := alice.ShowsCode(alice.NextCode()).Asks("new-password")
		if r.Field("why") != "compromised" {
			t.Errorf("why = %q", r.Field("why"))
		}
		h.OnPrimary(func() house.Reply {
			return alice.API("/signin/new-password", map[string]any{"password": house.SecondPassword})
		})
		alice.API("/signin/new-password", map[string]any{"password": alice.Password}).Says("password-refused")
		alice.API("/signin/new-password", map[string]any{"password": house.SecondPassword}).Asks("done")
		if h.Count("events", "kind = 'password.compromised'") != 1 {
			t.Error("that it was compromised is not recorded")
		}
		alice.Password = house.SecondPassword
		alice.SignsIn()
	})
}
