package authenticators

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/x509"
	"database/sql"
	"encoding/base64"
	"encoding/json"
	"errors"
	"math/big"
	"strings"
	"time"

	"gatehouse/id"
	"gatehouse/proof"
	"gatehouse/seal"
	"gatehouse/store"
)

// A question to Gatehouse Verify (SP 800-63B-4 §3.1.3, out-of-band): what is asked
// is sealed with the two digits that the sign-in page shows, and what a device
// answers is signed over the exact text it was shown. Both are kept, so that
// afterwards anybody with the keys can see who approved what.

// ApprovalState is how a question stands.
type ApprovalState string

// The states. Each but ApprovalOpen is an end.
const (
	ApprovalOpen     ApprovalState = "open"
	ApprovalApproved ApprovalState = "approved"
	ApprovalDenied   ApprovalState = "denied"
	ApprovalWrong    ApprovalState = "wrong"    // other digits than the page showed
	ApprovalReported ApprovalState = "reported" // denied, and it was somebody else
	ApprovalExpired  ApprovalState = "expired"
)

// ApprovalKind says what a question is about.
type ApprovalKind string

// The kinds.
const (
	AskSignIn ApprovalKind = "signin"
	AskFresh  ApprovalKind = "fresh"
	AskAction ApprovalKind = "action" // of an application that relies on us
)

// Approval is one question.
type Approval struct {
	ID         id.Approval
	Account    id.Account
	Kind       ApprovalKind
	Attempt    string // the attempt it belongs to; of an action the application's own name for it
	Shown      string // JSON, byte for byte as devices get it; nothing in it is secret from its owner
	Digits     string // what the sign-in page shows and the person types; "" where none are asked for
	State      ApprovalState
	MadeAt     time.Time
	ExpiresAt  time.Time
	AnsweredAt time.Time        // zero: not yet
	Credential id.Authenticator // the device that answered
	Signed     Signed           // what it signed
	UsedBy     string           // the attempt that went in with it
	UsedAt     time.Time
}

// StateAt is the state at a time: nobody closes a question at its very end.
func (a Approval) StateAt(now time.Time) ApprovalState {
	if a.State == ApprovalOpen && !now.Before(a.ExpiresAt) {
		return ApprovalExpired
	}
	return a.State
}

// Signed is an answer as a device signed it.
type Signed struct {
	Answer    string `json:"answer"` // approve, deny, report
	Digits    string `json:"digits"`
	Time      string `json:"time"`      // the server's own, as it was told with the question: a phone's clock may say anything
	Key       string `json:"key"`       // SubjectPublicKeyInfo, base64url: the device may be gone when somebody asks
	Signature string `json:"signature"` // ECDSA P-256 with SHA-256 over Text, r and s, base64url
}

// What a device says about a question.
const (
	SayApprove = "approve"
	SayDeny    = "deny"
	SayReport  = "report" // no, and it was not me
)

// Makes is what an answer makes of a question that shows these digits, "" for none.
func (s Signed) Makes(digits string) ApprovalState {
	switch {
	case s.Answer == SayReport:
		return ApprovalReported
	case s.Answer != SayApprove:
		return ApprovalDenied
	case s.Digits != digits:
		return ApprovalWrong
	}
	return ApprovalApproved
}

// Text is what is signed: every line is something that must not be exchanged.
func (s Signed) Text(question id.Approval, shown string) string {
	sum := sha256.Sum256([]byte(shown))
	return strings.Join([]string{"gatehouse approval 1", string(question), base64.RawURLEncoding.EncodeToString(sum[:]), s.Answer, s.Digits, s.Time}, "\n")
}

// Stands tells whether the signature is that of its key over a question.
func (s Signed) Stands(question id.Approval, shown string) bool {
	key, err := ParseDeviceKey(s.Key)
	return err == nil && key.Verify(s.Text(question, shown), s.Signature)
}

// DeviceKey is the public key of a device with Gatehouse Verify. Its other half is
// made in the browser and cannot be taken out of it.
type DeviceKey struct{ key *ecdsa.PublicKey }

var errKey = errors.New("authenticators: not a P-256 key in SubjectPublicKeyInfo, base64url")

// ParseDeviceKey reads a key of P-256 and no other.
func ParseDeviceKey(text string) (DeviceKey, error) {
	if len(text) > 200 {
		return DeviceKey{}, errKey
	}
	der, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil {
		return DeviceKey{}, errKey
	}
	any, err := x509.ParsePKIXPublicKey(der)
	key, is := any.(*ecdsa.PublicKey)
	if err != nil || !is || key.Curve != elliptic.P256() {
		return DeviceKey{}, errKey
	}
	return DeviceKey{key}, nil
}

