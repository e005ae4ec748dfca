package web

import (
	"encoding/binary"
	"errors"
	"io"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"gatehouse/fault"
	"gatehouse/flow"
	"gatehouse/words"
)

// Door is what flow.Flow answers before the form of a sign-in is shown.
type Door interface {
	Knock(who flow.Who, held string, brought bool) (carry string, err error)
}

// Waiting is the page for somebody whose turn has not come. It asks for nothing
// and goes on by itself.
type Waiting struct {
	After time.Duration // until it looks again
	About time.Duration // until it is their turn, roughly; 0 when that is a moment
	To    string        // where it looks
}

// knock asks whether the form may be shown now, and keeps what the door gave.
func (r *Request) knock(who flow.Who) error {
	s := r.server
	if s.Door == nil {
		return nil
	}
	held := r.cookie(s.cookies.wait)
	carry, err := s.Door.Knock(who, held, r.brought)
	if err == nil && carry != held {
		r.keepPlace(&flow.Wait{Place: carry})
	}
	return err
}

// waitOf is how long somebody has to wait, nil when that is not what is wrong.
func waitOf(err error) *flow.Wait {
	var w *flow.Wait
	errors.As(err, &w)
	return w
}

// keepPlace lets the browser keep its place in the line. It is no secret and opens
// nothing.
func (r *Request) keepPlace(w *flow.Wait) {
	switch {
	case w == nil:
	case w.Place == "":
		r.dropCookie(r.server.cookies.wait)
	default:
		r.setCookie(r.server.cookies.wait, w.Place, waitLife)
	}
}

// fromScript tells the waiting page's own question from a reader's.
func (r *Request) fromScript() bool { return r.HTTP.Header.Get("Accept") == jsonType }

// answerWaiting shows the waiting page. Nothing of a form that was sent is on it,
// and what it leads to is a GET.
func (r *Request) answerWaiting(kind fault.Kind, w *flow.Wait) error {
	r.keepPlace(w)
	page := Waiting{After: kind.Retry, About: roughly(w.About), To: r.HTTP.URL.Path}
	if back := returnPath(orElse(r.Query(FieldReturn), r.Text(FieldReturn))); back != "" {
		page.To += "?" + url.Values{FieldReturn: {back}}.Encode()
	}
	f := r.Frame()
	f.Refresh = strconv.Itoa(page.Seconds()) + "; url=" + page.To
	return r.RenderAs(http.StatusServiceUnavailable, f, page)
}

// Seconds are whole, as in the Retry-After header.
func (w Waiting) Seconds() int { return int(math.Ceil(w.After.Seconds())) }

// Millis is After for the script.
func (w Waiting) Millis() int64 { return w.After.Milliseconds() }

// tellWait is the same for a program.
func (r *Request) tellWait(w *flow.Wait) *apiWait {
	if w == nil {
		return nil
	}
	about := roughly(w.About)
	return &apiWait{Place: w.Place, Seconds: int(about.Seconds()), About: sayAbout(r.Words(), about)}
}

func sayAbout(c *words.Catalogue, about time.Duration) string {
	if about == 0 {
		return c.Say("waiting.soon")
	}
	return c.Say("waiting.about", "time", span(c.Say, about))
}

// roughly rounds up to what is worth saying: tens of seconds, then minutes. Up to
// ten seconds is a moment, 0.
func roughly(d time.Duration) time.Duration {
	step := 10 * time.Second
	if d <= step {
		return 0
	}
	if d > 90*time.Second {
		step = time.Minute
	}
	return (d + step - 1) / step * step
}

// jittered is when to come again: as the door says, else up to half as long again
// as the table says, so that those an outage has hit do not all return at once.
func (s *Server) jittered(d time.Duration, w *flow.Wait) time.Duration {
	if w != nil {
		return w.After
	}
	var b [2]byte
	if _, err := io.ReadFull(s.Rand, b[:]); err != nil {
		return d
	}
	return d + d/2*time.Duration(binary.BigEndian.Uint16(b[:]))/(1<<16)
}
