package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"

	"gatehouse/access"
	"gatehouse/accounts"
	"gatehouse/authenticators"
	"gatehouse/events"
	"gatehouse/id"
	"gatehouse/seal"
	"gatehouse/store"
)

// demoOrganisation is where the people of the demo work.
const demoOrganisation = "Harbour Books"

// demoPerson is one person of the demo, as people.json holds them. It is the one
// place where Gatehouse writes a password down: they open nothing but a demo.
type demoPerson struct {
	Email      string      `json:"email"`
	Password   string      `json:"password"`
	TOTPSecret string      `json:"totp_secret"`
	Role       access.Role `json:"role"`
	Name       string      `json:"name"`
}

// uri is the person's authenticator in the form that apps read (otpauth).
func (d demoPerson) uri(product string) string {
	return authenticators.KeyURI(product, d.Email, seal.Secret(d.TOTPSecret)).Reveal()
}

// cast are the people of the demo before they have secrets.
func cast() []demoPerson {
	return []demoPerson{
		{Email: "olivia@harbour.example", Role: access.Owner, Name: "Olivia Marsh"},
		{Email: "sam@harbour.example", Role: access.SecurityAdmin, Name: "Sam Okafor"},
		{Email: "priya@harbour.example", Role: access.Supporter, Name: "Priya Nair"},
		{Email: "ben@harbour.example", Role: access.Bookkeeper, Name: "Ben Fischer"},
		{Email: "dana@harbour.example", Role: access.Developer, Name: "Dana Silva"},
	}
}

// demoPeople returns the people of a demo folder and makes them at the first
// run. The file is written last: a run that was cut off begins again.
func demoPeople(ctx context.Context, dir string, h *house) ([]demoPerson, error) {
	path := filepath.Join(dir, "people.json")
	text, err := os.ReadFile(path)
	if err == nil {
		var people []demoPerson
		if err := json.Unmarshal(text, &people); err != nil {
			return nil, next(fmt.Errorf("%s: %w", path, err), "remove %s to begin again with new people", dir)
		}
		return people, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	people, err := makePeople(ctx, h)
	if err != nil {
		return nil, err
	}
	if text, err = json.MarshalIndent(people, "", "  "); err != nil {
		return nil, err
	}
	return people, os.WriteFile(path, append(text, '\n'), 0o600)
}

func makePeople(ctx context.Context, h *house) ([]demoPerson, error) {
	people := cast()
	made := make([]newcomer, len(people))
	var g errgroup.Group
	for i := range people {
		g.Go(func() (err error) {
			made[i], err = h.newcomer(ctx, &people[i])
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	organisation := access.Organisation{ID: id.New[id.Organisation](h.now(), rand.Reader), Name: demoOrganisation}
	return people, h.store.Do(ctx, func(tx *store.Tx) error {
		if err := access.AddOrganisation(tx, organisation); err != nil {
			return err
		}
		for _, n := range made {
			if err := h.settle(tx, organisation.ID, n); err != nil {
				return err
			}
		}
		return nil
	})
}

// newcomer is what is made for one person before the transaction.
type newcomer struct {
	account  accounts.Account
	role     access.Role
	password authenticators.Password
	totp     authenticators.TOTP
	codes    authenticators.RecoverySet
}

// newcomer gives a person their secrets and does the slow part: the hash.
func (h *house) newcomer(ctx context.Context, d *demoPerson) (n newcomer, err error) {
	now := h.now()
	key, err := accounts.Canonical(d.Email)
	if err != nil {
		return n, err
	}
	n.role = d.Role
	n.account = accounts.Account{ID: id.New[id.Account](now, rand.Reader), Email: d.Email, EmailKey: key, Name: d.Name, Status: accounts.Active, Locale: "en", Zone: localZone()}
	if d.Password, err = passphrase(rand.Reader); err != nil {
		return n, err
	}
	hash, err := h.hasher.Hash(ctx, n.account.ID, seal.Secret(d.Password))
	if err != nil {
		return n, err
	}
	n.password = authenticators.Password{ID: id.New[id.Authenticator](now, rand.Reader), Hash: hash, MadeAt: now}
	secret, err := authenticators.NewTOTPSecret(rand.Reader)
	if err != nil {
		return n, err
	}
	d.TOTPSecret = secret.Reveal()
	n.totp = authenticators.NewTOTP("Demo app", secret, now)
	n.totp.ID, n.totp.Account = id.New[id.Authenticator](now, rand.Reader), n.account.ID
	n.codes, err = h.newcomersCodes(now)
	return n, err
}

// newcomersCodes makes a set nobody has seen, so that the account page counts
// ten; its owner makes a new one there.
func (h *house) newcomersCodes(now time.Time) (set authenticators.RecoverySet, err error) {
	codes, err := authenticators.NewRecoveryCodes(rand.Reader)
	if err != nil {
		return set, err
	}
	set = authenticators.RecoverySet{ID: id.New[id.Authenticator](now, rand.Reader), MadeAt: now}
	set.Slots, err = authenticators.HashRecoveryCodes(h.keys, set.ID, codes)
	return set, err
}

func (h *house) settle(tx *store.Tx, organisation id.Organisation, n newcomer) error {
	a := n.account.ID
	steps := []func() error{
		func() error { return accounts.Insert(tx, n.account) },
		func() error { return accounts.VerifyEmail(tx, a) },
		func() error { return h.log.Introduce(tx, a) },
		func() error { return access.Join(tx, organisation, a, n.role) },
		func() error { return authenticators.SetPassword(tx, a, n.password, 0) },
		func() error { return authenticators.AddTOTP(tx, h.keys, n.totp) },
		func() error { return authenticators.SetRecoveryCodes(tx, a, n.codes) },
		func() error {
			_, err := h.log.Append(tx, events.Event{
				Kind: events.AccountAdded, Account: a, Organisation: organisation, Actor: events.System,
				Data:     map[string]string{"role": string(n.role)},
				Personal: map[string]string{"email": n.account.Email, "name": n.account.Name},
			})
			return err
		},
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}
