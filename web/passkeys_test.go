package web

import (
	"context"
	"encoding/json"
	"errors"
	"net/url"
	"strings"
	"testing"

	"gatehouse/authenticators"
	"gatehouse/fault"
	"gatehouse/flow"
)

// toldAsker says what a test tells it to.
type toldAsker struct {
	ask flow.PasskeyAsk
	err error
}

func (a toldAsker) PasskeyOptions(context.Context, string, flow.Who) (flow.PasskeyAsk, error) {
	return a.ask, a.err
}

func withPasskeys(t *testing.T, asker toldAsker, related ...string) func(*Server) {
	t.Helper()
	rules, err := authenticators.NewRelying(authenticators.RelyingOptions{Name: "Harbour Books", Origins: append([]string{site}, related...)})
	if err != nil {
		t.Fatal(err)
	}
	return func(s *Server) { s.Passkeys = &Passkeys{Rules: rules, Ask: asker} }
}

var asksAnybody = toldAsker{ask: flow.PasskeyAsk{Options: json.RawMessage(`{"challenge":"AAAA"}`), Challenge: "sealed-challenge"}}

func TestWhatOtherSoftwareAsksAboutPasskeys(t *testing.T) {
	const other = "https://books.example"
	for _, c := range []struct {
		name, path string
		with       []func(*Server)
		status     int
		says       string
	}{
		{"where passkeys are made", "/.well-known/passkey-endpoints", []func(*Server){withPasskeys(t, asksAnybody)}, 200,
			`{"enroll":"` + site + `/account/authenticators/passkey","manage":"` + site + `/account/authenticators"}`},
		{"a house without passkeys", "/.well-known/passkey-endpoints", nil, 404, ""},
		{"which origins share them", "/.well-known/webauthn", []func(*Server){withPasskeys(t, asksAnybody, other)}, 200, `{"origins":["` + site + `","` + other + `"]}`},
		{"none do", "/.well-known/webauthn", []func(*Server){withPasskeys(t, asksAnybody)}, 404, ""},
		{"a house without any", "/.well-known/webauthn", nil, 404, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			res := buildHouse(t, site, c.with...).send(request("GET", c.path, ""))
			body := strings.TrimSpace(bodyOf(t, res))
			if res.StatusCode != c.status || c.says != "" && (body != c.says || res.Header.Get("Content-Type") != "application/json") {
				t.Errorf("%d %s: %s", res.StatusCode, res.Header.Get("Content-Type"), body)
			}
		})
	}
}

// A passkey is one way in: whatever keeps us from asking for one, the page with
// all the others is shown.
func TestTheSignInPageIsShownWhateverPasskeysDo(t *testing.T) {
	for _, c := range []struct {
		name string
		with []func(*Server)
		asks bool
	}{
		{"asked for", []func(*Server){withPasskeys(t, asksAnybody)}, true},
		{"nothing to ask for", []func(*Server){withPasskeys(t, toldAsker{})}, false},
		{"the database is away", []func(*Server){withPasskeys(t, toldAsker{err: fault.New(fault.Unavailable, errors.New("away"))})}, false},
		{"no passkeys here", nil, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			res := buildHouse(t, site, c.with...).send(request("GET", "/signin", ""))
			body := bodyOf(t, res)
			if res.StatusCode != 200 || !strings.Contains(body, `name="password"`) {
				t.Fatalf("%d %s", res.StatusCode, body)
			}
			if asks := strings.Contains(body, "data-passkey"); asks != c.asks {
				t.Errorf("asks for a passkey: %v", asks)
			}
		})
	}
}

func TestAPasskeyAtTheDoorIsAnAttemptOfItsOwn(t *testing.T) {
	h := buildHouse(t, site, withPasskeys(t, asksAnybody))
	form := url.Values{"challenge": {"sealed-challenge"}, "answer": {`{"id":"AAAA"}`}, "return": {"/account/history"}, "password": {"not this"}}
	h.flow.answer = func(flow.Input) (flow.Outcome, error) {
		return flow.Outcome{}, fault.New(fault.AttemptExpired, nil)
	}
	res := h.send(request("POST", "/signin/passkey", form.Encode(), "Cookie: __Host-gh-attempt=sealed-attempt"))
	asked := h.flow.last(t)
	if asked.Attempt != "" || asked.Challenge != "sealed-challenge" || asked.Do != flow.ShowPasskey || asked.Return != "/account/history" {
		t.Errorf("asked %+v", asked)
	}
	if body := bodyOf(t, res); res.StatusCode != 409 || !strings.Contains(body, `data-challenge="sealed-challenge"`) || !strings.Contains(body, `value="/account/history"`) {
		t.Errorf("a page that stood open does not come back with another question: %d %s", res.StatusCode, body)
	}
	h.flow.answer = func(flow.Input) (flow.Outcome, error) {
		return flow.Outcome{}, fault.New(fault.Unavailable, nil)
	}
	if res := h.send(request("POST", "/signin/passkey", form.Encode())); res.StatusCode != 503 {
		t.Errorf("an outage is told as %d", res.StatusCode)
	}
}

func TestTheBrowserForgetsOnlyWhatIsUnknown(t *testing.T) {
	h := buildHouse(t, site, withPasskeys(t, asksAnybody))
	const shown = `{"id":"AAAAAAAAAAAAAAAAAAAAAA","rawId":"AAAAAAAAAAAAAAAAAAAAAA","type":"public-key","response":{"clientDataJSON":"e30"}}`
	for hint, forgets := range map[string]bool{flow.HintUnknownPasskey: true, "passkey.hint.failed": false, "": false} {
		h.flow.answer = func(flow.Input) (flow.Outcome, error) {
			return flow.Outcome{Next: flow.Password, Refusal: &flow.Refusal{Code: fault.WrongPasskey, Hint: hint}}, nil
		}
		form := url.Values{"challenge": {"sealed-challenge"}, "answer": {shown}}
		body := bodyOf(t, h.send(request("POST", "/signin/passkey", form.Encode())))
		if got := strings.Contains(body, "data-forget") && strings.Contains(body, "AAAAAAAAAAAAAAAAAAAAAA"); got != forgets {
			t.Errorf("%q: forgotten: %v", hint, got)
		}
	}
}
