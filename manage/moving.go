package manage

import (
	"context"
	"slices"
	"strings"
	"time"

	"gatehouse/authenticators"
	"gatehouse/events"
	"gatehouse/fault"
	"gatehouse/id"
	"gatehouse/outbox"
	"gatehouse/proof"
	"gatehouse/seal"
	"gatehouse/store"
)

// Moving is where somebody stands who changes to another app or phone. All of it
// is on the server, so that it can be left and gone on with anywhere: what is set
// up and what is taken off is what the account holds.
type Moving struct {
	Why     string // authenticators.MoveSwitch, …; "" when nothing is under way
	Since   time.Time
	Leaving []authenticators.Named // what is to be taken off, as far as it is there
	Arrived []authenticators.Named // what was added since; empty: the new one is to be set up
	Codes   bool                   // one of Arrived shows codes, so that one can be asked for
	secret  seal.Secret
}

// Moving reads where the caller stands.
func (m *Manage) Moving(ctx context.Context, c Caller) (Moving, error) {
	var at Moving
	err := m.Store.EssentialRead(ctx, func(tx *store.Tx) (err error) {
		at, _, err = m.moving(tx, c.Ticket.Account)
		return err
	})
	return at, err
}

func (m *Manage) moving(tx *store.Tx, account id.Account) (Moving, authenticators.Kept, error) {
	move, under, err := authenticators.MoveOf(tx, m.Keys, account)
	if err != nil || !under {
		return Moving{}, authenticators.Kept{}, err
	}
	kept, err := authenticators.LoadUsual(tx, m.Keys, account)
	at := Moving{Why: move.Why, Since: move.MadeAt, secret: move.Secret}
	for _, s := range kept.Named() {
		switch {
		case slices.Contains(move.Leaving, s.ID):
			at.Leaving = append(at.Leaving, s)
		case !s.MadeAt.Before(move.MadeAt) && kept.Without(s.ID).Seconds(tx.Now()) < kept.Seconds(tx.Now()): // a number on hold opens nothing yet
			at.Arrived = append(at.Arrived, s)
			at.Codes = at.Codes || s.Kind == authenticators.KindApp
		}
	}
	if len(at.Leaving) == 0 && len(at.Arrived) > 0 { // finished in another way
		return Moving{}, kept, err
	}
	return at, kept, err
}

// BeginMove begins to move away from some of the caller's second authenticators.
// A phone that was lost opens nothing from now on, unless nothing else would: then
// it goes at the moment the new one is there.
func (m *Manage) BeginMove(ctx context.Context, c Caller, why string, leaving []id.Authenticator) (Result, error) {
	if err := m.fresh(c); err != nil {
		return Result{}, err
	}
	secret, err := authenticators.NewTOTPSecret(m.Rand)
	if err != nil {
		return Result{}, err
	}
	move := authenticators.Move{Account: c.Ticket.Account, Why: why, Leaving: leaving, Secret: secret, MadeAt: m.Now()}
	if why == authenticators.MoveLost {
		return m.commit(ctx, c, "authenticator-changed", func(ch change) error { return m.beginLost(ch, move) })
	}
	if why != authenticators.MoveSwitch && why != authenticators.MovePhone {
		return Result{}, fault.New(fault.BadRequest, nil)
	}
	return Result{}, m.do(ctx, c, func(tx *store.Tx) error {
		ch, err := m.hold(tx, c, "")
		if err != nil {
			return err
		}
		if _, _, err := m.held(ch, leaving); err != nil {
			return err
		}
		return authenticators.KeepMove(tx, m.Keys, move)
	})
}

func (m *Manage) beginLost(ch change, move authenticators.Move) error {
	kept, gone, err := m.held(ch, move.Leaving)
	if err != nil {
		return err
	}
	rest := kept
	for _, s := range gone {
		rest = rest.Without(s.ID)
	}
	if rest.Seconds(ch.tx.Now()) > 0 {
		if err := m.takeOff(ch, gone, "lost"); err != nil {
			return err
		}
	}
	n, err := authenticators.ForgetRemembered(ch.tx, ch.account.ID, "")
	if err == nil && n > 0 {
		err = m.recordForgotten(ch, "lost-phone", authenticators.Credential{}, n)
	}
	if err != nil {
		return err
	}
	return authenticators.KeepMove(ch.tx, m.Keys, move)
}

