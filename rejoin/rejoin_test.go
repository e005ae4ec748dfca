package rejoin_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"gatehouse/access"
	"gatehouse/accounts"
	"gatehouse/authenticators"
	"gatehouse/events"
	"gatehouse/id"
	"gatehouse/proof"
	"gatehouse/rejoin"
	"gatehouse/sessions"
	"gatehouse/store"
	"gatehouse/store/storetest"
)

func TestWhatAStandbyShouldNotHaveLetInIsUndoneAndTold(t *testing.T) {
	for _, row := range []struct {
		name   string
		rule   rejoin.Rule
		second func(person) proof.Proof
		before func(*site, person) // on the primary, while the node is alone
	}{
		{"somebody disabled on the primary", rejoin.KeptOut, nil, func(s *site, p person) {
			s.do(func(tx *store.Tx) error { _, err := accounts.SetStatus(tx, p.ID, accounts.Disabled); return err })
		}},
		{"somebody locked on the primary", rejoin.KeptOut, nil, func(s *site, p person) {
			s.do(func(tx *store.Tx) error { _, err := accounts.SetStatus(tx, p.ID, accounts.Locked); return err })
		}},
		{"somebody whose sessions were all ended", rejoin.OldEpoch, nil, func(s *site, p person) {
			s.do(func(tx *store.Tx) error { _, err := accounts.RaiseEpoch(tx, p.ID); return err })
		}},
		{"somebody whose password was changed", rejoin.Changed, nil, func(s *site, p person) {
			s.do(func(tx *store.Tx) error {
				return authenticators.SetPassword(tx, p.ID, authenticators.Password{ID: made[id.Authenticator](s), Hash: authenticators.PasswordHash{PHC: "$argon2id$y"}}, 0)
			})
		}},
		{"somebody whose app was taken off", rejoin.Changed, nil, func(s *site, p person) {
			s.do(func(tx *store.Tx) error { _, err := authenticators.RemoveSecond(tx, s.keys, p.ID); return err })
		}},
		{"somebody whose recovery codes were made anew", rejoin.Changed, func(p person) proof.Proof { return p.paper(1) }, func(s *site, p person) {
			s.do(func(tx *store.Tx) error {
				return authenticators.SetRecoveryCodes(tx, p.ID, authenticators.RecoverySet{ID: made[id.Authenticator](s)})
			})
		}},
		{"somebody whose password was marked as known to others", rejoin.Compromised, nil, func(s *site, p person) {
			s.do(func(tx *store.Tx) error {
				_, err := authenticators.MarkCompromised(tx, p.ID, "compromised")
				return err
			})
		}},
		{"a code of an app that opened another door", rejoin.UsedTwice, nil, func(s *site, p person) { s.signsIn(s.primary, p, p.code(7)) }},
		{"a recovery code that opened another door", rejoin.UsedTwice, func(p person) proof.Proof { return p.paper(2) },
			func(s *site, p person) { s.signsIn(s.primary, p, p.paper(2)) }},
		{"nothing at all", "", nil, func(*site, person) {}},
		{"a hash that was only made again", "", nil, func(s *site, p person) {
			s.do(func(tx *store.Tx) error {
				_, err := authenticators.RefreshHash(tx, p.ID, authenticators.PasswordHash{PHC: "$argon2id$x"}, authenticators.PasswordHash{PHC: "$argon2id$z"})
				return err
			})
		}},
		{"another code that was used meanwhile", "", nil, func(s *site, p person) { s.signsIn(s.primary, p, p.code(6)) }},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := newSite(t)
			ana := s.person("ana@quay.example", access.Bookkeeper)
			s.person("olga@quay.example", access.Owner)
			second := ana.code(7)
			if row.second != nil {
				second = row.second(ana)
			}
			s.dark()
			session := s.signsIn(s.alone, ana, second)
			row.before(s, ana)
			s.clock.Forward(time.Minute)
			s.back()

			lives, revoked := s.lives(session)
			var mails []string
			kinds := s.kinds(ana.ID)
			if row.rule != "" {
				mails = []string{"notice.signin-undone ana@quay.example", "notice.signins-undone olga@quay.example"}
			}
			if told := slices.Contains(kinds, "standby.conflict "+string(row.rule)); lives != (row.rule == "") || revoked == lives || told == lives {
				t.Errorf("it lives: %v, revoked: %v, told: %v (%v)", lives, revoked, told, kinds)
			}
			all := s.conflicts()
			if len(all) > 0 != (row.rule != "") || len(all) > 0 && (all[0].Rule != row.rule || all[0].Session != session || all[0].Account != ana.ID || all[0].Node != aloneNode) {
				t.Errorf("the conflicts are %+v", all)
			}
			if got := s.mails(); !slices.Equal(got, mails) {
				t.Errorf("the mails are %v", got)
			}

			s.again()
			if got := s.kinds(ana.ID); !slices.Equal(got, kinds) || len(s.conflicts()) != len(all) || !slices.Equal(s.mails(), mails) {
				t.Errorf("settling twice told twice: %v", got)
			}
		})
	}
}

