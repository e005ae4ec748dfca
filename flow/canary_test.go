package flow

import (
	"context"
	"crypto/rand"
	"errors"
	"net"
	"sync"
	"testing"
	"time"

	"gatehouse/access"
	"gatehouse/accounts"
	"gatehouse/authenticators"
	"gatehouse/fault"
	"gatehouse/id"
	"gatehouse/seal"
	"gatehouse/store"
	"gatehouse/store/storetest"
)

// rows counts what a table holds.
func (b building) rows(t *testing.T, table string) (n int64) {
	t.Helper()
	err := b.Store.EssentialRead(t.Context(), func(tx *store.Tx) error { return tx.Row("SELECT COUNT(*) FROM " + table).Scan(&n) })
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func (b building) well(t *testing.T, c *Canary) {
	t.Helper()
	if trial := c.Try(t.Context()); trial.Cause != Well || trial.Err != nil {
		t.Fatalf("the canary was not let in: %q, %v", trial.Cause, trial.Err)
	}
}

func TestACanarySignsInAsOftenAsItLikesAndLeavesOneRow(t *testing.T) {
	each(t, func(t *testing.T, b building) {
		c := NewCanary(b.Flow)
		b.well(t, c)
		before := map[string]int64{}
		tables := []string{"accounts", "passwords", "totp", "totp_used", "sessions", "devices", "tries", "revocations", "events", "outbox", "account_keys", "canaries"}
		for _, table := range tables {
			before[table] = b.rows(t, table)
		}
		for _, none := range []string{"sessions", "devices", "totp_used", "tries", "outbox"} {
			if before[none] != 0 {
				t.Errorf("a canary left %d %s", before[none], none)
			}
		}
		for range 30 { // in the same half minute, with the same code
			b.well(t, c)
			b.clock.Forward(time.Second)
		}
		b.clock.Forward(time.Hour)
		b.well(t, c)
		for _, table := range tables {
			if n := b.rows(t, table); n != before[table] {
				t.Errorf("%s: %d rows, and %d before", table, n, before[table])
			}
		}
		var at int64
		err := b.Store.Read(t.Context(), func(tx *store.Tx) error {
			return tx.Row(`SELECT at FROM canaries WHERE canary = $1`, tx.Node()).Scan(&at)
		})
		if err != nil || !store.Time(at).Equal(b.clock.Now().Truncate(time.Microsecond)) {
			t.Errorf("the row says %v, not %v (%v)", store.Time(at), b.clock.Now(), err)
		}
	})
}

func TestACanaryOutlivesItsProcessAndItsRow(t *testing.T) {
	each(t, func(t *testing.T, b building) {
		first := NewCanary(b.Flow)
		b.well(t, first)
		second := NewCanary(b.Flow) // of the process that takes over, while the first still runs
		b.well(t, second)
		if b.rows(t, "accounts") != 1 || b.rows(t, "totp") != 2 { // nobody has one too
			t.Error("a process of the same node made another")
		}
		err := b.Store.Do(t.Context(), func(tx *store.Tx) error {
			_, err := tx.Exec(`DELETE FROM canaries`)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		b.well(t, second)
		b.well(t, first) // whose password is another now
		if b.rows(t, "accounts") != 1 || b.rows(t, "totp") != 2 || b.rows(t, "canaries") != 1 {
			t.Error("made anew beside the old one")
		}
	})
}

// Somebody who has stolen all that a canary shows, and what its flow seals, gets
// what a wrong password gets.
func TestACanaryIsNobodyToEverybodyElse(t *testing.T) {
	each(t, func(t *testing.T, b building) {
		c := NewCanary(b.Flow)
		b.well(t, c)
		submit := func(in Input) Outcome {
			t.Helper()
			out, err := b.Submit(t.Context(), in)
			if err != nil {
				t.Fatal(err)
			}
			return out
		}
		right := submit(Input{Do: ShowPassword, Email: c.name(), Secret: seal.Secret(c.shown.Password), Who: c.who})
		wrong := submit(Input{Do: ShowPassword, Email: c.name(), Secret: "not its password", Who: c.who})
		unknown := submit(Input{Do: ShowPassword, Email: "who@example.com", Secret: "not a password", Who: c.who})
		for name, out := range map[string]Outcome{"right": right, "wrong": wrong, "unknown": unknown} {
			if out.Refusal == nil || out.Refusal.Code != fault.WrongCredentials || out.Next != Password || out.Attempt != "" || out.Ticket != "" {
				t.Errorf("%s: %+v", name, out)
			}
		}
		before := b.rows(t, "outbox")
		submit(Input{Do: ForgotPassword, Email: c.name(), Who: c.who})
		submit(Input{Do: ForgotPassword, Email: "who@example.com", Who: c.who})
		if n := b.rows(t, "outbox") - before; n != 0 && n != 2 {
			t.Errorf("%d mails: asking for a canary's link differs from asking for nobody's", n)
		}

		// Half-way in, by its own flow, and then on by the public one.
		first, err := c.flow.showPassword(t.Context(), Input{Do: ShowPassword, Email: c.name(), Secret: seal.Secret(c.shown.Password), Who: c.who})
		if err != nil || first.Refusal != nil {
			t.Fatalf("%+v %v", first, err)
		}
		code, err := c.code()
		if err != nil {
			t.Fatal(err)
		}
		if out := submit(Input{Do: ShowCode, Attempt: first.Attempt, Secret: code, Who: c.who}); out.Ticket != "" || out.Refusal == nil || out.Refusal.Code != fault.WrongCredentials {
			t.Errorf("the public flow goes on with it: %+v", out)
		}
		// Its own flow lets in nobody else.
		_, app := b.person(t, "ana@example.com", "tavilo-moreni-kasupo")
		if out, err := c.flow.showPassword(t.Context(), Input{Do: ShowPassword, Email: "ana@example.com", Secret: "tavilo-moreni-kasupo", Who: b.who()}); err != nil || out.Refusal == nil {
			t.Errorf("a person is let in by the canary's flow (%s): %+v %v", app.Name, out, err)
		}

		// And the ticket that comes of it opens nowhere, on no clock.
		second, err := c.flow.showSecond(t.Context(), Input{Do: ShowCode, Attempt: first.Attempt, Secret: code, Who: c.who})
		if err != nil || second.Ticket == "" {
			t.Fatalf("%+v %v", second, err)
		}
		b.Sessions.Apply(nil)
		b.Sessions.SignInsFail(b.clock.Now().AddDate(-20, 0, 0))
		for _, years := range []int{0, -1, -9} {
			if _, _, err := b.Sessions.Check(second.Ticket, b.clock.Now().AddDate(years, 0, 0)); fault.Of(err) != fault.NotSignedIn {
				t.Errorf("%d years from now it opens: %v", years, err)
			}
		}
	})
}

func TestACanaryIsOnNoList(t *testing.T) {
	each(t, func(t *testing.T, b building) {
		b.well(t, NewCanary(b.Flow))
		ana, _ := b.person(t, "ana@example.com", "tavilo-moreni-kasupo")
		err := b.Store.Read(t.Context(), func(tx *store.Tx) error {
			all, err := accounts.List(tx, "", 10)
			if len(all) != 1 || all[0].ID != ana {
				t.Errorf("listed: %+v", all)
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
	})
}

func TestWhyACanaryIsNotLetIn(t *testing.T) {
	each(t, func(t *testing.T, b building) {
		c := NewCanary(b.Flow)
		b.well(t, c)
		do := func(q string) {
			t.Helper()
			if err := b.Store.Do(t.Context(), func(tx *store.Tx) error { _, err := tx.Exec(q); return err }); err != nil {
				t.Fatal(err)
			}
		}
		cause := func(name string, want Cause) {
			t.Helper()
			if trial := c.Try(t.Context()); trial.Cause != want || (trial.Err == nil) != (want == Well) {
				t.Errorf("%s: %q, %v", name, trial.Cause, trial.Err)
			}
		}
		do(`UPDATE totp SET last_step = 99999999999`)
		cause("its code is found wrong", Refused)
		do(`UPDATE totp SET last_step = 0`)
		cause("and right again", Well)
		do(`UPDATE passwords SET pepper = 77 WHERE hash <> ''`)
		cause("a key is missing", Broken)
		do(`DELETE FROM canaries`)
		cause("made anew with the keys that are there", Well)
		do(`UPDATE accounts SET status = 'disabled'`)
		cause("its account is somebody's", Refused)
		if n := b.rows(t, "events"); n != 2 {
			t.Errorf("%d events: being refused again and again fills the log", n)
		}
	})
	for _, x := range []struct {
		err  error
		want Cause
	}{{nil, Well}, {fault.New(fault.Busy, nil), Crowded}, {fault.New(fault.Unavailable, nil), Away}, {errors.New("a bug"), Broken}, {&refusedError{fault.WrongCode}, Refused}} {
		if got := causeOf(x.err); got != x.want {
			t.Errorf("%v: %q, want %q", x.err, got, x.want)
		}
	}
}

// wire is the way to PostgreSQL, which a test cuts.
type wire struct {
	mu   sync.Mutex
	cut  bool
	open []net.Conn
}

// line may be closed twice.
type line struct{ net.Conn }

func (l line) Close() error {
	_ = l.Conn.Close()
	return nil
}

func (w *wire) dial(ctx context.Context, network, address string) (net.Conn, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.cut {
		return nil, errors.New("cut")
	}
	c, err := new(net.Dialer).DialContext(ctx, network, address)
	if err == nil {
		w.open = append(w.open, c)
	}
	return line{c}, err
}

func (w *wire) set(cut bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cut = cut
	for _, c := range w.open {
		c.Close()
	}
	w.open = nil
}

func TestACanarySignsInOnTheStandbyAndHardlyWritesThere(t *testing.T) {
	w := &wire{}
	clock := storetest.NewClock()
	keys := newTestKeys(t)
	s := storetest.Open(t, storetest.Postgres(t), func(o *store.Options) {
		o.Now, o.Dial = clock.Now, w.dial
		o.Standby = &store.StandbyOptions{Dir: t.TempDir(), Keys: keys}
	})
	b := buildWith(t, s, keys)
	b.clock = clock
	b.Now = clock.Now
	c := NewCanary(b.Flow)
	follow := func() error {
		return s.Follow(t.Context(), func(*store.Tx, store.Entry, []store.Conflict) error { return nil })
	}
	b.well(t, c)
	if err := follow(); err != nil {
		t.Fatal(err)
	}
	w.set(true)
	for i := range 20 {
		trial := c.Try(t.Context())
		if trial.Cause != Well || !trial.Standby {
			t.Fatalf("with the primary away, time %d: %+v", i, trial)
		}
		clock.Forward(3 * time.Second)
	}
	if n := s.State().Journal; n < 1 || n > 3 {
		t.Errorf("%d lines in the journal after a minute", n)
	}
	if b.rows(t, "sessions") != 0 || b.rows(t, "totp_used") != 0 {
		t.Error("it left a session or a used code")
	}
	w.set(false)
	var err error
	for range 50 {
		if err = follow(); err == nil {
			break
		}
	}
	if trial := c.Try(t.Context()); err != nil || trial.Cause != Well || trial.Standby {
		t.Errorf("with the primary back: %+v, %v", trial, err)
	}
	w.set(true)
	clock.Forward(48 * time.Hour)
	if trial := c.Try(t.Context()); trial.Cause != Away {
		t.Errorf("with both away: %+v", trial)
	}
}

// Who looks after others is not let past an idle end (sessions.Ticket.Lenient).
func TestASessionSaysWhetherItMayBeStretched(t *testing.T) {
	each(t, func(t *testing.T, b building) {
		const password = "tavilo-moreni-kasupo"
		ana, phone := b.person(t, "ana@example.com", password)
		_, other := b.person(t, "ben@example.com", password)
		err := b.Store.Do(t.Context(), func(tx *store.Tx) error {
			o := access.Organisation{ID: id.New[id.Organisation](b.clock.Now(), rand.Reader), Name: "Quay"}
			if err := access.AddOrganisation(tx, o); err != nil {
				return err
			}
			return access.Join(tx, o.ID, ana, access.Supporter)
		})
		if err != nil {
			t.Fatal(err)
		}
		for email, x := range map[string]struct {
			app     authenticators.TOTP
			lenient bool
		}{"ana@example.com": {phone, false}, "ben@example.com": {other, true}} {
			who := b.who()
			out, err := b.Submit(t.Context(), Input{Do: ShowPassword, Email: email, Secret: password, Who: who})
			if err != nil || out.Refusal != nil {
				t.Fatal(out.Refusal, err)
			}
			out, err = b.Submit(t.Context(), Input{Do: ShowCode, Attempt: out.Attempt, Secret: code(t, b, x.app), Who: who})
			if err != nil || out.Next != Done || out.Session.Lenient != x.lenient {
				t.Errorf("%s: %+v %v", email, out.Session, err)
			}
		}
	})
}