// held makes sure that all that is to go is the caller's; fault.NotFound.
func (m *Manage) held(ch change, leaving []id.Authenticator) (authenticators.Kept, []authenticators.Named, error) {
	kept, err := authenticators.LoadUsual(ch.tx, m.Keys, ch.account.ID)
	if err != nil {
		return kept, nil, err
	}
	var all []authenticators.Named
	for _, s := range kept.Named() {
		if slices.Contains(leaving, s.ID) {
			all = append(all, s)
		}
	}
	if len(all) != len(leaving) || len(all) == 0 {
		return kept, nil, fault.New(fault.NotFound, nil)
	}
	return kept, all, nil
}

// takeOff removes second authenticators and tells their owner once.
func (m *Manage) takeOff(ch change, all []authenticators.Named, why string) error {
	var names []string
	kept, err := authenticators.LoadUsual(ch.tx, m.Keys, ch.account.ID)
	if err != nil {
		return err
	}
	for _, s := range all {
		if _, err := authenticators.Remove(ch.tx, ch.account.ID, s.ID); err != nil {
			return err
		}
		if err := m.tokenOff(ch.tx, kept, s.ID, string(ch.account.ID)); err != nil {
			return err
		}
		if err := phoneStopped(ch, kept, s.ID); err != nil {
			return err
		}
		err := m.recordWith(ch, events.AuthenticatorRemoved, map[string]string{"method": string(s.Kind.Method()), "authenticator": string(s.ID), "why": why},
			map[string]string{"name": s.Name})
		if err != nil {
			return err
		}
		names = append(names, s.Name)
	}
	if len(all) == 0 {
		return nil
	}
	return m.tell(ch, outbox.AuthenticatorRemoved, outbox.Label, strings.Join(names, ", "))
}

// MoveApp is the app that a move offers: the same however often its page is drawn.
// fault.AttemptExpired when none is offered now.
func (m *Manage) MoveApp(ctx context.Context, c Caller) (secret, uri seal.Secret, err error) {
	if err := m.fresh(c); err != nil {
		return "", "", err
	}
	at, err := m.Moving(ctx, c)
	if err != nil {
		return "", "", err
	}
	if at.secret == "" {
		return "", "", fault.New(fault.AttemptExpired, nil)
	}
	o, err := m.Overview(ctx, c)
	return at.secret, m.Apps.New("", at.secret, m.Now()).KeyURI(m.Product, o.Account.Email), err
}

// ArriveMove adds the app of a move once a code of it is right. The old ones go on
// working, but for those of a phone that was lost.
func (m *Manage) ArriveMove(ctx context.Context, c Caller, code seal.Secret, name string) (Result, error) {
	secret, _, err := m.MoveApp(ctx, c)
	if err != nil {
		return Result{}, err
	}
	if why, err := m.pay(ctx, c); err != nil || why != nil {
		return Result{Refusal: why}, err
	}
	now := m.Now()
	step, drift, ok, hint := m.Apps.New("", secret, now).CheckNew(code, now)
	if !ok {
		return m.moveRefused(ctx, c, hint)
	}
	t := m.Apps.New(authenticators.AppName(name), secret, now)
	t.ID, t.Account, t.LastStep, t.Drift = id.Derive[id.Authenticator](string(c.Ticket.Account), secret.Reveal()), c.Ticket.Account, step, drift
	return m.commit(ctx, c, "authenticator-changed", func(ch change) error {
		move, under, err := authenticators.MoveOf(ch.tx, m.Keys, ch.account.ID)
		if err != nil || !under || move.Secret != secret {
			return orCode(err, fault.AttemptExpired)
		}
		if t.Name, err = m.ownName(ch, authenticators.AppName(name), t.ID); err != nil {
			return err
		}
		if err := authenticators.AddTOTP(ch.tx, m.Keys, t); err != nil {
			return err
		}
		if err := m.added(ch, authenticators.Named{ID: t.ID, Kind: authenticators.KindApp, Name: t.Name}); err != nil {
			return err
		}
		return m.arrived(ch, move)
	})
}

