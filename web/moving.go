package web

import (
	"context"
	"net/url"
	"slices"
	"time"

	"gatehouse/authenticators"
	"gatehouse/fault"
	"gatehouse/flow"
	"gatehouse/id"
	"gatehouse/manage"
	"gatehouse/proof"
	"gatehouse/seal"
	"gatehouse/words"
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

// --- a second way in ---

// remindAfter is how long somebody with one second authenticator is left in peace
// between two pages that offer another.
const remindAfter = 14 * 24 * time.Hour

// bySecond is where a sign-in leads: to the page that offers a second way in, for
// somebody who has one only, when they have just set that up and once in a while
// afterwards. Nothing is read for it: the commit that opened the session knew.
func (r *Request) bySecond(out flow.Outcome, to string) string {
	if out.View.Seconds != 1 || out.View.Purpose == flow.Fresh || out.Session.Standby || r.server.Moves == nil {
		return to
	}
	if _, recovered := proof.Find(out.Session.Proofs, proof.RecoveryCode); recovered {
		return to // they have another worry: see the reminders
	}
	if !out.View.SecondNew && (r.server.Now().Sub(out.View.SecondSince) < remindAfter || r.left(out)) {
		return to
	}
	if to == "/account" {
		return "/account/second"
	}
	return "/account/second?" + FieldReturn + "=" + url.QueryEscape(to)
}

// left tells whether this browser's person was asked lately and said "later".
func (r *Request) left(out flow.Outcome) bool {
	plain, ok := r.openSealed(seal.Flash, r.server.cookies.later)
	return ok && string(plain) == "later "+string(out.Session.Account)
}

func (s *Server) secondPage(r *Request) error {
	m, err := r.member()
	if err != nil {
		return err
	}
	back := orElse(returnPath(r.Query(FieldReturn)), "/account")
	page := Second{Form: Form{Return: back}, Offers: s.offers(m)}
	switch {
	case m.about.Due != nil:
		page.By = r.frame(m).day(m.about.Due.By)
	case len(m.about.Seconds) == 1:
		page.First = s.Now().Sub(m.about.Seconds[0].MadeAt) < time.Hour
	default:
		return r.Redirect(back)
	}
	return r.Render(r.frame(m), page)
}

// day is a date as the reader's pages say it.
func (f Frame) day(at time.Time) string {
	c := f.Words
	if c == nil {
		c = words.For()
	}
	return f.local(c.Say, at).Day
}

// offers are the pages where a second authenticator can be added, the best first:
// where others will be asked for soon, only what is enough then.
func (s *Server) offers(m member) Ways {
	var all Ways
	for _, a := range adds {
		if due := m.about.Due; due != nil && !due.Missing.Suffices(a.method) {
			continue
		}
		if slices.Contains(s.addsFor(m.about), a.Add) {
			all = append(all, Way{a.Href, *Say("second." + a.Kind)})
		}
	}
	return all
}

// laterSecond leaves the person in peace for a while, in this browser.
func (s *Server) laterSecond(r *Request) error {
	t, err := r.Session()
	if err != nil {
		return err
	}
	if err := r.setSealed(seal.Flash, s.cookies.later, remindAfter, []byte("later "+string(t.Account))); err != nil {
		return err
	}
	return r.Redirect(orElse(returnPath(r.Text(FieldReturn)), "/account"))
}

// --- what the account page reminds of ---

// Reminder is something that waits for the person, said calmly on their account page.
type Reminder struct {
	Text Text
	Href string
	Link Text
}

// reminders are read for the account page alone. What cannot be told now is left
// out: a reminder is worth no error.
func (s *Server) reminders(r *Request, m member) []Reminder {
	var all []Reminder
	if s.Moves == nil {
		return nil
	}
	at, err := s.Moves.Moving(r.Context(), m.caller)
	if err == nil && at.Why != "" {
		all = append(all, Reminder{*Say("remind.moving"), "/account/moving", *Say("remind.moving-link")})
	}
	if due := m.about.Due; due != nil {
		all = append(all, Reminder{*Say("remind.due", "day", r.frame(m).day(due.By)), "/account/second", *Say("remind.due-link")})
	}
	if _, recovered := proof.Find(m.caller.Ticket.Proofs, proof.RecoveryCode); recovered && at.Why == "" {
		all = append(all, Reminder{*Say("remind.recovered", "n", m.about.RecoveryLeft), "/account/moving?why=lost", *Say("remind.recovered-link")})
	} else if len(m.about.Seconds) == 1 && at.Why == "" && m.about.Due == nil {
		all = append(all, Reminder{*Say("remind.second", "name", m.about.Seconds[0].Name), "/account/second", *Say("remind.second-link")})
	}
	return all
}

// --- remembered browsers ---

// Browser is a remembered browser on the page of sessions.
type Browser struct {
	ID     string
	Name   string
	MadeAt time.Time
	UsedAt time.Time // zero: not since
	Until  time.Time
}

// browsers are listed beside the sessions.
func (s *Server) browsers(r *Request, m member) ([]Browser, error) {
	if s.Moves == nil {
		return nil, nil
	}
	kept, err := s.Moves.Remembered(r.Context(), m.caller)
	var all []Browser
	for _, c := range kept {
		all = append(all, Browser{ID: string(c.ID), Name: c.Name, MadeAt: c.MadeAt, UsedAt: c.LastUsedAt, Until: c.ExpiresAt})
	}
	return all, err
}

// forgetBrowser takes do=forget and id; without an id, all of them.
func (s *Server) forgetBrowser(r *Request) error {
	m, err := r.member()
	if err != nil {
		return err
	}
	var browser id.Authenticator
	if text := r.Text(FieldItem); text != "" {
		if browser, err = id.Parse[id.Authenticator](text); err != nil {
			return fault.New(fault.NotFound, err)
		}
	}
	if err := s.Moves.ForgetBrowser(r.Context(), m.caller, browser); err != nil {
		return err
	}
	return r.Redirect("/account/sessions?done=forgotten")
}
