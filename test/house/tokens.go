package house

import (
	"fmt"
	"strings"
	"time"

	"gatehouse/authenticators"
	"gatehouse/flow"
	"gatehouse/manage"
	"gatehouse/seal"
	"gatehouse/tokens"
)

// guessing are the budgets that a sign-in guesses codes from, for who is signed in.
func guessing(l flow.Limits) manage.Guessing {
	return manage.Guessing{Network: l.PerNetwork, Name: l.CodeName, Device: l.CodeDevice, Month: l.CodeMonth}
}

// CodeToken is a hardware token in somebody's hand: it knows nothing of Gatehouse.
type CodeToken struct {
	House  *House
	Serial string
	Secret string // base32
	Kind   tokens.Kind
	Digits int
	Hash   string // "SHA1", …
	Period int64
	Count  int64 // how often its button was pressed
}

// Token puts a token into stock and gives it to somebody, as an operator does.
func (h *House) Token(p *Person, kind tokens.Kind, serial string) *CodeToken {
	h.T.Helper()
	t := &CodeToken{House: h, Serial: serial, Kind: kind, Digits: 6, Hash: "SHA1", Period: 30, Secret: h.Secret("the secret of a token", fmt.Sprintf("%032s", strings.Repeat("GEZDGNBV", 3)+serialSecret(serial)))}
	if kind == tokens.TOTP {
		t.Digits, t.Hash, t.Period = 8, "SHA256", 60
	}
	h.Stock(t)
	_, err := h.Manage.AssignToken(h.T.Context(), manage.TokenRef{Serial: serial}, p.Email, "", "operator")
	must(h.T, err)
	return t
}

// Stock imports a token as a line of CSV.
func (h *House) Stock(t *CodeToken) {
	h.T.Helper()
	text := fmt.Sprintf("serial,secret,type,digits,period,algorithm,encoding\n%s,%s,%s,%d,%d,%s,base32\n", t.Serial, t.Secret, t.Kind, t.Digits, t.Period, t.Hash)
	from, err := tokens.ReadCSV(strings.NewReader(text))
	must(h.T, err)
	report, err := h.Manage.ImportTokens(h.T.Context(), from, true, "operator", nil)
	must(h.T, err)
	if report.New+report.Renewed != 1 {
		h.T.Fatalf("not taken into stock: %+v", report)
	}
}

// serialSecret makes eight letters of base32 that differ by serial number.
func serialSecret(serial string) string {
	letters := []byte("ABCDEFGH")
	for i, c := range []byte(serial) {
		letters[i%8] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"[(int(letters[i%8])+int(c)*7+i)%32]
	}
	return string(letters)
}

// Press is the next code: of a button, or, after waiting, of a clock.
func (t *CodeToken) Press() string {
	t.House.T.Helper()
	at := t.Count
	if t.Kind == tokens.TOTP {
		t.House.Clock.Forward(time.Duration(t.Period) * time.Second)
		at = t.House.Clock.Now().Unix() / t.Period
	}
	t.Count++
	code, err := authenticators.HOTPAt(t.Hash, seal.Secret(t.Secret), at, t.Digits)
	must(t.House.T, err)
	return t.House.Secret("a code of a token", code.Reveal())
}
