package stories

import (
	"bufio"
	"encoding/json"
	"math"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse/proof"
	"gatehouse/store/storetest"
	"gatehouse/test/house"
	"gatehouse/texts"
)

// carrier is a provider of text messages that runs as a process of its own.
type carrier struct {
	base string
	kill func()
}

var buildCarrier = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "textprovider")
	if err != nil {
		return "", err
	}
	binary := filepath.Join(dir, "textprovider")
	return binary, exec.Command("go", "build", "-o", binary, "gatehouse/test/textprovider").Run()
})

func startCarrier(t *testing.T, secret string) carrier {
	t.Helper()
	binary, err := buildCarrier()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(binary, "127.0.0.1:0", secret)
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	kill := sync.OnceFunc(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	t.Cleanup(kill)
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return carrier{"http://" + strings.TrimSpace(line), kill}
}

// taken lists the texts that the carrier has taken.
func (c carrier) taken(t *testing.T) (all []string) {
	t.Helper()
	resp, err := http.Get(c.base + "/taken")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var kept struct{ Taken []struct{ Text string } }
	if err := json.NewDecoder(resp.Body).Decode(&kept); err != nil {
		t.Fatal(err)
	}
	for _, m := range kept.Taken {
		all = append(all, m.Text)
	}
	return all
}

const carrierSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

func TestWhenTheFirstProviderIsKilledTheSecondCarriesTheCode(t *testing.T) {
	first, second := startCarrier(t, "token"), startCarrier(t, carrierSecret)
	client := texts.NewClient(nil)
	both := func(o *house.Options) {
		o.Texts = true
		o.Providers = []texts.Provider{
			&texts.Twilio{Label: "first", Base: first.base, Account: "AC", Token: "token", From: "+351210000000", Client: client},
			&texts.Hook{Label: "second", URL: second.base + "/hook", Secret: carrierSecret, Client: client, Now: time.Now},
		}
	}
	h := house.New(t, storetest.SQLite(t), both)
	alice, number := withPhone(h)
	signsIn := func(c carrier) {
		t.Helper()
		seen := len(c.taken(t))
		alice.ShowsPassword()
		begin := time.Now()
		asksText(alice, number, proof.SMS).Asks("phone")
		if took := time.Since(begin); took > time.Second {
			t.Errorf("a sign-in waited %v for a provider", took)
		}
		h.Eventually("a code at the carrier", func() bool { return len(c.taken(t)) > seen })
		typesText(alice, h.Secret("a code by text message", c.taken(t)[seen][:6])).Asks("done")
		h.Clock.Forward(time.Hour)
	}
	signsIn(first)
	first.kill()
	signsIn(second)
	signsIn(second)
	h.Audited()
}

func TestWhoHasANumberIsNotToldByHowLongARefusalTakes(t *testing.T) {
	h := house.New(t, storetest.SQLite(t), func(o *house.Options) { o.Texts, o.NoMail, o.Hashing = true, true, hashing })
	h.AcceptTexts()
	alice, carol := h.Person("alice"), h.Person("carol")
	alice.HasPhone(mobile)
	wrong := func(p *house.Person) func(int) house.Reply {
		b := h.Browser("203.0.113.5")
		return func(int) house.Reply {
			return b.API("/signin", map[string]any{"email": p.Email, "password": "not this one", "attempt": ""})
		}
	}
	got := measured(h, wrong(alice), wrong(carol))
	t.Logf("with a number and without: t = %.2f", got)
	if math.Abs(got) >= tellApart {
		got = measured(h, wrong(alice), wrong(carol))
	}
	if math.Abs(got) >= tellApart {
		t.Errorf("a wrong password takes another time for who has a number: t = %.2f", got)
	}
}
