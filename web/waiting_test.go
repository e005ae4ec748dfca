package web

import (
	"encoding/json"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"gatehouse/fault"
	"gatehouse/flow"
)

// between tells whether Retry-After is in these seconds.
func between(res *http.Response, least, most int) bool {
	n, err := strconv.Atoi(res.Header.Get("Retry-After"))
	return err == nil && least <= n && n <= most
}

// toldDoor answers as told and remembers what it was shown.
type toldDoor struct {
	held    string
	brought bool
	carry   string
	err     error
}

func (d *toldDoor) Knock(_ flow.Who, held string, brought bool) (string, error) {
	d.held, d.brought = held, brought
	return d.carry, d.err
}

func full(place string) error {
	return fault.New(fault.Busy, &flow.Wait{After: 6300 * time.Millisecond, About: 42 * time.Second, Place: place})
}

func TestWhoWouldBeTurnedAwayWaitsBeforeASecretIsTyped(t *testing.T) {
	door := &toldDoor{err: full("a-place")}
	h := buildHouse(t, site, func(s *Server) { s.Door = door })
	res := h.send(request("GET", "/signin?return=/account/history", ""))
	page := bodyOf(t, res)
	if res.StatusCode != 503 || !between(res, 7, 7) {
		t.Errorf("%d, Retry-After %q", res.StatusCode, res.Header.Get("Retry-After"))
	}
	if c := h.cookieNamed(res, "__Host-gh-wait"); c == nil || c.Value != "a-place" || !c.HttpOnly || !c.Secure {
		t.Errorf("the place: %v", c)
	}
	for _, want := range []string{
		`<noscript><meta http-equiv="refresh" content="7; url=/signin?return=%2Faccount%2Fhistory"></noscript>`,
		`It is your turn in about 50 seconds.`, `data-after="6300"`, `href="/signin?return=%2Faccount%2Fhistory"`,
	} {
		if !strings.Contains(page, want) {
			t.Errorf("%q is not on the page", want)
		}
	}
	if strings.Contains(page, `type="password"`) || door.brought {
		t.Error("a form on the waiting page, or a device that nobody brought")
	}

	device := h.cookieNamed(res, "__Host-gh-device").Value
	door.carry, door.err = "a-pass", nil
	res = h.send(request("GET", "/signin", "", "Cookie: __Host-gh-device="+device+"; __Host-gh-wait=a-place"))
	if c := h.cookieNamed(res, "__Host-gh-wait"); res.StatusCode != 200 || c == nil || c.Value != "a-pass" || door.held != "a-place" || !door.brought {
		t.Errorf("let in: %d, %v, %+v", res.StatusCode, c, door)
	}
	res = h.send(request("POST", "/signin", "email=ana@x.example&password=p", "Cookie: __Host-gh-device="+device+"; __Host-gh-wait=a-pass"))
	if in := h.flow.last(t); res.StatusCode != 303 || in.Place != "a-pass" || !in.Brought {
		t.Errorf("%d, submitted %+v", res.StatusCode, in)
	}
	if c := h.cookieNamed(res, "__Host-gh-wait"); c == nil || c.MaxAge >= 0 {
		t.Errorf("who is inside still carries a place: %v", c)
	}
}

func TestAWaitingPageKeepsNothingOfWhatWasTyped(t *testing.T) {
	h := buildHouse(t, site)
	h.flow.answer = func(flow.Input) (flow.Outcome, error) { return flow.Outcome{}, full("a-place") }
	res := h.send(request("POST", "/signin", "email=ana@secret.example&password=correct+horse&return=/account/history"))
	page := bodyOf(t, res)
	if res.StatusCode != 503 || !strings.Contains(page, "You are in line") {
		t.Fatalf("%d: %s", res.StatusCode, page)
	}
	all := page + strings.Join(res.Header["Set-Cookie"], " ") + h.log.String()
	for _, secret := range []string{"correct", "ana@", "horse"} {
		if strings.Contains(all, secret) {
			t.Errorf("%q was kept", secret)
		}
	}
	if !strings.Contains(page, `content="7; url=/signin?return=%2Faccount%2Fhistory"`) {
		t.Error("it does not lead back to the form")
	}
}

