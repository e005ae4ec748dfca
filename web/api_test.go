package web

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"gatehouse/fault"
	"gatehouse/flow"
	"gatehouse/sessions"
)

func TestWhatEachEndpointSubmits(t *testing.T) {
	for _, c := range []struct {
		path, body string
		want       flow.Input
	}{
		{"/api/v1/signin", `{"email":" a@b.example ","password":" secret "}`, flow.Input{Do: flow.ShowPassword, Email: " a@b.example ", Secret: " secret "}},
		{"/api/v1/signin/totp", `{"attempt":"s","code":"１２３ 456"}`, flow.Input{Do: flow.ShowCode, Attempt: "s", Secret: "１２３ 456"}},
		{"/api/v1/signin/recovery-code", `{"attempt":"s","code":"AAAA"}`, flow.Input{Do: flow.ShowRecovery, Attempt: "s", Secret: "AAAA"}},
		{"/api/v1/signin/enrol-totp", `{"attempt":"s","code":"1","name":"phone"}`, flow.Input{Do: flow.EnrolCode, Attempt: "s", Secret: "1", Name: "phone"}},
		{"/api/v1/signin/recovery-codes", `{"attempt":"s","confirmed":true}`, flow.Input{Do: flow.ConfirmCodes, Attempt: "s", Confirmed: true}},
		{"/api/v1/signin/new-password", `{"attempt":"s","password":"p"}`, flow.Input{Do: flow.ChoosePassword, Attempt: "s", Secret: "p"}},
		{"/api/v1/signin/resend-link", `{"attempt":"s"}`, flow.Input{Do: flow.ResendLink, Attempt: "s"}},
		{"/api/v1/forgot", `{"email":"a"}`, flow.Input{Do: flow.ForgotPassword, Email: "a"}},
		{"/api/v1/unlock", `{"email":"a"}`, flow.Input{Do: flow.AskUnlock, Email: "a"}},
		{"/api/v1/link", `{"token":"t"}`, flow.Input{Do: flow.OpenLink, Link: "t"}},
	} {
		t.Run(c.path, func(t *testing.T) {
			h := buildHouse(t, site)
			res := h.send(request("POST", c.path, c.body))
			if res.StatusCode != 200 {
				t.Fatalf("%d %s", res.StatusCode, bodyOf(t, res))
			}
			got := h.flow.last(t)
			got.Who = flow.Who{}
			if got != c.want {
				t.Errorf("submitted %+v, want %+v", got, c.want)
			}
		})
	}
}

func TestTheDeviceTokenOfAProgram(t *testing.T) {
	h := buildHouse(t, site)
	ask := func(device string) (used, told string) {
		res := h.send(request("POST", "/api/v1/signin", `{"device":"`+device+`"}`))
		var step apiStep
		if err := json.Unmarshal([]byte(bodyOf(t, res)), &step); err != nil {
			t.Fatal(err)
		}
		return string(h.flow.last(t).Who.Device), step.Device
	}
	first, token := ask("")
	if opened, _ := h.openDevice(token); string(opened) != first || first == "" {
		t.Fatalf("the token names %q, used was %q", opened, first)
	}
	if again, told := ask(token); again != first || told != token {
		t.Errorf("the next call used %q", again)
	}
	if other, told := ask("forged"); other == first || told == "forged" || told == "" {
		t.Errorf("a forged token was used as %q", other)
	}
	res := h.send(request("POST", "/api/v1/signin", `{}`, "Cookie: __Host-gh-device="+token))
	if used := string(h.flow.last(t).Who.Device); used != first || !strings.Contains(bodyOf(t, res), token) {
		t.Errorf("with the cookie: %q", used)
	}
}

func TestRefusalsOfTheFlow(t *testing.T) {
	for _, c := range []struct {
		name  string
		why   flow.Refusal
		retry string
	}{
		{"wrong credentials", flow.Refusal{Code: fault.WrongCredentials}, ""},
		{"too many tries say when", flow.Refusal{Code: fault.TooManyTries, RetryAfter: 90*time.Second + time.Millisecond}, "91"},
		{"a hint is a sentence", flow.Refusal{Code: fault.WrongCode, Hint: "product.name"}, ""},
		{"reasons are sentences", flow.Refusal{Code: fault.PasswordRefused, Reasons: []fault.Reason{{Key: "product.name"}}}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := buildHouse(t, site)
			h.flow.answer = func(flow.Input) (flow.Outcome, error) {
				return flow.Outcome{Next: flow.Password, Attempt: "goes-on", Refusal: &c.why}, nil
			}
			res := h.send(request("POST", "/api/v1/signin", `{}`))
			body := bodyOf(t, res)
			var got apiError
			if err := json.Unmarshal([]byte(body), &got); err != nil {
				t.Fatal(err)
			}
			if kind := fault.Lookup(c.why.Code); got.Error.Code != c.why.Code || res.StatusCode != kind.Status || got.Attempt != "goes-on" || got.Next != flow.Password {
				t.Errorf("%d %s", res.StatusCode, body)
			}
			if (got.Hint == "Gatehouse") != (c.why.Hint != "") || len(got.Reasons) != len(c.why.Reasons) || res.Header.Get("Retry-After") != c.retry {
				t.Errorf("Retry-After %q, %s", res.Header.Get("Retry-After"), body)
			}
			if (res.Header.Get("WWW-Authenticate") != "") != (res.StatusCode == 401) {
				t.Errorf("WWW-Authenticate %q", res.Header.Get("WWW-Authenticate"))
			}
			if h.cookieNamed(res, "__Host-gh-session") != nil {
				t.Error("a refusal sets a session cookie")
			}
		})
	}
}

