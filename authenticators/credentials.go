package authenticators

import (
	"database/sql"
	"encoding/json"
	"slices"
	"time"

	"gatehouse/id"
	"gatehouse/proof"
	"gatehouse/seal"
	"gatehouse/store"
)

// Kind is a kind of second authenticator.
type Kind string

// The kinds. All but KindApp stand in one table.
const (
	KindApp        Kind = "app"        // TOTP: an authenticator app, or a token with a clock (table totp)
	KindPasskey    Kind = "passkey"    // WebAuthn
	KindPush       Kind = "push"       // a device with Gatehouse Verify
	KindHOTP       Kind = "hotp"       // a token with a button
	KindPhone      Kind = "phone"      // text messages and calls
	KindRemembered Kind = "remembered" // a browser; never somebody's only second authenticator
)

// Why a credential opens nothing.
const (
	StateGood    = ""
	StateWaiting = "waiting" // added, and not proved yet
	StateCloned  = "cloned"  // its counter went back: somebody has a copy
	StateGone    = "gone"    // its push address is no more: it still answers while it is open
)

// Credential is a second authenticator of any kind but KindApp, as it is kept.
// What stands in Public and Secret is its kind's own affair.
type Credential struct {
	ID         id.Authenticator
	Account    id.Account
	Kind       Kind
	Name       string
	Handle     string          // unique over all accounts and kinds ("passkey:…"); "" for none
	Public     json.RawMessage // nothing secret
	Secret     seal.Secret     // "" for none
	Counter    int64           // only ever grows
	State      string
	UsableAt   time.Time // zero: at once
	ExpiresAt  time.Time // zero: never
	MadeAt     time.Time
	LastUsedAt time.Time // zero: never
	Version    int64
}

// Opens tells whether it may be used at a time.
func (c Credential) Opens(now time.Time) bool {
	return c.State == StateGood && !now.Before(c.UsableAt) && (c.ExpiresAt.IsZero() || now.Before(c.ExpiresAt))
}

// Answers tells whether it may be shown at a time: what opens, and a device whose
// push address is no more, which still answers while it is open.
func (c Credential) Answers(now time.Time) bool {
	if c.State == StateGone {
		c.State = StateGood
	}
	return c.Opens(now)
}

// Method is the method of a proof that a kind makes; for a phone the text message.
func (k Kind) Method() proof.Method {
	switch k {
	case KindApp:
		return proof.TOTP
	case KindPhone:
		return proof.SMS
	}
	return proof.Method(k)
}

// Without is what is kept, less one second authenticator.
func (k Kept) Without(a id.Authenticator) Kept {
	k.TOTP = slices.DeleteFunc(slices.Clone(k.TOTP), func(t TOTP) bool { return t.ID == a })
	k.Credentials = slices.DeleteFunc(slices.Clone(k.Credentials), func(c Credential) bool { return c.ID == a })
	return k
}

// Of lists the credentials of a kind, oldest first, those included that open
// nothing now.
func (k Kept) Of(kind Kind) []Credential {
	var all []Credential
	for _, c := range k.Credentials {
		if c.Kind == kind {
			all = append(all, c)
		}
	}
	return all
}

// Usable lists the credentials of a kind that open at a time.
func (k Kept) Usable(kind Kind, now time.Time) []Credential {
	return slices.DeleteFunc(k.Of(kind), func(c Credential) bool { return !c.Opens(now) })
}

// Seconds counts the second authenticators that open at a time: recovery codes
// and remembered browsers are none.
func (k Kept) Seconds(now time.Time) int {
	n := len(k.TOTP)
	for _, c := range k.Credentials {
		if c.Kind != KindRemembered && c.Opens(now) {
			n++
		}
	}
	return n
}

const credentialColumns = `id, account, kind, name, COALESCE(handle, ''), public, secret, counter, state, usable_at, expires_at, made_at, last_used_at, version`

func loadCredentials(tx *store.Tx, keys *seal.Keys, account id.Account) ([]Credential, error) {
	return credentials(tx, keys, `SELECT `+credentialColumns+` FROM credentials WHERE account = $1 ORDER BY made_at, id`, account)
}

// ByHandle finds a credential by what is shown to find it, e.g. "passkey:" and the
// credential id in base64url.
func ByHandle(tx *store.Tx, keys *seal.Keys, handle string) (Credential, bool, error) {
	all, err := credentials(tx, keys, `SELECT `+credentialColumns+` FROM credentials WHERE handle = $1`, handle)
	if err != nil || len(all) == 0 {
		return Credential{}, false, err
	}
	return all[0], true, nil
}

