package authenticators

import (
	"context"
	"crypto/rand"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gatehouse/fault"
	"gatehouse/id"
	"gatehouse/proof"
	"gatehouse/seal"
)

func TestAPasswordVerifiesOnlyWhenItIsTheSame(t *testing.T) {
	h := testHasher(t, testKeys(t), quick)
	for _, row := range []struct {
		name       string
		kept, show seal.Secret
		account    id.Account
		ok         bool
	}{
		{"the same password opens", "correct horse", "correct horse", ana, true},
		{"another capital does not", "correct horse", "Correct horse", ana, false},
		{"a space at the end counts", "correct horse", "correct horse ", ana, false},
		{"nothing does not open", "correct horse", "", ana, false},
		{"the hash of another account does not open", "correct horse", "correct horse", ben, false},
		{"every script is allowed", "пароль 密码 🔑", "пароль 密码 🔑", ana, true},
		{"an accent typed in two strokes is the same accent", "caf\u00e9 au lait", "cafe\u0301 au lait", ana, true},
		{"full-width letters are letters of their own", "harbour-77", "ｈａｒｂｏｕｒ－７７", ana, false},
		{"a superscript is not the digit", "harbour²-77", "harbour2-77", ana, false},
		{"1024 bytes are allowed", seal.Secret(strings.Repeat("x", 1024)), seal.Secret(strings.Repeat("x", 1024)), ana, true},
		{"all 1024 bytes count", seal.Secret(strings.Repeat("x", 1024)), seal.Secret(strings.Repeat("x", 1023) + "y"), ana, false},
		{"a zero byte does not end it", "harbour\x00one", "harbour\x00two", ana, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			kept, err := h.Hash(t.Context(), ana, row.kept)
			if err != nil {
				t.Fatal(err)
			}
			ok, stale, err := h.Verify(t.Context(), row.account, kept, row.show)
			if err != nil || ok != row.ok || stale {
				t.Errorf("ok %v, stale %v, %v; want ok %v, stale false", ok, stale, err, row.ok)
			}
		})
	}
}

func TestLengthsAreCheckedBeforeAnyHash(t *testing.T) {
	h := testHasher(t, testKeys(t), quick)
	over, end := context.WithCancel(t.Context())
	end() // a hash would say that it cannot begin
	long := seal.Secret(strings.Repeat("é", 513))
	if _, err := h.Hash(over, ana, long); fault.Of(err) != fault.PasswordTooLong {
		t.Errorf("Hash of 1026 bytes: %v", err)
	}
	if _, err := h.Hash(over, ana, "seven77"); fault.Of(err) != fault.PasswordRefused {
		t.Errorf("Hash of 7 bytes: %v", err)
	}
	if _, _, err := h.Verify(over, ana, h.Dummy(), long); fault.Of(err) != fault.PasswordTooLong {
		t.Errorf("Verify of 1026 bytes: %v", err)
	}
}

func TestTwoHashesOfOnePasswordDiffer(t *testing.T) {
	h := testHasher(t, testKeys(t), quick)
	a, err1 := h.Hash(t.Context(), ana, "correct horse")
	b, err2 := h.Hash(t.Context(), ana, "correct horse")
	if err1 != nil || err2 != nil || a.PHC == b.PHC {
		t.Errorf("%v %v, salts must differ: %s %s", err1, err2, a.PHC, b.PHC)
	}
}

func TestAHashWithOldParametersIsStale(t *testing.T) {
	keys := testKeys(t)
	kept, err := testHasher(t, keys, quick).Hash(t.Context(), ana, "correct horse")
	if err != nil {
		t.Fatal(err)
	}
	costlier := testHasher(t, keys, Parameters{MemoryKiB: 16, Time: 2, Threads: 1})
	if ok, stale, err := costlier.Verify(t.Context(), ana, kept, "correct horse"); !ok || !stale || err != nil {
		t.Errorf("ok %v, stale %v, %v", ok, stale, err)
	}
}

