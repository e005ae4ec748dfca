package flow

import (
	"context"
	"encoding/json"
	"errors"
	"sync"
	"time"

	"gatehouse/accounts"
	"gatehouse/authenticators"
	"gatehouse/events"
	"gatehouse/fault"
	"gatehouse/id"
	"gatehouse/limits"
	"gatehouse/seal"
	"gatehouse/sessions"
	"gatehouse/store"
)

// Canary signs in on its node every few seconds, with a password and an
// authenticator app of its own: the one honest answer to "would a sign-in work
// now?". It takes the steps of a person, by the same code and statements, each
// in its own transaction, and every one of them is taken back: what is left of a
// sign-in is one row saying when it was, committed for real, because only a
// commit tells a database that writes from one that reads (docs/decisions/0016).
//
// Nobody else can use it. Its account's status lets in no flow but this one, its
// ticket has run out when it is made, and its session was never there.
type Canary struct {
	flow *Flow
	node id.Node
	who  Who

	mu    sync.Mutex
	shown *plumage  // what it shows; nil until it was read or made
	noted time.Time // when a standby last kept a line of it
}

// plumage is what a canary shows, sealed in its row.
type plumage struct {
	Password string `json:"p"`
	TOTP     string `json:"t"` // base32
}

// Trial is what a canary's sign-in came to.
type Trial struct {
	At      time.Time // when it ended
	Took    time.Duration
	Standby bool // the node's standby answered it
	Cause   Cause
	Err     error // what went wrong; nil when nothing did
}

// Cause says whose fault it is that a canary was not let in.
type Cause string

// The causes.
const (
	Well    Cause = ""        // it was let in
	Crowded Cause = "busy"    // too many ahead of it: people wait too, and get in
	Away    Cause = "away"    // no store answers: every node has that in common
	Refused Cause = "refused" // what is right was found wrong, here
	Broken  Cause = "broken"  // something of this node: its keys, its program
)

// NewCanary makes the canary of this node for a flow that people use.
func NewCanary(f *Flow) *Canary {
	node := f.Store.Node()
	plenty := func(name string) limits.Rule {
		return limits.Rule{Name: "canary-" + name, Max: 10_000, Per: time.Minute}
	}
	choose := f.Choose
	choose.Leaked, choose.Policy.MaxAge = nil, 0 // asks nobody outside, and never has to choose another
	own := &Flow{
		Store: f.Store, Keys: f.Keys, Log: f.Log, Auth: f.Auth, Choose: choose, Origin: f.Origin, Product: f.Product,
		Now: f.Now, Rand: f.Rand, Slog: f.Slog, Nudge: func() {}, rehearses: true,
		// A ticket that was over years before it was made opens on no node, whatever its clock.
		Sessions: &sessions.Checker{Keys: f.Keys, Policy: sessions.Policy{Absolute: -10 * 365 * 24 * time.Hour}},
		Limits: Limits{PerName: plenty("name"), PerDevice: plenty("device"), PerLink: plenty("link"), PerNetwork: plenty("network"),
			CodeName: plenty("code"), CodeDevice: plenty("code-device"), CodeMonth: plenty("code-month"), Change: plenty("change"),
			Mail: plenty("mail"), MailNet: plenty("mail-network")},
	}
	return &Canary{flow: own, node: node, who: Who{Device: id.Derive[id.Device](string(node), "canary"), Agent: "canary"}}
}

// lets tells whether this flow is one for an account: the canary's for canaries
// alone, every other for people.
func (f *Flow) lets(a accounts.Account) bool {
	if f.rehearses {
		return a.Status == accounts.Canary
	}
	return a.Status.MaySignIn()
}

// errRehearsed ends a transaction that went well and shall leave nothing.
var errRehearsed = errors.New("flow: rehearsed")

