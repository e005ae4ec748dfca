package stories

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"gatehouse/access"
	"gatehouse/authenticators"
	"gatehouse/fault"
	"gatehouse/flow"
	"gatehouse/manage"
	"gatehouse/outbox"
	"gatehouse/proof"
	"gatehouse/store"
	"gatehouse/test/house"
	"gatehouse/tokens"
)

// What an attacker of the authenticators tries. Each story once went wrong, or
// stands here so that it never does.

// A page that is sent again is no copied key.
func TestAReloadLongAfterwardsSwitchesNoKeyOff(t *testing.T) {
	house.EachOnPrimary(t, func(t *testing.T, h *house.House) {
		ana, key := withPasskey(h, "Ana")
		key.Counts = true
		h.Do(func(tx *store.Tx) error {
			_, err := authenticators.MarkCompromised(tx, ana.Account, "compromised")
			return err
		})
		ana.Attempt = ""
		asked := ana.AskedFor()
		answer := ana.Answers(key, asked)
		ana.ShowsAnswer(asked, answer).Asks("new-password")
		h.Clock.Forward(time.Minute)
		ana.Attempt = ""
		ana.ShowsAnswer(asked, answer).Says("attempt-expired")
		if n := h.Count("credentials", "state = 'cloned'"); n != 0 {
			t.Fatal("a reload of the page has switched the key off")
		}
		ana.ShowsPasskey(key).Asks("new-password")
		ana.API("/signin/new-password", map[string]any{"password": house.SecondPassword}).Asks("done")
	})
}

// The same for a key as second proof: a program sends its step once more.
func TestAStepSentAgainLongAfterwardsSwitchesNoKeyOff(t *testing.T) {
	house.EachOnPrimary(t, func(t *testing.T, h *house.House) {
		ana := h.Person("Ana")
		ana.SignsIn()
		h.Clock.Forward(time.Minute)
		key := house.NewKey(true)
		ana.AddsPasskey("key", key).Is(303)
		h.Do(func(tx *store.Tx) error {
			_, err := authenticators.MarkCompromised(tx, ana.Account, "compromised")
			return err
		})
		ana.ShowsPassword().Asks("passkey")
		at, asked := ana.Attempt, ana.AskedFor()
		answer := ana.Answers(key, asked)
		ana.ShowsAnswer(asked, answer).Asks("new-password")
		h.Clock.Forward(time.Minute)
		ana.Attempt = at
		ana.ShowsAnswer(asked, answer).Says("wrong-passkey")
		if n := h.Count("credentials", "state = 'cloned'"); n != 0 {
			t.Fatal("a step sent again has switched the key off")
		}
	})
}

// Whoever knows the password and has the mailbox sets nothing up in the place of a
// key that was switched off: that takes paper, or support.
func TestACopiedOnlyKeyIsNoWayToEnrolWithAPasswordAndAMailbox(t *testing.T) {
	house.EachOnPrimary(t, func(t *testing.T, h *house.House) {
		ana := h.Invited("Ana")
		ana.API("/link", map[string]any{"token": h.Link(ana.Email, outbox.Invitation)}).Asks("new-password")
		ana.API("/signin/new-password", map[string]any{"password": ana.Password}).Asks("enrol-totp")
		key := setsUpPasskey(ana)
		key.Counts, key.Count = true, 10
		ana.SignsInByPasskey(key)
		key.Count = 1
		ana.Attempt = ""
		ana.ShowsPasskey(key).Says("wrong-passkey")
		thief := ana.Elsewhere("203.0.113.66")
		thief.ShowsPassword().Asks("recovery-code")
		if all := h.Mailbox.All(ana.Email, outbox.EnrolLink); len(all) != 0 {
			t.Fatal("a link to set something up was mailed")
		}
		ana.ShowsPassword().Asks("recovery-code")
		ana.API("/signin/recovery-code", map[string]any{"code": ana.Codes[0]}).Asks("done")
	})
}

