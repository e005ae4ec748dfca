package flow

import (
	"context"
	"errors"
	"testing"
	"time"

	"gatehouse/fault"
	"gatehouse/seal"
	"gatehouse/sessions"
	"gatehouse/store/storetest"
)

// crowded is a flow whose gate is full of new sign-ins; empty lets them out.
func crowded(t *testing.T) (b building, empty func()) {
	t.Helper()
	b = build(t, storetest.Open(t, storetest.SQLite(t), nil))
	b.Gate = NewGate(40, 1, b.clock.Now)
	leave := fillTo(t, b.Gate, newSignIn, 20)
	return b, func() {
		for _, out := range leave {
			out()
		}
	}
}

func waitFor(t *testing.T, err error) *Wait {
	t.Helper()
	var w *Wait
	if fault.Of(err) != fault.Busy || !errors.As(err, &w) {
		t.Fatalf("not told to wait: %v", err)
	}
	return w
}

func TestWhoIsTurnedAwayKeepsTheirPlaceAndGetsAPass(t *testing.T) {
	b, empty := crowded(t)
	b.person(t, "alice@quay.example", pw)
	who := b.who()
	in := Input{Do: ShowPassword, Email: "alice@quay.example", Secret: pw, Who: who, Brought: true}
	_, err := b.Submit(t.Context(), in)
	w := waitFor(t, err)
	if w.Place == "" || w.After < soonest*3/4 || w.After > soonest*5/4 {
		t.Errorf("told %+v", w)
	}
	if _, err := b.Knock(who, w.Place, true); fault.Of(err) != fault.Busy {
		t.Errorf("the form is shown while there is no room: %v", err)
	}
	if _, err := b.Knock(b.who(), "", false); fault.Of(err) != fault.Busy {
		t.Errorf("the form is shown to a newcomer while others wait: %v", err)
	}
	empty()
	b.clock.Forward(2 * time.Second)
	pass, err := b.Knock(who, w.Place, true)
	if err != nil || pass == "" {
		t.Fatalf("not asked in: %v", err)
	}
	if again, err := b.Knock(who, pass, true); err != nil || again != pass {
		t.Errorf("a page that is loaded anew asks for another pass: %v", err)
	}
	fillTo(t, b.Gate, newSignIn, 20)
	in.Place = pass
	if out := b.submit(t, in); out.Next != Code {
		t.Errorf("somebody with a pass: %+v", out)
	}
	in.Who = b.who()
	if _, err := b.Submit(t.Context(), in); fault.Of(err) != fault.Busy {
		t.Errorf("another device with their pass: %v", err)
	}
	in.Who = who
	b.clock.Forward(passLife)
	if _, err := b.Submit(t.Context(), in); fault.Of(err) != fault.Busy {
		t.Errorf("after the pass has run out: %v", err)
	}
}

func TestAPlaceThatIsNotOursIsNothing(t *testing.T) {
	b, _ := crowded(t)
	who, other := b.who(), b.who()
	long := b.clock.Now().Add(-time.Minute)
	good, err := b.sealPlace(place{Since: long}, who)
	if err != nil {
		t.Fatal(err)
	}
	device, err := b.Keys.SealToken(seal.Device, string(who.Device), b.clock.Now().Add(time.Hour), []byte(`{"s":"2020-01-01T00:00:00Z"}`))
	if err != nil {
		t.Fatal(err)
	}
	if p := b.openPlace(good, who); !p.Since.Equal(long) {
		t.Errorf("a good place: %+v", p)
	}
	for name, held := range map[string]struct {
		token string
		who   Who
	}{"none": {"", who}, "another's": {good, other}, "forged": {good[:len(good)-2] + "AA", who}, "a token for something else": {device, who}, "no token": {"place", who}} {
		if p := b.openPlace(held.token, held.who); !p.Since.IsZero() || !p.Pass.IsZero() {
			t.Errorf("%s opens as %+v", name, p)
		}
	}
	b.clock.Forward(placeLife)
	if p := b.openPlace(good, who); !p.Since.IsZero() {
		t.Errorf("an old place opens as %+v", p)
	}
}

