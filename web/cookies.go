package web

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"

	"gatehouse/fault"
	"gatehouse/id"
	"gatehouse/seal"
	"gatehouse/sessions"
)

// cookieNames are the eight cookies. All are sealed, HttpOnly, SameSite=Lax and
// for this host alone; "__Host-" makes the browser insist on it (RFC 6265bis §4.1.3.2).
type cookieNames struct{ session, device, attempt, mailed, flash, wait, trust, later string }

func namesOfCookies(secure bool) cookieNames {
	prefix := "gh-"
	if secure {
		prefix = "__Host-gh-"
	}
	return cookieNames{prefix + "session", prefix + "device", prefix + "attempt", prefix + "mailed", prefix + "flash", prefix + "wait", prefix + "trust", prefix + "later"}
}

const (
	deviceLife  = 400 * 24 * time.Hour // the most that browsers keep a cookie
	deviceRenew = 30 * 24 * time.Hour  // how old a device token gets before a new one
	mailedLife  = time.Hour            // from opening a mailed link to going on with it
	flashLife   = 5 * time.Minute
	waitLife    = 30 * time.Minute // as long as a place in the line is good
	maxCookie   = 4096             // what browsers keep, name and attributes included
)

// Session is who is signed in: fault.NotSignedIn, or fault.Unavailable when that
// cannot be told now. A renewed ticket goes out with the answer.
func (r *Request) Session() (sessions.Ticket, error) {
	if r.session != nil {
		return *r.session, nil
	}
	t, renewed, err := r.server.Sessions.Check(r.cookie(r.server.cookies.session), r.server.Now())
	if err != nil {
		return sessions.Ticket{}, err
	}
	if renewed != "" {
		r.setCookie(r.server.cookies.session, renewed, 0)
	}
	r.session = &t
	return t, nil
}

// SetSession hands the person their session and drops what led to it. The cookie
// ends with the browser; the sealed ticket ends by itself.
func (r *Request) SetSession(ticket string) {
	r.setCookie(r.server.cookies.session, ticket, 0)
	r.ClearAttempt()
	r.ClearMailed()
	r.session = nil
}

// ClearSession drops the cookies of a person who signs out. The device stays known.
func (r *Request) ClearSession() {
	r.dropCookie(r.server.cookies.session)
	r.dropCookie(r.server.cookies.flash)
	r.ClearAttempt()
	r.ClearMailed()
	r.session = nil
}

// Attempt is the sealed sign-in in progress, empty for none.
func (r *Request) Attempt() string { return r.cookie(r.server.cookies.attempt) }

// SetAttempt keeps the sealed sign-in in progress for the next step.
func (r *Request) SetAttempt(sealed string) { r.setCookie(r.server.cookies.attempt, sealed, 0) }

// ClearAttempt forgets it.
func (r *Request) ClearAttempt() { r.dropCookie(r.server.cookies.attempt) }

// Device names this browser. A device token that is missing, forged or too old
// is replaced by a new one: it is a convenience and never a proof.
func (r *Request) Device() (id.Device, error) {
	if r.device != "" {
		return r.device, nil
	}
	device, made := r.server.openDevice(r.cookie(r.server.cookies.device))
	if r.brought = device != ""; !r.brought {
		device = id.New[id.Device](r.server.Now(), r.server.Rand)
	}
	r.device = device
	if r.server.Now().Sub(made) < deviceRenew {
		return device, nil
	}
	token, err := r.server.sealDevice(device)
	if err != nil {
		return "", fault.New(fault.Internal, err)
	}
	r.setCookie(r.server.cookies.device, token, deviceLife)
	return device, nil
}

// sealDevice makes a device token: the device's name and when it was sealed.
func (s *Server) sealDevice(device id.Device) (string, error) {
	now := s.Now()
	plain := string(device) + "." + strconv.FormatInt(now.Unix(), 10)
	return s.Keys.SealToken(seal.Device, "", now.Add(deviceLife), []byte(plain))
}

// openDevice returns "" for whatever is not one of our living device tokens.
func (s *Server) openDevice(token string) (id.Device, time.Time) {
	if token == "" {
		return "", time.Time{}
	}
	plain, err := s.Keys.OpenToken(seal.Device, "", s.Now(), token)
	if err != nil {
		return "", time.Time{}
	}
	name, made, _ := strings.Cut(string(plain), ".")
	device, err := id.Parse[id.Device](name)
	seconds, err2 := strconv.ParseInt(made, 10, 64)
	if err != nil || err2 != nil {
		return "", time.Time{}
	}
	return device, time.Unix(seconds, 0)
}

