package authenticators

import (
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/crypto/argon2"
)

const tagBytes = 32

// Parameters are the costs of Argon2id (RFC 9106 §3.1).
type Parameters struct {
	MemoryKiB uint32 // memory of one hash while it runs, KiB
	Time      uint32 // passes over the memory
	Threads   uint8  // lanes; more than one makes one hash faster, not many
}

// DefaultParameters are 64 MiB, three passes, one lane: RFC 9106 §4's second
// choice with one lane, because many people sign in at once and each core is
// better used by a hash of its own.
var DefaultParameters = Parameters{MemoryKiB: 65536, Time: 3, Threads: 1}

// Bounds of parameters, in configuration and in any PHC string that is presented:
// a hostile or damaged row must not take the memory of the machine.
const (
	minMemoryKiB, maxMemoryKiB = 8, 1 << 20 // 8 KiB (tests) to 1 GiB
	maxTime                    = 20
	maxThreads                 = 16
)

// Check reports parameters out of bounds.
func (p Parameters) Check() error {
	switch {
	case p.Threads < 1 || p.Threads > maxThreads:
		return fmt.Errorf("argon2id threads must be 1 to %d, not %d", maxThreads, p.Threads)
	case p.MemoryKiB < minMemoryKiB*uint32(p.Threads) || p.MemoryKiB > maxMemoryKiB:
		return fmt.Errorf("argon2id memory must be %d KiB (8 KiB a thread) to 1 GiB, not %d KiB", minMemoryKiB*uint32(p.Threads), p.MemoryKiB)
	case p.Time < 1 || p.Time > maxTime:
		return fmt.Errorf("argon2id time must be 1 to %d passes, not %d", maxTime, p.Time)
	}
	return nil
}

// MemoryLimit is what to give debug.SetMemoryLimit, in bytes, for so many hashes
// at once. Their memory is kept, which makes the heap look large and the collector
// lazy: without a limit as much again would pile up in small things. held is what
// else stays in memory for good, such as Breached.Bytes.
func (p Parameters) MemoryLimit(cores int, held int64) int64 {
	const rest = 80 << 20 // the program itself, with room to breathe
	return rest + held + int64(cores)*int64(p.MemoryKiB)<<10
}

// phc is an opened PHC string of Argon2id with a 16-byte salt and a 32-byte tag.
type phc struct {
	params    Parameters
	salt, tag []byte
}

var errPHC = errors.New("authenticators: not a password hash of ours")

func (h phc) String() string {
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version,
		h.params.MemoryKiB, h.params.Time, h.params.Threads,
		base64.RawStdEncoding.EncodeToString(h.salt), base64.RawStdEncoding.EncodeToString(h.tag))
}

// parsePHC reads only what String writes: one hash has one spelling. Its bounds
// are checked before the numbers are used for anything.
func parsePHC(s string) (phc, error) {
	parts := strings.Split(s, "$")
	if len(s) > 256 || len(parts) != 6 {
		return phc{}, errPHC
	}
	p, err := parseCosts(parts[3])
	if err != nil {
		return phc{}, err
	}
	salt, err1 := base64.RawStdEncoding.Strict().DecodeString(parts[4])
	tag, err2 := base64.RawStdEncoding.Strict().DecodeString(parts[5])
	h := phc{p, salt, tag}
	if err1 != nil || err2 != nil || len(salt) != saltBytes || len(tag) != tagBytes || h.String() != s {
		return phc{}, errPHC
	}
	return h, nil
}

func parseCosts(s string) (Parameters, error) {
	var n [3]uint64
	costs := strings.Split(s, ",")
	if len(costs) != len(n) {
		return Parameters{}, errPHC
	}
	for i, name := range []string{"m=", "t=", "p="} {
		digits, found := strings.CutPrefix(costs[i], name)
		v, err := strconv.ParseUint(digits, 10, 32)
		if !found || err != nil {
			return Parameters{}, errPHC
		}
		n[i] = v
	}
	if n[2] > maxThreads {
		return Parameters{}, errPHC
	}
	p := Parameters{uint32(n[0]), uint32(n[1]), uint8(n[2])}
	if err := p.Check(); err != nil {
		return Parameters{}, fmt.Errorf("%w: %w", errPHC, err)
	}
	return p, nil
}

func same(a, b []byte) bool { return subtle.ConstantTimeCompare(a, b) == 1 }
