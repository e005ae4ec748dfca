package events

import (
	"encoding/json"
	"slices"

	"gatehouse/id"
	"gatehouse/store"
)

// ForAccount returns up to limit events that concern an account, newest first,
// older than position before; before ≤ 0 begins with the newest.
func (l *Log) ForAccount(tx *store.Tx, account id.Account, before int64, limit int) ([]Event, error) {
	return l.read(selectAccount(tx, account, before, limit))
}

// After returns up to limit events past a position, in order.
//
// On PostgreSQL a transaction that began earlier may commit a lower position
// later. A follower that must not miss one reads again from a position of some
// seconds ago (a write transaction lives no longer than the store's deadline)
// and drops the ids it has seen; Tail does that.
func (l *Log) After(tx *store.Tx, position int64, limit int) ([]Event, error) {
	return l.read(selectAfter(tx, position, limit))
}

func (l *Log) read(rows []row, err error) ([]Event, error) {
	if err != nil {
		return nil, err
	}
	keys := map[id.Account][]byte{}
	found := make([]Event, len(rows))
	for i, r := range rows {
		found[i] = l.open(r, keys)
	}
	return found, nil
}

// open never fails: an event that cannot be read in full is still an event.
func (l *Log) open(r row, keys map[id.Account][]byte) Event {
	e := r.Event
	d, known := Lookup(e.Kind)
	if !known || d.Version != e.Version {
		e.Parked = true
		return e
	}
	e.Data = only(d.Data, parse(r.data))
	if len(r.personal) == 0 {
		return e
	}
	if len(r.key) == 0 {
		e.Hidden = Erased
		return e
	}
	personal, err := openPersonal(l.unwrap(e.Account, r.key, keys), e.ID, r.personal)
	if err != nil {
		e.Hidden = Forged
		return e
	}
	e.Personal = only(d.Personal, personal)
	return e
}

// unwrap opens each account's key once a page; a key that does not open is nil,
// which opens nothing.
func (l *Log) unwrap(account id.Account, wrapped []byte, keys map[id.Account][]byte) []byte {
	key, ok := keys[account]
	if !ok {
		key, _ = l.keys.Open(keyPlace(account), wrapped)
		keys[account] = key
	}
	return key
}

// parse keeps the texts of a JSON object; whatever else a later build put there
// is not ours to understand.
func parse(data string) map[string]string {
	var raw map[string]any
	if json.Unmarshal([]byte(data), &raw) != nil {
		return nil
	}
	texts := map[string]string{}
	for k, v := range raw {
		if s, ok := v.(string); ok {
			texts[k] = s
		}
	}
	return texts
}

// only drops the fields this build does not know.
func only(known []string, fields map[string]string) map[string]string {
	for k := range fields {
		if !slices.Contains(known, k) {
			delete(fields, k)
		}
	}
	return fields
}
