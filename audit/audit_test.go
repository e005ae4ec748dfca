package audit_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"gatehouse/accounts"
	"gatehouse/audit"
	"gatehouse/authenticators"
	"gatehouse/events"
	"gatehouse/id"
	"gatehouse/limits"
	"gatehouse/outbox"
	"gatehouse/proof"
	"gatehouse/seal"
	"gatehouse/sessions"
	"gatehouse/store"
	"gatehouse/store/storetest"
)

// site is an installation in order, with one person who has done this and that.
type site struct {
	t     *testing.T
	store *store.Store
	clock *storetest.Clock
	keys  *seal.Keys
	log   *events.Log
	ana   accounts.Account
	app   id.Authenticator
	set   id.Authenticator
	pass  id.Authenticator
	dev   id.Device

	byApp, byPaper, over id.Session // opened with a code, with a recovery code, and ended
	undone               []audit.Undone
	differences          []string
}

var five = limits.Rule{Name: "name", Max: 5, Per: 15 * time.Minute}

func rule(name string) limits.Rule { return limits.Rule{Name: name, Max: 5, Per: 15 * time.Minute} }

func made[T ~string](s *site) T { return id.New[T](s.clock.Now(), rand.Reader) }

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (s *site) do(fn func(*store.Tx) error) {
	s.t.Helper()
	must(s.t, s.store.Do(s.t.Context(), fn))
}

func newSite(t *testing.T, on *store.Store, clock *storetest.Clock) *site {
	t.Helper()
	s := &site{t: t, store: on, clock: clock}
	dir := t.TempDir() + "/keys"
	must(t, seal.InitKeys(dir))
	var err error
	s.keys, err = seal.LoadKeys(dir)
	must(t, err)
	s.log = events.New(s.keys, rand.Reader)
	s.settlesIn()
	s.byApp = s.signsIn(proof.Proof{Method: proof.TOTP, Authenticator: string(s.app), Version: 1, Step: 7})
	s.clock.Forward(time.Minute)
	s.byPaper = s.signsIn(proof.Proof{Method: proof.RecoveryCode, Authenticator: string(s.set), Version: 1, Step: 2})
	s.clock.Forward(time.Minute)
	s.over = s.signsIn(proof.Proof{Method: proof.TOTP, Authenticator: string(s.app), Version: 1, Step: 9})
	s.do(func(tx *store.Tx) error {
		_, err := sessions.End(tx, s.ana.ID, s.over, time.Time{}, "signed-out")
		return err
	})
	s.refused()
	return s
}

func (s *site) settlesIn() {
	s.t.Helper()
	s.ana = accounts.Account{ID: made[id.Account](s), Email: "ana@quay.example", EmailKey: "ana@quay.example", Name: "Ana", Status: accounts.Active, Epoch: 1}
	s.app, s.set, s.pass, s.dev = made[id.Authenticator](s), made[id.Authenticator](s), made[id.Authenticator](s), made[id.Device](s)
	s.do(func(tx *store.Tx) error {
		must(s.t, s.log.Prepare(tx))
		must(s.t, accounts.Insert(tx, s.ana))
		must(s.t, s.log.Introduce(tx, s.ana.ID))
		must(s.t, authenticators.SetPassword(tx, s.ana.ID, authenticators.Password{ID: s.pass, Hash: authenticators.PasswordHash{PHC: "$argon2id$x"}, MadeAt: s.clock.Now()}, 0))
		app := authenticators.NewTOTP("Phone", "JBSWY3DPEHPK3PXP", s.clock.Now())
		app.ID, app.Account = s.app, s.ana.ID
		must(s.t, authenticators.AddTOTP(tx, s.keys, app))
		return authenticators.SetRecoveryCodes(tx, s.ana.ID, authenticators.RecoverySet{ID: s.set, MadeAt: s.clock.Now(),
			Slots: []authenticators.RecoverySlot{{Slot: 1, Hash: []byte{1}}, {Slot: 2, Hash: []byte{2}}}})
	})
}

func (s *site) event(tx *store.Tx, e events.Event) {
	s.t.Helper()
	e.Account, e.Actor, e.Personal = s.ana.ID, string(s.ana.ID), map[string]string{"device": string(s.dev), "agent": "a test"}
	_, err := s.log.Append(tx, e)
	must(s.t, err)
}

