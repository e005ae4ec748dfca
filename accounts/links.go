package accounts

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"io"
	"strings"
	"time"

	"gatehouse/id"
	"gatehouse/seal"
	"gatehouse/store"
)

// LinkKind says what a mailed link permits, and nothing else.
type LinkKind string

const (
	Invitation LinkKind = "invitation" // first password and first second authenticator
	Reset      LinkKind = "reset"      // a new password; the second authenticator stays
	Enrol      LinkKind = "enrol"      // a second authenticator, for someone who knows the password
	Unlock     LinkKind = "unlock"     // a budget of tries for this browser
	Address    LinkKind = "address"    // the address becomes the account's
)

// Life is how long a link of a kind is good for.
func (k LinkKind) Life() time.Duration {
	if k == Invitation {
		return 7 * 24 * time.Hour
	}
	return 30 * time.Minute
}

// Link is one mailed link. Its token is kept only as a hash.
type Link struct {
	ID      id.Link
	Kind    LinkKind
	Account id.Account
	Email   string // the address it was mailed to; it is good for no other
	Expires time.Time
	SpentBy string // the attempt or session that spent it, "" while unspent
}

// NewToken makes the secret of a link: 256 random bits, URL-safe.
func NewToken(random io.Reader) seal.Secret {
	var b [32]byte
	if _, err := io.ReadFull(random, b[:]); err != nil {
		panic("accounts: no randomness: " + err.Error())
	}
	return seal.Secret(base64.RawURLEncoding.EncodeToString(b[:]))
}

// InsertLink keeps a link. A newer link of the same kind for the same account
// puts the older ones out of use. Its id is fixed by the caller before the
// transaction, so that a retry writes the same link.
func InsertLink(tx *store.Tx, l Link, token seal.Secret) error {
	now := store.Micros(tx.Now())
	_, err := tx.Exec(`UPDATE links SET spent_at = $1, spent_by = 'replaced', version = version + 1, node = $2
		WHERE account = $3 AND kind = $4 AND spent_at IS NULL`, now, tx.Node(), l.Account, l.Kind)
	if err != nil {
		return err
	}
	_, err = tx.Exec(`INSERT INTO links (id, kind, account, email, token_hash, made_at, expires_at, version, node)
		VALUES ($1, $2, $3, $4, $5, $6, $7, 1, $8)`,
		l.ID, l.Kind, l.Account, l.Email, hashToken(token), now, store.Micros(l.Expires), tx.Node())
	return err
}

// FindLink returns the link of a token, spent or expired ones included.
func FindLink(tx *store.Tx, token seal.Secret) (Link, bool, error) {
	return oneLink(tx.Row(linkQuery+`token_hash = $1`, hashToken(token)))
}

// LinkByID returns a link by its id, spent or expired ones included.
func LinkByID(tx *store.Tx, link id.Link) (Link, bool, error) {
	return oneLink(tx.Row(linkQuery+`id = $1`, link))
}

const linkQuery = `SELECT id, kind, account, email, expires_at, COALESCE(spent_by, '') FROM links WHERE `

func oneLink(r store.Row) (Link, bool, error) {
	var l Link
	var expires int64
	err := r.Scan(&l.ID, &l.Kind, &l.Account, &l.Email, &expires, &l.SpentBy)
	if errors.Is(err, store.ErrNoRows) {
		return Link{}, false, nil
	}
	l.Expires = store.Time(expires)
	return l, err == nil, err
}

// Good tells whether a link still permits something at a moment: it is unspent
// (or spent by this same attempt), in time, and mailed to the account's address
// of today (an Address link names a new one).
func (l Link) Good(a Account, now time.Time, by string) bool {
	unspent := l.SpentBy == "" || by != "" && l.SpentBy == by
	sameAddress := l.Kind == Address || l.Email == a.EmailKey
	return unspent && now.Before(l.Expires) && l.Account == a.ID && sameAddress
}

// SpendLink uses a link up; false when somebody else did first. To spend it
// again by the same attempt is no second use.
func SpendLink(tx *store.Tx, link id.Link, by string) (bool, error) {
	n, err := tx.Exec(`UPDATE links SET spent_at = $1, spent_by = $2, version = version + 1, node = $3
		WHERE id = $4 AND (spent_at IS NULL OR spent_by = $2)`, store.Micros(tx.Now()), by, tx.Node(), link)
	return n == 1, err
}

// SpendLinks puts every unspent link of an account out of use.
func SpendLinks(tx *store.Tx, account id.Account, by string) error {
	_, err := tx.Exec(`UPDATE links SET spent_at = $1, spent_by = $2, version = version + 1, node = $3
		WHERE account = $4 AND spent_at IS NULL`, store.Micros(tx.Now()), by, tx.Node(), account)
	return err
}

// Tidy deletes links that ran out more than a day ago. It frees disk and decides
// nothing: a link that is not there is answered like one that is spent.
func Tidy(tx *store.Tx) error {
	_, err := tx.Exec(`DELETE FROM links WHERE expires_at < $1`, store.Micros(tx.Now().AddDate(0, 0, -1)))
	return err
}

func hashToken(token seal.Secret) string {
	h := sha256.Sum256([]byte(token.Reveal()))
	return hex.EncodeToString(h[:])
}

// LinkURL is the address that is mailed: under the configured origin only, never
// under one that a request names.
func LinkURL(origin string, token seal.Secret) string {
	return strings.TrimSuffix(origin, "/") + "/link/" + token.Reveal()
}

// Waiting tells whether a link of a kind is on its way or in a mailbox, unspent and
// good for a while yet.
func Waiting(tx *store.Tx, account id.Account, kind LinkKind, until time.Time) (bool, error) {
	var n int64
	err := tx.Row(`SELECT COUNT(*) FROM links WHERE account = $1 AND kind = $2 AND spent_at IS NULL AND expires_at > $3`,
		account, kind, store.Micros(until)).Scan(&n)
	return n > 0, err
}

// PendingAddress is the address that an account is about to be moved to, "" when
// no such link is unspent and in time.
func PendingAddress(tx *store.Tx, account id.Account) (string, error) {
	var email string
	err := tx.Row(`SELECT email FROM links WHERE account = $1 AND kind = $2 AND spent_at IS NULL AND expires_at > $3
		ORDER BY made_at DESC LIMIT 1`, account, Address, store.Micros(tx.Now())).Scan(&email)
	if errors.Is(err, store.ErrNoRows) {
		return "", nil
	}
	return email, err
}
