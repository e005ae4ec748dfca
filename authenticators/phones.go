package authenticators

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"time"

	"gatehouse/fault"
	"gatehouse/id"
	"gatehouse/proof"
	"gatehouse/seal"
	"gatehouse/store"
)

// PhoneFacts is the public part of a credential of KindPhone. The number itself
// is its secret.
type PhoneFacts struct {
	Country  string           `json:"country"`
	Masked   string           `json:"masked"`
	Ways     []proof.Method   `json:"ways"`
	Replaces id.Authenticator `json:"replaces,omitempty"` // the number that ends when this one begins
}

// PhoneOf reads the facts of a number.
func PhoneOf(c Credential) (f PhoneFacts) {
	if json.Unmarshal(c.Public, &f) != nil || c.Kind != KindPhone {
		return PhoneFacts{}
	}
	return f
}

// NewPhone is a number as it is kept. ID, Account, MadeAt and UsableAt are the caller's.
func NewPhone(n Number, name string, replaces id.Authenticator) (Credential, error) {
	if name == "" {
		name = n.Masked()
	}
	public, err := json.Marshal(PhoneFacts{Country: n.Country, Masked: n.Masked(), Ways: n.Ways, Replaces: replaces})
	return Credential{Kind: KindPhone, Name: AppName(name), Public: public, Secret: seal.Secret(n.E164)}, err
}

// The life of a code begins when a provider took it: what comes late opens as long
// as what comes at once. It ends at the latest so long after it was asked for,
// whatever is known of the hand-over (SP 800-63B-4 §3.1.3.2: ten minutes; a code
// handed over at once opens for five).
const (
	PhoneCodeLife   = 5 * time.Minute
	PhoneCodeLatest = 15 * time.Minute
	PhoneCodeSend   = PhoneCodeLatest - PhoneCodeLife // it is worth sending for so long
)

// Asking asks for a code to be sent to a number, or read out.
type Asking struct {
	ID         id.Message       // of the message and the code; made before the transaction (NewPhoneCode)
	Code       seal.Secret      // six digits
	Account    id.Account       // who will show it
	Credential id.Authenticator // the number, kept already or about to be
	Number     seal.Secret      // E.164
	Facts      PhoneFacts
	Way        proof.Method // proof.SMS or proof.Voice
	Attempt    string       // the attempt or session that asks; it opens no other
	Network    netip.Addr
	Locale     string // BCP 47
	Personal   map[string]string
}

// NewPhoneCode makes a code and the id of its message.
func NewPhoneCode(now time.Time, random io.Reader) (id.Message, seal.Secret, error) {
	const values, fair = 1_000_000, 1 << 32 / 1_000_000 * 1_000_000
	var b [4]byte
	for {
		if _, err := io.ReadFull(random, b[:]); err != nil {
			return "", "", err
		}
		if n := binary.BigEndian.Uint32(b[:]); uint64(n) < fair { // the rest would make some codes likelier
			return id.New[id.Message](now, random), seal.Secret(fmt.Sprintf("%06d", n%values)), nil
		}
	}
}

// PhoneCode is a code that was asked for.
type PhoneCode struct {
	ID         id.Message
	Credential id.Authenticator
	Attempt    string
	Way        proof.Method
	MadeAt     time.Time
	HandedAt   time.Time // when a provider took it; zero: not yet, or nobody knows
	Latest     time.Time // when it ends whatever happens
	Failed     string    // why it will never arrive; "" as long as it may
	UsedBy     string
	hash       []byte
	pepper     uint32
}

// Ends is when the code opens nothing any more.
func (c PhoneCode) Ends() time.Time {
	if end := c.HandedAt.Add(PhoneCodeLife); !c.HandedAt.IsZero() && end.Before(c.Latest) {
		return end
	}
	return c.Latest
}

// Opens tells whether the code opens something at a time.
func (c PhoneCode) Opens(now time.Time) bool { return c.UsedBy == "" && now.Before(c.Ends()) }

// step is what a proof calls the code.
func (c PhoneCode) step() int64 {
	sum := sha256.Sum256([]byte(c.ID))
	return int64(binary.BigEndian.Uint64(sum[:8]) >> 1)
}