// SetMailed carries the token of a mailed link to a clean address, sealed for
// this browser.
func (r *Request) SetMailed(token seal.Secret) error {
	return r.setSealed(seal.Mailed, r.server.cookies.mailed, mailedLife, []byte(token.Reveal()))
}

// Mailed is the token of the mailed link opened here last, false for none.
func (r *Request) Mailed() (seal.Secret, bool) {
	plain, ok := r.openSealed(seal.Mailed, r.server.cookies.mailed)
	return seal.Secret(plain), ok
}

// ClearMailed forgets it.
func (r *Request) ClearMailed() { r.dropCookie(r.server.cookies.mailed) }

// SetFlash says a sentence on the next page. Pairs are texts or numbers.
func (r *Request) SetFlash(t *Text) error {
	plain, err := json.Marshal(t)
	if err != nil {
		return fault.New(fault.Internal, err)
	}
	return r.setSealed(seal.Flash, r.server.cookies.flash, flashLife, plain)
}

// Flash is the sentence that the page before left, once; nil for none.
func (r *Request) Flash() *Text {
	if r.cookie(r.server.cookies.flash) == "" {
		return nil
	}
	r.dropCookie(r.server.cookies.flash)
	plain, ok := r.openSealed(seal.Flash, r.server.cookies.flash)
	var t Text
	if !ok || json.Unmarshal(plain, &t) != nil {
		return nil
	}
	return &t
}

func (r *Request) setSealed(p seal.Purpose, name string, life time.Duration, plain []byte) error {
	device, err := r.Device()
	if err != nil {
		return err
	}
	token, err := r.server.Keys.SealToken(p, string(device), r.server.Now().Add(life), plain)
	if err != nil {
		return fault.New(fault.Internal, err)
	}
	r.setCookie(name, token, life)
	return nil
}

func (r *Request) openSealed(p seal.Purpose, name string) ([]byte, bool) {
	token := r.cookie(name)
	if token == "" {
		return nil, false
	}
	device, _ := r.server.openDevice(r.cookie(r.server.cookies.device))
	plain, err := r.server.Keys.OpenToken(p, string(device), r.server.Now(), token)
	return plain, err == nil && device != ""
}

func (r *Request) cookie(name string) string { return cookieValue(r.HTTP.Header, name) }

// cookieValue finds a cookie without making anything: the session check lives on
// it. Our values need no unquoting.
func cookieValue(h http.Header, name string) string {
	for _, line := range h["Cookie"] {
		for line != "" {
			var pair string
			pair, line, _ = strings.Cut(line, ";")
			n, v, ok := strings.Cut(strings.TrimSpace(pair), "=")
			if ok && n == name {
				return v
			}
		}
	}
	return ""
}

// setCookie replaces what this answer said of the same cookie before. life 0
// means until the browser closes.
func (r *Request) setCookie(name, value string, life time.Duration) {
	c := r.server.newCookie(name, value)
	c.MaxAge = int(life / time.Second)
	r.put(c)
}

func (r *Request) dropCookie(name string) {
	if r.cookie(name) == "" && !r.willSet(name) {
		return
	}
	c := r.server.newCookie(name, "")
	c.MaxAge = -1
	r.put(c)
}

func (s *Server) newCookie(name, value string) *http.Cookie {
	return &http.Cookie{Name: name, Value: value, Path: "/", Secure: s.secure, HttpOnly: true, SameSite: http.SameSiteLaxMode}
}

func (r *Request) willSet(name string) bool {
	for _, line := range r.w.Header()["Set-Cookie"] {
		if strings.HasPrefix(line, name+"=") {
			return true
		}
	}
	return false
}

func (r *Request) put(c *http.Cookie) {
	text := c.String()
	if len(text) > maxCookie {
		r.Note(slog.Int(c.Name+"_too_long", len(text))) // the browser will drop it
	}
	h := r.w.Header()
	var kept []string
	for _, line := range h["Set-Cookie"] {
		if !strings.HasPrefix(line, c.Name+"=") {
			kept = append(kept, line)
		}
	}
	h["Set-Cookie"] = append(kept, text)
}
