package tokens

import (
	"errors"
	"time"

	"gatehouse/id"
	"gatehouse/seal"
	"gatehouse/store"
)

const columns = `id, manufacturer, serial, kind, secret, algorithm, digits, period, counter, state, account, made_at, version`

func place(t id.Token) seal.Place {
	return seal.Place{Table: "tokens", Row: string(t), Column: "secret"}
}

func all(tx *store.Tx, keys *seal.Keys, query string, args ...any) (found []Token, err error) {
	rows, err := tx.Rows(query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var t Token
		var sealed []byte
		var made int64
		if err := rows.Scan(&t.ID, &t.Manufacturer, &t.Serial, &t.Kind, &sealed, &t.Algorithm, &t.Digits, &t.Period,
			&t.Counter, &t.State, &t.Account, &made, &t.Version); err != nil {
			return nil, err
		}
		t.MadeAt = store.Time(made)
		if keys != nil {
			plain, err := keys.Open(place(t.ID), sealed)
			if err != nil {
				return nil, err
			}
			t.Secret = seal.Secret(plain)
		}
		found = append(found, t)
	}
	return found, rows.Err()
}

// BySerial lists the tokens with a serial number: more than one when two makers use
// the same.
func BySerial(tx *store.Tx, keys *seal.Keys, serial string) ([]Token, error) {
	return all(tx, keys, `SELECT `+columns+` FROM tokens WHERE serial = $1 ORDER BY manufacturer`, serial)
}

// ByMaker finds a token by manufacturer and serial number.
func ByMaker(tx *store.Tx, keys *seal.Keys, manufacturer, serial string) (Token, bool, error) {
	return first(all(tx, keys, `SELECT `+columns+` FROM tokens WHERE manufacturer = $1 AND serial = $2`, manufacturer, serial))
}

// ByID reads a token.
func ByID(tx *store.Tx, keys *seal.Keys, t id.Token) (Token, bool, error) {
	return first(all(tx, keys, `SELECT `+columns+` FROM tokens WHERE id = $1`, t))
}

func first(found []Token, err error) (Token, bool, error) {
	if err != nil || len(found) == 0 {
		return Token{}, false, err
	}
	return found[0], true, nil
}

// OfAccount lists what somebody has, or has lost.
func OfAccount(tx *store.Tx, keys *seal.Keys, account id.Account) ([]Token, error) {
	return all(tx, keys, `SELECT `+columns+` FROM tokens WHERE account = $1 ORDER BY made_at, id`, account)
}

// List lists tokens without their secrets by serial number, at most limit after one;
// state "" is every state. after is the id and serial of the last one seen.
func List(tx *store.Tx, state State, after Token, limit int) ([]Token, error) {
	return all(tx, nil, `SELECT `+columns+` FROM tokens WHERE ($1 = '' OR state = $1) AND (serial > $2 OR serial = $2 AND id > $3)
		ORDER BY serial, id LIMIT $4`, string(state), after.Serial, string(after.ID), limit)
}

// Insert puts a new token into stock. false: its maker and serial number are there.
func Insert(tx *store.Tx, keys *seal.Keys, t Token) (bool, error) {
	sealed, err := keys.Seal(place(t.ID), []byte(t.Secret.Reveal()))
	if err != nil {
		return false, err
	}
	return one(tx.Exec(`INSERT INTO tokens (id, manufacturer, serial, kind, secret, algorithm, digits, period, counter, state, account, organisation, made_at, version, node)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 'stock', '', NULL, $10, 1, $11) ON CONFLICT DO NOTHING`,
		t.ID, t.Manufacturer, t.Serial, string(t.Kind), sealed, t.Algorithm, t.Digits, t.Period, t.Counter, store.Micros(t.MadeAt), tx.Node()))
}

// Renew gives a token another secret, and all that came with it.
func Renew(tx *store.Tx, keys *seal.Keys, t Token) error {
	sealed, err := keys.Seal(place(t.ID), []byte(t.Secret.Reveal()))
	if err != nil {
		return err
	}
	return held(one(tx.Exec(`UPDATE tokens SET kind = $3, secret = $4, algorithm = $5, digits = $6, period = $7, counter = $8, state = 'stock', account = '',
		version = version + 1, node = $9 WHERE id = $1 AND version = $2`,
		t.ID, t.Version, string(t.Kind), sealed, t.Algorithm, t.Digits, t.Period, t.Counter, tx.Node())))
}

// Step is one line of a token's history.
type Step struct {
	What    What
	Account id.Account // whose it was about; ""
	Actor   string     // an account, or "operator"
	Reason  string
	At      time.Time
}

// ErrChanged says that somebody else changed a token at the same moment.
var ErrChanged = errors.New("the token was changed by somebody else at the same moment; nothing was done")

// Take takes a step of a token's life: t as it was read, with Account as it shall be
// and Counter never lower than it was. ErrChanged when it is not as it was read.
func Take(tx *store.Tx, t Token, line id.Message, s Step) error {
	to, err := t.After(s.What)
	if err != nil {
		return err
	}
	err = held(one(tx.Exec(`UPDATE tokens SET state = $3, account = $4, counter = $5, version = version + 1, node = $6
		WHERE id = $1 AND version = $2 AND counter <= $5`, t.ID, t.Version, string(to), string(t.Account), t.Counter, tx.Node())))
	if err != nil {
		return err
	}
	return Note(tx, t.ID, line, s)
}

// Note writes a line of a token's history. line names it.
func Note(tx *store.Tx, t id.Token, line id.Message, s Step) error {
	_, err := tx.Exec(`INSERT INTO token_history (id, token, step, what, account, actor, reason, made_at, node)
		VALUES ($1, $2, (SELECT COUNT(*) FROM token_history WHERE token = $2), $3, $4, $5, $6, $7, $8)`,
		string(line), t, string(s.What), s.Account, s.Actor, s.Reason, store.Micros(tx.Now()), tx.Node())
	return err
}

// History lists what a token went through, oldest first.
func History(tx *store.Tx, t id.Token) (steps []Step, err error) {
	rows, err := tx.Rows(`SELECT what, account, actor, reason, made_at FROM token_history WHERE token = $1 ORDER BY step, made_at, id`, t)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var s Step
		var at int64
		if err := rows.Scan(&s.What, &s.Account, &s.Actor, &s.Reason, &at); err != nil {
			return nil, err
		}
		s.At = store.Time(at)
		steps = append(steps, s)
	}
	return steps, rows.Err()
}

func held(ok bool, err error) error {
	if err == nil && !ok {
		return ErrChanged
	}
	return err
}

func one(affected int64, err error) (bool, error) { return affected == 1 && err == nil, err }