// again settles every entry once more, as a hand-over does whose answer was lost.
func (s *site) again() {
	s.t.Helper()
	for i, e := range s.handed {
		s.do(func(tx *store.Tx) error { return s.rejoin.Settle(tx, e, s.met[i]) })
	}
}

func TestADenialMadeAloneHoldsForWhatTheNodeHadNotHeardOf(t *testing.T) {
	s := newSite(t)
	ana := s.person("ana@quay.example", access.Bookkeeper)
	ben := s.person("ben@quay.example", access.Bookkeeper)
	s.dark()
	unheard := s.signsIn(s.primary, ana, ana.code(7)) // after the node was cut off
	kept := s.signsIn(s.primary, ben, ben.code(7))
	bens := s.signsIn(s.primary, ben, ben.code(8))
	var now, accountWide *sessions.Revocation
	must(t, s.alone.Essential(t.Context(), func(tx *store.Tx) (err error) {
		if lives, err := sessions.Lives(tx, ana.ID, unheard); err != nil || !lives {
			t.Errorf("a standby that has not heard of a session speaks against it: %v", err)
		}
		if now, err = sessions.End(tx, ana.ID, unheard, s.clock.Now().Add(time.Hour), "signed-out"); err != nil {
			return err
		}
		epoch, err := accounts.SetStatus(tx, ben.ID, accounts.Disabled)
		if err != nil {
			return err
		}
		r, _, err := sessions.EndAll(tx, ben.ID, epoch, 12*time.Hour, "disabled")
		accountWide = &r
		return err
	}))
	if now == nil || now.Subject != string(unheard) || accountWide.Epoch < 100 {
		t.Fatalf("the node did not deny: %+v %+v", now, accountWide)
	}
	must(t, s.alone.Essential(t.Context(), func(tx *store.Tx) error {
		if lives, err := sessions.Lives(tx, ana.ID, unheard); err != nil || lives {
			t.Errorf("the session lives on where it was ended: %v", err)
		}
		if r, err := sessions.End(tx, ana.ID, unheard, s.clock.Now().Add(time.Hour), "signed-out"); err != nil || r != nil {
			t.Errorf("ended twice: %+v %v", r, err)
		}
		return nil
	}))
	s.back()
	for name, session := range map[string]id.Session{"ana's": unheard, "ben's first": kept, "ben's second": bens} {
		if lives, revoked := s.lives(session); lives || !revoked {
			t.Errorf("%s session: lives %v, revoked %v", name, lives, revoked)
		}
	}
	s.do(func(tx *store.Tx) error {
		a, _, err := accounts.ByID(tx, ben.ID)
		if a.Status != accounts.Disabled || a.Epoch < accountWide.Epoch {
			t.Errorf("the primary has %s, epoch %d", a.Status, a.Epoch)
		}
		return err
	})
	if all := s.conflicts(); len(all) != 0 {
		t.Errorf("a denial is no conflict: %+v", all)
	}
}

func TestOneNodeSignsInWhomAnotherThatItCannotHearDisabled(t *testing.T) {
	s := newSite(t)
	ana := s.person("ana@quay.example", access.Bookkeeper)
	other := s.second()
	s.dark()
	other.dark()
	session := s.signsIn(s.alone, ana, ana.code(7))
	must(t, other.alone.Essential(t.Context(), func(tx *store.Tx) error {
		epoch, err := accounts.SetStatus(tx, ana.ID, accounts.Disabled)
		if err == nil {
			_, _, err = sessions.EndAll(tx, ana.ID, epoch, 12*time.Hour, "disabled")
		}
		return err
	}))
	s.back() // the sign-in is handed over first: nothing speaks against it yet
	if lives, _ := s.lives(session); !lives {
		t.Fatal("ended too early")
	}
	other.back()
	if lives, revoked := s.lives(session); lives || !revoked {
		t.Errorf("lives %v, revoked %v", lives, revoked)
	}
	if all := s.conflicts(); len(all) != 1 || all[0].Rule != rejoin.KeptOut || all[0].Session != session {
		t.Errorf("the conflicts are %+v", all)
	}
	if got := s.mails(); !slices.Contains(got, "notice.signin-undone ana@quay.example") {
		t.Errorf("the mails are %v", got)
	}
}

