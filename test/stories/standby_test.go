package stories

import (
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"gatehouse/events"
	"gatehouse/outbox"
	"gatehouse/sessions"
	"gatehouse/store"
	"gatehouse/store/storetest"
	"gatehouse/test/house"
)

// These are stories of a primary that dies, of what goes on without it, and of what
// is found when it is back (DESIGN §2, §5). Whoever signs in with a standby in the
// other stories is here joined by those who should not.

// withStandby is a house whose primary can be cut off.
func withStandby(t *testing.T, with func(*house.Options)) *house.House {
	t.Helper()
	return house.New(t, storetest.Postgres(t), func(o *house.Options) {
		o.Standby = true
		if with != nil {
			with(o)
		}
	})
}

// breaks is a fault that happens once: at the n-th time that a point is reached
// after it was armed.
type breaks struct {
	left atomic.Int64 // 0: not armed
	at   atomic.Value // the point
	then func()
}

func (b *breaks) arm(point string, n int64) { b.at.Store(point); b.left.Store(n) }

func (b *breaks) fault(point string) error {
	if at, _ := b.at.Load().(string); at != point || b.left.Load() == 0 || b.left.Add(-1) != 0 {
		return nil
	}
	if b.then != nil {
		b.then()
	}
	return errors.New("broken on purpose")
}

func TestTheDatabaseDiesInTheMiddleOfASignInAndThePersonNoticesNothing(t *testing.T) {
	for _, row := range []struct {
		name  string
		step  string // in which the primary dies
		point string // "": before the step
		n     int64  // which of the step's transactions
	}{
		{"before the password", "password", "", 0},
		{"while the password is checked", "password", store.FaultBefore, 2},
		{"when the password was right, before it is kept", "password", store.FaultCommit, 2},
		{"when that was kept, and the answer was lost", "password", store.FaultAfter, 2},
		{"between password and code", "code", "", 0},
		{"when the code's try was spent, and the answer was lost", "code", store.FaultAfter, 1},
		{"between the code and its answer, nothing being kept", "code", store.FaultCommit, 2},
		{"between the code and its answer, everything being kept", "code", store.FaultAfter, 2},
	} {
		t.Run(row.name, func(t *testing.T) {
			broken := &breaks{}
			h := withStandby(t, func(o *house.Options) {
				o.Quiet, o.Store = true, func(s *store.Options) { s.Fault = broken.fault }
			})
			alice, mallory := h.Person("alice"), h.Browser("203.0.113.66")
			alice.SignsIn() // on the device she has used before
			laptop := alice.Elsewhere("198.51.100.7")
			follow(t, h)
			broken.then = h.Cut
			strike := func(step string) {
				if step == row.step && row.point == "" {
					h.Dark()
				} else if step == row.step {
					broken.arm(row.point, row.n)
				}
			}
			strike("password")
			laptop.ShowsPassword().Asks("totp")
			code := laptop.NextCode()
			late := laptop.Twin()
			mallory.Attempt = laptop.Attempt
			strike("code")
			in := laptop.ShowsCode(code).Asks("done")
			if laptop.Inside() != 200 || alice.Inside() != 200 || !h.IsDark() {
				t.Fatalf("new session %d, old one %d, dark %v", laptop.Inside(), alice.Inside(), h.IsDark())
			}
			if again := late.Twin().API("/signin/totp", map[string]any{"code": code}).Asks("done"); again.Field("session.id") != in.Field("session.id") {
				t.Error("a second click in the dark opened another session")
			}
			h.Light()
			if again := late.API("/signin/totp", map[string]any{"code": code}).Asks("done"); again.Field("session.id") != in.Field("session.id") {
				t.Error("a second click after the return opened another session")
			}
			mallory.API("/signin/totp", map[string]any{"code": code}).Says("attempt-expired")
			if laptop.Inside() != 200 {
				t.Error("out after the return")
			}
			once(t, h, "sessions", "account = $1 AND made_at > (SELECT MIN(made_at) FROM sessions)", string(alice.Account))
			once(t, h, "events", "kind = 'signin.succeeded' AND session = $1", in.Field("session.id"))
			once(t, h, "events", "kind = 'device.new'")
			once(t, h, "outbox", "kind = 'notice.new-device'")
			if n := h.Count("events", "kind = 'signin.password-accepted'"); n != 2 {
				t.Errorf("%d right passwords are recorded, want 2", n)
			}
			if n := h.Count("events", "kind = 'standby.conflict'"); n != 0 {
				t.Errorf("%d conflicts with itself", n)
			}
			alice.SignsIn()
		})
	}
}

