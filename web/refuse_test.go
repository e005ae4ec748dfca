package web

import (
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"gatehouse/fault"
	"gatehouse/flow"
	"gatehouse/sessions"
)

var requestID = regexp.MustCompile(`^[0-9A-HJKMNP-TV-Z]{4}(-[0-9A-HJKMNP-TV-Z]{4}){2}$`)

// errorOf reads the JSON error and holds it against the status and header.
func errorOf(t *testing.T, res *http.Response) apiFault {
	t.Helper()
	var e apiError
	if err := json.Unmarshal([]byte(bodyOf(t, res)), &e); err != nil {
		t.Fatalf("no JSON error: %v", err)
	}
	if e.Error.RequestID != res.Header.Get("X-Request-Id") || !requestID.MatchString(e.Error.RequestID) {
		t.Errorf("request id %q, header %q", e.Error.RequestID, res.Header.Get("X-Request-Id"))
	}
	if len(e.Error.Sentence) < 20 || strings.Contains(e.Error.Sentence, "⟦") {
		t.Errorf("sentence %q", e.Error.Sentence)
	}
	if want := fault.Lookup(e.Error.Code).Status; res.StatusCode != want {
		t.Errorf("status %d, the table says %d", res.StatusCode, want)
	}
	return e.Error
}

func TestWhatIsRefusedBeforeAnybodyIsAsked(t *testing.T) {
	const good = `{"email":"a@b.example","password":"12345678"}`
	for _, c := range []struct {
		name  string
		path  string
		body  string
		edits []string
		want  fault.Code
	}{
		{"the right host is served", "/api/v1/signin", good, nil, ""},
		{"the host in capitals is the same host", "/api/v1/signin", good, []string{"Host: SIGN-IN.harbour-books.example"}, ""},
		{"the scheme's own port is the same host", "/api/v1/signin", good, []string{"Host: sign-in.harbour-books.example:443"}, ""},
		{"another port is another host", "/api/v1/signin", good, []string{"Host: sign-in.harbour-books.example:8443"}, fault.WrongHost},
		{"a forged host is refused", "/api/v1/forgot", good, []string{"Host: evil.example"}, fault.WrongHost},
		{"a host with our name at its end is refused", "/api/v1/forgot", good, []string{"Host: evil-sign-in.harbour-books.example"}, fault.WrongHost},
		{"a host with our name at its start is refused", "/api/v1/forgot", good, []string{"Host: sign-in.harbour-books.example.evil.example"}, fault.WrongHost},
		{"a forged forwarded host changes nothing", "/api/v1/forgot", good, []string{"X-Forwarded-Host: evil.example"}, ""},

		{"a post from another site is refused", "/api/v1/signin", good, []string{"Sec-Fetch-Site: cross-site", "Origin: https://evil.example"}, fault.CrossSite},
		{"a post from a sister site is refused", "/api/v1/signin", good, []string{"Sec-Fetch-Site: same-site"}, fault.CrossSite},
		{"a post from an old browser elsewhere is refused by its Origin", "/api/v1/signin", good, []string{"Origin: https://evil.example"}, fault.CrossSite},
		{"a post with a null origin is refused", "/api/v1/signin", good, []string{"Origin: null"}, fault.CrossSite},
		{"a post of our own page passes", "/api/v1/signin", good, []string{"Sec-Fetch-Site: same-origin", "Origin: " + site}, ""},
		{"a program that sends neither passes", "/api/v1/signin", good, nil, ""},

		{"a form is not JSON", "/api/v1/signin", good, []string{"Content-Type: application/x-www-form-urlencoded"}, fault.UnsupportedType},
		{"text is not JSON", "/api/v1/signin", good, []string{"Content-Type: text/plain"}, fault.UnsupportedType},
		{"no type is not JSON", "/api/v1/signin", good, []string{"Content-Type:"}, fault.UnsupportedType},
		{"another charset is not ours", "/api/v1/signin", good, []string{"Content-Type: application/json; charset=utf-16"}, fault.UnsupportedType},
		{"UTF-8 may be said", "/api/v1/signin", good, []string{"Content-Type: application/json; charset=UTF-8"}, ""},
		{"a malformed type is refused", "/api/v1/signin", good, []string{"Content-Type: application/json; charset"}, fault.UnsupportedType},

		{"64 KiB are accepted", "/api/v1/signin", padded(maxBody), nil, ""},
		{"one byte more is not", "/api/v1/signin", padded(maxBody + 1), nil, fault.TooLarge},
		{"10 MB are not", "/api/v1/signin", padded(10 << 20), nil, fault.TooLarge},
		{"an empty body is no object", "/api/v1/signin", "", nil, fault.BadRequest},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := buildHouse(t, site)
			res := h.send(request("POST", c.path, c.body, c.edits...))
			if c.want == "" {
				if res.StatusCode != http.StatusOK || len(h.flow.asked) != 1 {
					t.Fatalf("got %d: %s", res.StatusCode, bodyOf(t, res))
				}
				return
			}
			if got := errorOf(t, res).Code; got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
			if len(h.flow.asked) != 0 {
				t.Error("the flow was asked all the same")
			}
			if res.Header.Values("Set-Cookie") != nil {
				t.Error("a cookie was set")
			}
		})
	}
}

