// Package argon2id is Argon2id of golang.org/x/crypto in memory that is used
// again. x/crypto takes fresh memory for every hash, 64 MiB each with our
// parameters: under load a fifteenth of all CPU time went into page faults and
// the collector, and the process grew to whatever the collector allowed. With one
// Memory for each core it needs exactly that (docs/decisions/0011-hash-memory.md).
//
// The computation is x/crypto's own. Only the few lines that take the memory are
// here, and tests hold every result against argon2.IDKey.
package argon2id

import (
	"encoding/binary"
	"sync"
	_ "unsafe" // go:linkname

	"golang.org/x/crypto/argon2"
	"golang.org/x/crypto/blake2b"
)

// Memory is what one hash at a time works in. Its zero value is ready; it grows to
// the largest hash it was used for. Between hashes it holds nothing but zeros:
// the algorithm expects that, and it leaves nothing of a password behind.
type Memory struct {
	blocks []block
	busy   sync.Mutex // one hash at a time: a second caller waits instead of spoiling the first
}

// Key is argon2.IDKey(password, salt, time, memory, threads, length).
func (m *Memory) Key(password, salt []byte, time, memory uint32, threads uint8, length uint32) []byte {
	if time < 1 || threads < 1 {
		panic("argon2id: time and threads must be 1 or more")
	}
	m.busy.Lock()
	defer m.busy.Unlock()
	lanes := uint32(threads)
	h0 := initHash(password, salt, nil, nil, time, memory, lanes, length, argon2id)
	memory = max(memory/(syncPoints*lanes), 2) * (syncPoints * lanes)
	blocks := m.zeros(memory)
	defer clear(blocks)
	firstBlocks(blocks, &h0, lanes)
	processBlocks(blocks, time, memory, lanes, argon2id)
	return extractKey(blocks, memory, lanes, length)
}

// Size is how much memory is held, in bytes.
func (m *Memory) Size() int64 { return int64(len(m.blocks)) * blockLength * 8 }

func (m *Memory) zeros(n uint32) []block {
	if uint32(len(m.blocks)) < n {
		m.blocks = nil // let go of the old before taking the new
		m.blocks = make([]block, n)
	}
	return m.blocks[:n]
}

// firstBlocks is RFC 9106 §3.2 steps 3 and 4: the first two blocks of each lane.
func firstBlocks(blocks []block, h0 *[blake2b.Size + 8]byte, lanes uint32) {
	var text [blockLength * 8]byte
	for lane := range lanes {
		binary.LittleEndian.PutUint32(h0[blake2b.Size+4:], lane)
		for i := range uint32(2) {
			binary.LittleEndian.PutUint32(h0[blake2b.Size:], i)
			blake2bHash(text[:], h0[:])
			at := &blocks[lane*(uint32(len(blocks))/lanes)+i]
			for j := range at {
				at[j] = binary.LittleEndian.Uint64(text[j*8:])
			}
		}
	}
}

// What x/crypto names the same way. A version that changes one of these does not
// link, or does not pass the tests.
const (
	blockLength = 128
	syncPoints  = 4
	argon2id    = 2
	_           = uint(argon2.Version-0x13) + uint(0x13-argon2.Version) // another version does not compile
)

type block [blockLength]uint64

//go:linkname initHash golang.org/x/crypto/argon2.initHash
func initHash(password, salt, key, data []byte, time, memory, threads, keyLen uint32, mode int) [blake2b.Size + 8]byte

//go:linkname blake2bHash golang.org/x/crypto/argon2.blake2bHash
func blake2bHash(out, in []byte)

//go:linkname processBlocks golang.org/x/crypto/argon2.processBlocks
func processBlocks(blocks []block, time, memory, threads uint32, mode int)

//go:linkname extractKey golang.org/x/crypto/argon2.extractKey
func extractKey(blocks []block, memory, threads, keyLen uint32) []byte