// second is another node of the same site, whose way can be cut too.
func (s *site) second() *site {
	s.t.Helper()
	o := *s
	o.handed, o.met = nil, nil
	o.wire = storetest.NewWire(s.t, s.wire.Direct())
	o.alone = storetest.OpenEmpty(s.t, o.wire.DSN, func(opts *store.Options) {
		opts.Now, opts.Node = s.clock.Now, thereNode
		opts.Standby = &store.StandbyOptions{Dir: s.t.TempDir(), Keys: s.keys, Wait: 20 * time.Second}
	})
	return &o
}

func TestAHandOverIsNotedOnceAnHourAndNode(t *testing.T) {
	s := newSite(t)
	ana := s.person("ana@quay.example", access.Bookkeeper)
	s.dark()
	for step := range int64(3) {
		s.signsIn(s.alone, ana, ana.code(step+1))
	}
	s.clock.Forward(time.Hour)
	s.signsIn(s.alone, ana, ana.code(9))
	s.back()
	var hours []string
	s.do(func(tx *store.Tx) error {
		all, err := s.log.After(tx, 0, 100)
		for _, e := range all {
			if e.Kind == events.StandbyHandedOver {
				hours = append(hours, e.Data["node"]+" "+e.Data["hour"])
			}
		}
		return err
	})
	if want := []string{string(aloneNode) + " 2026-11-21T09:00:00Z", string(aloneNode) + " 2026-11-21T10:00:00Z"}; !slices.Equal(hours, want) {
		t.Errorf("noted %v", hours)
	}
}

func TestAnEntryThatSaysNonsenseIsAnErrorAndNoPanic(t *testing.T) {
	s := newSite(t)
	for _, key := range []string{``, `{}`, `[]`, `[7]`, `["x"`, `[["x"]]`} {
		for _, table := range []string{"sessions", "revocations"} {
			e := store.Entry{ID: "e-" + key + table, Node: aloneNode, MadeAt: s.clock.Now(), Rows: []store.Image{{Table: table, Key: json.RawMessage(key)}}}
			err := s.primary.Do(t.Context(), func(tx *store.Tx) error { return s.rejoin.Settle(tx, e, nil) })
			if err == nil || !strings.Contains(err.Error(), "rejoin: a key") {
				t.Errorf("%s %s: %v", table, key, err)
			}
		}
	}
}

func TestTheReportPagesThroughEveryConflictOnce(t *testing.T) {
	s := newSite(t)
	ana := s.person("ana@quay.example", access.Bookkeeper)
	s.dark()
	for step := range int64(5) {
		s.signsIn(s.alone, ana, ana.code(step+1))
	}
	s.do(func(tx *store.Tx) error { _, err := accounts.SetStatus(tx, ana.ID, accounts.Disabled); return err })
	s.back()
	seen := map[string]bool{}
	s.do(func(tx *store.Tx) error {
		var last *rejoin.Conflict
		for {
			page, err := rejoin.Conflicts(tx, time.Time{}, last, 2)
			if err != nil || len(page) == 0 {
				return err
			}
			for _, c := range page {
				seen[c.ID] = true
			}
			last = &page[len(page)-1]
		}
	})
	if len(seen) != 5 {
		t.Errorf("%d of 5", len(seen))
	}
	report, err := rejoin.Read(t.Context(), s.primary, time.Time{})
	if err != nil || len(report.Conflicts) != 5 || report.ByRule()[rejoin.KeptOut] != 5 || len(report.Stretches) != 1 ||
		report.Stretches[0].Node != aloneNode || report.Stretches[0].Entries != 5 || report.Stretches[0].Rows < 15 {
		t.Errorf("%+v %v", report, err)
	}
}