// arrived keeps a move whose app is there, or ends that of a phone that was lost.
func (m *Manage) arrived(ch change, move authenticators.Move) error {
	if move.Why != authenticators.MoveLost {
		move.Secret = ""
		return authenticators.KeepMove(ch.tx, m.Keys, move)
	}
	at, _, err := m.moving(ch.tx, ch.account.ID)
	if err != nil {
		return err
	}
	if err := m.takeOff(ch, at.Leaving, "lost"); err != nil {
		return err
	}
	return authenticators.EndMove(ch.tx, ch.account.ID)
}

func (m *Manage) moveRefused(ctx context.Context, c Caller, hint authenticators.Hint) (Result, error) {
	err := m.recordRefused(ctx, c, events.CodeRefused, map[string]string{"reason": "wrong", "method": string(proof.TOTP), "purpose": "enrol"})
	return Result{Refusal: &fault.Refusal{Code: fault.WrongCode, Hint: hint.Key, HintFields: hint.Fields()}}, err
}

// HintOldApp says that a code is of the app that is about to go.
const HintOldApp = "moving.code-old"

// FinishMove takes off what the caller moves away from, after a code of what has
// arrived shows that it signs in. Whatever arrived without codes needs none.
func (m *Manage) FinishMove(ctx context.Context, c Caller, code seal.Secret) (Result, error) {
	if err := m.fresh(c); err != nil {
		return Result{}, err
	}
	answer, why, err := m.payGuess(ctx, c)
	if err != nil || why != nil {
		return Result{Refusal: why}, err
	}
	var hint authenticators.Hint
	res, err := m.commit(ctx, c, "authenticator-changed", func(ch change) error {
		at, kept, err := m.moving(ch.tx, ch.account.ID)
		if err != nil || len(at.Arrived) == 0 {
			return orCode(err, fault.AttemptExpired)
		}
		if at.Codes {
			if hint, err = showsArrived(ch, at, kept, code, m.Now()); err != nil {
				return err
			}
		}
		if err := m.takeOff(ch, at.Leaving, "moved"); err != nil {
			return err
		}
		return authenticators.EndMove(ch.tx, ch.account.ID)
	})
	if fault.Of(err) == fault.WrongCode {
		return m.moveRefused(ctx, c, hint)
	}
	if err == nil {
		m.giveBack(ctx, answer.Spent)
	}
	return res, err
}

// showsArrived uses up a code of one of the apps that have arrived; fault.WrongCode.
func showsArrived(ch change, at Moving, kept authenticators.Kept, code seal.Secret, now time.Time) (authenticators.Hint, error) {
	arrived, leaving := kept, kept
	for _, s := range kept.Named() {
		if !slices.ContainsFunc(at.Arrived, func(a authenticators.Named) bool { return a.ID == s.ID }) {
			arrived = arrived.Without(s.ID)
		}
		if !slices.ContainsFunc(at.Leaving, func(l authenticators.Named) bool { return l.ID == s.ID }) {
			leaving = leaving.Without(s.ID)
		}
	}
	v := arrived.CheckTOTP(code, now)
	if v.OK {
		used, err := authenticators.AcceptTOTP(ch.tx, v.Proof, string(ch.caller.Ticket.Session))
		if err != nil || used {
			return authenticators.Hint{}, err
		}
		v.Hint = authenticators.Hint{Key: authenticators.HintUsed}
	}
	if _, old := leaving.TOTPByCode(code, now); old && v.Hint.Key == "" {
		v.Hint = authenticators.Hint{Key: HintOldApp}
	}
	return v.Hint, fault.New(fault.WrongCode, nil)
}

// StopMove keeps everything as it is: old and new go on working.
func (m *Manage) StopMove(ctx context.Context, c Caller) error {
	return m.do(ctx, c, func(tx *store.Tx) error {
		ch, err := m.hold(tx, c, "")
		if err != nil {
			return err
		}
		return authenticators.EndMove(tx, ch.account.ID)
	})
}
