package stories

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"gatehouse/events"
	"gatehouse/outbox"
	"gatehouse/store"
	"gatehouse/test/house"
)

// A day in which everything happens that this build can record about people.
func everything(t *testing.T, h *house.House) {
	op := func(_ any, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	alice := h.Invited("alice")
	lookalike := h.Invited("a1ice") // 1 for l
	_ = lookalike
	alice.OpensLink(outbox.Invitation).Asks("new-password")
	alice.API("/signin/new-password", map[string]any{"password": "harbour"}).Says("password-refused")
	asked := alice.API("/signin/new-password", map[string]any{"password": alice.Password}).Asks("enrol-totp")
	alice.API("/signin/enrol-totp", map[string]any{"code": h.Secret("a wrong code", "271828")}).Says("wrong-code")
	alice.Enrols(asked)
	h.Browser("203.0.113.1").API("/link", map[string]any{"token": h.Secret("the token of a mailed link", strings.Repeat("Ab3-", 10))}).Says("link-spent")

	mallory := h.Browser("203.0.113.66")
	for i := range 6 {
		mallory.API("/signin", map[string]any{"email": alice.Email, "password": h.Secret("a guessed password", fmt.Sprintf("guess number %d of six", i)), "attempt": ""})
	}
	mallory.API("/signin", map[string]any{"email": "who@harbour-books.example", "password": "guess number 0 of six", "attempt": ""})
	for range 5 {
		mallory.API("/forgot", map[string]any{"email": alice.Email})
	}
	alice.ShowsPassword().Asks("totp")
	alice.ShowsCode(h.Secret("a wrong code", "314159")).Says("wrong-code")
	alice.ShowsCode(alice.NextCode()).Asks("done")
	laptop := alice.Elsewhere("198.51.100.200")
	laptop.API("/unlock", map[string]any{"email": alice.Email}).Asks("link-sent")
	laptop.OpensLink(outbox.UnlockLink).Asks("password")
	laptop.API("/signin", map[string]any{"email": alice.Email, "password": alice.Password}).Asks("totp")
	laptop.API("/signin/recovery-code", map[string]any{"code": alice.Codes[0]}).Asks("done")
	laptop.Post("/account", "name", "Alice of the Quay", "locale", "en", "zone", "Europe/Vienna").Is(303)
	laptop.ProvesAfresh()
	laptop.Get("/fresh").Is(200)
	laptop.Post("/fresh", "password", h.Secret("a guessed password", "not hers at all, this")).Is(401)
	changes[1].change(t, laptop).Is(303) // another app
	o, err := h.Manage.Overview(t.Context(), caller(t, laptop))
	op(o, err)
	laptop.Post("/account/authenticators", "do", "rename", "id", string(o.Apps[1].ID), "name", "Old tablet").Is(303)
	laptop.Post("/account/authenticators", "do", "remove", "id", string(o.Apps[1].ID)).Is(303)
	changes[2].change(t, laptop).Is(303) // new codes
	laptop.Post("/account/password", "password", alice.Email).Is(422)
	changes[0].change(t, laptop).Is(303) // new password
	laptop.Password = house.SecondPassword
	laptop.Post("/account/address", "email", "alice@new-quay.example").Is(303)
	token := h.Link("alice@new-quay.example", outbox.AddressConfirm)
	laptop.Get("/link/" + token).Is(303)
	laptop.Post("/link").Is(303)
	laptop.Get("/link/" + token).Is(303)
	laptop.Post("/link").Is(410)
	laptop.Email = "alice@new-quay.example"
	tablet := laptop.Elsewhere("198.51.100.201")
	tablet.SignsIn()
	tablet.Post("/account/sessions", "do", "end-others").Is(303)
	laptop.SignsIn()
	tablet.Post("/account/sessions", "do", "end", "id", string(caller(t, laptop).Ticket.Session)).Is(303)
	tablet.Post("/signout").Is(303)
	h.Settled()
	h.Clock.Forward(time.Hour)
	laptop.API("/forgot", map[string]any{"email": laptop.Email, "attempt": ""}).Asks("link-sent")
	laptop.OpensLink(outbox.Reset).Asks("totp")
	laptop.ShowsCode(laptop.NextCode()).Asks("new-password")
	laptop.API("/signin/new-password", map[string]any{"password": h.Secret("a password", "nine ropes and an anchor")}).Asks("done")

	leaked := h.PersonWith("lena", "password1")
	leaked.ShowsPassword().Asks("totp")
	leaked.ShowsCode(leaked.NextCode()).Asks("new-password")
	leaked.API("/signin/new-password", map[string]any{"password": house.SecondPassword}).Asks("done")
	op(h.Manage.Disable(t.Context(), leaked.Email, "left the firm", "operator"))
	leaked.ShowsPassword()
	op(h.Manage.Enable(t.Context(), leaked.Email, "", "operator"))
	op(h.Manage.Lock(t.Context(), leaked.Email, "", "operator"))
	op(h.Manage.Unlock(t.Context(), leaked.Email, "", "operator"))
	op(h.Manage.Reinvite(t.Context(), lookalike.Email, "operator"))
	h.Settled()
}

// rehashed makes every kept hash one of older parameters.
func rehashed(t *testing.T, h *house.House) {
	old := h.Person("olga")
	newer := h.Restarted(func(o *house.Options) { o.Hashing.Time = 2 })
	old.Browser = old.At(newer)
	old.SignsIn()
	if h.Count("events", "kind = 'password.rehashed'") != 1 {
		t.Error("not rehashed")
	}
	old.SignsIn()
	if h.Count("events", "kind = 'password.rehashed'") != 1 {
		t.Error("rehashed again")
	}
}

// elsewhere says which other test sees a kind recorded: those about the server and
// not about what a person does, what happens in the dark, and what each kind of
// authenticator has stories of its own for.
var elsewhere = map[events.Kind]string{
	events.MailGivenUp: "cmd/gatehouse, notices", events.ClockAnomaly: "cmd/gatehouse", events.ServerStarted: "cmd/gatehouse", events.ServerStopped: "cmd/gatehouse",
	events.CanaryMade: "flow", events.HookAdded: "hooks", events.HookRotated: "hooks", events.HookSwitched: "hooks", events.HookReplayed: "hooks", events.HookGivenUp: "hooks",
	events.StandbyHandedOver: "rejoin", events.StandbyConflict: "rejoin",
	events.ApprovalAsked: "TestAPhoneThatScannedThePictureLetsItsOwnerInByTwoDigits", events.ApprovalAnswered: "TestAPhoneThatScannedThePictureLetsItsOwnerInByTwoDigits",
	events.ApprovalReported:    "TestNotMeMutesAndTellsThePersonAndTheirAdmin",
	events.AuthenticatorCloned: "TestACopiedKeyIsSwitchedOff",
	events.PhoneAsked:          "TestACodeByTextMessageOrCallOpensOnceAndIsReportedAsWhatItIs", events.PhoneHeld: "TestANewNumberWaitsForADayWhileTheOldOneWorksAndEverybodyIsTold",
	events.PhoneLimited: "texts", events.PhoneGivenUp: "texts",
	events.TokensImported: "TestACodeTokenOpensTheDoorAndStepsUp", events.TokenAssigned: "TestACodeTokenOpensTheDoorAndStepsUp",
	events.TokenResynced: "TestSupportBringsATokenBackIntoStep", events.TokenLost: "TestALostTokenOpensNothingAtOnce",
	events.TokenFound: "TestALostTokenOpensNothingAtOnce", events.TokenReturned: "the script token.txtar", events.TokenRetired: "TestALostTokenOpensNothingAtOnce",
	events.BrowserRemembered: "TestARememberedBrowserIsAskedForThePasswordAlone", events.BrowserForgotten: "TestWhatForgetsARememberedBrowser",
	events.PolicyChanged: "TestAStricterPolicyIsTriedOnPaperRolledOutAndLeadsEverybodyThrough",
}

// A story that is named above is there.
func TestWhatIsRecordedElsewhereNamesItsStory(t *testing.T) {
	files, err := filepath.Glob("*_test.go")
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		all.Write(text)
	}
	for kind, where := range elsewhere {
		if strings.HasPrefix(where, "Test") && !strings.Contains(all.String(), "func "+where+"(") {
			t.Errorf("%s: there is no %s", kind, where)
		}
	}
}

