package web

import (
	"slices"
	"strings"

	"gatehouse/accounts"
	"gatehouse/fault"
	"gatehouse/flow"
	"gatehouse/manage"
	"gatehouse/seal"
	"gatehouse/sessions"
)

// front is the bare address.
func (s *Server) front(r *Request) error {
	if _, err := r.Session(); err == nil {
		return r.Redirect("/account")
	}
	return r.Redirect("/signin")
}

// pathOf is where a step of an attempt is shown.
func pathOf(step flow.Step, p flow.Purpose) string {
	door := "/signin"
	if p == flow.Fresh {
		door = "/fresh"
	}
	switch step {
	case flow.Code:
		return door + "/code"
	case flow.Recovery:
		return door + "/recovery"
	case flow.Passkey:
		return door + "/passkey"
	case flow.Approve:
		return door + "/push"
	case flow.Text:
		return door + "/phone"
	case flow.LinkSent:
		return "/signin/link-sent"
	case flow.NewPassword:
		return "/signin/new-password"
	case flow.Enrol:
		return "/signin/enrol"
	case flow.RecoveryCodes:
		return "/signin/codes"
	}
	return door
}

// returnPath is where to go when done: a local page that a reader asked for.
func returnPath(wish string) string {
	if wish != "" && isLocal(wish) && (strings.HasPrefix(wish, "/account") || strings.HasPrefix(wish, "/console")) {
		return wish
	}
	return ""
}

func (s *Server) signInPage(r *Request) error {
	back := returnPath(r.Query(FieldReturn))
	if _, err := r.Session(); err == nil {
		return r.Redirect(orElse(back, "/account"))
	}
	page := SignIn{Form: Form{Return: back}}
	who, err := r.Who()
	if err != nil {
		return err
	}
	if out, err := s.Flow.Resume(r.Attempt(), who); err == nil && out.Next == flow.Password {
		page.Email = out.View.Email
	} else if err := r.knock(who); err != nil {
		return err
	}
	page.Email, page.Passkey = orElse(page.Email, r.note(&page.Form)), r.askPasskey("", who)
	if r.Query("cookies") == "none" && page.Note == nil && page.Problem == nil {
		page.Note = Say("signin.cookies")
	}
	return r.Render(r.Frame(), page)
}

// note puts what the page before left above a form: a refusal as a problem, else
// a calm sentence. It returns the e-mail address that was left with it.
func (r *Request) note(f *Form) (email string) {
	t := r.Flash()
	if t == nil {
		return ""
	}
	if len(t.Pairs) == 2 && t.Pairs[0] == FieldEmail {
		email, _ = t.Pairs[1].(string)
	}
	if code, ok := strings.CutPrefix(t.Key, "fault."); ok {
		f.Problem = &Problem{Code: fault.Code(code)}
		return email
	}
	f.Note = t
	return email
}

func (s *Server) signIn(r *Request) error {
	email := r.Text(FieldEmail)
	out, err := r.submit(flow.Input{Do: flow.ShowPassword, Email: email, Secret: r.Secret(FieldPassword), Return: returnPath(r.Text(FieldReturn))})
	if err != nil {
		return err
	}
	if out.Refusal != nil {
		return r.signInRefused(out, email)
	}
	return r.goOn(out)
}

func (r *Request) signInRefused(out flow.Outcome, email string) error {
	page := SignIn{Form: Form{Return: returnPath(r.Text(FieldReturn)), Problem: problem(out.Refusal, "")}, Email: email}
	if who, err := r.Who(); err == nil {
		page.Passkey = r.askPasskey("", who)
	}
	page.Forget = r.unknownPasskey(out.Refusal)
	return r.RenderRefused(out.Refusal, r.Frame(), page)
}

// submit sends a step with what the browser carries: its attempt, its session,
// its device, its clock's zone.
func (r *Request) submit(in flow.Input) (flow.Outcome, error) {
	in.Attempt = r.Attempt()
	return r.submitNew(in)
}

