package authenticators

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"gatehouse/id"
	"gatehouse/proof"
	"gatehouse/seal"
	"gatehouse/store"
	"gatehouse/store/storetest"
)

// twoStores is a node with a standby at the end of a wire, and another node that
// always reaches the primary.
type twoStores struct {
	t     *testing.T
	clock *storetest.Clock
	wire  *storetest.Wire
	keys  *seal.Keys
	node  *store.Store // primary, or its standby while the wire is cut
	other *store.Store // primary
	dark  bool
	lost  map[string]bool // attempts that a hand-over undoes
}

func newTwoStores(t *testing.T) *twoStores {
	t.Helper()
	w := &twoStores{t: t, clock: storetest.NewClock(), keys: testKeys(t), lost: map[string]bool{}}
	dsn := storetest.Postgres(t)
	w.clock.Set(noon)
	w.other = storetest.Open(t, dsn, func(o *store.Options) { o.Now = w.clock.Now })
	w.wire = storetest.NewWire(t, dsn)
	w.node = storetest.OpenEmpty(t, w.wire.DSN, func(o *store.Options) {
		o.Now, o.Standby = w.clock.Now, &store.StandbyOptions{Dir: t.TempDir(), Keys: w.keys, Wait: 20 * time.Second}
	})
	w.must(w.node.SeenNow(t.Context()))
	w.followed()
	return w
}

func (w *twoStores) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// followed brings the standby up to date.
func (w *twoStores) followed() {
	w.t.Helper()
	w.must(errors.Join(w.node.Follow(w.t.Context(), nil), w.node.Follow(w.t.Context(), nil)))
}

func (w *twoStores) cut() {
	if !w.dark {
		w.followed()
		w.wire.Cut()
		w.dark = true
	}
}

// mend brings the primary back, and hands over what the standby decided.
func (w *twoStores) mend() {
	w.t.Helper()
	if !w.dark {
		return
	}
	w.wire.Mend()
	w.dark = false
	for end := time.Now().Add(20 * time.Second); ; {
		err := w.node.Follow(w.t.Context(), w.settle)
		if err == nil && w.node.State().Journal == 0 {
			break
		}
		if time.Now().After(end) {
			w.t.Fatalf("not handed over: %v", err)
		}
	}
	w.followed()
}

// settle notes whose code was used twice: package rejoin ends their session.
func (w *twoStores) settle(_ *store.Tx, _ store.Entry, found []store.Conflict) error {
	for _, c := range found {
		w.lost[c.Lost] = true
	}
	return nil
}

// typed shows a code to one of the stores, as flow does: it reads, checks without a
// transaction, and commits; what is refused with a hint is burnt.
func (w *twoStores) typed(s *store.Store, code string, by string, account id.Account) (proof.Proof, bool) {
	w.t.Helper()
	set := New(nil, w.keys)
	var kept Kept
	w.must(s.Essential(w.t.Context(), func(tx *store.Tx) (err error) {
		kept, err = LoadUsual(tx, w.keys, account)
		return err
	}))
	var v Verdict
	for _, m := range []proof.Method{proof.TOTP, proof.HOTP} {
		got, err := set.Check(w.t.Context(), m, kept, Shown{Secret: seal.Secret(code), Now: w.clock.Now()})
		w.must(err)
		if !v.OK && (got.OK || got.Told.Method != "") {
			v = got
		}
	}
	opened := false
	w.must(s.Essential(w.t.Context(), func(tx *store.Tx) (err error) {
		switch {
		case v.OK && v.Proof.Method == proof.HOTP:
			opened, err = AcceptHOTP(tx, v.Proof, by)
		case v.OK:
			opened, err = AcceptTOTP(tx, v.Proof, by)
		case v.Told.Method != "":
			err = BurnTOTP(tx, v.Told)
		}
		return err
	}))
	return v.Proof, opened
}