func padded(size int) string {
	const head, tail = `{"email":"a@b.example","password":"`, `"}`
	return head + strings.Repeat("x", size-len(head)-len(tail)) + tail
}

func TestALongBodyWithoutALengthIsRefusedToo(t *testing.T) {
	h := buildHouse(t, site)
	r := request("POST", "/api/v1/signin", padded(maxBody+1))
	r.ContentLength = -1
	if got := errorOf(t, h.send(r)).Code; got != fault.TooLarge {
		t.Errorf("got %s", got)
	}
}

// pageServer adds one page that takes a form, as sign-in pages do.
func pageServer(t *testing.T, do handler) *house {
	h := buildHouse(t, site)
	h.mux = h.muxOf(append(h.routes(), route{aPage, "POST", "/test/form", do}, route{aPage, "GET", "/test/form/{token}", do}))
	return h
}

func TestFormsOfPages(t *testing.T) {
	for _, c := range []struct {
		name  string
		body  string
		edits []string
		want  int
		text  string
	}{
		{"a field is read", "email=+a%40b.example%0d%0a", nil, 200, "a@b.example|"},
		{"a secret is not trimmed", "password=+two+spaces++", nil, 200, "| two spaces  "},
		{"the query is not the form", "", nil, 200, "|"},
		{"a field twice is refused", "email=a&email=b", nil, 400, ""},
		{"broken escapes are refused", "email=%zz", nil, 400, ""},
		{"broken UTF-8 is refused", "email=%ff", nil, 400, ""},
		{"JSON is not a form", "{}", []string{"Content-Type: application/json"}, 415, ""},
		{"files are not taken", "x", []string{"Content-Type: multipart/form-data; boundary=x"}, 415, ""},
		{"a form of another site is refused", "email=a", []string{"Sec-Fetch-Site: cross-site"}, 403, ""},
		{"a form that is too long is refused", "email=" + strings.Repeat("x", maxBody), nil, 413, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := pageServer(t, func(r *Request) error {
				return r.Send(200, "text/plain", []byte(r.Text("email")+"|"+r.Secret("password").Reveal()))
			})
			res := h.send(request("POST", "/test/form?email=query", c.body, c.edits...))
			body := bodyOf(t, res)
			if res.StatusCode != c.want {
				t.Fatalf("got %d, want %d: %s", res.StatusCode, c.want, body)
			}
			if c.want == 200 && body != c.text {
				t.Errorf("read %q, want %q", body, c.text)
			}
			if c.want != 200 {
				holdsErrorPage(t, res, body)
			}
		})
	}
}

// holdsErrorPage checks what a person needs: a page, the id to quote, the code.
func holdsErrorPage(t *testing.T, res *http.Response, body string) {
	t.Helper()
	if got := res.Header.Get("Content-Type"); got != "text/html; charset=utf-8" {
		t.Errorf("type %s", got)
	}
	if id := res.Header.Get("X-Request-Id"); !requestID.MatchString(id) || !strings.Contains(body, id) {
		t.Errorf("the page does not say %q", id)
	}
	if strings.Contains(body, "⟦fault.") || !strings.Contains(body, "<h1") {
		t.Errorf("not a page:\n%s", body)
	}
}