// The code that ends a move is one of a living authenticator: it spends what a
// sign-in would.
func TestTheEndOfAMoveIsNoPlaceToGuessCodes(t *testing.T) {
	house.EachOnPrimary(t, func(t *testing.T, h *house.House) {
		alice := h.Invited("alice")
		alice.Arrives()
		h.Clock.Forward(time.Minute)
		old := alice.Get("/account/moving?why=phone").Is(200).Hidden("id")
		movesOn(alice, "begin", "why", "phone", "id", old).Is(303)
		key := offered(alice)
		movesOn(alice, "arrive", "code", codeOf(alice, key), "name", "New phone").Is(303)
		for range 5 {
			movesOn(alice, "finish", "code", "000000").Is(401)
		}
		movesOn(alice, "finish", "code", "000000").Is(429)
		alice.ShowsPassword().Asks("totp")
		alice.ShowsCode(alice.NextCode()).Says("too-many-tries")
	})
}

// Bringing a token into step takes two codes in a row. One alone says nothing, and
// gives no later code away.
func TestOneCodeTellsNothingWhereTwoAreAskedFor(t *testing.T) {
	house.EachOnPrimary(t, func(t *testing.T, h *house.House) {
		alice := h.Person("alice")
		token := h.Token(alice, tokens.HOTP, "1002")
		alice.SignsIn()
		alice.ProvesAfresh()
		adds(alice, token).Is(303)
		for range 30 {
			token.Press()
		}
		far := token.Press()
		a := string(tokenOf(t, alice))
		one := alice.Post("/account/authenticators/resync", "id", a, "first", "", "second", far).Is(401)
		wrong := alice.Post("/account/authenticators/resync", "id", a, "first", "", "second", "000000").Is(401)
		if strings.Contains(one.Body, "Press its button twice more") != strings.Contains(wrong.Body, "Press its button twice more") {
			t.Error("a single code that is right, later, is told from a wrong one")
		}
	})
}

// --- many at once ---

// tally counts answers by what they say.
func tally(replies []house.Reply, say func(house.Reply) string) map[string]int {
	got := map[string]int{}
	for _, r := range replies {
		got[say(r)]++
	}
	return got
}

func said(r house.Reply) string {
	if why := r.Refused(); why != "" {
		return why
	}
	return r.Next()
}

func status(r house.Reply) string { return fmt.Sprint(r.Status) }

// waitingAt are n browsers of somebody, each of which has shown the password.
func waitingAt(p *house.Person, n int, step string) []*house.Person {
	p.House.T.Helper()
	var all []*house.Person
	for i := range n {
		b := p.Elsewhere(fmt.Sprintf("203.0.113.%d", 100+i))
		b.ShowsPassword().Asks(step)
		all = append(all, b)
	}
	return all
}

func TestOneCodeOfATokenOpensOneOfManyDoorsAtOnce(t *testing.T) {
	house.EachOnPrimaryWith(t, manyTries, func(t *testing.T, h *house.House) {
		alice := h.Person("alice")
		token := h.Token(alice, tokens.HOTP, "1002")
		alice.SignsIn()
		alice.ProvesAfresh()
		adds(alice, token).Is(303)
		all := waitingAt(alice, 20, "totp")
		code := token.Press()
		got := tally(atOnce(len(all), func(i int) house.Reply { return all[i].ShowsCode(code) }), said)
		if got["done"] != 1 {
			t.Errorf("one code opened %d doors: %v", got["done"], got)
		}
	})
}

// manyTries lets one person try as often as the story wants.
func manyTries(o *house.Options) {
	o.Limits.CodeName.Max, o.Limits.PerName.Max, o.Limits.CodeDevice.Max = 1000, 1000, 1000
}