// essential is Store.Essential; what the canary does is taken back.
func (f *Flow) essential(ctx context.Context, fn func(*store.Tx) error) error {
	if !f.rehearses {
		return f.Store.Essential(ctx, fn)
	}
	err := f.Store.Essential(ctx, func(tx *store.Tx) error {
		if err := fn(tx); err != nil {
			return err
		}
		return errRehearsed
	})
	if errors.Is(err, errRehearsed) {
		return nil
	}
	return err
}

// Try signs in once. It takes as long as ctx lets it, and calls take turns.
func (c *Canary) Try(ctx context.Context) Trial {
	c.mu.Lock()
	defer c.mu.Unlock()
	begun := c.flow.Now()
	standby, err := c.once(ctx)
	var r *refusedError
	if errors.As(err, &r) { // another process of this node may have made it anew
		c.shown = nil
		standby, err = c.once(ctx)
	}
	if err != nil {
		c.shown = nil // to be read again
	}
	now := c.flow.Now()
	return Trial{At: now, Took: now.Sub(begun), Standby: standby, Cause: causeOf(err), Err: err}
}

// refusedError is a refusal of what is right.
type refusedError struct{ code fault.Code }

func (r *refusedError) Error() string {
	return "flow: the canary was refused: " + string(r.code)
}

func causeOf(err error) Cause {
	var r *refusedError
	switch {
	case err == nil:
		return Well
	case errors.As(err, &r):
		return Refused
	case fault.Of(err) == fault.Busy:
		return Crowded
	case fault.Of(err) == fault.Unavailable:
		return Away
	}
	return Broken
}

func (c *Canary) once(ctx context.Context) (standby bool, err error) {
	if c.shown == nil {
		if err := c.prepare(ctx); err != nil {
			return false, err
		}
	}
	attempt, err := c.signIn(ctx)
	if err != nil {
		return false, err
	}
	return c.note(ctx, attempt)
}

// signIn takes the two steps of a person.
func (c *Canary) signIn(ctx context.Context) (id.Attempt, error) {
	first, err := c.flow.showPassword(ctx, Input{Do: ShowPassword, Email: c.name(), Secret: seal.Secret(c.shown.Password), Who: c.who})
	if err := arrived(first, err, Code); err != nil {
		return "", err
	}
	code, err := c.code()
	if err != nil {
		return "", err
	}
	second, err := c.flow.showSecond(ctx, Input{Do: ShowCode, Attempt: first.Attempt, Secret: code, Who: c.who})
	return first.View.ID, arrived(second, err, Done)
}

func (c *Canary) code() (seal.Secret, error) {
	now := c.flow.Now()
	return authenticators.NewTOTP("", seal.Secret(c.shown.TOTP), now).CodeAt(now)
}

func arrived(out Outcome, err error, at Step) error {
	switch {
	case err != nil:
		return err
	case out.Refusal != nil:
		return &refusedError{out.Refusal.Code}
	case out.Next != at:
		return errors.New("flow: the canary was asked for " + string(out.Next))
	}
	return nil
}

// notedEvery is how often a standby keeps a line of its canary: its journal is
// read by people and handed over.
const notedEvery = 30 * time.Second

// note commits that the canary was let in.
func (c *Canary) note(ctx context.Context, attempt id.Attempt) (standby bool, err error) {
	due := c.flow.Now().Sub(c.noted) >= notedEvery
	err = c.flow.Store.Essential(ctx, func(tx *store.Tx) error {
		standby = tx.Standby()
		n, err := tx.Exec(`UPDATE canaries SET attempt = $1, at = $2, version = version + 1, node = $3 WHERE canary = $4`,
			attempt, store.Micros(tx.Now()), tx.Node(), c.node)
		switch {
		case err != nil:
			return err
		case n == 0:
			return &refusedError{fault.NotFound}
		case standby && !due:
			return errRehearsed
		}
		return nil
	})
	if errors.Is(err, errRehearsed) {
		return standby, nil
	}
	if err == nil {
		c.noted = c.flow.Now()
	}
	return standby, err
}

