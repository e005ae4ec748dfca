package web

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"gatehouse/authenticators"
	"gatehouse/fault"
	"gatehouse/flow"
	"gatehouse/id"
	"gatehouse/manage"
	"gatehouse/seal"
	"gatehouse/words"
)

// Approvals is what pages and API need for Gatehouse Verify.
type Approvals struct {
	Ask  Asker
	Pair Pairer
	Key  func() string                           // our public key that browsers subscribe with
	Good func(authenticators.Subscription) error // whether a push address can be one
}

// Asker is flow.Flow, as far as it asks devices and hears them.
type Asker interface {
	Asked(ctx context.Context, attempt string, who flow.Who) (flow.Asked, error)
	Waits(attempt string, who flow.Who) (heard <-chan struct{}, stop func(), err error)
	Challenge(id.Authenticator) (string, error)
	OpenDevice(ctx context.Context, device id.Authenticator, challenge, signature string) (ticket string, err error)
	Questions(ctx context.Context, device id.Authenticator, ticket string) (flow.Inbox, id.Account, error)
	Proves(ctx context.Context, device id.Authenticator, text, signature string) error
	Paced(flow.Who) error
	Answer(context.Context, flow.Given) (authenticators.ApprovalState, error)
	Listen(id.Account) (heard <-chan struct{}, stop func())
}

// Pairer is manage.Manage, as far as devices join an account.
type Pairer interface {
	BeginPairing(context.Context, manage.Caller) (note, token string, err error)
	ShowPairing(c manage.Caller, note string) (token string, err error)
	Join(context.Context, manage.Joining) (manage.Joined, error)
	Pairing(ctx context.Context, c manage.Caller, note string) (name string, joined bool, err error)
	ConfirmPairing(ctx context.Context, c manage.Caller, note string, code seal.Secret, name string) (manage.Result, error)
	DeclinePairing(ctx context.Context, c manage.Caller, note string) error
	Subscribe(ctx context.Context, device id.Authenticator, s *authenticators.Subscription) error
}

func (s *Server) approvalRoutes() []route {
	return []route{
		{anAPI, "POST", "/api/v1/signin/ask-push", s.apiAsk},
		{anAPI, "POST", "/api/v1/signin/push", s.apiApproved},
		{anAPI, "POST", "/api/v1/signin/push/state", s.apiAsked},
		{anAPI, "GET", "/api/v1/verify/key", s.apiPushKey},
		{anAPI, "POST", "/api/v1/verify/pair", s.apiPair},
		{anAPI, "POST", "/api/v1/verify/hello", s.apiHello},
		{anAPI, "POST", "/api/v1/verify/open", s.apiOpen},
		{anAPI, "GET", "/api/v1/verify/questions", s.apiQuestions},
		{anAPI, "GET", "/api/v1/verify/events", s.apiEvents},
		{anAPI, "POST", "/api/v1/verify/answer", s.apiAnswer},
		{anAPI, "POST", "/api/v1/verify/subscription", s.apiSubscribe},

		{aPage, "GET", "/signin/push", s.stepPage(flow.Approve)},
		{aPage, "POST", "/signin/push", s.approve},
		{aPage, "GET", "/signin/push/events", s.approveEvents},
		{aPage, "GET", "/fresh/push", s.stepPage(flow.Approve)},
		{aPage, "POST", "/fresh/push", s.approve},
		{aPage, "GET", "/account/authenticators/verify", s.pairPage},
		{aPage, "POST", "/account/authenticators/verify", s.pair},
		{aPage, "POST", "/account/authenticators/verify/state", s.pairState},
	}
}

// Approve is the page that asks a phone and waits for it. POST with do=ask or
// do=approved.
type Approve struct {
	Form
	Email string
	Ways  Ways
	Fresh bool
	State string // "" nothing is asked; "open", "approved", "over"
	Tens  string // the two digits
	Ones  string
	Left  int // seconds
	Reach flow.Reach
	Lost  bool // the database cannot say: other ways are the next step
}

func (p Approve) about() about {
	a := door("approve", p.failed())
	if p.State == "open" {
		a.title = Say("approve.waiting")
	}
	return a
}

// refreshOf has a page that waits for a phone look again by itself where there is
// no script.
func refreshOf(p Page, path string) string {
	if a, is := p.(Approve); is && a.State == "open" {
		return "6; url=" + path
	}
	return ""
}

// What a form of the page does.
const (
	DoAsk      = "ask"
	DoApproved = "approved"
)