func (s *site) mail(tx *store.Tx, kind outbox.Kind, of string, fields ...string) {
	s.t.Helper()
	m := outbox.Notice(kind, id.Derive[id.Message](of, string(kind)), outbox.To{Account: s.ana.ID, Email: s.ana.Email, Name: "Ana"}, outbox.About{At: tx.Now(), Agent: "a test"})
	for i := 0; i+1 < len(fields); i += 2 {
		m.Fields[fields[i]] = fields[i+1]
	}
	must(s.t, outbox.Add(tx, s.keys, m))
}

// signsIn writes what the last step of a sign-in writes.
func (s *site) signsIn(second proof.Proof) id.Session {
	s.t.Helper()
	attempt := made[id.Attempt](s)
	session := id.Derive[id.Session](string(attempt), "session")
	s.do(func(tx *store.Tx) error {
		if second.Method == proof.TOTP {
			_, err := authenticators.AcceptTOTP(tx, second, string(attempt))
			must(s.t, err)
		} else {
			_, _, err := authenticators.SpendRecoveryCode(tx, s.ana.ID, second, string(attempt))
			must(s.t, err)
			s.event(tx, events.Event{Kind: events.RecoveryCodeUsed, Attempt: attempt, Data: map[string]string{"left": "1"}})
			s.mail(tx, outbox.RecoveryCodeUsed, string(attempt), outbox.Left, "1")
		}
		proofs := []proof.Proof{{Method: proof.Password, Authenticator: string(s.pass), Version: 1, At: tx.Now()}, second}
		t := sessions.NewTicket(session, s.ana.ID, 1, s.dev, proofs, sessions.DefaultPolicy(), tx.Now())
		must(s.t, sessions.Insert(tx, s.keys, t, attempt, sessions.Seen{Agent: "a test"}))
		s.event(tx, events.Event{Kind: events.SignedIn, Attempt: attempt, Session: session, Data: map[string]string{"method": "password+totp"}})
		fresh, _, err := sessions.Remember(tx, s.dev, s.ana.ID)
		must(s.t, err)
		if fresh {
			s.event(tx, events.Event{Kind: events.DeviceNew, Attempt: attempt})
			s.mail(tx, outbox.NewDevice, string(attempt))
		}
		return nil
	})
	return session
}

// refused pays for a wrong password and a wrong code.
func (s *site) refused() {
	s.t.Helper()
	s.do(func(tx *store.Tx) error {
		for _, of := range []limits.Subject{{Rule: rule("device"), Of: string(s.dev) + "/" + s.ana.EmailKey}, {Rule: rule("code"), Of: string(s.ana.ID)}} {
			_, err := limits.Spend(tx, of)
			must(s.t, err)
		}
		s.event(tx, events.Event{Kind: events.SignInRefused, Data: map[string]string{"reason": "wrong-password", "method": "password"}})
		s.event(tx, events.Event{Kind: events.CodeRefused, Data: map[string]string{"reason": "wrong", "method": "totp", "purpose": "signin"}})
		return nil
	})
}

func (s *site) audit() audit.Report {
	s.t.Helper()
	a := &audit.Audit{Store: s.store, Keys: s.keys, Log: s.log, Now: s.clock.Now,
		Name: five, Device: rule("device"), Link: rule("link"), Code: rule("code"), CodeDevice: rule("code-device"),
		Undone: func(context.Context) ([]audit.Undone, error) { return s.undone, nil }}
	if s.differences != nil {
		a.Compare = func(context.Context) ([]string, error) { return s.differences, nil }
	}
	report, err := a.Run(s.t.Context())
	must(s.t, err)
	return report
}

