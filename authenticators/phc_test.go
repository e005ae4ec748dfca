package authenticators

import (
	"strings"
	"testing"
)

const (
	goodSalt = "AAECAwQFBgcICQoLDA0ODw"
	goodTag  = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"
)

func TestAPHCStringIsReadOnlyAsWeWriteIt(t *testing.T) {
	for _, row := range []struct {
		name, phc string
		ok        bool
	}{
		{"what we write", "$argon2id$v=19$m=65536,t=3,p=1$" + goodSalt + "$" + goodTag, true},
		{"nothing", "", false},
		{"another algorithm", "$argon2i$v=19$m=65536,t=3,p=1$" + goodSalt + "$" + goodTag, false},
		{"another version", "$argon2id$v=16$m=65536,t=3,p=1$" + goodSalt + "$" + goodTag, false},
		{"parameters in another order", "$argon2id$v=19$t=3,m=65536,p=1$" + goodSalt + "$" + goodTag, false},
		{"a leading zero", "$argon2id$v=19$m=065536,t=3,p=1$" + goodSalt + "$" + goodTag, false},
		{"a plus sign", "$argon2id$v=19$m=+65536,t=3,p=1$" + goodSalt + "$" + goodTag, false},
		{"memory of a terabyte", "$argon2id$v=19$m=1073741824,t=3,p=1$" + goodSalt + "$" + goodTag, false},
		{"memory past 32 bits", "$argon2id$v=19$m=4294967304,t=3,p=1$" + goodSalt + "$" + goodTag, false},
		{"a million passes", "$argon2id$v=19$m=65536,t=1000000,p=1$" + goodSalt + "$" + goodTag, false},
		{"no pass at all", "$argon2id$v=19$m=65536,t=0,p=1$" + goodSalt + "$" + goodTag, false},
		{"257 lanes, which is one more than a byte", "$argon2id$v=19$m=65536,t=3,p=257$" + goodSalt + "$" + goodTag, false},
		{"no lane at all", "$argon2id$v=19$m=65536,t=3,p=0$" + goodSalt + "$" + goodTag, false},
		{"too little memory for its lanes", "$argon2id$v=19$m=8,t=3,p=2$" + goodSalt + "$" + goodTag, false},
		{"a short salt", "$argon2id$v=19$m=65536,t=3,p=1$AAEC$" + goodTag, false},
		{"an empty tag, which everything would match", "$argon2id$v=19$m=65536,t=3,p=1$" + goodSalt + "$", false},
		{"padding", "$argon2id$v=19$m=65536,t=3,p=1$" + goodSalt + "==$" + goodTag, false},
		{"stray bits in the last letter", "$argon2id$v=19$m=65536,t=3,p=1$" + goodSalt[:21] + "x$" + goodTag, false},
		{"a line end", "$argon2id$v=19$m=65536,t=3,p=1$" + goodSalt + "$" + goodTag + "\n", false},
		{"one field more", "$argon2id$v=19$m=65536,t=3,p=1$" + goodSalt + "$" + goodTag + "$", false},
		{"a megabyte", "$argon2id$v=19$m=65536,t=3,p=1$" + strings.Repeat("A", 1<<20) + "$" + goodTag, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			h, err := parsePHC(row.phc)
			if (err == nil) != row.ok {
				t.Fatalf("%v", err)
			}
			if row.ok && h.params != DefaultParameters {
				t.Errorf("%+v", h.params)
			}
		})
	}
}

func TestParametersOutOfBoundsAreRefusedAtTheStart(t *testing.T) {
	for _, p := range []Parameters{{}, {MemoryKiB: 1 << 21, Time: 3, Threads: 1}, {MemoryKiB: 8, Time: 3, Threads: 2}, {MemoryKiB: 65536, Time: 21, Threads: 1}, {MemoryKiB: 65536, Time: 3, Threads: 17}} {
		if p.Check() == nil {
			t.Errorf("%+v passes", p)
		}
	}
	if err := DefaultParameters.Check(); err != nil {
		t.Error(err)
	}
}

func FuzzPHC(f *testing.F) {
	f.Add("$argon2id$v=19$m=65536,t=3,p=1$" + goodSalt + "$" + goodTag)
	f.Add("$argon2id$v=19$m=8,t=1,p=1$$")
	f.Add("$$$$$")
	f.Fuzz(func(t *testing.T, s string) {
		h, err := parsePHC(s)
		if err != nil {
			return
		}
		if h.String() != s || h.params.Check() != nil || len(h.salt) != saltBytes || len(h.tag) != tagBytes {
			t.Errorf("%q was read as %+v", s, h)
		}
	})
}
