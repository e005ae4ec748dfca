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

	"golang.org/x/sync/errgroup"

	"gatehouse/access"
	"gatehouse/authenticators"
	"gatehouse/events"
	"gatehouse/manage"
	"gatehouse/seal"
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
	if err := stockTokens(ctx, dir, h, people[0].Email); err != nil {
		return nil, err
	}
	if text, err = json.MarshalIndent(people, "", "  "); err != nil {
		return nil, err
	}
	return people, os.WriteFile(path, append(text, '\n'), 0o600)
}

// makePeople gives everybody their secrets and accounts, in parallel because
// each costs a hash.
func makePeople(ctx context.Context, h *house) ([]demoPerson, error) {
	people := cast()
	var g errgroup.Group
	for i := range people {
		g.Go(func() error { return h.settle(ctx, &people[i]) })
	}
	err := g.Wait()
	return people, err
}

func (h *house) settle(ctx context.Context, d *demoPerson) (err error) {
	if d.Password, err = passphrase(rand.Reader); err != nil {
		return err
	}
	secret, err := authenticators.NewTOTPSecret(rand.Reader)
	if err != nil {
		return err
	}
	d.TOTPSecret = secret.Reveal()
	person := manage.Person{Email: d.Email, Name: d.Name, Organisation: demoOrganisation, Role: d.Role}
	_, err = h.manage.AddReady(ctx, manage.Ready{Person: person, Password: seal.Secret(d.Password), TOTP: secret}, events.Operator)
	return err
}
