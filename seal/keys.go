package seal

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/insecurecleartextkeyset"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/prf"
	tinkpb "github.com/tink-crypto/tink-go/v2/proto/tink_go_proto"
)

// Names are the key files of a key folder, without ".json".
var names = [...]string{"vault", "tokens", "pepper"}

// Names lists the key sets.
func Names() []string { return names[:] }

func template(name string) *tinkpb.KeyTemplate {
	if name == "pepper" {
		return prf.HMACSHA256PRFKeyTemplate()
	}
	if name == "tokens" {
		return aead.XChaCha20Poly1305KeyTemplate() // tickets are resealed all day: its nonces are long enough to be random for ever
	}
	return aead.AES256GCMKeyTemplate()
}

// Info describes one key of a set without its material.
type Info struct {
	Set     string
	ID      uint32
	Status  string
	Primary bool
}

// InitKeys makes the folder (mode 0700) and every key file (mode 0600). It
// refuses to touch a folder that already holds one.
func InitKeys(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	for _, n := range names {
		if _, err := os.Lstat(file(dir, n)); !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("%s exists already; keys are never overwritten (gatehouse keys rotate adds a newer one)", file(dir, n))
		}
	}
	for _, n := range names {
		h, err := keyset.NewHandle(template(n))
		if err != nil {
			return err
		}
		if err := write(file(dir, n), h); err != nil {
			return err
		}
	}
	return nil
}

// RotateKey adds a new key to one set and makes it the one that makes; the
// others go on verifying. Running nodes take it up when they next start.
func RotateKey(dir, name string) error {
	h, err := read(dir, name)
	if err != nil {
		return err
	}
	m := keyset.NewManagerFromHandle(h)
	kid, err := m.Add(template(name))
	if err != nil {
		return err
	}
	if err := m.SetPrimary(kid); err != nil {
		return err
	}
	if h, err = m.Handle(); err != nil {
		return err
	}
	return write(file(dir, name), h)
}

// LoadKeys opens a key folder. It refuses files that others may read.
func LoadKeys(dir string) (*Keys, error) {
	var k Keys
	for _, n := range names {
		h, err := read(dir, n)
		if err != nil {
			return nil, err
		}
		switch n {
		case "vault":
			k.vault, err = aead.New(h)
		case "tokens":
			k.tokens, err = aead.New(h)
		case "pepper":
			k.pepper, err = prf.NewPRFSet(h)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file(dir, n), err)
		}
	}
	return &k, nil
}

// ListKeys describes the keys of a folder.
func ListKeys(dir string) ([]Info, error) {
	var infos []Info
	for _, n := range names {
		h, err := read(dir, n)
		if err != nil {
			return nil, err
		}
		set := h.KeysetInfo()
		for _, ki := range set.GetKeyInfo() {
			infos = append(infos, Info{n, ki.GetKeyId(), ki.GetStatus().String(), ki.GetKeyId() == set.GetPrimaryKeyId()})
		}
	}
	return infos, nil
}

func file(dir, name string) string { return filepath.Join(dir, name+".json") }

// missing tells a fresh machine from a loss: where other keys lie, a new one
// would open nothing that the lost one made.
func missing(dir, path string) error {
	for _, n := range names {
		if _, err := os.Lstat(file(dir, n)); err == nil {
			return fmt.Errorf("%s is missing beside other keys; put it back from the backup: a new one opens nothing that it made", path)
		}
	}
	return fmt.Errorf("%s is missing; run: gatehouse keys init --dir %s", path, dir)
}

func read(dir, name string) (*keyset.Handle, error) {
	path := file(dir, name)
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, missing(dir, path)
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if st.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("%s can be read by others; run: chmod 600 %s", path, path)
	}
	h, err := insecurecleartextkeyset.Read(keyset.NewJSONReader(f))
	if err != nil {
		return nil, fmt.Errorf("%s is not a key file: %w", path, err)
	}
	return h, nil
}

// write replaces the file in one step, so that a crash leaves the old or the new.
func write(path string, h *keyset.Handle) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".key-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	if err := insecurecleartextkeyset.Write(h, keyset.NewJSONWriter(f)); err != nil {
		f.Close()
		return err
	}
	if err := errors.Join(f.Chmod(0o600), f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
