package texts_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"gatehouse/outbox"
	"gatehouse/proof"
	"gatehouse/seal"
	"gatehouse/texts"
)

const hookSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

var code = texts.Message{ID: "0199f000-0000-7000-8000-00000000abcd", To: "+351912345642", Way: proof.SMS,
	Text: "482915 is your code for Harbour Books.", Locale: "en"}

func call() texts.Message {
	m := code
	m.Way, m.Text, m.Digits, m.Again = proof.Voice, "Hello <you> & all.", "482915", "Once more."
	return m
}

// both starts a provider of each sort.
func both(t *testing.T) map[string]struct {
	texts.Provider
	*process
} {
	client := texts.NewClient(nil)
	one, two := start(t, "token"), start(t, hookSecret)
	return map[string]struct {
		texts.Provider
		*process
	}{
		"twilio": {&texts.Twilio{Label: "first", Base: one.base, Account: "AC", Token: "token", From: "+351210000000", Client: client}, one},
		"hook":   {&texts.Hook{Label: "second", URL: two.base + "/hook", Secret: hookSecret, Client: client, Now: time.Now}, two},
	}
}

func TestEachProviderTakesMessagesAndCalls(t *testing.T) {
	for name, p := range both(t) {
		t.Run(name, func(t *testing.T) {
			if class := p.Try(t.Context()); class != outbox.Done {
				t.Errorf("asked whether it is there: %q", class)
			}
			for _, m := range []texts.Message{code, call()} {
				if class := p.Send(t.Context(), m); class != outbox.Done {
					t.Errorf("%s: %q", m.Way, class)
				}
			}
			all, _ := p.taken()
			if len(all) != 2 {
				t.Fatalf("took %d", len(all))
			}
			if all[0].To != code.To.Reveal() || all[0].Text != code.Text.Reveal() || all[0].ID != string(code.ID) || all[0].Way != "sms" {
				t.Errorf("%+v", all[0])
			}
			if said := strings.TrimSuffix(all[1].Digits, "482915"); all[1].Way != "voice" || said != "" && said != "482915" {
				t.Errorf("%+v", all[1])
			}
		})
	}
}

func TestACallSpellsTheDigitsTwiceWithPausesAndEscapesWords(t *testing.T) {
	p := both(t)["twilio"]
	if class := p.Send(t.Context(), call()); class != outbox.Done {
		t.Fatal(class)
	}
	all, _ := p.taken()
	twiml := all[0].Text
	if all[0].Digits != "482915482915" || !strings.Contains(twiml, "Hello &lt;you&gt; &amp; all.") || strings.Count(twiml, `<Pause length="1"/>`) < 12 {
		t.Error(twiml)
	}
}

func TestWhatAProviderDoesWrongIsToldApart(t *testing.T) {
	for name, p := range both(t) {
		for mode, want := range map[string]outbox.Class{
			"500": outbox.Unreachable, "429": outbox.Later, "401": outbox.NotAllowed, "400": outbox.Refused,
			"hang": outbox.Unreachable, "cut": outbox.Other, "garbage": outbox.Other,
		} {
			if name == "hook" && mode == "garbage" {
				want = outbox.Done // any 2xx of the operator's own program is a yes
			}
			t.Run(name+" "+mode, func(t *testing.T) {
				p.behaves(mode)
				ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
				defer cancel()
				if class := p.Send(ctx, code); class != want {
					t.Errorf("%q, want %q", class, want)
				}
			})
		}
		t.Run(name+" killed", func(t *testing.T) {
			p.kill()
			class := p.Send(t.Context(), code)
			if class == outbox.Other { // a kept connection that died under the request leaves it unclear; the next dials
				class = p.Send(t.Context(), code)
			}
			if class != outbox.Unreachable {
				t.Errorf("%q", class)
			}
		})
	}
}

func TestWrongSecretsAreTold(t *testing.T) {
	client := texts.NewClient(nil)
	one, two := start(t, "token"), start(t, hookSecret)
	for name, p := range map[string]texts.Provider{
		"twilio":             &texts.Twilio{Base: one.base, Account: "AC", Token: "other", From: "+1", Client: client},
		"hook":               &texts.Hook{URL: two.base + "/hook", Secret: "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", Client: client, Now: time.Now},
		"hook, not a secret": &texts.Hook{URL: two.base + "/hook", Secret: "hunter2", Client: client, Now: time.Now},
	} {
		if class := p.Try(t.Context()); class != outbox.NotAllowed {
			t.Errorf("%s: %q", name, class)
		}
		if class := p.Send(t.Context(), code); class != outbox.NotAllowed {
			t.Errorf("%s: %q", name, class)
		}
	}
}

func TestACodeIsNotPostedToWhereARedirectLeads(t *testing.T) {
	to := start(t, "token")
	l := http.RedirectHandler(to.base+"/2010-04-01/Accounts/AC/Messages.json", http.StatusTemporaryRedirect)
	from := serve(t, l)
	p := &texts.Twilio{Base: from, Account: "AC", Token: "token", From: "+1", Client: texts.NewClient(nil)}
	if class := p.Send(t.Context(), code); class != outbox.Other {
		t.Errorf("%q", class)
	}
	if all, _ := to.taken(); len(all) > 0 {
		t.Error("it went where the redirect leads")
	}
}

func TestAnAddressThatIsNoneSendsNothing(t *testing.T) {
	for _, base := range []string{"", "nowhere", "https://user:secret@host", "https://host/?a=b", "://"} {
		p := &texts.Twilio{Base: base, Account: "AC", Token: seal.Secret("token"), Client: texts.NewClient(nil)}
		if class := p.Send(t.Context(), code); class != outbox.Unwritable {
			t.Errorf("%q: %q", base, class)
		}
	}
}
