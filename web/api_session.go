package web

import (
	"log/slog"
	"net/http"
	"strconv"
	"strings"

	"gatehouse/proof"
	"gatehouse/sessions"
)

// sessionPath is the session check: the one address that other software asks on
// every request of its own.
const sessionPath = "/api/v1/session"

// quickSession answers the session check when there is nothing to say but yes,
// around everything that a yes does not need: routing, ids, log, JSON encoder.
// It returns false, having written nothing, for all else, and the usual way
// answers. Everything it leaves out is about bodies, posts and errors.
func (s *Server) quickSession(w http.ResponseWriter, hr *http.Request) bool {
	if hr.URL.Path != sessionPath || hr.Method != http.MethodGet || !s.rightHost(hr.Host) || s.Log.Enabled(hr.Context(), slog.LevelDebug) {
		return false
	}
	if s.secure && plainAtProxy(hr, s.Proxies) {
		return false
	}
	token, bearer := s.sessionToken(hr)
	t, renewed, err := s.Sessions.Check(token, s.Now())
	if err != nil {
		return false
	}
	h := w.Header()
	for _, f := range s.headers[anAPI] {
		h[f.name] = f.values
	}
	s.writeSession(w, t, renewed, bearer)
	s.Metrics.sessionChecked()
	return true
}

// apiSession is the session check on the usual way: refusals, HEAD, debug logs.
func (s *Server) apiSession(r *Request) error {
	token, bearer := s.sessionToken(r.HTTP)
	t, renewed, err := s.Sessions.Check(token, s.Now())
	if err != nil {
		return err
	}
	s.writeSession(r.w, t, renewed, bearer)
	return nil
}

// sessionToken prefers the Authorization header (RFC 6750 §2.1) to the cookie: a
// program that sends one means it.
func (s *Server) sessionToken(hr *http.Request) (token string, bearer bool) {
	if a := hr.Header["Authorization"]; len(a) > 0 {
		scheme, token, _ := strings.Cut(a[0], " ")
		if strings.EqualFold(scheme, "Bearer") {
			return strings.TrimSpace(token), true
		}
	}
	return cookieValue(hr.Header, s.cookies.session), false
}

// sessionIfAny is who is signed in, nil for nobody or when it cannot be told.
func (r *Request) sessionIfAny() *sessions.Ticket {
	token, _ := r.server.sessionToken(r.HTTP)
	if token == "" {
		return nil
	}
	t, _, err := r.server.Sessions.Check(token, r.server.Now())
	if err != nil {
		return nil
	}
	return &t
}

var jsonHeader = []string{jsonType}

// writeSession says what openapi.json calls ActiveSession. A renewed ticket goes
// back the way the old one came.
func (s *Server) writeSession(w http.ResponseWriter, t sessions.Ticket, renewed string, bearer bool) {
	h := w.Header()
	h["Content-Type"] = jsonHeader
	if renewed != "" && !bearer {
		h.Add("Set-Cookie", s.newCookie(s.cookies.session, renewed).String())
	}
	b := make([]byte, 0, 512)
	b = append(b, `{"active":true,"account":"`...)
	b = append(b, t.Account...)
	b = append(b, `","session":"`...)
	b = append(b, t.Session...)
	b = append(b, `","amr":[`...)
	for i, ref := range proof.AMR(t.Proofs) {
		if i > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendQuote(b, ref)
	}
	b = append(b, `],"auth_time":`...)
	b = strconv.AppendInt(b, t.AuthTime().Unix(), 10)
	b = append(b, `,"idle_until":`...)
	b = strconv.AppendInt(b, t.IdleUntil.Unix(), 10)
	b = append(b, `,"absolute_until":`...)
	b = strconv.AppendInt(b, t.AbsoluteUntil.Unix(), 10)
	if renewed != "" && bearer {
		b = append(b, `,"ticket":"`...)
		b = append(b, renewed...)
		b = append(b, '"')
	}
	b = append(b, '}', '\n')
	w.Write(b) // nobody to tell when the caller has gone
}
