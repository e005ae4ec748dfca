package authenticators

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"golang.org/x/text/unicode/norm"

	"gatehouse/fault"
	"gatehouse/id"
	"gatehouse/proof"
	"gatehouse/seal"
)

// The lengths of a password in bytes of UTF-8, before anything is computed.
const (
	MinPasswordBytes = 8
	MaxPasswordBytes = 1024
)

const saltBytes = 16

// PasswordHash is what is kept of a password: a PHC string over the peppered
// password, and the id of the pepper key.
type PasswordHash struct {
	PHC    string
	Pepper uint32
}

// HasherOptions say what a Hasher needs.
type HasherOptions struct {
	Keys       *seal.Keys
	Parameters Parameters
	Rand       io.Reader
	Now        func() time.Time                     // for OnHash
	Cores      int                                  // at most so many hashes at once; give runtime.GOMAXPROCS(0)
	Queue      int                                  // at most so many callers wait; 0 means DefaultQueue
	OnHash     func(hashing, waiting time.Duration) // told of every hash when it is done; may be nil
}

// Hasher makes and verifies password hashes, never more at once than it has
// cores. Each needs Parameters.MemoryKiB of memory, which stays for the next hash
// until Rest lets go of it.
type Hasher struct {
	o      HasherOptions
	queue  *queue
	dummy  func() PasswordHash
	memory spare
}

// NewHasher makes a Hasher. It computes nothing yet, so a start is not delayed.
func NewHasher(o HasherOptions) (*Hasher, error) {
	if err := o.Parameters.Check(); err != nil {
		return nil, err
	}
	if o.Keys == nil || o.Rand == nil || o.Now == nil || o.Cores < 1 {
		return nil, errors.New("authenticators: a Hasher needs keys, randomness, a clock and at least one core")
	}
	if o.Queue == 0 {
		o.Queue = DefaultQueue
	}
	h := &Hasher{o: o, queue: newQueue(o.Cores, o.Queue)}
	h.dummy = sync.OnceValue(h.makeDummy)
	return h, nil
}

// Waiting is how many callers wait for a core now.
func (h *Hasher) Waiting() int { return h.queue.length() }

// Parameters are those of new hashes.
func (h *Hasher) Parameters() Parameters { return h.o.Parameters }

// Hash makes a hash of a new password. It returns fault.PasswordTooLong or
// fault.PasswordRefused for a length out of bounds, before any work, and
// fault.Busy when too many wait.
func (h *Hasher) Hash(ctx context.Context, account id.Account, pw seal.Secret) (PasswordHash, error) {
	if len(pw) < MinPasswordBytes {
		return PasswordHash{}, fault.New(fault.PasswordRefused, errors.New("authenticators: password under 8 bytes"))
	}
	input, err := prepare(pw)
	if err != nil {
		return PasswordHash{}, err
	}
	pepper, peppered, err := h.o.Keys.Pepper(passwordPlace(account), input)
	if err != nil {
		return PasswordHash{}, err
	}
	salt := make([]byte, saltBytes)
	if _, err := io.ReadFull(h.o.Rand, salt); err != nil {
		return PasswordHash{}, err
	}
	tag, err := h.derive(ctx, peppered, salt, h.o.Parameters)
	if err != nil {
		return PasswordHash{}, err
	}
	return PasswordHash{phc{h.o.Parameters, salt, tag}.String(), pepper}, nil
}

// Verify compares a password with a kept hash in constant time. stale asks for a
// rehash: the parameters or the pepper key are not those of new hashes. Too long
// a password is fault.PasswordTooLong, before any work.
func (h *Hasher) Verify(ctx context.Context, account id.Account, kept PasswordHash, pw seal.Secret) (ok, stale bool, err error) {
	input, err := prepare(pw)
	if err != nil {
		return false, false, err
	}
	want, err := parsePHC(kept.PHC)
	if err != nil {
		return false, false, err
	}
	peppered, err := h.o.Keys.PepperWith(kept.Pepper, passwordPlace(account), input)
	if err != nil {
		return false, false, err
	}
	got, err := h.derive(ctx, peppered, want.salt, want.params)
	if err != nil {
		return false, false, err
	}
	stale = want.params != h.o.Parameters || kept.Pepper != h.o.Keys.PepperID()
	return same(got, want.tag), stale, nil
}

// Dummy is a hash that nothing matches, with the current parameters and pepper
// key: verifying against it costs what a real one costs. It is random, not
// computed, because no password has to lead to it.
func (h *Hasher) Dummy() PasswordHash { return h.dummy() }

func (h *Hasher) makeDummy() PasswordHash {
	b := make([]byte, saltBytes+tagBytes)
	if _, err := io.ReadFull(h.o.Rand, b); err != nil {
		panic("authenticators: no randomness: " + err.Error())
	}
	return PasswordHash{phc{h.o.Parameters, b[:saltBytes], b[saltBytes:]}.String(), h.o.Keys.PepperID()}
}

// derive runs Argon2id in its turn.
func (h *Hasher) derive(ctx context.Context, peppered, salt []byte, p Parameters) ([]byte, error) {
	since := h.o.Now()
	leave, err := h.queue.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	memory := h.memory.take()
	defer h.memory.put(memory)
	begun := h.o.Now()
	tag := memory.Key(peppered, salt, p.Time, p.MemoryKiB, p.Threads, tagBytes)
	if h.o.OnHash != nil {
		h.o.OnHash(h.o.Now().Sub(begun), begun.Sub(since))
	}
	return tag, nil
}

// prepare bounds a password and brings it to NFC, so that one password typed on
// two keyboards is one password: SP 800-63B-4 §3.1.1.2 asks for NFC (its earlier
// revision for NFKC or NFKD), as does RFC 8265 §4.2. NFC joins only what is the
// same character; NFKC would also make ² and 2, or ｱ and ア, one.
func prepare(pw seal.Secret) ([]byte, error) {
	if len(pw) > MaxPasswordBytes {
		return nil, fault.New(fault.PasswordTooLong, nil)
	}
	return []byte(normal(pw.Reveal())), nil
}

// normal is the form in which a password is hashed and counted.
func normal(s string) string { return norm.NFC.String(s) }

// passwordPlace binds a hash to its account: copied to another row it matches nothing.
func passwordPlace(account id.Account) seal.Place {
	return seal.Place{Table: "passwords", Row: string(account), Column: "hash"}
}

type passwordChecker struct{ hasher *Hasher }

// Check does one Argon2id for every account, by the dummy when there is no
// password: nobody's row holds no hash, so that it can never have old parameters.
func (c passwordChecker) Check(ctx context.Context, kept Kept, shown Shown) (Verdict, error) {
	pw := Password{Hash: c.hasher.Dummy()}
	real := kept.Password != nil && !kept.Decoy
	if real {
		pw = *kept.Password
	}
	ok, stale, err := c.hasher.Verify(ctx, kept.Account, pw.Hash, shown.Secret)
	if err != nil || !ok || !real {
		return Verdict{}, err
	}
	return Verdict{OK: true, Stale: stale, Proof: proof.Proof{
		Method: proof.Password, Authenticator: string(pw.ID), Version: pw.Version, At: shown.Now.UTC(),
	}}, nil
}
