package web

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"gatehouse/flow"
	"gatehouse/id"
	"gatehouse/seal"
)

// keeping copies the cookies of an answer to the next request.
func keeping(r *http.Request, res *http.Response) *http.Request {
	for _, c := range res.Cookies() {
		if c.MaxAge >= 0 {
			r.AddCookie(&http.Cookie{Name: c.Name, Value: c.Value})
		}
	}
	return r
}

func TestCookiesAreForThisHostAlone(t *testing.T) {
	for _, c := range []struct{ origin, prefix string }{{site, "__Host-gh-"}, {"http://127.0.0.1:8080", "gh-"}} {
		h := buildHouse(t, c.origin)
		token, made := h.ticket(t)
		h.flow.answer = func(flow.Input) (flow.Outcome, error) {
			return flow.Outcome{Next: flow.Done, Ticket: token, Session: made}, nil
		}
		r := request("POST", "/api/v1/signin/totp", `{"attempt":"a","code":"123456"}`, "Host: "+strings.TrimPrefix(strings.TrimPrefix(c.origin, "https://"), "http://"))
		res := h.send(r)
		if len(res.Cookies()) != 2 {
			t.Fatalf("%s: cookies %v", c.origin, res.Cookies())
		}
		for _, k := range res.Cookies() {
			secure := strings.HasPrefix(c.origin, "https")
			if !strings.HasPrefix(k.Name, c.prefix) || !k.HttpOnly || k.SameSite != http.SameSiteLaxMode || k.Path != "/" || k.Domain != "" || k.Secure != secure {
				t.Errorf("%s: %s", c.origin, k.Raw)
			}
		}
		if k := h.cookieNamed(res, c.prefix+"session"); k == nil || k.Value != token || k.MaxAge != 0 {
			t.Errorf("%s: session cookie %v", c.origin, k)
		}
	}
}

func TestTheDeviceToken(t *testing.T) {
	h := pageServer(t, func(r *Request) error {
		d, err := r.Device()
		if err != nil {
			return err
		}
		return r.Send(200, "text/plain", []byte(d))
	})
	first := h.send(request("POST", "/test/form", ""))
	device := bodyOf(t, first)
	if _, err := id.Parse[id.Device](device); err != nil {
		t.Fatalf("%q: %v", device, err)
	}
	ask := func(r *http.Request) (string, bool) {
		res := h.send(r)
		return bodyOf(t, res), len(res.Cookies()) > 0
	}
	if again, set := ask(keeping(request("POST", "/test/form", ""), first)); again != device || set {
		t.Errorf("the next request: %q, cookie set %v", again, set)
	}
	h.clock = morning.Add(31 * 24 * time.Hour)
	if later, set := ask(keeping(request("POST", "/test/form", ""), first)); later != device || !set {
		t.Errorf("a month later: %q, renewed %v", later, set)
	}
	h.clock = morning.Add(401 * 24 * time.Hour)
	if late, set := ask(keeping(request("POST", "/test/form", ""), first)); late == device || !set {
		t.Errorf("after 400 days: %q, new %v", late, set)
	}
	h.clock = morning
	for name, forged := range map[string]string{"garbage": "garbage", "another kind of token": h.sealAs(t, seal.Flash, device+".1")} {
		if other, set := ask(request("POST", "/test/form", "", "Cookie: __Host-gh-device="+forged)); other == device || !set {
			t.Errorf("%s was believed", name)
		}
	}
}

func (h *house) sealAs(t *testing.T, p seal.Purpose, plain string) string {
	token, err := h.Keys.SealToken(p, "", h.clock.Add(time.Hour), []byte(plain))
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func TestMailedLinksAndFlashesAreOfOneBrowser(t *testing.T) {
	h := pageServer(t, func(r *Request) error {
		if r.HTTP.Method == "POST" {
			if err := r.SetFlash(Say("done.codes", "n", 3)); err != nil {
				return err
			}
			if err := r.SetMailed("link-token"); err != nil {
				return err
			}
			return r.Redirect("/test/form/x")
		}
		token, ok := r.Mailed()
		flash := r.Flash()
		if !ok || flash == nil {
			return notFound(r)
		}
		return r.Send(200, "text/plain", []byte(token.Reveal()+"|"+flash.Key+"|"+r.Words().Say("{n}", flash.Pairs...)))
	})
	set := h.send(request("POST", "/test/form", ""))
	if len(set.Cookies()) != 3 {
		t.Fatalf("cookies %v", set.Cookies())
	}
	got := h.send(keeping(request("GET", "/test/form/x", ""), set))
	if body := bodyOf(t, got); !strings.HasPrefix(body, "link-token|done.codes|") {
		t.Errorf("got %d %q", got.StatusCode, body)
	}
	if c := h.cookieNamed(got, "__Host-gh-flash"); c == nil || c.MaxAge >= 0 {
		t.Error("the flash stays")
	}
	stolen := request("GET", "/test/form/x", "")
	for _, c := range set.Cookies() {
		if c.Name != "__Host-gh-device" {
			stolen.AddCookie(c)
		}
	}
	if res := h.send(stolen); res.StatusCode != 404 {
		t.Errorf("another browser reads them: %d", res.StatusCode)
	}
	h.clock = h.clock.Add(2 * time.Hour)
	if res := h.send(keeping(request("GET", "/test/form/x", ""), set)); res.StatusCode != 404 {
		t.Errorf("too old, and read: %d", res.StatusCode)
	}
}

func TestOneAnswerSaysOneThingOfACookie(t *testing.T) {
	h := pageServer(t, func(r *Request) error {
		r.SetAttempt("one")
		r.SetAttempt("two")
		r.SetSession("ticket")
		return r.Redirect("/account")
	})
	res := h.send(request("POST", "/test/form", ""))
	var said []string
	for _, c := range res.Cookies() {
		said = append(said, c.Name+"="+c.Value)
	}
	if got := strings.Join(said, " "); got != "__Host-gh-session=ticket __Host-gh-attempt=" {
		t.Errorf("cookies %s", got)
	}
}

func TestReadingACookieByHand(t *testing.T) {
	for _, c := range []struct{ name, header, want string }{
		{"alone", "gh-session=abc", "abc"},
		{"among others", "a=1; gh-session=abc; b=2", "abc"},
		{"the first of two", "gh-session=abc; gh-session=def", "abc"},
		{"not a longer name", "xgh-session=no; gh-sessionx=no", ""},
		{"not a value that looks like it", "a=gh-session=no", ""},
		{"without a value", "gh-session", ""},
		{"without spaces", "a=1;gh-session=abc;b=2", "abc"},
	} {
		if got := cookieValue(http.Header{"Cookie": {c.header}}, "gh-session"); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}
