package web

import (
	"bytes"
	"context"
	"encoding/base32"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"gatehouse/fault"
	"gatehouse/flow"
	"gatehouse/id"
	"gatehouse/seal"
	"gatehouse/sessions"
	"gatehouse/words"
)

// Request is one request on its way through a handler, and its answer.
type Request struct {
	HTTP  *http.Request
	ID    string // what a person quotes to support
	Nonce string // of this answer's Content-Security-Policy

	server *Server
	w      *recorder
	route  route
	form   url.Values
	notes  []slog.Attr
	err    error // what answer was called with, for the log

	device  id.Device
	brought bool   // the device token came with the request
	token   string // of the device, for a program that keeps no cookies
	session *sessions.Ticket
	after   string // where to go after a fresh proof, when that is not this page
}

// Context ends when the browser hangs up.
func (r *Request) Context() context.Context { return r.HTTP.Context() }

// Server is whom the request came to.
func (r *Request) Server() *Server { return r.server }

// Note adds to the request's one log line. Never a secret, a name or an address.
func (r *Request) Note(attrs ...slog.Attr) { r.notes = append(r.notes, attrs...) }

// Text is a form field for reading: trimmed, without control characters, at most
// 1000 bytes. Only the body counts, never the query. Passwords and codes are
// asked for with Secret.
func (r *Request) Text(name string) string {
	return strings.TrimSpace(boundedText(r.form.Get(name), maxField))
}

// Secret is a form field exactly as it was sent; the body's limit bounds it.
func (r *Request) Secret(name string) seal.Secret { return seal.Secret(r.form.Get(name)) }

// Ticked tells whether a checkbox was.
func (r *Request) Ticked(name string) bool { return r.form.Get(name) != "" }

// Query is a query parameter, bounded as Text is. What it says is a wish of
// whoever wrote the link.
func (r *Request) Query(name string) string {
	return strings.TrimSpace(boundedText(r.HTTP.URL.Query().Get(name), maxField))
}

// Path is a piece of the path named in the route's pattern.
func (r *Request) Path(name string) string { return r.HTTP.PathValue(name) }

const maxField = 1000

// Client is the address the request came from; invalid when there is none, as on
// a Unix socket without a listed proxy.
func (r *Request) Client() netip.Addr {
	return clientAddr(r.HTTP.RemoteAddr, r.HTTP.Header.Values("X-Forwarded-For"), r.server.Proxies)
}

// Who is who asks. It makes the device token when the browser has none yet.
func (r *Request) Who() (flow.Who, error) {
	device, err := r.Device()
	if err != nil {
		return flow.Who{}, err
	}
	who := flow.Who{Device: device, Network: r.Client(), Agent: boundedAgent(r.HTTP.UserAgent()), Locale: r.Words().Lang}
	if r.server.Place != nil {
		who.Place = r.server.Place(who.Network)
	}
	return who, nil
}

// Words is the catalogue of the language that the browser asks for.
func (r *Request) Words() *words.Catalogue {
	return words.For(languages(r.HTTP.Header.Get("Accept-Language"))...)
}

// Submit is flow.Submit, counted.
func (r *Request) Submit(in flow.Input) (flow.Outcome, error) {
	in.Brought = r.brought
	out, err := r.server.Flow.Submit(r.Context(), in)
	if err == nil && out.Refusal == nil && (in.Do == flow.ShowPassword || in.Do == flow.ShowPasskey) {
		r.dropCookie(r.server.cookies.wait) // whoever is inside waits no more
	}
	r.server.Metrics.submitted(in, out, err)
	if out.Refusal != nil {
		r.Note(slog.String("refusal", string(out.Refusal.Code)))
	}
	return out, err
}

// Send answers with a body that is ready.
func (r *Request) Send(status int, contentType string, body []byte) error {
	h := r.w.Header()
	h.Set("Content-Type", contentType)
	h.Set("Content-Length", strconv.Itoa(len(body)))
	r.w.WriteHeader(status)
	_, err := r.w.Write(body)
	r.hungUp(err)
	return nil
}

// hungUp notes that nobody waited for the answer. It is not an error of ours,
// and the answer is under way already.
func (r *Request) hungUp(err error) {
	if err != nil {
		r.Note(slog.Bool("hung_up", true))
	}
}

