package authenticators

import (
	"crypto/rand"
	"strings"
	"testing"
	"time"

	"gatehouse/id"
	"gatehouse/proof"
	"gatehouse/seal"
)

func TestARememberedBrowserIsRecognised(t *testing.T) {
	dir := t.TempDir() + "/keys"
	if err := seal.InitKeys(dir); err != nil {
		t.Fatal(err)
	}
	keys, err := seal.LoadKeys(dir)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 11, 21, 9, 0, 0, 0, time.UTC)
	const alice, laptop = id.Account("alice"), id.Device("laptop")
	c, trust, err := NewRemembered(keys, rand.Reader, alice, 7, laptop, "Firefox on Linux", now, now.Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(c.Public), trust.Secret) || len(trust.Secret) < 43 {
		t.Fatal("the secret is kept, or short")
	}
	other, foreign, err := NewRemembered(keys, rand.Reader, alice, 7, laptop, "", now, now.Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		name   string
		spoil  func(c *Credential, t *Trust)
		device id.Device
		epoch  int64
		after  time.Duration
		want   Recognised
	}{
		{"as it was given", nil, laptop, 7, 0, Good},
		{"in its last moment", nil, laptop, 7, time.Hour - 1, Good},
		{"when its time is over", nil, laptop, 7, time.Hour, Over},
		{"after a change of what opens the account", nil, laptop, 8, 0, Over},
		{"on a store that has not heard of it yet", nil, laptop, 6, 0, Over},
		{"when it was forgotten", func(c *Credential, _ *Trust) { c.State = StateForgotten }, laptop, 7, 0, Over},
		{"by another device", nil, "tablet", 7, 0, Elsewhere},
		{"by a browser without a device token", nil, "", 7, 0, Elsewhere},
		{"by another device, over as well", nil, "tablet", 8, 0, Over},
		{"with another secret", func(_ *Credential, t *Trust) { t.Secret = foreign.Secret }, laptop, 7, 0, Unknown},
		{"without a secret", func(_ *Credential, t *Trust) { t.Secret = "" }, laptop, 7, 0, Unknown},
		{"with the name of another", func(_ *Credential, t *Trust) { t.ID = other.ID }, laptop, 7, 0, Unknown},
		{"for another account", func(_ *Credential, t *Trust) { t.Account = "bob" }, laptop, 7, 0, Unknown},
		{"as another kind of credential", func(c *Credential, _ *Trust) { c.Kind = KindPush }, laptop, 7, 0, Unknown},
		{"with a row that cannot be read", func(c *Credential, _ *Trust) { c.Public = []byte("{") }, laptop, 7, 0, Unknown},
		{"with another device in the cookie", func(_ *Credential, t *Trust) { t.Device = "tablet" }, laptop, 7, 0, Elsewhere},
	} {
		t.Run(row.name, func(t *testing.T) {
			c, shown := c, trust
			if row.spoil != nil {
				row.spoil(&c, &shown)
			}
			p, got := Recognise(keys, c, shown, row.device, row.epoch, now.Add(row.after))
			if got != row.want || (got == Good) != (p.Method == proof.Remembered && p.Authenticator == string(c.ID)) {
				t.Errorf("got %v with proof %+v, want %v", got, p, row.want)
			}
		})
	}
	k := Kept{Credentials: []Credential{c, other}}
	if n := len(k.Remembered(7, now)); n != 2 || len(k.Remembered(8, now)) != 0 || k.Seconds(now) != 0 || len(k.Named()) != 0 {
		t.Errorf("%d are listed for their epoch; or they count as second authenticators", n)
	}
}
