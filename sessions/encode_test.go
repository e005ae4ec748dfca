package sessions

import (
	"bytes"
	"reflect"
	"testing"
	"time"

	"gatehouse/proof"
)

func sample() Ticket {
	at := time.Date(2026, 11, 21, 9, 30, 0, 123456789, time.UTC)
	return Ticket{Session: "s", Account: "a", Epoch: 7, Device: "d", MadeAt: at, IssuedAt: at.Add(1), IdleUntil: at.Add(2), AbsoluteUntil: at.Add(3), Standby: true, Lenient: true,
		Proofs: []proof.Proof{{Method: proof.Password, Authenticator: "p", Version: 3, At: at}, {Method: proof.TOTP, Authenticator: "t", Version: 1, At: at, Step: 59_000_000, Drift: -3},
			{Method: proof.Passkey, Authenticator: "k", Version: 2, At: at, Step: 7, Drift: 1, Verified: true, Attested: true}}}
}

func TestATicketOpensAsItWasSealed(t *testing.T) {
	for name, want := range map[string]Ticket{"every field": sample(), "nothing": {}} {
		got, err := parseTicket(want.plain())
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, want %+v (%v)", name, got, want, err)
		}
	}
	// A new field that is not packed would be lost in silence.
	if n := reflect.TypeFor[Ticket]().NumField(); n != 11 {
		t.Errorf("Ticket has %d fields, plain packs 11", n)
	}
	if n := reflect.TypeFor[proof.Proof]().NumField(); n != 10 { // Pair is for the commit alone
		t.Errorf("Proof has %d fields, plain packs 9", n)
	}
}

func TestATicketThatIsNotWholeDoesNotOpen(t *testing.T) {
	whole := sample().plain()
	for n := range whole {
		if _, err := parseTicket(whole[:n]); err == nil {
			t.Errorf("%d of %d bytes open", n, len(whole))
		}
	}
	if _, err := parseTicket(append(bytes.Clone(whole), 0)); err == nil {
		t.Error("a byte too many opens")
	}
	if _, err := parseTicket(append([]byte{ticketForm + 1}, whole[1:]...)); err == nil {
		t.Error("another form opens")
	}
}

// A node of the release before writes 0 or 1 where this one keeps flags, and reads
// whatever is not 0 as 1.
func TestTicketsOfTheReleaseBeforeOpen(t *testing.T) {
	for _, standby := range []int64{0, 1} {
		want := Ticket{Session: "s", Account: "a", Standby: standby == 1}
		old := packer{ticketForm}
		for _, text := range []string{"s", "a"} {
			old.text(text)
		}
		old.number(0)
		old.text("")
		for range 4 {
			old.time(time.Time{})
		}
		old.number(standby)
		old.number(0)
		got, err := parseTicket(old)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%d: %+v, %v", standby, got, err)
		}
		if !bytes.Equal(want.plain(), old) {
			t.Error("this release writes another form")
		}
	}
}

func FuzzParseTicket(f *testing.F) {
	f.Add(sample().plain())
	f.Add([]byte{ticketForm, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1})
	f.Fuzz(func(t *testing.T, plain []byte) {
		got, err := parseTicket(plain)
		if err != nil {
			return
		}
		if again, err := parseTicket(got.plain()); err != nil || !reflect.DeepEqual(again, got) {
			t.Errorf("%+v became %+v (%v)", got, again, err)
		}
	})
}