// Redirect answers 303 See Other: what follows is a GET (RFC 9110 §15.4.4).
func (r *Request) Redirect(path string) error { return r.RedirectWith(http.StatusSeeOther, path) }

// RedirectWith is Redirect with another status. path is one of ours.
func (r *Request) RedirectWith(status int, path string) error {
	if !isLocal(path) {
		return fault.New(fault.Internal, errors.New("web: a redirect to somewhere else"))
	}
	r.w.Header().Set("Location", path)
	r.w.WriteHeader(status)
	return nil
}

// isLocal accepts a path on this origin and nothing that a browser would read as
// another host ("//evil", "/\evil").
func isLocal(path string) bool {
	if !strings.HasPrefix(path, "/") || strings.HasPrefix(path, "//") || strings.ContainsAny(path, "\\\r\n\t\x00") {
		return false
	}
	u, err := url.Parse(path)
	return err == nil && u.Scheme == "" && u.Host == ""
}

// readForm bounds and parses a posted form, before its page sees it.
func (r *Request) readForm() error {
	body, err := r.body()
	if err != nil {
		return err
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return fault.New(fault.BadRequest, errors.New("web: malformed form")) // the cause would quote it
	}
	for name, values := range form {
		if len(values) > mostTicks || len(values) > 1 && !r.ticksMany(name) || !utf8.ValidString(name) || !utf8.ValidString(values[0]) {
			return fault.New(fault.BadRequest, errors.New("web: a form field twice, or not UTF-8"))
		}
	}
	r.form = form
	return nil
}

// mostTicks bounds the boxes of one list that can be ticked.
const mostTicks = 50

// ticksMany tells the one list of boxes of which several may be ticked: everywhere
// else a field that comes twice means that two readers would take different ones.
func (r *Request) ticksMany(name string) bool {
	return name == FieldItem && r.route.path == "/account/moving"
}

// body reads what was sent, at most maxBody bytes.
func (r *Request) body() ([]byte, error) {
	body, err := io.ReadAll(http.MaxBytesReader(r.w.ResponseWriter, r.HTTP.Body, maxBody))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return nil, fault.New(fault.TooLarge, err)
	case err != nil:
		return nil, fault.New(fault.BadRequest, err)
	}
	return body, nil
}

// Frame is the part of a page that every page has. The handler adds Person,
// Zone and Done when it knows them.
func (r *Request) Frame() Frame {
	s := r.server
	return Frame{Words: r.Words(), Now: s.Now(), Nonce: r.Nonce, RequestID: r.ID, StatusURL: s.StatusURL, Demo: s.Demo, Condition: s.condition()}
}

// Render answers with a page, status 200.
func (r *Request) Render(f Frame, p Page) error { return r.RenderAs(http.StatusOK, f, p) }

// RenderRefused answers with a form that came back: the status is the refusal's.
func (r *Request) RenderRefused(why *flow.Refusal, f Frame, p Page) error {
	if why.RetryAfter > 0 {
		r.setRetryAfter(why.RetryAfter)
	}
	return r.RenderAs(fault.Lookup(why.Code).Status, f, p)
}

// RenderAs answers with a page and a status.
func (r *Request) RenderAs(status int, f Frame, p Page) error {
	var b bytes.Buffer
	if err := r.server.pages.Write(&b, f, p); err != nil {
		return fault.New(fault.Internal, err)
	}
	r.w.Header().Set("Content-Language", f.lang())
	return r.Send(status, "text/html; charset=utf-8", b.Bytes())
}

// answer is the one place that tells an error. The person sees a sentence, a
// code and an id to quote; a program the same as JSON; the log alone the cause.
func (s *Server) answer(r *Request, err error) {
	r.err = err
	r.w.Header().Del("Content-Encoding") // of an answer that came to nothing
	if r.w.status != 0 {
		return // too late: the answer is under way
	}
	kind := fault.Lookup(fault.Of(err))
	wait := waitOf(err)
	if kind.Retry > 0 {
		kind.Retry = s.jittered(kind.Retry, wait)
		r.setRetryAfter(kind.Retry)
	}
	if r.route.sort == anAPI || wait != nil && r.fromScript() {
		r.challenge(kind.Status)
		r.keepPlace(wait)
		r.hungUp(r.JSON(kind.Status, apiError{Error: r.tell(kind.Code), Wait: r.tellWait(wait), Device: r.token}))
		return
	}
	if wait != nil && r.answerWaiting(kind, wait) == nil {
		return
	}
	if to := r.wayOut(kind.Code); to != "" {
		if kind.Code == fault.NotSignedIn && r.cookie(s.cookies.session) != "" { // they were; a form alone would not say why it is here
			_ = r.SetFlash(Say("signin.ended")) // without it the way leads on all the same
		}
		r.hungUp(r.Redirect(to))
		return
	}
	s.answerPage(r, kind)
}