// TestNoSequenceOfInputsOpensTwiceOrGoesBack: whatever is typed in whatever order
// (right codes, old ones, ones of the future, two in a row, nonsense), whatever the
// clock does, on the primary and on a standby with hand-overs in between and with
// another node at work on the primary meanwhile: no code of a token opens twice,
// besides those that both sides of a cut gave away, and of those the hand-over undoes
// all but one; and no counter ever goes back.
func TestNoSequenceOfInputsOpensTwiceOrGoesBack(t *testing.T) {
	w := newTwoStores(t)
	run := 0
	rapid.Check(t, func(r *rapid.T) {
		w.mend()
		run++
		account := id.Account(fmt.Sprintf("0199f000-0000-7000-8000-%012d", run))
		button, clock := id.Authenticator(fmt.Sprintf("button-%06d", run)), id.Authenticator(fmt.Sprintf("clock-%07d", run))
		c, err := NewHOTP("Button", rfcSeed, HOTP{Token: "b", Algorithm: "SHA1", Digits: 6}, 0, noon)
		w.must(err)
		c.ID, c.Account = button, account
		app := Making{Algorithm: "SHA256", Digits: 8, Period: 30}.New("Clock", "MFRGGZDFMZTWQ2LKNNWG23TPOBYXE43U", noon)
		app.ID, app.Account, app.Token, app.LastStep = clock, account, "c", w.clock.Now().Unix()/30-5
		w.must(w.other.Do(t.Context(), func(tx *store.Tx) error {
			_, err := AddCredential(tx, w.keys, c)
			return errors.Join(err, AddTOTP(tx, w.keys, app))
		}))
		w.followed()
		spent := map[string][]string{} // authenticator and step → the attempts it opened for
		var highest int64
		presses := int64(0)
		var before []string
		if rapid.Bool().Draw(r, "begins in the dark") {
			w.cut()
		}
		for i := range rapid.IntRange(3, 12).Draw(r, "steps") {
			switch rapid.IntRange(0, 12).Draw(r, "do") {
			case 0:
				w.cut()
			case 1:
				w.mend()
			case 2:
				w.clock.Set(w.clock.Now().Add(time.Duration(rapid.IntRange(-40, 200).Draw(r, "clock")) * time.Second))
			case 3:
				presses += rapid.Int64Range(0, 40).Draw(r, "in a pocket")
			default:
				s := w.node
				if rapid.Bool().Draw(r, "elsewhere") {
					s = w.other
				}
				by := fmt.Sprintf("attempt-%d-%d", run, i)
				p, opened := w.typed(s, drawCode(t, r, &presses, &before, app, w.clock.Now()), by, account)
				if !opened {
					continue
				}
				key := fmt.Sprint(p.Authenticator, " ", p.Step)
				spent[key] = append(spent[key], by)
				if p.Pair {
					key = fmt.Sprint(p.Authenticator, " ", p.Step-1)
					spent[key] = append(spent[key], by)
				}
			}
			highest = w.neverBack(r, account, highest)
		}
		w.mend()
		w.neverBack(r, account, highest)
		for code, attempts := range spent {
			if kept := slices.DeleteFunc(attempts, func(by string) bool { return w.lost[by] }); len(kept) > 1 {
				r.Fatalf("%s opened for %q", code, kept)
			}
		}
	})
}

// drawCode is something that somebody might type: often what was typed before, or
// one of two codes that were.
func drawCode(t *testing.T, r *rapid.T, presses *int64, before *[]string, app TOTP, now time.Time) string {
	if len(*before) > 0 && rapid.IntRange(0, 2).Draw(r, "again") == 0 {
		code := rapid.SampledFrom(*before).Draw(r, "which")
		if n := len(code); n >= 12 && rapid.Bool().Draw(r, "half") {
			half := rapid.IntRange(0, 1).Draw(r, "which half") * n / 2
			code = code[half : half+n/2]
		}
		return code
	}
	code := newCode(t, r, presses, app, now)
	*before = append(*before, code)
	return code
}

func newCode(t *testing.T, r *rapid.T, presses *int64, app TOTP, now time.Time) string {
	near := max(0, *presses+rapid.Int64Range(-3, 11).Draw(r, "counter"))
	step := now.Unix()/30 + rapid.Int64Range(-12, 12).Draw(r, "step")
	switch rapid.IntRange(0, 4).Draw(r, "type") {
	case 0:
		*presses = max(*presses, near+1)
		return pressed(t, near)
	case 1:
		*presses = max(*presses, near+2)
		return pressed(t, near) + pressed(t, near+1)
	case 2:
		return codeOf(t, app, step)
	case 3:
		return codeOf(t, app, step) + codeOf(t, app, step+1)
	}
	return rapid.StringMatching(`[0-9]{6,8}`).Draw(r, "nonsense")
}

// neverBack reads the counter on the primary, which only ever grows.
func (w *twoStores) neverBack(r *rapid.T, account id.Account, highest int64) int64 {
	var kept Kept
	w.must(w.other.Do(w.t.Context(), func(tx *store.Tx) (err error) {
		kept, err = LoadUsual(tx, w.keys, account)
		return err
	}))
	at := kept.Credentials[0].Counter
	if at < highest {
		r.Fatalf("the counter went from %d back to %d", highest, at)
	}
	return at
}