func TestTheAuditFindsEachKindOfDamage(t *testing.T) {
	sql := func(q string, args ...func(*site) any) func(*site) {
		return func(s *site) {
			s.do(func(tx *store.Tx) error {
				var values []any
				for _, a := range args {
					values = append(values, a(s))
				}
				n, err := tx.Exec(q, values...)
				if err == nil && n == 0 {
					s.t.Fatal("the damage did nothing")
				}
				return err
			})
		}
	}
	ana := func(s *site) any { return s.ana.ID }
	byApp := func(s *site) any { return s.byApp }
	byPaper := func(s *site) any { return s.byPaper }
	over := func(s *site) any { return s.over }
	for _, row := range []struct {
		name   string
		damage func(*site)
		want   string // checks, in order
	}{
		{"nothing", func(*site) {}, ""},
		{"a session whose sign-in is not recorded", sql(`DELETE FROM events WHERE session = $1`, byApp), "session-without-signin"},
		{"a session put in by hand", func(s *site) {
			s.do(func(tx *store.Tx) error {
				t := sessions.NewTicket(made[id.Session](s), s.ana.ID, 1, s.dev, []proof.Proof{{Method: proof.TOTP, Authenticator: string(s.app), Step: 8}}, sessions.DefaultPolicy(), tx.Now())
				return sessions.Insert(tx, s.keys, t, made[id.Attempt](s), sessions.Seen{})
			})
		}, "session-without-signin"},
		{"a session that is gone", sql(`DELETE FROM sessions WHERE id = $1`, byApp), "signin-without-session"},
		{"a session of another attempt", sql(`UPDATE sessions SET attempt = 'another' WHERE id = $1`, byApp), "session-without-signin"},
		{"a code that was made good again", sql(`DELETE FROM totp_used WHERE step = 7`), "code-not-used-up"},
		{"a code that another attempt used", sql(`UPDATE totp_used SET used_by = 'another' WHERE step = 7`), "code-not-used-up code-used-by-nobody"},
		{"two sessions on one code", sql(`UPDATE sessions SET proofs = (SELECT s.proofs FROM sessions s WHERE s.id = $1) WHERE id = $2`, byApp, over), "code-not-used-up code-used-twice"},
		{"a code that nothing used", sql(`INSERT INTO totp_used (authenticator, step, used_by, made_at, node) VALUES ($1, 99, 'mallory', $2, 'n')`,
			func(s *site) any { return s.app }, func(s *site) any { return store.Micros(s.clock.Now()) }), "code-used-by-nobody"},
		{"a recovery code that was made good again", sql(`UPDATE recovery_codes SET spent_at = NULL, spent_by = NULL WHERE slot = 2`), "code-not-used-up recovery-not-used-up"},
		{"a recovery code that is gone without a word", sql(`UPDATE recovery_codes SET spent_at = $1, spent_by = 'mallory' WHERE slot = 1`,
			func(s *site) any { return store.Micros(s.clock.Now()) }), "recovery-unrecorded"},
		{"a session that ended and was not revoked", sql(`DELETE FROM revocations WHERE subject = $1`, over), "not-revoked"},
		{"a session that was brought back", sql(`UPDATE sessions SET ended_at = NULL WHERE id = $1`, over), "not-ended"},
		{"sessions of somebody who is disabled", sql(`UPDATE accounts SET status = 'disabled', epoch = 2 WHERE id = $1`, ana), "not-ended not-ended"},
		{"a session that was undone and goes on", func(s *site) {
			s.undone = []audit.Undone{{Account: s.ana.ID, Session: s.byPaper, Attempt: "x"}}
		}, "conflict-open"},
		{"tries that were given back by hand", sql(`DELETE FROM tries`), "tries-missing tries-missing"},
		{"more tries than the limit", sql(`UPDATE tries SET at = at || ',' || at || ',' || at || ',' || at || ',' || at || ',' || at`), "tries-over tries-over"},
		{"a mail that was never written", sql(`DELETE FROM outbox WHERE kind = 'notice.new-device'`), "effect-missing"},
		{"a mail that was written twice", func(s *site) {
			s.do(func(tx *store.Tx) error { s.mail(tx, outbox.RecoveryCodeUsed, "again", outbox.Left, "1"); return nil })
		}, "effect-uncaused"},
		{"a mail of nothing", func(s *site) {
			s.do(func(tx *store.Tx) error { s.mail(tx, outbox.PasswordChanged, "x"); return nil })
		}, "effect-uncaused"},
		{"an account without a key", sql(`DELETE FROM account_keys WHERE account = $1`, ana), "key-missing"},
		{"a key of another account", sql(`UPDATE account_keys SET sealed = (SELECT k.sealed FROM account_keys k WHERE k.account <> $1) WHERE account = $1`, ana), "key-forged"},
		{"an event somebody wrote in", sql(`UPDATE events SET personal = (SELECT e.personal FROM events e WHERE e.kind = 'device.new') WHERE kind = 'signin.refused'`), "event-forged"},
		{"a person who was erased", func(s *site) { s.do(func(tx *store.Tx) error { return s.log.Forget(tx, s.ana.ID) }) }, ""},
		{"an account that was removed by hand", sql(`DELETE FROM accounts WHERE id = $1`, ana), "orphan orphan orphan"},
		{"recovery codes of no set", sql(`INSERT INTO recovery_codes (recovery_set, slot, hash, pepper, version, node) SELECT 'stray', 1, hash, 1, 1, 'n' FROM recovery_codes WHERE slot = 1`), "orphan"},
		{"an event that says a standby made it", sql(`UPDATE events SET standby = 1 WHERE kind = 'device.new'`), "not-handed-over"},
		{"a session that says a standby made it", sql(`UPDATE sessions SET standby = 1 WHERE id = $1`, byPaper), "standby-mark"},
		{"a standby that differs", func(s *site) { s.differences = []string{"accounts 7 differs"} }, "standby-differs"},
		{"a standby that is the same", func(s *site) { s.differences = []string{} }, ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			clock := storetest.NewClock()
			storetest.EachWith(t, func(o *store.Options) { o.Now = clock.Now }, func(t *testing.T, on *store.Store) {
				s := newSite(t, on, clock)
				row.damage(s)
				report := s.audit()
				var checks []string
				for _, f := range report.Findings {
					checks = append(checks, string(f.Check))
					if f.Subject == "" {
						t.Errorf("%s says nothing of what it is about", f.Check)
					}
				}
				if got := strings.Join(checks, " "); got != row.want {
					t.Errorf("found %q, want %q: %+v", got, row.want, report.Findings)
				}
				if report.Compared != (s.differences != nil) {
					t.Errorf("compared: %v", report.Compared)
				}
			})
		})
	}
}