// Verify tells whether a signature (r and s, 32 bytes each, base64url: what
// WebCrypto makes) is the key's over a text.
func (k DeviceKey) Verify(text, signature string) bool {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(signature)
	if err != nil || len(raw) != 64 || k.key == nil {
		return false
	}
	sum := sha256.Sum256([]byte(text))
	return ecdsa.Verify(k.key, sum[:], new(big.Int).SetBytes(raw[:32]), new(big.Int).SetBytes(raw[32:]))
}

// sealedApproval is the sealed part of a question.
type sealedApproval struct {
	Shown  string `json:"shown"`
	Digits string `json:"digits"`
}

func approvalPlace(a id.Approval) seal.Place {
	return seal.Place{Table: "approvals", Row: string(a), Column: "context"}
}

const approvalColumns = `id, account, kind, attempt, context, state, made_at, expires_at, answered_at, credential, signature, used_by, used_at`

// Ask keeps an open question. The caller holds the account's row and has closed
// what ran out (CloseApprovals): there is one open question for an account.
func Ask(tx *store.Tx, keys *seal.Keys, a Approval) error {
	plain, err := json.Marshal(sealedApproval{a.Shown, a.Digits})
	if err != nil {
		return err
	}
	sealed, err := keys.Seal(approvalPlace(a.ID), plain)
	if err != nil {
		return err
	}
	_, err = tx.Exec(`INSERT INTO approvals (id, account, kind, attempt, context, state, made_at, expires_at, answered_at, credential, signature, used_by, used_at, version, node)
		VALUES ($1, $2, $3, $4, $5, 'open', $6, $7, NULL, '', '', '', NULL, 1, $8)`,
		a.ID, a.Account, a.Kind, a.Attempt, sealed, store.Micros(a.MadeAt), store.Micros(a.ExpiresAt), tx.Node())
	return err
}

// CloseApprovals marks what nobody answered in time.
func CloseApprovals(tx *store.Tx, account id.Account) error {
	_, err := tx.Exec(`UPDATE approvals SET state = 'expired', version = version + 1, node = $3 WHERE account = $1 AND state = 'open' AND expires_at <= $2`,
		account, store.Micros(tx.Now()), tx.Node())
	return err
}

// OpenApprovals lists what an account is asked now: one question, or none.
func OpenApprovals(tx *store.Tx, keys *seal.Keys, account id.Account) ([]Approval, error) {
	return approvals(tx, keys, `SELECT `+approvalColumns+` FROM approvals WHERE account = $1 AND state = 'open' AND expires_at > $2`,
		account, store.Micros(tx.Now()))
}

// ApprovalOf is the newest question of an attempt of an account.
func ApprovalOf(tx *store.Tx, keys *seal.Keys, account id.Account, attempt string) (Approval, bool, error) {
	return oneApproval(approvals(tx, keys, `SELECT `+approvalColumns+` FROM approvals WHERE attempt = $1 AND account = $2 ORDER BY made_at DESC, id DESC LIMIT 1`, attempt, account))
}

// ApprovalByID finds a question.
func ApprovalByID(tx *store.Tx, keys *seal.Keys, a id.Approval) (Approval, bool, error) {
	return oneApproval(approvals(tx, keys, `SELECT `+approvalColumns+` FROM approvals WHERE id = $1`, a))
}

// ApprovalsAfter lists every question that was answered, by id, for an audit.
func ApprovalsAfter(tx *store.Tx, keys *seal.Keys, after id.Approval, limit int) ([]Approval, error) {
	return approvals(tx, keys, `SELECT `+approvalColumns+` FROM approvals WHERE id > $1 AND signature <> '' ORDER BY id LIMIT $2`, after, limit)
}

func oneApproval(all []Approval, err error) (Approval, bool, error) {
	if err != nil || len(all) == 0 {
		return Approval{}, false, err
	}
	return all[0], true, nil
}

func approvals(tx *store.Tx, keys *seal.Keys, query string, args ...any) (all []Approval, err error) {
	rows, err := tx.Rows(query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		a, err := scanApproval(rows, keys)
		if err != nil {
			return nil, err
		}
		all = append(all, a)
	}
	return all, rows.Err()
}

