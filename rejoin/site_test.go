package rejoin_test

import (
	"crypto/rand"
	"slices"
	"testing"
	"time"

	"gatehouse/access"
	"gatehouse/accounts"
	"gatehouse/authenticators"
	"gatehouse/events"
	"gatehouse/id"
	"gatehouse/proof"
	"gatehouse/rejoin"
	"gatehouse/seal"
	"gatehouse/sessions"
	"gatehouse/store"
	"gatehouse/store/storetest"
)

// site is one PostgreSQL with two ways to it: a node whose way can be cut and
// that then goes on alone, and another node that is always there.
type site struct {
	t       *testing.T
	clock   *storetest.Clock
	keys    *seal.Keys
	log     *events.Log
	wire    *storetest.Wire
	alone   *store.Store
	primary *store.Store
	rejoin  *rejoin.Rejoin
	handed  []store.Entry
	met     [][]store.Conflict
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

const (
	aloneNode id.Node = "0199f000-0000-7000-8000-00000000000a"
	thereNode id.Node = "0199f000-0000-7000-8000-00000000000b"
)

func newSite(t *testing.T) *site {
	t.Helper()
	s := &site{t: t, clock: storetest.NewClock()}
	dir := t.TempDir() + "/keys"
	must(t, seal.InitKeys(dir))
	var err error
	s.keys, err = seal.LoadKeys(dir)
	must(t, err)
	s.log = events.New(s.keys, rand.Reader)
	dsn := storetest.Postgres(t)
	s.primary = storetest.Open(t, dsn, func(o *store.Options) { o.Now, o.Node = s.clock.Now, thereNode })
	s.wire = storetest.NewWire(t, dsn)
	s.alone = storetest.OpenEmpty(t, s.wire.DSN, func(o *store.Options) {
		o.Now, o.Node = s.clock.Now, aloneNode
		o.Standby = &store.StandbyOptions{Dir: t.TempDir(), Keys: s.keys, Wait: 20 * time.Second}
	})
	s.rejoin = &rejoin.Rejoin{Keys: s.keys, Log: s.log}
	s.do(func(tx *store.Tx) error { return s.log.Prepare(tx) })
	return s
}

// do writes on the primary, as another node does.
func (s *site) do(fn func(*store.Tx) error) {
	s.t.Helper()
	must(s.t, s.primary.Do(s.t.Context(), fn))
}

// dark cuts the node off after it has followed everything.
func (s *site) dark() {
	s.t.Helper()
	must(s.t, s.alone.Follow(s.t.Context(), s.settle))
	s.wire.Cut()
}

func (s *site) settle(tx *store.Tx, e store.Entry, found []store.Conflict) error {
	s.handed, s.met = append(s.handed, e), append(s.met, found)
	return s.rejoin.Settle(tx, e, found)
}

// back mends the way and hands over.
func (s *site) back() {
	s.t.Helper()
	s.wire.Mend()
	for range 100 {
		if err := s.alone.Follow(s.t.Context(), s.settle); err == nil && s.alone.State().Tier == store.TierNone {
			break
		}
	}
	if state := s.alone.State(); state.Tier != store.TierNone || state.Journal != 0 || state.Parked != 0 {
		s.t.Fatalf("the node did not hand over: %+v", state)
	}
}

type person struct {
	accounts.Account
	password, app, codes id.Authenticator
}

func made[T ~string](s *site) T { return id.New[T](s.clock.Now(), rand.Reader) }

func (s *site) person(email string, role access.Role) person {
	s.t.Helper()
	p := person{Account: accounts.Account{ID: made[id.Account](s), Email: email, EmailKey: email, Name: "Ana", Status: accounts.Active, Epoch: 1},
		password: made[id.Authenticator](s), app: made[id.Authenticator](s), codes: made[id.Authenticator](s)}
	s.do(func(tx *store.Tx) error {
		must(s.t, accounts.Insert(tx, p.Account))
		must(s.t, s.log.Introduce(tx, p.ID))
		must(s.t, authenticators.SetPassword(tx, p.ID, authenticators.Password{ID: p.password, Hash: authenticators.PasswordHash{PHC: "$argon2id$x"}, MadeAt: s.clock.Now()}, 0))
		app := authenticators.NewTOTP("Phone", "JBSWY3DPEHPK3PXP", s.clock.Now())
		app.ID, app.Account = p.app, p.ID
		must(s.t, authenticators.AddTOTP(tx, s.keys, app))
		must(s.t, authenticators.SetRecoveryCodes(tx, p.ID, authenticators.RecoverySet{ID: p.codes, MadeAt: s.clock.Now(),
			Slots: []authenticators.RecoverySlot{{Slot: 1, Hash: []byte{1}}, {Slot: 2, Hash: []byte{2}}}}))
		o, found, err := access.OrganisationByName(tx, "Quay")
		must(s.t, err)
		if !found {
			o = access.Organisation{ID: made[id.Organisation](s), Name: "Quay"}
			must(s.t, access.AddOrganisation(tx, o))
		}
		return access.Join(tx, o.ID, p.ID, role)
	})
	return p
}

// signsIn writes what the last step of a sign-in writes: the code's use, the
// session, the event.
func (s *site) signsIn(on *store.Store, p person, second proof.Proof) id.Session {
	s.t.Helper()
	attempt := made[id.Attempt](s)
	session := id.Derive[id.Session](string(attempt), "session")
	must(s.t, on.Essential(s.t.Context(), func(tx *store.Tx) error {
		var used bool
		var err error
		if second.Method == proof.TOTP {
			used, err = authenticators.AcceptTOTP(tx, second, string(attempt))
		} else {
			used, _, err = authenticators.SpendRecoveryCode(tx, p.ID, second, string(attempt))
		}
		if err != nil || !used {
			s.t.Fatalf("the code was not good: %v", err)
		}
		account, _, err := accounts.Lock(tx, p.ID)
		if err != nil {
			return err
		}
		proofs := []proof.Proof{{Method: proof.Password, Authenticator: string(p.password), Version: 1, At: tx.Now()}, second}
		t := sessions.NewTicket(session, p.ID, account.Epoch, made[id.Device](s), proofs, sessions.DefaultPolicy(), tx.Now())
		if err := sessions.Insert(tx, s.keys, t, attempt, sessions.Seen{Network: "192.0.2.7", Agent: "a test"}); err != nil {
			return err
		}
		_, err = s.log.Append(tx, events.Event{Kind: events.SignedIn, Account: p.ID, Actor: string(p.ID), Attempt: attempt, Session: session,
			Data: map[string]string{"method": "password+totp"}})
		return err
	}))
	return session
}

func (p person) code(step int64) proof.Proof {
	return proof.Proof{Method: proof.TOTP, Authenticator: string(p.app), Version: 1, Step: step}
}

func (p person) paper(slot int64) proof.Proof {
	return proof.Proof{Method: proof.RecoveryCode, Authenticator: string(p.codes), Version: 1, Step: slot}
}

// lives reads a session's row and whether a revocation stands against it.
func (s *site) lives(session id.Session) (lives, revoked bool) {
	s.t.Helper()
	s.do(func(tx *store.Tx) error {
		row, found, err := sessions.ByID(tx, s.keys, session)
		if err != nil || !found {
			s.t.Fatalf("no session %s: %v", session, err)
		}
		lives = row.EndedAt.IsZero()
		all, err := sessions.Revocations(tx, time.Time{})
		revoked = slices.ContainsFunc(all, func(r sessions.Revocation) bool {
			return r.Subject == string(session) || r.Subject == string(row.Account) && r.Epoch > row.Epoch
		})
		return err
	})
	return lives, revoked
}

func (s *site) kinds(account id.Account) (kinds []string) {
	s.t.Helper()
	s.do(func(tx *store.Tx) error {
		all, err := s.log.ForAccount(tx, account, 0, 100)
		for _, e := range all {
			text := string(e.Kind)
			if e.Kind == events.StandbyConflict {
				text += " " + e.Data["rule"]
			}
			kinds = append(kinds, text)
		}
		return err
	})
	return kinds
}

// mails lists what was put in the outbox, as kind and address.
func (s *site) mails() (all []string) {
	s.t.Helper()
	s.do(func(tx *store.Tx) error {
		rows, err := tx.Rows(`SELECT o.kind, a.email FROM outbox o JOIN accounts a ON a.id = o.account ORDER BY o.kind, a.email`)
		if err != nil {
			return err
		}
		defer rows.Close()
		all = nil
		for rows.Next() {
			var kind, email string
			if err := rows.Scan(&kind, &email); err != nil {
				return err
			}
			all = append(all, kind+" "+email)
		}
		return rows.Err()
	})
	return all
}

func (s *site) conflicts() (all []rejoin.Conflict) {
	s.t.Helper()
	s.do(func(tx *store.Tx) (err error) {
		all, err = rejoin.Conflicts(tx, time.Time{}, nil, 100)
		return err
	})
	return all
}