func TestEveryErrorIsToldByTheSameHand(t *testing.T) {
	for _, c := range []struct {
		name string
		err  error
		want int
		to   string
	}{
		{"an outage is 503 with Retry-After", fault.New(fault.Unavailable, nil), 503, ""},
		{"a full house is 503 with Retry-After", fault.New(fault.Busy, nil), 503, ""},
		{"an error without a code is internal", fmt.Errorf("the secret cause"), 500, ""},
		{"who is not signed in is led to the sign-in", fault.New(fault.NotSignedIn, nil), 303, "/signin"},
		{"who needs a fresh proof is led there", fault.New(fault.FreshProofNeeded, nil), 303, "/fresh"},
		{"what is forbidden is told", fault.New(fault.Forbidden, nil), 403, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := pageServer(t, func(*Request) error { return c.err })
			res := h.send(request("POST", "/test/form", ""))
			body := bodyOf(t, res)
			if res.StatusCode != c.want || res.Header.Get("Location") != c.to {
				t.Fatalf("got %d to %q", res.StatusCode, res.Header.Get("Location"))
			}
			if c.to == "" {
				holdsErrorPage(t, res, body)
			}
			if (res.Header.Get("Retry-After") != "") != (c.want == 503) {
				t.Errorf("Retry-After %q", res.Header.Get("Retry-After"))
			}
			if strings.Contains(body, "secret cause") {
				t.Error("the page tells the cause")
			}
		})
	}
}

func TestAPanicIsAnInternalError(t *testing.T) {
	h := pageServer(t, func(*Request) error { panic("the roof") })
	res := h.send(request("POST", "/test/form", ""))
	body := bodyOf(t, res)
	if res.StatusCode != 500 || strings.Contains(body, "roof") {
		t.Errorf("got %d: %s", res.StatusCode, body)
	}
	holdsErrorPage(t, res, body)
	if log := h.log.String(); !strings.Contains(log, "the roof") || !strings.Contains(log, "level=ERROR") {
		t.Errorf("the log does not know: %s", log)
	}
}

func TestOneLogLinePerRequestWithoutSecrets(t *testing.T) {
	h := pageServer(t, func(r *Request) error { return r.Redirect("/link") })
	h.send(request("GET", "/test/form/very-secret-token?also=secret", ""))
	h.flow.answer = func(flow.Input) (flow.Outcome, error) {
		return flow.Outcome{Next: flow.Password, Refusal: &flow.Refusal{Code: fault.WrongCredentials}}, nil
	}
	h.send(request("POST", "/api/v1/signin?x=secret", `{"email":"secret@b.example","password":"secret-password"}`))
	h.send(request("GET", "/no/such/secret", ""))
	lines := strings.Split(strings.TrimSpace(h.log.String()), "\n")
	if len(lines) != 3 {
		t.Fatalf("%d lines:\n%s", len(lines), h.log)
	}
	for i, want := range []string{"route=/test/form/{token} status=303", "route=/api/v1/signin status=401", "route=(none) status=404"} {
		if !strings.Contains(lines[i], want) {
			t.Errorf("line %d lacks %q: %s", i, want, lines[i])
		}
	}
	if strings.Contains(h.log.String(), "secret") {
		t.Errorf("a secret is in the log:\n%s", h.log)
	}
	if !strings.Contains(lines[1], "refusal=wrong-credentials") {
		t.Errorf("the refusal is not noted: %s", lines[1])
	}
}

func TestAddressesThatAreNotThere(t *testing.T) {
	h := buildHouse(t, site)
	for _, c := range []struct {
		name, method, path string
		want               int
		allow              string
		json               bool
	}{
		{"an unknown page is 404", "GET", "/nowhere", 404, "", false},
		{"an unknown well-known is 404", "GET", "/.well-known/assetlinks.json", 404, "", false},
		{"the reliability check of change-password finds 404", "GET", "/.well-known/resource-that-should-not-exist-whose-status-code-should-not-be-200", 404, "", false},
		{"an unknown API address is 404 in JSON", "GET", "/api/v1/nowhere", 404, "", true},
		{"an unknown asset is 404", "GET", "/assets/x/nowhere.js", 404, "", false},
		{"a folder of assets is not listed", "GET", "/assets/", 404, "", false},
		{"a way out of the assets leads nowhere", "GET", "/assets/x/%2e%2e%2fserver.go", 404, "", false},
		{"a doubled slash is no address", "GET", "//evil.example/..", 404, "", false},
		{"a path with dots is no address", "GET", "/account/../signin", 404, "", false},
		{"another method is 405 and says which there are", "GET", "/api/v1/signin", 405, "OPTIONS, POST", true},
		{"put on the session is 405", "PUT", "/api/v1/session", 405, "OPTIONS, GET, HEAD, DELETE", true},
		{"a made-up method is 405", "BREW", "/.well-known/security.txt", 405, "OPTIONS, GET, HEAD", false},
		{"OPTIONS tells without a body", "OPTIONS", "/api/v1/session", 204, "OPTIONS, GET, HEAD, DELETE", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			res := h.send(request(c.method, c.path, ""))
			body := bodyOf(t, res)
			if res.StatusCode != c.want || res.Header.Get("Allow") != c.allow {
				t.Fatalf("got %d, Allow %q", res.StatusCode, res.Header.Get("Allow"))
			}
			if c.want == 204 {
				return
			}
			if got := strings.HasPrefix(body, `{"error":{"code":`); got != c.json {
				t.Errorf("JSON %v: %s", got, body)
			}
			if res.Header.Get("Access-Control-Allow-Origin") != "" {
				t.Error("CORS")
			}
		})
	}
}

