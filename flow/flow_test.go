package flow

import (
	"crypto/rand"
	"log/slog"
	"testing"
	"time"

	"golang.org/x/time/rate"

	"gatehouse/access"
	"gatehouse/accounts"
	"gatehouse/authenticators"
	"gatehouse/events"
	"gatehouse/fault"
	"gatehouse/id"
	"gatehouse/seal"
	"gatehouse/sessions"
	"gatehouse/store"
	"gatehouse/store/storetest"
)

// building is a flow on a store, with a clock that the test sets.
type building struct {
	*Flow
	clock *storetest.Clock
}

func newTestKeys(t *testing.T) *seal.Keys {
	t.Helper()
	dir := t.TempDir() + "/keys"
	if err := seal.InitKeys(dir); err != nil {
		t.Fatal(err)
	}
	keys, err := seal.LoadKeys(dir)
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

func build(t *testing.T, s *store.Store) building {
	t.Helper()
	return buildWith(t, s, newTestKeys(t))
}

func buildWith(t *testing.T, s *store.Store, keys *seal.Keys) building {
	t.Helper()
	clock := storetest.NewClock()
	hasher, err := authenticators.NewHasher(authenticators.HasherOptions{Keys: keys, Parameters: authenticators.Parameters{MemoryKiB: 8, Time: 1, Threads: 1},
		Rand: rand.Reader, Now: clock.Now, Cores: 2})
	if err != nil {
		t.Fatal(err)
	}
	policy, err := authenticators.PolicyOf(authenticators.Modern, 0)
	if err != nil {
		t.Fatal(err)
	}
	f := &Flow{Store: s, Keys: keys, Log: events.New(keys, rand.Reader), Auth: authenticators.New(hasher, keys),
		Choose: authenticators.Chooser{Policy: policy, Hasher: hasher}, Sessions: &sessions.Checker{Keys: keys, Policy: sessions.DefaultPolicy()},
		Limits: DefaultLimits(), Gate: NewGate(32, 2, clock.Now), Global: rate.NewLimiter(rate.Inf, 1), Origin: "https://sign-in.example", Product: "Harbour Books",
		Now: clock.Now, Rand: rand.Reader, Slog: slog.New(slog.DiscardHandler), Nudge: func() {}}
	err = s.Do(t.Context(), func(tx *store.Tx) error {
		if err := f.Log.Prepare(tx); err != nil {
			return err
		}
		return authenticators.Prepare(tx, keys, rand.Reader)
	})
	if err != nil {
		t.Fatal(err)
	}
	return building{f, clock}
}

// each builds a flow on every database; the store's clock is the flow's.
func each(t *testing.T, fn func(t *testing.T, b building)) {
	t.Helper()
	var clock *storetest.Clock
	now := func() time.Time { return clock.Now() }
	storetest.EachWith(t, func(o *store.Options) { clock = storetest.NewClock(); o.Now = now }, func(t *testing.T, s *store.Store) {
		b := build(t, s)
		clock = b.clock
		fn(t, b)
	})
}

func (b building) who() Who {
	return Who{Device: id.New[id.Device](b.clock.Now(), rand.Reader), Agent: "a test"}
}

// person makes an account with a password and an app.
func (b building) person(t *testing.T, email string, pw seal.Secret) (id.Account, authenticators.TOTP) {
	t.Helper()
	now := b.clock.Now()
	account := accounts.Account{ID: id.New[id.Account](now, rand.Reader), Email: email, EmailKey: email, Status: accounts.Active, Epoch: 1}
	secret, err := authenticators.NewTOTPSecret(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	hash, err := b.Auth.Hasher.Hash(t.Context(), account.ID, pw)
	if err != nil {
		t.Fatal(err)
	}
	app := authenticators.NewTOTP("Phone", secret, now)
	app.ID, app.Account = id.New[id.Authenticator](now, rand.Reader), account.ID
	err = b.Store.Do(t.Context(), func(tx *store.Tx) error {
		if err := accounts.Insert(tx, account); err != nil {
			return err
		}
		if err := b.Log.Introduce(tx, account.ID); err != nil {
			return err
		}
		p := authenticators.Password{ID: id.New[id.Authenticator](now, rand.Reader), Hash: hash, MadeAt: now}
		if err := authenticators.SetPassword(tx, account.ID, p, 0); err != nil {
			return err
		}
		return authenticators.AddTOTP(tx, b.Keys, app)
	})
	if err != nil {
		t.Fatal(err)
	}
	return account.ID, app
}

func code(t *testing.T, b building, app authenticators.TOTP) seal.Secret {
	t.Helper()
	c, err := app.CodeAt(b.clock.Now())
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func (b building) submit(t *testing.T, in Input) Outcome {
	t.Helper()
	out, err := b.Submit(t.Context(), in)
	if err != nil {
		t.Fatalf("%s: %v", in.Do, err)
	}
	return out
}

const pw seal.Secret = "seven lanterns on the quay"

func TestASignInFromClickToSession(t *testing.T) {
	each(t, func(t *testing.T, b building) {
		account, app := b.person(t, "alice@quay.example", pw)
		who := b.who()
		out := b.submit(t, Input{Do: ShowPassword, Email: " Alice@Quay.example", Secret: pw, Return: "/account/history", Who: who})
		if out.Next != Code || out.Refusal != nil || out.Ticket != "" || len(out.View.Other) != 1 {
			t.Fatalf("after the password: %+v", out)
		}
		out = b.submit(t, Input{Do: ShowCode, Attempt: out.Attempt, Secret: code(t, b, app), Who: who})
		if out.Next != Done || out.Session.Account != account || out.View.Return != "/account/history" {
			t.Fatalf("after the code: %+v", out)
		}
		b.Sessions.Apply(nil)
		if _, _, err := b.Sessions.Check(out.Ticket, b.clock.Now()); err != nil {
			t.Errorf("the ticket: %v", err)
		}
	})
}

func TestAPlaceIsTakenBeforeATryIsSpent(t *testing.T) {
	each(t, func(t *testing.T, b building) {
		_, app := b.person(t, "alice@quay.example", pw)
		b.Gate = NewGate(1, 1, b.clock.Now)
		leave, _ := b.Gate.enter(inProgress, standing{}) // somebody is inside
		who := b.who()
		for range 20 {
			_, err := b.Submit(t.Context(), Input{Do: ShowPassword, Email: "alice@quay.example", Secret: "not this one", Who: who})
			if fault.Of(err) != fault.Busy {
				t.Fatalf("with no place left: %v", err)
			}
		}
		leave()
		b.Global = rate.NewLimiter(rate.Every(time.Hour), 2)
		out := b.submit(t, Input{Do: ShowPassword, Email: "alice@quay.example", Secret: pw, Who: who})
		out = b.submit(t, Input{Do: ShowCode, Attempt: out.Attempt, Secret: code(t, b, app), Who: who})
		if out.Next != Done {
			t.Errorf("tries were spent while there was no place: %+v", out.Refusal)
		}
		if _, err := b.Submit(t.Context(), Input{Do: ShowPassword, Email: "alice@quay.example", Secret: pw, Who: who}); fault.Of(err) != fault.Busy {
			t.Errorf("over the global rate: %v", err)
		}
		b.clock.Forward(time.Hour)
		b.submit(t, Input{Do: ShowPassword, Email: "alice@quay.example", Secret: pw, Who: who})
		if b.Gate.State().Inside != 0 {
			t.Error("a place was not left")
		}
	})
}

func TestAnAttemptBelongsToItsBrowserForHalfAnHour(t *testing.T) {
	b := build(t, storetest.Open(t, storetest.SQLite(t), nil))
	who := b.who()
	a := b.begin(SignIn, Input{Who: who})
	a.At, a.Email = Code, "alice@quay.example"
	out, err := b.outcome(a, who, nil)
	if err != nil {
		t.Fatal(err)
	}
	back, err := b.Resume(out.Attempt, who)
	if err != nil || back.Next != Code || back.View.Email != "alice@quay.example" || back.View.ID != a.ID {
		t.Errorf("resumed as %+v, %v", back, err)
	}
	for what, try := range map[string]func() (Outcome, error){
		"another browser": func() (Outcome, error) { return b.Resume(out.Attempt, b.who()) },
		"nothing":         func() (Outcome, error) { return b.Resume("", who) },
	} {
		if _, err := try(); fault.Of(err) != fault.AttemptExpired {
			t.Errorf("%s: %v", what, err)
		}
	}
	b.clock.Forward(attemptLife - time.Microsecond)
	if _, err := b.Resume(out.Attempt, who); err != nil {
		t.Errorf("a moment before its end: %v", err)
	}
	b.clock.Forward(time.Microsecond)
	if _, err := b.Resume(out.Attempt, who); fault.Of(err) != fault.AttemptExpired {
		t.Errorf("at its end: %v", err)
	}
}

func TestEveryCopyOfAnAttemptShowsTheSameSecretsAndNoOtherDoes(t *testing.T) {
	b := build(t, storetest.Open(t, storetest.SQLite(t), nil))
	one, other := b.begin(SignIn, Input{}), b.begin(SignIn, Input{})
	secret := func(a attempt) string {
		if err := b.startEnrolment(&a, access.Default()); err != nil {
			t.Fatal(err)
		}
		codes, err := a.recoveryCodes()
		if err != nil {
			t.Fatal(err)
		}
		return a.Enrolled.Secret + codes[0].Reveal() + codes[9].Reveal()
	}
	if first, second := secret(one), secret(one); first != second {
		t.Error("two copies, two secrets")
	}
	if secret(one) == secret(other) {
		t.Error("two attempts, one secret")
	}
	for _, seed := range [][]byte{nil, one.Seed[:16]} {
		broken := one
		broken.Seed = seed
		if err := b.startEnrolment(&broken, access.Default()); err == nil {
			t.Error("a secret that anybody could work out")
		}
	}
}

func TestWhatIsNotAStepIsRefused(t *testing.T) {
	b := build(t, storetest.Open(t, storetest.SQLite(t), nil))
	if _, err := b.Submit(t.Context(), Input{Do: "open sesame", Who: b.who()}); fault.Of(err) != fault.BadRequest {
		t.Errorf("an unknown action: %v", err)
	}
	if _, err := b.Submit(t.Context(), Input{Do: ProveAfresh, Who: b.who()}); fault.Of(err) != fault.NotSignedIn {
		t.Errorf("a fresh proof of nobody: %v", err)
	}
	for _, do := range []Action{ShowCode, ShowRecovery, ChoosePassword, EnrolCode, ConfirmCodes, ResendLink} {
		if _, err := b.Submit(t.Context(), Input{Do: do, Who: b.who()}); fault.Of(err) != fault.AttemptExpired {
			t.Errorf("%s without an attempt: %v", do, err)
		}
	}
}

func TestAPasswordOver1024BytesSpendsNoTry(t *testing.T) {
	each(t, func(t *testing.T, b building) {
		b.person(t, "alice@quay.example", pw)
		long := make([]byte, maxPassword+1)
		for range 10 {
			out := b.submit(t, Input{Do: ShowPassword, Email: "alice@quay.example", Secret: seal.Secret(long), Who: b.who()})
			if out.Refusal == nil || out.Refusal.Code != fault.PasswordTooLong {
				t.Fatalf("refused as %+v", out.Refusal)
			}
		}
		if out := b.submit(t, Input{Do: ShowPassword, Email: "alice@quay.example", Secret: pw, Who: b.who()}); out.Next != Code {
			t.Errorf("tries were spent: %+v", out.Refusal)
		}
	})
}
