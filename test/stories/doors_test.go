package stories

import (
	"net/http"
	"sync"
	"testing"

	"gatehouse/accounts"
	"gatehouse/outbox"
	"gatehouse/store"
	"gatehouse/test/house"
)

// atOnce runs n goes at the same moment and returns their answers.
func atOnce(n int, do func(i int) house.Reply) []house.Reply {
	replies := make([]house.Reply, n)
	var ready, done sync.WaitGroup
	start := make(chan struct{})
	ready.Add(n)
	for i := range n {
		done.Go(func() {
			ready.Done()
			<-start
			replies[i] = do(i)
		})
	}
	ready.Wait()
	close(start)
	done.Wait()
	return replies
}

func count(replies []house.Reply, is func(house.Reply) bool) (n int) {
	for _, r := range replies {
		if is(r) {
			n++
		}
	}
	return n
}

func TestThereIsNoSessionOnAPasswordAlone(t *testing.T) {
	house.Each(t, func(t *testing.T, h *house.House) {
		alice := h.Person("alice")
		h.Dark()
		alice.ShowsPassword().Asks("totp")
		alice.ShowsCode("000000").Says("wrong-code")
		for _, path := range []string{"/signin/recovery-codes", "/signin/new-password", "/signin/enrol-totp", "/signin/resend-link"} {
			r := alice.API(path, map[string]any{"confirmed": true, "password": house.SecondPassword, "code": "123456"})
			if r.Next() == "done" || r.Field("session.ticket") != "" {
				t.Errorf("%s opened a session: %s", path, r.Body)
			}
		}
		if alice.Inside() != http.StatusUnauthorized || h.Count("sessions", "1 = 1") != 0 {
			t.Error("a session on one proof")
		}
	})
}

func TestAPasswordAloneNeverEnrols(t *testing.T) {
	house.EachOnPrimary(t, func(t *testing.T, h *house.House) {
		alice := h.Invited("alice")
		alice.OpensLink(outbox.Invitation).Asks("new-password")
		alice.API("/signin/new-password", map[string]any{"password": alice.Password}).Asks("enrol-totp")

		mallory := alice.Elsewhere("203.0.113.66") // knows the password, not the mailbox
		mallory.ShowsPassword().Asks("link-sent")
		mailed := h.Link(alice.Email, outbox.EnrolLink) // goes to Alice, not to Mallory
		for _, path := range []string{"/signin/enrol-totp", "/signin/recovery-codes", "/signin/totp", "/signin/new-password"} {
			r := mallory.API(path, map[string]any{"code": "123456", "confirmed": true, "password": house.SecondPassword})
			if r.Next() != "link-sent" || r.Field("enrol.secret") != "" {
				t.Errorf("%s went on: %s", path, r.Body)
			}
		}
		if h.Count("totp", "account = $1", string(alice.Account)) != 0 || h.Count("sessions", "1 = 1") != 0 {
			t.Error("something was enrolled")
		}
		// Alice reads the mail and finishes, in the browser she began in.
		alice.ShowsPassword().Asks("link-sent")
		alice.Enrols(alice.API("/link", map[string]any{"token": mailed}))
	})
}

func TestOneCodeAtOneInstantOpensOneDoor(t *testing.T) {
	house.Each(t, func(t *testing.T, h *house.House) {
		alice := h.Person("alice")
		h.Dark()
		const crowd = 8
		var doors []*house.Person
		for range crowd {
			p := alice.Elsewhere("203.0.113.5")
			p.ShowsPassword().Asks("totp")
			doors = append(doors, p)
			h.SQL(`DELETE FROM tries`) // so that only the code decides
		}
		code := alice.NextCode()
		replies := atOnce(crowd, func(i int) house.Reply { return doors[i].ShowsCode(code) })
		in := count(replies, func(r house.Reply) bool { return r.Next() == "done" })
		if in != 1 || h.Count("sessions", "1 = 1") != 1 {
			t.Errorf("%d answers say done, %d sessions", in, h.Count("sessions", "1 = 1"))
		}
		for _, r := range replies {
			if r.Next() != "done" && r.Refused() != "wrong-code" && r.Refused() != "too-many-tries" {
				t.Errorf("somebody got %d %s", r.Status, r.Body)
			}
		}
	})
}

