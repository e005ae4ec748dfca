package flow

import (
	"crypto/rand"
	"testing"
	"time"

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

// outpost is a node with a standby whose way to the primary can be cut, and there,
// a node of the same installation that always reaches it.
type outpost struct {
	building
	there building
	wire  *storetest.Wire
}

func newOutpost(t *testing.T) outpost {
	t.Helper()
	dsn := storetest.Postgres(t)
	var clock *storetest.Clock
	now := func() time.Time {
		if clock == nil {
			return storetest.NewClock().Now()
		}
		return clock.Now()
	}
	there := build(t, storetest.Open(t, dsn, func(o *store.Options) { o.Now, o.Node = now, "0199f000-0000-7000-8000-00000000000b" }))
	clock = there.clock
	wire := storetest.NewWire(t, dsn)
	s := storetest.OpenEmpty(t, wire.DSN, func(o *store.Options) {
		o.Now, o.Standby = now, &store.StandbyOptions{Dir: t.TempDir(), Keys: there.Keys, Wait: 20 * time.Second}
	})
	f := *there.Flow
	f.Store, f.Sessions = s, &sessions.Checker{Keys: f.Keys, Policy: sessions.DefaultPolicy()}
	return outpost{building{&f, clock}, there, wire}
}

func (o outpost) follow(t *testing.T) {
	t.Helper()
	if err := o.Store.Follow(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
}

func (o outpost) dark(t *testing.T) {
	t.Helper()
	o.follow(t)
	o.wire.Cut()
}

func (o outpost) back(t *testing.T) {
	t.Helper()
	o.wire.Mend()
	for range 100 {
		if err := o.Store.Follow(t.Context(), nil); err == nil && o.Store.State().Tier == store.TierNone {
			break
		}
	}
	if s := o.Store.State(); s.Tier != store.TierNone || s.Journal+s.Parked != 0 {
		t.Fatalf("it did not hand over: %+v", s)
	}
}

func (o outpost) primary(t *testing.T, fn func(*store.Tx) error) {
	t.Helper()
	if err := o.there.Store.Do(t.Context(), fn); err != nil {
		t.Fatal(err)
	}
}

const quayMail = "alice@quay.example"

func (b building) signsIn(t *testing.T, email string, app authenticators.TOTP, who Who) (Outcome, error) {
	t.Helper()
	out, err := b.Submit(t.Context(), Input{Do: ShowPassword, Email: email, Secret: pw, Who: who})
	if err != nil {
		return out, err
	}
	return b.Submit(t.Context(), Input{Do: ShowCode, Attempt: out.Attempt, Secret: code(t, b, app), Who: who})
}

func TestASignInGoesOnOnTheStandbyAndSaysSo(t *testing.T) {
	o := newOutpost(t)
	account, app := o.person(t, quayMail, pw)
	o.follow(t)
	who := o.who()
	out := o.submit(t, Input{Do: ShowPassword, Email: quayMail, Secret: pw, Who: who})
	o.dark(t)
	wrong := o.submit(t, Input{Do: ShowCode, Attempt: out.Attempt, Secret: "000000", Who: who})
	if wrong.Refusal == nil || wrong.Refusal.Code != fault.WrongCode {
		t.Errorf("a wrong code: %+v", wrong.Refusal)
	}
	done := o.submit(t, Input{Do: ShowCode, Attempt: out.Attempt, Secret: code(t, o.building, app), Who: who})
	if done.Next != Done || !done.Session.Standby {
		t.Fatalf("%+v", done)
	}
	other := o.submit(t, Input{Do: ShowPassword, Email: quayMail, Secret: pw, Who: who})
	used := o.submit(t, Input{Do: ShowCode, Attempt: other.Attempt, Secret: code(t, o.building, app), Who: who})
	if used.Refusal == nil || used.Refusal.Code != fault.WrongCode {
		t.Errorf("a code that was used on the standby: %+v", used)
	}
	o.back(t)
	later := o.there.submit(t, Input{Do: ShowPassword, Email: quayMail, Secret: pw, Who: who})
	later = o.there.submit(t, Input{Do: ShowCode, Attempt: later.Attempt, Secret: code(t, o.building, app), Who: who})
	if later.Refusal == nil || later.Refusal.Code != fault.WrongCode {
		t.Errorf("a code that was used on the standby opened a door on the primary: %+v", later)
	}
	o.primary(t, func(tx *store.Tx) error {
		s, found, err := sessions.ByID(tx, o.Keys, done.Session.Session)
		if err != nil || !found || !s.Standby || s.Account != account {
			t.Errorf("%+v %v %v", s, found, err)
		}
		all, err := o.Log.ForAccount(tx, account, 0, 20)
		signIns := 0
		for _, e := range all {
			if e.Kind == events.SignedIn {
				signIns++
				if !e.Standby || e.Session != done.Session.Session {
					t.Errorf("%+v", e)
				}
			}
		}
		if signIns != 1 {
			t.Errorf("%d sign-ins recorded", signIns)
		}
		return err
	})
}

func TestADoubleSubmitAcrossTheFailOverOpensOneSession(t *testing.T) {
	for _, heard := range []bool{false, true} {
		o := newOutpost(t)
		account, app := o.person(t, quayMail, pw)
		who := o.who()
		out := o.submit(t, Input{Do: ShowPassword, Email: quayMail, Secret: pw, Who: who})
		o.follow(t)
		in := Input{Do: ShowCode, Attempt: out.Attempt, Secret: code(t, o.building, app), Who: who}
		first := o.there.submit(t, in) // committed on the primary; its answer never came
		if heard {
			o.follow(t)
		}
		o.wire.Cut()
		again := o.submit(t, in)
		if first.Next != Done || again.Next != Done || first.Session.Session != again.Session.Session {
			t.Errorf("heard of the first: %v; %s %s, then %s %s", heard, first.Next, first.Session.Session, again.Next, again.Session.Session)
		}
		o.back(t)
		o.primary(t, func(tx *store.Tx) error {
			live, err := sessions.Live(tx, o.Keys, account, 1, o.clock.Now(), time.Hour)
			if err != nil || len(live) != 1 {
				t.Errorf("heard of the first: %v; %d sessions, %v", heard, len(live), err)
			}
			all, err := o.Log.ForAccount(tx, account, 0, 50)
			n := 0
			for _, e := range all {
				if e.Kind == events.SignedIn {
					n++
				}
			}
			if n != 1 {
				t.Errorf("heard of the first: %v; %d sign-ins recorded", heard, n)
			}
			return err
		})
	}
}

func TestChangesWaitForThePrimaryWithASentence(t *testing.T) {
	o := newOutpost(t)
	account, app := o.person(t, quayMail, pw)
	who := o.who()
	token := accounts.NewToken(rand.Reader)
	o.primary(t, func(tx *store.Tx) error {
		return accounts.InsertLink(tx, accounts.Link{ID: id.New[id.Link](o.clock.Now(), rand.Reader), Kind: accounts.Reset, Account: account,
			Email: quayMail, Expires: o.clock.Now().Add(time.Hour)}, token)
	})
	at := func(step Step) string {
		a := o.begin(SignIn, Input{Who: who})
		a.Account, a.Email, a.At, a.LinkKind = account, quayMail, step, accounts.Enrol
		a.Enrolled = enrolment{ID: app.ID, Secret: app.Secret.Reveal(), Offers: access.Default().Enrols()}
		sealed, err := o.seal(a, who)
		if err != nil {
			t.Fatal(err)
		}
		return sealed
	}
	o.dark(t)
	for _, row := range []struct {
		name string
		in   Input
	}{
		{"choosing a password", Input{Do: ChoosePassword, Attempt: at(NewPassword), Secret: "nine herons over the weir 9"}},
		{"choosing a password that is not good", Input{Do: ChoosePassword, Attempt: at(NewPassword), Secret: "short"}},
		{"a wrong code of a new app", Input{Do: EnrolCode, Attempt: at(Enrol), Secret: "000000"}},
		{"keeping the codes", Input{Do: ConfirmCodes, Attempt: at(RecoveryCodes), Confirmed: true}},
		{"opening a link that is good", Input{Do: OpenLink, Link: token}},
		{"opening a link that is not ours", Input{Do: OpenLink, Link: "made up"}},
		{"another mail", Input{Do: ResendLink, Attempt: at(LinkSent)}},
		{"forgetting a password", Input{Do: ForgotPassword, Email: quayMail}},
		{"asking for tries", Input{Do: AskUnlock, Email: quayMail}},
	} {
		row.in.Who = who
		if out, err := o.Submit(t.Context(), row.in); fault.Of(err) != fault.Unavailable {
			t.Errorf("%s: %+v %v", row.name, out, err)
		}
	}
	if _, err := o.PeekLink(t.Context(), "made up"); fault.Of(err) != fault.Unavailable {
		t.Errorf("a standby calls a link spent: %v", err)
	}
	if s := o.Store.State(); s.Journal != 0 {
		t.Errorf("%d changes were made all the same", s.Journal)
	}
}

func TestAStandbyThatIsBehindAnAttemptSaysSoAndNeverWrong(t *testing.T) {
	const newer = "nine herons over the weir 9"
	for _, row := range []struct {
		name   string
		change func(*testing.T, outpost, id.Account, authenticators.TOTP) (seal.Secret, authenticators.TOTP) // after the standby last heard
		want   fault.Code
	}{
		{"nothing changed", func(_ *testing.T, _ outpost, _ id.Account, app authenticators.TOTP) (seal.Secret, authenticators.TOTP) {
			return pw, app
		}, ""},
		{"another password", func(t *testing.T, o outpost, a id.Account, app authenticators.TOTP) (seal.Secret, authenticators.TOTP) {
			hash, err := o.Auth.Hasher.Hash(t.Context(), a, newer)
			if err != nil {
				t.Fatal(err)
			}
			o.primary(t, func(tx *store.Tx) error {
				return authenticators.SetPassword(tx, a, authenticators.Password{ID: id.New[id.Authenticator](o.clock.Now(), rand.Reader), Hash: hash, MadeAt: o.clock.Now()}, 0)
			})
			return newer, app
		}, fault.Unavailable},
		{"another app, added as a person adds one", func(t *testing.T, o outpost, a id.Account, app authenticators.TOTP) (seal.Secret, authenticators.TOTP) {
			secret, err := authenticators.NewTOTPSecret(rand.Reader)
			if err != nil {
				t.Fatal(err)
			}
			second := authenticators.NewTOTP("Tablet", secret, o.clock.Now())
			second.ID, second.Account = id.New[id.Authenticator](o.clock.Now(), rand.Reader), a
			o.primary(t, func(tx *store.Tx) error {
				if err := authenticators.AddTOTP(tx, o.Keys, second); err != nil {
					return err
				}
				_, err := accounts.RaiseEpoch(tx, a)
				return err
			})
			return pw, second
		}, fault.Unavailable},
	} {
		t.Run(row.name, func(t *testing.T) {
			o := newOutpost(t)
			account, app := o.person(t, quayMail, pw)
			o.follow(t)
			password, app := row.change(t, o, account, app)
			who := o.who()
			out := o.submit(t, Input{Do: ShowPassword, Email: quayMail, Secret: password, Who: who})
			o.wire.Cut()
			out, err := o.Submit(t.Context(), Input{Do: ShowCode, Attempt: out.Attempt, Secret: code(t, o.building, app), Who: who})
			if fault.Of(err) != row.want || row.want == "" && out.Next != Done {
				t.Errorf("%+v %v", out, err)
			}
		})
	}
}

func TestSomebodyTheStandbyHasNotHeardOfIsNotRefusedHalfWay(t *testing.T) {
	o := newOutpost(t)
	o.follow(t)
	_, app := o.person(t, quayMail, pw)
	who := o.who()
	out := o.submit(t, Input{Do: ShowPassword, Email: quayMail, Secret: pw, Who: who})
	o.wire.Cut()
	if out, err := o.Submit(t.Context(), Input{Do: ShowCode, Attempt: out.Attempt, Secret: code(t, o.building, app), Who: who}); fault.Of(err) != fault.Unavailable {
		t.Errorf("%+v %v", out, err)
	}
}

func TestOnAnOldStandbyOnlyThoseGetInWhoLookAfterNobody(t *testing.T) {
	o := newOutpost(t)
	apps := map[string]authenticators.TOTP{}
	for email, role := range map[string]access.Role{"olga@quay.example": access.Owner, "sam@quay.example": access.SecurityAdmin, "ben@quay.example": access.Bookkeeper} {
		account, app := o.person(t, email, pw)
		apps[email] = app
		o.primary(t, func(tx *store.Tx) error {
			org, found, err := access.OrganisationByName(tx, "Quay")
			if err == nil && !found {
				org = access.Organisation{ID: id.New[id.Organisation](o.clock.Now(), rand.Reader), Name: "Quay"}
				err = access.AddOrganisation(tx, org)
			}
			if err != nil {
				return err
			}
			return access.Join(tx, org.ID, account, role)
		})
	}
	o.AdminAge = 2 * time.Hour
	o.dark(t)
	for _, row := range []struct {
		age    time.Duration
		admins fault.Code
	}{{time.Hour, ""}, {2*time.Hour + time.Minute, fault.Unavailable}} {
		o.clock.Forward(row.age)
		for email, app := range apps {
			want := row.admins
			if email == "ben@quay.example" {
				want = ""
			}
			out, err := o.signsIn(t, email, app, o.who())
			if fault.Of(err) != want || want == "" && out.Next != Done {
				t.Errorf("%s after %v: %+v %v", email, row.age, out, err)
			}
		}
	}
}

func TestAStandbyWritesNothingThatCanWait(t *testing.T) {
	o := newOutpost(t)
	account, app := o.person(t, quayMail, pw)
	older, err := authenticators.NewHasher(authenticators.HasherOptions{Keys: o.Keys, Parameters: authenticators.Parameters{MemoryKiB: 16, Time: 1, Threads: 1},
		Rand: rand.Reader, Now: o.clock.Now, Cores: 2})
	if err != nil {
		t.Fatal(err)
	}
	o.Auth = authenticators.New(older, o.Keys)
	o.dark(t)
	who := o.who()
	who.Zone = "Europe/Lisbon"
	if out, err := o.signsIn(t, quayMail, app, who); err != nil || out.Next != Done {
		t.Fatalf("%+v %v", out, err)
	}
	o.back(t)
	o.primary(t, func(tx *store.Tx) error {
		a, _, err := accounts.ByID(tx, account)
		if a.Zone != "" {
			t.Error("the standby kept a time zone")
		}
		all, err2 := o.Log.ForAccount(tx, account, 0, 50)
		for _, e := range all {
			if e.Kind == events.PasswordRehashed {
				t.Error("the standby renewed a hash")
			}
		}
		if err == nil {
			err = err2
		}
		return err
	})
}

// In the dark every write is a line of the journal, on the one disk there is: who
// guesses on after the limit must not be able to fill it.
func TestRefusedGuessesLeaveNothingInTheJournal(t *testing.T) {
	o := newOutpost(t)
	o.person(t, quayMail, pw)
	o.Limits.PerNetwork.Max = 8
	o.dark(t)
	for _, email := range []string{quayMail, "nobody@quay.example"} {
		in := Input{Do: ShowPassword, Email: email, Secret: "not this one", Who: o.who()}
		var before int64
		for guess := range 40 {
			if guess == 15 {
				before = o.Store.State().Journal
			}
			out, err := o.Submit(t.Context(), in)
			if err != nil || out.Refusal == nil {
				t.Fatalf("%+v %v", out, err)
			}
			if guess >= 15 && out.Refusal.Code != fault.TooManyTries {
				t.Fatalf("guess %d: %+v", guess, out.Refusal)
			}
		}
		if more := o.Store.State().Journal - before; more > 0 {
			t.Errorf("%s: %d entries for 25 refused guesses", email, more)
		}
	}
	o.back(t)
}