func scanApproval(rows *store.Rows, keys *seal.Keys) (a Approval, err error) {
	var sealed []byte
	var made, expires int64
	var answered, used sql.NullInt64
	var signed string
	if err := rows.Scan(&a.ID, &a.Account, &a.Kind, &a.Attempt, &sealed, &a.State, &made, &expires, &answered, &a.Credential, &signed, &a.UsedBy, &used); err != nil {
		return a, err
	}
	plain, err := keys.Open(approvalPlace(a.ID), sealed)
	if err != nil {
		return a, err
	}
	var open sealedApproval
	if err := json.Unmarshal(plain, &open); err != nil {
		return a, err
	}
	a.Shown, a.Digits = open.Shown, open.Digits
	a.MadeAt, a.ExpiresAt, a.AnsweredAt, a.UsedAt = store.Time(made), store.Time(expires), timeOf(answered), timeOf(used)
	if signed != "" {
		err = json.Unmarshal([]byte(signed), &a.Signed)
	}
	return a, err
}

// Answer closes an open question. false: it is closed already, or too old.
func Answer(tx *store.Tx, a id.Approval, state ApprovalState, by id.Authenticator, signed Signed) (bool, error) {
	text, err := json.Marshal(signed)
	if err != nil {
		return false, err
	}
	now := store.Micros(tx.Now())
	return one(tx.Exec(`UPDATE approvals SET state = $2, answered_at = $3, credential = $4, signature = $5, version = version + 1, node = $6
		WHERE id = $1 AND state = 'open' AND expires_at > $3`, a, state, now, by, string(text), tx.Node()))
}

// UseApproval spends an approval for the attempt it was given to. false: it was
// used, or is none.
func UseApproval(tx *store.Tx, a id.Approval, attempt string) (bool, error) {
	return one(tx.Exec(`UPDATE approvals SET used_by = $2, used_at = $3, version = version + 1, node = $4
		WHERE id = $1 AND attempt = $2 AND state = 'approved' AND used_by = ''`, a, attempt, store.Micros(tx.Now()), tx.Node()))
}

// approvalUsedBy is UsedBy for an approval, which belongs to one attempt.
func approvalUsedBy(tx *store.Tx, p proof.Proof, by string) (at time.Time, ours bool, err error) {
	var used int64
	err = tx.Row(`SELECT used_at FROM approvals WHERE attempt = $1 AND credential = $2 AND used_by = $1 ORDER BY used_at DESC LIMIT 1`, by, p.Authenticator).Scan(&used)
	if errors.Is(err, store.ErrNoRows) {
		return at, false, nil
	}
	return store.Time(used), err == nil, err
}

// ApprovalsSince tells which accounts and attempts have had something asked or
// answered since a time, so that those who wait on this node hear of it.
func ApprovalsSince(tx *store.Tx, since time.Time) (touched []string, err error) {
	rows, err := tx.Rows(`SELECT account, attempt FROM approvals WHERE made_at >= $2 AND (made_at >= $1 OR answered_at >= $1)`,
		store.Micros(since), store.Micros(since.Add(-time.Hour)))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var account, attempt string
		if err := rows.Scan(&account, &attempt); err != nil {
			return nil, err
		}
		touched = append(touched, account, attempt)
	}
	return touched, rows.Err()
}

// Mute has nobody asked by push for an account until a time.
func Mute(tx *store.Tx, account id.Account, until time.Time) error {
	_, err := tx.Exec(`INSERT INTO mutes (account, until, version, node) VALUES ($1, $2, 1, $3)
		ON CONFLICT (account) DO UPDATE SET until = excluded.until, version = mutes.version + 1, node = excluded.node`,
		account, store.Micros(until), tx.Node())
	return err
}

// Muted tells whether nobody may be asked now.
func Muted(tx *store.Tx, account id.Account) (bool, error) {
	var until int64
	err := tx.Row(`SELECT until FROM mutes WHERE account = $1`, account).Scan(&until)
	if errors.Is(err, store.ErrNoRows) {
		return false, nil
	}
	return err == nil && tx.Now().Before(store.Time(until)), err
}

// unansweredKept is how long a question stays that nobody answered.
const unansweredKept = 30 * 24 * time.Hour

// TidyApprovals forgets pairings that ran out, and questions of a month ago that
// nobody answered. Answers stay: what was signed is proof for as long as anybody may
// ask for it.
func TidyApprovals(tx *store.Tx) error {
	if _, err := tx.Exec(`DELETE FROM pairings WHERE expires_at <= $1`, store.Micros(tx.Now())); err != nil {
		return err
	}
	if _, err := tx.Exec(`DELETE FROM approvals WHERE made_at < $1 AND signature = ''`, store.Micros(tx.Now().Add(-unansweredKept))); err != nil {
		return err
	}
	return tidyMoves(tx)
}