func TestAnOutageIsNeverAVerdict(t *testing.T) {
	h := buildHouse(t, site)
	h.flow.answer = func(flow.Input) (flow.Outcome, error) {
		return flow.Outcome{}, fault.New(fault.Unavailable, errors.New("the database's name"))
	}
	res := h.send(request("POST", "/api/v1/signin", `{}`))
	if got := errorOf(t, res); got.Code != fault.Unavailable || !between(res, 10, 15) || strings.Contains(got.Sentence, "database") {
		t.Errorf("%s, Retry-After %q", got.Code, res.Header.Get("Retry-After"))
	}
	unloaded := buildHouse(t, site, func(s *Server) { s.Sessions = &sessions.Checker{Keys: s.Keys, Policy: sessions.DefaultPolicy()} })
	token, _ := unloaded.ticket(t)
	for _, method := range []string{"GET", "DELETE"} {
		res := unloaded.send(request(method, sessionPath, "", "Authorization: Bearer "+token))
		if got := errorOf(t, res).Code; got != fault.Unavailable {
			t.Errorf("%s: %s", method, got)
		}
	}
}

func TestTheSessionCheck(t *testing.T) {
	h := buildHouse(t, site)
	token, made := h.ticket(t)
	old := h.clock
	for _, c := range []struct {
		name    string
		edits   []string
		after   time.Duration
		want    int
		cookie  bool // a renewed one
		renewed bool // in the answer
	}{
		{"by cookie", []string{"Cookie: __Host-gh-session=" + token}, 0, 200, false, false},
		{"by bearer token", []string{"Authorization: Bearer " + token}, 0, 200, false, false},
		{"the scheme is spelt in any case", []string{"Authorization: bearer " + token}, 0, 200, false, false},
		{"a bearer token goes before the cookie", []string{"Authorization: Bearer no", "Cookie: __Host-gh-session=" + token}, 0, 401, false, false},
		{"another scheme leaves the cookie", []string{"Authorization: Basic x", "Cookie: __Host-gh-session=" + token}, 0, 200, false, false},
		{"nothing", nil, 0, 401, false, false},
		{"garbage", []string{"Authorization: Bearer garbage"}, 0, 401, false, false},
		{"a truncated ticket", []string{"Authorization: Bearer " + token[:len(token)-4]}, 0, 401, false, false},
		{"the demo's cookie name is not ours", []string{"Cookie: gh-session=" + token}, 0, 401, false, false},
		{"due cookies are renewed as cookies", []string{"Cookie: __Host-gh-session=" + token}, 2 * time.Minute, 200, true, false},
		{"due bearer tokens are renewed in the answer", []string{"Authorization: Bearer " + token}, 2 * time.Minute, 200, false, true},
		{"idle ones are over", []string{"Authorization: Bearer " + token}, time.Hour, 401, false, false},
		{"another host is refused", []string{"Host: evil.example", "Authorization: Bearer " + token}, 0, 421, false, false},
	} {
		for _, method := range []string{"GET", "HEAD"} {
			t.Run(method+" "+c.name, func(t *testing.T) {
				h.clock = old.Add(c.after)
				defer func() { h.clock = old }()
				res := h.send(request(method, sessionPath, "", c.edits...))
				body := bodyOf(t, res)
				if res.StatusCode != c.want || (h.cookieNamed(res, "__Host-gh-session") != nil) != c.cookie {
					t.Fatalf("%d %v %s", res.StatusCode, res.Cookies(), body)
				}
				if res.Header.Get("Content-Type") != "application/json" || res.Header.Get("Cache-Control") != "no-store" || res.Header.Get("X-Content-Type-Options") != "nosniff" {
					t.Errorf("headers %v", res.Header)
				}
				if c.want == 200 && method == "GET" {
					holdsSession(t, body, made, c.renewed)
				}
			})
		}
	}
	if h.log.Len() != 0 && strings.Contains(h.log.String(), "route="+sessionPath+" status=200") {
		t.Errorf("good checks are logged:\n%s", h.log)
	}
}

