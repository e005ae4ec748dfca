package web

import (
	"slices"
	"strings"
	"time"

	"gatehouse/authenticators"
	"gatehouse/fault"
	"gatehouse/id"
	"gatehouse/manage"
	"gatehouse/proof"
)

// Authenticators lists second authenticators of every kind. POST
// /account/authenticators with do=rename (id, name) or do=remove (id).
type Authenticators struct {
	Form
	Items  []Authenticator
	Adds   []Add
	Moving bool   // there is a guide for a new phone
	Signal string // which passkeys we still accept, for the browser: JSON, "" for none
}

// Authenticator is one row of Authenticators.
type Authenticator struct {
	ID     string
	Kind   string // a key of the catalogue's "authenticators.kind-…"; "" for an app
	Name   string
	MadeAt time.Time
	UsedAt time.Time     // zero for never
	Drift  time.Duration // how far its clock is off; 0 says nothing
	Facts  []Fact        // what the kind says of itself
	Off    *Text         // why it opens nothing; nil: it does
	Why    string        // the same in short, a key of "authenticators.is-…": cloned, held or ended
	Resync string        // where a code token is brought back into step; "" for none
	Last   bool          // the only one that opens the account: it cannot be removed
}

// Fact is one more line about an authenticator.
type Fact struct{ Name, Value Text }

// Add is a way to add another.
type Add struct{ Href, Kind string }

// adds are the pages that add an authenticator, and what each makes.
var adds = []struct {
	Add
	method proof.Method
}{
	{Add{"/account/authenticators/passkey", "passkey"}, proof.Passkey},
	{Add{"/account/authenticators/verify", "verify"}, proof.Push},
	{Add{"/account/authenticators/add", "app"}, proof.TOTP},
	{Add{"/account/authenticators/key", "key"}, proof.Passkey},
	{Add{"/account/authenticators/token", "token"}, proof.HOTP},
	{Add{"/account/authenticators/phone", "phone"}, proof.SMS},
}

// addsFor lists what somebody may add: what their policy accepts and this build has.
func (s *Server) addsFor(o manage.Overview) (all []Add) {
	for _, a := range adds {
		if s.known[a.Href] && o.Need.Accepts(a.method) && (a.method != proof.Passkey || s.Passkeys != nil) {
			all = append(all, a.Add)
		}
	}
	return all
}

// pagesOf are the paths of the pages in a table of routes.
func pagesOf(table []route) map[string]bool {
	known := map[string]bool{}
	for _, rt := range table {
		if rt.sort == aPage && rt.method == "GET" {
			known[rt.path] = true
		}
	}
	return known
}

// listed are the second authenticators that the list shows: a remembered browser
// is none of them.
func listed(o manage.Overview) []authenticators.Named {
	return slices.DeleteFunc(slices.Clone(o.Seconds), func(n authenticators.Named) bool { return n.Kind == authenticators.KindRemembered })
}

func (s *Server) authenticatorsPage(r *Request) error {
	m, err := r.member()
	if err != nil {
		return err
	}
	return r.Render(r.frame(m), s.authenticatorList(m, Form{}))
}

func (s *Server) authenticatorList(m member, f Form) Authenticators {
	page := Authenticators{Form: f, Adds: s.addsFor(m.about), Moving: s.known["/account/moving"], Signal: s.acceptedPasskeys(m.about)}
	open := 0
	for _, n := range listed(m.about) {
		a := s.row(m.about, n)
		if page.Items = append(page.Items, a); a.Off == nil {
			open++
		}
	}
	for i := range page.Items {
		page.Items[i].Last = open == 1 && page.Items[i].Off == nil
	}
	return page
}