func (r *Request) approveView(v flow.View, form Form) (Page, error) {
	page := Approve{Form: form, Email: v.Email, Ways: waysFrom(flow.Approve, v), Fresh: v.Purpose == flow.Fresh}
	if r.server.Approvals == nil || v.Push == nil {
		return page, nil
	}
	who, err := r.Who()
	if err != nil {
		return nil, err
	}
	asked, err := r.server.Approvals.Ask.Asked(r.Context(), r.Attempt(), who)
	switch fault.Of(err) {
	case "":
	case fault.NotInTime:
		return page, nil
	default:
		page.Lost = true
		return page, nil
	}
	page.showAsked(asked, r.server.Now())
	return page, nil
}

func (p *Approve) showAsked(a flow.Asked, now time.Time) {
	p.Reach, p.Left = a.Reached, max(0, int(a.Until.Sub(now).Seconds()))
	if len(a.Digits) == 2 {
		p.Tens, p.Ones = a.Digits[:1], a.Digits[1:]
	}
	switch a.State {
	case authenticators.ApprovalOpen:
		p.State = "open"
	case authenticators.ApprovalApproved:
		p.State = "approved"
	default:
		p.State = "over"
		if p.Problem == nil {
			p.Problem = &Problem{Code: overAs(a.State)}
		}
	}
}

func overAs(s authenticators.ApprovalState) fault.Code {
	if s == authenticators.ApprovalExpired {
		return fault.NotInTime
	}
	return fault.Declined
}

func (s *Server) approve(r *Request) error {
	do := flow.AskApproval
	if r.Text(FieldDo) == DoApproved {
		do = flow.ShowApproval
	}
	err := r.step(flow.Approve, flow.Input{Do: do, Remember: r.Ticked(FieldRemember)})
	if fault.Of(err) != fault.Unavailable {
		return err
	}
	now, resumeErr := r.resume()
	if resumeErr != nil { // nothing to show other ways from
		return err
	}
	page := Approve{Form: Form{Attempt: string(now.View.ID), Action: r.HTTP.URL.Path, Problem: &Problem{Code: fault.Unavailable, Sentence: Say("approve.away")}},
		Email: now.View.Email, Ways: waysFrom(flow.Approve, now.View), Fresh: now.View.Purpose == flow.Fresh, Lost: true}
	r.setRetryAfter(fault.Lookup(fault.Unavailable).Retry)
	return r.RenderAs(http.StatusServiceUnavailable, r.Frame(), page)
}

// askAtOnce asks the phone with the same click that showed the password, where
// that is the likeliest way: the page that follows shows the number already. What
// cannot be asked is left to that page.
func (r *Request) askAtOnce(out flow.Outcome) flow.Outcome {
	if out.Next != flow.Approve || out.View.Push != nil || out.Attempt == "" || r.server.Approvals == nil {
		return out
	}
	who, err := r.Who()
	if err != nil {
		return out
	}
	asked, err := r.Submit(flow.Input{Do: flow.AskApproval, Attempt: out.Attempt, Who: who})
	if err != nil || asked.Attempt == "" {
		return out
	}
	if asked.Refusal != nil && r.SetFlash(Say("fault."+string(asked.Refusal.Code))) != nil {
		return out
	}
	asked.Refusal = nil
	return asked
}

// approveEvents tells the page that waits how its question stands, as it changes.
func (s *Server) approveEvents(r *Request) error {
	if s.Approvals == nil {
		return notFound(r)
	}
	who, err := r.Who()
	if err != nil {
		return err
	}
	heard, stop, err := s.Approvals.Ask.Waits(r.Attempt(), who)
	if err != nil {
		return err
	}
	defer stop()
	return r.stream(heard, func() (string, any, bool, error) {
		a, err := s.Approvals.Ask.Asked(r.Context(), r.Attempt(), who)
		return "state", tellAsked(a, s.Now()), a.State != authenticators.ApprovalOpen, err
	})
}

// apiPush is a question as the program that asked shows it; openapi.json: Push.
type apiPush struct {
	State   authenticators.ApprovalState `json:"state"`
	Digits  string                       `json:"digits,omitempty"`
	Left    int                          `json:"left"` // seconds
	Reached flow.Reach                   `json:"reached,omitempty"`
}

func tellAsked(a flow.Asked, now time.Time) *apiPush {
	return &apiPush{State: a.State, Digits: a.Digits, Left: max(0, int(a.Until.Sub(now).Seconds())), Reached: a.Reached}
}

func (s *Server) apiAsk(r *Request) error {
	return r.takeStep(func(*reader) flow.Input { return flow.Input{Do: flow.AskApproval} })
}

func (s *Server) apiApproved(r *Request) error {
	return r.takeStep(func(f *reader) flow.Input {
		return flow.Input{Do: flow.ShowApproval, Remember: f.flag("remember")}
	})
}