func TestEveryStepThatIsTurnedAwayLeadsBackToItsOwnPage(t *testing.T) {
	for _, path := range []string{"/forgot", "/unlock"} {
		h := buildHouse(t, site)
		h.flow.answer = func(flow.Input) (flow.Outcome, error) { return flow.Outcome{}, full("") }
		res := h.send(request("POST", path, "email=ana@x.example"))
		if page := bodyOf(t, res); res.StatusCode != 503 || !strings.Contains(page, "url="+path+`"`) {
			t.Errorf("%s: %d %.300s", path, res.StatusCode, page)
		}
	}
}

func TestAProgramIsToldWhenToComeAgainAndKeepsItsPlace(t *testing.T) {
	h := buildHouse(t, site)
	h.flow.answer = func(flow.Input) (flow.Outcome, error) { return flow.Outcome{}, full("a-place") }
	res := h.send(request("POST", "/api/v1/signin", `{"email":"ana@x.example","password":"p"}`))
	var said apiError
	if err := json.Unmarshal([]byte(bodyOf(t, res)), &said); err != nil {
		t.Fatal(err)
	}
	if res.StatusCode != 503 || !between(res, 7, 7) || said.Error.Code != fault.Busy || said.Wait == nil || said.Wait.Place != "a-place" || said.Wait.Seconds != 50 || said.Device == "" {
		t.Errorf("%d %+v %+v", res.StatusCode, said, said.Wait)
	}
	body, err := json.Marshal(map[string]string{"email": "ana@x.example", "password": "p", "device": said.Device, "place": said.Wait.Place})
	if err != nil {
		t.Fatal(err)
	}
	h.send(request("POST", "/api/v1/signin", string(body)))
	if in := h.flow.last(t); in.Place != "a-place" || !in.Brought {
		t.Errorf("submitted %+v", in)
	}
}

func TestTheScriptOfTheWaitingPageIsAnsweredInJSON(t *testing.T) {
	door := &toldDoor{err: fault.New(fault.Busy, &flow.Wait{After: 2 * time.Second, About: 9 * time.Second, Place: "a-place"})}
	h := buildHouse(t, site, func(s *Server) { s.Door = door })
	res := h.send(request("GET", "/signin", "", "Accept: application/json"))
	if body := bodyOf(t, res); res.StatusCode != 503 || !strings.Contains(body, `"about":"It is your turn in a moment."`) || h.cookieNamed(res, "__Host-gh-wait") == nil {
		t.Errorf("%d %s", res.StatusCode, body)
	}
	door.err = nil
	if res = h.send(request("GET", "/signin", "", "Accept: application/json")); res.StatusCode != 200 {
		t.Errorf("let in: %d", res.StatusCode)
	}
}

func TestWhatAnOutageHitComesBackSpreadOut(t *testing.T) {
	h := buildHouse(t, site)
	h.flow.answer = func(flow.Input) (flow.Outcome, error) { return flow.Outcome{}, fault.New(fault.Unavailable, nil) }
	seen := map[string]bool{}
	for range 60 {
		res := h.send(request("POST", "/api/v1/signin", `{}`))
		if !between(res, 10, 15) {
			t.Fatalf("Retry-After %q", res.Header.Get("Retry-After"))
		}
		seen[res.Header.Get("Retry-After")] = true
	}
	if len(seen) < 3 {
		t.Errorf("everybody comes back at one of %v", seen)
	}
}

func TestAStormOfRefusalsFillsNoLog(t *testing.T) {
	h := buildHouse(t, site)
	h.flow.answer = func(flow.Input) (flow.Outcome, error) { return flow.Outcome{}, full("") }
	for range 20 {
		h.send(request("POST", "/api/v1/signin", `{}`))
	}
	if h.log.Len() > 0 {
		t.Errorf("logged: %s", h.log)
	}
}