// A standby that has not heard of somebody yet must not judge them.
func TestSomebodyTheStandbyHasNotHeardOfIsAskedToWait(t *testing.T) {
	for _, point := range []string{store.FaultBefore, store.FaultCommit, store.FaultAfter} {
		broken := &breaks{}
		h := withStandby(t, func(o *house.Options) { o.Quiet, o.Store = true, func(s *store.Options) { s.Fault = broken.fault } })
		alice := h.Person("alice")
		broken.then = h.Cut
		broken.arm(point, 2)
		alice.ShowsPassword().Waits()
		h.Light()
		alice.ShowsPassword().Asks("totp")
		alice.ShowsCode(alice.NextCode()).Asks("done")
	}
}

// follow lets the standby have all that was done so far.
func follow(t *testing.T, h *house.House) {
	t.Helper()
	if err := h.Follow(); err != nil {
		t.Fatal(err)
	}
}

// once wants exactly one row.
func once(t *testing.T, h *house.House, table, where string, args ...any) {
	t.Helper()
	if n := h.Count(table, where, args...); n != 1 {
		t.Errorf("%d rows of %s where %s, want one", n, table, where)
	}
}

func TestACodeUsedInTheDarkIsNoCodeAfterwards(t *testing.T) {
	h := withStandby(t, nil)
	alice := h.Invited("alice")
	alice.Arrives()
	mallory := alice.Elsewhere("203.0.113.66") // has seen password, code and paper
	for _, c := range []*house.Person{alice, mallory} {
		c.ShowsPassword().Asks("totp")
	}
	paper := alice.Elsewhere("198.51.100.7")
	paper.ShowsPassword().Asks("totp")
	code := alice.NextCode()
	h.Dark()
	alice.ShowsCode(code).Asks("done")
	mallory.ShowsCode(code).Says("wrong-code")
	paper.API("/signin/recovery-code", map[string]any{"code": alice.Codes[2]}).Asks("done")
	mallory.API("/signin/recovery-code", map[string]any{"code": alice.Codes[2]}).Says("wrong-code")
	h.Light()
	mallory.ShowsCode(code).Says("wrong-code")
	mallory.API("/signin/recovery-code", map[string]any{"code": alice.Codes[2]}).Says("wrong-code")
	if mail := h.Mail(alice.Email, outbox.RecoveryCodeUsed); !contains(mail.Text, "9") {
		t.Errorf("the number left is not told: %s", mail.Text)
	}
	h.Dark()
	mallory.ShowsCode(code).Says("wrong-code")
	mallory.ShowsCode(code).Says("too-many-tries") // five codes are hers, whatever database counts
	if alice.Inside() != 200 || paper.Inside() != 200 {
		t.Error("out")
	}
}