// submitNew is submit of what begins an attempt of its own.
func (r *Request) submitNew(in flow.Input) (flow.Outcome, error) {
	who, err := r.Who()
	if err != nil {
		return flow.Outcome{}, err
	}
	who.Zone = zoneWish(r.Text(FieldZone))
	in.Who, in.Session, in.Place = who, r.sessionIfAny(), r.cookie(r.server.cookies.wait)
	in.Trusted, in.Remember = r.cookie(r.server.cookies.trust), r.Ticked(FieldRemember)
	return r.Submit(in)
}

// goOn leads to the page of the next step, or in.
func (r *Request) goOn(out flow.Outcome) error {
	out = r.askAtOnce(out)
	if out.Next == flow.Done {
		r.SetSession(out.Ticket)
		if out.Trusted != "" {
			r.setCookie(r.server.cookies.trust, out.Trusted, out.View.Remember)
		}
		return r.Redirect(r.bySecond(out, orElse(returnPath(out.View.Return), "/account")))
	}
	if out.Attempt != "" {
		r.SetAttempt(out.Attempt)
	}
	return r.Redirect(pathOf(out.Next, out.View.Purpose))
}

// problem words a refusal for a form; field is the one it concerns.
func problem(why *flow.Refusal, field string) *Problem {
	if why == nil {
		return nil
	}
	p := &Problem{Code: why.Code, Field: field, Reasons: why.Reasons, RetryAfter: why.RetryAfter}
	switch why.Code {
	case fault.TooManyTries:
		p.Field = ""
	case fault.WrongCredentials:
		p.Field = ""
	}
	if why.Hint != "" {
		p.Hint = Say(why.Hint, why.HintFields...)
	}
	if why.Code == fault.WrongCode && strings.HasPrefix(why.Hint, "token.hint.") { // the code was a right one: to say that it did not match would be wrong
		p.Sentence, p.Hint = p.Hint, nil
	}
	return p
}

// wrongCode words a wrong code by the page it was typed on: who types a recovery
// code has no app at hand, and who sets up an app has no recovery codes yet.
func (p *Problem) wrongCode(key string) {
	if p != nil && p.Code == fault.WrongCode && p.Sentence == nil {
		p.Sentence = Say(key)
	}
}

// explained adds to a wrong code the usual reasons, where nothing better is known,
// and the article about them.
func (p *Problem) explained() {
	if p == nil || p.Code != fault.WrongCode {
		return
	}
	p.Help = "wrong-code"
	if p.Hint == nil && p.Sentence == nil {
		p.Hint = Say("code.causes")
	}
}

// stepPage shows a step of the attempt in the browser's cookie. An attempt that
// waits for another step leads there; one that is over leads back to the start,
// with a sentence: no page is a dead end.
func (s *Server) stepPage(step flow.Step) handler {
	return func(r *Request) error {
		out, err := r.resume()
		if err != nil {
			return r.startAgain(err)
		}
		if !shows(step, out) {
			return r.Redirect(pathOf(out.Next, out.View.Purpose))
		}
		return r.showStep(step, out, nil)
	}
}

// shows tells whether a page belongs to the step an attempt waits for. Whatever
// second authenticator it waits for, the page of any other that the person has
// answers the same question.
func shows(page flow.Step, waiting flow.Outcome) bool {
	return page == waiting.Next || slices.Contains(waiting.View.Other, page)
}

func (r *Request) resume() (flow.Outcome, error) {
	who, err := r.Who()
	if err != nil {
		return flow.Outcome{}, err
	}
	return r.server.Flow.Resume(r.Attempt(), who)
}

// startAgain leads back to the first page when an attempt is too old or not this
// browser's.
func (r *Request) startAgain(err error) error {
	if fault.Of(err) != fault.AttemptExpired {
		return err
	}
	if _, err := r.Session(); err == nil {
		return r.Redirect("/account")
	}
	had := r.Attempt() != ""
	r.ClearAttempt()
	if had {
		if err := r.SetFlash(Say("fault."+string(fault.AttemptExpired), FieldEmail, r.Text(FieldEmail))); err != nil {
			return err
		}
	}
	if r.cookie(r.server.cookies.device) == "" { // every page sets it: this browser keeps nothing, and would go round for ever
		return r.Redirect("/signin?cookies=none")
	}
	return r.Redirect("/signin")
}

