package web

import (
	"context"
	"slices"

	"gatehouse/authenticators"
	"gatehouse/fault"
	"gatehouse/flow"
	"gatehouse/id"
	"gatehouse/manage"
	"gatehouse/proof"
	"gatehouse/seal"
)

// TokenKeeper is manage.Manage, as far as the holder of a hardware token uses it.
type TokenKeeper interface {
	ActivateToken(ctx context.Context, c manage.Caller, serial string, code seal.Secret, name string) (manage.Result, error)
	ResyncToken(ctx context.Context, c manage.Caller, a id.Authenticator, first, second seal.Secret) (*fault.Refusal, error)
}

// Names of the fields of the token pages.
const (
	FieldSerial = "serial"
	FieldFirst  = "first"
	FieldSecond = "second"
)

// TokenNew adds a hardware token that was given to its holder. POST
// /account/authenticators/token with serial and code.
type TokenNew struct {
	Form
	Serial string // as typed
}

// TokenResync brings a token back into step. POST /account/authenticators/resync with
// id, first and second.
type TokenResync struct {
	Form
	Items  []TokenItem
	Chosen string // id
}

// TokenItem is one token of the caller's.
type TokenItem struct{ ID, Name string }

func (p TokenNew) about() about {
	return about{template: "token-new", title: Say("tokens.title"), nav: "authenticators", failed: p.failed()}
}

func (p TokenResync) about() about {
	return about{template: "token-resync", title: Say("tokens.resync-title"), nav: "authenticators", failed: p.failed()}
}

// hasToken tells whether somebody has a hardware token, whose codes the code
// page takes too.
func hasToken(v flow.View) bool {
	return slices.ContainsFunc(v.Ways, func(w flow.Way) bool { return w.Token })
}

const (
	tokenPath  = "/account/authenticators/token"
	resyncPath = "/account/authenticators/resync"
)

func (s *Server) tokenRoutes() []route {
	return []route{
		{aPage, "GET", tokenPath, s.tokenPage},
		{aPage, "POST", tokenPath, s.addToken},
		{aPage, "GET", resyncPath, s.resyncPage},
		{aPage, "POST", resyncPath, s.resync},
	}
}

func (s *Server) tokenPage(r *Request) error {
	m, err := r.freshMember()
	if err != nil {
		return err
	}
	if s.Tokens == nil || !m.about.Need.Accepts(proof.HOTP) && !m.about.Need.Accepts(proof.TOTP) {
		return fault.New(fault.NotFound, nil)
	}
	return r.Render(r.frame(m), TokenNew{})
}

func (s *Server) addToken(r *Request) error {
	m, err := r.freshMember()
	if err != nil {
		return err
	}
	if s.Tokens == nil {
		return fault.New(fault.NotFound, nil)
	}
	serial := r.Text(FieldSerial)
	res, err := s.Tokens.ActivateToken(r.Context(), m.caller, serial, r.Secret(FieldCode), "")
	if err != nil {
		return err
	}
	if res.Refusal == nil {
		return r.changed(res, "/account/authenticators?done=added-token")
	}
	page := TokenNew{Form: Form{Problem: problem(res.Refusal, FieldCode)}, Serial: serial}
	page.Problem.wrongCode("tokens.wrong")
	return r.RenderRefused(res.Refusal, r.frame(m), page)
}

// tokensOf lists the hardware tokens among somebody's authenticators.
func tokensOf(o manage.Overview) (all []TokenItem) {
	for _, a := range o.Apps {
		if a.Token != "" {
			all = append(all, TokenItem{string(a.ID), a.Name})
		}
	}
	for _, c := range o.Credentials {
		if c.Kind == authenticators.KindHOTP {
			all = append(all, TokenItem{string(c.ID), c.Name})
		}
	}
	return all
}

func (s *Server) resyncForm(m member, chosen string, why *fault.Refusal) TokenResync {
	page := TokenResync{Form: Form{Problem: problem(why, FieldFirst)}, Items: tokensOf(m.about), Chosen: chosen}
	page.Problem.wrongCode("tokens.resync-wrong")
	if len(page.Items) > 0 && page.Chosen == "" {
		page.Chosen = page.Items[0].ID
	}
	return page
}

func (s *Server) resyncPage(r *Request) error {
	m, err := r.member()
	if err != nil {
		return err
	}
	page := s.resyncForm(m, r.Query(FieldItem), nil)
	if s.Tokens == nil || len(page.Items) == 0 {
		return fault.New(fault.NotFound, nil)
	}
	return r.Render(r.frame(m), page)
}

func (s *Server) resync(r *Request) error {
	m, err := r.member()
	if err != nil {
		return err
	}
	a, err := id.Parse[id.Authenticator](r.Text(FieldItem))
	if err != nil || s.Tokens == nil {
		return fault.New(fault.NotFound, err)
	}
	why, err := s.Tokens.ResyncToken(r.Context(), m.caller, a, r.Secret(FieldFirst), r.Secret(FieldSecond))
	if err != nil {
		return err
	}
	if why == nil {
		return r.Redirect("/account/authenticators?done=resync")
	}
	return r.RenderRefused(why, r.frame(m), s.resyncForm(m, string(a), why))
}