// AddPhoneCode keeps the hash of a code. Codes that the same attempt asked for
// before open nothing from now on.
func AddPhoneCode(tx *store.Tx, keys *seal.Keys, a Asking) error {
	now := tx.Now()
	pepper, hash, err := keys.Pepper(phonePlace(a.ID), phoneInput(a.Attempt, a.Number, a.Code.Reveal()))
	if err != nil {
		return err
	}
	_, err = tx.Exec(`UPDATE phone_codes SET expires_at = $3, version = version + 1, node = $4
		WHERE account = $1 AND attempt = $2 AND used_by = '' AND expires_at > $3 AND id <> $5`, a.Account, a.Attempt, store.Micros(now), tx.Node(), a.ID)
	if err != nil {
		return err
	}
	_, err = tx.Exec(`INSERT INTO phone_codes (id, account, credential, attempt, way, hash, pepper, made_at, handed_at, expires_at, failed, used_by, used_at, version, node)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, NULL, $9, '', '', NULL, 1, $10) ON CONFLICT (id) DO NOTHING`,
		a.ID, a.Account, a.Credential, a.Attempt, a.Way, hash, int64(pepper), store.Micros(now), store.Micros(now.Add(PhoneCodeLatest)), tx.Node())
	return err
}

func phonePlace(code id.Message) seal.Place {
	return seal.Place{Table: "phone_codes", Row: string(code), Column: "hash"}
}

// phoneInput binds a code to who asked for it and where it went.
func phoneInput(attempt string, number seal.Secret, digits string) []byte {
	return []byte(attempt + "\x00" + number.Reveal() + "\x00" + digits)
}

// PhoneCodes lists the codes of an account that were asked for lately, oldest
// first; those too that open nothing, so that a person can be told why.
func PhoneCodes(tx *store.Tx, account id.Account) ([]PhoneCode, error) {
	return phoneCodes(tx, `SELECT id, credential, attempt, way, hash, pepper, made_at, handed_at, expires_at, failed, used_by FROM phone_codes
		WHERE account = $1 AND made_at > $2 ORDER BY made_at, id`, account, store.Micros(tx.Now().Add(-2*PhoneCodeLatest)))
}

// LastPhoneCode is the newest code that an attempt or session asked for.
func LastPhoneCode(tx *store.Tx, account id.Account, attempt string) (PhoneCode, bool, error) {
	all, err := PhoneCodes(tx, account)
	for _, c := range slices.Backward(all) {
		if c.Attempt == attempt {
			return c, true, nil
		}
	}
	return PhoneCode{}, false, err
}

func phoneCodes(tx *store.Tx, query string, args ...any) (all []PhoneCode, err error) {
	rows, err := tx.Rows(query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var c PhoneCode
		var pepper, made, latest int64
		var handed sql.NullInt64
		if err := rows.Scan(&c.ID, &c.Credential, &c.Attempt, &c.Way, &c.hash, &pepper, &made, &handed, &latest, &c.Failed, &c.UsedBy); err != nil {
			return nil, err
		}
		c.pepper, c.MadeAt, c.HandedAt, c.Latest = uint32(pepper), store.Time(made), timeOf(handed), store.Time(latest)
		all = append(all, c)
	}
	return all, rows.Err()
}

// LoadPhones is LoadUsual with the codes that were sent. A standby does not hold
// them, so it judges none: fault.Unavailable.
func LoadPhones(tx *store.Tx, keys *seal.Keys, account id.Account) (Kept, error) {
	if tx.Standby() {
		return Kept{}, fault.New(fault.Unavailable, errNoCodes)
	}
	k, err := LoadUsual(tx, keys, account)
	if err != nil {
		return k, err
	}
	k.PhoneCodes, err = PhoneCodes(tx, account)
	return k, err
}

var errNoCodes = errors.New("authenticators: a standby holds no codes that were sent")

// AskedBy is what is kept, with the codes alone that one attempt or session asked for.
func (k Kept) AskedBy(attempt string) Kept {
	k.PhoneCodes = slices.DeleteFunc(slices.Clone(k.PhoneCodes), func(c PhoneCode) bool { return c.Attempt != attempt })
	return k
}