func TestGuessesAtOnceSpendOneBudgetWhateverTheyGuess(t *testing.T) {
	house.EachOnPrimaryWith(t, texting, func(t *testing.T, h *house.House) {
		alice, number := withPhone(h)
		alice.SignsIn()
		h.Clock.Forward(time.Minute)
		key := house.NewKey(false)
		alice.AddsPasskey("passkey", key).Is(303)
		thief := alice.Elsewhere("203.0.113.66")
		thief.ShowsPassword().Is(200)
		asksText(thief, number, proof.SMS).Asks("phone")
		asked := thief.AskedFor()
		bad := alice.Answers(key, asked, badly)
		got := tally(atOnce(40, func(i int) house.Reply {
			b := &house.Person{Browser: thief.Twin()}
			switch i % 4 {
			case 0:
				return b.ShowsCode("000000")
			case 1:
				return typesText(b, "000000")
			case 2:
				return b.API("/signin/recovery-code", map[string]any{"code": "aaaaa-aaaaa"})
			}
			return b.ShowsAnswer(house.Asked{}, bad)
		}), said)
		if looked := got["wrong-code"] + got["wrong-passkey"]; looked != 5 || got["too-many-tries"] != 35 {
			t.Errorf("%v", got)
		}
		thief.Attempt = ""
		open := thief.AskedFor()
		thief.ShowsAnswer(open, alice.Answers(key, open, badly)).Says("too-many-tries")
	})
}

func TestOneCodeByTextMessageOpensOneDoorAndOnlyItsOwn(t *testing.T) {
	house.EachOnPrimaryWith(t, texting, func(t *testing.T, h *house.House) {
		alice, number := withPhone(h)
		alice.ShowsPassword().Is(200)
		asksText(alice, number, proof.SMS).Asks("phone")
		code := h.Texted(mobile, 0)
		thief := alice.Elsewhere("203.0.113.66")
		thief.ShowsPassword().Is(200)
		asksText(thief, number, proof.SMS).Asks("phone")
		h.Texted(mobile, 1)
		typesText(thief, code).Says("wrong-code") // the code of another attempt
		got := tally(atOnce(10, func(int) house.Reply { return typesText(&house.Person{Browser: alice.Twin()}, code) }),
			func(r house.Reply) string { return said(r) + r.Field("session.id") })
		sessions := 0
		for k := range got {
			if strings.HasPrefix(k, "done") {
				sessions++
			}
		}
		if sessions != 1 {
			t.Errorf("one code opened %d sessions: %v", sessions, got)
		}
		typesText(thief, code).Says("wrong-code")
	})
}

func TestARememberedBrowserManyTimesAtOnceIsOneSession(t *testing.T) {
	house.EachOnPrimary(t, func(t *testing.T, h *house.House) {
		remembering(h, month)
		alice := h.Person("alice")
		signsInByPage(alice, "remember", "yes")
		h.Clock.Forward(16 * time.Minute)
		before := h.Count("sessions", "1 = 1")
		alice.SetCookie("session", "")
		alice.SetCookie("attempt", "")
		got := tally(atOnce(8, func(int) house.Reply {
			return alice.Twin().Post("/signin", "email", alice.Email, "password", alice.Password)
		}), status)
		if n := h.Count("sessions", "1 = 1") - before; n != 1 {
			t.Errorf("%d sessions: %v", n, got)
		}
	})
}

func TestOfManyDevicesAtOnceOneHasThePicture(t *testing.T) {
	house.EachOnPrimary(t, func(t *testing.T, h *house.House) {
		alice := h.Person("alice")
		alice.SignsIn()
		alice.ProvesAfresh()
		token, note := house.Picture(alice.Get("/account/authenticators/verify").Is(200))
		var devices []*house.Device
		for i := range 12 {
			devices = append(devices, h.NewDevice(fmt.Sprintf("203.0.113.%d", 10+i)))
		}
		got := tally(atOnce(len(devices), func(i int) house.Reply { return devices[i].Scans(token) }), status)
		if got["200"] != 1 {
			t.Fatalf("%d devices have joined: %v", got["200"], got)
		}
		secret := ""
		for _, d := range devices {
			secret += d.Secret
		}
		code := h.Secret("a one-time code", house.CodeAt(secret, h.Clock.Now()))
		done := tally(atOnce(6, func(int) house.Reply {
			return alice.Twin().Post("/account/authenticators/verify", "attempt", note, "code", code, "name", "Phone")
		}), status)
		if n := h.Count("credentials", "kind = 'push'"); n != 1 {
			t.Errorf("%d devices after %v", n, done)
		}
	})
}