func TestAPepperKeyThatWasRotatedVerifiesAndIsStale(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "keys")
	if err := seal.InitKeys(dir); err != nil {
		t.Fatal(err)
	}
	before := loadKeys(t, dir)
	kept, err := testHasher(t, before, quick).Hash(t.Context(), ana, "correct horse")
	if err != nil {
		t.Fatal(err)
	}
	if err := seal.RotateKey(dir, "pepper"); err != nil {
		t.Fatal(err)
	}
	h := testHasher(t, loadKeys(t, dir), quick)
	if ok, stale, err := h.Verify(t.Context(), ana, kept, "correct horse"); !ok || !stale || err != nil {
		t.Errorf("ok %v, stale %v, %v", ok, stale, err)
	}
	if ok, _, err := testHasher(t, testKeys(t), quick).Verify(t.Context(), ana, kept, "correct horse"); ok || err == nil {
		t.Error("a pepper key that is missing must be an error, never a verdict")
	}
}

func loadKeys(t *testing.T, dir string) *seal.Keys {
	t.Helper()
	k, err := seal.LoadKeys(dir)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestTheDummyHasCurrentParametersAndOpensToNothing(t *testing.T) {
	p := Parameters{MemoryKiB: 24, Time: 2, Threads: 1}
	h := testHasher(t, testKeys(t), p)
	d, err := parsePHC(h.Dummy().PHC)
	if err != nil || d.params != p || h.Dummy().Pepper != h.o.Keys.PepperID() {
		t.Errorf("%v: %+v", err, d.params)
	}
	if first := h.Dummy(); h.Dummy() != first {
		t.Error("the dummy changes between two calls")
	}
	if ok, stale, err := h.Verify(t.Context(), ana, h.Dummy(), "correct horse"); ok || stale || err != nil {
		t.Errorf("ok %v, stale %v, %v", ok, stale, err)
	}
}

func TestThePasswordCheckerHashesOnceForEverybody(t *testing.T) {
	keys := testKeys(t)
	hashes := 0
	h, err := NewHasher(HasherOptions{Keys: keys, Parameters: quick, Rand: rand.Reader, Now: time.Now, Cores: 1,
		OnHash: func(_, _ time.Duration) { hashes++ }})
	if err != nil {
		t.Fatal(err)
	}
	kept, err := h.Hash(t.Context(), ana, "correct horse")
	if err != nil {
		t.Fatal(err)
	}
	pw := &Password{ID: "p", Hash: kept, Version: 3}
	set := New(h, keys)
	for _, row := range []struct {
		name string
		kept Kept
		show seal.Secret
		ok   bool
	}{
		{"a right password", Kept{Account: ana, Password: pw}, "correct horse", true},
		{"a wrong password", Kept{Account: ana, Password: pw}, "wrong horse", false},
		{"a person without a password", Kept{Account: ana}, "correct horse", false},
		{"nobody", Kept{Decoy: true}, "correct horse", false},
		{"nobody with a hash that would match", Kept{Account: ana, Decoy: true, Password: pw}, "correct horse", false},
	} {
		t.Run(row.name, func(t *testing.T) {
			hashes = 0
			v, err := set.Check(t.Context(), proof.Password, row.kept, Shown{Secret: row.show, Now: noon})
			if err != nil || v.OK != row.ok || hashes != 1 {
				t.Errorf("ok %v after %d hashes, %v; want ok %v after 1", v.OK, hashes, err, row.ok)
			}
			if v.OK && (v.Proof.Authenticator != "p" || v.Proof.Version != 3 || !v.Proof.At.Equal(noon)) {
				t.Errorf("proof %+v", v.Proof)
			}
		})
	}
	if _, err := set.Check(t.Context(), proof.Link, Kept{}, Shown{}); err == nil {
		t.Error("a method without a checker must be an error")
	}
}

func TestASecretIsNeverPrintedByAnError(t *testing.T) {
	h := testHasher(t, testKeys(t), quick)
	long := seal.Secret("hunter2" + strings.Repeat("x", 1024))
	_, err := h.Hash(t.Context(), ana, long)
	if err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Error(err)
	}
}