func TestEverySuccessRefusalAndChangeIsRecordedAndNoSecretIsKeptOrLogged(t *testing.T) {
	house.EachOnPrimary(t, func(t *testing.T, h *house.House) {
		everything(t, h)
		rehashed(t, h)
		seen := map[events.Kind]bool{}
		h.Do(func(tx *store.Tx) error {
			all, err := h.Events.After(tx, 0, 10_000)
			for _, e := range all {
				seen[e.Kind] = true
				if e.Hidden != "" || e.Parked {
					t.Errorf("%s cannot be read: %s", e.Kind, e.Hidden)
				}
			}
			return err
		})
		for _, d := range events.Kinds() {
			if !seen[d.Kind] && elsewhere[d.Kind] == "" {
				t.Errorf("%s is in the list of kinds and was never recorded", d.Kind)
			}
		}
		for _, leak := range h.Leaks() {
			t.Error(leak)
		}
		if !strings.Contains(h.Log.String(), `"route":"/api/v1/signin"`) {
			t.Errorf("the control: no request was logged: %.500s", h.Log.String())
		}
	})
}

// The control of the search for secrets: what is really there is found.
func TestTheSearchForSecretsFindsOne(t *testing.T) {
	h := house.New(t, "sqlite:"+t.TempDir()+"/a.db", nil)
	alice := h.Person("alice")
	for _, c := range []struct{ what, table, column, value string }{
		{"in a column", "accounts", "name", "my " + alice.Password + " here"},
		{"in hex", "accounts", "locale", fmt.Sprintf("%x", alice.Password)},
		{"six digits", "accounts", "zone", "code=271828;"},
	} {
		if found := h.Leaks(); len(found) != 0 {
			t.Fatalf("before %s: %v", c.what, found)
		}
		h.Secret("a wrong code", "271828")
		h.SQL(`UPDATE `+c.table+` SET `+c.column+` = $1 WHERE id = $2`, c.value, string(alice.Account))
		if len(h.Leaks()) == 0 {
			t.Errorf("not found %s", c.what)
		}
		h.SQL(`UPDATE `+c.table+` SET `+c.column+` = '' WHERE id = $1`, string(alice.Account))
	}
	h.Log.Write([]byte("it is " + alice.Password))
	if len(h.Leaks()) == 0 {
		t.Error("not found in the log")
	}
}

