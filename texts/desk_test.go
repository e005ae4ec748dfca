package texts_test

import (
	"crypto/rand"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"gatehouse/authenticators"
	"gatehouse/events"
	"gatehouse/fault"
	"gatehouse/id"
	"gatehouse/limits"
	"gatehouse/outbox"
	"gatehouse/proof"
	"gatehouse/seal"
	"gatehouse/store"
	"gatehouse/store/storetest"
	"gatehouse/texts"
)

// office is a desk on a database, with a clock of its own.
type office struct {
	*texts.Desk
	t     testing.TB
	s     *store.Store
	clock *storetest.Clock
	keys  *seal.Keys
	log   *events.Log
}

func newOffice(t testing.TB, s *store.Store, clock *storetest.Clock, b texts.Budgets) office {
	dir := t.TempDir() + "/keys"
	if err := seal.InitKeys(dir); err != nil {
		t.Fatal(err)
	}
	keys, err := seal.LoadKeys(dir)
	if err != nil {
		t.Fatal(err)
	}
	log := events.New(keys, rand.Reader)
	rules := authenticators.NumberRules{Countries: []string{"PT", "ES"}}
	return office{&texts.Desk{Keys: keys, Log: log, Numbers: rules, Budgets: b}, t, s, clock, keys, log}
}

func each(t *testing.T, fn func(o office)) {
	t.Helper()
	clock := storetest.NewClock()
	storetest.EachWith(t, func(o *store.Options) { o.Now = clock.Now }, func(t *testing.T, s *store.Store) {
		fn(newOffice(t, s, clock, texts.DefaultBudgets()))
	})
}

func (o office) do(fn func(*store.Tx) error) {
	o.t.Helper()
	if err := o.s.Do(o.t.Context(), fn); err != nil {
		o.t.Fatal(err)
	}
}

// person is an account with a key, so that events about it can be written.
func (o office) person() id.Account {
	o.t.Helper()
	a := id.New[id.Account](o.clock.Now(), rand.Reader)
	o.do(func(tx *store.Tx) error { return o.log.Introduce(tx, a) })
	return a
}

// ask asks for a code; nil is taken.
func (o office) ask(account id.Account, number, country, network, attempt string) (message id.Message, why *fault.Refusal) {
	o.t.Helper()
	o.clock.Forward(time.Microsecond)
	message, code, err := authenticators.NewPhoneCode(o.clock.Now(), rand.Reader)
	if err != nil {
		o.t.Fatal(err)
	}
	o.do(func(tx *store.Tx) (err error) {
		why, err = o.Ask(tx, authenticators.Asking{ID: message, Code: code, Account: account, Credential: "c", Number: seal.Secret(number),
			Facts: authenticators.PhoneFacts{Country: country, Masked: "+351 ••• ••42"}, Way: proof.SMS, Attempt: attempt,
			Network: netip.MustParseAddr(network)})
		return err
	})
	return message, why
}

func TestACountryThatIsServedNoMoreIsSentNothing(t *testing.T) {
	each(t, func(o office) {
		if _, why := o.ask(o.person(), "+33612345678", "FR", "192.0.2.1", "a"); why == nil || why.Hint != authenticators.NumberCountry {
			o.t.Errorf("%+v", why)
		}
	})
}

func TestNeitherNumberNorCodeIsInALogOrAnEvent(t *testing.T) {
	each(t, func(o office) {
		a := o.person()
		for range 4 { // the last is refused
			o.ask(a, "+351912345642", "PT", "192.0.2.1", "a")
		}
		o.do(func(tx *store.Tx) error {
			all, err := o.log.ForAccount(tx, a, 0, 10)
			if len(all) != 4 || all[0].Kind != events.PhoneLimited || all[0].Data["scope"] != "text-person" || all[1].Personal["number"] != "+351 ••• ••42" {
				o.t.Errorf("%+v", all)
			}
			if text := fmt.Sprint(all); strings.Contains(text, "912345642") {
				o.t.Error(text)
			}
			return err
		})
	})
}

// The post of an office, with a provider that is told what to say.
func (o office) post(p texts.Provider) *texts.Post {
	return &texts.Post{Store: o.s, Log: o.log, Providers: []texts.Provider{p}, Product: "Harbour Books", Origin: "https://sign-in.example", Now: o.clock.Now,
		Slog: slog.New(slog.DiscardHandler)}
}

// take takes what is due out of the outbox.
func (o office) take() (all []outbox.Message) {
	o.t.Helper()
	o.do(func(tx *store.Tx) error {
		lanes, err := outbox.Take(tx, o.keys, o.clock.Now(), outbox.Wish{Channel: outbox.Texts, Lanes: 10, PerLane: 10, Backlog: 10})
		for _, lane := range lanes {
			all = append(all, lane...)
		}
		return err
	})
	return all
}

func (o office) state(a id.Account, attempt string) (state authenticators.TextState) {
	o.t.Helper()
	o.do(func(tx *store.Tx) (err error) {
		state, _, err = authenticators.StateOfText(tx, a, attempt)
		return err
	})
	return state
}