// Hints about a code that was sent, as words keys.
const (
	HintOlderText = "phones.hint.older" // a newer one was sent
	HintLateText  = "phones.hint.late"  // it has run out
)

type phoneChecker struct{ keys *seal.Keys }

// Check compares with every code in kept, whichever matches. Kept must hold those
// of one attempt alone (Kept.AskedBy).
func (p phoneChecker) Check(_ context.Context, kept Kept, shown Shown) (v Verdict, err error) {
	for _, number := range kept.Of(KindPhone) {
		for _, c := range kept.PhoneCodes {
			if c.Credential != number.ID || !number.Opens(shown.Now) {
				continue
			}
			same, err := c.matches(p.keys, number.Secret, shown.Secret)
			if err != nil {
				return Verdict{}, err
			}
			if same {
				v = c.verdict(number, newest(kept.PhoneCodes).ID, shown.Now)
			}
		}
	}
	return v, nil
}

func newest(all []PhoneCode) PhoneCode { return all[len(all)-1] }

func (c PhoneCode) verdict(number Credential, newest id.Message, now time.Time) Verdict {
	p := proof.Proof{Method: c.Way, Authenticator: string(number.ID), Version: number.Version, At: now.UTC(), Step: c.step()}
	switch {
	case c.UsedBy != "":
		return Verdict{Used: p, Hint: Hint{Key: HintUsed}}
	case c.ID != newest:
		return Verdict{Hint: Hint{Key: HintOlderText}}
	case !c.Opens(now):
		return Verdict{Hint: Hint{Key: HintLateText}}
	}
	return Verdict{OK: true, Proof: p}
}

func (c PhoneCode) matches(keys *seal.Keys, number, typed seal.Secret) (bool, error) {
	digits, ok := normaliseDigits(typed.Reveal())
	sum, err := keys.PepperWith(c.pepper, phonePlace(c.ID), phoneInput(c.Attempt, number, digits))
	return ok && same(sum, c.hash), err
}

// CheckPhoneCode looks for a code sent to a number that is about to be kept among
// those a session asked for. used tells that it was right and has been shown before.
func CheckPhoneCode(keys *seal.Keys, codes []PhoneCode, session string, credential id.Authenticator, number, typed seal.Secret, now time.Time) (c PhoneCode, ok bool, hint Hint, err error) {
	kept := Kept{PhoneCodes: codes, Credentials: []Credential{{ID: credential, Kind: KindPhone, Secret: number}}}.AskedBy(session)
	v, err := phoneChecker{keys}.Check(context.Background(), kept, Shown{Secret: typed, Now: now})
	for _, one := range kept.PhoneCodes {
		if v.OK && one.step() == v.Proof.Step {
			return one, true, Hint{}, nil
		}
	}
	return c, false, v.Hint, err
}

// SpendPhoneCode uses up the code that a proof showed: by has it or, when somebody
// was first, a newer one was sent or the number is gone or on hold, false.
func SpendPhoneCode(tx *store.Tx, keys *seal.Keys, account id.Account, p proof.Proof, by string) (bool, error) {
	number, found, err := CredentialByID(tx, keys, account, id.Authenticator(p.Authenticator))
	if err != nil || !found || !number.Opens(tx.Now()) {
		return false, err
	}
	codes, err := PhoneCodes(tx, account)
	if err != nil {
		return false, err
	}
	for _, c := range codes {
		if c.step() != p.Step || c.Credential != number.ID || !c.Opens(tx.Now()) {
			continue
		}
		if ok, err := UsePhoneCode(tx, c.ID, by); !ok || err != nil {
			return false, err
		}
		return true, MarkUsed(tx, number.ID)
	}
	return false, nil
}

// UsePhoneCode uses a code up; false when it was, or was replaced.
func UsePhoneCode(tx *store.Tx, code id.Message, by string) (bool, error) {
	return one(tx.Exec(`UPDATE phone_codes SET used_by = $2, used_at = $3, version = version + 1, node = $4
		WHERE id = $1 AND used_by = '' AND expires_at > $3`, code, by, store.Micros(tx.Now()), tx.Node()))
}