// --- one thing taken for another ---

func TestWhatWasSignedForOneThingIsNothingElse(t *testing.T) {
	house.EachOnPrimary(t, func(t *testing.T, h *house.House) {
		ana, key := withPasskey(h, "Ana")
		h.Clock.Forward(time.Minute)
		page := ana.Get("/account/authenticators/passkey").Is(200).Asked()
		made, err := house.NewKey(false).Create(page.Options, house.Origin)
		must(t, err)
		thief := ana.Elsewhere("203.0.113.66")
		open := thief.AskedFor()
		thief.ShowsAnswer(open, string(made)).Says("wrong-passkey") // a registration as an assertion
		asked := ana.Elsewhere("203.0.113.67").AskedFor()
		signed := ana.Answers(key, asked)
		if r := ana.Post("/account/authenticators/passkey", "attempt", page.Attempt, "answer", signed); r.Status == 303 {
			t.Error("an assertion was taken for a registration")
		}
		// The note of one kind as that of another, and of another session.
		for _, path := range []string{"/account/authenticators/key", "/account/authenticators/add", "/account/authenticators/verify", "/account/recovery-codes/new"} {
			if r := ana.Post(path, "attempt", page.Attempt, "answer", string(made), "code", "000000", "name", "x", "confirmed", "yes"); strings.Contains(r.Header.Get("Location"), "done=") {
				t.Errorf("%s took the note of another page", path)
			}
		}
		ben := h.Person("Ben")
		ben.SignsIn()
		if r := ben.Post("/account/authenticators/passkey", "attempt", page.Attempt, "answer", string(made)); strings.Contains(r.Header.Get("Location"), "done=") {
			t.Error("another's session took the note")
		}
		// Every sealed thing in every other's place.
		remembering(h, month)
		signsInByPage(ana, "remember", "yes")
		trust, session := ana.Cookie("trust"), ana.Cookie("session")
		ana.ShowsPassword()
		for name, sealed := range map[string]string{"trust": trust, "session": session, "attempt": ana.Attempt, "challenge": open.Challenge, "note": page.Attempt} {
			b := ana.Elsewhere("203.0.113.68")
			b.Attempt = ""
			for _, cookie := range []string{"trust", "session", "attempt"} {
				b.SetCookie(cookie, sealed)
			}
			if name != "session" && b.Inside() != 401 {
				t.Errorf("%s opened a session", name)
			}
			b.SetCookie("session", "")
			if to := b.Post("/signin", "email", ana.Email, "password", ana.Password).Header.Get("Location"); strings.HasPrefix(to, in) {
				t.Errorf("%s stood for a remembered browser: %s", name, to)
			}
			b.API("/verify/pair", map[string]any{"token": sealed, "key": "x", "signature": "x", "name": "x", "attempt": ""}).Says("pairing-spent")
			b.API("/signin/passkey", map[string]any{"challenge": trust, "answer": signed, "attempt": ""}).Says("attempt-expired")
		}
	})
}