// CredentialByID reads one credential of an account.
func CredentialByID(tx *store.Tx, keys *seal.Keys, account id.Account, c id.Authenticator) (Credential, bool, error) {
	all, err := credentials(tx, keys, `SELECT `+credentialColumns+` FROM credentials WHERE account = $1 AND id = $2`, account, c)
	if err != nil || len(all) == 0 {
		return Credential{}, false, err
	}
	return all[0], true, nil
}

func credentials(tx *store.Tx, keys *seal.Keys, query string, args ...any) (all []Credential, err error) {
	rows, err := tx.Rows(query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var c Credential
		var public string
		var sealed []byte
		var usable, expires, made int64
		var used sql.NullInt64
		if err := rows.Scan(&c.ID, &c.Account, &c.Kind, &c.Name, &c.Handle, &public, &sealed, &c.Counter, &c.State,
			&usable, &expires, &made, &used, &c.Version); err != nil {
			return nil, err
		}
		c.Public, c.UsableAt, c.ExpiresAt = json.RawMessage(public), timeOrZero(usable), timeOrZero(expires)
		c.MadeAt, c.LastUsedAt = store.Time(made), timeOf(used)
		if len(sealed) > 0 {
			plain, err := keys.Open(credentialPlace(c.ID), sealed)
			if err != nil {
				return nil, err
			}
			c.Secret = seal.Secret(plain)
		}
		all = append(all, c)
	}
	return all, rows.Err()
}

func timeOrZero(micros int64) time.Time {
	if micros == 0 {
		return time.Time{}
	}
	return store.Time(micros)
}

func microsOrZero(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return store.Micros(t)
}

func credentialPlace(c id.Authenticator) seal.Place {
	return seal.Place{Table: "credentials", Row: string(c), Column: "secret"}
}

// AddCredential keeps a new credential. false: another has its handle already.
func AddCredential(tx *store.Tx, keys *seal.Keys, c Credential) (bool, error) {
	var sealed, handle any
	if c.Secret != "" {
		b, err := keys.Seal(credentialPlace(c.ID), []byte(c.Secret.Reveal()))
		if err != nil {
			return false, err
		}
		sealed = b
	}
	if c.Handle != "" {
		handle = c.Handle
	}
	public := string(c.Public)
	if public == "" {
		public = "{}"
	}
	return one(tx.Exec(`INSERT INTO credentials (id, account, kind, name, handle, public, secret, counter, state, usable_at, expires_at, made_at, last_used_at, version, node)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, NULL, 1, $13) ON CONFLICT DO NOTHING`,
		c.ID, c.Account, c.Kind, c.Name, handle, public, sealed, c.Counter, c.State, microsOrZero(c.UsableAt), microsOrZero(c.ExpiresAt),
		store.Micros(c.MadeAt), tx.Node()))
}

// MarkUsed notes that a credential opened something.
func MarkUsed(tx *store.Tx, c id.Authenticator) error {
	_, err := tx.Exec(`UPDATE credentials SET last_used_at = $2, version = version + 1, node = $3 WHERE id = $1`, c, store.Micros(tx.Now()), tx.Node())
	return err
}

// SetState says why a credential opens nothing from now on, or StateGood.
func SetState(tx *store.Tx, account id.Account, c id.Authenticator, state string) (bool, error) {
	return one(tx.Exec(`UPDATE credentials SET state = $3, version = version + 1, node = $4 WHERE account = $1 AND id = $2`, account, c, state, tx.Node()))
}

// Named is one second authenticator as its owner sees it, of any kind.
type Named struct {
	ID         id.Authenticator
	Kind       Kind
	Name       string
	MadeAt     time.Time
	LastUsedAt time.Time
}

// Named lists every second authenticator of an account by name, apps first.
// Remembered browsers stand in a list of their own (Remembered).
func (k Kept) Named() []Named {
	var all []Named
	for _, t := range k.TOTP {
		all = append(all, Named{t.ID, KindApp, t.Name, t.MadeAt, t.LastUsedAt})
	}
	for _, c := range k.Credentials {
		if c.Kind == KindRemembered {
			continue
		}
		all = append(all, Named{c.ID, c.Kind, c.Name, c.MadeAt, c.LastUsedAt})
	}
	return all
}
