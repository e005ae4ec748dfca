package authenticators

import (
	"bytes"
	"crypto/rand"
	"regexp"
	"strings"
	"testing"

	"gatehouse/proof"
	"gatehouse/seal"
)

func TestACodeIsEightyBitsInReadableGroups(t *testing.T) {
	codes, err := NewRecoveryCodes(rand.Reader)
	if err != nil || len(codes) != 10 {
		t.Fatal(len(codes), err)
	}
	form := regexp.MustCompile(`^[0-9a-hjkmnp-tv-z]{4}(-[0-9a-hjkmnp-tv-z]{4}){3}$`)
	seen := map[seal.Secret]bool{}
	for _, c := range codes {
		if !form.MatchString(c.Reveal()) || seen[c] {
			t.Errorf("%q", c.Reveal())
		}
		seen[c] = true
	}
	if _, err := NewRecoveryCodes(bytes.NewReader(make([]byte, 99))); err == nil {
		t.Error("a source that runs dry must be an error")
	}
}

func TestEveryBitOfRandomnessIsInTheCode(t *testing.T) {
	seen := map[string]bool{}
	for bit := range 80 {
		b := make([]byte, 10)
		b[bit/8] = 1 << (bit % 8)
		seen[spell(b)] = true
	}
	if len(seen) != 80 || spell(make([]byte, 10)) != "0000-0000-0000-0000" || spell(bytes.Repeat([]byte{255}, 10)) != "zzzz-zzzz-zzzz-zzzz" {
		t.Error(len(seen), spell(bytes.Repeat([]byte{255}, 10)))
	}
}

func testSet(t *testing.T, keys *seal.Keys) ([]seal.Secret, *RecoverySet) {
	t.Helper()
	codes, err := NewRecoveryCodes(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	slots, err := HashRecoveryCodes(keys, "set", codes)
	if err != nil {
		t.Fatal(err)
	}
	return codes, &RecoverySet{ID: "set", Version: 4, Slots: slots}
}

func TestACodeIsReadHoweverItIsTyped(t *testing.T) {
	codes := []seal.Secret{"7kq3-9xwf-01ab-zzzz"}
	keys := testKeys(t)
	slots, err := HashRecoveryCodes(keys, "set", codes)
	if err != nil {
		t.Fatal(err)
	}
	set := New(testHasher(t, keys, quick), keys)
	kept := Kept{Account: ana, Recovery: &RecoverySet{ID: "set", Slots: slots}}
	for _, row := range []struct {
		name  string
		typed seal.Secret
		ok    bool
	}{
		{"as it is printed", "7kq3-9xwf-01ab-zzzz", true},
		{"in capitals", "7KQ3-9XWF-01AB-ZZZZ", true},
		{"without dashes", "7kq39xwf01abzzzz", true},
		{"with spaces and a line end", " 7kq3 9xwf 01ab zzzz\n", true},
		{"o for 0 and l for 1", "7kq3-9xwf-olab-zzzz", true},
		{"O for 0 and I for 1", "7kq3-9xwf-OIab-zzzz", true},
		{"full-width", "７ｋｑ３－９ｘｗｆ－０１ａｂ－ｚｚｚｚ", true},
		{"one letter wrong", "7kq3-9xwf-01ab-zzzy", false},
		{"one letter less", "7kq3-9xwf-01ab-zzz", false},
		{"one letter more", "7kq3-9xwf-01ab-zzzz0", false},
		{"a u, which is no letter of ours", "7kq3-9xwf-01ab-zzzu", false},
		{"nothing", "", false},
		{"a novel", seal.Secret(strings.Repeat("7kq3", 100)), false},
	} {
		t.Run(row.name, func(t *testing.T) {
			v, err := set.Check(t.Context(), proof.RecoveryCode, kept, Shown{Secret: row.typed, Now: noon})
			if err != nil || v.OK != row.ok {
				t.Errorf("%v %v", v.OK, err)
			}
		})
	}
}

func TestEverySlotOpensWithItsOwnCodeUntilItIsSpent(t *testing.T) {
	keys := testKeys(t)
	set := New(testHasher(t, keys, quick), keys)
	codes, kept := testSet(t, keys)
	for i, code := range codes {
		k := Kept{Account: ana, Recovery: kept}
		v, err := set.Check(t.Context(), proof.RecoveryCode, k, Shown{Secret: code, Now: noon})
		if err != nil || !v.OK || v.Proof.Step != int64(i) || v.Proof.Authenticator != "set" || v.Proof.Version != 4 {
			t.Errorf("slot %d: %+v %v", i, v, err)
		}
		if left := RecoveryLeft(k); left != 10-i {
			t.Errorf("%d left, want %d", left, 10-i)
		}
		kept.Slots[i].SpentAt = noon
		if v, err := set.Check(t.Context(), proof.RecoveryCode, k, Shown{Secret: code, Now: noon}); err != nil || v.OK {
			t.Errorf("slot %d opens after it was spent: %v", i, err)
		}
	}
	if v, err := set.Check(t.Context(), proof.RecoveryCode, Kept{Account: ana}, Shown{Secret: codes[0], Now: noon}); err != nil || v.OK {
		t.Errorf("a person without codes: %+v %v", v, err)
	}
}

func TestAHashCopiedToAnotherSetOrSlotOpensNothing(t *testing.T) {
	keys := testKeys(t)
	set := New(testHasher(t, keys, quick), keys)
	codes, kept := testSet(t, keys)
	for name, moved := range map[string]*RecoverySet{
		"another set":  {ID: "other", Slots: kept.Slots},
		"another slot": {ID: "set", Slots: []RecoverySlot{{Slot: 1, Hash: kept.Slots[0].Hash, Pepper: kept.Slots[0].Pepper}}},
	} {
		if v, err := set.Check(t.Context(), proof.RecoveryCode, Kept{Recovery: moved}, Shown{Secret: codes[0], Now: noon}); err != nil || v.OK {
			t.Errorf("%s: %+v %v", name, v, err)
		}
	}
}

func TestAMissingPepperKeyIsAnErrorNotAWrongCode(t *testing.T) {
	keys := testKeys(t)
	codes, kept := testSet(t, keys)
	kept.Slots[3].Pepper++
	v, err := New(testHasher(t, keys, quick), keys).Check(t.Context(), proof.RecoveryCode, Kept{Recovery: kept}, Shown{Secret: codes[0], Now: noon})
	if err == nil || v.OK {
		t.Errorf("%+v %v", v, err)
	}
}
