package web

import (
	"context"
	"net/http"
	"slices"
	"time"

	"gatehouse/authenticators"
	"gatehouse/fault"
	"gatehouse/flow"
	"gatehouse/id"
	"gatehouse/manage"
	"gatehouse/proof"
	"gatehouse/seal"
)

// Phones is what pages and API need for codes by text message and call.
type Phones struct {
	Sent  TextTeller
	Keep  PhoneKeeper
	Rules authenticators.NumberRules
}

// TextTeller is flow.Flow, as far as it says how a code stands that was asked for.
type TextTeller interface {
	StateOfText(ctx context.Context, attempt string, who flow.Who) (authenticators.TextState, error)
}

// PhoneKeeper is manage.Manage, as far as a person adds a telephone number.
type PhoneKeeper interface {
	BeginPhone(context.Context, manage.Caller, manage.PhoneWish) (note string, res manage.Result, err error)
	PendingPhone(c manage.Caller, note string) (manage.PhonePending, error)
	AskPhoneAgain(ctx context.Context, c manage.Caller, note string, way proof.Method) (string, manage.Result, error)
	ConfirmPhone(ctx context.Context, c manage.Caller, note string, typed seal.Secret, name string) (manage.Result, error)
	PhoneState(context.Context, manage.Caller) (state authenticators.TextState, asked time.Time, err error)
}

// Names of the fields, and values of FieldDo, on the pages of this file.
const (
	FieldBy       = "by" // "sms" or "voice"
	FieldNumber   = "number"
	FieldReplaces = "replaces"
	DoSend        = "send"
)

// Phone offers a code to one of the person's numbers. POST /signin/phone or
// /fresh/phone with do=send, id and by.
type Phone struct {
	Form
	Email   string
	Numbers []PhoneNumber
	Ways    Ways
	Fresh   bool
}

// PhoneNumber is a number as it may be asked for.
type PhoneNumber struct {
	ID         string
	Masked     string
	SMS, Voice bool
}

// PhoneCode takes the code that was sent. POST /signin/phone or /fresh/phone with
// code; or do=send for another.
type PhoneCode struct {
	Form
	Email    string
	Number   PhoneNumber
	Sent     Sent
	Others   bool // there are other numbers, or other ways to the same
	Ways     Ways
	Fresh    bool
	Remember time.Duration // for how long this browser may be remembered; 0: not offered
}

// Sent is how a code stands, for the line that says so.
type Sent struct {
	By    string // "sms" or "voice"
	State Text
	Bad   bool          // it will not arrive, or has not left yet
	Again time.Duration // until another can be asked for the same way; 0: now
	Poll  string        // where the script asks; "" once nothing changes any more
}

func (p Phone) about() about     { return door("phone", p.failed()) }
func (p PhoneCode) about() about { return titled(door("phone-code", p.failed()), "phone.typed.title") }

func titled(a about, key string) about {
	a.title = Say(key)
	return a
}

func (s *Server) phoneRoutes() []route {
	all := []route{
		{anAPI, "POST", "/api/v1/signin/ask-phone", s.apiAskPhone},
		{anAPI, "POST", "/api/v1/signin/phone", s.apiPhone},
		{aPage, "GET", "/signin/phone", s.stepPage(flow.Text)},
		{aPage, "POST", "/signin/phone", s.phone},
		{aPage, "GET", "/signin/phone/state", s.phoneState},
		{aPage, "GET", "/fresh/phone", s.stepPage(flow.Text)},
		{aPage, "POST", "/fresh/phone", s.phone},
		{aPage, "GET", "/fresh/phone/state", s.phoneState},
	}
	if s.Phones != nil {
		all = append(all, s.phoneRooms()...)
	}
	return all
}

// apiAskPhone sends a code: way is an id of ways, by is sms or voice.
func (s *Server) apiAskPhone(r *Request) error {
	return r.takeStep(func(f *reader) flow.Input {
		return flow.Input{Do: flow.AskText, Way: id.Authenticator(f.text("way")), By: proof.Method(f.text("by"))}
	})
}

func (s *Server) apiPhone(r *Request) error {
	return r.takeStep(func(f *reader) flow.Input {
		return flow.Input{Do: flow.ShowText, Secret: f.secret("code")}
	})
}