func TestASecondSubmissionOfAStepGetsTheSameAnswer(t *testing.T) {
	t.Run("a code, one after the other and at once", func(t *testing.T) {
		house.Each(t, func(t *testing.T, h *house.House) {
			alice := h.Person("alice")
			h.Dark()
			alice.ShowsPassword().Asks("totp")
			code := alice.NextCode()
			twins := []*house.Browser{alice.Twin(), alice.Twin(), alice.Twin()}
			first := alice.ShowsCode(code).Asks("done")
			replies := atOnce(len(twins), func(i int) house.Reply {
				return twins[i].API("/signin/totp", map[string]any{"code": code})
			})
			for _, r := range replies {
				if r.Asks("done").Field("session.id") != first.Field("session.id") {
					t.Errorf("another session: %s", r.Body)
				}
			}
			if n := h.Count("sessions", "1 = 1"); n != 1 {
				t.Errorf("%d sessions", n)
			}
		})
	})
	t.Run("a recovery code", func(t *testing.T) {
		house.Each(t, func(t *testing.T, h *house.House) {
			alice := h.Invited("alice")
			alice.Arrives()
			h.Dark()
			alice.ShowsPassword().Asks("totp")
			twin := alice.Twin()
			fields := map[string]any{"code": alice.Codes[3]}
			first := alice.API("/signin/recovery-code", fields).Asks("done")
			again := twin.API("/signin/recovery-code", map[string]any{"code": alice.Codes[3]}).Asks("done")
			if again.Field("session.id") != first.Field("session.id") {
				t.Error("another session")
			}
			if n := h.Count("recovery_codes", "spent_at IS NOT NULL"); n != 1 {
				t.Errorf("%d codes spent", n)
			}
		})
	})
	t.Run("every step of an invitation", func(t *testing.T) {
		house.EachOnPrimary(t, func(t *testing.T, h *house.House) {
			alice := h.Invited("alice")
			alice.OpensLink(outbox.Invitation).Asks("new-password")
			twin := alice.Twin()
			one := alice.API("/signin/new-password", map[string]any{"password": alice.Password}).Asks("enrol-totp")
			two := twin.API("/signin/new-password", map[string]any{"password": alice.Password}).Asks("enrol-totp")
			if one.Field("enrol.secret") != two.Field("enrol.secret") {
				t.Error("the second click showed another secret: whoever scans the first is locked out")
			}
			alice.Phone = one.Field("enrol.secret")
			twin = alice.Twin()
			first := alice.API("/signin/enrol-totp", map[string]any{"code": alice.Code()}).Asks("recovery-codes")
			second := twin.API("/signin/enrol-totp", map[string]any{"code": alice.Code()}).Asks("recovery-codes")
			if a, b := first.List("recovery_codes"), second.List("recovery_codes"); len(a) != 10 || a[0] != b[0] || a[9] != b[9] {
				t.Error("the second click showed other recovery codes: those on paper may open nothing")
			}
			twin = alice.Twin()
			in := alice.API("/signin/recovery-codes", map[string]any{"confirmed": true}).Asks("done")
			again := twin.API("/signin/recovery-codes", map[string]any{"confirmed": true}).Asks("done")
			if in.Field("session.id") != again.Field("session.id") || h.Count("sessions", "1 = 1") != 1 {
				t.Error("the second click opened another session")
			}
		})
	})
	t.Run("the code of a reset, which leads to the new password", func(t *testing.T) {
		house.EachOnPrimary(t, func(t *testing.T, h *house.House) {
			alice := h.Person("alice")
			alice.API("/forgot", map[string]any{"email": alice.Email}).Asks("link-sent")
			alice.OpensLink(outbox.Reset).Asks("totp")
			code := alice.NextCode()
			twin := alice.Twin()
			alice.ShowsCode(code).Asks("new-password")
			twin.API("/signin/totp", map[string]any{"code": code}).Asks("new-password")
			twin = alice.Twin()
			first := alice.API("/signin/new-password", map[string]any{"password": house.SecondPassword}).Asks("done")
			again := twin.API("/signin/new-password", map[string]any{"password": house.SecondPassword}).Asks("done")
			if first.Field("session.id") != again.Field("session.id") {
				t.Error("another session")
			}
		})
	})
}

func TestASecondSubmissionElsewhereOrLaterIsNoSecondDoor(t *testing.T) {
	house.Each(t, func(t *testing.T, h *house.House) {
		alice := h.Person("alice")
		h.Dark()
		alice.ShowsPassword().Asks("totp")
		code := alice.NextCode()
		late, ended, thief := alice.Twin(), alice.Twin(), h.Browser("203.0.113.66")
		thief.Attempt = alice.Attempt
		alice.ShowsCode(code).Asks("done")
		if r := thief.API("/signin/totp", map[string]any{"code": code}); r.Next() == "done" || r.Refused() != "attempt-expired" {
			t.Errorf("another browser got %s", r.Body)
		}
		alice.Post("/signout").Is(303)
		if r := ended.API("/signin/totp", map[string]any{"code": code}); r.Next() == "done" {
			t.Error("the session that was ended came back")
		}
		h.Clock.Forward(31e9)
		if r := late.API("/signin/totp", map[string]any{"code": code}); r.Next() == "done" {
			t.Error("the same answer after 31 s")
		}
	})
}