func TestOnlyTheNewestCodeIsSentAndItsHandOverIsNoted(t *testing.T) {
	each(t, func(o office) {
		a, p := o.person(), &told{name: "first"}
		o.ask(a, "+351912345642", "PT", "192.0.2.1", "attempt")
		newest, _ := o.ask(a, "+351912345642", "PT", "192.0.2.1", "attempt")
		post := o.post(p)
		for _, m := range o.take() {
			if class := post.Send(o.t.Context(), m); class != outbox.Done {
				o.t.Errorf("%s: %q", m.ID, class)
			}
			if sent := p.count() == 1; sent != (m.ID == newest) {
				o.t.Errorf("sent: %v, the newest: %v", sent, m.ID == newest)
			}
		}
		if got := o.state(a, "attempt"); got != authenticators.TextHanded {
			o.t.Errorf("%q", got)
		}
	})
}

func TestWhatNobodyTakesIsToldAsFailed(t *testing.T) {
	each(t, func(o office) {
		for _, c := range []struct {
			class outbox.Class
			want  authenticators.TextState
		}{{outbox.Refused, authenticators.TextFailed}, {outbox.Unreachable, authenticators.TextOnWay}, {outbox.NotAllowed, authenticators.TextOnWay}} {
			a := o.person()
			o.ask(a, fmt.Sprintf("+3519123456%02d", len(c.class)), "PT", "192.0.2.1", "attempt")
			for _, m := range o.take() {
				o.post(&told{class: c.class}).Send(o.t.Context(), m)
			}
			if got := o.state(a, "attempt"); got != c.want {
				o.t.Errorf("%q: %q", c.class, got)
			}
		}
	})
}

func TestWhatIsGivenUpIsRecordedAndToldAsFailed(t *testing.T) {
	each(t, func(o office) {
		a := o.person()
		message, _ := o.ask(a, "+351912345642", "PT", "192.0.2.1", "attempt")
		o.do(func(tx *store.Tx) error {
			return o.post(&told{}).GivenUp(tx, outbox.Past{ID: message, Kind: outbox.TextCode, Account: a, Tries: 3, Why: outbox.Expired})
		})
		if got := o.state(a, "attempt"); got != authenticators.TextFailed {
			o.t.Errorf("%q", got)
		}
		o.do(func(tx *store.Tx) error {
			all, err := o.log.ForAccount(tx, a, 0, 1)
			if len(all) != 1 || all[0].Kind != events.PhoneGivenUp || all[0].Data["error"] != "expired" {
				o.t.Errorf("%+v", all)
			}
			return err
		})
	})
}

// Whatever is asked for in whatever order: no budget lets more through than it says.
func TestNoOrderOfRequestsExceedsABudget(t *testing.T) {
	clock := storetest.NewClock()
	s := storetest.Open(t, storetest.SQLite(t), func(o *store.Options) { o.Now = clock.Now })
	b := texts.DefaultBudgets()
	for rule, most := range map[*limits.Rule]int{&b.Person: 2, &b.PersonDay: 4, &b.Number: 2, &b.NumberDay: 5, &b.Network: 4, &b.Country: 6, &b.CountryDay: 9, &b.Day: 11} {
		rule.Max = most
	}
	rapid.Check(t, func(r *rapid.T) {
		o := newOffice(t, s, clock, b)
		clock.Forward(48 * time.Hour) // what was spent before counts no more
		people := []id.Account{o.person(), o.person(), o.person()}
		spent := map[string][]time.Time{} // of a rule and whom it is for: when something was sent
		for range rapid.IntRange(5, 30).Draw(r, "requests") {
			person := rapid.SampledFrom(people).Draw(r, "person")
			country := rapid.SampledFrom([]string{"PT", "ES"}).Draw(r, "country")
			number := map[string]string{"PT": "+35191234564", "ES": "+3461234567"}[country] + fmt.Sprint(rapid.IntRange(0, 2).Draw(r, "number"))
			network := fmt.Sprint("192.0.2.", rapid.IntRange(1, 2).Draw(r, "network"))
			if _, why := o.ask(person, number, country, network, "a"); why != nil {
				clock.Forward(time.Duration(rapid.IntRange(0, 3600).Draw(r, "wait")) * time.Second)
				continue
			}
			now := clock.Now()
			for _, c := range []struct {
				rule limits.Rule
				of   string
			}{{b.Person, string(person)}, {b.PersonDay, string(person)}, {b.Number, number}, {b.NumberDay, number}, {b.Network, network},
				{b.Country, country}, {b.CountryDay, country}, {b.Day, ""}} {
				key := c.rule.Name + c.of
				spent[key] = append(spent[key], now)
				within := 0
				for _, at := range spent[key] {
					if now.Sub(at) < c.rule.Per {
						within++
					}
				}
				if within > c.rule.Max {
					r.Fatalf("%d of %d by %s", within, c.rule.Max, c.rule.Name)
				}
			}
			clock.Forward(time.Duration(rapid.IntRange(0, 600).Draw(r, "pause")) * time.Second)
		}
	})
}