func holdsSession(t *testing.T, body string, made sessions.Ticket, renewed bool) {
	t.Helper()
	var got struct {
		Active             bool
		Account, Session   string
		AMR                []string
		AuthTime           int64 `json:"auth_time"`
		IdleUntil, Absolut int64
		Ticket             string
	}
	if err := json.Unmarshal([]byte(body), &got); err != nil {
		t.Fatalf("%v: %s", err, body)
	}
	if !got.Active || got.Account != string(made.Account) || got.Session != string(made.Session) || strings.Join(got.AMR, " ") != "pwd otp mfa" ||
		got.AuthTime != made.AuthTime().Unix() || (got.Ticket != "") != renewed {
		t.Errorf("got %s", body)
	}
}

// The short way and the usual way to the session check say the same.
func TestBothWaysOfTheSessionCheckAgree(t *testing.T) {
	h := buildHouse(t, site)
	token, _ := h.ticket(t)
	quick := httptest.NewRecorder()
	if !h.quickSession(quick, request("GET", sessionPath, "", "Authorization: Bearer "+token)) {
		t.Fatal("the short way was not taken")
	}
	usual := httptest.NewRecorder()
	r := &Request{HTTP: request("GET", sessionPath, "", "Authorization: Bearer "+token), server: h.Server, w: &recorder{ResponseWriter: usual}, ID: "x"}
	r.w.request = r
	h.mux.ServeHTTP(r.w, r.HTTP)
	usual.Header().Del("X-Request-Id")
	if quick.Body.String() != usual.Body.String() || quick.Code != usual.Code {
		t.Errorf("short: %s\nusual: %s", quick.Body, usual.Body)
	}
	if len(quick.Header()) != len(usual.Header()) {
		t.Errorf("short: %v\nusual: %v", quick.Header(), usual.Header())
	}
}

func TestSigningOut(t *testing.T) {
	h := buildHouse(t, site)
	token, made := h.ticket(t)
	res := h.send(request("DELETE", sessionPath, "", "Cookie: __Host-gh-session="+token))
	if res.StatusCode != 204 || len(h.manage.ended) != 1 || h.manage.ended[0] != made.Session {
		t.Fatalf("%d, ended %v", res.StatusCode, h.manage.ended)
	}
	if c := h.cookieNamed(res, "__Host-gh-session"); c == nil || c.MaxAge >= 0 {
		t.Error("the cookie stays")
	}
	if res := h.send(request("DELETE", sessionPath, "")); res.StatusCode != 204 || len(h.manage.ended) != 1 {
		t.Errorf("signed out already: %d", res.StatusCode)
	}
	if res := h.send(request("DELETE", sessionPath, "", "Cookie: __Host-gh-session="+token, "Sec-Fetch-Site: cross-site")); res.StatusCode != 403 || len(h.manage.ended) != 1 {
		t.Errorf("another site signs people out: %d", res.StatusCode)
	}
}

func TestTheStrengthMeterTakesOneCoreAtMost(t *testing.T) {
	h := buildHouse(t, site)
	ask := func() *http.Response {
		return h.send(request("POST", "/api/v1/password-strength", `{"password":"password","attempt":"sealed-attempt"}`))
	}
	h.meter <- struct{}{}
	if got := errorOf(t, ask()).Code; got != fault.Busy {
		t.Errorf("while another is estimated: %s", got)
	}
	<-h.meter
	for range 2 {
		if res := ask(); res.StatusCode != http.StatusOK {
			t.Errorf("afterwards: %d", res.StatusCode)
		}
	}
}

func TestTheStrengthMeterIsForThoseWhoChoose(t *testing.T) {
	h := buildHouse(t, site)
	token, _ := h.ticket(t)
	for _, c := range []struct {
		name, body string
		edits      []string
		want       fault.Code
	}{
		{"nobody in particular is refused", `{"password":"password"}`, nil, fault.NotSignedIn},
		{"a forged attempt is refused", `{"password":"password","attempt":"forged"}`, nil, fault.NotSignedIn},
		{"an attempt in progress is served", `{"password":"password","attempt":"sealed-attempt"}`, nil, ""},
		{"an attempt in the cookie is served", `{"password":"password"}`, []string{"Cookie: __Host-gh-attempt=sealed-attempt"}, ""},
		{"a session is served", `{"password":"password"}`, []string{"Cookie: __Host-gh-session=" + token}, ""},
		{"1025 bytes are too long", `{"password":"` + strings.Repeat("x", 1025) + `","attempt":"sealed-attempt"}`, nil, fault.PasswordTooLong},
	} {
		t.Run(c.name, func(t *testing.T) {
			res := h.send(request("POST", "/api/v1/password-strength", c.body, c.edits...))
			if c.want != "" {
				if got := errorOf(t, res).Code; got != c.want {
					t.Errorf("got %s", got)
				}
				return
			}
			var got apiStrong
			if body := bodyOf(t, res); res.StatusCode != http.StatusOK || json.Unmarshal([]byte(body), &got) != nil || got.Score > 1 || got.Acceptable {
				t.Errorf("%d %s", res.StatusCode, body)
			}
		})
	}
}