func TestAnApprovalIsOfItsOwnQuestionAlone(t *testing.T) {
	house.EachOnPrimary(t, func(t *testing.T, h *house.House) {
		alice, phone := withVerify(h, "alice")
		ben, bens := withVerify(h, "benjamin")
		// A sign-in's question is no action's.
		digits := rings(alice)
		q := phone.TheQuestion()
		if _, err := h.Flow.ActionState(t.Context(), q.ID); fault.Of(err) != fault.NotFound {
			t.Errorf("an application was told how a sign-in stands: %v", err)
		}
		// Another's device, also with its own ticket and signature.
		bens.Opens().Is(200)
		if r := bens.Says(q, "approve", digits); r.Status == 200 {
			t.Error("another's device has approved")
		}
		forged := phone.Given(q, "approve", digits)
		forged["device_id"] = bens.ID
		if r := bens.Sends(forged); r.Status == 200 {
			t.Error("a signature counted for another device")
		}
		phone.Says(q, "approve", digits).Is(200)
		thief := alice.Elsewhere("203.0.113.66")
		thief.ShowsPassword().Is(200)
		thief.API("/signin/push", nil).Says("not-in-time") // approved for another attempt
		b := ben.Elsewhere("203.0.113.67")
		b.Attempt = alice.Attempt
		b.API("/signin/push", nil).Says("attempt-expired")
		alice.API("/signin/push", nil).Asks("done")
		// And the answer of the last question is none of the next, an action.
		h.Clock.Forward(2 * time.Minute)
		asked, why, err := h.Flow.AskAction(t.Context(), flow.SensitiveAction{Account: alice.Account, Application: "Harbour Bank", Reference: "1", Message: "Pay"})
		if err != nil || why != nil {
			t.Fatal(why, err)
		}
		stale := phone.Given(q, "approve", digits)
		stale["question"] = string(asked.ID)
		if r := phone.Sends(stale); r.Status == 200 {
			t.Error("the signature of one question answered another")
		}
		next := phone.TheQuestion()
		phone.Says(next, "approve", "").Is(200)
		alice.ShowsPassword().Is(200)
		alice.API("/signin/push", nil).Says("not-in-time") // an action approved opens no door
	})
}

// --- a session alone ---

// A thief of the session cookie alone, minutes after the last full proof, changes
// nothing of what opens the account.
func TestAStolenSessionChangesNothingThatOpensTheAccount(t *testing.T) {
	house.EachOnPrimaryWith(t, texting, func(t *testing.T, h *house.House) {
		remembering(h, month)
		h.AcceptTexts()
		alice := admin(h, h.Person("alice"))
		token := h.Token(alice, tokens.HOTP, "1002")
		alice.SignsIn()
		number := alice.HasPhone(mobile)
		h.Clock.Forward(time.Minute)
		key := house.NewKey(false)
		page := alice.Get("/account/authenticators/passkey").Is(200).Asked()
		made, err := key.Create(page.Options, house.Origin)
		must(t, err)
		pair, note := house.Picture(alice.Get("/account/authenticators/verify").Is(200))
		app := alice.Get("/account/authenticators/add").Is(200).Hidden("attempt")
		device := h.NewDevice("203.0.113.9")
		device.Scans(pair).Is(200)
		h.Clock.Forward(10 * time.Minute)
		s := harbour(h)
		before := held(h, alice)
		for _, try := range [][]string{
			{"/account/authenticators/passkey", "attempt", page.Attempt, "answer", string(made)},
			{"/account/authenticators/key", "attempt", page.Attempt, "answer", string(made)},
			{"/account/authenticators/verify", "attempt", note, "code", house.CodeAt(device.Secret, h.Clock.Now())},
			{"/account/authenticators/add", "attempt", app, "code", "000000"},
			{"/account/authenticators/token", "serial", token.Serial, "code", token.Press()},
			{"/account/authenticators", "do", "remove", "id", string(number.ID)},
			{"/account/moving", "do", "begin", "why", "lost", "id", string(number.ID)},
			{"/account/moving", "do", "arrive", "code", "000000"},
			{"/account/moving", "do", "finish", "code", "000000"},
			{"/account/authenticators/phone/add", "number", other, "by", "sms"},
			{"/account/recovery-codes", "do", "make"},
			{"/account/recovery-codes/new", "attempt", app, "confirmed", "yes"},
			append([]string{"/console/policy/authenticators/apply", "confirmed", "yes", "do", "set"}, rulesForm(s, "0")...),
			{"/console/policy/authenticators/revert", "scope", s.Key(), "version", "1"},
		} {
			r := alice.Post(try[0], try[1:]...)
			if strings.Contains(r.Header.Get("Location"), "done=") || r.Status == 200 {
				t.Errorf("%s: %d %s", try[0], r.Status, r.Header.Get("Location"))
			}
		}
		for _, path := range []string{"/account/authenticators/passkey", "/account/authenticators/key", "/account/authenticators/verify", "/account/authenticators/add", "/account/moving?why=lost", "/console/policy/authenticators/change?scope=" + s.Key()} {
			if r := alice.Get(path); r.Status != 303 || !strings.Contains(r.Header.Get("Location"), "/fresh") {
				t.Errorf("GET %s: %d %s", path, r.Status, r.Header.Get("Location"))
			}
		}
		if after := held(h, alice); after != before {
			t.Errorf("before %s\nafter %s", before, after)
		}
	})
}

