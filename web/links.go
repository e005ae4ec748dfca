package web

import (
	"gatehouse/accounts"
	"gatehouse/fault"
	"gatehouse/flow"
	"gatehouse/manage"
	"gatehouse/seal"
)

// Pages that send links by mail, and what those links open.

func (s *Server) forgotPage(r *Request) error { return r.Render(r.Frame(), Forgot{}) }

func (s *Server) forgot(r *Request) error {
	email := r.Text(FieldEmail)
	out, err := r.submit(flow.Input{Do: flow.ForgotPassword, Email: email})
	if err != nil {
		return err
	}
	if out.Refusal != nil {
		return r.RenderRefused(out.Refusal, r.Frame(), Forgot{Form: Form{Problem: problem(out.Refusal, FieldEmail)}, Email: email})
	}
	return r.Redirect("/forgot/sent")
}

func (s *Server) unlockPage(r *Request) error { return r.Render(r.Frame(), Unlock{}) }

func (s *Server) unlock(r *Request) error {
	email := r.Text(FieldEmail)
	out, err := r.submit(flow.Input{Do: flow.AskUnlock, Email: email})
	if err != nil {
		return err
	}
	if out.Refusal != nil {
		return r.RenderRefused(out.Refusal, r.Frame(), Unlock{Form: Form{Problem: problem(out.Refusal, FieldEmail)}, Email: email})
	}
	return r.Redirect("/unlock/sent")
}

// sentPage says the same for every address, so it needs to know none.
func (s *Server) sentPage(kind LinkKind) handler {
	return func(r *Request) error {
		return r.Render(r.Frame(), LinkSent{Kind: kind, Minutes: int(accounts.Reset.Life().Minutes())})
	}
}

// mailedLink moves the token from the address, where histories and logs see it,
// to a sealed cookie. It spends nothing: mail scanners open links too.
func (s *Server) mailedLink(r *Request) error {
	if err := r.SetMailed(seal.Secret(r.Path("token"))); err != nil {
		return err
	}
	return r.Redirect("/link")
}

func (s *Server) linkPage(r *Request) error {
	token, ok := r.Mailed()
	if !ok {
		return fault.New(fault.LinkSpent, nil)
	}
	kind, err := s.Flow.PeekLink(r.Context(), token)
	if err != nil {
		return err
	}
	return r.Render(r.Frame(), Link{Kind: LinkKind(kind)})
}

func (s *Server) openLink(r *Request) error {
	token, ok := r.Mailed()
	if !ok {
		return fault.New(fault.LinkSpent, nil)
	}
	kind, err := s.Flow.PeekLink(r.Context(), token)
	if fault.Of(err) == fault.LinkSpent {
		r.ClearMailed()
		if out, err := r.resume(); err == nil && out.Next != flow.Password { // a double click: the link has led here already
			return r.Redirect(pathOf(out.Next, out.View.Purpose))
		}
	}
	if err != nil {
		return err
	}
	if kind == accounts.Address {
		return s.confirmAddress(r, token)
	}
	out, err := r.submit(flow.Input{Do: flow.OpenLink, Link: token})
	if err != nil {
		return err
	}
	r.ClearMailed()
	if out.Refusal != nil {
		return fault.New(out.Refusal.Code, nil)
	}
	if kind == accounts.Unlock {
		if err := r.SetFlash(Say("signin.unlocked")); err != nil {
			return err
		}
	}
	return r.goOn(out)
}

// confirmAddress moves the account to the address the link was mailed to.
func (s *Server) confirmAddress(r *Request, token seal.Secret) error {
	who, err := r.Who()
	if err != nil {
		return err
	}
	var caller *manage.Caller
	if t := r.sessionIfAny(); t != nil {
		caller = &manage.Caller{Ticket: *t, Who: who}
	}
	res, err := s.Manage.ConfirmAddress(r.Context(), token, caller, who)
	if err != nil {
		return err
	}
	r.ClearMailed()
	if res.Refusal != nil {
		return fault.New(res.Refusal.Code, nil)
	}
	if res.Ticket != "" {
		r.SetSession(res.Ticket)
		return r.Redirect("/account?done=address-changed")
	}
	if err := r.SetFlash(Say("done.address-changed")); err != nil {
		return err
	}
	return r.Redirect("/signin")
}