func TestAskingForHeadersOnlyGivesNoBody(t *testing.T) {
	h := buildHouse(t, site)
	for _, path := range []string{"/api/openapi.json", "/.well-known/security.txt", h.assets.address("favicon.svg"), "/api/v1/nowhere", "/nowhere"} {
		get, head := h.send(request("GET", path, "")), h.send(request("HEAD", path, ""))
		if head.StatusCode != get.StatusCode || head.Header.Get("Content-Type") != get.Header.Get("Content-Type") {
			t.Errorf("%s: HEAD %d, GET %d", path, head.StatusCode, get.StatusCode)
		}
		if b := bodyOf(t, head); b != "" {
			t.Errorf("%s: HEAD has a body of %d bytes", path, len(b))
		}
	}
}

// A page that was left open over lunch leads to the sign-in, and the sign-in says why.
func TestWhoseSessionEndedIsToldSo(t *testing.T) {
	h := buildHouse(t, site)
	ended, _ := h.ticket(t)
	h.clock = h.clock.Add(sessions.DefaultPolicy().Idle + time.Minute)
	const sentence = "Your session has ended."
	for cookie, want := range map[string]bool{"__Host-gh-session=" + ended: true, "": false} {
		away := h.send(request("GET", "/account/history", "", "Cookie: "+cookie))
		if to := away.Header.Get("Location"); to != "/signin?return=%2Faccount%2Fhistory" {
			t.Fatalf("%q leads to %q", cookie, to)
		}
		page := h.send(keeping(request("GET", "/signin", ""), away))
		if said := strings.Contains(bodyOf(t, page), sentence); said != want {
			t.Errorf("with %q the sign-in says it: %v", cookie, said)
		}
		if again := bodyOf(t, h.send(keeping(request("GET", "/signin", ""), page))); strings.Contains(again, sentence) {
			t.Error("it is said twice")
		}
	}
}

// Without cookies a right password leads back to where it was typed; never without a word.
func TestWhoKeepsNoCookiesIsToldSo(t *testing.T) {
	h := buildHouse(t, site)
	const sentence = "Signing in needs cookies"
	away := h.send(request("GET", "/signin/code", ""))
	if to := away.Header.Get("Location"); to != "/signin?cookies=none" {
		t.Fatalf("leads to %q", to)
	}
	if page := bodyOf(t, h.send(request("GET", "/signin?cookies=none", ""))); !strings.Contains(page, sentence) {
		t.Error("the sign-in does not say it")
	}
	first := h.send(request("GET", "/signin", ""))
	if page := bodyOf(t, first); strings.Contains(page, sentence) {
		t.Error("it is said to everybody")
	}
	if to := h.send(keeping(request("GET", "/signin/code", ""), first)).Header.Get("Location"); to != "/signin" {
		t.Errorf("with a cookie it leads to %q", to)
	}
}

func TestRedirectsStayHere(t *testing.T) {
	for path, want := range map[string]bool{
		"/": true, "/account?done=profile": true, "/link": true,
		"": false, "//evil.example": false, `/\evil.example`: false, "https://evil.example": false, "account": false,
		"/\tx": false, "/a\r\nSet-Cookie: x": false, "javascript:alert(1)": false,
	} {
		if got := isLocal(path); got != want {
			t.Errorf("isLocal(%q) = %v", path, got)
		}
	}
}