func TestOnlyWhatWeSealedMakesAStepUrgent(t *testing.T) {
	b := build(t, storetest.Open(t, storetest.SQLite(t), nil))
	who := b.who()
	a := b.begin(SignIn, Input{Who: who})
	bare, err := b.seal(a, who)
	if err != nil {
		t.Fatal(err)
	}
	a.Account = "somebody"
	shown, err := b.seal(a, who)
	if err != nil {
		t.Fatal(err)
	}
	a.At = Code
	beyond, err := b.seal(a, who)
	if err != nil {
		t.Fatal(err)
	}
	a.At, a.Email = Password, "alice@quay.example"
	linked, err := b.seal(a, who)
	if err != nil {
		t.Fatal(err)
	}
	now := b.clock.Now()
	good := place{Since: now, Pass: now.Add(time.Minute)}
	for _, row := range []struct {
		name string
		in   Input
		p    place
		want class
	}{
		{"a password", Input{Do: ShowPassword}, place{}, newSignIn},
		{"a password of one who waits", Input{Do: ShowPassword}, place{Since: now}, newSignIn},
		{"a password of one who was asked in", Input{Do: ShowPassword}, good, passed},
		{"a pass that has run out", Input{Do: ShowPassword}, place{Since: now, Pass: now}, newSignIn},
		{"an attempt in which nothing was shown", Input{Do: ShowPassword, Attempt: bare}, place{}, newSignIn},
		{"a password of the one a link was mailed to", Input{Do: ShowPassword, Attempt: linked, Email: "Alice@quay.example"}, place{}, inProgress},
		{"a password of somebody else, with that attempt", Input{Do: ShowPassword, Attempt: linked, Email: "bob@quay.example"}, place{}, newSignIn},
		{"a password of anybody, with an attempt that is past it", Input{Do: ShowPassword, Attempt: beyond, Email: "bob@quay.example"}, place{}, newSignIn},
		{"a code with an attempt of ours", Input{Do: ShowCode, Attempt: shown}, place{}, inProgress},
		{"a code with an attempt of another's", Input{Do: ShowCode, Attempt: shown, Who: b.who()}, place{}, newSignIn},
		{"a code without an attempt", Input{Do: ShowCode, Attempt: "attempt"}, place{}, newSignIn},
		{"a fresh proof of somebody signed in", Input{Do: ProveAfresh, Session: &sessions.Ticket{}}, place{}, inProgress},
		{"a password of somebody signed in", Input{Do: ShowPassword, Session: &sessions.Ticket{}}, place{}, newSignIn},
		{"a mail that is asked for", Input{Do: ForgotPassword, Attempt: shown}, good, rest},
		{"a link", Input{Do: OpenLink}, good, rest},
	} {
		t.Run(row.name, func(t *testing.T) {
			if row.in.Who.Device == "" {
				row.in.Who = who
			}
			if got := b.classOf(row.in, row.p, now); got != row.want {
				t.Errorf("class %d, want %d", got, row.want)
			}
		})
	}
}

func TestACodeGetsInWhileNewSignInsWait(t *testing.T) {
	b := build(t, storetest.Open(t, storetest.SQLite(t), nil))
	_, app := b.person(t, "alice@quay.example", pw)
	who := b.who()
	out := b.submit(t, Input{Do: ShowPassword, Email: "alice@quay.example", Secret: pw, Who: who})
	b.Gate = NewGate(40, 1, b.clock.Now)
	fillTo(t, b.Gate, passed, 35)
	if _, err := b.Submit(t.Context(), Input{Do: ForgotPassword, Email: "alice@quay.example", Who: who}); fault.Of(err) != fault.Busy {
		t.Errorf("a mail meanwhile: %v", err)
	}
	if !b.Busy() {
		t.Error("work that can wait is not told so")
	}
	out = b.submit(t, Input{Do: ShowCode, Attempt: out.Attempt, Secret: code(t, b, app), Who: who})
	if out.Next != Done {
		t.Errorf("a code: %+v", out.Refusal)
	}
}

func TestWhoHasHungUpIsNotServed(t *testing.T) {
	b := build(t, storetest.Open(t, storetest.SQLite(t), nil))
	_, app := b.person(t, "alice@quay.example", pw)
	who := b.who()
	gone, hangUp := context.WithCancel(t.Context())
	hangUp()
	for range 20 {
		if _, err := b.Submit(gone, Input{Do: ShowPassword, Email: "alice@quay.example", Secret: "not this one", Who: who}); fault.Of(err) != fault.Busy {
			t.Fatalf("served: %v", err)
		}
	}
	out := b.submit(t, Input{Do: ShowPassword, Email: "alice@quay.example", Secret: pw, Who: who})
	if out = b.submit(t, Input{Do: ShowCode, Attempt: out.Attempt, Secret: code(t, b, app), Who: who}); out.Next != Done {
		t.Errorf("tries were spent for one who had hung up: %+v", out.Refusal)
	}
}

func TestThoseTurnedAwayTogetherDoNotComeBackTogether(t *testing.T) {
	b, _ := crowded(t)
	b.Gate.wait(standing{}, false) // somebody was turned away
	seen := map[time.Duration]bool{}
	for range 100 {
		_, err := b.Knock(b.who(), "", true)
		seen[waitFor(t, err).After.Truncate(10*time.Millisecond)] = true
	}
	if len(seen) < 20 {
		t.Errorf("only %d times to come back", len(seen))
	}
}

func FuzzPlace(f *testing.F) {
	dir := f.TempDir() + "/keys"
	if err := seal.InitKeys(dir); err != nil {
		f.Fatal(err)
	}
	keys, err := seal.LoadKeys(dir)
	if err != nil {
		f.Fatal(err)
	}
	b := building{&Flow{Keys: keys}, storetest.NewClock()}
	b.Now = b.clock.Now
	who := Who{Device: "device"}
	good, err := b.sealPlace(place{Since: b.clock.Now(), Pass: b.clock.Now().Add(passLife)}, who)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add("")
	f.Add(good + "=")
	f.Fuzz(func(t *testing.T, held string) {
		if p := b.openPlace(held, who); p != (place{}) && held != good {
			t.Errorf("%q opens as %+v", held, p)
		}
	})
}