func (s *Server) apiAsked(r *Request) error {
	f, err := r.readFields()
	if err != nil {
		return err
	}
	attempt := f.text("attempt")
	who, _, err := r.whoByField(f)
	if err != nil {
		return err
	}
	if s.Approvals == nil {
		return notFound(r)
	}
	a, err := s.Approvals.Ask.Asked(r.Context(), attempt, who)
	if err != nil {
		return err
	}
	return r.JSON(http.StatusOK, tellAsked(a, s.Now()))
}

// --- connecting a device, in the account ---

// PairDevice shows the picture that Gatehouse Verify scans, and asks for its code.
// POST with code and name, or do=remove to cancel.
type PairDevice struct {
	Form
	Email  string
	URI    string // what the picture holds, and where its link leads
	Joined string // the device that has scanned it; "" none yet
	Name   string
}

func (p PairDevice) about() about {
	a := door("pair", p.failed())
	a.nav = "authenticators"
	return a
}

func (s *Server) pairPage(r *Request) error {
	if s.Approvals == nil {
		return notFound(r)
	}
	m, err := r.freshMember()
	if err != nil {
		return err
	}
	return s.newPairing(r, m, r.Flash())
}

func (s *Server) newPairing(r *Request, m member, note *Text) error {
	sealed, token, err := s.Approvals.Pair.BeginPairing(r.Context(), m.caller)
	if err != nil {
		return err
	}
	return r.Render(r.frame(m), PairDevice{Form: Form{Attempt: sealed, Note: note, Action: pairPath}, Email: m.about.Account.Email, URI: s.pairURI(token)})
}

const pairPath = "/account/authenticators/verify"

func (s *Server) pairURI(token string) string { return s.Origin + "/verify/#pair=" + token }

func (s *Server) pair(r *Request) error {
	if s.Approvals == nil {
		return notFound(r)
	}
	m, err := r.freshMember()
	if err != nil {
		return err
	}
	note := r.noteField()
	if r.Text(FieldDo) == DoRemove {
		if err := s.Approvals.Pair.DeclinePairing(r.Context(), m.caller, note); err != nil && !isOver(err) {
			return err
		}
		return r.Redirect("/account/authenticators")
	}
	res, err := s.Approvals.Pair.ConfirmPairing(r.Context(), m.caller, note, r.Secret(FieldCode), r.Text(FieldName))
	switch {
	case isOver(err):
		return s.newPairing(r, m, Say("pair.old"))
	case errors.Is(err, manage.ErrNoDevice):
		res, err = manage.Result{Refusal: &flow.Refusal{Code: fault.PairingSpent, Hint: ""}}, nil
		return s.pairAgain(r, m, note, res, Say("pair.not-yet"))
	case err != nil:
		return err
	case res.Refusal == nil:
		return r.changed(res, "/account/authenticators?done=paired")
	}
	return s.pairAgain(r, m, note, res, Say("pair.wrong"))
}

// isOver tells that a picture, or the page that shows it, is too old.
func isOver(err error) bool {
	c := fault.Of(err)
	return c == fault.AttemptExpired || c == fault.PairingSpent || c == fault.PairingTaken
}

func (s *Server) pairAgain(r *Request, m member, note string, res manage.Result, sentence *Text) error {
	token, err := s.Approvals.Pair.ShowPairing(m.caller, note)
	if err != nil {
		return err
	}
	page := PairDevice{Form: Form{Attempt: note, Action: pairPath, Problem: problem(res.Refusal, FieldCode)}, Email: m.about.Account.Email,
		URI: s.pairURI(token), Name: r.Text(FieldName)}
	if res.Refusal.Code != fault.TooManyTries {
		page.Problem.Sentence = sentence
	}
	if page.Joined, _, err = s.Approvals.Pair.Pairing(r.Context(), m.caller, note); err != nil {
		return err
	}
	return r.RenderRefused(res.Refusal, r.frame(m), page)
}

// pairState tells the page with the picture whether it has been scanned.
func (s *Server) pairState(r *Request) error {
	if s.Approvals == nil {
		return notFound(r)
	}
	m, err := r.member()
	if err != nil {
		return err
	}
	name, joined, err := s.Approvals.Pair.Pairing(r.Context(), m.caller, r.noteField())
	if err != nil {
		return err
	}
	said := struct {
		Joined bool   `json:"joined"`
		Say    string `json:"say"`
	}{joined, r.frame(m).Words.Say("pair.waiting")}
	if joined {
		said.Say = r.frame(m).Words.Say("pair.joined", "name", name)
	}
	return r.JSON(http.StatusOK, said)
}

// deviceName is what a device is called until its owner calls it something.
func (r *Request) deviceName(wish string) string {
	if strings.TrimSpace(wish) != "" {
		return boundedText(wish, maxField)
	}
	return words.For(r.Words().Lang).Device(boundedAgent(r.HTTP.UserAgent()))
}