func (s *Server) row(o manage.Overview, n authenticators.Named) Authenticator {
	a := Authenticator{ID: string(n.ID), Kind: string(n.Kind), Name: n.Name, MadeAt: n.MadeAt, UsedAt: n.LastUsedAt}
	for _, app := range o.Apps {
		if app.ID == n.ID {
			a.Drift = time.Duration(app.Drift*app.Period) * time.Second
			if app.Token != "" {
				a.Kind, a.Resync = string(authenticators.KindHOTP), resyncPath+"?id="+string(n.ID)
			}
		}
	}
	for _, c := range o.Credentials {
		if c.ID != n.ID {
			continue
		}
		if describe := describes[c.Kind]; describe != nil {
			describe(c, &a)
		}
		if a.Off == nil && !c.Answers(s.Now()) {
			a.Off, a.Why = shut(c, s.Now())
		}
	}
	return a
}

// shut says why a credential opens nothing at a time.
func shut(c authenticators.Credential, now time.Time) (*Text, string) {
	if now.Before(c.UsableAt) {
		return Say("phones.held-why"), "held"
	}
	return Say("authenticators.off"), "ended"
}

// describes fills in what is particular to a kind of credential. A kind more is a
// line here.
var describes = map[authenticators.Kind]func(authenticators.Credential, *Authenticator){
	authenticators.KindPasskey: describePasskey,
	authenticators.KindHOTP: func(c authenticators.Credential, a *Authenticator) {
		a.Resync = resyncPath + "?id=" + string(c.ID)
	},
	authenticators.KindPhone: describePhone,
}

func describePasskey(c authenticators.Credential, a *Authenticator) {
	f, err := authenticators.PasskeyOf(c)
	if err != nil {
		return
	}
	a.Kind = wordOf(f.Sort)
	if c.State == authenticators.StateCloned {
		a.Off, a.Why = Say("authenticators.cloned-why"), "cloned"
		return
	}
	kept := "one"
	switch {
	case f.BackedUp:
		kept = "synced"
	case f.BackupEligible:
		kept = "could"
	}
	a.Facts = append(a.Facts, Fact{*Say("authenticators.kept"), *Say("authenticators.kept-" + kept)})
	if f.AttestedAs != "" {
		a.Facts = append(a.Facts, Fact{*Say("authenticators.model"), *Say("authenticators.model-is", "model", f.AttestedAs)})
	}
}

// acceptedPasskeys tells the browser whose passkeys of ours it may forget: all but
// these (Signal API, WebAuthn L3 §5.1.10.3), and what their owner is called now.
func (s *Server) acceptedPasskeys(o manage.Overview) string {
	if s.Passkeys == nil {
		return ""
	}
	ids := []string{}
	for _, c := range o.Credentials {
		cid, ok := strings.CutPrefix(c.Handle, "passkey:")
		if ok && c.Kind == authenticators.KindPasskey && c.State != authenticators.StateCloned {
			ids = append(ids, cid)
		}
	}
	return signal(map[string]any{"rpId": s.Passkeys.Rules.ID(), "userId": authenticators.UserHandle(o.Account.ID), "allAcceptedCredentialIds": ids,
		"name": o.Account.Email, "displayName": orElse(o.Account.Name, o.Account.Email)})
}

func (s *Server) changeAuthenticator(r *Request) error {
	m, err := r.member()
	if err != nil {
		return err
	}
	app, err := id.Parse[id.Authenticator](r.Text(FieldItem))
	if err != nil {
		return fault.New(fault.NotFound, err)
	}
	switch r.Text(FieldDo) {
	case DoRename:
		if err := s.Manage.Rename(r.Context(), m.caller, app, r.Text(FieldName)); err != nil {
			return err
		}
		return r.Redirect("/account/authenticators?done=renamed")
	case DoRemove:
		res, err := s.Manage.Remove(r.Context(), m.caller, app)
		if err != nil {
			return err
		}
		if res.Refusal != nil {
			return r.RenderRefused(res.Refusal, r.frame(m), s.authenticatorList(m, Form{Problem: problem(res.Refusal, "")}))
		}
		return r.changed(res, "/account/authenticators?done=removed")
	}
	return fault.New(fault.BadRequest, nil)
}
