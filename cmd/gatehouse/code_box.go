package main

import (
	"cmp"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/crypto/argon2"

	"gatehouse/seal"
)

// codeAccount is one saved account.
type codeAccount struct {
	Name string `json:"name"`
	Link string `json:"link"`
}

// codeBox is the file that gatehouse code keeps accounts in: all of them sealed with
// one passphrase, names too. It belongs to a person, not to an installation.
type codeBox struct{ path string }

// sealedBox is the file. Version 1: Argon2id (64 MiB, 3 passes, 1 lane) makes the
// key of AES-256-GCM; the nonce stands before the cipher text.
type sealedBox struct {
	Version int    `json:"version"`
	Salt    []byte `json:"salt"`
	Sealed  []byte `json:"sealed"`
}

const (
	boxVersion = 1
	boxLabel   = "gatehouse code 1"
	mostInBox  = 1 << 20 // bytes; a thousand accounts fit
)

// codeBoxOf finds the person's file.
func codeBoxOf(p *program) (codeBox, error) {
	dir := ""
	for _, v := range p.environ {
		if name, value, _ := strings.Cut(v, "="); name == "XDG_CONFIG_HOME" && filepath.IsAbs(value) {
			dir = value
		}
	}
	if dir == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return codeBox{}, err
		}
		dir = filepath.Join(home, ".config")
	}
	return codeBox{filepath.Join(dir, "gatehouse", "codes.json")}, nil
}

// open asks for the passphrase and opens the file. found is false when there is none.
func (b codeBox) open(ask *confidant) (all []codeAccount, found bool, err error) {
	info, err := os.Stat(b.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, false, nil
	}
	if err != nil {
		return nil, true, err
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, true, next(fmt.Errorf("%s can be read by others on this machine", b.path), "if you made it so: chmod 600 %s", b.path)
	}
	if info.Size() > mostInBox {
		return nil, true, b.broken()
	}
	text, err := os.ReadFile(b.path)
	if err != nil {
		return nil, true, err
	}
	var file sealedBox
	if json.Unmarshal(text, &file) != nil || file.Version != boxVersion || len(file.Salt) != 16 {
		return nil, true, b.broken()
	}
	if ask.pass, err = ask.secret("Passphrase: "); err != nil {
		return nil, true, err
	}
	aead, err := boxKey(ask.pass, file.Salt)
	if err != nil {
		return nil, true, err
	}
	plain, err := aead.Open(nil, nil, file.Sealed, []byte(boxLabel))
	if err != nil {
		return nil, true, next(errors.New("the passphrase is not the one that this was saved with, or the file was changed"), "try again; if it is lost, delete %s and set the accounts up anew on their pages", b.path)
	}
	return all, true, json.Unmarshal(plain, &all)
}

func (b codeBox) broken() error {
	return next(fmt.Errorf("%s is not a file of gatehouse code", b.path), "put back a copy of it, or delete it and save the accounts anew")
}

func boxKey(pass seal.Secret, salt []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(argon2.IDKey([]byte(pass.Reveal()), salt, 3, 64<<10, 1, 32))
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}

// add saves an account. The first one chooses the passphrase.
func (b codeBox) add(ask *confidant, one codeAccount) error {
	all, found, err := b.open(ask)
	if err != nil {
		return err
	}
	if slices.Contains(names(all), one.Name) {
		return next(fmt.Errorf("something is saved as %s already", one.Name), "choose another name, or forget it first: gatehouse code --remove %s", one.Name)
	}
	if !found {
		if err := ask.newPassphrase(); err != nil {
			return err
		}
	}
	all = append(all, one)
	slices.SortFunc(all, func(a, b codeAccount) int { return cmp.Compare(a.Name, b.Name) })
	return b.write(ask.pass, all)
}

func (b codeBox) remove(ask *confidant, name string) error {
	all, _, err := b.open(ask)
	if err != nil {
		return err
	}
	if !slices.Contains(names(all), name) {
		return next(fmt.Errorf("nothing is saved as %q%s", name, didYouMean(name, names(all))), "see what is: gatehouse code --list")
	}
	return b.write(ask.pass, slices.DeleteFunc(all, func(one codeAccount) bool { return one.Name == name }))
}

func names(all []codeAccount) []string {
	var list []string
	for _, one := range all {
		list = append(list, one.Name)
	}
	return list
}

// shortestPassphrase is in characters. Whoever takes the file guesses as fast as
// their machines allow.
const shortestPassphrase = 12

func (a *confidant) newPassphrase() (err error) {
	if a.pass, err = a.secret(fmt.Sprintf("Choose a passphrase of at least %d characters for this file: ", shortestPassphrase)); err != nil {
		return err
	}
	if len([]rune(a.pass.Reveal())) < shortestPassphrase {
		return next(fmt.Errorf("the passphrase has fewer than %d characters; nothing was saved", shortestPassphrase), "three or four words that nobody would guess are long enough and easy to remember")
	}
	again, err := a.secret("Type it once more: ")
	if err == nil && again != a.pass {
		err = errors.New("the two are not the same; nothing was saved")
	}
	return err
}

// write puts a whole new file in the place of the old one, so that neither a full
// disk nor a power cut leaves half of one.
func (b codeBox) write(pass seal.Secret, all []codeAccount) error {
	plain, err := json.Marshal(all)
	if err != nil {
		return err
	}
	file := sealedBox{Version: boxVersion, Salt: make([]byte, 16)}
	if _, err := rand.Read(file.Salt); err != nil {
		return err
	}
	aead, err := boxKey(pass, file.Salt)
	if err != nil {
		return err
	}
	file.Sealed = aead.Seal(nil, nil, plain, []byte(boxLabel))
	text, err := json.Marshal(file)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(b.path), 0o700); err != nil {
		return err
	}
	temp, err := os.CreateTemp(filepath.Dir(b.path), "codes-*.tmp") // 0600
	if err != nil {
		return err
	}
	defer os.Remove(temp.Name())
	_, err = temp.Write(append(text, '\n'))
	if err = errors.Join(err, temp.Sync(), temp.Close()); err != nil {
		return err
	}
	return os.Rename(temp.Name(), b.path)
}