// showStep draws the page of a step; out.Refusal makes it the form that came back.
func (r *Request) showStep(page flow.Step, out flow.Outcome, note *Text) error {
	p, err := r.stepView(page, out, note)
	if err != nil {
		return err
	}
	f := r.Frame()
	f.Done, f.Refresh = Done(r.Query("done")), refreshOf(p, r.HTTP.URL.Path)
	if out.Refusal != nil {
		return r.RenderRefused(out.Refusal, f, p)
	}
	return r.Render(f, p)
}

func (r *Request) stepView(page flow.Step, out flow.Outcome, note *Text) (Page, error) {
	v := out.View
	fresh := v.Purpose == flow.Fresh
	form := func(field string) Form {
		f := Form{Attempt: string(v.ID), Note: note, Problem: problem(out.Refusal, field), Action: r.HTTP.URL.Path, Remember: v.Remember}
		if note == nil && f.Problem == nil {
			f.Note = r.Flash()
		}
		return f
	}
	switch page {
	case flow.Code:
		f := form(FieldCode)
		f.Problem.explained()
		return Code{Form: f, Email: v.Email, Ways: waysFrom(page, v), Fresh: fresh, Reset: v.Purpose == flow.Reset, Token: hasToken(v)}, nil
	case flow.Recovery:
		f := form(FieldCode)
		f.Problem.wrongCode("recovery.wrong")
		return Recovery{Form: f, Email: v.Email, Ways: waysFrom(page, v), Fresh: fresh}, nil
	case flow.Passkey:
		return r.passkeyView(v, form(""))
	case flow.Approve:
		return r.approveView(v, form(""))
	case flow.Text:
		return r.textView(v, form(FieldCode))
	case flow.LinkSent:
		return LinkSent{Form: ledBy(v, form("")), Kind: LinkEnrol, Email: v.Email, Minutes: int(accounts.Enrol.Life().Minutes()), Resend: true}, nil
	case flow.NewPassword:
		return NewPassword{Form: form(FieldPassword), Email: v.Email, Policy: r.server.Choose.Policy, First: v.Purpose == flow.Invitation, Why: v.Why}, nil
	case flow.Enrol:
		f := form(FieldCode)
		f.Problem.wrongCode("enrol.wrong")
		return r.offerPasskey(Enrol{Form: ledBy(v, f), Email: v.Email, Key: v.Secret.Reveal(), URI: v.URI.Reveal(), Name: r.Text(FieldName)}, out), nil
	case flow.RecoveryCodes:
		return RecoveryCodes{Form: form(FieldConfirmed), Email: v.Email, Codes: reveal(v.Codes), MadeAt: r.server.Now(), Origin: r.server.Origin}, nil
	}
	return nil, fault.New(fault.NotFound, nil)
}

func reveal(codes []seal.Secret) []string {
	var texts []string
	for _, c := range codes {
		texts = append(texts, c.Reveal())
	}
	return texts
}

// step takes the form of a step. A form drawn for another attempt than the one
// the browser now carries (a second tab went further) is not submitted: the
// current step is shown with a sentence.
func (r *Request) step(page flow.Step, in flow.Input) error {
	now, err := r.resume()
	if err != nil {
		return r.startAgain(err)
	}
	if drawn := r.Text(FieldAttempt); drawn != "" && drawn != string(now.View.ID) {
		if !shows(page, now) {
			return r.Redirect(pathOf(now.Next, now.View.Purpose))
		}
		return r.showStep(page, now, Say("door.other-tab"))
	}
	out, err := r.submit(in)
	if err != nil {
		return r.startAgain(err)
	}
	return r.stepped(page, out)
}

func (r *Request) stepped(page flow.Step, out flow.Outcome) error {
	if out.Refusal == nil {
		return r.goOn(out)
	}
	if out.Attempt == "" { // refused at the commit: the attempt is over
		r.ClearAttempt()
		return r.signInRefused(out, "")
	}
	r.SetAttempt(out.Attempt)
	if !shows(page, out) {
		return r.Redirect(pathOf(out.Next, out.View.Purpose))
	}
	return r.showStep(page, out, nil)
}