func TestTwoHundredGuessesAtOnceAreExactlyFiveChecked(t *testing.T) {
	house.Each(t, func(t *testing.T, h *house.House) {
		alice := h.Person("alice")
		h.Dark()
		const crowd = 200
		// One network each: it is the name that holds them.
		replies := atOnce(crowd, func(i int) house.Reply {
			b := h.Browser("2001:db8:" + string("0123456789abcdef"[i/16]) + string("0123456789abcdef"[i%16]) + "::1")
			return b.API("/signin", map[string]any{"email": alice.Email, "password": "guess number " + string(rune('a'+i%26))})
		})
		checked := count(replies, func(r house.Reply) bool { return r.Refused() == "wrong-credentials" })
		limited := count(replies, func(r house.Reply) bool { return r.Refused() == "too-many-tries" })
		if checked != 5 || limited != crowd-5 {
			t.Errorf("%d checked, %d refused unchecked, of %d", checked, limited, crowd)
		}
		h.Light() // what was recorded in the dark is handed over once
		if n := h.Count("events", "kind = 'signin.refused'"); n != 5 {
			t.Errorf("%d refusals recorded", n)
		}
		if n := h.Count("events", "kind = 'signin.limited'"); n != 1 {
			t.Errorf("the limit was told %d times in its window", n)
		}
	})
}

func TestTheSecondAuthenticatorIsGuessedFiveTimes(t *testing.T) {
	house.Each(t, func(t *testing.T, h *house.House) {
		alice := h.Person("alice")
		h.Dark()
		var doors []*house.Person
		for range 4 {
			p := alice.Elsewhere("203.0.113.5")
			p.ShowsPassword().Asks("totp")
			doors = append(doors, p)
		}
		replies := atOnce(40, func(i int) house.Reply {
			return doors[i%4].Twin().API("/signin/totp", map[string]any{"code": "000000"})
		})
		if n := count(replies, func(r house.Reply) bool { return r.Refused() == "wrong-code" }); n != 5 {
			t.Errorf("%d codes were checked", n)
		}
	})
}

func TestTriesAreNotGivenBackWhenATransactionFails(t *testing.T) {
	house.Each(t, func(t *testing.T, h *house.House) {
		alice := h.Person("alice")
		h.Dark()
		h.SQL(`ALTER TABLE events RENAME TO away`) // whatever is recorded from now on fails
		for range 5 {
			if r := alice.API("/signin", map[string]any{"email": alice.Email, "password": "not this one"}); r.Status < 500 {
				t.Fatalf("an answer although nothing could be recorded: %s", r.Body)
			}
		}
		h.SQL(`ALTER TABLE away RENAME TO events`)
		alice.ShowsPassword().Says("too-many-tries")
		h.Clock.Forward(15 * 60e9)
		alice.ShowsPassword().Asks("totp")
	})
}

func TestSomebodyDisabledBetweenCheckAndCommitDoesNotGetIn(t *testing.T) {
	for _, status := range []accounts.Status{accounts.Disabled, accounts.Locked} {
		t.Run(string(status), func(t *testing.T) {
			house.Each(t, func(t *testing.T, h *house.House) {
				alice := h.Person("alice")
				h.Dark()
				alice.ShowsPassword().Asks("totp")
				code := alice.NextCode()
				h.Do(func(tx *store.Tx) error { _, err := accounts.SetStatus(tx, alice.Account, status); return err })
				alice.ShowsCode(code).Says("wrong-credentials")
				if h.Count("sessions", "1 = 1") != 0 {
					t.Error("a session")
				}
				if h.Count("events", "kind = 'signin.refused'") != 1 {
					t.Error("not recorded")
				}
			})
		})
	}
}

func TestADisabledPersonIsOutAtTheNextCheck(t *testing.T) {
	house.Each(t, func(t *testing.T, h *house.House) {
		alice := h.Person("alice")
		h.Dark()
		alice.SignsIn()
		if _, err := h.Manage.Disable(t.Context(), alice.Email, "left the firm", "operator"); err != nil {
			t.Fatal(err)
		}
		if got := alice.Inside(); got != http.StatusUnauthorized {
			t.Errorf("the session check says %d", got)
		}
		alice.ShowsPassword().Says("wrong-credentials")
		h.Light()
		h.Mail(alice.Email, outbox.AccountDisabled)
		if _, err := h.Manage.Enable(t.Context(), alice.Email, "", "operator"); err != nil {
			t.Fatal(err)
		}
		if got := alice.Inside(); got != http.StatusUnauthorized {
			t.Errorf("enabling brought an old session back: %d", got)
		}
		alice.SignsIn()
	})
}