// A step of a node that was handed over is recorded once, and came with an entry.
func TestWhatAStandbyHandedOverIsInOrder(t *testing.T) {
	clock := storetest.NewClock()
	storetest.EachWith(t, func(o *store.Options) { o.Now = clock.Now }, func(t *testing.T, on *store.Store) {
		s := newSite(t, on, clock)
		s.do(func(tx *store.Tx) error {
			var node string
			must(t, tx.Row(`SELECT node FROM events WHERE kind = 'device.new'`).Scan(&node))
			_, err := tx.Exec(`INSERT INTO handed (entry, from_node, made_at, handed_at, rows_in, conflicts) SELECT 'e', node, made_at, made_at, 1, 0 FROM events WHERE kind = 'device.new'`)
			must(t, err)
			_, err = tx.Exec(`UPDATE events SET standby = 1 WHERE kind = 'device.new'`)
			return err
		})
		if r := s.audit(); len(r.Findings) != 0 {
			t.Errorf("%+v", r.Findings)
		}
		s.do(func(tx *store.Tx) error {
			_, err := tx.Exec(`UPDATE events SET standby = 1, node_seq = (SELECT e.node_seq FROM events e WHERE e.kind = 'device.new'),
				made_at = (SELECT e.made_at FROM events e WHERE e.kind = 'device.new') WHERE kind = 'code.refused'`)
			return err
		})
		if r := s.audit(); len(r.Findings) != 1 || r.Findings[0].Check != audit.RecordedTwice {
			t.Errorf("%+v", r.Findings)
		}
	})
}

func TestManyAccountsAreAllLookedAtAndTheWayIsTold(t *testing.T) {
	clock := storetest.NewClock()
	storetest.EachWith(t, func(o *store.Options) { o.Now = clock.Now }, func(t *testing.T, on *store.Store) {
		s := newSite(t, on, clock)
		const more = 450
		s.do(func(tx *store.Tx) error {
			for i := range more {
				email := fmt.Sprintf("p%d@quay.example", i)
				a := accounts.Account{ID: made[id.Account](s), Email: email, EmailKey: email, Status: accounts.Active}
				must(t, accounts.Insert(tx, a))
				if i != more-1 { // the last one has no key
					must(t, s.log.Introduce(tx, a.ID))
				}
			}
			return nil
		})
		var told []int64
		a := &audit.Audit{Store: on, Keys: s.keys, Log: s.log, Now: clock.Now, Name: five, Device: rule("device"), Link: rule("link"), Code: rule("code"), CodeDevice: rule("code-device"),
			Progress: func(done, total int64) {
				if told = append(told, done); total != more+1 {
					t.Fatalf("%d of %d", done, total)
				}
			}}
		r, err := a.Run(t.Context())
		if err != nil || r.Accounts != more+1 || len(r.Findings) != 1 || r.Findings[0].Check != audit.KeyMissing || len(told) != more+1 || !slices.IsSorted(told) {
			t.Errorf("%+v %v", r, err)
		}
	})
}