// textUsedBy is UsedBy for codes that were sent.
func textUsedBy(tx *store.Tx, p proof.Proof, by string) (at time.Time, ours bool, err error) {
	rows, err := tx.Rows(`SELECT id, used_at FROM phone_codes WHERE credential = $1 AND used_by = $2 AND used_at IS NOT NULL`, p.Authenticator, by)
	if err != nil {
		return at, false, err
	}
	defer rows.Close()
	for rows.Next() {
		var c PhoneCode
		var used int64
		if err := rows.Scan(&c.ID, &used); err != nil {
			return at, false, err
		}
		if c.step() == p.Step {
			at, ours = store.Time(used), true
		}
	}
	return at, ours, rows.Err()
}

// TextState is how a code that was asked for stands.
type TextState string

// The states.
const (
	TextNone   TextState = ""        // none was asked for
	TextOnWay  TextState = "waiting" // no provider has taken it yet
	TextHanded TextState = "handed"  // a provider has taken it
	TextFailed TextState = "failed"  // it will not arrive
	TextOver   TextState = "over"    // it opens nothing any more
)

// StateOfText tells how the code stands that an attempt or session asked for last,
// and when that was.
func StateOfText(tx *store.Tx, account id.Account, attempt string) (TextState, time.Time, error) {
	c, found, err := LastPhoneCode(tx, account, attempt)
	state := TextHanded
	switch {
	case err != nil || !found:
		state = TextNone
	case c.Failed != "":
		state = TextFailed
	case !c.Opens(tx.Now()):
		state = TextOver
	case c.HandedAt.IsZero():
		state = TextOnWay
	}
	return state, c.MadeAt, err
}

// TextWanted tells whether a code still opens something, and so is worth sending.
func TextWanted(tx *store.Tx, code id.Message) (bool, error) {
	all, err := phoneCodes(tx, `SELECT id, credential, attempt, way, hash, pepper, made_at, handed_at, expires_at, failed, used_by FROM phone_codes WHERE id = $1`, code)
	return len(all) == 1 && all[0].Opens(tx.Now()), err
}

// HandedOver notes that a provider took a code: its life begins, if it has not.
func HandedOver(tx *store.Tx, code id.Message) error {
	_, err := tx.Exec(`UPDATE phone_codes SET handed_at = $2, version = version + 1, node = $3 WHERE id = $1 AND handed_at IS NULL`,
		code, store.Micros(tx.Now()), tx.Node())
	return err
}

// FailText notes why a code will never arrive.
func FailText(tx *store.Tx, code id.Message, why string) error {
	_, err := tx.Exec(`UPDATE phone_codes SET failed = $2, version = version + 1, node = $3 WHERE id = $1 AND handed_at IS NULL`, code, why, tx.Node())
	return err
}

// PhoneHeld tells whether a number of an account does not count yet.
func PhoneHeld(tx *store.Tx, account id.Account) (held bool, err error) {
	var n int
	err = tx.Row(`SELECT count(*) FROM credentials WHERE account = $1 AND kind = 'phone' AND usable_at > $2`, account, store.Micros(tx.Now())).Scan(&n)
	return n > 0, err
}

// SetExpiry says when a credential ends; the zero time: never.
func SetExpiry(tx *store.Tx, account id.Account, c id.Authenticator, at time.Time) (bool, error) {
	return one(tx.Exec(`UPDATE credentials SET expires_at = $3, version = version + 1, node = $4 WHERE account = $1 AND id = $2`,
		account, c, microsOrZero(at), tx.Node()))
}

// ReplacedPhones lists numbers that ended because another took their place.
func ReplacedPhones(tx *store.Tx, keys *seal.Keys, limit int) ([]Credential, error) {
	return credentials(tx, keys, `SELECT `+credentialColumns+` FROM credentials
		WHERE kind = 'phone' AND expires_at > 0 AND expires_at <= $1 ORDER BY expires_at LIMIT $2`, store.Micros(tx.Now()), limit)
}

// TidyPhoneCodes forgets codes that are long over. It decides nothing.
func TidyPhoneCodes(tx *store.Tx) error {
	_, err := tx.Exec(`DELETE FROM phone_codes WHERE expires_at < $1`, store.Micros(tx.Now().Add(-24*time.Hour)))
	return err
}