func TestGuessesAreCountedOnBothSidesOfAnOutage(t *testing.T) {
	h := withStandby(t, nil)
	alice, bob := h.Person("alice"), h.Person("bob")
	bob.SignsIn()
	mallory := h.Browser("203.0.113.66")
	guess := func() string {
		h.Clock.Forward(time.Second)
		return mallory.API("/signin", map[string]any{"email": alice.Email, "password": "not this one", "attempt": ""}).Refused()
	}
	var got []string
	for _, side := range []func(){h.Light, h.Dark, h.Light, h.Dark} {
		side()
		for range 2 {
			got = append(got, guess())
		}
	}
	for i, code := range got {
		if want := map[bool]string{true: "wrong-credentials", false: "too-many-tries"}[i < 5]; code != want {
			t.Errorf("guess %d: %s, want %s (all: %q)", i+1, code, want, got)
		}
	}
	h.Light()
	if n := h.Count("events", "kind = 'signin.refused'"); n != 5 {
		t.Errorf("%d refusals are recorded", n)
	}
	once(t, h, "events", "kind = 'signin.limited'")
	bob.Post("/signout").Is(303)
	bob.SignsIn()
}

func TestWhoeverIsDisabledInTheDarkIsOutAtOnceAndStaysOut(t *testing.T) {
	h := withStandby(t, nil)
	dora, eve := h.Person("dora"), h.Person("eve")
	dora.SignsIn()
	eve.SignsIn()
	h.Dark()
	midway := dora.Elsewhere("198.51.100.7")
	midway.ShowsPassword().Asks("totp")
	if _, err := h.Manage.Disable(t.Context(), dora.Email, "left the firm", events.Operator); err != nil {
		t.Fatal(err)
	}
	for _, light := range []bool{false, true} {
		if light {
			h.Light()
		}
		h.Clock.Forward(12 * time.Minute)
		if eve.Inside() != 200 {
			t.Error("somebody else is out")
		}
		if got := dora.Inside(); got != 401 {
			t.Errorf("light %v: the session check says %d", light, got)
		}
		dora.ShowsPassword().Says("wrong-credentials")
	}
	midway.ShowsCode(midway.NextCode()).Says("wrong-credentials")
	h.Mail(dora.Email, outbox.AccountDisabled)
	h.Settled()
	if n := len(h.Mailbox.All(dora.Email, outbox.AccountDisabled)); n != 1 {
		t.Errorf("told %d times", n)
	}
	once(t, h, "events", "kind = 'account.disabled' AND standby = 1")
	once(t, h, "accounts", "status = 'disabled'")
	if _, err := h.Manage.Enable(t.Context(), dora.Email, "", events.Operator); err != nil {
		t.Fatal(err)
	}
	if dora.Inside() != 401 {
		t.Error("enabling brought the session back")
	}
	dora.SignsIn()
}

func TestSessionsAreCheckedExtendedAndEndedInTheDark(t *testing.T) {
	h := withStandby(t, nil)
	alice, bob := h.Person("alice"), h.Person("bob")
	alice.SignsIn()
	bob.SignsIn()
	phone := alice.Elsewhere("198.51.100.7")
	phone.SignsIn()
	h.Dark()
	idle := sessions.DefaultPolicy().Idle
	for range 4 { // an idle time-out and another, in steps that keep the session in use
		h.Clock.Forward(idle / 2)
		if alice.Inside() != 200 || phone.Inside() != 200 {
			t.Fatalf("thrown out while the primary is gone: %d, %d", alice.Inside(), phone.Inside())
		}
	}
	if bob.Inside() != 401 {
		t.Error("who did nothing for that long is still in")
	}
	stolen := phone.Twin()
	phone.Post("/signout").Is(303)
	if stolen.Inside() != 401 || alice.Inside() != 200 {
		t.Errorf("after signing out the stolen ticket says %d, the other session %d", stolen.Inside(), alice.Inside())
	}
	alice.Get("/account/sessions").Is(200)
	h.Light()
	if stolen.Inside() != 401 || alice.Inside() != 200 {
		t.Errorf("after the return the stolen ticket says %d, the other session %d", stolen.Inside(), alice.Inside())
	}
	once(t, h, "sessions", "ended_why = 'signed-out'")
	once(t, h, "events", "kind = 'session.ended' AND standby = 1")
}