func TestTheBannerSaysWhatWorksAndWhatDoesNot(t *testing.T) {
	since := morning.Add(-7 * time.Minute)
	for _, row := range []struct {
		name string
		is   Condition
		want string
	}{
		{"nothing when all is well", Condition{}, ""},
		{"a crowd", Condition{Busy: true}, "Many people are signing in"},
		{"the standby before the crowd", Condition{Standby: true, Busy: true, Since: since}, "You can sign in as always. Changes"},
		{"failing sign-ins before all", Condition{SignInsFail: true, Standby: true, Busy: true}, "We know, and it has nothing to do with your password"},
	} {
		t.Run(row.name, func(t *testing.T) {
			h := buildHouse(t, site, func(s *Server) { s.Condition = func() Condition { return row.is } })
			for _, path := range []string{"/signin", "/forgot", "/unlock"} {
				page := bodyOf(t, h.send(request("GET", path, "")))
				if banner := strings.Contains(page, `note warn banner`); banner != (row.want != "") || !strings.Contains(page, row.want) {
					t.Errorf("%s: banner %v", path, banner)
				}
				if told := strings.Contains(page, "Since 21 November 2026, 09:23 UTC."); told != !row.is.Since.IsZero() {
					t.Errorf("%s: says since when: %v", path, told)
				}
			}
		})
	}
}

func TestAChangeThatHasToWaitSaysSoInWords(t *testing.T) {
	on := Condition{Standby: true}
	h := buildHouse(t, site, func(s *Server) { s.Condition = func() Condition { return on } })
	h.flow.answer = func(flow.Input) (flow.Outcome, error) { return flow.Outcome{}, fault.New(fault.Unavailable, nil) }
	for _, row := range []struct{ path, body, want string }{
		{"/forgot", "email=a@x.example", "so this has to wait"},
		{"/api/v1/forgot", `{"email":"a@x.example"}`, "so this has to wait"},
		{"/api/v1/signin/new-password", `{"password":"p"}`, "so this has to wait"},
		{"/signin", "email=a@x.example&password=p", "It has nothing to do with your password"},
		{"/api/v1/signin/totp", `{"code":"1"}`, "It has nothing to do with your password"},
	} {
		res := h.send(request("POST", row.path, row.body))
		if body := bodyOf(t, res); res.StatusCode != 503 || res.Header.Get("Retry-After") == "" || !strings.Contains(strings.ReplaceAll(body, "&#39;", "'"), row.want) {
			t.Errorf("%s: %d %s", row.path, res.StatusCode, regexp.MustCompile(`(?s)<main.*</main>`).FindString(body))
		}
	}
	on = Condition{SignInsFail: true}
	if body := bodyOf(t, h.send(request("POST", "/api/v1/signin", `{}`))); !strings.Contains(body, "We know") {
		t.Errorf("a failing sign-in says %s", body)
	}
}

func TestTheMeterYieldsToACrowd(t *testing.T) {
	h := buildHouse(t, site, func(s *Server) { s.Condition = func() Condition { return Condition{Busy: true} } })
	token, _ := h.ticket(t)
	res := h.send(request("POST", "/api/v1/password-strength", `{"password":"p"}`, "Authorization: Bearer "+token))
	if got := errorOf(t, res); got.Code != fault.Busy {
		t.Errorf("%+v", got)
	}
}

func TestHowLongItTakesIsSaidRoughly(t *testing.T) {
	for d, want := range map[time.Duration]time.Duration{
		0: 0, 10 * time.Second: 0, 11 * time.Second: 20 * time.Second, 90 * time.Second: 90 * time.Second,
		91 * time.Second: 2 * time.Minute, 5*time.Minute + time.Second: 6 * time.Minute,
	} {
		if got := roughly(d); got != want {
			t.Errorf("%v is said as %v, want %v", d, got, want)
		}
	}
}
