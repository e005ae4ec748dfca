package web

import (
	"context"
	"slices"
	"time"

	"gatehouse/authenticators"
	"gatehouse/fault"
	"gatehouse/id"
	"gatehouse/manage"
	"gatehouse/seal"
)

// Mover is what the pages of this file ask of manage.Manage.
type Mover interface {
	Moving(context.Context, manage.Caller) (manage.Moving, error)
	BeginMove(ctx context.Context, c manage.Caller, why string, leaving []id.Authenticator) (manage.Result, error)
	MoveApp(context.Context, manage.Caller) (secret, uri seal.Secret, err error)
	ArriveMove(ctx context.Context, c manage.Caller, code seal.Secret, name string) (manage.Result, error)
	FinishMove(ctx context.Context, c manage.Caller, code seal.Secret) (manage.Result, error)
	StopMove(context.Context, manage.Caller) error
	Remembered(context.Context, manage.Caller) ([]authenticators.Credential, error)
	ForgetBrowser(context.Context, manage.Caller, id.Authenticator) error
}

// Values of FieldDo on the page of a move.
const (
	DoBegin  = "begin"
	DoArrive = "arrive"
	DoFinish = "finish"
	DoStop   = "stop"
	DoForget = "forget"
	DoLater  = "later"

	FieldWhy = "why" // of a move
)

// Move is one step of the guide to another app or phone. POST /account/moving with
// do=begin (why, id…), arrive (code, name), finish (code) or stop.
type Move struct {
	Form
	Step    string // choose, leave, arrive, finish
	Why     string // switch, phone, lost; "" at choose
	Things  []Thing
	Email   string
	Key     string // arrive: base32
	URI     string
	Name    string   // arrive: as typed
	Old     []string // finish: what goes
	New     []string // finish: what has come
	AskCode bool     // finish: one of the new ones shows codes
}

// Thing is something that may be left behind.
type Thing struct {
	ID     string
	Name   string
	Kind   Text
	UsedAt time.Time // zero: never
	Ticked bool
}

// Moved is the end of the guide: what opens the account now.
type Moved struct {
	Things    []Thing
	CodesLeft int
}

// Second offers another second authenticator to somebody who has one only.
// POST /account/second with do=later.
type Second struct {
	Form
	First  bool   // they have just set up the first
	By     string // from this day on their organisation asks for another than they have; "" for none
	Offers []Way
}

func (p Move) about() about {
	return about{template: "moving-" + p.Step, title: Say("moving.title-" + p.Step), nav: "authenticators", failed: p.failed()}
}
func (p Moved) about() about {
	return about{template: "moved", title: Say("moved.title"), nav: "authenticators"}
}
func (p Second) about() about { return door("second", p.failed()) }

func (s *Server) movingRoutes() []route {
	return []route{
		{aPage, "GET", "/account/moving", s.movingPage},
		{aPage, "POST", "/account/moving", s.move},
		{aPage, "GET", "/account/moving/done", s.movedPage},
		{aPage, "GET", "/account/second", s.secondPage},
		{aPage, "POST", "/account/second", s.laterSecond},
		{aPage, "POST", "/account/remembered", s.forgetBrowser},
	}
}

// movingPage shows the step where the person stands; without one, the choice.
func (s *Server) movingPage(r *Request) error {
	m, err := r.member()
	if err != nil {
		return err
	}
	at, err := s.Moves.Moving(r.Context(), m.caller)
	if err != nil {
		return err
	}
	why := r.Query(FieldWhy)
	if at.Why != "" {
		return s.showMove(r, at, nil)
	}
	if !knownMove(why) {
		return r.Render(r.frame(m), Move{Step: "choose"})
	}
	if m, err = r.freshMemberFor("/account/moving?why=" + why); err != nil {
		return err
	}
	return r.Render(r.frame(m), leaving(m, why, nil))
}

func knownMove(why string) bool {
	return slices.Contains([]string{authenticators.MoveSwitch, authenticators.MovePhone, authenticators.MoveLost}, why)
}

// leaving asks what stays behind. Who changes the app alone leaves apps; on a phone
// there may be anything.
func leaving(m member, why string, f *Form) Move {
	page := Move{Step: "leave", Why: why, Things: things(m, why == authenticators.MoveSwitch)}
	if f != nil {
		page.Form = *f
	}
	if len(page.Things) == 1 {
		page.Things[0].Ticked = true
	}
	return page
}