func (s *Server) code(r *Request) error {
	return r.step(flow.Code, flow.Input{Do: flow.ShowCode, Secret: r.Secret(FieldCode)})
}

func (s *Server) recovery(r *Request) error {
	return r.step(flow.Recovery, flow.Input{Do: flow.ShowRecovery, Secret: r.Secret(FieldCode)})
}

func (s *Server) newPassword(r *Request) error {
	return r.step(flow.NewPassword, flow.Input{Do: flow.ChoosePassword, Secret: r.Secret(FieldPassword)})
}

func (s *Server) enrol(r *Request) error {
	return r.step(flow.Enrol, flow.Input{Do: flow.EnrolCode, Secret: r.Secret(FieldCode), Name: r.Text(FieldName)})
}

func (s *Server) confirmCodes(r *Request) error {
	return r.step(flow.RecoveryCodes, flow.Input{Do: flow.ConfirmCodes, Confirmed: r.Ticked(FieldConfirmed)})
}

func (s *Server) resend(r *Request) error {
	out, err := r.submit(flow.Input{Do: flow.ResendLink})
	if err != nil {
		return r.startAgain(err)
	}
	if out.Next != flow.LinkSent {
		return r.goOn(out)
	}
	r.SetAttempt(out.Attempt)
	return r.Redirect("/signin/link-sent?done=resent")
}

// --- proving oneself afresh, and leaving ---

// freshPage begins a fresh proof: password first, then the second authenticator.
func (s *Server) freshPage(r *Request) error {
	if _, err := r.Session(); err != nil {
		return err
	}
	out, err := r.submit(flow.Input{Do: flow.ProveAfresh, Return: returnPath(r.Query(FieldReturn))})
	if err != nil {
		return err
	}
	r.SetAttempt(out.Attempt)
	return r.Render(r.Frame(), Fresh{Form: Form{Attempt: string(out.View.ID)}, Email: out.View.Email, Passkey: r.askAfresh(out.Attempt)})
}

func (s *Server) fresh(r *Request) error {
	if _, err := r.Session(); err != nil {
		return err
	}
	out, err := r.submit(flow.Input{Do: flow.ShowPassword, Secret: r.Secret(FieldPassword)})
	if err != nil {
		return r.startAgain(err)
	}
	if out.Refusal == nil {
		return r.goOn(out)
	}
	return r.freshRefused(out, FieldPassword)
}

func (r *Request) freshRefused(out flow.Outcome, field string) error {
	email := ""
	if now, err := r.resume(); err == nil {
		email = now.View.Email
	}
	page := Fresh{Form: Form{Attempt: r.Text(FieldAttempt), Problem: problem(out.Refusal, field)}, Email: email, Passkey: r.askAfresh(r.Attempt())}
	if out.Refusal.Code == fault.WrongCredentials {
		page.Problem.Field, page.Problem.Sentence = FieldPassword, Say("fresh.wrong")
	}
	return r.RenderRefused(out.Refusal, r.Frame(), page)
}

func (s *Server) signOut(r *Request) error {
	t, err := r.Session()
	if err := r.leave(t, err); err != nil {
		return err
	}
	return r.Redirect("/signed-out")
}

// leave ends the session of a ticket that was just checked, with what the check
// said, and drops the cookies. Leaving a session that is over is no error.
func (r *Request) leave(t sessions.Ticket, err error) error {
	if err != nil && fault.Of(err) != fault.NotSignedIn {
		return err
	}
	if err == nil {
		who, err := r.Who()
		if err != nil {
			return err
		}
		if err := r.server.Manage.SignOut(r.Context(), manage.Caller{Ticket: t, Who: who}); err != nil {
			return err
		}
	}
	r.ClearSession()
	return nil
}

func (s *Server) signedOut(r *Request) error { return r.Render(r.Frame(), SignedOut{}) }