// held is what opens somebody's account.
func held(h *house.House, p *house.Person) (all string) {
	h.T.Helper()
	h.Do(func(tx *store.Tx) error {
		kept, err := authenticators.LoadUsual(tx, h.Keys, p.Account)
		for _, n := range kept.Named() {
			all += string(n.Kind) + " " + string(n.ID) + " " + n.Name + "\n"
		}
		return err
	})
	return all + fmt.Sprint(h.Count("policies", "1 = 1"), h.Count("moves", "1 = 1"), h.Count("outbox", "channel = 'text'"))
}

// --- less than the policy asks for ---

func TestWherePolicyAsksForAPasskeyNothingLessOpensOrEnrols(t *testing.T) {
	house.EachOnPrimary(t, func(t *testing.T, h *house.House) {
		remembering(h, month)
		ana := h.Invited("ana")
		ana.Arrives()
		h.Clock.Forward(time.Minute)
		signsInByPage(ana, "remember", "yes")
		phone := h.NewDevice("203.0.113.9")
		ana.Connects(phone)
		ana.ProvesAfresh()
		key := house.NewKey(false)
		ana.AddsPasskey("passkey", key).Is(303)
		operates(h, manage.PolicyWish{Scope: harbour(h), Do: manage.PolicySet, Terms: presetOf(access.Modern, true)})
		h.Clock.Forward(20 * time.Minute)
		if to := passwordAlone(ana); to != "/signin/passkey" {
			t.Errorf("the remembered browser led to %s", to)
		}
		thief := ana.Elsewhere("203.0.113.66") // password, mailbox, app and Verify
		thief.ShowsPassword().Asks("passkey")
		thief.ShowsCode(thief.NextCode()).Says("attempt-expired")
		thief.API("/signin/ask-push", nil).Says("attempt-expired")
		thief.API("/signin/push", nil).Says("not-in-time")
		thief.API("/signin/resend-link", nil)
		thief.Attempt = ""
		thief.API("/forgot", map[string]any{"email": ana.Email}).Asks("link-sent")
		thief.OpensLink(outbox.Reset).Asks("passkey")
		thief.ShowsCode(thief.NextCode()).Says("attempt-expired")
		thief.API("/signin/new-password", map[string]any{"password": house.SecondPassword}).Says("attempt-expired")
		thief.API("/signin/enrol-totp", map[string]any{"code": "000000"}).Says("attempt-expired")
		thief.API("/signin/enrol-passkey", map[string]any{"answer": "{}"}).Says("attempt-expired")
		if n := len(h.Mailbox.All(ana.Email, outbox.EnrolLink)); n != 0 {
			t.Errorf("%d links to set something up were mailed", n)
		}
		// A session from before proves itself afresh by what it holds, and by no less.
		old := ana.Elsewhere("203.0.113.67")
		old.SignsInByPasskey(key)
		h.Clock.Forward(20 * time.Minute)
		old.Get("/fresh").Is(200)
		if to := old.Post("/fresh", "password", old.Password).Is(303).Header.Get("Location"); to != "/fresh/passkey" {
			t.Errorf("a fresh proof goes on at %s", to)
		}
		old.Post("/fresh/code", "code", old.NextCode())
		if r := old.Get("/account/authenticators/add"); r.Status == 200 {
			t.Error("a code was a fresh proof where only a passkey counts")
		}
	})
}