// answerPage shows the page for what cannot go on, or plain text when even that
// cannot be made.
func (s *Server) answerPage(r *Request, kind fault.Kind) {
	said := r.tell(kind.Code)
	oops := Oops{Code: kind.Code, Sentence: r.sentence(kind.Code), RetryAfter: kind.Retry}
	if kind.Retry > 0 && r.HTTP.Method == http.MethodGet {
		oops.Retry = r.HTTP.URL.RequestURI()
	}
	if r.RenderAs(kind.Status, r.Frame(), oops) == nil {
		return
	}
	text := said.Sentence + "\n" + string(said.Code) + " " + said.RequestID + "\n"
	r.hungUp(r.Send(kind.Status, "text/plain; charset=utf-8", []byte(text)))
}

// wayOut is where a page leads on instead of ending in an error, and back from
// there to the page that was wanted.
func (r *Request) wayOut(c fault.Code) string {
	from := r.HTTP.URL.Path
	back := returnPath(orElse(r.after, from))
	if back != "" {
		back = "?" + url.Values{FieldReturn: {back}}.Encode()
	}
	switch {
	case c == fault.NotSignedIn && from != "/signin":
		return "/signin" + back
	case c == fault.FreshProofNeeded && from != "/fresh":
		return "/fresh" + back
	}
	return ""
}

func orElse(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

// tell is what a person reads of a fault.
func (r *Request) tell(c fault.Code) apiFault {
	t := r.sentence(c)
	return apiFault{Code: c, Sentence: r.Words().Say(t.Key, t.Pairs...), RequestID: r.ID}
}

// sentence is what the catalogue says of a code. At a wrong address it names the
// right one; in an outage it says what works all the same.
func (r *Request) sentence(c fault.Code) *Text {
	if c == fault.WrongHost {
		return Say("fault.wrong-host.at", "origin", r.server.Origin)
	}
	if t := r.server.condition().unable(r.route.path); c == fault.Unavailable && t != nil {
		return t
	}
	return Say("fault." + string(c))
}

// setRetryAfter rounds up to whole seconds (RFC 9110 §10.2.3).
func (r *Request) setRetryAfter(d time.Duration) {
	r.w.Header().Set("Retry-After", strconv.FormatInt(int64((d+time.Second-1)/time.Second), 10))
}

// JSON answers with v. HTML characters are not escaped: nosniff and the type say
// what it is.
func (r *Request) JSON(status int, v any) error {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return fault.New(fault.Internal, err)
	}
	return r.Send(status, jsonType, b.Bytes())
}

const jsonType = "application/json"

func notFound(*Request) error { return fault.New(fault.NotFound, nil) }

// otherMethod answers OPTIONS with what there is, everything else with 405.
func otherMethod(methods []string) handler {
	list := []string{"OPTIONS"}
	for _, m := range methods {
		list = append(list, m)
		if m == http.MethodGet {
			list = append(list, http.MethodHead)
		}
	}
	allow := strings.Join(list, ", ")
	return func(r *Request) error {
		r.w.Header().Set("Allow", allow)
		if r.HTTP.Method != http.MethodOptions {
			return fault.New(fault.MethodNotAllowed, nil)
		}
		r.w.WriteHeader(http.StatusNoContent)
		return nil
	}
}

// quotable makes an id that can be read out on the telephone: 60 random bits in
// Crockford's alphabet, which has no I, L, O or U.
func quotable(random io.Reader) (string, error) {
	var b [8]byte
	if _, err := io.ReadFull(random, b[:]); err != nil {
		return "", err
	}
	s := crockford.EncodeToString(b[:])
	return s[0:4] + "-" + s[4:8] + "-" + s[8:12], nil
}

var crockford = base32.NewEncoding("0123456789ABCDEFGHJKMNPQRSTVWXYZ").WithPadding(base32.NoPadding)