// textView asks which number when none was asked for yet, or another is wanted;
// else for the code.
func (r *Request) textView(v flow.View, f Form) (Page, error) {
	numbers := numbersOf(v.Ways)
	if v.Asked == nil || r.Query("again") != "" && f.Problem == nil {
		f.Problem.wrongCode("phone.unsent")
		return Phone{Form: f, Email: v.Email, Numbers: numbers, Ways: waysFrom(flow.Text, v), Fresh: v.Purpose == flow.Fresh}, nil
	}
	f.Problem.wrongCode("phone.wrong")
	page := PhoneCode{Form: f, Email: v.Email, Ways: waysFrom(flow.Text, v), Fresh: v.Purpose == flow.Fresh, Others: len(numbers) > 1, Remember: v.Remember}
	for _, n := range numbers {
		if n.ID == string(v.Asked.Way.ID) {
			page.Number = n
		}
	}
	state, known := r.stateOfText()
	page.Sent = sent(v.Asked.Way.Method, state, known, r.server.Now().Sub(v.Asked.At), pathOf(flow.Text, v.Purpose)+"/state")
	return page, nil
}

// numbersOf gathers the ways to each number.
func numbersOf(ways []flow.Way) (all []PhoneNumber) {
	for _, w := range ways {
		if w.Step != flow.Text {
			continue
		}
		i := slices.IndexFunc(all, func(n PhoneNumber) bool { return n.ID == string(w.ID) })
		if i < 0 {
			i, all = len(all), append(all, PhoneNumber{ID: string(w.ID), Masked: w.Label})
		}
		all[i].SMS = all[i].SMS || w.Method == proof.SMS
		all[i].Voice = all[i].Voice || w.Method == proof.Voice
	}
	return all
}

// stateOfText tells how the code stands; not known where it cannot be read now.
func (r *Request) stateOfText() (authenticators.TextState, bool) {
	if r.server.Phones == nil {
		return "", false
	}
	who, err := r.Who()
	if err != nil {
		return "", false
	}
	state, err := r.server.Phones.Sent.StateOfText(r.Context(), r.Attempt(), who)
	return state, err == nil
}

// slowAfter is how long a code may be on its way before the page says that it is
// not handed over yet.
const slowAfter = 2 * time.Second

// sent words how a code stands that was asked for some time ago.
func sent(by proof.Method, state authenticators.TextState, known bool, age time.Duration, poll string) Sent {
	s := Sent{By: string(by), Poll: poll, Again: max(0, flow.AgainAfter-age)}
	key := string(state)
	switch {
	case !known:
		key = "unknown"
	case state == authenticators.TextHanded:
		key = "handed-" + string(by)
	case state == authenticators.TextOnWay && age >= slowAfter:
		key, s.Bad = "slow", true
	case state == authenticators.TextFailed, state == authenticators.TextOver, state == authenticators.TextNone:
		s.Bad, s.Again = true, 0
		if state == authenticators.TextNone {
			key = string(authenticators.TextOver)
		}
	}
	if known && state != authenticators.TextOnWay {
		s.Poll = ""
	}
	s.State = *Say("phone.state." + key)
	return s
}

// phoneState is asked by the page's script: the line that says how the code stands.
func (s *Server) phoneState(r *Request) error {
	out, err := r.resume()
	if err != nil || out.View.Asked == nil {
		return r.tellSent(Sent{State: *Say("phone.state.over"), Bad: true})
	}
	state, known := r.stateOfText()
	return r.tellSent(sent(out.View.Asked.Way.Method, state, known, s.Now().Sub(out.View.Asked.At), r.HTTP.URL.Path))
}

func (r *Request) tellSent(s Sent) error {
	return r.JSON(http.StatusOK, map[string]any{"said": r.Words().Say(s.State.Key), "bad": s.Bad, "goes_on": s.Poll != ""})
}

// phone takes the form of the code, or sends one.
func (s *Server) phone(r *Request) error {
	in := flow.Input{Do: flow.ShowText, Secret: r.Secret(FieldCode)}
	if r.Text(FieldDo) == DoSend {
		in = flow.Input{Do: flow.AskText, Way: id.Authenticator(r.Text(FieldItem)), By: proof.Method(r.Text(FieldBy))}
	}
	return r.orOtherWays(r.step(flow.Text, in))
}

// orOtherWays offers the other ways where only a standby answers, which neither
// sends codes nor knows which were sent: a repair is no verdict, and no dead end.
func (r *Request) orOtherWays(err error) error {
	if fault.Of(err) != fault.Unavailable {
		return err
	}
	out, again := r.resume()
	if again != nil {
		return err
	}
	v := out.View
	page := Phone{Email: v.Email, Ways: waysFrom(flow.Text, v), Fresh: v.Purpose == flow.Fresh,
		Form: Form{Attempt: string(v.ID), Action: r.HTTP.URL.Path, Problem: &Problem{Code: fault.Unavailable, Sentence: Say("phone.unable")}}}
	r.setRetryAfter(fault.Lookup(fault.Unavailable).Retry)
	r.Note(noteOf(err))
	return r.RenderAs(http.StatusServiceUnavailable, r.Frame(), page)
}
