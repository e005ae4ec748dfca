package hooks

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"time"

	"gatehouse/id"
	"gatehouse/seal"
)

// maxSecrets bounds how many secrets of a receiver sign at once: each makes the
// header longer, and a receiver that is four rotations behind is not reading.
const maxSecrets = 4

// secret is one of a receiver's. Whether it still signs is decided when it is read.
type secret struct {
	Text   string    `json:"text"`
	MadeAt time.Time `json:"made_at"`
	Until  time.Time `json:"until,omitzero"` // it signs no longer from then on; zero: the newest, which stays
}

func newSecret(random io.Reader, now time.Time) (secret, error) {
	var key [ourKey]byte
	if _, err := io.ReadFull(random, key[:]); err != nil {
		return secret{}, fmt.Errorf("hooks: no randomness for a secret: %w", err)
	}
	return secret{Text: prefix + base64.StdEncoding.EncodeToString(key[:]), MadeAt: now}, nil
}

// rotated puts a new secret first. The others sign on until now + overlap, or
// until they were to end anyway; what has ended is forgotten.
func rotated(old []secret, fresh secret, now time.Time, overlap time.Duration) []secret {
	all := []secret{fresh}
	for _, s := range living(old, now) {
		if until := now.Add(overlap); s.Until.IsZero() || s.Until.After(until) {
			s.Until = until
		}
		if s.Until.After(now) && len(all) < maxSecrets {
			all = append(all, s)
		}
	}
	return all
}

func living(all []secret, now time.Time) []secret {
	return slices.DeleteFunc(slices.Clone(all), func(s secret) bool { return !s.Until.IsZero() && !now.Before(s.Until) })
}

// texts are the secrets that sign at a time, newest first.
func texts(all []secret, now time.Time) []seal.Secret {
	var found []seal.Secret
	for _, s := range living(all, now) {
		found = append(found, seal.Secret(s.Text))
	}
	return found
}

func secretsPlace(hook id.Hook) seal.Place {
	return seal.Place{Table: "hooks", Row: string(hook), Column: "secrets"}
}

func closeSecrets(keys *seal.Keys, hook id.Hook, all []secret) ([]byte, error) {
	plain, err := json.Marshal(all)
	if err != nil {
		return nil, err
	}
	return keys.Seal(secretsPlace(hook), plain)
}

// openSecrets returns seal.ErrForged for secrets of another receiver, or sealed
// under keys that are not ours.
func openSecrets(keys *seal.Keys, hook id.Hook, sealed []byte) ([]secret, error) {
	plain, err := keys.Open(secretsPlace(hook), sealed)
	if err != nil {
		return nil, err
	}
	var all []secret
	if err := json.Unmarshal(plain, &all); err != nil {
		return nil, seal.ErrForged
	}
	return all, nil
}
