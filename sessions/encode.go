package sessions

import (
	"encoding/binary"
	"errors"
	"time"

	"gatehouse/id"
	"gatehouse/proof"
)

// ticketForm is the first byte of a ticket's plain form. A ticket is opened at
// every page and every session check, so its fields stand in a row instead of in
// JSON: half the length and a tenth of the time. A change of the row is another
// form; a node opens the forms it knows (DESIGN §5: N and N+1).
const ticketForm = 1

// maxProofs bounds what a ticket is believed to hold.
const maxProofs = 16

var errTicketForm = errors.New("sessions: a ticket in a form that this build does not know")

func (t Ticket) plain() []byte {
	p := make(packer, 1, 512)
	p[0] = ticketForm
	p.text(string(t.Session))
	p.text(string(t.Account))
	p.number(t.Epoch)
	p.text(string(t.Device))
	p.time(t.MadeAt)
	p.time(t.IssuedAt)
	p.time(t.IdleUntil)
	p.time(t.AbsoluteUntil)
	p.number(flag(t.Standby, 1) | flag(t.Lenient, 2))
	p.number(int64(len(t.Proofs)))
	for _, f := range t.Proofs {
		p.text(string(f.Method))
		p.text(f.Authenticator)
		p.number(f.Version)
		p.time(f.At)
		p.number(f.Step)
		p.number(f.Drift)
		if f.Method == proof.Passkey { // so that nodes of the release before go on reading all other tickets
			p.number(flag(f.Verified, 1) | flag(f.Bound, 2) | flag(f.Attested, 4))
		}
	}
	return p
}

func parseTicket(plain []byte) (Ticket, error) {
	if len(plain) == 0 || plain[0] != ticketForm {
		return Ticket{}, errTicketForm
	}
	u := unpacker{bytes: plain[1:], texts: string(plain[1:])}
	t := Ticket{
		Session:       id.Session(u.text()),
		Account:       id.Account(u.text()),
		Epoch:         u.number(),
		Device:        id.Device(u.text()),
		MadeAt:        u.time(),
		IssuedAt:      u.time(),
		IdleUntil:     u.time(),
		AbsoluteUntil: u.time(),
	}
	// Nodes of the release before read any number but 0 as Standby, write 0 or 1, and
	// so make no session lenient: what they renew is stretched by nobody.
	flags := u.number()
	t.Standby, t.Lenient = flags&1 != 0, flags&2 != 0
	if n := u.number(); n > 0 && n <= maxProofs {
		t.Proofs = make([]proof.Proof, n)
	} else if n != 0 {
		u.bad = true
	}
	for i := range t.Proofs {
		t.Proofs[i] = proof.Proof{Method: proof.Method(u.text()), Authenticator: u.text(), Version: u.number(), At: u.time(), Step: u.number(), Drift: u.number()}
		if f := &t.Proofs[i]; f.Method == proof.Passkey {
			flags := u.number()
			f.Verified, f.Bound, f.Attested = flags&1 != 0, flags&2 != 0, flags&4 != 0
		}
	}
	if u.bad || len(u.bytes) != 0 {
		return Ticket{}, errTicketForm
	}
	return t, nil
}

type packer []byte

func (p *packer) text(s string) {
	*p = binary.AppendUvarint(*p, uint64(len(s)))
	*p = append(*p, s...)
}

func (p *packer) number(n int64) { *p = binary.AppendVarint(*p, n) }

func flag(b bool, bit int64) int64 {
	if b {
		return bit
	}
	return 0
}

// time keeps nanoseconds, so that a ticket opened equals the one sealed; the
// zero time is 0.
func (p *packer) time(t time.Time) {
	if t.IsZero() {
		p.number(0)
		return
	}
	p.number(t.UnixNano())
}

// unpacker reads what packer wrote; what does not fit sets bad. All texts are
// pieces of one string.
type unpacker struct {
	bytes []byte
	texts string // the same bytes
	bad   bool
}

func (u *unpacker) skip(n int) { u.bytes, u.texts = u.bytes[n:], u.texts[n:] }

func (u *unpacker) text() string {
	length, n := binary.Uvarint(u.bytes)
	if n <= 0 || length > uint64(len(u.bytes)-n) {
		u.bad = true
		return ""
	}
	s := u.texts[n : n+int(length)]
	u.skip(n + int(length))
	return s
}

func (u *unpacker) number() int64 {
	v, n := binary.Varint(u.bytes)
	if n <= 0 {
		u.bad = true
		return 0
	}
	u.skip(n)
	return v
}

func (u *unpacker) time() time.Time {
	n := u.number()
	if n == 0 {
		return time.Time{}
	}
	return time.Unix(0, n).UTC()
}