func TestEveryNoticeArrives(t *testing.T) {
	house.EachOnPrimary(t, func(t *testing.T, h *house.House) {
		everything(t, h)
		got := map[outbox.Kind]int{}
		for _, m := range h.Mailbox.All("", "") {
			got[m.Kind]++
			if !strings.Contains(m.Text, house.Origin) || m.Subject == "" || m.HTML == "" {
				t.Errorf("%s: no subject, no HTML, or no way to our own address:\n%s", m.Kind, m.Text)
			}
		}
		for _, d := range outbox.Kinds() {
			switch d.Kind {
			case outbox.Void, outbox.EnrolLink, outbox.Hook, outbox.SignInUndone, outbox.SignInsUndone, outbox.PolicyChanged, outbox.ApprovalReported, outbox.ApprovalsReported, outbox.PushNote, outbox.PushChange,
				outbox.AuthenticatorCloned, outbox.TextCode, outbox.TextNote, outbox.PhoneChange:
				continue // nothing is sent; have stories of their own
			}
			if got[d.Kind] == 0 {
				t.Errorf("no mail of kind %s (got %v)", d.Kind, slices.Sorted(maps.Keys(got)))
			}
		}
	})
}

func TestAPersonsHistoryTellsRefusalsToo(t *testing.T) {
	house.Each(t, func(t *testing.T, h *house.House) {
		alice, bob := h.Person("alice"), h.Person("bob")
		h.Dark()
		bob.SignsIn()
		alice.API("/signin", map[string]any{"email": alice.Email, "password": "not this one"})
		alice.SignsIn()
		h.Light()
		page := alice.Get("/account/history").Is(200)
		all, err := h.Manage.History(t.Context(), caller(t, alice), 0, 100)
		if err != nil {
			t.Fatal(err)
		}
		var kinds []string
		for _, e := range all {
			kinds = append(kinds, string(e.Kind))
			if e.Account != alice.Account {
				t.Errorf("somebody else's %s", e.Kind)
			}
		}
		for _, k := range []events.Kind{events.SignedIn, events.SignInRefused} {
			if !slices.Contains(kinds, string(k)) {
				t.Errorf("%s is missing in %v", k, kinds)
			}
		}
		if !contains(page.Body, alice.Network) {
			t.Error("the page does not say where from")
		}
	})
}