// --- other sites ---

func TestNoOtherSitePostsAnythingHere(t *testing.T) {
	house.EachOnPrimary(t, func(t *testing.T, h *house.House) {
		alice := h.Person("alice")
		alice.SignsIn()
		for _, path := range strings.Fields(`/account/authenticators/key /account/authenticators/passkey /account/authenticators/verify
			/account/authenticators/verify/state /account/authenticators/token /account/authenticators/resync /account/moving /account/remembered
			/account/second /signin/passkey /signin/push /signin/phone /signin/enrol/passkey /fresh/passkey /fresh/push /fresh/phone
			/console/policy/authenticators/apply /console/policy/authenticators/change /console/policy/authenticators/list /console/policy/authenticators/revert`) {
			for _, from := range [][]string{{"Origin", "https://evil.example"}, {"Sec-Fetch-Site", "cross-site"}, {"Sec-Fetch-Site", "same-site"}, {"Origin", "null"}} {
				if r := alice.PostFrom(path, from...); r.Status != 403 {
					t.Errorf("%s from %v: %d", path, from, r.Status)
				}
			}
		}
		for _, path := range strings.Fields("pair hello open answer subscription") {
			r := alice.APIWith("/verify/"+path, nil, "Origin", "https://evil.example")
			if r.Status != 403 || r.Header.Get("Access-Control-Allow-Origin") != "" {
				t.Errorf("%s: %d", path, r.Status)
			}
		}
		if r := alice.Get("/verify/"); r.Header.Get("Access-Control-Allow-Origin") != "" {
			t.Error("the app is readable from elsewhere")
		}
	})
}

// --- who is there ---

// Nothing on the way to a passkey, a phone or a text message tells a known name
// from one that nobody has.
func TestTheNewWaysTellNobodyWhoIsThere(t *testing.T) {
	house.EachOnPrimaryWith(t, texting, func(t *testing.T, h *house.House) {
		alice, _ := withPhone(h)
		alice.SignsIn()
		h.Clock.Forward(time.Minute)
		alice.AddsPasskey("passkey", house.NewKey(false)).Is(303)
		h.Clock.Forward(20 * time.Minute)
		tell := func(email string) (all []string) {
			b := h.Browser("203.0.113.66")
			r := b.API("/signin", map[string]any{"email": email, "password": "wrong horse wrong battery"})
			all = append(all, fmt.Sprint(r.Status, r.Refused(), r.Next()))
			for _, path := range []string{"/signin/passkey-options", "/signin/ask-phone", "/signin/phone", "/signin/ask-push", "/signin/push", "/signin/push/state"} {
				r := b.API(path, map[string]any{"email": email, "attempt": b.Attempt, "way": "x", "by": "sms", "code": "000000"})
				all = append(all, path+fmt.Sprint(r.Status, r.Refused(), len(r.Body)))
			}
			for _, path := range []string{"/signin/passkey", "/signin/push", "/signin/phone", "/signin/push/events", "/signin/phone/state", "/verify/"} {
				r := b.Get(path)
				all = append(all, path+fmt.Sprint(r.Status, r.Header.Get("Location")))
			}
			return all
		}
		known, unknown := tell(alice.Email), tell("nobody@harbour-books.example")
		for i := range known {
			if known[i] != unknown[i] {
				t.Errorf("known %q, unknown %q", known[i], unknown[i])
			}
		}
		if strings.Contains(fmt.Sprint(known), "allowCredentials") {
			t.Error("a key is named before anybody has said who they are")
		}
	})
}