// name is what the canary types. It is no address, so nobody has it and no mail
// goes there; typed by somebody else it gets the answer of a wrong password.
func (c *Canary) name() string { return "canary " + string(c.node) }

func (c *Canary) place() seal.Place {
	return seal.Place{Table: "canaries", Row: string(c.node), Column: "secret"}
}

// prepare reads what the canary shows, and makes it where there is none.
func (c *Canary) prepare(ctx context.Context) error {
	var sealed []byte
	err := c.flow.Store.EssentialRead(ctx, func(tx *store.Tx) error {
		err := tx.Row(`SELECT secret FROM canaries WHERE canary = $1`, c.node).Scan(&sealed)
		if errors.Is(err, store.ErrNoRows) {
			sealed, err = nil, nil
		}
		return err
	})
	if err != nil {
		return err
	}
	if sealed == nil {
		return c.make(ctx)
	}
	plain, err := c.flow.Keys.Open(c.place(), sealed)
	if err != nil {
		return err
	}
	var s plumage
	if err := json.Unmarshal(plain, &s); err != nil {
		return err
	}
	c.shown = &s
	return nil
}

// make gives this node its canary, or an existing one other secrets.
func (c *Canary) make(ctx context.Context) error {
	f, now := c.flow, c.flow.Now()
	account := accounts.Account{ID: id.Derive[id.Account](string(c.node), "canary"), Email: c.name(), EmailKey: bounded(c.name()), Status: accounts.Canary}
	var s plumage
	for _, text := range []*string{&s.Password, &s.TOTP} {
		random, err := authenticators.NewTOTPSecret(f.Rand)
		if err != nil {
			return err
		}
		*text = random.Reveal()
	}
	hash, err := f.Auth.Hasher.Hash(ctx, account.ID, seal.Secret(s.Password))
	if err != nil {
		return err
	}
	password := authenticators.Password{ID: id.New[id.Authenticator](now, f.Rand), Hash: hash, MadeAt: now}
	app := authenticators.NewTOTP("canary", seal.Secret(s.TOTP), now)
	app.ID, app.Account = id.New[id.Authenticator](now, f.Rand), account.ID
	plain, err := json.Marshal(s)
	if err != nil {
		return err
	}
	sealed, err := f.Keys.Seal(c.place(), plain)
	if err != nil {
		return err
	}
	err = f.Store.Do(ctx, func(tx *store.Tx) error {
		return c.keep(tx, account, password, app, sealed)
	})
	if err == nil {
		c.shown = &s
	}
	return err
}

func (c *Canary) keep(tx *store.Tx, account accounts.Account, password authenticators.Password, app authenticators.TOTP, sealed []byte) error {
	f := c.flow
	if err := accounts.Insert(tx, account); err != nil && !errors.Is(err, accounts.ErrTaken) {
		return err
	}
	if err := f.Log.Introduce(tx, account.ID); err != nil {
		return err
	}
	if err := authenticators.SetPassword(tx, account.ID, password, 0); err != nil {
		return err
	}
	if _, err := authenticators.RemoveSecond(tx, f.Keys, account.ID); err != nil {
		return err
	}
	if err := authenticators.AddTOTP(tx, f.Keys, app); err != nil {
		return err
	}
	_, err := tx.Exec(`INSERT INTO canaries (canary, account, attempt, secret, at, version, node) VALUES ($1, $2, '', $3, $4, 1, $5)
		ON CONFLICT (canary) DO UPDATE SET account = excluded.account, secret = excluded.secret, at = excluded.at, version = canaries.version + 1, node = excluded.node`,
		c.node, account.ID, sealed, store.Micros(tx.Now()), tx.Node())
	if err != nil {
		return err
	}
	_, err = f.Log.Append(tx, events.Event{Kind: events.CanaryMade, Account: account.ID, Actor: events.System})
	return err
}
