package audit

import (
	"time"

	"gatehouse/accounts"
	"gatehouse/authenticators"
	"gatehouse/events"
	"gatehouse/id"
	"gatehouse/limits"
	"gatehouse/outbox"
	"gatehouse/proof"
	"gatehouse/sessions"
	"gatehouse/store"
)

// picture is all that is known of one account, from one unchanging view.
type picture struct {
	r        *run
	now      time.Time
	there    bool // false: the account went away meanwhile
	account  accounts.Account
	key      events.KeyState
	log      []events.Event // younger than memory, oldest first
	sessions []sessions.Session
	revoked  map[id.Session]bool  // sessions with a revocation of their own
	epoch    int64                // sessions of an earlier one are revoked; 0 when nothing says so
	steps    []authenticators.Use // of the apps it holds
	codes    []authenticators.Use // of the recovery codes it holds
	set      id.Authenticator     // … and their set, "" for none
	setMade  time.Time
	apps     []id.Authenticator // it holds
	mails    []outbox.Put
	spent    spent
}

// spent are the tries that count for an account now.
type spent struct {
	passwords, codes []time.Time
	over             []string // rules of which more than the limit count
}

func (r *run) gather(tx *store.Tx, account id.Account) (p *picture, err error) {
	p = &picture{r: r, now: tx.Now(), revoked: map[id.Session]bool{}}
	if p.account, p.there, err = accounts.ByID(tx, account); err != nil || !p.there {
		return p, err
	}
	for _, part := range []func(*store.Tx) error{p.readLog, p.readSessions, p.readCodes, p.readTries} {
		if err := part(tx); err != nil {
			return p, err
		}
	}
	p.key, err = r.Log.KeyOf(tx, account)
	return p, err
}

func (p *picture) readLog(tx *store.Tx) error {
	before := int64(0)
	for {
		all, err := p.r.Log.ForAccount(tx, p.account.ID, before, page)
		if err != nil {
			return err
		}
		for _, e := range all {
			if e.MadeAt.After(p.r.from) {
				p.log = append(p.log, e)
			}
		}
		if len(all) < page || all[len(all)-1].MadeAt.Before(p.r.from.Add(-lateBy)) {
			return nil
		}
		before = all[len(all)-1].Position
	}
}

// lateBy is how much later than it was made an event may have arrived: what a
// standby recorded is handed over when the primary is back.
const lateBy = 8 * 24 * time.Hour

func (p *picture) readSessions(tx *store.Tx) (err error) {
	if p.sessions, err = sessions.Of(tx, p.r.Keys, p.account.ID); err != nil {
		return err
	}
	r, found, err := sessions.RevocationOf(tx, sessions.OfAccount, string(p.account.ID))
	if err != nil {
		return err
	}
	if found {
		p.epoch = r.Epoch
	}
	for _, s := range p.sessions {
		if _, p.revoked[s.ID], err = sessions.RevocationOf(tx, sessions.OfSession, string(s.ID)); err != nil {
			return err
		}
	}
	return nil
}

func (p *picture) readCodes(tx *store.Tx) (err error) {
	if p.steps, err = authenticators.StepsUsed(tx, p.account.ID, p.r.from); err != nil {
		return err
	}
	if p.codes, err = authenticators.CodesUsed(tx, p.account.ID); err != nil {
		return err
	}
	kept, err := authenticators.Load(tx, p.r.Keys, p.account.ID)
	for _, app := range kept.TOTP {
		p.apps = append(p.apps, app.ID)
	}
	for _, c := range append(kept.Of(authenticators.KindHOTP), kept.Of(authenticators.KindPasskey)...) {
		p.apps = append(p.apps, c.ID)
	}
	if err == nil && kept.Recovery != nil {
		p.set, p.setMade = kept.Recovery.ID, kept.Recovery.MadeAt
	}
	return err
}

// readTries reads the tries that can be named again: by address and id, on the
// devices and for the links that the log or the device list knows.
func (p *picture) readTries(tx *store.Tx) error {
	devices, err := sessions.Devices(tx, p.account.ID)
	if err != nil {
		return err
	}
	for _, e := range p.log {
		if d := id.Device(e.Personal["device"]); d != "" {
			devices = append(devices, d)
		}
	}
	of := string(p.account.ID)
	passwords := []limits.Subject{{Rule: p.r.Name, Of: p.account.EmailKey}}
	codes := []limits.Subject{{Rule: p.r.Code, Of: of}}
	for _, d := range distinct(devices) {
		passwords = append(passwords, limits.Subject{Rule: p.r.Device, Of: string(d) + "/" + p.account.EmailKey})
		codes = append(codes, limits.Subject{Rule: p.r.CodeDevice, Of: string(d) + "/" + of})
	}
	for _, l := range p.links() {
		passwords = append(passwords, limits.Subject{Rule: p.r.Link, Of: l})
		codes = append(codes, limits.Subject{Rule: p.r.Link, Of: "code/" + l})
	}
	if p.spent.passwords, err = p.tries(tx, passwords); err != nil {
		return err
	}
	p.spent.codes, err = p.tries(tx, codes)
	return err
}

func (p *picture) tries(tx *store.Tx, of []limits.Subject) (all []time.Time, err error) {
	for _, s := range of {
		some, err := limits.Spent(tx, s)
		if err != nil {
			return nil, err
		}
		if len(some) > s.Rule.Max {
			p.spent.over = append(p.spent.over, s.Rule.Name)
		}
		all = append(all, some...)
	}
	return all, nil
}

func (p *picture) links() (all []string) {
	for _, e := range p.log {
		if l := e.Data["link"]; l != "" && e.Kind == events.LinkOpened {
			all = append(all, l)
		}
	}
	return distinct(all)
}

func distinct[T comparable](all []T) []T {
	seen := map[T]bool{}
	var kept []T
	for _, v := range all {
		if !seen[v] {
			seen[v] = true
			kept = append(kept, v)
		}
	}
	return kept
}

// codesOf are the one-time codes among a session's proofs, and the counts of
// passkeys that count.
func codesOf(s sessions.Session) (all []proof.Proof) {
	for _, f := range s.Proofs {
		if f.Method == proof.TOTP || f.Method == proof.HOTP || f.Method == proof.RecoveryCode || f.Method == proof.Passkey && f.Step > 0 {
			all = append(all, f)
		}
	}
	return all
}
