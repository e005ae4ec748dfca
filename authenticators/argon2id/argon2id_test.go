package argon2id

import (
	"bytes"
	"encoding/hex"
	"math/rand/v2"
	"sync"
	"testing"

	"golang.org/x/crypto/argon2"
)

func TestItIsWhatXCryptoComputes(t *testing.T) {
	r := rand.New(rand.NewPCG(9106, 2021))
	var m Memory // the same one throughout: what a hash leaves behind would spoil the next
	for range 200 {
		password, salt := make([]byte, r.IntN(200)), make([]byte, 8+r.IntN(40))
		for _, b := range [][]byte{password, salt} {
			for i := range b {
				b[i] = byte(r.Uint32())
			}
		}
		time, memory, threads, length := 1+r.Uint32N(4), 1+r.Uint32N(600), uint8(1+r.UintN(8)), 4+r.Uint32N(100)
		want := argon2.IDKey(password, salt, time, memory, threads, length)
		if got := m.Key(password, salt, time, memory, threads, length); !bytes.Equal(got, want) {
			t.Fatalf("t=%d,m=%d,p=%d,%d bytes: %x, want %x", time, memory, threads, length, got, want)
		}
	}
}

// The vector of the reference implementation's test.c: version 0x13, Argon2id,
// 64 MiB, two passes, one lane.
func TestTheVectorOfTheReferenceImplementation(t *testing.T) {
	var m Memory
	got := hex.EncodeToString(m.Key([]byte("password"), []byte("somesalt"), 2, 1<<16, 1, 32))
	if want := "09316115d5cf24ed5a15a31a3ba326e5cf32edc24702987c02b6566f61913cf7"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestNothingIsLeftBehind(t *testing.T) {
	var m Memory
	m.Key([]byte("a password"), []byte("some salt"), 3, 64, 2, 32)
	for i, b := range m.blocks {
		if b != (block{}) {
			t.Fatalf("block %d holds something", i)
		}
	}
}

func TestItGrowsToTheLargestHashAndNoFurther(t *testing.T) {
	var m Memory
	for _, row := range []struct{ memory, kib uint32 }{{64, 64}, {8, 64}, {256, 256}, {64, 256}} {
		m.Key([]byte("a password"), []byte("some salt"), 1, row.memory, 1, 32)
		if m.Size() != int64(row.kib)<<10 {
			t.Errorf("after a hash of %d KiB it holds %d bytes, want %d KiB", row.memory, m.Size(), row.kib)
		}
	}
}

func TestTwoAtOnceDoNotSpoilEachOther(t *testing.T) {
	var m Memory
	want := argon2.IDKey([]byte("a password"), []byte("some salt"), 1, 64, 1, 32)
	var g sync.WaitGroup
	for range 8 {
		g.Go(func() {
			if got := m.Key([]byte("a password"), []byte("some salt"), 1, 64, 1, 32); !bytes.Equal(got, want) {
				t.Errorf("%x, want %x", got, want)
			}
		})
	}
	g.Wait()
}