func things(m member, appsOnly bool) []Thing {
	var all []Thing
	for _, n := range m.about.Seconds {
		if !appsOnly || n.Kind == authenticators.KindApp {
			all = append(all, Thing{ID: string(n.ID), Name: n.Name, Kind: *Say("kind." + string(n.Kind)), UsedAt: n.LastUsedAt})
		}
	}
	return all
}

// showMove draws a move that is under way. It shows a secret or asks for a change,
// so it asks for a fresh proof first.
func (s *Server) showMove(r *Request, at manage.Moving, why *fault.Refusal) error {
	m, err := r.freshMemberFor("/account/moving")
	if err != nil {
		return err
	}
	page := Move{Why: at.Why, Form: Form{Problem: problem(why, FieldCode)}, Email: m.about.Account.Email}
	for _, n := range at.Leaving {
		page.Old = append(page.Old, n.Name)
	}
	if len(at.Arrived) > 0 {
		page.Step, page.AskCode = "finish", at.Codes
		for _, n := range at.Arrived {
			page.New = append(page.New, n.Name)
		}
		page.Problem.wrongCode("moving.wrong")
	} else {
		secret, uri, err := s.Moves.MoveApp(r.Context(), m.caller)
		if err != nil {
			return err
		}
		page.Step, page.Key, page.URI, page.Name = "arrive", secret.Reveal(), uri.Reveal(), r.Text(FieldName)
		page.Problem.wrongCode("enrol.wrong")
	}
	if why != nil {
		return r.RenderRefused(why, r.frame(m), page)
	}
	return r.Render(r.frame(m), page)
}

func (s *Server) move(r *Request) error {
	m, err := r.member()
	if err != nil {
		return err
	}
	var res manage.Result
	to := "/account/moving"
	switch r.Text(FieldDo) {
	case DoBegin:
		return s.beginMove(r)
	case DoStop:
		if err := s.Moves.StopMove(r.Context(), m.caller); err != nil {
			return err
		}
		return r.Redirect("/account/authenticators?done=kept-both")
	case DoArrive, DoFinish:
		if m, err = r.freshMemberFor(to); err != nil {
			return err
		}
	default:
		return fault.New(fault.BadRequest, nil)
	}
	if r.Text(FieldDo) == DoArrive {
		res, err = s.Moves.ArriveMove(r.Context(), m.caller, r.Secret(FieldCode), r.Text(FieldName))
	} else {
		to = "/account/moving/done"
		res, err = s.Moves.FinishMove(r.Context(), m.caller, r.Secret(FieldCode))
	}
	return s.moved(r, m, res, err, to)
}

// moved leads on from a step of a move. Another tab may have gone further: then the
// step is shown that it has come to.
func (s *Server) moved(r *Request, m member, res manage.Result, err error, to string) error {
	if fault.Of(err) == fault.AttemptExpired {
		return r.Redirect("/account/moving")
	}
	if err != nil {
		return err
	}
	if res.Refusal == nil {
		if res.Session.Account != "" {
			m.caller.Ticket = res.Session
		}
		if at, err := s.Moves.Moving(r.Context(), m.caller); err == nil && at.Why == "" {
			to = "/account/moving/done"
		}
		return r.changed(res, to)
	}
	at, err := s.Moves.Moving(r.Context(), m.caller)
	if err != nil {
		return err
	}
	return s.showMove(r, at, res.Refusal)
}

func (s *Server) beginMove(r *Request) error {
	why := r.Text(FieldWhy)
	if !knownMove(why) {
		return fault.New(fault.BadRequest, nil)
	}
	m, err := r.freshMemberFor("/account/moving?why=" + why)
	if err != nil {
		return err
	}
	var ids []id.Authenticator
	for _, text := range r.form[FieldItem] {
		if a, err := id.Parse[id.Authenticator](text); err == nil && !slices.Contains(ids, a) {
			ids = append(ids, a)
		}
	}
	if len(ids) == 0 {
		refusal := fault.Refusal{Code: fault.BadRequest}
		form := Form{Problem: &Problem{Code: refusal.Code, Field: FieldItem, Sentence: Say("moving.choose-one")}}
		return r.RenderRefused(&refusal, r.frame(m), leaving(m, why, &form))
	}
	res, err := s.Moves.BeginMove(r.Context(), m.caller, why, ids)
	if err != nil {
		return err
	}
	return r.changed(res, "/account/moving")
}

func (s *Server) movedPage(r *Request) error {
	m, err := r.member()
	if err != nil {
		return err
	}
	return r.Render(r.frame(m), Moved{Things: things(m, false), CodesLeft: m.about.RecoveryLeft})
}
